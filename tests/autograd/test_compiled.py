"""The C++ twins of apply and of the chain rule do what the Python functions do."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_mmb as tm
from tinygrad_mmb import compiled, ops
from tinygrad_mmb.autograd import Function
from tinygrad_mmb.backend.extension import load
from tinygrad_mmb.kernels import registry

pytestmark = [
    pytest.mark.skipif(not load("cpu").active, reason="there is no _cpu here"),
    pytest.mark.host_only("where CuPy is, the twins leave the work to Python"),
]


@pytest.fixture(autouse=True)
def python_or_not_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # where another test has imported it, the twins stay away, and nothing would be compared
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    yield
    compiled.use_compiled()


def in_both(run: Callable[[], Any]) -> tuple[Any, Any]:
    """What `run` returns with the twins, and with Python only."""
    if not compiled.use_compiled():
        pytest.skip("MMB_KERNELS pins other kernels, so the twins are out of the way")
    fast = run()
    compiled.use_compiled(False)
    return fast, run()


def same(a: Any, b: Any) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_array_equal(a, b)
    a, b = (np.where(np.isnan(x), 0, x) for x in (a, b))  # which sign a NaN has, nobody says
    np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


def expression(data: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    a, b, c = (tm.tensor(x, dtype=x.dtype, requires_grad=True) for x in data)
    y = ((a * b - c).relu() + (-a) * 2.5).sum() + (b * b).mean() + (c + a[:1]).exp().sum()
    y.backward()
    return [y.detach().numpy(), *(x.grad.numpy() for x in (a, b, c))]


SPECIAL = st.sampled_from([0.0, -0.0, 1.0, -1.5, 3.25, float("inf"), float("-inf"), float("nan")])


@given(
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([(1,), (4, 4), (3, 1, 5), (128,), (129,), (7, 40)]),
    st.data(),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_and_gradients_are_the_same_numbers(dtype: str, shape: Any, data: Any) -> None:
    arrays = [data.draw(hnp.arrays(dtype, shape, elements=SPECIAL)) for _ in range(3)]
    for fast, slow in zip(*in_both(lambda: expression(arrays)), strict=True):
        same(fast, slow)


@given(hnp.arrays("float32", st.integers(0, 128), elements=st.floats(-1e3, 1e3, width=32)))
def test_a_sum_of_few_numbers_has_numpys_bits(x: Any) -> None:
    compiled.use_compiled()
    assert tm.tensor(x).sum().item() == np.add.reduce(x)


@given(
    st.sampled_from(["float16", "float32", "float64", "int64", "bool"]),
    st.sampled_from(["float32", "float64", "int32"]),
    st.sampled_from([(), (1,), (2, 3)]),
)
def test_operands_of_other_dtypes_and_shapes_meet_alike(a: str, b: str, shape: Any) -> None:
    x, y = np.ones((2, 3), a), np.full(shape, 2, b)

    def run() -> Any:
        left, right = tm.tensor(x, dtype=x.dtype), tm.tensor(y, dtype=y.dtype)
        if right.is_floating_point():
            right.requires_grad_()
        z = left * right + 1
        if z.requires_grad:
            z.sum().backward()
            return z.detach().numpy(), right.grad.numpy()
        return (z.numpy(),)

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x + tm.ones(5),
        lambda x: x * "2",
        lambda x: x @ tm.ones(7),
        lambda x: x.backward(),
        lambda x: (x * 1.0).sum().detach().backward(),
        lambda x: twice((x * x).sum()),
        lambda x: written_over(x),
        lambda x: (x * None).sum(),
    ],
)
def test_errors_are_the_same(wrong: Callable[[Any], Any]) -> None:
    def run() -> tuple[type, str]:
        with pytest.raises(Exception) as caught:
            wrong(tm.ones(2, 3, requires_grad=True))
        return caught.type, str(caught.value)

    fast, slow = in_both(run)
    assert fast == slow


def twice(y: Any) -> None:
    y.backward()
    y.backward()


def written_over(x: Any) -> None:
    y = x * 1.0
    z = (y * y).sum()
    y.add_(1.0)
    z.backward()


def test_a_relu_whose_output_was_written_over_is_refused() -> None:
    compiled.use_compiled()
    y = tm.ones(3, requires_grad=True).relu()
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: ReluBackward0"):
        y.sum().backward()


def test_hooks_see_and_replace_gradients() -> None:
    def run() -> list[Any]:
        seen: list[Any] = []
        x = tm.tensor([1.0, -2.0, 3.0], requires_grad=True)
        y = x * x
        y.register_hook(lambda g: seen.append(g.numpy()) or g * 10)
        x.register_hook(lambda g: seen.append(g.numpy()))
        y.retain_grad()
        y.relu().sum().backward()
        return [*seen, x.grad.numpy(), y.grad.numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_a_second_backward_adds_and_a_gradient_is_never_shared() -> None:
    def run() -> list[Any]:
        x, y = tm.ones(3, requires_grad=True), tm.ones(3, requires_grad=True)
        for _ in range(2):
            (x + y).sum().backward()
        x.grad.array[0] = 7
        return [x.grad.numpy(), y.grad.numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_higher_derivatives_go_through_the_same_graph() -> None:
    def run() -> Any:
        x = tm.tensor([0.5, 2.0], requires_grad=True)
        (g,) = tm.autograd.grad((x * x * x).sum(), x, create_graph=True)
        g.sum().backward()
        return x.grad.numpy()

    same(*in_both(run))


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

    compiled.use_compiled()
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
    compiled.use_compiled()
    x = tm.ones(2, requires_grad=True)
    (x * x).sum().backward()  # the twin has run
    monkeypatch.setattr(
        ops.elementwise.Mul, "backward", staticmethod(lambda ctx, g: (g * 5, g * 6))
    )
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [11, 11]


@pytest.mark.parametrize(("kernels", "in_python"), [("auto", False), ("reference", True)])
def test_reference_kernels_run_the_rules_in_python(kernels: str, in_python: bool) -> None:
    if not compiled.use_compiled():
        pytest.skip("MMB_KERNELS pins other kernels, so the twins are out of the way")
    rules = {f.__code__ for f in (ops.elementwise.Mul.forward, ops.elementwise.Mul.backward)}
    x = tm.ones(2, requires_grad=True)
    ran = set()

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in rules:
            ran.add(frame.f_code)

    sys.setprofile(watch)
    try:
        with tm.use_kernels(kernels):
            (x * x).sum().backward()
    finally:
        sys.setprofile(None)
    assert ran == (rules if in_python else set())


def test_a_step_leaves_no_objects_and_no_references_behind() -> None:
    compiled.use_compiled()
    x, w = tm.ones(4, 4, requires_grad=True), tm.ones(4, 4, requires_grad=True)

    def step() -> None:
        x.grad = w.grad = None
        ((x * w + x).relu() - w).sum().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        counts = [sys.getrefcount(o) for o in (x.array, x, np.dtype("float32"))]
        objects = len(gc.get_objects())
        for _ in range(50):
            step()
        assert len(gc.get_objects()) - objects < 20  # nothing waits for the collector
        after = [sys.getrefcount(o) for o in (x.array, x, np.dtype("float32"))]
        assert all(b - a < 20 for a, b in zip(counts, after, strict=True))
    finally:
        gc.enable()


def test_a_deep_graph_does_not_overflow() -> None:
    compiled.use_compiled()
    x = y = tm.ones(1, requires_grad=True)
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.item() == 1


def adam(dtype: Any, **options: Any) -> Any:
    parameters = [tm.ones(shape, dtype=dtype, requires_grad=True) for shape in ((3,), (2, 5), ())]
    return parameters, tm.optim.Adam(parameters, **options)


@pytest.mark.parametrize("dtype", [tm.float32, tm.float64])
def test_an_optimizer_gathers_and_counts_alike(dtype: Any) -> None:
    def run() -> list[Any]:
        parameters, optimizer = adam(dtype, lr=0.1)
        for k in range(3):
            for p in parameters[k % 2 :]:  # so that their steps differ
                p.grad = tm.full_like(p, 0.5 + k)
            optimizer.step()
            optimizer.zero_grad()
        states = [optimizer.state[p] for p in parameters]
        return [s[name].numpy() for s in states for name in ("step", "exp_avg", "exp_avg_sq")]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_a_step_is_a_write_that_saved_values_notice() -> None:
    compiled.use_compiled()
    parameters, optimizer = adam(tm.float32)
    y = (parameters[0] * parameters[0]).sum()
    for p in parameters:
        p.grad = tm.ones_like(p)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_states_that_a_student_replaces_are_kept() -> None:
    class Replacing(tm.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 1.0})

        def update(self, theta: Any, g: Any, state: Any, *, lr: float) -> None:
            state["seen"] = state.get("seen", 0.0) + g
            theta -= lr * state["seen"]

    def run() -> list[Any]:
        x = tm.ones(2, requires_grad=True)
        optimizer = Replacing([x])
        for _ in range(3):
            x.grad = tm.ones(2)
            optimizer.step()
        return [x.detach().numpy(), optimizer.state[x]["seen"].numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_parameters_that_overlap_are_left_to_the_reference() -> None:
    compiled.use_compiled()
    memory = np.ones(5, np.float32)
    a, b = (tm.Tensor(memory[k : k + 3]).requires_grad_() for k in (0, 2))
    optimizer = tm.optim.Adam([a, b], lr=0.5)
    a.grad, b.grad = tm.ones(3), tm.ones(3)
    optimizer.step()
    np.testing.assert_allclose(memory, [0.5, 0.5, 0.0, 0.5, 0.5], atol=1e-6)


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


def test_twins_are_counted_once_a_call_and_declines_once() -> None:
    compiled.use_compiled()
    if registry.DEFAULT != registry.ANY:
        pytest.skip("MMB_KERNELS pins kernels")
    twins = [t for k in ("BatchCrossEntropy", "BatchCrossEntropy.backward", "Linear")
             for t in registry.twins(k) if t.backend == "cpu"]  # fmt: skip
    x, t = tm.ones(2, 3, requires_grad=True), tm.tensor([0, 1])
    before = [(twin.calls, twin.declines) for twin in twins]
    tm.nn.functional.cross_entropy(tm.nn.functional.linear(x, tm.ones(3, 3)), t).backward()
    images = tm.ones(2, 3, 4)
    tm.nn.functional.cross_entropy(images, tm.zeros(2, 4, dtype=tm.int64))
    after = [(twin.calls, twin.declines) for twin in twins]
    assert [(c - a, d - b) for (a, b), (c, d) in zip(before, after, strict=True)] == [
        (1, 1),
        (1, 0),
        (1, 0),
    ]


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


def test_an_optimizer_moves_only_what_has_a_gradient() -> None:
    def run() -> list[Any]:
        parameters, optimizer = adam(tm.float64, lr=0.1)
        parameters[0].grad = tm.ones_like(parameters[0])
        optimizer.step()
        optimizer.zero_grad()
        assert parameters[0].grad is None
        return [p.detach().numpy() for p in parameters]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)
