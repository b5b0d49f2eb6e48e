"""The engines of one workload take turns, each in a process of its own.

In every round each runs for some milliseconds, forwards in one round and backwards in the next (A B
C, C B A), so that a machine that slows down slows all alike; only one computes at a time. With one
thread the processor's time counts, which other programs on a busy machine disturb least; with more
the clock does, as an engine may burn two cores to be no faster.

Several runs start every process anew: how memory happens to lie differs between processes, not
between rounds. From six runs on, what is compared are the medians of the runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tinygrad_mmb.bench import statistics
from tinygrad_mmb.bench.engines import checks
from tinygrad_mmb.bench.engines.child import Child, Failed
from tinygrad_mmb.bench.engines.engine import Engine
from tinygrad_mmb.bench.engines.workloads import Workload
from tinygrad_mmb.bench.measure import LEAST_ROUNDS, MOST_CALLS, compare
from tinygrad_mmb.bench.results import Row

Start = Callable[[Engine, int], Child]  # a process for an engine, with so many threads
CPU_CLOCK, WALL_CLOCK = "cpu", "host"
SLOW = 3.0  # times the fastest peer: who took longer in the first run sits out the others


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int = 21
    runs: int = 1
    seconds: float = 0.015  # of each engine in each round, or one step if that takes longer
    threads: int = 1
    seed: int = 0


@dataclass
class Contender:
    """An engine and what it took: seconds of a step, by runs and rounds."""

    engine: Engine
    row: Row
    wall: list[list[float]] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)
    built: float = 0.0
    first: list[float] = field(default_factory=list)  # seconds of the first steps, in order
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # what is compared

    def as_json(self) -> dict[str, Any]:
        """Every number, for whoever wants to compute something else from them."""
        return {"wall": self.wall, "cpu": self.cpu, "built": self.built, "first": self.first,
                "losses": self.losses}  # fmt: skip


def measure(
    workload: Workload, engines: Sequence[Engine], oracle: Engine, plan: Plan, start: Start
) -> list[Contender]:
    """Check and time all engines that can compute the workload; each with its row.

    Raises: Failed if the oracle, with which all are compared, does not answer.
    """
    with start(oracle, plan.threads) as child:
        expected = child.ask("build", workload=workload.as_json(), seed=plan.seed)
    everybody = [Contender(e, row_of(workload, e)) for e in engines if workload.kind in e.kinds]
    running = list(everybody)
    for _ in range(plan.runs):
        one_run(workload, running, expected, plan, start)
        running = [c for c in running if c.row.ok]
        running = fast_enough(running, plan)
    fill_in(everybody, plan)
    return everybody


def row_of(workload: Workload, engine: Engine) -> Row:
    library = engine.package.partition("[")[0]
    return Row(workload.name, engine.name, "mmb" if engine.ours else library, workload.shape,
               "float32", peer_library=not engine.ours, ok=True)  # fmt: skip


def one_run(
    workload: Workload,
    contenders: Sequence[Contender],
    expected: dict[str, Any],
    plan: Plan,
    start: Start,
) -> None:
    """New processes for all; those that compute what is expected are timed."""
    with ExitStack() as stack:
        children: list[tuple[Contender, Child, int]] = []
        for c in contenders:
            try:
                child = stack.enter_context(start(c.engine, plan.threads))
                found = child.ask("build", workload=workload.as_json(), seed=plan.seed)
                if problem := checks.difference(found, expected):
                    raise Failed(problem)
                if not c.first:
                    c.built, c.first, c.losses = found["built"], found["first"], found["losses"]
                children.append((c, child, repetitions(child, found["first"][-1], plan.seconds)))
            except Failed as problem:
                c.row.ok, c.row.note = False, str(problem)
        take_turns(children, plan.rounds)


def repetitions(child: Child, once: float, seconds: float) -> int:
    """How many steps make a measurement of so many seconds. Raises: Failed."""
    n = steps_in(seconds, once)
    if n == 1:
        return n
    return steps_in(seconds, child.ask("run", n=max(1, n // 4))["wall"] / max(1, n // 4))


def steps_in(seconds: float, once: float) -> int:
    return max(1, min(MOST_CALLS, math.floor(seconds / max(once, 1e-9))))


def take_turns(children: Sequence[tuple[Contender, Child, int]], rounds: int) -> None:
    """Time all, interleaved. Who fails on the way has no time at all."""
    for c, _, _ in children:
        c.wall.append([])
        c.cpu.append([])
    for k in range(rounds):
        for c, child, n in children if k % 2 == 0 else reversed(children):
            if not c.row.ok:
                continue
            try:
                took = child.ask("run", n=n)
            except Failed as problem:
                c.row.ok, c.row.note = False, str(problem)
                continue
            c.wall[-1].append(took["wall"] / n)
            c.cpu[-1].append(took["cpu"] / n)


def fast_enough(contenders: list[Contender], plan: Plan) -> list[Contender]:
    """Ours, and the peers that may be the best one."""
    medians = {c.engine.name: statistics.median(times(c, plan)[0]) for c in contenders}
    peers = [medians[c.engine.name] for c in contenders if not c.engine.ours]
    limit = SLOW * min(peers, default=math.inf)
    return [c for c in contenders if c.engine.ours or medians[c.engine.name] <= limit]


def times(c: Contender, plan: Plan) -> list[list[float]]:
    """By the clock that counts."""
    return c.cpu if plan.threads == 1 else c.wall


def observations(runs: Sequence[Sequence[float]]) -> list[float]:
    """What is compared: the medians of runs if they suffice for an interval, else all rounds."""
    if len(runs) >= LEAST_ROUNDS:
        return [statistics.median(rounds) for rounds in runs]
    return [seconds for rounds in runs for seconds in rounds]


def fill_in(contenders: Sequence[Contender], plan: Plan) -> None:
    """Times, and ratios to all peers that ran as often."""
    right = [c for c in contenders if c.row.ok]
    for c in right:
        row, c.seconds = c.row, observations(times(c, plan))
        row.ms = 1e3 * statistics.median(c.seconds)
        row.iqr = 1e3 * statistics.interquartile_range(c.seconds)
        row.rounds = sum(map(len, c.wall))
        row.clock = CPU_CLOCK if plan.threads == 1 else WALL_CLOCK
    for c in right:
        if c.engine.ours:
            peers = [p for p in right if not p.engine.ours and len(p.wall) == len(c.wall)]
            compare(c, peers)
            for p in peers:
                c.row.peers[p.engine.name] |= {
                    "cpu_ratio": middle_ratio(p.cpu, c.cpu),
                    "clock_ratio": middle_ratio(p.wall, c.wall),
                }


def middle_ratio(peer: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]) -> float:
    """The median over what is compared, of the peer's time over ours."""
    pairs = zip(observations(peer), observations(ours), strict=True)
    return statistics.median([a / b for a, b in pairs])
