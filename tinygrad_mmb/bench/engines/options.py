"""What a run is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from tinygrad_mmb.bench.engines.engine import Engine
from tinygrad_mmb.bench.engines.workloads import WORKLOADS, Workload
from tinygrad_mmb.bench.options import BenchError

STEPS, THREADS, SCALING, IMPORTS, MEMORY = "steps", "threads", "scaling", "imports", "memory"
PARTS = (STEPS, THREADS, SCALING, IMPORTS, MEMORY)
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """See `mmb bench peers --help`."""

    only: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    parts: tuple[str, ...] = PARTS
    rounds: int = 21
    runs: int = 1
    milliseconds: float = 15.0
    threads: int = 1
    load: int | None = None  # busy processes beside two threads; None: one for each core
    memory_scale: int = 1
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def chosen_workloads(names: Sequence[str]) -> list[Workload]:
    """The workloads whose names begin as asked, in any case of letters; all if nothing is asked.

    Raises: BenchError for a name with which none begins.
    """
    return chosen("--only", names, {w.name: w for w in WORKLOADS})


def chosen_engines(names: Sequence[str], known: Mapping[str, Engine]) -> list[Engine]:
    """The same for engines; those that only check are always there. Raises: BenchError."""
    return chosen("--engines", names, {n: e for n, e in known.items() if e.timed}, whole=True)


def chosen_parts(names: Sequence[str]) -> tuple[str, ...]:
    """Parts of a run. Raises: BenchError."""
    return tuple(chosen("--parts", names, {part: part for part in PARTS}, whole=True))


def chosen(
    option: str, names: Sequence[str], known: Mapping[str, T], whole: bool = False
) -> list[T]:
    """What the names mean, in the order of `known`."""
    if not names:
        return list(known.values())
    found: set[str] = set()
    for name in names:
        wanted = name.lower()
        fits = {
            k for k in known if (k.lower() == wanted if whole else k.lower().startswith(wanted))
        }
        if not fits:
            raise BenchError(f"{option} {name}: there is none. There are: {'; '.join(known)}")
        found |= fits
    return [value for name, value in known.items() if name in found]
