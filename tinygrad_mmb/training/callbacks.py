"""Callbacks look on while a Trainer works, and may ask to stop; they never edit gradients."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mmb import atomic
from tinygrad_mmb.training.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from tinygrad_mmb.training.trainer import Row, Trainer


class Callback:
    """Write the methods you need. What a callback remembers belongs in its `state_dict`.

    `trainer` shows model, optimizer, epoch, batch and step (how many are finished), epochs (wanted)
    and history; `trainer.stop(reason)` ends the training after this epoch.
    """

    runs_last = False  # after all others: what writes down their state

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first epoch, or the first one after a resume."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first batch of an epoch."""

    def on_step_end(self, trainer: Trainer, values: Row) -> None:
        """After each batch; `values` are its loss and metrics."""

    def on_epoch_end(self, trainer: Trainer, metrics: Row) -> None:
        """After each epoch; `metrics` is its row of the history: loss, val_loss, lr, seconds."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def value_of(metrics: Row, monitor: str, who: str) -> float:
    """The monitored number.

    Raises: ValueError, with the names there are, if it is not among the metrics.
    """
    if monitor not in metrics:
        hint = " Give fit a validation loader." if monitor.startswith("val_") else ""
        raise ValueError(
            f"{who}: monitor is {monitor!r}, but the metrics are {', '.join(metrics)}.{hint}"
        )
    return metrics[monitor]


class EarlyStopping(Callback):
    """Stop after `patience` epochs without a lower `monitor` (a higher one with mode "max").

    Only a change of more than `min_delta` counts: choose it above the statistical fluctuation. With
    `restore_best` the model ends with the weights of its best epoch.
    Raises: ValueError for patience < 1, min_delta < 0, another mode, or a monitor that is no
    metric.
    """

    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
        monitor: str = "val_loss",
        mode: str = "min",
    ) -> None:
        if patience < 1 or not min_delta >= 0:
            raise ValueError(
                f"EarlyStopping: patience {patience} must be at least 1, min_delta {min_delta} at "
                "least 0"
            )
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode is {mode!r}, but must be 'min' or 'max'")
        self.patience, self.min_delta, self.restore_best = patience, min_delta, restore_best
        self.monitor, self.sign = monitor, 1.0 if mode == "min" else -1.0
        self.best, self.best_epoch, self.waited = math.inf, 0, 0  # best: sign · value
        self.best_weights: dict[str, Any] | None = None

    def on_epoch_end(self, trainer: Trainer, metrics: Row) -> None:
        value = self.sign * value_of(metrics, self.monitor, "EarlyStopping")
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = value, trainer.epoch, 0
            if self.restore_best:
                state = trainer.model.state_dict()
                self.best_weights = {name: value.clone() for name, value in state.items()}
            return
        self.waited += 1
        if self.waited >= self.patience:
            bound, word = self.sign * self.best, "fallen below" if self.sign > 0 else "risen above"
            trainer.stop(f"{self.monitor} has not {word} {bound:.4g} for {self.waited} epochs")

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.best_weights is not None:
            trainer.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        names = ("best", "best_epoch", "waited", "best_weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class ModelCheckpoint(Callback):
    """Write the whole training down after every epoch, and after every `every_steps` batches.

    The last `keep` checkpoints stay.

    Resume with `trainer.fit(..., resume_from=folder)`. `extra` goes into each checkpoint (config,
    versions).
    """

    runs_last = True

    def __init__(
        self,
        folder: str | Path,
        keep: int = 3,
        every_steps: int | None = None,
        every_epochs: int = 1,
        extra: dict[str, Any] | None = None,
    ) -> None:
        if keep < 1 or every_epochs < 1 or (every_steps is not None and every_steps < 1):
            raise ValueError(
                f"ModelCheckpoint: keep {keep}, every_steps {every_steps} and every_epochs "
                f"{every_epochs} must be at least 1"
            )
        self.folder, self.keep, self.extra = Path(folder), keep, extra or {}
        self.every_steps, self.every_epochs = every_steps, every_epochs

    def on_fit_start(self, trainer: Trainer) -> None:
        if self.folder.is_dir():
            atomic.sweep(self.folder)

    def on_step_end(self, trainer: Trainer, values: Row) -> None:
        if self.every_steps is not None and trainer.step % self.every_steps == 0:
            self.save(trainer)

    def on_epoch_end(self, trainer: Trainer, metrics: Row) -> None:
        if (
            trainer.epoch % self.every_epochs == 0
            or trainer.epoch >= trainer.epochs
            or trainer.stop_reason
        ):
            self.save(trainer)

    def save(self, trainer: Trainer) -> Path:
        """Write a checkpoint now."""
        return save_checkpoint(
            self.folder, trainer.state_dict() | {"extra": self.extra}, trainer.step, self.keep
        )


class CSVLogger(Callback):
    """One line per epoch in a CSV file; the columns are the metrics of the first epoch.

    At the start the file is written anew from the history, so that a resumed run continues what its
    checkpoint knows.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_fit_start(self, trainer: Trainer) -> None:
        if trainer.history:
            atomic.write_text(self.path, self.lines(trainer.history, trainer.history, head=True))
        else:
            self.path.unlink(missing_ok=True)

    def on_epoch_end(self, trainer: Trainer, metrics: Row) -> None:
        first = len(trainer.history) == 1
        with self.path.open("w" if first else "a", encoding="utf-8", newline="") as file:
            file.write(self.lines(trainer.history, [metrics], head=first))

    @staticmethod
    def lines(history: list[Row], rows: list[Row], head: bool) -> str:
        """CSV text of these rows."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
        if head:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


class LRScheduler(Callback):
    """Move a schedule of optim.lr_scheduler on after every epoch, or after every batch ("step").

    One that watches a number, as ReduceLROnPlateau does, gets `monitor`.
    """

    def __init__(self, scheduler: Any, every: str = "epoch", monitor: str | None = None) -> None:
        if every not in ("epoch", "step"):
            raise ValueError(f"LRScheduler: every is {every!r}, but must be 'epoch' or 'step'")
        if every == "step" and monitor is not None:
            raise ValueError(
                "LRScheduler: a monitored schedule moves once per epoch, when its number is known"
            )
        self.scheduler, self.every, self.monitor = scheduler, every, monitor

    def on_step_end(self, trainer: Trainer, values: Row) -> None:
        if self.every == "step":
            self.scheduler.step()

    def on_epoch_end(self, trainer: Trainer, metrics: Row) -> None:
        if self.every == "step":
            return
        if self.monitor is None:
            self.scheduler.step()
        else:
            self.scheduler.step(value_of(metrics, self.monitor, "LRScheduler"))

    def state_dict(self) -> dict[str, Any]:
        return {"scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state["scheduler"])


class TrainingDiverged(RuntimeError):  # noqa: N818 - what happened
    """The loss is no longer a number."""


class TerminateOnNaN(Callback):
    """End the training with TrainingDiverged at the first batch whose loss is NaN or infinite.

    The update of that batch is done, so the weights are spoilt: the last checkpoint holds the good
    ones.
    """

    def on_step_end(self, trainer: Trainer, values: Row) -> None:
        if not math.isfinite(values["loss"]):
            raise TrainingDiverged(
                f"the loss is {values['loss']} at batch {trainer.batch} of epoch "
                f"{trainer.epoch + 1}. Lower the learning "
                f"rate (it is {trainer.optimizer.param_groups[0]['lr']:g}), clip the gradients, "
                "or run under "
                "tinygrad_mmb.detect_anomaly() to see which operation made it."
            )
