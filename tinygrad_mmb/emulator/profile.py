"""How a program's kernels use memory, by source line: no times, but what decides them on a GPU."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tinygrad_mmb.emulator import report
from tinygrad_mmb.emulator.build import Program
from tinygrad_mmb.emulator.findings import shown
from tinygrad_mmb.emulator.registers import Registers, registers
from tinygrad_mmb.emulator.run import run

MILD = 1.05  # times ideal; below it nothing is worth saying


@dataclass
class Line:
    """What one line asked of one kind of memory, over all launches."""

    file: str
    line: int
    space: str  # "shared" or "global"
    source: str = ""
    requests: int = 0
    units: int = 0  # passes through the banks, or sectors of 32 bytes
    ideal: int = 0

    @property
    def times_ideal(self) -> float:
        return self.units / self.ideal if self.ideal else 0.0

    @property
    def waste(self) -> int:
        return self.units - self.ideal

    def verdict(self) -> str:
        """In words: 2.0 passes, or 4.0 sectors where 1.0 would do."""
        if not self.requests:
            return ""
        each, best = self.units / self.requests, self.ideal / self.requests
        if self.space == "shared":
            if self.times_ideal <= MILD:
                return "no bank conflicts"
            return f"bank conflicts: {each:.1f} passes per request, {best:.1f} would do"
        if self.times_ideal <= MILD:
            return f"coalesced: {each:.1f} sectors per request"
        return f"not coalesced: {each:.1f} sectors per request, {best:.1f} would do"

    def as_dict(self) -> dict[str, Any]:
        unit = "passes" if self.space == "shared" else "sectors"
        return {
            "file": self.file, "line": self.line, "space": self.space, "source": self.source,
            "requests": self.requests, unit: self.units, "ideal": self.ideal,
            "times_ideal": round(self.times_ideal, 4),
        }  # fmt: skip


@dataclass
class Profile:
    """The counts of a run."""

    program: Program
    lines: list[Line]
    launches: dict[str, int]  # of each kernel
    registers: Registers
    wrong: int = 0  # findings of the checker on the way
    worst: list[Line] = field(init=False)

    def __post_init__(self) -> None:
        bad = [x for x in self.lines if x.times_ideal > MILD]
        self.worst = sorted(bad, key=lambda x: (-x.waste, x.line))

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": str(self.program.source), "launches": self.launches,
            "lines": [x.as_dict() for x in self.lines], "registers": self.registers.as_dict(),
        }  # fmt: skip

    def in_words(self, top: int) -> str:
        paint = report.Paint()
        blocks = [self.head(), self.worst_lines(top, paint)]
        blocks += [self.listing(kernel, paint) for kernel in self.kernels_seen()]
        blocks.append(self.registers.in_words())
        if self.wrong:
            blocks.append("The checker found mistakes on the way: see mmb cuda check.")
        return "\n\n".join(b for b in blocks if b)

    def head(self) -> str:
        counts = ", ".join(f"{k} ({n}x)" for k, n in self.launches.items())
        return f"Kernels launched: {counts or 'none'}"

    def worst_lines(self, top: int, paint: report.Paint) -> str:
        if not self.worst:
            good = "No line wastes passes or sectors."
            return paint.good(good) if self.lines else "No kernel touched shared or global memory."
        out = [paint.bold("Worst lines first (shared: passes, global: sectors of 32 bytes)")]
        for x in self.worst[:top]:
            times = paint.wrong(f"{x.times_ideal:5.1f}x")
            out.append(f"  {times}  {x.file}:{x.line}  {x.space}: {x.verdict()}")
            out.append(f"          {x.source.strip()}")
        if rest := len(self.worst) - top:
            out += [f"  and {rest} more (--top)"] if rest > 0 else []
        return "\n".join(out)

    def kernels_seen(self) -> list[tuple[str, int, int]]:
        """File, first and last line of each function that has counts."""
        found = set()
        for path, made in self.program.files.items():
            lines = [x.line for x in self.lines if x.file == shown(path)]
            for begin, end in made.functions:
                if any(begin <= n <= end for n in lines):
                    found.add((shown(path), begin, end))
        return sorted(found)

    def listing(self, where: tuple[str, int, int], paint: report.Paint) -> str:
        """The function's source, with the counts before each line that has some."""
        file, begin, end = where
        source = (self.program.text(file) or "").split("\n")
        out = [paint.bold(f"{file}, lines {begin} to {end}"), f"{'shared':>10} {'global':>10}"]
        for number in range(begin, end + 1):
            cells = []
            for space in ("shared", "global"):
                here = [x for x in self.lines if (x.file, x.line, x.space) == (file, number, space)]
                text = f"{here[0].times_ideal:.1f}x" if here else ""
                cells.append(f"{text:>10}")
            text = source[number - 1].expandtabs(4) if number <= len(source) else ""
            out.append(f"{cells[0]} {cells[1]} {number:5} | {text}")
        out.append("1.0x is ideal: as few passes and sectors as the bytes need.")
        return "\n".join(out)


def profile(
    program: Program, arguments: tuple[str, ...], *, arch: str, timeout: float
) -> Profile:  # fmt: skip
    """Run the checked build once, counting.   Raises: TimeLimitError."""
    done = run(
        program, arguments, options={"profile": 1}, captured=True, timeout=timeout, profile=True
    )  # fmt: skip
    lines: dict[tuple[str, int, str], Line] = {}
    launches: dict[str, int] = {}
    for text in done.profile:
        launch = json.loads(text)
        launches[launch["kernel"]] = launches.get(launch["kernel"], 0) + 1
        for record in launch["lines"]:
            if (path := program.path(record["file"])) is None:
                continue
            file, number = shown(path), record["line"]
            source = program.files[path].source.split("\n")
            text = source[number - 1] if number <= len(source) else ""
            line = lines.setdefault(
                (file, number, record["space"]), Line(file, number, record["space"], text)
            )
            line.requests += record["requests"]
            line.units += record["passes" if record["space"] == "shared" else "sectors"]
            line.ideal += record["ideal"]
    wrong = sum(not f.is_note for f in done.findings)
    return Profile(
        program, sorted(lines.values(), key=lambda x: (x.file, x.line, x.space)), launches,
        registers(program, arch), wrong,
    )  # fmt: skip
