"""Check every candidate of a case, then time those that are right, in turn, in random order.

Nobody is timed who was not checked: a wrong candidate is a row with `ok` false and no time. Those
that are right take turns: in each round every one runs once, in an order drawn anew, so that a
clock that drifts slows all alike.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.bench import accuracy, statistics
from tinygrad_mmb.bench.calls import Call, Declined
from tinygrad_mmb.bench.cases import Case, Problem, arrays_in
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.draws import Arguments
from tinygrad_mmb.bench.machine import HOST_CLOCK, Ceilings, Machine, host_time
from tinygrad_mmb.bench.peers import NoPeer
from tinygrad_mmb.bench.results import Row

Made = tuple[Call, Callable[[Any], list[Any]]]
LEAST_ROUNDS = 6  # fewer give no interval
MOST_COPIES = 32  # of the inputs, so that together they exceed the cache
MOST_CALLS = 20_000  # in one measurement
YOURS = "yours"  #     the backend of a kernel that the user adds
SLOW = 0.2  #     seconds of a call that needs no further warming up
GRACE = 10.0  # seconds beyond its share that a case may take to get an interval


@dataclass
class Candidate:
    """Somebody who computes the case."""

    variant: str
    backend: str
    make: Callable[[Problem, Arguments], Made]  # raises Declined or NoPeer where it does not apply
    library: bool = False  #                      somebody else's
    baseline: bool = False  #                     ours, but what the others of ours must beat
    wait: Callable[[Any], object] | None = None  # for work that the machine's clock does not see
    timed: bool = True  #                         false: checked only, as the emulator is no GPU
    dtype: str | None = None  #                   in which it computes, if not that of the case


@dataclass
class Contender:
    """A candidate that was right."""

    row: Row
    calls: list[Call]
    candidate: Candidate
    once: float = 0.0  # seconds of one call, roughly
    repeat: int = 1  #   calls in one measurement
    seconds: list[float] = field(default_factory=list)  # per call, one for each round


@dataclass(frozen=True)
class Rounds:
    """How long to measure: at least `least` rounds and `seconds` for each candidate."""

    least: int = 20
    seconds: float = 0.05


FULL, QUICK = Rounds(20, 0.05), Rounds(10, 0.05)


def measure(
    machine: Machine,
    problem: Problem,
    candidates: Sequence[Candidate],
    ceilings: Ceilings | None,
    rounds: Rounds,
    deadline: Deadline,
    rng: np.random.Generator,
) -> list[Row]:
    """The rows of one case. Candidates to which the case does not apply have none."""
    rows: list[Row] = []
    contenders: list[Contender] = []
    copies = rotated(machine, problem)
    cold = total_bytes(problem.args) * len(copies) > 2 * machine.cache_bytes
    for candidate in candidates:
        row = checked(machine, problem, candidate)
        if row is None:
            continue
        rows.append(row)
        if row.ok and candidate.timed:
            row.clock = machine.clock if candidate.wait is None else HOST_CLOCK
            row.cold = cold
            calls = [candidate.make(problem, args)[0] for args in copies]
            contenders.append(Contender(row, calls, candidate))
    with no_grad():
        take_turns(machine, contenders, rounds, deadline, rng)
    fill_in(problem, contenders, ceilings)
    return rows


def total_bytes(args: Arguments) -> int:
    return sum(a.nbytes for a in arrays_in(args))


def rotated(machine: Machine, problem: Problem) -> list[Arguments]:
    """The arguments several times over in memory, so that no cache holds those of the next call."""
    size = max(total_bytes(problem.args), 1)
    count = min(MOST_COPIES, 1 + math.ceil(2 * machine.cache_bytes / size))
    return [problem.args, *[copied(problem.args) for _ in range(count - 1)]]


def copied(value: Any) -> Any:
    """Arrays copied with their layout, in tuples and lists as deep as they lie."""
    if type(value) in (tuple, list):
        return type(value)(copied(v) for v in value)
    if hasattr(value, "dtype") and hasattr(value, "copy"):
        return value.copy(order="K") if value.ndim else value.copy()
    return value


def checked(machine: Machine, problem: Problem, candidate: Candidate) -> Row | None:
    """Run a candidate once and compare with the reference; None where it does not apply."""
    case: Case = problem.case
    dtype = candidate.dtype or case.dtype
    row = Row(
        case.kernel, candidate.variant, candidate.backend, case.shape, dtype, candidate.library
    )
    row.tol = accuracy.tolerance(dtype, problem.amount.depth)
    try:
        args = copied(problem.args)
        call, results = candidate.make(problem, args)
        with no_grad():
            found = [host(machine, y) for y in results(call())]
        changed = first_changed(problem.args, args)
    except (Declined, NoPeer):
        return None
    except MemoryError:
        raise
    except Exception as error:  # whatever a kernel, ours or a user's, raises is its result
        row.note = f"{type(error).__name__}: {first_line(error)}"
        return row
    if changed is not None:
        row.note = f"it changed its argument {changed} in place, which the others would be given"
        return row
    # a library gives the value only where ours gives statistics too
    expected = problem.expected[: len(found)] if problem.outputs > 1 else problem.expected
    row.max_err = accuracy.error(expected, found)
    row.ok = row.max_err <= row.tol
    if not row.ok:
        row.note = accuracy.worst_place(expected, found)
        if not math.isfinite(row.max_err):
            row.max_err = None
    return row


def first_changed(before: Arguments, after: Arguments) -> int | None:
    """The number of the first argument whose array is not what it was."""
    for i, (a, b) in enumerate(zip(before, after, strict=True)):
        for x, y in zip(arrays_in([a]), arrays_in([b]), strict=True):
            if not ((x == y) | (x != x)).all():  # NaN is what it was, though not equal to itself
                return i
    return None


def host(machine: Machine, value: Any) -> Any:
    return None if value is None else machine.host(value)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


def take_turns(
    machine: Machine,
    contenders: list[Contender],
    rounds: Rounds,
    deadline: Deadline,
    rng: np.random.Generator,
) -> None:
    """Time all, interleaved, until there are enough rounds or the time is up."""
    for c in contenders:
        warm_up(machine, c, max(machine.batch_seconds, rounds.seconds / rounds.least))
    leave_out_the_slowest(contenders, deadline)
    contenders = [c for c in contenders if c.repeat]
    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle would be charged to one of them
    try:
        for done in range(rounds.least):
            if deadline.passed and (done >= LEAST_ROUNDS or deadline.overdrawn() > GRACE):
                break
            for i in rng.permutation(len(contenders)):
                c = contenders[i]
                c.seconds.append(time_of(machine, c, c.repeat) / c.repeat)
    finally:
        if collecting:
            gc.enable()


def time_of(machine: Machine, c: Contender, n: int) -> float:
    """Seconds of n calls, by the clock that sees them."""
    if c.candidate.wait is None:
        return machine.time(c.calls, n)
    machine.synchronize()
    return host_time(c.calls, n, c.candidate.wait)


def warm_up(machine: Machine, c: Contender, batch: float) -> None:
    """A few calls, then how many make a measurement of `batch` seconds."""
    once = time_of(machine, c, 1)
    if once < SLOW:
        time_of(machine, c, 3)
        once = time_of(machine, c, 1)
    if once < batch:
        once = time_of(machine, c, 5) / 5
    c.repeat = max(1, min(MOST_CALLS, math.ceil(batch / max(once, 1e-9))))
    c.once = once


def leave_out_the_slowest(contenders: list[Contender], deadline: Deadline) -> None:
    """Whoever is too slow for as many rounds as an interval needs is not timed; its row says so.

    Room is kept for a kernel of the user's, as the run is about it, unless it is too slow alone.
    """
    yours = [c for c in contenders if c.candidate.backend == YOURS]
    others = [c for c in contenders if c.candidate.backend != YOURS]
    for group, kept in ((yours, []), (others, yours)):
        for c in sorted(group, key=lambda c: -c.once * c.repeat):
            running = sum(o.once * o.repeat for o in [*group, *kept])
            if running * LEAST_ROUNDS <= deadline.left() + GRACE:
                break
            c.repeat = 0
            c.row.note = (
                f"not timed: one call takes {c.once:.2g} s, and the time of this run is short"
            )


def fill_in(problem: Problem, contenders: list[Contender], ceilings: Ceilings | None) -> None:
    """Times, rates, shares of the limit and ratios, in the rows."""
    done = problem.amount
    contenders = [c for c in contenders if c.seconds]
    for c in contenders:
        row, seconds = c.row, statistics.median(c.seconds)
        row.ms, row.iqr = 1e3 * seconds, 1e3 * statistics.interquartile_range(c.seconds)
        row.rounds = len(c.seconds)
        row.tflops = 1e-12 * done.operations / seconds if done.operations else None
        row.gbs = 1e-9 * done.bytes / seconds
        if ceilings is not None:
            least = ceilings.seconds(done.bytes, done.operations, row.dtype)
            row.pct_limit = 100.0 * least / seconds
    for c in contenders:
        if not c.row.peer_library:
            compare(c, [p for p in contenders if is_peer(p, c)])


def is_peer(p: Contender, c: Contender) -> bool:
    return p is not c and (p.row.peer_library or p.candidate.baseline)


class Timed(Protocol):
    """A row, and the seconds of a call in each round."""

    row: Row
    seconds: list[float]


def compare(c: Timed, peers: Sequence[Timed]) -> None:
    """Ratios to all peers, and to the fastest of them in the row itself."""
    row = c.row
    for p in peers:
        ratio = statistics.speed_ratio(p.seconds, c.seconds)
        row.peers[p.row.variant] = {
            "ms": p.row.ms,
            "ratio": statistics.median([a / b for a, b in zip(p.seconds, c.seconds, strict=True)]),
            "ratio_low": ratio and ratio.low,
            "ratio_high": ratio and ratio.high,
            "verdict": ratio and ratio.verdict,
        }
    if peers:
        fastest = min(peers, key=lambda p: p.row.ms or math.inf)
        against = row.peers[fastest.row.variant]
        row.peer, row.peer_ms = fastest.row.variant, fastest.row.ms
        row.ratio, row.verdict = against["ratio"], against["verdict"]
        row.ratio_low, row.ratio_high = against["ratio_low"], against["ratio_high"]
