"""Batch normalisation as CUDA kernels, on the emulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.kernels.emulation import EPS, in_every_order, moved, on_kernels, profile
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.batch_norm import Columns, Planes, layout_of
from tinygrad_mmb.nn.functional import batch_norm
from tinygrad_mmb.ops.normalization import BatchNorm

RNG = np.random.default_rng(17)
EPSILON = 1e-5
CHANNELS = st.sampled_from([1, 2, 3, 4, 7, 16, 33, 64, 130])
SIDES = st.sampled_from([1, 2, 3, 5, 7, 8, 16])
DTYPES = st.sampled_from(["float32", "float64"])


def numbers(shape, dtype="float32", mean=0.0):
    return (mean + RNG.standard_normal(shape)).astype(dtype)


def channels_last(x):
    """The same numbers, the channels innermost in memory."""
    order = (0, *range(2, x.ndim), 1)
    return np.ascontiguousarray(x.transpose(order)).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def expected_of(x, weight, bias, g, eps=EPSILON):
    """y, mean, variance, ∂L/∂x, ∂L/∂weight, ∂L/∂bias in float64."""
    x, g = x.astype(np.float64), g.astype(np.float64)
    dims, shape = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
    w = np.ones(x.shape[1]) if weight is None else weight.astype(np.float64)
    b = np.zeros(x.shape[1]) if bias is None else bias.astype(np.float64)
    mean, var = x.mean(dims), x.var(dims)
    scale = ((var + eps) ** -0.5).reshape(shape)
    normal = (x - mean.reshape(shape)) * scale
    y = normal * w.reshape(shape) + b.reshape(shape)
    along = normal * (g * normal).mean(dims, keepdims=True)
    dx = (g - g.mean(dims, keepdims=True) - along) * scale * w.reshape(shape)
    return y, mean, var, dx, (g * normal).sum(dims), g.sum(dims)


def there_and_back(x, weight, bias, g, needs=(True, True, True)):
    inputs = [
        None if a is None else tm.tensor(a, requires_grad=need)
        for a, need in zip((x, weight, bias), needs, strict=True)
    ]
    if isinstance(x, np.ndarray):
        inputs[0].array = x  # in its own layout
    y, mean, variance = BatchNorm.apply(*inputs, EPSILON)
    y.backward(tm.tensor(g))
    gradients = [None if v is None or v.grad is None else v.grad.numpy() for v in inputs]
    return [v.detach().numpy() for v in (y, mean, variance)] + gradients


def check(found, x, weight, bias, g):
    """A thread adds up at most 1 in 32 of the n numbers of a channel, the rest is trees: so many
    roundings of numbers the size of x̂ (at most `top`), of g, and of 1 / σ.
    """
    eps = EPS[x.dtype.name]
    n = x.size // x.shape[1]
    steps = (24 + n / 32) * eps
    expected = expected_of(x, weight, bias, g)
    scale = (expected[2].min() + EPSILON) ** -0.5
    wide = x.astype(np.float64)
    spread = np.abs(wide - wide.mean((0, *range(2, x.ndim)), keepdims=True)).max()
    top, size_w, size_g = 1 + spread * scale, 1.0, max(1.0, np.abs(g).max())
    if weight is not None:
        size_w = max(1.0, np.abs(weight).max())
    of_sums = steps * top * np.abs(g.astype(np.float64)).sum((0, *range(2, x.ndim))).max()
    allowed = [
        steps * top * size_w * max(1, scale) * (1 + spread) + 2 * eps,
        steps * (np.abs(wide).max() + 1),
        steps * (1 + spread) ** 2,
        steps * top**2 * size_g * size_w * max(1, scale) ** 2,
        of_sums * max(1, scale),
        of_sums,
    ]
    for f, e, atol in zip(found, expected, allowed, strict=True):
        if f is not None:
            np.testing.assert_allclose(f, e, rtol=4 * eps, atol=atol)


@settings(max_examples=50)
@given(
    batch=st.sampled_from([1, 2, 3, 9]),
    channels=CHANNELS,
    sides=st.tuples(SIDES, SIDES),
    dtype=DTYPES,
    last=st.booleans(),
    by=st.integers(0, 3),
    weighted=st.booleans(),
)
def test_nchw_and_nhwc_of_any_shape_at_any_address(
    batch, channels, sides, dtype, last, by, weighted
):
    shape = (batch, channels, *sides)
    x, g = moved(numbers(shape, dtype), by), numbers(shape, dtype)
    if last:
        x, g = channels_last(x), channels_last(g)
    weight = numbers(channels, dtype) if weighted else None
    bias = numbers(channels, dtype) if weighted else None
    found = on_kernels(there_and_back, x, weight, bias, g)
    assert {f.dtype for f in found if f is not None} == {x.dtype}
    check(found, x, weight, bias, g)
    if last and not x.flags.c_contiguous:
        assert found[0].transpose(0, 2, 3, 1).flags.c_contiguous  # y stays channels-last


@settings(max_examples=25)
@given(
    batch=st.sampled_from([2, 3, 31, 300]), channels=CHANNELS, dtype=DTYPES, by=st.integers(0, 3)
)
def test_one_value_per_channel_and_sample(batch, channels, dtype, by):
    x, g = moved(numbers((batch, channels), dtype), by), numbers((batch, channels), dtype)
    weight, bias = numbers(channels, dtype), numbers(channels, dtype)
    check(on_kernels(there_and_back, x, weight, bias, g), x, weight, bias, g)


@pytest.mark.parametrize("last", [False, True])
def test_channels_that_are_cut_into_parts(last):
    x, g = numbers((5, 3, 40, 41)), numbers((5, 3, 40, 41))
    if last:
        x, g = channels_last(x), channels_last(g)
    layout = layout_of(x)
    assert isinstance(layout, Columns if last else Planes) and layout.parts > 1
    weight, bias = numbers(3), numbers(3)
    check(on_kernels(there_and_back, x, weight, bias, g), x, weight, bias, g)


@pytest.mark.parametrize("shape", [(4, 3, 5, 6, 2), (2, 3, 70)])
def test_volumes_and_sequences(shape):
    x, g = numbers(shape), numbers(shape)
    check(on_kernels(there_and_back, x, None, None, g), x, None, None, g)


@pytest.mark.parametrize("last", [False, True])
def test_a_mean_of_10000_costs_no_digits(last):
    x = numbers((20, 4, 15, 15), mean=1e4)
    x = channels_last(x) if last else x
    y, mean, variance = on_kernels(BatchNorm.apply, x, None, None, EPSILON)
    expected = expected_of(x, None, None, x)
    # a mean rounded to a float would shift x̂ by up to 5 · 10⁻⁴, and Σ x² / n - mean² have no digit
    np.testing.assert_allclose(y, expected[0], atol=5e-6)
    np.testing.assert_allclose(mean, expected[1], rtol=1e-7)
    np.testing.assert_allclose(variance, expected[2], rtol=5e-6)
    g = numbers(x.shape)
    dx = on_kernels(there_and_back, x, None, None, g)[3]
    np.testing.assert_allclose(dx, expected_of(x, None, None, g)[3], atol=2e-5)


def test_one_far_value_costs_no_digits_of_the_others():
    x = numbers((8, 2, 5, 5))
    x[0, :, 0, 0] = 1e6
    y, _, variance = on_kernels(BatchNorm.apply, x, None, None, EPSILON)
    expected = expected_of(x, None, None, x)
    np.testing.assert_allclose(variance, expected[2], rtol=1e-6)
    np.testing.assert_allclose(y, expected[0], rtol=2e-5)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "needs", [(True, False, False), (False, True, False), (False, False, True)]
)
def test_only_what_is_needed_is_computed(needs, last):
    x, g, weight, bias = numbers((4, 5, 3, 3)), numbers((4, 5, 3, 3)), numbers(5), numbers(5)
    x = channels_last(x) if last else x
    found = on_kernels(there_and_back, x, weight, bias, g, needs)
    assert [f is not None for f in found[3:]] == list(needs)
    check(found, x, weight, bias, g)


@pytest.mark.parametrize("shape", [(3, 5, 7, 7), (4, 8, 2, 2), (9, 6), (2, 3, 40, 41)])
@pytest.mark.parametrize("last", [False, True])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(shape, last):
    x, g, weight = numbers(shape), numbers(shape), numbers(shape[1])
    x = channels_last(x) if last else x
    runs = in_every_order(there_and_back, x, weight, weight, g)
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_infinities_and_nan_stay_in_their_channel():
    x = numbers((4, 4, 3, 3))
    x[0, 0, 1, 1], x[1, 1, 0, 0], x[2, 2, 2, 2] = np.inf, np.nan, -np.inf
    for array in (x, channels_last(x)):
        y, mean, variance = on_kernels(BatchNorm.apply, array, None, None, EPSILON)
        assert np.isnan(y[:, :3]).all() and np.isfinite(y[:, 3]).all()
        assert not np.isfinite(mean[:3]).any() and np.isnan(variance[:3]).all()


def test_constant_huge_and_tiny_channels():
    x = np.stack([np.full(12, 7.0), np.arange(12) * 1e15, np.arange(12) * 1e-15], 1)
    x = x.astype(np.float32)
    y, _, variance = on_kernels(BatchNorm.apply, x, None, None, EPSILON)
    expected = expected_of(x, None, None, x)
    np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=1e-11)
    assert not y[:, 0].any() and variance[0] == 0


def test_training_moves_the_running_statistics_as_the_reference_does():
    x, results = numbers((6, 3, 4, 4)), []
    for backend in ("emulator", "reference"):
        mean, var = tm.zeros(3), tm.ones(3)
        with tm.use_kernels(backend):
            batch_norm(tm.tensor(x), mean, var, training=True, momentum=0.2)
        results.append(np.stack([mean.numpy(), var.numpy()]))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(results[0][1], 0.8 + 0.2 * x.var((0, 2, 3), ddof=1), rtol=1e-6)


def test_what_the_kernels_do_not_serve_is_declined():
    (there,) = [k for k in registry.twins("BatchNorm") if k.backend == "emulator"]
    (back,) = [k for k in registry.twins("BatchNorm.backward") if k.backend == "emulator"]
    x, v = np.ones((2, 3), np.float32), np.ones(3, np.float64)
    assert there.accepts(x, None, None, EPSILON)
    assert not there.accepts(x, v, None, EPSILON)
    assert not there.accepts(x[:0], None, None, EPSILON)
    saved = x, None, None, EPSILON, None
    assert back.accepts(x, None, None, *saved, needs_input_grad=[True])
    assert not back.accepts(x, np.ones(3, np.float32), None, *saved, needs_input_grad=[True])
    assert not back.accepts(None, None, None, *saved, needs_input_grad=[True])


@pytest.mark.parametrize("shape", [(6, 3), (3, 2, 4), (3, 4, 2, 3)])
def test_gradients_pass_the_gradient_check_through_the_kernels(shape):
    x = tm.tensor(RNG.standard_normal(shape), requires_grad=True)
    v = [tm.tensor(RNG.standard_normal(shape[1]), requires_grad=True) for _ in range(2)]
    assert on_kernels(gradcheck, lambda x, w, b: BatchNorm.apply(x, w, b, 1e-3)[0], (x, *v))


@pytest.mark.parametrize("last", [False, True])
def test_each_kernel_fetches_x_once_and_meets_no_bank_conflicts(last):
    x = moved(numbers((4, 32, 16, 16)), 0)
    x = moved(channels_last(x).transpose(0, 2, 3, 1), 0).transpose(0, 3, 1, 2) if last else x
    kind = "batch_norm_columns_packed" if last else "batch_norm_planes"
    packs = x.size // (4 * 32)
    moments = profile(f"{kind}_f32", BatchNorm.apply, x, None, None, EPSILON)
    reads = [a for a in moments if a.space == "global" and a.requests >= packs]
    assert [(a.requests, a.ratio) for a in reads] == [(packs, 1.0)]
    assert {a.ratio for a in moments if a.space == "shared"} == {1.0}
    applied = profile(f"{kind}_apply_f32", BatchNorm.apply, x, None, None, EPSILON)
    moves = [a for a in applied if a.file.endswith(("rows.cuh", "platform.cuh"))]
    # NumPy's results start at 16 bytes, so that a warp's 16 sectors may be cut to 17; GPUs: at 256
    # stats and packs of channels: three vectors, as weight and bias are not there, for 64 warps
    vectors = 3 * 64 if last else 0
    assert sorted(a.requests for a in moves) == [packs, packs + vectors]
    assert max(a.ratio for a in moves) <= 17 / 16 + 1e-3


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    x, g, weight, bias = numbers((6, 5, 4, 3)), numbers((6, 5, 4, 3)), numbers(5), numbers(5)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch.nn.functional.batch_norm(inputs[0], None, None, *inputs[1:], training=True)
    y.backward(torch.tensor(g))
    found = on_kernels(there_and_back, x, weight, bias, g)
    theirs = [y.detach().numpy(), *[v.grad.numpy() for v in inputs]]
    for ours, t in zip([found[0], *found[3:]], theirs, strict=True):
        np.testing.assert_allclose(ours, t, rtol=1e-5, atol=1e-5)
