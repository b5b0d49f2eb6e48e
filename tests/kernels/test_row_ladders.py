"""The ladders of softmax and of the sum: each step is right, and shows what its head says."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.emulation import SEEDS, moved, profile
from tinygrad_mmb.kernels.cuda.row_ladders import SOFTMAX, SUM, softmax_step, sum_step
from tinygrad_mmb.kernels.launch import emulated

RNG = np.random.default_rng(19)


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("cols", [4, 8, 100, 256, 1000, 4096])
def test_every_step_of_softmax_computes_softmax_in_every_order(name, cols):
    x = moved(numbers(3, cols), 0)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    expected = e / e.sum(1, keepdims=True)
    for seed in SEEDS:
        with emulated.emulator("check", seed=seed):
            # exp of numbers down to -9, and sums of 4096: some 30 roundings
            np.testing.assert_allclose(softmax_step(name, x), expected, rtol=30 * 2.0**-24)


@pytest.mark.parametrize("name", ["three_passes", "online", "registers"])
@pytest.mark.parametrize("cols", [1, 7, 257, 1031])
def test_the_first_steps_take_any_length_at_any_address(name, cols):
    x = moved(numbers(2, cols), 1)
    x[0, 0], x[1, -1] = -np.inf, 50.0
    with np.errstate(invalid="ignore"):  # of a row of -∞ alone, softmax is NaN
        e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
        expected = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(softmax_step(name, x), expected, rtol=1e-5)


@pytest.mark.parametrize("name", SUM)
@pytest.mark.parametrize("n", [0, 1, 5, 255, 256, 257, 5003, 70000])
def test_every_step_of_the_sum_adds_up(name, n):
    x = moved(numbers(n), 1)
    wide = x.astype(np.float64)
    # atomics add one after the other: n roundings of a partial sum, of a size below Σ |x|, at worst
    allowed = (n if name == "atomic" else 40) * 2.0**-24 * np.abs(wide).sum()
    for seed in SEEDS if n < 6000 else (0,):
        with emulated.emulator("check" if n < 6000 else "fast", seed=seed):
            assert abs(float(sum_step(name, x)) - wide.sum()) <= allowed


def test_only_atomics_give_other_bits_in_another_order():
    x = numbers(5000)
    bits = {}
    for name in SUM:
        bits[name] = set()
        for seed in range(6):
            with emulated.emulator("fast", seed=seed):
                bits[name].add(float(sum_step(name, x)))
    assert len(bits.pop("atomic")) > 1
    assert {len(found) for found in bits.values()} == {1}


def test_each_step_of_softmax_asks_less_of_memory_than_the_one_before():
    x = moved(numbers(4, 4096), 0)
    requests = {}
    for name in SOFTMAX:
        lines = profile(f"softmax_{name}_f32", softmax_step, name, x)
        requests[name] = sum(a.requests for a in lines if a.space == "global")
    warps = x.size // 32
    assert requests == {
        "three_passes": 4 * warps,
        "online": 3 * warps,
        "registers": 2 * warps,
        "vectorised": 2 * warps // 4,
    }


def test_what_a_step_cannot_take_is_refused_by_name():
    with pytest.raises(ValueError, match=r"softmax_step\('fast'\): no such step. There are three_"):
        softmax_step("fast", numbers(2, 4))
    with pytest.raises(ValueError, match=r"rows of at most 4096 numbers, but got 4100"):
        softmax_step("registers", numbers(1, 4100))
    with pytest.raises(ValueError, match=r"multiples of 16 bytes, but these have 5 numbers"):
        softmax_step("vectorised", numbers(2, 5))
    with pytest.raises(ValueError, match=r"takes a matrix, but got shape \(4,\)"):
        softmax_step("online", numbers(4))
    with pytest.raises(ValueError, match=r"takes float32, but got float64"):
        sum_step("atomic", np.ones(3))
