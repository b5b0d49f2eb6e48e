"""Convolution: against its definition, and its errors."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.ops.convolution import Conv2d
from tinygrad_mmb.ops.cross_entropy import CrossEntropy
from tinygrad_mmb.ops.linear import Linear
from tinygrad_mmb.ops.normalization import BatchNorm, LayerNorm


def test_a_shifted_image_gives_a_shifted_answer(rng):
    x, w = rng.standard_normal((1, 1, 8, 8)), tm.from_numpy(rng.standard_normal((1, 1, 3, 3)))
    y = F.conv2d(tm.from_numpy(x), w).numpy()
    shifted = F.conv2d(tm.from_numpy(np.roll(x, 1, 3)), w).numpy()
    np.testing.assert_allclose(shifted[..., 1:], y[..., :-1], atol=1e-12)


def test_same_keeps_the_size_and_an_empty_batch_stays_empty():
    assert F.conv2d(tm.ones(1, 1, 5, 6), tm.ones(1, 1, 4, 3), padding="same").shape == (1, 1, 5, 6)
    assert F.conv2d(tm.ones(0, 1, 5, 6), tm.ones(2, 1, 3, 3)).shape == (0, 2, 3, 4)
    assert F.conv2d(tm.ones(1, 5, 6), tm.ones(2, 1, 3, 3)).shape == (2, 3, 4)


@pytest.mark.parametrize("op", [Conv2d, Linear, CrossEntropy, BatchNorm, LayerNorm])
def test_the_rule_of_a_fused_op_is_the_gradient_of_its_definition(op, rng):
    for args in op.samples(rng, 4):
        inputs = [tm.tensor(a, requires_grad=a.dtype.kind == "f") if hasattr(a, "dtype") else a
                  for a in args]  # fmt: skip
        wrt = [x for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
        y, z = op.apply(*inputs), op.definition(*inputs)
        y, z = (v[0] if isinstance(v, tuple) else v for v in (y, z))
        g = tm.randn(*y.shape, dtype=tm.float64)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), atol=1e-12)
        pairs = zip(tm.autograd.grad(y, wrt, g), tm.autograd.grad(z, wrt, g), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-11)
        assert issubclass(op, Fused)


X, W = tm.ones(1, 2, 5, 5), tm.ones(4, 2, 3, 3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.conv2d(tm.ones(5, 5), W), RuntimeError, "3D .* or 4D"),
        (lambda: F.conv2d(X, tm.ones(3, 3)), RuntimeError, "expected weight"),
        (lambda: F.conv2d(tm.ones(1, 3, 5, 5), W), RuntimeError, "2 channels, but got 3"),
        (lambda: F.conv2d(X, W, tm.ones(3)), RuntimeError, r"expected bias of shape \(4,\)"),
        (lambda: F.conv2d(X, tm.ones(4, 2, 6, 3)), RuntimeError, "greater than input size"),
        (lambda: F.conv2d(X, W, stride=0), RuntimeError, "non-positive stride"),
        (lambda: F.conv2d(X, W, padding=-1), RuntimeError, "negative padding"),
        (lambda: F.conv2d(X, W, dilation=0), RuntimeError, "dilation"),
        (lambda: F.conv2d(X, W, groups=0), RuntimeError, "groups"),
        (lambda: F.conv2d(X, tm.ones(3, 1, 3, 3), groups=2), RuntimeError, "divisible"),
        (lambda: F.conv2d(X, W, padding="full"), RuntimeError, "invalid padding"),
        (lambda: F.conv2d(X, W, padding="same", stride=2), RuntimeError, "strided"),
        (lambda: F.conv2d(X, W.double()), RuntimeError, "one dtype"),
        (lambda: F.conv2d(X, W, stride=(1, 1, 1)), RuntimeError, "list of 2 values"),
        (lambda: F.conv2d(X, W, stride=1.5), TypeError, "must be an int"),
        (lambda: F.linear(tm.ones(2, 3), tm.ones(4, 5)), RuntimeError, r"Linear\(3, 4\)"),
        (lambda: F.linear(tm.ones(2, 3), tm.ones(4, 3).double()), RuntimeError, "same dtype"),
        (lambda: F.linear(tm.ones(2, 3), tm.ones(4, 3), tm.ones(3)), RuntimeError, "bias of shape"),
        (lambda: F.linear(tm.tensor(1.0), tm.ones(4, 3)), RuntimeError, "at least 1D"),
    ],
)
def test_misuse_is_refused_with_pytorchs_error_and_a_way_out(call, error, text):
    with pytest.raises(error, match=text):
        call()
