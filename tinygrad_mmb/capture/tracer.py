"""The recorder of one step: it runs the step for real and writes down what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mmb.capture.calls import Calls
from tinygrad_mmb.capture.errors import UntraceableError
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.places import as_tuple, is_basic, is_whole, put_places, take_places
from tinygrad_mmb.capture.recording import Namespace, Recording, plain, true
from tinygrad_mmb.capture.scalars import Scalar, symbols
from tinygrad_mmb.capture.storage import shares

SHAPES = {np.broadcast_to, np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims,
          np.squeeze, np.ravel, np.flip, np.atleast_1d, np.atleast_2d, np.diagonal}  # fmt: skip
HOST = {np.shape, np.ndim, np.size, np.result_type, np.may_share_memory, np.shares_memory,
        np.can_cast, np.zeros_like, np.ones_like, np.iscomplexobj, np.isrealobj,
        np.broadcast_shapes, np.min_scalar_type}  # fmt: skip


class Tracer(Calls):
    """Records until `done`; afterwards its recordings are plain arrays to read."""

    def __init__(self, expected: dict[int, tuple[Any, int]]) -> None:
        super().__init__(expected)
        self.before_host: Callable[[Any, Any], None] = lambda read, args: None
        self.reads: list[tuple[Any, tuple[Any, ...], Any]] = []  # numbers that the host makes anew
        self.namespace = Namespace(self)

    def as_array(self, x: Recording) -> Recording:
        """The same numbers as an array, where NumPy had made a scalar."""
        if not x.scalar:
            return x
        return Recording(self, x.value, x.look, False)

    # -- what computes

    def ufunc(self, ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
        """One call of a NumPy ufunc."""
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        out = options.pop("out", None) if options else None
        if not self.listens:
            return plain(function, inputs, options, out)
        if method == "at":
            raise self.untraceable(f"{ufunc.__name__}.at writes at places named by an array")
        if ufunc.nout > 1 or method not in ("__call__", "reduce"):
            if out is not None:
                raise self.untraceable(f"{ufunc.__name__}.{method} with out=")
            return self.call(function, inputs, options, ufunc.__name__)
        target = None if out is None else out[0]
        if target is not None and type(target) is not Recording:
            target = self.enter(target)
        if target is not None and target.scalar:
            target = None
        names = tuple([self.named(x) for x in inputs])
        named = {k: self.named(x) for k, x in options.items()} if options else {}
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.reduce"
        raw = [true(x) for x in inputs]
        raw_options = {k: true(x) for k, x in options.items()} if options else {}
        if target is None:
            array = function(*raw, **raw_options)
            node = self.emit("ufunc", name, names, named, function=function)
            return self.fresh(node, array)
        self.before_write(target)
        function(*raw, out=target.value, **raw_options)
        self.wrote(target, self.emit("ufunc", name, names, named, function=function))
        return target if out is None else out[0]

    def function(self, function: Any, args: Any, options: dict[str, Any]) -> Any:
        """One call of another NumPy function."""
        if not self.listens:
            return plain(function, args, options)
        if function in HOST or function in (np.full_like, np.empty_like):
            return function(*mapped(args, true), **mapped(options, true))
        if function in SHAPES and type(args[0]) is Recording:
            return self.view(args[0], function, args[1:], options)
        if function is np.linalg.norm and not options and is_euclidean(args):
            flat = args[0].ravel("K")  # NumPy's own formula
            return self.ufunc(np.sqrt, "__call__", (flat.dot(flat),), {})
        if function is np.copyto:
            return self.setitem(args[0], ..., args[1])
        if function is np.put or function is np.place or function is np.fill_diagonal:
            raise self.untraceable(f"numpy.{function.__name__} writes at places named by an array")
        out = options.pop("out", None)
        y = self.call(function, args, options, function.__name__)
        if out is None:
            return y
        self.setitem(out, ..., y)
        return out

    def view(self, x: Recording, function: Any, args: Any, options: Any = None) -> Any:
        """A function that looks at the memory of x if it can, and copies if not."""
        if not self.listens:
            return function(x.value, *args, **(options or {}))
        array = function(x.value, *args, **(options or {}))
        if array is x.value:
            return x
        if shares(array, x.value):
            return self.looking(array, x)
        if array.size != x.size or not array.flags.c_contiguous:
            return self.call(function, (x, *args), options or {}, function.__name__)
        copied = self.copied(x, array.reshape(x.shape))
        return self.looking(array, copied)

    def copied(self, x: Recording, array: Any) -> Any:
        """A copy of x, perhaps in another dtype or layout, that `array` holds already."""
        if not self.listens:
            return array
        node = self.emit("copy", "copy", (x.look.name(self),))
        return self.fresh(node, array)

    def empty(self, array: Any) -> Any:
        """New memory whose values nobody knows."""
        return self.fresh(self.emit("empty", "empty", ()), array) if self.listens else array

    def getitem(self, x: Recording, key: Any) -> Any:
        """x[key]: a view where the key is of slices and numbers."""
        if not self.listens:
            return x.value[mapped(key, true)]
        if is_basic(key):
            array = x.value[key]
            if isinstance(array, np.ndarray):
                return self.view(x, np.ndarray.__getitem__, (key,))
            return self.looking(x.value[(*as_tuple(key), ...)], x, scalar=True)
        return self.call(take_places, (x, key), {}, "getitem")

    def setitem(self, x: Any, key: Any, source: Any) -> None:
        """x[key] = source."""
        if not self.listens:
            true(x)[mapped(key, true)] = true(source)
            return
        x = x if type(x) is Recording else self.enter(x)
        if not is_basic(key):
            if self.inside:
                raise UntraceableError
            source, key = self.call(put_places, (x, key, source), {}, "setitem"), ...
        target = x if key is ... or is_whole(key) else self.getitem(x, key)
        source = self.as_operand(source)
        name = self.named(source)
        self.before_write(target)
        target.value[...] = true(source)
        self.wrote(target, self.emit("copy", "copy", (name,)))

    def as_operand(self, x: Any) -> Any:
        """Lists as arrays."""
        return np.asarray(x) if isinstance(x, (list, tuple)) else x

    # -- numbers of the host

    def host(self, read: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """A number that the host makes anew at every step, as a symbol."""
        if not self.listens:
            return read(*args)
        self.before_host(read, args)
        with self.unseen():
            value = read(*args)
        return symbols(Scalar, self, read, args, value)

    def decide(self, x: Recording, exact: bool) -> bool:
        """Whether the host may read x: one whole number that depends only on whole numbers given
        to the step. Checks of labels and indices do so. The plan asks again before every replay.
        """
        if x.size != 1 or x.dtype.kind not in "iub":
            return False
        value = x.look.name(self)
        cone, todo = {id(value.node)}, [value]
        while todo:
            at = todo.pop()
            node = at.node
            if node.kind == "input" and at.dtype.kind not in "iub":
                return False
            if node.kind not in ("input", "view", "ufunc", "copy", "call"):
                return False
            for source in node.values():
                if id(source.node) not in cone:
                    cone.add(id(source.node))
                    todo.append(source)
        self.decisions.append((value, x.value.item() if exact else bool(x.value)))
        return True


def is_euclidean(args: Any) -> bool:
    """Whether these are arguments of numpy.linalg.norm for the length of a vector."""
    x, *order = args
    return type(x) is Recording and x.dtype.kind == "f" and (
        order in ([], [None]) or (order in ([2], [2.0]) and x.ndim == 1)
    )  # fmt: skip
