"""bfloat16 as the uint16 that hold its bits: NumPy and CuPy have no dtype for it."""

from __future__ import annotations

from typing import Any


def bits_of(x: Any) -> Any:
    """float32 rounded to the nearest bfloat16, ties to the even one; for finite numbers."""
    wide = x.astype("float32").view("uint32")
    nearest = wide + 0x7FFF + ((wide >> 16) & 1)
    return (nearest >> 16).astype("uint16")


def numbers_of(bits: Any) -> Any:
    """The float32 numbers that these bits mean: the upper half of a float32."""
    return (bits.astype("uint32") << 16).view("float32")
