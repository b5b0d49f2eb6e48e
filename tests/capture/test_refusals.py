"""What cannot be replayed is refused, with the line, and the refused call has changed nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import Training, batches, training
from tinygrad_mmb import nn, optim
from tinygrad_mmb.capture import CaptureError
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def branch(t: Training, loss: tm.Tensor) -> None:
    if loss > 1.0:
        loss.zero_()


READS: dict[str, Any] = {
    "branch": branch,
    "item": lambda t, loss: loss.item(),
    "float": lambda t, loss: float(loss),
    "asarray": lambda t, loss: np.asarray(loss.array),
    "numpy": lambda t, loss: loss.detach().numpy(),
    "print": lambda t, loss: print(loss),
    "tolist": lambda t, loss: t.model[0].weight.grad.tolist(),
}


@pytest.mark.parametrize("how", READS)
def test_reading_a_value_on_the_host_is_refused_and_changes_nothing(how):
    made = training("dropout", before_step=READS[how])
    stream, before = tm.default_generator.get_state(), made.numbers()
    with pytest.raises(CaptureError, match=r"test_refusals\.py:\d+: .*read on the host"):
        tm.capture(made.step)(*made.batches[0])
    after = made.numbers()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert tm.default_generator.get_state() == stream


def test_with_fallback_such_a_step_runs_as_it_is():
    seen: list[float] = []
    plain, made = training(), training(before_step=lambda t, loss: seen.append(loss.item()))
    step = tm.capture(made.step, fallback=True)
    assert made.run(4, step) == plain.run(4) == seen
    assert step.cache_info().eager == 4


def test_a_hook_that_reads_is_refused_and_one_that_computes_is_captured():
    expected = training()
    expected.model[0].weight.register_hook(lambda g: g * 2)
    made = training()
    made.model[0].weight.register_hook(lambda g: g * 2)
    assert made.run(5, tm.capture(made.step)) == expected.run(5)
    made.model[0].bias.register_hook(lambda g: g.item() if g.sum() else None)
    with pytest.raises(CaptureError, match="read on the host"):
        made.run(1, tm.capture(made.step))


def test_a_number_that_python_changes_is_refused():
    count = iter(range(9))

    def scale(t: Training, loss: tm.Tensor) -> None:
        for p in t.model.parameters():
            p.grad = p.grad * (1 + 0.5 * next(count))

    made = training(before_step=scale)
    step = tm.capture(made.step)
    step(*made.batches[0])
    before = made.numbers()
    with pytest.raises(CaptureError, match=r"1\.0, then 3\.0, in multiply: a number that Python"):
        step(*made.batches[0])
    after = made.numbers()
    assert all(np.array_equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("draw", [lambda s: tm.randn(*s), lambda s: tm.tensor(np.random.rand(*s))])
def test_noise_made_anew_in_the_step_is_refused(draw):
    def noisy(t: Training, loss: tm.Tensor) -> None:
        p = t.model[0].weight
        p.grad = p.grad + draw(p.shape).to(tm.float32)

    made = training(before_step=noisy)
    with pytest.raises(CaptureError, match=r"shape \(16, 12\) is made anew in each step"):
        made.run(3, tm.capture(made.step))


class Roots(optim.Optimizer):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    def update(self, theta: Any, g: Any, state: Any, *, lr: float, t: float) -> None:
        theta -= lr / math.sqrt(t) * g


class Warm(Roots):
    def update(self, theta: Any, g: Any, state: Any, *, lr: float, t: float) -> None:
        theta -= g * (lr if t > 3 else 0.0)


@pytest.mark.parametrize("optimizer", [Roots, Warm])
def test_python_that_reads_the_step_count_is_refused(optimizer):
    made = training("mlp", optimizer)
    with pytest.raises(CaptureError, match=r"changes from step to step.*read on the host"):
        made.run(3, tm.capture(made.step))


def test_writing_to_an_array_held_from_before_is_found_out():
    held: list[Any] = []

    def decay(t: Training, loss: tm.Tensor) -> None:
        held[0] *= np.float32(0.99)

    made = training(before_step=decay)
    held.append(made.model[0].weight.array)
    step = tm.capture(made.step)
    made.run(1, step)
    before = made.numbers()
    with pytest.raises(CaptureError, match="does not repeat the step"):
        made.run(1, step)
    after = made.numbers()
    different = [k for k in before if not np.array_equal(before[k], after[k])]
    assert different == ["p 0.weight"]  # what nobody saw written cannot be undone


class Doubling(tm.autograd.Function):
    """Writes into its argument, at places named by a mask: one call, not looked into."""

    @staticmethod
    def forward(x: Any) -> Any:
        x[x > 0] *= 2
        return x


def test_an_op_that_writes_into_what_it_was_given_is_refused():
    x = tm.ones(3)
    with pytest.raises(CaptureError, match="Doubling writes into an array that it was given"):
        tm.capture(lambda: Doubling.apply(x).sum())()
    np.testing.assert_array_equal(x.array, [1.0, 1.0, 1.0])


def test_an_op_that_writes_into_an_array_of_the_step_is_followed():
    def step(x: tm.Tensor) -> tm.Tensor:
        h, same = x * 3.0, x * 3.0
        y = Doubling.apply(h)
        z = (y * 10.0 + h + same).exp()  # h was written over, `same` was not
        return (z * 1e-9).sum() + h.sum()

    captured = tm.capture(step)
    for k in range(5):
        x = tm.tensor([0.1, -0.2, 0.3]) * (k + 1) * 0.1
        assert float(captured(x).array) == float(step(x).array)
    assert captured.cache_info().replays == 3


def test_a_shape_that_depends_on_values_is_refused():
    x, _ = batches(np.random.default_rng(0), (8, 12), 5)[0]

    @tm.capture
    def positive(x: tm.Tensor) -> tm.Tensor:
        return x[x > 0].sum()

    for _ in range(2):
        positive(x)
    with pytest.raises(CaptureError, match="its shape depends on the data"):
        positive(x - 1.0)


def test_steps_that_never_do_the_same_are_refused_after_a_few():
    count = iter(range(99))

    @tm.capture
    def growing(x: tm.Tensor) -> tm.Tensor:
        for _ in range(next(count)):
            x = x + 1.0
        return x.sum()

    x = tm.ones(3)
    with pytest.raises(CaptureError, match="two steps in a row did different things"):
        for _ in range(9):
            growing(x)


def test_overlapping_memory_that_is_written_is_refused():
    block = np.zeros(12, np.float32)
    a, b = tm.Tensor(block[:8]), tm.Tensor(block[4:])

    @tm.capture
    def step() -> None:
        with tm.no_grad():
            a.add_(1.0)
            b.add_(1.0)

    with pytest.raises(CaptureError, match="share part of their memory"):
        step()


@pytest.mark.parametrize("arguments", [{"step": 3}, {"step": len, "max_plans": 0}])
def test_wrong_arguments_are_named(arguments):
    with pytest.raises((TypeError, ValueError), match="capture: "):
        tm.capture(**arguments)


def test_the_plan_before_there_is_one_says_what_to_do():
    with pytest.raises(RuntimeError, match="call it again"):
        tm.capture(lambda: None).explain()


def test_a_wrong_label_raises_what_the_plain_step_raises():
    made = training()
    step = tm.capture(made.step)
    made.run(4, step)
    x, _ = made.batches[0]
    wrong = tm.tensor(np.full(8, 7))
    with pytest.raises(IndexError, match="target 7 is out of bounds"):
        step(x, wrong)


def test_a_module_of_nn_is_captured_as_a_function():
    model = nn.Linear(3, 2).eval()
    x = tm.ones(4, 3)
    with tm.no_grad():
        expected = F.linear(x, model.weight, model.bias).array
        forward = tm.capture(model)
        for _ in range(4):
            np.testing.assert_array_equal(forward(x).array, expected)
    assert forward.cache_info().replays == 2


class Counting(tm.autograd.Function):
    """x, its positive numbers replaced by how often this was called: run as one call at replays."""

    calls = 0

    @staticmethod
    def forward(x: Any) -> Any:
        Counting.calls += 1
        y = x.copy()
        y[x > 0] = Counting.calls
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


def test_a_result_that_another_call_does_not_give_is_found_out():
    """Nothing is written and there is no gradient: what is returned tells."""
    step = tm.capture(lambda x: Counting.apply(x) * 2.0)
    step(tm.ones(3))
    with pytest.raises(CaptureError, match=r"does not repeat the step.* \[\(3,\)\]"):
        step(tm.ones(3))
