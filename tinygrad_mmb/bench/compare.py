"""Two runs against each other: is something slower than it was, and can a result be repeated?

Compared are ratios to peers, not times: they hold on a busy machine and after a driver's update, as
the peer was measured in the same rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.bench.results import Row

LOSS = 0.05
KEPT, GAINED, LOST, UNSURE = "kept", "gained", "LOST", "within the noise"
INSIDE, OUTSIDE = "inside", "OUTSIDE"
WRONG, NO_RATIO, NOT_RUN = "WRONG NOW", "no ratio", "not run"


@dataclass(frozen=True)
class Change:
    """One row, then and now."""

    name: str
    before: str
    now: str
    verdict: str
    failed: bool


def same_device(old: dict[str, Any], new: dict[str, Any], option: str) -> None:
    """Raises: BenchError if two runs are of different machines."""
    if old["device"] != new["device"] or hardware(old) != hardware(new):
        raise BenchError(
            f"{option}: that file was measured on {hardware(old)}, this run on {hardware(new)}; "
            "ratios of different machines say nothing about a change. Name a file of this machine"
        )


def hardware(content: dict[str, Any]) -> str:
    machine = content["machine"]
    return str(machine.get("gpu") or machine.get("processor") or content["device"])


def by_name(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    return {row.name(): row for row in rows if not row.peer_library}


def label(row: Row) -> str:
    return f"{row.kernel} {row.variant} {row.shape} {row.dtype}"


def ratio_text(row: Row) -> str:
    if row.ratio is None:
        return "no ratio" if row.ok else "wrong"
    if row.ratio_low is None:
        return f"{row.ratio:.2f}"
    return f"{row.ratio:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})"


def against(row: Row, peer: str | None) -> tuple[float, float, float] | None:
    """Ratio and interval to one peer: the fastest one may be another today."""
    found = row.peers.get(peer or "")
    if found is None or found["ratio_low"] is None:
        return None
    return found["ratio"], found["ratio_low"], found["ratio_high"]


def changes(old: Sequence[Row], new: Sequence[Row]) -> list[Change]:
    """What became of each row that both runs have. A loss of more than 5 % fails only if the
    intervals lie apart: what overlaps may be chance, and is said to be.
    """
    before, now = by_name(old), by_name(new)
    found = []
    for name, row in now.items():
        was = before.get(name)
        if was is None:
            continue
        verdict = change(was, row)
        found.append(
            Change(label(row), ratio_text(was), ratio_text(row), verdict, verdict in (LOST, WRONG))
        )
    return found


def change(was: Row, row: Row) -> str:
    """One row then and now, by its ratio to the peer that was the fastest then."""
    if was.ok and not row.ok:
        return WRONG
    if was.ratio is None:
        return KEPT
    a, b = against(was, was.peer), against(row, was.peer)
    if a is None or b is None:
        return NO_RATIO
    if b[0] < (1.0 - LOSS) * a[0]:
        return LOST if b[2] < a[1] else UNSURE
    return GAINED if b[1] > a[2] else KEPT


def reproductions(old: Sequence[Row], new: Sequence[Row]) -> list[Change]:
    """For each row of the file: does the interval of today meet that of then?"""
    now = by_name(new)
    found = []
    for name, was in by_name(old).items():
        row = now.get(name)
        if row is None:
            found.append(Change(label(was), ratio_text(was), "", NOT_RUN, True))
            continue
        verdict = reproduced(was, row)
        found.append(
            Change(label(was), ratio_text(was), ratio_text(row), verdict, verdict != INSIDE)
        )
    return found


def reproduced(was: Row, row: Row) -> str:
    """Whether today's interval meets that of then."""
    if was.ok != row.ok:
        return WRONG if was.ok else OUTSIDE
    if was.ratio is None:
        return INSIDE
    a, b = against(was, was.peer), against(row, was.peer)
    if a is None or b is None:
        return NO_RATIO
    return INSIDE if b[1] <= a[2] and a[1] <= b[2] else OUTSIDE
