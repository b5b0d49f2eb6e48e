"""Reading and adding at places that a Tensor of integers names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X, wrap
from tinygrad_mmb.backend import Array, add_at, as_array, int32, int64, is_array, namespace
from tinygrad_mmb.kernels import recorder
from tinygrad_mmb.ops.dimensions import require_bool, require_tensor
from tinygrad_mmb.ops.views import dim_of

__all__ = ["gather", "nonzero", "scatter_add"]


class Gather(Function):
    """y[i] = x[i with its place `dim` replaced by index[i]].   ∂L/∂x = g, added there."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int, index: Array) -> Array:
        if not index.size:
            return namespace(x).empty(index.shape, x.dtype)
        return at_least_1d(x)[places(index, dim)].reshape(index.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dim, index = inputs
        ctx.save_for_backward(index, x)  # x only because PyTorch does
        ctx.shape = x.shape
        sizes = tuple(index.shape) or (1,)
        ctx.distinct = 0 not in sizes and sizes[ctx.dim] == 1  # one from each row: as labels do

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        index, _ = ctx.saved_tensors
        return AddAlong.apply(g, ctx.shape, ctx.dim, index, ctx.distinct), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 1, as_array([[0, 0], [1, 2]])
        yield rng.standard_normal((n, 3)).T, 0, as_array([[2, 2, 1]])
        yield rng.standard_normal(()), 0, as_array([0, 0])


class AddAlong(Function):
    """y = zeros, with x[i] added at [i, its place `dim` replaced by index[i]].   ∂L/∂x = g there.

    `distinct` says that no place is named twice, which is faster.
    """

    contiguous = True

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...], dim: int, index: Array, distinct: bool) -> Array:
        y = namespace(x).zeros(shape, x.dtype)
        if distinct and index.size:
            at_least_1d(y)[places(index, dim)] = at_least_1d(x)
        elif index.size:
            add_at(at_least_1d(y), places(index, dim), at_least_1d(x))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, _, ctx.dim, index, _ = inputs
        ctx.save_for_backward(index)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (index,) = ctx.saved_tensors
        return Gather.apply(g, ctx.dim, index), None, None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, 2)), (n, n), 1, as_array([[0, 0], [1, 2]]), False
        yield rng.standard_normal((2, 2)), (n, n), 1, as_array([[0, 3], [1, 2]]), True
        yield rng.standard_normal(2), (), 0, as_array([0, 0]), False


class ScatterAdd(Function):
    """y = x, with src[i] added at [i with its place `dim` replaced by index[i]].

    ∂L/∂x = g,  ∂L/∂src = g gathered at the index.
    """

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int, index: Array, src: Array) -> Array:
        y = namespace(x).array(x)
        if index.size:
            part = at_least_1d(src)[tuple([slice(n) for n in at_least_1d(index).shape])]
            add_at(at_least_1d(y), places(index, dim), part)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, ctx.dim, index, src = inputs
        ctx.save_for_backward(index)
        ctx.shapes = tuple(src.shape), tuple(index.shape)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        if not ctx.needs_input_grad[3]:
            return g, None, None, None
        src_shape, index_shape = ctx.shapes
        if src_shape != index_shape:
            raise RuntimeError(
                f"scatter_add: src has shape {src_shape}, index {index_shape}; PyTorch "
                "defines no gradient of a larger src. Cut src to the shape of index first."
            )
        (index,) = ctx.saved_tensors
        return g, None, None, Gather.apply(g, ctx.dim, index)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        index = as_array([[0, 0], [1, 2]])
        yield rng.standard_normal((n, n)), 1, index, rng.standard_normal((2, 2))
        yield rng.standard_normal((3, n)).T, 0, index, rng.standard_normal((2, 2)).T


class Nonzero(Function):
    """The places of what is not 0: one row of indices each, in the order of memory."""

    @staticmethod
    def forward(x: Array) -> Array:
        found = namespace(x).argwhere(at_least_1d(x)).astype(int64, copy=False)
        return found if x.ndim else found[:, :0]

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.standard_normal((n, 3)) > 0,)


def at_least_1d(x: Array) -> Array:
    """x; a 0-d array as a view of shape (1,), as which gather and scatter see it."""
    return x if x.ndim else x.reshape(1)


def places(index: Array, dim: int) -> tuple[Array, ...]:
    """The index tuple of a gather: each position of `index`, its place `dim` replaced."""
    index = at_least_1d(index)
    n = index.ndim
    grid = [
        namespace(index).arange(size).reshape((-1,) + (1,) * (n - 1 - d))
        for d, size in enumerate(index.shape)
    ]
    grid[dim] = index
    return tuple(grid)


def array_of(x: Any) -> Any:
    """The array in a Tensor; an array as it is."""
    return x.array if isinstance(x, Tensor) else x


def check_index(name: str, index: Any, *, empty_of_any_dtype: bool = False) -> None:
    """Let an index pass if it holds int32 or int64.

    Raises: TypeError if it is no Tensor, RuntimeError for another dtype.
    """
    if not (isinstance(index, Tensor) or is_array(index)):
        raise TypeError(
            f"{name}(): argument 'index' (position 3) must be Tensor, "
            f"not {type(index).__name__}. Make it one: tensor(index)."
        )
    if empty_of_any_dtype and 0 in index.shape:
        return
    if index.dtype != int64 and index.dtype != int32:
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, but got {index.dtype}. "
            "Convert it: index.long()."
        )


def require_in_bounds(
    name: str, index: Any, dim: int, size: int, kind: type[Exception] = RuntimeError
) -> None:
    """Raise unless all indices lie in 0 .. size - 1; negative ones do not count from the end."""
    index = array_of(index)
    if recorder.answer(are_outside, index, 0, size):
        low, high = int(index.min()), int(index.max())
        raise kind(
            f"{name}(): index {low if low < 0 else high} is out of bounds for dimension {dim} "
            f"with size {size}; indices go from 0 to {size - 1}."
        )


def are_outside(index: Array, low: int, high: int) -> bool:
    """Whether some index is not one of low .. high - 1."""
    return bool(((index < low) | (index >= high)).any())


def require_fitting(name: str, x: Any, dim: int, index: Any, src: Any = None) -> None:
    """Raise RuntimeError unless index has the dimensions of x and is no larger, but along `dim`;
    and is no larger than src.
    """
    dims = [max_1(t.ndim) for t in ((x, index) if src is None else (x, index, src))]
    if len(set(dims)) > 1:
        raise RuntimeError(
            f"{name}(): x of shape {tuple(x.shape)}, index of shape {index.shape}"
            + ("" if src is None else f" and src of shape {tuple(src.shape)}")
            + " must have the same number of dimensions."
        )
    sizes = tuple(x.shape) or (1,)
    for d, n in enumerate(index.shape or (1,)):
        if d != dim and n > sizes[d]:
            raise RuntimeError(
                f"{name}(): index of shape {tuple(index.shape)} must be no larger than x of shape "
                f"{tuple(x.shape)} apart from dimension {dim}, but is in dimension {d}."
            )
        if src is not None and n > (tuple(src.shape) or (1,))[d]:
            raise RuntimeError(
                f"{name}(): index of shape {tuple(index.shape)} must be no larger than src of "
                f"shape {tuple(src.shape)}, but is in dimension {d}."
            )


def max_1(ndim: int) -> int:
    """Dimensions, where a 0-d tensor counts as having one."""
    return ndim or 1


@method
def gather(input: X, dim: int, index: Any, *, sparse_grad: bool = False) -> X:
    """y[i] = input[i with its place `dim` replaced by index[i]]; y has the shape of index."""
    require_tensor("gather", input)
    if sparse_grad:
        raise NotImplementedError("gather: sparse_grad=True is not built; gradients are dense.")
    dim = dim_of(dim, input.ndim)
    check_index("gather", index, empty_of_any_dtype=True)
    if 0 not in index.shape:
        require_fitting("gather", input, dim, index)
        require_in_bounds("gather", index, dim, input.shape[dim] if input.ndim else 1)
    return Gather.apply(input, dim, index)


@method(inplace=True)
def scatter_add(input: X, dim: int, index: Any, src: Any) -> X:
    """input, with src[i] added at [i with its place `dim` replaced by index[i]]."""
    require_tensor("scatter_add", input)
    dim = dim_of(dim, input.ndim)
    check_index("scatter_add", index, empty_of_any_dtype=True)
    if not (isinstance(src, Tensor) or is_array(src)):
        raise TypeError(
            f"scatter_add(): argument 'src' (position 4) must be Tensor, not {type(src).__name__}."
        )
    if input.dtype != src.dtype:
        raise RuntimeError(
            f"scatter_add(): x is {input.dtype}, so src must be as well, but is {src.dtype}. "
            "Convert it: src.to(x.dtype)."
        )
    if 0 not in index.shape:
        require_fitting("scatter_add", input, dim, index, src)
        require_in_bounds("scatter_add", index, dim, input.shape[dim] if input.ndim else 1)
    return ScatterAdd.apply(input, dim, index, src)


@method
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The indices of all elements that are not 0, (n, input.ndim); or one vector per dimension."""
    require_tensor("nonzero", input)
    require_bool("nonzero", as_tuple, "as_tuple")
    if not as_tuple:
        return Nonzero.apply(input)
    found = Nonzero.forward(at_least_1d(array_of(input)))
    columns = [namespace(found).ascontiguousarray(found[:, d]) for d in range(found.shape[1])]
    return tuple([wrap(c) for c in columns] if isinstance(input, Tensor) else columns)
