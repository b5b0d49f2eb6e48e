"""What the checker counts while it runs a CUDA kernel: bank conflicts and sectors, by line.

These are numbers of a GPU that need no GPU: how often one access of a warp to shared memory is
served (1 is best, 32 worst), and how many sectors of 32 bytes one access to global memory touches,
as a multiple of the fewest that hold its data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.bench.calls import Declined
from tinygrad_mmb.bench.candidates import emulated
from tinygrad_mmb.bench.cases import cases, prepare
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.options import Options, chosen, kernels
from tinygrad_mmb.bench.registers import kernel_files
from tinygrad_mmb.bench.work import BOTH
from tinygrad_mmb.kernels.launch import emulated as launches


@dataclass
class Profiled:
    """A launcher for the emulator that keeps what the checker counted, by kernel."""

    found: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)

    def launch(
        self,
        file: str,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int,
    ) -> None:
        library = launches.library(file, "check")
        library.option("seed", 0)
        library.option("profile", 1)
        try:
            library.launch(name, tuple(grid), tuple(block), arguments, shared)
            self.found[file, name] = accesses(library.so.mmb_profile().decode())
        finally:
            library.option("profile", 0)


def accesses(text: str) -> list[dict[str, Any]]:
    """The checker's report: one object for each source line that reads or writes memory."""
    return [dict(entry) for entry in json.loads(text or "[]")]


@contextmanager
def profiled() -> Iterator[Profiled]:
    """Inside the block, emulated kernels are counted."""
    launcher = Profiled()
    token = launches._current.set(launcher)  # type: ignore[arg-type]
    try:
        yield launcher
    finally:
        launches._current.reset(token)


def profile(options: Options, clock: Deadline) -> list[dict[str, Any]]:
    """Every CUDA kernel that was asked for, at the sizes of the emulator."""
    names = chosen(options.only, kernels())
    machine, entries = Cpu(), []
    with profiled() as launcher, no_grad():
        for case in cases("small", False):
            if clock.passed:
                break
            if case.kernel not in names or case.kind == BOTH:
                continue
            problem = prepare(machine, case, options.seed)
            for candidate in emulated(case):
                try:
                    call, _ = candidate.make(problem, problem.args)
                    launcher.found.clear()  # making a backward call runs forward
                    call()
                except (Declined, RuntimeError, TypeError):
                    continue  # what is wrong with it stands in its row of the correctness check
                for (file, kernel), lines in launcher.found.items():
                    for line in lines:
                        entries.append(
                            {"op": case.kernel, "shape": case.shape, "source": file,
                             "kernel": kernel} | line
                        )  # fmt: skip
    return entries


def files_of(options: Options) -> list[Path]:
    """The kernel files of the ops that were asked for: all of them without --only."""
    if not options.only:
        return kernel_files()
    words = {name.split(".")[0].lower() for name in chosen(options.only, kernels())}
    plain = [(file, file.stem.replace("_", ""), file.parent.name) for file in kernel_files()]
    return [file for file, name, folder in plain if name in words or folder in words]
