"""Random differentiable programs have PyTorch's gradients, to second order."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore")
def test_random_programs_have_pytorchs_first_and_second_derivatives():
    from tests.parity.derivatives import check

    outcomes = {seed: check(seed) for seed in range(120)}
    assert {seed: o for seed, o in outcomes.items() if o[0] == "WRONG"} == {}
