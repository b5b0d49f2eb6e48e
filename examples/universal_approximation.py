"""One hidden layer is enough, if it is wide: sin 2x + 0.3 x as a sum of hinges.

    python examples/universal_approximation.py [--out FOLDER]

y = c + Σⱼ vⱼ relu(wⱼ x + bⱼ): each hidden unit adds one hinge, a line that is bent at one place.
"""

import argparse
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.data.toy import Sine
from tinygrad_mmb.training.plots import picture

WIDTHS = (1, 2, 4, 8, 16, 64)


def fit(width: int, x: tm.Tensor, t: tm.Tensor, steps: int = 2500) -> tuple[nn.Sequential, float]:
    """The network after training, and its mean squared error."""
    model = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1))
    optimizer = tm.optim.Adam(model.parameters(), lr=0.02)
    schedule = tm.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model, nn.functional.mse_loss(model(x), t).item()


def hinges(model: nn.Sequential, x: tm.Tensor) -> tm.Tensor:
    """What each hidden unit adds to the output, (N, width); their sum and the bias make it up."""
    first, activation, second = model
    with tm.no_grad():
        return activation(first(x)) * second.weight


def draw(figure: Any, x: tm.Tensor, t: tm.Tensor, models: dict[int, Any], errors: Any) -> None:
    """Error by width; the fits of two widths; the hinges of eight units."""
    left, middle, right = figure.subplots(1, 3)
    left.loglog(errors.keys(), errors.values(), "o-", color="black")
    left.set(xlabel="hidden units", ylabel="mean squared error", title="best of three starts")
    order = x.flatten().argsort()
    x, t = x[order], t[order]
    middle.plot(x.flatten().numpy(), t.numpy(), color="0.75", linewidth=6, label="sin 2x + 0.3 x")
    for width, style, colour in ((2, ":", "#D55E00"), (8, "--", "#0072B2"), (64, "-", "black")):
        y = models[width](x).detach().numpy()
        middle.plot(x.flatten().numpy(), y, style, color=colour, label=f"{width} units")
    middle.set(xlabel="x", ylabel="y", title="what they learned")
    middle.legend()
    right.plot(x.flatten().numpy(), hinges(models[8], x).numpy(), color="0.4", linewidth=1)
    right.plot(
        x.flatten().numpy(), models[8](x).detach().numpy(), "--", color="#0072B2", linewidth=2
    )
    right.set(xlabel="x", ylabel="y", title="8 hinges (thin), and their sum + c (dashed)")


def main() -> None:
    parser = argparse.ArgumentParser(description="Hinges approximate any function.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    tm.manual_seed(0)
    x, t = Sine(200).tensors
    models, errors = {}, {}
    for width in WIDTHS:
        models[width], errors[width] = min((fit(width, x, t) for _ in range(3)), key=lambda r: r[1])
        print(f"{width:3d} units: best mean squared error of 3 starts {errors[width]:.5f}")
    sums = hinges(models[8], x).sum(1, keepdim=True) + models[8][2].bias
    print(f"sum of the 8 hinges + c - output: {(sums - models[8](x)).abs().max().item():.1e}")
    picture(out / "universal_approximation.png", 15, 4.5, lambda f: draw(f, x, t, models, errors))


if __name__ == "__main__":
    main()
