"""A model measured on a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.autograd.tensor import Tensor, tensor
from tinygrad_mmb.backend import Array
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.training.metrics import WeightedMean, host

Metric = Callable[[Any, Any], Any]


def as_pair(batch: Any, device: Any = None) -> tuple[Tensor, Tensor]:
    """(input, target) of a batch, as Tensors on `device`.

    Raises: ValueError if the batch is not a pair.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ValueError(
            f"a batch must be a pair (input, target), but a {type(batch).__name__} came"
        )
    x, t = (v if isinstance(v, Tensor) else tensor(v) for v in batch)
    return (x, t) if device is None else (x.to(device), t.to(device))


def measure(metrics: Mapping[str, Metric], output: Tensor, target: Tensor) -> dict[str, float]:
    """The value of each metric."""
    return {name: float(metric(output, target)) for name, metric in metrics.items()}


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate(
    model: Module,
    loader: Iterable[Any],
    loss: Callable[[Tensor, Tensor], Tensor],
    metrics: Mapping[str, Metric] | None = None,
    set_metrics: Mapping[str, Metric] | None = None,
    *,
    device: Any = None,
) -> dict[str, float]:
    """Loss and metrics over all batches, each weighted by its size: the last may be short.

    `set_metrics` see all outputs and targets at once.
    Raises: ValueError if there is no batch.
    """
    means = WeightedMean()
    outputs: list[Array] = []
    targets: list[Array] = []
    with evaluating(model):
        for batch in loader:
            x, t = as_pair(batch, device)
            y = model(x)
            means.add({"loss": float(loss(y, t).item()), **measure(metrics or {}, y, t)}, len(t))
            if set_metrics:
                outputs.append(host(y))
                targets.append(host(t))
    if not means.count:
        raise ValueError("evaluate: the loader gave no batch")
    whole = {}
    if set_metrics:
        output, target = np.concatenate(outputs), np.concatenate(targets)
        whole = {name: float(metric(output, target)) for name, metric in set_metrics.items()}
    return means.means() | whole


def predict(model: Module, loader: Iterable[Any], *, device: Any = None) -> tuple[Array, Array]:
    """The outputs of the model over a whole set, and the targets, in the loader's order."""
    outputs: list[Array] = []
    targets: list[Array] = []
    with evaluating(model):
        for batch in loader:
            x, t = as_pair(batch, device)
            outputs.append(host(model(x)))
            targets.append(host(t))
    if not outputs:
        raise ValueError("predict: the loader gave no batch")
    return np.concatenate(outputs), np.concatenate(targets)
