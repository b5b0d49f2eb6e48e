"""A session of the suite on another device: what conftest.py switches on for `--device`.

New Tensors are made there (set_default_device), NumPy arrays that a test wraps go there, and tests
may read results with NumPy, which PyTorch refuses and so do we: only the package may not.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb.autograd import interchange, tensor
from tinygrad_mmb.backend import to_default_device
from tinygrad_mmb.kernels.registry import DEVICE, keys, twins

PACKAGE = str(Path(tm.__file__).parent)


def begin(where: str) -> None:
    """Make every Tensor of this session on `where`: "cuda", or "stand-in" for no GPU at all."""
    if where == "stand-in":
        from tests.device import stand_in

        stand_in.install(look=True)
        decline_kernels()
        where = "cuda"
    elif where == "cuda":
        let_tests_look()
    tm.set_default_device(where)
    send_what_tests_wrap()
    read_where_it_lies()


def decline_kernels() -> None:
    """No kernel of a GPU takes arrays: there is none to run it."""
    for key in keys():
        for twin in twins(key):
            if twin.place == DEVICE:
                twin.accepts = lambda *args, **options: False


def send_what_a_module_wraps(module: Any) -> None:
    """As `send_what_tests_wrap`, for a test that imports `wrap` itself."""
    if getattr(module, "wrap", None) is tensor.wrap:
        module.wrap = lambda array: tensor.wrap(to_default_device(array))


def send_what_tests_wrap() -> None:
    """Tensor(array) leaves an array where it is; in this session NumPy arrays are sent along."""
    make = tm.Tensor.__init__

    @functools.wraps(make)
    def init(self: Any, data: Any = (), **options: Any) -> None:
        make(self, data, **options)
        caller = sys._getframe(1)
        while caller is not None and caller.f_code.co_name == "__init__":
            caller = caller.f_back  # of a Parameter
        if caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
            self.array = to_default_device(self.array)

    def from_numpy(ndarray: Any) -> Any:
        return honest(ndarray).to(tm.get_default_device())

    honest = tm.from_numpy
    tm.Tensor.__init__ = init  # type: ignore[method-assign]
    tm.from_numpy = from_numpy


def read_where_it_lies() -> None:
    """x.numpy() copies from the device, where PyTorch raises: only in tests."""
    honest = interchange.Interchange.numpy

    @functools.wraps(honest)
    def numpy(self: Any) -> Any:
        caller = sys._getframe(1)
        while caller is not None and caller.f_code.co_filename == interchange.__file__:
            caller = caller.f_back  # np.asarray(x) comes by there
        ours = caller is None or caller.f_code.co_filename.startswith(PACKAGE)
        if ours or self.requires_grad or isinstance(self.array, np.ndarray):
            return honest(self)
        return self.array.get()

    interchange.Interchange.numpy = numpy  # type: ignore[method-assign]
    tm.Tensor.numpy = numpy  # type: ignore[method-assign]


def let_tests_look() -> None:
    """np.asarray(cupy_array) in a test copies; CuPy itself refuses it."""
    import cupy

    cupy.ndarray.__array__ = lambda self, *args, **options: np.array(self.get(), *args[:1])
