"""A schedule that waits for the metric to stop improving."""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_mmb.optim.optimizer import Optimizer
from tinygrad_mmb.optim.schedule import LRScheduler, check_optimizer, set_rate


class ReduceLROnPlateau(LRScheduler):
    """lr ← max(lr · factor, min_lr) after more than `patience` epochs without a better metric.

    Call `step(metric)` after each epoch; mode says whether lower ("min") or higher ("max") is
    better. Better means by more than `threshold`, of the best so far ("rel") or as it is ("abs").
    `cooldown` epochs after a cut do not count. Cuts below `eps` are left out. `max_reductions` ends
    the cutting after so many; it is no option of PyTorch.

    Raises: ValueError for factor >= 1, an unknown mode, or a list min_lr of the wrong length;
    TypeError if `optimizer` is none.
    """

    max_reductions: int | None = None
    reductions = 0

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
        *,
        max_reductions: int | None = None,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0, but is {factor}.")
        self.factor = factor
        self.optimizer = check_optimizer(optimizer)
        groups = len(optimizer.param_groups)
        if isinstance(min_lr, (list, tuple)):
            if len(min_lr) != groups:
                raise ValueError(f"expected {groups} min_lrs, got {len(min_lr)}")
            self.default_min_lr: float | None = None
            self.min_lrs = list(min_lr)
        else:
            self.default_min_lr = min_lr
            self.min_lrs = [min_lr] * groups
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = self.rates()
        self._set_mode(mode, threshold, threshold_mode)
        if max_reductions is not None:  # else the state has PyTorch's keys and no other
            self.max_reductions, self.reductions = max_reductions, 0
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Tell the metric of one more epoch."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(
                "the epoch parameter of scheduler.step() is deprecated; call step() without it.",
                stacklevel=2,
            )
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self.rates()

    @property
    def in_cooldown(self) -> bool:
        """Whether bad epochs do not count at present."""
        return self.cooldown_counter > 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)
        self._set_mode(self.mode, self.threshold, self.threshold_mode)

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from "
                    f"when `ReduceLROnPlateau` was initialized ({len(self.min_lrs)}). Make "
                    "`min_lrs` as long as there are groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        if self.max_reductions is not None:
            if self.reductions == self.max_reductions:
                return
            self.reductions += 1
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                set_rate(group, new)

    def _is_better(self, a: float, best: float) -> bool:
        better = -self.threshold if self.mode == "min" else self.threshold
        bound = best * (1.0 + better) if self.threshold_mode == "rel" else best + better
        return a < bound if self.mode == "min" else a > bound

    def _set_mode(self, mode: str, threshold: float, threshold_mode: str) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown! It should be 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"threshold mode {threshold_mode} is unknown! It should be 'rel' or 'abs'"
            )
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
