"""The C++ twins of convolution: against the reference in float64, for any geometry and layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.ops.convolution import Conv2d, Conv2dRelu
from tinygrad_mmb.ops.windows import Geometry

pytestmark = pytest.mark.skipif(native is None, reason="the C++ twins are not built")

PLAIN = Geometry((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))


def pairs(least, most):
    return st.tuples(st.integers(least, most), st.integers(least, most))


GEOMETRIES = st.builds(
    Geometry, pairs(1, 4), pairs(1, 3), pairs(1, 3), pairs(0, 3), pairs(0, 3)
)  # kernel, stride, dilation, border before, border behind


def there_and_back(op, backend, x, weight, bias, geometry, groups, g):
    """y and the gradients of x, weight and bias, for g as ∂L/∂y."""
    inputs = [None if a is None else tm.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    with tm.use_kernels(backend, strict=backend == "cpu"):
        y = op.apply(*inputs, geometry, groups)
        y.backward(tm.from_numpy(g))
    return [y.detach().numpy(), *[v.grad.numpy() for v in inputs if v is not None]]


def assert_close(op, x, weight, bias, geometry, groups, dtype):
    """The twin in `dtype` against the reference in float64: each within roundings of its terms."""
    counts = [geometry.windows(a, x.shape[2 + a]) for a in (0, 1)]
    g = np.cos(np.arange(x.shape[0] * weight.shape[0] * np.prod(counts)))
    g = g.reshape(x.shape[0], weight.shape[0], *counts)
    exact = [None if a is None else a.astype(dtype).astype("float64") for a in (x, weight, bias)]
    args = [None if a is None else a.astype(dtype) for a in (x, weight, bias)]
    g = g.astype(dtype)
    found = there_and_back(op, "cpu", *args, geometry, groups, g)
    expected = there_and_back(op, "reference", *exact, geometry, groups, g.astype("float64"))
    if op is Conv2dRelu:  # where y is a rounding away from 0, its gate may differ
        assume(np.array_equal(found[0] > 0, expected[0] > 0))
    # |Σ| is at most the sum of moduli, which rounding is relative to
    moduli = there_and_back(
        Conv2d, "reference", *[a if a is None else abs(a) for a in exact], geometry, groups, abs(g)
        .astype("float64"),
    )  # fmt: skip
    terms = max(weight.size, x.size)
    for f, e, m in zip(found, expected, moduli, strict=True):
        assert (f.dtype, f.shape) == (np.dtype(dtype), e.shape)
        assert f.flags.c_contiguous
        assert (abs(f - e) <= 2 * np.finfo(dtype).eps * (10 + terms**0.5) * m + 1e-30).all()


@given(
    op=st.sampled_from([Conv2d, Conv2dRelu]),
    geometry=GEOMETRIES,
    size=st.tuples(st.integers(1, 20), st.integers(1, 37)),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 20)),
    images=st.integers(1, 5),
    last=st.booleans(),
    biased=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 99),
)
def test_any_windows_channels_groups_and_layouts(
    op, geometry, size, channels, images, last, biased, dtype, seed
):
    assume(all(geometry.padded(a, size[a]) >= geometry.span(a) for a in (0, 1)))
    (groups, c, o), rng = channels, np.random.default_rng(seed)
    x = rng.standard_normal((images, groups * c, *size))
    if last:  # channels last in memory
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    weight = rng.standard_normal((groups * o, c, *geometry.kernel))
    bias = rng.standard_normal(groups * o) if biased else None
    assert_close(op, x, weight, bias, geometry, groups, dtype)


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "size", "geometry"),
    [
        (32, 32, 32, (9, 11), PLAIN),  # depthwise
        (70, 45, 1, (6, 5), Geometry((1, 1), (1, 1), (1, 1), (0, 0), (0, 0))),
        (96, 8, 1, (60, 70), PLAIN),  # several blocks of rows to an image
        (3, 10, 1, (33, 31), Geometry((7, 7), (2, 2), (1, 1), (3, 3), (3, 3))),
    ],
)
def test_sizes_beyond_one_tile_and_one_block(rng, channels, filters, groups, size, geometry):
    x = rng.standard_normal((2, channels, *size))
    weight = rng.standard_normal((filters, channels // groups, *geometry.kernel))
    assert_close(Conv2d, x, weight, rng.standard_normal(filters), geometry, groups, "float32")


def test_operands_that_do_not_lie_in_rows(rng):
    x, weight = rng.standard_normal((8, 6, 9, 14)), rng.standard_normal((3, 3, 3, 5))
    bias = rng.standard_normal(10)[::2]
    x = np.broadcast_to(x[:1], x.shape)[::2, ::-2]
    assert_close(Conv2d, x, weight.transpose(3, 0, 1, 2), bias, PLAIN, 1, "float64")


def test_the_sum_over_50000_pixels_keeps_its_digits(rng):
    x, weight = rng.standard_normal((64, 1, 28, 28)) + 1, rng.standard_normal((2, 1, 3, 3))
    g = (rng.standard_normal((64, 2, 28, 28)) + 1).astype("float32")
    x, weight = x.astype("float32"), weight.astype("float32")
    _, _, dw = there_and_back(Conv2d, "cpu", x, weight, None, PLAIN, 1, g)
    exact = [a.astype("float64") for a in (x, weight)]
    _, _, expected = there_and_back(
        Conv2d, "reference", *exact, None, PLAIN, 1, g.astype("float64")
    )
    # one serial sum is off by 1e-5 and more
    assert abs(dw / expected - 1).max() < 4e-6


@pytest.mark.parametrize("op", [Conv2d, Conv2dRelu])
def test_not_a_number_and_infinities_pass_as_in_the_reference(rng, op):
    x, weight = rng.standard_normal((1, 2, 8, 8)), rng.standard_normal((3, 2, 3, 3))
    x[0, 0, 2, 3], x[0, 1, 6, 6] = np.nan, np.inf
    with tm.use_kernels("cpu", strict=True):
        found = op.apply(x, weight, None, PLAIN, 1)
    with tm.use_kernels("reference"):
        expected = op.apply(x, weight, None, PLAIN, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_any_number_of_threads_gives_the_same_bits(rng):
    x, weight = rng.standard_normal((40, 8, 20, 20)), rng.standard_normal((16, 8, 3, 3))
    g = rng.standard_normal((40, 16, 20, 20))
    assert_same_bits(lambda: there_and_back(Conv2d, "cpu", x, weight, None, PLAIN, 1, g))


def test_gradients_of_first_and_second_order_through_the_kernels(rng):
    geometry = Geometry((3, 2), (2, 1), (1, 2), (1, 0), (2, 1))
    x, weight = rng.standard_normal((2, 4, 5, 5)), rng.standard_normal((2, 2, 3, 2))
    inputs = [tm.tensor(v, requires_grad=True) for v in (x, weight, rng.standard_normal(2))]
    with tm.use_kernels("cpu"):
        assert gradcheck(lambda *a: Conv2d.apply(*a, geometry, 2), inputs)


def test_other_dtypes_are_left_to_the_reference(rng):
    x, weight = (rng.integers(-3, 3, s) for s in ((1, 1, 4, 4), (1, 1, 3, 3)))
    with (
        tm.use_kernels("cpu", strict=True),
        pytest.raises(RuntimeError, match="twin of Conv2d declined"),
    ):
        Conv2d.apply(x, weight, None, PLAIN, 1)
