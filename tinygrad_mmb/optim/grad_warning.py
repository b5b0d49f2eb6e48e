"""A warning for the training loop that forgets zero_grad()."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.optim.optimizer import Optimizer


@contextmanager
def warn_if_grad_accumulates(optimizer: Optimizer) -> Iterator[None]:
    """Warn when backward() adds to a gradient that `optimizer.step()` has already used.

        with optim.warn_if_grad_accumulates(optimizer):
            for x, t in loader:
                loss_fn(model(x), t).backward()     # no zero_grad(): warns from the second batch on
                optimizer.step()

    Several backward() before one step() are silent: adding up gradients of small batches is meant.
    One UserWarning a step at most. Watches the parameters that the optimizer has when it begins.
    """
    used: set[int] = set()  # ids of the parameters whose gradient a step has taken

    def note(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        used.update(
            id(p) for g in optimizer.param_groups for p in g["params"] if p.grad is not None
        )

    with ExitStack() as stack:
        stack.enter_context(optimizer.register_step_post_hook(note))
        for i, group in enumerate(optimizer.param_groups):
            for j, p in enumerate(group["params"]):
                if p.requires_grad:
                    stack.enter_context(p.register_hook(watch(p, used, f"group {i}, number {j}")))
        yield


def watch(p: Tensor, used: set[int], where: str) -> Any:
    """A hook on p that looks at the old gradient while the new one is on its way to it."""

    def look(g: Tensor) -> None:
        if id(p) not in used:
            return
        old = p.grad
        if old is not None and old.array.any():
            used.clear()  # once a step is enough
            warnings.warn(
                f"backward() adds to the gradient of the parameter in {where}, shape {p.shape}, "
                "which step() has already used: the next step will use both. Call "
                "optimizer.zero_grad() before backward().",
                stacklevel=2,
            )
        used.discard(id(p))

    return look
