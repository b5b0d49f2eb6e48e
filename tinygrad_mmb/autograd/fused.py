"""Fused: an op that adds speed, never mathematics."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import differentiate
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.grad_mode import enable_grad
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import as_array


class Fused(Function):
    """`definition` composes other ops: it is the meaning, the fallback, the source of derivatives.

    Twins of "<Name>" and "<Name>.backward" replace it in ordinary training; under create_graph the
    definition is differentiated, so it must be pure: masks and running statistics are inputs or
    outputs.
    """

    @staticmethod
    def definition(*args: Any, **kwargs: Any) -> Any:
        """The value, in ops and operators; arrays or Tensors."""
        raise NotImplementedError("a Fused op needs a static method definition(...)")

    def __init_subclass__(cls) -> None:
        if "definition" in vars(cls) and "forward" not in vars(cls):
            cls.forward = staticmethod(cls.definition)  # type: ignore[method-assign]
        super().__init_subclass__()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Backward runs the definition again, so it needs the inputs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        """The gradient of the definition, at the saved inputs."""
        needs = ctx.needs_input_grad
        with enable_grad():
            inputs = [
                own_variable(x) if need else x
                for x, need in zip(ctx.saved_tensors, needs, strict=True)
            ]
            outputs = differentiate.as_list(ctx.function.definition(*inputs))
        used = [k for k, g in enumerate(gs) if g is not None and outputs[k].requires_grad]
        wanted = [x for x, need in zip(inputs, needs, strict=True) if need]
        if not used:
            return tuple([None] * len(needs))
        found = iter(
            differentiate.grad(
                [outputs[k] for k in used],
                wanted,
                [gs[k] if isinstance(gs[k], Tensor) else wrap(gs[k]) for k in used],
                create_graph=ctx.create_graph,
                allow_unused=True,
            )
        )
        result = [next(found) if need else None for need in needs]
        if ctx.create_graph:
            return tuple(result)
        return tuple([None if g is None else g.array for g in result])


class Composite(Fused):
    """A Fused op that is one node only where a twin takes it.

    Elsewhere its definition runs and is recorded op by op: nothing is computed twice.
    """

    @classmethod
    def composed(cls, *inputs: Any) -> Any:
        """The definition, op by op."""
        y = cls.definition(*inputs)
        return y if isinstance(y, Tensor) else as_array(y)  # NumPy makes scalars of 0-d arrays


def own_variable(x: Any) -> Tensor:
    """`x` as a variable of its own, so that an input computed from another is not counted twice."""
    return ops.alias(x) if isinstance(x, Tensor) else wrap(x).requires_grad_()
