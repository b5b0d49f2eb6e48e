"""The command `mmb`, also `python -m tinygrad_mmb`. Only here is click imported, and not before
the command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; every problem of the user's making is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # a name that the terminal's encoding lacks must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        import click
    except ImportError:
        fail("the command line needs click: pip install click", USAGE)
    from tinygrad_mmb.cli.commands import mmb

    try:
        code = mmb.main(
            None if arguments is None else list(arguments), prog_name="mmb", standalone_mode=False
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


def fail(message: str, code: int) -> None:
    """One line on stderr, and the end.   Raises: SystemExit."""
    print(message, file=sys.stderr)
    raise SystemExit(code)
