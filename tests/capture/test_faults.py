"""What could make a replay wrong without a word: right, or refused, in NumPy and in C++."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.fragile import Fragile, broken
from tests.capture.steps import training
from tinygrad_mmb.capture import CaptureError
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.kernels.registry import use_kernels

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


@pytest.fixture(autouse=True, params=["reference", "auto"], ids=["numpy", "compiled"])
def kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "auto" and native is None:
        pytest.skip("the C++ is not built")
    with use_kernels(request.param):
        yield


def unaligned(array: np.ndarray) -> np.ndarray:
    """The same numbers, one byte behind where they should lie."""
    block = np.zeros(array.nbytes + 1, np.uint8)
    moved = block[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


def test_memory_at_odd_addresses_gives_the_same_numbers():
    rng = np.random.default_rng(0)
    start = rng.standard_normal((6, 4)).astype(np.float32)
    xs = [rng.standard_normal((5, 6)).astype(np.float32) for _ in range(6)]
    found = []
    for place in (np.copy, unaligned):
        weight = tm.Tensor(place(start), requires_grad=True)

        @tm.capture
        def step(x: tm.Tensor, w: tm.Tensor = weight) -> tm.Tensor:
            w.grad = None
            loss = ((x @ w).relu() * 2.0).sum()
            loss.backward()
            with tm.no_grad():
                w.sub_(w.grad * 0.1)
            return loss

        losses = [float(step(tm.Tensor(place(x))).array) for x in xs]
        assert step.cache_info().replays >= 3
        found.append((losses, weight.array.copy(), weight.grad.array.copy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)  # sums in another order
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-5, atol=1e-6)


def added(a: tm.Tensor, b: tm.Tensor) -> tm.Tensor:
    a.add_(1.0)
    return (a * b).sum()


def test_arguments_that_overlap_only_later_and_are_written_are_refused():
    step = tm.capture(added)
    for _ in range(3):
        assert float(step(tm.ones(4), tm.ones(4)).array) == 8.0
    block = np.arange(6, dtype=np.float32)
    with pytest.raises(CaptureError, match="share part of their memory"):
        step(tm.Tensor(block[:4]), tm.Tensor(block[2:]))
    np.testing.assert_array_equal(block, np.arange(6))
    assert float(step(tm.ones(4), tm.ones(4)).array) == 8.0


def test_arguments_that_overlap_and_are_only_read_are_right():
    step = tm.capture(lambda a, b: (a * b).sum())
    for _ in range(3):
        step(tm.ones(4), tm.ones(4))
    block = np.arange(6, dtype=np.float32)
    for _ in range(3):
        assert float(step(tm.Tensor(block[:4]), tm.Tensor(block[2:])).array) == 26.0
    # 0·2 + 1·3 + 2·4 + 3·5


def test_an_argument_that_lies_in_a_state_of_the_step_is_refused():
    w = tm.ones(4)

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        w.mul_(2.0)
        return (w[:2] * x).sum()

    for k in range(3):
        assert float(step(tm.ones(2)).array) == 2.0 * 2.0 ** (k + 1)
    with pytest.raises(CaptureError, match="share part of their memory"):
        step(tm.Tensor(w.array[:2]))
    np.testing.assert_array_equal(w.array, [8.0] * 4)
    assert float(step(tm.ones(2)).array) == 32.0


def test_a_forked_child_replays_as_its_parent():
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    before = tm.get_num_threads()
    tm.set_num_threads(2)
    try:
        made = training("mlp")
        step = tm.capture(made.step)
        big = tm.capture(lambda x: ((x * 2.0 + 1.0).tanh() @ x.T).sum())
        x = tm.tensor(np.linspace(-1.0, 1.0, 512 * 512, dtype=np.float32).reshape(512, 512))
        made.run(3, step)
        expected = [big(x).array.tobytes() for _ in range(3)][-1]  # its threads exist by now
        read, write = os.pipe()
        child = os.fork()
        if not child:  # nothing of pytest may run here
            os.write(write, big(x).array.tobytes() + np.float64(made.run(1, step)[0]).tobytes())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        answer = os.read(read, 64)
        os.close(read)
        os.close(write)
    finally:
        tm.set_num_threads(before)
    assert answer == expected + np.float64(made.run(1, step)[0]).tobytes()


def test_two_threads_with_batches_of_their_own():
    made = training("mlp", before_step=lambda t, loss: None)
    forward = tm.capture(lambda x: (made.model(x) * 2.0).sum())
    xs = [tm.randn(n, 12) for n in (4, 7)]
    expected = [float((made.model(x) * 2.0).sum().array) for x in xs]
    for _ in range(3):
        for x in xs:
            forward(x)
    found: list[list[float]] = [[], []]

    def work(k: int) -> None:
        found[k] += [float(forward(xs[k]).array) for _ in range(50)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for got, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-5)
        assert len(set(got[-10:])) == 1


def test_a_step_that_trains_raises_under_no_grad_what_it_raises_plain():
    made, plain = training(), training()
    step = tm.capture(made.step)
    made.run(3, step)
    plain.run(3)
    texts = []
    for call in (plain.step, step):
        with tm.no_grad(), pytest.raises(RuntimeError) as raised:
            call(*made.batches[0])
        texts.append(str(raised.value))
    assert texts[0] == texts[1]
    assert made.run(3, step) == pytest.approx(plain.run(3), rel=1e-5)


def test_a_parameter_written_by_another_thread_between_replays_is_read_anew():
    made, plain = training(), training()
    step = tm.capture(made.step)
    for t, call in ((plain, plain.step), (made, step)):
        t.run(3, call)

        def halve(t: Any = t) -> None:
            t.model[0].weight.array[...] *= 0.5

        writer = threading.Thread(target=halve)
        writer.start()
        writer.join()
    assert made.run(3, step) == pytest.approx(plain.run(3), rel=1e-5)
    np.testing.assert_allclose(
        made.model[0].weight.array, plain.model[0].weight.array, rtol=1e-4, atol=1e-6
    )


def test_after_an_exception_between_two_passes_the_next_replay_is_right():
    """Broken after the backward pass: the gradients are there, the parameters not yet moved."""

    class Sorted(tm.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return np.sort(x, axis=0)  # one call of Python

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return Fragile.apply(g)  # and another

    weight = tm.ones(3, requires_grad=True)
    own = tm.optim.SGD([weight], lr=0.5)

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        own.zero_grad()
        loss = (Sorted.apply(weight * 2.0) * x).sum()
        loss.backward()
        own.step()
        return loss

    for _ in range(3):
        step(tm.ones(3))
    np.testing.assert_array_equal(weight.array, [-2.0] * 3)
    with broken(), pytest.raises(ZeroDivisionError, match="broken on purpose"):
        step(tm.ones(3))
    np.testing.assert_array_equal(weight.array, [-2.0] * 3)
    assert float(step(tm.ones(3)).array) == -12.0
    np.testing.assert_array_equal(weight.array, [-3.0] * 3)
