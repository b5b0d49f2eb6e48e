"""What the code of a step names, globals, attributes, lists, numbers, is watched."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def test_a_global_of_the_step_that_is_bound_anew_is_noticed():
    scale = tm.tensor(2.0)

    @tm.capture
    def scaled(x: tm.Tensor) -> tm.Tensor:
        return (x * scale).sum()

    x = tm.ones(3)
    assert [float(scaled(x).array) for _ in range(3)] == [6.0] * 3
    scale = tm.tensor(5.0)
    assert [float(scaled(x).array) for _ in range(3)] == [15.0] * 3


def test_an_attribute_that_the_step_names_is_watched_and_its_own_counter_is_not():
    class Settings:
        factor, calls = 2.0, 0

    settings = Settings()
    settings.factor, settings.calls = 3.0, 0

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        settings.calls += 1
        return (x * settings.factor).sum()

    assert [float(step(tm.ones(2)).array) for _ in range(4)] == [6.0] * 4
    settings.factor = 4.0
    assert [float(step(tm.ones(2)).array) for _ in range(4)] == [8.0] * 4
    assert settings.calls == 4 == step.cache_info().traces


def test_a_list_in_a_module_is_watched():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            self.factors = [2.0, 3.0]

        def forward(self, x: tm.Tensor) -> tm.Tensor:
            return x * self.factors[0] * self.factors[1]

    model = Scaled()
    forward = tm.capture(model)
    assert [float(forward(tm.ones(1)).array[0]) for _ in range(3)] == [6.0] * 3
    model.factors[1] = 5.0
    assert [float(forward(tm.ones(1)).array[0]) for _ in range(3)] == [10.0] * 3


def test_a_tensor_without_a_gradient_whose_data_is_bound_anew_is_noticed():
    scale, x = tm.tensor([2.0, 3.0]), tm.ones(2)
    scaled = tm.capture(lambda x: x * scale)
    assert [scaled(x).tolist() for _ in range(3)] == [[2.0, 3.0]] * 3
    scale.data = tm.tensor([5.0, 7.0])
    assert [scaled(x).tolist() for _ in range(3)] == [[5.0, 7.0]] * 3


class Counting(nn.Module):
    """x times a number; counts its calls."""

    def __init__(self) -> None:
        self.calls, self.factor = 0, 2.0

    def forward(self, x: tm.Tensor) -> tm.Tensor:
        self.calls += 1
        return x * self.factor


def test_a_module_that_counts_its_calls_is_watched_for_all_else():
    model = Counting()
    forward, x = tm.capture(model), tm.ones(1)
    assert [forward(x).tolist() for _ in range(4)] == [[2.0]] * 4
    assert forward.cache_info().replays == 2
    model.factor = 3.0
    assert [forward(x).tolist() for _ in range(4)] == [[3.0]] * 4


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: tm.Tensor) -> tm.Tensor:
        return x * self.factor


def test_an_attribute_of_a_module_that_becomes_a_float_is_another_number():
    model = Times(2)
    forward, x = tm.capture(model), tm.tensor([1, 2])
    assert [forward(x).tolist() for _ in range(3)] == [[2, 4]] * 3
    model.factor = 2.0
    assert {forward(x).dtype for _ in range(3)} == {tm.float32}


def test_zero_with_another_sign_is_another_number():
    model, x, number = Times(0.0), tm.tensor([1.0]), 0.0

    @tm.capture
    def closed(x: tm.Tensor) -> tm.Tensor:
        return x * number

    forward, given = tm.capture(model), tm.capture(lambda x, factor: x * factor)
    for sign in (0.0, -0.0):
        model.factor = number = sign
        for _ in range(4):
            found = [y.array for y in (forward(x), closed(x), given(x, sign))]
            assert np.signbit(found).tolist() == [[str(sign) == "-0.0"]] * 3
