"""Where numba launches: the stream on which CuPy works, and for which arrays."""

from __future__ import annotations

from typing import Any

from numba import config, cuda

from tinygrad_mmb.backend.arrays import cupy, on_device

SIMULATED = bool(config.ENABLE_CUDASIM)


def is_reachable(*arrays: Any) -> bool:
    """Whether numba's kernels can work on these arrays: CuPy's, or NumPy's in the simulator."""
    return all(on_device(a) != SIMULATED for a in arrays)


def stream() -> Any:
    """CuPy's current stream, as numba wants it."""
    return 0 if SIMULATED else cuda.external_stream(cupy().cuda.get_current_stream().ptr)
