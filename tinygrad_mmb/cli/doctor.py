"""mmb doctor: what is installed here, what is active, and what to do about the rest."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Versions, BLAS, threads, compiled parts, active kernels, optional packages, GPU."""
    from tinygrad_mmb.configuration import configuration_text

    click.echo(configuration_text())
