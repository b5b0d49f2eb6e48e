"""How rows of a matrix are shared out: how many threads a row gets, and what it keeps where.

The kernels are built on csrc/cuda/rows.cuh: a row is moved in packs of 16 bytes; each thread of its
team keeps some packs in registers, more in shared memory, and reads again what fits in neither.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.backend import Array

PACK = 16  # bytes that a thread moves at once
THREADS = 128  # of a block in which several rows are worked on
LARGEST_BLOCK = 1024
DEFAULT_SHARED = 48 * 1024  # bytes of shared memory that any GPU gives a block
RESERVED = 2 * 1024  # of shared memory: what CUDA keeps, and the static arrays of the kernel
LONGEST = 2**31 - 2**16  # so that the number of an element, a pack beyond the end, fits an int


@dataclass(frozen=True)
class RowPlan:
    """A launch for rows of one length."""

    long: bool  #   the kernel with many packs per thread, or that with one
    team: int  #    threads that share a row
    threads: int  # of a block
    slots: int  #   packs per thread in shared memory

    @property
    def kind(self) -> str:
        """What the kernel's name says."""
        return "long" if self.long else "short"

    @property
    def shared(self) -> int:
        """Bytes of dynamic shared memory."""
        return self.slots * self.threads * PACK

    def grid(self, rows: int) -> tuple[int]:
        """Blocks for all rows."""
        return (-(-rows * self.team // self.threads),)


@functools.lru_cache(maxsize=1024)
def plan_rows(
    cols: int, itemsize: int, held: int, shared: int = 0, largest: int = LARGEST_BLOCK
) -> RowPlan:
    """Share rows of `cols` numbers among threads that keep up to `held` packs in registers.

    `shared` is what a block may have of shared memory, 0 where the kernel uses none; `largest` is
    how many threads a block may have. Two rows at a time on a multiprocessor are better than one:
    while one is loaded, the other is stored.
    """
    per_pack = PACK // itemsize
    # rows whose length is no multiple of a pack start between packs
    packs = (
        -(-cols // per_pack) if cols % per_pack == 0 else (cols + 2 * (per_pack - 1)) // per_pack
    )
    if packs <= 32:
        return RowPlan(False, power_of_two(packs), THREADS, 0)
    if packs <= 32 * held:
        return RowPlan(True, 32, THREADS, 0)
    for threads, limit in ((largest // 2, shared // 2), (largest, shared)):
        if packs <= threads * held:
            team = 32 * math.ceil(packs / (32 * held))
            return RowPlan(True, team, team, 0)
        slots = math.ceil(packs / threads) - held
        if slots * threads * PACK <= limit - RESERVED:
            return RowPlan(True, threads, threads, slots)
    slots = max(0, shared - RESERVED) // (largest * PACK)
    return RowPlan(True, largest, largest, slots)


def power_of_two(n: int) -> int:
    """The smallest power of two that is not below n."""
    return 1 << max(0, n - 1).bit_length()


def shared_memory(x: Array) -> int:
    """Bytes of shared memory that one block may have where x lies."""
    device: Any = getattr(x, "device", None)
    number = getattr(device, "id", None)
    if number is None:
        return DEFAULT_SHARED  # the emulator: no device to ask
    if number not in _shared_memory:  # CuPy asks the driver for all attributes: 100 calls
        attributes = device.attributes
        _shared_memory[number] = int(attributes["MaxSharedMemoryPerBlockOptin"])
    return _shared_memory[number]


_shared_memory: dict[int, int] = {}


def as_matrix(x: Array) -> Array:
    """All rows of a batch, or the only one, as one matrix."""
    if x.ndim == 2:
        return x
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # -1 would not say, where a size is 0


def around(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    """(outer, n, inner): how many lie before, in and after one dimension."""
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])
