"""State as JSON and arrays: any nesting of what `state_dict` methods return, there and back bit for
bit.

Arrays leave the tree under their path ("optimizer/state/0/exp_avg") and go into a safetensors file;
what stays is JSON. What JSON has no word for is marked with a dictionary of one key that starts
with "$".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import Array, to_numpy

Arrays = dict[str, Array]


def split(value: Any, arrays: Arrays, path: str = "") -> Any:
    """The JSON part of `value`; its arrays are added to `arrays`.

    Raises: TypeError, with the path, for an object that is no state (a function, a Module, ...).
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, Tensor):
        return {"$tensor": put(value.array, arrays, path)}
    if isinstance(value, np.generic):
        return {"$scalar": put(np.asarray(value), arrays, path)}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return {"$array": put(value, arrays, path)}
    if isinstance(value, dict):
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: split(v, arrays, f"{path}/{k}") for k, v in value.items()}
        pairs = [
            [split(k, arrays, path), split(v, arrays, f"{path}/{k}")] for k, v in value.items()
        ]
        return {"$items": pairs}
    if isinstance(value, (list, tuple)):
        items = [split(v, arrays, f"{path}/{i}") for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    raise TypeError(
        f"a checkpoint cannot hold the {type(value).__name__} at "
        f"{path.lstrip('/') or 'its root'}: state is made of "
        "Tensors, arrays, numbers, text, None, and lists, tuples and dictionaries of them."
    )


def put(array: Array, arrays: Arrays, path: str) -> str:
    """Store a contiguous copy under `path`, and say under which name.

    safetensors 0.8.0 writes the wrong numbers for a transposed or strided array, so none may reach
    it.
    """
    name = path.lstrip("/") or "value"
    host = to_numpy(array)
    if host.dtype.kind not in "biuf":
        raise TypeError(
            f"a checkpoint cannot hold the {host.dtype} array at {name}: only numbers and bools."
        )
    arrays[name] = np.array(host, order="C", copy=True)  # ascontiguousarray would make () into (1,)
    return name


def join(tree: Any, arrays: Arrays) -> Any:
    """What `split` was given, in copies: arrays that safetensors reads cannot be written to."""
    if isinstance(tree, list):
        return [join(v, arrays) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) == 1:
        ((kind, value),) = tree.items()
        if kind == "$float":
            return float(value)
        if kind == "$tensor":
            return wrap(arrays[value].copy())
        if kind == "$scalar":
            return arrays[value][()]
        if kind == "$array":
            return arrays[value].copy()
        if kind == "$items":
            return {join(k, arrays): join(v, arrays) for k, v in value}
        if kind == "$tuple":
            return tuple(join(v, arrays) for v in value)
    return {k: join(v, arrays) for k, v in tree.items()}
