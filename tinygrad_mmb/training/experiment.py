"""One run from its config to its folder: what `mmb train`, `mmb evaluate` and `mmb predict` do."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_mmb import nn, optim, serialization
from tinygrad_mmb.backend import Array, blas
from tinygrad_mmb.backend.device import as_device, to_device
from tinygrad_mmb.backend.threads import set_pool_threads
from tinygrad_mmb.data import DataLoader
from tinygrad_mmb.ops.random import manual_seed
from tinygrad_mmb.optim import lr_scheduler
from tinygrad_mmb.training import manifest, plots
from tinygrad_mmb.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LRScheduler,
    ModelCheckpoint,
    TerminateOnNaN,
)
from tinygrad_mmb.training.checkpoint import DamagedCheckpoint, latest_checkpoint
from tinygrad_mmb.training.config import ConfigError, TrainConfig
from tinygrad_mmb.training.evaluate import predict
from tinygrad_mmb.training.metrics import accuracy, confusion_matrix
from tinygrad_mmb.training.models import CNN, ResidualMLP, Standardize
from tinygrad_mmb.training.problem import Problem, inputs_of, load_problem
from tinygrad_mmb.training.run_folder import RunFolder
from tinygrad_mmb.training.trainer import Trainer

EVALUATION_BATCH = 512


@dataclass(frozen=True)
class Experiment:
    """Everything that a config asks for, made and ready to train."""

    config: TrainConfig
    problem: Problem
    model: nn.Module
    trainer: Trainer
    schedule: LRScheduler | None
    early_stopping: EarlyStopping

    @classmethod
    def prepare(cls, config: TrainConfig) -> Experiment:
        """Read the data, draw the weights.

        Raises: ConfigError if the data cannot be read, the device is not there, or the model does
        not fit the data.
        """
        check_device(config.device)
        if config.threads:
            blas.set_blas_threads(config.threads)
            set_pool_threads(config.threads)
        problem = load_problem(config)
        manual_seed(config.seed)
        model = build_model(config, problem)
        optimizer = build_optimizer(config, model)
        loss = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
        trainer = Trainer(
            model,
            optimizer,
            loss,
            metrics={"accuracy": accuracy},
            clip_grad_norm=config.clip_grad_norm or None,
            device=config.device,
        )
        return cls(
            config,
            problem,
            model,
            trainer,
            build_schedule(config, optimizer),
            EarlyStopping(config.patience, config.min_delta),
        )

    def run(
        self,
        folder: RunFolder,
        progress: Sequence[Callback] = (),
        checkpoint_steps: int | None = None,
        keep: int = 3,
    ) -> dict[str, Any]:
        """Train from where the folder's checkpoints stand, and fill the folder. The results."""
        callbacks: list[Callback] = [TerminateOnNaN()]
        callbacks += [self.schedule] if self.schedule is not None else []
        config = self.config
        made_with = {"config": config.as_dict(), **manifest.environment()}
        checkpoint = ModelCheckpoint(folder.checkpoints, keep, checkpoint_steps, extra=made_with)
        callbacks += [self.early_stopping, CSVLogger(folder.metrics), checkpoint, *progress]
        self.trainer.fit(
            self.loader(self.problem.train, training=True),
            self.loader(self.problem.validation),
            config.epochs,
            callbacks=callbacks,
            resume_from=folder.checkpoints,
        )
        serialization.save(self.model.state_dict(), folder.model, {"format": "pt"})
        return self.finish(folder)

    def loader(self, dataset: Any, training: bool = False) -> DataLoader:
        """Batches: shuffled by (seed, epoch) for training, in order and larger otherwise."""
        if training:
            return DataLoader(dataset, self.config.batch_size, shuffle=True, seed=self.config.seed)
        return DataLoader(dataset, max(EVALUATION_BATCH, self.config.batch_size))

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Test accuracy, pictures where matplotlib is installed, results.json."""
        report = self.test()
        stopping, trainer = self.early_stopping, self.trainer
        results = {
            "test_accuracy": report.accuracy,
            "test_loss": finite(report.loss),
            "test_samples": len(report.target),
            "best_epoch": stopping.best_epoch,
            "best_val_loss": finite(stopping.best),
            "epochs": trainer.epoch,
            "stopped": trainer.stop_reason or "all epochs done",
        }
        draw(folder, self.problem, trainer.history, report, stopping.best_epoch)
        folder.finish(results)
        return results

    def test(self, split: str = "test") -> Report:
        """Loss, accuracy and predictions on a split of the data."""
        dataset = getattr(self.problem, split)
        values = self.trainer.evaluate(self.loader(dataset))
        logits, target = predict(self.model, self.loader(dataset), device=self.config.device)
        return Report(values["loss"], values["accuracy"], probabilities(logits), target)


@dataclass(frozen=True)
class Report:
    """How a model did on one set.   Shapes: probability (N, C), target (N,)."""

    loss: float
    accuracy: float
    probability: Array
    target: Array

    @property
    def predicted(self) -> Array:
        return self.probability.argmax(1)


def finite(value: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def probabilities(logits: Array) -> Array:
    """softmax over the classes, in float64: these are shown to people."""
    z = logits.astype(np.float64)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def check_device(name: str) -> None:
    """Raises ConfigError if there is no such device here."""
    try:
        to_device(np.zeros(1), as_device(name))
    except (RuntimeError, ImportError) as error:
        raise ConfigError(f"device {name!r}: {error}") from error


def build_model(config: TrainConfig, problem: Problem) -> nn.Module:
    """The model that the config names, for the data at hand, in its dtype and on its device."""
    width = {"width": config.width} if config.width else {}
    model: nn.Module
    if config.model == "cnn":
        if problem.image is None or min(problem.image[1:]) < 2:
            raise ConfigError("model 'cnn' needs images of at least 2 x 2")
        model = CNN(problem.image, len(problem.classes), dropout=config.dropout, **width)
    else:
        model = ResidualMLP(problem.features, len(problem.classes), dropout=config.dropout, **width)
    if problem.scale is not None:
        model = nn.Sequential(Standardize(*problem.scale), model)
    return model.to(dtype=np.dtype(config.dtype)).to(config.device)


def build_optimizer(config: TrainConfig, model: nn.Module) -> optim.Optimizer:
    """The optimizer that the config names."""
    options: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        options["momentum"] = config.momentum
    makers = {
        "sgd": optim.SGD,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
    }
    made: optim.Optimizer = makers[config.optimizer](model.parameters(), **options)
    return made


def build_schedule(config: TrainConfig, optimizer: optim.Optimizer) -> LRScheduler | None:
    """The schedule of the step size that the config names: it moves once per epoch."""
    epochs = config.epochs
    match config.schedule:
        case "step":
            return LRScheduler(
                lr_scheduler.StepLR(optimizer, step_size=max(1, epochs // 3), gamma=0.1)
            )
        case "exponential":  # to a hundredth over the run
            return LRScheduler(lr_scheduler.ExponentialLR(optimizer, gamma=0.01 ** (1 / epochs)))
        case "cosine":
            return LRScheduler(lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs))
        case "linear":
            return LRScheduler(
                lr_scheduler.LinearLR(
                    optimizer, start_factor=1.0, end_factor=0.01, total_iters=epochs
                )
            )
        case "plateau":
            watching = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
            return LRScheduler(watching, monitor="val_loss")
    return None


def draw(
    folder: RunFolder,
    problem: Problem,
    history: list[dict[str, float]],
    report: Report,
    best_epoch: int,
) -> bool:
    """The pictures of a run; False, and nothing drawn, without matplotlib."""
    try:
        plots.require_matplotlib()
    except plots.MissingPlots:
        return False
    if history:
        plots.save_figure(plots.plot_history(history, best_epoch), folder.curves)
    counts = confusion_matrix(report.predicted, report.target, len(problem.classes))
    plots.save_figure(plots.plot_confusion_matrix(counts, problem.classes), folder.confusion_matrix)
    if problem.image is not None:
        wrong = np.flatnonzero(report.predicted != report.target)
        figure = plots.plot_misclassified(
            inputs_of(problem.test, wrong),
            report.target[wrong],
            report.predicted[wrong],
            report.probability[wrong].max(1),
            problem.classes,
        )
        plots.save_figure(figure, folder.misclassified)
    return True


def load_weights(model: nn.Module, folder: RunFolder) -> None:
    """Put model.safetensors of a finished run into the model.

    Raises: ConfigError if the file is missing, damaged or of another model.
    """
    try:
        model.load_state_dict(serialization.load(folder.model))
    except FileNotFoundError:
        raise ConfigError(
            f"{folder.path}: this run is not finished, as it has no model.safetensors. Go on with "
            f'it: mmb train --resume "{folder.path}"'
        ) from None
    except RuntimeError as error:
        raise ConfigError(f"{folder.model}: cannot be loaded ({error})") from error


def new_manifest(config: TrainConfig, problem: Problem) -> dict[str, Any]:
    """What is known before the training starts."""
    return {
        "seed": config.seed,
        "device": config.device,
        "dtype": config.dtype,
        "started": manifest.now(),
        "command": manifest.command(),
        **manifest.environment(),
        "data": {
            "name": config.data,
            "sha256": problem.digest,
            "samples": {k: len(getattr(problem, k)) for k in ("train", "validation", "test")},
            "classes": list(problem.classes),
            "columns": list(problem.columns),
        },
    }


def history_of(folder: RunFolder) -> tuple[list[dict[str, float]], int]:
    """History and best epoch of a run, from its last checkpoint; empty without a whole one."""
    try:
        found = latest_checkpoint(folder.checkpoints)
        best = json.loads(folder.results.read_text(encoding="utf-8"))["best_epoch"]
    except (DamagedCheckpoint, OSError, ValueError, KeyError):
        return [], 0
    return (found[1]["history"], best) if found else ([], 0)
