"""The way back through an activation to the bias before it: ∂L/∂z and its sum, in one pass."""

from __future__ import annotations

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.backend.arrays import float32 as single
from tinygrad_mmb.kernels.cuda.matmul_launch import add_splits
from tinygrad_mmb.kernels.cuda.matmul_plan import ceil
from tinygrad_mmb.kernels.launch import contiguous, cuda_function, int64, suffix

LANES, TURNS = 32, 8  # threads of a block: along a row, and rows at a time
PACK = 16  # bytes of a row that a thread moves at once
BLOCKS = 528  # 4 for each of the 132 multiprocessors of an H200; a number, for the same bits on all
LEAST_ROWS = 8 * TURNS  # of a block


def through_activation(
    activation: str, g: Array, saved: Array, need_bias: bool
) -> tuple[Array, Array | None]:
    """dz = activation'(z) · g and Σ dz over the rows. `saved` is y of a relu, z of a gelu.

    Shapes: g, saved (..., columns) → dz (..., columns), the sum (columns,).
    """
    g, saved = contiguous(g), contiguous(saved)
    dz = namespace(g).empty_like(g)
    cols = g.shape[-1]
    rows = g.size // max(cols, 1)
    strips = ceil(cols, LANES * PACK // g.itemsize)
    parts = max(1, min(BLOCKS // max(strips, 1), rows // LEAST_ROWS))
    total = partial = None
    if need_bias:
        total = namespace(g).empty((cols,), g.dtype)
        if parts > 1:
            summed = single if g.dtype.name == "float16" else g.dtype
            partial = namespace(g).empty((parts, cols), summed)
    cuda_function("bias_activation.cu", f"{activation}_gradients_{suffix(g)}")(
        (strips, parts),
        (LANES, TURNS),
        (dz, total, partial, g, saved, int64(rows), int64(cols), int64(ceil(rows, parts))),
    )
    if total is not None and partial is not None:
        add_splits(total, partial)
    return dz, total
