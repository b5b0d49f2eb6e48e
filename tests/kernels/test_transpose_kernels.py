"""The ladder of the transposition: three steps, the same numbers, fewer sectors and conflicts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.emulation import SEEDS, moved, profile
from tinygrad_mmb.kernels.cuda.transpose import FILES, transpose_step
from tinygrad_mmb.kernels.launch import emulated

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("step", FILES)
@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (31, 33), (1, 100), (65, 7), (0, 5), (70, 97)])
def test_every_step_transposes_any_shape(step, shape):
    x = RNG.standard_normal(shape).astype("float32")
    for seed in SEEDS:
        with emulated.emulator("check", seed=seed):
            np.testing.assert_array_equal(transpose_step(step, x), x.T)


def worst(step, space):
    """The line of a step that asks most of one kind of memory, in multiples of the least."""
    x = moved(RNG.standard_normal((64, 64)).astype("float32"), 0)
    found = profile(f"transpose_{step}", transpose_step, step, x)
    return max((a.ratio for a in found if a.space == space), default=None)


def test_each_step_mends_what_it_says_it_mends():
    assert worst("naive", "global") == 8.0 and worst("naive", "shared") is None
    # NumPy's arrays may begin halfway in a sector, which adds a quarter
    assert worst("tile", "global") <= 1.25 and worst("tile", "shared") == 32.0
    assert worst("padded", "global") <= 1.25 and worst("padded", "shared") == 1.0


def test_what_a_step_cannot_take_is_refused_by_name():
    with pytest.raises(ValueError, match=r"\('fast'\): no such step. There are naive"):
        transpose_step("fast", np.ones((2, 2), np.float32))
    with pytest.raises(ValueError, match=r"float32 matrix, but got float64 of shape \(3,\)"):
        transpose_step("tile", np.ones(3))
    long = np.broadcast_to(np.float32(0), (3_000_000, 1))
    with pytest.raises(ValueError, match=r"at most 2097120 rows"):
        transpose_step("tile", long)
