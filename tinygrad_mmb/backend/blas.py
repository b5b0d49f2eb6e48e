"""The BLAS below NumPy: which one it is, and how many threads it uses.

A matrix product may sum in another order with another number of threads, so a run that must be
repeated bit for bit records the number and a resumed run restores it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# OpenBLAS as NumPy's wheels, conda and distributions name its functions; then MKL and BLIS
GETTERS = (
    "scipy_openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "openblas_get_num_threads",
    "MKL_Get_Max_Threads",
    "bli_thread_get_num_threads",
)
SETTERS = {
    name: name.replace("_get_", "_set_").replace("_Get_Max_", "_Set_Num_") for name in GETTERS
}


def blas_name() -> str:
    """Name and version, as NumPy was built: "scipy-openblas 0.3.30"."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def blas_threads() -> int | None:
    """How many threads BLAS uses now; None if this BLAS does not say (Accelerate, for one)."""
    found = _thread_functions()
    return None if found is None else int(found[0]())


def set_blas_threads(n: int) -> bool:
    """Make BLAS use n threads; whether that could be done."""
    if n < 1:
        raise ValueError(f"set_blas_threads: n is {n}, but at least one thread must work")
    found = _thread_functions()
    if found is None:
        return False
    found[1](n)
    return blas_threads() == n


@functools.cache
def _thread_functions() -> tuple[Any, Any] | None:
    """The two functions of the library that NumPy has loaded."""
    for path in _libraries():
        try:
            library = ctypes.CDLL(path)  # loaded already: the same handle again
        except OSError:
            continue
        for name in GETTERS:
            if hasattr(library, name) and hasattr(library, SETTERS[name]):
                getter, setter = getattr(library, name), getattr(library, SETTERS[name])
                getter.restype, setter.argtypes = ctypes.c_int, [ctypes.c_int]
                return getter, setter
    return None


def _libraries() -> Iterator[str]:
    """Where the BLAS may be: beside NumPy in its wheels, else what this process has loaded."""
    package = Path(np.__file__).parent
    for folder in (
        package.parent / "numpy.libs",
        package / ".dylibs",
        package.parent / "Library" / "bin",
    ):
        if folder.is_dir():
            yield from (str(p) for p in sorted(folder.iterdir()) if "blas" in p.name.lower())
    if sys.platform == "linux":
        try:
            maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        names = (line.split(maxsplit=5)[-1] for line in maps.splitlines() if ".so" in line)
        words = ("blas", "mkl_rt", "blis")
        yield from dict.fromkeys(
            n for n in names if any(w in os.path.basename(n).lower() for w in words)
        )
