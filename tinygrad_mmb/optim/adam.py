"""Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.optim.optimizer import Group, Optimizer, State
from tinygrad_mmb.optim.options import check_fused, check_learning_rate, invalid, number, refuse


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1).

        g ← g + λ θ                        λ = weight_decay; -g first if maximize
        m ← β₁ m + (1 - β₁) g              mean of gradients
        v ← β₂ v + (1 - β₂) g²             mean of squared gradients
        m̂ = m / (1 - β₁ᵗ)                  both start at 0: undo the pull towards 0
        v̂ = v / (1 - β₂ᵗ)                  amsgrad: of the largest v so far (Reddi et al., 2018)
        θ ← θ - lr · m̂ / (√v̂ + ε)          t counts steps; the paper's defaults

    `eps_mode` "outside" is this line, the paper's and PyTorch's; "inside" is m̂ / √(v̂ + ε), which
    shrinks the steps of gradients below √ε. `decoupled_weight_decay` is AdamW. `foreach` and
    `fused` are taken for PyTorch's sake and change nothing.

    A step may be longer than lr: up to (1 - β₁) / √(1 - β₂) = 3.16 lr when a gradient comes after
    many zeros, and more when gradients grow.

    Raises: ValueError for a negative option, betas outside [0, 1), an unknown eps_mode.
    """

    kernel = "Adam.update"
    neutral = {  # noqa: RUF012 - annotated in the base class
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "fused": None,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        eps_mode: str = "outside",
    ) -> None:
        if isinstance(betas, (int, float)):
            raise TypeError(f"betas should be two numbers, as in (0.9, 0.999), but got {betas}")
        tensors = (*betas[:2], lr)
        if foreach and not capturable and any(isinstance(value, Tensor) for value in tensors):
            raise ValueError(
                "lr or betas as a Tensor is not supported for capturable=False and foreach=True"
            )
        check_learning_rate(lr)
        if not lr >= 0.0:
            raise invalid("learning rate", lr)
        if not eps >= 0.0:
            raise invalid("epsilon value", eps)
        check_betas(betas)
        if not weight_decay >= 0.0:
            raise invalid("weight_decay value", weight_decay)
        if eps_mode not in ("outside", "inside"):
            raise ValueError(f"eps_mode is {eps_mode!r}, but it should be 'outside' or 'inside'")
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        if eps_mode != "outside":  # else the groups have PyTorch's keys and no other
            defaults["eps_mode"] = eps_mode
        super().__init__(params, defaults)
        check_fused(foreach, differentiable, fused)
        refuse(type(self).__name__, capturable=capturable, differentiable=differentiable)

    def start(self, theta: Array, group: Group) -> State:
        zeros = namespace(theta).zeros_like
        state = {"exp_avg": zeros(theta), "exp_avg_sq": zeros(theta)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros(theta)
        return state

    def update(
        self,
        theta: Array,
        g: Array,
        state: State,
        *,
        t: float,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        amsgrad: bool,
        maximize: bool,
        decoupled_weight_decay: bool,
        eps_mode: str = "outside",
    ) -> None:
        xp = namespace(theta)
        beta1, beta2 = betas
        m, v = state["exp_avg"], state["exp_avg_sq"]
        if maximize:
            g = -g
        if weight_decay and decoupled_weight_decay:
            theta[...] = theta * (1 - lr * weight_decay)
        elif weight_decay:
            g = g + weight_decay * theta
        m[...] = beta1 * m + (1 - beta1) * g
        v[...] = beta2 * v + (1 - beta2) * g**2
        if amsgrad:
            v_max = state["max_exp_avg_sq"]
            v_max[...] = xp.maximum(v_max, v)
            v = v_max
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        if eps_mode == "inside":
            theta -= lr * m_hat / xp.sqrt(v_hat + eps)
        else:
            theta -= lr * m_hat / (xp.sqrt(v_hat) + eps)


def check_betas(betas: Any) -> None:
    """Raise ValueError unless these are two floats, or two Tensors, in [0, 1)."""
    for i in (0, 1):
        if isinstance(betas[i], Tensor) and betas[i].array.size != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element, but has {betas[i].shape}")
        if not 0.0 <= number(betas[i]) < 1.0:
            raise invalid(f"beta parameter at index {i}", betas[i], "in [0, 1)")
    kinds = [type(beta) for beta in betas[:2]]
    if not all(issubclass(k, float) for k in kinds) and not all(
        issubclass(k, Tensor) for k in kinds
    ):
        raise ValueError(f"betas must be either both floats or both Tensors, but got {betas}")
