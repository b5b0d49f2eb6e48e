"""Kernels on the emulator: libraries compiled from the CUDA sources, called through C."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.kernels.launch.arguments import ByValue, address

Size = tuple[int, ...]


@dataclass
class Library:
    """Emulated kernels in a shared library, called through C."""

    path: Path
    so: Any = field(init=False)
    signatures: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.so = so = ctypes.CDLL(str(self.path))
        so.mmb_error.restype = so.mmb_kernels.restype = so.mmb_profile.restype = ctypes.c_char_p
        so.mmb_array.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
        so.mmb_option.argtypes = [ctypes.c_char_p, ctypes.c_long]
        so.mmb_launch.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p,
                                  ctypes.c_size_t, ctypes.c_void_p]  # fmt: skip
        lines = so.mmb_kernels().decode().splitlines()
        self.signatures = {
            name: kinds.split() for name, _, kinds in (line.partition("\t") for line in lines)
        }

    def option(self, name: str, value: int) -> None:
        self.so.mmb_option(name.encode(), value)

    def launch(
        self, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        """Run one kernel. Raises RuntimeError with what was found wrong."""
        kinds = self.signatures[name]
        if len(kinds) != len(arguments):
            raise TypeError(f"kernel {name} takes {len(kinds)} arguments, but got {len(arguments)}")
        pairs = list(zip(kinds, arguments, strict=True))
        values = [as_c(name, i, kind, a) for i, (kind, a) in enumerate(pairs)]
        self.so.mmb_forget_arrays()
        for i, (kind, a) in enumerate(pairs):
            if kind in "pP" and a is not None:
                start, size = memory_of(a)
                self.so.mmb_array(start, size, int(kind == "P"), f"argument {i}".encode())
            for k, inner in enumerate(a.arrays if isinstance(a, ByValue) else ()):
                self.so.mmb_array(*memory_of(inner), 0, f"array {k} of argument {i}".encode())
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
        sizes = [(ctypes.c_uint * 3)(*(*s, 1, 1)[:3]) for s in (grid, block)]
        if self.so.mmb_launch(name.encode(), *sizes, shared, pointers):
            raise RuntimeError(f"kernel {name}: {self.so.mmb_error().decode()}")


C_TYPES = {
    "f4": ctypes.c_float,
    "f8": ctypes.c_double,
    "i1": ctypes.c_int8,
    "i2": ctypes.c_int16,
    "i4": ctypes.c_int32,
    "i8": ctypes.c_int64,
}


def as_c(name: str, i: int, kind: str, value: Any) -> Any:
    """One argument in C's type. Raises TypeError where it is of another kind."""
    if kind in "pP":
        return ctypes.c_void_p(None if value is None else address(value))
    if kind[0] == "o":
        return ctypes.create_string_buffer(bytes(value), int(kind[1:]))
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype.itemsize != int(kind[1:]) or (dtype.kind == "f") != (kind[0] == "f"):
        raise TypeError(f"kernel {name}: argument {i} is {value!r}, but the kernel takes {kind}")
    return C_TYPES[kind](value.item())


def memory_of(array: Any) -> tuple[int, int]:
    """Where the memory that an array reaches begins, and its bytes, whatever the strides are."""
    if array.size == 0:
        return address(array), 0
    reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    before = -sum(r for r in reach if r < 0)
    after = sum(r for r in reach if r > 0)
    return address(array) - before, before + after + array.itemsize


@functools.cache
def library(file: str, mode: str) -> Library:
    """The kernels of one file, loaded once."""
    return Library(compile.library(file, mode))


@dataclass(frozen=True)
class Emulator:
    """Launches on libraries of one mode."""

    mode: str = "fast"
    seed: int = 0

    def launch(
        self, file: str, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        so = library(file, self.mode)
        so.option("seed", self.seed)
        so.launch(name, grid, block, arguments, shared)


FAST = Emulator()
_current: ContextVar[Emulator] = ContextVar("emulator", default=FAST)


def launcher() -> Emulator:
    """What runs kernels on NumPy arrays now."""
    return _current.get()


@contextmanager
def emulator(mode: str = "fast", seed: int = 0) -> Iterator[None]:
    """Inside the block, emulated kernels run in this build and this order of threads.

    `mode` "check" finds races, accesses out of bounds and the like, and raises RuntimeError.
    Raises: ValueError for an unknown mode.
    """
    if mode not in compile.MODES:
        raise ValueError(
            f"emulator: mode is {mode!r}, but must be one of {', '.join(compile.MODES)}"
        )
    token = _current.set(Emulator(mode, seed))
    try:
        yield
    finally:
        _current.reset(token)
