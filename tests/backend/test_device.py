"""Devices, without a GPU: a stand-in for CuPy shows what a GPU would do."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.tensor import wrap

pytestmark = pytest.mark.host_only("brings a CuPy of its own")


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


def test_every_question_to_a_gpu_without_cupy_is_one_clear_error(monkeypatch):  # DV03
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert not tm.cuda.is_available()
    for ask in (
        tm.cuda.synchronize,
        tm.cuda.memory_allocated,
        tm.cuda.current_device,
        tm.cuda.get_device_name,
        lambda: tm.zeros(2, device="cuda"),
        lambda: tm.set_default_device("cuda"),
        lambda: tm.nn.Linear(2, 2).cuda(),
    ):
        with pytest.raises(RuntimeError, match=r"no CUDA device. Stay on device='cpu'"):
            ask()


def test_a_cupy_that_cannot_be_loaded_is_told_from_none(monkeypatch):
    class Broken:
        def find_spec(self, name, *rest):
            if name == "cupy":
                raise ImportError("libcudart.so.12: cannot open", name="libcudart")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(RuntimeError, match=r"CuPy is installed, but .*libcudart"):
        tm.ones(2).cuda()


def test_new_tensors_are_on_the_cpu_unless_said_otherwise():
    assert tm.get_default_device() == tm.zeros(1).device == tm.device("cpu")
    tm.set_default_device("cpu")
    tm.set_default_device(None)
    assert tm.zeros(1, device="cpu").device == tm.device("cpu")
    with pytest.raises(TypeError, match="a device is 'cpu', 'cuda' or 'cuda:1', not float"):
        tm.set_default_device(1.5)
