"""From a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor, tensor, wrap
from tinygrad_mmb.backend import as_array, float64


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples stacked along a new first dimension, whatever they are made of.

    Tensors and arrays become a Tensor (N, ...), numbers a Tensor (N,) (floats float64, as in
    PyTorch); texts stay a list; dictionaries, tuples and lists are gone into, entry by entry.

    Raises: RuntimeError for Tensors or lists of different sizes, TypeError for other things.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        if any(getattr(x, "shape", None) != first.shape for x in batch):
            raise RuntimeError(
                "default_collate: stack expects each tensor to be equal size, but the samples of "
                f"this batch have {[getattr(x, 'shape', x) for x in batch]}. Crop or pad them in "
                "the data set, or write a collate_fn."
            )
        return ops.stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SaUO":
            raise TypeError(unknown(first.dtype))
        return default_collate([wrap(as_array(x)) for x in batch])
    if isinstance(first, (np.bool_, np.number)):
        return wrap(as_array(np.asarray(batch)))
    if isinstance(first, float):
        return tensor(list(batch), dtype=float64)
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError(
                "each element in list of batch should be of equal size, but the sizes are "
                f"{[len(sample) for sample in batch]}"
            )
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError(unknown(type(first)))


def default_convert(data: Any) -> Any:
    """One sample with its arrays made Tensors: what a loader with batch_size=None yields."""
    if isinstance(data, (np.ndarray, np.bool_, np.number)):
        array = np.asarray(data)
        return data if array.dtype.kind in "SaUO" else wrap(as_array(array))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return [default_convert(value) for value in data]
    return data


def unknown(kind: Any) -> str:
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{kind}. Convert it in the data set, or write a collate_fn."
    )


Collate = Callable[[list[Any]], Any]
