"""The C++ twins of Linear, LinearRelu and LinearGelu, there and back, in more digits of NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tests.cpu.operands import assert_product, dtypes, laid_out, layouts, sizes
from tinygrad_mmb import ops
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.linear import is_affine
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.ops.linear import LinearGelu, linear_gelu, linear_relu

pytestmark = pytest.mark.skipif(native is None, reason="the extension _cpu is not built")
KEYS = [f"{op}{way}" for op in ("Linear", "LinearRelu", "LinearGelu") for way in ("", ".backward")]


def nearly_gelu(x, w, b=None):
    return linear_gelu(x, w, b, approximate="tanh")


LAYERS = [ops.linear, linear_relu, linear_gelu, nearly_gelu]


@given(sizes, sizes, sizes, layouts, layouts, dtypes, st.booleans())
def test_linear_is_the_product_and_the_bias(m, n, k, layout_x, layout_w, dtype, with_bias):
    rng = np.random.default_rng(0)
    x, w = laid_out(m, k, dtype, layout_x, rng), laid_out(n, k, dtype, layout_w, rng)
    bias = rng.standard_normal(n).astype(dtype) if with_bias else None
    y = native.linear(x, w, bias, False)
    assert_product(y, x, w.T, 0.0 if bias is None else bias.astype(float))
    expected = np.maximum(0, y)
    np.testing.assert_array_equal(native.linear(x, w, bias, True), expected)


@given(sizes, st.integers(0, 70), st.integers(0, 70), layouts, layouts, dtypes, st.booleans())
def test_gradients_are_those_of_the_formula(m, n, k, layout_g, layout_x, dtype, relu):
    rng = np.random.default_rng(0)
    g, x = laid_out(m, n, dtype, layout_g, rng), laid_out(m, k, dtype, layout_x, rng)
    w = laid_out(n, k, dtype, layout_x, rng)
    y = np.maximum(0, laid_out(m, n, dtype, layout_g, rng)) if relu else None
    gx, gw, gb = native.linear_backward(g, x, w, y, True)
    gz = np.where(y > 0, g, 0).astype(dtype) if relu else g
    assert_product(gx, gz, w)
    assert_product(gw, gz.T, x)
    assert_product(gb[None], np.ones((1, m), dtype), gz)


def gelu(z, approximate):
    """GELU and its slope, in the digits of z, from their definitions."""
    if approximate == "none":
        phi = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(z / math.sqrt(2)))
        return z * phi, phi + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    u = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * z * (1 + np.tanh(u)), 0.5 * (1 + np.tanh(u)) + 0.5 * z * du * (1 - np.tanh(u) ** 2)


@given(
    *(sizes, st.integers(1, 70), st.integers(0, 70), layouts, layouts, dtypes),
    *(st.booleans(), st.sampled_from(["none", "tanh"])),
)
def test_gelu_behind_the_map_goes_there_and_back(
    m, n, k, layout_x, layout_w, dtype, with_bias, approximate
):
    rng = np.random.default_rng(0)
    x, w = laid_out(m, k, dtype, layout_x, rng), laid_out(n, k, dtype, layout_w, rng)
    bias = rng.standard_normal(n).astype(dtype) if with_bias else None
    y, z = native.linear_gelu(x, w, bias, approximate == "tanh")
    np.testing.assert_array_equal(z, native.linear(x, w, bias, False))
    value, slope = gelu(z.astype(float), approximate)
    # Φ is at most 1, and its argument and it are rounded a few times each
    digits = {"rtol": 0, "atol": 8 * np.finfo(dtype).eps * (1 + np.abs(z).max(initial=0))}
    np.testing.assert_allclose(y, value, **digits)
    g = laid_out(m, n, dtype, layout_x, rng)
    found = native.linear_gelu_backward(g, x, w, z, approximate == "tanh", True)
    gz = (g * slope).astype(dtype)
    for a, b in zip(found, native.linear_backward(gz, x, w, None, True), strict=True):
        # sums of m or n products of g, a slope below 1.2 whose argument is z, and x or W
        scale = (np.abs(g).max(initial=0) + 1) * (1 + np.abs(z).max(initial=0))
        width = max(np.abs(v).max(initial=0) for v in (x, w)) + 1
        np.testing.assert_allclose(
            a, b, rtol=0, atol=32 * np.finfo(dtype).eps * scale * width * (m + n)
        )


def test_gelu_in_several_chunks_and_strips_of_columns(rng):
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((3000, 5), (300, 5)))
    y, z = native.linear_gelu(x, w, None, False)
    value, slope = gelu(z.astype(float), "none")
    np.testing.assert_allclose(y, value, rtol=0, atol=1e-5)
    g = np.ones_like(z)  # slopes of 0.5 on average: 3000 of them in blocks of 64 lose few digits
    _, _, gb = native.linear_gelu_backward(g, None, None, z, False, True)
    np.testing.assert_allclose(gb, slope.sum(0), rtol=1e-5)


@pytest.mark.parametrize("sizes", [(3000, 70, 300), (2, 900, 4000), (700, 3, 1500)])
def test_the_bits_do_not_depend_on_the_number_of_threads(sizes, rng):
    m, k, n = sizes
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (n, k), (m, n)))

    def there_and_back():
        y, z = native.linear_gelu(x, w, None, False)
        back = native.linear_gelu_backward(g, x, w, z, False, True)
        relu = native.linear(x, w, None, True)
        return [y, z, *back, relu, *native.linear_backward(g, x, w, relu, True)]

    assert_same_bits(there_and_back)


def test_a_gradient_of_what_lies_before_gelu_is_the_references(rng):
    x, w = (tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((6, 5), (4, 5)))
    results = []
    for backend in ("cpu", "reference"):
        with tm.use_kernels(backend):
            y, z = LinearGelu.apply(x, w, None, "none")
            (y * 2.0 + z).sum().backward()
        results.append((x.grad.numpy(), w.grad.numpy()))
        x.grad = w.grad = None
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("needs", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 0, 0)])
def test_only_the_gradients_that_are_wanted_are_computed(needs, rng):
    x, w, g = (rng.standard_normal(s) for s in ((9, 5), (7, 5), (9, 7)))
    need_x, need_w, need_bias = map(bool, needs)
    found = native.linear_backward(g, x if need_w else None, w if need_x else None, None, need_bias)
    assert [v is not None for v in found] == [need_x, need_w, need_bias]


def test_relu_keeps_nan_and_lets_its_gradient_through():
    x = np.array([[np.nan, 1.0], [1.0, -1.0]], np.float32)
    w = np.eye(2, dtype=np.float32)
    y = native.linear(x, w, None, True)
    np.testing.assert_array_equal(y, [[np.nan, np.nan], [1, 0]])  # NaN · 0 is NaN
    g = np.ones((2, 2), np.float32)
    _, _, gb = native.linear_backward(g, None, None, y, True)
    np.testing.assert_array_equal(gb, [2, 1])


def test_the_bias_of_many_rows_is_summed_without_losing_digits():
    g = np.full((100_000, 3), 0.1, np.float32)
    _, _, gb = native.linear_backward(g, None, None, None, True)
    np.testing.assert_allclose(gb, 100_000 * float(np.float32(0.1)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 3, 5), (0, 5), (2, 0, 5), (4, 6, 5)])
@pytest.mark.parametrize("op", LAYERS)
def test_the_twins_train_batches_of_any_shape_as_the_reference_does(op, shape, rng):
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (shape, (7, 5), (7,))]
    results = []
    for backend in ("cpu", "reference"):
        x, w, b = (tm.tensor(a, requires_grad=True) for a in arrays)
        before = [registry.twins(key)[0].calls for key in KEYS]
        with tm.use_kernels(backend, strict=backend == "cpu"):
            y = op(x, w, b)
            y.backward(tm.tensor(np.cos(np.arange(y.numel(), dtype=np.float32)).reshape(y.shape)))
        results.append([v.detach().numpy() for v in (y, x.grad, w.grad, b.grad)])
        ran = sum(registry.twins(key)[0].calls for key in KEYS) - sum(before)
        assert (ran >= 2) == (backend == "cpu")
    for found, expected in zip(*results, strict=True):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", LAYERS)
def test_a_layer_passes_gradient_checks_through_the_twins(op, rng):
    inputs = [tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((6, 5), (4, 5), (4,))]
    with tm.use_kernels("cpu"):
        assert tm.autograd.gradcheck(op, inputs)
        assert tm.autograd.gradgradcheck(op, inputs)


def test_a_gradient_that_is_one_number_repeated_goes_back(rng):
    x, w = (tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((6, 5), (4, 5)))
    with tm.use_kernels("cpu"):
        ops.linear(x, w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), np.tile(x.detach().numpy().sum(0), (4, 1)))


def test_what_the_kernel_does_not_take_is_declined(rng):
    x, w = rng.standard_normal((4, 5)), rng.standard_normal((7, 5))
    assert is_affine(x, w, None)
    assert is_affine(x[::2, ::-1], w, np.ones(7))
    assert not is_affine(x, w, np.ones((4, 7)))  # a bias of its own for each row
    assert not is_affine(x, w, np.ones(14)[::2])
    assert not is_affine(x, w, np.ones(7, np.float32))
    assert not is_affine(x, w.astype(np.float32), None)
    assert not is_affine(x.astype(np.float16), w.astype(np.float16), None)
    memory = np.zeros(8 * 20 + 1, np.uint8)[1:].view(np.float64).reshape(4, 5)
    assert not is_affine(memory, w, None)


def test_inputs_that_are_read_only_or_overlap_are_read(rng):
    memory = rng.standard_normal((9, 5)).astype(np.float32)
    memory.flags.writeable = False
    x, w = memory[:6], memory[2:]  # they share rows
    assert_product(native.linear(x, w, None, False), x, w.T)


def test_sizes_that_do_not_fit_are_refused_before_anything_is_computed():
    x, w = np.ones((4, 5), np.float32), np.ones((7, 5), np.float32)
    for args in ((x, w[:, :4], None, False), (x, w, np.ones(6, np.float32), False)):
        with pytest.raises(ValueError, match="sizes do not fit"):
            native.linear(*args)
    g = np.ones((4, 7), np.float32)
    for args in ((g, x[:3], w, None), (g, x, w[:6], None), (g, x, w, g[:, :6])):
        with pytest.raises(ValueError, match="sizes do not fit"):
            native.linear_backward(*args, True)
