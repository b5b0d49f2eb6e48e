"""The table of ladders holds every numbered file of csrc/cuda/kernels, in order, and no other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.emulation import assert_same_bits, in_every_order
from tests.kernels.test_conv2d_kernels import convolved
from tinygrad_mmb.kernels.cuda.ladder import LADDERS
from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.ops.windows import Geometry

RNG = np.random.default_rng(23)


def test_every_numbered_file_is_a_step_and_every_step_a_file():
    kernels = compile.sources() / "cuda" / "kernels"
    files = {p.relative_to(kernels).as_posix() for p in kernels.glob("*/[0-9][0-9]_*.cu")}
    assert {step.file for steps in LADDERS.values() for step in steps} == files


@pytest.mark.parametrize("op", LADDERS)
def test_steps_stand_in_the_order_of_their_files_under_names_of_their_own(op):
    labels = [step.label for step in LADDERS[op]]
    assert [label[:2] for label in labels] == sorted(label[:2] for label in labels)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("step", LADDERS["Conv2d"], ids=lambda step: step.label)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("with_bias", [True, False])
def test_each_step_of_convolution_sums_over_channels_and_places(step, groups, with_bias):
    x = RNG.standard_normal((2, 5 * groups, 9, 8)).astype(np.float32)
    weight = RNG.standard_normal((7 * groups, 5, 3, 2)).astype(np.float32)
    bias = RNG.standard_normal(7 * groups).astype(np.float32) if with_bias else None
    geometry = Geometry((3, 2), (2, 1), (1, 2), (1, 0), (1, 0))
    results = in_every_order(step.prepare(x, weight, bias, geometry, groups))
    expected = convolved(x, weight, bias, (2, 1), (1, 0), (1, 2), groups)
    assert results[0].flags.c_contiguous
    # 31 roundings of at most 2⁻²⁴ of a sum of sizes below 100
    np.testing.assert_allclose(results[0], expected, atol=31 * 2.0**-24 * 100)
    assert_same_bits(results)


def test_what_the_steps_of_convolution_do_not_take_is_refused_with_sizes():
    x, weight = np.ones((1, 2, 4, 4), np.float16), np.ones((3, 2, 2, 2), np.float16)
    geometry = Geometry((2, 2), (1, 1), (1, 1), (0, 0), (0, 0))
    message = r"step im2col of conv2d: .* images float16 \(1, 2, 4, 4\) and filters float16"
    with pytest.raises(ValueError, match=message):
        LADDERS["Conv2d"][0].prepare(x, weight, None, geometry, 1)
