"""DataLoader: batches of a data set, in an order that can be repeated and resumed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.data.collate import Collate, default_collate, default_convert
from tinygrad_mmb.data.dataset import Subset, TensorDataset
from tinygrad_mmb.data.samplers import BatchSampler, RandomSampler, SequentialSampler
from tinygrad_mmb.ops.random import Generator

FIXED = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last")


class DataLoader:
    """Batches of `dataset`; a pass over the loader is an epoch.

        for x, t in DataLoader(dataset, batch_size=32, shuffle=True):

    With shuffle the order is a pure function of (seed, epoch): each pass has another order, and a
    loader with the same seed repeats them all. The seed is `seed`, or one number drawn from
    `generator` when the loader is made (None: from the default one, which manual_seed seeds).
    `state_dict()` holds the place within the epoch, and a loader that loads it goes on with the
    very next batch.

    `sampler` gives the numbers of the samples in place of shuffle, `batch_sampler` lists of them in
    place of all four. `batch_size=None` yields the samples one by one, without a batch dimension.

    Raises: ValueError for options that exclude each other; NotImplementedError for worker processes
    (num_workers > 0), which are not needed for data in memory.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Collate | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
    ) -> None:
        check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        check_order(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if seed is not None and (not shuffle or generator is not None):
            raise ValueError(
                f"DataLoader(seed={seed}): the seed goes with shuffle=True and without a generator"
            )
        if pin_memory or pin_memory_device:
            warnings.warn("pin_memory has no effect: batches stay in ordinary memory", stacklevel=2)
        self.dataset = dataset
        self.num_workers = num_workers
        self.generator = generator
        if sampler is None and shuffle:
            sampler = RandomSampler(dataset, generator=generator)
            if seed is not None:
                sampler.seed = seed
        elif sampler is None:
            sampler = SequentialSampler(dataset)
        self.sampler = sampler
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.batch_sampler = batch_sampler
        batched = batch_sampler is not None
        self.collate_fn: Collate = collate_fn or (default_collate if batched else default_convert)
        self._epoch = 0
        self._position = 0  # batches of this epoch that have been handed out
        self._begun = False  # whether a pass over this epoch was begun here
        self._pass: object = None  # the pass that moves the position: the latest
        self._made = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "_made" in vars(self):
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized; "
                "make a new loader"
            )
        super().__setattr__(name, value)

    @property
    def epoch(self) -> int:
        """The number of the epoch that is under way, or comes next."""
        return self._epoch

    @property
    def _numbers(self) -> Iterable[Any]:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self._numbers)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        if self._begun:  # the last pass was left before its end
            self._epoch, self._position = self._epoch + 1, 0
        self._begun = True
        self._pass = ticket = object()
        for sampler in (self.sampler, self.batch_sampler):
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(self._epoch)  # type: ignore[union-attr]
        return self._batches(islice(iter(self._numbers), self._position, None), ticket)

    def _batches(self, numbers: Iterator[Any], ticket: object) -> Iterator[Any]:
        for number in numbers:
            batch = self._fetch(number)
            if self._pass is ticket:
                self._position += 1
            yield batch
        if self._pass is ticket:
            self._epoch, self._position, self._begun = self._epoch + 1, 0, False

    def _fetch(self, number: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[number])
        if self.collate_fn is default_collate:
            rows = whole_rows(self.dataset, number)
            if rows is not None:
                return rows
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.collate_fn(self.dataset.__getitems__(number))
        return self.collate_fn([self.dataset[i] for i in number])

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch number `epoch`, from its first batch."""
        self._epoch, self._position, self._begun, self._pass = epoch, 0, False, None

    def state_dict(self) -> dict[str, Any]:
        """Where this loader is: numbers that go into JSON as they are.

        A sampler of your own is not part of it: it has to give the same order again.
        """
        return {
            "seed": getattr(self.sampler, "seed", None),
            "epoch": self._epoch,
            "position": self._position,
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: the next pass continues its epoch.

        Raises: ValueError if it was taken over another number of samples or with other batches.
        """
        mine = self.state_dict()
        for key in ("samples", "batch_size"):
            if state_dict[key] != mine[key]:
                raise ValueError(
                    f"DataLoader.load_state_dict: {key} was {state_dict[key]} when the state was "
                    f"saved, but is {mine[key]} now, so the batches would be others"
                )
        if (state_dict["seed"] is None) != (mine["seed"] is None):
            raise ValueError(
                "DataLoader.load_state_dict: the state is of a loader "
                f"{'without' if state_dict['seed'] is None else 'with'} a random order, but this "
                f"one is {'with' if state_dict['seed'] is None else 'without'} one"
            )
        if mine["seed"] is not None:
            sampler: Any = self.sampler
            sampler.seed = state_dict["seed"]
        self.set_epoch(state_dict["epoch"])
        self._position = state_dict["position"]


def whole_rows(dataset: Any, indices: list[Any]) -> list[Tensor] | None:
    """What default_collate makes of these samples of a TensorDataset, row by row at once.

    None for other data sets, and for one whose `__getitem__` has been overridden.
    """
    kind = type(dataset)
    while kind.__getitem__ is Subset.__getitem__ and kind.__getitems__ is Subset.__getitems__:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
        kind = type(dataset)
    if getattr(kind, "__getitem__", None) is not TensorDataset.__getitem__:
        return None
    if hasattr(kind, "__getitems__") or any(type(i) is not int for i in indices):
        return None
    if any(t.requires_grad for t in dataset.tensors):
        return None
    return [wrap(t.array[indices]) for t in dataset.tensors]


def check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    """Raise for what PyTorch refuses, and for worker processes."""
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            f"multiprocessing, but got {num_workers}"
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, but got {timeout}")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing, but got "
            f"prefetch_factor={prefetch_factor} with num_workers=0"
        )
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")
    if num_workers > 0:
        raise NotImplementedError(
            f"DataLoader(num_workers={num_workers}): there are no worker processes. Leave it at 0."
        )


def check_order(
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Any,
    batch_sampler: Any,
    drop_last: bool,
) -> None:
    """Raise for options that exclude each other, as PyTorch does."""
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                "drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )
