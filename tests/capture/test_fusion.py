"""Products that take over what is done to their result: which, and with which numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.capture.by_hand import NEEDS_CPP, ByHand, assert_product, multiplied
from tests.capture.steps import training
from tinygrad_mmb import nn
from tinygrad_mmb.capture.plan import Instruction
from tinygrad_mmb.capture.product import AT_ONCE, product
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = NEEDS_CPP


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


def products(step: Any) -> list[tuple[str, ...]]:
    """What the products of a plan do to their results."""
    parts = ("bias", "relu", "add", "gate")
    return [
        tuple(k for k in parts if k in i.options)
        for i in step.plan.instructions
        if i.name in ("matmul", "product")
    ]


def captured(step: Any, *args: Any) -> Any:
    """The step with a plan, and its result after three calls."""
    made = tm.capture(step)
    for _ in range(3):
        result = made(*args)
    assert made.cache_info().replays == 1
    return made, result


# -- which products


def test_layers_and_relus_are_one_product_each_way():
    made = training("mlp")
    step = tm.capture(made.step)
    made.run(3, step)
    # forward: two layers; back: the first layer's result, gated; both weights' gradients
    assert sorted(products(step)) == [(), (), ("bias",), ("bias", "relu"), ("gate",)]
    assert not {"maximum", "less_equal", "invert"} & {i.name for i in step.plan.instructions}


def test_residual_blocks_add_in_their_products():
    made = training("residual")
    step = tm.capture(made.step)
    made.run(3, step)
    found = products(step)
    assert found.count(("bias", "relu")) == found.count(("bias", "add")) == 4
    assert found.count(("gate",)) == 4
    assert found.count(("add",)) == 3  # not the first block's: its input needs no gradient


def test_a_result_turned_and_a_column_are_no_part_of_a_product():
    """Square, so that only shape and layout tell them from what a product can take over."""
    x, w, c, column = tm.randn(5, 6), tm.randn(6, 5), tm.randn(5, 5), tm.randn(5, 1)

    def step() -> tuple[tm.Tensor, ...]:
        return (x @ w).T + c, (x @ w.exp()) + column

    made, (turned, shifted) = captured(step)
    assert products(made) == [(), ()]
    a, b = (k.numpy().astype(np.float64) for k in (x, w))
    np.testing.assert_allclose(turned.numpy(), (a @ b).T + c.numpy(), rtol=1e-4, atol=1e-5)
    exact = a @ np.exp(b) + column.numpy()
    np.testing.assert_allclose(shifted.numpy(), exact, rtol=1e-4, atol=1e-5)


def test_a_sum_of_two_products_is_part_of_one_of_them():
    """The gradient of a weight that takes part twice."""
    x, y, w = tm.randn(7, 6), tm.randn(4, 6), tm.randn(6, 5).requires_grad_()

    def step() -> tm.Tensor:
        w.grad = None
        (x @ w).sum().backward()
        (y @ w).exp().sum().backward()
        return x.sum()

    made, _ = captured(step)
    assert sorted(products(made)) == [(), (), ("add",)]
    a, b, c = (k.detach().numpy().astype(np.float64) for k in (x, y, w))
    expected = a.T @ np.ones((7, 5)) + b.T @ np.exp(b @ c)
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_result_that_somebody_else_reads_stays_alone():
    x, w = tm.randn(4, 6), tm.randn(6, 5)
    b = tm.randn(5)

    def step() -> tuple[tm.Tensor, ...]:
        z = x @ w
        return z, z + b, (x @ w.exp()) + b

    made, (z, shifted, other) = captured(step)
    assert products(made) == [(), ("bias",)]
    exact = x.numpy().astype(np.float64) @ w.numpy()
    np.testing.assert_allclose(z.numpy(), exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(shifted.numpy(), exact + b.numpy(), rtol=1e-5, atol=1e-5)
    exact = x.numpy().astype(np.float64) @ np.exp(w.numpy()) + b.numpy()
    np.testing.assert_allclose(other.numpy(), exact, rtol=1e-5, atol=1e-5)


def test_the_order_of_the_parts_is_kept():
    x, w, b = tm.randn(4, 6), tm.randn(6, 5), tm.randn(5)
    r = tm.randn(4, 5)

    def step() -> tuple[tm.Tensor, ...]:
        return (x @ w).relu() + b, (x @ w.exp() + r).relu(), r - x @ w.abs()

    made, results = captured(step)
    assert sorted(products(made)) == [(), ("add",), ("relu",)]
    a, v = x.numpy().astype(np.float64), w.numpy()
    expected = (np.maximum(a @ v, 0) + b.numpy(), np.maximum(a @ np.exp(v) + r.numpy(), 0),
                r.numpy() - a @ np.abs(v))  # fmt: skip
    for y, exact in zip(results, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), exact, rtol=1e-5, atol=1e-5)


def test_a_factor_that_is_written_before_the_sum_is_used_as_it_was():
    x, w, r = tm.randn(4, 6), tm.randn(6, 5), tm.randn(4, 5)

    def step() -> tm.Tensor:
        with tm.no_grad():
            z = x @ w
            w.mul_(2.0)
            return z + r

    first = w.numpy().astype(np.float64).copy()
    made, y = captured(step)
    assert products(made) == [()]
    np.testing.assert_allclose(w.numpy(), 8 * first)
    exact = x.numpy() @ (4 * first) + r.numpy()
    np.testing.assert_allclose(y.numpy(), exact, rtol=1e-5, atol=1e-5)


def test_a_block_that_adds_its_own_input_is_right():
    # on the way back g W + g: what is added is a factor too, so the result needs a place of its own
    layer, x = nn.Linear(6, 6), tm.randn(4, 6).requires_grad_()

    def step() -> tm.Tensor:
        x.grad = None
        layer.zero_grad()
        y = (x + layer(x)).sum()
        y.backward()
        return y

    made, _ = captured(step)
    assert ("add",) in products(made) or ("bias", "add") in products(made)
    exact = 1.0 + layer.weight.detach().numpy().astype(np.float64).sum(0)
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(exact, (4, 6)), rtol=1e-5)


def test_nan_goes_through_relus_and_their_gates():
    layer, x = nn.Linear(3, 4), tm.randn(5, 3)
    with tm.no_grad():
        layer.weight[0] = float("nan")
        layer.bias[1] = -100.0
        layer.bias[2] = 100.0
    head = nn.Linear(4, 2)

    def step() -> tm.Tensor:
        layer.zero_grad()
        head.zero_grad()
        hidden = F.relu(layer(x))
        head(hidden).sum().backward()
        return hidden.detach()

    made, y = captured(step)
    assert ("gate",) in products(made)
    assert np.isnan(y.numpy()[:, 0]).all()
    assert (y.numpy()[:, 1] == 0).all()
    back = head.weight.detach().numpy().astype(np.float64).sum(0)
    expected = [5 * back[0], 0.0, 5 * back[2]]  # NaN is not at most 0: its gradient goes through
    np.testing.assert_allclose(layer.bias.grad.numpy()[:3], expected, rtol=1e-5)


# -- which numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.tuples(st.integers(1, 40), st.integers(1, 70), st.integers(1, 300)), st.data())
@settings(max_examples=30, deadline=None)
def test_a_product_with_everything_after_it(dtype, sizes, data):
    m, n, k = sizes
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    a, b, add, gate = [
        rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n), (m, n), (m, n))
    ]
    bias = rng.standard_normal(n).astype(dtype)
    gate[rng.random((m, n)) < 0.1] = np.nan
    options: dict[str, Any] = {
        key: value
        for key, value in (("bias", bias), ("relu", True), ("add", add), ("gate", gate))
        if data.draw(st.booleans())
    }
    in_place = data.draw(st.sampled_from([None, *({"add", "gate"} & set(options))]))
    if in_place and k > AT_ONCE[a.itemsize]:
        in_place = None
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(b) + 1
    exact = exact + (bias if "bias" in options else 0)
    exact = np.maximum(exact, 0) if "relu" in options else exact
    exact = exact + (add if "add" in options else 0)
    exact = np.where(gate <= 0, 0, exact) if "gate" in options else exact
    y = np.empty((m, n), dtype)
    product(a, b, out=y, **options)
    assert (np.abs(y - exact) <= 4 * k * np.finfo(dtype).eps * bound).all()

    c = options[in_place] if in_place else np.empty((m, n), dtype)
    made = ByHand()
    places = {key: value if key == "relu" else made.array(value) for key, value in options.items()}
    out = places[in_place] if in_place else made.array(c)
    one = Instruction("numpy", "product", product, (made.array(a), made.array(b)), places, [out],
                      0, ("", 0))  # fmt: skip
    made.plan.instructions.append(one)
    made.run()
    assert (np.abs(c - exact) <= 4 * k * np.finfo(dtype).eps * bound).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.tuples(*[st.integers(1, 20)] * 3), st.sampled_from([(2,), (3, 2), (1, 4)]), st.data())
@settings(max_examples=20, deadline=None)
def test_many_products_in_one_instruction(dtype, sizes, batch, data):
    m, n, k = sizes
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    a = rng.standard_normal((*batch, k, m)).astype(dtype).swapaxes(-1, -2)
    b = rng.standard_normal((k, n) if data.draw(st.booleans()) else (*batch, k, n)).astype(dtype)
    assert_product(multiplied(a, b), a, b)


def test_large_products_of_a_batch_share_the_threads():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((3, 256, 256), dtype=np.float32) for _ in range(2))
    found = []
    for threads in (1, 2):
        before = tm.get_num_threads()
        tm.set_num_threads(threads)
        try:
            found.append(multiplied(a, b))
        finally:
            tm.set_num_threads(before)
    assert found[0].tobytes() == found[1].tobytes()
    exact = a.astype(np.float64) @ b
    assert np.abs(found[0] - exact).max() < 1e-3


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float64", 8)])
def test_a_product_takes_the_place_of_what_it_adds_up_to_the_depth_that_plans_know(dtype, size):
    p = native.Replay([np.zeros(600, dtype), np.zeros(4, dtype)], np.zeros(0))

    def add_product(depth: int) -> None:
        a, b, c = (0, 0, [depth * size, size]), (0, 0, [2 * size, size]), (1, 0, [2 * size, size])
        p.product(dtype, [], 2, 2, depth, a, b, c, None, False, c, None)

    add_product(AT_ONCE[size])
    with pytest.raises(ValueError, match="in its place"):
        add_product(AT_ONCE[size] + 1)


def test_wrong_places_after_a_product_are_refused():
    p = native.Replay([np.zeros(64, np.float32) for _ in range(3)], np.zeros(0))
    a, b, c = (0, 0, [16, 4]), (0, 0, [16, 4]), (1, 0, [16, 4])
    args = ("float32", [], 4, 4, 4, a, b, c)
    with pytest.raises(ValueError, match="inside its buffer"):
        p.product(*args, (2, 252, [4]), False, None, None)
    with pytest.raises(ValueError, match="lie side by side"):
        p.product(*args, (2, 0, [8]), False, None, None)
    with pytest.raises(ValueError, match="as the result does"):
        p.product(*args, None, False, (2, 0, [4, 16]), None)
    with pytest.raises(ValueError, match="in its place"):
        p.product(*args, None, False, None, (1, 16, [16, 4]))
    with pytest.raises(ValueError, match="apart from the result"):
        p.product(*args, (1, 0, [4]), False, None, None)
    many = ("float32", [2], 2, 2, 2, (0, 0, [16, 8, 4]), (0, 0, [16, 8, 4]), (1, 0, [16, 8, 4]))
    with pytest.raises(ValueError, match="nothing after many"):
        p.product(*many, None, True, None, None)
    assert len(p) == 0
