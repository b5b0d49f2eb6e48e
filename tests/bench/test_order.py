"""Which kernels and cases a run takes, and which come first."""

from __future__ import annotations

import pytest

from tinygrad_mmb.bench import goals, run
from tinygrad_mmb.bench.cases import cases_of
from tinygrad_mmb.bench.options import BenchError, Options, chosen
from tinygrad_mmb.bench.work import BACKWARD, FORWARD


def test_kernels_are_chosen_by_name_in_any_case_with_their_backward():
    there = ["MatMul", "MatMul.backward", "Softmax"]
    assert chosen((), there) == there
    assert chosen(("matmul",), there) == ["MatMul", "MatMul.backward"]
    assert chosen(("MatMul.backward", "softmax"), there) == ["MatMul.backward", "Softmax"]
    with pytest.raises(BenchError, match="There are: MatMul, Softmax"):
        chosen(("conv",), there)


def test_ops_that_goals_speak_of_come_first(small, tmp_path):
    said = []
    run.run(Options(seconds=1, quick=True), tmp_path, said.append)
    order = [line.split(":")[0] for line in said if " case" in line]
    asked = {g.kernel.partition(".")[0] for g in goals.GOALS}
    assert [op in asked for op in order] == sorted((op in asked for op in order), reverse=True)
    assert order[0] in asked


def test_the_first_case_of_every_kernel_comes_before_the_second_of_any():
    mixed = list(cases_of("Softmax", [FORWARD, BACKWARD], "cpu", False))
    order = [(c.kernel, c.shape) for c in run.one_of_each_first(mixed)]
    assert order == [("Softmax", "512x1024"), ("Softmax.backward", "512x1024"),
                     ("Softmax", "64x50304"), ("Softmax.backward", "64x50304")]  # fmt: skip
