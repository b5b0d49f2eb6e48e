"""Tests of the twins in C++: they need _cpu, and leave the twins in place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinygrad_mmb import compiled
from tinygrad_mmb.backend.extension import load


@pytest.fixture(autouse=True)
def twins_in_place() -> Iterator[None]:
    if not load("cpu").active:
        pytest.skip("there is no _cpu here")
    compiled.use_compiled()
    yield
    compiled.use_compiled()
