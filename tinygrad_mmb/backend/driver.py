"""What the NVIDIA driver of this machine says of itself and of its GPUs. CuPy is not needed."""

from __future__ import annotations

import ctypes
import functools
import sys
from dataclasses import dataclass
from typing import Any

MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h


@dataclass(frozen=True)
class Gpu:
    """One GPU: "Tesla T4", "75"."""

    name: str
    capability: str


@dataclass(frozen=True)
class Driver:
    """The newest CUDA that the driver runs, such as (13, 0), and the GPUs it sees."""

    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...]


@functools.cache
def driver() -> Driver | None:
    """The driver; None if there is none."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return Driver(divmod(version.value // 10, 100), tuple(_gpus(library)))


def _gpus(library: Any) -> list[Gpu]:
    """The GPUs, by number; none if the driver cannot start (in a container without them)."""
    count = ctypes.c_int()
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)):
        return []
    found = []
    for number in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        library.cuDeviceGet(ctypes.byref(device), number)
        library.cuDeviceGetName(name, len(name), device)
        parts = []
        for attribute in (MAJOR, MINOR):
            part = ctypes.c_int()
            library.cuDeviceGetAttribute(ctypes.byref(part), attribute, device)
            parts.append(str(part.value))
        found.append(Gpu(name.value.decode(errors="replace"), "".join(parts)))
    return found
