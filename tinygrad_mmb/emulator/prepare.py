"""From CUDA C++ as nvcc takes it to C++17 with the same lines.

Four things of CUDA are no C++, and only they are rewritten:

    add<256><<<grid, block>>>(x)         ->  ::emulator::launch("add<256>", ...).on(grid, block)(x)
    extern __shared__ float tile[];      ->  float (&tile)[] = ::emulator::dynamic_array<float[]>();
    static __shared__ float tile[32];    ->  __shared__ float tile[32];   (the macro says static)
    __constant__ float c[9];             ->  the same, then ::emulator::ProgramVariable ...("c", c);

All else (threadIdx, __syncthreads, cudaMalloc) is macros, functions and types of the emulator's own
cuda_runtime.h. Text is put in and taken out within a line, so every line keeps its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygrad_mmb.emulator.launches import rewrite_launch
from tinygrad_mmb.emulator.rules import broken
from tinygrad_mmb.emulator.signatures import Kernel, kernel_at
from tinygrad_mmb.emulator.source import Source
from tinygrad_mmb.emulator.variables import rewrite_variables


@dataclass
class Prepared:
    """A source ready for the C++ compiler."""

    text: str
    kernels: list[Kernel]
    has_main: bool
    includes: list[tuple[int, str]]  # line, "name.h" or <name.h>
    assembly: list[int]  # lines with inline PTX
    names: list[tuple[int, str]]  # that the code uses: first line, name
    broken: list[tuple[int, str]]  # rules of nvcc: line, and why
    functions: list[tuple[int, int]]  # first and last line of every function for the device
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    source: str = ""

    def column(self, line: int, column: int) -> int:
        """Where column `column` of a line of the prepared text stands in the source's line."""
        lines = self.source.split("\n")
        if not 1 <= line <= len(lines):
            return column
        start = sum(len(text) + 1 for text in lines[: line - 1])
        shift = 0
        for begin, end, put in self.edits:
            if start <= begin < start + len(lines[line - 1]) + 1:
                place = begin - start + shift + 1
                if column < place:
                    break
                if column < place + len(put):
                    return begin - start + 1
                shift += len(put) - (end - begin)
        return max(1, min(column - shift, len(lines[line - 1]) + 1))


def prepare(text: str) -> Prepared:
    """Rewrite one source file. Raises nothing: what is no CUDA is left for the compiler to name."""
    source = Source(text)
    kernels = [k for i in source.at("__global__") if (k := kernel_at(source, i))]
    for i in source.at("<<<"):
        rewrite_launch(source, i, kernels)
    rewrite_variables(source)
    for i in source.at("__noinline__"):  # as a macro it would break <memory>
        if source.text(i - 1) != "(":
            source.edits.append((source.code[i].start, source.end(i), "__attribute__((noinline))"))
    edits = sorted(source.edits)
    return Prepared(
        _edited(text, edits), kernels, _has_main(source), _includes(source), _assembly(source),
        _names(source), broken(source), _functions(source), edits, text,
    )  # fmt: skip


def _has_main(source: Source) -> bool:
    return any(
        (source.text(i + 1) == "(" and not source.in_function[i] and source.text(i - 1) == "int")
        or (source.text(i + 1) == "(" and source.text(i - 1) in ("void", "auto"))
        for i in source.at("main")
        if not source.code[i].directive
    )


def _includes(source: Source) -> list[tuple[int, str]]:
    return [
        (source.line(i), source.text(i + 1))
        for i in source.at("include")
        if source.code[i].directive and source.text(i - 1) == "#"
    ]


def _names(source: Source) -> list[tuple[int, str]]:
    """Every name once, with the line where it first stands."""
    first: dict[str, int] = {}
    for i, t in enumerate(source.code):
        if t.kind == "name" and t.text not in first:
            first[t.text] = source.line(i)
    return [(line, name) for name, line in first.items()]


def _functions(source: Source) -> list[tuple[int, int]]:
    found = set()
    for word in ("__global__", "__device__"):
        for i in source.at(word):
            stop = source.find(i, "{")
            ends = source.find(i, ";")
            if stop is None or stop not in source.partner or (ends is not None and ends < stop):
                continue
            found.add((source.line(source.statement(i)), source.line(source.partner[stop])))
    return sorted(found)


def _assembly(source: Source) -> list[int]:
    found = []
    for word in ("asm", "__asm__", "__asm"):
        for i in source.at(word):
            after = source.text(i + 1)
            opening = i + 2 if after in ("volatile", "__volatile__") else i + 1
            if source.text(opening) == "(":
                found.append(source.line(i))
    return sorted(found)


def _edited(source: str, edits: list[tuple[int, int, str]]) -> str:
    pieces, position = [], 0
    for begin, end, put in edits:
        pieces += [source[position:begin], put]
        position = end
    return "".join([*pieces, source[position:]])
