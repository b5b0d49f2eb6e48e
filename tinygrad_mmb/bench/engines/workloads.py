"""What is timed: eight training workloads of the sizes that students meet, W1 to W8.

A workload is a kind (which model) and its sizes; `problem` draws its numbers, the same ones for
every engine. Parameters carry the names of PyTorch's state dict.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MLP, RESIDUAL, CNN, CHAIN = "mlp", "residual", "cnn", "chain"
ADAM, CROSS_ENTROPY, BATCH_NORM, TRANSFORMER = "adam", "cross_entropy", "batch_norm", "transformer"
TRAINING = (MLP, RESIDUAL, CNN)  #  a step with optimizer and a loss; the others give gradients
KINDS = (*TRAINING, CHAIN, ADAM, CROSS_ENTROPY, BATCH_NORM, TRANSFORMER)
LEARNING_RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8  # of Adam, everywhere
CLASSES = 10


@dataclass(frozen=True)
class Workload:
    """One thing to time."""

    name: str
    kind: str
    size: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> str:
        """The sizes in short: 64x784."""
        return "x".join(str(v) for v in flat(self.size.values()) if not isinstance(v, bool))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def flat(values: Any) -> list[Any]:
    """Lists in lists as one list."""
    found: list[Any] = []
    for value in values:
        found += flat(value) if isinstance(value, (list, tuple)) else [value]
    return found


def mlp(
    name: str,
    batch: int,
    widths: tuple[int, ...] = (784, 256, 128, CLASSES),
    optimizer: bool = True,
) -> Workload:
    """Without an optimizer a step is forward and backward."""
    return Workload(name, MLP, {"batch": batch, "widths": list(widths), "optimizer": optimizer})


def residual(name: str, batch: int, width: int, blocks: int = 20) -> Workload:
    return Workload(name, RESIDUAL, {"batch": batch, "width": width, "blocks": blocks})


WORKLOADS = (
    mlp("W1 MLP, batch 64", 64),
    mlp("W1 MLP, batch 1024", 1024),
    residual("W2 20 residual blocks", 32, 64),
    Workload("W3 CNN", CNN, {"batch": 64, "channels": [1, 16, 32], "side": 28}),
    Workload("W4 four tiny ops", CHAIN, {"shape": [4, 4]}),
    Workload("W5 Adam, 1M in 1 tensor", ADAM, {"numbers": 1_000_000, "tensors": 1}),
    Workload("W5 Adam, 1M in 200 tensors", ADAM, {"numbers": 1_000_000, "tensors": 200}),
    Workload("W5 Adam, 20M in 1 tensor", ADAM, {"numbers": 20_000_000, "tensors": 1}),
    Workload("W5 Adam, 20M in 200 tensors", ADAM, {"numbers": 20_000_000, "tensors": 200}),
    Workload("W6 softmax-CE, small", CROSS_ENTROPY, {"shape": [128, 10]}),
    Workload("W6 softmax-CE, middle", CROSS_ENTROPY, {"shape": [4096, 1000]}),
    Workload("W6 softmax-CE, large", CROSS_ENTROPY, {"shape": [512, 32000]}),
    Workload("W7 batch norm, 2-D", BATCH_NORM, {"shape": [256, 1024]}),
    Workload("W7 batch norm, NCHW", BATCH_NORM, {"shape": [64, 32, 28, 28]}),
    Workload("W8 transformer block", TRANSFORMER,
             {"batch": 16, "time": 64, "features": 128, "heads": 4}),
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """The numbers of a workload, as NumPy arrays; gradients are taken of the parameters."""

    inputs: tuple[Array, ...]
    parameters: dict[str, Array]


class Draw:
    """Random float32 numbers and integers, and layers of them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int) -> Array:
        return self.rng.standard_normal(shape, dtype=np.float32)

    def classes(self, n: int, classes: int) -> Array:
        return self.rng.integers(0, classes, n)

    def linear(self, name: str, wide: int, deep: int, gain: float = 1.0) -> dict[str, Array]:
        """Weight (wide, deep) and bias of a linear layer, scaled so that activations stay."""
        scale = np.float32(gain / deep**0.5)
        return {f"{name}.weight": self.normal(wide, deep) * scale,
                f"{name}.bias": np.zeros(wide, np.float32)}  # fmt: skip

    def convolution(self, name: str, wide: int, deep: int) -> dict[str, Array]:
        """Weight (wide, deep, 3, 3) and bias of a convolution."""
        scale = np.float32((9 * deep) ** -0.5)
        return {f"{name}.weight": self.normal(wide, deep, 3, 3) * scale,
                f"{name}.bias": np.zeros(wide, np.float32)}  # fmt: skip


def problem(workload: Workload, seed: int = 0) -> Problem:
    """The numbers, drawn from a seed. Raises: KeyError for a kind that does not exist."""
    return DRAWN[workload.kind](workload.size, Draw(seed))


def mlp_problem(size: dict[str, Any], draw: Draw) -> Problem:
    widths, batch = size["widths"], size["batch"]
    p: dict[str, Array] = {}
    for k, (deep, wide) in enumerate(pairwise(widths)):
        p |= draw.linear(str(2 * k), wide, deep)  # odd numbers are the ReLUs
    return Problem((draw.normal(batch, widths[0]), draw.classes(batch, widths[-1])), p)


def residual_problem(size: dict[str, Any], draw: Draw) -> Problem:
    batch, width = size["batch"], size["width"]
    p: dict[str, Array] = {}
    for k in range(size["blocks"]):
        p |= draw.linear(f"blocks.{k}.body.0", width, width, 0.3)
        p |= draw.linear(f"blocks.{k}.body.2", width, width, 0.3)
    p |= draw.linear("head", CLASSES, width)
    return Problem((draw.normal(batch, width), draw.classes(batch, CLASSES)), p)


def cnn_problem(size: dict[str, Any], draw: Draw) -> Problem:
    batch, side, (c0, c1, c2) = size["batch"], size["side"], size["channels"]
    p = draw.convolution("0", c1, c0) | draw.convolution("3", c2, c1)
    p |= draw.linear("7", CLASSES, c2 * (side // 4) ** 2)
    return Problem((draw.normal(batch, c0, side, side), draw.classes(batch, CLASSES)), p)


def chain_problem(size: dict[str, Any], draw: Draw) -> Problem:
    return Problem((), {name: draw.normal(*size["shape"]) for name in ("a", "b", "c")})


def adam_problem(size: dict[str, Any], draw: Draw) -> Problem:
    n, tensors = size["numbers"] // size["tensors"], range(size["tensors"])
    return Problem(
        tuple(draw.normal(n) for _ in tensors), {str(k): draw.normal(n) for k in tensors}
    )


def cross_entropy_problem(size: dict[str, Any], draw: Draw) -> Problem:
    n, classes = size["shape"]
    return Problem((draw.classes(n, classes),), {"x": draw.normal(n, classes)})


def batch_norm_problem(size: dict[str, Any], draw: Draw) -> Problem:
    shape = size["shape"]
    p = {"x": draw.normal(*shape), "weight": np.ones(shape[1], np.float32),
         "bias": np.zeros(shape[1], np.float32)}  # fmt: skip
    return Problem((draw.normal(*shape),), p)


def transformer_problem(size: dict[str, Any], draw: Draw) -> Problem:
    batch, time, d = size["batch"], size["time"], size["features"]
    p = {"x": draw.normal(batch, time, d)}
    for name, wide, deep in (("qkv", 3 * d, d), ("project", d, d), ("up", 4 * d, d),
                             ("down", d, 4 * d)):  # fmt: skip
        p |= draw.linear(name, wide, deep)
    for name in ("norm1", "norm2"):
        p |= {f"{name}.weight": np.ones(d, np.float32), f"{name}.bias": np.zeros(d, np.float32)}
    return Problem((draw.normal(batch, time, d),), p)


DRAWN = {
    MLP: mlp_problem,
    RESIDUAL: residual_problem,
    CNN: cnn_problem,
    CHAIN: chain_problem,
    ADAM: adam_problem,
    CROSS_ENTROPY: cross_entropy_problem,
    BATCH_NORM: batch_norm_problem,
    TRANSFORMER: transformer_problem,
}
