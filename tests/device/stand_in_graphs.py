"""CUDA graphs for the stand-in: between begin_capture and end_capture nothing is computed.

What would have been launched is noted with the very arrays and numbers that it was given, and is
done at every launch on these: what the graph's owner has forgotten to make an input keeps the
number, or the memory, of when it was recorded. As CUDA, it refuses meanwhile what waits for the
device or copies from the host, and, stricter, memory from outside of the pool in use.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.device.stand_in import arrays as stand_in_arrays
from tests.device.stand_in import cuda, host_reads
from tests.device.stand_in.offers import OFFERS
from tests.device.stand_in.ufuncs import Ufunc

recording: list[Any] | None = None  # the launches noted so far
allocator: Any = None  #              as using_allocator has set it
inside = 0  #                         a function that another one calls is part of it
WAITS = {"nonzero", "flatnonzero", "argwhere", "unique", "compress", "extract"}  # for their size
COPIES = {"array", "asarray", "set"}  # they copy from the host where they are given its numbers
METHODS = ("__getitem__", "__setitem__", "__matmul__", "__rmatmul__", "astype", "fill", "set",
           "argsort", "sort", "scatter_add", "take", "round")  # fmt: skip
UFUNC = ("__call__", "reduce", "accumulate", "reduceat", "at")
WRITES = {"__setitem__", "fill", "set", "sort", "scatter_add", *UFUNC}


class UnsupportedError(RuntimeError):
    """As CUDA says it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"
            f" ({what})"
        )


class Graph:
    """cupy.cuda.Graph."""

    def __init__(self, launches: list[Any]) -> None:
        self.launches, self.count = launches, 0

    def upload(self, stream: Any = None) -> None: ...

    def launch(self, stream: Any = None) -> None:
        self.count += 1
        for run, args, options, results in self.launches:
            made = arrays((run(*args, **options),))
            for old, new in zip(results, made, strict=True):
                if not np.shares_memory(old._host, new._host):
                    old._host[...] = new._host


class Stream(cuda.Stream):
    """cupy.cuda.Stream, which can be recorded."""

    def begin_capture(self, mode: int | None = None) -> None:
        global recording
        recording = []

    def end_capture(self) -> Graph:
        global recording
        launches, recording = recording, None
        assert launches is not None
        return Graph(launches)


class MemoryPool(cuda.MemoryPool):
    """Counts what is taken from it."""

    def __init__(self) -> None:
        self.freed = False

    def malloc(self, size: int) -> Any:
        raise AssertionError("the stand-in's memory is NumPy's")

    def free_all_blocks(self) -> None:
        self.freed = True


@contextmanager
def using_allocator(malloc: Any = None) -> Iterator[None]:
    global allocator
    before, allocator = allocator, malloc
    try:
        yield
    finally:
        allocator = before


def arrays(tree: Any) -> list[Any]:
    """All arrays of the device in nested arguments."""
    if isinstance(tree, stand_in_arrays.ndarray):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [a for x in tree for a in arrays(x)] if isinstance(tree, (list, tuple)) else []


def launching(name: str, run: Any) -> Any:
    """`run`, noted instead of done while a stream is recorded."""

    @functools.wraps(run, updated=())
    def call(*args: Any, **options: Any) -> Any:
        global inside
        if recording is None or inside:
            return run(*args, **options)
        given = arrays((args, options))
        masks = [a for a in given[1:] if a.dtype == bool] if name.endswith("item__") else []
        if name in WAITS or masks:
            raise UnsupportedError(f"{name} waits for the size of its result")
        if name in COPIES and not arrays(args[name == "set"]):
            raise UnsupportedError(f"{name} copies from the host")
        kept = [a._host.copy() for a in given]
        inside += 1
        try:
            result = run(*args, **options)
        finally:
            inside -= 1
        for a, was in zip(given, kept, strict=True):  # nothing has been done yet
            if a._host.flags.writeable:
                a._host[...] = was
        made = arrays((result,))
        fresh = [y for y in made if not any(np.shares_memory(y._host, a._host) for a in given)]
        if made and not fresh and name not in WRITES and options.get("out") is None:
            return result  # another look at the same memory
        if fresh and getattr(allocator, "__self__", None).__class__ is not MemoryPool:
            raise UnsupportedError("cudaMalloc outside of the pool")
        for y in fresh:
            y._host[...] = np.nan if y.dtype.kind == "f" else 0
        if name not in ("empty", "empty_like"):  # memory alone, no launch
            recording.append((run, args, options, made))
        return result

    return call


def refusing(read: Any) -> Any:
    """A read of the host, refused while a stream is recorded."""

    def host_read(what: str) -> None:
        if recording is not None and not inside:
            raise UnsupportedError(what)
        read(what)

    return host_read


def install(patch: Any) -> Any:
    """Give the stand-in that plays CuPy here graphs, until `patch` is undone; returns it."""
    import cupy

    array = stand_in_arrays.ndarray
    for name in dict.fromkeys([*METHODS, *OFFERS["methods"]]):
        if callable(getattr(array, name, None)) and name not in ("get", "item", "tolist"):
            patch.setattr(array, name, launching(name, getattr(array, name)))
    for name in UFUNC:
        patch.setattr(Ufunc, name, launching(name, getattr(Ufunc, name)))
    for module in (cupy, cupy.linalg, cupy.lib.stride_tricks):
        for name, run in list(vars(module).items()):
            if type(run) is type(install):
                patch.setattr(module, name, launching(name, run))
    read = host_reads.host_read
    for name, module in list(sys.modules.items()):
        if name.startswith("tests.device.stand_in") and vars(module).get("host_read") is read:
            patch.setattr(module, "host_read", refusing(read))
    for value in (Stream, MemoryPool, using_allocator):
        patch.setattr(cupy.cuda, value.__name__, value, raising=False)
    patch.setattr(cupy.cuda, "get_current_stream", Stream)
    return cupy
