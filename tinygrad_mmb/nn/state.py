"""Values out of a state dict into a module, and what to say where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn.parameter import Parameter

if TYPE_CHECKING:
    from tinygrad_mmb.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it did not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        return "<All keys matched successfully>" if self == ([], []) else tuple.__repr__(self)


def load(
    module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Module.load_state_dict."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    problems: list[str] = []
    known: set[str] = set()
    missing: list[str] = []
    for path, part in module.named_modules(remove_duplicate=False):
        for name, value in (
            *part._own_parameters(),
            *part._own_buffers(persistent_only=True),
        ):
            key = join(path, name)
            known.add(key)
            if key not in state_dict:
                missing.append(key)
            elif problem := load_value(part, name, value, key, state_dict[key], assign):
                problems.append(problem)
    unexpected = [key for key in state_dict if key not in known]
    if strict and missing:
        problems.insert(0, f"Missing key(s) in state_dict: {quoted(missing)}. ")
    if strict and unexpected:
        problems.insert(0, f"Unexpected key(s) in state_dict: {quoted(unexpected)}. ")
    if problems:
        text = "\n\t".join(problems)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{text}")
    return IncompatibleKeys(missing, unexpected)


def quoted(names: list[str]) -> str:
    """Names as a list in quotes."""
    return ", ".join(f'"{name}"' for name in names)


def load_value(
    module: Module, name: str, own: Tensor, key: str, new: Any, assign: bool
) -> str | None:
    """Put one value into its place; what is wrong with it, if anything is."""
    if not isinstance(new, Tensor):
        return (
            f'While copying the parameter named "{key}", expected Tensor from checkpoint but '
            f"received {type(new)}: wrap it, as from_numpy(array)"
        )
    if not own.shape and new.shape == (1,):
        new = new[0]
    if new.shape != own.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {tuple(new.shape)} from "
            f"checkpoint, the shape in current model is {tuple(own.shape)}."
        )
    if not assign:
        with no_grad():
            own.copy_(new)
    elif isinstance(own, Parameter):
        setattr(module, name, Parameter(new.detach(), own.requires_grad))
    else:
        setattr(module, name, new)
    return None


def join(path: str, name: str) -> str:
    """The path to `name` inside `path`: "a.b.c"."""
    return f"{path}.{name}" if path else name
