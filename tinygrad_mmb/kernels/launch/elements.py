"""Arrays as kernels walk them element by element: in the order of their memory."""

from __future__ import annotations

from tinygrad_mmb.backend import Array, empty_in_layout_of
from tinygrad_mmb.kernels.launch.arguments import Copies, contiguous

THREADS = 256  # of a block
BLOCKS = 2048  # at most: they walk on, and so many keep the largest GPU busy


def blocks_for(count: int) -> tuple[int]:
    """The grid of kernels that walk `count` elements, a pack of four or so for each thread."""
    return (min(BLOCKS, -(-count // (4 * THREADS))),)


def rows_of_blocks(rows: int, columns: int) -> tuple[tuple[int], tuple[int, int]]:
    """Grid and block of kernels in which (columns, rows) threads share the rows of a matrix.

    A row gets as many threads as it has use for, so that short rows leave none of them idle.
    """
    across = min(THREADS, 1 << max(0, columns - 1).bit_length())
    down = THREADS // across
    return (-(-rows // down),), (across, down)


def lies_dense(x: Array) -> bool:
    """Whether the elements of x fill its memory, in the order of some of its dimensions."""
    if x.flags.c_contiguous or x.flags.f_contiguous:
        return True
    expected = x.itemsize
    for stride, size in sorted(zip(x.strides, x.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def dense(x: Array) -> Array:
    """x without gaps, its dimensions in the same order in memory: itself, or a counted copy."""
    if lies_dense(x):
        return x
    Copies.count += 1
    y = empty_in_layout_of(x)
    y[...] = x
    return y


def lying_alike(*arrays: Array) -> list[Array]:
    """Arrays of one shape whose memory may be walked together."""
    first = arrays[0]
    if lies_dense(first) and all(a.strides == first.strides for a in arrays):
        return list(arrays)
    return [contiguous(a) for a in arrays]
