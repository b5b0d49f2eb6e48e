"""PyTorch's database of operators: what we have of it agrees with PyTorch, or refuses."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's database of samples imports it")

from tests.parity import opinfo  # noqa: E402

# What differs, and why it stays. Anything else that differs is a fault.
KNOWN = {
    "topk": "PyTorch leaves the order of equal values open; ours is the order of their places",
    "sort": "without stable=True PyTorch leaves the order of equal values open",
    "argsort": "without stable=True PyTorch leaves the order of equal values open",
    "__radd__": "Tensor.__radd__(2, x), called on the class, is accepted",
    "__rmul__": "Tensor.__rmul__(2, x), called on the class, is accepted",
    "__rand__": "Tensor.__rand__(2, x), called on the class, is accepted",
    "__ror__": "Tensor.__ror__(2, x), called on the class, is accepted",
    "__rxor__": "Tensor.__rxor__(2, x), called on the class, is accepted",
}
OPS = [op for op in opinfo.op_db if opinfo.ours(op.name) is not None]


def name_of(op):
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def check(op, dtypes, second):
    report = opinfo.check(op, dtypes, second)
    wrong = [line for line in report.examples if line.startswith("WRONG")]
    if op.name in KNOWN:
        assert len(wrong) < report.counts["passed"]
    else:
        assert wrong == []


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", OPS, ids=name_of)
def test_values_gradients_and_refusals_are_those_of_pytorch(op):
    check(op, [torch.float64, torch.int64], second=True)


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", OPS, ids=name_of)
def test_all_dtypes_agree_with_pytorch(op):
    check(op, list(opinfo.DTYPES), second=False)
