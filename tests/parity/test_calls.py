"""Random calls, argument by argument, answer or refuse as PyTorch does."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore")
def test_random_calls_answer_or_refuse_as_pytorch_does():
    from tests.parity.calls import SIGNATURES, check

    found = [check(seed, list(SIGNATURES)) for seed in range(42_456, 43_700)]
    assert [f"{case}: {reason}" for case, outcome, reason in found if outcome == "WRONG"] == []
    assert sum(outcome == "agreed" for _, outcome, _ in found) > 1100
