"""What a step of an optimizer takes out of its parameters and their states, and puts back."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import Array, as_array
from tinygrad_mmb.kernels.recorder import host

Memory = list[dict[str, Any]]  # what is remembered of each parameter, as Tensors
Gathered = tuple[list[Array], list[Array], list[dict[str, Array]], list[float]]


def with_gradient(params: list[Tensor]) -> list[Tensor]:
    """The parameters that will move."""
    return [p for p in params if p.grad is not None]


def gathered(params: list[Tensor], memory: Memory, counts: bool) -> Gathered:
    """Arrays of the parameters, of their gradients and states; with `counts`, the steps of each.

    These are counted here, one more for every parameter, and are no part of the states.
    """
    ts = [host(count, state) for state in memory] if counts else []
    states = [
        {k: v.array for k, v in s.items() if isinstance(v, Tensor) and not (counts and k == "step")}
        for s in memory
    ]
    gs = [g.array for p in params if (g := p.grad) is not None]
    return [p.array for p in params], gs, states, ts


def noted(params: list[Tensor], memory: Memory, states: list[dict[str, Array]]) -> None:
    """Note that the parameters were written, and keep what the update has made or replaced."""
    for p, kept, arrays in zip(params, memory, states, strict=True):
        p.memory.touch()  # a graph that saved the old values must notice
        for name, array in arrays.items():
            if not isinstance(kept.get(name), Tensor) or kept[name].array is not array:
                kept[name] = wrap(as_array(array))  # of a 0-d array NumPy makes scalars


def count(state: dict[str, Any]) -> float:
    """Count one more step of a parameter; how many there are now."""
    step = state["step"]
    if not isinstance(step, Tensor):  # state dicts of PyTorch before 1.12
        step = state["step"] = wrap(as_array(float(step)))
    array = step.array
    array[...] = array.item() + 1  # a third of what NumPy's += takes for one number
    step.memory.touch()
    return float(array.item())
