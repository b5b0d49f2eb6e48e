"""The numbered steps of csrc/cuda/kernels/transpose: a matrix turned in memory.

No op needs them, as the engine's transpose is a view that moves nothing. They are the shortest
example of what shared memory is for, and of its banks.
"""

from __future__ import annotations

from functools import partial

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.ladder import Step, enter
from tinygrad_mmb.kernels.launch import contiguous, cuda_function, int32

TILE, BLOCK = 32, (32, 8)
GRID = 65535  # blocks along the second dimension of a grid
FILES = {
    name: f"transpose/{file}.cu"
    for name, file in (("naive", "01_naive"), ("tile", "02_tile"), ("padded", "03_padded"))
}


def check(name: str, x: Array) -> None:
    """Raise ValueError for an unknown step, or for an x that it does not take."""
    where = f"transpose_step({name!r})"
    if name not in FILES:
        raise ValueError(f"{where}: no such step. There are {', '.join(FILES)}.")
    if x.ndim != 2 or x.dtype.name != "float32":
        raise ValueError(f"{where}: takes a float32 matrix, but got {x.dtype} of shape {x.shape}")
    if x.shape[0] > GRID * TILE or x.shape[1] >= 2**31:
        raise ValueError(
            f"{where}: takes at most {GRID * TILE} rows, and columns that C's int counts, but got "
            f"shape {x.shape}"
        )


def transpose_step(name: str, x: Array) -> Array:
    """xᵀ in memory of its own, by one step of the ladder.

    Raises: ValueError for an unknown step, or for an x that is no float32 matrix.
    """
    check(name, x)
    x = contiguous(x)
    rows, cols = x.shape
    y: Array = namespace(x).empty((cols, rows), x.dtype)
    grid = -(-cols // TILE), -(-rows // TILE)
    cuda_function(FILES[name], f"transpose_{name}")(grid, BLOCK, (y, x, int32(rows), int32(cols)))
    return y


def _step(name: str, file: str) -> Step:
    def prepare(x: Array) -> partial[Array]:
        check(name, x)
        return partial(transpose_step, name, x)

    return Step(file, name, prepare)


enter("Transpose", *[_step(name, file) for name, file in FILES.items()])
