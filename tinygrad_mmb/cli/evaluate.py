"""mmb evaluate: a finished run, measured again."""

from __future__ import annotations

import click
import numpy as np

from tinygrad_mmb.cli.problems import explained
from tinygrad_mmb.training.metrics import confusion_matrix
from tinygrad_mmb.training.run_folder import RunFolder


@click.command()
@click.argument("run")
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="On which part of the data.",
)
def evaluate(run: str, split: str) -> None:
    """Loss and accuracy of the run in folder RUN, and how well each class is found.

    Pictures that the run folder lacks are drawn now, if matplotlib is installed.
    """
    from tinygrad_mmb.training.experiment import Experiment, draw, history_of, load_weights

    with explained():
        folder = RunFolder.open(run)
        experiment = Experiment.prepare(folder.read_config())
        load_weights(experiment.model, folder)
        report = experiment.test(split)
        classes = experiment.problem.classes
        counts = confusion_matrix(report.predicted, report.target, len(classes))
        found, taken = np.maximum(counts.sum(1), 1), np.maximum(counts.sum(0), 1)
        width = max(5, *(len(name) for name in classes))
        click.echo(f"{'class':<{width}}  samples  recall  precision")
        for i, name in enumerate(classes):
            recall, precision = counts[i, i] / found[i], counts[i, i] / taken[i]
            click.echo(f"{name:<{width}}  {counts[i].sum():7d}  {recall:6.4f}  {precision:9.4f}")
        click.echo(f"{split} accuracy {report.accuracy:.4f}, {split} loss {report.loss:.4f}")
        pictures = (folder.curves, folder.confusion_matrix)
        if split == "test" and not all(p.exists() for p in pictures):
            history, best = history_of(folder)
            if draw(folder, experiment.problem, history, report, best):
                click.echo(f"pictures drawn in {folder.path}")
