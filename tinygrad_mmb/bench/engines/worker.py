"""The process of one engine: builds workloads, runs them, and answers in lines of JSON.

    python worker.py ADAPTER ENGINE THREADS

It is run by its path, and a peer's adapter is imported without `import tinygrad_mmb`: this process
is to be as if the peer's user had started it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIRST_STEPS = 5


def empty_parents() -> None:
    """Packages `tinygrad_mmb` and `tinygrad_mmb.bench` that hold the way to `engines` only."""
    for name, folder in (("tinygrad_mmb", ROOT), ("tinygrad_mmb.bench", ROOT / "bench")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def stay_on(threads: int) -> None:
    """Let this process compute on so many cores, the same ones for every engine, where the system
    can be told: JAX, MLX and tinygrad take as many threads as they find cores.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if threads < len(cores):
            os.sched_setaffinity(0, set(cores[-threads:]))  # the first one serves interrupts


class Worker:
    """An engine, and the workload that it was asked to build last."""

    def __init__(self, adapter: str, name: str, threads: int) -> None:
        module = importlib.import_module(adapter)
        self.engine = next(e for e in module.ENGINES if e.name == name)
        stay_on(threads)
        self.engine.start(threads)
        self.step: Any = None
        self.last: Any = None

    def build(self, workload: dict[str, Any], seed: int) -> dict[str, Any]:
        """Build a workload and take its first steps, with what they computed and took."""
        from tinygrad_mmb.bench.engines import workloads

        asked = workloads.Workload(**workload)
        problem = workloads.problem(asked, seed)
        before = {k: v.copy() for k, v in problem.parameters.items()}
        start = time.perf_counter()
        self.step = self.engine.build(asked, problem)
        built = time.perf_counter() - start
        losses, seconds = [], []
        for _ in range(FIRST_STEPS):
            start = time.perf_counter()
            self.last = self.step.run()
            self.step.wait(self.last)
            seconds.append(time.perf_counter() - start)
            if self.step.loss is not None:
                losses.append(self.step.loss(self.last))
        marks = [] if losses else self.marks(asked, before)
        return {"losses": losses, "marks": marks, "built": built, "first": seconds}

    def marks(self, asked: Any, before: dict[str, Any]) -> list[list[float]]:
        """A few numbers for each result: gradients, or by how much Adam moved the parameters."""
        from tinygrad_mmb.bench.engines import checks, workloads

        found = self.step.results(self.last)
        if asked.kind == workloads.ADAM:
            found = [y - x for x, y in zip(before.values(), found, strict=True)]
        return [checks.mark(a) for a in found]

    def run(self, n: int) -> dict[str, Any]:
        """Seconds of n steps, by the clock and of the processor."""
        run, result = self.step.run, None
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(n):
            result = run()
        self.step.wait(result)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}

    def memory(self, workload: dict[str, Any], seed: int) -> dict[str, Any]:
        """The most memory that two steps held, above what the process held before; bytes.

        A tiny workload goes first: what a library imports when it is first used is no activation.
        """
        from tinygrad_mmb.bench.engines import resident, workloads

        asked = workloads.Workload(**workload)
        tiny = workloads.mlp("tiny", 2, (2, 2), optimizer=False)
        self.engine.build(tiny, workloads.problem(tiny, seed)).run()
        base = resident.begin()
        self.step = self.engine.build(asked, workloads.problem(asked, seed))
        losses = []
        for _ in range(2):
            self.last = self.step.run()
            self.step.wait(self.last)
            losses.append(self.step.loss(self.last))
        return {"base": base, "peak": resident.peak(), "losses": losses}


def answers(
    lines: Iterator[str], adapter: str, name: str, threads: int
) -> Iterator[dict[str, Any]]:
    """One answer when the engine has started, and one to each question."""
    started: dict[str, Any] = {}

    def start() -> dict[str, Any]:
        started["worker"] = Worker(adapter, name, threads)
        return {"version": started["worker"].engine.version()}

    yield attempt(start)
    for line in lines:
        question = json.loads(line)
        method = getattr(started["worker"], question.pop("do"))
        yield attempt(lambda method=method, question=question: method(**question))  # type: ignore[misc]


def attempt(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a call returns, or why it did not; a library may raise whatever it likes."""
    try:
        return {"ok": True, **call()}
    except Exception as error:
        traceback.print_exc()  # to the log
        text = (str(error).strip().splitlines() or [""])[0][:300]
        return {"ok": False, "error": f"{type(error).__name__}: {text}"}


def main() -> None:
    adapter, name, threads = sys.argv[1:]
    sys.path.pop(0)  # this folder, whose names are not meant to be imported alone
    if not adapter.endswith(".ours"):
        empty_parents()
    sys.path.insert(0, str(ROOT.parent))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints goes to the log
    for answer in answers(iter(sys.stdin), adapter, name, int(threads)):
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
