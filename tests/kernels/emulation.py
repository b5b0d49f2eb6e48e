"""What tests of CUDA kernels on the emulator share: orders of threads, addresses, profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb.kernels.launch import emulated

SEEDS = (0, 1, 7)  # threads and blocks forward, backward, shuffled
EPS = {"float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}  # rounding to nearest


def on_kernels(f: Callable[..., Any], *args: Any) -> Any:
    """f(*args) on the emulated kernels; a kernel that declines is an error."""
    with tm.use_kernels("emulator", strict=True):
        return f(*args)


def in_every_order(f: Callable[..., Any], *args: Any) -> list[Any]:
    """The results of f(*args) under the checker, once per order of threads and blocks."""
    results = []
    for seed in SEEDS:
        with emulated.emulator("check", seed=seed, yields=50 if seed > 1 else 0):
            results.append(on_kernels(f, *args))
    return results


def assert_same_bits(results: list[Any]) -> None:
    """Every order of threads gave the same numbers, bit for bit."""
    for other in results[1:]:
        for a, b in zip(np.atleast_1d(results[0]), np.atleast_1d(other), strict=True):
            np.testing.assert_array_equal(a, b)


def moved(x: np.ndarray, by: int) -> np.ndarray:
    """x at an address `by` numbers after a multiple of 64 bytes."""
    memory = np.empty(x.size + by + 64, x.dtype)
    first = (-memory.ctypes.data // x.itemsize) % (64 // x.itemsize) + by
    y = memory[first : first + x.size].reshape(x.shape)
    y[...] = x
    return y


class Access(NamedTuple):
    """The requests of one source line to one kind of memory."""

    file: str
    line: int
    space: str  # "shared" or "global"
    requests: int
    ratio: float  # sectors or bank cycles, over the fewest there could be


def profile(kernel: str, f: Callable[..., Any], *args: Any) -> list[Access]:
    """What f(*args) asks of memory in its one launch of a kernel so called, line by line."""
    with emulated.emulator("check", profile=True) as checker:
        on_kernels(f, *args)
    (lines,) = [p["lines"] for p in checker.profiles if p["kernel"] == kernel]
    keys = "file", "line", "space", "requests", "times_ideal"
    return [Access(*[a[key] for key in keys]) for a in lines]
