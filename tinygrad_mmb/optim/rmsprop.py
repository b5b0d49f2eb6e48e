"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.optim.optimizer import Group, Optimizer, State
from tinygrad_mmb.optim.options import check_learning_rate, invalid, refuse


class RMSprop(Optimizer):
    """RMSprop (Hinton, lecture 6e of his 2012 course).

        g ← g + λ θ                        λ = weight_decay; -g first if maximize
        v ← α v + (1 - α) g²               mean of squared gradients
        s = √v + ε                         centered: m ← α m + (1 - α) g,  s = √(v - m²) + ε
        θ ← θ - lr · g / s                 momentum μ: b ← μ b + g / s,  θ ← θ - lr · b

    v starts at 0 and is not corrected for it: the first step is lr / √(1 - α) long. `foreach` is
    taken for PyTorch's sake and changes nothing.

    Raises: ValueError for a negative option.
    """

    kernel = "RMSprop.update"
    neutral = {  # noqa: RUF012 - annotated in the base class
        "momentum": 0,
        "centered": False,
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        if not lr >= 0.0:
            raise invalid("learning rate", lr)
        if not eps >= 0.0:
            raise invalid("epsilon value", eps)
        if not momentum >= 0.0:
            raise invalid("momentum value", momentum)
        if not weight_decay >= 0.0:
            raise invalid("weight_decay value", weight_decay)
        if not alpha >= 0.0:
            raise invalid("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)
        refuse("RMSprop", capturable=capturable, differentiable=differentiable)

    def start(self, theta: Array, group: Group) -> State:
        zeros = namespace(theta).zeros_like
        state = {"square_avg": zeros(theta)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros(theta)
        if group["centered"]:
            state["grad_avg"] = zeros(theta)
        return state

    def update(
        self,
        theta: Array,
        g: Array,
        state: State,
        *,
        t: float,
        lr: float,
        alpha: float,
        eps: float,
        weight_decay: float,
        momentum: float,
        centered: bool,
        maximize: bool,
    ) -> None:
        sqrt = namespace(theta).sqrt
        if maximize:
            g = -g
        if weight_decay:
            g = g + weight_decay * theta
        v = state["square_avg"]
        v[...] = alpha * v + (1 - alpha) * g**2
        if centered:
            m = state["grad_avg"]
            m[...] = alpha * m + (1 - alpha) * g
            s = sqrt(v - m**2) + eps
        else:
            s = sqrt(v) + eps
        if momentum > 0:
            b = state["momentum_buffer"]
            b[...] = momentum * b + g / s
            theta -= lr * b
        else:
            theta -= lr * g / s
