"""Too slow, too fast, and to the wrong place: C = (w₁ w₂ - 1.5)² + 0.04 (w₁² + w₂²).

    python examples/descent_and_newton.py [--out FOLDER]

The minima are ±(√1.46, √1.46) with C = 0.1184 and curvatures 0.16 and 5.84. Descent with a step
size above 2 / 5.84 = 0.3425 cannot settle there; below it the curvature 0.16 makes it slow. Newton
goes to where the gradient is zero, be it a saddle; Levenberg's damping turns it downhill.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.functional import hessian, jacobian
from tinygrad_mmb.training.plots import picture

LOWEST, NEAR, FAR = 0.1184, (0.5, 1.0), (0.2, 2.0)
LEVELS = [0.13, 0.17, 0.3, 0.6, 1.2, 2.25, 5, 20, 50, 100, 200]
LOOKS = (("o-", "#0072B2"), ("^--", "#D55E00"), ("s-.", "#009E73"), ("v:", "#CC79A7"))
Step = Any  # a function from w to the next w


def cost(w: Any) -> Any:
    """C of a Tensor (2,), or of a pair of arrays."""
    return (w[0] * w[1] - 1.5) ** 2 + 0.04 * (w[0] ** 2 + w[1] ** 2)


def descent(lr: float) -> Step:
    """w ← w - lr · g."""
    return lambda w: w - lr * jacobian(cost, w)


def newton(mu: float = 0.0) -> Step:
    """w ← w - (H + μ I)⁻¹ g. The saddle curves down by 2.92: a μ above that leads away from it."""
    damping = mu * tm.eye(2, dtype=tm.float64)
    return lambda w: w - tm.linalg.inv(hessian(cost, w) + damping) @ jacobian(cost, w)


def walk(step: Step, start: tuple[float, float], n: int) -> Any:
    """An array with a row (w₁, w₂, C) for the start and for each of n steps."""
    w, rows = tm.tensor(start, dtype=tm.float64), []
    for _ in range(n + 1):
        rows.append([*w.tolist(), cost(w).item()])
        w = step(w)
    return np.array(rows)


def draw(figure: Any, walks: dict[str, Any]) -> None:
    """Left descent, in the middle Newton, on maps of C; right C over the steps."""
    left, middle, right = figure.subplots(1, 3)
    looks = dict(zip(walks, LOOKS, strict=True))
    maps = ((left, 0, (0.85, 0.85), (1.45, 1.45)), (middle, 2, (-2.5, -11.5), (2.5, 3.5)))
    for axes, first, low, high in maps:
        h, v = np.meshgrid(*np.linspace(low, high, 201).T)
        axes.clabel(axes.contour(h, v, cost((h, v)), LEVELS, colors="0.75", linewidths=0.8))
        for name in list(walks)[first : first + 2]:
            style, colour = looks[name]
            axes.plot(*walks[name][:16, :2].T, style, color=colour, label=name, markersize=5)
        axes.plot(1.46**0.5, 1.46**0.5, "*", color="white", markeredgecolor="black", markersize=14)
        axes.set(xlabel="w₁", ylabel="w₂", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    cycle = walks["descent, step size 0.35"][-2:, :2].T
    left.plot(*cycle, "D-", color="black", markersize=8, label="where 0.35 ends: a 2-cycle")
    left.legend(loc="lower right")
    left.set_title("descent, first 15 steps; star: minimum")
    middle.plot(0, 0, "X", color="white", markeredgecolor="black", markersize=12)
    middle.legend(loc="lower right")
    middle.set_title("Newton, first 15 steps; cross: saddle")
    for name, (style, colour) in looks.items():
        right.semilogy(walks[name][:, 2] - LOWEST, style, color=colour, markevery=12, label=name)
    right.set(xlabel="step", ylabel="C above its minimum", xlim=(-2, 122), ylim=(1e-9, 1e3))
    right.legend(loc="lower left")


def main() -> None:
    parser = argparse.ArgumentParser(description="Descent and Newton on the tiny example.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    walks = {
        "descent, step size 0.25": walk(descent(0.25), NEAR, 1000),
        "descent, step size 0.35": walk(descent(0.35), NEAR, 1000),
        "Newton": walk(newton(), FAR, 30),
        "Levenberg, damping 4": walk(newton(4.0), FAR, 200),
    }
    print("curvatures", np.linalg.eigvalsh(hessian(cost, tm.ones(2).double() * 1.46**0.5).numpy()))
    for name, rows in walks.items():
        close = np.flatnonzero(rows[:, 2] - LOWEST < 1e-6)
        when = f"down after {close[0]} steps" if len(close) else "never down"
        w1, w2, c = rows[-1].round(6) + 0.0
        print(f"{name:24} ends at ({w1:.6f}, {w2:.6f}), C = {c:.6f}, {when}")
    low, high = sorted(walks["descent, step size 0.35"][-2:].tolist())
    print(f"the 2-cycle: w1 {low[0]:.6f} (C {low[2]:.6f}) <-> {high[0]:.6f} (C {high[2]:.6f})")
    picture(out / "descent_and_newton.png", 15, 5, lambda figure: draw(figure, walks))


if __name__ == "__main__":
    main()
