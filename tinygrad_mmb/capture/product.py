"""A product of two matrices with what comes after it: one pass over the result instead of several.

    y = gate(max(a b + bias, 0) + add)        each part but a b may be missing

The C++ does all of it while the numbers are in registers (csrc/cpu/gemm_tile.hpp). Here it is in
NumPy, one call for each line of the step, so with the bits that the step had.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.ops.selection import dropped

AT_ONCE = {4: 256, 8: 128}  # by itemsize: as at_once in csrc/cpu/gemm.hpp


def product(
    a: Any,
    b: Any,
    *,
    out: Any,
    bias: Any = None,
    relu: bool = False,
    add: Any = None,
    add_first: bool = False,
    gate: Any = None,
) -> None:
    """Shapes: a (m, k), b (k, n), bias (n,); out, add and gate have m n elements that lie in rows.

    `add_first`: add + z as the step had it, not z + add (which of two NaNs it is). `gate`: 0 where
    it is at most 0. `out` may be of integers as wide as floats, and may be the place of `add` or
    `gate` if k is at most AT_ONCE.
    """
    z = np.matmul(a, b)
    if bias is not None:
        z += bias
    if relu:
        np.maximum(0, z, out=z)
    if add is not None:
        other = add.reshape(z.shape)
        np.add(*((other, z) if add_first else (z, other)), out=z)
    if gate is not None:
        z = dropped(gate.reshape(z.shape) <= 0, z)
    out.reshape(z.shape).view(z.dtype)[...] = z
