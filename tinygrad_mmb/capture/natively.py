"""Twins that a compiled replay calls without Python: what their function in Python does, as calls
that are added to a native.Replay. Their results have memory of their own in the replay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mmb.capture.elementwise import Pass
from tinygrad_mmb.capture.layout import UnfitError, in_rows
from tinygrad_mmb.capture.plan import Instruction, Operand
from tinygrad_mmb.kernels.cpu import cross_entropy

Calls = list[tuple[str, tuple[Any, ...]]]


def kernel(name: str, *args: Any) -> Calls:
    """One call of a kernel, whose arrays must lie in rows."""
    if not all(in_rows(x) for x in args if isinstance(x, Operand)):
        raise UnfitError
    return [("kernel", (name, args))]


def loss(one: Instruction) -> Calls:
    """Softmax-cross-entropy, and its gradient if that will be asked for."""
    x, t, w, ignored, mean, _ = one.inputs
    y, dx = (*one.outputs, None)[:2]
    return kernel("cross_entropy", y, dx, x, t, w, ignored, mean)


def loss_gradient(one: Instruction) -> Calls:
    """The gradient that the forward pass has written, times that of the loss."""
    g, dx = one.inputs[0], one.inputs[-1]
    times = Instruction("ufunc", "multiply", np.multiply, (dx, g), {}, one.outputs, 0, one.line)
    return [("elementwise", Pass([times]).arguments())]


NATIVE: dict[Any, Callable[[Instruction], Calls]] = {
    cross_entropy.batch_cross_entropy: loss,
    cross_entropy.batch_cross_entropy_backward: loss_gradient,
}
