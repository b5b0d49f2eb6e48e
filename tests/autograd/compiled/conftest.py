"""Tests of the engine in C++: they need _cpu, and leave it in place. They look at calls for which
no kernels are named, also in a session that names some (pytest --kernels numba).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinygrad_mmb import compiled
from tinygrad_mmb.backend.extension import load
from tinygrad_mmb.kernels.registry import use_kernels


@pytest.fixture(autouse=True)
def twins_in_place() -> Iterator[None]:
    if not load("cpu").active:
        pytest.skip("there is no _cpu here")
    compiled.use_compiled()
    with use_kernels("auto"):
        yield
    compiled.use_compiled()
