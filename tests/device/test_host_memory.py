"""The CUDA twins on true CuPy arrays without a GPU: their memory is the host's.

CuPy allocates nothing and computes nothing without a GPU, but an allocator may hand it memory of
the host, and a launch may go to the emulator. So what a wrapper does with CuPy arrays (whether it
accepts them, the views it takes, the pointers and sizes it passes) is what it will do on a GPU.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.function import all_functions
from tinygrad_mmb.autograd.tensor import wrap
from tinygrad_mmb.backend import arrays, device_of, is_array, namespace
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch import arguments, device, emulated
from tinygrad_mmb.kernels.launch.rows import DEFAULT_SHARED

cupy = pytest.importorskip("cupy")
pytestmark = pytest.mark.skipif(
    not hasattr(cupy.cuda, "using_allocator"), reason="CuPy's place is taken by the stand-in"
)

FORWARD = sorted(
    {op for op in all_functions() if any(t.backend == "cuda" for t in registry.twins(op.__name__))},
    key=lambda op: op.__name__,
)


def owned(size):
    """Memory of the host, for CuPy to lay an array over."""
    memory = np.empty(max(size, 1), np.uint8)
    unowned = cupy.cuda.UnownedMemory(memory.ctypes.data, memory.nbytes, memory, 0)
    return cupy.cuda.MemoryPointer(unowned, 0)


def there(x):
    """x as a CuPy array with the same strides, over the same memory."""
    memory = cupy.cuda.UnownedMemory(x.ctypes.data, max(x.nbytes, 1), x, 0)
    pointer = cupy.cuda.MemoryPointer(memory, 0)
    return cupy.ndarray(x.shape, x.dtype, memptr=pointer, strides=x.strides)


def here(x):
    """The NumPy array over the memory of a CuPy array."""
    if not isinstance(x, cupy.ndarray):
        return x

    class Memory:
        __array_interface__ = {  # noqa: RUF012 - read once
            "data": (x.data.ptr, False),
            "shape": x.shape,
            "strides": x.strides,
            "typestr": x.dtype.str,
            "version": 3,
        }

    view = np.asarray(Memory())
    return np.lib.stride_tricks.as_strided(view, x.shape, x.strides)


class OnTheHost:
    """Launches that reach the emulator with the addresses in CuPy's arrays."""

    def __init__(self):
        self.launched = []

    def launch(self, file, name, grid, block, given, shared):
        self.launched.append(name)
        assert all(device_of(a) == tm.device("cuda", 0) for a in arguments.arrays_in(given))
        emulated.launcher().launch(file, name, grid, block, [here(a) for a in given], shared)


@pytest.fixture
def launches(monkeypatch):
    launcher = OnTheHost()
    monkeypatch.setattr(device, "launcher", lambda: launcher)
    for name, module in list(sys.modules.items()):
        if name.startswith("tinygrad_mmb.kernels.") and hasattr(module, "shared_memory"):
            monkeypatch.setattr(module, "shared_memory", lambda x: DEFAULT_SHARED)
    with cupy.cuda.using_allocator(owned):
        yield launcher


def samples(op):
    for dtype in ("float32", "float64"):
        for args in op.samples(np.random.default_rng(0), 4):
            yield [a.astype(dtype) if is_array(a) and a.dtype.kind == "f" else a for a in args]


def outputs(y):
    y = y.y if isinstance(y, registry.WithExtras) else y
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize("op", FORWARD, ids=lambda op: op.__name__)
def test_a_twin_does_with_cupy_arrays_what_it_does_on_the_emulator(op, launches):
    (twin,) = [t for t in registry.twins(op.__name__) if t.backend == "cuda"]
    (emulator,) = [t for t in registry.twins(op.__name__) if t.backend == "emulator"]
    compared = 0
    for args in samples(op):
        sent = [there(a) if is_array(a) else a for a in args]
        assert twin.accepts(*sent) == emulator.accepts(*args)
        assert not twin.accepts(*args), "a CUDA twin takes arrays of the CPU"
        if not emulator.accepts(*args):
            continue
        expected = outputs(emulator.run(*args))
        try:
            found = outputs(twin.run(*sent))
        except cupy.cuda.runtime.CUDARuntimeError:
            continue  # the wrapper lets CuPy compute, or copy what is not contiguous
        compared += 1
        for a, b in zip(found, expected, strict=True):
            assert isinstance(a, cupy.ndarray)
            np.testing.assert_array_equal(here(a), b)
    if not compared:
        pytest.skip("its wrapper lets CuPy compute, which needs a GPU")
    assert launches.launched


def test_a_tensor_on_a_gpu_reaches_the_kernel_and_so_does_its_gradient(launches):
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    t = wrap(there(x))
    assert (t.device, t.is_cuda, namespace(t.array)) == (tm.device("cuda:0"), True, cupy)
    y = tm.softmax(t, 1)
    assert launches.launched[0].startswith("softmax")
    assert isinstance(y.array, cupy.ndarray)
    e = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(here(y.array), e / e.sum(1, keepdims=True), rtol=1e-6)


def test_views_of_cupy_arrays_have_the_strides_and_the_memory_of_numpys():
    x = np.arange(24.0).reshape(2, 3, 4)
    t = wrap(there(x))
    for view, expected in [
        (t[:, 1], x[:, 1]),
        (t[..., ::2], x[..., ::2]),
        (t.transpose(0, 2), x.swapaxes(0, 2)),
        (t.reshape(6, 4), x.reshape(6, 4)),
        (t.expand(5, 2, 3, 4), np.broadcast_to(x, (5, 2, 3, 4))),
        (t.diagonal(0, 1, 2), x.diagonal(0, 1, 2)),
    ]:
        assert view.array.strides == expected.strides
        assert view.data_ptr() == expected.ctypes.data
        assert view.is_contiguous() == expected.flags.c_contiguous
        np.testing.assert_array_equal(here(view.array), expected)
    assert arrays.share_memory(t.array, t[1].array)
    assert not arrays.share_memory(t[0].array, t[1].array)


def test_contiguous_arrays_are_passed_as_they_are(launches):
    x = there(np.ones((2, 3), np.float32))
    before = arguments.Copies.count
    assert arguments.contiguous(x) is x
    assert arguments.Copies.count == before


def test_a_cpu_tensor_beside_one_on_a_gpu_is_refused_by_name():
    t, cpu = wrap(there(np.ones((2, 2), np.float32))), tm.ones(2, 2)
    for f in (
        lambda: t @ cpu,
        lambda: cpu + t,
        lambda: tm.cat([t, cpu]),
        lambda: tm.nn.functional.linear(cpu, t),
        lambda: tm.where(cpu > 0, t, t),
        lambda: cpu.add_(t),
        lambda: tm.nn.functional.mse_loss(t, cpu),
    ):
        with pytest.raises(RuntimeError, match=r"cpu and cuda:0|cuda:0 and cpu"):
            f()
    with pytest.raises(RuntimeError, match="either on cpu or on the same device"):
        cpu[wrap(there(np.array([0, 1])))]
    with pytest.raises(TypeError, match=r"Use tensor\.cpu\(\)\.numpy\(\)"):
        t.numpy()
    cpu.requires_grad_()
    with pytest.raises(RuntimeError, match="located on a different device: cuda:0 for cpu"):
        cpu.grad = t
