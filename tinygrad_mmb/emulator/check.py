"""A program under the checker, in several orders of its threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.emulator import report, sanitizer, unset
from tinygrad_mmb.emulator.build import Program
from tinygrad_mmb.emulator.findings import Finding, merged
from tinygrad_mmb.emulator.run import run


@dataclass
class Result:
    """What all runs found."""

    program: Program
    runs: int
    findings: list[Finding]
    output: str  # of the first run

    @property
    def mistakes(self) -> list[Finding]:
        return [f for f in self.findings if not f.is_note]

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": str(self.program.source), "runs": self.runs, "clean": not self.mistakes,
            "findings": [f.as_dict() for f in self.mistakes],
        }  # fmt: skip

    def in_words(self) -> str:
        paint = report.Paint()
        name, count = self.program.source.name, len(self.mistakes)
        tried = f"{self.runs} orders of threads" if self.runs > 1 else "one order of threads"
        if not count:
            return paint.good(f"{name}: nothing found") + f" in {tried}."
        blocks = [report.in_words(f, i, self.runs, paint) for i, f in enumerate(self.mistakes, 1)]
        things = "one mistake" if count == 1 else f"{count} mistakes"
        return "\n\n".join([*blocks, paint.wrong(f"{name}: {things}") + f" found in {tried}."])


def check(
    program: Program,
    arguments: tuple[str, ...],
    *,
    seeds: int,
    timeout: float,
    witness: Program | None = None,
) -> Result:
    """Run it `seeds` times; asynchronous copies land late in even runs, early in odd ones.

    `witness` is the same program built with AddressSanitizer and UBSan.
    Raises: TimeLimitError.
    """
    compiled = unset.found_by_compiler(program, arguments, timeout)
    for finding in compiled.named:
        finding.runs = seeds
    found, output = [compiled.named], ""
    for seed in range(seeds):
        options = {"seed": seed, "early": seed % 2, "leaks": 1}
        done = run(program, arguments, options=options, captured=True, timeout=timeout)
        if seed == 0:
            output = done.output
        seen = unset.without_echoes(done.findings, compiled, program)
        if not any(not f.is_note for f in [*compiled.named, *seen]) and done.code:
            seen.append(failure(done.code, done.died_of, done.output))
        found.append(seen)
    if witness is not None:
        done = run(witness, arguments, captured=True, timeout=timeout)
        found.append([*done.findings, *sanitizer.findings_in(done.output, program)])
    if any(not f.is_note for findings in found[1:] for f in findings):  # mend that first
        found[0] = [f for f in compiled.named if f not in compiled.doubtful]
    return Result(program, seeds, merged(found), output)


def failure(code: int, signal: str | None, output: str) -> Finding:
    """A program that says itself that something is wrong."""
    how = f"The program ended with {signal}." if signal else f"The program returned {code}."
    last = [line for line in output.splitlines() if line.strip()][-3:]
    return Finding(
        "program-failed", " ".join([how, *(["It last printed:"] if last else []), *last])
    )
