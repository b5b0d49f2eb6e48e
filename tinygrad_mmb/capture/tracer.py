"""The recorder of one step: it runs the step for real and writes down what was done.

Every array is known by its memory. A storage is one piece of memory: its value is what it holds
now, and a write gives it a new one. A recording is the storage itself or looks at a region of it,
so views see each other's writes, as in NumPy.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from tinygrad_mmb.capture.errors import CaptureError, UntraceableError, said, user_line
from tinygrad_mmb.capture.graph import Node, Region, Value, mapped
from tinygrad_mmb.capture.places import as_tuple, is_basic, is_whole, put_places, take_places
from tinygrad_mmb.capture.recording import Namespace, Recording
from tinygrad_mmb.capture.scalars import Scalar
from tinygrad_mmb.capture.storage import Storage, region_of, shares, span
from tinygrad_mmb.optim.optimizer import option

SHAPES = {np.broadcast_to, np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims,
          np.squeeze, np.ravel, np.flip, np.atleast_1d, np.atleast_2d, np.diagonal}  # fmt: skip
HOST = {np.shape, np.ndim, np.size, np.result_type, np.may_share_memory, np.shares_memory,
        np.can_cast, np.zeros_like, np.ones_like, np.iscomplexobj, np.isrealobj,
        np.broadcast_shapes, np.min_scalar_type}  # fmt: skip
INSIDE = object()  # in the template of a call: this output is memory that is known already
NUMBERS = (int, float)
CONSTANT = (bool, int, float, str, bytes, type(None), np.dtype)  # must not change in a replay


class Tracer:
    """Records until `done`; afterwards its recordings are plain arrays to read.

    `expected` tells, by id, of arrays and what they hold when the step begins.
    """

    def __init__(self, expected: dict[int, tuple[Any, Any]]) -> None:
        self.expected = expected
        self.before_host: Callable[[Any, Any], None] = lambda read, args: None
        self.nodes: list[Node] = []
        self.storages: list[Storage] = []
        self.reads: list[tuple[Any, tuple[Any, ...], Any]] = []  # numbers that the host makes anew
        self.branches: list[tuple[str, bool]] = []  # what the step decided by an option
        self.decisions: list[tuple[Value, int]] = []  # ... and by integers that it was given
        self.overlaps: list[tuple[Storage, Any]] = []  # inputs that share part of their memory
        self.namespace = Namespace(self)
        self.done = False
        self.thread = threading.get_ident()
        self.paused = 0  #   the true arrays are computed with, unseen
        self.inside = 0  #   in the forward of an op: what cannot be looked into is one call
        self._by_id: dict[int, Recording] = {}
        self._recordings: list[Recording] = []  # keeps the arrays alive, and so their ids
        self._objects: dict[int, tuple[Any, Value]] = {}  # by-products of calls that are no arrays
        self._opaque: set[Any] = set()
        self._starts: list[int] = []
        self._spans: list[tuple[int, Storage]] = []  # (end, storage), in the order of _starts

    # -- who is being recorded

    @property
    def listens(self) -> bool:
        """Whether this thread is being recorded at this moment."""
        return not self.paused and not self.done and threading.get_ident() == self.thread

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Compute on the true arrays without recording."""
        self.paused += 1
        try:
            yield
        finally:
            self.paused -= 1

    # -- names

    def named(self, x: Any) -> Any:
        """What stands for x in a node: a Value, a Scalar, or x itself if it is no array."""
        if type(x) is Recording:
            return x.name()
        if isinstance(x, np.ndarray):
            return self.enter(x).name()
        return self._objects[id(x)][1] if id(x) in self._objects else x

    def look(self, x: Recording) -> Value:
        """The value of a region of a storage."""
        node = self.emit("view", "view", (x.storage.value,), region=x.region)
        return self.output(node, x.value)

    def emit(self, kind: str, name: str, args: Any, options: Any = None, **more: Any) -> Node:
        """Write down one node."""
        node = Node(kind, name, args, options or {}, line=user_line(), **more)
        self.nodes.append(node)
        return node

    def output(self, node: Node, array: Any) -> Value:
        """One more output of a node, described by its array."""
        value = Value(node, len(node.outputs), array.shape, array.dtype, array.strides)
        node.outputs.append(value)
        return value

    def fresh(self, node: Node, array: Any) -> Recording:
        """The output of a node in memory of its own."""
        scalar = not isinstance(array, np.ndarray)
        array = np.asarray(array)
        return self._keep(array, Storage(array, self.output(node, array)), None, scalar)

    def _keep(
        self, array: Any, storage: Storage, region: Region | None, scalar: bool = False
    ) -> Recording:
        x = Recording(self, array, storage, region, scalar)
        self._by_id[id(array)] = x
        self._recordings.append(x)
        if storage.root is array:
            self.storages.append(storage)
            self._place(storage)
        return x

    def _place(self, storage: Storage) -> None:
        if not storage.root.size:
            return
        start, end = span(storage.root)
        at = bisect.bisect_left(self._starts, start)
        self._starts.insert(at, start)
        self._spans.insert(at, (end, storage))

    def _around(self, array: Any) -> Recording | None:
        """The recording of an array that lies in memory that is known."""
        known = self._by_id.get(id(array))
        if known is not None or not array.size:
            return known
        start, end = span(array)
        at = bisect.bisect_right(self._starts, start) - 1
        for k in (at, at + 1):
            if not 0 <= k < len(self._starts):
                continue
            other_end, storage = self._spans[k]
            if start >= self._starts[k] and end <= other_end:
                return self._keep(array, storage, region_of(array, storage.root))
            if start < other_end and self._starts[k] < end:
                self.overlaps.append((storage, array))
        return None

    def enter(self, array: Any, seen: bool = False) -> Recording:
        """The recording of an array of the outside world. `seen`: a Tensor holds it."""
        if not isinstance(array, np.ndarray):
            raise CaptureError(
                f"{said(user_line())}: capture runs steps on the CPU, and an array of shape "
                f"{array.shape} is a {type(array).__module__} array. Run this step as it is."
            )
        x = self._around(array)
        if x is None:
            if self.inside and not seen:
                raise UntraceableError
            if id(array) in self.expected:
                self._check_unseen(array, self.expected[id(array)][1])
            x = self.fresh(self.emit("input", "input", ()), array)
        return x

    def _check_unseen(self, array: Any, before: Any) -> None:
        if not np.array_equal(array, before, equal_nan=array.dtype.kind == "f"):
            raise CaptureError(
                f"{said(user_line())}: an array of shape {array.shape} was changed in this step by "
                "code that the capture cannot see: it computes with a NumPy array that it held "
                "from before. Take it from the Tensor inside the step, or change it outside."
            )

    def as_array(self, x: Recording) -> Recording:
        """The same numbers as an array, where NumPy had made a scalar."""
        if not x.scalar:
            return x
        return Recording(self, x.value, x.storage, x.region, False)

    # -- what computes

    def ufunc(self, ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
        """One call of a NumPy ufunc."""
        function = getattr(ufunc, method)
        out = options.pop("out", None)
        if not self.listens:
            return plain(function, inputs, options, out)
        if method == "at":
            raise self.untraceable(f"{ufunc.__name__}.at writes at places named by an array")
        if ufunc.nout > 1 or method not in ("__call__", "reduce"):
            if out is not None:
                raise self.untraceable(f"{ufunc.__name__}.{method} with out=")
            return self.call(function, inputs, options, ufunc.__name__)
        target = None if out is None or out[0] is None else out[0]
        if target is not None and type(target) is not Recording:
            target = self.enter(target)
        if target is not None and target.scalar:
            target = None
        names = tuple([self.named(x) for x in inputs])
        named = {k: self.named(x) for k, x in options.items()}
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.reduce"
        raw = [true(x) for x in inputs]
        raw_options = {k: true(x) for k, x in options.items()}
        if target is None:
            array = function(*raw, **raw_options)
            node = self.emit("ufunc", name, names, named, function=function)
            return self.fresh(node, array)
        self.before_write(target)
        function(*raw, out=target.value, **raw_options)
        self.wrote(target, self.emit("ufunc", name, names, named, function=function))
        return out[0]

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
            return self._keep(array, x.storage, region_of(array, x.storage.root))
        if array.size != x.size or not array.flags.c_contiguous:
            return self.call(function, (x, *args), options or {}, function.__name__)
        copied = self.copied(x, array.reshape(x.shape))
        return self._keep(array, copied.storage, region_of(array, copied.storage.root))

    def copied(self, x: Recording, array: Any) -> Any:
        """A copy of x, perhaps in another dtype or layout, that `array` holds already."""
        if not self.listens:
            return array
        node = self.emit("copy", "copy", (x.name(),))
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
            region = region_of(x.value[(*as_tuple(key), ...)], x.storage.root)
            return self._keep(x.value[(*as_tuple(key), ...)], x.storage, region, scalar=True)
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

    # -- what writes

    def before_write(self, x: Recording) -> None:
        """Keep what an input held, for a refusal to put back."""
        storage = x.storage
        if self.inside and (storage.is_input or not covers(x)):
            raise UntraceableError
        if not x.value.flags.writeable:
            return  # NumPy will say it
        if storage.is_input and storage.initial is None:
            storage.initial = storage.root.copy(order="K")

    def wrote(self, x: Recording, node: Node) -> None:
        """The output of `node` is what x holds from now on."""
        value = self.output(node, x.value)
        storage = x.storage
        if x.region is not None:
            node = self.emit("put", "put", (storage.value, value), region=x.region)
            value = self.output(node, storage.root)
        storage.holds(value)

    # -- what is one call

    def reference(self, function: Any) -> Callable[..., Any]:
        """The forward of an op: looked into where all of it is array code, else one call."""
        return partial(self._forward, function) if self.listens else function.forward

    def _forward(self, function: Any, *arrays: Any) -> Any:
        if function not in self._opaque:
            mark = self._mark()
            self.inside += 1
            try:
                y = function.forward(*arrays)
                mapped(y, require_recorded)
                return y
            except Exception:
                self._take_back(mark)
                self._opaque.add(function)
            finally:
                self.inside -= 1
        return self.call(function.forward, arrays, {}, function.__name__)

    def _mark(self) -> tuple[int, ...]:
        lists = (self.nodes, self.storages, self._recordings, self.branches, self.decisions)
        return tuple([len(x) for x in lists])

    def _take_back(self, mark: tuple[int, ...]) -> None:
        nodes, storages, recordings, branches, decisions = mark
        for node in self.nodes[nodes:]:
            node.alive = False
        gone = set(map(id, self.storages[storages:]))
        for x in self._recordings[recordings:]:
            self._by_id.pop(id(x.value), None)
        kept = [k for k, (_, s) in enumerate(self._spans) if id(s) not in gone]
        self._starts = [self._starts[k] for k in kept]
        self._spans = [self._spans[k] for k in kept]
        del self.nodes[nodes:], self.storages[storages:], self._recordings[recordings:]
        del self.branches[branches:], self.decisions[decisions:]

    def call(self, function: Any, args: Any, options: Any, name: str) -> Any:
        """One call of a function of arrays that does not change them."""
        if not self.listens:
            return plain(function, args, options)
        names, named = mapped(args, self.named), mapped(options, self.named)
        held = [x for x in leaves((args, options)) if type(x) is Recording and x.storage.is_input]
        before = [x.value.copy() for x in held]
        with self.unseen():
            result = function(*mapped(args, true), **mapped(options, true))
        if any(x.value.tobytes() != was.tobytes() for x, was in zip(held, before, strict=True)):
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
        known = self._around(leaf)
        if known is None:
            return self.fresh(node, leaf)
        storage = known.storage
        if known.region is None and not storage.is_input and storage.value in node.values():
            node.writes.append(storage.value)  # it may be the gradient of before, scaled
            storage.holds(self.output(node, leaf))
            node.written.append(storage.value)
        return known

    def _template(self, node: Node, leaf: Any) -> Any:
        """What a call returned, for the replay: which of its outputs stands where."""
        if type(leaf) is not Recording:
            return self._objects[id(leaf)][1] if id(leaf) in self._objects else leaf
        value = leaf.storage.value
        return value if leaf.region is None and value.node is node else INSIDE

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
        if any(x.region is not None for x in targets):
            raise CaptureError(f"{said(user_line())}: {key}: parameters share memory")
        names, named = mapped(args, self.named), mapped(options, self.named)
        for x in targets:
            self.before_write(x)
        raw = mapped(args, true)
        with self.unseen():
            run(*raw, **mapped(options, true))
        for state, after in zip(states, raw[2], strict=True):
            state.update({k: v for k, v in after.items() if k not in state})
        writes = [x.storage.value for x in targets]
        node = self.emit("update", key, tuple(names), named, function=run, writes=writes)
        for x in targets:
            x.storage.holds(self.output(node, x.storage.root))
            node.written.append(x.storage.value)

    # -- numbers of the host

    def host(self, read: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """A number that the host makes anew at every step, as a symbol."""
        if not self.listens:
            return read(*args)
        self.before_host(read, args)
        with self.unseen():
            value = read(*args)
        text, fixed = f"h{len(self.reads)}", read is option
        self.reads.append((read, args, value))
        if type(value) is tuple and all(type(x) in NUMBERS for x in value):
            return tuple([Scalar(self, x, f"{text}[{k}]", fixed) for k, x in enumerate(value)])
        return Scalar(self, value, text, fixed) if type(value) in NUMBERS else value

    def decide(self, x: Recording, exact: bool) -> bool:
        """Whether the host may read x: one whole number that depends only on whole numbers given
        to the step. Checks of labels and indices do so. The plan asks again before every replay.
        """
        if x.size != 1 or x.dtype.kind not in "iub":
            return False
        value = x.name()
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

    def forget(self) -> None:
        """Let go of all arrays: the recording is done, and its nodes need none."""
        self._recordings.clear()
        self._by_id.clear()
        self.storages.clear()
        self._spans.clear()
        self._starts.clear()
        self._objects.clear()
        self.expected = {}

    def untraceable(self, what: str) -> Exception:
        """What to raise for what cannot be recorded: inside an op, it becomes one call."""
        if self.inside:
            return UntraceableError()
        return CaptureError(
            f"{said(user_line())}: {what}, which a capture cannot follow. Put it into the forward "
            "of a Function, or pass fallback=True to run such steps eagerly."
        )


def leaves(tree: Any) -> list[Any]:
    """All leaves of nested arguments."""
    found: list[Any] = []
    mapped(tree, found.append)
    return found


def true(x: Any) -> Any:
    """The array or number itself."""
    return x.value if type(x) is Recording or type(x) is Scalar else x


def plain(function: Any, args: Any, options: Any, out: Any = None) -> Any:
    """The call on the true arrays."""
    options = mapped(options, true)
    if out is not None:
        options["out"] = mapped(out, true)
    return function(*mapped(tuple(args), true), **options)


def is_euclidean(args: Any) -> bool:
    """Whether these are arguments of numpy.linalg.norm for the length of a vector."""
    x, *order = args
    return type(x) is Recording and x.dtype.kind == "f" and (
        order in ([], [None]) or (order in ([2], [2.0]) and x.ndim == 1)
    )  # fmt: skip


def covers(x: Recording) -> bool:
    """Whether a recording stands for every number of its storage."""
    return x.region is None or (
        x.nbytes == x.storage.root.nbytes and 0 not in x.region.strides  # no number twice
    )


def require_recorded(leaf: Any) -> Any:
    """Raise for an array that the recording does not know."""
    if type(leaf) is np.ndarray or isinstance(leaf, np.generic):
        raise UntraceableError
    return leaf
