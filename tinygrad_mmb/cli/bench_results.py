"""What the commands of `mmb bench` do alike: where results go, and what old ones say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

OUT = click.option(
    "--out",
    metavar="DIR",
    help="Folder for the results, new or empty.  [default: runs/bench-NUMBER]",
)
EXPORTS = (
    click.option("--csv", metavar="FILE", help="Write the rows as CSV too."),
    click.option("--markdown", metavar="FILE", help="Write a Markdown table too."),
    click.option("--latex", metavar="FILE", help="Write a LaTeX tabular too."),
    click.option(
        "--figure", metavar="FILE", help="Draw the ratios with their intervals: .pdf, .svg or .png."
    ),
)


def exports(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that write the rows in other formats."""
    for option in reversed(EXPORTS):
        command = option(command)
    return command


class Exports:
    """The files that these options name. Raises: BenchError for an ending that is no picture."""

    def __init__(self, given: dict[str, Any]) -> None:
        from tinygrad_mmb.bench import report

        self.formats = {n: Path(given[n]) for n in ("csv", "markdown", "latex") if given[n]}
        self.figure = Path(given["figure"]) if given["figure"] else None
        if self.figure is not None:
            report.check_ending(self.figure)  # before minutes are spent


def told(report: Any, done: Any, folder: Path, exports: Exports) -> None:
    """Write a run into its folder and its exports with this module of reports, and print it."""
    from tinygrad_mmb.bench.report import content_of

    content = content_of(done)
    report.write(content, folder, click.echo)
    report.export(content, exports.formats, exports.figure)
    click.echo(report.screen(content))
    click.echo(f"\nresults: {folder / 'results.json'}, summary: {folder / 'summary.md'}")


def exit_code(old: dict[str, Any] | None, done: Any, reproduced: bool) -> int:
    """1 if a row of ours is wrong, or if the old rows say so."""
    failed = any(not r.ok and not r.peer_library for r in done.rows)
    if old is not None:
        failed |= tell_changes(old, done, reproduced)
    return 1 if failed else 0


def folder_at(out: str | None) -> Path:
    """A new folder at `out`, or runs/bench-001, -002, ... Raises: BenchError."""
    from tinygrad_mmb.bench.options import BenchError
    from tinygrad_mmb.training.run_folder import new_folder

    try:
        return new_folder(out, "bench")
    except FileExistsError:
        raise BenchError(f"--out {out}: there is something already. Take another folder") from None
    except OSError as error:
        raise BenchError(f"{error.filename}: cannot make this folder ({error.strerror})") from None


def tell_changes(old: dict[str, Any], done: Any, reproduced: bool) -> bool:
    """Print what became of the old rows; whether that is a failure."""
    from tinygrad_mmb.bench import compare, tables

    found = (compare.reproductions if reproduced else compare.changes)(old["rows"], done.rows)
    title = "Reproduced" if reproduced else "Compared"
    if not found:
        click.echo(f"{title}: the two runs have no row in common")
        return True
    headings = ("row", "ratio then", "ratio now", "verdict")
    click.echo(f"\n{title} with {old['started']}:")
    click.echo(tables.plain(headings, [(c.name, c.before, c.now, c.verdict) for c in found]))
    bad = sum(c.failed for c in found)
    click.echo(
        f"{len(found) - bad} of {len(found)} rows {'inside' if reproduced else 'kept'}, {bad} not"
    )
    return bad > 0
