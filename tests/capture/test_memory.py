"""What a captured step holds: while it is traced, when its plan is made, and in the arena."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.capture.memory import Piece, lay_out, rounded
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")

LAYERS, WIDTH, BATCH = 6, 64, 2048
ACTIVATION = WIDTH * BATCH * 4  # bytes of what one layer keeps
WEIGHTS = LAYERS * WIDTH * WIDTH * 4


def deep_step() -> Callable[[], tm.Tensor]:
    """Forward and backward through equal layers: nearly all memory is activations."""
    tm.manual_seed(0)
    model = nn.Sequential(*[m for _ in range(LAYERS) for m in (nn.Linear(WIDTH, WIDTH), nn.ReLU())])
    x = tm.randn(BATCH, WIDTH)

    def step() -> tm.Tensor:
        model.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        return loss

    return step


def most_held(call: Callable[[], Any]) -> int:
    """The most bytes that were held at one time in a call, above what was held before."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_traced_step_holds_as_much_as_a_plain_one():
    plain, captured = deep_step(), tm.capture(deep_step())
    plain()
    needed = most_held(plain)
    assert needed > LAYERS * ACTIVATION
    first, second = most_held(captured), most_held(captured)
    assert first < needed + ACTIVATION
    # the second one keeps the gradients of before, for a refusal, and checks the plan: by then what
    # the step itself had made is gone
    assert second < max(needed, captured.plan.arena_bytes) + 2 * WEIGHTS + ACTIVATION


def test_a_replay_holds_nothing_but_its_arena():
    captured = tm.capture(deep_step())
    for _ in range(3):
        captured()
    assert most_held(captured) < ACTIVATION


def test_the_gate_of_a_relu_is_made_when_its_gradient_comes():
    """Six activations, the gradient and the one that it becomes; gates would be 1.5 more."""
    captured = tm.capture(deep_step())
    for _ in range(2):
        captured()
    assert captured.plan.arena_bytes < (LAYERS + 2) * ACTIVATION + 2 * WEIGHTS


def test_what_a_trace_has_made_is_gone_without_waiting_for_the_collector():
    captured = tm.capture(deep_step())
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        for _ in range(2):
            captured()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert held < captured.plan.arena_bytes + ACTIVATION


def test_memory_of_a_dead_array_may_belong_to_another():
    """Hundreds of arrays come and go in few places; each place has many names in one trace."""

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        for k in range(200):
            x = (x + float(k)).abs() * 0.5
        return x.sum()

    xs = [tm.tensor(np.linspace(-k, k, 50, dtype=np.float32)) for k in range(1, 7)]
    expected = []
    for x in xs:
        for k in range(200):
            x = (x + float(k)).abs() * 0.5
        expected.append(float(x.sum().array))
    assert [float(step(x).array) for x in xs] == expected


lifetimes = st.lists(
    st.tuples(st.integers(0, 500), st.integers(-1, 12), st.integers(0, 8)).map(
        lambda t: Piece(t[0], t[1], t[1] + t[2])
    ),
    max_size=30,
)


@given(lifetimes)
def test_pieces_that_live_at_the_same_time_lie_apart(pieces):
    size = lay_out(pieces)
    assert size == max((p.offset + rounded(p.nbytes) for p in pieces), default=0)
    for k, p in enumerate(pieces):
        assert p.offset % 64 == 0
        for q in pieces[:k]:
            if p.start <= q.end and q.start <= p.end:
                apart = (p.offset + p.nbytes <= q.offset, q.offset + q.nbytes <= p.offset)
                assert any(apart)


def test_large_pieces_first_leave_no_hole():
    """In the order of time the second large piece would not fit where the small ones were."""
    pieces = [Piece(64, 0, 1), Piece(640, 0, 9), Piece(704, 2, 9), Piece(64, 3, 9)]
    assert lay_out(pieces) == 1408
