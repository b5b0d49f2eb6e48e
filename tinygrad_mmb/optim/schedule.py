"""What all schedules have in common: the epoch they are in, and the rates they set."""

from __future__ import annotations

import warnings
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import namespace
from tinygrad_mmb.optim.optimizer import Optimizer
from tinygrad_mmb.optim.options import number


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


def check_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer itself; TypeError for anything else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{type(optimizer).__name__} is not an Optimizer. Pass the optimizer whose lr is to "
            "follow the schedule."
        )
    return optimizer


def own_copy(lr: Any) -> Any:
    """A rate that later changes do not reach: a Tensor is copied."""
    return wrap(namespace(lr.array).array(lr.array)) if isinstance(lr, Tensor) else lr


def set_rate(group: dict[str, Any], lr: Any) -> None:
    """Give a group its rate: a Tensor in use is filled, so that everybody who holds it sees it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].array[...] = number(lr)
        group["lr"].memory.touch()
    else:
        group["lr"] = lr
