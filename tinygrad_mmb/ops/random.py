"""Random tensors. Every draw comes from a Generator; generator=None is the default one."""

from __future__ import annotations

import json
import operator
import os
from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import Array, DType, as_array, float64, int64, namespace
from tinygrad_mmb.ops.creation import finished, float_dtype, listed_shape, shape_of
from tinygrad_mmb.ops.writing import Overwrite

__all__ = [
    "Generator", "bernoulli", "default_generator", "initial_seed", "manual_seed", "multinomial",
    "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
    "seed",
]  # fmt: skip


class Generator:
    """A stream of random numbers: PCG64 (O'Neill, 2014), NumPy's default.

    The same seed gives the same numbers everywhere, though not those of PyTorch. `get_state` is a
    dict of ints and texts that JSON can hold; `set_state` goes on from there, bit for bit.
    """

    def __init__(self, device: Any = "cpu") -> None:
        if backend.as_device(device).type != "cpu":
            raise NotImplementedError(f"Generator(device={device!r}): draws are made on the host")
        self.manual_seed(0)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of this seed. Negative seeds count from 2⁶⁴ down."""
        self._seed = operator.index(seed) % 2**64
        self._numpy = namespace().random.Generator(namespace().random.PCG64(self._seed))
        return self

    def seed(self) -> int:
        """Start a stream nobody can foretell, and return its seed."""
        fresh = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(fresh)
        return fresh

    def initial_seed(self) -> int:
        """The seed this stream started from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """Where the stream is, as a dict that JSON can hold."""
        state = json.loads(json.dumps(self._numpy.bit_generator.state, default=int))
        return {**state, "seed": self._seed}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where `get_state` was called.

        Raises: TypeError or ValueError for what is no such state; the stream is then unchanged.
        """
        if not isinstance(state, dict):
            raise TypeError(f"set_state expects the dict of get_state, not {type(state).__name__}")
        state = dict(state)
        seed = state.pop("seed", self._seed)
        self._numpy.bit_generator.state = state
        self._seed = seed

    @property
    def numpy(self) -> Any:
        """The NumPy generator that draws."""
        return self._numpy

    def uniform(
        self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, dtype: DType = float64
    ) -> Array:
        """Numbers evenly from [low, high)."""
        if dtype == backend.float32:
            values = self._numpy.random(shape, dtype=dtype)
        else:
            values = self._numpy.random(shape)
        if (low, high) != (0.0, 1.0):
            values = low + (high - low) * values
        return _below(values.astype(dtype), low, high)

    def normal(
        self, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0, dtype: DType = float64
    ) -> Array:
        """Normally distributed numbers."""
        exact = dtype if dtype == backend.float32 else float64
        values = self._numpy.standard_normal(shape, dtype=exact)
        if (mean, std) != (0.0, 1.0):
            values = mean + std * values
        return values.astype(dtype) if shape else namespace().asarray(values, dtype=dtype)


def _below(values: Any, low: float, high: float) -> Array:
    """Rounding to few bits may reach `high`, which [low, high) excludes."""
    values = namespace().asarray(values)
    if values.dtype == backend.float16 or (low, high) != (0.0, 1.0):
        values[values >= high] = namespace().nextafter(
            values.dtype.type(high), values.dtype.type(low)
        )
    return values


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default generator again, and return it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from a seed nobody can foretell, and return that seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed the default generator started from."""
    return default_generator.initial_seed()


def _source(generator: Generator | None) -> Generator:
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a Generator, not {type(generator).__name__}")
    return generator


def _only_floats(dtype: DType, name: str) -> DType:
    if dtype.kind != "f":
        raise RuntimeError(
            f'"{name}" not implemented for {dtype}: a floating-point dtype is needed'
        )
    return dtype


def rand(
    size: Any,
    *more: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers evenly from [0, 1)."""
    wanted = _only_floats(float_dtype(dtype), "rand")
    drawn = _source(generator).uniform(shape_of((size, *more), "rand"), dtype=wanted)
    return finished(drawn, device, requires_grad)


def randn(
    size: Any,
    *more: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normally distributed numbers, mean 0, variance 1."""
    wanted = _only_floats(float_dtype(dtype), "normal_kernel_cpu")
    drawn = _source(generator).normal(shape_of((size, *more), "randn"), dtype=wanted)
    return finished(drawn, device, requires_grad)


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`rand` in the shape and dtype of `input`."""
    wanted = input.dtype if dtype is None else dtype
    return rand(
        tuple(input.shape),
        generator=generator,
        dtype=wanted,
        device=input.device if device is None else device,
        requires_grad=requires_grad,
    )


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`randn` in the shape and dtype of `input`."""
    wanted = input.dtype if dtype is None else dtype
    return randn(
        tuple(input.shape),
        generator=generator,
        dtype=wanted,
        device=input.device if device is None else device,
        requires_grad=requires_grad,
    )


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers evenly from [low, high); randint(high, size) starts at 0.

    Raises: RuntimeError for an empty range or one that the dtype cannot hold.
    """
    if size is None and isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError('randint() missing 1 required positional argument: "size"')
    if not (hasattr(low, "__index__") and hasattr(high, "__index__")):
        raise TypeError(f"randint(): low and high must be int, not {low!r} and {high!r}")
    wanted = int64 if dtype is None else backend.as_dtype(dtype)
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    _check_range(operator.index(low), operator.index(high) - 1, wanted)
    shape = listed_shape(size, "randint")
    drawn = _source(generator).numpy.integers(low, high, shape, dtype=int64)
    return finished(namespace().asarray(drawn).astype(wanted), device, requires_grad)


def _check_range(low: int, high: int, dtype: DType) -> None:
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize - (dtype.kind == "i")
        smallest, largest = (-(2**bits) if dtype.kind == "i" else 0), 2**bits - 1
    elif dtype.kind == "b":
        smallest, largest = 0, 1
    else:
        return
    if low < smallest or high > largest:
        raise RuntimeError(f"from or to - 1 is out of bounds for {dtype}: {low}, {high}")


def randint_like(input: Tensor, low: int, high: Any = None, **options: Any) -> Tensor:
    """`randint` in the shape and dtype of `input`."""
    if high is None:
        low, high = 0, low
    options.setdefault("dtype", input.dtype)
    options.setdefault("device", input.device)
    return randint(low, high, tuple(input.shape), **options)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0..n-1 in random order, all orders alike."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, but got {n}")
    wanted = int64 if dtype is None else backend.as_dtype(dtype)
    drawn = _source(generator).numpy.permutation(operator.index(n)).astype(wanted)
    return finished(drawn, device, requires_grad)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normally distributed numbers; mean and std are numbers with `size`, or Tensors.

    Raises: RuntimeError for a negative std.
    """
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    lowest = float(std.array.min()) if isinstance(std, Tensor) and std.array.size else std
    if not isinstance(lowest, Tensor) and lowest < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {lowest}")
    if tensors:
        if size is not None:
            raise TypeError("normal(): size comes from the Tensors mean and std; leave it out")
        for v in tensors:
            _only_floats(v.dtype, "normal_kernel_cpu")
        m, s = (v.array if isinstance(v, Tensor) else v for v in (mean, std))
        shape = namespace().broadcast_shapes(*[v.shape for v in tensors])
        drawn = _source(generator).normal(shape, dtype=tensors[0].dtype)
        place = tensors[0].device
        drawn = as_array(m + s * backend.to_device(drawn, place))
        return finished(drawn, place if device is None else device, requires_grad)
    if size is None:
        raise TypeError('normal() missing 1 required positional argument: "size"')
    wanted = _only_floats(float_dtype(dtype), "normal_kernel_cpu")
    drawn = _source(generator).normal(listed_shape(size, "normal"), mean, std, wanted)
    return finished(drawn, device, requires_grad)


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability input[i], else 0. The gradient of the probabilities is 0.

    Raises: RuntimeError for probabilities outside [0, 1].
    """
    p = input.array
    _only_floats(p.dtype, "bernoulli_tensor_cpu_p_")
    if p.size and not bool(((p >= 0) & (p <= 1)).all()):
        raise RuntimeError("bernoulli: Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    drawn = backend.to_device(_source(generator).uniform(p.shape), input.device)
    y = as_array(drawn < p).astype(p.dtype)
    return Overwrite.apply(input, y)


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with the (unnormalised) probabilities in each row of `input`.

    Shapes: input (C,) or (N, C) → (num_samples,) or (N, num_samples), int64.
    Raises: RuntimeError for negative or non-finite weights, too few of them above 0, or more than
    2²⁴ (where PyTorch's float32 end).
    """
    w = input.array
    if w.dtype.kind != "f":
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {w.dtype}"
        )
    if w.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, but has shape {list(w.shape)}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: {num_samples}")
    if not replacement and num_samples > w.shape[-1]:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{num_samples} from {w.shape[-1]}"
        )
    if w.shape[-1] > 2**24:
        raise RuntimeError(f"number of categories cannot exceed 2^24, but is {w.shape[-1]}")
    xp = namespace(w)
    if not bool((xp.isfinite(w) & (w >= 0)).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    rows = w.reshape(-1, w.shape[-1]).astype(float64)
    if bool((rows.sum(1) <= 0).any()):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and bool(((rows > 0).sum(1) < num_samples).any()):
        raise RuntimeError(
            "invalid multinomial distribution (with replacement=False, not enough non-negative "
            "category to sample)"
        )
    size = (rows.shape[0], num_samples) if replacement else rows.shape
    u = backend.to_device(_source(generator).uniform(size), input.device)
    if replacement:
        ends = rows.cumsum(1)
        u = u * ends[:, -1:]
        drawn = xp.stack(
            [xp.searchsorted(e, v, side="right") for e, v in zip(ends, u, strict=True)]
        )
    else:  # the smallest of Exp(1)/w: the first to ring among alarm clocks of rate w
        times = -xp.log1p(-u) / xp.where(rows > 0, rows, 1.0)
        times[rows == 0] = xp.inf
        drawn = xp.argsort(times, axis=1)[:, :num_samples]
    return wrap(drawn.astype(int64).reshape((*w.shape[:-1], num_samples)))
