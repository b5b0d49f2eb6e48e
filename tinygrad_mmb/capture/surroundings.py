"""What a step finds around it, and whether that is still so before a replay.

Cheap questions, the same for a plan (guards.py) and for a CUDA graph (cuda_graph.py): the first
that is answered otherwise makes the captured step look for another one, or record anew.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from operator import is_
from typing import Any

import numpy as np

from tinygrad_mmb.autograd import anomaly
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import get_default_device, get_default_dtype
from tinygrad_mmb.capture.alike import Dictionaries, agree, exactly, same, still, unchanged
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.witness import Witness, attributes
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.optim.optimizer import Optimizer, option

NOT_WATCHED = (types.ModuleType, type, types.FunctionType, Tensor, Module, Optimizer)


class Surroundings:
    """The questions that do not depend on how a step is replayed.

    `objects` are those of `watched`, as they were before the step; `tensors` those that took part,
    with the array of each; `grads` those of which it matters whether they had a gradient;
    `arguments` the arrays handed in.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        args: Any,
        objects: list[tuple[Any, dict[str, Any]]],
        witness: Witness,
        tensors: list[tuple[Tensor, Any]],
        grads: list[tuple[Tensor, bool]],
        arguments: list[Any],
    ) -> None:
        self.mode = mode()
        self.signature = signature(args)
        self.pattern = pattern(arguments)
        self.outside = outside(step)
        self.objects = [
            (x, {k: v for k, v in was.items() if same(v, vars(x).get(k))}) for x, was in objects
        ]  # what the step itself changes, a counter, is its own affair
        self.tensors = [t for t, _ in tensors]
        self.arrays = [array for _, array in tensors]
        self.wanting = [t._requires_grad for t, _ in tensors]
        modules = [
            (vars(m), unchanged(before, attributes(m))) for m, before in witness.modules.values()
        ]
        self.modules = Dictionaries((now, was) for now, was in modules if len(was) == len(now))
        self.counting = [(now, was, len(now)) for now, was in modules if len(was) < len(now)]
        self.optimizers = [
            (o, o.state, [(g, g["params"], len(g["params"])) for g in o.param_groups])
            for o, _ in witness.optimizers.values()
        ]
        states = [
            (o.state, p, kept)
            for o, _ in witness.optimizers.values()
            for p, kept in o.state.items()
        ]
        self.remembering = [(state, p) for state, p, _ in states]
        self.remembered = [kept for _, _, kept in states]
        self.states = Dictionaries((kept, kept) for _, _, kept in states)
        leaves = [(t, leaf) for t in self.tensors if (leaf := t._leaf) is not None]
        self.with_leaves = [t for t, _ in leaves]
        self.leaves = [leaf for _, leaf in leaves]
        self.leaf_hooks = [(leaf.hooks, leaf.ready_hooks) for leaf in self.leaves]
        self.hooks = [(leaf.hooks, seen_by(leaf.hooks)) for leaf in self.leaves if leaf.hooks]
        self.with_grads = [t for t, _ in grads]
        self.had_grads = [there for _, there in grads]
        reads = witness.tracer.reads
        self.options = [
            (args, value)
            for read, args, value in reads
            if read is option and isinstance(value, (bool, str, type(None)))
        ]
        self.branches = branches_of(witness.tracer.branches, reads)

    def hold(self, args: Any, arrays: list[Any]) -> bool:
        """Whether all is as it was; `arrays` are those among the arguments."""
        return (
            self.mode == mode()
            and agree(self.signature, signature(args))
            and all(same(old, read()) for read, old in self.outside)
            and all(same(v, vars(x).get(k)) for x, was in self.objects for k, v in was.items())
            and all(map(is_, [t.array for t in self.tensors], self.arrays))
            and [t._requires_grad for t in self.tensors] == self.wanting
            and [t._grad is not None for t in self.with_grads] == self.had_grads
            and pattern(arrays) == self.pattern
            and self.modules.hold()
            and all(len(now) == n and still(now, was) for now, was, n in self.counting)
            and all(o.state is s and groups_hold(o, groups) for o, s, groups in self.optimizers)
            and all(map(is_, [s.get(p) for s, p in self.remembering], self.remembered))
            and self.states.hold()
            and all(map(is_, [t._leaf for t in self.with_leaves], self.leaves))
            and [(leaf.hooks, leaf.ready_hooks) for leaf in self.leaves] == self.leaf_hooks
            and all(seen_by(hooks) == was for hooks, was in self.hooks)
            and all(same(value, option(*read)) for read, value in self.options)
            and self.branches()
        )


def mode() -> tuple[Any, ...]:
    """The switches that change what an op does."""
    return (
        recording.get(),
        registry._pin.get(),
        get_default_dtype(),
        get_default_device(),
        anomaly.watching.get(),
    )


def signature(tree: Any) -> Any:
    """The arguments without their numbers: shapes, dtypes, layout, gradients wanted; the rest."""

    def describe(x: Any) -> Any:
        if isinstance(x, Tensor):
            array = x.array
            return (type(x), array.shape, array.dtype, array.strides, x._requires_grad)
        if isinstance(x, np.ndarray):
            return (np.ndarray, x.shape, x.dtype, x.strides)
        return exactly(x)

    return mapped(tree, describe)


def outside(step: Callable[..., Any]) -> list[tuple[Callable[[], Any], Any]]:
    """What the code of the step names: its closure and globals, and what is there now."""
    function = function_of(step)
    if function is None:
        return []
    cells, values = function.__closure__ or (), function.__globals__
    found = [(functools.partial(contents, cell), contents(cell)) for cell in cells]
    names = [name for name in function.__code__.co_names if name in values]
    return found + [(functools.partial(values.get, name), values[name]) for name in names]


def watched(step: Callable[..., Any], args: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Objects that the step is given or names, with those attributes that its code names."""
    function = function_of(step)
    if function is None:
        return []
    given: list[Any] = [getattr(step, "__self__", None), *[x for _, x in outside(step)]]
    mapped(args, given.append)
    names = function.__code__.co_names
    plain = [x for x in given if hasattr(x, "__dict__") and not isinstance(x, NOT_WATCHED)]
    return [(x, {k: vars(x)[k] for k in names if k in vars(x)}) for x in plain]


def function_of(step: Any) -> types.FunctionType | None:
    """The Python function behind something that can be called, if there is one."""
    if not isinstance(step, (types.FunctionType, types.MethodType)):
        step = type(step).__call__  # an object that can be called
    function = getattr(step, "__func__", step)
    return function if isinstance(function, types.FunctionType) else None


def contents(cell: Any) -> Any:
    """What a variable of a closure holds; None before it is set."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def branches_of(branches: list[tuple[str, bool]], reads: list[Any]) -> Callable[[], bool]:
    """Whether the options of the optimizers still answer as they did."""
    if not branches:
        return lambda: True
    asked = [(k, read, args) for k, (read, args, _) in enumerate(reads) if read is option]
    parts = [text if answer else f"not {text}" for text, answer in dict(branches).items()]
    names = ", ".join(f"h{k}" for k, _, _ in asked)
    code = f"lambda {names}: {' and '.join(parts)}"
    check = eval(code, {"inf": float("inf"), "nan": float("nan")})
    return lambda: bool(check(*[read(*args) for _, read, args in asked]))


def groups_hold(optimizer: Any, groups: list[Any]) -> bool:
    """Whether an optimizer moves the same parameters in the same groups."""
    now = optimizer.param_groups
    return len(now) == len(groups) and all(
        g is old and g["params"] is params and len(params) == n
        for g, (old, params, n) in zip(now, groups, strict=True)
    )


def seen_by(hooks: Any) -> list[Any]:
    """The functions that look at the gradient of a leaf."""
    return [h for functions in hooks.seen_by.values() for h in functions]


def pattern(arrays: list[Any]) -> list[int]:
    """Which of the arrays are one and the same."""
    ids = [id(x) for x in arrays]
    return [ids.index(i) for i in ids]
