"""The garbage collector waits."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No passes of Python's garbage collector meanwhile.

    A trace and its plan are tens of thousands of objects that stay. Passes over them, and over all
    else that the process has, would find nothing and take longer than the planning.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
