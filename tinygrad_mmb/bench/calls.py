"""Our own ops as calls to be timed: forward, backward, both, and an optimizer's step.

Each function prepares everything a call needs and returns it. A call that a twin declines, or whose
backward another one would run, does not come into being: `Declined`.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function, all_functions
from tinygrad_mmb.autograd.grad_mode import enable_grad, no_grad
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.bench.transpose import Transpose
from tinygrad_mmb.bench.work import BACKWARD, BOTH, FORWARD
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.registry import Kernel, WithExtras, use_kernels
from tinygrad_mmb.optim.optimizer import Optimizer

Call = Callable[[], Any]
PACKAGE = "tinygrad_mmb."


class Declined(Exception):  # noqa: N818 - no error, an answer
    """The twin does not take these arguments."""


def functions() -> dict[str, Any]:
    """The ops of the package by name, and the one that only the benchmark has."""
    ops = {op.__name__: op for op in all_functions() if op.__module__.startswith(PACKAGE)}
    return {**ops, Transpose.__name__: Transpose}


def optimizers() -> dict[str, type[Optimizer]]:
    """The optimizers of the package by name."""
    found: dict[str, type[Optimizer]] = {}
    pending = list(Optimizer.__subclasses__())
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__.startswith(PACKAGE):
            found[cls.__name__] = cls
    return found


def twin_of(key: str, backend: str) -> Kernel | None:
    """The twin of a key on one backend."""
    return next((t for t in registry.twins(key) if t.backend == backend), None)


def as_list(result: Any) -> list[Any]:
    """The outputs of a function or twin, whatever form they came in."""
    if type(result) is WithExtras:
        result = result.y
    return list(result) if type(result) in (tuple, list) else [result]


def forward_call(op: type[Function], args: Sequence[Any], backend: str) -> Call:
    """y = op(args) on one backend. Raises: Declined."""
    if backend == registry.REFERENCE:
        return lambda: op.forward(*args)
    twin = twin_of(op.__name__, backend)
    if twin is None or not twin.accepts(*args):
        raise Declined
    run = twin.run
    return lambda: run(*args)


def variables(args: Sequence[Any]) -> list[Any]:
    """The floating-point arrays among the arguments as Tensors that want a gradient."""
    return [wrap(a).requires_grad_() if is_array(a) and a.dtype.kind == "f" else a for a in args]


def backward_call(
    op: type[Function], args: Sequence[Any], heads: Sequence[Any], backend: str
) -> Call:
    """The gradients of the inputs from `heads`, those of the outputs; forward ran once before.

    Raises: Declined if the forward or the backward twin does.
    """
    key = f"{op.__name__}.{BACKWARD}"
    with enable_grad(), use_kernels(backend):
        outputs = one_node(op)(*variables(args))
    node = first(outputs).grad_fn
    if backend == registry.REFERENCE:
        return lambda: gradients_of(node, heads, args)
    twin = twin_of(key, backend)
    if node.kernel is None or twin is None:
        raise Declined
    before = twin.calls
    with no_grad():  # recorded, the reference would run
        node.backward(list(heads))
    if twin.calls == before:
        raise Declined
    return lambda: gradients_of(node, heads, args)


def one_node(op: type[Function]) -> Callable[..., Any]:
    """What records op as one node; a Composite without a twin would record its parts."""
    if op.composed is None:
        return op.apply
    whole: type[Function] = type(
        op.__name__, (op,), {"composed": None, "__module__": op.__module__}
    )
    return whole.apply


def gradients_of(node: Any, heads: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """As the engine does it: what broadcasting repeated is summed."""
    return [
        g if g is None or g.shape == x.shape else ops.sum_to(g, x.shape)
        for g, x in zip(node.backward(list(heads)), args, strict=True)
    ]


def both_call(op: type[Function], args: Sequence[Any], heads: Sequence[Any], backend: str) -> Call:
    """Forward and backward, as a training step runs them. Raises: Declined as backward_call."""
    backward_call(op, args, heads, backend)
    inputs, apply = variables(args), one_node(op)
    with enable_grad(), use_kernels(backend):
        pinned = contextvars.copy_context()  # to enter it costs less than to pin at every call

    def call() -> Any:
        outputs = pinned.run(apply, *inputs)
        return gradients_of(first(outputs).grad_fn, heads, args)

    return call


def first(outputs: Any) -> Any:
    """The output that the gradient comes to."""
    return outputs[0] if type(outputs) is tuple else outputs


OPTIONS: dict[str, dict[str, Any]] = {"SGD": {"lr": 0.01}, "RMSprop": {"lr": 0.01}}


def update_call(
    cls: type[Optimizer], args: Sequence[Any], backend: str
) -> tuple[Call, list[Tensor]]:
    """One step over all parameters, and the parameters. Raises: Declined."""
    thetas, gradients = args
    params = [wrap(theta.copy()).requires_grad_() for theta in thetas]
    for p, g in zip(params, gradients, strict=True):
        p.grad = wrap(g)
    optimizer = cls(params, **OPTIONS.get(cls.__name__, {"lr": 1e-3}))
    with use_kernels(backend):
        pinned = contextvars.copy_context()
    if backend != registry.REFERENCE:
        twin = twin_of(str(cls.kernel), backend)
        if twin is None:
            raise Declined
        before = twin.calls
        still: dict[str, Any] = {"lr": 0.0}  # moves nothing
        trial = cls(params, **still)
        pinned.run(trial.step)
        if twin.calls == before:
            raise Declined
    return lambda: pinned.run(optimizer.step), params


def call_of(
    op: type[Function], kind: str, args: Sequence[Any], heads: Sequence[Any], backend: str
) -> Call:
    """A call of one kind. Raises: Declined."""
    if kind == FORWARD:
        return forward_call(op, args, backend)
    if kind == BOTH:
        return both_call(op, args, heads, backend)
    return backward_call(op, args, heads, backend)
