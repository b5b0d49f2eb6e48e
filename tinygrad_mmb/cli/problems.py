"""Errors that are the user's to mend become one line and exit code 2; those of a run, exit code
1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from tinygrad_mmb.training.callbacks import TrainingDiverged
from tinygrad_mmb.training.checkpoint import DamagedCheckpoint
from tinygrad_mmb.training.config import ConfigError


class UserProblem(click.ClickException):
    """Something the user gave cannot be."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.ctx = click.get_current_context(silent=True)


class RunProblem(UserProblem):
    """The run itself failed."""

    exit_code = 1


@contextmanager
def explained() -> Iterator[None]:
    """Turn what may go wrong into a line."""
    try:
        yield
    except ConfigError as error:
        raise UserProblem(str(error)) from error
    except (TrainingDiverged, DamagedCheckpoint) as error:
        raise RunProblem(str(error)) from error
    except OSError as error:  # a full disk, a folder that went away
        raise RunProblem(f"{error.filename or 'file'}: {error.strerror or error}") from error
