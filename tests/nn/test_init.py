"""Initial values: their spread, their shapes, their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.nn import init


def spread(fill, shape=(512, 512), **options):
    return fill(tm.empty(*shape), **options).numpy().std()


@pytest.mark.parametrize(
    ("fill", "options", "std"),
    [
        (init.normal_, {"std": 0.3}, 0.3),
        (init.uniform_, {"a": -1.0, "b": 1.0}, 1 / math.sqrt(3)),
        (init.xavier_normal_, {}, math.sqrt(2 / 768)),
        (init.xavier_uniform_, {"gain": 2.0}, 2 * math.sqrt(2 / 768)),
        (init.kaiming_normal_, {"nonlinearity": "relu"}, math.sqrt(2 / 512)),
        (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "relu"}, math.sqrt(2 / 256)),
        (init.kaiming_uniform_, {"a": math.sqrt(5)}, math.sqrt(1 / 3 / 512)),
        (init.kaiming_uniform_, {"nonlinearity": "tanh"}, 5 / 3 / math.sqrt(512)),
    ],
)
def test_the_spread_follows_from_the_fans(fill, options, std):
    assert spread(fill, (256, 512), **options) == pytest.approx(std, rel=0.02)


def test_the_lectures_names_are_relatives_of_glorots():
    std = {f.__name__: f((512, 512)).numpy().std() for f in
           (init.glorot_relu, init.glorot, init.he, init.lecun)}  # fmt: skip
    assert std["glorot_relu"] == pytest.approx(0.0625, rel=0.02)
    assert std["glorot"] == pytest.approx(0.0625 / math.sqrt(2), rel=0.02)
    assert std["he"] == pytest.approx(0.0625, rel=0.02)
    assert std["lecun"] == pytest.approx(1 / math.sqrt(512), rel=0.02)


def test_windows_count_in_the_fans():
    assert init.fans((8, 4, 3, 5)) == (60, 120)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3)])
def test_orthogonal_matrices_have_orthonormal_rows_or_columns(shape):
    w = init.orthogonal_(tm.empty(*shape, dtype=tm.float64), gain=2.0).numpy()
    w = w.reshape(shape[0], -1) / 2.0
    small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(small, np.eye(min(w.shape)), atol=1e-12)


def test_sparse_columns_have_their_share_of_zeros():
    w = init.sparse_(tm.empty(10, 7), sparsity=0.25).numpy()
    np.testing.assert_array_equal((w == 0).sum(0), 3)


def test_truncated_normals_stay_within_their_bounds():
    w = init.trunc_normal_(tm.empty(1000), std=2.0, a=-1.0, b=1.0).numpy()
    assert abs(w).max() <= 1.0 and w.std() > 0.4


def test_constants_and_the_identity():
    np.testing.assert_array_equal(init.constant_(tm.empty(2), 3.0).numpy(), 3.0)
    np.testing.assert_array_equal(init.ones_(tm.empty(2)).numpy(), 1.0)
    np.testing.assert_array_equal(init.zeros_(tm.empty(2)).numpy(), 0.0)
    np.testing.assert_array_equal(init.eye_(tm.empty(2, 3)).numpy(), np.eye(2, 3))


def test_filling_a_parameter_is_not_recorded_and_returns_it():
    p = nn.Parameter(tm.zeros(3, 3))
    assert init.xavier_uniform_(p) is p and p.is_leaf and p.requires_grad


def test_a_generator_decides_the_draw():
    draws = [
        init.normal_(tm.empty(5), generator=tm.Generator().manual_seed(1)).numpy() for _ in "ab"
    ]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [("linear", None, 1), ("sigmoid", None, 1), ("tanh", None, 5 / 3), ("relu", None, 2**0.5),
     ("leaky_relu", None, (2 / 1.0001) ** 0.5), ("leaky_relu", 1, 1.0), ("selu", None, 0.75)],
)  # fmt: skip
def test_gains_are_pytorchs(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: init.calculate_gain("softmax"), "Unsupported nonlinearity"),
        (lambda: init.calculate_gain("leaky_relu", True), "not a valid number"),
        (lambda: init.xavier_normal_(tm.empty(3)), "at least 2 dimensions"),
        (lambda: init.kaiming_normal_(tm.empty(3, 3), mode="fan"), "Mode fan not supported"),
        (lambda: init.orthogonal_(tm.empty(3)), "2 or more dimensions"),
        (lambda: init.sparse_(tm.empty(3), 0.1), "2 dimensions"),
        (lambda: init.eye_(tm.empty(3)), "2 dimensions"),
    ],
)
def test_what_cannot_be_filled_is_a_value_error(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_an_empty_range_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="a <= b"):
        init.uniform_(tm.empty(2), 1.0, 0.0)
    with pytest.raises(RuntimeError, match="std >= 0"):
        init.normal_(tm.empty(2), std=-1.0)


def test_filling_nothing_warns():
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_uniform_(tm.empty(0, 3))
