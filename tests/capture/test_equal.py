"""A captured step computes what the step computes, bit for bit, for as long as it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import KINDS, Training, assert_same, batches, network, training
from tinygrad_mmb import nn, optim
from tinygrad_mmb.backend import namespace
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")

OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
}


def compared(steps: int, make: Any) -> tuple[Training, Any]:
    """Run the step as it is and captured, and compare all there is."""
    plain, other = make(), None
    expected = plain.run(steps)
    other = make()
    captured = tm.capture(other.step)
    assert other.run(steps, captured) == expected
    assert_same(plain, other)
    return other, captured


@pytest.mark.parametrize("kind", KINDS)
def test_ten_steps_of_each_network_are_those_of_the_plain_step(kind):
    _, captured = compared(10, lambda: training(kind))
    assert captured.cache_info() == (8, 2, 0, 1, 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_of_each_optimizer_are_those_of_the_plain_step(name):
    _, captured = compared(10, lambda: training("mlp", OPTIMIZERS[name]))
    assert captured.cache_info().replays >= 7  # momentum's first step is another one


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_hundred_steps_are_those_of_the_plain_step(kind, name):
    compared(200, lambda: training(kind, OPTIMIZERS[name]))


def test_two_captures_of_one_step_are_equal_bit_for_bit():
    runs = []
    for _ in range(2):
        made = training("cnn")
        runs.append((made.run(8, tm.capture(made.step)), made))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])


def test_gradients_are_clipped_before_every_update():
    def clip(t: Training, loss: tm.Tensor) -> None:
        nn.utils.clip_grad_norm_(t.model.parameters(), 0.1)

    made, _ = compared(6, lambda: training("mlp", before_step=clip))
    norm = np.sqrt(sum((p.grad.array.astype(float) ** 2).sum() for p in made.model.parameters()))
    assert norm == pytest.approx(0.1, rel=1e-3)


def test_a_schedule_inside_the_step_goes_on():
    def make() -> Training:
        made = training("mlp", OPTIMIZERS["momentum"])
        schedule = optim.lr_scheduler.CosineAnnealingLR(made.optimizer, 5)
        plain = made.step

        def step(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
            loss = plain(x, y)
            schedule.step()
            return loss

        made.step = step
        return made

    made, _ = compared(12, make)
    cosine = 0.1 * (1 + np.cos(np.pi * 12 / 5)) / 2  # in closed form
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(cosine, rel=1e-6)


def test_options_of_the_optimizer_may_change_between_calls():
    runs = []
    for captured in (False, True):
        made = training()
        step = tm.capture(made.step) if captured else made.step
        for k in range(8):
            made.optimizer.param_groups[0].update(lr=0.01 * 0.5**k, betas=(0.9 - 0.05 * k, 0.99))
            step(*made.batches[0])
        runs.append(made)
    assert_same(*runs)
    assert step.cache_info().traces == 2


def test_gradients_add_up_over_micro_steps():
    def run(captured: bool) -> Training:
        tm.manual_seed(0)
        model, shape = network("mlp")
        optimizer = optim.Adam(model.parameters())

        def micro(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
            loss = F.cross_entropy(model(x), y) / 3
            loss.backward()
            return loss

        made = Training(micro, model, optimizer, batches(np.random.default_rng(1), shape, 5))
        step = tm.capture(micro) if captured else micro
        for _ in range(4):
            optimizer.zero_grad()
            made.run(3, step)
            optimizer.step()
        if captured:
            assert step.cache_info().plans == 2  # without a gradient at first, and with one
            assert step.cache_info().replays > 0
        return made

    assert_same(run(False), run(True))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_inference_under_no_grad(mode):
    model, shape = network("batch norm")
    getattr(model, mode)()
    x = batches(np.random.default_rng(1), shape, 5)

    @tm.capture
    def predict(x: tm.Tensor) -> tm.Tensor:
        with tm.no_grad():
            return model(x)

    model.eval()
    expected = [model(x[k % 3][0]).array.copy() for k in range(5)]
    found = [predict(x[k % 3][0]).array for k in range(5)]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


class Leaky(tm.autograd.Function):
    """A student's op, in plain NumPy with places named by a mask."""

    @staticmethod
    def forward(x: Any) -> Any:
        y = x.copy()
        y[x < 0] *= np.float32(0.1)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * np.where(x < 0, np.float32(0.1), np.float32(1.0))


class Lion(optim.Optimizer):
    """A student's optimizer."""

    def __init__(self, params: Any, lr: float = 1e-2, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})

    def start(self, theta: Any, group: Any) -> Any:
        return {"m": np.zeros_like(theta)}

    def update(self, theta: Any, g: Any, state: Any, *, lr: float, beta: float, t: float) -> None:
        m = state["m"]
        m *= beta
        m += (1 - beta) * g
        theta -= lr / (1 + 0.1 * t) * namespace(theta).sign(m)


def test_a_function_and_an_optimizer_of_a_student_work():
    def make() -> Training:
        tm.manual_seed(0)
        model = nn.Sequential(nn.Linear(12, 16), nn.Linear(16, 5))
        optimizer = Lion(model.parameters())

        def step(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model[1](Leaky.apply(model[0](x))), y)
            loss.backward()
            optimizer.step()
            return loss

        return Training(step, model, optimizer, batches(np.random.default_rng(1), (8, 12), 5))

    _, captured = compared(10, make)
    assert "1 x Leaky" in captured.explain()  # one call; the rest is array code
    assert any("sign" in i.name for i in captured.plan.instructions)


def test_many_ops_in_one_step():
    def make() -> Training:
        tm.manual_seed(0)
        model, table = nn.Linear(12, 12), nn.Embedding(5, 12)
        optimizer = optim.RMSprop([*model.parameters(), *table.parameters()], lr=0.01)

        def step(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
            optimizer.zero_grad()
            h = tm.softmax(model(x) * table(y), -1)
            a, b = h[:, :6], h[:, 6:]
            loss = (a * b).sum() + tm.logsumexp(h, 1).mean() + h.var() + (h @ h.T).mean()
            loss = loss + tm.cat([a, b], 1).max() + tm.where(h > 0.1, h, h * 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        return Training(step, model, optimizer, batches(np.random.default_rng(1), (8, 12), 5))

    compared(8, make)


def test_a_checkpoint_of_a_captured_run_resumes_bit_for_bit():
    straight = training("dropout")
    step = tm.capture(straight.step)
    straight.run(5, step)
    kept = {k: v.array.copy() for k, v in straight.model.state_dict().items()}
    memory = straight.optimizer.state_dict()
    memory = {
        "state": {i: {k: tm.tensor(v) for k, v in s.items()} for i, s in memory["state"].items()},
        "param_groups": memory["param_groups"],
    }
    stream = tm.default_generator.get_state()
    after = straight.run(6, step)

    resumed = training("dropout")
    resumed.model.load_state_dict({k: tm.tensor(v) for k, v in kept.items()})
    resumed.optimizer.load_state_dict(memory)
    tm.default_generator.set_state(stream)
    assert resumed.run(6, tm.capture(resumed.step)) == after
    assert_same(straight, resumed)


@pytest.mark.parametrize("fresh", [False, True], ids=["the same gradients", "new ones"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_alone_is_captured(name, fresh):
    """Its first step makes its state, and is another one: the second and the third are alike."""
    found = []
    for wrap in (lambda f: f, tm.capture):
        tm.manual_seed(0)
        parameters = [tm.randn(3, 4, requires_grad=True), tm.randn(4, requires_grad=True)]
        step = wrap(OPTIMIZERS[name](parameters).step)
        for k in range(6):
            for p in parameters if fresh or not k else ():
                p.grad = tm.randn(*p.shape)
            step()
        found.append(parameters)
    assert step.cache_info().replays >= 3
    for p, q in zip(*found, strict=True):
        np.testing.assert_array_equal(p.array, q.array)
