"""Layer normalisation as CUDA kernels, on the emulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.kernels.emulation import EPS, in_every_order, moved, on_kernels, profile
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.layer_norm import plan_backward
from tinygrad_mmb.kernels.launch import emulated
from tinygrad_mmb.ops.normalization import LayerNorm

RNG = np.random.default_rng(13)
COLS = st.sampled_from([1, 2, 3, 4, 5, 8, 31, 33, 64, 127, 128, 129, 257, 600, 1000, 1031])
DTYPES = st.sampled_from(["float16", "float32", "float64"])
EPSILON = 1e-5


def numbers(shape, dtype="float32", mean=0.0):
    return (mean + RNG.standard_normal(shape)).astype(dtype)


def expected_of(x, weight, bias, g):
    """y, ∂L/∂x, ∂L/∂weight, ∂L/∂bias of rows in float64."""
    x, g = x.astype(np.float64), g.astype(np.float64)
    w = np.ones(x.shape[1]) if weight is None else weight.astype(np.float64)
    b = np.zeros(x.shape[1]) if bias is None else bias.astype(np.float64)
    scale = (x.var(1, keepdims=True) + EPSILON) ** -0.5
    normal = (x - x.mean(1, keepdims=True)) * scale
    h = g * w
    dx = (h - h.mean(1, keepdims=True) - normal * (h * normal).mean(1, keepdims=True)) * scale
    return normal * w + b, dx, (g * normal).sum(0), g.sum(0)


def there_and_back(x, weight, bias, g, needs=(True, True, True), k=1):
    """y and the gradients that are wanted, None for the others."""
    inputs = [
        None if a is None else tm.tensor(a, requires_grad=need)
        for a, need in zip((x, weight, bias), needs, strict=True)
    ]
    y = LayerNorm.apply(*inputs, k, EPSILON)
    y.backward(tm.tensor(g))
    return y.detach().numpy(), *[
        None if v is None or v.grad is None else v.grad.numpy() for v in inputs
    ]


def check(found, x, weight, bias, g):
    """Rows of n numbers: sums of them err by log₂ n + 6 roundings of what they add up, Σ over the
    batch by as many; x̂ multiplies by 1 / σ, which is at most 1 / √ε.
    """
    eps = EPS["float32" if x.dtype == np.float16 else x.dtype.name]
    stored = EPS[x.dtype.name]
    scale = (x.astype(np.float64).var(1).min() + EPSILON) ** -0.5
    steps = (np.log2(x.size) + 16) * eps
    size = [1 if v is None else max(1.0, np.abs(v).max()) for v in (weight, bias, g)]
    top = np.abs(x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64)).max() * scale
    reach = size[2] * size[0] * max(1.0, scale) * (1 + top) ** 2
    # the sums over the batch add up `rows` numbers, most of them one after the other
    sums = (steps + x.shape[0] * eps) * np.abs(g.astype(np.float64)).sum(0).max() * (1 + top)
    allowed = [
        steps * size[0] * (1 + top) * max(1.0, scale) + size[1] * eps,
        steps * reach,
        sums,
        sums,
    ]
    tiny = 6e-8 if x.dtype == np.float16 else 0.0  # the spacing of the smallest float16
    for f, e, atol in zip(found, expected_of(x, weight, bias, g), allowed, strict=True):
        if f is not None:
            np.testing.assert_allclose(f, e, rtol=4 * stored, atol=atol + tiny)


@settings(max_examples=50)
@given(
    rows=st.sampled_from([1, 2, 5, 11, 40]),
    cols=COLS,
    dtype=DTYPES,
    by=st.integers(0, 3),
    weighted=st.booleans(),
    biased=st.booleans(),
)
def test_outputs_and_gradients_of_any_shape_at_any_address(rows, cols, dtype, by, weighted, biased):
    x, g = moved(numbers((rows, cols), dtype), by), moved(numbers((rows, cols), dtype), by)
    weight = moved(numbers(cols, dtype), by) if weighted else None
    bias = numbers(cols, dtype) if biased else None
    found = on_kernels(there_and_back, x, weight, bias, g)
    assert {f.dtype for f in found if f is not None} == {x.dtype}
    check(found, x, weight, bias, g)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cols", [2050, 8192, 8196, 30000])
def test_rows_as_long_as_a_block_and_longer_than_its_registers(cols, dtype):
    assert (plan_backward(cols, 4) is None) == (cols > 8192)
    x, g = numbers((3, cols), dtype), numbers((3, cols), dtype)
    weight, bias = numbers(cols, dtype), numbers(cols, dtype)
    check(on_kernels(there_and_back, x, weight, bias, g), x, weight, bias, g)


def test_more_rows_than_the_blocks_that_stay():
    x, g = numbers((5000, 12)), numbers((5000, 12))
    weight, bias = numbers(12), numbers(12)
    check(on_kernels(there_and_back, x, weight, bias, g), x, weight, bias, g)


def test_a_mean_of_10000_costs_no_digits():
    x = numbers((4, 300), mean=1e4)
    y = on_kernels(LayerNorm.apply, x, None, None, 1, EPSILON)
    g = numbers((4, 300))
    expected, dx, _, _ = expected_of(x, None, None, g)
    # x itself is stored to 10⁻³; a mean rounded to a float would shift x̂ by up to 5 · 10⁻⁴
    np.testing.assert_allclose(y, expected, atol=5e-6)
    found = on_kernels(there_and_back, x, None, None, g)
    np.testing.assert_allclose(found[1], dx, atol=2e-5)


def test_one_far_value_first_costs_no_digits_of_the_others():
    x = numbers((2, 100))
    x[:, 0] = 1e6
    y = on_kernels(LayerNorm.apply, x, None, None, 1, EPSILON)
    np.testing.assert_allclose(y, expected_of(x, None, None, x)[0], rtol=1e-5)


def test_several_dimensions_and_any_layout():
    x = np.ascontiguousarray(numbers((3, 4, 5, 6)).transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0)
    assert not x.flags.c_contiguous
    weight, g = numbers((5, 6)).T.copy().T, numbers((3, 4, 5, 6))
    found = on_kernels(there_and_back, x, weight, None, g, (True, True, True), 2)
    flat = [a.reshape(12, 30) for a in (x, g)]
    expected = expected_of(flat[0], weight.ravel(), None, flat[1])
    for f, e in zip(found[:3], expected, strict=False):
        np.testing.assert_allclose(f, e.reshape(f.shape), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("cols", [33, 9000])
@pytest.mark.parametrize(
    "needs", [(True, False, False), (False, True, False), (False, False, True)]
)
def test_only_what_is_needed_is_computed(needs, cols):
    x, g, weight, bias = numbers((4, cols)), numbers((4, cols)), numbers(cols), numbers(cols)
    found = on_kernels(there_and_back, x, weight, bias, g, needs)
    assert [f is not None for f in found[1:]] == list(needs)
    check(found, x, weight, bias, g)


@pytest.mark.parametrize("cols", [5, 33, 600, 1031, 2050])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(cols, dtype):
    x, g = numbers((9, cols), dtype), numbers((9, cols), dtype)
    weight, bias = numbers(cols, dtype), numbers(cols, dtype)
    runs = in_every_order(there_and_back, x, weight, bias, g)
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_checker_is_silent_on_rows_that_are_read_again():
    x, g, weight = numbers((3, 8300)), numbers((3, 8300)), numbers(8300)
    runs = in_every_order(there_and_back, x, weight, weight, g)
    check(runs[0], x, weight, weight, g)


def test_infinities_and_nan_stay_in_their_row():
    x = numbers((4, 40))
    x[0, 1], x[1, 2], x[2, 3] = np.inf, np.nan, -np.inf
    y = on_kernels(LayerNorm.apply, x, None, None, 1, EPSILON)
    assert np.isnan(y[:3]).all() and np.isfinite(y[3]).all()


def test_constant_huge_and_tiny_rows():
    x = np.stack([np.full(10, 7.0), np.arange(10) * 1e15, np.arange(10) * 1e-15]).astype(np.float32)
    y = on_kernels(LayerNorm.apply, x, None, None, 1, EPSILON)
    np.testing.assert_allclose(y, expected_of(x, None, None, x)[0], rtol=1e-5, atol=1e-11)
    assert not y[0].any()


def test_no_kernel_runs_for_gradients_that_nobody_wants():
    x, g, weight = numbers((4, 33)), numbers((4, 33)), numbers(33)
    ran = {}
    for needs in ((True, False, False), (True, True, False)):
        with emulated.emulator("check", profile=True) as checker:
            on_kernels(there_and_back, x, weight, weight, g, needs)
        ran[needs[1]] = [p["kernel"] for p in checker.profiles][1:]
    assert ran == {
        False: ["layer_norm_backward_input_short_f32"],
        True: ["layer_norm_backward_block_f32", "sum_columns_f32"],
    }


def test_one_number_per_row_is_its_own_mean():
    x = numbers((5, 1))
    y, dx, dweight, dbias = on_kernels(there_and_back, x, numbers(1), numbers(1), numbers((5, 1)))
    assert np.unique(y).size == 1 and not dx.any() and not dweight.any() and dbias.any()


def test_empty_rows_and_mixed_dtypes_are_declined():
    (twin,) = [k for k in registry.twins("LayerNorm") if k.backend == "emulator"]
    x, weight = np.zeros((3, 4), np.float32), np.zeros(4, np.float64)
    assert twin.accepts(x, None, None, 1, EPSILON)
    assert not twin.accepts(x, weight, None, 1, EPSILON)
    assert not twin.accepts(x[:, :0], None, None, 1, EPSILON)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 40), (2, 300)])
@pytest.mark.parametrize("affine", [False, True])
def test_gradients_pass_the_gradient_check_through_the_kernels(shape, affine):
    x = tm.tensor(RNG.standard_normal(shape), requires_grad=True)
    v = [tm.tensor(RNG.standard_normal(shape[-1]), requires_grad=True) for _ in range(2)]
    if affine:
        assert on_kernels(gradcheck, lambda x, w, b: LayerNorm.apply(x, w, b, 1, 1e-3), (x, *v))
    else:
        assert on_kernels(gradcheck, lambda x: LayerNorm.apply(x, None, None, 1, 1e-3), (x,))


def test_the_way_back_reads_x_and_g_once():
    x, g, weight = moved(numbers((4, 4096)), 0), moved(numbers((4, 4096)), 0), numbers(4096)
    variable, w = tm.tensor(x, requires_grad=True), tm.tensor(weight, requires_grad=True)
    with tm.use_kernels("emulator", strict=True):
        y = LayerNorm.apply(variable, w, None, 1, EPSILON)
        found = profile("layer_norm_backward_block_f32", y.backward, tm.tensor(g))
    # NumPy's arrays start at 16 bytes, so that a warp's 16 sectors may be cut to 17; GPUs: at 256
    whole = [a.requests for a in found if a.space == "global" and a.ratio <= 17 / 16 + 1e-3]
    packs = x.size // (4 * 32)
    # x and g, and the weights in each of the two walks (from the cache); dx
    assert sorted(n for n in whole if n >= packs) == [packs, 4 * packs]
    assert {a.ratio for a in found if a.space == "shared"} == {1.0}


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    x, g, weight, bias = numbers((6, 130)), numbers((6, 130)), numbers(130), numbers(130)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch.nn.functional.layer_norm(inputs[0], (130,), *inputs[1:], eps=EPSILON)
    y.backward(torch.tensor(g))
    theirs = [y.detach().numpy(), *[v.grad.numpy() for v in inputs]]
    for ours, t in zip(on_kernels(there_and_back, x, weight, bias, g), theirs, strict=True):
        np.testing.assert_allclose(ours, t, rtol=1e-5, atol=1e-5)
