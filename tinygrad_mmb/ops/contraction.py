"""Sums of products in Einstein's notation, and tensordot: both are matrix products in disguise."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.ops.products import count, require_numbers, require_tensors
from tinygrad_mmb.ops.subscripts import (
    ELLIPSIS,
    Labels,
    name_ellipsis,
    output_labels,
    read_arguments,
    require_sizes,
)
from tinygrad_mmb.ops.views import dim_of

__all__ = ["einsum", "tensordot"]


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


def tensordot(a: X, b: Any, dims: Any = 2) -> X:
    """Σ a b over pairs of dimensions: the last `dims` of a and the first of b, or two lists.

    Raises: RuntimeError for sizes or dtypes that do not agree.
    """
    require_tensors("tensordot", a=a, b=b)
    if a.dtype != b.dtype:
        require_numbers("tensordot", a, b)
    return product_over(a, b, *paired_dimensions(a, b, dims))


def product_over(a: Any, b: Any, dims_a: list[int], dims_b: list[int]) -> Any:
    """Σ a b over these pairs of dimensions, as one product of two matrices."""
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
