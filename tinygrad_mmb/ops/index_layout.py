"""How the result of an index lies in memory, which decides what a later reshape shares."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.backend.layout import empty, in_rows


def led_by_indices(x: Array, indices: Sequence[Array | None], y: Array) -> Array:
    """y = x[indices] in memory as PyTorch lays it: kept dimensions as in x, new ones as in indices.

    The new dimensions stand where the first index stands, or in front if a None parts the indices.
    """
    given = [i for i in indices if i is not None]
    if x.flags.c_contiguous and all([i.flags.c_contiguous for i in given]):
        return in_rows(y)
    taken = [
        dim
        for i, dim in zip(indices, first_dims(indices), strict=True)
        if i is not None
        for dim in range(dim, dim + (i.ndim if i.dtype.kind == "b" else 1))
    ]
    kept = [s for dim, s in enumerate(x.strides) if dim not in taken]
    new = y.ndim - len(kept)
    at = taken[0] if taken[-1] - taken[0] == len(taken) - 1 else 0
    shape = y.shape[at : at + new]
    operands = [(*kept[:at], *(0,) * new, *kept[at:])]
    for i in given:
        if i.dtype.kind != "b":  # what a mask finds has one dimension: no order
            own = namespace(i).broadcast_to(i, shape).strides
            operands.append((*(0,) * at, *own, *(0,) * (len(kept) - at)))
    laid = empty(namespace(y), y.shape, y.dtype, operands)
    laid[...] = y
    return laid


def first_dims(indices: Sequence[Array | None]) -> list[int]:
    """The dimension at which each index starts; a mask covers as many as it has."""
    sizes = [i.ndim if i is not None and i.dtype.kind == "b" else 1 for i in indices]
    return [sum(sizes[:k]) for k in range(len(sizes))]
