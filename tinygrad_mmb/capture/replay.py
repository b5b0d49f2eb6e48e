"""Replay in NumPy: the instructions of a plan on arrays that are there already.

Every operand is an array made once, every result is written into one by out=, so a replay is a
loop over calls of NumPy and of twins. It computes bit for bit what the recorded step computed:
the same functions, in an order that changes no number, on memory that lies in the same way.
(Cutting long elementwise passes into blocks that fit the cache was tried, and is slower here: each
call of NumPy costs more than what the cache gives back.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import wrap
from tinygrad_mmb.capture.calls import INSIDE
from tinygrad_mmb.capture.errors import CaptureError
from tinygrad_mmb.capture.graph import NESTS, mapped
from tinygrad_mmb.capture.plan import Copied, Given, Instruction, Operand, Plan, Slot

Step = tuple[Callable[..., Any], Any, dict[str, Any]]


class Replay:
    """A plan with its memory, ready to run. One thread at a time."""

    def __init__(self, plan: Plan, arena: Any = None) -> None:
        self.plan = plan
        self.arena = aligned(plan.arena_bytes) if arena is None else arena
        self.memory = [self.arena if b.kind == "arena" else b.array for b in plan.buffers]
        self.targets: dict[Any, list[tuple[Any, Any, Any]]] = {}  # who waits for it
        self.steps: list[Step] = []
        self._arrays: dict[Operand, Any] = {}
        self.scalars = compiled(plan.scalars, len(plan.reads))
        for one in plan.instructions:
            self._prepare(one)
        self.inputs = [(c, self.array(c.place)) for c in plan.inputs]
        self.gradients = [
            (t, None if place is None else wrap(self.array(place))) for t, place in plan.gradients
        ]
        self.back = [(k, self.array(place)) for k, place in plan.copied_back]
        self.slots = [self.targets.get(Slot(k), []) for k in range(len(plan.scalars))]
        self.results: list[Any] = [None] * len(plan.buffers)  # of calls, those that are handed out

    # -- once

    def array(self, place: Operand) -> Any:
        """The array at a place that does not move."""
        found = self._arrays.get(place)
        if found is None:
            found = self._arrays[place] = at(self.memory[place.buffer], place)
        return found

    def moves(self, x: Any) -> bool:
        """Whether an operand is known only while a replay runs."""
        if isinstance(x, Operand):
            return self.plan.buffers[x.buffer].kind == "result"
        return isinstance(x, Slot)

    def _prepare(self, one: Instruction) -> None:
        function, options = one.function, one.options
        if one.kind in ("ufunc", "numpy"):
            self._step(function, one.inputs, {**options, "out": one.outputs[0]})
        elif one.kind == "copy":
            self._step(np.copyto, (one.outputs[0], *one.inputs), {"casting": "unsafe"})
        elif one.kind == "put":
            old, source = one.inputs
            if old != one.outputs[0]:
                self._step(np.copyto, (one.outputs[0], old), {})
            self._step(np.copyto, (one.part, source), {"casting": "unsafe"})
        elif one.kind == "call":
            self._step(self._handing_out(one), one.inputs, options)
        else:
            self._step(function, one.inputs, options)

    def _step(self, function: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        """One call, its arguments filled in as far as they are known."""
        finish: list[tuple[Any, Any, Any, Any]] = []
        args: list[Any] = [None] * len(inputs)
        named: dict[str, Any] = dict.fromkeys(options)
        for k, x in [*enumerate(inputs), *options.items()]:
            self._fill(named if isinstance(k, str) else args, k, x, finish)
        if finish:
            function = finishing(function, finish, args, named)
        self.steps.append((function, args, named))

    def _fill(self, container: Any, key: Any, x: Any, finish: list[Any]) -> None:
        """Put an argument where the call finds it, or note where it is to be put."""
        if isinstance(x, Operand):
            if not self.moves(x):
                container[key] = self.array(x)
            else:
                container[key] = None
                self.targets.setdefault(x.buffer, []).append((container, key, x))
        elif isinstance(x, Slot):
            container[key] = None
            self.targets.setdefault(x, []).append((container, key, None))
        elif isinstance(x, dict):
            container[key] = made = dict.fromkeys(x)
            for k, item in x.items():
                self._fill(made, k, item, finish)
        elif isinstance(x, (list, tuple)):
            items: list[Any] = [None] * len(x)
            for k, item in enumerate(x):
                self._fill(items, k, item, finish)
            container[key] = as_type(type(x), items)
            if isinstance(x, list) or any(self.moves(leaf) for leaf in flat(x)):
                finish.append((container, key, items, type(x)))  # a list may be emptied by the call
        else:
            container[key] = x

    def _handing_out(self, one: Instruction) -> Callable[..., None]:
        """A call whose results go to whoever waits for them."""
        for place in one.outputs:
            self.targets.setdefault(place.buffer, [])
        function, template, name = one.function, one.template, one.name
        assert function is not None
        if isinstance(template, Operand):
            return lambda *args, **more: self._hand_out(template, function(*args, **more))
        return lambda *args, **more: spread(self._hand_out, template, function(*args, **more), name)

    def _hand_out(self, place: Operand, array: Any) -> None:
        """Give a result to all that read it."""
        if place.dtype.kind == "O":  # a by-product that is no array: handed on as it is
            for container, key, _ in self.targets[place.buffer]:
                container[key] = array
            return
        if array.shape != place.shape or array.strides != place.strides:
            array = laid(array, place)
        if self.plan.buffers[place.buffer].kind != "result":
            np.copyto(self.array(place), array)
            return
        self.results[place.buffer] = array
        for container, key, wanted in self.targets[place.buffer]:
            if wanted.shape == place.shape and wanted.strides == place.strides:
                container[key] = array if wanted.dtype == place.dtype else at(array, wanted)
            else:
                container[key] = at(array, wanted)

    # -- at each step

    def run(self, arrays: list[Any], hosts: list[Any] | None = None) -> Any:
        """One step. `arrays` are those handed in; `hosts` the host's numbers, if known already."""
        self._bring(arrays)
        if hosts is None:
            hosts = [read(*args) for read, args in self.plan.reads]
        for value, places in zip(self.scalars(*hosts), self.slots, strict=True):
            for container, key, _ in places:
                container[key] = value
        for function, args, options in self.steps:
            function(*args, **options)
        for t, grad in self.gradients:
            t._grad = grad
        for k, array in self.back:
            np.copyto(arrays[k], array)
        return mapped(self.plan.result, self._given) if self.plan.result is not None else None

    def _bring(self, arrays: list[Any]) -> None:
        """Copy what the step is given to where the plan expects it."""
        found = [self._found(copied, array, arrays) for copied, array in self.inputs]
        for (_, array), source in zip(self.inputs, found, strict=True):
            if source is not array:
                np.copyto(array, source)

    def _found(self, copied: Copied, array: Any, arrays: list[Any]) -> Any:
        """What is copied to `array`; if it lies in the arena, as a .grad does, a copy of it, before
        anything else is written there.
        """
        t: Any = copied.tensor
        source = arrays[copied.index] if t is None else t._grad.array
        if source is array or not np.may_share_memory(source, self.arena):
            return source
        if any(copied.kind == "argument" and k == copied.index for k, _ in self.back):
            raise CaptureError(
                f"capture: an argument of shape {array.shape} is a .grad that an earlier call of "
                "the captured step has left, and the step writes into it: it is memory of the "
                "plan. Pass x.clone()."
            )
        return source.copy(order="K")

    def _given(self, x: Any) -> Any:
        if not isinstance(x, Given):
            return x
        if self.moves(x.place):
            return x.leaf.out(at(self.results[x.place.buffer], x.place))
        return x.leaf.out(self.array(x.place))


def aligned(nbytes: int) -> Any:
    """New memory that starts at a multiple of 64 bytes."""
    block = np.zeros(nbytes + 64, np.uint8)
    start = -block.__array_interface__["data"][0] % 64
    return block[start : start + nbytes]


class _Memory:
    """A place in the memory of an array, as NumPy's array interface tells it."""

    def __init__(self, array: Any, place: Operand) -> None:
        self.array = array
        address, read_only = array.__array_interface__["data"]
        self.__array_interface__ = {
            "version": 3,
            "data": (address + place.offset, read_only),
            "shape": place.shape,
            "strides": place.strides,
            "typestr": place.dtype.str,
        }


def at(array: Any, place: Operand) -> Any:
    """The array that lies at a place of the memory of `array`."""
    if (not place.offset and array.shape == place.shape and array.strides == place.strides
            and array.dtype == place.dtype):  # fmt: skip
        return array
    if array.dtype == np.uint8 and array.flags.c_contiguous:  # the arena: it may be cut anywhere
        return np.ndarray(place.shape, place.dtype, array, place.offset, place.strides)
    return np.asarray(_Memory(array, place))


def laid(array: Any, place: Operand) -> Any:
    """The same numbers as the plan expects them to lie."""
    if array.shape != place.shape:
        raise CaptureError(
            f"a function of the captured step returned shape {array.shape} where it had returned "
            f"{place.shape} when the step was traced: its shape depends on the data, which a "
            "capture cannot follow. The step stopped halfway."
        )
    memory = aligned(sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))
                     + place.dtype.itemsize)  # fmt: skip
    made = np.asarray(_Memory(memory, place._replace(offset=0)))
    made[...] = array
    return made


def spread(hand_out: Callable[[Operand, Any], None], template: Any, result: Any, name: str) -> None:
    """Hand out the arrays inside what a call returned."""
    if isinstance(template, Operand):
        hand_out(template, result if template.dtype.kind == "O" else np.asarray(result))
    elif isinstance(template, (tuple, list)):
        for t, x in zip(template, result, strict=True):
            spread(hand_out, t, x, name)
    elif isinstance(template, dict):
        for k, t in template.items():
            spread(hand_out, t, result[k], name)
    elif template is not INSIDE and template is not result and template != result:
        raise CaptureError(
            f"{name} of the captured step returned {result!r} where it had returned {template!r} "
            "when the step was traced: a number of the host that depends on the data, which a "
            "capture cannot follow. The step stopped halfway."
        )


def flat(tree: Any) -> list[Any]:
    """All leaves; an Operand is one."""
    found: list[Any] = []
    add_leaves((tree,), found)
    return found


def add_leaves(items: Any, found: list[Any]) -> None:
    """Put all leaves of some items into a list."""
    for x in items:
        kind = type(x)
        if kind is Operand or not issubclass(kind, NESTS):
            found.append(x)
        else:
            add_leaves(x.values() if issubclass(kind, dict) else x, found)


def as_type(kind: Any, items: list[Any]) -> Any:
    """A list, a tuple, or a named tuple of that kind."""
    if kind is list:
        return list(items)
    return kind(*items) if hasattr(kind, "_fields") else tuple(items)


def finishing(function: Any, finish: list[Any], args: list[Any], named: Any) -> Any:
    """The call, after lists, and tuples with numbers of this step in them, have been made."""

    def call(*_: Any, **__: Any) -> Any:
        for container, key, items, kind in finish:
            container[key] = as_type(kind, items)
        return function(*args, **named)

    return call


def compiled(texts: list[str], count: int) -> Callable[..., tuple[Any, ...]]:
    """One function from the host's numbers h0, h1, ... to all scalars."""
    names = ", ".join(f"h{k}" for k in range(count))
    code = f"lambda {names}: ({', '.join(texts)}{',' if texts else ''})"
    function: Callable[..., tuple[Any, ...]] = eval(code, {"inf": math.inf, "nan": math.nan})
    return function
