"""Pooling as CUDA kernels, on the emulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tests.kernels.emulation import assert_same_bits, in_every_order, on_kernels
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.ops.pooling import MaxPool2d, WindowSum
from tinygrad_mmb.ops.windows import Geometry

RNG = np.random.default_rng(9)
GEOMETRIES = [
    Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0)),
    Geometry((3, 2), (1, 2), (1, 2), (1, 1), (1, 1)),
    Geometry((3, 3), (2, 1), (1, 1), (1, 1), (1, 0)),
    Geometry((2, 3), (3, 3), (2, 1), (0, 1), (-1, 1)),
    Geometry((1, 1), (1, 1), (1, 1), (0, 0), (0, 0)),
]
SIZES = st.sampled_from([(6, 6), (5, 7), (11, 6), (17, 33)])
BATCHES = st.sampled_from([(1, 1), (2, 3), (0, 2), (5, 1)])


def there_and_back(op, x, g, geometry):
    """The outputs and the gradient of x."""
    t = tm.tensor(x, requires_grad=True)
    outputs = op.apply(t, geometry)
    outputs = outputs if type(outputs) is tuple else (outputs,)
    outputs[0].backward(tm.tensor(g[: outputs[0].numel()].reshape(outputs[0].shape)))
    return [*[y.detach().numpy() for y in outputs], t.grad.numpy()]


@settings(max_examples=50)
@given(
    op=st.sampled_from([MaxPool2d, WindowSum]),
    size=SIZES,
    batch=BATCHES,
    geometry=st.sampled_from(GEOMETRIES),
    dtype=st.sampled_from(["float32", "float64"]),
    ties=st.booleans(),
)
def test_there_and_back_with_the_bits_of_the_reference(op, size, batch, geometry, dtype, ties):
    x = RNG.standard_normal((*batch, *size)).astype(dtype)
    x = np.round(x) if ties else x
    g = RNG.standard_normal(x.size * 9).astype(dtype)
    with tm.use_kernels("reference"):
        expected = there_and_back(op, x, g, geometry)
    for e, f in zip(expected, on_kernels(there_and_back, op, x, g, geometry), strict=True):
        assert (e.dtype, e.shape) == (f.dtype, f.shape)
        np.testing.assert_array_equal(f, e)  # the same terms in the same order


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_nan_is_the_largest_and_a_window_of_minus_infinity_has_a_place(value):
    x = RNG.standard_normal((1, 1, 6, 6)).astype("float32")
    x[0, 0, :3] = value
    with tm.use_kernels("reference"):
        expected = MaxPool2d.apply(x, GEOMETRIES[2])
    for e, f in zip(expected, on_kernels(MaxPool2d.apply, x, GEOMETRIES[2]), strict=True):
        np.testing.assert_array_equal(f, e)


def test_a_window_whose_places_all_lie_in_the_border_names_the_place_the_reference_names():
    x = np.ones((1, 1, 2, 3))
    geometry = Geometry((2, 1), (1, 1), (5, 1), (3, 0), (3, 0))
    with tm.use_kernels("reference"):
        expected = MaxPool2d.apply(x, geometry)
    assert np.isneginf(expected[0]).any()
    for e, f in zip(expected, on_kernels(MaxPool2d.apply, x, geometry), strict=True):
        np.testing.assert_array_equal(f, e)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_gradients_of_the_layers_pass_the_gradient_check_through_the_kernels(ceil_mode):
    x = tm.tensor(RNG.permutation(2 * 2 * 5 * 7).reshape(2, 2, 5, 7) * 0.1, requires_grad=True)
    options = {"stride": 2, "padding": 1, "ceil_mode": ceil_mode}
    with tm.use_kernels("emulator"):  # the mean divides by counts, which broadcast
        assert gradcheck(lambda x: F.max_pool2d(x, 3, **options), (x,))
        assert gradcheck(lambda x: F.avg_pool2d(x, 3, **options), (x,))


@pytest.mark.parametrize("op", [MaxPool2d, WindowSum])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(op, dtype):
    x, g = (RNG.standard_normal(s).astype(dtype) for s in ((2, 2, 11, 9), 4000))
    runs = in_every_order(there_and_back, op, x, g, GEOMETRIES[1])
    assert_same_bits([np.concatenate([a.ravel() for a in run]) for run in runs])


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    functional = torch.nn.functional
    x = RNG.standard_normal((2, 3, 9, 10))
    for name, options in (
        ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}),
        ("avg_pool2d", {"kernel_size": (3, 2), "stride": (1, 2), "padding": 1, "ceil_mode": True}),
    ):
        theirs, ours = torch.tensor(x, requires_grad=True), tm.tensor(x, requires_grad=True)
        y = getattr(functional, name)(theirs, **options)
        g = RNG.standard_normal(tuple(y.shape))
        y.backward(torch.tensor(g))
        with tm.use_kernels("emulator"):
            mine = getattr(F, name)(ours, **options)
            mine.backward(tm.tensor(g))
        np.testing.assert_allclose(mine.detach().numpy(), y.detach().numpy(), rtol=1e-13)
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-13, atol=1e-14)
