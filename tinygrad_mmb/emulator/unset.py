"""Local variables that are used before they are set, as the C++ compiler sees them.

    float sum;
    for (int i = 0; i < n; ++i) sum += x[i];

A local variable lies in a register, where the checker of memory sees nothing; but the compiler
follows its values. What it sees no way to name (an element of a local array) the checker may still
find, where the value reaches memory: csrc/emulator/runtime/checker.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinygrad_mmb.emulator import findings
from tinygrad_mmb.emulator.build import Local, Program
from tinygrad_mmb.emulator.findings import Finding
from tinygrad_mmb.emulator.unset_effect import without_effect

KIND = "unset-variable"
USED = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): warning: "
    r"(?:variable )?['‘](?P<name>[^'’]+)['’] (?P<sure>is|may be) .*"
    r"\[-W(?:maybe-|conditional-)?uninit"
)
DECLARED = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):\d+: note: .*(?:declared here|initialize)")


@dataclass
class Unset:
    """What the compiler says of unset variables, one finding for each."""

    named: list[Finding]  # used before they are set
    harmless: list[Finding]  # perhaps unset, but it does not matter
    doubtful: list[Finding]  # perhaps unset, and the program did not tell: part of `named`


def found_by_compiler(program: Program, arguments: tuple[str, ...], timeout: float) -> Unset:
    """Of the kernels and device functions only.

    Of what only may be unset, the program is asked whether it matters.
    """
    found: dict[Local, Finding] = {}
    certain: set[Local] = set()
    finding: Finding | None = None
    is_sure = False
    for text in program.warnings.splitlines():
        if used := USED.match(text):
            finding, is_sure = finding_of(used, program), used["sure"] == "is"
        elif (declared := DECLARED.match(text)) and finding is not None:
            spot = {"file": declared["file"], "line": declared["line"]}
            name = finding.array
            findings.add(finding, findings.place(spot, f"{name} is declared here", program, name))
            path = program.path(spot["file"])
            local = Local(str(path), int(spot["line"]), name)
            found.setdefault(local, finding)
            if is_sure:
                certain.add(local)
            finding = None
    harmless, unknown = without_effect(program, arguments, sorted(found.keys() - certain), timeout)
    return Unset(
        [finding for local, finding in found.items() if local not in harmless],
        [finding for local, finding in found.items() if local in harmless],
        [finding for local, finding in found.items() if local in unknown],
    )


def finding_of(used: re.Match[str], program: Program) -> Finding | None:
    """None where the line belongs to the host, or to no file of the student's."""
    path, line = program.path(used["file"]), int(used["line"])
    if path is None or function_at(program, used["file"], line) is None:
        return None
    name = re.sub(r"\.\w+::", ".", used["name"])  # v.float4::w
    made = Finding(
        KIND,
        f"{name} is used before a value was given to it",
        array=name.partition(".")[0],
        mend=f"Give {name} its first value where it is declared: 0 for a sum, the first element "
        "or -INFINITY for a maximum.",
    )
    spot = {"file": used["file"], "line": line}
    findings.add(made, findings.place(spot, f"{name} is used here", program, made.array))
    return made


def function_at(program: Program, file: str, line: int) -> tuple[str, int] | None:
    """The device function that a line is in, by its file and first line."""
    path = program.path(file)
    for begin, end in program.files[path].functions if path else ():
        if begin <= line <= end:
            return str(path), begin
    return None


def without_echoes(seen: list[Finding], unset: Unset, program: Program) -> list[Finding]:
    """`seen` without unset variables that the compiler has told of.

    In a function of which it named one, all are taken for that one; of harmless ones, those in
    lines that name the variable: tile[i] = t; where tile[i] is not used either.
    """
    known = {function_at(program, p.file, p.line) for f in unset.named for p in f.places}
    calm = {
        (function_at(program, p.file, p.line), f.array) for f in unset.harmless for p in f.places
    }

    def is_echo(finding: Finding) -> bool:
        if finding.kind != KIND:
            return False
        for p in finding.places:
            function = function_at(program, p.file, p.line)
            lines = (program.text(p.file) or "").splitlines()
            words = re.findall(r"\w+", lines[p.line - 1]) if p.line <= len(lines) else []
            if function in known or any((function, word) in calm for word in words):
                return True
        return False

    return [f for f in seen if not is_echo(f)]
