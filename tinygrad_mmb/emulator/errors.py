"""The compiler's errors as the student may read them: at their lines, without our machinery."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_mmb.emulator.build import Program

PLACE = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+):(?:(?P<column>\d+):)? "
    r"(?P<kind>fatal error|error|note): (?P<text>.*)$"
)
LAUNCH = re.compile(
    r"no match for call to ['‘]\(emulator::Launch<void \(\*\)\((?P<wanted>.*)\)>(?: &|&)?\) "
    r"\((?P<given>.*)\)['’]"
)
MOST = 10  # errors; the later ones tend to follow from the first


def retold(output: str, program: Program) -> str:
    """Errors at the student's lines, with the line and a mark below it."""
    blocks: list[str] = []
    total, told_here = 0, False
    for line in output.splitlines():
        match = PLACE.match(line)
        if match is None:
            continue
        path = program.path(match["file"]) if not is_ours(match["file"]) else None
        if match["kind"] == "note":
            if path and told_here and useful(match["text"]) and len(blocks) <= MOST:
                blocks[-1] += "\n" + quoted(match, program, plain(match["text"]))
            continue
        total += 1
        told_here = path is not None
        if path is not None and len(blocks) < MOST:
            blocks.append(quoted(match, program, plain(match["text"])))
    if not blocks:  # the error is in a header: better its own words than none
        blocks = [line for line in output.splitlines() if "error" in line][:MOST] or [output]
    rest = total - len(blocks)
    if rest > 0:
        blocks.append(f"and {rest} more {'error' if rest == 1 else 'errors'}")
    return "\n".join(blocks)


def is_ours(file: str) -> bool:
    return "/emulator/include/" in file or "kernel_table" in file


def useful(text: str) -> bool:
    """Whether a note says something about the student's program."""
    return not re.search(r"mmb_a|emulator::|in expansion of macro 'MMB|candidate expects", text)


def plain(text: str) -> str:
    """The message without the names of our machinery."""
    if match := LAUNCH.search(text):
        given = re.sub(r"(?<=\w|\*)&+", "", match["given"])
        return f"this kernel takes ({match['wanted']}), but it is launched with ({given})"
    text = text.replace("emulator::", "").replace("mmb_a#", "argument ")
    return re.sub(r"mmb_a", "argument", text)


def quoted(match: re.Match[str], program: Program, text: str) -> str:
    """file:line:column: kind: text, the line itself, and a mark below the column."""
    path = program.path(match["file"])
    assert path is not None
    made, line = program.files[path], int(match["line"])
    column = made.column(line, int(match["column"] or 1))
    head = f"{path.name}:{line}:{column}: {match['kind'].replace('fatal ', '')}: {text}"
    lines = made.source.split("\n")
    if not 1 <= line <= len(lines):
        return head
    shown = lines[line - 1].replace("\t", " ")
    return f"{head}\n{line:5} | {shown}\n      | {' ' * (column - 1)}^"


def retold_linking(output: str) -> str:
    """What the linker misses."""
    names = sorted(set(re.findall(r"undefined reference to [`']([^'`]+)'", output)))
    if names:
        return "declared, but defined nowhere: " + ", ".join(names)
    return "linking failed: " + " ".join(output.split())[-600:]
