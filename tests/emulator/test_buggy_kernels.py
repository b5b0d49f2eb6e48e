"""Every kernel of csrc/buggy is caught at its lines; every one of csrc/buggy/right stays silent."""

from __future__ import annotations

import shutil

import pytest

from tests.emulator.marked_kernels import (
    MarkedKernel,
    is_as_promised,
    launch,
    library_of,
    marked_kernels,
)
from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.kernels.launch.emulated import Library

BUGGY, RIGHT = marked_kernels("buggy"), marked_kernels("buggy/right")
ORDERS = [{"seed": 0}, {"seed": 1}, {"seed": 7}, {"seed": 8, "yields": 5}]


def names(kernels: list[MarkedKernel]) -> list[str]:
    return [k.name for k in kernels]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return library_of(BUGGY + RIGHT, tmp_path_factory.mktemp("marked"), "check")


@pytest.mark.slow  # compiles all once more
@pytest.mark.parametrize(
    "compiler, flags",
    [("g++", ["-DEMULATOR_UCONTEXT"]), ("clang++", []), ("clang++-14", [])],
    ids=["ucontext", "clang", "clang-14"],
)
def test_other_compilers_and_the_portable_fibers_find_the_same(
    compiler, flags, tmp_path, monkeypatch
):
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    monkeypatch.setattr(compile, "compiler", lambda: compiler)
    monkeypatch.setitem(compile.MODES, "check", [*compile.MODES["check"], *flags])
    so = library_of(BUGGY + RIGHT, tmp_path, "check")
    unseen = set()
    if "clang" in compiler:  # it splits a float4 first, and marks no variable that is not set
        unseen = {"misaligned_float4", "sum_of_unset_registers"}
    for kernel in (k for k in BUGGY if k.name not in unseen):
        outcome = launch(so, kernel)
        assert {f["kind"] for f in outcome.findings} == set(kernel.expected), kernel.name
    for kernel in RIGHT:
        assert launch(so, kernel).findings == [], kernel.name


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("kernel", BUGGY, ids=names(BUGGY))
def test_a_wrong_kernel_is_caught_with_its_kind_at_its_lines(checked, kernel, order):
    outcome = launch(checked, kernel, **order)
    assert {f["kind"] for f in outcome.findings} == set(kernel.expected), outcome.message
    for kind, lines in kernel.expected.items():
        assert outcome.lines(kind) <= lines or not lines, outcome.findings
        assert outcome.findings[0]["file"].endswith(kernel.path.name) or not lines


@pytest.mark.parametrize("kernel", BUGGY, ids=names(BUGGY))
def test_all_marked_lines_are_named_in_one_order_or_another(checked, kernel):
    outcomes = [launch(checked, kernel, **order) for order in ORDERS]
    for kind, lines in kernel.expected.items():
        assert set().union(*(o.lines(kind) for o in outcomes)) >= lines


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("kernel", RIGHT, ids=names(RIGHT))
def test_a_right_kernel_stays_silent_and_is_right(checked, kernel, order):
    outcome = launch(checked, kernel, **order)
    assert outcome.findings == []
    assert is_as_promised(kernel, outcome.arrays)
