"""Softmax-cross-entropy as one CUDA kernel, on the emulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.kernels.emulation import (
    EPS,
    assert_same_bits,
    in_every_order,
    moved,
    on_kernels,
    profile,
)
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch import cuda_function, emulated, float32, int32
from tinygrad_mmb.kernels.launch.rows import plan_rows
from tinygrad_mmb.nn.functional import cross_entropy
from tinygrad_mmb.ops.cross_entropy import CrossEntropy

RNG = np.random.default_rng(5)
CLASSES = st.sampled_from([1, 2, 3, 5, 10, 31, 32, 33, 64, 127, 129, 257, 1000, 1031])


def problem(shape, dtype="float32", scale=2.0, by=0):
    """Logits (N, C, ...) and classes (N, ...)."""
    x = (scale * RNG.standard_normal(shape)).astype(dtype)
    t = RNG.integers(0, shape[1], (shape[0], *shape[2:]))
    return moved(x, by), t


def expected_of(x, t, w=None, g=None):
    """Loss and gradient in float64."""
    x = np.moveaxis(x.astype(np.float64), 1, -1)
    e = np.exp(x - x.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    hot = (np.arange(x.shape[-1]) == t[..., None]).astype(float)
    w = np.ones(t.shape) if w is None else w.astype(np.float64)
    g = np.ones(t.shape) if g is None else g.astype(np.float64)
    loss = -w * (np.log(p) * hot).sum(-1)
    return loss, np.moveaxis((p - hot) * (w * g)[..., None], -1, 1)


def there_and_back(x, t, w, g):
    """The loss of each sample, and ∂L/∂x for gradients g of the losses."""
    variable = tm.tensor(x, requires_grad=True)
    losses = CrossEntropy.apply(variable, tm.tensor(t), None if w is None else tm.tensor(w))
    losses.backward(tm.tensor(g))
    return losses.detach().numpy(), variable.grad.numpy()


def check(x, t, w, g):
    loss, dx = on_kernels(there_and_back, x, t, w, g)
    assert loss.dtype == dx.dtype == x.dtype
    expected_loss, expected_dx = expected_of(x, t, w, g)
    eps = EPS["float32" if x.dtype == np.float16 else x.dtype.name]
    # x - max and exp as in softmax; the logarithm of a sum up to C e**0 adds its own last digit
    size = 16 + 2 * np.abs(x.astype(np.float64)).max() + np.log2(x.shape[1])
    stored = EPS[x.dtype.name]
    weight = 1.0 if w is None else np.abs(w).max()
    np.testing.assert_allclose(
        loss,
        expected_loss,
        rtol=stored,
        atol=size * eps * weight * (1 + np.abs(expected_loss).max()),
    )
    reach = weight * np.abs(g).max()
    # three roundings to the stored type; numbers of float16 are 2**-24 apart at least
    allowed = (size * eps + 3 * stored) * reach + (6e-8 if x.dtype == np.float16 else 0.0)
    np.testing.assert_allclose(dx, expected_dx, atol=allowed)


@settings(max_examples=40)
@given(
    rows=st.sampled_from([1, 2, 5, 9]),
    classes=CLASSES,
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    by=st.integers(0, 3),
    weighted=st.booleans(),
    mean=st.booleans(),
)
def test_losses_and_gradients_of_any_shape_at_any_address(rows, classes, dtype, by, weighted, mean):
    x, t = problem((rows, classes), dtype, by=by)
    w = RNG.uniform(0.5, 2.0, rows).astype(dtype) if weighted else None
    g = np.full(rows, 1 / rows) if mean else RNG.standard_normal(rows)
    check(x, t, w, g.astype(dtype))


@settings(max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    channels_last=st.booleans(),
)
def test_classes_before_other_dimensions(shape, dtype, channels_last):
    x, t = problem(shape, dtype)
    if channels_last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    w = RNG.uniform(0.5, 2.0, t.shape).astype(dtype)
    check(x, t, w, RNG.standard_normal(t.shape).astype(dtype))


@pytest.mark.parametrize("classes", [8192, 20011, 50257])
def test_vocabularies_larger_than_a_block(classes):
    x, t = problem((2, classes))
    check(x, t, None, np.full(2, 0.5, np.float32))
    check(x, t, None, np.array([0.5, -3.0], np.float32))  # one row as expected, one not


@pytest.mark.parametrize("shape", [(3, 5), (2, 300), (2, 3, 4)])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(shape):
    x, t = problem(shape)
    g = RNG.standard_normal(t.shape).astype(np.float32)
    runs = in_every_order(there_and_back, x, t, None, g)
    assert_same_bits([loss for loss, _ in runs])
    assert_same_bits([dx for _, dx in runs])


def test_a_mean_uses_the_gradient_that_forward_wrote():
    x, t = problem((4, 300))
    variable = tm.tensor(x, requires_grad=True)
    with tm.use_kernels("emulator", strict=True):
        loss = cross_entropy(variable, tm.tensor(t))
        touched = profile("cross_entropy_rows_long_f32", loss.backward)
    # g alone is read: by each thread of the 4 rows, to see that it is 1 / 4
    assert sum(a.requests for a in touched if a.space == "global") < 16 * 4
    np.testing.assert_allclose(variable.grad.numpy(), expected_of(x, t)[1] / 4, atol=1e-7)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [tm.float16, tm.float32])
def test_a_second_backward_gives_the_same_gradient_again(reduction, dtype):
    x, t = problem((3, 40))
    variable = tm.tensor(x, dtype=dtype, requires_grad=True)
    with tm.use_kernels("emulator"):
        loss = cross_entropy(variable, tm.tensor(t), reduction=reduction)
        loss.backward(retain_graph=True)
        first = variable.grad.numpy().copy()
        variable.grad = None
        loss.backward()
    np.testing.assert_allclose(variable.grad.numpy(), first, rtol=1e-6, atol=1e-8)
    assert np.abs(first).max() > 0.01


def test_gradients_of_two_losses_of_the_same_logits_add_up():
    x, t = problem((3, 40))
    variable = tm.tensor(x, requires_grad=True)
    with tm.use_kernels("emulator"):
        loss = cross_entropy(variable, tm.tensor(t))
        (loss + 2.0 * cross_entropy(variable, tm.tensor(t))).backward()
    np.testing.assert_allclose(variable.grad.numpy(), expected_of(x, t)[1], atol=1e-6)


def test_ignored_samples_and_weights_of_classes_through_the_loss_function():
    x, t = problem((6, 7))
    t[[1, 4]] = -100
    weight = RNG.uniform(0.5, 2.0, 7).astype(np.float32)
    results = []
    for backend in ("emulator", "reference"):
        variable = tm.tensor(x, requires_grad=True)
        with tm.use_kernels(backend):
            loss = cross_entropy(variable, tm.tensor(t), weight=tm.tensor(weight))
            loss.backward()
        results.append((loss.item(), variable.grad.numpy()))
    (ours, our_gradient), (theirs, their_gradient) = results
    assert ours == pytest.approx(theirs, rel=1e-6)
    np.testing.assert_allclose(our_gradient, their_gradient, atol=1e-7)
    assert not our_gradient[[1, 4]].any()


@pytest.mark.parametrize("columns", [False, True])
def test_infinities_and_nan_give_what_the_reference_gives(columns):
    x, t = problem((7, 40))
    x[0, 0], t[0] = np.inf, 1
    x[1, 1] = -np.inf
    x[2, 2], t[2] = -np.inf, 2
    x[3] = -np.inf
    x[4, 5] = np.nan
    x[5, :3] = np.inf
    g = np.full(7, 1 / 7, np.float32)
    if columns:  # (1, 40, 7)
        x, t, g = np.ascontiguousarray(x.T)[None], t[None], g[None]
    with tm.use_kernels("reference"), np.errstate(all="ignore"):
        expected = there_and_back(x, t, None, g)
    for found, wanted in zip(on_kernels(there_and_back, x, t, None, g), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)


def test_huge_and_small_logits():
    x = np.array([[1e30, 0.0], [0.0, 1e4], [1e-30, -1e-30]], np.float32)
    loss, dx = on_kernels(there_and_back, x, np.array([0, 0, 1]), None, np.ones(3, np.float32))
    np.testing.assert_allclose(loss, [0.0, 1e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(dx, [[0, 0], [-1, 1], [0.5, -0.5]], atol=1e-7)


def test_a_class_that_is_not_there_gives_no_number():
    x, _ = problem((3, 5))
    for array, t in (
        (x, np.array([0, 5, -1])),
        (x[None].transpose(0, 2, 1), np.array([[0, 5, -1]])),
    ):
        loss = on_kernels(CrossEntropy.apply, array, t, None)
        assert np.isfinite(loss).ravel().tolist() == [True, False, False]


def test_no_samples_and_one_class():
    empty = tm.tensor(np.zeros((0, 5), np.float32), requires_grad=True)
    with tm.use_kernels("emulator", strict=True):
        assert CrossEntropy.apply(empty, tm.tensor(np.zeros(0, np.int64)), None).shape == (0,)
    x, t = problem((4, 1))
    loss, dx = on_kernels(there_and_back, x, t, None, np.ones(4, np.float32))
    assert not loss.any() and not dx.any()


def test_the_gradient_of_weights_is_left_to_the_reference():
    x, t = problem((4, 5), "float64")
    w = tm.tensor(RNG.uniform(0.5, 1.0, 4), requires_grad=True)
    (twin,) = [k for k in registry.twins("CrossEntropy.backward") if k.backend == "emulator"]
    before = twin.calls
    with tm.use_kernels("emulator"):
        CrossEntropy.apply(tm.tensor(x), tm.tensor(t), w).backward(tm.ones(4, dtype=tm.float64))
    assert twin.calls == before
    np.testing.assert_allclose(w.grad.numpy(), expected_of(x, t)[0])


@pytest.mark.parametrize("shape", [(4, 5), (3, 140), (2, 3, 4)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_pass_the_gradient_check_through_the_kernels(shape, reduction):
    x, t = problem(shape, "float64")
    t = tm.tensor(t)
    variable = tm.tensor(x, requires_grad=True)
    assert on_kernels(gradcheck, lambda x: cross_entropy(x, t, reduction=reduction), (variable,))


@pytest.mark.parametrize("classes", [75, 700])
def test_bfloat16_logits_are_computed_in_float32(classes):
    x, t = problem((3, classes))
    bits = x.view(np.uint32) >> 16  # cut to the 8 digits of bfloat16
    x = (bits << 16).astype(np.uint32).view(np.float32)
    stored, dx = bits.astype(np.uint16), np.empty((3, classes), np.uint16)
    loss = np.empty(3, np.uint16)
    plan = plan_rows(classes, 2, held=2)
    sizes = int32(3), int32(classes), int32(plan.team), int32(0)
    kernel = cuda_function("cross_entropy.cu", f"cross_entropy_rows_{plan.kind}_bf16")
    with emulated.emulator("check"):
        arguments = loss, dx, stored, t, None, None, float32(1.0), *sizes
        kernel(plan.grid(3), (plan.threads,), arguments)
    expected_loss, expected_dx = expected_of(x, t)
    wide = [(a.astype(np.uint32) << 16).view(np.float32) for a in (loss, dx)]
    np.testing.assert_allclose(wide[0], expected_loss, rtol=2.0**-8 + 1e-5)
    np.testing.assert_allclose(wide[1], expected_dx, rtol=2.0**-8 + 1e-5)


def test_logits_are_read_once_and_the_gradient_is_written_once():
    x, t = problem((4, 4096))
    found = profile("cross_entropy_rows_long_f32", CrossEntropy.apply, x, t, None)
    rows = [a for a in found if a.space == "global" and a.requests == x.size // (4 * 32)]
    assert len(rows) == 2  # a pack per lane, once each way
    # NumPy's arrays start at 16 bytes, so that a warp's 16 sectors may be cut to 17; GPUs: at 256
    assert max(a.ratio for a in rows) <= 17 / 16 + 1e-3
    assert {a.ratio for a in found if a.space == "shared"} == {1.0}


@pytest.mark.torch
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(6, 130), (2, 5, 3, 4)])
def test_pytorch_agrees(reduction, shape):
    import torch

    x, t = problem(shape)
    theirs = torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(theirs, torch.tensor(t), reduction=reduction)
    loss.backward()
    ours = tm.tensor(x, requires_grad=True)
    with tm.use_kernels("emulator", strict=True):
        our_loss = cross_entropy(ours, tm.tensor(t), reduction=reduction)
        our_loss.backward()
    assert our_loss.item() == pytest.approx(loss.item(), rel=2e-6)
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-6)
