"""The replay in C++: each instruction against NumPy, whole steps against the step, faults."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_mmb as tm
from tests.capture.steps import Training, training
from tinygrad_mmb import optim
from tinygrad_mmb.backend.extension import VARIANTS
from tinygrad_mmb.capture import compiler
from tinygrad_mmb.capture.compiled import CompiledReplay
from tinygrad_mmb.capture.elementwise import OPERATIONS
from tinygrad_mmb.capture.plan import Buffer, Instruction, Operand, Plan, Slot
from tinygrad_mmb.capture.replay import Replay
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.kernels.registry import use_kernels

pytestmark = NEEDS_CPP = pytest.mark.skipif(
    native is None or registry.DEFAULT.backend not in (None, "cpu"),
    reason="the C++ is not built, or MMB_KERNELS pins other kernels",
)


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


UNARY = ("positive", "negative", "absolute", "sqrt", "square", "reciprocal")
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
EXPONENTIALS = ("exp", "expm1", "log", "log1p", "tanh")
LOGICAL = ("logical_and", "logical_or")
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.1),
}


# -- plans by hand


def place(buffer: int, array: Any) -> Operand:
    return Operand(buffer, 0, array.shape, array.strides, array.dtype)


class ByHand:
    """A plan over arrays of a test."""

    def __init__(self) -> None:
        self.plan = Plan(0, [], [], [], [], [], None, [], [])
        self.add_buffer("arena", None)

    def add_buffer(self, kind: str, array: Any) -> int:
        self.plan.buffers.append(Buffer(kind, 0 if array is None else array.nbytes, array))
        return len(self.plan.buffers) - 1

    def array(self, array: Any) -> Operand:
        base = array if array.base is None else array.base
        buffer = self.add_buffer("external", base)
        offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        return place(buffer, array)._replace(offset=offset)

    def add(self, name: str, inputs: Any, out: Operand, group: int = 0, inner: bool = False,
            **options: Any) -> None:  # fmt: skip
        if name == "copy":
            one = Instruction("copy", name, None, inputs, options, [out], group, ("", 0), inner)
        else:
            function, _, method = name.partition(".")
            run = getattr(np, function)
            run = getattr(run, method) if method else run
            one = Instruction("ufunc", name, run, inputs, options, [out], group, ("", 0), inner)
        self.plan.instructions.append(one)

    def run(self) -> CompiledReplay:
        """Run it; nothing may be left to NumPy."""
        replay = CompiledReplay(self.plan)
        assert replay.python_calls == 0
        replay.run([])
        return replay


def numbers(dtype: Any, **options: Any) -> Any:
    return hnp.from_dtype(np.dtype(dtype), allow_nan=True, allow_infinity=True, **options)


@st.composite
def operands(draw: Any, count: int, elements: Any = numbers) -> tuple[Any, ...]:
    """Arrays of one dtype that broadcast to each other, some of them transposed or cut."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_side=5, max_dims=4))
    found = []
    for shape in shapes.input_shapes:
        way = draw(st.sampled_from(["rows", "columns", "every second"]))
        wide = shape if way != "every second" or not shape else (*shape[:-1], 2 * shape[-1])
        x = draw(hnp.arrays(dtype, wide if way != "columns" else wide[::-1],
                            elements=elements(dtype)))  # fmt: skip
        found.append(x.T if way == "columns" else x if wide == shape else x[..., ::2])
    return shapes.result_shape, *found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", (*UNARY, *BINARY, *COMPARISONS, *EXPONENTIALS))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_each_operation_gives_numpys_bits(name, data):
    shape, *arrays = data.draw(operands(1 if name in (*UNARY, *EXPONENTIALS) else 2))
    expected = np.broadcast_to(getattr(np, name)(*arrays), shape)
    y = np.empty(shape, expected.dtype)
    made = ByHand()
    made.add(name, tuple(made.array(x) for x in arrays), made.array(y))
    made.run()
    if name in EXPONENTIALS or name == "divide":  # by one number it is a product
        found = np.finfo(y.dtype)
        atol = 4 * found.smallest_subnormal
        np.testing.assert_allclose(y, expected, rtol=4 * found.eps, atol=atol)
    else:
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("name", LOGICAL)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_operations_on_booleans_between_comparisons(name, data):
    shape, a, b = data.draw(operands(2))
    with np.errstate(invalid="ignore"):
        expected = np.broadcast_to(a * getattr(np, name)(~(a < b), a == a), shape)
    bools = [np.empty(shape, bool) for _ in range(4)]
    y = np.empty(shape, a.dtype)
    made = ByHand()
    x, z, out = made.array(a), made.array(b), made.array(y)
    less, no, same, both = [made.array(p) for p in bools]
    made.add("less", (x, z), less, inner=True)
    made.add("invert", (less,), no)
    made.add("equal", (x, x), same, inner=True)
    made.add(name, (no, same), both, inner=True)
    made.add("multiply", (x, both), out)
    with np.errstate(all="ignore"):
        made.run()
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(bools[1], np.broadcast_to(~(a < b), shape))


@given(operands(1), st.sampled_from(["add.reduce", "maximum.reduce", "minimum.reduce"]),
       st.data())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_reductions_over_neighbouring_dimensions(drawn, name, data):
    x = np.ascontiguousarray(drawn[1])
    if not x.ndim:
        return
    first = data.draw(st.integers(0, x.ndim - 1))
    last = data.draw(st.integers(first, x.ndim - 1))
    axis, keepdims = tuple(range(first, last + 1)), data.draw(st.booleans())
    with np.errstate(all="ignore"):
        reduce = getattr(np, name.split(".")[0]).reduce
        expected = np.asarray(reduce(x, axis=axis, keepdims=keepdims))
        wide = np.asarray(reduce(x.astype(np.longdouble), axis=axis, keepdims=keepdims))
    y = np.empty_like(expected)
    made = ByHand()
    made.add(name, (made.array(x),), made.array(y), axis=axis, keepdims=keepdims)
    made.run()
    if name != "add.reduce":
        np.testing.assert_array_equal(y, expected)
    elif np.isfinite(wide).all() and np.abs(x).sum(dtype=np.longdouble) < np.finfo(x.dtype).max:
        bound = np.abs(x.astype(np.longdouble)).sum(axis, keepdims=keepdims)
        assert (np.abs(y - wide) <= x.size * np.finfo(x.dtype).eps * bound + 1e-44).all()


@pytest.mark.parametrize("shape", [(70000,), (3, 300, 700), (1000, 900)])
def test_long_sums_are_as_exact_as_numpys(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for axis in range(x.ndim):
        y = np.empty_like(x.sum(axis))
        made = ByHand()
        made.add("add.reduce", (made.array(x),), made.array(y), axis=axis)
        made.run()
        exact = x.sum(axis, dtype=np.float64)
        ours, theirs = np.abs(y - exact).max(), np.abs(x.sum(axis) - exact).max()
        assert ours <= 2 * theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@given(sizes=st.tuples(*[st.integers(1, 70)] * 3), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_products_of_matrices_that_lie_in_rows_and_columns(dtype, transposed, sizes, seed):
    m, n, k = sizes
    rng = np.random.default_rng(seed)
    a, b = [
        rng.standard_normal((q, p) if t else (p, q)).astype(dtype).T
        if t
        else rng.standard_normal((p, q)).astype(dtype)
        for (p, q), t in zip([(m, k), (k, n)], transposed, strict=True)
    ]
    c = np.empty((m, n), dtype)
    made = ByHand()
    made.add("matmul", (made.array(a), made.array(b)), made.array(c))
    made.run()
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(b)
    assert (np.abs(c - exact) <= k * np.finfo(dtype).eps * bound).all()


@given(operands(1), st.data())
@settings(max_examples=60, deadline=None)
def test_copies_from_any_layout(drawn, data):
    x = drawn[1]
    x = x.transpose(data.draw(st.permutations(range(x.ndim))))
    wide = (data.draw(st.integers(1, 3)), *x.shape)
    expected = np.broadcast_to(x, wide)
    y = np.empty(wide, x.dtype)
    made = ByHand()
    made.add("copy", (made.array(x),), made.array(y))
    made.run()
    assert y.tobytes() == expected.tobytes()


def test_long_rows_are_copied_by_several_threads():
    x = np.random.default_rng(0).standard_normal((3, 700, 1000), dtype=np.float32)
    before = native.threads()
    try:
        for threads in (1, 3):
            native.set_threads(threads)
            y = np.empty((700, 3, 1000), np.float32)
            made = ByHand()
            made.add("copy", (made.array(x.transpose(1, 0, 2)),), made.array(y))
            made.run()
            np.testing.assert_array_equal(y, x.transpose(1, 0, 2))
    finally:
        native.set_threads(before)


def test_a_group_reads_what_an_earlier_instruction_wrote_in_place():
    p, g = np.ones(1000, np.float32), np.full(1000, 3, np.float32)
    made = ByHand()
    here, grad, step = made.array(p), made.array(g), made.array(np.empty(1000, np.float32))
    made.add("multiply", (grad, Slot(0)), step, inner=True)
    made.add("subtract", (here, step), here)
    made.add("square", (here,), grad)
    made.plan.scalars.append("0.5")
    made.run()
    np.testing.assert_array_equal(p, np.full(1000, -0.5))
    np.testing.assert_array_equal(g, np.full(1000, 0.25))


@pytest.mark.parametrize(("floats", "bits"), [(np.float32, np.int32), (np.float64, np.int64)])
def test_a_gate_on_the_bits_of_floats_keeps_nan_and_clears_the_sign(floats, bits):
    x = np.array([1.5, -2.0, np.nan, -np.inf, -0.0] * 70, floats)
    mask, y = np.arange(350) % 3 > 0, np.empty(350, floats)
    made = ByHand()
    ins = made.array(x)._replace(dtype=np.dtype(bits)), made.array(mask)
    made.add("multiply", ins[::-1], made.array(y)._replace(dtype=np.dtype(bits)))
    made.run()
    assert y.tobytes() == np.where(mask, x, floats(0)).tobytes()


def test_zeros_of_two_signs_are_two_constants():
    x = np.ones(300, np.float32)
    y, z = np.empty_like(x), np.empty_like(x)
    made = ByHand()
    one = made.array(x)
    made.add("multiply", (one, 0.0), made.array(y))
    made.add("multiply", (one, -0.0), made.array(z))
    made.run()
    assert not np.signbit(y).any() and np.signbit(z).all()


@pytest.mark.parametrize("number", [3.0, 0.0, 1e-40, 1e39, float("inf"), -7])
def test_quotients_by_one_number(number):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    y = np.empty_like(x)
    made = ByHand()
    made.add("divide", (made.array(x), number), made.array(y))
    made.run()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, x / np.float32(number), rtol=2e-7, atol=0)


# -- wrong plans


def program() -> Any:
    return native.Replay([np.zeros(8, np.float32), np.zeros(8, np.float32)], np.zeros(1))


A, B = ("memory", 0, 0, [4]), ("memory", 1, 0, [4])


@pytest.mark.parametrize(
    ("shape", "slots", "steps", "said"),
    [
        ([9], [A, B], [("copy", 1, 0, 0)], "inside its buffer"),
        ([8], [("memory", 0, 4, [4]), B], [("copy", 1, 0, 0)], "inside its buffer"),
        ([8], [("memory", 0, -4, [4]), B], [("copy", 1, 0, 0)], "inside its buffer"),
        ([8], [("memory", 2, 0, [4]), B], [("copy", 1, 0, 0)], "a buffer of the plan"),
        ([8], [A, B], [("cosh", 1, 0, 0)], "no operation cosh"),
        ([8], [A, B], [("add", 1, 0, 2)], "a slot"),
        ([8], [A, ("block",)], [("copy", 0, 1, 1)], "has written"),
        ([8], [A, ("number", 1)], [("copy", 0, 1, 1)], "number of the table"),
        ([8], [A, ("constant", 1.0)], [("copy", 1, 0, 0)], "a result in memory"),
        ([8], [A, ("memory", 1, 0, [0])], [("copy", 1, 0, 0)], "side by side"),
        ([7], [A, ("memory", 0, 4, [4])], [("copy", 1, 0, 0)], "do not overlap"),
        ([0], [A, B], [("copy", 1, 0, 0)], "at least one element"),
        ([8], [A, ("somewhere",)], [("copy", 0, 1, 1)], "no slot of kind somewhere"),
        ([8], [A, B], [], "at least one operation"),
    ],
)
def test_wrong_elementwise_programs_are_refused(shape, slots, steps, said):
    with pytest.raises(ValueError, match=said):
        program().elementwise("float32", shape, slots, steps)


def test_wrong_products_and_reductions_are_refused():
    p, rows, alone = program(), (0, 0, [8, 4]), (None, False, None, None)
    with pytest.raises(ValueError, match="apart from its factors"):
        p.product("float32", [], 2, 2, 2, rows, rows, rows, *alone)
    with pytest.raises(ValueError, match="inside its buffer"):
        p.product("float32", [], 2, 2, 5, (0, 0, [20, 4]), rows, (1, 0, [8, 4]), *alone)
    with pytest.raises(ValueError, match="in rows"):
        p.product("float32", [], 2, 2, 2, rows, rows, (1, 0, [4, 8]), *alone)
    with pytest.raises(ValueError, match="no reduction by hypot"):
        p.reduction("float32", "hypot", 1, 8, 1, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="inside its buffer"):
        p.reduction("float32", "add", 1, 9, 1, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="not in int64"):
        p.reduction("int64", "add", 1, 2, 1, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="instructions of the plan"):
        p.run(0, 1)


def test_a_read_only_array_is_no_place_for_a_result():
    fixed = np.zeros(8, np.float32)
    fixed.flags.writeable = False
    p = native.Replay([fixed], np.zeros(0))
    with pytest.raises(ValueError, match="may be written"):
        p.elementwise("float32", [8], [A], [("negative", 0, 0, 0)])


def test_the_result_of_a_call_must_be_there_before_it_is_read():
    p = native.Replay([np.zeros(8, np.float32), 32], np.zeros(0))
    p.elementwise("float32", [8], [A, B], [("copy", 0, 1, 1)])
    with pytest.raises(ValueError, match="before it is read"):
        p.run(0, 1)
    with pytest.raises(ValueError, match="as many bytes"):
        p[1] = np.zeros(7, np.float32)
    p[1] = np.zeros(8, np.float32)
    p.run(0, 1)


# -- whole steps


def in_numpy(made: Training, steps: int) -> list[float]:
    with use_kernels("reference"):
        return made.run(steps)


def assert_close(a: Training, b: Training, rtol: float = 1e-4) -> None:
    """To rounding, as far as ten steps spread it: Adam divides by small numbers."""
    x, y = a.numbers(), b.numbers()
    assert x.keys() == y.keys()
    for k in x:
        np.testing.assert_allclose(x[k], y[k], rtol=rtol, atol=1e-5, err_msg=k)


def replay_of(captured: Any) -> CompiledReplay:
    replay: CompiledReplay = captured.plans[0].replay
    assert type(replay) is CompiledReplay
    return replay


@pytest.mark.parametrize("kind", ["mlp", "residual", "cnn", "batch norm", "dropout"])
@pytest.mark.parametrize("name", ["momentum", "Adam"])
def test_ten_steps_are_those_of_the_plain_step(kind, name):
    made = training(kind, OPTIMIZERS[name])
    captured = tm.capture(made.step)
    losses = made.run(10, captured)
    plain = training(kind, OPTIMIZERS[name])  # the generator begins anew
    np.testing.assert_allclose(losses, in_numpy(plain, 10), rtol=1e-4)
    if (kind, name) != ("batch norm", "Adam"):  # biases before it: Adam blows up rounding errors
        assert_close(made, plain, rtol=1e-3)
    assert replay_of(captured).native_runs


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_with_a_twin_is_one_call(name):
    made, plain = training("mlp", OPTIMIZERS[name]), training("mlp", OPTIMIZERS[name])
    captured = tm.capture(made.step)
    np.testing.assert_allclose(made.run(10, captured), in_numpy(plain, 10), rtol=1e-4)
    assert_close(made, plain)
    updates = [i for i in captured.plan.instructions if i.kind == "update"]
    assert [i.name for i in updates] == [f"{type(made.optimizer).__name__}.update"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_without_a_twin_is_one_pass(name, monkeypatch):
    updates = {f"{o}.update" for o in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")}
    monkeypatch.setattr(compiler, "LOOKED_INTO", compiler.LOOKED_INTO | updates)
    made, plain = training("mlp", OPTIMIZERS[name]), training("mlp", OPTIMIZERS[name])
    captured = tm.capture(made.step)
    np.testing.assert_allclose(made.run(10, captured), in_numpy(plain, 10), rtol=1e-4)
    assert_close(made, plain)
    plan = captured.plan
    last = plan.instructions[-1].group  # the last update
    assert sum(i.group == last for i in plan.instructions) > 1
    lowered = replay_of(captured).lowered
    assert lowered.names[-1][0] == " ".join(i.name for i in plan.instructions if i.group == last)


def test_only_what_has_no_counterpart_is_called_from_python():
    made = training("residual")
    captured = tm.capture(made.step)
    made.run(3, captured)
    opaque = {i.name for i in captured.plan.instructions if i.kind in ("call", "update")}
    assert opaque <= {
        *("CrossEntropy", "OneHotLike"),  # without a twin
        "Adam.update",
        *("CrossEntropy.backward", "BatchCrossEntropy", "BatchCrossEntropy.backward"),
    }
    replay = replay_of(captured)
    assert replay.called == ["Adam.update"] and replay.python_calls == 1
    assert len(replay.native_runs) == 1


def test_sums_that_have_twins_are_instructions_all_the_same():
    x = tm.tensor(np.random.default_rng(0).standard_normal((200, 10)).astype(np.float32))
    captured = tm.capture(lambda x: x.sum(0) + x.mean(0) + x.amax(0))
    for _ in range(3):
        found = captured(x)
    assert not [i for i in captured.plan.instructions if i.kind == "call"]
    wide = x.numpy().astype(float)
    np.testing.assert_allclose(found.numpy(), wide.sum(0) + wide.mean(0) + wide.max(0), rtol=1e-5)


@pytest.mark.parametrize(("count", "passes"), [(39, 1), (40, 39)])  # and one for the sum
def test_a_pass_with_more_operands_than_registers_is_several(count, passes):
    rng = np.random.default_rng(0)
    xs = [rng.integers(-9, 9, (4, 20)).astype(np.float32) for _ in range(count)]  # sums are exact

    @tm.capture
    def step(xs: list[tm.Tensor]) -> tm.Tensor:
        y = xs[0][:, ::2]  # does not lie side by side: each needs a register
        for x in xs[1:]:
            y = y + x[:, ::2]
        return y

    for _ in range(3):
        found = step([tm.tensor(x) for x in xs])
    np.testing.assert_array_equal(found.numpy(), sum(xs)[:, ::2])
    assert replay_of(step).python_calls == 0
    assert len(replay_of(step).native) == passes


def test_pinned_to_the_reference_the_replay_is_numpys():
    made = training("mlp")
    captured = tm.capture(made.step)
    with use_kernels("reference"):
        made.run(3, captured)
    assert type(captured.plans[0].replay) is Replay


def test_the_same_bits_for_every_number_of_threads():
    rng = np.random.default_rng(0)
    start = rng.standard_normal((400, 900)).astype(np.float32)
    x = tm.tensor(rng.standard_normal((300, 900)).astype(np.float32))
    before, found = native.threads(), []
    try:
        for threads in (1, 2, 3):
            native.set_threads(threads)
            weight = tm.nn.Parameter(tm.tensor(start.copy()))
            own = optim.Adam([weight], lr=0.01)

            @tm.capture
            def step(x: tm.Tensor, weight: Any = weight, own: Any = own) -> tm.Tensor:
                own.zero_grad()
                loss = ((x @ weight.T).relu() ** 2).sum()
                loss.backward()
                own.step()
                return loss

            losses = [step(x).array.tobytes() for _ in range(5)]
            assert replay_of(step).native_runs
            found.append((losses[2:], weight.array.tobytes()))
    finally:
        native.set_threads(before)
    assert found[0] == found[1] == found[2]


def test_two_threads_replay_at_once():
    alone = [training("residual") for _ in range(2)]
    expected = [m.run(30, tm.capture(m.step)) for m in alone]
    together = [training("residual") for _ in range(2)]
    steps = [tm.capture(m.step) for m in together]
    for m, s in zip(together, steps, strict=True):
        m.run(3, s)
    losses: list[Any] = [None, None]

    def work(k: int) -> None:
        losses[k] = together[k].run(27, steps[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert losses == [e[3:] for e in expected]


def test_an_exception_inside_a_replay_comes_through_and_the_next_replay_is_right():
    class Fragile(tm.autograd.Function):
        broken = False

        @staticmethod
        def forward(x):
            if Fragile.broken:
                raise RuntimeError("broken on purpose")
            return np.sort(np.array(x), axis=0)

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g

    @tm.capture
    def step(x: tm.Tensor) -> tm.Tensor:
        return Fragile.apply(x * 2.0) + 1.0

    x = tm.tensor([3.0, 1.0, 2.0])
    for _ in range(3):
        np.testing.assert_array_equal(step(x).array, [3, 5, 7])
    assert replay_of(step).python_calls == 1
    Fragile.broken = True
    with pytest.raises(RuntimeError, match="broken on purpose"):
        step(x)
    Fragile.broken = False
    np.testing.assert_array_equal(step(x * 2.0).array, [5, 9, 13])


def test_the_profile_names_every_instruction():
    made = training("mlp")
    captured = tm.capture(made.step)
    made.run(3, captured)
    replay, before = replay_of(captured), made.numbers()
    profile = replay.profile([x.array for x in made.batches[0]])
    assert len(profile) == len(replay.native) + replay.python_calls
    assert {"product", "BatchCrossEntropy", "Adam.update"} <= {name for name, _ in profile}
    for name, x in made.numbers().items():  # nothing was changed
        np.testing.assert_array_equal(x, before[name], err_msg=name)
    assert all(seconds > 0 for _, seconds in profile)


def test_operations_are_named_as_in_numpy():
    assert {name for name in OPERATIONS if not hasattr(np, name)} == {"gate"}


@pytest.mark.slow
@pytest.mark.parametrize("isa", VARIANTS)
def test_the_other_sets_of_instructions_pass_too(isa):
    if isa not in native.supported():
        pytest.skip(f"this processor has no {isa}")
    if isa == native.isa:
        return
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    done = subprocess.run([*command, "-m", "not slow"], env={**os.environ, "MMB_CPU_ISA": isa},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
