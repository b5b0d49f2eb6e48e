"""Many tensors in one launch: the table that csrc/cuda/tensor_table.cuh reads.

Looking at the arrays of 200 parameters and packing their addresses takes Python some 0.8 ms (Adam,
on one core of a server), and such small tensors keep a GPU busy for less. So what a launch
saves there shows where a step is captured, and its tables are replayed with it.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch.arguments import ByValue, addresses
from tinygrad_mmb.kernels.launch.function import cuda_function, int32

THREADS = 256  # of a block
CHUNK = 4096  #  numbers that a block updates
ROOM = 3840  #   bytes for the table; a kernel's parameters have 4096 in all

Row = tuple[tuple[Array, ...], tuple[float, float]]  # (θ, g, states...) and the scalars of a tensor


def update_all(file: str, kernel: str, rows: Sequence[Row], options: Sequence[float]) -> None:
    """Run <kernel>_<dtype> of csrc/cuda/kernels/<file> on all tensors, in few launches.

    The kernel gets the table, then the options: floats in the dtype of the tensors, ints as int.
    """
    by_dtype: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row[0][0].size:
            by_dtype[row[0][0].dtype.char].append(row)
    for char, alike in by_dtype.items():
        theta = alike[0][0][0]
        numbers = [theta.dtype.type(o) if isinstance(o, float) else int32(o) for o in options]
        function = cuda_function(file, f"{kernel}_{'f32' if char == 'f' else 'f64'}")
        most = tensors_per_table(len(alike[0][0]), theta.itemsize)
        for first in range(0, len(alike), most):
            table, blocks = packed(alike[first : first + most], char, most)
            function((blocks,), (THREADS,), (table, *numbers))


def tensors_per_table(arrays: int, itemsize: int) -> int:
    """How many tensors with so many arrays each one launch takes."""
    return ROOM // (8 * arrays + 16 + 2 * itemsize)


def packed(rows: Sequence[Row], char: str, room: int) -> tuple[ByValue, int]:
    """A TensorTable in memory, and how many blocks its tensors take."""
    arrays, scalars = zip(*rows, strict=True)
    empty = [0] * (room - len(rows))
    places: list[int] = []
    for one_of_each in zip(*arrays, strict=True):
        places += addresses(one_of_each) + empty
    sizes = [first.size for first, *_ in arrays]
    first_blocks = [0]
    for size in sizes:
        first_blocks.append(first_blocks[-1] + -(-size // CHUNK))
    blocks = first_blocks.pop()
    values = [[*column, *empty] for column in zip(*scalars, strict=True)]
    # the scalars come in pairs, so that the count behind them lies at a multiple of 8 bytes
    layout = f"{len(places)}Q{2 * room}q{2 * room}{char}q"
    parts = (*places, *sizes, *empty, *first_blocks, *empty, *values[0], *values[1], len(rows))
    held = tuple([a for row in arrays for a in row])
    return ByValue.of(struct.pack(layout, *parts), held), blocks


def is_updatable(thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any]) -> bool:
    """Whether the kernels take these parameters, gradients and states: floats, each place once."""
    for theta, g, state in zip(thetas, gs, states, strict=True):
        dtype, shape = theta.dtype, theta.shape
        if dtype.char not in "fd" or g.dtype != dtype or g.shape != shape:
            return False
        for a in (theta, *state.values()):
            if a.dtype != dtype or a.shape != shape or not a.flags.c_contiguous:
                return False
    # a parameter that is listed twice moves twice, one step after the other
    spans = sorted(zip(addresses(thetas), [theta.nbytes for theta in thetas], strict=True))
    return all(start + size <= after for (start, size), (after, _) in pairwise(spans))
