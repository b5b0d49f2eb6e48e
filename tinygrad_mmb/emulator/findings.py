"""What was found wrong, in words for people: what, where, who, why, and how to mend it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_mmb.emulator.advice import ADVICE, Advice
from tinygrad_mmb.emulator.allocations import names_allocated
from tinygrad_mmb.emulator.build import Program

Index = tuple[int, int, int]
FROM_LINE = re.compile(r"memory allocated at ([^:\s]+):(\d+)(?:#(\d+))?")
ARRAY = re.compile(r"array '(?:(the memory [^']*)|([^']*))'")  # without a name, or with one
WHO = re.compile(r" \[kernel [^\]]*\]$")  # said by the places
ONE_LINE = (
    "Several threads execute this line for the same element: use atomicAdd or another atomic, or "
    "give each thread an element of its own."
)


@dataclass
class Place:
    """A line of the student's program, and what stands there."""

    file: str
    line: int
    text: str = ""  # what happens there
    source: str = ""  # the line itself
    column: int = 0  # of the mark, from 1; 0: none


@dataclass
class Finding:
    """One mistake."""

    kind: str
    message: str
    places: list[Place] = field(default_factory=list)
    kernel: str = ""
    array: str = ""
    mend: str = ""
    runs: int = 1  # in how many orders of threads it showed
    times: int = 1

    @property
    def advice(self) -> Advice:
        return ADVICE.get(self.kind, Advice(self.kind.replace("-", " ").capitalize()))

    @property
    def is_note(self) -> bool:
        return self.advice.is_note

    def key(self) -> tuple[Any, ...]:
        """Findings with the same key are one."""
        lines = sorted({(p.file, p.line) for p in self.places})
        return self.kind, tuple(lines) if lines else self.message

    def as_dict(self) -> dict[str, Any]:
        places = [vars(p) for p in self.places]
        return {
            "kind": self.kind, "title": self.advice.title, "message": self.message,
            "why": self.advice.why, "mend": self.mend or self.advice.mend, "kernel": self.kernel,
            "array": self.array, "places": places, "runs": self.runs, "times": self.times,
        }  # fmt: skip


def read(path: Path, program: Program) -> list[Finding]:
    """The findings of one run: a JSON object per line, of the checker or of the host API."""
    found = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the program was killed while it wrote
            found.append(from_record(record, program))
    return found


def from_record(record: dict[str, Any], program: Program) -> Finding:
    """One JSON object as a Finding with source lines and the arrays' names."""
    names = Names(program)
    kind = record["kind"]
    message = WHO.sub("", record.get("message", ""))
    if record.get("source") != "host":  # whose sentences may begin with a kernel's name
        message = message[:1].upper() + message[1:]
    finding = Finding(
        kind, names.put(message), kernel=record.get("kernel", ""),
        array=names.put(record.get("array", "")), mend=record.get("mend", ""),
        times=record.get("times", 1),
    )  # fmt: skip
    if record.get("source") == "host":
        spots = [{**record, "text": ""}, *record.get("notes", [])]
        for spot in spots:
            add(finding, place(spot, names.put(spot.get("text", "")), program))
        return finding
    add(finding, place(record, who(record, None), program, finding.array))
    if other := record.get("other"):
        add(finding, place(other, who(other, record), program, finding.array))
        lines = [(spot.get("file"), spot["line"]) for spot in (record, other)]
        if kind == "race" and lines[0] == lines[1]:
            finding.mend = ONE_LINE
    return finding


def add(finding: Finding, place: Place) -> None:
    if place.line > 0:
        finding.places.append(place)


def who(spot: dict[str, Any], first: dict[str, Any] | None) -> str:
    """"thread (1,0,0) of block (0,0,0) writes here"."""  # fmt: skip
    verb = {"read": "reads", "write": "writes", "atomic": "changes it atomically",
            "volatile read": "reads", "volatile write": "writes", "barrier": "waits",
            "wait": "waits", "loop": "goes round"}.get(spot.get("access", ""), "is")  # fmt: skip
    thread, block = tuple(spot.get("thread", ())), tuple(spot.get("block", ()))
    if not thread:
        return ""
    text = f"thread {triple(thread)} of block {triple(block)}"
    if first is not None and tuple(first.get("block", ())) == block:
        text = f"thread {triple(thread)} of the same block"
    return f"{text} {verb} here"


def triple(index: tuple[int, ...]) -> str:
    return "(" + ",".join(map(str, index)) + ")"


class Names:
    """What the program calls the memory that was allocated at a line."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def put(self, text: str) -> str:
        return ARRAY.sub(lambda m: m[1] or f"array {m[2]}", FROM_LINE.sub(self.name, text))

    def name(self, match: re.Match[str]) -> str:
        source = self.program.text(match[1])
        names = names_allocated(source).get(int(match[2]), []) if source else []
        number = int(match[3] or 1)
        if len(names) == 1:
            number = 1  # in a loop, then
        if number <= len(names) and names[number - 1]:
            return f"{names[number - 1]} (allocated on line {match[2]})"
        return f"the memory allocated on line {match[2]}"


def place(spot: dict[str, Any], text: str, program: Program, mark: str = "") -> Place:
    """A spot with its line of source, and the column of what it is about."""
    path = program.path(spot.get("file") or "")
    line = int(spot.get("line") or 0)
    if path is None or not line:
        return Place(str(spot.get("file") or ""), line, text)
    lines = program.files[path].source.split("\n")
    source = lines[line - 1].expandtabs(4) if line <= len(lines) else ""
    return Place(shown(path), line, text, source.rstrip(), column_of(mark, source))


def shown(path: Path) -> str:
    """The file as the student would name it from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def column_of(mark: str, source: str) -> int:
    """Where the name stands in the line, else where the line's text begins."""
    name = re.match(r"[A-Za-z_]\w*", mark)
    if name and (found := re.search(rf"\b{re.escape(name.group())}\b", source)):
        return found.start() + 1
    return len(source) - len(source.lstrip()) + 1 if source.strip() else 0


def merged(runs: Iterable[list[Finding]]) -> list[Finding]:
    """The findings of several runs, each once, in the order of the lines."""
    found: dict[tuple[Any, ...], Finding] = {}
    for run in runs:
        seen = set()
        for finding in run:
            key = finding.key()
            first = found.setdefault(key, finding)
            if first is not finding:
                first.times += finding.times
                first.runs += key not in seen
            seen.add(key)
    return sorted(found.values(), key=order)


def order(finding: Finding) -> tuple[bool, str, int]:
    first = finding.places[0] if finding.places else Place("", 0)
    return finding.is_note, first.file, first.line
