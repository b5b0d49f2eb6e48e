"""The logarithm of softmax along any dimension, and its gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.cpu.softmax import along, back_along, runs_along, runs_back_along
from tinygrad_mmb.kernels.registry import WithExtras


@cpu_kernel("LogSoftmax", accepts=runs_along)
def log_softmax(x: Array, dim: int) -> WithExtras:
    return along(native.log_softmax, x, dim)


@cpu_kernel("LogSoftmax.backward", accepts=runs_back_along)
def log_softmax_backward(g: Array, y: Array, dim: int, needs_input_grad: Any) -> tuple[Array, None]:
    return back_along(native.log_softmax_backward, g, y, dim), None
