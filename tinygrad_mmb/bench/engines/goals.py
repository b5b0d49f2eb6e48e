"""What the design asks of the CPU, and whether a run reached it.

A goal is a share of the time of a peer in the same rounds: 0.65 means at most 65 % of it, so lower
is better, and below 1 is faster. Where the interval of the share contains 1 the two are a tie,
whatever the median says; else the goal is met if the median is within it, and missed if not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.bench.results import Row

MET, TIE, MISSED, OPEN = "met", "tie", "missed", "not measured"
EAGER, CAPTURED = "mmb eager", "mmb captured"
BEST = "best peer"
GEOMETRIC_MEAN = 0.50


@dataclass(frozen=True)
class Share:
    """Our time over a peer's, and its interval (None if the rounds were too few for one)."""

    value: float
    low: float | None
    high: float | None

    @property
    def is_tie(self) -> bool:
        """Whether the interval allows that both are equally fast."""
        return self.low is not None and self.high is not None and self.low <= 1.0 <= self.high

    def text(self) -> str:
        interval = "" if self.low is None else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.value:.2f}{interval}"


def share(ratio: float | None, low: float | None, high: float | None) -> Share | None:
    """A ratio of speeds (how many times as fast, as rows have it) as a share of the time."""
    if ratio is None:
        return None
    if low is None or high is None:
        return Share(1.0 / ratio, None, None)
    return Share(1.0 / ratio, 1.0 / high, 1.0 / low)


def state(found: Share | None, at_most: float) -> str:
    """What may be said of a goal."""
    if found is None:
        return OPEN
    if found.is_tie:
        return TIE
    return MET if found.value <= at_most else MISSED


@dataclass(frozen=True)
class Goal:
    """At most these shares of the times of some peers."""

    workload: str
    form: str
    at_most: dict[str, float]

    def text(self) -> str:
        parts = [f"{v:.2f}" if k == BEST else f"{v:.2f} of {k}" for k, v in self.at_most.items()]
        return ", ".join(parts)


def asked(workload: str, captured: float | None, eager: float | dict[str, float]) -> list[Goal]:
    """A line of the design's table."""
    peers = eager if isinstance(eager, dict) else {BEST: eager}
    goals = [Goal(workload, EAGER, peers)]
    return goals if captured is None else [Goal(workload, CAPTURED, {BEST: captured}), *goals]


GOALS = (
    *asked("W1 MLP, batch 64", 0.65, 0.80),
    *asked("W1 MLP, batch 1024", 0.92, 1.00),
    *asked("W2 20 residual blocks", 0.30, 0.60),
    *asked("W3 CNN", 0.25, 0.40),
    *asked("W4 four tiny ops", None, {"jax.jit": 0.90, "torch": 0.25}),
    *asked("W5 Adam, 1M in 1 tensor", None, 0.75),
    *asked("W5 Adam, 1M in 200 tensors", None, 0.40),
    *asked("W5 Adam, 20M in 1 tensor", None, 0.95),
    *asked("W5 Adam, 20M in 200 tensors", None, 0.95),
    *asked("W6 softmax-CE, small", None, 0.50),
    *asked("W6 softmax-CE, middle", None, 0.30),
    *asked("W6 softmax-CE, large", None, 0.30),
    *asked("W7 batch norm, 2-D", None, 0.50),
    *asked("W7 batch norm, NCHW", None, 0.50),
    *asked("W8 transformer block", 0.80, 0.90),
)
WORKLOADS = tuple(dict.fromkeys(goal.workload for goal in GOALS))


@dataclass(frozen=True)
class Verdict:
    """One line of the table: who, what was asked, what came."""

    workload: str
    form: str
    peer: str
    asks: str
    share: Share | None
    state: str
    clock: float | None = None  # the share by the clock, whatever the goal is judged by

    def as_json(self) -> dict[str, Any]:
        found = None if self.share is None else vars(self.share)
        return vars(self) | {"share": found}


def row_of(rows: Sequence[Row], workload: str, form: str) -> Row | None:
    """The row of one form of ours, if it has a time."""
    return next(
        (r for r in rows if (r.kernel, r.variant) == (workload, form) and r.ms is not None), None
    )


def verdicts(rows: Sequence[Row], goals: Sequence[Goal] = GOALS) -> list[Verdict]:
    """One verdict for each goal and peer, and one for each form of which nothing is asked."""
    found = [verdict(rows, goal, peer) for goal in goals for peer in goal.at_most]
    named = {(v.workload, v.form) for v in found}
    for row in rows:
        if not row.peer_library and row.ms is not None and (row.kernel, row.variant) not in named:
            got = share(row.ratio, row.ratio_low, row.ratio_high)
            peer = row.peer or ""
            found.append(Verdict(row.kernel, row.variant, peer, "", got, "", by_clock(row, peer)))
    order = list(dict.fromkeys([*(g.workload for g in goals), *(r.kernel for r in rows)]))
    return sorted(found, key=lambda v: order.index(v.workload))  # stable: forms stay in turn


def verdict(rows: Sequence[Row], goal: Goal, peer: str) -> Verdict:
    """What became of a goal against one peer; a row that was wrong has missed it."""
    row = row_of(rows, goal.workload, goal.form)
    text = f"{goal.at_most[peer]:.2f}"
    if row is None:
        wrong = any((r.kernel, r.variant) == (goal.workload, goal.form) and not r.ok for r in rows)
        return Verdict(goal.workload, goal.form, peer, text, None, MISSED if wrong else OPEN)
    name = (row.peer or BEST) if peer == BEST else peer
    against = row.peers.get(name, {})
    found = share(*(against.get(k) for k in ("ratio", "ratio_low", "ratio_high")))
    reached = state(found, goal.at_most[peer])
    return Verdict(goal.workload, goal.form, name, text, found, reached, by_clock(row, name))


def by_clock(row: Row, peer: str) -> float | None:
    """Our time over a peer's by the clock; None if it was not compared."""
    ratio = row.peers.get(peer, {}).get("clock_ratio")
    return None if ratio is None else 1.0 / ratio


@dataclass(frozen=True)
class Mean:
    """The geometric mean of a form's shares of the best peers' times."""

    form: str
    value: float
    workloads: int
    above_one: tuple[str, ...]  # where the best peer is faster, ties left out

    def as_json(self) -> dict[str, Any]:
        return vars(self)

    def text(self) -> str:
        """In a line, with what the design asks if all of its workloads are there."""
        line = f"{self.form}: geometric mean {self.value:.2f} of the best peer's time"
        line += f" over {self.workloads} of {len(WORKLOADS)} workloads"
        if self.above_one:
            line += f"; slower than it: {'; '.join(self.above_one)}"
        if self.form != HEADLINE:
            return line
        reached = self.value <= GEOMETRIC_MEAN and not self.above_one
        known = self.workloads == len(WORKLOADS)
        asks = f"goal {GEOMETRIC_MEAN:.2f}, and none above 1"
        return f"{line} ({asks}: {(MET if reached else MISSED) if known else OPEN})"


HEADLINE = "captured where that is asked for, else eager"


def means(rows: Sequence[Row]) -> list[Mean]:
    """For each form of ours that was timed, and for the one that the design's headline is about."""
    forms = dict.fromkeys(r.variant for r in rows if not r.peer_library and r.ratio is not None)
    found = [mean(form, [row_of(rows, w, form) for w in WORKLOADS]) for form in forms]
    if CAPTURED in forms:
        wanted = {g.workload: CAPTURED for g in GOALS if g.form == CAPTURED}
        chosen = [row_of(rows, w, wanted.get(w, EAGER)) for w in WORKLOADS]
        found.insert(0, mean(HEADLINE, chosen))
    return [m for m in found if m is not None]


def mean(form: str, rows: Sequence[Row | None]) -> Mean | None:
    found = [
        (row.kernel, s)
        for row in rows
        if row is not None and (s := share(row.ratio, row.ratio_low, row.ratio_high)) is not None
    ]
    if not found:
        return None
    value = math.exp(sum(math.log(s.value) for _, s in found) / len(found))
    above = tuple(name for name, s in found if s.value > 1.0 and not s.is_tie)
    return Mean(form, value, len(found), above)
