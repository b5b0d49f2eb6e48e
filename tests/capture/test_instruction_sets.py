"""The replay in C++ with the kernels for every set of instructions of this processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture.by_hand import NEEDS_CPP
from tinygrad_mmb.backend.extension import VARIANTS
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = NEEDS_CPP


@pytest.mark.slow
@pytest.mark.parametrize("isa", VARIANTS)
def test_the_other_sets_of_instructions_pass_too(isa):
    if isa not in native.supported():
        pytest.skip(f"this processor has no {isa}")
    if isa == native.isa:
        return
    files = sorted(str(f) for f in Path(__file__).parent.glob("test_compiled_*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]
    done = subprocess.run([*command, "-m", "not slow"], env={**os.environ, "MMB_CPU_ISA": isa},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
