"""What all tests share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings

import tinygrad_mmb as tm

# The same examples each time, as a failure must repeat; no deadline, as machines are busy.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test() -> None:
    tm.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for every test."""
    return np.random.default_rng(0)
