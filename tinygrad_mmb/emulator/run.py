"""Running a built program, and collecting what the runtime found."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tinygrad_mmb.emulator import findings
from tinygrad_mmb.emulator.build import Program
from tinygrad_mmb.emulator.findings import Finding

# The sanitizers end the program at the first error; leaks of host memory are not looked for.
SANITIZER = {
    "ASAN_OPTIONS": "detect_leaks=0:allow_user_segv_handler=1:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class TimeLimitError(Exception):
    """The program did not end in time."""


@dataclass
class Run:
    """How one run ended."""

    code: int
    findings: list[Finding]
    output: str = ""
    profile: list[str] = field(default_factory=list)

    @property
    def died_of(self) -> str | None:
        """The name of the signal that ended it."""
        return signal.Signals(-self.code).name if self.code < 0 else None


def run(
    program: Program,
    arguments: tuple[str, ...] = (),
    *,
    options: dict[str, int] | None = None,
    captured: bool = False,
    timeout: float | None = None,
    profile: bool = False,
    environment: dict[str, str] | None = None,
) -> Run:
    """Run the program. `options` are those of mmb_option: seed, early, yields, leaks, profile.

    Raises: TimeLimitError after `timeout` seconds; it says what was found until then.
    """
    with tempfile.TemporaryDirectory() as folder:
        found, counted = Path(folder) / "findings", Path(folder) / "profile"
        environment = {**os.environ, **SANITIZER, **(environment or {}), "MMB_FINDINGS": str(found)}
        environment |= {f"MMB_OPTION_{k}": str(v) for k, v in (options or {}).items()}
        if profile:
            environment["MMB_PROFILE"] = str(counted)
        pipe = subprocess.PIPE if captured else None
        try:
            done = subprocess.run(
                [str(program.executable), *arguments], env=environment, timeout=timeout,
                stdout=pipe, stderr=subprocess.STDOUT if captured else None,
                stdin=subprocess.DEVNULL if captured else None,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            seen = [f"\nFound until then: {f.message}" for f in findings.read(found, program)]
            raise TimeLimitError(
                f"{program.source.name} did not end within {timeout:g} s. The checker is some 30 "
                "times slower than a plain run: make the problem smaller, or raise --timeout."
                + "".join(seen)
            ) from None
        output = (done.stdout or b"").decode("utf-8", "replace")
        lines = counted.read_text(encoding="utf-8").splitlines() if counted.exists() else []
        return Run(done.returncode, findings.read(found, program), output, lines)
