"""The most memory that a training step holds: an MLP of ten equal layers, forward and backward.

Without an optimizer and with a large batch nearly all of it is activations: 10 x 2048 at batch 8192
keeps 64 MiB a layer. Each engine runs two steps in a process of its own; reported is the most that
the process held above what it held after its imports and a tiny step: copies and what an allocator
keeps for itself count, code does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.bench.engines import checks, goals
from tinygrad_mmb.bench.engines.child import Failed
from tinygrad_mmb.bench.engines.engine import Engine
from tinygrad_mmb.bench.engines.rounds import Plan, Start
from tinygrad_mmb.bench.engines.workloads import MLP, Workload, mlp

LAYERS, WIDTH, BATCH = 10, 2048, 8192
PEER = "torch"  # at most its memory
ALIKE = 0.02  # of the peer's: what pages and allocators leave to chance
MIB = float(1 << 20)


@dataclass(frozen=True)
class Peak:
    """What one engine held, in MiB."""

    engine: str
    ours: bool
    base: float  # after its imports and a tiny step
    peak: float  # above that

    def as_json(self) -> dict[str, Any]:
        return vars(self)


def state(share: float) -> str:
    """What may be said of our share of the peer's memory."""
    if abs(share - 1.0) <= ALIKE:
        return goals.TIE
    return goals.MET if share < 1.0 else goals.MISSED


def workload(scale: int = 1) -> Workload:
    """Batch and width divided by `scale`, for a small machine."""
    width, batch = WIDTH // scale, BATCH // scale
    name = f"{LAYERS} x {width} MLP, batch {batch}"
    return mlp(name, batch, (width,) * (LAYERS + 1), optimizer=False)


def measure(
    engines: Sequence[Engine], scale: int, plan: Plan, start: Start
) -> tuple[list[Peak], dict[str, str]]:
    """The peak of each engine, one after the other, and why some have none. Whose loss differs from
    that of the first engine has none either.
    """
    asked, found, failed = workload(scale), [], {}
    expected: list[float] = []
    for engine in engines:
        if MLP not in engine.kinds:
            continue
        try:
            with start(engine, plan.threads) as child:
                got = child.ask("memory", workload=asked.as_json(), seed=plan.seed)
            expected = expected or got["losses"]
            if problem := checks.of_losses(got["losses"], expected):
                raise Failed(problem)
        except Failed as problem:
            failed[engine.name] = str(problem)
            continue
        base, peak = got["base"] / MIB, got["peak"] / MIB
        found.append(Peak(engine.name, engine.ours, base, peak - base))
    return found, failed
