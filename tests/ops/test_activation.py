"""Activation functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch
from tinygrad_mmb.ops import activation

SAMPLES = np.array([-np.inf, -30.0, -1.5, -0.3, 0.0, 0.25, 1.0, 5.5, 40.0, np.nan])
CALLS = [
    ("relu", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {}),
    ("elu", {"alpha": 2.0}),
    ("selu", {}),
    ("silu", {}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("gelu", {"approximate": "sigmoid"}),
    ("softplus", {}),
    ("softplus", {"beta": 2, "threshold": 3}),
]


def functional(module):
    return activation if module is tm else module.nn.functional


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), CALLS)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_activations_agree_with_torch(name, options, dtype):
    x = SAMPLES.astype(dtype) if dtype.startswith("f") else np.array([0, 1, 2]).astype(dtype)
    same_as_torch(lambda module, x: getattr(functional(module), name)(x, **options), x)


def test_relu_lets_no_infinite_gradient_through_where_it_is_closed():
    x = tm.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    tm.relu(x).backward(tm.tensor([float("inf"), float("nan"), 3.0]))
    assert x.grad.tolist() == [0.0, 0.0, 3.0]


def test_the_second_derivative_of_relu_is_zero_and_not_missing():
    x = tm.tensor([-1.0, 2.0], requires_grad=True)
    for y in (tm.relu(x), activation.leaky_relu(x)):
        (g,) = tm.autograd.grad(y.sum(), x, create_graph=True)
        (h,) = tm.autograd.grad(g.sum(), x)
        assert h.tolist() == [0.0, 0.0]


def test_softplus_and_elu_do_not_overflow():
    x = tm.tensor([800.0], dtype=tm.float64, requires_grad=True)
    y = activation.softplus(x) + activation.elu(x)
    y.backward()
    assert (y.item(), x.grad.item()) == (1600.0, 2.0)


def test_selu_keeps_mean_zero_and_variance_one():
    x = np.random.default_rng(0).standard_normal(400_000)
    y = activation.selu(x)
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1.0) < 0.01


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "selu", "silu"])
def test_inplace_writes_into_the_input(name):
    x = tm.tensor([-1.0, 2.0])
    expected = getattr(activation, name)(x).tolist()
    assert getattr(activation, name)(x, inplace=True) is x
    assert x.tolist() == expected


SMOOTH = [("gelu", {}), ("gelu", {"approximate": "tanh"}), ("silu", {})]


@pytest.mark.parametrize(("name", "options"), SMOOTH)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_rule_of_the_way_back_is_the_derivative_of_the_definition(name, options, dtype):
    x = tm.tensor(np.linspace(-9.0, 9.0, 181).astype(dtype), requires_grad=True)
    y = getattr(activation, name)(x, **options).sum()
    (by_definition,) = tm.autograd.grad(y, x, create_graph=True)
    (by_rule,) = tm.autograd.grad(y, x)
    # 1 - tanh² rounds at 1 and then meets x · du/dx, which is 80 at 9; float16 is rounded once more
    eps = {"float16": 2.0**-10, "float32": 80 * 2.0**-24, "float64": 80 * 2.0**-53}[dtype]
    expected = by_definition.detach().numpy()
    np.testing.assert_allclose(by_rule.numpy(), expected, rtol=eps, atol=eps)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), SMOOTH)
def test_one_node_named_as_in_torch(name, options):
    import torch

    ours = getattr(activation, name)(tm.ones(2, requires_grad=True), **options).grad_fn
    one = torch.ones(2, requires_grad=True)
    theirs = getattr(torch.nn.functional, name)(one, **options).grad_fn
    assert ours.name() == theirs.name()
    assert len([f for f in ours.next_functions if f is not None]) == len(theirs.next_functions)


def test_an_unknown_approximation_is_named():
    with pytest.raises(RuntimeError, match="either none or tanh, but got 'fast'"):
        activation.gelu(tm.ones(2), approximate="fast")


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "selu", "silu", "gelu", "softplus"])
def test_integers_are_refused(name):
    with pytest.raises(NotImplementedError, match="not implemented for int64"):
        getattr(activation, name)(tm.tensor([1]))


def test_relu_of_bools_is_refused():
    with pytest.raises(RuntimeError, match="Boolean inputs not supported"):
        tm.relu(tm.tensor([True]))


SMOOTH = {  # by the functions of C, one number at a time
    "exp": math.exp,
    "erf": math.erf,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "softplus": lambda x: math.log1p(math.exp(x)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_thousands_of_numbers_have_the_value_and_the_slope_of_each(name):
    exact, h = SMOOTH[name], 1e-5
    x = tm.linspace(-6.0, 6.0, 4100, dtype=tm.float64).requires_grad_()  # not at 0, the kink of ELU
    y = getattr(tm if hasattr(tm, name) else activation, name)(x)
    y.sum().backward()
    numbers = x.tolist()
    np.testing.assert_allclose(y.tolist(), [exact(v) for v in numbers], rtol=1e-13, atol=1e-15)
    slopes = [(exact(v + h) - exact(v - h)) / (2 * h) for v in numbers]
    np.testing.assert_allclose(x.grad.tolist(), slopes, rtol=1e-8, atol=1e-9)
