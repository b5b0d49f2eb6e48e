"""Devices: "cpu" for NumPy, "cuda:0" for CuPy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


def as_device(value: Any) -> device:
    """A device from its name, or the device itself."""
    return value if isinstance(value, device) else device(value)


def device_of(array: Array) -> device:
    """Where an array lives."""
    return cpu if isinstance(array, np.ndarray) else device("cuda", array.device.id)


def to_device(array: Array, where: Any) -> Array:
    """The same numbers at another place; the array itself if it is there already.

    Raises: RuntimeError if there is no such device.
    """
    where = as_device(where)
    if where.type == "cpu":
        return to_numpy(array)
    library = cupy()
    with library.cuda.Device(where.index or 0):
        return library.asarray(array)


def refuse_mixed_devices(values: Iterable[Any]) -> None:
    """Raise RuntimeError, naming the devices, if the arrays among the values live on several."""
    places = sorted({str(device_of(v)) for v in values if is_array(v)})
    if len(places) > 1:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{' and '.join(places)}! Move one of them first: x.to({places[-1]!r})."
        ) from None
