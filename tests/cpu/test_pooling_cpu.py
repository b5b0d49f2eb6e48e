"""The C++ twins of pooling: against the reference in the same dtype, ties and NaN among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.cpu.conv2d import described
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.ops.pooling import MaxPool2d, WindowSum
from tinygrad_mmb.ops.windows import Geometry

pytestmark = pytest.mark.skipif(native is None, reason="the C++ twins are not built")

HALVES = Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0))


@st.composite
def pools(draw):
    """Windows as max_pool2d makes them: the border is at most half of what a window covers."""
    kernel, stride, dilation = (
        draw(st.tuples(st.integers(1, most), st.integers(1, most))) for most in (4, 3, 3)
    )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    before = tuple(draw(st.integers(0, span // 2)) for span in spans)
    behind = tuple(draw(st.integers(-1, span // 2)) for span in spans)
    return Geometry(kernel, stride, dilation, before, behind)


def there_and_back(op, backend, x, geometry):
    x = tm.from_numpy(x).requires_grad_()
    with tm.use_kernels(backend, strict=backend == "cpu"):
        outputs = op.apply(x, geometry)
        outputs = outputs if type(outputs) is tuple else (outputs,)
        y = outputs[0]
        y.backward(tm.tensor(np.cos(np.arange(y.numel())).reshape(y.shape), dtype=y.dtype))
    return [*[v.detach().numpy() for v in outputs], x.grad.numpy()]


@given(
    op=st.sampled_from([MaxPool2d, WindowSum]),
    geometry=pools(),
    shape=st.tuples(*[st.integers(1, n) for n in (3, 4, 20, 37)]),
    last=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    finite=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_windows_and_layouts_with_ties(op, geometry, shape, last, dtype, finite, seed):
    for size, step, hole, before, axis in zip(
        shape[2:], geometry.stride, geometry.dilation, geometry.top_left, (0, 1), strict=True
    ):
        assume(geometry.padded(axis, size) >= geometry.span(axis))
        assume((geometry.windows(axis, size) - 1) * step - before < size)
        assume(before == 0 or hole <= size)
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, shape).astype(dtype)
    if op is MaxPool2d and not finite:
        x[rng.random(shape) < 0.5] = -np.inf
        x[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf])
    if last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    found, expected = (there_and_back(op, b, x, geometry) for b in ("cpu", "reference"))
    tolerance = 20 * np.finfo(dtype).eps  # of up to 12 sums of cosines
    for f, e in zip(found, expected, strict=True):
        assert (f.dtype, f.shape, f.flags.c_contiguous) == (e.dtype, e.shape, True)
        np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("geometry", [HALVES, Geometry((3, 3), (1, 2), (1, 1), (1, 1), (1, 1))])
def test_nan_and_infinities_are_where_the_reference_has_them(rng, dtype, geometry):
    x = rng.choice([np.nan, np.inf, -np.inf, -1.0, 2.0], (3, 4, 9, 18), p=[0.1, 0.1, 0.6, 0.1, 0.1])
    x[0] = -np.inf  # windows without anything above -∞: their first pixel counts
    found, expected = (
        there_and_back(MaxPool2d, b, x.astype(dtype), geometry) for b in ("cpu", "reference")
    )
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-6, atol=1e-6)


def test_windows_that_lie_in_the_border_alone_are_left_to_the_reference(rng):
    outside = Geometry((2, 2), (1, 1), (1, 1), (3, 3), (0, 0))
    with (
        tm.use_kernels("cpu", strict=True),
        pytest.raises(RuntimeError, match="twin of MaxPool2d declined"),
    ):
        MaxPool2d.apply(rng.standard_normal((1, 1, 6, 6)), outside)


@pytest.mark.parametrize("windows", [HALVES, Geometry((2, 2), (2, 1), (1, 1), (0, 0), (0, 0))])
@pytest.mark.parametrize("index", [4, -1, 2**32])
def test_indices_outside_of_the_image_are_refused_and_not_written_to(windows, index):
    dx, g = np.zeros((1, 1, 2, 2)), np.ones((1, 1, 1, 1))
    for dtype in ("float32", "float64"):
        with pytest.raises(ValueError, match="indices inside the images"):
            native.max_unpool(
                dx.astype(dtype), g.astype(dtype), np.array([index]), described(windows)
            )


def test_indices_of_another_window_are_refused_where_windows_do_not_overlap(rng):
    x = rng.standard_normal((1, 1, 2, 64))
    y, indices = np.empty((1, 1, 1, 32)), np.empty((1, 1, 1, 32), "int64")
    native.max_pool(y, indices, x, described(HALVES))
    with pytest.raises(ValueError, match="each in its window"):
        native.max_unpool(x, y, np.ascontiguousarray(indices[..., ::-1]), described(HALVES))


def test_any_number_of_threads_gives_the_same_bits(rng):
    x = rng.standard_normal((64, 16, 28, 28)).astype("float32")
    for op in (MaxPool2d, WindowSum):
        assert_same_bits(lambda op=op: there_and_back(op, "cpu", x, HALVES))


@pytest.mark.parametrize("pool", [tm.nn.functional.max_pool2d, tm.nn.functional.avg_pool2d])
def test_gradients_through_the_kernels(rng, pool):
    x = tm.tensor(rng.permutation(120).reshape(2, 2, 5, 6) * 0.1, requires_grad=True)
    with tm.use_kernels("cpu"):
        assert gradcheck(lambda a: pool(a, 3, stride=2, padding=1), [x])
