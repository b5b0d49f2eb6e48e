"""Kernels on the emulator: libraries compiled from the CUDA sources, called through C.

In mode "fast" the extension _emulator serves instead, if it was built and holds the kernel;
MMB_EMULATOR=compile leaves it aside.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_mmb.backend import Array, extension, is_array
from tinygrad_mmb.kernels.launch import compile, fresh
from tinygrad_mmb.kernels.launch.arguments import ByValue, address

Size = tuple[int, ...]
READ_ONLY = 1  # of mmb_array, in csrc/emulator/api.h
SHOWN = 3  # findings in a message; all of them are in KernelError.findings

_one_launch_at_a_time = threading.RLock()  # the emulator's state is global


class KernelError(RuntimeError):
    """What the emulator found wrong in a launch. csrc/emulator/api.h says what a finding has."""

    def __init__(self, message: str, findings: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.findings = findings


@dataclass
class Library:
    """Emulated kernels in a shared library, called through C."""

    path: Path
    so: Any = field(init=False)
    signatures: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.so = so = ctypes.CDLL(str(self.path))
        for name in ("mmb_error", "mmb_findings", "mmb_kernels", "mmb_profile"):
            getattr(so, name).restype = ctypes.c_char_p
        so.mmb_array.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
        so.mmb_unwritten.argtypes = [ctypes.c_void_p, ctypes.c_size_t,
                                     ctypes.c_uint64, ctypes.c_size_t]  # fmt: skip
        so.mmb_option.argtypes = [ctypes.c_char_p, ctypes.c_long]
        so.mmb_launch.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p,
                                  ctypes.c_size_t, ctypes.c_void_p]  # fmt: skip
        lines = so.mmb_kernels().decode().splitlines()
        self.signatures = {
            name: kinds.split() for name, _, kinds in (line.partition("\t") for line in lines)
        }

    def option(self, name: str, value: int) -> None:
        """Set an option of csrc/emulator/api.h. Raises ValueError if there is none of this name."""
        if self.so.mmb_option(name.encode(), value):
            raise ValueError(f"the emulator has no option {name!r}")

    def launch(
        self, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        """Run one kernel.

        Raises: KernelError with what was found wrong; KeyError if there is no such kernel;
            TypeError for arguments of another number or kind.
        """
        if name not in self.signatures:
            raise KeyError(f"no kernel {name}. Here are {', '.join(sorted(self.signatures))}.")
        kinds = self.signatures[name]
        if len(kinds) != len(arguments):
            raise TypeError(f"kernel {name} takes {len(kinds)} arguments, but got {len(arguments)}")
        pairs = list(zip(kinds, arguments, strict=True))
        values = [as_c(name, i, kind, a) for i, (kind, a) in enumerate(pairs)]
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
        sizes = [(ctypes.c_uint * 3)(*(*s, 1, 1)[:3]) for s in (grid, block)]
        with _one_launch_at_a_time:
            self.tell_of_arrays(name, pairs)
            if self.so.mmb_launch(name.encode(), *sizes, shared, pointers):
                raise KernelError(f"kernel {name}: {self.message()}", self.findings())

    def tell_of_arrays(self, name: str, pairs: Sequence[tuple[str, Any]]) -> None:
        """What the kernel may touch: the checker reports all else."""
        self.so.mmb_forget_arrays()
        told: list[Array] = []
        for i, (kind, a) in enumerate(pairs):
            if kind in "pP" and a is not None:
                flags = READ_ONLY if kind == "P" else 0
                self.so.mmb_array(*memory_of(a), flags, f"argument {i}".encode())
                told.append(a)
            for k, inner in enumerate(a.arrays if isinstance(a, ByValue) else ()):
                self.so.mmb_array(*memory_of(inner), 0, f"array {k} of argument {i}".encode())
                told.append(inner)
        if fresh.is_watching():  # after all are told: two may be views of one
            self.tell_of_unwritten(name, told)

    def tell_of_unwritten(self, name: str, arrays: Sequence[Array]) -> None:
        """Of those that `empty` made, which elements nobody has written."""
        for a in arrays:
            found = fresh.holding(address(a)) if a.size else None
            if found is not None:
                self.so.mmb_unwritten(*memory_of(a), found.value, found.itemsize)
                found.kernel = name

    def findings(self) -> list[dict[str, Any]]:
        """Of the last launch."""
        found: list[dict[str, Any]] = json.loads(self.so.mmb_findings())
        return found

    def message(self) -> str:
        """What went wrong in the last launch, for people."""
        others = self.findings()[1:]
        lines = [self.so.mmb_error().decode()]
        lines += [f"{f['message']}. {f['mend']}" for f in others[: SHOWN - 1]]
        if len(others) >= SHOWN:
            lines.append(f"and {len(others) + 1 - SHOWN} more")
        return "\n".join(lines)

    def profile(self) -> list[dict[str, Any]]:
        """The cost of each line in the last launch (mode "check", option "profile")."""
        lines: list[dict[str, Any]] = json.loads(self.so.mmb_profile())
        return lines


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


def load(path: Path, mode: str) -> Library:
    """A library of this mode. Raises RuntimeError where this process cannot load it."""
    if mode == "sanitize" and "libasan" not in os.environ.get("LD_PRELOAD", ""):
        needed = " ".join(f"{k}={v}" for k, v in compile.sanitizer_environment().items())
        raise RuntimeError(
            'the emulator\'s mode "sanitize" needs AddressSanitizer in the process from its start. '
            f"Run it with {needed}"
        )
    return Library(path)


@functools.cache
def library(file: str, mode: str) -> Library:
    """The kernels of one file, loaded once."""
    return load(compile.library(file, mode), mode)


@functools.cache
def built_in() -> Any:
    """The extension _emulator with all kernels, or None."""
    if os.environ.get("MMB_EMULATOR") == "compile":
        return None
    return extension.load("emulator").module


@functools.cache
def built_in_kernels() -> frozenset[str]:
    """The names of the kernels that _emulator holds."""
    return frozenset(built_in().kernels()) if built_in() else frozenset()


@dataclass(frozen=True)
class Emulator:
    """Launches in one mode, with these options of csrc/emulator/api.h."""

    mode: str = "fast"
    options: tuple[tuple[str, int], ...] = (
        ("seed", 0),
        ("early", 0),
        ("yields", 0),
        ("profile", 0),
    )
    # of each launch, if "profile" is on: {"kernel": name, "lines": [...]}
    profiles: list[dict[str, Any]] = field(default_factory=list)

    def launch(
        self, file: str, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        """Run one kernel of csrc/cuda/kernels/<file>. Raises as Library.launch does."""
        if self.mode == "fast" and name in built_in_kernels():
            self.launch_built_in(name, grid, block, arguments, shared)
            return
        so = library(file, self.mode)
        with _one_launch_at_a_time:
            for option, value in self.options:
                so.option(option, value)
            so.launch(name, grid, block, arguments, shared)
            if dict(self.options)["profile"]:
                self.profiles.append({"kernel": name, "lines": so.profile()})

    def launch_built_in(
        self, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        values = tuple([address(a) if is_array(a) else a for a in arguments])
        with _one_launch_at_a_time:
            for option, value in self.options:
                built_in().option(option, value)
            built_in().launch(name, grid, block, shared, 0, values)


def require_written(outputs: Sequence[Any], key: str) -> None:
    """Under the checker: every element of what a twin of `key` returns was written.

    Raises: KernelError that names the kernel which was handed the array last.
    """
    for i, y in enumerate(outputs if fresh.is_watching() else ()):
        left = fresh.first_unwritten(y) if is_array(y) else None
        if left is None:
            continue
        count, first = left
        made = fresh.holding(address(y))
        kernel = (made.kernel if made else "") or "no kernel"
        text = (
            f"output {i} of {key}: {count} of its {y.size} elements are unwritten, the first at "
            f"index {first}; {kernel} was handed the array last"
        )
        mend = (
            "Does the grid cover all elements, also where a size is no multiple of the block? "
            "Elements that stay 0 need zeros, not empty"
        )
        found = {"kind": "unwritten-output", "kernel": kernel, "message": text, "mend": mend}
        raise KernelError(f"{text}. {mend}.", [found])


FAST = Emulator()
_current: ContextVar[Emulator] = ContextVar("emulator", default=FAST)


def launcher() -> Emulator:
    """What runs kernels on NumPy arrays now."""
    return _current.get()


@contextmanager
def emulator(
    mode: str = "fast",
    seed: int = 0,
    *,
    early: bool = False,
    yields: int = 0,
    profile: bool = False,
) -> Iterator[Emulator]:
    """Inside the block, emulated kernels run in this build and this order of threads.

    `mode` "check" finds races, accesses out of bounds and the like, and raises KernelError. What
    NumPy's `empty` gives inside the block counts as unwritten until somebody writes it.
    `seed`: threads and blocks go forward (0), backward (1) or shuffled. `early`: asynchronous
    copies and products happen at once, instead of as late as is legal. `yields`: in mode "check",
    other threads run before one access in so many. `profile`: in mode "check", what is yielded
    has `profiles`, one for each launch.
    Raises: ValueError for an unknown mode, and for what only "check" can do.
    """
    if mode not in compile.MODES:
        raise ValueError(
            f"emulator: mode is {mode!r}, but must be one of {', '.join(compile.MODES)}"
        )
    if mode != "check" and (yields or profile):
        raise ValueError(f'emulator: yields and profile need mode "check", but mode is {mode!r}')
    options = (("seed", seed), ("early", int(early)), ("yields", yields), ("profile", int(profile)))
    token = _current.set(Emulator(mode, options))
    try:
        with fresh.watched() if mode == "check" else nullcontext():
            yield _current.get()
    finally:
        _current.reset(token)
