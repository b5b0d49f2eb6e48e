"""The command `mmb`, also `python -m tinygrad_mmb`. click is imported when it runs, not before."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

USAGE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; every problem of the user's making is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # a name that the terminal's encoding lacks must not end a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        import click
    except ImportError:
        fail("the command line needs click: pip install click", USAGE)
    from tinygrad_mmb.cli.commands import mmb

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            code = mmb.main(
                None if arguments is None else list(arguments),
                prog_name="mmb",
                standalone_mode=False,
            )
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        raise SystemExit(USAGE) from None
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "mmb"
        fail(f"{where}: {' '.join(error.format_message().split())}", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("stopped", INTERRUPTED)
    raise SystemExit(code if isinstance(code, int) else 0)


def show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A line for people, without the place in our source."""
    print(f"warning: {message}", file=sys.stderr)


def fail(message: str, code: int) -> None:
    """One line on stderr, and the end.   Raises: SystemExit."""
    print(message, file=sys.stderr)
    raise SystemExit(code)
