"""How the arguments of an op are drawn for a size. All numbers are random normal: zeros would let
a GPU's clock rise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_mmb.ops.windows import Geometry

Size = tuple[int, ...]
Arguments = tuple[Any, ...]
Draw = Callable[[Any, Size], Arguments]
PLAIN3 = Geometry((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
HALVES = Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0))


def array_and(*options: Any) -> Draw:
    """One array, and options of the op: a dimension, a geometry."""
    return lambda rng, size: (rng.standard_normal(size), *options)


def two_arrays(rng: Any, size: Size) -> Arguments:
    return rng.standard_normal(size), rng.standard_normal(size)


def positive(rng: Any, size: Size) -> Arguments:
    """For roots and logarithms: from 0.1 on."""
    return (abs(rng.standard_normal(size)) + 0.1,)


def logits(rng: Any, size: Size) -> Arguments:
    n, classes = size
    return rng.standard_normal(size), rng.integers(0, classes, n), None


def batch_of_logits(rng: Any, size: Size) -> Arguments:
    return *logits(rng, size), -100, True, True


def product(rng: Any, size: Size) -> Arguments:
    m, n, k = size
    return rng.standard_normal((m, k)), rng.standard_normal((k, n))


def affine(rng: Any, size: Size) -> Arguments:
    n, d_in, d_out = size
    normal = rng.standard_normal
    return normal((n, d_in)), normal((d_out, d_in)), normal((d_out,))


def affine_gelu(rng: Any, size: Size) -> Arguments:
    return *affine(rng, size), "none"


def to_one_row(rng: Any, size: Size) -> Arguments:
    """A matrix, to be summed to one row: the gradient of a bias."""
    return rng.standard_normal(size), size[1:]


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


def columns(rng: Any, size: Size) -> Arguments:
    """The windows of images (N, C, H, W), to be laid back into them."""
    n, c, h, w = size
    return rng.standard_normal((c, 3, 3, n, h, w)), (h, w), PLAIN3


def spread(rng: Any, size: Size) -> Arguments:
    """A number for each window of images (N, C, H, W)."""
    n, c, h, w = size
    return rng.standard_normal((n, c, h // 2, w // 2)), (h, w), HALVES


def lookup(rng: Any, size: Size) -> Arguments:
    n, table, width = size
    return rng.standard_normal((table, width)), rng.integers(0, table, n), None


def added_rows(rng: Any, size: Size) -> Arguments:
    """The way back of a lookup of the same size."""
    n, table, width = size
    return rng.standard_normal((n, width)), rng.integers(0, table, n), table


def parameters(rng: Any, size: Size) -> Arguments:
    """(tensors, numbers in each): parameters and their gradients."""
    count, each = size
    draw = [rng.standard_normal((each,)) for _ in range(2 * count)]
    return draw[:count], draw[count:]
