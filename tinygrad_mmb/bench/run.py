"""One run, from the limits to the goal table, in a budget of seconds; each row goes to the disk."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_mmb import cuda
from tinygrad_mmb.backend import extension, threads
from tinygrad_mmb.backend.arrays import cupy
from tinygrad_mmb.bench import comparison, goals, own, peers, profile, registers, statistics, tables
from tinygrad_mmb.bench.candidates import candidates, emulated
from tinygrad_mmb.bench.cases import Case, Problem, cases, prepare
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.gpu import Gpu
from tinygrad_mmb.bench.machine import Ceilings, Cpu, Machine
from tinygrad_mmb.bench.measure import FULL, QUICK, Candidate, checked, measure
from tinygrad_mmb.bench.options import BenchError, Options, chosen
from tinygrad_mmb.bench.peers import Peer
from tinygrad_mmb.bench.results import Results, Row
from tinygrad_mmb.bench.work import BOTH, FORWARD
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.ladder import LADDERS
from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.training import manifest

NOT_EMULATED = "not emulated"  # what the emulator says of a kernel that needs more than it has
LEAST_FOR_NVCC = 3.0  # seconds that one file takes at least
Say = Callable[[str], object]


def machine_for(options: Options) -> Machine:
    """The CPU, or the GPU where one is and nothing else was asked for. Raises: BenchError."""
    wanted = options.device or ("cuda" if cuda.is_available() else "cpu")
    if wanted == "cpu":
        return Cpu(options.threads)
    if not cuda.is_available():
        raise BenchError(
            "--device cuda: there is no CUDA device here (mmb doctor says why). Leave the option "
            "out for the reduced form on the CPU"
        )
    with suppress(ImportError):  # kernels in Python, where numba-cuda is installed
        importlib.import_module("tinygrad_mmb.kernels.numba_cuda")
    return Gpu(cupy())


@contextmanager
def fixed_threads(n: int, libraries: Sequence[Peer]) -> Any:
    """As many threads for the BLAS, and for the peers, as for us."""
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(n)
    except RuntimeError as problem:
        warnings.warn(str(problem), stacklevel=3)
    if any(p.name == "torch" for p in libraries):
        from tinygrad_mmb.bench import torch_peer

        torch_peer.set_threads(n)
    try:
        yield
    finally:
        if threads.get_num_threads() != before:
            threads.set_num_threads(before)


class Run:
    """A run with its machine, its file and its clock."""

    def __init__(self, options: Options, machine: Machine, results: Results, say: Say) -> None:
        self.options, self.machine, self.results, self.say = options, machine, results, say
        self.deadline = Deadline(options.budget)
        self.rng = np.random.default_rng(options.seed)
        self.rounds = QUICK if options.quick else FULL
        self.ceilings: Ceilings | None = None
        self.skipped: list[str] = []
        self.not_emulated: dict[str, str] = {}
        self.compared: list[comparison.Comparison] = []

    def execute(self) -> Results:
        """The whole of it. What has been found is in the file even if this does not return."""
        options, machine = self.options, self.machine
        libraries, missing = peers.peers(machine.kind, compiled=not options.quick)
        self.results.note(peers_missing=missing)
        added = own.candidates(options, machine)
        plan = self.planned(added)
        with fixed_threads(options.threads, libraries):
            self.say(f"{machine.name}: measuring its limits")
            self.ceilings = machine.ceilings(
                min(2.0 if options.quick else 6.0, options.budget / 20)
            )
            self.results.note(ceilings=self.ceilings.as_json())
            if machine.kind == "cpu":
                self.emulate(added)
            self.families(plan, libraries, added)
            if machine.kind == "cpu":
                self.inspect()
        if machine.kind == "cpu":
            self.compared = comparison.from_rows(self.results.rows)
        self.results.note(
            comparison=[c.as_json() for c in self.compared],
            goals=[v.as_json() for v in goals.verdicts(self.results.rows, machine.kind)],
            skipped=self.skipped,
            seconds=options.budget - self.deadline.left() + self.deadline.overdrawn(),
            finished=True,
        )
        return self.results

    def planned(self, added: Sequence[own.Own]) -> list[Case]:
        """The cases that were asked for. Raises: BenchError."""
        options = self.options
        found = list(cases(self.machine.kind, options.quick))
        if added:
            found = own.cases(added, self.machine.kind, options.quick)
        elif options.shapes is not None:
            found = [c for c in found if (c.kernel, c.shape) in options.shapes]
        names = chosen(options.only, list(dict.fromkeys(c.kernel for c in found)))
        return [c for c in found if c.kernel in names]

    def families(
        self, plan: Sequence[Case], libraries: Sequence[Peer], added: Sequence[own.Own]
    ) -> None:
        """Time one op after the other, those of the goals first, within its share of the time."""
        by_op: dict[str, list[Case]] = {}
        for case in plan:
            by_op.setdefault(case.op, []).append(case)
        reserve, to_come = 0.1 * self.options.budget, len(plan)
        asked = {goal.kernel.partition(".")[0] for goal in goals.GOALS}
        for op, found in sorted(by_op.items(), key=lambda family: family[0] not in asked):
            left = max(0.0, self.deadline.left() - reserve)
            clock = Deadline(left).share(to_come / len(found))
            to_come -= len(found)
            self.say(f"{op}: {len(found)} case{'s' * (len(found) > 1)}")
            for k, case in enumerate(found):
                if clock.passed:
                    self.skipped += [c.name for c in found[k:]]
                    break
                self.one_case(case, libraries, added, clock.share(len(found) - k))

    def one_case(
        self, case: Case, libraries: Sequence[Peer], added: Sequence[own.Own], clock: Deadline
    ) -> None:
        """Prepare, check, time, and write the rows."""
        everybody = [*own.of_case(added, case), *candidates(case, self.machine.kind, libraries)]
        try:
            problem = prepare(self.machine, case, self.options.seed)
            rows = measure(
                self.machine, problem, everybody, self.ceilings, self.rounds, clock, self.rng
            )
        except MemoryError as error:
            self.skipped.append(f"{case.name}: {error or 'too large for the memory'}")
            return
        finally:
            self.machine.release()
        goals.judge(rows, self.machine.kind)
        self.results.add(*rows)
        sensors = self.results.content.setdefault("sensors", [])
        sensors.append({"case": case.name, **self.machine.sensors()})
        if self.machine.kind == "gpu" and case.kind == FORWARD:
            self.compare(case, problem, rows)

    def compare(self, case: Case, problem: Problem, rows: Sequence[Row]) -> None:
        """The first size of each op on the CPU too."""
        if any(c.kernel == case.kernel for c in self.compared):
            return
        found = comparison.compare(Cpu(self.options.threads), self.machine, problem, rows)
        if found is not None:
            self.compared.append(found)

    def emulate(self, added: Sequence[own.Own]) -> None:
        """Every CUDA kernel against the float64 reference at small sizes. No times."""
        try:
            compile.compiler()
        except RuntimeError as error:
            self.results.note(emulator_missing=str(error))
            return
        clock = self.deadline.share(3)
        found = own.cases(added, "small", False) if added else list(cases("small", False))
        names = chosen(self.options.only, list(dict.fromkeys(c.kernel for c in found)))
        shapes = self.options.shapes
        for case in one_of_each_first(found):
            if case.kernel not in names or (shapes and (case.kernel, case.shape) not in shapes):
                continue
            everybody: list[Candidate] = [*own.emulated_of(added, case), *emulated(case)]
            if not everybody:
                continue
            if clock.passed:
                self.skipped.append(f"{case.name} on the emulator")
                continue
            problem = prepare(self.machine, case, self.options.seed)
            rows = [checked(self.machine, problem, c) for c in everybody]
            found_out = [row for row in rows if row is not None]
            beyond = [row for row in found_out if NOT_EMULATED in (row.note or "")]
            self.results.add(*[row for row in found_out if row not in beyond])
            for row in beyond:
                self.not_emulated[f"{row.kernel} {row.variant}"] = row.note or ""
        self.results.note(not_emulated=self.not_emulated)

    def inspect(self) -> None:
        """Bank conflicts and sectors by source line, registers and spills. No times either."""
        if self.options.add:
            return
        if "emulator_missing" not in self.results.content:
            self.say("profile of memory accesses on the emulator")
            self.results.note(profile=profile.profile(self.options, self.deadline.share(2)))
        if extension.nvcc() is None:
            self.results.note(registers=[], registers_missing="nvcc is not installed")
            return
        self.say("registers of each kernel, by nvcc")
        budgets, clock = [], self.deadline
        for file in profile.files_of(self.options):
            if clock.left() < LEAST_FOR_NVCC:
                self.skipped.append(f"registers of {file.name}")
                continue
            try:
                budgets += [b.as_json() for b in registers.budgets(file, clock.left())]
            except RuntimeError as problem:
                self.skipped.append(f"registers: {problem}")
        self.results.note(registers=budgets)


def one_of_each_first(found: Sequence[Case]) -> list[Case]:
    """The first case of every kernel, then the second of every kernel, and so on."""
    count: dict[str, int] = {}
    order = []
    for case in found:
        count[case.kernel] = count.get(case.kernel, 0) + 1
        order.append((count[case.kernel], case))
    return [case for _, case in sorted(order, key=lambda pair: pair[0])]


def run(options: Options, folder: Path, say: Say = print) -> Results:
    """Measure what `options` ask for; results.json in `folder` is valid at any time.

    Raises: BenchError for options that do not fit together, or kernels that do not exist.
    """
    machine = machine_for(options)
    header = {
        "device": machine.stamp,
        "kind": machine.kind,
        "started": manifest.now(),
        "seed": options.seed,
        "machine": machine.describe(),
        "environment": manifest.environment(),
        "command": manifest.command(),
        "options": options.as_json(),
        "interval": statistics.METHOD,
        "ceilings": {},
    }
    return Run(options, machine, Results(folder / "results.json", header), say).execute()


def listed(options: Options) -> str:
    """What would be measured, without measuring it. Raises: BenchError."""
    machine = machine_for(options)
    found = list(cases(machine.kind, options.quick))
    names = chosen(options.only, list(dict.fromkeys(c.kernel for c in found)))
    lines = []
    for name in names:
        shapes = ", ".join(c.shape for c in found if c.kernel == name)
        backends = ", ".join(t.backend for t in registry.twins(name.removesuffix(f".{BOTH}")))
        without = "none, but a ladder" if name in LADDERS else "as forward and backward"
        lines.append((name, backends or without, shapes))
    return tables.plain(("kernel", "twins", "sizes"), lines)
