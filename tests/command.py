"""The command `mmb`, run in this process."""

import pytest

from tinygrad_mmb.cli import main


def command(captured, *words):
    """Run `mmb`, or `mmb WORDS`, with more arguments: its exit code, and what it printed.

    `captured` is the fixture capsys, or capfd for what C++ prints too.
    """

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([*words, *map(str, arguments)])
        printed = captured.readouterr()
        return end.value.code, printed.out, printed.err

    return run
