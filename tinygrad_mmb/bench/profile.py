"""What the checker counts while it runs a CUDA kernel: bank conflicts and sectors, by line.

These are numbers of a GPU that need no GPU: how often one access of a warp to shared memory is
served (1 is best, 32 worst), and how many sectors of 32 bytes one access to global memory touches,
as a multiple of the fewest that hold its data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.bench.calls import Declined
from tinygrad_mmb.bench.candidates import emulated
from tinygrad_mmb.bench.cases import Case, cases, prepare
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.options import Options, chosen, kernels
from tinygrad_mmb.bench.registers import kernel_files
from tinygrad_mmb.bench.work import BOTH
from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.kernels.launch.emulated import emulator


def profile(options: Options, clock: Deadline) -> list[dict[str, Any]]:
    """Every CUDA kernel that was asked for, at sizes without edges: one entry a source line.

    An entry has op, variant, shape and kernel, and what the checker counted: file, line, space
    ("shared" or "global"), requests, times_ideal, and more.
    """
    names = chosen(options.only, kernels())
    entries = []
    for case in cases("even", True):
        if clock.passed:
            break
        if case.kernel in names and case.kind != BOTH:
            entries += of_case(case, options.seed)
    return entries


def of_case(case: Case, seed: int) -> list[dict[str, Any]]:
    """The entries of one case, for every kernel that computes it."""
    problem = prepare(Cpu(), case, seed)
    entries = []
    for candidate in emulated(case):
        with emulator("check", profile=True) as launches, no_grad():
            try:
                call, _ = candidate.make(problem, problem.args)
                launches.profiles.clear()  # to prepare a backward call, forward ran
                call()
            except (Declined, RuntimeError, TypeError):
                continue  # what is wrong with it stands in its row of the correctness check
        who = {"op": case.kernel, "variant": candidate.variant, "shape": case.shape}
        for launch in launches.profiles:
            kernel = {"kernel": launch["kernel"]}
            entries += [
                who | kernel | line | {"file": short(line["file"])} for line in launch["lines"]
            ]
    return entries


def short(file: str) -> str:
    """A source below csrc, as it is called on any machine."""
    path = Path(file)
    root = compile.sources()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def files_of(options: Options) -> list[Path]:
    """The kernel files of the ops that were asked for: all of them without --only."""
    if not options.only:
        return kernel_files()
    words = {name.split(".")[0].lower() for name in chosen(options.only, kernels())}
    plain = [(file, file.stem.replace("_", ""), file.parent.name) for file in kernel_files()]
    return [file for file, name, folder in plain if name in words or folder in words]
