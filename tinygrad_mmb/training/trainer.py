"""The training loop, with places to look in.

    trainer = Trainer(model, Adam(model.parameters()), nn.CrossEntropyLoss())
    history = trainer.fit(train_loader, val_loader, epochs=20, callbacks=[EarlyStopping(5)])

All that decides what happens next (weights, optimizer, order of the data, random streams, what
callbacks remember) is in `state_dict()`: a run that is killed and resumed from it ends with the
same bits as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.data.dataset import Dataset
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.nn.utils import clip_grad_norm_
from tinygrad_mmb.optim.optimizer import Optimizer
from tinygrad_mmb.training.checkpoint import latest_checkpoint
from tinygrad_mmb.training.evaluate import Metric, as_pair, evaluate, measure
from tinygrad_mmb.training.metrics import WeightedMean
from tinygrad_mmb.training.streams import generator_states, restore_generators

if TYPE_CHECKING:
    from tinygrad_mmb.training.callbacks import Callback

Row = dict[str, float]


class Trainer:
    """A model, what moves it and what it is measured by.

    loss(output, target) is the mean over a batch. `metrics` are means over samples too, taken on
    training and validation data; `set_metrics` (AUC, say) see the outputs and targets of the whole
    validation set at once.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Callable[[Tensor, Tensor], Tensor],
        *,
        metrics: Mapping[str, Metric] | None = None,
        set_metrics: Mapping[str, Metric] | None = None,
        clip_grad_norm: float | None = None,
        device: Any = None,
    ) -> None:
        check_parts(model, optimizer, loss, metrics, set_metrics)
        self.model, self.optimizer, self.loss, self.device = model, optimizer, loss, device
        self.metrics, self.set_metrics = dict(metrics or {}), dict(set_metrics or {})
        self.clip_grad_norm = clip_grad_norm
        self.epoch = 0  # epochs finished
        self.batch = 0  # batches of the running epoch finished
        self.step = 0  # batches finished in all
        self.epochs = 0  # epochs wanted
        self.history: list[Row] = []
        self.stop_reason = ""
        self.running = WeightedMean()
        self.callbacks: list[Callback] = []
        self.train_loader: Iterable[Any] = ()
        self.val_loader: Iterable[Any] | None = None

    def fit(
        self,
        train: Iterable[Any],
        val: Iterable[Any] | None = None,
        epochs: int = 10,
        *,
        callbacks: Sequence[Callback] = (),
        resume_from: str | Path | None = None,
    ) -> list[Row]:
        """Train until `epochs` are finished or somebody calls `stop`. One row per epoch.

        `train` and `val` give pairs (input, target). `resume_from` names a folder of checkpoints;
        an empty one starts anew.
        Raises: ValueError if the training data is empty, or a checkpoint belongs to other
        callbacks; TypeError for a data set where its loader belongs, a class where an object does.
        """
        check_data(train, val)
        for callback in callbacks:
            if isinstance(callback, type):
                raise TypeError(f"Trainer.fit: {callback.__name__} is a class: write its brackets")
        self.train_loader, self.val_loader, self.epochs = train, val, epochs
        # sorted is stable: the others keep their order
        self.callbacks = sorted(callbacks, key=lambda c: c.runs_last)
        if resume_from is not None and (found := latest_checkpoint(resume_from)) is not None:
            self.load_state_dict(found[1])
        self._tell("on_fit_start")
        while self.epoch < self.epochs and not self.stop_reason:
            self._train_epoch()
        self._tell("on_fit_end")
        return self.history

    def stop(self, reason: str) -> None:
        """End the training after this epoch; a second reason is not noted."""
        self.stop_reason = self.stop_reason or reason

    def evaluate(self, loader: Iterable[Any]) -> Row:
        """Loss and metrics over a whole set, in eval mode and without gradients."""
        return evaluate(
            self.model, loader, self.loss, self.metrics, self.set_metrics, device=self.device
        )

    def training_step(self, x: Tensor, t: Tensor) -> Row:
        """Forward, backward, update. Loss and metrics of this batch, from before the update."""
        self.optimizer.zero_grad()
        output = self.model(x)
        loss = self.loss(output, t)
        loss.backward()
        if self.clip_grad_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        self.optimizer.step()
        return {"loss": float(loss.item()), **measure(self.metrics, output, t)}

    def _train_epoch(self) -> None:
        started = time.perf_counter()
        self.model.train()
        if self.batch == 0:
            self.running = WeightedMean()
            self._tell("on_epoch_start")
        for x, t in self._batches():
            values = self.training_step(x, t)
            self.running.add(values, len(t))
            self.batch += 1
            self.step += 1
            self._tell("on_step_end", values)
        row: Row = {"epoch": self.epoch + 1, "step": self.step}
        row["lr"] = float(self.optimizer.param_groups[0]["lr"])
        row |= self.running.means()
        if "loss" not in row:
            raise ValueError(
                "Trainer.fit: the training loader gave no batch, so there is nothing to learn from"
            )
        if self.val_loader is not None:
            row |= {f"val_{k}": v for k, v in self.evaluate(self.val_loader).items()}
        row["seconds"] = round(time.perf_counter() - started, 3)
        self.epoch, self.batch = self.epoch + 1, 0
        self.history.append(row)
        self._tell("on_epoch_end", row)

    def _batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """The batches of this epoch that are still to come."""
        skip = 0 if hasattr(self.train_loader, "load_state_dict") else self.batch
        for i, batch in enumerate(self.train_loader):
            if i >= skip:
                yield as_pair(batch, self.device)

    def _tell(self, event: str, *values: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *values)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how the training goes on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loaders": [_loader_state(loader) for loader in (self.train_loader, self.val_loader)],
            "generators": generator_states(self.model),
            "counters": {"epoch": self.epoch, "batch": self.batch, "step": self.step},
            "running": self.running.state_dict(),
            "history": [dict(row) for row in self.history],
            "stop_reason": self.stop_reason,
            "callbacks": [[type(c).__name__, c.state_dict()] for c in self.callbacks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to the moment `state_dict` was called. Loaders and callbacks must be those of
        the run that is resumed.
        """
        names, own = (
            [name for name, _ in state["callbacks"]],
            [type(c).__name__ for c in self.callbacks],
        )
        if names != own:
            raise ValueError(
                "Trainer: the checkpoint was written with the callbacks "
                f"{', '.join(names) or 'none'}, but this run has "
                f"{', '.join(own) or 'none'}. Resume with the same ones, in the same order."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for loader, saved in zip(
            (self.train_loader, self.val_loader), state["loaders"], strict=True
        ):
            if saved is not None and loader is not None:
                loader.load_state_dict(saved)  # type: ignore[attr-defined]
        restore_generators(self.model, state["generators"])
        counters = state["counters"]
        self.epoch, self.batch, self.step = counters["epoch"], counters["batch"], counters["step"]
        self.running.load_state_dict(state["running"])
        self.history = [dict(row) for row in state["history"]]
        self.stop_reason = state["stop_reason"]
        for callback, (_, saved) in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)


def _loader_state(loader: Any) -> dict[str, Any] | None:
    return loader.state_dict() if hasattr(loader, "state_dict") else None


def check_parts(model: Any, optimizer: Any, loss: Any, *metrics: Any) -> None:
    """Raise TypeError for a class where an object belongs, and for arguments in another order."""
    if not isinstance(model, Module):
        raise TypeError(f"Trainer: model should be a Module, but got {shown(model)}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"Trainer: optimizer should be an Optimizer, but got {shown(optimizer)}. The order is "
            "Trainer(model, optimizer, loss)"
        )
    if not callable(loss) or (isinstance(loss, type) and issubclass(loss, Module)):
        raise TypeError(
            f"Trainer: loss should be called as loss(output, target), but got {shown(loss)}"
        )
    for given in metrics:
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(
                f"Trainer: metrics should have names, {{'accuracy': accuracy}}, but got "
                f"{shown(given)}"
            )


def shown(value: Any) -> str:
    """A value of a wrong kind, for an error."""
    if isinstance(value, type):
        return f"the class {value.__name__}; write its brackets: {value.__name__}(...)"
    return type(value).__name__


def check_data(*given: Any) -> None:
    """Raise TypeError for a data set: it gives samples, and batches are needed."""
    for data in given:
        if isinstance(data, Dataset):
            raise TypeError(
                f"Trainer.fit takes batches, but {type(data).__name__} gives single samples. Wrap "
                "it: DataLoader(dataset, batch_size=32, shuffle=True)"
            )
