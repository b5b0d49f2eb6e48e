"""Matrices for the tests of products: as they come in practice, and what a product of them is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """Sizes of a product and how its operands lie."""

    rows: int
    cols: int
    depth: int
    a_transposed: bool = False
    b_transposed: bool = False
    padding: int = 0  # numbers between the end of a row and the next
    shift: int = 0  # numbers from an address that is a multiple of 64 bytes


def operands(case: Case, dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random A (rows, depth) and B (depth, cols); "bfloat16" as its bits."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((case.rows, case.depth))
    b = rng.standard_normal((case.depth, case.cols))
    return (
        laid_out(stored(a, dtype), case.a_transposed, case),
        laid_out(stored(b, dtype), case.b_transposed, case),
    )


def laid_out(x: np.ndarray, transposed: bool, case: Case) -> np.ndarray:
    """x as a part of a larger matrix, of which it takes the transpose."""
    x = x.T if transposed else x
    rows, cols = x.shape
    width = cols + case.padding
    memory = np.empty(rows * width + case.shift + 64, x.dtype)
    first = -memory.ctypes.data // x.itemsize % (64 // x.itemsize) + case.shift
    y = memory[first : first + rows * width].reshape(rows, width)[:, :cols]
    y[...] = x
    return y.T if transposed else y


def stored(x: np.ndarray, dtype: str) -> np.ndarray:
    """x in this dtype; bfloat16 rounds to nearest, ties to even, and keeps the upper 16 bits."""
    if dtype != "bfloat16":
        return x.astype(dtype)
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(x: np.ndarray) -> np.ndarray:
    """What the numbers of x are, in float64; uint16 holds the bits of bfloat16."""
    if x.dtype == np.uint16:
        x = (x.astype(np.uint32) << 16).view(np.float32)
    return x.astype(np.float64)


def assert_product(y: np.ndarray, a: np.ndarray, b: np.ndarray, bound: float) -> None:
    """|Y - A B| ≤ bound |A| |B|, which is how a sum of rounded products errs (Higham, 3.5)."""
    a, b = widened(a), widened(b)
    allowed = bound * (np.abs(a) @ np.abs(b)) + 2.0**-24  # float16 has no smaller steps than that
    error = np.abs(widened(y) - a @ b)
    assert y.shape == (a.shape[0], b.shape[1])
    worst = np.unravel_index(np.argmax(error - allowed), y.shape) if y.size else None
    assert (error <= allowed).all(), f"at {worst}: {error[worst]} where {allowed[worst]} is allowed"


def same_bits(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}"))
