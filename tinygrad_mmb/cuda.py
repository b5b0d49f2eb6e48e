"""GPUs, under the names of torch.cuda. Asking whether there is one never fails.

All else raises RuntimeError, in the same words, on a machine without CuPy, driver or GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from tinygrad_mmb.backend.arrays import cupy
from tinygrad_mmb.backend.device import located

__all__ = [
    "current_device", "device_count", "empty_cache", "get_device_capability", "get_device_name",
    "is_available", "mem_get_info", "memory_allocated", "memory_reserved", "set_device",
    "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Whether Tensors can live on a CUDA device here: CuPy, a driver and a device are there."""
    return device_count() > 0


def device_count() -> int:
    """How many CUDA devices there are; 0 without CuPy or without a driver."""
    if find_spec("cupy") is None:
        return 0
    try:
        library = cupy()
    except RuntimeError:  # installed, but a library it needs is not
        return 0
    try:
        return int(library.cuda.runtime.getDeviceCount())
    except library.cuda.runtime.CUDARuntimeError:  # no driver, or no device
        return 0


def current_device() -> int:
    """The number of the GPU that "cuda" means."""
    return located("cuda").index or 0


def set_device(device: Any) -> None:
    """Let "cuda" mean this GPU, in this thread."""
    cupy().cuda.Device(located(device).index).use()


def synchronize(device: Any = None) -> None:
    """Wait for all work on a GPU (the current one): before a clock is read, for one."""
    with _on(device) as library:
        library.cuda.runtime.deviceSynchronize()


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays occupy now."""
    with _on(device) as library:
        return int(library.get_default_memory_pool().used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy holds for arrays, those of now and those to come."""
    with _on(device) as library:
        return int(library.get_default_memory_pool().total_bytes())


def empty_cache() -> None:
    """Give the driver back what no array occupies."""
    with _on(None) as library:
        library.get_default_memory_pool().free_all_blocks()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, all) bytes of the GPU, as the driver counts them, for all programs."""
    with _on(device) as library:
        free, total = library.cuda.Device().mem_info
        return int(free), int(total)


def get_device_name(device: Any = None) -> str:
    """What the GPU is called: "NVIDIA H100 80GB HBM3"."""
    with _on(device) as library:
        number = library.cuda.runtime.getDevice()
        name = library.cuda.runtime.getDeviceProperties(number)["name"]
        return name.decode() if isinstance(name, bytes) else str(name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(major, minor) compute capability: (9, 0) for an H100."""
    with _on(device) as library:
        text = str(library.cuda.Device().compute_capability)
        return int(text[:-1]), int(text[-1])


@contextmanager
def _on(device: Any) -> Iterator[ModuleType]:
    """CuPy, with that GPU as the current one.   Raises: RuntimeError if there is no such GPU."""
    where = located("cuda" if device is None else device)
    if where.type != "cuda":
        raise ValueError(f"expected a CUDA device, but got {where}")
    library = cupy()
    with library.cuda.Device(where.index):
        yield library
