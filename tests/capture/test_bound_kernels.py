"""Whole ops that a compiled replay does in C++, without Python: against the step itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.capture.compiled import CompiledReplay
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.ops.convolution import conv2d_relu

pytestmark = pytest.mark.skipif(
    native is None or registry.DEFAULT.backend not in (None, "cpu"),
    reason="the C++ is not built, or MMB_KERNELS pins other kernels",
)


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


Shapes = tuple[tuple[int, ...], ...]


def relu_of_convolution(x: Any, w: Any, b: Any) -> Any:
    """As nn.Sequential does it: one op."""
    return conv2d_relu(x, w, b, padding=1)


def batch_norm(x: Any, w: Any, b: Any) -> Any:
    return F.batch_norm(x, None, None, w, b, training=True)


# name: (what is done, shapes of the argument and of the parameters)
OPS: dict[str, tuple[Callable[..., Any], Shapes]] = {
    "convolution": (lambda x, w, b: F.conv2d(x, w, b), ((2, 3, 7, 5), (4, 3, 3, 2), (4,))),
    "no bias": (lambda x, w: F.conv2d(x, w, padding=1), ((3, 2, 9, 17), (5, 2, 3, 3))),
    "stride, dilation, groups": (
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 3), padding=2, dilation=(1, 2), groups=2),
        ((2, 4, 11, 13), (6, 2, 3, 2), (6,)),
    ),
    "1 x 1": (lambda x, w, b: F.conv2d(x, w, b), ((1, 5, 1, 1), (3, 5, 1, 1), (3,))),
    "convolution and ReLU": (relu_of_convolution, ((2, 1, 28, 28), (16, 1, 3, 3), (16,))),
    "max pooling": (lambda x: F.max_pool2d(x, 2), ((2, 3, 9, 10),)),
    "overlapping maxima": (lambda x: F.max_pool2d(x, 3, 2, 1), ((2, 2, 8, 7),)),
    "mean pooling": (lambda x: F.avg_pool2d(x, 3, 2, 1), ((2, 2, 8, 7),)),
    "batch norm": (batch_norm, ((6, 5, 4, 3), (5,), (5,))),
    "batch norm of rows": (batch_norm, ((9, 33), (33,), (33,))),
    "softmax": (lambda x: F.softmax(x, -1), ((7, 33),)),
    "softmax in the middle": (lambda x: F.softmax(x, 1), ((3, 5, 4),)),
    "log-softmax": (lambda x: F.log_softmax(x, -1), ((7, 33),)),
    "GELU": (F.gelu, ((40, 70),)),
    "GELU by tanh": (lambda x: F.gelu(x, approximate="tanh"), ((40, 70),)),
}


class Problem:
    """An op between an argument and a loss; all its operands are parameters, moved by hand."""

    def __init__(self, op: Callable[..., Any], shapes: Shapes, dtype: Any) -> None:
        rng = np.random.default_rng(0)
        x, *rest = [rng.standard_normal(s).astype(dtype) for s in shapes]
        self.parameters = [tm.nn.Parameter(tm.tensor(p)) for p in (np.ones_like(x), *rest)]
        y = op(tm.tensor(x), *self.parameters[1:])
        self.weights = tm.tensor(rng.standard_normal(y.shape).astype(dtype))
        self.op = op

    def step(self, x: Any) -> Any:
        scale, *rest = self.parameters
        y = self.op(x * scale, *rest)
        loss = (y * self.weights).sum()
        for p in self.parameters:
            p.grad = None
        loss.backward()
        return y.detach(), loss.detach()

    def moved(self, call: Callable[..., Any], xs: list[Any]) -> list[Any]:
        """Results and gradients of some steps; between them the parameters change."""
        found = []
        for k, x in enumerate(xs):
            for p in self.parameters:
                p.array[...] *= 1 - 0.01 * k
            y, loss = call(x)
            grads = [p.grad.array.copy() for p in self.parameters if p.grad is not None]
            found.append([y.array.copy(), loss.array.copy(), *grads])
        return found


def batches(problem: str, dtype: Any, count: int = 6) -> list[Any]:
    rng = np.random.default_rng(1)
    return [tm.tensor(rng.standard_normal(OPS[problem][1][0]).astype(dtype)) for _ in range(count)]


def replay_of(captured: Any) -> CompiledReplay:
    replay: CompiledReplay = captured.plans[0].replay
    assert type(replay) is CompiledReplay
    return replay


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_steps_are_those_of_the_plain_step_without_python(name, dtype):
    op, shapes = OPS[name]
    xs = batches(name, dtype)
    made, plain = Problem(op, shapes, dtype), Problem(op, shapes, dtype)
    captured = tm.capture(made.step)
    found, expected = made.moved(captured, xs), plain.moved(plain.step, xs)
    assert replay_of(captured).called == []
    rtol = 2e-5 if dtype == np.float32 else 1e-13
    for got, wanted in zip(found, expected, strict=True):
        for a, b in zip(got, wanted, strict=True):
            assert a.dtype == b.dtype == dtype
            scale = max(1.0, float(np.abs(b).max()))
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("name", OPS)
def test_the_same_bits_for_one_and_two_threads_and_in_every_run(name):
    op, shapes = OPS[name]
    xs, before, found = batches(name, np.float32), native.threads(), []
    try:
        for threads in (1, 2, 1):
            native.set_threads(threads)
            made = Problem(op, shapes, np.float32)
            captured = tm.capture(made.step)
            found.append([x.tobytes() for step in made.moved(captured, xs)[2:] for x in step])
            assert captured.cache_info().replays == len(xs) - 2
    finally:
        native.set_threads(before)
    assert found[0] == found[1] == found[2]


def test_large_images_give_the_same_bits_for_one_and_two_threads():
    """Of so much work that both threads come."""
    shapes = ((16, 8, 40, 40), (16, 8, 3, 3), (16,))
    rng, before, found = np.random.default_rng(2), native.threads(), []
    xs = [tm.tensor(rng.standard_normal(shapes[0]).astype(np.float32)) for _ in range(4)]
    try:
        for threads in (1, 2):
            native.set_threads(threads)
            made = Problem(lambda *a: F.max_pool2d(relu_of_convolution(*a), 2), shapes, np.float32)
            captured = tm.capture(made.step)
            found.append([x.tobytes() for step in made.moved(captured, xs)[2:] for x in step])
            assert replay_of(captured).called == []
    finally:
        native.set_threads(before)
    assert found[0] == found[1]


def misaligned(x: Any) -> Any:
    """The same numbers, one byte off."""
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    y: Any = np.ndarray(x.shape, x.dtype, memory)
    y[...] = x
    assert not y.flags.aligned
    return y


@pytest.mark.parametrize("way", ["channels last", "every second column", "backwards"])
def test_images_in_any_layout(way):
    rng = np.random.default_rng(3)
    images = rng.standard_normal((2, 3, 8, 10)).astype(np.float32)
    weight = tm.tensor(rng.standard_normal((4, 3, 3, 3)).astype(np.float32))

    @tm.capture
    def step(x: Any) -> Any:
        if way == "channels last":
            x = x.permute(0, 3, 1, 2)
        elif way == "every second column":
            x = x[..., ::2]
        else:
            x = x.flip(3)
        return F.max_pool2d(F.conv2d(x, weight, padding=1), 2)

    given = {
        "channels last": images.transpose(0, 2, 3, 1),
        "every second column": np.repeat(images, 2, 3),
        "backwards": images[..., ::-1],
    }[way]
    x = tm.tensor(np.ascontiguousarray(given))
    for _ in range(4):
        found = step(x)
    expected = F.max_pool2d(F.conv2d(tm.tensor(images), weight, padding=1), 2)
    np.testing.assert_allclose(found.array, expected.array, rtol=1e-5, atol=1e-5)


def test_weights_that_lie_wrong_are_left_to_python():
    rng = np.random.default_rng(4)
    x = tm.tensor(rng.standard_normal((2, 3, 8, 10)).astype(np.float32))
    weight = tm.tensor(rng.standard_normal((4, 3, 3, 3)).astype(np.float32))
    turned = tm.from_numpy(np.asfortranarray(weight.array))
    assert not turned.array.flags.c_contiguous

    @tm.capture
    def step(x: Any) -> Any:
        return F.conv2d(x, turned, padding=1)

    for _ in range(4):
        found = step(x)
    expected = F.conv2d(x, weight, padding=1)
    np.testing.assert_array_equal(found.array, expected.array)
    assert replay_of(step).called == ["Conv2d"]


def test_a_convolution_of_what_python_makes_anew_is_pythons():
    """Its operand has another address at each replay."""
    rng = np.random.default_rng(5)
    x = tm.tensor(rng.standard_normal((2, 3, 8, 10)).astype(np.float32))
    weight = tm.tensor(rng.standard_normal((4, 3, 3, 3)).astype(np.float32))

    class Sorted(tm.autograd.Function):
        @staticmethod
        def forward(x):
            return np.sort(np.array(x), axis=-1)

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    @tm.capture
    def step(x: Any) -> Any:
        return F.relu(F.conv2d(Sorted.apply(x), weight, padding=1))

    for _ in range(3):
        step(x)
    other = tm.tensor(rng.standard_normal(x.shape).astype(np.float32))
    expected = F.relu(F.conv2d(tm.tensor(np.sort(other.array, -1)), weight, padding=1))
    np.testing.assert_array_equal(step(other).array, expected.array)
    assert replay_of(step).called == ["Sorted", "Conv2d"]


def test_parameters_one_byte_off_are_left_to_numpy_as_in_the_plain_step():
    rng = np.random.default_rng(6)
    x = tm.tensor(rng.standard_normal((4, 6)).astype(np.float32))
    values = rng.standard_normal(6).astype(np.float32)
    weight = tm.nn.Parameter(tm.from_numpy(misaligned(values)))
    bias = tm.nn.Parameter(tm.tensor(rng.standard_normal(6).astype(np.float32)))
    with tm.use_kernels("reference"):
        expected = batch_norm(x, tm.tensor(values), bias).array
    captured = tm.capture(lambda x: batch_norm(x, weight, bias))
    for _ in range(4):
        np.testing.assert_array_equal(batch_norm(x, weight, bias).array, expected)
        np.testing.assert_array_equal(captured(x).array, expected)
    assert captured.cache_info().replays == 2


def test_an_argument_one_byte_off_is_copied_to_where_the_kernel_reads():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 3, 8, 10)).astype(np.float32)
    weight = tm.tensor(rng.standard_normal((4, 3, 3, 3)).astype(np.float32))
    captured = tm.capture(lambda x: F.conv2d(x, weight, padding=1))
    for _ in range(2):
        expected = captured(tm.tensor(x)).array.copy()
    np.testing.assert_array_equal(captured(tm.from_numpy(misaligned(x))).array, expected)
    assert captured.cache_info().replays == 1


def test_what_a_kernel_refuses_comes_through_and_the_next_replay_is_right():
    """Classes that do not exist are found by the plan's questions, before a kernel runs."""
    x = tm.tensor(np.random.default_rng(7).standard_normal((4, 5)).astype(np.float32))

    @tm.capture
    def step(x: Any, t: Any) -> Any:
        return F.cross_entropy(x, t)

    classes = tm.tensor(np.array([0, 1, 4, 2]))
    values = [step(x, classes).array.copy() for _ in range(4)]
    with pytest.raises((IndexError, ValueError)):
        step(x, tm.tensor(np.array([0, 1, 5, 2])))
    assert step(x, classes).array == values[2] == values[3]


def test_a_wrong_call_of_a_kernel_is_refused():
    replay = native.Replay([np.zeros(4, np.float32)], np.zeros(0))
    y, x = np.zeros((1, 2, 3, 3), np.float32), np.zeros((1, 2, 5, 5), np.float32)
    geometry = (3, 3, 1, 1, 1, 1, 0, 0)
    with pytest.raises(ValueError, match="there is no kernel conv9d"):
        replay.kernel("conv9d", (y, x))
    with pytest.raises(ValueError, match="takes other arguments"):
        replay.kernel("conv2d", (y, x.astype(np.float64), y, None, geometry, 1, False))
    replay.kernel("conv2d", (y, x, np.zeros(5, np.float32), None, geometry, 1, False))
    with pytest.raises(ValueError, match="a weight for each filter"):
        replay.run(0, 1)
    assert len(replay) == 1


def pooled(x: Any, w: Any, b: Any) -> Any:
    return F.max_pool2d(relu_of_convolution(x, w, b), 3, 2, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gate_before_a_pooling_is_asked_of_the_maxima_with_the_same_bits(dtype):
    """Windows overlap, so that a pixel has several gradients; some maxima are 0, one is NaN."""
    shapes = ((3, 2, 11, 9), (5, 2, 3, 3), (5,))
    rng = np.random.default_rng(8)
    xs = [rng.standard_normal(shapes[0]).astype(dtype) - 1 for _ in range(5)]
    xs[3][1, 0, 4, 4] = np.nan
    given = [tm.tensor(x) for x in xs]
    made, plain = Problem(pooled, shapes, dtype), Problem(pooled, shapes, dtype)
    captured = tm.capture(made.step)
    found, expected = made.moved(captured, given), plain.moved(plain.step, given)
    names = [i.name for i in captured.plan.instructions]
    assert names.count("gate") == 1 and "Conv2dRelu.backward" not in names
    assert replay_of(captured).called == [] and captured.cache_info().replays == 3
    assert any((y == 0).any() for y, *_ in expected) and np.isnan(expected[3][0]).any()
    for (y, _, *grads), (wanted, _, *gradients) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(y, wanted)
        _, dw, db = grads  # the first is a sum of products, elsewhere in C++
        np.testing.assert_array_equal(dw, gradients[1])
        np.testing.assert_array_equal(db, gradients[2])


@pytest.mark.parametrize("reader", ["the loss", "the result", "a second pooling"])
def test_a_gate_that_somebody_else_needs_stays_where_it_was(reader):
    shapes = ((2, 2, 8, 8), (3, 2, 3, 3), (3,))

    def op(x: Any, w: Any, b: Any) -> Any:
        y = relu_of_convolution(x, w, b)
        if reader == "the loss":
            return F.max_pool2d(y, 2) + y.sum()
        if reader == "the result":
            return y
        return F.max_pool2d(y, 2).sum() + F.max_pool2d(y, 3)

    rng = np.random.default_rng(9)
    xs = [tm.tensor(rng.standard_normal(shapes[0])) for _ in range(4)]
    made, plain = Problem(op, shapes, np.float64), Problem(op, shapes, np.float64)
    captured = tm.capture(made.step)
    found, expected = made.moved(captured, xs), plain.moved(plain.step, xs)
    assert "Conv2dRelu.backward" in [i.name for i in captured.plan.instructions]
    for got, wanted in zip(found, expected, strict=True):
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11)


def test_results_of_kernels_lie_in_the_arena():
    op, shapes = OPS["convolution and ReLU"]
    made = Problem(op, shapes, np.float32)
    captured = tm.capture(made.step)
    made.moved(captured, batches("convolution and ReLU", np.float32, 3))
    plan = captured.plan
    calls = [i for i in plan.instructions if i.kind == "call"]
    assert {"Conv2dRelu", "Conv2dRelu.backward"} <= {i.name for i in calls}
    assert {plan.buffers[o.buffer].kind for i in calls for o in i.outputs} == {"arena"}
