"""Sums of products in Einstein's notation, and tensordot: both are matrix products in disguise."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.ops.products import count, require_numbers, require_tensors
from tinygrad_mmb.ops.views import dim_of

__all__ = ["einsum", "tensordot"]

# A label is a number: a letter's place here, or 52 and up for the dimensions under an Ellipsis.
LETTERS = string.ascii_uppercase + string.ascii_lowercase
ELLIPSIS = -1
Labels = list[int]


def einsum(*args: Any) -> Any:
    """Products of the operands, summed over the labels that the output does not have.

    einsum("ij,jk->ik", a, b), or with lists: einsum(a, [0, 1], b, [1, 2], [0, 2]). A label twice in
    one term takes the diagonal; "..." stands for dimensions that broadcast. Without "->" the output
    has the labels that occur once, in the order of the alphabet.
    Raises: RuntimeError for a string that does not describe the operands, ValueError for bad lists.
    """
    terms, output, operands = read_arguments(args)
    for x in operands:
        require_tensors("einsum", operand=x)
    if len(terms) != len(operands):
        fewer = "fewer" if len(operands) < len(terms) else "more"
        raise RuntimeError(
            f"einsum(): {fewer} operands were provided than specified in the equation: "
            f"{len(operands)} for {len(terms)} terms."
        )
    dims = max(
        [x.ndim - len(t) + 1 for t, x in zip(terms, operands, strict=True) if ELLIPSIS in t] or [0]
    )
    labelled = [
        name_ellipsis(t, x, k) for k, (t, x) in enumerate(zip(terms, operands, strict=True))
    ]
    kept = output_labels(terms, output, dims)
    require_sizes(labelled, operands)
    pairs = [diagonals(x, labels) for x, labels in zip(operands, labelled, strict=True)]
    if len(pairs) > 1:
        pairs = [without_size_1(x, labels) for x, labels in pairs]

    x, labels = pairs[0]
    for k, (y, y_labels) in enumerate(pairs[1:], 1):
        later = set(kept).union(*[set(other) for _, other in pairs[k + 1 :]])
        x, labels = contract(x, labels, y, y_labels, later)
    summed = [d for d, label in enumerate(labels) if label not in kept]
    if summed:
        x, labels = ops.sum(x, summed), [label for label in labels if label in kept]
    for label in kept:  # what had size 1 everywhere comes back
        if label not in labels:
            x, labels = ops.unsqueeze(x, -1), [*labels, label]
    return ops.permute(x, tuple([labels.index(label) for label in kept]))


def contract(
    a: Any, a_labels: Labels, b: Any, b_labels: Labels, kept: set[int]
) -> tuple[Any, Labels]:
    """The product of two operands, summed over the labels nobody needs any more."""
    a, a_labels = sum_own(a, a_labels, b_labels, kept)
    b, b_labels = sum_own(b, b_labels, a_labels, kept)
    both = [label for label in a_labels if label in b_labels]
    batch = [label for label in both if label in kept]
    inner = [label for label in both if label not in kept]
    rows = [label for label in a_labels if label not in both]
    columns = [label for label in b_labels if label not in both]
    labels = [*batch, *rows, *columns]
    if not inner:
        a = align(a, a_labels, labels)
        return ops.mul(a, align(b, b_labels, labels)), labels
    require_numbers("einsum", a, b)
    size = dict(zip([*a_labels, *b_labels], [*a.shape, *b.shape], strict=True))
    shape = tuple([size[label] for label in labels])
    n_batch, n_rows, n_inner, n_columns = (
        count(tuple([size[label] for label in group])) for group in (batch, rows, inner, columns)
    )
    a = ops.permute(a, tuple([a_labels.index(label) for label in [*batch, *rows, *inner]]))
    b = ops.permute(b, tuple([b_labels.index(label) for label in [*batch, *inner, *columns]]))
    outer = (n_batch,) if batch else ()
    a = ops.reshape(a, (*outer, n_rows, n_inner))
    y = ops.matmul(a, ops.reshape(b, (*outer, n_inner, n_columns)))
    return ops.reshape(y, shape), labels


def sum_own(a: Any, a_labels: Labels, b_labels: Labels, kept: set[int]) -> tuple[Any, Labels]:
    """`a` summed over the labels that neither b nor anyone later has."""
    own = [d for d, label in enumerate(a_labels) if label not in kept and label not in b_labels]
    if own:
        a = ops.sum(a, own)
    return a, [label for d, label in enumerate(a_labels) if d not in own]


def align(x: Any, have: Labels, want: Labels) -> Any:
    """The dimensions of x in the order of `want`, with size 1 for what it does not have."""
    order = [have.index(label) for label in want if label in have]
    x = ops.permute(x, tuple(order))
    sizes = iter(x.shape)
    return ops.reshape(x, tuple([next(sizes) if label in have else 1 for label in want]))


def diagonals(x: Any, labels: Labels) -> tuple[Any, Labels]:
    """Each label once: a label that comes twice takes the diagonal."""
    labels = list(labels)
    while len(set(labels)) < len(labels):
        second = next(d for d, label in enumerate(labels) if label in labels[:d])
        first = labels.index(labels[second])
        x = ops.diagonal(x, 0, first, second)  # the diagonal comes last
        label = labels[first]
        labels = [name for d, name in enumerate(labels) if d not in (first, second)] + [label]
    return x, labels


def without_size_1(x: Any, labels: Labels) -> tuple[Any, Labels]:
    """Without the dimensions of size 1: they broadcast, and there is nothing to add up in them."""
    if 1 not in x.shape:
        return x, labels
    kept = [d for d, n in enumerate(x.shape) if n != 1]
    return ops.reshape(x, tuple([x.shape[d] for d in kept])), [labels[d] for d in kept]


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


def tensordot(a: X, b: Any, dims: Any = 2) -> X:
    """Σ a b over pairs of dimensions: the last `dims` of a and the first of b, or two lists.

    Raises: RuntimeError for sizes or dtypes that do not agree.
    """
    require_tensors("tensordot", a=a, b=b)
    if a.dtype != b.dtype:
        require_numbers("tensordot", a, b)
    dims_a, dims_b = paired_dimensions(a, b, dims)
    for da, db in zip(dims_a, dims_b, strict=True):
        m, n = a.shape[da], b.shape[db]
        if m != n and m != 1 and n != 1:
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but the first has size {m} in "
                f"dim {da} and the second {n} in dim {db} (shapes {tuple(a.shape)} and "
                f"{tuple(b.shape)})."
            )
        if m == 1 and n != 1:
            b = ops.sum(b, db, True, dtype=b.dtype)
        elif n == 1 and m != 1:
            a = ops.sum(a, da, True, dtype=a.dtype)
    rows = [d for d in range(a.ndim) if d not in dims_a]
    columns = [d for d in range(b.ndim) if d not in dims_b]
    shape = tuple([a.shape[d] for d in rows] + [b.shape[d] for d in columns])
    inner = count(tuple([a.shape[d] for d in dims_a]))
    left = ops.reshape(ops.permute(a, (*rows, *dims_a)), (count(shape[: len(rows)]), inner))
    right = ops.reshape(ops.permute(b, (*dims_b, *columns)), (inner, count(shape[len(rows) :])))
    return ops.reshape(ops.matmul(left, right), shape)


def paired_dimensions(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    """The dimensions of a and of b to sum over, from what tensordot takes as dims."""
    if isinstance(dims, Tensor) or is_array(dims):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}.")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(
                f"tensordot expects no more dims than a and b have, but got dims={dims} for "
                f"shapes {tuple(a.shape)} and {tuple(b.shape)}."
            )
        return list(range(a.ndim - dims, a.ndim)), list(range(dims))
    text = f"tensordot: dims is an int or two lists of ints, as in ([1], [0]), not {dims!r}."
    if not isinstance(dims, (list, tuple)):
        raise RuntimeError(text)
    if len(dims) != 2:
        raise ValueError(text)
    if not all(isinstance(d, (list, tuple)) for d in dims):
        raise TypeError(text)
    if len(dims[0]) != len(dims[1]):
        raise RuntimeError(f"tensordot: both lists of dims must be equally long, not {dims}.")
    dims_a, dims_b = [dim_of(d, a.ndim) for d in dims[0]], [dim_of(d, b.ndim) for d in dims[1]]
    if len(set(dims_a)) < len(dims_a) or len(set(dims_b)) < len(dims_b):
        raise RuntimeError(f"tensordot: a dim appears twice in {dims}. Name each one once.")
    return dims_a, dims_b
