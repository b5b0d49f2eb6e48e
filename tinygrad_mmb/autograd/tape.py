"""GradientTape: TensorFlow's way to ask for gradients, on the same engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.autograd import differentiate
from tinygrad_mmb.autograd.grad_mode import GradMode
from tinygrad_mmb.autograd.storage import clock
from tinygrad_mmb.autograd.tensor import Tensor


class GradientTape:
    """Records inside its with statement, and only there.

        with GradientTape() as tape:
            loss = f(model(x))
        gradients = tape.gradient(loss, model.parameters())

    `watch(x)` makes x a variable. A tape answers once, unless it is `persistent`. What was computed
    before or after the block is a constant to it.
    """

    def __init__(self, persistent: bool = False) -> None:
        self.persistent = persistent
        self._mode = GradMode(True)
        self._began: int | None = None
        self._ended: int | None = None
        self._used = False

    def __enter__(self) -> GradientTape:
        self._mode.__enter__()
        self._began = clock()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = clock()
        self._mode.__exit__(*exc)

    def watch(self, x: Tensor) -> None:
        """Make a constant a variable: what is computed from it from here on is recorded."""
        x.requires_grad_()

    def gradient(self, target: Tensor, sources: Tensor | Iterable[Tensor]) -> Any:
        """∂target/∂sources as Tensors, None for a source that the target does not depend on.

        Raises: RuntimeError if the tape was asked before and is not persistent, or if the target
        was computed outside its block.
        """
        if self._began is None:
            raise RuntimeError(
                "GradientTape: nothing was recorded; use it as `with GradientTape():`"
            )
        if self._used and not self.persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients. "
                "Make it with GradientTape(persistent=True)."
            )
        self._used = True
        wanted = differentiate.as_list(sources)
        node = target.grad_fn
        if node is None or node.time < self._began or (self._ended and node.time > self._ended):
            found: tuple[Any, ...] = (None,) * len(wanted)
        else:
            found = differentiate.grad(
                target, wanted, retain_graph=self.persistent or None, allow_unused=True
            )
        return found[0] if isinstance(sources, Tensor) else list(found)
