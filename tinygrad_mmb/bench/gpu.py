"""A CUDA device: CuPy's arrays, CUDA events, nvidia-smi, and limits measured by kernels of ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_mmb.bench.machine import EVENT_CLOCK, Call, Ceilings
from tinygrad_mmb.kernels.launch import cuda_function, float32, int32, int64
from tinygrad_mmb.kernels.launch.device import why_not_built_in

QUERY = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "driver_version")
COPIED = 1 << 30  # bytes of the copy that is timed, at least
CHAINS, STEPS = 16, 4096  # independent chains of multiply-adds in a thread, and their length


class Gpu:
    """The current CUDA device of `library`, which is CuPy; in tests something like it."""

    kind, clock = "gpu", EVENT_CLOCK
    batch_seconds = 5e-4

    def __init__(self, library: Any) -> None:
        self.cp = library
        runtime = library.cuda.runtime
        self.device = library.cuda.Device()
        properties = runtime.getDeviceProperties(self.device.id)
        self.name = properties["name"].decode()
        self.stamp = self.name
        self.cache_bytes = int(properties["l2CacheSize"])
        self.processors = int(properties["multiProcessorCount"])
        self.properties = properties
        self._events = library.cuda.Event(), library.cuda.Event()

    def generator(self, seed: int) -> Any:
        return self.cp.random.default_rng(seed)

    def put(self, value: Any) -> Any:
        return self.cp.asarray(value) if isinstance(value, np.ndarray) else value

    def host(self, value: Any) -> Any:
        return value.get() if isinstance(value, self.cp.ndarray) else value

    def time(self, calls: Sequence[Call], n: int) -> float:
        """Between two events in the calls' stream: the host counts only where the device waits."""
        start, stop = self._events
        count = len(calls)
        start.record()
        for i in range(n):
            calls[i % count]()
        stop.record()
        stop.synchronize()
        return float(self.cp.cuda.get_elapsed_time(start, stop)) * 1e-3

    def synchronize(self) -> None:
        self.device.synchronize()

    def release(self) -> None:
        """What CuPy's pool keeps, so that the libraries have room for the next case."""
        self.cp.get_default_memory_pool().free_all_blocks()

    def sensors(self) -> dict[str, float | str]:
        if not shutil.which("nvidia-smi"):
            return {}
        command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", f"--id={self.device.pci_bus_id}",
                   "--format=csv,noheader,nounits"]  # fmt: skip
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return {}
        values = answer.stdout.strip().split(", ")
        return {k: number_or_text(v) for k, v in zip(QUERY, values, strict=False)}

    def describe(self) -> dict[str, Any]:
        runtime, p = self.cp.cuda.runtime, self.properties
        reason = why_not_built_in(f"{p['major']}{p['minor']}")
        return {
            "gpu": self.name,
            "compute_capability": f"{p['major']}.{p['minor']}",
            "multiprocessors": self.processors,
            "l2_bytes": self.cache_bytes,
            "memory_bytes": int(p["totalGlobalMem"]),
            "cuda_driver": runtime.driverGetVersion(),
            "cuda_runtime": runtime.runtimeGetVersion(),
            "cupy": self.cp.__version__,
            "kernels": f"compiled at first use ({reason})" if reason else "the extension _cuda",
        }

    def ceilings(self, seconds: float) -> Ceilings:
        """A copy, chains of multiply-adds in registers, and cuBLAS at 8192."""
        cp, share = self.cp, seconds / 8
        size = max(8 * self.cache_bytes, COPIED) // 4
        source, target = cp.ones(size, cp.float32), cp.empty(size, cp.float32)
        how = {"copy": f"copy_f32 of {source.nbytes >> 20} MiB, or CuPy's copy if that is faster"}
        fastest = min(
            self.best_of(partial(copy, target, source), share),
            self.best_of(partial(cp.copyto, target, source), share),
        )
        gbs = 2e-9 * source.nbytes / fastest

        blocks, threads = 32 * self.processors, 256
        out = cp.empty(blocks * threads, cp.float32)
        operations = 2.0 * CHAINS * STEPS * out.size
        seconds_fma = self.best_of(lambda: multiply_add(out, blocks, threads), share)
        tflops = {"float32": 1e-12 * operations / seconds_fma}
        how["float32"] = "multiply_add_f32: chains of multiply-adds in registers"
        for dtype in ("float64", "float16", "tf32", "bfloat16"):
            if (call := self.product(dtype, 8192)) is not None:
                tflops[dtype] = 2e-12 * 8192**3 / self.best_of(call, share)
                how[dtype] = "cuBLAS, 8192 x 8192 x 8192"
        if (call := self.product("float32", 8192)) is not None:
            tflops["float32 by cuBLAS"] = 2e-12 * 8192**3 / self.best_of(call, share)
        return Ceilings(gbs, tflops, how)

    def product(self, dtype: str, n: int) -> Call | None:
        """A product by cuBLAS; TF32 and bfloat16, which CuPy has not, through PyTorch."""
        if dtype in ("tf32", "bfloat16"):
            from tinygrad_mmb.bench.torch_peer import product_on_gpu

            return product_on_gpu(dtype, n)
        a = self.generator(0).standard_normal((n, n)).astype(dtype)
        c = self.cp.empty_like(a)
        return lambda: self.cp.matmul(a, a, out=c)

    def best_of(self, call: Call, seconds: float) -> float:
        """The least of several times, after a warm-up."""
        for _ in range(3):
            call()
        times = [self.time([call], 1)]
        while len(times) < 5 or (sum(times) < seconds and len(times) < 50):
            times.append(self.time([call], 1))
        return min(times)


def number_or_text(value: str) -> float | str:
    """As nvidia-smi writes it: "[N/A]" where a sensor is missing."""
    try:
        return float(value)
    except ValueError:
        return value


def copy(target: Any, source: Any) -> None:
    """target = source, 16 bytes a thread at a time."""
    grid = min((source.size + 1023) // 1024, 1 << 20)
    cuda_function("ceilings.cu", "copy_f32")((grid,), (256,), (target, source, int64(source.size)))


def multiply_add(out: Any, blocks: int, threads: int) -> None:
    """CHAINS chains of STEPS multiply-adds in each of blocks · threads threads."""
    arguments = (out, float32(0.999), float32(0.001), int32(STEPS))
    cuda_function("ceilings.cu", "multiply_add_f32")((blocks,), (threads,), arguments)
