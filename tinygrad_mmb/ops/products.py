"""Products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, as_array, float32, is_array, namespace

__all__ = ["bmm", "dot", "matmul", "mm", "mv", "outer"]


class MatMul(Function):
    """Y = A B, over leading batch dimensions.   ∂L/∂A = G Bᵀ,  ∂L/∂B = Aᵀ G.

    A vector counts as a row on the left and as a column on the right.
    """

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        require_numbers("matmul", a, b)
        require_fitting(a, b)
        if a.dtype.itemsize == 2 and a.dtype.kind == "f":  # float16 is added up in float32
            return as_array(product(a.astype(float32), b.astype(float32))).astype(a.dtype)
        return product(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (a, b), (need_a, need_b) = inputs, ctx.needs_input_grad
        ctx.row, ctx.column = a.ndim == 1, b.ndim == 1
        ctx.folded = a.ndim > 2 and b.ndim <= 2  # one matrix B for the whole batch
        ctx.save_for_backward(a if need_b else None, b if need_a else None)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b), (need_a, need_b) = ctx.saved_tensors, ctx.needs_input_grad
        if ctx.column:
            g = ops.unsqueeze(g, -1)
        if ctx.row:
            g = ops.unsqueeze(g, -2)
        ga = gb = None
        if need_a:
            ga = MatMul.apply(g, ops.transpose(ops.unsqueeze(b, -1) if ctx.column else b, -1, -2))
            ga = ops.squeeze(ga, -2) if ctx.row else ga
        if need_b:
            a = ops.unsqueeze(a, -2) if ctx.row else a
            if ctx.folded:  # Σ over the batch of Aᵀ G is one product of two tall matrices
                a = ops.reshape(a, (count(a.shape[:-1]), a.shape[-1]))
                g = ops.reshape(g, (count(g.shape[:-1]), g.shape[-1]))
            gb = MatMul.apply(ops.transpose(a, -1, -2), g)
            gb = ops.squeeze(gb, -1) if ctx.column else gb
        return ga, gb

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        draw = rng.standard_normal
        yield draw((n, n)), draw((n, n))
        yield draw((3, n)).T, draw((2, 3)).T
        yield draw((2, n, 3)), draw((3, 2))
        yield draw((2, 1, n, 3)), draw((3, 3, 2))
        yield draw(3), draw(3)
        yield draw((n, 3)), draw(3)
        yield draw(3), draw((3, n))
        yield draw((2, n, 3)), draw(3)
        yield draw(3), draw((2, 3, n))


def product(a: Array, b: Array) -> Array:
    """A B. One matrix B for a whole batch is one product of a tall matrix: faster in BLAS."""
    if a.ndim > 2 and b.ndim == 2:
        return (a.reshape(count(a.shape[:-1]), a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[1])
    return namespace(a).matmul(a, b)


def count(shape: tuple[int, ...]) -> int:
    """How many elements a shape has (-1 does not say, where another size is 0)."""
    n = 1
    for size in shape:
        n *= size
    return n


def require_fitting(a: Array, b: Array) -> None:
    """Raise RuntimeError unless the inner sizes agree and the batch dimensions broadcast."""
    if not a.ndim or not b.ndim:
        raise RuntimeError(
            f"matmul: both arguments need at least 1 dimension, but they have shapes {a.shape} and "
            f"{b.shape}. Use * for numbers."
        )
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        raise RuntimeError(
            f"matmul: shapes {a.shape} and {b.shape} cannot be multiplied: the last dimension of "
            f"the first is {a.shape[-1]}, so the {'only' if b.ndim == 1 else 'second-last'} one of "
            f"the second must be, but is {inner}. Is one of them to be transposed?"
        )
    for m, n in zip(a.shape[-3::-1], b.shape[-3::-1], strict=False):
        if m != n and m != 1 and n != 1:
            raise RuntimeError(
                f"matmul: the batch dimensions {a.shape[:-2]} and {b.shape[:-2]} of shapes "
                f"{a.shape} and {b.shape} do not broadcast: {m} is not {n}."
            )


def require_numbers(name: str, a: Any, b: Any) -> None:
    """Raise unless both have the same dtype (RuntimeError), and not bool (NotImplementedError)."""
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: both must have the same dtype, but they are {a.dtype} and {b.dtype} (shapes "
            f"{tuple(a.shape)} and {tuple(b.shape)}). Convert one: a.to(b.dtype)."
        )
    if a.dtype.kind == "b":
        raise NotImplementedError(f"{name} is not implemented for bool. Convert first: x.int().")


def require_tensors(name: str, **arguments: Any) -> None:
    """Raise TypeError unless all arguments are Tensors or arrays."""
    for position, (label, x) in enumerate(arguments.items(), 1):
        if not (isinstance(x, Tensor) or is_array(x)):
            raise TypeError(
                f"{name}(): argument '{label}' (position {position}) must be Tensor, "
                f"not {type(x).__name__}."
            )


def require_dimensions(name: str, a: Any, b: Any, dims: tuple[int, int]) -> None:
    """Raise RuntimeError unless a and b have that many dimensions each."""
    if (a.ndim, b.ndim) != dims:
        raise RuntimeError(
            f"{name}: expected {dims[0]}-D and {dims[1]}-D tensors, but got {a.ndim}-D and "
            f"{b.ndim}-D, of shapes {tuple(a.shape)} and {tuple(b.shape)}. matmul takes more kinds."
        )


@method
def matmul(input: X, other: Any) -> X:
    """The matrix product; vectors are rows on the left, columns on the right; batches broadcast.

    Shapes: (..., n, k) and (..., k, m) → (..., n, m); (k,) and (k,) → ().
    Raises: RuntimeError for shapes or dtypes that do not go together.
    """
    require_tensors("matmul", input=input, other=other)
    return MatMul.apply(input, other)


@method
def mm(input: X, mat2: Any) -> X:
    """The product of two matrices, (n, k) and (k, m) → (n, m)."""
    require_tensors("mm", input=input, mat2=mat2)
    require_dimensions("mm", input, mat2, (2, 2))
    return MatMul.apply(input, mat2)


@method
def bmm(input: X, mat2: Any) -> X:
    """The products of two batches of matrices, (b, n, k) and (b, k, m) → (b, n, m)."""
    require_tensors("bmm", input=input, mat2=mat2)
    require_dimensions("bmm", input, mat2, (3, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm: {input.shape[0]} and {mat2.shape[0]} matrices, of shapes {tuple(input.shape)} "
            f"and {tuple(mat2.shape)}; there must be as many of both. matmul broadcasts."
        )
    return MatMul.apply(input, mat2)


@method
def mv(input: X, vec: Any) -> X:
    """The product of a matrix and a vector, (n, k) and (k,) → (n,)."""
    require_tensors("mv", input=input, vec=vec)
    require_dimensions("mv", input, vec, (2, 1))
    return MatMul.apply(input, vec)


@method
def dot(input: X, tensor: Any) -> X:
    """Σ aᵢ bᵢ of two vectors of the same length."""
    require_tensors("dot", input=input, tensor=tensor)
    require_dimensions("dot", input, tensor, (1, 1))
    return MatMul.apply(input, tensor)


@method
def outer(input: X, vec2: Any) -> X:
    """yᵢⱼ = aᵢ bⱼ of two vectors; their dtypes are promoted, as by *."""
    require_tensors("outer", input=input, vec2=vec2)
    require_dimensions("outer", input, vec2, (1, 1))
    return ops.mul(ops.unsqueeze(input, 1), vec2)
