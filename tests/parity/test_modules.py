"""PyTorch's database of modules: ours of the same name agree, state dict and repr included."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's database of samples imports it")

from tests.parity import modules  # noqa: E402

MODULES = [info for info in modules.module_db if modules.ours(info) is not None]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("info", MODULES, ids=lambda info: info.name)
def test_modules_agree_with_pytorch(info):
    report = modules.check(info, [torch.float64, torch.float32])
    assert [line for line in report.examples if line.startswith("WRONG")] == []
    assert report.counts["passed"] > report.counts["refused"]
