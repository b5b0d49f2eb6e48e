"""The C++ twin of the losses of single samples: any dimensions, weights, ignored classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tests.cpu.test_rows import agree, computed, numbers, ran
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.nn import functional as F  # noqa: N812

pytestmark = pytest.mark.skipif(native is None, reason="no C++ here")

REDUCTIONS = st.sampled_from(["none", "mean", "sum"])
INNER = st.sampled_from([(), (1,), (5,), (16,), (3, 7), (40,)])


@given(
    n=st.integers(1, 9),
    classes=st.sampled_from([1, 2, 3, 10, 16, 33, 257]),
    inner=INNER,
    dtype=st.sampled_from([np.float32, np.float64]),
    weighted=st.booleans(),
    ignored=st.booleans(),
    reduction=REDUCTIONS,
    layout=st.sampled_from(["rows", "reversed", "gaps"]),
)
def test_losses_of_samples(n, classes, inner, dtype, weighted, ignored, reduction, layout):
    rng = np.random.default_rng(1)
    t = tm.tensor(rng.integers(0, classes, (n, *inner)))
    first = int(t.flatten()[0])
    options = {"reduction": reduction, "ignore_index": first if ignored else -100}
    if ignored and reduction == "mean" and bool((t == first).all()):
        return  # 0 / 0, which has a test of its own
    w = tm.tensor(rng.uniform(0.5, 2.0, classes).astype(dtype)) if weighted else None
    before = ran("CrossEntropy"), ran("CrossEntropy.backward")
    agree(
        lambda x: 3.0 * F.cross_entropy(x, t, w, **options),
        4 * numbers((n, classes, *inner), dtype, 0, layout),
    )
    if inner or reduction == "none":
        assert ran("CrossEntropy") > before[0]
        assert ran("CrossEntropy.backward") > before[1]


def test_by_hand():
    """softmax of (0, ln 3) is (1/4, 3/4)."""
    x = tm.tensor([[0.0, math.log(3.0)]] * 2, dtype=tm.float64).requires_grad_()
    with tm.use_kernels("cpu", strict=True):
        losses = F.cross_entropy(x, tm.tensor([0, 1]), reduction="none")
        losses.backward(tm.tensor([1.0, 2.0], dtype=tm.float64))
    np.testing.assert_allclose(losses.detach().numpy(), [math.log(4), math.log(4 / 3)])
    np.testing.assert_allclose(x.grad.numpy(), [[-0.75, 0.75], [0.5, -0.5]])


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5)])
def test_a_small_loss_among_large_logits_keeps_its_digits(shape):
    x = np.full(shape, 993.0, np.float32)
    x[:, 1] = 1000.0
    t = tm.ones((3, *shape[2:]), dtype=tm.int64)
    with tm.use_kernels("cpu", strict=True):
        losses = F.cross_entropy(tm.from_numpy(x), t, reduction="none").numpy()
    # 0.0027: its spacing comes from 1 + 0.0027, 4e-5 of it; at 1000 it would be 0.02 of it
    np.testing.assert_allclose(losses, math.log1p(3 * math.exp(-7.0)), rtol=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("inner", [(), (6,), (4, 5)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equal_to_pytorch(reduction, inner, smoothing):
    import torch

    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((7, 11, *inner)), rng.integers(0, 11, (7, *inner))
    w, options = rng.uniform(0.5, 2.0, 11), {"reduction": reduction, "label_smoothing": smoothing}
    theirs = torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(t), torch.tensor(w), ignore_index=3, **options
    )
    g = np.cos(np.arange(loss.numel())).reshape(tuple(loss.shape))
    loss.backward(torch.tensor(g))
    found, gradient = computed(
        lambda v: F.cross_entropy(v, tm.tensor(t), tm.tensor(w), ignore_index=3, **options),
        [x],
        "cpu",
    )
    np.testing.assert_allclose(found, loss.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("shape", [(700, 300), (20, 30, 500), (2, 100_000)])
def test_the_bits_do_not_depend_on_the_number_of_threads(shape):
    t = tm.tensor(np.random.default_rng(0).integers(0, shape[1], (shape[0], *shape[2:])))
    x = numbers(shape, np.float32)
    assert_same_bits(
        lambda: computed(lambda x: F.cross_entropy(x, t, reduction="none"), [x], "cpu")
    )


def test_a_class_that_is_not_there_is_no_wild_read():
    from tinygrad_mmb.ops.cross_entropy import CrossEntropy

    for wrong in (-1, 4):
        with pytest.raises(IndexError, match=f"target {wrong} is out of bounds"):
            CrossEntropy.apply(tm.randn(2, 4), tm.tensor([0, wrong]), None)


def test_second_derivatives_come_from_the_definition():
    t = tm.tensor([[2, 0], [1, 1]])
    x = tm.randn(2, 3, 2, dtype=tm.float64).requires_grad_()
    assert tm.autograd.gradgradcheck(lambda v: F.cross_entropy(v, t, reduction="none"), (x,))
