"""No kernel spills registers to memory, or uses more of them than the budget says."""

import os
import re
import shutil

import pytest

from tests.budget import measure

REQUIRED = "nvcc" in os.environ.get("MMB_REQUIRE", "").split(",")  # in CI a skip is a failure
VERSION = measure.nvcc_version()


def within(kernel, architecture, figures, allowed):
    """What is wrong with the figures of one kernel, as a list of sentences."""
    where = f"{kernel} on sm_{architecture}"
    wrong = []
    if figures["spilled"]:
        wrong.append(f"{where} spills {figures['spilled']} bytes of registers to memory")
    if allowed is None:
        return [*wrong, f"{where} has no budget"]
    wrong += [
        f"{where} uses {figures[what]} {unit}, its budget is {allowed[what]}"
        for what, unit in (("registers", "registers"), ("shared", "bytes of shared memory"))
        if figures[what] > allowed[what]
    ]
    return wrong


@pytest.mark.slow
@pytest.mark.skipif(VERSION is None and not REQUIRED, reason="no nvcc here")
@pytest.mark.parametrize("file", measure.files())
def test_kernels_stay_within_their_budget(file):
    budget = measure.budget()
    assert budget["nvcc"] == VERSION or not REQUIRED
    allowed = budget["kernels"].get(file, {})
    found = measure.measured(file)
    wrong = [
        sentence
        for kernel, by_architecture in found.items()
        for architecture, figures in by_architecture.items()
        for sentence in within(
            kernel, architecture, figures, allowed.get(kernel, {}).get(architecture)
        )
        if budget["nvcc"] == VERSION or "spills" in sentence  # another nvcc allots otherwise
    ]
    assert wrong == [], f"{file}: if that is meant, python tests/budget/measure.py {file}"
    assert allowed.keys() <= found.keys(), "the budget names kernels that are gone"


def test_the_budget_knows_every_kernel_file_and_allows_no_spill():
    kernels = measure.budget()["kernels"]
    assert set(kernels) == set(measure.files()), "python tests/budget/measure.py"
    for of_file in kernels.values():
        for by_architecture in of_file.values():
            assert set(by_architecture) == set(measure.ARCHITECTURES)
            assert all(figures["spilled"] == 0 for figures in by_architecture.values())


REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z3addIfLi4EEvPT_PKS0_i' for 'sm_90a'
ptxas info    : Function properties for _Z3addIfLi4EEvPT_PKS0_i
    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 16 bytes cumulative stack size, 128 bytes smem
ptxas info    : Compiling entry function '_Z4copyPi' for 'sm_75'
ptxas info    : Function properties for _Z4copyPi
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 364 bytes cmem[0]
"""


@pytest.mark.skipif(shutil.which("c++filt") is None, reason="no c++filt here")
def test_the_report_of_ptxas_is_read():
    assert measure.read(REPORT) == {
        "add<float, 4>": {"90a": {"spilled": 32, "shared": 128, "registers": 40}},
        "copy": {"75": {"spilled": 0, "shared": 0, "registers": 8}},
    }


def test_a_kernel_beyond_its_budget_is_named():
    allowed = {"registers": 40, "shared": 128, "spilled": 0}
    assert within("add", "75", allowed, allowed) == []
    more = {"registers": 41, "shared": 256, "spilled": 8}
    assert within("add", "75", more, allowed) == [
        "add on sm_75 spills 8 bytes of registers to memory",
        "add on sm_75 uses 41 registers, its budget is 40",
        "add on sm_75 uses 256 bytes of shared memory, its budget is 128",
    ]
    assert within("add", "75", allowed, None) == ["add on sm_75 has no budget"]


@pytest.mark.slow
@pytest.mark.skipif(VERSION is None and not REQUIRED, reason="no nvcc here")
@pytest.mark.parametrize(
    ("file", "kernels"),
    [("batch_norm.cu", "planes_apply"), ("bias_activation.cu", ""), ("dropout.cu", ""),
     ("elementwise.cu", ""), ("log_softmax.cu", "softmax_rows"), ("softmax.cu", "softmax_rows")],
)  # fmt: skip
def test_what_is_read_and_written_in_packs_is_so_by_one_instruction(file, kernels):
    found = {name: lines for name, lines in measure.ptx(file).items() if kernels in name}
    assert found
    for name, lines in found.items():
        for access in ("ld", "st"):
            whole = re.compile(rf"{access}\.global\S*\.(v4\.\w32|v2\.\w64) ")
            assert whole.search(lines), f"{name} has no {access} of 16 bytes"
