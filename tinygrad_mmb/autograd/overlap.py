"""Whether a write would meet memory that it also reads, or the same element twice."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace


def refuse_repetition(a: Array) -> None:
    """Raise if one element in memory stands at several places of `a`, as after expand."""
    if (
        a.size
        and 0 in a.strides
        and any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape, strict=True))
    ):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            f"single memory location (shape {list(a.shape)}). clone() the tensor before writing."
        )


def refuse_overlap(target: Array, source: Array, same_place_is_fine: bool = True) -> None:
    """Raise if what is read and what is written overlap without being the same."""
    xp = namespace(target)
    if not xp.may_share_memory(target, source):
        return
    same_place = address(target) == address(source)
    if same_place and same_place_is_fine and target.shape == source.shape:
        pairs = zip(target.shape, target.strides, source.strides, strict=True)
        # NumPy gives a new dimension of size 1 the stride 0, PyTorch that of what it spans.
        if all(s == t or (n == 1 and 0 in (s, t)) for n, s, t in pairs):
            return
    if is_dense(target) and is_dense(source):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor "
            "refer to a single memory location. clone() one of them before the operation."
        )
    if xp.shares_memory(target, source):
        raise NotImplementedError(
            "the tensor read and the tensor written overlap in memory, so the result would depend "
            "on the order of the elements. clone() one of them before the operation."
        )


def address(a: Any) -> int:
    """Where the first element lies."""
    return a.data.ptr if hasattr(a.data, "ptr") else a.__array_interface__["data"][0]


def is_dense(a: Array) -> bool:
    """Whether the elements fill a stretch of memory, each once, in whatever order."""
    order = sorted(range(a.ndim), key=lambda d: -a.strides[d])
    return bool(a.size) and bool(a.transpose(order).flags.c_contiguous)
