"""A fixed set of random programs; `python -m tests.parity.programs` runs as many as you like."""

from __future__ import annotations

import warnings

import pytest


@pytest.mark.torch
@pytest.mark.parametrize("first", range(0, 400, 50))
def test_random_programs_of_views_and_writes_agree_with_pytorch(first: int) -> None:
    pytest.importorskip("torch")
    from tests.parity.programs import run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [run(seed) for seed in range(first, first + 50)]
    wrong = [str(r) for r in results if r.outcome == "WRONG"]
    assert not wrong, "\n\n".join(wrong)
    # Where everything was refused, nothing would be tested.
    assert sum(r.outcome == "agreed" for r in results) >= 40
