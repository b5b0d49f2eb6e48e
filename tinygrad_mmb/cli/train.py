"""mmb train: from data to a run folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from tinygrad_mmb.cli import INTERRUPTED
from tinygrad_mmb.cli.problems import UserProblem, explained
from tinygrad_mmb.training import plots
from tinygrad_mmb.training.config import (
    CHOICES,
    ConfigError,
    TrainConfig,
    defaults_for,
    read_config,
)
from tinygrad_mmb.training.run_folder import RunFolder

STANDARD = TrainConfig()
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def setting(name: str, kind: Any, text: str) -> Decorator:
    """An option for one setting of TrainConfig; None means: not given."""
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, type=kind, default=None, help=text)


def choice(name: str, text: str) -> Decorator:
    return setting(name, click.Choice(CHOICES[name]), text)


@click.command()
@click.argument("data", type=click.Choice(CHOICES["data"]), required=False)
@click.argument("path", required=False)
@choice("model", f"The network.  [default: {STANDARD.model}]")
@setting(
    "width", int, "Units of the mlp's layers [256], or channels of the cnn's first layer [16]."
)
@setting("dropout", float, f"Share of units dropped in training.  [default: {STANDARD.dropout}]")
@choice("optimizer", f"[default: {STANDARD.optimizer}]")
@setting("lr", float, f"Step size at the start.  [default: {STANDARD.lr}]")
@setting("momentum", float, f"Of sgd.  [default: {STANDARD.momentum}]")
@setting("weight_decay", float, f"[default: {STANDARD.weight_decay}]")
@choice("schedule", f"How the step size changes over the epochs.  [default: {STANDARD.schedule}]")
@setting("batch_size", int, f"[default: {STANDARD.batch_size}; mnist 128]")
@setting("epochs", int, f"At most so many.  [default: {STANDARD.epochs}; cnn 30; mnist 10]")
@setting(
    "patience", int, "Stop after so many epochs without a lower validation loss.  [default: 15]"
)
@setting(
    "min_delta", float, "A loss counts as lower if it is by more than this.  [default: 0.0001]"
)
@setting("label_smoothing", float, f"[default: {STANDARD.label_smoothing}]")
@setting("clip_grad_norm", float, "Scale gradients down to this norm; 0 does not.  [default: 0]")
@setting("seed", int, "Of the split, the weights, the order and the dropout.  [default: 0]")
@choice("dtype", f"[default: {STANDARD.dtype}]")
@setting("device", str, "cpu, or cuda where CuPy and a GPU are.  [default: cpu]")
@setting("threads", int, "Of the BLAS; 0: as many as it takes.  [default: 1; mnist 0]")
@setting("target", str, "csv only: the column that holds the classes.  [default: the last one]")
@click.option(
    "--config", "config_file", help="Take the settings from a config.json or manifest.json."
)
@click.option("--out", help="The run folder, new or empty.  [default: runs/DATA-MODEL-NUMBER]")
@click.option("--resume", help="Go on with the run in this folder, with its settings.")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    help="Write a checkpoint after so many batches too, not only after each epoch.",
)
@click.option(
    "--keep", type=click.IntRange(min=1), default=3, show_default=True, help="Checkpoints kept."
)
@click.option("--plain", is_flag=True, help="Plain lines: no bar, no colour.")
def train(
    data: str | None,
    path: str | None,
    config_file: str | None,
    out: str | None,
    resume: str | None,
    checkpoint_every: int | None,
    keep: int,
    plain: bool,
    **settings: Any,
) -> int:
    """Train on digits (they ship with the package), on mnist (PATH: the folder of the IDX files,
    gzipped or not) or on csv (PATH: a file with a header line).

    \b
    mmb train digits
    mmb train digits --model cnn --seed 1
    mmb train mnist data/mnist --epochs 5
    mmb train csv flowers.csv --target species
    mmb train --resume runs/digits-mlp-001
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    given = {k: v for k, v in {"data": data, "path": path, **settings}.items() if v is not None}
    with explained():
        if resume is not None:
            if out is not None or config_file is not None:
                raise ConfigError(
                    "--resume goes on in its own folder with its own settings, so --out and "
                    "--config do not fit"
                )
            folder = RunFolder.open(resume)
            config = folder.read_config()
            refuse_changes(config, given, folder)
            return go(config, None, folder, checkpoint_every, keep, plain)
        return go(chosen(given, config_file), out, None, checkpoint_every, keep, plain)


def chosen(given: dict[str, Any], config_file: str | None) -> TrainConfig:
    """The settings: those given, else those of the file, else this data and model's defaults."""
    given = absolute(given)
    if config_file is not None:
        return read_config(config_file).with_changes(given)
    if "data" not in given:
        raise UserProblem(
            "name the data: mmb train digits, mmb train mnist FOLDER or mmb train csv FILE"
        )
    defaults = defaults_for(given["data"], given.get("model", STANDARD.model))
    return TrainConfig(**(defaults | given))


def absolute(given: dict[str, Any]) -> dict[str, Any]:
    """The settings with a path that holds from any folder: a resumed run may start elsewhere."""
    return given | {"path": os.path.abspath(given["path"])} if given.get("path") else given


def refuse_changes(config: TrainConfig, given: dict[str, Any], folder: RunFolder) -> None:
    """Raises ConfigError for an option that differs: a resumed run keeps its settings."""
    for name, value in absolute(given).items():
        if value != getattr(config, name):
            raise ConfigError(
                f"{folder.path} was started with {name} {getattr(config, name)!r}, so it cannot "
                f"go on with {value!r}. Leave the option out, or start a new run"
            )


def go(
    config: TrainConfig,
    out: str | None,
    resumed: RunFolder | None,
    checkpoint_every: int | None,
    keep: int,
    plain: bool,
) -> int:
    """Prepare, train, say how it went. Nothing is written before everything is read."""
    from tinygrad_mmb.training.experiment import Experiment, new_manifest
    from tinygrad_mmb.training.progress import ProgressBar
    from tinygrad_mmb.training.resumable import check_resumable

    experiment = Experiment.prepare(config)
    if resumed is not None:
        check_resumable(resumed, experiment.problem)
        folder = resumed
    else:
        folder = RunFolder.create(out, config)
        folder.start(config, new_manifest(config, experiment.problem))
    problem = experiment.problem
    weights = sum(p.numel() for p in experiment.model.parameters())
    click.echo(
        f"{config.data}: {len(problem.train)} training, {len(problem.validation)} validation, "
        f"{len(problem.test)} test samples\n{config.model} with {weights:,} weights; {folder.path}"
    )
    for note in what_is_missing(plain):
        click.echo(note)
    bar = ProgressBar(plain=plain)
    try:
        results = experiment.run(folder, [bar], checkpoint_every, keep)
    except KeyboardInterrupt:
        bar.close()
        click.echo(f'stopped. Go on with: mmb train --resume "{folder.path}"', err=True)
        return INTERRUPTED
    finally:
        bar.close()
    if not folder.curves.exists():
        click.echo(plots.text_curves(experiment.trainer.history))
    right = round(results["test_accuracy"] * results["test_samples"])
    click.echo(
        f"test accuracy {results['test_accuracy']:.4f} ({right} of {results['test_samples']}), "
        f"weights of epoch {results['best_epoch']}"
    )
    click.echo(f"run folder: {folder.path}")
    return 0


def what_is_missing(plain: bool) -> list[str]:
    """What this run goes without, and the line that installs it."""
    notes = []
    try:
        plots.require_matplotlib()
    except plots.MissingPlots as error:
        notes.append(f"note: {error}. This run makes none; 'mmb evaluate RUN' draws them later")
    if not plain and sys.stdout.isatty() and importlib.util.find_spec("rich") is None:
        notes.append("note: a progress bar needs rich: pip install 'tinygrad-mmb[train]'")
    return notes
