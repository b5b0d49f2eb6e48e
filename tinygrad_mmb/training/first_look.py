"""Two looks at an untrained network: does it start by guessing, and do its units still learn?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn.activation import Sigmoid, Tanh
from tinygrad_mmb.nn.functional import cross_entropy
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.training.evaluate import evaluating


def check_initial_loss(model: Module, x: Tensor, t: Tensor, tolerance: float = 0.15) -> float:
    """Cross-entropy of the untrained model on a batch; it should be near ln C for C classes.

    Who knows nothing gives each class 1/C, which costs -ln(1/C) = ln C (2.303 for ten classes).
    More says that the start already prefers classes, by luck: the last weights are too large, or
    the inputs are not scaled. Exactly ln C comes from a last layer of zeros.

    Shapes: x a batch of inputs; t (N,) classes. Warns if the loss is more than `tolerance`
    (0.15 = 15 %) away from ln C. Returns the loss.
    """
    with evaluating(model), no_grad():
        logits = model(x)
        loss = float(cross_entropy(logits, t).item())
    guessing = math.log(logits.shape[1])
    if not abs(loss - guessing) <= tolerance * guessing:
        warnings.warn(
            f"check_initial_loss: the untrained model has a loss of {loss:.3f}, but guessing among "
            f"{logits.shape[1]} classes costs ln {logits.shape[1]} = {guessing:.3f}. Make the last "
            "layer's weights smaller (zeros give exactly that), or scale the inputs to mean 0 and "
            "variance 1.",
            stacklevel=2,
        )
    return loss


@contextmanager
def watch_saturation(model: Module, slope: float = 0.1) -> Iterator[dict[str, float]]:
    """Inside the block, which share of each layer's sigmoid and tanh units is saturated.

        with watch_saturation(model) as saturated:
            model(x)
        saturated["1"]  # of the layer named "1": 0.0 to 1.0

    A unit is saturated for a sample where the derivative of its activation is below `slope`: little
    of a gradient comes back through it. σ' = y (1 - y) falls below 0.1 where |x| > 2.063, tanh' =
    1 - y² where |x| > 1.818. The last call counts.
    """
    shares: dict[str, float] = {}

    def note(name: str) -> Any:
        def hook(module: Module, inputs: Any, y: Tensor) -> None:
            with no_grad():
                y = y.detach()
                derivative = y * (1.0 - y) if isinstance(module, Sigmoid) else 1.0 - y * y
                shares[name] = float((derivative < slope).double().mean().item())

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if isinstance(module, (Sigmoid, Tanh))
    ]
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()
