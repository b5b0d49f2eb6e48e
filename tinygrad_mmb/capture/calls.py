"""What a recording cannot look into is one call: twins of the kernel table, and references whose
forward is more than array code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinygrad_mmb.capture.errors import CaptureError, UntraceableError, said, user_line
from tinygrad_mmb.capture.graph import Node, Value, mapped
from tinygrad_mmb.capture.names import Names
from tinygrad_mmb.capture.recording import Recording, leaves, plain, true
from tinygrad_mmb.capture.storage import bits_equal

INSIDE = object()  # in the template of a call: this output is memory that is known already
CONSTANT = (bool, int, float, str, bytes, type(None), np.dtype)  # must not change in a replay


class Calls(Names):
    """Records calls of whole functions of arrays."""

    def __init__(self, expected: dict[int, tuple[Any, int]]) -> None:
        super().__init__(expected)
        self.branches: list[tuple[str, bool]] = []  # what the step decided by an option
        self.decisions: list[tuple[Value, int]] = []  # ... and by integers that it was given
        self._opaque: set[Any] = set()

    def reference(self, function: Any) -> Callable[..., Any]:
        """The forward of an op: looked into where all of it is array code, else one call."""
        return partial(self._forward, function) if self.listens else function.forward

    def _forward(self, function: Any, *arrays: Any) -> Any:
        if function not in self._opaque:
            mark, branches, decisions = self.mark(), len(self.branches), len(self.decisions)
            self.inside += 1
            try:
                y = function.forward(*arrays)
                mapped(y, require_recorded)
                return y
            except Exception:
                self.take_back(mark)
                del self.branches[branches:], self.decisions[decisions:]
                self._opaque.add(function)
            finally:
                self.inside -= 1
        return self.call(function.forward, arrays, {}, function.__name__)

    def call(self, function: Any, args: Any, options: Any, name: str) -> Any:
        """One call of a function of arrays that does not change them."""
        if not self.listens:
            return plain(function, args, options)
        names, named = mapped(args, self.named), mapped(options, self.named)
        held = [
            x for x in leaves((args, options)) if type(x) is Recording and x.look.storage.is_input
        ]
        before = [x.value.copy() for x in held]
        with self.unseen():
            result = function(*mapped(args, true), **mapped(options, true))
        if not all(bits_equal(x.value, was) for x, was in zip(held, before, strict=True)):
            for x, was in zip(held, before, strict=True):
                x.value[...] = was
            raise CaptureError(
                f"{said(user_line())}: {name} writes into an array that it was given. A function "
                "of arrays returns new ones: start with x = x.copy()."
            )
        node = self.emit("call", name, tuple(names), named, function=function)
        found = mapped(result, partial(self._found, node))
        node.template = mapped(found, partial(self._template, node))
        return found

    def _found(self, node: Node, leaf: Any) -> Any:
        if isinstance(leaf, np.generic) and leaf.dtype.kind in "fiub":
            return self.fresh(node, leaf)
        if not isinstance(leaf, np.ndarray):
            if not isinstance(leaf, CONSTANT):
                value = Value(node, len(node.outputs), (), np.dtype(object), ())
                node.outputs.append(value)
                self._objects[id(leaf)] = (leaf, value)
            return leaf
        known = self.around(leaf)
        if known is None:
            return self.fresh(node, leaf)
        storage = known.look.storage
        if known.look.region is None and not storage.is_input and storage.value in node.values():
            node.writes.append(storage.value)  # it may be the gradient of before, scaled
            storage.holds(self.output(node, leaf))
            node.written.append(storage.value)
        return known

    def _template(self, node: Node, leaf: Any) -> Any:
        """What a call returned, for the replay: which of its outputs stands where."""
        if type(leaf) is not Recording:
            return self._objects[id(leaf)][1] if id(leaf) in self._objects else leaf
        value = leaf.look.storage.value
        return value if leaf.look.region is None and value.node is node else INSIDE

    def declines(self, args: Any, options: Any) -> bool:
        """Whether a twin may not be asked: never here, its call takes this step's numbers."""
        return False

    def twin(self, key: str, run: Any, *args: Any, **options: Any) -> Any:
        """One call of a twin from the kernel table."""
        if not self.listens:
            return run(*args, **options)
        if key.endswith(".update"):
            return self._update(key, run, args, options)
        return self.call(run, args, options, key)

    def _update(self, key: str, run: Any, args: Any, options: Any) -> None:
        """A twin of an optimizer: it writes into the parameters and what is remembered of them."""
        thetas, _, states, _ = args
        targets = [self.enter(true(x)) for x in (*thetas, *[x for s in states for x in s.values()])]
        if any(x.look.region is not None for x in targets):
            raise CaptureError(f"{said(user_line())}: {key}: parameters share memory")
        names, named = mapped(args, self.named), mapped(options, self.named)
        for x in targets:
            self.before_write(x)
        raw = mapped(args, true)
        with self.unseen():
            run(*raw, **mapped(options, true))
        for state, after in zip(states, raw[2], strict=True):
            state.update({k: v for k, v in after.items() if k not in state})
        writes = [x.look.storage.value for x in targets]
        node = self.emit("update", key, tuple(names), named, function=run, writes=writes)
        for x in targets:
            storage = x.look.storage
            storage.holds(self.output(node, storage.first))
            node.written.append(storage.value)


def require_recorded(leaf: Any) -> Any:
    """Raise for an array that the recording does not know."""
    if type(leaf) is np.ndarray or isinstance(leaf, np.generic):
        raise UntraceableError
    return leaf
