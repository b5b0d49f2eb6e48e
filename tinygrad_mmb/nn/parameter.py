"""Parameter: a Tensor that its module hands to the optimizer."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import Array, namespace


class Parameter(Tensor):
    """A leaf that requires a gradient and is found by `Module.parameters()`.

    Shares memory with `data`, as PyTorch's does.
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(() if data is None else data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            copied = namespace(self.array).array(self.array, order="K")
            memo[id(self)] = type(self)(copied, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return rebuild, (type(self), self.array, self.requires_grad)


def rebuild(cls: type[Parameter], array: Array, requires_grad: bool) -> Parameter:
    """A Parameter from its pickle."""
    return cls(array, requires_grad)
