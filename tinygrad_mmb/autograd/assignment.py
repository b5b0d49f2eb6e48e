"""x[index] = value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.inplace import (
    as_it_was,
    copy,
    fill,
    is_recorded,
    refuse_unrecordable,
    write,
)
from tinygrad_mmb.autograd.overlap import is_dense, refuse_overlap, refuse_repetition
from tinygrad_mmb.autograd.promotion import fits
from tinygrad_mmb.backend import DType, refuse_mixed_devices, share_memory, uint8

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value: through a view where the index makes one, else by replacing places."""
    if not isinstance(value, tensors.Tensor):
        if not isinstance(value, (bool, int, float)) and not hasattr(value, "__index__"):
            raise TypeError(
                f"can't assign a {type(value).__name__} to a Tensor of dtype {x.dtype}. Make it a "
                "Tensor first: tensor(value)."
            )
        if type(value).__name__ in ("ndarray", "bool_") and type(value).__module__ == "numpy":
            raise TypeError(f"can't assign a numpy.{type(value).__name__}; make it a Tensor first")
        value = fits(value, x.dtype, "x[index] = value")
    refuse_bytes_as_mask(index, value)
    parsed = ops.parse_index(index, x.shape)
    part = x
    if parsed.basic is not None and not covers(parsed.basic, x.shape):
        part = ops.GetItem.apply(x, parsed.basic)
    if not parsed.advanced:
        _set_view(part, value)
    else:
        _set_places(part, ops.beside(part, parsed.advanced), value)


def refuse_bytes_as_mask(index: Any, value: Any) -> None:
    """Raise RuntimeError for one number at a mask of dtype uint8, as PyTorch does."""
    if isinstance(value, tensors.Tensor) and value.array.size != 1:
        return
    for i in index if isinstance(index, tuple) else (index,):
        if isinstance(i, tensors.Tensor) and i.dtype == uint8 and i.ndim:
            raise RuntimeError(
                "masked_fill_ only supports boolean masks, but got mask with dtype uint8. Compare "
                "first: x[mask != 0] = value."
            )


def covers(index: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether an index of slices selects all there is, as x[:] does: then x itself is written."""
    for i, n in zip(index, shape, strict=False):
        if not isinstance(i, slice) and i is not Ellipsis:
            return False
        if isinstance(i, slice) and i.indices(n) != (0, n, 1):
            return False
    return None not in index


def _set_view(part: Tensor, value: Any) -> None:
    """part[...] = value"""
    if not isinstance(value, tensors.Tensor) or (value.shape != part.shape and not value.ndim):
        refuse_repetition(part.array)
        fill(part, value)
        return
    if value.shape != part.shape:
        if is_dense(part.array):
            refuse_overlap(part, value, same_place_is_fine=False)
        value = ops.expand(_without_leading_ones(value), part.shape)
    copy(part, value)


def _without_leading_ones(value: Tensor) -> Tensor:
    """(1, 1, 3) → (3,): setitem ignores leading dimensions of size 1."""
    ones = 0
    while ones < value.ndim and value.shape[ones] == 1:
        ones += 1
    return ops.reshape(value, value.shape[ones:]) if ones else value


def _fits(value: Tensor, dtype: DType) -> bool:
    """Whether one number may be cast on its way into a mask: the float must not be lost on ints."""
    return dtype.kind == "f" or (value.dtype.kind in "biu" and value.dtype == dtype)


def _sent(value: Tensor, part: Tensor) -> Tensor:
    """One number of the CPU on the GPU of `part`.   Raises: RuntimeError for anything else."""
    if value.ndim or value.is_cuda:
        refuse_mixed_devices([value.array, part.array])
    return ops.to_device(value, part.device)


def _set_places(part: Tensor, indices: tuple[Any, ...], value: Any) -> None:
    """part[indices] = value, where indices are lists, integer tensors or masks"""
    masks = [i for i in indices if i is not None]
    if (
        isinstance(value, tensors.Tensor)
        and value.array.size == 1
        and len(masks) == 1
        and masks[0].dtype.kind == "b"
        and _fits(value, part.dtype)
    ):
        value = ops.to(value, part.dtype)
    if isinstance(value, tensors.Tensor) and value.dtype != part.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{part.dtype} for the destination and {value.dtype} for the source. Convert it: "
            "value.to(x.dtype)."
        )
    if isinstance(value, tensors.Tensor):
        value = _without_leading_ones(value)
        if value.device != part.device:
            value = _sent(value, part)
    refuse_repetition(part.array)
    others = [value, *indices]
    for y in others:
        if isinstance(y, tensors.Tensor) and (y is part or share_memory(y.array, part.array)):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory location. clone() one of them first."
            )
    try:
        if is_recorded(part, others):
            refuse_unrecordable(part)
            before = as_it_was(part)
            write(part, ops.IndexPut.apply(before, value, *indices), before)
            return
        places = [i.array if isinstance(i, tensors.Tensor) else i for i in indices]
        source = value.array if isinstance(value, tensors.Tensor) else value
        part.array[tuple([slice(None) if i is None else i for i in places])] = source
        part.memory.touch()
    except ValueError as error:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(getattr(value, 'shape', ()))} cannot be "
            f"broadcast to indexing result: {error}"
        ) from None
