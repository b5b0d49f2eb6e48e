"""Rules of nvcc that g++ does not know: who may call whom.

Only what is certain is said: a function is known if the file defines it once, outside of classes,
with no word before its name that could be a macro for __device__. Of callers on the host, main is.
"""

from __future__ import annotations

from tinygrad_mmb.emulator.source import Source

DEVICE = {"__global__", "__device__"}
PLAIN = {
    "void", "int", "float", "double", "bool", "char", "unsigned", "long", "short", "const",
    "static", "inline", "size_t", "*", "&", "signed", "float2", "float4", "int2", "int3", "int4",
}  # fmt: skip


def broken(source: Source) -> list[tuple[int, str]]:
    """Calls that nvcc would not compile: line, and why."""
    spaces = spaces_of(source)
    found = []
    for i, token in enumerate(source.code):
        if token.kind != "name" or token.directive or source.text(i + 1) != "(":
            continue
        if token.text not in spaces or source.text(i - 1) in (".", "->", "::"):
            continue
        caller = next((w for begin, end, w in source.bodies if begin < i < end), None)
        if caller is None:
            continue
        before = source.code[i - 1]
        if before.kind == "name" and before.text not in ("return", "else", "do"):
            continue  # a declaration: dim3 block(16)
        if why := reason(token.text, spaces[token.text], caller, before.text):
            found.append((source.line(i), why))
    return found


def reason(name: str, space: set[str], caller: set[str], before: str) -> str | None:
    """Why a function with these words before its body may not call `name`; None if it may."""
    if "__global__" in space:
        if before in (";", "{", "}", ")"):
            return f"{name} is a kernel: launch it, as in {name}<<<grid, block>>>(...)"
    elif caller & DEVICE and not space & (DEVICE | {"constexpr"}):
        return (
            f"{name} is a function of the host, and a kernel cannot call it. "
            f"Write __device__ (or __host__ __device__) before {name}"
        )
    elif "main" in caller and "__device__" in space and "__host__" not in space:
        return (
            f"{name} is a __device__ function, and the host cannot call it. "
            f"Write __host__ __device__ before {name}"
        )
    return None


def spaces_of(source: Source) -> dict[str, set[str]]:
    """The words before the name of each certain function: {"f": {"__device__", "float"}}."""
    found: dict[str, set[str]] = {}
    uncertain = set()
    for i, token in enumerate(source.code):
        if token.kind != "name" or token.directive or source.in_function[i]:
            continue
        closing = source.partner.get(i + 1)
        if source.text(i + 1) != "(" or closing is None:
            continue
        if source.text(closing + 1) not in ("{", ";"):
            uncertain.add(token.text)
            continue
        begin = source.statement(i)
        words = {source.text(j) for j in range(begin, i)}
        known = words <= PLAIN | DEVICE | {
            "__host__",
            "constexpr",
            "__forceinline__",
            "__noinline__",
        }
        differs = token.text in found and found[token.text] != words
        if not known or differs or is_behind_a_condition(source, begin):
            uncertain.add(token.text)
        found[token.text] = words
    return {name: words for name, words in found.items() if name not in uncertain}


def is_behind_a_condition(source: Source, begin: int) -> bool:
    """Whether an #endif comes just before: words like __device__ may stand in front of it."""
    j = begin - 1
    while j > 0 and source.code[j].directive and source.text(j) != "#":
        j -= 1
    return j >= 0 and source.text(j) == "#" and source.text(j + 1) in ("endif", "else", "elif")
