"""repr of a Tensor is PyTorch's, but for the names of dtypes (float64 for torch.float64)."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm

pytestmark = pytest.mark.host_only("on a GPU the text names the device")

SHAPES = [(), (3,), (2, 3), (2, 2, 3), (0,), (0, 3), (30,), (1001,), (40, 40), (11, 10, 10)]


@pytest.fixture
def default_options():
    yield
    tm.set_printoptions(profile="default")


def test_dtype_and_history_follow_the_numbers() -> None:
    x = tm.tensor([[1.0, 2.0]], requires_grad=True)
    assert repr(x) == "tensor([[1., 2.]], requires_grad=True)"
    assert repr(x * 2) == "tensor([[2., 4.]], grad_fn=<MulBackward0>)"
    assert repr(tm.tensor([1.5], dtype=tm.float64)) == "tensor([1.5000], dtype=float64)"
    assert repr(tm.tensor([True, False])) == "tensor([ True, False])"
    assert repr(tm.zeros(0, 3)) == "tensor([], size=(0, 3))"


def test_a_view_whose_gradient_is_lost_can_still_be_printed() -> None:
    y = tm.tensor([1.0, 2.0], requires_grad=True) * 1
    a, _ = y.unbind()
    y.mul_(2)
    assert repr(a) == "tensor(2., grad_fn=<Invalid>)"


@pytest.mark.torch
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e5, 1e9])
def test_the_layout_is_that_of_pytorch(shape, scale) -> None:
    torch = pytest.importorskip("torch")
    a = np.asarray(np.random.default_rng(0).standard_normal(shape) * scale, dtype=np.float32)
    for array in (a, np.round(a), a.astype(np.int64), a > 0):
        array = np.asarray(array)
        expected = repr(torch.from_numpy(array)).replace("torch.", "")
        assert repr(tm.from_numpy(array)) == expected


@pytest.mark.torch
def test_odd_numbers_look_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for values in ([np.nan, 1.0], [np.inf, -np.inf], [0.0, 0.0], [1e-5, 0.0], [1e10, 1.0], [-0.0]):
        array = np.array(values, dtype=np.float32)
        assert repr(tm.from_numpy(array)) == repr(torch.from_numpy(array))


def test_options_change_precision_and_summary(default_options) -> None:
    tm.set_printoptions(precision=2, threshold=4, edgeitems=1)
    assert repr(tm.tensor([1.234, 0.0])) == "tensor([1.23, 0.00])"
    assert repr(tm.arange(9)) == "tensor([0,  ..., 8])"
    tm.set_printoptions(sci_mode=True)
    assert repr(tm.tensor([1.5])) == "tensor([1.50e+00])"
    with pytest.raises(ValueError, match="profile"):
        tm.set_printoptions(profile="colourful")
