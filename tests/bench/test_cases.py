"""What is measured: found by walking the kernel table, right on every backend, drawn alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinygrad_mmb.bench.calls import Declined, call_of, functions, optimizers
from tinygrad_mmb.bench.candidates import candidates, emulated, key_of
from tinygrad_mmb.bench.cases import Case, cases, cases_of, prepare
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.measure import checked
from tinygrad_mmb.bench.sizes import WORKLOADS
from tinygrad_mmb.bench.work import BACKWARD, BOTH, FORWARD, UPDATE
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda import matmul
from tinygrad_mmb.kernels.cuda.ladder import LADDERS

KINDS = [FORWARD, BACKWARD, BOTH]


def kinds_of_workload(op):
    """All directions; an index has no gradient, and the transposition is no op of the engine."""
    return [FORWARD] if op in ("Argmax", "Argmin", "Transpose") else KINDS


def test_every_key_of_the_kernel_table_has_cases_everywhere():
    for where in ("cpu", "small", "even"):
        found = {case.kernel for case in cases(where, quick=True)}
        keys = {k for k in registry.keys() if k.partition(".")[0] in {*functions(), *optimizers()}}  # noqa: SIM118
        assert keys <= found


def test_every_key_of_the_kernel_table_has_a_workload():
    ops = {op_of(key) for key in registry.keys()} - optimizers().keys()  # noqa: SIM118
    missing = sorted((ops | LADDERS.keys()) - WORKLOADS.keys())
    assert not missing, f"state sizes for {missing} in WORKLOADS in tinygrad_mmb/bench/sizes.py"


def op_of(key):
    return key.partition(".")[0]


def test_workloads_are_those_of_ops_that_exist():
    assert WORKLOADS.keys() - {UPDATE} <= functions().keys()


def test_the_vocabularies_with_and_without_padding_are_both_measured():
    shapes = {c.shape for c in cases_of("CrossEntropy", [FORWARD], "gpu", False)}
    assert {"4096x50257", "4096x50304"} <= shapes


@pytest.mark.parametrize("op", sorted(WORKLOADS.keys() - {UPDATE}))
def test_the_reference_computes_every_workload_in_float32_as_in_float64(op):
    for case in cases_of(op, kinds_of_workload(op), "small", False):
        if case.dtype != "float32":
            continue
        problem = prepare(Cpu(), case, 0)
        (numpy,) = [c for c in candidates(case, "cpu", []) if c.variant == "numpy"]
        row = checked(Cpu(), problem, numpy)
        assert row.ok, row


@pytest.mark.parametrize("op", ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad"])
def test_an_optimizers_step_is_that_of_its_formula(op):
    (case,) = cases_of(op, [UPDATE], "small", False)
    problem = prepare(Cpu(), case, 0)
    thetas, gradients = problem.args
    (row,) = [checked(Cpu(), problem, c) for c in candidates(case, "cpu", []) if c.baseline]
    assert row.ok
    if op == "SGD":
        for e, theta, g in zip(problem.expected, thetas, gradients, strict=True):
            np.testing.assert_allclose(e, theta - 0.01 * g.astype(float), rtol=1e-6)
    if op == "Adam":  # the first step goes lr against the sign
        for e, theta, g in zip(problem.expected, thetas, gradients, strict=True):
            np.testing.assert_allclose(e, theta - 1e-3 * np.sign(g), atol=1e-6)


def test_the_same_seed_draws_the_same_numbers_and_another_others():
    (case,) = cases_of("Softmax", [FORWARD], "small", False)
    a, b, c = (prepare(Cpu(), case, seed).args[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_gradients_of_broadcast_weights_are_summed_as_the_engine_does():
    (case,) = cases_of("LayerNorm", [BACKWARD], "small", False)
    problem = prepare(Cpu(), case, 0)
    assert [g.shape for g in problem.expected[:3]] == [(5, 70), (70,), (70,)]


@pytest.fixture
def twins():
    """Twins of Tanh on a backend that only this test has: forward and backward."""
    ran = []

    @registry.kernel("Tanh", backend="test", accepts=lambda x: x.ndim == 1)
    def tanh(x):
        ran.append("forward")
        return np.tanh(x)

    @registry.kernel("Tanh.backward", backend="test")
    def tanh_backward(g, y, *, needs_input_grad):
        ran.append("backward")
        return (g * (1 - y * y),)

    yield ran
    for key in ("Tanh", "Tanh.backward"):
        registry._table[key] = [t for t in registry._table[key] if t.backend != "test"]
        if not registry._table[key]:
            del registry._table[key]


def test_a_new_twin_is_measured_without_being_listed_anywhere(twins):
    found = {c.kernel for c in cases("cpu", quick=True)}
    assert {"Tanh", "Tanh.backward", "Tanh.forward+backward"} <= found
    case = Case("Tanh", BOTH, "7", "float32", lambda rng: (rng.standard_normal(7),))
    assert [c.variant for c in candidates(case, "cpu", [])] == ["test", "numpy"]
    assert key_of(case) == "Tanh.backward"


def test_each_direction_runs_the_twin_and_only_it(twins):
    x, g = np.linspace(-1, 1, 7), np.ones(7)
    op = functions()["Tanh"]
    for kind, expected in (
        (FORWARD, ["forward"]),
        (BACKWARD, ["backward"]),
        (BOTH, ["forward", "backward"]),
    ):
        call = call_of(op, kind, (x,), (g,), "test")
        twins.clear()
        from tinygrad_mmb.autograd.grad_mode import no_grad

        with no_grad():
            result = call()
        assert twins == expected
        y = np.tanh(x) if kind == FORWARD else 1 - np.tanh(x) ** 2
        np.testing.assert_allclose(result if kind == FORWARD else result[0], y, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_a_twin_declines_make_no_call(twins, kind):
    x = np.ones((2, 2))
    with pytest.raises(Declined):
        call_of(functions()["Tanh"], kind, (x,), (x,), "test")


def test_emulated_candidates_are_never_timed():
    found = [c for case in cases("small", False) for c in emulated(case)]
    assert found
    assert not any(c.timed for c in found)


def test_no_emulated_twin_is_among_those_that_are_timed_on_a_cpu():
    for case in cases("cpu", False):
        assert all(c.backend not in ("emulator", "cuda") for c in candidates(case, "cpu", []))


def test_a_ladder_without_a_twin_has_cases_too():
    for where in ("cpu", "gpu", "small", "even"):
        (case, *_) = [c for c in cases(where, quick=True) if c.op == "Transpose"]
        assert (case.kind, key_of(case)) == (FORWARD, "Transpose")


@pytest.mark.parametrize("place", ["small", "even"])
@pytest.mark.parametrize("op", sorted(LADDERS.keys() - {"MatMul"}))
def test_each_step_of_a_ladder_is_right_on_the_emulator(op, place):
    (case,) = cases_of(op, [FORWARD], place, True)
    problem = prepare(Cpu(), case, 0)
    steps = [c for c in emulated(case) if c.variant[:2].isdigit()]
    assert [c.variant for c in steps] == [step.label for step in LADDERS[op]]
    rows = [checked(Cpu(), problem, c) for c in steps]
    taken = [row for row in rows if row is not None]
    assert len(taken) >= len(rows) - (
        place == "small"
    )  # rows of 70 numbers are no packs of 16 bytes
    assert all(row.ok for row in taken), taken


def test_a_step_that_computes_something_else_is_found_out(monkeypatch):
    right = LADDERS["Transpose"][0]
    wrong = replace(right, prepare=lambda x: lambda: x.T + 1e-3)
    monkeypatch.setitem(LADDERS, "Transpose", [wrong, right])
    (case,) = cases_of("Transpose", [FORWARD], "small", True)
    problem = prepare(Cpu(), case, 0)
    rows = [checked(Cpu(), problem, c) for c in emulated(case)]
    assert [row.ok for row in rows] == [False, True]


def test_a_step_that_the_gpu_is_too_old_for_takes_no_part(monkeypatch):
    monkeypatch.setattr(matmul, "capability", lambda x: (7, 5))
    case = next(cases_of("MatMul", [FORWARD], "even", True))
    problem = prepare(Cpu(), case, 0)
    steps = {c.variant: c for c in emulated(case)}
    steps["01_naive"].make(problem, problem.args)
    with pytest.raises(Declined):  # copies that run ahead came with sm_80
        steps["08_double_buffered_large"].make(problem, problem.args)
