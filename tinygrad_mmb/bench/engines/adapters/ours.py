"""Our own engine: with its compiled kernels, as a captured step, and with NumPy alone."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tinygrad_mmb.bench.engines.torch_models import TorchLike
from tinygrad_mmb.bench.engines.workloads import ADAM, KINDS, Array

CAPTURE = "tinygrad_mmb.capture"


class Eager(TorchLike):
    """As anybody uses it: each op with the fastest kernel that this installation has."""

    name = "mmb eager"
    module, package = "tinygrad_mmb", "tinygrad-mmb"
    ours = True


class Captured(Eager):
    """The whole step recorded once, then replayed."""

    name = "mmb captured"
    kinds = tuple(k for k in KINDS if k != ADAM)  # an optimizer alone is one call already

    def captured(self, step: Callable[[], Any]) -> Callable[[], Any]:
        return importlib.import_module(CAPTURE).capture(step)


class NumPyOnly(Eager):
    """No compiled kernel at all: what an installation without a compiler gives."""

    name = "mmb NumPy only"
    # the variable is read by what is compiled into the graph itself, the pin by the kernel table
    environment: ClassVar[Mapping[str, str]] = {"MMB_KERNELS": "reference"}

    def start(self, threads: int) -> None:
        super().start(threads)
        self.pin = self.library.use_kernels("reference")
        self.pin.__enter__()  # for the life of this process


class Float64(NumPyOnly):
    """The same formulas in float64: what everybody is checked against."""

    name = "float64"
    timed = False

    def start(self, threads: int) -> None:
        super().start(threads)
        self.library.set_default_dtype(self.library.float64)

    def tensor(self, array: Array) -> Any:
        return self.library.tensor(array.astype("float64") if array.dtype == "float32" else array)


def offered() -> tuple[Eager, ...]:
    """The captured form takes part from the day on which the package offers `capture`."""
    found = importlib.util.find_spec(CAPTURE)
    if found is None or not hasattr(importlib.import_module(CAPTURE), "capture"):
        return (Eager(), NumPyOnly(), Float64())
    return (Captured(), Eager(), NumPyOnly(), Float64())


ENGINES = offered()
