"""Another shape, mode or model is another plan; of plans so many are kept."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import assert_same, batches, network, training
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def test_a_last_short_batch_gets_a_plan_of_its_own():
    plain, made = training(), training()
    step = tm.capture(made.step)
    for t, call in ((plain, plain.step), (made, step)):
        for _ in range(4):
            for x, y in t.batches:
                call(x, y)
            call(x[:3], y[:3])
    assert_same(plain, made)
    info = step.cache_info()
    assert (info.plans, info.traces) == (2, 4)


def test_ignored_labels_are_another_plan():
    plain, made = training(), training()
    step = tm.capture(made.step)
    for t, call in ((plain, plain.step), (made, step)):
        for k in range(9):
            x, y = t.batches[0]
            y = y.clone()
            y[0] = -100 if k % 3 == 2 else 1
            with tm.use_kernels("reference"):  # the C++ does not ask the host which are ignored
                call(x, y)
    assert_same(plain, made)
    assert step.cache_info().replays > 0


def test_no_more_plans_than_allowed_are_kept():
    step = tm.capture(lambda x: (x * 2.0).sum(), max_plans=2)
    for n in range(1, 5):
        for _ in range(2):
            assert float(step(tm.ones(n)).array) == 2.0 * n
    assert step.cache_info() == (0, 8, 0, 2, 2)
    step.cache_clear()
    assert step.cache_info() == (0, 0, 0, 0, 0)


def test_grad_mode_is_part_of_the_signature():
    made = training()

    @tm.capture
    def loss_of(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
        loss = F.cross_entropy(made.model(x), y)
        if tm.is_grad_enabled():
            made.optimizer.zero_grad()
            loss.backward()
        return loss

    x, y = made.batches[0]
    expected = made.model[0].weight
    for _ in range(3):
        with tm.no_grad():
            quiet = float(loss_of(x, y).array)
        assert float(loss_of(x, y).array) == quiet
    assert expected.grad is not None
    assert loss_of.cache_info().plans == 2


def test_moved_to_new_parameters_by_a_new_model_is_a_new_plan():
    models = [network("mlp")[0] for _ in range(2)]
    x, _ = batches(np.random.default_rng(0), (8, 12), 5)[0]
    forward = tm.capture(lambda model, x: model(x).sum())
    for _ in range(3):
        for model in models:
            expected = float(model(x).sum().array)
            assert float(forward(model, x).array) == expected
    assert forward.cache_info().plans == 2
