"""Optimizers as CUDA kernels over a table of tensors, on the emulator."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.emulation import SEEDS, assert_same_bits, moved
from tinygrad_mmb import optim
from tinygrad_mmb.kernels.launch import device, emulated, table
from tinygrad_mmb.kernels.launch.function import CudaFunction

RNG = np.random.default_rng(5)
SHAPES = [(1,), (3,), (1000,), (4096,), (4097,), (), (0,), (17, 31)]


def parameters(shapes=SHAPES, dtype="float32", by=0):
    rng = np.random.default_rng(1)
    return [
        tm.from_numpy(moved(rng.standard_normal(s).astype(dtype), by)).requires_grad_()
        for s in shapes
    ]


def walk(optimizer, params, steps=10):
    """Steps on gradients that change sign; every third step leaves out the second parameter."""
    with tm.use_kernels("emulator", strict=True):
        for t in range(steps):
            for k, p in enumerate(params):
                skipped = k == 1 and t % 3 == 2
                p.grad = None if skipped else tm.tensor(np.sin(3 * p.detach().numpy() + t))
            optimizer.step()
    return [p.detach().numpy() for p in params]


@pytest.fixture
def launches(monkeypatch):
    """The names of the kernels launched so far."""
    names = []
    run = CudaFunction.__call__

    def counted(self, grid, block, arguments, shared=0):
        names.append(self.name)
        run(self, grid, block, arguments, shared)

    monkeypatch.setattr(CudaFunction, "__call__", counted)
    return names


def adam_in_float64(theta, gradients, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    theta, m, v = theta.astype(np.float64), 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g.astype(np.float64)
        v = beta2 * v + (1 - beta2) * g.astype(np.float64) ** 2
        theta = theta - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return theta


@pytest.mark.parametrize("size", [1, 3, 4, 1000, 4095, 12289])
@pytest.mark.parametrize("by", [0, 1])
def test_adam_follows_the_paper_at_any_size_and_address(size, by):
    (p,) = parameters([(size,)], by=by)
    start = p.detach().numpy().copy()
    gradients = [RNG.standard_normal(size).astype("float32") for _ in range(10)]
    optimizer = optim.Adam([p])
    with tm.use_kernels("emulator", strict=True):
        for g in gradients:
            p.grad = tm.tensor(g)
            optimizer.step()
    # each step is at most 3.2 lr long and is right to some 8 roundings, and so is their sum
    moves = p.detach().numpy() - adam_in_float64(start, gradients)
    assert np.abs(moves).max() < 10 * (3.2e-3 * 8 + np.abs(start).max()) * 2.0**-24


def test_a_million_numbers_take_one_launch(launches):
    (p,) = parameters([(1_000_003,)])
    start, g = p.detach().numpy().copy(), RNG.standard_normal(1_000_003).astype("float32")
    p.grad = tm.tensor(g)
    with tm.use_kernels("emulator", strict=True):
        optim.SGD([p], lr=0.1).step()
    np.testing.assert_allclose(
        p.detach().numpy(), start - np.float32(0.1) * g, rtol=1e-6, atol=1e-7
    )
    assert launches == ["sgd_update_f32"]


def test_hundreds_of_small_tensors_take_as_many_launches_as_tables_are_filled(launches):
    params = parameters([(k % 7,) for k in range(300)])  # 43 of them are empty
    optimizer = optim.Adam(params)
    walk(optimizer, params, steps=1)
    assert table.tensors_per_table(4, 4) == 68
    assert launches == ["adam_update_f32"] * 4  # 257 tensors / 68


def test_float32_and_float64_parameters_of_one_group_share_no_launch(launches):
    params = [*parameters([(5,)]), *parameters([(6,)], "float64"), *parameters([(7,)])]
    walk(optim.Adagrad(params), params, steps=1)
    assert launches == ["adagrad_update_f32", "adagrad_update_f64"]


@pytest.mark.parametrize("arrays", [2, 3, 4, 5])
@pytest.mark.parametrize(("char", "itemsize"), [("f", 4), ("d", 8)])
def test_a_table_fits_into_the_parameters_of_a_kernel(arrays, char, itemsize):
    room = table.tensors_per_table(arrays, itemsize)
    a = np.zeros(10, char)
    memory, blocks = table.packed([((a,) * arrays, (1.0, 2.0))], char, room)
    assert blocks == 1 and len(memory) <= 4096 - 11 * 8
    assert struct.unpack_from("q", memory, len(memory) - 8) == (1,)


@pytest.mark.parametrize(
    ("file", "kernel", "arrays"),
    [
        ("sgd.cu", "sgd_update", 2),
        ("sgd.cu", "momentum_update", 3),
        ("adagrad.cu", "adagrad_update", 3),
        ("adam.cu", "adam_update", 4),
        ("adam.cu", "amsgrad_update", 5),
        ("rmsprop.cu", "rmsprop_update", 3),
        ("rmsprop.cu", "rmsprop_momentum_centered_update", 5),
    ],
)
def test_the_tables_of_python_are_as_large_as_those_of_the_kernels(file, kernel, arrays):
    signatures = emulated.library(file, "fast").signatures
    for char, suffix, itemsize in (("f", "f32", 4), ("d", "f64", 8)):
        a = np.zeros(1, char)
        room = table.tensors_per_table(arrays, itemsize)
        memory, _ = table.packed([((a,) * arrays, (0.0, 0.0))], char, room)
        assert signatures[f"{kernel}_{suffix}"][0] == f"o{len(memory)}"


OPTIONS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(name, options, dtype):
    results = []
    for seed in SEEDS:
        params = parameters([(1,), (9,), (4099,)], dtype, by=seed % 2)
        with emulated.emulator("check", seed=seed):
            walk(getattr(optim, name)(params, **options), params, steps=2)
        results.append(np.concatenate([p.detach().numpy() for p in params]))
    assert_same_bits(results)


def test_a_parameter_listed_twice_is_left_to_the_reference():
    (p,) = parameters([(4,)])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.SGD([p, p], lr=1.0)
    p.grad = tm.ones(4)
    start = p.detach().numpy().copy()
    with tm.use_kernels("emulator"):
        optimizer.step()
    np.testing.assert_array_equal(p.detach().numpy(), start - 1 - 1)  # one step after the other


def test_a_transposed_parameter_is_left_to_the_reference_and_its_gradient_may_lie_so():
    p = tm.from_numpy(RNG.standard_normal((3, 5)).T).requires_grad_()
    q = tm.tensor(RNG.standard_normal((5, 3)), requires_grad=True)
    start = q.detach().numpy().copy()
    g = RNG.standard_normal((3, 5)).T
    p.grad = tm.from_numpy(g)
    with (
        tm.use_kernels("emulator", strict=True),
        pytest.raises(RuntimeError, match=r"emulator twin of SGD.update declined"),
    ):
        optim.SGD([p], lr=1.0).step()
    q.grad = tm.from_numpy(g)
    with tm.use_kernels("emulator", strict=True):
        optim.SGD([q], lr=1.0).step()
    np.testing.assert_array_equal(q.detach().numpy(), start - g)


def test_states_are_written_in_place_and_a_graph_notices():
    (p,) = parameters([(3,)])
    optimizer = optim.Adam([p])
    loss = (p * p).sum()
    p.grad = tm.ones(3)
    with tm.use_kernels("emulator", strict=True):
        optimizer.step()
        memory = optimizer.state[p]["exp_avg"].array
        p.grad = tm.ones(3)
        optimizer.step()
    assert optimizer.state[p]["exp_avg"].array is memory and memory[0] == pytest.approx(0.19)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_weight_decay_zero_ignores_a_parameter_that_is_infinite():
    p = tm.tensor([np.inf, 1.0], requires_grad=True)
    p.grad = tm.zeros(2)
    with tm.use_kernels("emulator", strict=True):
        optimizer = optim.Adam([p])
        optimizer.step()
    assert p.tolist() == [np.inf, 1.0] and optimizer.state[p]["exp_avg"].tolist() == [0.0, 0.0]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), [*OPTIONS, ("AdamW", {"lr": 0.1})])
def test_ten_steps_equal_pytorch(name, options):
    import torch

    params = parameters(SHAPES, "float64")
    theirs = [torch.tensor(p.detach().numpy().copy(), requires_grad=True) for p in params]
    walk(getattr(optim, name)(params, **options), params)
    other = getattr(torch.optim, name)(theirs, **options)
    for t in range(10):
        for k, p in enumerate(theirs):
            g = torch.sin(3 * p.detach() + t)
            p.grad = None if k == 1 and t % 3 == 2 else g
        other.step()
    for a, b in zip(params, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-12)


def test_a_table_of_arrays_on_a_gpu_goes_to_that_gpu(monkeypatch):
    cupy = pytest.importorskip("cupy")
    launched = []

    def on_device_1(host):
        memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=1)
        pointer = cupy.cuda.MemoryPointer(memory, 0)
        return cupy.ndarray(host.shape, host.dtype, memptr=pointer)

    class Launcher:
        def launch(self, file, name, grid, block, arguments, shared):
            launched.append((file, name, grid, arguments, device.device_of(name, arguments)))

    monkeypatch.setattr(device, "launcher", Launcher)
    host = [np.zeros(4097, np.float32) for _ in range(4)]
    theta, g, other, h = (on_device_1(a) for a in host)
    rows = [((theta, g), (0.0, 0.0)), ((other, h), (0.0, 0.0))]
    table.update_all("sgd.cu", "sgd_update", rows, (1.0, 0.0, 0.1))
    ((file, name, grid, arguments, where),) = launched
    assert (file, name, grid, where) == ("sgd.cu", "sgd_update_f32", (4,), 1)
    room = table.tensors_per_table(2, 4)
    addresses = struct.unpack_from(f"{2 * room}Q", arguments[0])
    assert addresses[:2] == (host[0].ctypes.data, host[2].ctypes.data)
    assert addresses[room : room + 2] == (host[1].ctypes.data, host[3].ctypes.data)
