"""Schedules: the learning rate of each group of an optimizer, epoch by epoch."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import namespace
from tinygrad_mmb.optim.optimizer import Optimizer, number

Factor = Callable[[int], float]


class LRScheduler:
    """Base class. Making one sets the rates of epoch 0; each `step()`, after the epoch's last
    `optimizer.step()`, sets those of the next.

    A schedule overrides `get_lr`, which returns the rates of `last_epoch` from those before. Rates
    are multiplied on, so other changes to group["lr"] stay. base_lrs are the rates at the start;
    `last_epoch` other than -1 continues a run whose optimizer state has been loaded.

    Raises: TypeError if `optimizer` is none; KeyError if it was never under a schedule, but
    last_epoch says so.
    """

    _is_initial = False
    _get_lr_called_within_step = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", own_copy(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    f"scheduler with last_epoch={last_epoch}. Load the optimizer's state before, "
                    "or start with last_epoch=-1."
                )
        self.base_lrs = [own_copy(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rates of `last_epoch`, one for each group."""
        raise NotImplementedError(f"{type(self).__name__} needs a get_lr()")

    def get_last_lr(self) -> list[Any]:
        """The rates set last, one for each group."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch. With `epoch`, jump there (deprecated, as in PyTorch)."""
        stepped = self.optimizer._opt_called or type(self.optimizer).step is not Optimizer.step
        if self._step_count == 1 and not stepped:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call "
                "`optimizer.step()` first, or the first value of the schedule is skipped.",
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
        else:
            warnings.warn(
                "the epoch parameter of scheduler.step() is deprecated; call step() without it.",
                stacklevel=2,
            )
            self.last_epoch = epoch
        closed_form = getattr(self, "_get_closed_form_lr", self.get_lr)
        self._get_lr_called_within_step = True
        rates = self.get_lr() if epoch is None else closed_form()
        self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, lr)
        self._last_lr = self.rates()

    def rates(self) -> list[Any]:
        """The rates in use now, one for each group."""
        return [own_copy(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict()`. The optimizer's own state holds the rates in use."""
        vars(self).update(state_dict)

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "get_lr() computes the rates of a step; to read those in use, call get_last_lr().",
                stacklevel=3,
            )


class LambdaLR(LRScheduler):
    """lr = base_lr · lr_lambda(epoch); one function for all groups, or a list of one for each.

    Raises: ValueError if there are not as many functions as groups.
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        n = len(optimizer.param_groups)
        if isinstance(lr_lambda, (list, tuple)):
            if len(lr_lambda) != n:
                raise ValueError(f"Expected {n} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas: list[Any] = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * n
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        factors = [f(self.last_epoch) for f in self.lr_lambdas]
        return [lr * factor for lr, factor in zip(self.base_lrs, factors, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """As the base class; of callable objects their attributes, of functions nothing (None)."""
        state = {k: v for k, v in super().state_dict().items() if k != "lr_lambdas"}
        state["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else dict(vars(f)) for f in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for f, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                vars(f).update(attributes)


class StepLR(LRScheduler):
    """lr = base_lr · gamma ^ ⌊epoch / step_size⌋."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self.rates()
        return [lr * self.gamma for lr in self.rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """lr = base_lr · gamma ^ epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        return self.rates() if self._is_initial else [lr * self.gamma for lr in self.rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """lr = base_lr · f, where f goes in a line from start_factor at epoch 0 to end_factor at epoch
    total_iters, and stays there. LinearLR(o, 1.0, 0.0, n) goes to zero in n epochs.

    Raises: ValueError unless 0 < start_factor <= 1 and 0 <= end_factor <= 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to "
                f"1, but start_factor is {start_factor}"
            )
        if end_factor > 1.0 or end_factor < 0:
            raise ValueError(
                "Ending multiplicative factor expected to be between 0 and 1, but end_factor is "
                f"{end_factor}"
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in self.rates()]
        if self._is_initial or self.last_epoch > self.total_iters:
            return self.rates()
        slope = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * slope
        return [lr * (1.0 + slope / before) for lr in self.rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        factor = self.start_factor + (self.end_factor - self.start_factor) * done
        return [lr * factor for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base_lr - eta_min) · (1 + cos(π · epoch / T_max)) / 2: a half wave down in
    T_max epochs, and up again after them (Loshchilov and Hutter, 2017, without restarts).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803 - PyTorch's name
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self._is_initial:
            return self.rates()
        low, k, n = self.eta_min, self.last_epoch, self.T_max
        if self._step_count == 1 and k > 0:
            return self._get_closed_form_lr()
        if (k - 1 - n) % (2 * n) == 0:  # one past a minimum, where the ratio below is 0 / 0
            up = (1 - math.cos(math.pi / n)) / 2
            return [
                lr + (base - low) * up for lr, base in zip(self.rates(), self.base_lrs, strict=True)
            ]
        ratio = (1 + math.cos(math.pi * k / n)) / (1 + math.cos(math.pi * (k - 1) / n))
        return [ratio * (lr - low) + low for lr in self.rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        wave = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (lr - self.eta_min) * wave / 2 for lr in self.base_lrs]


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


def check_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer itself; TypeError for anything else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def own_copy(lr: Any) -> Any:
    """A rate that later changes do not reach: a Tensor is copied."""
    return wrap(namespace(lr.array).array(lr.array)) if isinstance(lr, Tensor) else lr


def set_rate(group: dict[str, Any], lr: Any) -> None:
    """Give a group its rate: a Tensor in use is filled, so that everybody who holds it sees it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].array[...] = number(lr)
        group["lr"].storage.touch()
    else:
        group["lr"] = lr
