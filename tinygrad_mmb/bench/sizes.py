"""At which sizes a kernel is measured: those the goals speak of, else the op's own samples.

An op without a workload is measured on `samples(rng, n)`. All numbers are random normal: zeros
would let a GPU's clock rise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.ops.windows import Geometry

Size = tuple[int, ...]
Arguments = tuple[Any, ...]
PLAIN3 = Geometry((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
HALVES = Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0))


@dataclass(frozen=True)
class Workload:
    """How to draw an op's arguments, and at which sizes on each of the PLACES."""

    build: Callable[[Any, Size], Arguments]
    gpu: tuple[Size, ...]  #   the first is that of --quick
    cpu: tuple[Size, ...]
    small: tuple[Size, ...]  # for the emulator's check: with edges
    even: tuple[Size, ...]  #  for its profile: without, as most sizes in use
    layout: str = ""


PLACES = ("gpu", "cpu", "small", "even")


def rows(rng: Any, size: Size) -> Arguments:
    return rng.standard_normal(size), 1


def logits(rng: Any, size: Size) -> Arguments:
    n, classes = size
    return rng.standard_normal(size), rng.integers(0, classes, n), None


def product(rng: Any, size: Size) -> Arguments:
    m, n, k = size
    return rng.standard_normal((m, k)), rng.standard_normal((k, n))


def affine(rng: Any, size: Size) -> Arguments:
    n, d_in, d_out = size
    normal = rng.standard_normal
    return normal((n, d_in)), normal((d_out, d_in)), normal((d_out,))


def normalised_rows(rng: Any, size: Size) -> Arguments:
    normal = rng.standard_normal
    return normal(size), normal(size[1:]), normal(size[1:]), 1, 1e-5


def images(rng: Any, size: Size) -> Arguments:
    normal = rng.standard_normal
    return normal(size), normal(size[1:2]), normal(size[1:2]), 1e-5


def images_last(rng: Any, size: Size) -> Arguments:
    """(N, C, H, W) whose channels lie innermost in memory: what libraries call NHWC."""
    n, c, h, w = size
    x, weight, bias, eps = images(rng, (n, h, w, c))[:1] + images(rng, size)[1:]
    return x.transpose(0, 3, 1, 2), weight, bias, eps


def convolution(rng: Any, size: Size) -> Arguments:
    n, c, h, w, o = size
    normal = rng.standard_normal
    return normal((n, c, h, w)), normal((o, c, 3, 3)), normal((o,)), PLAIN3, 1


def pooled(rng: Any, size: Size) -> Arguments:
    return rng.standard_normal(size), HALVES


def lookup(rng: Any, size: Size) -> Arguments:
    n, table, width = size
    return rng.standard_normal((table, width)), rng.integers(0, table, n), None


def one_array(rng: Any, size: Size) -> Arguments:
    return (rng.standard_normal(size),)


def everything(rng: Any, size: Size) -> Arguments:
    """The sum of all numbers."""
    return rng.standard_normal(size), None, False


def two_arrays(rng: Any, size: Size) -> Arguments:
    return rng.standard_normal(size), rng.standard_normal(size)


def parameters(rng: Any, size: Size) -> Arguments:
    """(tensors, numbers in each): parameters and their gradients."""
    count, each = size
    draw = [rng.standard_normal((each,)) for _ in range(2 * count)]
    return draw[:count], draw[count:]


SQUARES = tuple((n, n, n) for n in (4096, 1024, 2048, 8192))
SKINNY = ((64, 4096, 4096), (4096, 64, 4096), (1000, 1000, 1000))
VOCABULARIES = ((8192, 32768), (8192, 1024), (4096, 50257), (4096, 50304), (2048, 131072))
PLANES = ((64, 64, 56, 56), (128, 256, 14, 14))
ROWS = ((8192, 4096), (1024, 1024), (4096, 32768))
FLAT, FLAT_ON_CPU = ((64_000_000,), (1_000_000,)), ((1_000_000,), (10_000,))

ROW = Workload(rows, ROWS, ((512, 1024), (64, 50304)), ((3, 70),), ((4, 256),))
ONE = Workload(one_array, FLAT, FLAT_ON_CPU, ((777,),), ((1024,),))
TWO = Workload(two_arrays, FLAT, FLAT_ON_CPU, ((777,),), ((1024,),))
WORKLOADS: dict[str, tuple[Workload, ...]] = {
    "MatMul": (
        Workload(
            product,
            (*SQUARES, *SKINNY),
            ((512, 512, 512), (256, 256, 256), (1000, 100, 10)),
            ((33, 17, 40),),
            ((128, 128, 64),),
        ),
    ),
    "Linear": (
        Workload(
            affine,
            ((8192, 4096, 4096), (256, 1024, 1024)),
            ((256, 784, 256), (64, 256, 10)),
            ((5, 19, 33),),
            ((128, 64, 128),),
        ),
    ),
    "Softmax": (ROW,),
    "LogSoftmax": (ROW,),
    "CrossEntropy": (
        Workload(
            logits,
            VOCABULARIES,
            ((512, 1024), (64, 50257), (64, 50304), (1024, 10)),
            ((5, 70),),
            ((4, 256),),
        ),
    ),
    "LayerNorm": (
        Workload(
            normalised_rows,
            ((16384, 4096), (8192, 768)),
            ((1024, 768), (4096, 64)),
            ((5, 70),),
            ((4, 256),),
        ),
    ),
    "BatchNorm": (
        Workload(images, PLANES, ((32, 16, 28, 28),), ((3, 5, 4, 3),), ((4, 4, 8, 8),), "NCHW"),
        Workload(
            images_last, PLANES, ((32, 16, 28, 28),), ((3, 5, 4, 3),), ((4, 32, 4, 4),), "NHWC"
        ),
        Workload(images, ((8192, 1024),), ((512, 256),), ((7, 5),), ((32, 32),)),
    ),
    "Conv2d": (
        Workload(
            convolution,
            ((64, 64, 56, 56, 64), (128, 256, 14, 14, 256)),
            ((32, 8, 14, 14, 16),),
            ((2, 3, 5, 6, 4),),
            ((2, 4, 8, 8, 32),),
        ),
    ),
    "MaxPool2d": (
        Workload(
            pooled, ((64, 64, 112, 112),), ((32, 16, 28, 28),), ((2, 3, 7, 6),), ((2, 4, 16, 16),)
        ),
    ),
    "Sum": (Workload(everything, FLAT, FLAT_ON_CPU, ((777,),), ((1024,),)),),
    "WindowSum": (
        Workload(
            pooled, ((64, 64, 112, 112),), ((32, 16, 28, 28),), ((2, 3, 7, 6),), ((2, 4, 16, 16),)
        ),
    ),
    "Rows": (
        Workload(
            lookup, ((65536, 50304, 768),), ((4096, 5000, 64),), ((9, 5, 33),), ((32, 50, 64),)
        ),
    ),
    "update": (
        Workload(
            parameters,
            ((1, 50_000_000), (300, 10_000)),
            ((1, 1_000_000), (200, 1_000)),
            ((3, 37),),
            ((2, 1024),),
        ),
    ),
    **dict.fromkeys(("Relu", "Exp", "Tanh", "Sigmoid", "Neg", "Log", "Sqrt"), (ONE,)),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), (TWO,)),
}


def sizes_of(op: str, place: str, quick: bool) -> Iterator[tuple[Workload, Size]]:
    """The workloads and sizes of an op on one of the PLACES, the important ones first."""
    for workload in WORKLOADS.get(op, ()):
        sizes: tuple[Size, ...] = getattr(workload, place)
        for size in sizes[:1] if quick else sizes:
            yield workload, size
