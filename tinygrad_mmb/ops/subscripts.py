"""Einstein's notation read: which labels the operands and the output of einsum have."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

__all__ = ["Labels", "name_ellipsis", "output_labels", "read_arguments", "require_sizes"]

# A label is a number: a letter's place here, or 52 and up for the dimensions under an Ellipsis.
LETTERS = string.ascii_uppercase + string.ascii_lowercase
ELLIPSIS = -1
Labels = list[int]


def read_arguments(args: tuple[Any, ...]) -> tuple[list[Labels], Labels | None, list[Any]]:
    """(the labels of each operand, those of the output if given, the operands)."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list."
        )
    if isinstance(args[0], str):
        operands = args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        left, arrow, right = args[0].partition("->")
        terms = [read_term(args[0], t, f"operand {k}") for k, t in enumerate(left.split(","))]
        return terms, read_term(args[0], right, "the output") if arrow else None, list(operands)
    output = read_list(args[-1]) if len(args) % 2 else None
    return [read_list(t) for t in args[1::2]], output, list(args[0 : len(args) // 2 * 2 : 2])


def read_term(equation: str, term: str, where: str) -> Labels:
    """The labels of one term of the string."""
    labels: Labels = []
    rest = term.strip()
    while rest:
        if rest.startswith("..."):
            if ELLIPSIS in labels:
                raise RuntimeError(f"einsum(): two Ellipses for {where} in {equation!r}.")
            labels.append(ELLIPSIS)
            rest = rest[3:].lstrip()
            continue
        if rest[0] == ".":
            raise RuntimeError(
                f"einsum(): found '.' for {where} in {equation!r} that is not part of an Ellipsis."
            )
        if rest[0] not in LETTERS:
            raise RuntimeError(
                f"einsum(): invalid subscript {rest[0]!r} for {where} in {equation!r}; subscripts "
                "are letters, [a-zA-Z]."
            )
        labels.append(LETTERS.index(rest[0]))
        rest = rest[1:].lstrip()
    return labels


def read_list(labels: Any) -> Labels:
    """The labels of one list of numbers."""
    if not isinstance(labels, (list, tuple)):
        raise TypeError(
            f"einsum(): expected a list of subscripts after each operand, not "
            f"{type(labels).__name__}. An equation string comes first: einsum('ij->ji', x)."
        )
    found: Labels = []
    for label in labels:
        if label is Ellipsis:
            found.append(ELLIPSIS)
        elif isinstance(label, int) and not isinstance(label, bool) and 0 <= label < 52:
            found.append(label)
        elif isinstance(label, int):
            raise ValueError(
                f"einsum(): subscript {label} in {labels} is not in the valid range [0, 52)."
            )
        else:
            raise TypeError(f"einsum(): subscripts are ints or Ellipsis, not {label!r}.")
    if found.count(ELLIPSIS) > 1:
        raise RuntimeError(f"einsum(): two Ellipses in {labels}.")
    return found


def name_ellipsis(term: Labels, x: Any, k: int) -> Labels:
    """The labels with the Ellipsis spelled out: its last dimension is 52, the one before 53."""
    named = [label for label in term if label != ELLIPSIS]
    extra = x.ndim - len(named)
    if extra < 0 or (extra and ELLIPSIS not in term):
        raise RuntimeError(
            f"einsum(): the number of subscripts ({len(named)}) does not match the number of "
            f"dimensions ({x.ndim}) for operand {k} of shape {tuple(x.shape)}"
            + ("." if ELLIPSIS in term else " and no Ellipsis was given.")
        )
    labels: Labels = []
    for label in term:
        labels += ellipsis_labels(extra) if label == ELLIPSIS else [label]
    return labels


def ellipsis_labels(n: int) -> Labels:
    """Labels of n dimensions under an Ellipsis: counted from the right, as broadcasting does."""
    return list(range(52 + n - 1, 51, -1))


def output_labels(terms: list[Labels], output: Labels | None, dims: int) -> Labels:
    """The labels of the result, `dims` of them for the Ellipsis."""
    every = [label for term in terms for label in term if label != ELLIPSIS]
    if output is None:
        return ellipsis_labels(dims) + sorted({n for n in every if every.count(n) == 1})
    kept: Labels = []
    for label in output:
        if label == ELLIPSIS:
            kept += ellipsis_labels(dims)
            continue
        if label in kept:
            raise RuntimeError(
                f"einsum(): output subscript {LETTERS[label]} appears more than once in the output."
            )
        if label not in every:
            raise RuntimeError(
                f"einsum(): output subscript {LETTERS[label]} does not appear for any operand."
            )
        kept.append(label)
    return kept


def require_sizes(labelled: list[Labels], operands: Sequence[Any]) -> None:
    """Raise RuntimeError unless a label has one size everywhere, or 1 in another operand."""
    seen: dict[int, int] = {}
    for k, (labels, x) in enumerate(zip(labelled, operands, strict=True)):
        here: dict[int, int] = {}
        for label, n in zip(labels, x.shape, strict=True):
            name = LETTERS[label] if label < 52 else "..."
            if here.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {name} is repeated for operand {k} of shape "
                    f"{tuple(x.shape)} but the sizes don't match, {n} != {here[label]}."
                )
            before = seen.get(label, 1)
            if n != before and n != 1 and before != 1:
                raise RuntimeError(
                    f"einsum(): subscript {name} has size {n} for operand {k} of shape "
                    f"{tuple(x.shape)}, which does not broadcast with the size {before} before."
                )
            seen[label] = n if before == 1 else before
