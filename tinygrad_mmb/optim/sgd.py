"""Stochastic gradient descent, with the momenta of PyTorch and of the lectures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.optim.optimizer import Optimizer, State
from tinygrad_mmb.optim.options import check_fused, check_learning_rate, invalid, refuse

FORMS = ("pytorch", "polyak", "ema", "velocity_ema")


class SGD(Optimizer):
    """Gradient descent, with or without momentum μ.

        g ← g + λ θ                                 λ = weight_decay; -g first if maximize
        θ ← θ - lr · g                              without momentum

    `momentum_form` says what momentum means. m and v start at 0:

        "pytorch"       m ← μ m + (1 - τ) g         τ = dampening; but m ← g at the first step
                        θ ← θ - lr · m              nesterov: θ ← θ - lr · (g + μ m)
        "polyak"        v ← μ v + lr · g            heavy ball (Polyak, 1964): at constant lr the
                        θ ← θ - v                   same as "pytorch"; moves lr · g / (1 - μ) a step
        "ema"           m ← μ m + (1 - μ) g         a mean of gradients: for equal speed, lr is
                        θ ← θ - lr · m              1/(1 - μ) times that of "polyak"
        "velocity_ema"  v ← μ v + (1 - μ) lr · g    as "ema" at constant lr; after a change of lr
                        θ ← θ - v                   the old steps fade out instead of being rescaled

    `foreach` and `fused` are taken for PyTorch's sake and change nothing.

    Raises: ValueError for negative lr, momentum or weight decay, for nesterov without momentum, and
    for nesterov or dampening with a form other than "pytorch".
    """

    kernel = "SGD.update"
    neutral = {  # noqa: RUF012 - annotated in the base class
        "nesterov": False,
        "maximize": False,
        "foreach": None,
        "differentiable": False,
        "fused": False,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        momentum_form: str = "pytorch",
    ) -> None:
        check_learning_rate(lr)
        if lr < 0.0:
            raise invalid("learning rate", lr)
        if momentum < 0.0:
            raise invalid("momentum value", momentum)
        if weight_decay < 0.0:
            raise invalid("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening, but "
                f"momentum={momentum} and dampening={dampening}. Try momentum=0.9, dampening=0."
            )
        if momentum_form not in FORMS:
            raise ValueError(f"momentum_form is {momentum_form!r}, but it should be one of {FORMS}")
        if momentum_form != "pytorch" and (nesterov or dampening != 0):
            raise ValueError(
                f"momentum_form={momentum_form!r} has neither nesterov nor dampening; "
                "they belong to momentum_form='pytorch'"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        if momentum_form != "pytorch":  # else the groups have PyTorch's keys and no other
            defaults["momentum_form"] = momentum_form
        super().__init__(params, defaults)
        check_fused(foreach, differentiable, fused)
        refuse("SGD", differentiable=differentiable)

    def update(
        self,
        theta: Array,
        g: Array,
        state: State,
        *,
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
        maximize: bool,
        momentum_form: str = "pytorch",
    ) -> None:
        if maximize:
            g = -g
        if weight_decay:
            g = g + weight_decay * theta
        if not momentum:
            theta -= lr * g
            return
        first = "momentum_buffer" not in state
        if first:
            xp = namespace(theta)
            starts_at_g = momentum_form == "pytorch"
            state["momentum_buffer"] = xp.array(g) if starts_at_g else xp.zeros_like(theta)
        m = v = state["momentum_buffer"]
        if momentum_form == "pytorch":
            if not first:
                m[...] = momentum * m + (1 - dampening) * g
            theta -= lr * (g + momentum * m if nesterov else m)
        elif momentum_form == "polyak":
            v[...] = momentum * v + lr * g
            theta -= v
        elif momentum_form == "ema":
            m[...] = momentum * m + (1 - momentum) * g
            theta -= lr * m
        else:
            v[...] = momentum * v + (1 - momentum) * lr * g
            theta -= v
