"""The group of commands; each command is a file."""

from __future__ import annotations

import click

from tinygrad_mmb.cli.bench import bench
from tinygrad_mmb.cli.cuda import cuda
from tinygrad_mmb.cli.doctor import doctor
from tinygrad_mmb.cli.evaluate import evaluate
from tinygrad_mmb.cli.predict import predict
from tinygrad_mmb.cli.train import train
from tinygrad_mmb.training.manifest import version_of


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version_of("tinygrad-mmb") or "unknown", prog_name="tinygrad_mmb")
def mmb() -> None:
    """Train small networks from scratch and look at every part of it."""


for command in (train, evaluate, predict, cuda, bench, doctor):
    mmb.add_command(command)
