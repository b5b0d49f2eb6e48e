"""What ptxas says of registers, and how the files of a kernel are found."""

import shutil

import pytest

from tinygrad_mmb.backend import extension
from tinygrad_mmb.bench import profile, registers
from tinygrad_mmb.bench.options import Options
from tinygrad_mmb.emulator import registers as of_program
from tinygrad_mmb.emulator.build import Program
from tinygrad_mmb.kernels.launch import compile

SAID = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'softmax_rows' for 'sm_90a'
ptxas info    : Function properties for softmax_rows
    8 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 31 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compiling entry function 'copy' for 'sm_90a'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers
"""


def test_registers_spills_and_shared_memory_are_read():
    assert registers.parsed(SAID) == [("softmax_rows", 31, 16, 1024), ("copy", 8, 0, 0)]


def test_a_report_without_registers_is_an_error():
    with pytest.raises(RuntimeError, match="nothing of the registers of copy"):
        registers.parsed(SAID.replace("Used 8 registers", "Used"))


@pytest.mark.skipif(not (extension.nvcc() and shutil.which("c++filt")), reason="no nvcc")
def test_a_kernel_is_compiled_and_measured():
    found = {b.kernel: b for b in registers.budgets(compile.sources() / "cuda/kernels/ceilings.cu")}
    assert found.keys() == {"copy(float*, float const*, long long)",
                            "multiply_add(float*, float, float, int)"}  # fmt: skip
    assert all(0 < b.registers <= 64 and b.spilled_bytes == 0 for b in found.values())


@pytest.mark.skipif(not extension.nvcc(), reason="no nvcc")
def test_an_error_of_nvcc_is_told(tmp_path):
    broken = tmp_path / "broken.cu"
    broken.write_text("__global__ void k() { no_such(); }\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"broken\.cu: nvcc: .*no_such"):
        registers.budgets(broken)


@pytest.fixture
def nvcc_of_a_package(tmp_path, monkeypatch):
    """An nvcc that is not on PATH, but where `pip install nvidia-cuda-nvcc` puts it."""
    made = tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"
    made.parent.mkdir(parents=True)
    made.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{SAID}END\n", encoding="utf-8")
    made.chmod(0o755)
    monkeypatch.setattr(extension.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.delenv("NVCC", raising=False)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # for cat


@pytest.mark.skipif(not shutil.which("c++filt", path="/usr/bin:/bin"), reason="no c++filt")
def test_nvcc_is_found_where_the_packages_of_pip_bring_it(nvcc_of_a_package, tmp_path):
    assert not shutil.which("nvcc")
    source = compile.sources() / "cuda" / "kernels" / "ceilings.cu"
    measured = registers.budgets(source)
    assert [(b.kernel, b.registers) for b in measured] == [("softmax_rows", 31), ("copy", 8)]
    program = Program(source, tmp_path / "any")
    found = of_program.registers(program, "sm_80")
    assert (found.why_not, [k.registers for k in found.kernels]) == ("", [31, 8])


def test_the_files_of_a_kernel_are_its_own_and_those_of_its_ladder():
    names = {f.name for f in profile.files_of(Options(only=("MatMul",)))}
    assert {"01_naive.cu", "10_wgmma.cu"} <= names
    assert "softmax.cu" not in names
    assert [f.name for f in profile.files_of(Options(only=("LogSoftmax",)))] == ["log_softmax.cu"]
    assert len(profile.files_of(Options())) > 10
