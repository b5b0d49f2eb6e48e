"""The state of an optimizer as a dictionary, in PyTorch's form."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from itertools import chain
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import as_array, device_of, namespace, to_device

Groups = list[dict[str, Any]]


def packed(groups: Groups, state: dict[Any, Any]) -> dict[str, Any]:
    """Groups and state with the parameters numbered, in the order of the groups."""
    numbers: dict[int, int] = {}
    for i, p in enumerate(chain.from_iterable(group["params"] for group in groups)):
        numbers.setdefault(id(p), i)
    named = [
        {
            **{k: v for k, v in group.items() if k != "params"},
            "params": [numbers[id(p)] for p in group["params"]],
        }
        for group in groups
    ]
    return {"state": {numbers.get(id(p), p): s for p, s in state.items()}, "param_groups": named}


def unpacked(state_dict: dict[str, Any], groups: Groups) -> dict[str, Any]:
    """The groups and the state in a `state_dict`, copied, for the parameters of `groups`.

    Raises: ValueError if the groups differ in number or in size.
    """
    saved = deepcopy(state_dict["param_groups"])
    if len(saved) != len(groups):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved)}, but this optimizer has {len(groups)}"
        )
    parameters: dict[Any, Tensor] = {}
    for i, (old, new) in enumerate(zip(groups, saved, strict=True)):
        if len(old["params"]) != len(new["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: group {i} has {len(new['params'])} parameters there and "
                f"{len(old['params'])} here"
            )
        parameters.update(zip(new["params"], old["params"], strict=True))
        new["params"] = old["params"]
        if "param_names" in old:
            new.setdefault("param_names", old["param_names"])
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for index, values in state_dict["state"].items():
        p = parameters.get(index)
        if p is None:
            state[index] = values
        else:
            state[p] = {k: copied(k, v, p) for k, v in values.items()}
    return {"state": state, "param_groups": saved}


def copied(name: str, value: Any, p: Tensor) -> Any:
    """One value of a loaded state, as a Tensor of our own where it is an array of any kind."""
    if not hasattr(value, "dtype"):
        return deepcopy(value)
    array = value.array if isinstance(value, Tensor) else as_array(value)
    if name == "step":
        return wrap(namespace(array).array(array))
    there = to_device(array, device_of(p.array))
    return wrap(namespace(there).array(there, dtype=p.dtype))
