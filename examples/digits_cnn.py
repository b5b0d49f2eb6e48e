"""A convolutional network on handwritten digits, with a plain loop.

    python examples/digits_cnn.py [--out FOLDER] [--epochs N]

`mmb train digits --model cnn` does the same with early stopping, checkpoints and a run folder.
"""

import argparse
from pathlib import Path
from typing import Any

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.data import DataLoader, Digits
from tinygrad_mmb.training import plots


def network() -> nn.Sequential:
    """(N, 1, 8, 8) → (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.MaxPool2d(2),  #                 32 channels of 4 x 4
        nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 4 * 4, 10),
    )  # fmt: skip


def evaluate(model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Mean loss and accuracy."""
    model.eval()  # no dropout, and the batch normalisation's running averages
    loss, right, n = 0.0, 0, 0
    with tm.no_grad():
        for x, t in loader:
            y = model(x)
            loss += nn.functional.cross_entropy(y, t, reduction="sum").item()
            right += (y.argmax(1) == t).sum().item()
            n += len(t)
    return loss / n, right / n


def train(model: nn.Module, training: DataLoader, validation: DataLoader, epochs: int) -> list[Any]:
    """Loss and accuracy of both sets after each epoch."""
    optimizer = tm.optim.Adam(model.parameters(), lr=0.003)
    schedule = tm.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    history = []
    for epoch in range(1, epochs + 1):
        model.train()
        for x, t in training:
            loss = nn.functional.cross_entropy(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        row = dict(zip(("loss", "accuracy"), evaluate(model, training), strict=True))
        row |= dict(zip(("val_loss", "val_accuracy"), evaluate(model, validation), strict=True))
        print(
            f"epoch {epoch:2d}", *(f"{name} {value:.4f}" for name, value in row.items()), sep="  "
        )
        history.append({"epoch": epoch, **row})
    return history


def main() -> None:
    parser = argparse.ArgumentParser(description="A CNN on the digits that ship with the package.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the pictures")
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    tm.manual_seed(0)
    parts = Digits().split((0.6, 0.2, 0.2), seed=0)
    training = DataLoader(parts[0], batch_size=32, shuffle=True)
    validation, test = (DataLoader(part, batch_size=256) for part in parts[1:])
    model = network()
    print(nn.summary(model, tm.zeros(1, 1, 8, 8)))
    history = train(model, training, validation, arguments.epochs)
    loss, accuracy = evaluate(model, test)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f} of {len(parts[2])} digits")
    print("the digits: Alpaydin and Kaynak (1998), UCI repository, CC BY 4.0")
    out = arguments.out / "digits_cnn.png"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        plots.save_figure(plots.plot_history(history), out)
        print(f"picture: {out}")
    except plots.MissingPlots as error:
        print(f"no picture: {error}")


if __name__ == "__main__":
    main()
