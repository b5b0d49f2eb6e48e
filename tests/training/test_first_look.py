"""The first loss of an untrained classifier, and saturated units."""

from __future__ import annotations

import math
import warnings

import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.training import check_initial_loss, watch_saturation


def classifier():
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 10))


def test_a_last_layer_of_zeros_costs_exactly_ln_10():  # IN05
    model = classifier()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    loss = check_initial_loss(model, tm.randn(64, 20), tm.randint(0, 10, (64,)))
    assert loss == pytest.approx(math.log(10), rel=1e-6)


def test_the_default_start_is_within_15_percent_and_says_nothing():  # IN05
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = check_initial_loss(classifier(), tm.randn(256, 20), tm.randint(0, 10, (256,)))
    assert loss == pytest.approx(math.log(10), rel=0.15)


def test_inputs_that_are_not_scaled_are_warned_of():  # IN05
    with pytest.warns(UserWarning, match=r"guessing among 10 classes costs ln 10 = 2\.303"):
        check_initial_loss(classifier(), 100.0 * tm.randn(64, 20), tm.randint(0, 10, (64,)))


def test_the_model_is_left_in_its_mode():
    model = classifier().train()
    check_initial_loss(model, tm.randn(8, 20), tm.randint(0, 10, (8,)), tolerance=10.0)
    assert model.training


def test_saturation_is_the_share_of_units_with_a_small_slope():  # AR02, N10
    model = nn.Sequential(nn.Sigmoid())
    with watch_saturation(model) as saturated:
        model(tm.tensor([[-2.07, -2.0, 0.0, 2.06, 2.07, 50.0]]))
    assert saturated == {"0": pytest.approx(3 / 6)}
    model(tm.zeros(1, 1))
    assert saturated == {"0": pytest.approx(3 / 6)}  # nobody watches any more


def test_saturation_of_tanh():
    model = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    nn.init.ones_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    with watch_saturation(model) as saturated:
        model(tm.tensor([[1.81], [1.83], [0.0], [-9.0]]))
    assert saturated == {"1": 0.5}
