"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.autograd.tensor import wrap
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.optim.optimizer import Group, Optimizer, State, zero_steps
from tinygrad_mmb.optim.options import check_fused, check_learning_rate, invalid, refuse


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011).

        g ← g + λ θ                                 λ = weight_decay; -g first if maximize
        s ← s + g²                                  sum of all squared gradients
        θ ← θ - lr / (1 + (t - 1) κ) · g / (√s + ε)   κ = lr_decay

    s starts at initial_accumulator_value. Under a constant gradient step t is lr / √t long.
    `foreach` and `fused` are taken for PyTorch's sake and change nothing.

    Raises: ValueError for a negative option.
    """

    kernel = "Adagrad.update"
    neutral = {  # noqa: RUF012 - annotated in the base class
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "fused": None,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        if not lr >= 0.0:
            raise invalid("learning rate", lr)
        if not lr_decay >= 0.0:
            raise invalid("lr_decay value", lr_decay)
        if not weight_decay >= 0.0:
            raise invalid("weight_decay value", weight_decay)
        if not initial_accumulator_value >= 0.0:
            raise invalid("initial_accumulator_value value", initial_accumulator_value)
        if not eps >= 0.0:
            raise invalid("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(foreach, differentiable, fused)
        refuse("Adagrad", differentiable=differentiable)
        for group in self.param_groups:  # PyTorch makes this state here, not at the first step
            for p in group["params"]:
                self.state[p]["step"] = wrap(zero_steps(group))
                filled = namespace(p.array).full_like(p.array, initial_accumulator_value)
                self.state[p]["sum"] = wrap(filled)

    def start(self, theta: Array, group: Group) -> State:
        """For parameters that came later, by add_param_group."""
        value = self.defaults["initial_accumulator_value"]
        return {"sum": namespace(theta).full_like(theta, value)}

    def update(
        self,
        theta: Array,
        g: Array,
        state: State,
        *,
        t: float,
        lr: float,
        lr_decay: float,
        weight_decay: float,
        eps: float,
        maximize: bool,
    ) -> None:
        if maximize:
            g = -g
        if weight_decay:
            g = g + weight_decay * theta
        s = state["sum"]
        s += g**2
        theta -= lr / (1 + (t - 1) * lr_decay) * g / (namespace(theta).sqrt(s) + eps)
