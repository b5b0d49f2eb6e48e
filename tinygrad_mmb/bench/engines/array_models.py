"""The workloads as functions of arrays: for libraries that differentiate such functions.

`loss_of(workload)` is a function of (parameters by name, *inputs). An adapter says what its
library calls the few operations that names differ in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_mmb.bench.engines.engine import Engine
from tinygrad_mmb.bench.engines.workloads import (
    BATCH_NORM,
    CHAIN,
    CNN,
    CROSS_ENTROPY,
    MLP,
    RESIDUAL,
    TRANSFORMER,
    Workload,
)

Parameters = dict[str, Any]
Loss = Callable[..., Any]


class ArrayModels(Engine):
    """An engine of array functions; `xp` is its NumPy."""

    xp: Any

    def relu(self, x: Any) -> Any:
        return self.xp.maximum(x, 0)

    def tanh(self, x: Any) -> Any:
        return self.xp.tanh(x)

    def sqrt(self, x: Any) -> Any:
        return self.xp.sqrt(x)

    def mean(self, x: Any, axes: int | tuple[int, ...]) -> Any:
        """With the axes kept, of length 1."""
        return x.mean(axes, keepdims=True)

    def transpose(self, x: Any, axes: tuple[int, ...]) -> Any:
        return self.xp.transpose(x, axes)

    def softmax(self, x: Any) -> Any:
        """Over the last axis."""
        raise NotImplementedError

    def cross_entropy(self, logits: Any, target: Any) -> Any:
        """The mean of -log softmax at the target."""
        raise NotImplementedError

    def convolution(self, x: Any, weight: Any, bias: Any) -> Any:
        """3x3, with a border of one."""
        raise NotImplementedError

    def max_pool(self, x: Any) -> Any:
        """The largest of each 2x2."""
        raise NotImplementedError

    def linear(self, x: Any, p: Parameters, name: str) -> Any:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def normalized(self, x: Any, axes: int | tuple[int, ...]) -> Any:
        centred = x - self.mean(x, axes)
        return centred / self.sqrt(self.mean(centred * centred, axes) + 1e-5)

    def loss_of(self, workload: Workload) -> Loss:
        """What is differentiated."""
        size = workload.size
        found: dict[str, Callable[[], Loss]] = {
            MLP: lambda: self.mlp(len(size["widths"]) - 1),
            RESIDUAL: lambda: self.residual(size["blocks"]),
            CNN: lambda: self.cnn(size["batch"]),
            CHAIN: lambda: lambda p: self.relu(p["a"] * p["b"] + p["c"]).sum(),
            CROSS_ENTROPY: lambda: lambda p, target: self.cross_entropy(p["x"], target),
            BATCH_NORM: lambda: self.batch_norm(len(size["shape"])),
            TRANSFORMER: lambda: self.transformer(**size),
        }
        return found[workload.kind]()

    def mlp(self, layers: int) -> Loss:
        def loss(p: Parameters, x: Any, target: Any) -> Any:
            for k in range(layers - 1):
                x = self.relu(self.linear(x, p, str(2 * k)))
            return self.cross_entropy(self.linear(x, p, str(2 * layers - 2)), target)

        return loss

    def residual(self, blocks: int) -> Loss:
        def loss(p: Parameters, x: Any, target: Any) -> Any:
            for k in range(blocks):
                hidden = self.relu(self.linear(x, p, f"blocks.{k}.body.0"))
                x = x + self.linear(hidden, p, f"blocks.{k}.body.2")
            return self.cross_entropy(self.linear(x, p, "head"), target)

        return loss

    def cnn(self, batch: int) -> Loss:
        def loss(p: Parameters, x: Any, target: Any) -> Any:
            for name in ("0", "3"):
                x = self.relu(self.convolution(x, p[f"{name}.weight"], p[f"{name}.bias"]))
                x = self.max_pool(x)
            return self.cross_entropy(self.linear(x.reshape(batch, -1), p, "7"), target)

        return loss

    def batch_norm(self, ndim: int) -> Loss:
        axes, shape = ((0,), (1, -1)) if ndim == 2 else ((0, 2, 3), (1, -1, 1, 1))

        def loss(p: Parameters, g: Any) -> Any:
            scaled = self.normalized(p["x"], axes) * p["weight"].reshape(shape)
            return ((scaled + p["bias"].reshape(shape)) * g).sum()

        return loss

    def transformer(self, batch: int, time: int, features: int, heads: int) -> Loss:
        d, width = features, features // heads

        def layer_norm(x: Any, p: Parameters, name: str) -> Any:
            return self.normalized(x, -1) * p[f"{name}.weight"] + p[f"{name}.bias"]

        def gelu(x: Any) -> Any:
            return 0.5 * x * (1 + self.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))

        def attention(p: Parameters, x: Any) -> Any:
            qkv = self.linear(x, p, "qkv").reshape(batch, time, 3, heads, width)
            qkv = self.transpose(qkv, (2, 0, 3, 1, 4))
            q, k, v = qkv[0], qkv[1], qkv[2]
            weights = self.softmax(q @ self.transpose(k, (0, 1, 3, 2)) * width**-0.5)
            y = self.transpose(weights @ v, (0, 2, 1, 3)).reshape(batch, time, d)
            return self.linear(y, p, "project")

        def loss(p: Parameters, g: Any) -> Any:
            x = p["x"]
            x = x + attention(p, layer_norm(x, p, "norm1"))
            hidden = gelu(self.linear(layer_norm(x, p, "norm2"), p, "up"))
            return ((x + self.linear(hidden, p, "down")) * g).sum()

        return loss
