"""Most tests of capture compare bit for bit with the step itself: both in NumPy, without twins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinygrad_mmb.kernels.registry import use_kernels


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    """No compiled code; a file about compiled code has a fixture of this name."""
    with use_kernels("reference"):
        yield
