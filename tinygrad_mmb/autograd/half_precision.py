"""float16 as PyTorch computes it on a CPU: inside an op in float32, rounded once at its end."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import float16, float32, is_array


def widened(x: Any) -> Any:
    """float16 as float32, to compute several steps in and round once, as PyTorch does."""
    return x.astype(float32) if x.dtype == float16 else x


def finer_scalar(a: Any, b: Any) -> bool:
    """Whether b is a number or a 0-d array with more digits than the float16 array a."""
    return (
        is_array(a) and a.dtype == float16 and not (is_array(b) and (b.ndim or b.dtype == float16))
    )


class Precise:
    """A number beside a float16 array: the result is computed in float32 and rounded once.

    PyTorch's rule. In float16 itself, 1e-8 would be 0 and 1e5 infinite before anything is computed.
    """

    __array_ufunc__ = None  # so that array * Precise asks Precise.__rmul__
    shape: tuple[int, ...] = ()
    ndim, dtype = 0, float16

    def __init__(self, value: Any) -> None:
        self.value = value.astype(float32) if is_array(value) else float32.type(value)

    def __mul__(self, x: Any) -> Any:
        return (x.astype(float32) * self.value).astype(float16)

    __rmul__ = __mul__

    def __rtruediv__(self, x: Any) -> Any:
        return (x.astype(float32) / self.value).astype(float16)
