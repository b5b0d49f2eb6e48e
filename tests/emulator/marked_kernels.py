"""Kernels whose comments say how to run them and what must be found.

    // run: <<<(2, 1), 64, 128>>>(y[64], int x[64]=0, partial[4]?, 3, none)
    // result: y == 2 * x
    ... tile[i] = x[i];  // expect: race
    // run: <<<1, 32, 2048>>>(y[256], map(x[8x30], 8x32))    a tensor map of x in boxes of 8x32

An array has a dtype (float32 if none is named) and random contents, or those after "="; after "?"
nothing is in it yet. "expect" marks the lines that a finding of this kind must name.
"""

from __future__ import annotations

import ast
import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from tinygrad_mmb.kernels.launch import compile, tensor_map
from tinygrad_mmb.kernels.launch.emulated import C_TYPES, Library

READ_ONLY, UNWRITTEN = 1, 2
DTYPES = {"": "float32", "int": "int32", "unsigned": "uint32", "uint8": "uint8", "half": "float16"}
MAP = re.compile(r"map\((\w+)\[(\d+)x(\d+)\], (\d+)x(\d+)\)$")
NEAR = 4096  # bytes
ARRAY = re.compile(r"(?:(\w+) )?(\w+)\[(\d+)\](\?|=\S+)?$")


@dataclass(frozen=True)
class Run:
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int
    arguments: list[str]


@dataclass(frozen=True)
class MarkedKernel:
    """One file of csrc/buggy: a kernel of the file's name."""

    path: Path
    run: Run
    result: str | None
    expected: dict[str, set[int]]  # kind of finding -> lines

    @property
    def name(self) -> str:
        return self.path.stem


def marked_kernel(path: Path) -> MarkedKernel:
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^// run: <<<(.+)>>>\((.*)\)$", text, re.MULTILINE)
    assert found, f"{path} does not say how to run it"
    grid, block, *shared = ast.literal_eval(f"({found[1]},)")
    result = re.search(r"^// result: (.+)$", text, re.MULTILINE)
    expected: dict[str, set[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if mark := re.search(r"// expect: ([\w-]+)", line):
            expected.setdefault(mark[1], set()).add(number)
        if mark := re.match(r"// expect nowhere: ([\w-]+)", line):
            expected.setdefault(mark[1], set())
    size = tuple(n if isinstance(n, tuple) else (n,) for n in (grid, block))
    arguments = re.split(r", (?![^\[(]*[\])])", found[2])
    return MarkedKernel(
        path, Run(*size, *(shared or [0]), arguments), result and result[1], expected
    )


def marked_kernels(folder: str) -> list[MarkedKernel]:
    return [marked_kernel(p) for p in sorted((compile.sources() / folder).glob("*.cu"))]


def library_of(kernels: list[MarkedKernel], folder: Path, mode: str) -> Library:
    """All of them in one library: one call of the compiler instead of many."""
    source = folder / "all.cu"
    source.write_text("".join(f'#include "{k.path}"\n' for k in kernels), encoding="utf-8")
    return Library(compile.library(str(source), mode))


def contents(dtype: str, size: int, given: str | None, rng: numpy.random.Generator) -> Any:
    if given and given.startswith("="):
        return numpy.full(size, ast.literal_eval(given[1:]), dtype)
    if numpy.dtype(dtype).kind == "f":
        return rng.standard_normal(size).astype(dtype)
    return rng.integers(1, 100, size).astype(dtype)


def apart(values: Any) -> Any:
    """The same numbers at a multiple of 64, and no other array near: else what lies out of bounds
    of one may be in another.
    """
    room = numpy.empty(values.nbytes + 64 + 2 * NEAR, numpy.uint8)
    first = NEAR + -(room.ctypes.data + NEAR) % 64
    placed = room[first:][: values.nbytes].view(values.dtype)
    placed[...] = values
    return placed


@dataclass
class Outcome:
    findings: list[dict[str, Any]]
    message: str
    arrays: dict[str, Any]

    def lines(self, kind: str) -> set[int]:
        """All lines that findings of this kind name."""
        chosen = [f for f in self.findings if f["kind"] == kind]
        spots = chosen + [f["other"] for f in chosen if "other" in f]
        return {s["line"] for s in spots}


def launch(library: Library, kernel: MarkedKernel, **options: int) -> Outcome:
    """Run it once with these options of the emulator."""
    rng = numpy.random.default_rng(0)
    so = library.so
    for option in ("seed", "early", "yields", "profile"):
        library.option(option, options.get(option, 0))
    so.mmb_forget_arrays()
    arrays, values = {}, []
    for kind, text in zip(library.signatures[kernel.name], kernel.run.arguments, strict=True):
        if match := ARRAY.match(text):
            dtype, name, size, given = match.groups()
            array = apart(contents(DTYPES[dtype or ""], int(size), given, rng))
            arrays[name] = array
            flags = (READ_ONLY if kind == "P" else 0) | (UNWRITTEN if given == "?" else 0)
            so.mmb_array(array.ctypes.data, array.nbytes, flags, name.encode())
            values.append(ctypes.c_void_p(array.ctypes.data))
        elif match := MAP.match(text):
            name, (rows, cols, *box) = match[1], map(int, match.groups()[1:])
            arrays[name] = array = apart(contents("float32", rows * cols, None, rng))
            matrix = array.reshape(rows, cols)
            packed = tensor_map.emulated(matrix, array.ctypes.data, matrix.strides[0], *box)
            so.mmb_array(array.ctypes.data, array.nbytes, 0, name.encode())
            values.append(ctypes.create_string_buffer(packed, len(packed)))
        elif text == "none":
            values.append(ctypes.c_void_p(None))
        else:
            values.append(C_TYPES[kind](ast.literal_eval(text)))
    pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
    sizes = [(ctypes.c_uint * 3)(*(*s, 1, 1)[:3]) for s in (kernel.run.grid, kernel.run.block)]
    failed = so.mmb_launch(kernel.name.encode(), *sizes, kernel.run.shared, pointers)
    findings = library.findings()
    assert bool(failed) == bool(findings)
    return Outcome(findings, so.mmb_error().decode(), arrays)


def is_as_promised(kernel: MarkedKernel, arrays: dict[str, Any]) -> bool:
    """Whether `result`, an equality of two expressions, holds to 1e-5 relative."""
    assert kernel.result is not None
    left, right = (eval(side, {"numpy": numpy}, arrays) for side in kernel.result.split(" == ", 1))
    return bool(numpy.allclose(left, right, rtol=1e-5, atol=1e-5))
