"""At which sizes a kernel is measured: those the goals speak of, and sizes that are in use.

Every key of the kernel table has a workload here, which a test sees to. An op without a twin, for
`--add`, has none and is measured on its own `samples(rng, n)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinygrad_mmb.bench import draws
from tinygrad_mmb.bench.draws import HALVES, PLAIN3, Draw, Size, array_and


@dataclass(frozen=True)
class Workload:
    """How to draw an op's arguments, and at which sizes on each of the PLACES."""

    build: Draw
    gpu: tuple[Size, ...]  #   the first is that of --quick
    cpu: tuple[Size, ...]
    small: tuple[Size, ...]  # for the emulator's check: with edges
    even: tuple[Size, ...]  #  for its profile: without, as most sizes in use
    layout: str = ""


PLACES = ("gpu", "cpu", "small", "even")

SQUARES = tuple((n, n, n) for n in (4096, 1024, 2048, 8192))
SKINNY = ((64, 4096, 4096), (4096, 64, 4096), (1000, 1000, 1000))
VOCABULARIES = ((8192, 32768), (8192, 1024), (4096, 50257), (4096, 50304), (2048, 131072))
PLANES = ((64, 64, 56, 56), (128, 256, 14, 14))
ROWS = ((8192, 4096), (1024, 1024), (4096, 32768))
FLAT, FLAT_ON_CPU = ((64_000_000,), (1_000_000,)), ((1_000_000,), (10_000,))


def matrix(draw: Draw) -> Workload:
    """An op that works along the rows of a matrix."""
    return Workload(draw, ROWS, ((512, 1024), (64, 50304)), ((3, 70),), ((4, 256),))


def numbers(draw: Draw) -> Workload:
    """An op on all numbers of an array, wherever they stand."""
    return Workload(draw, FLAT, FLAT_ON_CPU, ((777,),), ((1024,),))


def pooled(draw: Draw) -> Workload:
    """An op on windows of 2 x 2 that do not overlap."""
    on_gpu, on_cpu = ((64, 64, 112, 112),), ((32, 16, 28, 28),)
    return Workload(draw, on_gpu, on_cpu, ((2, 3, 7, 6),), ((2, 4, 16, 16),))


def windowed(draw: Draw) -> Workload:
    """An op on windows of 3 x 3 around each pixel."""
    return Workload(draw, PLANES, ((32, 8, 14, 14),), ((2, 3, 5, 6),), ((2, 4, 8, 8),))


def table(draw: Draw) -> Workload:
    """An op on (indices, rows of a table, their length)."""
    return Workload(
        draw, ((65536, 50304, 768),), ((4096, 5000, 64),), ((9, 5, 33),), ((32, 50, 64),)
    )


def affine(draw: Draw) -> Workload:
    """x Wᵀ + b, for (N, in, out)."""
    on_gpu, on_cpu = ((8192, 4096, 4096), (256, 1024, 1024)), ((256, 784, 256), (64, 256, 10))
    return Workload(draw, on_gpu, on_cpu, ((5, 19, 33),), ((128, 64, 128),))


CONVOLUTION = Workload(
    draws.convolution,
    ((64, 64, 56, 56, 64), (128, 256, 14, 14, 256)),
    ((32, 8, 14, 14, 16),),
    ((2, 3, 5, 6, 4),),
    ((2, 4, 8, 8, 32),),
)
ALONG, ALL = array_and(1, False), array_and(None, False)
ROW, ONE, TWO = matrix(array_and(1)), numbers(array_and()), numbers(draws.two_arrays)
UNARY = ("Neg", "Exp", "Expm1", "Tanh", "Sigmoid", "Erf", "Relu", "Silu", "Abs", "Sin", "Cos",
         "MaxOfAll", "MinOfAll")  # fmt: skip
WORKLOADS: dict[str, tuple[Workload, ...]] = {
    "MatMul": (
        Workload(
            draws.product,
            (*SQUARES, *SKINNY),
            ((512, 512, 512), (256, 256, 256), (1000, 100, 10)),
            ((33, 17, 40),),
            ((128, 128, 64),),
        ),
    ),
    "Linear": (affine(draws.affine),),
    "LinearRelu": (affine(draws.affine),),
    "LinearGelu": (affine(draws.affine_gelu),),
    "Softmax": (ROW,),
    "LogSoftmax": (ROW,),
    "CrossEntropy": (
        Workload(
            draws.logits,
            VOCABULARIES,
            ((512, 1024), (64, 50257), (64, 50304), (1024, 10)),
            ((5, 70),),
            ((4, 256),),
        ),
    ),
    "BatchCrossEntropy": (
        Workload(
            draws.batch_of_logits,
            VOCABULARIES,
            ((4096, 1000), (512, 32000), (128, 10)),
            ((5, 70),),
            ((4, 256),),
        ),
    ),
    "LayerNorm": (
        Workload(
            draws.normalised_rows,
            ((16384, 4096), (8192, 768)),
            ((1024, 768), (4096, 64)),
            ((5, 70),),
            ((4, 256),),
        ),
    ),
    "BatchNorm": (
        Workload(
            draws.images, PLANES, ((32, 16, 28, 28),), ((3, 5, 4, 3),), ((4, 4, 8, 8),), "NCHW"
        ),
        Workload(
            draws.images_last,
            PLANES,
            ((32, 16, 28, 28),),
            ((3, 5, 4, 3),),
            ((4, 32, 4, 4),),
            "NHWC",
        ),
        Workload(draws.images, ((8192, 1024),), ((512, 256),), ((7, 5),), ((32, 32),)),
    ),
    "Conv2d": (CONVOLUTION,),
    "Conv2dRelu": (CONVOLUTION,),
    "Windows": (windowed(array_and(PLAIN3)),),
    "Fold": (windowed(draws.columns),),
    "MaxPool2d": (pooled(array_and(HALVES)),),
    "WindowSum": (pooled(array_and(HALVES)),),
    "WindowSpread": (pooled(draws.spread),),
    "Transpose": (
        Workload(
            array_and(),
            ((8192, 8192), (4096, 1000)),
            ((1024, 1024), (1000, 100)),
            ((33, 70),),
            ((64, 64),),
        ),
    ),
    "Sum": (numbers(ALL),),
    "Mean": (numbers(ALL),),
    "SumTo": (matrix(draws.to_one_row),),
    "LogSumExp": (matrix(array_and((1,), False)),),
    **dict.fromkeys(("Amax", "Amin"), (numbers(ALL),)),
    **dict.fromkeys(("MaxAlong", "MinAlong", "Argmax", "Argmin"), (matrix(ALONG),)),
    "Rows": (table(draws.lookup),),
    "AddRows": (table(draws.added_rows),),
    "Dropout": (numbers(array_and(0.1, 2026)),),
    "Gelu": (numbers(array_and("none")),),
    "Elu": (numbers(array_and(1.0, 1.0)),),
    "Softplus": (numbers(array_and(1.0, 20.0)),),
    "update": (
        Workload(
            draws.parameters,
            ((1, 50_000_000), (300, 10_000)),
            ((1, 1_000_000), (200, 1_000)),
            ((3, 37),),
            ((2, 1024),),
        ),
    ),
    **dict.fromkeys(UNARY, (ONE,)),
    **dict.fromkeys(
        ("Log", "Log2", "Log1p", "Sqrt", "Rsqrt", "Reciprocal"), (numbers(draws.positive),)
    ),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "SquaredError"), (TWO,)),
}


def sizes_of(op: str, place: str, quick: bool) -> Iterator[tuple[Workload, Size]]:
    """The workloads and sizes of an op on one of the PLACES, the important ones first."""
    for workload in WORKLOADS.get(op, ()):
        sizes: tuple[Size, ...] = getattr(workload, place)
        for size in sizes[:1] if quick else sizes:
            yield workload, size
