"""The ladder of the transposition: three steps, the same numbers, fewer sectors and conflicts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.emulation import SEEDS, moved, profile
from tinygrad_mmb.kernels.launch import cuda_function, emulated, int32

RNG = np.random.default_rng(11)
STEPS = {
    "01_naive": "transpose_naive",
    "02_tile": "transpose_tile",
    "03_padded": "transpose_padded",
}


def transposed(step, x):
    rows, cols = x.shape
    y = moved(np.zeros((cols, rows), x.dtype), 0)
    grid = -(-cols // 32), -(-rows // 32)
    arguments = y, x, int32(rows), int32(cols)
    cuda_function(f"transpose/{step}.cu", STEPS[step])(grid, (32, 8), arguments)
    return y


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (31, 33), (1, 100), (65, 7), (0, 5), (70, 97)])
def test_every_step_transposes_any_shape(step, shape):
    x = RNG.standard_normal(shape).astype("float32")
    for seed in SEEDS:
        with emulated.emulator("check", seed=seed):
            np.testing.assert_array_equal(transposed(step, x), x.T)


def worst(step, space):
    """The line of a step that asks most of one kind of memory, in multiples of the least."""
    x = moved(RNG.standard_normal((64, 64)).astype("float32"), 0)
    found = profile(STEPS[step], transposed, step, x)
    return max((a.ratio for a in found if a.space == space), default=None)


def test_each_step_mends_what_it_says_it_mends():
    assert worst("01_naive", "global") == 8.0 and worst("01_naive", "shared") is None
    assert worst("02_tile", "global") == 1.0 and worst("02_tile", "shared") == 32.0
    assert worst("03_padded", "global") == 1.0 and worst("03_padded", "shared") == 1.0
