"""JAX as a peer: jit-compiled functions, timed by the host's clock until their result is ready."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_mmb.bench.peers import NoPeer
from tinygrad_mmb.bench.work import BACKWARD, FORWARD, UPDATE

Call = Callable[[], Any]
SAME_NAME = ("Exp", "Log", "Log1p", "Expm1", "Sqrt", "Abs", "Sin", "Cos", "Tan", "Tanh", "Add",
             "Maximum", "Minimum", "MatMul", "Where")  # fmt: skip


def available() -> bool:
    return importlib.util.find_spec("jax") is not None


def jax() -> Any:
    # else it takes most of the GPU's memory for itself
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    library = importlib.import_module("jax")
    library.config.update("jax_enable_x64", True)
    library.config.update("jax_default_matmul_precision", "highest")  # else TF32 for float32
    return library


def problem(kind: str) -> str | None:
    """Why JAX cannot be compared on a "cpu" or "gpu"; None if it can."""
    backend = jax().default_backend()
    return None if backend == kind else f"this jax works on {backend}, the run on {kind}"


def functional() -> dict[str, Callable[..., Any]]:
    """By op: JAX's function of the arguments of our forward pass."""
    library = jax()
    jnp, nn = library.numpy, library.nn

    def cross_entropy(x: Any, target: Any, w: Any) -> Any:
        if w is not None or x.ndim != 2:
            raise NoPeer("stated for (N, C) without weights")
        return -jnp.take_along_axis(nn.log_softmax(x, 1), target[:, None], 1)[:, 0]

    def layer_norm(x: Any, weight: Any, bias: Any, k: int, eps: float) -> Any:
        dims = tuple(range(-k, 0))
        y = (x - x.mean(dims, keepdims=True)) / jnp.sqrt(x.var(dims, keepdims=True) + eps)
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> Any:
        dims = (0, *range(2, x.ndim))
        shape = (-1, *[1] * (x.ndim - 2))
        y = (x - x.mean(dims, keepdims=True)) / jnp.sqrt(x.var(dims, keepdims=True) + eps)
        y = y if weight is None else y * weight.reshape(shape)
        return y if bias is None else y + bias.reshape(shape)

    return {name: getattr(jnp, name.lower()) for name in SAME_NAME} | {
        "Softmax": nn.softmax,
        "LogSoftmax": nn.log_softmax,
        "CrossEntropy": cross_entropy,
        "Linear": lambda x, w, b: x @ w.T if b is None else x @ w.T + b,
        "LayerNorm": layer_norm,
        "BatchNorm": batch_norm,
        "Relu": nn.relu,
        "Sigmoid": nn.sigmoid,
        "Sum": lambda x, dims, keep: jnp.sum(x, dims, keepdims=keep),
        "Mean": lambda x, dims, keep: jnp.mean(x, dims, keepdims=keep),
    }


def host(result: Any) -> list[Any]:
    return [np.asarray(r) for r in (result if isinstance(result, (tuple, list)) else [result])]


class Jax:
    """JAX, jit."""

    name = "jax.jit"

    @property
    def wait(self) -> Callable[[Any], object]:
        """Until the work behind a result is done."""
        ready: Callable[[Any], object] = jax().block_until_ready
        return ready

    def call(
        self, op: str, kind: str, args: Sequence[Any], heads: Sequence[Any], dtype: str
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        """What runs the op, and what makes NumPy arrays of its result. Raises: NoPeer."""
        library, table = jax(), functional()
        if kind in (UPDATE, BACKWARD) or op not in table or dtype in ("tf32", "bfloat16"):
            raise NoPeer("stated for forward, and forward and backward together, of some ops")
        function = table[op]
        places = [i for i, a in enumerate(args) if hasattr(a, "dtype")]
        arrays = [as_jax(args[i]) for i in places]

        def run(*values: Any) -> Any:
            full = list(args)
            for i, v in zip(places, values, strict=True):
                full[i] = v
            return function(*full)

        if kind == FORWARD:
            forward = library.jit(run)
            return lambda: forward(*arrays), host
        wanted = [k for k, a in enumerate(arrays) if a.dtype.kind == "f"]

        def there_and_back(g: Any, *values: Any) -> Any:
            def of_wanted(*some: Any) -> Any:
                full = list(values)
                for k, v in zip(wanted, some, strict=True):
                    full[k] = v
                return run(*full)

            return library.vjp(of_wanted, *[values[k] for k in wanted])[1](g)

        both, g = library.jit(there_and_back), as_jax(heads[0])
        floats = [hasattr(a, "dtype") and a.dtype.kind == "f" for a in args]

        def as_gradients(result: Any) -> list[Any]:
            found = iter(host(result))
            return [next(found) if f else None for f in floats]

        return lambda: both(g, *arrays), as_gradients


def as_jax(value: Any) -> Any:
    """The array as JAX's, on its device."""
    library = jax()
    return (
        library.dlpack.from_dlpack(value) if hasattr(value, "get") else library.numpy.asarray(value)
    )
