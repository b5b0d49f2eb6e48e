"""Initial values: how large the first weights are, so that signals neither die nor explode.

The functions with an underscore at the end are PyTorch's: they fill a Tensor in place, unrecorded.
Below them stand the lectures' names, which return new Tensors of a shape (fan_out, fan_in, ...).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import (
    Array,
    DType,
    float64,
    get_default_dtype,
    is_array,
    made_at,
    namespace,
    to_device,
)
from tinygrad_mmb.ops import random
from tinygrad_mmb.ops.random import Generator

LINEAR = ("linear", "conv1d", "conv2d", "conv3d",
          "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much to widen the weights before an activation, which shrinks the signal.

    Raises: ValueError for a name without a recommended gain.
    """
    if nonlinearity in LINEAR or nonlinearity == "sigmoid":
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """From U(a, b)."""
    if a > b:
        raise RuntimeError(f"uniform_ expects a range [a, b) with a <= b, but got {a} > {b}")
    return write(tensor, a + (b - a) * unit(tensor.shape, generator))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """From N(mean, std²)."""
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    return write(tensor, mean + std * normal(tensor.shape, generator))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """From N(mean, std²) without what falls outside [a, b], which is drawn again."""
    values = mean + std * normal(tensor.shape, generator)
    outside = (values < a) | (values > b)
    for _ in range(1000):
        if not outside.any():
            break
        values[outside] = mean + std * normal((int(outside.sum()),), generator)
        outside = (values < a) | (values > b)
    return write(tensor, values.clip(a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """All `val`."""
    return write(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """All 0."""
    return write(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return write(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal of a matrix, 0 elsewhere."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return write(tensor, namespace(tensor.array).eye(*tensor.shape))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """From U(-a, a), a = gain · √(6 / (fan_in + fan_out))   (Glorot and Bengio, 2010)."""
    fan_in, fan_out = fans(tensor.shape)
    a = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """From N(0, σ²), σ = gain · √(2 / (fan_in + fan_out))   (Glorot and Bengio, 2010)."""
    fan_in, fan_out = fans(tensor.shape)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """From U(-b, b), b = gain · √(3 / fan)   (He et al., 2015). `a`: slope of a leaky ReLU."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / fan_of(tensor.shape, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """From N(0, σ²), σ = gain / √fan   (He et al., 2015). `a` is the slope of a leaky ReLU."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan_of(tensor.shape, mode))
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain · a random matrix with orthonormal rows or columns   (Saxe et al., 2013)."""
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if 0 in tensor.shape:
        return tensor
    rows = tensor.shape[0]
    columns = math.prod(tensor.shape[1:])
    tall = normal((max(rows, columns), min(rows, columns)), generator)
    xp = namespace(tall)
    q, r = xp.linalg.qr(tall)
    q = q * xp.sign(xp.diagonal(r))  # makes every such matrix equally likely (Mezzadri, 2007)
    return write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """From N(0, std²), with the part `sparsity` of each column set to 0   (Martens, 2010)."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    values = std * normal(tensor.shape, generator)
    order = unit(tensor.shape, generator).argsort(0)
    zeros = math.ceil(sparsity * tensor.shape[0])
    values[order[:zeros], namespace(values).arange(tensor.shape[1])] = 0.0
    return write(tensor, values)


# The lectures' names. All weights are (fan_out, fan_in, ...), as layers hold them.


def glorot(shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
    """W ~ N(0, 2 / (n_in + n_out)): keeps the variance of linear signals, there and back."""
    return xavier_normal_(blank(shape), generator=generator)


def glorot_relu(shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
    """W ~ N(0, 4 / (n_in + n_out)): Glorot's, times 2: ReLU switches half of the signal off."""
    return xavier_normal_(blank(shape), math.sqrt(2.0), generator)


def he(shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
    """W ~ N(0, 2 / n_in): keeps the size of signals through ReLU."""
    return kaiming_normal_(blank(shape), nonlinearity="relu", generator=generator)


def lecun(shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
    """W ~ N(0, 1 / n_in): what SELU needs to keep mean 0 and variance 1."""
    return kaiming_normal_(blank(shape), nonlinearity="linear", generator=generator)


def uniform(shape: tuple[int, ...], low: float, high: float, dtype: DType | None = None) -> Tensor:
    """A new Tensor from U(low, high)."""
    return uniform_(blank(shape, dtype), low, high)


def blank(shape: tuple[int, ...], dtype: DType | None = None) -> Tensor:
    """Memory to be filled."""
    for size in shape:
        if not hasattr(size, "__index__"):
            raise TypeError(
                f"sizes must be integers, but got {size!r} in {tuple(shape)}. Divide with //."
            )
        if size < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {size}: {list(shape)}. Sizes "
                "are 0 or more."
            )
    dtype = dtype or get_default_dtype()
    return wrap(made_at(None, lambda xp: xp.empty(shape, dtype)))


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(how many values each output is made of, how many outputs each input reaches)."""
    if len(shape) < 2:
        raise ValueError(
            f"Fan in and fan out can not be computed for a tensor of shape {tuple(shape)}: weights "
            "have at least 2 dimensions, (out, in, ...)"
        )
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def fan_of(shape: tuple[int, ...], mode: str) -> int:
    """fan_in keeps signals, fan_out keeps gradients."""
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return fans(shape)[mode.lower() == "fan_out"]


def unit(shape: tuple[int, ...], generator: Generator | None) -> Array:
    """From U(0, 1), in float64."""
    source = random.default_generator if generator is None else generator
    return source.uniform(tuple(shape), 0.0, 1.0, float64)


def normal(shape: tuple[int, ...], generator: Generator | None) -> Array:
    """From N(0, 1), in float64."""
    source = random.default_generator if generator is None else generator
    return source.normal(tuple(shape), 0.0, 1.0, float64)


def write(tensor: Tensor, values: Any) -> Tensor:
    """Put values in, unrecorded; a note for autograd that they have changed."""
    there = tensor.device
    tensor.array[...] = to_device(values, there) if is_array(values) else values
    tensor.memory.touch()
    return tensor
