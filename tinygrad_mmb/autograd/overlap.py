"""Whether a write would meet memory that it also reads, or the same element twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mmb.backend import Array, namespace, share_memory

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


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


def refuse_overlap(target: Tensor, source: Tensor, same_place_is_fine: bool = True) -> None:
    """Raise if what is read and what is written overlap without being the same."""
    a, b = target.array, source.array
    if not share_memory(a, b):
        return
    if same_place_is_fine and address(a) == address(b) and a.shape == b.shape:
        if a.strides == b.strides and (1 not in a.shape or made_alike(target, source)):
            return
        if all(s == t for n, s, t in zip(a.shape, a.strides, b.strides, strict=True) if n > 1):
            # PyTorch looks at the stride of a dimension of size 1 too, which NumPy chooses anew.
            raise NotImplementedError(
                f"two different views of the same elements (shape {list(a.shape)}) are read and "
                "written. clone() one of them before the operation."
            )
    if is_dense(a) and is_dense(b):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor "
            "refer to a single memory location. clone() one of them before the operation."
        )
    if namespace(a).shares_memory(a, b):
        raise NotImplementedError(
            "the tensor read and the tensor written overlap in memory, so the result would depend "
            "on the order of the elements. clone() one of them before the operation."
        )


def made_alike(x: Tensor, y: Tensor) -> bool:
    """Whether two Tensors are the same view of the same memory, by the same steps."""
    if x.array is y.array:
        return True
    a, b = x._view, y._view
    if a is None or b is None:
        return False
    return a.base.array is b.base.array and a.path == b.path


def address(a: Any) -> int:
    """Where the first element lies."""
    return a.data.ptr if hasattr(a.data, "ptr") else a.__array_interface__["data"][0]


def is_dense(a: Array) -> bool:
    """Whether the elements fill a stretch of memory, each once, in whatever order."""
    order = sorted(range(a.ndim), key=lambda d: -a.strides[d])
    return bool(a.size) and bool(a.transpose(order).flags.c_contiguous)
