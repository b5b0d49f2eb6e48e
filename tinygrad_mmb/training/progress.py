"""What a person sees while a model trains: a bar where the terminal has one, plain lines
elsewhere.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from tinygrad_mmb.training.callbacks import Callback

if TYPE_CHECKING:
    from tinygrad_mmb.training.trainer import Row, Trainer


def epoch_line(row: Row, epochs: int) -> str:
    """One epoch: epoch  3/60  loss 0.2841  val 0.3012  accuracy 0.9147  val 0.9053  lr 0.001.

    Each training number is followed by the validation's: so a line fits into 80 columns.
    """
    width = len(str(epochs))
    parts = [f"epoch {int(row['epoch']):>{width}}/{epochs}"]
    for name, value in row.items():
        known = ("epoch", "step", "lr", "seconds")
        beside = name.startswith("val_") and name.removeprefix("val_") in row
        if name not in known and not beside:
            parts.append(f"{name} {value:.4f}")
            if f"val_{name}" in row:
                parts.append(f"val {row[f'val_{name}']:.4f}")
    return "  ".join([*parts, f"lr {row['lr']:.3g}"])


def can_draw(stream: TextIO) -> bool:
    """Whether a bar makes sense: a terminal, and rich installed."""
    if not stream.isatty():
        return False
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return True


class ProgressBar(Callback):
    """A line per epoch, and above a terminal's last line a bar over the batches.

    Bars need rich (`pip install 'tinygrad-mmb[train]'`) and a terminal; otherwise, and with
    `plain`, there are only the lines. What the bar says, it says in words and numbers too; NO_COLOR
    is respected.
    """

    def __init__(self, plain: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.plain = plain or not can_draw(self.stream)
        self.bar: Any = None
        self.task: Any = None

    def on_fit_start(self, trainer: Trainer) -> None:
        if not self.plain:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Progress(
                *columns, console=Console(file=self.stream), transient=True, expand=True
            )
            self.task = self.bar.add_task("training", total=None)
            self.bar.start()

    def on_epoch_start(self, trainer: Trainer) -> None:
        if self.bar is not None:
            loader: Any = trainer.train_loader
            total = len(loader) if hasattr(loader, "__len__") else None
            label = f"epoch {trainer.epoch + 1}/{trainer.epochs}"
            self.bar.reset(self.task, total=total, description=label)

    def on_step_end(self, trainer: Trainer, values: Row) -> None:
        if self.bar is not None:
            label = f"epoch {trainer.epoch + 1}/{trainer.epochs}  loss {values['loss']:.4f}"
            self.bar.update(self.task, completed=trainer.batch, description=label)

    def on_epoch_end(self, trainer: Trainer, metrics: Row) -> None:
        line = epoch_line(metrics, trainer.epochs)
        if self.bar is not None:
            self.bar.console.print(line, highlight=False)
        else:
            print(line, file=self.stream, flush=True)

    def on_fit_end(self, trainer: Trainer) -> None:
        self.close()
        if trainer.stop_reason:
            print(f"stopped early: {trainer.stop_reason}", file=self.stream, flush=True)

    def close(self) -> None:
        """Take the bar away: also when the training ends with an exception."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
