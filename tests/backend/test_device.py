"""Devices, without a GPU: a stand-in for CuPy shows what a GPU would do."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.tensor import wrap


class FakeArray:
    """An array of another library on "cuda:0": it has a shape and mixes with nothing."""

    shape, ndim, size, dtype = (2,), 1, 2, np.dtype("float32")
    device = types.SimpleNamespace(id=0)
    __array_ufunc__ = None

    def _refuse(self, other):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")

    __add__ = __radd__ = __mul__ = __rmul__ = _refuse


@pytest.fixture
def fake_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=FakeArray))


def test_operands_on_two_devices_are_refused_by_name(fake_cupy):  # DV02
    there, here = wrap(FakeArray()), tm.tensor([1.0, 2.0])
    assert str(there.device) == "cuda:0"
    for f in (lambda: there * here, lambda: here * there, lambda: here + there):
        with pytest.raises(RuntimeError, match=r"cpu and cuda:0! Move one of them first"):
            f()


def test_an_error_on_one_device_is_left_alone():
    with pytest.raises(TypeError):
        tm.tensor([1.0]) * [1.0]


def test_cuda_is_not_available_without_cupy_and_is_not_imported():  # DV03
    code = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'cupy' else find(name, *a); "
        "import tinygrad_mmb as tm; "
        "print(tm.cuda.is_available(), tm.cuda.device_count(), 'cupy' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "0", "False"]


def test_to_cuda_without_cupy_is_one_clear_error(monkeypatch):  # DV01
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes the import fail
    with pytest.raises(RuntimeError, match=r"no CUDA device. Stay on device='cpu'"):
        tm.ones(2).to("cuda")
