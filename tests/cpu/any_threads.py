"""What every kernel promises of threads, for the tests of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_mmb.kernels.cpu.native import native


def assert_same_bits(compute: Callable[[], Iterable[Any]]) -> None:
    """`compute` gives the same arrays, bit for bit, on 1, 2 and 3 threads."""
    before, runs = native.threads(), []
    try:
        for threads in (1, 2, 3):
            native.set_threads(threads)
            runs.append(list(compute()))
    finally:
        native.set_threads(before)
    for which, (one, *others) in enumerate(zip(*runs, strict=True)):
        for threads, other in enumerate(others, 2):
            assert one.tobytes() == other.tobytes(), f"array {which} differs on {threads} threads"
