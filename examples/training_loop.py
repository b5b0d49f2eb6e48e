"""The training loop, as one writes it in PyTorch.

    python examples/training_loop.py [--out FOLDER]

Two spirals, three layers, five lines. In PyTorch the first import is `import torch`; nothing else
changes, apart from the picture.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import tinygrad_mmb as torch  # the line to change
from tinygrad_mmb.training.plots import picture

nn = torch.nn
DataLoader, TensorDataset = torch.utils.data.DataLoader, torch.utils.data.TensorDataset


def spirals(n: int) -> Any:
    """Two arms of n / 2 points.   x (n, 2), t (n,): the arm, 0 or 1."""
    t = torch.arange(n) % 2
    radius = 0.2 + 0.8 * torch.rand(n)
    angle = 6.0 * radius + math.pi * t + 0.15 * torch.randn(n)
    return TensorDataset(torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), t)


def train(epochs: int = 100) -> tuple[Any, Any, list[float]]:
    """The trained model, its data, and the mean loss of each epoch."""
    torch.manual_seed(0)
    dataset = spirals(400)
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
    )
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = []
    for epoch in range(epochs):
        losses = []
        for x, t in loader:
            y = model(x)  #               forward
            loss = loss_function(y, t)
            optimizer.zero_grad()  #      gradients add up, unless they are cleared
            loss.backward()  #            ∂loss/∂w for every weight w
            optimizer.step()  #           w ← w - ...
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
        if epoch % 20 == 0 or epoch == epochs - 1:
            print(f"epoch {epoch + 1:3d}  loss {history[-1]:.4f}")
    return model, dataset, history


def accuracy(model: Any, dataset: Any) -> float:
    """The share of points on the right side."""
    x, t = dataset.tensors
    with torch.no_grad():
        return (model(x).argmax(dim=1) == t).float().mean().item()


def draw(figure: Any, model: Any, dataset: Any, history: list[float]) -> None:
    """The loss over the epochs, and the plane as the model divides it."""
    left, right = figure.subplots(1, 2)
    left.semilogy(range(1, len(history) + 1), history, color="black")
    left.set(xlabel="epoch", ylabel="cross entropy (nats)", title="training loss")
    axis = torch.linspace(-1.2, 1.2, 121)
    v, h = axis.unsqueeze(1).expand(121, 121), axis.expand(121, 121)
    with torch.no_grad():
        p = torch.softmax(model(torch.stack([h.flatten(), v.flatten()], dim=1)), dim=1)[:, 1]
    shade = right.contourf(axis.numpy(), axis.numpy(), p.reshape(121, 121).numpy(),
                           levels=11, cmap="cividis", vmin=0, vmax=1)  # fmt: skip
    x, t = (a.numpy() for a in dataset.tensors)
    for arm, marker, colour in ((0, "o", "white"), (1, "^", "black")):
        right.scatter(*x[t == arm].T, marker=marker, c=colour, edgecolors="grey", s=18,
                      linewidths=0.6, label=f"arm {arm}")  # fmt: skip
    right.set(xlabel="x₁", ylabel="x₂", title="probability of arm 1", aspect="equal")
    right.legend(loc="upper right")
    figure.colorbar(shade, ax=right, label="probability of arm 1")


def main() -> None:
    parser = argparse.ArgumentParser(description="The training loop.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    model, dataset, history = train()
    print(f"accuracy {accuracy(model, dataset):.4f}")
    print("the same in PyTorch: change the import")
    picture(out / "training_loop.png", 10, 4.2, lambda f: draw(f, model, dataset, history))


if __name__ == "__main__":
    main()
