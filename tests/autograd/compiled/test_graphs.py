"""Graphs drawn at random are the same with and without twins: values, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, outcome, same

SHAPES = [(), (1,), (3,), (2, 3), (3, 2), (2, 1, 3), (0, 3), (6, 40)]
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda x: x,
    "columns": lambda x: x.copy(order="F"),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "expanded": lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim and x.shape[0] else x,
}
FLOATS, OTHERS = ["float32", "float64", "float16"], ["int64", "bool"]


def leaves(dtypes: list[str], requires_grad: Any) -> Any:
    drawn = (st.sampled_from(SHAPES), st.sampled_from(dtypes), st.sampled_from(sorted(LAYOUTS)))
    return st.tuples(*drawn, requires_grad)


first = leaves(FLOATS, st.just(True))
more = st.lists(leaves(FLOATS + OTHERS, st.booleans()), max_size=3)


def leaf(k: int, shape: Any, dtype: str, layout: str, requires_grad: bool) -> Any:
    numbers = np.random.default_rng(k).integers(-3, 4, shape) / (2 if dtype[0] == "f" else 1)
    x = tm.Tensor(np.asarray(LAYOUTS[layout](np.asarray(numbers).astype(dtype))))
    return x.requires_grad_() if requires_grad and dtype[0] == "f" else x


def assigned(x: Any, y: Any) -> Any:
    x = x * 1.0
    x[..., :1] = y
    return x


def doubled_on_the_way(x: Any, y: Any) -> Any:
    x = x * y
    x.register_hook(lambda g: g * 2)
    return x


def without_recording(x: Any, y: Any) -> Any:
    with tm.no_grad():
        return x * y + x


def written_without_recording(x: Any, y: Any) -> Any:
    z = x * 2.0
    with tm.no_grad():
        x.detach().mul_(1.5)  # x was saved by others, perhaps
    return z + y


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x, y: -x,
    "relu": lambda x, y: x.relu(),
    "sum": lambda x, y: x.sum(),
    "sum of rows": lambda x, y: x.sum(-1, keepdim=True),
    "mean": lambda x, y: (x * x).mean(),
    "float on the left": lambda x, y: 2.5 - x * 3,
    "int": lambda x, y: x + 2,
    "exp": lambda x, y: (x * 0.1).exp(),
    "gelu": lambda x, y: tm.nn.functional.gelu(x),
    "matmul": lambda x, y: x @ y,
    "linear": lambda x, y: tm.nn.functional.linear(x, y),
    "softmax": lambda x, y: x.softmax(-1),
    "where": lambda x, y: tm.where(x > 0, x, y),
    "transpose": lambda x, y: x.transpose(0, -1),
    "first": lambda x, y: x[0],
    "flat": lambda x, y: x.reshape(-1),
    "cat": lambda x, y: tm.cat([x, y]),
    "split": lambda x, y: x.split(1)[-1],
    "detach": lambda x, y: x.detach(),
    "half": lambda x, y: x.half(),
    "double": lambda x, y: x.double(),
    "same": lambda x, y: x.mul(x),
    "write": lambda x, y: (x * 1.0).add_(y),
    "write here": lambda x, y: x.mul_(y),
    "assign": assigned,
    "hook": doubled_on_the_way,
    "no_grad": without_recording,
    "write unrecorded": written_without_recording,
}
steps = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99))


def grown(values: list[Any], plan: list[Any]) -> list[Any]:
    """What came of each step, made of two values before it: the result, or its error."""
    record: list[Any] = []
    for name, i, j in plan:
        made = outcome(lambda: STEPS[name](values[i % len(values)], values[j % len(values)]))  # noqa: B023
        if isinstance(made, tuple):
            record.append(made)
            continue
        values.append(made)
        record += [made.detach().numpy().copy(), outcome(lambda: described(made))]  # noqa: B023
    return record


def described(y: Any) -> Any:
    """How it stands in the graph and in memory; a view that was written over may refuse."""
    node = y.grad_fn and y.grad_fn.name()
    return node, y.requires_grad, y.output_nr, y.stride(), y.memory.version


def total(values: list[Any]) -> Any:
    return sum((v.double() * v).sum() for v in values if v.is_floating_point())


def first_order(values: list[Any], xs: list[Any]) -> list[Any]:
    """Three passes: after the first the graph is kept, after the second it is gone."""
    loss = outcome(lambda: total(values))
    passes = [outcome(lambda: loss.backward(retain_graph=keep)) for keep in (True, False, False)]  # noqa: B023
    return [*passes, *(x.grad for x in xs)]


def second_order(values: list[Any], xs: list[Any]) -> list[Any]:
    """Gradients of gradients."""

    def slopes() -> None:
        asked = [x for x in xs if x.requires_grad and x.is_leaf]
        gs = tm.autograd.grad(total(values), asked, create_graph=True, allow_unused=True)
        sum((g * g).double().sum() for g in gs if g is not None).backward()

    return [outcome(slopes), *(x.grad for x in xs)]


def alike(a: Any, b: Any) -> None:
    if isinstance(a, tm.Tensor):
        a, b = a.detach().numpy(), b.detach().numpy()
    if isinstance(a, np.ndarray):
        same(a, b)
    else:
        assert a == b


@pytest.mark.parametrize("way_back", [first_order, second_order])
@pytest.mark.parametrize(
    "examples", [60, pytest.param(2000, marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.filterwarnings("ignore")
def test_a_graph_is_the_same_with_and_without_twins(way_back: Any, examples: int) -> None:
    @settings(max_examples=examples)
    @given(first, more, st.lists(steps, max_size=12), st.booleans())
    def holds(one: Any, others: Any, plan: Any, watched: bool) -> None:
        def run() -> list[Any]:
            xs = [leaf(k, *how) for k, how in enumerate([one, *others])]
            values = list(xs)
            with tm.autograd.detect_anomaly() if watched else nullcontext():
                record = grown(values, plan)
                return [*record, *way_back(values, xs)]

        for fast, slow in zip(*in_both(run), strict=True):
            alike(fast, slow)

    holds()
