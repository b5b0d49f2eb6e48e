"""The gradient that softmax-cross-entropy writes with its loss is that of the captured step."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.by_hand import NEEDS_CPP
from tinygrad_mmb.nn import functional as F  # noqa: N812

pytestmark = NEEDS_CPP


@pytest.fixture(autouse=True)
def kernels():
    """Those that stand in unasked."""


@pytest.mark.parametrize(
    ("times", "called"),
    [(1, ["BatchCrossEntropy"]), (3, ["BatchCrossEntropy", "BatchCrossEntropy.backward"])],
)
@pytest.mark.parametrize("backwards", [1, 2])
def test_it_is_not_computed_again_where_it_starts_from_one(times, called, backwards):
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((9, 5)).astype(np.float32) for _ in range(5)]
    t = tm.tensor(rng.integers(0, 5, 9))
    weight = tm.tensor(rng.standard_normal((5, 5)).astype(np.float32), requires_grad=True)

    def step(x):
        weight.grad = None
        z = x @ weight
        z.retain_grad()
        loss = F.cross_entropy(z, t)
        for k in range(backwards):
            (loss if times == 1 else loss * times).backward(retain_graph=k < backwards - 1)
        return loss, z.grad

    captured = tm.capture(step)
    for x in map(tm.tensor, batches):
        loss, dz = step(x)
        expected = [loss.array, dz.array, weight.grad.array.copy()]
        loss, dz = captured(x)
        for a, b in zip([loss.array, dz.array, weight.grad.array], expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert captured.cache_info().replays == 3
    names = [name for name, _ in captured.plans[0].replay.profile([batches[0], t.array])]
    assert [n for n in called if n in names] == called
    assert ("BatchCrossEntropy.backward" in names) == (len(called) == 2)
