"""Properties of every op: inputs may lie in memory in any way, and backward is linear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.ops import table
from tests.ops.outcomes import assert_close, few_and_many
from tests.ops.table import for_all
from tinygrad_mmb.autograd.function import all_functions
from tinygrad_mmb.autograd.gradcheck import cases, outputs_of
from tinygrad_mmb.autograd.tensor import wrap
from tinygrad_mmb.backend import is_array

OPS = sorted(
    {op for op in all_functions() if op.__module__.startswith("tinygrad_mmb.")},
    key=lambda op: op.__qualname__,
)
VALUES = [op for op in OPS if op.__name__ != "Replaced"]  # its first argument is memory


def laid_out(args, layouts):
    return [
        layout(a) if is_array(a) else a for a, layout in zip(args, layouts, strict=True)
    ]  # fmt: skip


def with_gradients(op, args):
    """The results, and the gradients of float inputs for fixed gradients of the results."""
    xs = [
        (wrap(a).requires_grad_() if a.dtype.kind == "f" else wrap(a)) if is_array(a) else a
        for a in args
    ]
    ys = op.apply(*xs)
    ys = ys if isinstance(ys, tuple) else (ys,)
    heads = outputs_of(list(ys))
    wanted = [x for x in xs if isinstance(x, tm.Tensor) and x.requires_grad]
    if not heads or not wanted:
        return list(ys), []
    us = [wrap(np.cos(np.arange(y.numel())).reshape(y.shape)) for y in heads]
    gs = tm.autograd.grad(heads, wanted, us, allow_unused=True)
    return list(ys), [g for g in gs if g is not None]


@few_and_many
@pytest.mark.parametrize("op", VALUES, ids=lambda op: op.__name__)
def test_results_and_gradients_do_not_depend_on_the_layout_of_the_inputs(op, effort):
    rng = np.random.default_rng(0)
    samples = [
        [a.astype(np.float64) if is_array(a) and a.dtype.kind == "f" else a for a in args]
        for args in op.samples(rng, 4)
    ]
    layouts = st.sampled_from(sorted(table.LAYOUTS)).map(table.LAYOUTS.get)

    def holds(data):
        args = data.draw(st.sampled_from(samples))
        drawn = [data.draw(layouts) if is_array(a) else None for a in args]
        ys, gs = with_gradients(op, laid_out(args, [table.plain] * len(args)))
        other_ys, other_gs = with_gradients(op, laid_out(args, drawn))
        assert_close(other_ys, ys, 1e-12)
        assert_close(other_gs, gs, 1e-11)
        reversed_ys = op.apply(*laid_out(args, [table.backwards] * len(args)))
        assert_close(reversed_ys, ys, 1e-12)

    for_all(effort, holds)


def differentiable(op):
    """The op's samples with their results, where something has a gradient."""
    for f, inputs in cases(op, np.random.default_rng(0)):
        xs = [x for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
        if xs and outputs_of(f(*inputs)):
            yield f, inputs, xs


@few_and_many
@pytest.mark.parametrize("op", VALUES, ids=lambda op: op.__name__)
def test_backward_is_linear_in_the_gradient_that_comes(op, effort):
    samples = list(differentiable(op))
    if not samples:
        pytest.skip("no gradient")
    factors = st.floats(-3, 3)

    def holds(data):
        f, inputs, xs = data.draw(st.sampled_from(samples))
        a, b = data.draw(factors), data.draw(factors)
        ys = outputs_of(f(*inputs))
        rng = np.random.default_rng(data.draw(st.integers(0, 100)))
        us, vs = ([wrap(np.array(rng.standard_normal(y.shape))) for y in ys] for _ in "uv")

        def back(heads):
            gs = tm.autograd.grad(ys, xs, heads, retain_graph=True, allow_unused=True)
            return [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(xs, gs)]  # noqa: B905

        both = back([a * u + b * v for u, v in zip(us, vs, strict=True)])
        apart = [a * g + b * h for g, h in zip(back(us), back(vs), strict=True)]
        assert_close(both, apart, 1e-11)

    for_all(effort, holds)
