"""The options of an optimizer: which values they may have."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor


class required:  # noqa: N801 - PyTorch's name: the default of an option that has none
    """Stands in `defaults` for an option that every group must set itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


def number(option: Any) -> Any:
    """An option as a plain number: Tensors and NumPy's scalars would widen float32 arrays."""
    if isinstance(option, tuple):
        return tuple(number(o) for o in option)
    return option.item() if hasattr(option, "item") else option


def invalid(option: str, value: Any, expected: str = "0 or more") -> ValueError:
    """What to raise for a value outside its range."""
    return ValueError(f"Invalid {option}: {value}. It should be {expected}.")


def check_learning_rate(lr: Any) -> None:
    """Raise unless `lr` is one number, or a Tensor that holds one."""
    if lr is None or isinstance(lr, (str, list, tuple, dict)):
        raise TypeError(f"lr should be a number, as in lr=1e-3, but got {lr!r}")
    if isinstance(lr, Tensor) and lr.array.size != 1:
        raise ValueError(f"Tensor lr must be 1-element, but it has shape {lr.shape}")


def refuse(name: str, **unsupported: Any) -> None:
    """Raise for switches of PyTorch that promise what is not here."""
    for option, value in unsupported.items():
        if value:
            raise NotImplementedError(
                f"{name}({option}={value}) is not supported: "
                + {
                    "differentiable": "steps are not recorded. Leave it out.",
                    "capturable": "the step count lives on the CPU. Leave it out.",
                }[option]
            )


def check_fused(foreach: bool | None, differentiable: bool, fused: bool | None) -> None:
    """Raise for the combinations that PyTorch refuses. Alone, both switches change no number here:
    which kernel runs is the kernel table's business.
    """
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
