"""What a CUDA program may use and the emulator does not have, by name and line."""

from __future__ import annotations

from pathlib import Path

from tinygrad_mmb.emulator.prepare import Prepared

# beginning of the header's name -> what it is, and what to do instead
MISSING = {
    "cublas": ("cuBLAS", "a library of NVIDIA's without source. Write the product as a kernel"),
    "cufft": ("cuFFT", "a library of NVIDIA's without source"),
    "cusparse": ("cuSPARSE", "a library of NVIDIA's without source"),
    "cusolver": ("cuSOLVER", "a library of NVIDIA's without source"),
    "cudnn": ("cuDNN", "a library of NVIDIA's without source"),
    "nccl": ("NCCL", "there is one emulated device"),
    "curand.h": ("cuRAND's host side", "draw the numbers in main, or in a kernel"),
    "curand_mtgp32": ("cuRAND's Mersenne Twister", "take curandStatePhilox4_32_10_t"),
    "npp": ("NPP", "a library of NVIDIA's without source"),
    "nvrtc": ("NVRTC", "kernels are compiled before the program runs"),
    "thrust/": ("Thrust", "write the loop, the reduction or the scan as a kernel"),
    "cub/": ("CUB", "write the reduction or the scan as a kernel"),
    "cuda/": ("libcu++", "take __syncthreads, atomicAdd; to copy ahead, cuda_pipeline.h"),
    "cuda_awbarrier": ("the barrier interface", "take __syncthreads, or __pipeline_wait_prior"),
    "texture": ("textures", "read the array itself"),
    "surface": ("surfaces", "write the array itself"),
    "cuda_gl": ("OpenGL interoperation", "write the picture to a file"),
    "GL/": ("OpenGL", "write the picture to a file"),
    "cutlass": ("CUTLASS", "write the product as a kernel"),
    "cute/": ("CuTe", "write the tiles as a kernel"),
    "mpi.h": ("MPI", "start one process"),
}  # fmt: skip
# beginning of a name in the code
NAMES = {
    "cudaGraph": "CUDA graphs are not emulated: launch the kernels one by one",
    "cudaStreamBeginCapture": "CUDA graphs are not emulated: launch the kernels one by one",
    "cudaTextureObject": "textures are not emulated: read the array itself",
    "cudaCreateTextureObject": "textures are not emulated: read the array itself",
    "cudaBindTexture": "textures are not emulated: read the array itself",
    "tex1D": "textures are not emulated: read the array itself",
    "tex2D": "textures are not emulated: read the array itself",
    "tex3D": "textures are not emulated: read the array itself",
    "cudaSurfaceObject": "surfaces are not emulated: write the array itself",
    "cudaArray_t": "CUDA arrays are not emulated: cudaMallocPitch gives rows, too",
    "cudaMallocArray": "CUDA arrays are not emulated: cudaMallocPitch gives rows, too",
    "__mbarrier_": "barriers of pipelines are not emulated: take __syncthreads",
    "__pipeline_arrive_on": "barriers of pipelines are not emulated: call __pipeline_wait_prior",
    "cudaIpc": "sharing memory between processes is not emulated",
    "cuInit": "the driver interface is not emulated: use the runtime's, as in cudaMalloc",
    "cuMemAlloc": "the driver interface is not emulated: use the runtime's, as in cudaMalloc",
    "cuLaunchKernel": "the driver interface is not emulated: launch with <<<grid, block>>>",
}


def refusals(path: Path, made: Prepared) -> list[str]:
    """A line for each thing that is not emulated."""
    found = []
    for line, name in made.includes:
        for start, (what, instead) in MISSING.items():
            own = (path.parent / name[1:-1]).is_file() and name.startswith('"')
            if name[1:].startswith(start) and not own:
                found.append(
                    f"{path.name}:{line}: #include {name} asks for {what}, which is not emulated: "
                    f"{instead}."
                )
    said = set()
    for line, name in made.names:
        for start, why in NAMES.items():
            if name.startswith(start) and why not in said:
                found.append(f"{path.name}:{line}: {name}: {why}.")
                said.add(why)
    found += [f"{path.name}:{line}: {why}." for line, why in made.broken]
    for line in made.assembly:
        found.append(
            f"{path.name}:{line}: inline PTX (asm) is not emulated. Write it in C++, or call a "
            "function of csrc/cuda/ptx.cuh."
        )
    return found
