"""The kernels of a file: their names, templates and parameters."""

from __future__ import annotations

from dataclasses import dataclass

from tinygrad_mmb.emulator.source import ANGLES, OPEN, Source

QUALIFIERS = {"const", "volatile", "struct", "typename", "__restrict__", "__grid_constant__"}
TYPES = {"bool", "char", "short", "int", "long", "unsigned", "signed", "float", "double"}


@dataclass(frozen=True)
class Parameter:
    type: str
    name: str


@dataclass(frozen=True)
class Kernel:
    """A __global__ function of the source."""

    name: str
    line: int
    template: str | None  # "typename T, int N", or None
    parameters: tuple[Parameter, ...]
    has_defaults: bool = False
    is_defined: bool = True
    is_global: bool = True  # in no namespace and no class

    def __str__(self) -> str:
        inside = ", ".join(f"{p.type} {p.name}".strip() for p in self.parameters)
        return f"{f'template <{self.template}> ' if self.template else ''}{self.name}({inside})"


def kernel_at(source: Source, i: int) -> Kernel | None:
    begin = source.statement(i)
    opening = source.find(i, "(")
    while opening is not None and source.text(opening - 1) in (
        "__launch_bounds__", "__attribute__", "__align__",
    ):  # fmt: skip
        opening = source.find(source.partner.get(opening, opening) + 1, "(")
    if opening is None or opening not in source.partner or source.code[i].directive:
        return None
    name, template = source.text(opening - 1), None
    if source.text(begin) == "template" and source.text(begin + 1) == "<":
        ends = [j for j in range(begin, i) if source.text(j) in (">", ">>", ">>>")]
        if not ends:
            return None
        template = source.between(begin + 2, ends[-1] - 1)
    parameters, defaults = _parameters(source, opening)
    after = source.text(source.partner[opening] + 1)
    outside = not any(
        source.text(j) == "{" and j < i < k and not source.code[j].directive
        for j, k in source.partner.items()
    )
    line = source.line(i)
    return Kernel(name, line, template, parameters, defaults, after == "{", outside)


def _parameters(source: Source, opening: int) -> tuple[tuple[Parameter, ...], bool]:
    found, defaults, angle = [], False, 0
    first = j = opening + 1
    closing = source.partner[opening]
    while j <= closing:
        text = source.text(j)
        if text in OPEN:
            j = source.partner.get(j, closing)
        elif text in ANGLES:
            angle += ANGLES[text]
        elif (text == "," and angle <= 0) or j == closing:
            words = list(range(first, j))
            if equals := [k for k in words if source.text(k) == "="]:
                words, defaults = words[: words.index(equals[0])], True
            if words and [source.text(k) for k in words] != ["void"]:
                found.append(_parameter(source, words))
            first = j + 1
        j += 1
    return tuple(found), defaults


def _parameter(source: Source, words: list[int]) -> Parameter:
    name = suffix = ""
    brackets = [n for n, k in enumerate(words) if n and source.text(k) == "["]
    if brackets and source.text(words[-1]) == "]":  # float x[] is float* x
        words, suffix = words[: brackets[0]], "*"
    if _has_name(source, words):
        name, words = source.text(words[-1]), words[:-1]
    text = source.between(words[0], words[-1]) + suffix
    for qualifier in ("__restrict__", "__restrict", "__grid_constant__"):
        text = text.replace(qualifier, "")
    return Parameter(" ".join(text.split()).replace(" *", "*"), name)


def _has_name(source: Source, words: list[int]) -> bool:
    """Whether a parameter's name follows its type: not in const int, unsigned int."""
    kind, last = source.code[words[-1]].kind, source.text(words[-1])
    type_ = [k for k in words if source.text(k) not in QUALIFIERS]
    return kind == "name" and last not in TYPES and len(type_) > 1
