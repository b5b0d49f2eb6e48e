"""Depth multiplies, width adds: 2k ReLUs in k layers make 2ᵏ straight pieces.

    python examples/depth_width.py [--out FOLDER]

The tent t(x) = 2 relu(x) - 4 relu(x - ½) folds [0, 1] in two. Folded k times it is a saw of 2ᵏ
pieces, with two ReLUs in each layer. In one layer every ReLU adds one bend: a saw of 2ᵏ pieces
needs 2ᵏ of them (Telgarsky, 2015).
"""

import argparse
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.training.plots import picture

X = tm.linspace(0, 1, 1025, dtype=tm.float64).unsqueeze(1)  # holds the bends of up to 2¹⁰ pieces


def saw(k: int) -> nn.Sequential:
    """The tent, k times: k hidden layers of two ReLUs each."""
    layers: list[nn.Module] = []
    for _ in range(k):
        bend, add = nn.Linear(1, 2).double(), nn.Linear(2, 1, bias=False).double()
        with tm.no_grad():
            bend.weight.copy_(tm.tensor([[1.0], [1.0]]))
            bend.bias.copy_(tm.tensor([0.0, -0.5]))
            add.weight.copy_(tm.tensor([[2.0, -4.0]]))
        layers += [bend, nn.ReLU(), add]
    return nn.Sequential(*layers)


def pieces(y: tm.Tensor) -> int:
    """The number of straight pieces of y(X)."""
    slope = (y[1:] - y[:-1]).flatten()
    return 1 + int((slope[1:] - slope[:-1]).abs().gt(1e-9).sum().item())


def shallow(units: int, target: tm.Tensor) -> tm.Tensor:
    """The best fit with `units` ReLUs in one layer, bent at equal distances: least squares."""
    bends = tm.arange(units, dtype=tm.float64) / units
    hidden = tm.cat([tm.ones_like(X), tm.relu(X - bends)], dim=1)
    weights = tm.linalg.inv(hidden.T @ hidden) @ (hidden.T @ target)
    return hidden @ weights


def draw(figure: Any, k: int) -> None:
    """The saw, and what as many ReLUs make of it in one layer."""
    with tm.no_grad():
        y = saw(k)(X)
    axes = figure.subplots()
    axes.plot(X.numpy(), y.numpy(), color="0.6", label=f"{2 * k} ReLUs in {k} layers")
    axes.plot(X.numpy(), shallow(2 * k, y).numpy(), "--", color="#D55E00", linewidth=2,
              label=f"{2 * k} ReLUs in one layer, least squares")  # fmt: skip
    axes.set(xlabel="x", ylabel="y", ylim=(-0.05, 1.25), title=f"a saw of {2**k} pieces")
    axes.legend(loc="upper right", ncols=2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Depth against width.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    print("layers  ReLUs  pieces  mean squared error of one layer with as many ReLUs, and with 2^k")
    for k in range(1, 8):
        with tm.no_grad():
            y = saw(k)(X)
        few, many = ((shallow(n, y) - y).square().mean().item() for n in (2 * k, 2**k))
        print(f"{k:6d}  {2 * k:5d}  {pieces(y):6d}  {few:.6f}  {many:.0e}")
    picture(out / "depth_width.png", 8, 4, lambda figure: draw(figure, 5))


if __name__ == "__main__":
    main()
