"""The replays of a CUDA graph do what the step does."""

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.cuda_graph.training import (
    Training,
    assert_same,
    batches,
    host,
    on_device,
    plain_and_captured,
    trained,
)
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional


@on_device
@pytest.mark.parametrize(
    ("make", "options"),
    [(optim.Adam, {}), (optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
     (optim.AdamW, {"weight_decay": 0.1}), (optim.SGD, {"momentum": 0.9, "nesterov": True}),
     (optim.RMSprop, {}), (optim.Adagrad, {})],
)  # fmt: skip
def test_ten_steps_are_those_of_the_step_itself(make, options):
    """Adam, schedule, dropout and clipping: lr, t, keys and batches change from step to step."""
    data = batches(10)
    plain = Training(make, **options)
    expected = trained(plain, plain.step, data)
    training = Training(make, **options)
    step = tm.capture(training.step)
    found = trained(training, step, data)
    assert step.cache_info() == (8, 2, 0, 1, 0), step.explain()
    assert_same(found, expected)
    assert training.optimizer.state_dict()["state"][0].keys() == \
        plain.optimizer.state_dict()["state"][0].keys()  # fmt: skip
    assert training.optimizer.param_groups[0]["lr"] == plain.optimizer.param_groups[0]["lr"]


@on_device
def test_a_changed_learning_rate_and_a_reset_state_reach_the_graph():
    data = batches(8)
    runs = []
    for training, step in plain_and_captured(Training, p=0.0):
        found = trained(training, step, data[:4])
        training.optimizer.param_groups[0]["lr"] = 0.5
        runs.append(found + trained(training, step, data[4:]))
    assert_same(runs[1], runs[0])


@on_device
def test_a_state_of_the_optimizer_that_was_put_in_by_hand_is_the_one_that_moves():
    """As PyTorch's users do it: other means for one parameter, another memory altogether."""
    data = batches(9)
    runs = []
    for training, step in plain_and_captured(Training, p=0.0):
        found = trained(training, step, data[:5])
        state = training.optimizer.state
        p, q = list(training.model.parameters())[:2]
        state[p] = {name: x.detach().clone() * 0.5 if name != "step" else x.detach().clone()
                    for name, x in state[p].items()}  # fmt: skip
        found += trained(training, step, data[5:7])
        state[q]["exp_avg"] = tm.ones_like(q)
        runs.append(found + trained(training, step, data[7:]))
        assert [s["step"].item() for s in state.values()] == [9.0] * len(state)
    assert_same(runs[1], runs[0])


@on_device
def test_a_state_that_an_optimizer_makes_while_it_is_recorded_is_not_made_at_each_launch():
    """The last layer moves from the fourth step on: its means start at 0 once, not every time."""
    data = batches(9)
    runs = []
    for training, step in plain_and_captured(Training, p=0.0):
        for p in training.model[3].parameters():
            p.requires_grad_(False)
        for x, t in data[:4]:
            step(x, t)
        for p in training.model[3].parameters():
            p.requires_grad_(True)
        found = []
        for pair in data[4:]:
            training.optimizer.zero_grad()  # outside: so every step finds none
            found += trained(training, step, [pair])
        runs.append(found)
    assert step.cache_info().replays > 2
    assert_same(runs[1], runs[0])


@on_device
def test_a_hook_for_a_gradient_that_is_ready_is_called_in_a_step_recorded_anew():
    training, seen = Training(p=0.0), []
    step = tm.capture(training.step)
    data = batches(6)
    trained(training, step, data[:4])
    weight = training.model[0].weight
    weight.register_post_accumulate_grad_hook(lambda p: seen.append(p is weight))
    trained(training, step, data[4:])
    assert seen[0] is True


@on_device
def test_running_statistics_are_those_of_the_step_itself():
    data = batches(6)
    runs = []
    for captured in (False, True):
        tm.manual_seed(3)
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x, t, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = functional.mse_loss(model(x), t)
            loss.backward()
            optimizer.step()
            return loss

        run = tm.capture(step) if captured else step
        for x, t in data:
            run(x, t)
        runs.append([host(b) for b in model.buffers()] + [host(p) for p in model.parameters()])
    assert run.cache_info() == (4, 2, 0, 1, 0), run.explain()
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # as assert_same


@on_device
def test_two_signatures_are_two_graphs_and_take_turns():
    large, small = batches(6), batches(6, n=5)
    data = [pair for both in zip(large, small, strict=True) for pair in both]
    plain = Training()
    expected = trained(plain, plain.step, data)
    training = Training()
    step = tm.capture(training.step)
    assert_same(trained(training, step, data), expected)
    assert step.cache_info() == (8, 4, 0, 2, 0)


@on_device
def test_another_mode_is_another_graph():
    data = batches(8)
    runs = []
    for training, step in plain_and_captured(Training):
        found = trained(training, step, data[:4])
        training.model.eval()
        runs.append(found + trained(training, step, data[4:]))
    assert_same(runs[1], runs[0])


@on_device
def test_results_are_new_and_parameters_themselves():
    training = Training()
    step = tm.capture(lambda x, t: (training.step(x, t), training.model[0].weight))
    results = [step(x, t) for x, t in batches(5)]
    assert len({float(loss.item()) for loss, _ in results}) == 5
    assert all(weight is training.model[0].weight for _, weight in results)
