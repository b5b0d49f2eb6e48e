"""How new arrays lie in memory: as PyTorch lays them, which decides what a later reshape shares."""

from __future__ import annotations

from tinygrad_mmb.backend.arrays import Array, DType, namespace


def empty_in_layout_of(x: Array, dtype: DType | None = None) -> Array:
    """New memory without gaps for the shape of x, its dimensions in the same order as in x.

    PyTorch's rule, which decides whether a later reshape is a view: larger strides outside; a
    stride of 0 (after expand) tells nothing, so that dimension stays where it stands.
    """
    xp = namespace(x)
    dtype = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous:
        return xp.empty(x.shape, dtype)
    order = list(range(x.ndim))[::-1]  # innermost first
    for i in range(1, x.ndim):
        inner = i
        for outer in range(i - 1, -1, -1):
            a, b = order[outer], order[inner]  # a is further inside
            s, t = x.strides[a], x.strides[b]
            if s == 0 or t == 0 or (s == t and x.shape[a] <= x.shape[b]):
                continue  # tells nothing
            if s < t:
                break
            order[outer], order[inner] = b, a
            inner = outer
    dims = order[::-1]
    memory = xp.empty([x.shape[d] for d in dims], dtype)
    return memory.transpose([dims.index(d) for d in range(x.ndim)])


def cast_in_layout(x: Array, dtype: DType) -> Array:
    """A copy of x in another dtype, its dimensions in the same order in memory."""
    if x.flags.c_contiguous:
        return x.astype(dtype)
    y = empty_in_layout_of(x, dtype)
    y[...] = x
    return y
