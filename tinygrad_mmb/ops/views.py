"""Views: the same memory looked at in another way. Nothing is copied, all see writes."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, bool_, expanded, namespace

__all__ = [
    "DiagonalOnly",
    "Reshape",
    "broadcast_to",
    "diagonal",
    "expand",
    "expand_as",
    "expand_to",
    "flatten",
    "movedim",
    "permute",
    "reshape",
    "squeeze",
    "t",
    "transpose",
    "unsqueeze",
    "view",
    "view_as",
]  # fmt: skip


def dim_of(dim: Any, ndim: int, name: str = "dim") -> int:
    """A dimension counted from the front, checked; a 0-d tensor answers as if it had one.

    Raises: TypeError for what is no integer, IndexError for a dimension that is not there.
    """
    n = ndim or 1
    if type(dim) is not int:
        dim = whole(dim, name)
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim}): "
            f"the tensor has {ndim} dimension{'' if ndim == 1 else 's'}, counted from 0."
        )
    return dim % n


def whole(value: Any, name: str) -> int:
    """An int, of whatever library; a 0-d Tensor of ints is one too. Raises: TypeError."""
    bools = isinstance(value, bool) or getattr(value, "dtype", None) == bool_
    if bools or not hasattr(value, "__index__"):
        raise TypeError(f"argument '{name}' must be int, not {type(value).__name__}")
    return operator.index(value)


def sizes_of(shape: Sequence[Any], name: str = "shape") -> tuple[int, ...]:
    """The sizes in a tuple or list.

    Raises: TypeError if it is none, or a size is not an integer.
    """
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"argument '{name}' must be tuple of ints, not {type(shape).__name__}")
    return tuple([n if type(n) is int else whole(n, name) for n in shape])


def known_shape(shape: tuple[int, ...], x: Any) -> tuple[int, ...]:
    """`shape` with its -1, if any, worked out from the number of elements of x.

    Raises: RuntimeError if x does not fit.
    """
    size, asked = math.prod(x.shape), shape
    if -1 in shape:
        rest = -math.prod(shape)
        if shape.count(-1) > 1:
            raise RuntimeError(f"only one dimension can be inferred, but got shape {list(shape)}")
        if rest == 0:
            raise RuntimeError(
                f"cannot reshape a tensor of shape {list(x.shape)} into shape {list(shape)} "
                "because the unspecified dimension size -1 can be any value and is ambiguous"
            )
        shape = tuple([size // rest if n == -1 else n for n in shape])
    if math.prod(shape) != size or (shape and min(shape) < 0):
        raise RuntimeError(
            f"shape '{list(asked)}' is invalid for input of size {size} (shape {list(x.shape)}): "
            f"the sizes must multiply to {size}"
            + (f", and {size} is no multiple of {-math.prod(asked)}." if -1 in asked else ".")
        )
    return shape


class Reshape(Function):
    """The same elements in another shape; a view where strides allow it, else a copy."""

    view = True

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...]) -> Array:
        return x.reshape(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Reshape.apply(g, ctx.shape), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), (n * n,)
        yield rng.standard_normal((n, 6)).T, (2, 3, n)
        yield rng.standard_normal(()), (1, 1)


class Permute(Function):
    """Dimensions in another order."""

    view = True

    @staticmethod
    def forward(x: Array, dims: tuple[int, ...]) -> Array:
        return x.transpose(dims)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dims = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        back = sorted(range(len(ctx.dims)), key=ctx.dims.__getitem__)
        return Permute.apply(g, tuple(back)), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 2, 3)), (2, 0, 1)
        yield rng.standard_normal(()), ()


class Expand(Function):
    """x repeated along dimensions of size 1 and new leading ones.   ∂L/∂x = g summed over them."""

    view = True

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...]) -> Array:
        if math.prod(shape) == x.size:  # only new dimensions of size 1: stays writeable
            return x.reshape(shape)
        y = expanded(x, shape)
        if hasattr(y.flags, "writeable") and x.flags.writeable and not y.flags.writeable:
            y.flags.writeable = True  # a single row of it may be written to
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ops.sum_to(g, ctx.shape), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 1)), (2, n, 3)
        yield rng.standard_normal(()), (n,)


class Diagonal(Function):
    """y[..., i] = x[..., i, i + offset] in dimensions dim1 and dim2."""

    view = True

    @staticmethod
    def forward(x: Array, offset: int, dim1: int, dim2: int) -> Array:
        y = x.diagonal(offset, dim1, dim2)
        if hasattr(y.flags, "writeable"):
            y.flags.writeable = x.flags.writeable  # NumPy hands it out read-only
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, *ctx.place = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return DiagonalOnly.apply(g, ctx.shape, *ctx.place), None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 0, 0, 1
        yield rng.standard_normal((2, n, 3)), -1, 2, 1
        yield rng.standard_normal((n, 3)), 5, 0, 1


class DiagonalOnly(Function):
    """Zeros of a shape with x on a diagonal: the way back of Diagonal."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Array:
        y = namespace(x).zeros(shape, x.dtype)
        Diagonal.forward(y, offset, dim1, dim2)[...] = x
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.place = inputs[2:]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Diagonal.apply(g, *ctx.place), None, None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal(n), (n, n), 0, 0, 1
        yield rng.standard_normal((n, 2)), (3, n, 3), 1, 0, 2


@method(sizes=True)
def reshape(input: X, shape: Any) -> X:
    """The same elements in another shape; one size may be -1. A view where possible, else a copy.

    Raises: RuntimeError if the number of elements differs.
    """
    return Reshape.apply(input, known_shape(sizes_of(shape), input))


@method(sizes=True)
def view(x: X, size: Any) -> X:
    """As `reshape`, but never a copy.

    Raises: RuntimeError where only a copy could have that shape.
    """
    if hasattr(size, "kind"):
        if size != x.dtype:
            raise NotImplementedError(
                f"view({size}): the bytes of {x.dtype} cannot be read as another dtype. "
                "x.to(dtype) converts the numbers."
            )
        return Reshape.apply(x, x.shape)
    sizes = known_shape(sizes_of(size, "size"), x)
    array: Any = getattr(x, "array", x)
    if array.size and not namespace(array).may_share_memory(array.reshape(sizes), array):
        raise RuntimeError(
            f"view size {list(sizes)} is not compatible with input tensor's size {list(x.shape)} "
            "and stride (at least one dimension spans across two contiguous subspaces). Use "
            ".reshape(...) instead."
        )
    return Reshape.apply(x, sizes)


@method
def view_as(x: X, other: Any) -> X:
    """x.view(other.shape)."""
    return view(x, tuple(other.shape))


@method
def flatten(input: X, start_dim: int = 0, end_dim: int = -1) -> X:
    """Dimensions start_dim..end_dim made one."""
    a: int = dim_of(start_dim, input.ndim)
    b: int = dim_of(end_dim, input.ndim)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if input.ndim and a == b:
        return input
    return Reshape.apply(
        input, (*input.shape[:a], math.prod(input.shape[a : b + 1]), *input.shape[b + 1 :])
    )


@method
def unsqueeze(input: X, dim: int) -> X:
    """A new dimension of size 1 at `dim`."""
    dim = dim_of(dim, input.ndim + 1)
    return Reshape.apply(input, (*input.shape[:dim], 1, *input.shape[dim:]))


@method
def squeeze(input: X, dim: Any = ...) -> X:
    """Without its dimensions of size 1: all of them, or those in `dim`."""
    if dim is ...:
        return Reshape.apply(input, tuple([n for n in input.shape if n != 1]))
    dims = [dim_of(d, input.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"squeeze: a dim appears twice in {dim}")
    kept = tuple([n for i, n in enumerate(input.shape) if n != 1 or i not in dims])
    return Reshape.apply(input, kept)


@method(sizes=True)
def permute(input: X, dims: Any) -> X:
    """Dimensions in the given order."""
    order = sizes_of(dims, "dims")
    checked = tuple([dim_of(d, input.ndim) for d in order])
    if len(checked) != input.ndim:
        raise RuntimeError(
            "permute(): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not "
            f"equal to len(dims) = {len(checked)}"
        )
    if len(set(checked)) < len(checked):
        raise RuntimeError(f"permute(): duplicate dims are not allowed, but got {order}")
    return Permute.apply(input, checked)


@method
def transpose(input: X, dim0: int, dim1: int) -> X:
    """Two dimensions exchanged."""
    dims = list(range(input.ndim))
    a, b = dim_of(dim0, input.ndim), dim_of(dim1, input.ndim)
    if dims:
        dims[a], dims[b] = b, a
    return Permute.apply(input, tuple(dims))


@method
def t(input: X) -> X:
    """The transpose of a matrix; vectors and numbers as they are.

    Raises: RuntimeError for more than two dimensions.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D. Use "
            "transpose(dim0, dim1), or mT for a batch of matrices."
        )
    return Permute.apply(input, tuple(range(input.ndim))[::-1])


@method
def movedim(input: X, source: Any, destination: Any) -> X:
    """Dimensions `source` moved to the places `destination`; the others keep their order."""
    if isinstance(source, (tuple, list)) != isinstance(destination, (tuple, list)):
        raise TypeError(f"movedim: two ints or two tuples, but got {source} and {destination}")
    places = [s if isinstance(s, (tuple, list)) else (s,) for s in (source, destination)]
    sources, targets = ([dim_of(d, input.ndim) for d in p] for p in places)
    if len(sources) != len(targets) or len(set(sources)) + len(set(targets)) != 2 * len(sources):
        raise RuntimeError(
            "movedim: source and destination must name as many dimensions, each once, but got "
            f"{source} and {destination}"
        )
    if not input.ndim:
        return Permute.apply(input, ())
    rest = iter([d for d in range(input.ndim) if d not in sources])
    moved = dict(zip(targets, sources, strict=True))
    return Permute.apply(
        input, tuple([moved[d] if d in moved else next(rest) for d in range(input.ndim)])
    )


@method(sizes=True)
def expand(x: X, size: Any) -> X:
    """x broadcast to a shape without copying; -1 keeps a size.

    Raises: RuntimeError if a dimension other than those of size 1 would have to grow.
    """
    shape = sizes_of(size, "size")
    lead = len(shape) - x.ndim
    if lead < 0:
        raise RuntimeError(
            f"expand(tensor of shape {list(x.shape)}, size={list(shape)}): the number of sizes "
            f"provided ({len(shape)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({x.ndim})"
        )
    full = []
    for i, n in enumerate(shape):
        old = x.shape[i - lead] if i >= lead else 1
        if n == -1 and i >= lead:
            n = old
        if n < 0 or (n != old and old != 1):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at "
                f"non-singleton dimension {i}. Target sizes: {list(shape)}. Tensor sizes: "
                f"{list(x.shape)}. Only dimensions of size 1 can be expanded."
            )
        full.append(n)
    return Expand.apply(x, tuple(full))


@method(sizes=True)
def broadcast_to(input: X, size: Any) -> X:
    """input.expand(size)."""
    return expand(input, size)


@method
def expand_as(x: X, other: Any) -> X:
    """x.expand(other.shape)."""
    return expand(x, tuple(other.shape))


def expand_to(x: X, shape: tuple[int, ...]) -> X:
    """`expand` of what is known to fit: the way back of every sum, so arrays take the short way."""
    return Expand.apply(x, shape) if isinstance(x, Tensor) else expanded(x, shape)


@method
def diagonal(input: X, offset: int = 0, dim1: int = 0, dim2: int = 1) -> X:
    """The diagonal of dimensions dim1 and dim2, as a new last dimension."""
    a, b = dim_of(dim1, input.ndim), dim_of(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return Diagonal.apply(input, whole(offset, "offset"), a, b)
