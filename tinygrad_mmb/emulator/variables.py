"""Variables of the device: what their declarations become.

Shared memory becomes a reference or a static; all others are made known to the runtime.
"""

from __future__ import annotations

from tinygrad_mmb.emulator.source import OPEN, Source

VARIABLE_SPACES = ("__constant__", "__device__", "__managed__")
ALIGNMENTS = ("__align__", "alignas", "__attribute__")  # words with an argument, before a type


def rewrite_variables(source: Source) -> None:
    """All declarations of a file."""
    for i in source.at("__shared__"):
        rewrite_shared(source, i)
    for i in (*source.at("__constant__"), *source.at("__managed__")):
        alignment_first(source, i)
    done = -1
    for i in sorted(j for space in VARIABLE_SPACES for j in source.at(space)):
        if i > done:
            done = announce(source, i)


def rewrite_shared(source: Source, i: int) -> None:
    """extern __shared__ becomes a reference; a second `static` beside the macro's goes."""
    begin, stop = source.statement(i), source.find(i, ";")
    if stop is None:
        return
    words = [j for j in range(begin, stop) if source.text(j) in ("extern", "static")]
    words = [j for j in words if all(source.text(k) not in "([{=" for k in range(begin, j))]
    if any(source.text(j) == "extern" for j in words):
        _dynamic_shared(source, next(j for j in words if source.text(j) == "extern"), stop)
        return
    for j in words:
        source.edits.append((source.code[j].start, source.end(j), ""))
    alignment_first(source, i)
    if not source.in_function[i] and not source.code[i].directive:
        # outside a function the runtime knows it by its namespace: runtime/symbols.cpp
        start, end = source.code[begin].start, source.end(stop)
        source.edits.append((start, start, "namespace mmb_block { "))
        source.edits.append((end, end, " } using namespace mmb_block;"))


def alignment_first(source: Source, i: int) -> None:
    """__shared__ alignas(16) becomes alignas(16) __shared__: static goes last."""
    opening = i + 2
    if source.text(i + 1) == "alignas" and opening in source.partner:
        put = f"{source.between(i + 1, source.partner[opening])} {source.text(i)}"
        source.edits.append((source.code[i].start, source.end(source.partner[opening]), put))


def _dynamic_shared(source: Source, begin: int, stop: int) -> None:
    kept: list[int] = []
    j = begin
    while j < stop:
        text = source.text(j)
        if text in ALIGNMENTS and j + 1 in source.partner:
            j = source.partner[j + 1]
        elif text not in ("extern", "__shared__", "static"):
            kept.append(j)
        j += 1
    opening = next((k for k, j in enumerate(kept) if source.text(j) == "["), None)
    if not opening:
        return
    type_ = " ".join(source.text(j) for j in kept[: opening - 1])
    name = source.text(kept[opening - 1])
    sizes = "".join(source.text(j) for j in kept[opening:])
    if "," in sizes or not type_:
        return
    array = f"{type_}{sizes}"
    if source.in_function[begin] or source.code[begin].directive:
        put = f"{type_} (&{name}){sizes} = ::emulator::dynamic_array<{array}>()"
    else:
        put = f"static const ::emulator::DynamicArray<{array}> {name}"
    first, last = source.code[begin].start, source.code[stop].start
    lines = source.whole.count("\n", first, last)
    put += ("\\\n" if source.code[begin].directive else "\n") * lines
    source.edits.append((first, last, put))


def announce(source: Source, i: int) -> int:
    """Make declared variables known to the runtime. Gives the last token looked at."""
    begin, stop = source.statement(i), source.find(i, ";")
    if stop is None or source.in_function[i] or source.code[i].directive:
        return i
    found = _declarators(source, begin, stop)
    if not found:
        return i
    before = range(begin, found[0])
    spaces = {source.text(k) for k in before}
    if "__constant__" in spaces:
        statics = [k for k in before if source.text(k) == "static"]
        source.edits += [(source.code[k].start, source.end(k), "") for k in statics]
    special = [space for space in ("__constant__", "__managed__") if space in spaces]
    kind = special[0].strip("_") if special else "device"
    put = ""
    for name in (source.text(k) for k in found):
        made = f'mmb_variable_{name}("{name}", {name}, "{kind}")'
        put += f" static ::emulator::ProgramVariable {made};"
    source.edits.append((source.end(stop), source.end(stop), put))
    return stop


def _declarators(source: Source, begin: int, stop: int) -> list[int]:
    """Where the names stand: a, b and c of __device__ float a, b[2] = {1}, (*c)(float);

    None in a function, a template, or what is no definition.
    """
    found: list[int] = []
    name: int | None = None
    j = begin
    while j < stop:  # the type, and the first name
        text = source.text(j)
        if text in ALIGNMENTS and j + 1 in source.partner:
            j = source.partner[j + 1]
        elif text == "(" and source.text(j + 1) == "*" and source.text(j + 3) == ")":
            name = j + 2  # a pointer to a function, or to an array
            break
        elif text in ("(", "template", "extern", "operator", "using", "typedef"):
            return []
        elif text == "<":
            j = source.end_of_angles(j, stop)
        elif text == "{" and name is not None and _is_body(source, begin, j):
            j = source.partner.get(j, stop)  # struct Name { ... } variable;
        elif text in ("[", "=", "{", ","):
            break
        elif source.code[j].kind == "name" and text not in VARIABLE_SPACES:
            name = j
        j += 1
    if name is not None:
        found.append(name)
    while j < stop:  # the others
        text = source.text(j)
        if text == ",":
            k = next(k for k in range(j + 1, stop + 1) if source.text(k) not in ("*", "const"))
            if source.text(k) == "(" and source.text(k + 1) == "*":
                k += 2
            if source.code[k].kind == "name":
                found.append(k)
        elif text in OPEN:
            j = source.partner.get(j, stop)
        elif text == "<" and source.code[j - 1].kind == "name":
            j = source.end_of_angles(j, stop)
        j += 1
    return found


def _is_body(source: Source, begin: int, brace: int) -> bool:
    """Whether the brace opens the body of a class, and no initial value."""
    words = [source.text(k) for k in range(begin, brace)]
    return words[-2:-1] != [] and words[-2] in ("struct", "class", "union", "enum")
