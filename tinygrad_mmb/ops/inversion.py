"""Inverse and determinant of square matrices. Public as tinygrad_mmb.linalg.inv and .det."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, is_array, namespace, waits
from tinygrad_mmb.backend.layout import in_rows

__all__ = ["det", "inverse"]


class LinAlgError(RuntimeError):
    """A matrix that has no inverse was to be inverted."""


class Inverse(Function):
    """Y = A⁻¹, of each matrix of a batch.   ∂L/∂A = -Yᵀ G Yᵀ."""

    @staticmethod
    def forward(a: Array) -> Array:
        xp = namespace(a)
        a, undefined = without_nan(a)
        try:
            y = xp.linalg.inv(a)
            if waits(a):
                refuse_singular(a, y)
            y = y if undefined is None else xp.where(undefined, a.dtype.type("nan"), y)
            return in_rows(y.swapaxes(-1, -2)).swapaxes(-1, -2)  # in columns, as LAPACK has it
        except xp.linalg.LinAlgError:
            raise LinAlgError(
                f"linalg.inv: {where_singular(a)} is singular (its rows depend on each other), so "
                "it has no inverse. Is a row or column repeated or zero?"
            ) from None

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        yt = ops.transpose(y, -1, -2)
        return -ops.matmul(yt, ops.matmul(g, yt))

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (3.0 * namespace().eye(n) + rng.uniform(-0.5, 0.5, (n, n)),)
        yield ((3.0 * namespace().eye(3) + rng.uniform(-0.5, 0.5, (2, 3, 3))).transpose(0, 2, 1),)


class Determinant(Function):
    """y = det A, of each matrix of a batch.   ∂L/∂A = g · adj(A)ᵀ = g · y · A⁻ᵀ (y not 0).

    As in PyTorch, the gradient at a matrix whose determinant is exactly 0 is 0 in an ordinary
    backward pass; with create_graph=True it is the true one, g · adj(A)ᵀ.
    """

    @staticmethod
    def forward(a: Array) -> Array:
        a, undefined = without_nan(a)
        y = namespace(a).linalg.det(a)
        if undefined is None:
            return y
        return namespace(a).where(undefined[..., 0, 0], a.dtype.type("nan"), y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.singular = nearly_singular(output)
        a = inputs[0].array if isinstance(inputs[0], Tensor) else inputs[0]
        ctx.identity = namespace(a).eye(a.shape[-1], dtype=a.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, y = ctx.saved_tensors
        scale = ops.unsqueeze(ops.unsqueeze(g * y, -1), -1)
        exact = ops.unsqueeze(ops.unsqueeze(ops.eq(y, 0.0), -1), -1)
        singular = ctx.singular[..., None, None] if ctx.create_graph else exact
        regular = Inverse.apply(ops.where(singular, ctx.identity, a))
        result = scale * ops.transpose(regular, -1, -2)
        if ctx.create_graph and (waits(a) or bool(ctx.singular.any())):
            adjugate_t = ops.transpose(adjugate(a, ctx.identity), -1, -2)
            result = ops.where(
                singular, ops.unsqueeze(ops.unsqueeze(g, -1), -1) * adjugate_t, result
            )
        return result

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Inverse.samples(rng, n)


def without_nan(a: Array) -> tuple[Array, Array | None]:
    """(a with unit matrices for those that hold NaN, which ones these are): LAPACK skips NaN."""
    xp = namespace(a)
    nan = xp.isnan(a)
    if not waits(a) and not nan.any():
        return a, None
    undefined = nan.any(axis=(-2, -1), keepdims=True)
    return xp.where(undefined, xp.eye(a.shape[-1], dtype=a.dtype), a), undefined


def refuse_singular(a: Array, y: Array) -> None:
    """Raise LinAlgError where an inverse is not finite: a GPU divides by 0 without a word."""
    xp = namespace(a)
    wrong = xp.isfinite(a).all((-2, -1)) & ~xp.isfinite(y).all((-2, -1))
    if bool(wrong.any()):
        raise xp.linalg.LinAlgError


def nearly_singular(y: Any) -> Any:
    """Where a determinant is too small to divide by: PyTorch's bound, |det A| < 100 ε."""
    y = y.array if isinstance(y, Tensor) else y
    return namespace(y).abs(y) < 100.0 * namespace(y).finfo(y.dtype).eps


def adjugate(a: Any, identity: Any) -> Any:
    """The adjugate det(A) A⁻¹, without dividing by anything that A could make 0.

    Faddeev and LeVerrier: M₁ = I, cₖ = -tr(A Mₖ) / k, Mₖ₊₁ = A Mₖ + cₖ I, adj A = (-1)ⁿ⁻¹ Mₙ.
    """
    n = a.shape[-1]
    m = identity
    for k in range(1, n):
        am = ops.matmul(a, m)
        trace = ops.sum(ops.diagonal(am, 0, -2, -1), -1)
        m = am - ops.unsqueeze(ops.unsqueeze(trace / k, -1), -1) * identity
    return m if n % 2 else -m


def where_singular(a: Array) -> str:
    """The matrix to name in the error."""
    if a.ndim == 2:
        return f"the matrix of shape {a.shape}"
    flat = namespace(a).linalg.det(a).reshape(-1)
    number = next((k for k in range(flat.size) if float(flat[k]) == 0.0), "?")
    return f"matrix {number} of the batch of shape {a.shape}"


def require_square(name: str, a: Any) -> None:
    """Raise unless `a` is a square matrix of floats or a batch of them."""
    if not (isinstance(a, Tensor) or is_array(a)):
        raise TypeError(f"{name}(): argument 'A' must be Tensor, not {type(a).__name__}.")
    if a.ndim < 2:
        raise RuntimeError(
            f"{name}: expected a matrix or a batch of them, but got a tensor of shape "
            f"{tuple(a.shape)}, which has fewer than 2 dimensions."
        )
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{name}: expected square matrices, but the last two sizes of shape {tuple(a.shape)} "
            "differ."
        )
    if a.dtype.kind != "f":
        raise RuntimeError(f"{name}: expected floating point, but got {a.dtype}. Use x.float().")


def inv(A: X) -> X:  # noqa: N803
    """A⁻¹ of a square matrix, or of each of a batch (..., n, n).

    Raises: LinAlgError (a RuntimeError) if it is singular.
    """
    require_square("linalg.inv", A)
    if A.dtype.itemsize == 2:
        raise RuntimeError("linalg.inv: float16 has too few digits to invert with. Use x.float().")
    return Inverse.apply(A)


@method
def det(A: X) -> X:  # noqa: N803
    """The determinant of a square matrix, or of each of a batch (..., n, n)."""
    require_square("linalg.det", A)
    if A.dtype.itemsize == 2:
        raise NotImplementedError("linalg.det is not implemented for float16. Use x.float().")
    return Determinant.apply(A)


@method
def inverse(A: X) -> X:  # noqa: N803
    """`linalg.inv` under its older name."""
    return inv(A)
