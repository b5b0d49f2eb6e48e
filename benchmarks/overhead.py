"""Microseconds per operation: what an engine costs when the arrays are too small to matter.

    python benchmarks/overhead.py [--rounds 25] [--peers torch,mygrad] [--json FILE]

Runs (a * b + c).relu().sum() on (4, 4) float32, forward and forward + backward, here and in every
peer that is installed, interleaved in one process, so that a busy machine slows all alike. The
figure to read is the ratio to a peer in the same round: median and quartiles over the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Step = Callable[[], Any]
SHAPE = (4, 4)


def ours() -> tuple[Step, Step]:
    """tinygrad_mmb."""
    import tinygrad_mmb as tm

    a, b, c = (tm.ones(*SHAPE, requires_grad=True) for _ in range(3))

    def forward() -> Any:
        return (a * b + c).relu().sum()

    def both() -> None:
        a.grad = b.grad = c.grad = None
        forward().backward()

    return forward, both


def torch() -> tuple[Step, Step]:
    """PyTorch, eager, one thread."""
    import torch as library

    library.set_num_threads(1)
    a, b, c = (library.ones(*SHAPE, requires_grad=True) for _ in range(3))

    def forward() -> Any:
        return (a * b + c).relu().sum()

    def both() -> None:
        a.grad = b.grad = c.grad = None
        forward().backward()

    return forward, both


def autograd() -> tuple[Step, Step]:
    """HIPS autograd; its gradient function runs forward and backward."""
    import autograd.numpy as anp
    from autograd import grad

    a, b, c = (np.ones(SHAPE, np.float32) for _ in range(3))

    def loss(a: Any, b: Any, c: Any) -> Any:
        return anp.sum(anp.maximum(a * b + c, 0))

    gradient = grad(loss, (0, 1, 2))
    return lambda: loss(a, b, c), lambda: gradient(a, b, c)


def mygrad() -> tuple[Step, Step]:
    """MyGrad."""
    import mygrad as library
    from mygrad.nnet.activations import relu

    a, b, c = (library.tensor(np.ones(SHAPE, np.float32)) for _ in range(3))

    def forward() -> Any:
        return relu(a * b + c).sum()

    return forward, lambda: forward().backward()


def tinygrad() -> tuple[Step, Step]:
    """tinygrad (the other project), realised each time as its users see it."""
    from tinygrad import Tensor

    a, b, c = (Tensor(np.ones(SHAPE, np.float32)) for _ in range(3))
    for t in (a, b, c):
        t.requires_grad = True

    def forward() -> Any:
        return (a * b + c).relu().sum()

    def both() -> None:
        a.grad = b.grad = c.grad = None
        forward().backward()
        Tensor.realize(a.grad, b.grad, c.grad)

    return lambda: forward().realize(), both


PEERS: dict[str, Callable[[], tuple[Step, Step]]] = {
    "torch": torch,
    "autograd": autograd,
    "mygrad": mygrad,
    "tinygrad": tinygrad,
}


def microseconds(step: Step, repetitions: int) -> float:
    """Wall time of one call, averaged over the repetitions."""
    start = time.perf_counter()
    for _ in range(repetitions):
        step()
    return (time.perf_counter() - start) / repetitions * 1e6


def repetitions_for(step: Step, milliseconds: float = 8.0) -> int:
    """How often to call so that a measurement takes some milliseconds."""
    microseconds(step, 3)  # first calls compile and allocate
    return max(3, int(milliseconds * 1e3 / max(microseconds(step, 3), 1e-3)))


def measure(names: list[str], rounds: int) -> dict[str, Any]:
    """All engines, interleaved: {engine: {"forward": [µs per round], "both": [...]}}."""
    steps = {"tinygrad_mmb": ours()}
    for name in names:
        try:
            steps[name] = PEERS[name]()
            steps[name][1]()
        except (ImportError, RuntimeError) as problem:  # not installed, or no compiler for it
            print(f"{name}: left out: {problem}")
            steps.pop(name, None)
    counts = {name: [repetitions_for(s) for s in pair] for name, pair in steps.items()}
    rows: dict[str, Any] = {name: {"forward": [], "both": []} for name in steps}
    for _ in range(rounds):
        for name, pair in steps.items():
            for part, step, n in zip(("forward", "both"), pair, counts[name], strict=True):
                rows[name][part].append(microseconds(step, n))
    return rows


def table(rows: dict[str, Any]) -> str:
    """Medians, and our ratio to each peer with quartiles."""
    lines = [f"{'engine':<14}{'forward':>10}{'+ backward':>12}   ours / peer (quartiles)"]
    mine = rows["tinygrad_mmb"]["both"]
    for name, row in rows.items():
        forward, both = (statistics.median(row[part]) for part in ("forward", "both"))
        text = f"{name:<14}{forward:>7.1f} µs{both:>9.1f} µs"
        if name != "tinygrad_mmb":
            low, middle, high = statistics.quantiles(
                [a / b for a, b in zip(mine, row["both"], strict=True)], n=4
            )
            text += f"   {middle:.2f} ({low:.2f} to {high:.2f})"
        lines.append(text)
    return "\n".join(lines)


def main() -> None:
    """Measure what is installed, print the table, and write the numbers if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=25, help="how often each is timed, in turn [%(default)s]"
    )
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="which engines, by commas [%(default)s]"
    )
    parser.add_argument("--json", type=Path, help="write every number to this file")
    options = parser.parse_args()
    peers = options.peers.split(",")
    if unknown := set(peers) - set(PEERS):
        parser.error(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    rows = measure(peers, options.rounds)
    print(table(rows))
    if options.json:
        versions = {name: version(name.replace("_", "-")) for name in [*rows, "numpy"]}
        machine = {"python": platform.python_version(), "processor": platform.processor(),
                   "machine": platform.machine(), "date": str(datetime.date.today())}  # fmt: skip
        result = {"microseconds": rows, "versions": versions, "machine": machine, "shape": SHAPE}
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
