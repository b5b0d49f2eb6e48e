"""A user's .cu file as a library of the emulator, with the checker in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinygrad_mmb import atomic
from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.kernels.launch import cache, emulated


def library_of(path: Path, kernel: str) -> emulated.Library:
    """Compile the file as it is, with one line more that lists its kernel.

    Raises: BenchError with the compiler's words, or where the emulator cannot run.
    """
    source = path.read_text(encoding="utf-8")
    # the source stands in the text, not in an #include: what is compiled is what the cache looks at
    text = f'#include "platform.cuh"\n#line 1 "{path.resolve().as_posix()}"\n{source}\n'
    text += f"MMB_KERNEL_AS({kernel}, {kernel});\n"
    folder = cache.writable(cache.cache_folder()) / "added"
    folder.mkdir(exist_ok=True)
    prepared = folder / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.cu"
    atomic.write_text(prepared, text)
    try:
        return emulated.library(str(prepared), "check")
    except RuntimeError as error:
        raise BenchError(f"{path}: {shortest(str(error), path)}") from None


def shortest(message: str, path: Path) -> str:
    """Of a compiler's pages the first error; a file with a main() is told what --add takes."""
    errors = [line for line in message.splitlines() if "error:" in line] or message.splitlines()[:1]
    hint = ". --add takes a file of kernels, without main and launches" if "<<<" in message else ""
    return errors[0].replace(f"{path.resolve().as_posix()}:", "line ") + hint
