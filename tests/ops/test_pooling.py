"""Pooling and padding: known values, ties, borders, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812


def image(rows, columns):
    return tm.arange(rows * columns).double().reshape(1, 1, rows, columns)


def test_max_and_mean_of_windows():
    np.testing.assert_array_equal(F.max_pool2d(image(4, 4), 2).numpy(), [[[[5, 7], [13, 15]]]])
    np.testing.assert_array_equal(
        F.avg_pool2d(image(4, 4), 2).numpy(), [[[[2.5, 4.5], [10.5, 12.5]]]]
    )


def test_indices_count_within_the_plane_and_without_the_border():
    _, indices = F.max_pool2d(image(3, 3), 2, padding=1, return_indices=True)
    np.testing.assert_array_equal(indices.numpy(), [[[[0, 2], [6, 8]]]])


def test_of_equal_values_the_first_is_taken_and_nan_wins():
    x = tm.tensor([[[[1.0, 1.0], [1.0, 1.0]]]])
    assert F.max_pool2d(x, 2, return_indices=True)[1].item() == 0
    x = tm.tensor([[[[1.0, math.nan], [9.0, 1.0]]]])
    value, index = F.max_pool2d(x, 2, return_indices=True)
    assert math.isnan(value.item()) and index.item() == 1


def test_overlapping_windows_add_their_gradients():
    x = image(3, 3).requires_grad_()
    F.max_pool2d(x, 2, stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[[[0, 0, 0], [0, 1, 1], [0, 1, 1]]]])


def test_the_border_counts_in_the_mean_unless_told_otherwise():
    x = tm.ones(1, 1, 2, 2)
    assert F.avg_pool2d(x, 2, padding=1).numpy()[0, 0, 0, 0] == 0.25
    assert F.avg_pool2d(x, 2, padding=1, count_include_pad=False).numpy()[0, 0, 0, 0] == 1.0
    assert F.avg_pool2d(x, 2, divisor_override=8).item() == 0.5


def test_ceil_mode_keeps_a_last_window_that_hangs_over():
    assert F.max_pool2d(image(5, 5), 2).shape == (1, 1, 2, 2)
    assert F.max_pool2d(image(5, 5), 2, ceil_mode=True).shape == (1, 1, 3, 3)
    assert F.avg_pool2d(image(5, 5), 2, ceil_mode=True).numpy()[0, 0, 2, 2] == 24.0


def test_padding_writes_a_border_and_negative_widths_crop():
    x = tm.tensor([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(F.pad(x, (1, 2), value=9.0).numpy(), [[9, 1, 2, 3, 9, 9]])
    np.testing.assert_array_equal(F.pad(x, (-1, 0, 1, 0)).numpy(), [[0, 0], [2, 3]])
    np.testing.assert_array_equal(F.pad(x, (2, 1), "reflect").numpy(), [[3, 2, 1, 2, 3, 2]])
    np.testing.assert_array_equal(F.pad(x, (2, 1), "replicate").numpy(), [[1, 1, 1, 2, 3, 3]])
    np.testing.assert_array_equal(F.pad(x, (2, 1), "circular").numpy(), [[2, 3, 1, 2, 3, 1]])


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_every_mode_of_padding_is_differentiable_twice(rng, mode):
    x = tm.tensor(rng.standard_normal((1, 2, 3, 4)), requires_grad=True)
    tm.autograd.gradcheck(lambda v: F.pad(v, (2, 1, 1, 2), mode) ** 2, (x,))
    tm.autograd.gradgradcheck(lambda v: F.pad(v, (2, 1, 1, 2), mode) ** 2, (x,), atol=1e-4)


X = tm.ones(1, 1, 4, 4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.max_pool2d(tm.ones(4, 4), 2), RuntimeError, "3D .* or 4D"),
        (lambda: F.max_pool2d(tm.ones(1, 0, 4, 4), 2), RuntimeError, "only the batch"),
        (lambda: F.max_pool2d(X, 5), RuntimeError, "Output size is too small"),
        (lambda: F.max_pool2d(X, 2, padding=2), RuntimeError, "at most half"),
        (lambda: F.max_pool2d(X, 2, padding=-1), RuntimeError, "non-negative"),
        (lambda: F.max_pool2d(X, 2, stride=0), RuntimeError, "stride should be greater"),
        (lambda: F.max_pool2d(X, (2, 2, 2)), RuntimeError, "kernel_size"),
        (lambda: F.max_pool2d(X.bool(), 2), NotImplementedError, "bool"),
        (lambda: F.avg_pool2d(X.int(), 2), NotImplementedError, "int32"),
        (lambda: F.avg_pool2d(X, 2, divisor_override=0), RuntimeError, "not zero"),
        (lambda: F.pad(X, (1,)), RuntimeError, "divisible by 2"),
        (lambda: F.pad(tm.ones(2), (1, 1, 1, 1)), RuntimeError, "at most two widths"),
        (lambda: F.pad(X, (-3, -2)), RuntimeError, "crops more than there is"),
        (lambda: F.pad(X, (1, 1), "mirror"), NotImplementedError, "unrecognised"),
        (lambda: F.pad(X, (1, 1, 1, 1), "reflect", 1.0), RuntimeError, "value"),
        (lambda: F.pad(X, (4, 1, 1, 1), "reflect"), RuntimeError, "cannot continue"),
        (lambda: F.pad(X, (1.5, 1)), TypeError, "ints"),
    ],
)
def test_misuse_is_refused_with_pytorchs_error_and_a_way_out(call, error, text):
    with pytest.raises(error, match=text):
        call()
