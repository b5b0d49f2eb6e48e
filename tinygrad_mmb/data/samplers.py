"""Samplers: in which order the samples come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np

from tinygrad_mmb.ops.random import Generator, randint


def fresh_seed(generator: Generator | None = None) -> int:
    """A number drawn from `generator` (None: the default one), to seed a stream with."""
    return int(randint(2**63 - 1, (1,), generator=generator).item())


def rng_for(seed: int, epoch: int = 0) -> np.random.Generator:
    """The stream of random numbers of one epoch: a pure function of (seed, epoch)."""
    return np.random.default_rng([seed, epoch])


def size_of(data_source: Any) -> int:
    """How many samples there are.   Raises: TypeError for a data set that does not say it."""
    try:
        return len(data_source)
    except TypeError as error:
        kind = type(data_source).__name__
        if hasattr(type(data_source), "__len__"):
            raise
        raise TypeError(
            f"{error}. Write __len__(self) in {kind}: it returns the number of samples."
        ) from None


class Sampler:
    """Numbers of samples, one by one. A subclass writes `__iter__`, and `__len__` if it can."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} needs an __iter__(self)")


class SequentialSampler(Sampler):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(size_of(self.data_source)))

    def __len__(self) -> int:
        return size_of(self.data_source)


class EpochSampler(Sampler):
    """Base of the random samplers: the order is a pure function of (seed, epoch).

    The seed is drawn from `generator` once. Each pass is one epoch, and the next has the next
    number; `set_epoch` says which one comes.
    """

    def __init__(self, generator: Generator | None) -> None:
        self.generator = generator
        self.seed = fresh_seed(generator)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch the next pass is."""
        self.epoch = epoch

    def order(self, rng: np.random.Generator) -> list[int]:
        """The numbers of one pass."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        rng = rng_for(self.seed, self.epoch)
        self.epoch += 1
        return iter(self.order(rng))


class RandomSampler(EpochSampler):
    """All samples in random order; with `replacement`, `num_samples` independent draws.

    Raises: ValueError if num_samples is no positive integer, which an empty data set has not
    either; TypeError if replacement is no bool.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                "num_samples should be a positive integer value, but got "
                f"num_samples={self.num_samples}"
                + (". The data set is empty." if self.num_samples == 0 else "")
            )
        super().__init__(generator)

    @property
    def num_samples(self) -> int:
        """How many numbers come in one pass."""
        return size_of(self.data_source) if self._num_samples is None else self._num_samples

    def order(self, rng: np.random.Generator) -> list[int]:
        n, k = len(self.data_source), self.num_samples
        if self.replacement:
            return rng.integers(n, size=k).tolist()
        passes = [rng.permutation(n) for _ in range(-(-k // n))]
        return np.concatenate(passes)[:k].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(EpochSampler):
    """These numbers, in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        super().__init__(generator)

    def order(self, rng: np.random.Generator) -> list[int]:
        return [self.indices[i] for i in rng.permutation(len(self.indices))]

    def __len__(self) -> int:
        return len(self.indices)


class BatchSampler(Sampler):
    """Lists of `batch_size` numbers from another sampler; the last may be shorter, or is dropped.

    Raises: ValueError unless batch_size is a positive integer and drop_last a bool.
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size!r}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(
                f"drop_last should be a boolean value, but got drop_last={drop_last!r}"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        numbers = iter(self.sampler)
        while batch := list(islice(numbers, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]  # TypeError says which sampler has none
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
