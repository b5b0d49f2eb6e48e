"""Whether memory that arrays gave back stays with the process, for the arrays of the next step.

A training step makes arrays and frees them. glibc hands large blocks back to the system at once,
and the next step pays again: the system clears every page when it is first touched, which costs
more than a pass over the array. Kept instead, memory is reused as it is. Price: what the process
once had it keeps until `empty_cache()`.

Where the C++ kernels are loaded, memory is kept, unless MMB_MALLOC=system. It is a setting of the
whole process, NumPy's arrays included, and exists in glibc only (Linux).
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Mapping
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
LARGEST = 1 << 30  # arrays above are handed back at once all the same
DEFAULT = 128 * 1024  # glibc's own threshold


def begin(environment: Mapping[str, str] = os.environ) -> None:
    """Keep memory, unless MMB_MALLOC says "system".

    Raises: RuntimeError for another word in MMB_MALLOC.
    """
    word = environment.get("MMB_MALLOC", "")
    if word not in ("", "keep", "system"):
        raise RuntimeError(f"MMB_MALLOC is {word!r}, but must be keep or system, or unset.")
    if word != "system":
        keep_freed_memory()


def keep_freed_memory(keep: bool = True) -> bool:
    """Keep what arrays free, or hand it back as glibc does; whether this system can be told."""
    libc = glibc()
    if libc is None:
        return False
    if not keep:
        return all([libc.mallopt(what, DEFAULT) for what in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)])
    return all([libc.mallopt(M_MMAP_THRESHOLD, LARGEST), libc.mallopt(M_TRIM_THRESHOLD, LARGEST)])


def empty_cache() -> None:
    """Hand back to the system what is kept and not in use."""
    libc = glibc()
    if libc is not None:
        libc.malloc_trim(0)


@functools.cache
def glibc() -> Any:
    """The C library of this process, if it has glibc's functions."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version, library.mallopt, library.malloc_trim  # noqa: B018
    except (OSError, TypeError, AttributeError):  # Windows, macOS, musl
        return None
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
