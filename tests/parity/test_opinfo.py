"""PyTorch's database of operators: what we have of it agrees with PyTorch, or refuses."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's database of samples imports it")

from tests.parity import opinfo  # noqa: E402

# In the order of equal values, which PyTorch leaves open without stable=True, these differ: its own
# sort is unstable for long rows of few values. Nothing else of them may.
UNSTABLE = {"sort": "(8000,)", "argsort": "(8000,)"}
OPS = [op for op in opinfo.op_db if opinfo.ours(op.name) is not None]


def name_of(op):
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def check(op, dtypes, second):
    report = opinfo.check(op, dtypes, second)
    wrong = [line for line in report.examples if line.startswith("WRONG")]
    excused = UNSTABLE.get(op.name)
    assert [line for line in wrong if excused is None or excused not in line] == []


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
