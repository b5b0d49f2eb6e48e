"""The logarithm of softmax along any dimension, and its gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cuda.softmax import HELD, along, back_along, runs_along, runs_back_along
from tinygrad_mmb.kernels.launch import cuda_kernel
from tinygrad_mmb.kernels.registry import WithExtras


@cuda_kernel("LogSoftmax", accepts=runs_along)
def log_softmax(x: Array, dim: int) -> WithExtras:
    return WithExtras(along("log_softmax", x, dim), dim)


@cuda_kernel("LogSoftmax.backward", accepts=runs_back_along)
def log_softmax_backward(g: Array, y: Array, dim: int, needs_input_grad: Any) -> tuple[Array, None]:
    return back_along("log_softmax", g, y, dim, HELD), None
