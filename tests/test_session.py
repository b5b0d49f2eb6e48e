"""What tests/conftest.py does for every test."""

from zlib import crc32

import numpy as np
import pytest

import tinygrad_mmb as tm

RNG = np.random.default_rng(0)
seen = []


@pytest.mark.parametrize("run", [1, 2])
def test_the_random_numbers_of_a_module_begin_anew_in_each_test(run, request):
    expected = np.random.default_rng(crc32(request.node.name.encode())).random()
    assert RNG.random() == expected
    assert expected not in seen  # no other test draws the same
    seen.append(expected)


@pytest.mark.parametrize("run", [1, 2])
def test_so_do_those_of_the_default_generator(run):
    drawn = tm.rand(3).tolist()
    assert drawn == tm.rand(3, generator=tm.Generator().manual_seed(0)).tolist()
