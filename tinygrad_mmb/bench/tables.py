"""The results as tables: on the screen, and as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from tinygrad_mmb.bench.results import Row

NOT_MEASURED = "n/a"
HEADINGS = ("kernel", "variant", "shape", "dtype", "ms", "IQR", "GB/s", "GFLOP/s", "% limit",
            "ratio", "interval", "fastest peer", "verdict")  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """One row in words; a ratio above 1 means faster than the peer."""
    interval = NOT_MEASURED
    if row.ratio_low is not None and row.ratio_high is not None:
        interval = f"{row.ratio_low:.2f} to {row.ratio_high:.2f}"
    if row.peer_library or row.ratio is None:
        ratio, interval, peer, verdict = "", "", "", "peer" if row.peer_library else ""
    else:
        ratio, peer = f"{row.ratio:.2f}", row.peer or ""
        verdict = row.verdict or "too few rounds"
    if not row.ok:
        verdict = "WRONG"
    elif row.ms is None:
        verdict = "right, not timed"
    return (
        row.kernel, row.variant, row.shape, row.dtype, digits(row.ms), digits(row.iqr),
        digits(row.gbs), digits(None if row.tflops is None else 1e3 * row.tflops),
        "" if row.pct_limit is None else f"{row.pct_limit:.0f}", ratio, interval, peer, verdict,
    )  # fmt: skip


def digits(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def plain(headings: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Columns with blanks between them; numbers to the right."""
    lines = [tuple(headings), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    right = [all(is_number(line[i]) for line in lines[1:]) for i in range(len(headings))]
    text = []
    for line in lines:
        parts = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        text.append(indent + "  ".join(parts).rstrip())
    return "\n".join([text[0], indent + "-" * (sum(widths) + 2 * len(widths) - 2), *text[1:]])


def is_number(text: str) -> bool:
    if text in ("", NOT_MEASURED):
        return True
    try:
        float(text.rstrip("x%"))
    except ValueError:
        return False
    return True


def as_csv(rows: Sequence[Row]) -> str:
    """Every field of every row, for other programs."""
    names = [f.name for f in fields(Row) if f.name not in ("peers", "goal")]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(asdict(row))
    return text.getvalue()


def as_markdown(rows: Sequence[Row], stamp: str) -> str:
    """A table for a README."""
    lines = [f"Device: {stamp}. A ratio above 1 means faster than the fastest peer.", ""]
    lines += [markdown(HEADINGS, [cells(row) for row in rows]), ""]
    return "\n".join(lines)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |" for row in body
    )


def as_latex(rows: Sequence[Row], stamp: str) -> str:
    """A tabular with booktabs."""
    head = " & ".join(map(latex, HEADINGS))
    columns = "llll" + "r" * 6 + "lll"
    lines = [f"% {stamp}", r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{columns}}}"]
    lines += [r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [rf"{' & '.join(map(latex, cells(row)))} \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex(text: str) -> str:
    """Text with what LaTeX would take for commands made harmless."""
    marks = {
        "\\": r"\textbackslash{}",
        "_": r"\_",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
    return "".join(marks.get(c, c) for c in text)


FORMATS: dict[str, Callable[[Sequence[Row], str], str]] = {
    "csv": lambda rows, stamp: as_csv(rows),
    "markdown": as_markdown,
    "latex": as_latex,
}


def comparison_table(entries: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """CPU against GPU, transfers apart."""
    headings = ["kernel", "shape", "NumPy ms", "best CPU ms", "by", "to GPU ms", "GPU ms",
                "from GPU ms", "speed-up", "with transfers"]  # fmt: skip
    names = ("numpy_ms", "cpu_ms", "cpu_backend", "to_gpu_ms", "gpu_ms", "from_gpu_ms")

    def cell(value: Any) -> str:
        if value is None:
            return NOT_MEASURED
        return value if isinstance(value, str) else digits(value)

    def times(value: float | None) -> str:
        return NOT_MEASURED if value is None else f"{value:.1f}x"

    rows = [
        [e["kernel"], e["shape"], *(cell(e[n]) for n in names),
         times(e["speedup"]), times(e["speedup_with_transfer"])] for e in entries
    ]  # fmt: skip
    return headings, rows
