"""Numbers before times: what counts as computing the same."""

import math

import numpy as np
import pytest

from tinygrad_mmb.bench.engines.checks import difference, mark

RNG = np.random.default_rng(3)
GRADIENT = RNG.standard_normal((40, 30))


def answer(losses=(), arrays=()):
    return {"losses": list(losses), "marks": [mark(a) for a in arrays]}


def test_losses_within_the_roundings_of_float32_agree():
    expected = answer([2.3, 1.9, 0.004])
    assert difference(answer([2.3001, 1.8999, 0.0041]), expected) is None


@pytest.mark.parametrize("losses", [
    [2.3, 1.9, 0.01],  # the third step differs
    [2.3, 1.9],
    [2.3, math.nan, 0.004],
    [2.3, 2.3, 2.3],  # an optimizer that does nothing
    [],
])  # fmt: skip
def test_other_losses_do_not(losses):
    assert difference(answer(losses), answer([2.3, 1.9, 0.004])) is not None


def test_the_step_that_differs_is_named():
    assert (
        difference(answer([2.3, 1.5]), answer([2.3, 1.9])) == "loss of step 2 is 1.5, expected 1.9"
    )


def test_gradients_in_float32_agree_with_those_in_float64():
    found = answer(arrays=[GRADIENT.astype(np.float32)])
    assert difference(found, answer(arrays=[GRADIENT])) is None


def one_entry_off(g):
    g = g.copy()
    g[3, 4] += 0.02 * np.linalg.norm(g)
    return g


@pytest.mark.parametrize("change", [
    lambda g: -g,
    lambda g: 1.01 * g,
    lambda g: g[::-1],
    lambda g: 0.0 * g,
    lambda g: np.full_like(g, np.nan),
    one_entry_off,
])  # fmt: skip
def test_wrong_gradients_are_found_by_their_marks(change):
    found = difference(answer(arrays=[GRADIENT, change(GRADIENT)]), answer(arrays=[GRADIENT] * 2))
    assert "result 2 is off by" in found


def test_nothing_to_compare_with_is_no_agreement():
    assert difference(answer(), answer()) == "0 results, expected 0"
    assert difference(answer(), answer(arrays=[GRADIENT])) == "0 results, expected 1"
