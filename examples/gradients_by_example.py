"""Gradients by example: local and global gradients, broadcasting, the second order, a graph.

    python examples/gradients_by_example.py [--out FOLDER]

f = (x + y) z at x = -2, y = 5, z = -4, as in the lectures. With q = x + y the local gradients are
∂q/∂x = ∂q/∂y = 1, ∂f/∂q = z, ∂f/∂z = q; the chain rule multiplies them along each path.
"""

import argparse
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb.autograd import to_mermaid
from tinygrad_mmb.training.plots import picture


def first_example() -> dict[str, tuple[float, float]]:
    """Value and gradient ∂f/∂· of every node."""
    x, y, z = (tm.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    q = x + y
    q.retain_grad()  # .grad is kept for leaves only, unless one asks
    f = q * z
    f.backward()
    nodes = {"x": x, "y": y, "q = x + y": q, "z": z}
    values = {name: (t.item(), t.grad.item()) for name, t in nodes.items()}
    print("f = (x + y) z")
    for name, (value, gradient) in values.items():
        print(f"  {name:<10} value {value:5.1f}   df/d{name[0]} {gradient:5.1f}")
    moved = (x + 0.5 + y) * z
    print(f"  f = {f.item()}; with x + 0.5 it changes by {moved.item() - f.item()} = 0.5 df/dx\n")
    print(to_mermaid(f, {"x": x, "y": y, "z": z}))
    return {**values, "f = q z": (f.item(), 1.0)}


def broadcasting() -> None:
    """What was copied in the forward pass is summed in the backward pass."""
    x = tm.ones(4, 3)
    b = tm.zeros(3, requires_grad=True)
    (x + b).sum().backward()
    print(f"\n(x + b).sum(), x (4, 3), b (3,): b is used 4 times, so b.grad = {b.grad.tolist()}")


def second_order() -> None:
    """The gradient is computed by operations too, so it can be differentiated again."""
    x = tm.tensor(2.0, requires_grad=True)
    (first,) = tm.autograd.grad(x**3, x, create_graph=True)
    (second,) = tm.autograd.grad(first, x)
    print(f"x^3 at 2: first derivative {first.item()}, second {second.item()}")


def total_and_partial() -> None:
    """a = 2, b = 3a: a + b depends on a directly, and through b."""
    a = tm.tensor(2.0, requires_grad=True)
    b = 3 * a
    total = tm.autograd.gradients(a + b, [a, b])
    partial = tm.autograd.gradients(a + b, [a, b], stop_gradients=[a, b])
    print(f"a + b with b = 3a: total derivatives {[g.item() for g in total]}, ", end="")
    print(f"partial ones {[g.item() for g in partial]}")


def draw(figure: Any, nodes: dict[str, tuple[float, float]]) -> None:
    """The graph: each box says its value (forward) and its gradient (backward)."""
    axes = figure.subplots()
    places = {"x": (0, 2), "y": (0, 1), "z": (0, 0), "q = x + y": (1, 1.5), "f = q z": (2, 0.75)}
    local = {
        ("x", "q = x + y"): "∂q/∂x = 1",
        ("y", "q = x + y"): "∂q/∂y = 1",
        ("q = x + y", "f = q z"): "∂f/∂q = z = -4",
        ("z", "f = q z"): "∂f/∂z = q = 3",
    }
    for (start, end), label in local.items():
        (x0, y0), (x1, y1) = places[start], places[end]
        arrow = {"arrowstyle": "-|>", "color": "0.4", "shrinkA": 42, "shrinkB": 46}
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        white = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        axes.text((x0 + x1) / 2, (y0 + y1) / 2, label, ha="center", va="center", bbox=white)
    for name, (value, gradient) in nodes.items():
        text = f"{name}\nvalue {value:g}\ngradient {gradient:g}"
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "black"}
        axes.text(*places[name], text, ha="center", va="center", bbox=box)
    axes.set(xlim=(-0.4, 2.4), ylim=(-0.4, 2.4), title="gradient = ∂f/∂(node): upstream × local")
    axes.axis("off")


def main() -> None:
    parser = argparse.ArgumentParser(description="Gradients by example.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    nodes = first_example()
    broadcasting()
    second_order()
    total_and_partial()
    picture(out / "gradients_by_example.png", 8, 4.5, lambda figure: draw(figure, nodes))


if __name__ == "__main__":
    main()
