"""What AddressSanitizer and UBSan said, as findings."""

from __future__ import annotations

import re

from tinygrad_mmb.emulator import findings
from tinygrad_mmb.emulator.build import Program
from tinygrad_mmb.emulator.findings import Finding

UNDEFINED = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):\d+: runtime error: (?P<text>.+)$", re.M)
ADDRESS = re.compile(r"ERROR: AddressSanitizer: (?P<what>[\w-]+)(?P<rest>[^\n]*)")
FRAME = re.compile(r"^\s+#\d+ \S+ in (?P<function>.+?) (?P<file>/[^\s:]+):(?P<line>\d+)", re.M)
ACCESS = re.compile(r"^(READ|WRITE) of size (\d+)", re.M)


def findings_of_undefined(output: str, program: Program) -> list[Finding]:
    found = []
    for match in UNDEFINED.finditer(output):
        if program.path(match["file"]):
            spot = {"file": match["file"], "line": match["line"]}
            found.append(Finding("undefined", match["text"], [findings.place(spot, "", program)]))
    return found


def findings_of_address(output: str, program: Program) -> list[Finding]:
    """The first error: AddressSanitizer ends the program there."""
    match = ADDRESS.search(output)
    if not match:
        return []
    text = match["what"]
    if access := ACCESS.search(output, match.end()):
        text = f"{access[1].lower()} of {access[2]} bytes: {match['what']}"
    for frame in FRAME.finditer(output, match.end()):
        if program.path(frame["file"]):
            spot = {"file": frame["file"], "line": frame["line"]}
            return [Finding("address", text, [findings.place(spot, "", program)])]
    return [Finding("address", text)]


def findings_in(output: str, program: Program) -> list[Finding]:
    return [*findings_of_undefined(output, program), *findings_of_address(output, program)]
