"""Data sets: samples by number, and ways to split and join them."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.data.samplers import fresh_seed, rng_for, size_of
from tinygrad_mmb.ops.random import Generator


class Dataset:
    """Samples by number. Subclass it and write `__getitem__(i)`, and `__len__` for a loader.

    A data set knows no batches and no device, and downloads nothing.
    """

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} needs a __getitem__(self, i) that returns sample i"
        )

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Tensors of one length: sample i is the tuple of their rows i.

    Raises: AssertionError if the first sizes differ, as in PyTorch; TypeError for other things.
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        for i, t in enumerate(tensors):
            if not isinstance(t, Tensor):
                raise TypeError(
                    f"TensorDataset: argument {i} should be a Tensor, but got {type(t).__name__}. "
                    "Make it one: tensor(data), or from_numpy(array)."
                )
        if any(t.shape[0] != tensors[0].shape[0] for t in tensors):
            raise AssertionError(
                "Size mismatch between tensors: TensorDataset got first sizes "
                f"{[t.shape[0] for t in tensors]}, but all need the same number of rows: "
                "row i of each belongs to sample i"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class Subset(Dataset):
    """The samples of `dataset` with these numbers, in this order."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        chosen = [self.indices[i] for i in indices]
        if callable(getattr(self.dataset, "__getitems__", None)):
            samples: list[Any] = self.dataset.__getitems__(chosen)
            return samples
        return [self.dataset[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Several data sets, one after the other.

    Raises: AssertionError for no data sets, as in PyTorch; IndexError behind the last sample.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        n = len(self)
        if index < 0:
            if -index > n:
                raise ValueError(f"absolute value of index {index} should not exceed length {n}")
            index += n
        which = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset]:
    """Split at random into parts of these lengths, or of these fractions if they sum to 1.

    Fractions are rounded down; what is left over goes to the first parts, one sample each.

    Raises: ValueError if the lengths do not add up to the data set, or a fraction is not in [0, 1].
    """
    n = size_of(dataset)
    sizes = sizes_of(n, lengths)
    order = rng_for(fresh_seed(generator)).permutation(n).tolist()
    ends = accumulate(sizes)
    return [Subset(dataset, order[end - k : end]) for end, k in zip(ends, sizes, strict=True)]


def sizes_of(n: int, lengths: Sequence[int | float]) -> list[int]:
    """The sizes of the parts of n samples."""
    if not (math.isclose(sum(lengths), 1) and sum(lengths) <= 1):
        if sum(lengths) != n:
            raise ValueError(
                "Sum of input lengths does not equal the length of the input dataset! "
                f"{' + '.join(str(k) for k in lengths)} is not {n}, nor 1 for fractions. Lengths "
                "are counts of samples or parts of 1."
            )
        return [int(k) for k in lengths]
    for i, fraction in enumerate(lengths):
        if fraction < 0 or fraction > 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1: {fraction}")
    sizes = [math.floor(n * fraction) for fraction in lengths]
    for i in range(n - sum(sizes)):
        sizes[i % len(sizes)] += 1
    for i, size in enumerate(sizes):
        if size == 0:
            warnings.warn(
                f"Length of split at index {i} is 0. This might result in an empty dataset.",
                stacklevel=3,
            )
    return sizes


def stratified_split(
    dataset: Any,
    labels: Any,
    fractions: Sequence[float],
    generator: Generator | None = None,
) -> list[Subset]:
    """As random_split, with every class in every part by the same fractions, to one sample.

    `labels` are the classes of all samples, in their order. The parts are as large as those of
    random_split.

    Raises: ValueError if there are not as many labels as samples.
    """
    labels = np.asarray(labels.numpy() if isinstance(labels, Tensor) else labels)
    n = len(dataset)
    if labels.shape != (n,):
        raise ValueError(
            f"stratified_split: labels have shape {labels.shape}, but there are {n} samples"
        )
    rng = rng_for(fresh_seed(generator))
    shuffled = rng.permutation(n)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Sample k of the classes laid end to end goes to the part that is furthest behind its share, so
    # that every run of samples, and with it every class, is shared out evenly.
    sizes = np.array(sizes_of(n, fractions))
    shares = sizes / n
    given = np.zeros(len(sizes))
    parts: list[list[int]] = [[] for _ in sizes]
    for k, sample in enumerate(by_class.tolist()):
        behind = np.where(given < sizes, shares * (k + 1) - given, -np.inf)
        part = int(behind.argmax())
        given[part] += 1
        parts[part].append(sample)
    return [Subset(dataset, rng.permutation(part).tolist()) for part in parts]
