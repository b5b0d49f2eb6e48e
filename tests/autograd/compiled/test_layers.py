"""Layers and losses train and refuse as in Python, and modules find their parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, same


@pytest.mark.parametrize("activation", [None, tm.nn.ReLU(), tm.nn.GELU()])
@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",), ("weight", "bias")])
def test_layers_and_losses_train_alike(activation: Any, frozen: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((6, 5)), rng.integers(0, 4, 6)

    def run() -> list[Any]:
        layer = tm.nn.Linear(5, 4, dtype=tm.float64)
        layer.weight.data = tm.tensor(np.sin(np.arange(20.0)).reshape(4, 5))
        layer.bias.data = tm.tensor(np.arange(4.0) / 4)
        for name in frozen:
            getattr(layer, name).requires_grad_(False)
        model = tm.nn.Sequential(*([layer] if activation is None else [layer, activation]))
        inputs = tm.tensor(x, requires_grad=True)
        loss = tm.nn.functional.cross_entropy(model(inputs), tm.tensor(t))
        loss.backward()
        gradients = [inputs.grad, *(p.grad for p in model.parameters() if p.requires_grad)]
        return [loss.detach().numpy(), *(g.numpy() for g in gradients)]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, t: tm.nn.functional.cross_entropy(x, t + 9),
        lambda x, t: tm.nn.functional.cross_entropy(x, t[:1]),
        lambda x, t: tm.nn.functional.cross_entropy(x, t.float()),
        lambda x, t: tm.nn.functional.cross_entropy(x.long(), t),
        lambda x, t: tm.nn.functional.cross_entropy(x, t, label_smoothing=2.0),
        lambda x, t: tm.nn.functional.cross_entropy(x, t, reduction="Mean"),
        lambda x, t: tm.nn.functional.linear(x, tm.ones(2, 4)),
        lambda x, t: tm.nn.functional.linear(x, tm.ones(2, 3), tm.ones(3)),
        lambda x, t: tm.nn.functional.linear(x, tm.ones(2, 3).double()),
        lambda x, t: tm.nn.functional.linear(x, x.detach()).relu_().sum().backward() or no_error(),
        lambda x, t: step_between(tm.nn.Linear(3, 2), x),
    ],
)
def test_layers_and_losses_refuse_alike(wrong: Callable[[Any, Any], Any]) -> None:
    def run() -> tuple[type, str]:
        with pytest.raises(Exception) as caught:
            wrong(tm.ones(2, 3, requires_grad=True), tm.tensor([0, 1]))
        return caught.type, str(caught.value)

    fast, slow = in_both(run)
    assert fast == slow


def no_error() -> None:
    raise LookupError("none was raised, with or without twins")


def step_between(layer: Any, x: Any) -> None:
    y = layer(x * 1.0).sum()
    with tm.no_grad():
        layer.weight.mul_(2.0)
    y.backward()


class OnlyTheFirst(tm.nn.Linear):
    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        yield self.weight


class WithAList(tm.nn.Module):
    def __init__(self) -> None:
        self.layers = [tm.nn.Linear(2, 2)]


def shared() -> Any:
    layer = tm.nn.Linear(2, 2)
    return tm.nn.Sequential(layer, tm.nn.BatchNorm1d(2), tm.nn.Residual(layer, tm.nn.Linear(2, 2)))


@pytest.mark.parametrize(
    "make", [shared, lambda: OnlyTheFirst(2, 2), lambda: tm.nn.Conv2d(1, 1, 3)]
)
def test_a_module_forgets_the_gradients_of_its_own_parameters(make: Callable[[], Any]) -> None:
    def run() -> list[bool]:
        model = make()
        found = [p for _, p in model.named_parameters()]
        for p in found:
            p.grad = tm.ones_like(p)
        model.zero_grad()
        return [p.grad is None for p in found]

    fast, slow = in_both(run)
    assert fast == slow
    assert fast[0]
    assert all(fast) == (not isinstance(make(), OnlyTheFirst))


def test_a_bare_list_of_modules_is_refused_with_twins_too() -> None:
    def run() -> str:
        with pytest.raises(TypeError) as caught:
            WithAList().zero_grad()
        return str(caught.value)

    fast, slow = in_both(run)
    assert fast == slow
    assert "nn.ModuleList" in fast


def test_a_model_whose_own_parameters_method_is_replaced_is_asked_by_it() -> None:
    def run() -> list[bool]:
        model = tm.nn.Sequential(tm.nn.Linear(2, 2), tm.nn.Linear(2, 2))
        found = [p for _, p in model.named_parameters()]
        for p in found:
            p.grad = tm.ones_like(p)
        model.parameters = lambda: iter(found[:1])
        model.zero_grad()
        return [p.grad is None for p in found]

    assert in_both(run) == ([True, False, False, False],) * 2


@pytest.mark.parametrize("forget", [True, False])
def test_parameters_that_became_results_warn_alike(forget: bool) -> None:
    def run() -> list[str]:
        layer = tm.nn.Linear(2, 2)
        optimizer = tm.optim.SGD(layer.parameters(), lr=0.1)
        layer.weight._grad_fn = (tm.ones(2, 2, requires_grad=True) * 2).grad_fn
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            layer.zero_grad() if forget else optimizer.step()
        return [str(w.message) for w in caught]

    fast, slow = in_both(run)
    assert fast == slow
    assert "not a leaf Tensor is being accessed" in fast[0]
