"""The rows of a run, and the file that holds them: valid after every row, whenever the run stops.

A row with `ok` false has no time: what computes something else is not fast. `ms` is the median
over `rounds`, `iqr` the width of the middle half. `ratio` is how many times as fast as `peer`, the
fastest one of the same rounds; `peers` holds the same for each of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tinygrad_mmb import atomic

SCHEMA = 1


@dataclass
class Row:
    """One variant of one kernel at one size."""

    kernel: str  #                   key of the kernel table: Softmax, Softmax.backward, Adam.update
    variant: str  #                  which of several: a ladder's step, a backend, a library
    backend: str  #                  cuda, emulator, cpu, numba, reference, torch, ..., yours
    shape: str
    dtype: str
    peer_library: bool = False  #    somebody else's: what ours is compared with
    ms: float | None = None
    iqr: float | None = None
    rounds: int = 0
    tflops: float | None = None
    gbs: float | None = None  #      10⁹ bytes per second, of the bytes that must move
    pct_limit: float | None = None  # of the time that the measured limits allow, per cent
    peer: str | None = None
    peer_ms: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    verdict: str | None = None
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    max_err: float | None = None  #  largest error, relative to the largest entry of the result
    tol: float | None = None
    ok: bool = False
    goal: dict[str, Any] | None = None
    met: bool | None = None
    clock: str | None = None  #      "events" of the GPU, or "host"
    cold: bool | None = None  #      whether the inputs in turn exceed twice the cache
    note: str | None = None

    def name(self) -> tuple[str, str, str, str, str]:
        """What identifies a row in several runs."""
        return self.kernel, self.variant, self.backend, self.shape, self.dtype


# What JSON may hold in each field; None where a thing was not measured.
TYPES: dict[str, tuple[type, ...]] = {
    "kernel": (str,), "variant": (str,), "backend": (str,), "shape": (str,), "dtype": (str,),
    "peer_library": (bool,), "rounds": (int,), "peers": (dict,), "ok": (bool,),
    **dict.fromkeys(("ms", "iqr", "tflops", "gbs", "pct_limit", "peer_ms", "ratio", "ratio_low",
                     "ratio_high", "max_err", "tol"), (float, int, type(None))),
    **dict.fromkeys(("peer", "verdict", "clock", "note"), (str, type(None))),
    "goal": (dict, type(None)), "met": (bool, type(None)), "cold": (bool, type(None)),
}  # fmt: skip
HEADER = {
    "schema": int, "device": str, "kind": str, "started": str, "finished": bool, "seed": int,
    "machine": dict, "ceilings": dict, "options": dict, "rows": list,
}  # fmt: skip


class Results:
    """A run's file: header, rows, and lists of other findings, written after each change."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.content: dict[str, Any] = {"schema": SCHEMA, **header, "finished": False, "rows": []}

    def add(self, *rows: Row) -> None:
        """Keep rows, on the disk."""
        self.rows += rows
        self.write()

    def note(self, **findings: Any) -> None:
        """Keep something else under its name, on the disk."""
        self.content |= findings
        self.write()

    def write(self) -> None:
        self.content["rows"] = [asdict(row) for row in self.rows]
        atomic.write_json(self.path, plain(self.content))


def plain(value: Any) -> Any:
    """What JSON can hold: infinities and NaN, which it cannot, become None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class InvalidResults(ValueError):  # noqa: N818 - what the file is
    """A file that is no results file of ours."""


def read(path: Path) -> dict[str, Any]:
    """A results file, its rows as Row objects.

    Raises: InvalidResults, with the place, if the file is missing or does not fit the schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidResults(
            f"{path}: {error.strerror}. Name a results.json of mmb bench"
        ) from None
    except ValueError as error:
        raise InvalidResults(f"{path}: no JSON: {error}") from None
    if problem := first_problem(content):
        raise InvalidResults(f"{path}: {problem}. Name a results.json of this version of mmb bench")
    content["rows"] = [Row(**row) for row in content["rows"]]
    return content


def first_problem(content: Any) -> str | None:
    """Why this is no results file, or None."""
    if not isinstance(content, dict):
        return "expected an object with rows"
    for name, kind in HEADER.items():
        if not isinstance(content.get(name), kind):
            return f"{name} should be of type {kind.__name__}, but is {content.get(name)!r}"
    if content["schema"] != SCHEMA:
        return f"schema is {content['schema']}, but this version reads {SCHEMA}"
    known = {f.name for f in fields(Row)}
    for i, row in enumerate(content["rows"]):
        if not isinstance(row, dict) or row.keys() != known:
            return f"row {i} has not exactly the fields of a row"
        for name, value in row.items():
            if not isinstance(value, TYPES[name]) or (value is True and bool not in TYPES[name]):
                return f"row {i}: {name} is {value!r}"
        if not row["ok"] and row["ms"] is not None:
            return f"row {i} is not ok, but has a time"
    return None


def timed(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a time."""
    return [row for row in rows if row.ms is not None]
