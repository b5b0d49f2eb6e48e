"""Losses: the lectures' numbers, the identities between them, and their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812

Z = [[3.2, 5.1, -1.7]]


def double(values, **options):
    return tm.tensor(values, dtype=tm.float64, **options)


@pytest.mark.parametrize(("label", "loss"), [(0, 2.040355), (1, 0.140355), (2, 6.940355)])
def test_cross_entropy_of_the_lectures_scores(label, loss):
    assert F.cross_entropy(double(Z), tm.tensor([label])).item() == pytest.approx(loss, abs=1e-6)


def test_its_gradient_is_softmax_minus_one_hot():
    z = double(Z, requires_grad=True)
    F.cross_entropy(z, tm.tensor([0])).backward()
    np.testing.assert_allclose(z.grad.numpy(), [[-0.870017, 0.869050, 0.000968]], atol=1e-6)
    np.testing.assert_allclose(tm.softmax(double(Z), 1).numpy(), [[0.129983, 0.869050, 0.000968]],
                               atol=1e-6)  # fmt: skip


def test_erratum_1_target_and_output_swapped_give_infinity_the_right_order_gives_the_loss():
    y, t = tm.softmax(double(Z), 1), F.one_hot(tm.tensor([0]), 3).double()
    right = -(t * tm.log(y)).sum().item()
    swapped = -(y * tm.log(t)).sum().item()
    assert right == pytest.approx(2.040355, abs=1e-6) and swapped == math.inf
    assert F.cross_entropy(double(Z), t).item() == pytest.approx(right, abs=1e-12)


def test_cross_entropy_is_stable_for_logits_of_10000():
    z = double([[1e4, 0.0, -1e4]], requires_grad=True)
    loss = F.cross_entropy(z, tm.tensor([2]))
    loss.backward()
    assert loss.item() == 2e4
    np.testing.assert_array_equal(z.grad.numpy(), [[1.0, 0.0, -1.0]])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_classes_and_their_one_hot_code_cost_the_same(rng, reduction):
    z, t = tm.from_numpy(rng.standard_normal((6, 4))), tm.from_numpy(rng.integers(0, 4, 6))
    a = F.cross_entropy(z, t, reduction=reduction, label_smoothing=0.1)
    b = F.cross_entropy(z, F.one_hot(t, 4).double(), reduction=reduction, label_smoothing=0.1)
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


def test_cross_entropy_is_log_softmax_and_nll(rng):
    z, t = tm.from_numpy(rng.standard_normal((2, 4, 3))), tm.from_numpy(rng.integers(0, 4, (2, 3)))
    w = tm.from_numpy(rng.uniform(0.1, 1, 4))
    a = F.cross_entropy(z, t, w, ignore_index=1)
    b = F.nll_loss(tm.log_softmax(z, 1), t, w, ignore_index=1)
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


def test_ignored_samples_cost_nothing_and_do_not_count():
    z = double([[1.0, 2.0], [3.0, 0.0], [5.0, 5.0]], requires_grad=True)
    loss = F.cross_entropy(z, tm.tensor([0, -100, 1]))
    two = F.cross_entropy(z[[0, 2]], tm.tensor([0, 1]))
    assert loss.item() == pytest.approx(two.item())
    loss.backward()
    np.testing.assert_array_equal(z.grad.numpy()[1], 0.0)
    assert math.isnan(F.cross_entropy(z.detach(), tm.tensor([-100] * 3)).item())


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss])
def test_the_gradient_of_the_sum_is_n_times_that_of_the_mean(rng, loss):
    y, t = tm.from_numpy(rng.standard_normal((3, 4))), tm.from_numpy(rng.standard_normal((3, 4)))
    gradients = []
    for reduction in ("sum", "mean"):
        x = y.clone().requires_grad_()
        loss(x, t, reduction=reduction).backward()
        gradients.append(x.grad.numpy())
    np.testing.assert_allclose(gradients[0], 12 * gradients[1])


def test_mse_is_the_mean_of_squares_with_gradient_two_thirds_of_the_difference():
    y = double([1.0, 2.0, 4.0], requires_grad=True)
    loss = F.mse_loss(y, double([1.0, 0.0, 1.0]))
    loss.backward()
    assert loss.item() == pytest.approx(13 / 3)
    np.testing.assert_allclose(y.grad.numpy(), [0.0, 4 / 3, 2.0])


def test_the_gaussian_likelihood_is_half_the_summed_squares():
    y, t = double([0.3, -1.0], requires_grad=True), double([1.0, 2.0])
    (0.5 * (y - t) ** 2).sum().backward()
    half = y.grad.numpy().copy()
    y.grad = None
    F.mse_loss(y, t, reduction="sum").backward()
    np.testing.assert_allclose(half, y.grad.numpy() / 2)


def test_bce_with_logits_is_two_class_cross_entropy_of_0_and_z(rng):
    z, t = rng.standard_normal(50) * 5, rng.integers(0, 2, 50)
    a = F.binary_cross_entropy_with_logits(double(z), double(t))
    b = F.cross_entropy(double(np.stack([0 * z, z], 1)), tm.from_numpy(t))
    c = F.binary_cross_entropy(tm.sigmoid(double(z)), double(t))
    assert a.item() == pytest.approx(b.item(), abs=1e-12) == pytest.approx(c.item(), abs=1e-12)


def test_bce_with_logits_is_stable_at_1000():
    z = double([1000.0, -1000.0], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(z, double([0.0, 0.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 1000.0
    np.testing.assert_array_equal(z.grad.numpy(), [1.0, 0.0])


def test_bce_cuts_the_logarithm_at_minus_100():
    assert F.binary_cross_entropy(double([0.0]), double([1.0])).item() == 100.0


def test_pos_weight_weighs_the_positive_class():
    a = F.binary_cross_entropy_with_logits(double([0.0]), double([1.0]), pos_weight=double([3.0]))
    assert a.item() == pytest.approx(3 * math.log(2))


def test_different_shapes_in_mse_warn_and_say_what_happens():
    with pytest.warns(UserWarning, match=r"input \(3,\) and target \(3, 1\).*squeeze"):
        assert F.mse_loss(tm.ones(3), tm.ones(3, 1), reduction="none").shape == (3, 3)
    with pytest.warns(UserWarning, match="l1_loss"):
        F.l1_loss(tm.ones(3), tm.ones(3, 1))


def test_pytorchs_old_reduction_arguments_work_with_a_warning():
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert F.mse_loss(tm.ones(3), tm.zeros(3), size_average=False).item() == 3.0


X, T = tm.ones(3, 4), tm.tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.cross_entropy(X, tm.tensor([0, 1, 4])), IndexError, "target 4 is out of bounds"),
        (lambda: F.cross_entropy(X, tm.tensor([0, 1])), ValueError, r"batch_size \(3\)"),
        (lambda: F.cross_entropy(X, T.int()), RuntimeError, "int64 or uint8, but got int32"),
        (
            lambda: F.cross_entropy(X, tm.ones(3, 5)),
            RuntimeError,
            r"expected target of shape \(3,\)",
        ),
        (lambda: F.cross_entropy(X, tm.ones(3, 4).long()), RuntimeError, "class probabilities"),
        (lambda: F.cross_entropy(X, X, ignore_index=1), RuntimeError, "ignore_index"),
        (lambda: F.cross_entropy(X, T, label_smoothing=2.0), RuntimeError, r"in \[0, 1\]"),
        (lambda: F.cross_entropy(X, T, tm.ones(3)), RuntimeError, "all 4 classes"),
        (lambda: F.cross_entropy(X, T, tm.ones(4).double()), RuntimeError, "weight of dtype"),
        (lambda: F.cross_entropy(X, T, reduction="max"), ValueError, "not a valid value"),
        (lambda: F.cross_entropy(X.long(), T), NotImplementedError, "not implemented for int64"),
        (lambda: F.nll_loss(tm.tensor(1.0), tm.tensor(0)), ValueError, "1 or more dimensions"),
        (
            lambda: F.nll_loss(X, T, tm.ones(4, requires_grad=True)),
            RuntimeError,
            "respect to weight",
        ),
        (lambda: F.mse_loss(T, T), NotImplementedError, "int64"),
        (lambda: F.mse_loss(X, X, weight=tm.ones(4)), ValueError, "same size"),
        (lambda: F.binary_cross_entropy(X, tm.ones(4, 3)), ValueError, "must be the same"),
        (lambda: F.binary_cross_entropy(X * 2, X), RuntimeError, "between 0 and 1"),
        (lambda: F.binary_cross_entropy(X, X.double()), RuntimeError, "found dtype float64"),
        (lambda: F.binary_cross_entropy(X, X, tm.ones(3)), RuntimeError, "does not broadcast"),
        (lambda: F.binary_cross_entropy_with_logits(X, X[0]), ValueError, "must be the same"),
        (lambda: F.binary_cross_entropy_with_logits(X, X.long()), RuntimeError, "floating target"),
    ],
)
def test_misuse_is_refused_with_pytorchs_error_and_a_way_out(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: F.cross_entropy(x, tm.tensor([0, 2, 1])),
        lambda x: F.cross_entropy(x, tm.tensor([0, 2, 1]), double([1.0, 2.0, 3.0])),
        lambda x: F.cross_entropy(x, tm.softmax(x * 2, 1), label_smoothing=0.2),
        lambda x: F.cross_entropy(x, tm.tensor([0, -100, 1]), label_smoothing=0.2),
        lambda x: F.nll_loss(x, tm.tensor([0, 2, 1]), reduction="none"),
        lambda x: F.mse_loss(x, x * x + 1),
        lambda x: F.l1_loss(x, x * x + 1, reduction="sum"),
        lambda x: F.binary_cross_entropy(tm.sigmoid(x), tm.sigmoid(2 * x)),
        lambda x: F.binary_cross_entropy_with_logits(x, x * x, pos_weight=double([1.0, 2.0, 3.0])),
    ],
)
def test_first_and_second_derivatives_are_right(rng, loss):
    x = tm.tensor(rng.standard_normal((3, 3)), requires_grad=True)
    tm.autograd.gradcheck(loss, (x,))
    tm.autograd.gradgradcheck(loss, (x,), atol=1e-4)


@pytest.mark.parametrize(
    "run",
    [
        lambda x, t: (F.cross_entropy(x, t), t),
        lambda x, t: (F.embedding(t, x).sum(), t),
        lambda x, t: ((pooled := x[None] * 1.0), F.max_pool2d(pooled, 2).sum(), pooled)[1:],
        lambda x, t: ((pooled := x[None] * 1.0), F.avg_pool2d(pooled, 2).sum(), pooled)[1:],
    ],
)
def test_writing_to_what_backward_needs_is_noticed(run):
    loss, needed = run(tm.ones(3, 3, requires_grad=True).reshape(1, 3, 3)[0], tm.tensor([0, 1, 2]))
    needed.mul_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
