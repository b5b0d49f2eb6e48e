"""Thirty layers deep: gradients vanish in a plain sigmoid network, and pass through a residual one.

    python examples/residual_depth.py [--out FOLDER]

A sigmoid multiplies the gradient by at most 1/4, so thirty of them leave nothing of it. A residual
block is y = x + f(x) with ∂y/∂x = I + J: whatever J is, the gradient has a way through.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.data.toy import Spirals
from tinygrad_mmb.training.plots import picture

WIDTH = 32


def he_linear() -> nn.Linear:
    """A Linear layer whose weights keep the variance through a ReLU (He et al., 2015)."""
    layer = nn.Linear(WIDTH, WIDTH)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def residual(activation: type[nn.Module]) -> nn.Residual:
    """x + W₂ activation(W₁ x), the block of the lectures."""
    return nn.Residual(nn.Linear(WIDTH, WIDTH), activation(), nn.Linear(WIDTH, WIDTH))


STACKS = {  # each with thirty Linear layers
    "plain, sigmoid": lambda: [
        m for _ in range(30) for m in (nn.Linear(WIDTH, WIDTH), nn.Sigmoid())
    ],
    "plain, ReLU, He's start": lambda: [m for _ in range(30) for m in (he_linear(), nn.ReLU())],
    "residual, sigmoid": lambda: [residual(nn.Sigmoid) for _ in range(15)],
    "residual, ReLU": lambda: [residual(nn.ReLU) for _ in range(15)],
}


def gradient_norms(model: nn.Module, x: tm.Tensor, t: tm.Tensor) -> list[float]:
    """|∂L/∂W| of each of the thirty layers, before any training."""
    nn.CrossEntropyLoss()(model(x), t).backward()
    weights = [p for p in model.parameters() if p.shape == (WIDTH, WIDTH)]
    norms = [w.grad.norm().item() for w in weights]
    model.zero_grad()
    return norms


def train(model: nn.Module, x: tm.Tensor, t: tm.Tensor, steps: int = 300) -> list[float]:
    """The loss at each step."""
    loss_function, optimizer = nn.CrossEntropyLoss(), tm.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        loss = loss_function(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def draw(figure: Any, norms: dict[str, list[float]], losses: dict[str, list[float]]) -> None:
    """Gradient by layer, loss by step."""
    left, right = figure.subplots(1, 2)
    colours = ("#D55E00", "black", "#0072B2", "#009E73")
    styles = zip(colours, "ov^s", ("-", ":", "--", "-."), strict=True)
    for name, (colour, marker, dash) in zip(norms, styles, strict=True):
        look = {"color": colour, "marker": marker, "linestyle": dash, "label": name}
        left.semilogy(range(1, 31), norms[name], markersize=4, **look)
        right.plot(losses[name], markevery=20, markersize=5, **look)
    left.set(xlabel="layer, from the input", title="gradient before training")
    left.set_ylabel("|∂L/∂W| (nats per unit of weight)")
    right.set(xlabel="step", ylabel="cross entropy (nats)", title="training", ylim=(-0.03, 1.1))
    right.text(115, math.log(2) + 0.015, "ln 2: a tossed coin")
    left.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description="Residual against plain, 30 layers deep.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    tm.manual_seed(0)
    x, t = Spirals(200).tensors
    norms, losses = {}, {}
    for name, layers in STACKS.items():
        model = nn.Sequential(nn.Linear(2, WIDTH), *layers(), nn.Linear(WIDTH, 2)).double()
        norms[name] = gradient_norms(model, x.double(), t)
        losses[name] = train(model, x.double(), t)
        ratio = norms[name][0] / norms[name][-1]
        print(f"{name:24} |g first| / |g last| = {ratio:.1e}, loss {losses[name][-1]:.4f}")
    picture(out / "residual_depth.png", 10, 4.2, lambda figure: draw(figure, norms, losses))


if __name__ == "__main__":
    main()
