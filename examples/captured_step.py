"""A training step, traced once and replayed: the same numbers in less time.

    python examples/captured_step.py [--out FOLDER]

Twelve small layers learn two spirals, once step by step and once with tm.capture: every loss is the
same to the last bit. What is saved is the time between the calls of NumPy.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.training.plots import picture


def spirals(n: int) -> tuple[Any, Any]:
    """Two arms of n / 2 points.   x (n, 2), t (n,): the arm, 0 or 1."""
    t = tm.arange(n) % 2
    radius = 0.2 + 0.8 * tm.rand(n)
    angle = 6.0 * radius + math.pi * t
    return tm.stack([radius * angle.cos(), radius * angle.sin()], dim=1), t


def training_step(captured: bool) -> Any:
    """A step of a new model."""
    tm.manual_seed(0)
    hidden = [layer for _ in range(10) for layer in (nn.Linear(16, 16), nn.Tanh())]
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), *hidden, nn.Linear(16, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.003)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return tm.capture(step) if captured else step


def train(step: Any, x: Any, t: Any, steps: int = 400) -> tuple[list[float], list[float]]:
    """The loss before each step, and the milliseconds of CPU that each took."""
    losses, times = [], []
    for _ in range(steps):
        start = time.process_time_ns()
        loss = step(x, t)
        times.append((time.process_time_ns() - start) / 1e6)
        losses.append(loss.item())
    return losses, times


def draw(figure: Any, runs: dict[str, tuple[list[float], list[float]]]) -> None:
    """The losses, which coincide, and the time of each step."""
    left, right = figure.subplots(1, 2)
    for (name, (losses, times)), colour, dash in zip(
        runs.items(), ("#0072b2", "#e69f00"), ("-", "--"), strict=True
    ):
        left.plot(losses, dash, color=colour, linewidth=2.5, label=name)
        right.semilogy(times, ".", color=colour, markersize=5, label=name)
    left.set(xlabel="step", ylabel="cross entropy (nats)", title="the same losses, bit for bit")
    right.set(xlabel="step", ylabel="CPU time of a step (ms)", title="the first calls are traced")
    left.legend()
    right.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description="A captured training step.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    x, t = spirals(64)
    step = training_step(captured=True)
    with tm.use_kernels("reference"):  # both in NumPy; in C++ they are equal to rounding
        runs = {"plain": train(training_step(captured=False), x, t), "captured": train(step, x, t)}
    plain, captured = (runs[name] for name in ("plain", "captured"))
    print(f"loss {plain[0][0]:.4f} -> {plain[0][-1]:.4f}")
    print(f"losses equal bit for bit: {plain[0] == captured[0]}")
    medians = [sorted(times)[len(times) // 2] for _, times in (plain, captured)]
    print(f"a plain step {medians[0]:.2f} ms, a replay {medians[1]:.2f} ms (medians, CPU time)")
    print(step.cache_info())
    print("\n".join(step.explain().splitlines()[-6:]))
    picture(out / "captured_step.png", 10, 4.2, lambda f: draw(f, runs))


if __name__ == "__main__":
    main()
