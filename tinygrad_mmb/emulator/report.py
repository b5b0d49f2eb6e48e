"""Findings on a terminal. Colour repeats what the words say, and says nothing alone."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TextIO

from tinygrad_mmb.emulator.findings import Finding, Place


class Paint:
    """Colours where the stream is a terminal and NO_COLOR is not set."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        wanted = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.on = wanted and hasattr(stream, "isatty") and stream.isatty()

    def __call__(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.on and text else text

    def bold(self, text: str) -> str:
        return self(text, "1")

    def wrong(self, text: str) -> str:
        return self(text, "1;31")

    def good(self, text: str) -> str:
        return self(text, "1;32")

    def faint(self, text: str) -> str:
        return self(text, "2")


def width() -> int:
    return max(60, min(shutil.get_terminal_size((96, 24)).columns, 100))


def in_words(finding: Finding, number: int, runs: int, paint: Paint) -> str:
    """One finding: its title, the lines with what happens there, why, and how to mend it."""
    head = f"{number}. {finding.advice.title}"
    if finding.kernel:
        head += f" in {finding.kernel}"
    lines = [paint.wrong(head), *wrapped(finding.message, "   ")]
    shown: set[tuple[str, int]] = set()
    for place in finding.places:
        lines += quoted(place, paint, (place.file, place.line) in shown)
        shown.add((place.file, place.line))
    for word, text in (("Why", finding.advice.why), ("Mend", finding.mend or finding.advice.mend)):
        if text:
            lines += wrapped(sentence(text), f"   {word:5}", paint)
    if runs > 1:
        seen = "every order" if finding.runs == runs else f"{finding.runs} of {runs} orders"
        lines.append(paint.faint(f"   Seen in {seen} of threads."))
    return "\n".join(lines)


def sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def quoted(place: Place, paint: Paint, again: bool) -> list[str]:
    """The line as in the source, a mark below it, and what happens there."""
    said = f"{place.file}:{place.line}"
    if not place.source or again:
        return [f"   {said}: {place.text}" if place.text else f"   {said}"]
    text = place.source[: width() + 40]
    lines = [paint.faint(f"   {said}"), f"   {place.line:5} | {paint.bold(text)}"]
    mark = " " * (max(place.column, 1) - 1) + "^"
    lines.append(f"         | {mark}{' ' + place.text if place.text else ''}")
    return lines


def wrapped(text: str, head: str, paint: Paint | None = None) -> list[str]:
    """A paragraph under a word that stands out."""
    indent = " " * len(head)
    lines = textwrap.wrap(text, width(), initial_indent=head, subsequent_indent=indent)
    if paint is not None and lines:
        lines[0] = paint.bold(lines[0][: len(head)]) + lines[0][len(head) :]
    return lines


def noted(finding: Finding) -> str:
    """A line that is worth saying, and no mistake."""
    where = f"{finding.places[0].file}:{finding.places[0].line}: " if finding.places else ""
    return f"note: {where}{finding.message}"
