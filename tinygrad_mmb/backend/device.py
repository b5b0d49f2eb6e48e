"""Devices: "cpu" for NumPy, "cuda:0" for CuPy."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_mmb.backend.arrays import Array, to_numpy


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
    if importlib.util.find_spec("cupy") is None:
        raise RuntimeError(
            f"to({str(where)!r}): this Python has no CuPy, so there is no CUDA device. Stay on "
            "device='cpu', or install CuPy for your CUDA version on a machine with an NVIDIA GPU."
        )
    import cupy  # the only import of it: it takes seconds and memory of the GPU

    with cupy.cuda.Device(where.index or 0):
        return cupy.asarray(array)
