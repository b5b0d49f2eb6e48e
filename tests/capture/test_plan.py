"""The plan: what is grouped, where it lies, what it says of itself."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import training
from tinygrad_mmb.capture.memory import Free
from tinygrad_mmb.capture.plan import Operand, Plan
from tinygrad_mmb.capture.replay import Replay, flat

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


@pytest.fixture(autouse=True)
def array_code():
    """No twins: all of the step is array code, on every machine."""
    with tm.use_kernels("reference"):
        yield


@pytest.fixture
def step(array_code):
    made = training("mlp", lambda p: tm.optim.Adam(p, lr=0.01))
    captured = tm.capture(made.step)
    made.run(3, captured)
    return captured


def groups(plan: Plan) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for one in plan.instructions:
        found.setdefault(one.group, []).append(one.name)
    return list(found.values())


def test_the_update_of_a_parameter_is_one_elementwise_pass(step):
    updates = [g for g in groups(step.plan) if "sqrt" in g]
    assert len(updates) == 4  # two weights, two biases
    for g in updates:  # m, v, both corrections, the step: Adam's lines in their order
        assert g[-10:] == ["square", "multiply", "add", "divide", "divide", "multiply", "sqrt",
                           "add", "divide", "subtract"]  # fmt: skip


def test_parameters_and_states_are_written_where_they_lie(step):
    outside = {k for k, b in enumerate(step.plan.buffers) if b.kind == "external"}
    written = {o.buffer for i in step.plan.instructions for o in i.outputs}
    assert len(outside & written) == 12  # p, m, v of four parameters
    assert not any(i.name == "copy" and i.outputs[0].buffer in outside
                   for i in step.plan.instructions)  # fmt: skip


def test_results_marked_as_inner_are_read_by_their_own_pass_only(step):
    writer: dict[Operand, Any] = {}
    assert any(one.inner for one in step.plan.instructions)
    for one in step.plan.instructions:
        for x in flat(one.inputs):
            made = writer.get(x)
            assert made is None or not made.inner or made.group == one.group
        writer |= dict.fromkeys(one.outputs, one)


def test_no_two_living_values_share_memory():
    """Filled with NaN before each run: what is read before it is written would show."""
    made = training("residual")
    step = tm.capture(made.step)
    made.run(3, step)
    plain = training("residual")
    plain.run(3)
    for x, y in made.batches:
        step.plans[0].replay.arena[...] = 255  # every float a NaN
        assert float(step(x, y).array) == float(plain.step(x, y).array)


def test_the_arena_is_smaller_than_all_that_is_computed(step):
    arena = [o for i in step.plan.instructions for o in i.outputs if o.buffer == 0]
    computed = sum(int(np.prod(o.shape)) * o.dtype.itemsize for o in arena)
    assert step.plan.arena_bytes < computed / 2


def test_gradients_live_in_the_arena(step):
    replay: Replay = step.plans[0].replay
    for t, _ in step.plan.gradients:
        assert np.shares_memory(t.grad.array, replay.arena)


def test_a_product_and_a_sum_that_come_twice_are_computed_once():  # GR05
    @tm.capture
    def twice(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
        return x * y + x * y

    x, y = tm.tensor([1.0, 2.0]), tm.tensor([3.0, 4.0])
    for _ in range(3):
        np.testing.assert_array_equal(twice(x, y).array, [6.0, 16.0])
    assert [i.name for i in twice.plan.instructions] == ["multiply", "add"]


def test_products_with_zeros_of_two_signs_are_not_the_same():
    both = tm.capture(lambda x: (x * 0.0, x * -0.0))
    for _ in range(3):
        assert [np.signbit(y.array).tolist() for y in both(tm.ones(2))] == [[False] * 2, [True] * 2]


def test_the_heads_of_a_network_are_independent():  # GR05
    @tm.capture
    def two_heads(x: tm.Tensor) -> tuple[tm.Tensor, tm.Tensor]:
        h = x.exp()
        return (h * 2.0).sum(), (h + 1.0).tanh()

    for _ in range(2):
        two_heads(tm.ones(3))
    assert two_heads.independent_subgraphs() == [["multiply", "add.reduce"], ["add", "tanh"]]


def test_explain_counts_the_work_of_a_matrix_product():
    @tm.capture
    def product(a: tm.Tensor, b: tm.Tensor) -> tm.Tensor:
        return (a @ b).sum()

    for _ in range(2):
        product(tm.ones(4, 8), tm.ones(8, 16))
    text = product.explain()
    line = next(row for row in text.splitlines() if "matmul" in row)
    assert "4x16" in line
    assert f" {2 * 4 * 8 * 16} " in line  # flops
    assert f" {4 * (4 * 8 + 8 * 16 + 4 * 16)} " in line  # bytes
    assert "test_plan.py:" in line
    assert "2 instructions in 2 passes" in text


def test_a_convolution_network_says_which_parts_are_calls():
    made = training("cnn")
    step = tm.capture(made.step)
    made.run(2, step)
    assert re.search(r"\d+ calls of twins and references", step.explain())


def test_the_graph_is_drawn_for_graphviz_and_mermaid():
    @tm.capture
    def loss(x: tm.Tensor) -> tm.Tensor:
        return (x.exp() * 2.0).sum()

    for _ in range(2):
        loss(tm.ones(3))
    dot, mermaid = loss.to_dot(), loss.to_mermaid()
    assert dot.startswith("digraph") and dot.rstrip().endswith("}")
    names = re.findall(r'^  n\d+ \[label="([^"]+)"', dot, re.MULTILINE)
    assert names == ["input 3", "exp", "multiply", "add.reduce"]
    assert dot.count("->") == 3
    assert mermaid.startswith("flowchart")
    assert mermaid.count("-->|3|") == 3


def test_operands_of_an_elementwise_pass_broadcast_to_its_shape(step):
    for one in step.plan.instructions:
        if one.kind in ("ufunc", "copy") and "reduce" not in one.name and one.name != "matmul":
            shape = one.outputs[0].shape
            for x in flat(one.inputs):
                if isinstance(x, Operand):
                    assert np.broadcast_shapes(x.shape, shape) == shape


def test_freed_memory_is_joined_and_used_again():
    free = Free()
    a, b, c = free.take(100), free.take(64), free.take(200)
    assert (a, b, c, free.size) == (0, 128, 192, 448)
    free.give(a, 100)
    free.give(b, 64)
    assert free.pieces == [(0, 192)]
    assert free.take(192) == 0
    free.give(c, 200)
    assert free.take(512) == 192  # the last piece grows
    assert free.size == 704


def test_capture_takes_its_options_as_a_decorator_too():
    @tm.capture(fallback=True, max_plans=3, check=False)
    def doubled(x: tm.Tensor) -> tm.Tensor:
        """Twice x."""
        return x * 2.0

    assert doubled.__doc__ == "Twice x."
    assert (doubled.max_plans, doubled.fallback) == (3, True)
    for k in range(4):
        assert float(doubled(tm.ones(1) * k).array[0]) == 2.0 * k
