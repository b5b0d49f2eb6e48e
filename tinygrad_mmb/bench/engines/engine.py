"""What an engine must offer to take part, and how those that can are found."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from tinygrad_mmb.bench.engines import adapters
from tinygrad_mmb.bench.engines.workloads import KINDS, Array, Problem, Workload


class CannotDo(Exception):  # noqa: N818 - no error, an answer
    """The engine has no way to compute this workload, and why."""


def nothing(result: Any) -> None:
    """Wait for an engine that has finished when it returns."""


@dataclass
class Step:
    """A workload, built: `run` does one whole step and returns something that the others take.

    `wait` returns when the step has finished. `loss` is the loss of a training step; `results` are
    the gradients of the parameters in their order, or for Adam the parameters. One of both is set.
    """

    run: Callable[[], Any]
    wait: Callable[[Any], object] = nothing
    loss: Callable[[Any], float] | None = None
    results: Callable[[Any], Sequence[Array]] | None = None


class Engine:
    """A library, in one of the ways of using it."""

    name: ClassVar[str]
    module: ClassVar[str]  #        what is imported, in `start` and never before
    package: ClassVar[str]  #       as pip calls it
    kinds: ClassVar[Sequence[str]] = KINDS
    ours: ClassVar[bool] = False
    timed: ClassVar[bool] = True  # false: computes what the others are checked against
    environment: ClassVar[Mapping[str, str]] = {}  # variables that its process starts with

    def missing(self) -> str | None:
        """Why it cannot take part here, with the line that mends it; None if it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"not installed: pip install '{self.package}'"
        return None

    def version(self) -> str:
        """Of the installed package."""
        name = self.package.partition("[")[0]
        try:
            return version(name)
        except PackageNotFoundError:
            return "unknown"

    def start(self, threads: int) -> None:
        """Import the library and tell it how many threads compute."""
        raise NotImplementedError

    def build(self, workload: Workload, problem: Problem) -> Step:
        """The step of a workload. Raises: CannotDo."""
        raise NotImplementedError


def engines() -> dict[str, Engine]:
    """Every engine that has an adapter, by name, installed or not: ours first."""
    found: list[Engine] = []
    for entry in pkgutil.iter_modules(adapters.__path__):
        found += importlib.import_module(f"{adapters.__name__}.{entry.name}").ENGINES
    return {e.name: e for e in sorted(found, key=lambda e: not e.ours)}
