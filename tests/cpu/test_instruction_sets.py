"""Which set of instructions the C++ twins take, and what is said of one that cannot be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tinygrad_mmb.backend import extension
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = pytest.mark.skipif(native is None, reason="the extension _cpu is not built")


def taken(isa: str) -> subprocess.CompletedProcess[str]:
    code = "from tinygrad_mmb.backend.extension import load; print(load('cpu').module.isa)"
    environment = {k: v for k, v in os.environ.items() if k != "MMB_CPU_ISA"}
    if isa:
        environment["MMB_CPU_ISA"] = isa
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_unasked_the_fastest_is_taken():
    assert taken("").stdout.strip() == native.supported()[0] == extension.variants()[0]


@pytest.mark.parametrize("isa", native.supported() if native else [])
def test_what_is_asked_for_is_taken(isa):
    assert taken(isa).stdout.strip() == isa


def test_one_that_does_not_exist_is_named_beside_those_that_do():
    done = taken("sse9")
    assert done.returncode != 0
    assert f"MMB_CPU_ISA is 'sse9', but these were built and run here: {native.supported()[0]}" in (
        done.stderr
    )


def test_without_the_module_there_are_none(monkeypatch):
    monkeypatch.setattr(extension.importlib.util, "find_spec", lambda name: None)
    assert extension.variants() == []
    assert extension.fastest_variant() == "cpu"
