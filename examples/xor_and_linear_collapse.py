"""Why a network needs activations: two Linear layers are one, and one cannot learn XOR.

python examples/xor_and_linear_collapse.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.data.toy import XOR
from tinygrad_mmb.training.plots import picture


def collapse() -> float:
    """The largest difference between W₂ (W₁ x + b₁) + b₂ and (W₂ W₁) x + (W₂ b₁ + b₂)."""
    first, second = nn.Linear(5, 16).double(), nn.Linear(16, 3).double()
    one = nn.Linear(5, 3).double()
    with tm.no_grad():
        one.weight.copy_(second.weight @ first.weight)
        one.bias.copy_(second.weight @ first.bias + second.bias)
        x = tm.randn(100, 5, dtype=tm.float64)
        return (second(first(x)) - one(x)).abs().max().item()


def train(model: nn.Module, steps: int = 2000) -> tuple[float, float]:
    """Loss and share of errors on the truth table of XOR, after training on it."""
    x, t = XOR().tensors
    t = t.float().unsqueeze(1)
    loss_function = nn.BCEWithLogitsLoss()
    optimizer = tm.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(steps):
        loss = loss_function(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with tm.no_grad():
        logits = model(x)
        wrong = ((logits > 0.001) != t.bool()).float().mean()  # a logit of 0 is a tossed coin
        return loss_function(logits, t).item(), wrong.item()


def draw(figure: Any, models: dict[str, nn.Module]) -> None:
    """Probability of class 1 over the plane."""
    axis = tm.linspace(-0.5, 1.5, 101)
    v, h = axis.unsqueeze(1).expand(101, 101), axis.expand(101, 101)
    plane = tm.stack([h.flatten(), v.flatten()], dim=1)
    panels = figure.subplots(1, len(models), sharey=True)
    for axes, (name, model) in zip(panels, models.items(), strict=True):
        with tm.no_grad():
            p = tm.sigmoid(model(plane)).reshape(101, 101).numpy()
        grey = axes.imshow(p, origin="lower", extent=(-0.5, 1.5, -0.5, 1.5), cmap="cividis",
                           vmin=0, vmax=1)  # fmt: skip
        if p.min() < 0.4 and p.max() > 0.6:
            lines = axes.contour(axis.numpy(), axis.numpy(), p, levels=[0.5], colors="white")
            axes.clabel(lines, fmt="p = 0.5")
        for corner, t in zip(*XOR().tensors, strict=True):
            axes.text(*corner.tolist(), str(t.item()), ha="center", va="center", fontsize=12,
                      bbox={"boxstyle": "circle", "facecolor": "white"})  # fmt: skip
        axes.set(xlabel="x₁", title=name)
    panels[0].set_ylabel("x₂")
    figure.colorbar(grey, ax=panels, label="probability of class 1")


def main() -> None:
    parser = argparse.ArgumentParser(description="XOR, and the collapse of linear layers.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    tm.manual_seed(0)
    print(f"two Linear layers and the one they make differ by {collapse():.1e}")
    models = {
        "one Linear layer": nn.Linear(2, 1),
        "two Linear layers, no activation": nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1)),
        "8 tanh units between": nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)),
    }
    for name, model in models.items():
        loss, wrong = train(model)
        print(f"XOR, {name}: loss {loss:.6f}, wrong {wrong:.2f}")
    print("0.693147 = ln 2 is the loss of a tossed coin")
    picture(out / "xor_and_linear_collapse.png", 11, 4, lambda figure: draw(figure, models))


if __name__ == "__main__":
    main()
