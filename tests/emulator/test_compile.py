"""Compiling kernels: the cache, its failures, and what people are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_mmb.kernels.launch import cache, compile
from tinygrad_mmb.kernels.launch.emulated import KernelError, emulator, load

KERNEL = """
#include "platform.cuh"
#include "factor.h"
__global__ void scale(float* y, const float* x) { y[threadIdx.x] = FACTOR * x[threadIdx.x]; }
MMB_KERNEL(scale);
"""


def written(folder: Path, source: str = KERNEL, factor: str = "2") -> Path:
    (folder / "factor.h").write_text(f"#define FACTOR {factor}\n", encoding="utf-8")
    (folder / "scale.cu").write_text(source, encoding="utf-8")
    return folder / "scale.cu"


def scaled(source: Path) -> float:
    compile.library.cache_clear()
    so = load(compile.library(str(source), "fast"), "fast")
    y = np.zeros(1, np.float32)
    so.launch("scale", (1,), (1,), (y, np.float32([21])), 0)
    return float(y[0])


def test_a_changed_header_compiles_again_and_an_unchanged_one_does_not(tmp_path):
    source = written(tmp_path)
    assert scaled(source) == 42
    first = compile.library(str(source), "fast")
    made = first.stat().st_ino
    assert scaled(source) == 42
    assert compile.library(str(source), "fast").stat().st_ino == made
    written(tmp_path, factor="3")
    assert scaled(source) == 63


def test_an_error_of_the_compiler_is_shown_without_its_pages(tmp_path):
    source = written(tmp_path, KERNEL.replace("FACTOR *", "FACTOR_OF_NOBODY *"))
    with pytest.raises(
        compile.CompileError, match=r"scale.cu:4:\d+: error: .FACTOR_OF_NOBODY"
    ) as e:
        scaled(source)
    assert str(e.value).startswith("the kernel does not compile:")
    assert len(str(e.value).splitlines()) < 20


def test_a_cluster_does_not_compile_and_says_why(tmp_path):
    source = written(tmp_path, KERNEL.replace("__global__", "__cluster_dims__(2, 1, 1) __global__"))
    with pytest.raises(compile.CompileError, match="one block at a time, so there are no clusters"):
        scaled(source)


def test_processes_that_compile_the_same_kernel_at_once_all_get_it(tmp_path):
    source = written(tmp_path, factor="2.5")
    code = "import sys; from tests.emulator.test_compile import scaled; from pathlib import Path; "
    code += "print(scaled(Path(sys.argv[1])))"
    several = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(source)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    assert [p.communicate(timeout=300)[0].strip() for p in several] == ["52.5"] * 3


def test_a_cache_that_cannot_be_written_is_replaced_for_this_process(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("MMB_CACHE", str(blocked / "cache"))
    with pytest.warns(UserWarning, match=r"cannot be kept in .* Set MMB_CACHE to a folder"):
        folder = cache.kept("some.so").parent
    assert folder.is_dir() and os.access(folder, os.W_OK)
    assert cache.kept("other.so").parent == folder  # told once, and stays


def test_no_compiler_is_told_with_its_remedy(monkeypatch):
    compile.compiler.cache_clear()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"there is none here.*apt install g\+\+"):
        compile.compiler()


@pytest.mark.parametrize("system, name", [("win32", "Windows"), ("darwin", "Darwin")])
def test_other_systems_are_told_where_it_runs(monkeypatch, system, name):
    compile.compiler.cache_clear()
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(compile.platform, "system", lambda: name)
    with pytest.raises(RuntimeError, match=f"Linux and WSL2 only, and this is {name}"):
        compile.compiler()


def test_clang_is_given_its_own_flags_for_the_checker(monkeypatch):
    monkeypatch.setattr(compile, "version", lambda command: "Debian clang version 14.0.6")
    assert "-fno-tree-sra" not in compile.flags_of("check")
    assert "-tsan-distinguish-volatile=1" in compile.flags_of("check")
    assert compile.flags_of("fast") == compile.MODES["fast"]


def test_an_unknown_mode_is_named():
    named = pytest.raises(ValueError, match="mode is 'quick', but must be one of fast, check, san")
    with named, emulator("quick"):
        pass


def test_findings_are_also_written_to_a_file_as_they_occur(tmp_path, monkeypatch):
    source = written(tmp_path, KERNEL.replace("y[threadIdx.x]", "y[threadIdx.x + 1]"))
    monkeypatch.setenv("MMB_FINDINGS", str(tmp_path / "findings.jsonl"))
    so = load(compile.library(str(source), "check"), "check")
    with pytest.raises(
        KernelError, match=r"out of bounds: write of 4 bytes at scale.cu:4"
    ) as error:
        so.launch("scale", (1,), (1,), (np.zeros(1, np.float32), np.float32([1])), 0)
    (line,) = (tmp_path / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == error.value.findings[0]
    assert json.loads(line)["array"] == "argument 0"


CHILD = """
import sys, numpy
from tinygrad_mmb.kernels.launch.emulated import library
so = library(sys.argv[1], "sanitize")
y, x = numpy.zeros(64, numpy.float32), numpy.ones(64, numpy.float32)
so.launch(sys.argv[2], (1,), (32,), (y, x), 0)
print("ended")
"""


@pytest.mark.slow  # compiles the emulator once more
def test_the_sanitizers_name_an_overflow_of_a_shared_array():
    folder = compile.sources() / "buggy"
    environment = {**os.environ, **compile.sanitizer_environment()}

    def run(file: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CHILD, str(folder / file), Path(file).stem]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    wrong = run("past_a_shared_array.cu")
    assert "past_a_shared_array.cu:10:" in wrong.stderr
    assert "index 32 out of bounds for type 'float [32]'" in wrong.stderr
    assert "ended" not in wrong.stdout
    right = run("right/halves_of_a_warp.cu")
    assert right.stdout.strip() == "ended", right.stderr


def test_a_process_without_the_sanitizer_is_told_how_to_start(monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    with pytest.raises(RuntimeError, match=r"from its start. Run it with LD_PRELOAD=.*libasan"):
        load(Path("any.so"), "sanitize")


def test_who_sits_before_a_terminal_is_told_once_what_takes_so_long(monkeypatch, capsys, tmp_path):
    compile.say_once.cache_clear()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    compile.say_once(tmp_path)
    assert capsys.readouterr().err == ""
    compile.say_once.cache_clear()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    compile.say_once(tmp_path)
    compile.say_once(tmp_path)
    told = capsys.readouterr().err
    assert told == f"compiling for the CUDA emulator, once; kept in {tmp_path}\n"
