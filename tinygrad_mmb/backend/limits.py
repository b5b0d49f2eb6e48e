"""finfo and iinfo: what a dtype can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.backend.arrays import as_dtype, get_default_dtype


class finfo:  # noqa: N801 - PyTorch's name
    """Limits of a floating-point dtype: bits, eps, max, min, tiny, resolution.

    Raises: TypeError for an integer or bool dtype.
    """

    def __init__(self, dtype: Any = None) -> None:
        dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"finfo: {dtype} is not a floating-point dtype. Use iinfo.")
        limits = np.finfo(dtype)
        self.dtype = str(dtype)
        self.bits = limits.bits
        self.eps = float(limits.eps)
        self.max = float(limits.max)
        self.min = float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = float(limits.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:  # noqa: N801 - PyTorch's name
    """Limits of an integer dtype: bits, max, min.

    Raises: TypeError for a floating-point or bool dtype.
    """

    def __init__(self, dtype: Any) -> None:
        dtype = as_dtype(dtype)
        if dtype.kind not in "iu":
            raise TypeError(f"iinfo: {dtype} is not an integer dtype. Use finfo.")
        limits = np.iinfo(dtype)
        self.dtype = str(dtype)
        self.bits = limits.bits
        self.max = int(limits.max)
        self.min = int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
