"""Five optimizers on their way down the tiny example C = (w₁ w₂ - 1.5)² + 0.04 (w₁² + w₂²).

    python examples/optimizer_paths.py [--out FOLDER]

All start at (0.2, 2). The valley to the minimum at (√1.46, √1.46), where C = 0.1184, is 36 times
steeper across than along: plain descent creeps, momentum swings, Adam takes steps of its own size.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb import optim
from tinygrad_mmb.training.plots import picture

LOWEST, STEPS = 0.1184, 200
OPTIMIZERS = {
    "SGD lr 0.1": (optim.SGD, {"lr": 0.1}),
    "momentum 0.9 lr 0.02": (optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    "Adagrad lr 0.5": (optim.Adagrad, {"lr": 0.5}),
    "RMSprop lr 0.02": (optim.RMSprop, {"lr": 0.02}),
    "Adam lr 0.1": (optim.Adam, {"lr": 0.1}),
}
LOOKS = [  # colours of Okabe and Ito, with markers and dashes for those who see none
    {"color": "#D55E00", "marker": "o", "linestyle": "-"},
    {"color": "#0072B2", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
    {"color": "black", "marker": "v", "linestyle": (0, (5, 1, 1, 1))},
]


def cost(w: Any) -> Any:
    """C of a Tensor (2,), or of a pair of arrays."""
    return (w[0] * w[1] - 1.5) ** 2 + 0.04 * (w[0] ** 2 + w[1] ** 2)


def path(algorithm: Any, options: dict[str, float]) -> Any:
    """An array with a row (w₁, w₂, C) for the start and for each step."""
    w = tm.tensor([0.2, 2.0], dtype=tm.float64, requires_grad=True)
    optimizer, rows = algorithm([w], **options), []
    for _ in range(STEPS + 1):
        loss = cost(w)
        rows.append([*w.tolist(), loss.item()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(rows)


def draw(figure: Any, paths: dict[str, Any]) -> None:
    """The paths on the map of C, and C over the steps."""
    plane, curve = figure.subplots(1, 2, width_ratios=(1, 1.1))
    h, v = np.meshgrid(np.linspace(-0.2, 2.2, 201), np.linspace(0.4, 2.8, 201))
    levels = [0.13, 0.2, 0.3, 0.6, 1, 2, 4, 8, 16]
    plane.clabel(plane.contour(h, v, cost((h, v)), levels, colors="0.75", linewidths=0.8))
    for (name, way), look in zip(paths.items(), LOOKS, strict=True):
        plane.plot(way[:, 0], way[:, 1], markersize=3.5, linewidth=1.2, **look)
        curve.semilogy(way[:, 2] - LOWEST, markevery=20, markersize=6, label=name, **look)
    plane.plot(1.46**0.5, 1.46**0.5, "*", color="white", markeredgecolor="black", markersize=14)
    plane.annotate("start", (0.2, 2.0), (-0.1, 1.8))
    plane.annotate("minimum", (1.46**0.5, 1.46**0.5), (1.35, 1.2))
    plane.set(xlabel="w₁", ylabel="w₂", aspect="equal", title="lines of equal C, and five paths")
    curve.set(xlabel="step", ylabel="C above its minimum", title="how far down")
    curve.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description="Optimizers on the tiny example.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for picture and CSV")
    out = parser.parse_args().out
    paths = {name: path(*how) for name, how in OPTIMIZERS.items()}
    for name, way in paths.items():
        steps = int(np.argmax(way[:, 2] < LOWEST + 1e-3))  # no path ends above that
        print(f"{name:21} C < 0.1194 after {steps:3d} steps; ends at C = {way[-1, 2]:.6f}")
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "optimizer_paths.csv", "w", encoding="utf-8") as file:
        print("optimizer,step,w1,w2,C", file=file)
        for name, way in paths.items():
            for step, (w1, w2, c) in enumerate(way.tolist()):
                print(name, step, w1, w2, c, sep=",", file=file)
    print(f"table: {out / 'optimizer_paths.csv'}")
    picture(out / "optimizer_paths.png", 12, 5, lambda figure: draw(figure, paths))


if __name__ == "__main__":
    main()
