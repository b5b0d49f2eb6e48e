"""Tables of vectors looked up by class, and their sparse twin, the one-hot code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, add_at, namespace
from tinygrad_mmb.kernels import recorder
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.gathering import are_outside

__all__ = ["embedding", "one_hot"]


class Rows(Function):
    """y = weight[index].   ∂L/∂weight = g, added up row by row, each times its `share` (or 1)."""

    @staticmethod
    def forward(weight: Array, index: Array, share: Array | None) -> Array:
        return weight[index]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        weight, index, ctx.share = inputs
        ctx.rows = weight.shape[0]
        ctx.save_for_backward(index)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (index,) = ctx.saved_tensors
        g = g if ctx.share is None else g * ctx.share
        return AddRows.apply(g, index, ctx.rows), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((5, n)), rng.integers(0, 5, (2, 3)), None
        yield rng.standard_normal((5, n)), rng.integers(0, 5, 3), None


class AddRows(Function):
    """A table of zeros with the rows of x added at their indices.   ∂L/∂x = g[index]."""

    @staticmethod
    def forward(x: Array, index: Array, rows: int) -> Array:
        y = namespace(x).zeros((rows, x.shape[-1]), x.dtype)
        add_at(y, index.reshape(-1), x.reshape(-1, x.shape[-1]))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (index,) = ctx.saved_tensors
        return Rows.apply(g, index, None), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, 3, n)), rng.integers(0, 5, (2, 3)), 5


def embedding(
    input: X,
    weight: X,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> X:
    """The rows of a table: y[i] = weight[input[i]].

    Shapes: input of any shape, int64 or int32; weight (V, D) → (*input.shape, D).
    `padding_idx`: that row gets no gradient. `max_norm`: rows that are longer are shortened in
    place, in the `norm_type` norm. `scale_grad_by_freq`: gradients are divided by how
    often an index came.
    Raises: IndexError outside the table; RuntimeError for dtypes and shapes that do not fit.
    """
    require_tensor("embedding", input)
    where = f"embedding of input {tuple(input.shape)} in weight {tuple(weight.shape)}"
    if weight.ndim != 2:
        raise RuntimeError(f"{where}: weight must be 2-D: (number of vectors, their length)")
    rows = weight.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(
                f"{where}: padding_idx={padding_idx} must be within 0 and {rows - 1}"
            )
        padding_idx %= rows
    if input.dtype not in (backend.int64, backend.int32):
        raise RuntimeError(
            f"{where}: expected input int64 or int32, but got {input.dtype}. Convert it: x.long()"
        )
    if sparse:
        raise NotImplementedError(f"{where}: sparse=True: there are no sparse gradients here")
    index: Any = getattr(input, "array", input)
    if recorder.answer(are_outside, index, 0, rows):
        wrong = index[(index < 0) | (index >= rows)].ravel()[0]
        raise IndexError(
            f"{where}: index {int(wrong)} is out of range: there are the rows 0 to {rows - 1}"
        )
    if max_norm is not None:
        shorten(weight, index, max_norm, norm_type)
    share = shares(index, weight.dtype, rows, padding_idx, scale_grad_by_freq)
    return Rows.apply(weight, input, share)


def shares(
    index: Array, dtype: Any, rows: int, padding_idx: int | None, by_frequency: bool
) -> Array | None:
    """What part of its gradient each looked-up vector hands to its row; None: all of it."""
    if padding_idx is None and not by_frequency:
        return None
    xp = namespace(index)
    share = xp.ones(index.shape, dtype)
    if by_frequency:
        share = share / xp.bincount(index.reshape(-1), minlength=rows)[index]
    if padding_idx is not None:
        share = xp.where(index == padding_idx, 0, share)
    return share.astype(dtype)[..., None]


def shorten(weight: Any, index: Array, max_norm: float, norm_type: float) -> None:
    """Scale the looked-up rows of the table to at most `max_norm`, in place and unrecorded."""
    table = getattr(weight, "array", weight)
    xp = namespace(table)
    chosen = xp.unique(index)
    norms = xp.linalg.norm(table[chosen], ord=norm_type, axis=1)
    long = norms > max_norm
    if not long.any():
        return
    factors = (max_norm / (norms[long] + 1e-7)).astype(table.dtype)
    with no_grad():
        table[chosen[long]] *= factors[:, None]
    if isinstance(weight, Tensor):
        weight.memory.touch()


def one_hot(tensor: X, num_classes: int = -1) -> X:
    """1 at the class, 0 elsewhere.   Shapes: int64 (...) → int64 (..., num_classes).

    num_classes=-1 takes the largest class + 1.
    Raises: RuntimeError for other dtypes and classes out of range.
    """
    t = getattr(tensor, "array", tensor)
    if isinstance(num_classes, bool) or not hasattr(num_classes, "__index__"):
        kind = type(num_classes).__name__
        raise TypeError(f"one_hot(): argument 'num_classes' must be int, not {kind}")
    if t.dtype != backend.int64:
        raise RuntimeError(f"one_hot: expected classes of dtype int64, but got {t.dtype}; t.long()")
    if not t.size and num_classes <= 0:
        raise RuntimeError("one_hot: cannot infer the number of classes from an empty tensor")
    if t.size and t.min() < 0:
        raise RuntimeError(f"one_hot: class values must be non-negative, but got {int(t.min())}")
    if num_classes == -1:
        num_classes = int(t.max()) + 1
    elif t.size and t.max() >= num_classes:
        raise RuntimeError(
            f"one_hot: class values must be smaller than num_classes={num_classes}, but got "
            f"{int(t.max())}"
        )
    y = (t[..., None] == namespace(t).arange(num_classes)).astype(backend.int64)
    return Tensor(y) if isinstance(tensor, Tensor) else y
