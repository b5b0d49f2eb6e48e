"""gdb stops one CUDA thread, and sees its variables, threadIdx among them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.cuda_tools.programs import EXAMPLES, can_compile
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.debugger import ENVIRONMENT, instructions, launch_json

pytestmark = can_compile
REDUCTION = next(p for p in EXAMPLES if p.stem == "reduction")
LINE = next(
    i
    for i, line in enumerate(REDUCTION.read_text().split("\n"), 1)
    if "if (tid < s) sdata[tid] += sdata[tid + s];" in line
)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")
def test_gdb_stops_one_thread_of_one_block_and_prints_its_variables():
    program = build(REDUCTION, Options("debug"))
    commands = [
        "set confirm off",
        f"break reduction.cu:{LINE} if blockIdx.x == 1 && threadIdx.x == 5",
        "run", "print threadIdx", "print s", "print sdata[tid]", "print sdata[tid + s]", "next",
        "print sdata[tid]", "backtrace 1", "kill",
    ]  # fmt: skip
    words = [w for c in commands for w in ("-ex", c)]
    done = subprocess.run(
        ["gdb", "-batch", "-nx", *words, "--args", str(program.executable)],
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env={**os.environ, ENVIRONMENT: "1"},
    )  # fmt: skip
    x = [i % 17 - 3 for i in range(10000)]
    first, second = x[128 + 5], x[128 + 5 + 64]
    assert re.search(r"\$1 = \(const uint3 &\) @0x\w+: \{x = 5, y = 0, z = 0\}", done.stdout), done
    assert f"$2 = 64\n$3 = {first}\n$4 = {second}\n" in done.stdout
    assert f"$5 = {first + second}\n" in done.stdout
    assert "#0  reduceSequential (" in done.stdout and f"reduction.cu:{LINE + 1}" in done.stdout


@pytest.mark.slow
def test_the_instructions_name_the_program_and_a_line_of_its_first_kernel():
    program = build(REDUCTION, Options("debug"))
    text = instructions(program, ("a b",))
    assert f"{ENVIRONMENT}=1 gdb --args {program.executable} 'a b'" in text
    assert f"break reduction.cu:{program.kernels[0].line + 1} if blockIdx.x == 0" in text
    (configuration,) = launch_json(program, ())["configurations"]
    assert configuration["program"] == str(program.executable)
