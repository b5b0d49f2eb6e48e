"""Compile a kernel of csrc/cuda/kernels for a GPU with NVRTC, NVIDIA's compiler in a library.

It needs neither nvcc nor a C++ compiler, and no GPU. What it made is kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from tinygrad_mmb.backend.arrays import cupy
from tinygrad_mmb.kernels.launch import cache, compile

LISTED = re.compile(r"^MMB_KERNEL(?:_AS\((\w+), (.+)\)|\((\w+)\));", re.MULTILINE)
HOW_TO = (
    "It comes with CuPy's extra: pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]', "
    "whichever CuPy is installed, or with NVIDIA's CUDA toolkit."
)


def expressions(source: str) -> dict[str, str]:
    """Each kernel that a file lists, and what it is in C++: {"k_f32": "k<float>", "copy": "copy"}.

    Python reads them from the text, since NVRTC compiles no code for the host that could tell.
    """
    return {
        name or plain: expression or plain for name, expression, plain in LISTED.findall(source)
    }


def compiled(file: str, name: str, capability: str) -> tuple[Path, str]:
    """Machine code with the kernel `name` of csrc/cuda/kernels/<file>, and its symbol in there.

    Raises: RuntimeError if there is no NVRTC, no header of CUDA, or an error in the source;
        KeyError if the file lists no such kernel.
    """
    root = compile.sources() / "cuda"
    source = root / "kernels" / file
    text = source.read_text(encoding="utf-8")
    listed = expressions(text)
    if name not in listed:
        raise KeyError(f"{file} lists no kernel {name}. It lists {', '.join(listed)}.")
    library = nvrtc()
    architecture, is_final = target(capability, library.getSupportedArchs())
    folders = (root, source.parent, *cuda_headers())
    # -default-device: a lambda inside a kernel is device code, as nvcc takes it to be
    plain = ("-std=c++17", "-default-device", f"-arch={architecture}")
    options = (*plain, *(f"-I{folder}" for folder in folders))
    digest = hashlib.sha256(repr((name, options, library.getVersion())).encode())
    for path in compile.read_by(source, [root]):
        digest.update(path.read_bytes())
    suffix = "cubin" if is_final else "ptx"
    kept = cache.kept(f"{name}-{digest.hexdigest()[:16]}.{suffix}")
    symbol = kept.with_suffix(".json")
    if kept.exists() and symbol.exists():
        cache.used(kept)
        cache.used(symbol)
        return kept, str(json.loads(symbol.read_text(encoding="utf-8")))
    binary, mangled = run(library, text, str(source), listed[name], options, is_final)
    write_whole(kept, binary)
    write_whole(symbol, json.dumps(mangled).encode())
    cache.forget_unused(kept.parent)
    return kept, mangled


def nvrtc() -> Any:
    """CuPy's bindings of NVRTC. Raises RuntimeError if the library itself is missing."""
    library = cupy().cuda.nvrtc
    try:
        library.getVersion()
    except Exception as error:  # its type differs between versions of CuPy
        raise RuntimeError(
            "CUDA kernels are compiled at their first use, and CuPy does not find NVRTC, which "
            f"does it ({str(error).splitlines()[0]}). {HOW_TO}"
        ) from error
    return library


def cuda_headers() -> list[Path]:
    """The folders of CUDA's headers, such as cuda_fp16.h. Raises RuntimeError if there are none."""
    library: Any = cupy()
    named = (library.cuda.get_cuda_path(), os.environ.get("CUDA_HOME"), "/usr/local/cuda")
    # <nv/target>, which cuda_fp16.h includes, is no part of NVIDIA's packages for pip
    bundled = Path(library.__file__).parent / "_core" / "include" / "cupy" / "_cccl" / "libcudacxx"
    for folder in (Path(root) / "include" for root in named if root):
        if (folder / "cuda_fp16.h").is_file():
            return [folder, bundled]
    raise RuntimeError(
        f"CuPy does not find CUDA's headers (cuda_fp16.h), which the kernels include. {HOW_TO}"
    )


def target(capability: str, supported: Any) -> tuple[str, bool]:
    """The architecture to compile for ("sm_75"), and whether that is machine code; else it is PTX,
    which the driver finishes on a GPU newer than this NVRTC.
    """
    number = int(capability)
    if number in supported:
        # 90a and up: the tensor cores' instructions of an architecture exist under that name only
        return f"sm_{number}" + "a" * (number >= 90), True
    older = [a for a in supported if a < number]
    if not older:
        raise RuntimeError(
            f"this GPU has compute capability {capability}, and the NVRTC that CuPy uses compiles "
            f"for {min(supported)} and newer only. Install a CuPy for an older CUDA."
        )
    return f"compute_{max(older)}", False


def run(
    library: Any, text: str, path: str, expression: str, options: tuple[str, ...], is_final: bool
) -> tuple[bytes, str]:
    """Machine code or PTX, and the symbol of one kernel in it."""
    program = library.createProgram(text, path, (), ())
    try:
        library.addNameExpression(program, expression)
        try:
            library.compileProgram(program, options)
        except library.NVRTCError as error:
            log = library.getProgramLog(program)
            raise RuntimeError(f"NVRTC cannot compile {expression} of {path}:\n{log}") from error
        made = library.getCUBIN(program) if is_final else library.getPTX(program)
        symbol = library.getLoweredName(program, expression)
        return bytes(made), symbol if isinstance(symbol, str) else symbol.decode()
    finally:
        library.destroyProgram(program)


def write_whole(path: Path, content: bytes) -> None:
    """A file that appears whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=cache.MAKING, delete=False) as part:
        part.write(content)
    os.replace(part.name, path)
