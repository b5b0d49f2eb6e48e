"""Whatever changes between two calls, a captured step does what the plain one would."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import Training, assert_same, batches, training
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def rebound(t: Training) -> None:
    t.model[0].weight.data = tm.tensor(t.model[0].weight.array)


def in_place(t: Training) -> None:
    t.model[0].weight.array[...] *= 0.5


def refilled(t: Training) -> None:
    t.batches[0][0].array[...] += 1.0


def frozen(t: Training) -> None:
    t.model[0].weight.requires_grad_(False)
    t.model[0].weight.grad = None


def reloaded(t: Training) -> None:
    state = t.optimizer.state_dict()
    copied = {i: {k: tm.tensor(v) for k, v in s.items()} for i, s in state["state"].items()}
    t.optimizer.load_state_dict({"state": copied, "param_groups": state["param_groups"]})


def another_group(t: Training) -> None:
    t.optimizer.param_groups[0]["weight_decay"] = 0.1


def a_hook(t: Training) -> None:
    t.model[0].weight.register_hook(lambda g: g * 0.5)


def a_forward_hook(t: Training) -> None:
    t.model[0].register_forward_hook(lambda module, args, y: y * 0.5)


def another_switch(t: Training) -> None:
    t.optimizer.param_groups[0]["maximize"] = True


def evaluated(t: Training) -> None:
    t.model.eval()


def another_rate(t: Training) -> None:
    for m in t.model:
        if isinstance(m, nn.Dropout):
            m.p = 0.1


def another_gelu(t: Training) -> None:
    t.model[1].approximate = "tanh"


def another_layer(t: Training) -> None:
    t.model[2].bias = nn.Parameter(tm.zeros(5))


CHANGES = (rebound, in_place, refilled, frozen, reloaded, another_group, a_hook, a_forward_hook,
           another_switch)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["mlp", "dropout"])
def test_a_change_from_outside_is_noticed(change, kind):
    runs = []
    for captured in (False, True):
        made = training(kind)
        step = tm.capture(made.step) if captured else made.step
        losses = made.run(4, step)
        change(made)
        runs.append((losses + made.run(5, step), made))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])


@pytest.mark.parametrize(
    ("kind", "change"),
    [("dropout", evaluated), ("batch norm", evaluated), ("dropout", another_rate),
     ("dropout", another_gelu),
     ("mlp", another_layer)],
)  # fmt: skip
def test_a_change_of_a_module_is_noticed(kind, change):
    test_a_change_from_outside_is_noticed(change, kind)


def test_a_new_group_of_parameters_is_moved_too():
    extra = [tm.ones(5, requires_grad=True) for _ in range(2)]
    runs = []
    for captured, e in zip((False, True), extra, strict=True):
        tm.manual_seed(0)
        model = nn.Linear(12, 5)
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x: tm.Tensor, y: tm.Tensor, m=model, o=optimizer, e=e) -> tm.Tensor:
            o.zero_grad()
            loss = F.cross_entropy(m(x) * e, y)
            loss.backward()
            o.step()
            return loss

        made = Training(step, model, optimizer, batches(np.random.default_rng(1), (8, 12), 5))
        call = tm.capture(step) if captured else step
        losses = made.run(4, call)
        optimizer.add_param_group({"params": [e], "lr": 0.5})
        runs.append(losses + made.run(4, call))
    assert runs[0] == runs[1]
    np.testing.assert_array_equal(extra[0].array, extra[1].array)


def test_another_tensor_with_the_same_numbers_is_another_one():
    """A statistic of one number: compared by its value it would seem to be the old one."""
    kept = []
    for captured in (False, True):
        norm = nn.BatchNorm1d(1)
        forward = tm.capture(norm) if captured else norm
        xs = [tm.tensor([[1.0], [3.0]]) * (k + 1) for k in range(6)]
        for x in xs[:3]:
            forward(x)
        old = norm.running_mean
        norm.running_mean = old.clone()
        for x in xs[3:]:
            forward(x)
        kept.append((float(old.array[0]), float(norm.running_mean.array[0])))
    assert kept[0] == kept[1]
    assert kept[0][0] != kept[0][1]


def test_a_state_of_an_optimizer_replaced_by_equal_numbers_is_another_one():
    runs = []
    for captured in (False, True):
        made = training()
        step = tm.capture(made.step) if captured else made.step
        losses = made.run(4, step)
        for state in made.optimizer.state.values():
            state["step"] = state["step"].clone()
        runs.append((losses + made.run(4, step), made))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])


def other_moments(t: Training) -> None:
    for state in t.optimizer.state.values():
        state |= {k: v.clone() for k, v in state.items()}


def other_states(t: Training) -> None:
    for p, state in t.optimizer.state.items():
        t.optimizer.state[p] = {k: v.clone() for k, v in state.items()}


@pytest.mark.parametrize("change", [other_moments, other_states], ids=lambda f: f.__name__)
def test_moments_that_were_replaced_are_the_ones_that_go_on(change):
    test_a_change_from_outside_is_noticed(change, "mlp")


def test_a_hook_beside_one_that_was_there_is_noticed_and_so_is_its_removal():
    runs = []
    for captured in (False, True):
        made = training()
        step = tm.capture(made.step) if captured else made.step
        weight = made.model[0].weight
        weight.register_hook(lambda g: g * 2.0)
        losses = made.run(4, step)
        second = weight.register_hook(lambda g: g * 0.25)
        losses += made.run(4, step)
        second.remove()
        runs.append((losses + made.run(4, step), made))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])
