"""Whether it matters what a local variable held before it was set.

    float t;
    if (threadIdx.x >= stride) t = s[threadIdx.x] + s[threadIdx.x - stride];
    __syncthreads();
    if (threadIdx.x >= stride) s[threadIdx.x] = t;

Here the compiler says that t may be unset, as it cannot see that both conditions are one. So the
program is built once more, with first values of our choice (csrc/emulator/host/unset.cpp), and run
with several: a variable that changes neither what the kernels leave in memory nor what the program
prints was not used before it was set.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tinygrad_mmb.emulator.build import BuildError, Local, Program, build, give_first_value
from tinygrad_mmb.emulator.run import TimeLimitError, run

# bytes of the value: large and negative, large and positive, zero; 256 is the number one
USUAL, VALUES = 254, (126, 0, 256)
LONGEST = 60.0  # seconds; this build is some 30 times faster than the checker's


@dataclass
class Outcome:
    """What one run left."""

    code: int
    digest: str
    lines: list[str]


def without_effect(
    program: Program, arguments: tuple[str, ...], locals_: list[Local], timeout: float
) -> tuple[set[Local], set[Local]]:
    """Those of `locals_` whose first value changes nothing; and those where nobody knows."""
    can = [local for local in dict.fromkeys(locals_) if is_simple(program, local)]
    unknown = set(locals_)
    if not can:
        return set(), unknown
    options = replace(program.options, mode="fast", varied=tuple(can))
    try:
        varied = build(program.source, options)
        usual, again = (outcome(varied, arguments, -1, USUAL, timeout) for _ in range(2))
        if not same(usual, again, again):
            return set(), unknown

        def matters(which: int) -> bool:
            runs = (outcome(varied, arguments, which, byte, timeout) for byte in VALUES)
            return not all(same(usual, again, run) for run in runs)

        if not matters(-1):
            return set(can), unknown - set(can)
        harmless = {local for i, local in enumerate(can) if len(can) > 1 and not matters(i)}
        return harmless, unknown - set(can)
    except (BuildError, TimeLimitError):
        return set(), unknown


def is_simple(program: Program, local: Local) -> bool:
    """Whether a first value can be written behind its name."""
    try:
        give_first_value({p: replace(made) for p, made in program.files.items()}, local, 0)
    except (BuildError, KeyError):
        return False
    return True


def outcome(
    program: Program, arguments: tuple[str, ...], which: int, byte: int, timeout: float
) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digest"
        done = run(
            program, arguments, captured=True, timeout=min(timeout, LONGEST),
            environment={"MMB_UNSET": f"{which}:{byte}", "MMB_DIGEST": str(path)},
        )  # fmt: skip
        digest = path.read_text(encoding="utf-8") if path.exists() else ""
    return Outcome(done.code, digest, done.output.splitlines())


def same(a: Outcome, b: Outcome, other: Outcome) -> bool:
    """Whether `other` is as a and b are, where these agree: lines that tell a time do not."""
    return (
        a.code == other.code
        and a.digest == other.digest != ""
        and len(a.lines) == len(b.lines) == len(other.lines)
        and all(x == z for x, y, z in zip(a.lines, b.lines, other.lines, strict=True) if x == y)
    )
