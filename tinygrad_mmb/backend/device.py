"""Devices: "cpu" for NumPy, "cuda:0" for CuPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_mmb.backend.arrays import Array, cupy, is_array, to_numpy


@dataclass(frozen=True)
class device:  # noqa: N801 - PyTorch's name
    """Where a Tensor lives: device("cpu"), device("cuda"), device("cuda:1"), device("cuda", 1).

    Raises: RuntimeError for any other kind of device.
    """

    type: str
    index: int | None = None

    def __post_init__(self) -> None:
        kind, _, number = str(self.type).partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise RuntimeError(
                f"Expected one of cpu, cuda device type at start of device string: {self.type}"
            )
        object.__setattr__(self, "type", kind)
        if number:
            object.__setattr__(self, "index", int(number))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"


cpu = device("cpu")
_default: device | None = None  # None: the CPU, which then costs creation functions nothing


def as_device(value: Any) -> device:
    """A device from its name, its number among the GPUs, or the device itself.

    Raises: TypeError for anything else, RuntimeError for a name that is none.
    """
    if isinstance(value, device):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return device("cuda", value)
    if not isinstance(value, str):
        raise TypeError(f"a device is 'cpu', 'cuda' or 'cuda:1', not {type(value).__name__}")
    return device(value)


def get_default_device() -> device:
    """Where Tensors are made when nothing else is said: the CPU, unless `set_default_device`."""
    return cpu if _default is None else _default


def set_default_device(where: Any) -> None:
    """Make new Tensors and parameters there: set_default_device("cuda"). None means the CPU.

    `from_numpy`, and what is computed from other Tensors, stays where its numbers are.
    Raises: RuntimeError if there is no such device.
    """
    global _default
    found = cpu if where is None else as_device(where)
    _default = None if found.type == "cpu" else located(found)


def device_of(array: Array) -> device:
    """Where an array lives."""
    return cpu if isinstance(array, np.ndarray) else device("cuda", array.device.id)


def located(where: Any) -> device:
    """The device itself, "cuda" being the current GPU.

    Raises: RuntimeError if there is no such device: no CuPy, no driver, or not so many GPUs.
    """
    where = as_device(where)
    if where.type == "cpu":
        return where
    library = cupy()
    try:
        with library.cuda.Device(where.index):
            return device("cuda", library.cuda.runtime.getDevice())
    except library.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            f"there is no device {str(where)!r} here: {error}. tinygrad_mmb.cuda.device_count() "
            "tells how many GPUs there are; with none, stay on device='cpu'."
        ) from None


def made_at(where: Any, make: Callable[[ModuleType], Array]) -> Array:
    """make(numpy), or make(cupy) on that GPU; `None` is the default device.

    Raises: RuntimeError if there is no such device.
    """
    where = _default if where is None else where
    if where is None or (where := located(where)).type == "cpu":
        return make(np)
    library = cupy()
    with library.cuda.Device(where.index):
        return make(library)


def to_device(array: Array, where: Any) -> Array:
    """The same numbers at another place; the array itself if it is there already.

    Raises: RuntimeError if there is no such device.
    """
    where = as_device(where)
    if where.type == "cpu":
        return to_numpy(array)
    where = located(where)
    if device_of(array) == where:
        return array
    library = cupy()
    with library.cuda.Device(where.index):
        return library.array(array)  # from the host, or from another GPU


def to_default_device(array: Array) -> Array:
    """The same numbers where Tensors are made."""
    return array if _default is None else to_device(array, _default)


def refuse_mixed_devices(values: Iterable[Any]) -> None:
    """Raise RuntimeError, naming the devices, if the arrays among the values live on several."""
    places = sorted({str(device_of(v)) for v in values if is_array(v)})
    if len(places) > 1:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{' and '.join(places)}! Move one of them first: x.to({places[-1]!r})."
        ) from None
