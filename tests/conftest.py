"""What all tests share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings

import tinygrad_mmb as tm

# Deterministic examples, no deadline: the machines that run this are busy, and a failure must repeat.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test() -> None:
    tm.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for every test."""
    return np.random.default_rng(0)
