"""Is there a GPU? The answer costs nothing where CuPy is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from tinygrad_mmb.backend.arrays import cupy


def is_available() -> bool:
    """Whether Tensors can live on a CUDA device here: CuPy, a driver and a device are there."""
    return device_count() > 0


def device_count() -> int:
    """How many CUDA devices there are; 0 without CuPy or without a driver."""
    if find_spec("cupy") is None:
        return 0
    library = cupy()
    try:
        return library.cuda.runtime.getDeviceCount()
    except library.cuda.runtime.CUDARuntimeError:  # no driver, or no device
        return 0
