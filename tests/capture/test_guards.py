"""Whatever changes between two calls, a captured step does what the plain one would."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import Training, assert_same, batches, network, training
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


def test_a_global_of_the_step_that_is_bound_anew_is_noticed():
    scale = tm.tensor(2.0)

    @tm.capture
    def scaled(x: tm.Tensor) -> tm.Tensor:
        return (x * scale).sum()

    x = tm.ones(3)
    assert [float(scaled(x).array) for _ in range(3)] == [6.0] * 3
    scale = tm.tensor(5.0)
    assert [float(scaled(x).array) for _ in range(3)] == [15.0] * 3


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


def test_results_are_new_each_time_and_python_runs_while_tracing_only():
    made, calls = training(), []
    plain = made.step

    @tm.capture
    def step(x: tm.Tensor, y: tm.Tensor) -> dict[str, Any]:
        calls.append(1)
        loss = plain(x, y)
        return {"loss": loss, "twice": (loss * 2, loss.array), "name": "w"}

    kept = [step(*made.batches[0]) for _ in range(6)]
    losses = [float(r["loss"].array) for r in kept]
    assert len(set(losses)) == 6  # no result was written over by a later one
    assert [float(r["twice"][0].array) for r in kept] == [2 * v for v in losses]
    assert [float(r["twice"][1]) for r in kept] == losses
    assert kept[5]["name"] == "w"
    assert not kept[5]["loss"].requires_grad
    assert len(calls) == 2


def test_an_argument_written_in_place_is_found_changed_by_the_caller():
    @tm.capture
    def double(x: tm.Tensor) -> tm.Tensor:
        x.mul_(2.0)
        return x.sum()

    for _ in range(4):
        x = tm.ones(3)
        assert float(double(x).array) == 6.0
        np.testing.assert_array_equal(x.array, [2.0, 2.0, 2.0])


def test_a_parameter_handed_in_as_an_argument_is_not_copied():
    w = tm.ones(3)

    @tm.capture
    def step(a: tm.Tensor) -> tm.Tensor:
        w.add_(1.0)
        return (a + w).sum()

    found = [float(step(w).array) for _ in range(5)]
    assert found == [12.0, 18.0, 24.0, 30.0, 36.0]
    assert float(step(tm.zeros(3)).array) == 21.0


def test_views_see_what_is_written_through_each_other():
    state = tm.zeros(2, 3)

    def step(x: tm.Tensor) -> tm.Tensor:
        row = state[1]
        before = row.clone()
        state.add_(x)
        row.mul_(2.0)
        state[:, 0] = before[0]
        return (state * row).sum()

    xs = [tm.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]) * (k + 1) for k in range(6)]
    expected = [float(step(x).array) for x in xs]
    final = state.array.copy()
    state.zero_()
    captured = tm.capture(step)
    assert [float(captured(x).array) for x in xs] == expected
    np.testing.assert_array_equal(state.array, final)


def test_a_graph_made_before_a_replay_notices_that_the_parameters_changed():
    made = training()
    step = tm.capture(made.step)
    made.run(3, step)
    loss = F.cross_entropy(made.model(made.batches[0][0]), made.batches[0][1])
    made.run(1, step)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_after_an_exception_inside_a_replay_the_next_one_is_right():
    failing = [False]

    class Fragile(tm.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            if failing[0]:
                raise ZeroDivisionError("broken")
            y = x * 2
            y[x < 0] = 0  # places named by a mask: one call, at every replay
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = tm.ones(4, requires_grad=True)

    @tm.capture
    def step() -> tm.Tensor:
        x.grad = None
        loss = Fragile.apply(x * 3.0).sum()
        loss.backward()
        return loss

    assert [float(step().array) for _ in range(3)] == [24.0] * 3
    failing[0] = True
    with pytest.raises(ZeroDivisionError, match="broken"):
        step()
    failing[0] = False
    assert float(step().array) == 24.0
    np.testing.assert_array_equal(x.grad.array, [6.0] * 4)


def test_two_threads_take_turns():
    made = training()
    step = tm.capture(made.step)
    made.run(2, step)
    x, y = made.batches[0]

    def work() -> None:
        for _ in range(25):
            step(x, y)

    pinned = [contextvars.copy_context() for _ in range(2)]  # threads begin without the pin
    threads = [threading.Thread(target=c.run, args=(work,)) for c in pinned]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    plain = training()
    plain.run(2)
    for _ in range(50):
        plain.step(x, y)
    assert_same(plain, made)


def test_another_thread_computes_undisturbed_while_a_step_is_traced():
    x, _ = batches(np.random.default_rng(0), (8, 12), 5)[0]
    started, done, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        started.wait(10)
        seen.append(type((x * 2.0).array))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        started.set()
        assert done.wait(10)
        return (x * 3.0).sum()

    step(x)
    thread.join()
    assert seen == [np.ndarray]


def test_a_captured_step_inside_another_is_part_of_it():
    inner = tm.capture(lambda x: x * 2.0)
    outer = tm.capture(lambda x: inner(x).sum())
    for _ in range(4):
        assert float(outer(tm.ones(3)).array) == 6.0
    assert inner.cache_info().traces == 0
    assert outer.cache_info().replays == 2


def test_a_captured_step_inside_an_op_that_is_one_call_runs_as_it_is():
    inner = tm.capture(lambda x: x * 2.0)

    class Outer(tm.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            y = inner(tm.Tensor(x.copy())).array
            y[x > 100] = 0  # makes one call of it
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0

    step = tm.capture(lambda x: Outer.apply(x).sum())
    assert [float(step(tm.ones(3) * k).array) for k in range(6)] == [6.0 * k for k in range(6)]


def test_a_method_can_be_captured():
    class Counter:
        def __init__(self, scale: float) -> None:
            self.scale = tm.tensor(scale)

        @tm.capture
        def scaled(self, x: tm.Tensor) -> tm.Tensor:
            return (x * self.scale).sum()

    a, b = Counter(2.0), Counter(3.0)
    for _ in range(4):
        assert float(a.scaled(tm.ones(2)).array) == 4.0
        assert float(b.scaled(tm.ones(2)).array) == 6.0
    assert Counter.scaled.cache_info().plans == 2
    a.scale = tm.tensor(5.0)
    assert [float(a.scaled(tm.ones(2)).array) for _ in range(3)] == [10.0] * 3


def test_an_attribute_that_the_step_names_is_watched_and_its_own_counter_is_not():
    class Settings:
        factor, calls = 2.0, 0

    settings = Settings()
    settings.factor, settings.calls = 3.0, 0

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        settings.calls += 1
        return (x * settings.factor).sum()

    assert [float(step(tm.ones(2)).array) for _ in range(4)] == [6.0] * 4
    settings.factor = 4.0
    assert [float(step(tm.ones(2)).array) for _ in range(4)] == [8.0] * 4
    assert settings.calls == 4 == step.cache_info().traces


def test_an_exception_of_the_step_while_tracing_comes_through_and_leaves_no_door_open():
    @tm.capture
    def broken(x: tm.Tensor) -> tm.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        broken(tm.ones(3))
    assert "array" not in vars(tm.Tensor)
    assert type(tm.ones(3).array) is np.ndarray


def test_moved_to_new_parameters_by_a_new_model_is_a_new_plan():
    models = [network("mlp")[0] for _ in range(2)]
    x, _ = batches(np.random.default_rng(0), (8, 12), 5)[0]
    forward = tm.capture(lambda model, x: model(x).sum())
    for _ in range(3):
        for model in models:
            expected = float(model(x).sum().array)
            assert float(forward(model, x).array) == expected
    assert forward.cache_info().plans == 2


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


def test_a_list_in_a_module_is_watched():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            self.factors = [2.0, 3.0]

        def forward(self, x: tm.Tensor) -> tm.Tensor:
            return x * self.factors[0] * self.factors[1]

    model = Scaled()
    forward = tm.capture(model)
    assert [float(forward(tm.ones(1)).array[0]) for _ in range(3)] == [6.0] * 3
    model.factors[1] = 5.0
    assert [float(forward(tm.ones(1)).array[0]) for _ in range(3)] == [10.0] * 3


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: tm.Tensor) -> tm.Tensor:
        return x * self.factor


def test_an_attribute_of_a_module_that_becomes_a_float_is_another_number():
    model = Times(2)
    forward, x = tm.capture(model), tm.tensor([1, 2])
    assert [forward(x).tolist() for _ in range(3)] == [[2, 4]] * 3
    model.factor = 2.0
    assert {forward(x).dtype for _ in range(3)} == {tm.float32}


def test_zero_with_another_sign_is_another_number():
    model, x, number = Times(0.0), tm.tensor([1.0]), 0.0

    @tm.capture
    def closed(x: tm.Tensor) -> tm.Tensor:
        return x * number

    forward, given = tm.capture(model), tm.capture(lambda x, factor: x * factor)
    for sign in (0.0, -0.0):
        model.factor = number = sign
        for _ in range(4):
            found = [y.array for y in (forward(x), closed(x), given(x, sign))]
            assert np.signbit(found).tolist() == [[str(sign) == "-0.0"]] * 3
