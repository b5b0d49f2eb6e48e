"""Which kernel of csrc/cuda/kernels/matmul multiplies matrices of these sizes, on this GPU."""

from __future__ import annotations

from typing import NamedTuple

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
    if capability(x) < SM80 or x.dtype.name == "float16":
        names = ("double",) if x.dtype.name == "float64" else ("medium", "small")
        tiles = [REGISTERS[n] for n in names]
    elif x.dtype.name == "float64":
        tiles = [DOUBLE]
    else:
        tiles = [LARGE, MEDIUM, SMALL, WIDE, TALL]
    most = max(1, min(MOST_SPLITS, depth // LEAST_DEPTH))
    choices = [Plan(tile, 2**i) for tile in tiles for i in range(most.bit_length())]
    sms = multiprocessors(x)
    return min(choices, key=lambda p: cost(p, rows, cols, depth, batches, sms))


def cost(p: Plan, rows: int, cols: int, depth: int, batches: int, sms: int) -> float:
    """Multiply-adds until the last SM is done, with all that delays them expressed in the same.

    An SM does one tile after another (two at once take as long). Filling the pipeline costs two
    tiles of K. Splits write and read float32 sums, 8 bytes at about 30 multiply-adds an SM.
    """
    blocks = batches * p.splits * ceil(rows, p.tile.rows) * ceil(cols, p.tile.cols)
    share = ceil(ceil(depth, DEPTH), p.splits) * DEPTH + 2 * DEPTH
    work = ceil(blocks, sms) * p.tile.rows * p.tile.cols * share / p.tile.efficiency
    traffic = 0 if p.splits == 1 else 30 * (p.splits + 1) * batches * rows * cols / sms
    return work + traffic


def ceil(n: int, step: int) -> int:
    return -(-n // step)


def capability(x: Array) -> tuple[int, int]:
    """The compute capability of where x lies; the emulator has that of an H100."""
    if not on_device(x):
        return SM90
    digits = str(x.device.compute_capability)  # type: ignore[attr-defined]
    return int(digits[:-1]), int(digits[-1])


def multiprocessors(x: Array) -> int:
    """How many there are where x lies; on the emulator as many as an H100 has."""
    if not on_device(x):
        return 132
    return int(x.device.attributes["MultiProcessorCount"])  # type: ignore[attr-defined]
