"""kernel<<<grid, block>>>(x) becomes ::emulator::launch("kernel", ...).on(grid, block)(x)."""

from __future__ import annotations

import re

from tinygrad_mmb.emulator.signatures import Kernel
from tinygrad_mmb.emulator.source import ANGLES, OPEN, Source

PLAIN_POINTER = re.compile(
    r"(const )?(unsigned |signed )?(float|double|bool|char|short|int|long|long long)( const)? ?\*"
)


def rewrite_launch(source: Source, i: int, kernels: list[Kernel]) -> None:
    if source.text(i - 1) == "operator":
        return
    first = _expression(source, i - 1)
    last = source.find(i + 1, ">>>")
    if first is None or last is None or source.text(last + 1) != "(":
        return
    text = " ".join(source.between(first, i - 1).split())
    name = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if source.code[i].directive and text in _macro_parameters(source, i):
        name = f"#{text}"
    begin, end = source.code[first].start, source.end(i - 1)
    if _is_plain(text, kernels):  # known by its signature: arguments convert as in a call
        source.edits.append((begin, begin, f"::emulator::launch({name}, "))
        source.edits.append((end, end, ")"))
    else:  # a template, an overload, default arguments: the call itself finds out
        source.edits.append((begin, begin, f"::emulator::launch({name}, [=](auto... mmb_a) {{ "))
        source.edits.append((end, end, "(mmb_a...); })"))
        _null_pointers(source, last + 1)
        _plain_pointers(source, last + 1, text, kernels)
    for token, put in ((source.code[i], ".on("), (source.code[last], ")")):
        source.edits.append((token.start, token.start + 3, put))


def _expression(source: Source, i: int) -> int | None:
    """The first token of the expression that ends at token i and names a kernel."""
    while i >= 0:
        text = source.text(i)
        if text in (")", "]"):
            if i not in source.partner:
                return None
            i = source.partner[i]
            if source.code[i - 1].kind != "name" and source.text(i - 1) not in (")", "]"):
                return i
            i -= 1
        elif text in (">", ">>", ">>>"):
            opening = source.angles_back(i)
            if opening is None:
                return None
            i = opening - 1
        elif source.code[i].kind == "name":
            before = source.text(i - 1)
            if before == "template":
                i -= 1
                before = source.text(i - 1)
            if before not in ("::", ".", "->"):
                return i
            if before == "::" and not _continues(source, i - 2):
                return i - 1
            i -= 2
        else:
            return None
    return None


def _continues(source: Source, i: int) -> bool:
    """Whether `name::` or `name<...>::` ends at token i."""
    return source.text(i) == ">" or (
        source.code[i].kind == "name" and source.text(i) not in ("return", "else", "do")
    )


def _is_plain(name: str, kernels: list[Kernel]) -> bool:
    found = [k for k in kernels if k.name == name]
    types = {tuple(p.type for p in k.parameters) for k in found}
    return len(types) == 1 and all(k.template is None and not k.has_defaults for k in found)


def _macro_parameters(source: Source, i: int) -> list[str]:
    """The parameters of the macro whose definition token i is in."""
    begin = i
    while begin > 0 and source.code[begin - 1].directive and source.text(begin) != "#":
        begin -= 1
    if source.text(begin + 1) != "define" or source.text(begin + 3) != "(":
        return []
    if source.end(begin + 2) != source.code[begin + 3].start:
        return []
    return [source.text(j) for j in range(begin + 4, source.partner.get(begin + 3, begin))]


def _null_pointers(source: Source, opening: int) -> None:
    """NULL is an int to a template: say nullptr, which converts to any pointer."""
    closing = source.partner.get(opening)
    for j in range(opening + 1, closing or opening):
        if source.text(j) == "NULL" and source.text(j - 1) in "(," and source.text(j + 1) in "),":
            source.edits.append((source.code[j].start, source.end(j), "nullptr"))


def _plain_pointers(source: Source, opening: int, name: str, kernels: list[Kernel]) -> None:
    """Where a template takes a float* whatever it deduces, an object may convert to one."""
    closing = source.partner.get(opening)
    own = name.partition("<")[0].rpartition("::")[2].strip()
    found = [k for k in kernels if k.name == own]
    if closing is None or len(found) != 1:
        return
    arguments, first, j = [], opening + 1, opening + 1
    while j <= closing:
        if source.text(j) in ANGLES:
            return  # f<a, b>(c): which commas part the arguments, is not certain
        if j == closing or source.text(j) == ",":
            arguments.append((first, j - 1))
            first = j + 1
        elif source.text(j) in OPEN:
            j = source.partner.get(j, closing)
        j += 1
    if len(arguments) != len(found[0].parameters):
        return
    for parameter, (begin, end) in zip(found[0].parameters, arguments, strict=True):
        if PLAIN_POINTER.fullmatch(parameter.type) and begin <= end:
            start, stop = source.code[begin].start, source.end(end)
            source.edits.append((start, start, f"::emulator::as<{parameter.type}>("))
            source.edits.append((stop, stop, ")"))
