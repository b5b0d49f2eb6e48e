"""Which kernel of csrc/cuda/kernels/matmul multiplies matrices of these sizes, on this GPU."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tinygrad_mmb.backend import Array
from tinygrad_mmb.backend.arrays import on_device

SM75, SM80, SM90 = (7, 5), (8, 0), (9, 0)


class Tile(NamedTuple):
    """What a block computes, in one of the forms of 08_double_buffered.cu."""

    name: str
    rows: int
    cols: int
    threads: int
    per_thread: tuple[int, int]  # numbers of C, down and across

    @property
    def efficiency(self) -> float:
        """The share of multiply-adds among the instructions of the loop, counting 16-byte reads."""
        down, across = self.per_thread
        return down * across / (down * across + (down + across) / 4)


LARGE = Tile("large", 128, 256, 256, (8, 16))
MEDIUM = Tile("medium", 128, 128, 256, (8, 8))
SMALL = Tile("small", 64, 64, 128, (4, 8))
WIDE = Tile("wide", 32, 128, 128, (4, 8))
TALL = Tile("tall", 128, 32, 128, (8, 4))
DOUBLE = Tile("small", 64, 64, 256, (4, 4))
REGISTERS = {"medium": Tile("medium_registers", 128, 128, 256, (8, 8)),
             "small": Tile("small_registers", 64, 64, 128, (4, 8)),
             "double": Tile("small_registers", 64, 64, 256, (4, 4))}  # fmt: skip
DEPTH, STAGES = 16, 3  # of K in a tile; tiles in shared memory
MOST_SPLITS, LEAST_DEPTH = 32, 64  # how K may be divided, and the least of it that a block gets


class Plan(NamedTuple):
    """A tile, and among how many blocks K is divided."""

    tile: Tile
    splits: int


def plan(rows: int, cols: int, depth: int, batches: int, x: Array) -> Plan:
    """The cheapest way to multiply (rows, depth) by (depth, cols), by the model of `cost`."""
    return cheapest(rows, cols, depth, batches, x.dtype.name, capability(x), multiprocessors(x))


@functools.lru_cache(4096)  # a training asks for the same sizes at every step
def cheapest(
    rows: int,
    cols: int,
    depth: int,
    batches: int,
    dtype: str,
    capability: tuple[int, int],
    sms: int,
) -> Plan:
    """What `plan` finds on a GPU of this compute capability with so many multiprocessors."""
    if capability < SM80 or dtype == "float16":
        names = ("double",) if dtype == "float64" else ("medium", "small")
        tiles = [REGISTERS[n] for n in names]
    elif dtype == "float64":
        tiles = [DOUBLE]
    else:
        tiles = [LARGE, MEDIUM, SMALL, WIDE, TALL]
    most = max(1, min(MOST_SPLITS, depth // LEAST_DEPTH))
    choices = [Plan(tile, 2**i) for tile in tiles for i in range(most.bit_length())]
    return min(choices, key=lambda p: cost(p, rows, cols, depth, batches, sms))


def cost(p: Plan, rows: int, cols: int, depth: int, batches: int, sms: int) -> float:
    """Multiply-adds of an SM until the last one is done, with all else expressed in the same.

    An SM does one tile after another (two at once take as long). Filling the pipeline costs two
    tiles of K. Results are written once, those of splits also read and written in between; an SM's
    share of the memory moves 4 bytes in the time of about 27 multiply-adds (an H200: 4.3 TB/s over
    132 SMs are 18 bytes a clock, where an SM does 128 multiply-adds).
    """
    blocks = batches * p.splits * ceil(rows, p.tile.rows) * ceil(cols, p.tile.cols)
    share = ceil(ceil(depth, DEPTH), p.splits) * DEPTH + 2 * DEPTH
    work = ceil(blocks, sms) * p.tile.rows * p.tile.cols * share / p.tile.efficiency
    moved = 1 if p.splits == 1 else 2 * p.splits + 1
    return work + 27 * moved * batches * rows * cols / sms


def ceil(n: int, step: int) -> int:
    """How many steps it takes to reach n."""
    return -(-n // step)


class Facts(NamedTuple):
    """Of a GPU: its compute capability, and how many multiprocessors it has."""

    capability: tuple[int, int]
    multiprocessors: int


EMULATED = Facts(SM90, 132)  # as an H100
_facts: dict[int, Facts] = {}  # by number of the GPU: CuPy asks the driver for each anew


def facts(x: Array) -> Facts:
    """Of where x lies."""
    if not on_device(x):
        return EMULATED
    device: Any = x.device
    if device.id not in _facts:
        digits = str(device.compute_capability)
        sms = int(device.attributes["MultiProcessorCount"])
        _facts[device.id] = Facts((int(digits[:-1]), int(digits[-1])), sms)
    return _facts[device.id]


def capability(x: Array) -> tuple[int, int]:
    """The compute capability of where x lies; the emulator has that of an H100."""
    return facts(x).capability


def multiprocessors(x: Array) -> int:
    """How many there are where x lies; on the emulator as many as an H100 has."""
    return facts(x).multiprocessors
