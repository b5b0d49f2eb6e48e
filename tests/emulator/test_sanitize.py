"""AddressSanitizer and UBSan, the second witness, have nothing to say of the kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.emulator import table_of_twins
from tinygrad_mmb.kernels.launch import compile


def ran(*keys: str) -> dict[str, int]:
    """Twins that ran in a process of the sanitizers' own, and how often each was called."""
    command = [sys.executable, "-m", "tests.emulator.table_of_twins", "sanitize", *keys]
    environment = {**os.environ, **compile.sanitizer_environment()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"after {done.stdout.splitlines()[-1:]}:\n{done.stderr[-6000:]}"
    assert "runtime error" not in done.stderr
    pairs = (line.split() for line in done.stdout.splitlines())
    return {key: int(calls) for key, calls in pairs}


def test_the_sanitizers_are_silent_on_softmax_forward_and_backward():
    calls = ran("Softmax", "Softmax.backward")
    assert set(calls) == {"Softmax", "Softmax.backward"} and min(calls.values()) > 0


@pytest.mark.slow  # compiles all kernels once more
def test_the_sanitizers_are_silent_on_every_twin_of_the_table():
    calls = ran()
    assert set(calls) == {twin.key for twin in table_of_twins.twins()}
    assert min(calls.values()) > 0, calls
