"""Linear and its gradients on the emulated kernels."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.emulation import in_every_order, on_kernels
from tinygrad_mmb import nn, ops
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.linear import is_affine, linear_backward
from tinygrad_mmb.kernels.launch.arguments import Copies
from tinygrad_mmb.kernels.launch.emulated import emulator
from tinygrad_mmb.nn.samples import as_function
from tinygrad_mmb.ops.linear import LinearGelu

TOLERANCE = {"float16": 2e-2, "float32": 2e-5, "float64": 1e-12}  # sums of 40 numbers of size 1


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(40,), (1, 40), (33, 40), (2, 3, 40), (0, 40)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_is_one_affine_map_for_every_row(dtype, shape, with_bias, rng):
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal((17, 40)).astype(dtype)
    bias = rng.standard_normal(17).astype(dtype) if with_bias else None
    expected = x.astype(float) @ w.T.astype(float) + (0 if bias is None else bias.astype(float))
    for y in in_every_order(ops.linear, x, w, bias):
        assert (y.shape, y.dtype) == (expected.shape, x.dtype)
        np.testing.assert_allclose(y, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradients_of_linear_are_those_of_its_formula(dtype, rng):
    x, w, g = (rng.standard_normal(s).astype(dtype) for s in ((2, 9, 5), (7, 5), (2, 9, 7)))
    gx, gw, gb = linear_backward(g, x, w, needs_input_grad=[True, True, True])
    g2, x2, w2 = g.reshape(18, 7).astype(float), x.reshape(18, 5).astype(float), w.astype(float)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(gx, (g2 @ w2).reshape(2, 9, 5), **tolerance)
    np.testing.assert_allclose(gw, g2.T @ x2, **tolerance)
    np.testing.assert_allclose(gb, g2.sum(0), **tolerance)
    assert {v.dtype.name for v in (gx, gw, gb)} == {dtype}


@pytest.mark.parametrize("needs", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 0, 0)])
def test_only_the_gradients_that_are_wanted_are_computed(needs, rng):
    x, w, g = (rng.standard_normal(s) for s in ((9, 5), (7, 5), (9, 7)))
    need_x, need_w, _ = needs
    with emulator("check", profile=True) as e:
        found = linear_backward(
            g, x if need_w else None, w if need_x else None, needs_input_grad=list(map(bool, needs))
        )
    assert [v is not None for v in found] == list(map(bool, needs))
    products = [p for p in e.profiles if p["kernel"].startswith("matmul")]
    assert len(products) == need_x + need_w


def test_a_layer_trains_without_a_copy_of_an_operand(rng):
    layer = nn.Linear(20, 10)
    x = tm.tensor(rng.standard_normal((30, 20)).astype(np.float32), requires_grad=True)
    before = Copies.count
    with tm.use_kernels("emulator"):
        (layer(x) ** 2.0).sum().backward()
    assert Copies.count == before
    y = x.array @ layer.weight.array.T + layer.bias.array
    np.testing.assert_allclose(layer.weight.grad.numpy(), 2 * y.T @ x.array, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.bias.grad.numpy(), 2 * y.sum(0), rtol=1e-4, atol=1e-4)


def test_a_layer_passes_gradient_checks_through_the_kernels_in_float64(rng):
    inputs = [tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((6, 5), (4, 5), (4,))]
    with tm.use_kernels("emulator"):
        assert tm.autograd.gradcheck(ops.linear, inputs)
        assert tm.autograd.gradgradcheck(ops.linear, inputs)


PAIRS = {
    "relu": (nn.ReLU, ops.relu),
    "gelu": (nn.GELU, ops.gelu),
    "gelu_tanh": (lambda: nn.GELU("tanh"), lambda z: ops.gelu(z, approximate="tanh")),
}
EACH_PAIR = pytest.mark.parametrize("kind", PAIRS)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(40,), (33, 40), (2, 3, 40), (0, 40), (3, 1100)])
@EACH_PAIR
def test_a_layer_and_its_activation_compute_what_the_formula_says(kind, shape, dtype, rng):
    module, formula = PAIRS[kind]
    model = nn.Sequential(nn.Linear(shape[-1], 17), module()).to(getattr(tm, dtype))
    x = tm.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
    g = rng.standard_normal((*shape[:-1], 17))
    wide = [v.detach().to(tm.float64).requires_grad_() for v in (x, *model.parameters())]
    y = on_kernels(model, x)
    on_kernels(y.backward, tm.tensor(g.astype(dtype)))
    expected = formula(ops.linear(*wide))
    expected.backward(tm.tensor(g))
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), **tolerance)
    for found, e in zip((x, *model.parameters()), wide, strict=True):
        assert found.grad.dtype == found.dtype
        np.testing.assert_allclose(found.grad.numpy(), e.grad.numpy(), **tolerance)


@EACH_PAIR
def test_both_are_one_launch_there_and_one_before_the_products_back(kind, rng):
    model = nn.Sequential(nn.Linear(5, 7), PAIRS[kind][0]())
    x = tm.tensor(rng.standard_normal((9, 5)).astype(np.float32), requires_grad=True)
    g = tm.tensor(rng.standard_normal((9, 7)).astype(np.float32))
    with emulator("check", profile=True) as e:
        y = on_kernels(model, x)
        there = len(e.profiles)
        on_kernels(y.backward, g)
    forward, gradients, *products = [p["kernel"] for p in e.profiles]
    assert (there, gradients, len(products)) == (1, f"{kind}_gradients_f32", 2)
    assert all(name.startswith("matmul_") for name in (forward, *products))


@EACH_PAIR
def test_both_pass_gradient_checks_through_the_kernels(kind, rng):
    model = nn.Sequential(nn.Linear(5, 4), PAIRS[kind][0]()).double()
    x = tm.tensor(rng.standard_normal((6, 5)), requires_grad=True)
    f, parameters = as_function(model)
    with tm.use_kernels("emulator"):
        assert tm.autograd.gradcheck(f, (x, *parameters))
        assert tm.autograd.gradgradcheck(f, (x, *parameters), atol=1e-4)


def test_a_model_trains_on_the_joined_kernels_as_on_the_reference(rng):
    x = tm.tensor(rng.standard_normal((20, 6)).astype(np.float32))
    t = tm.tensor(rng.standard_normal((20, 2)).astype(np.float32))
    keys = "LinearRelu", "LinearRelu.backward", "LinearGelu", "LinearGelu.backward"
    ran, found = {}, {}
    for backend in ("reference", "emulator"):
        tm.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 9), nn.GELU(), nn.Linear(9, 2)
        )
        optimizer = tm.optim.SGD(model.parameters(), lr=0.1)
        before = [calls(key) for key in keys]
        with tm.use_kernels(backend):
            for _ in range(3):
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x), t).backward()
                optimizer.step()
        ran[backend] = [calls(key) - n for key, n in zip(keys, before, strict=True)]
        found[backend] = [p.detach().numpy() for p in model.parameters()]
    assert ran == {"reference": [0, 0, 0, 0], "emulator": [3, 3, 3, 3]}
    for a, b in zip(*found.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def calls(key):
    """How often the emulated kernel of a key has run."""
    (twin,) = [t for t in registry.twins(key) if t.backend == "emulator"]
    return twin.calls


def test_a_gradient_of_what_precedes_the_activation_goes_to_the_reference(rng):
    x, w = (tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((4, 5), (3, 5)))
    results = []
    for backend in ("reference", "emulator"):
        with tm.use_kernels(backend):
            y, z = LinearGelu.apply(x, w, None, "none")
            results.append(tm.autograd.grad((y * z).sum(), [x, w]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)


def test_gradients_are_the_same_bits_in_every_order(rng):
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in ((300, 5), (7, 5), (300, 7)))

    def run():
        return linear_backward(g, x, w, needs_input_grad=[True, True, True])

    first, *others = in_every_order(run)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_the_kernel_does_not_take_goes_to_the_reference(rng):
    x, w = rng.standard_normal((4, 5)), rng.standard_normal((7, 5))
    assert is_affine(x, w, None)
    assert not is_affine(x, w, rng.standard_normal((4, 7)))  # a bias of its own for each row
    assert not is_affine(x, w.astype(np.float32), None)
    assert not is_affine(x.astype(int), w.astype(int), None)
    with pytest.raises(RuntimeError, match="declined"):
        on_kernels(ops.linear, x, w, np.ones((4, 7)))
