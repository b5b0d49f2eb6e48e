"""A write between forward and backward is refused where PyTorch refuses it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore")
def test_what_backward_needs_may_not_be_written_over_as_in_pytorch():
    from tests.parity.overwritten import cases, check

    found = [check(*case) for case in cases()]
    assert len(found) > 1000
    assert [line for line in found if line and line.startswith("WRONG")] == []
