"""What the handwritten kernels should reach on a GPU, and whether they did.

A goal is a ratio of speed to a peer of the same rounds (above 1: ours is faster) and a share of the
limit that was measured on the same machine, so it reads the same on every GPU. A goal is met if
the best of our variants meets it at every size that belongs to it; a size that was not measured
leaves it open, and nothing measured on a CPU counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.bench.results import Row

MET, MISSED, OPEN = "met", "missed", "not measured"
BEST = "fastest peer"
OURS = ("cuda",)  # backends whose kernels are handwritten for the GPU


@dataclass(frozen=True)
class Goal:
    """`ratios` by the peer's name, and the least share of the limit in per cent."""

    title: str
    kernel: str
    ratios: dict[str, float]
    share: float | None = None
    dtype: str = "float32"
    fits: Callable[[str], bool] = lambda shape: True  # by the row's shape

    def covers(self, row: Row) -> bool:
        return (
            row.kernel == self.kernel
            and row.dtype == self.dtype
            and row.backend in OURS
            and self.fits(row.shape)
        )

    def met_by(self, row: Row) -> bool | None:
        """Whether this row meets it; None where a peer it asks for was not there."""
        found = [(self.ratio_of(row, peer), least) for peer, least in self.ratios.items()]
        if row.ms is None:
            return None if row.ok else False
        if any(ratio is None for ratio, _ in found):
            return None
        fast = all(ratio is not None and ratio >= least for ratio, least in found)
        return fast and (self.share is None or (row.pct_limit or 0.0) >= self.share)

    @staticmethod
    def ratio_of(row: Row, peer: str) -> float | None:
        return row.ratio if peer == BEST else row.peers.get(peer, {}).get("ratio")

    def as_json(self) -> dict[str, Any]:
        return {"title": self.title, "ratios": self.ratios, "share": self.share}

    def text(self) -> str:
        """The goal in words: 1.05 x cuBLAS, 85 % of the limit."""
        parts = [f"{least:g} x {peer}" for peer, least in self.ratios.items()]
        if self.share is not None:
            parts.append(f"{self.share:g} % of the limit")
        return ", ".join(parts)


def square(*sizes: int) -> Callable[[str], bool]:
    return lambda shape: shape in {f"{n}x{n}x{n}" for n in sizes}


def layout(name: str) -> Callable[[str], bool]:
    return lambda shape: shape.endswith(name)


def several(shape: str) -> bool:
    return not shape.startswith("1x")


CUBLAS = "cuBLAS (CuPy)"
GOALS = (
    Goal(
        "matmul fp32, 1024 to 8192",
        "MatMul",
        {CUBLAS: 1.05},
        85,
        fits=square(1024, 2048, 4096, 8192),
    ),
    Goal("matmul tf32", "MatMul", {BEST: 1.0}, 80, "tf32", square(4096, 8192)),
    Goal("matmul bf16, 4096", "MatMul", {BEST: 1.03}, 97, "bfloat16", square(4096)),
    Goal("matmul bf16, 8192", "MatMul", {BEST: 1.0}, 97, "bfloat16", square(8192)),
    Goal(
        "softmax-cross-entropy, forward + backward",
        "CrossEntropy.forward+backward",
        {"torch": 2.5, BEST: 1.15},
        92,
    ),
    Goal(
        "batch norm forward, NHWC",
        "BatchNorm",
        {"torch": 1.2, "torch, cuDNN off": 1.2},
        88,
        fits=layout("NHWC"),
    ),
    Goal(
        "batch norm backward, NHWC",
        "BatchNorm.backward",
        {"torch": 1.2, "torch, cuDNN off": 1.2},
        88,
        fits=layout("NHWC"),
    ),
    Goal(
        "batch norm forward, NCHW",
        "BatchNorm",
        {"torch": 1.5, "torch, cuDNN off": 1.5},
        88,
        fits=layout("NCHW"),
    ),
    Goal(
        "batch norm backward, NCHW",
        "BatchNorm.backward",
        {"torch": 1.5, "torch, cuDNN off": 1.5},
        88,
        fits=layout("NCHW"),
    ),
    Goal("layer norm backward", "LayerNorm.backward", {"torch": 1.8}, 85),
    *(
        Goal(
            f"{op}, one large tensor",
            f"{op}.update",
            {"torch": 1.1},
            93,
            fits=lambda s: not several(s),
        )
        for op in ("Adam", "SGD")
    ),
    *(
        Goal(f"{op}, hundreds of small tensors", f"{op}.update", {"torch": 2.0}, None, fits=several)
        for op in ("Adam", "SGD")
    ),
    Goal(
        "captured training step (MLP, CNN)", "captured step", {"torch.compile": 1.0, "jax.jit": 1.0}
    ),
)


def goal_of(row: Row) -> Goal | None:
    """The goal that a row belongs to."""
    return next((g for g in GOALS if g.covers(row)), None)


def judge(rows: Iterable[Row], kind: str) -> None:
    """Write goal and verdict into the rows of a GPU."""
    for row in rows:
        goal = goal_of(row) if kind == "gpu" else None
        if goal is not None:
            row.goal, row.met = goal.as_json(), goal.met_by(row)


@dataclass(frozen=True)
class Verdict:
    """A goal, whether it was met, and by what."""

    goal: Goal
    state: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.title,
            "asks": self.goal.text(),
            "state": self.state,
            "detail": self.detail,
        }


def verdicts(rows: Sequence[Row], kind: str) -> list[Verdict]:
    """One verdict for each goal."""
    return [verdict(goal, rows if kind == "gpu" else ()) for goal in GOALS]


def verdict(goal: Goal, rows: Sequence[Row]) -> Verdict:
    """Per size the best variant counts; every size must meet the goal."""
    covered = [row for row in rows if goal.covers(row)]
    if not covered:
        return Verdict(goal, OPEN, "")
    shapes = dict.fromkeys(row.shape for row in covered)
    states, details = [], []
    for shape in shapes:
        here = [row for row in covered if row.shape == shape]
        met = [goal.met_by(row) for row in here]
        states.append(MET if True in met else OPEN if None in met else MISSED)
        timed = [row for row in here if row.ratio is not None]
        if timed:
            best = max(timed, key=lambda row: (goal.met_by(row) is True, row.ratio or 0.0))
            details.append(f"{shape}: {reached(goal, best)}")
        else:
            details.append(f"{shape}: {here[0].note or 'no time'}")
    order = (MISSED, OPEN, MET)
    return Verdict(goal, min(states, key=order.index), "; ".join(details))


def reached(goal: Goal, row: Row) -> str:
    """What a row reached, in the terms of the goal."""
    parts = []
    for peer in goal.ratios:
        ratio = goal.ratio_of(row, peer)
        parts.append(f"{peer} {'n/a' if ratio is None else f'{ratio:.2f} x'}")
    if row.pct_limit is not None:
        parts.append(f"{row.pct_limit:.0f} %")
    return f"{row.variant} {', '.join(parts)}"
