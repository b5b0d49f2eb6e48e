"""AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.optim.adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

        θ ← θ - lr · λ θ                   λ = weight_decay: before the step, not through m and v
        θ ← θ - lr · m̂ / (√v̂ + ε)          m̂, v̂ as in Adam, of the gradient alone

    In Adam itself g + λ θ is divided by √v̂: what has large gradients hardly decays. Here everything
    decays at the same rate, 1 - lr · λ a step.

    Raises: ValueError as Adam.
    """

    kernel = "AdamW.update"

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        eps_mode: str = "outside",
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
            eps_mode=eps_mode,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # whatever the loaded state says, this is AdamW
            group["decoupled_weight_decay"] = True
