"""Random bits as a function of a key and a place."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tinygrad_mmb.backend import philox


def test_numpy_draws_what_the_authors_of_philox_published():
    # Random123, kat_vectors: philox4x64 with 10 rounds, counter 0, key 0; NumPy counts on first
    drawn = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert [f"{word:016x}" for word in drawn] == [
        "16554d9eca36314c", "db20fe9d672d0fdc", "d7e772cee186176b", "7e68b68aec7ba23b",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 1001])
@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1])
def test_bits_are_those_of_numpys_philox_low_half_first(key, n):
    words = np.random.Philox(key=key).random_raw(max(n, 1))
    expected = np.stack([words & 0xFFFFFFFF, words >> 32], 1).ravel()[:n]
    np.testing.assert_array_equal(philox.bits(key, n), expected)
    np.testing.assert_array_equal(philox.bits(key, n), expected)  # nothing is remembered


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_so_many_are_kept_as_the_probability_says(p):
    share = philox.kept((1000, 1000), p, 11).mean()
    assert share == pytest.approx(1 - p, abs=5 * np.sqrt(p * (1 - p) / 1e6))  # five deviations


def test_all_or_none_are_kept_at_the_ends():
    assert philox.kept((3, 4), 0.0, 1).all() and not philox.kept((3, 4), 1.0, 1).any()
    assert philox.kept((), 0.0, 1).shape == ()


def test_neighbouring_keys_have_nothing_in_common():
    a, b = (philox.kept((100_000,), 0.5, key) for key in (1, 2))
    assert (a == b).mean() == pytest.approx(0.5, abs=0.01)


def test_threads_do_not_disturb_each_other():
    expected = {key: philox.bits(key, 20_000).copy() for key in range(8)}
    right = []

    def draw(key):
        right.append(all((philox.bits(key, 20_000) == expected[key]).all() for _ in range(20)))

    threads = [threading.Thread(target=draw, args=(key,)) for key in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert right == [True] * 8
