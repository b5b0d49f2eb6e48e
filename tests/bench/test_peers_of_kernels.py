"""Peers of a kernel: each computes what the reference computes, or has no column."""

from __future__ import annotations

import pytest

from tests.bench.test_cases import kinds_of_workload
from tinygrad_mmb.bench import candidates, peers, sizes, transpose
from tinygrad_mmb.bench.calls import optimizers
from tinygrad_mmb.bench.cases import cases_of, prepare
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.measure import checked
from tinygrad_mmb.bench.work import FORWARD, UPDATE


@pytest.mark.torch
def test_pytorch_is_a_peer_that_computes_what_the_reference_computes():
    pytest.importorskip("torch")
    torch, *_ = peers.peers("cpu", compiled=False)[0]
    small = [c for op in sizes.WORKLOADS.keys() - {UPDATE, *NOT_IN_TORCH}
             for c in cases_of(op, kinds_of_workload(op), "small", False)]  # fmt: skip
    steps = [c for op in optimizers() for c in cases_of(op, [UPDATE], "small", False)]
    asked = [c for c in (*small, *steps) if c.dtype != "tf32"]  # a CPU has none
    rows = [checked(Cpu(), prepare(Cpu(), case, 0), candidates.of_peer(torch)) for case in asked]
    nobody = [c.name for c, row in zip(asked, rows, strict=True) if row is None]
    assert nobody == []
    assert [row for row in rows if not row.ok] == []


NOT_IN_TORCH = {  # why
    "Dropout": "draws other numbers",
    "Fold": "takes columns in another order, which would cost it a copy that is not its own",
    "WindowSpread": "has it as the way back of average pooling only",
}


@pytest.mark.torch
@pytest.mark.parametrize("op", NOT_IN_TORCH)
def test_what_pytorch_does_otherwise_has_no_pytorch_column(op):
    pytest.importorskip("torch")
    torch, *_ = peers.peers("cpu", compiled=False)[0]
    (case,) = cases_of(op, [FORWARD], "small", False)
    assert checked(Cpu(), prepare(Cpu(), case, 0), candidates.of_peer(torch)) is None


def test_a_copy_is_a_peer_of_the_transposition_and_of_nothing_else():
    for op in ("Transpose", "Neg"):
        (case,) = cases_of(op, [FORWARD], "small", False)
        row = checked(Cpu(), prepare(Cpu(), case, 0), candidates.of_peer(transpose.Copy()))
        assert (row is not None and row.ok) == (op == "Transpose")
