"""The replay in C++: whole steps against the step, what Python is called for, faults."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.by_hand import NEEDS_CPP
from tests.capture.fragile import Fragile, broken
from tests.capture.steps import KINDS, Training, training
from tinygrad_mmb import optim
from tinygrad_mmb.capture import compiler
from tinygrad_mmb.capture.compiled import CompiledReplay
from tinygrad_mmb.capture.replay import Replay
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.kernels.registry import use_kernels

pytestmark = NEEDS_CPP


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.1),
}


def in_numpy(made: Training, steps: int) -> list[float]:
    with use_kernels("reference"):
        return made.run(steps)


def assert_close(a: Training, b: Training, rtol: float = 1e-4) -> None:
    """To rounding, as far as ten steps spread it: Adam divides by small numbers."""
    x, y = a.numbers(), b.numbers()
    assert x.keys() == y.keys()
    for k in x:
        np.testing.assert_allclose(x[k], y[k], rtol=rtol, atol=1e-5, err_msg=k)


def replay_of(captured: Any) -> CompiledReplay:
    replay: CompiledReplay = captured.plans[0].replay
    assert type(replay) is CompiledReplay
    return replay


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["momentum", "Adam"])
def test_ten_steps_are_those_of_the_plain_step(kind, name):
    made = training(kind, OPTIMIZERS[name])
    captured = tm.capture(made.step)
    losses = made.run(10, captured)
    plain = training(kind, OPTIMIZERS[name])  # the generator begins anew
    np.testing.assert_allclose(losses, in_numpy(plain, 10), rtol=1e-4)
    if (kind, name) != ("batch norm", "Adam"):  # biases before it: Adam blows up rounding errors
        assert_close(made, plain, rtol=1e-3)
    assert replay_of(captured).native_runs


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_with_a_twin_is_one_call(name):
    made, plain = training("mlp", OPTIMIZERS[name]), training("mlp", OPTIMIZERS[name])
    captured = tm.capture(made.step)
    np.testing.assert_allclose(made.run(10, captured), in_numpy(plain, 10), rtol=1e-4)
    assert_close(made, plain)
    updates = [i for i in captured.plan.instructions if i.kind == "update"]
    assert [i.name for i in updates] == [f"{type(made.optimizer).__name__}.update"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_without_a_twin_is_one_pass(name, monkeypatch):
    updates = {f"{o}.update" for o in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")}
    monkeypatch.setattr(compiler, "LOOKED_INTO", compiler.LOOKED_INTO | updates)
    made, plain = training("mlp", OPTIMIZERS[name]), training("mlp", OPTIMIZERS[name])
    captured = tm.capture(made.step)
    np.testing.assert_allclose(made.run(10, captured), in_numpy(plain, 10), rtol=1e-4)
    assert_close(made, plain)
    plan = captured.plan
    last = plan.instructions[-1].group  # the last update
    assert sum(i.group == last for i in plan.instructions) > 1
    lowered = replay_of(captured).lowered
    assert lowered.names[-1][0] == " ".join(i.name for i in plan.instructions if i.group == last)


def test_only_what_has_no_counterpart_is_called_from_python():
    made = training("residual")
    captured = tm.capture(made.step)
    made.run(3, captured)
    opaque = {i.name for i in captured.plan.instructions if i.kind in ("call", "update")}
    assert opaque <= {
        *("CrossEntropy", "OneHotLike"),  # without a twin
        "Adam.update",
        *("CrossEntropy.backward", "BatchCrossEntropy", "BatchCrossEntropy.backward"),
    }
    replay = replay_of(captured)
    assert replay.called == ["Adam.update"] and replay.python_calls == 1
    assert len(replay.native_runs) == 1


def test_sums_that_have_twins_are_instructions_all_the_same():
    x = tm.tensor(np.random.default_rng(0).standard_normal((200, 10)).astype(np.float32))
    captured = tm.capture(lambda x: x.sum(0) + x.mean(0) + x.amax(0))
    for _ in range(3):
        found = captured(x)
    assert not [i for i in captured.plan.instructions if i.kind == "call"]
    wide = x.numpy().astype(float)
    np.testing.assert_allclose(found.numpy(), wide.sum(0) + wide.mean(0) + wide.max(0), rtol=1e-5)


@pytest.mark.parametrize(("count", "passes"), [(39, 1), (40, 39)])  # and one for the sum
def test_a_pass_with_more_operands_than_registers_is_several(count, passes):
    rng = np.random.default_rng(0)
    xs = [rng.integers(-9, 9, (4, 20)).astype(np.float32) for _ in range(count)]  # sums are exact

    @tm.capture
    def step(xs: list[tm.Tensor]) -> tm.Tensor:
        y = xs[0][:, ::2]  # does not lie side by side: each needs a register
        for x in xs[1:]:
            y = y + x[:, ::2]
        return y

    for _ in range(3):
        found = step([tm.tensor(x) for x in xs])
    np.testing.assert_array_equal(found.numpy(), sum(xs)[:, ::2])
    assert replay_of(step).python_calls == 0
    assert len(replay_of(step).native) == passes


def test_pinned_to_the_reference_the_replay_is_numpys():
    made = training("mlp")
    captured = tm.capture(made.step)
    with use_kernels("reference"):
        made.run(3, captured)
    assert type(captured.plans[0].replay) is Replay


def test_the_same_bits_for_every_number_of_threads():
    rng = np.random.default_rng(0)
    start = rng.standard_normal((400, 900)).astype(np.float32)
    x = tm.tensor(rng.standard_normal((300, 900)).astype(np.float32))
    before, found = native.threads(), []
    try:
        for threads in (1, 2, 3):
            native.set_threads(threads)
            weight = tm.nn.Parameter(tm.tensor(start.copy()))
            own = optim.Adam([weight], lr=0.01)

            @tm.capture
            def step(x: tm.Tensor, weight: Any = weight, own: Any = own) -> tm.Tensor:
                own.zero_grad()
                loss = ((x @ weight.T).relu() ** 2).sum()
                loss.backward()
                own.step()
                return loss

            losses = [step(x).array.tobytes() for _ in range(5)]
            assert replay_of(step).native_runs
            found.append((losses[2:], weight.array.tobytes()))
    finally:
        native.set_threads(before)
    assert found[0] == found[1] == found[2]


def test_two_threads_replay_at_once():
    alone = [training("residual") for _ in range(2)]
    expected = [m.run(30, tm.capture(m.step)) for m in alone]
    together = [training("residual") for _ in range(2)]
    steps = [tm.capture(m.step) for m in together]
    for m, s in zip(together, steps, strict=True):
        m.run(3, s)
    losses: list[Any] = [None, None]

    def work(k: int) -> None:
        losses[k] = together[k].run(27, steps[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert losses == [e[3:] for e in expected]


def test_an_exception_inside_a_replay_comes_through_and_the_next_replay_is_right():
    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        return Fragile.apply(x * 2.0) + 1.0

    x = tm.tensor([3.0, 1.0, 2.0])
    for _ in range(3):
        np.testing.assert_array_equal(step(x).array, [7, 3, 5])
    assert replay_of(step).python_calls == 1
    with broken(), pytest.raises(ZeroDivisionError, match="broken on purpose"):
        step(x)
    np.testing.assert_array_equal(step(x * 2.0).array, [13, 5, 9])


def test_the_profile_names_every_instruction():
    made = training("mlp")
    captured = tm.capture(made.step)
    made.run(3, captured)
    replay, before = replay_of(captured), made.numbers()
    profile = replay.profile([x.array for x in made.batches[0]])
    assert len(profile) == len(replay.native) + replay.python_calls
    assert {"product", "BatchCrossEntropy", "Adam.update"} <= {name for name, _ in profile}
    for name, x in made.numbers().items():  # nothing was changed
        np.testing.assert_array_equal(x, before[name], err_msg=name)
    assert all(seconds > 0 for _, seconds in profile)
