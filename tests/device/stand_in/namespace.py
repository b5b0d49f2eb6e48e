"""The module cupy and its parts, put together from what offers.json lists."""

from __future__ import annotations

import importlib.machinery
from types import ModuleType
from typing import Any

import numpy as np

from tests.device.stand_in.arrays import ndarray
from tests.device.stand_in.cuda import (
    CUDARuntimeError,
    Device,
    MemoryPointer,
    MemoryPool,
    Stream,
    UnownedMemory,
)
from tests.device.stand_in.functions import OWN, TRUTHS, function, inv, truth
from tests.device.stand_in.offers import OFFERS
from tests.device.stand_in.ufuncs import UFUNCS


def module(name: str, contents: dict[str, Any]) -> ModuleType:
    """A module that imports as `name`."""
    made = ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    made.__path__ = []  # type: ignore[attr-defined]
    vars(made).update(contents)
    return made


def build() -> dict[str, ModuleType]:
    """The module cupy and its parts, by name."""
    names: dict[str, Any] = {}
    for name, known in OFFERS["functions"].items():
        run = getattr(np, name, None)
        if name in OWN:
            names[name] = OWN[name]
        elif callable(run):
            names[name] = function(name, known, truth(run) if name in TRUTHS else run)
    names |= UFUNCS
    names |= {k: getattr(np, k) for k in OFFERS["constants"] if hasattr(np, k)}
    names |= {k: getattr(np, k) for k in OFFERS["types"] if hasattr(np, k)}
    names |= {"ndarray": ndarray, "__version__": OFFERS["version"], "newaxis": None,
              "get_default_memory_pool": MemoryPool}  # fmt: skip
    linalg = {
        name: function(name, known, getattr(np.linalg, name))
        for name, known in OFFERS["submodules"]["linalg"].items()
        if hasattr(np.linalg, name)
    }
    linalg |= {"inv": inv, "LinAlgError": np.linalg.LinAlgError}
    tricks = {
        name: function(name, known, getattr(np.lib.stride_tricks, name))
        for name, known in OFFERS["submodules"]["lib.stride_tricks"].items()
    }
    runtime = module("cupy.cuda.runtime", {
        "CUDARuntimeError": CUDARuntimeError, "getDeviceCount": lambda: 1, "getDevice": lambda: 0,
        "deviceSynchronize": lambda: None,
        "getDeviceProperties": lambda i: {"name": b"stand-in", "major": 9, "minor": 0},
    })  # fmt: skip
    cuda = module("cupy.cuda", {
        "Device": Device, "Stream": Stream, "runtime": runtime, "MemoryPointer": MemoryPointer,
        "UnownedMemory": UnownedMemory, "get_current_stream": Stream,
        "is_available": lambda: True,
    })  # fmt: skip
    stride_tricks = module("cupy.lib.stride_tricks", tricks)
    lib = module("cupy.lib", {"stride_tricks": stride_tricks})
    linalg_module = module("cupy.linalg", linalg)
    cupy = module("cupy", {**names, "cuda": cuda, "linalg": linalg_module, "lib": lib})
    parts = [cupy, cuda, runtime, lib, stride_tricks, linalg_module]
    return {m.__name__: m for m in parts}
