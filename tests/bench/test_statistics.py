"""Ratios with intervals: what they cover, and what they let one say."""

import numpy as np
import pytest

from tinygrad_mmb.bench.statistics import (
    Ratio,
    interquartile_range,
    median,
    rank,
    speed_ratio,
)


@pytest.mark.parametrize("n", [6, 10, 20, 50])
def test_the_interval_covers_the_true_median_at_least_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    true, runs, covered = 1.3, 4000, 0
    for _ in range(runs):
        drift = np.exp(0.5 * rng.standard_normal(n))  # common to both: it must not count
        ours = drift * (1.0 + rng.exponential(0.05, n))
        peer = true * drift * (1.0 + rng.exponential(0.05, n))
        found = speed_ratio(peer, ours)
        covered += found.low <= true <= found.high
    assert covered / runs >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_ranks_are_those_of_the_published_table():
    """Conover, Practical Nonparametric Statistics, table of the sign test: 95 %, two-sided."""
    assert {n: rank(n) for n in (6, 8, 9, 12, 20, 25, 30)} == {
        6: 1, 8: 1, 9: 2, 12: 3, 20: 6, 25: 8, 30: 10,
    }  # fmt: skip
    assert [rank(n) for n in range(6)] == [None] * 6


def test_too_few_rounds_give_no_ratio():
    assert speed_ratio([1.0] * 5, [1.0] * 5) is None


def test_rounds_must_belong_together():
    with pytest.raises(ValueError, match="5 rounds of the peer, but 6 of ours"):
        speed_ratio([1.0] * 5, [1.0] * 6)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.01, 1.2, "faster"),
        (0.8, 0.99, "slower"),
        (0.99, 1.01, "indistinguishable"),
        (1.0, 1.5, "indistinguishable"),
    ],
)
def test_a_verdict_needs_the_interval_on_one_side_of_one(low, high, verdict):
    assert Ratio(1.0, low, high).verdict == verdict


def test_twice_as_fast_is_a_ratio_of_two():
    ours = np.linspace(1.0, 2.0, 20)
    found = speed_ratio(list(2.0 * ours), list(ours))
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)


def test_median_and_quartiles():
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert interquartile_range([1.0, 2.0, 3.0, 4.0, 5.0]) == 2.0
    assert interquartile_range([7.0]) == 0.0
