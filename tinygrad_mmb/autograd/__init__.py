"""Reverse-mode differentiation: Tensor, Function, the engine, and what stands on them.

Read tensor.py, function.py, engine.py, then ops/elementwise.py: that is the whole idea.
"""

from tinygrad_mmb.autograd import functional
from tinygrad_mmb.autograd.anomaly import detect_anomaly
from tinygrad_mmb.autograd.differentiate import backward, grad
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.functional import gradients
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.grad_mode import (
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinygrad_mmb.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tinygrad_mmb.autograd.graph import graph, to_dot, to_mermaid
from tinygrad_mmb.autograd.tape import GradientTape

__all__ = [
    "Function",
    "Fused",
    "GradcheckError",
    "GradientTape",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "gradients",
    "graph",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
    "to_dot",
    "to_mermaid",
]
