"""Threads take turns at a captured step, and compute undisturbed beside one that is traced."""

from __future__ import annotations

import contextvars
import threading

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import assert_same, batches, training

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


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
