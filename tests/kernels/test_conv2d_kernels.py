"""Convolution as CUDA kernels, on the emulator: by columns, and as an implicit matrix product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tests.kernels.emulation import EPS, assert_same_bits, in_every_order, moved, on_kernels
from tinygrad_mmb import nn
from tinygrad_mmb.autograd.gradcheck import gradcheck, gradgradcheck
from tinygrad_mmb.kernels.cuda import conv2d as wrapper
from tinygrad_mmb.kernels.launch.emulated import emulator
from tinygrad_mmb.nn.samples import as_function
from tinygrad_mmb.ops.convolution import Conv2d
from tinygrad_mmb.ops.windows import Fold, Geometry, Windows

RNG = np.random.default_rng(10)


def convolved(x, weight, bias, stride, padding, dilation, groups):
    """From the definition, in float64: a sum over the places of the window."""
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    (o, c, kh, kw), n = weight.shape, x.shape[0]
    oh = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, groups, o // groups, oh, ow))
    w = weight.reshape(groups, o // groups, c, kh, kw)
    x = x.reshape(n, groups, c, *x.shape[2:])
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dilation[0], i * dilation[0] + stride[0] * (oh - 1) + 1, stride[0])
            cols = slice(j * dilation[1], j * dilation[1] + stride[1] * (ow - 1) + 1, stride[1])
            y += np.einsum("ngchw,goc->ngohw", x[..., rows, cols], w[..., i, j])
    y = y.reshape(n, o, oh, ow)
    return y if bias is None else y + bias.astype(np.float64)[:, None, None]


@settings(max_examples=40)
@given(
    n=st.sampled_from([1, 2, 5]),
    channels=st.sampled_from([1, 3, 17]),
    filters=st.sampled_from([1, 2, 65]),
    size=st.sampled_from([(5, 6), (9, 7), (13, 13)]),
    kernel=st.sampled_from([(1, 1), (3, 3), (2, 3), (5, 1)]),
    stride=st.sampled_from([(1, 1), (2, 1), (3, 2)]),
    padding=st.sampled_from([(0, 0), (1, 2)]),
    dilation=st.sampled_from([(1, 1), (1, 2)]),
    groups=st.sampled_from([1, 2, 3]),
    bias=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    by=st.integers(0, 1),
)
def test_convolution_of_any_geometry(
    n, channels, filters, size, kernel, stride, padding, dilation, groups, bias, dtype, by
):
    x = moved(RNG.standard_normal((n, channels * groups, *size)).astype(dtype), by)
    weight = RNG.standard_normal((filters * groups, channels, *kernel)).astype(dtype)
    b = RNG.standard_normal(filters * groups).astype(dtype) if bias else None
    y = on_kernels(F.conv2d, x, weight, b, stride, padding, dilation, groups)
    assert y.dtype == x.dtype
    # a sum of K products rounds at most K + 1 times, each by eps of the sum of their sizes
    k = channels * kernel[0] * kernel[1]
    sizes = convolved(np.abs(x), np.abs(weight), b, stride, padding, dilation, groups)
    expected = convolved(x, weight, b, stride, padding, dilation, groups)
    assert (np.abs(y - expected) <= (k + 2) * EPS[dtype] * (np.abs(sizes) + 6)).all()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), ((2, 1), (1, 2), (1, 2))])
def test_gradients_pass_the_gradient_check_through_the_kernels(stride, padding, dilation, groups):
    x = tm.tensor(RNG.standard_normal((2, 2 * groups, 5, 6)), requires_grad=True)
    weight = tm.tensor(RNG.standard_normal((3 * groups, 2, 3, 2)), requires_grad=True)
    bias = tm.tensor(RNG.standard_normal(3 * groups), requires_grad=True)
    assert on_kernels(
        gradcheck,
        lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation, groups),
        (x, weight, bias),
    )


def gradients(x, weight, bias, g, geometry, groups):
    tensors = [tm.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = Conv2d.apply(*tensors, geometry, groups)
    y.backward(tm.tensor(g))
    return [y.detach().numpy(), *[t.grad.numpy() for t in tensors]]


def case(dtype, n=2, channels=3, filters=4, size=(9, 8), groups=2):
    geometry = Geometry((3, 2), (2, 1), (1, 2), (1, 0), (1, 1))
    counts = geometry.windows(0, size[0]), geometry.windows(1, size[1])
    x = RNG.standard_normal((n, channels * groups, *size)).astype(dtype)
    weight = RNG.standard_normal((filters * groups, channels, 3, 2)).astype(dtype)
    bias = RNG.standard_normal(filters * groups).astype(dtype)
    g = RNG.standard_normal((n, filters * groups, *counts)).astype(dtype)
    return x, weight, bias, g, geometry, groups


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(dtype):
    runs = in_every_order(gradients, *case(dtype))
    assert_same_bits([np.concatenate([a.ravel() for a in run]) for run in runs])


def test_the_sum_of_a_filters_gradient_is_split_and_added_in_order(monkeypatch):
    arguments = case("float64", n=7, size=(21, 20))
    with tm.use_kernels("reference"):
        expected = gradients(*arguments)
    for share in (10**9, 100, 1):  # one split, some, more than there are terms for
        monkeypatch.setattr(wrapper, "SHARE", share)
        for e, f in zip(expected, on_kernels(gradients, *arguments), strict=True):
            # sums of up to 1,400 products in another order
            np.testing.assert_allclose(f, e, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wrapper, "SHARE", 100)
        runs = in_every_order(gradients, *case("float64", n=3))
    assert_same_bits([np.concatenate([a.ravel() for a in run]) for run in runs])


def test_more_columns_and_terms_than_tiles_in_float32():
    x = RNG.standard_normal((3, 20, 15, 15)).astype("float32")
    weight = RNG.standard_normal((70, 20, 3, 3)).astype("float32")
    y = on_kernels(F.conv2d, x, weight, None, 1, 1)
    expected = convolved(x, weight, None, (1, 1), (1, 1), (1, 1), 1)
    np.testing.assert_allclose(y, expected, atol=180 * EPS["float32"] * 180)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_and_their_fold_have_the_bits_of_the_reference(dtype):
    for geometry in (
        Geometry((2, 3), (2, 1), (1, 2), (1, 0), (0, 2)),
        Geometry((3, 3), (3, 2), (1, 1), (0, 1), (-1, 1)),
    ):
        x = RNG.standard_normal((2, 3, 8, 9)).astype(dtype)
        with tm.use_kernels("reference"):
            columns = Windows.apply(x, geometry)
            image = Fold.apply(columns, (8, 9), geometry)
        np.testing.assert_array_equal(on_kernels(Windows.apply, x, geometry), columns)
        np.testing.assert_array_equal(on_kernels(Fold.apply, columns, (8, 9), geometry), image)
        assert_same_bits(in_every_order(Windows.apply, x, geometry))
        assert_same_bits(in_every_order(Fold.apply, columns, (8, 9), geometry))


def test_an_empty_batch_is_left_to_the_reference():
    x, weight = np.zeros((0, 2, 5, 5)), np.ones((3, 2, 2, 2))
    with tm.use_kernels("emulator"):
        assert F.conv2d(x, weight).shape == (0, 3, 4, 4)


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    x, weight, bias = (RNG.standard_normal(s) for s in ((2, 4, 7, 8), (6, 2, 3, 3), (6,)))
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch.nn.functional.conv2d(*theirs, **options)
    g = RNG.standard_normal(tuple(y.shape))
    y.backward(torch.tensor(g))
    ours = [tm.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    with tm.use_kernels("emulator", strict=True):
        mine = F.conv2d(*ours, **options)
        mine.backward(tm.tensor(g))
    np.testing.assert_allclose(mine.detach().numpy(), y.detach().numpy(), rtol=1e-11, atol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_and_its_relu_are_one_launch_and_compute_what_the_definition_says(dtype):
    model = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU()).to(getattr(tm, dtype))
    weight, bias = (p.detach().numpy() for p in model.parameters())
    x = tm.tensor(RNG.standard_normal((4, 2, 7, 6)).astype(dtype), requires_grad=True)
    with emulator("check", profile=True) as e:
        y = on_kernels(model, x)
        assert [p["kernel"].partition("_f")[0] for p in e.profiles] == ["conv2d_relu"]
        g = RNG.standard_normal(y.shape).astype(dtype)
        on_kernels(y.backward, tm.tensor(g))
    z = convolved(x.detach().numpy(), weight, bias, (2, 2), (1, 1), (1, 1), 1)
    tolerance = 40 * EPS[dtype] * 8  # sums of some dozens of numbers of size 1
    np.testing.assert_allclose(y.detach().numpy(), np.maximum(z, 0), rtol=0, atol=tolerance)
    gated = tm.tensor(np.where(z > 0, g, 0), dtype=tm.float64)
    wide = [v.detach().to(tm.float64).requires_grad_() for v in (x, *model.parameters())]
    expected = tm.autograd.grad(F.conv2d(*wide, 2, 1), wide, gated)
    for found, gradient in zip((x, *model.parameters()), expected, strict=True):
        np.testing.assert_allclose(found.grad.numpy(), gradient.numpy(), rtol=0, atol=4 * tolerance)


def test_a_layer_and_its_relu_pass_gradient_checks_through_the_kernels():
    model = nn.Sequential(nn.Conv2d(2, 2, 2), nn.ReLU()).double()
    x = tm.tensor(RNG.standard_normal((2, 2, 3, 4)), requires_grad=True)
    f, parameters = as_function(model)
    with tm.use_kernels("emulator"):
        assert gradcheck(f, (x, *parameters))
        assert gradgradcheck(f, (x, *parameters), atol=1e-4)
