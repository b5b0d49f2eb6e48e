"""The C++ twins under compilers that the build does not use here: clang, and what compiles for ARM.
CLANGXX and ARM_CXX name them, options included; else what is on PATH is taken.
"""

from __future__ import annotations

import os
import runpy
import shlex
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pybind11 = pytest.importorskip("pybind11")

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "csrc" / "cpu"
CHECKED = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]


def settings(monkeypatch):
    """What setup.py says; nothing is installed."""
    monkeypatch.setattr("setuptools.setup", lambda **options: None)
    monkeypatch.chdir(ROOT)
    return runpy.run_path(str(ROOT / "setup.py"))


def compiler(variable: str, *names: str) -> list[str]:
    if named := os.environ.get(variable):
        return shlex.split(named)
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(names)} is on PATH, and {variable} is not set")
    return [found]


def complaints(setup, command: list[str]) -> list[str]:
    """Of the compiler, about each file of csrc/cpu."""
    include = [SOURCES, Path(pybind11.get_include()), Path(sysconfig.get_path("include"))]
    system = [part for path in include[1:] for part in ("-isystem", str(path))]
    macros = ["-DMMB_ISA=x", "-DMMB_SOURCES=x"]

    def about(file: Path) -> str:
        call = [*command, *CHECKED, *macros, f"-I{SOURCES}", *system, str(file)]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""

    with ThreadPoolExecutor(setup["OBJECTS"]["processors"]()) as threads:
        return [text for text in threads.map(about, sorted(SOURCES.rglob("*.cpp"))) if text]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["cpu", "cpu_avx2", "cpu_avx512"])
def test_clang_has_nothing_to_say(monkeypatch, variant):
    clang = compiler("CLANGXX", "clang++")
    setup = settings(monkeypatch)
    assert complaints(setup, [*clang, *setup["CPU_FLAGS"], *setup["VARIANTS"][variant]]) == []


@pytest.mark.slow
def test_the_generic_variant_compiles_for_arm(monkeypatch):
    arm = compiler("ARM_CXX", "aarch64-linux-gnu-g++", "aarch64-linux-gnu-clang++")
    setup = settings(monkeypatch)
    assert complaints(setup, [*arm, *setup["CPU_FLAGS"]]) == []
