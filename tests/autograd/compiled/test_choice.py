"""Which code runs: the rule of a student or ours, in C++ or in Python, and what is counted."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, outcome, run_in_python
from tinygrad_mmb import compiled, ops
from tinygrad_mmb.autograd import Function
from tinygrad_mmb.autograd.fused import Composite
from tinygrad_mmb.kernels import registry


def test_a_class_of_a_student_that_is_called_Mul_runs_its_own_rule() -> None:  # noqa: N802
    class Mul(Function):
        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return a * b * 100

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * b * 7, g * a * 7

    a, b = tm.ones(2, requires_grad=True), tm.ones(2)
    y = Mul.apply(a, b)
    y.sum().backward()
    assert y.tolist() == [100, 100]
    assert a.grad.tolist() == [7, 7]


def test_a_students_op_of_one_of_our_names_runs_no_twin_of_ours() -> None:
    class Softmax(Function):
        @staticmethod
        def forward(x: Any, dim: int) -> Any:
            return x * 3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3, None

    x = tm.ones(64, 64, requires_grad=True)
    for backend in ("auto", *registry.backends()):
        with tm.use_kernels(backend):
            assert Softmax.apply(x, 1).detach().numpy().max() == 3
    assert Softmax.key is None
    assert ops.softmax(x, 1)[0, 0].item() == pytest.approx(1 / 64)


def test_a_rule_that_is_replaced_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    x = tm.ones(2, requires_grad=True)
    (x * x).sum().backward()  # the twin has run
    monkeypatch.setattr(
        ops.elementwise.Mul, "backward", staticmethod(lambda ctx, g: (g * 5, g * 6))
    )
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [11, 11]


RULES = (ops.elementwise.Mul.forward, ops.elementwise.Mul.backward)


def square_back(kernels: str = "auto") -> None:
    x = tm.ones(2, requires_grad=True, device="cpu")
    with tm.use_kernels(kernels):
        (x * x).sum().backward()


@pytest.mark.parametrize(("kernels", "in_python"), [("auto", False), ("reference", True)])
def test_reference_kernels_run_the_rules_in_python(kernels: str, in_python: bool) -> None:
    if not compiled.use_compiled():
        pytest.skip("MMB_KERNELS pins other kernels, so the twins are out of the way")
    ran = run_in_python(lambda: square_back(kernels), *RULES)
    assert ran == ({"Mul.forward", "Mul.backward"} if in_python else set())


def test_where_cupy_is_the_arrays_of_the_cpu_are_left_to_the_twins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if registry.DEFAULT != registry.ANY:
        pytest.skip("MMB_KERNELS pins kernels")
    if "cupy" not in sys.modules:
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(ndarray=type("ndarray", (), {})))
    python = [compiled.below(compiled.PYTHON[name]) for name in ("apply", "fill_gradients")]
    assert not run_in_python(square_back, *RULES, *python)


def test_twins_are_counted_once_a_call_and_declines_once() -> None:
    if registry.DEFAULT != registry.ANY:
        pytest.skip("MMB_KERNELS pins kernels")
    twins = [t for k in ("BatchCrossEntropy", "BatchCrossEntropy.backward", "Linear")
             for t in registry.twins(k) if t.backend == "cpu"]  # fmt: skip
    x, t = tm.ones(2, 3, requires_grad=True, device="cpu"), tm.tensor([0, 1], device="cpu")
    before = [(twin.calls, twin.declines) for twin in twins]
    tm.nn.functional.cross_entropy(
        tm.nn.functional.linear(x, tm.ones(3, 3, device="cpu")), t
    ).backward()
    images, classes = tm.ones(2, 3, 4, device="cpu"), tm.zeros(2, 4, dtype=tm.int64, device="cpu")
    tm.nn.functional.cross_entropy(images, classes)
    after = [(twin.calls, twin.declines) for twin in twins]
    assert [(c - a, d - b) for (a, b), (c, d) in zip(before, after, strict=True)] == [
        (1, 1),
        (1, 0),
        (1, 0),
    ]


class Ranking(Function):
    """Its forward counts its calls."""

    calls = 0

    @staticmethod
    def forward(x: Any, outputs: int, wrong: bool) -> Any:
        Ranking.calls += 1
        return tuple(x * k for k in range(outputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        if inputs[2]:
            raise ValueError("setup_context of a student")

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        return sum(g * k for k, g in enumerate(gs) if g is not None), None, None


@pytest.mark.parametrize("outputs", [1, 2, 16, 17, 40])
def test_forward_runs_once_however_many_outputs_it_has(outputs: int) -> None:
    def run() -> Any:
        Ranking.calls = 0
        x = tm.ones(2, requires_grad=True)
        ys = Ranking.apply(x, outputs, False)
        sum(ys).sum().backward()
        return Ranking.calls, len(ys), [y.output_nr for y in ys], x.grad.tolist()

    fast, slow = in_both(run)
    assert fast == slow == (1, outputs, [*range(outputs)], [outputs * (outputs - 1) / 2] * 2)


def test_forward_runs_once_where_setup_context_raises() -> None:
    def run() -> int:
        Ranking.calls = 0
        with pytest.raises(ValueError, match="setup_context of a student"):
            Ranking.apply(tm.ones(2, requires_grad=True), 2, True)
        return Ranking.calls

    assert in_both(run) == (1, 1)


@pytest.mark.parametrize("watched", [False, True])
def test_the_twin_of_a_composite_is_chosen_and_counted_once(watched: bool) -> None:
    twins = [t for t in registry.twins("BatchCrossEntropy") if t.backend == "cpu"]
    x = tm.ones(2, 3, requires_grad=True, device="cpu")
    images, wrong = tm.ones(2, 3, 4, device="cpu"), tm.full((2, 4), 7, device="cpu")
    bare = np.ones((2, 3, 4), np.float32), np.zeros((2, 4), np.int64)

    def run() -> Any:
        before = [(t.calls, t.declines) for t in twins]
        with tm.use_kernels("cpu"), tm.autograd.detect_anomaly() if watched else nullcontext():
            tm.nn.functional.cross_entropy(x, tm.tensor([0, 1], device="cpu"))  # taken
            tm.nn.functional.cross_entropy(*bare)  # declined, as are images that have a wrong class
            with pytest.raises(IndexError):
                tm.nn.functional.cross_entropy(images, wrong)
        after = [(t.calls, t.declines) for t in twins]
        return [(c - a, d - b) for (a, b), (c, d) in zip(before, after, strict=True)]

    assert in_both(run) == ([(1, 2)], [(1, 2)])


class Fussy(Composite):
    """Its definition refuses what it gets with one of NumPy's errors."""

    tries = 0

    @staticmethod
    def definition(x: Any, wrong: type[Exception] | None) -> Any:
        Fussy.tries += 1
        if wrong is not None:
            raise wrong("no")
        return x * 2.0


@pytest.mark.parametrize("wrong", [None, ValueError, TypeError, RuntimeError])
def test_a_definition_runs_once_whether_it_raises_or_not(wrong: type[Exception] | None) -> None:
    def run() -> Any:
        Fussy.tries = 0
        y = outcome(lambda: Fussy.apply(tm.ones(2, requires_grad=True), wrong).tolist())
        return y, Fussy.tries

    fast, slow = in_both(run)
    assert fast == slow == ([2.0, 2.0] if wrong is None else (wrong, "no"), 1)
