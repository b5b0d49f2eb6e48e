"""mmb predict: what a finished run says to new samples."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import click

from tinygrad_mmb.cli.problems import explained
from tinygrad_mmb.training.run_folder import RunFolder


@click.command()
@click.argument("run")
@click.argument("input_file", metavar="INPUT")
@click.option("--out", help="Write here instead of on the screen.")
def predict(run: str, input_file: str, out: str | None) -> None:
    """The class of each sample in INPUT, with its probability, as CSV lines.

    \b
    .npy          an array (N, ...) of samples, in the units of the training data
    .csv          one sample a line; for a run on csv data with its header, whose class column may
    be missing
    IDX, .gz      a file of images as MNIST has them
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from tinygrad_mmb import atomic
    from tinygrad_mmb.training.evaluate import predict as outputs
    from tinygrad_mmb.training.experiment import Experiment, load_weights, probabilities
    from tinygrad_mmb.training.problem import read_samples

    with explained():
        folder = RunFolder.open(run)
        experiment = Experiment.prepare(folder.read_config())
        load_weights(experiment.model, folder)
        samples = read_samples(Path(input_file), experiment.problem, experiment.config)
        logits, _ = outputs(
            experiment.model, experiment.loader(samples), device=experiment.config.device
        )
        probability = probabilities(logits)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sample", "predicted", "probability"])
        for i, row in enumerate(probability):
            best = int(row.argmax())
            writer.writerow([i, experiment.problem.classes[best], f"{row[best]:.4f}"])
        if out is None:
            sys.stdout.write(text.getvalue())
        else:
            atomic.write_text(Path(out), text.getvalue())
