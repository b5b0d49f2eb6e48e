"""Bias and activation in one CUDA kernel, on the emulator."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.emulation import EPS, SEEDS, assert_same_bits, moved, on_kernels, profile
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.launch import cuda_function, emulated, int64
from tinygrad_mmb.nn import functional as F  # noqa: N812

RNG = np.random.default_rng(7)
ERF = np.vectorize(math.erf, otypes=[float])
KINDS = {
    "relu": lambda z: np.maximum(z, 0),
    "gelu": lambda z: z * 0.5 * (1 + ERF(z / math.sqrt(2))),
    "gelu_tanh": lambda z: 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + np.exp(-z)),
}
SUFFIX = {"float16": "f16", "float32": "f32", "float64": "f64"}


def run(kernel, y, arrays, rows, cols, threads=(32, 8)):
    function = cuda_function("bias_activation.cu", f"{kernel}_{SUFFIX[y.dtype.name]}")
    function((-(-rows // threads[1]),), threads, (y, *arrays, int64(rows), int64(cols)))
    return y


def drawn(rows, cols, dtype, by=0):
    x = RNG.uniform(-4, 4, (rows, cols)).astype(dtype)
    return moved(x, by), RNG.uniform(-1, 1, cols).astype(dtype)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("dtype", sorted(SUFFIX))
@pytest.mark.parametrize(("rows", "cols", "by"), [(1, 1, 0), (3, 8, 0), (9, 31, 0), (5, 64, 1),
                                                  (17, 300, 0), (0, 4, 0)])  # fmt: skip
def test_the_activation_of_a_biased_row(kind, dtype, rows, cols, by):
    x, bias = drawn(rows, cols, dtype, by)
    y = run(f"bias_{kind}", np.empty_like(x), (x, bias), rows, cols)
    expected = KINDS[kind](x.astype(np.float64) + bias)
    # x + bias rounds at 8; the functions and their products to some units, relative to 5
    eps = EPS[dtype] + 64 * EPS["float64" if dtype == "float64" else "float32"]
    np.testing.assert_allclose(y, expected, rtol=eps, atol=eps)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_slope_is_the_derivative(kind, dtype):
    x, bias = drawn(7, 45, dtype)
    g = RNG.standard_normal(x.shape).astype(dtype)
    dz = run(f"bias_{kind}_slope", np.empty_like(x), (g, x, bias), 7, 45)
    z, h = x.astype(np.float64) + bias, 1e-5
    expected = g * (KINDS[kind](z + h) - KINDS[kind](z - h)) / (2 * h)
    # central differences in float64: h² · y''' / 6 + eps · y / h, below 1e-10
    away = np.abs(z) > 2 * h  # a relu has a kink
    allowed = 1e-9 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(dz[away], expected[away], rtol=allowed, atol=allowed)


def test_the_result_may_take_the_place_of_its_input():
    x, bias = drawn(5, 37, "float32")
    expected = run("bias_gelu", np.empty_like(x), (x, bias), 5, 37)
    np.testing.assert_array_equal(run("bias_gelu", x, (x, bias), 5, 37), expected)


@pytest.mark.parametrize("dtype", sorted(SUFFIX))
@pytest.mark.parametrize("cols", [5, 64])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(cols, dtype):
    x, bias = drawn(11, cols, dtype, by=0)
    g = RNG.standard_normal(x.shape).astype(dtype)
    results = []
    for seed in SEEDS:
        with emulated.emulator("check", seed=seed):
            y = run("bias_relu", np.empty_like(x), (x, bias), 11, cols)
            dz = run("bias_gelu_tanh_slope", np.empty_like(x), (g, x, bias), 11, cols)
        results.append(np.concatenate([y, dz]))
    assert_same_bits(results)


@pytest.mark.parametrize("dtype", sorted(SUFFIX))
def test_a_thread_moves_16_bytes_at_a_time(dtype):
    x, _ = drawn(8, 512, dtype)
    g, y, bias = moved(np.ones_like(x), 0), moved(np.empty_like(x), 0), moved(x[0], 0)
    warps = x.nbytes // (16 * 32)
    for kernel, arrays, there in (
        ("bias_relu", (x, bias), 3),
        ("bias_relu_slope", (g, x, bias), 4),
    ):
        found = profile(f"{kernel}_{SUFFIX[dtype]}", run, kernel, y, arrays, 8, 512)
        found = [a for a in found if a.space == "global"]
        assert sum(a.requests for a in found) == there * warps
        assert {a.ratio for a in found} == {1.0}


CALLS = [
    ("gelu", F.gelu),
    ("gelu_tanh", lambda x: F.gelu(x, approximate="tanh")),
    ("silu", F.silu),
]


@pytest.mark.parametrize(("kind", "f"), CALLS)
@pytest.mark.parametrize("dtype", sorted(SUFFIX))
def test_gelu_and_silu_of_tensors_are_one_kernel_there_and_one_back(kind, f, dtype):
    x = tm.tensor(RNG.uniform(-4, 4, (7, 45)).astype(dtype), requires_grad=True)
    g = RNG.standard_normal((7, 45)).astype(dtype)
    with emulated.emulator("check", profile=True) as checker:
        y = on_kernels(f, x)
        on_kernels(y.backward, tm.tensor(g))
    launched = [p["kernel"] for p in checker.profiles]
    assert launched == [f"{kind}_{SUFFIX[dtype]}", f"{kind}_slope_{SUFFIX[dtype]}"]
    z, h = x.detach().numpy().astype(np.float64), 1e-5
    slope = (KINDS[kind](z + h) - KINDS[kind](z - h)) / (2 * h)
    # rounding once to the dtype, of what is computed to some units of 4; differences: below 1e-9
    eps = EPS[dtype] + 64 * EPS["float64" if dtype == "float64" else "float32"] + 1e-9
    np.testing.assert_allclose(y.detach().numpy(), KINDS[kind](z), rtol=eps, atol=eps)
    np.testing.assert_allclose(x.grad.numpy(), g * slope, rtol=2 * eps, atol=2 * eps)


@pytest.mark.parametrize(("kind", "f"), CALLS)
def test_gradients_pass_the_gradient_check_through_the_kernels(kind, f):
    x = tm.tensor(RNG.uniform(-3, 3, (3, 7)), requires_grad=True)
    assert on_kernels(gradcheck, f, (x,))


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    functional = torch.nn.functional
    x, bias = drawn(6, 40, "float64")
    g = RNG.standard_normal(x.shape)
    theirs = {
        "relu": functional.relu,
        "gelu": functional.gelu,
        "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
        "silu": functional.silu,
    }
    for kind, f in theirs.items():
        z = torch.tensor(x + bias, requires_grad=True)
        y = f(z)
        y.backward(torch.tensor(g))
        ours = run(f"bias_{kind}", np.empty_like(x), (x, bias), 6, 40)
        dz = run(f"bias_{kind}_slope", np.empty_like(x), (g, x, bias), 6, 40)
        np.testing.assert_allclose(ours, y.detach().numpy(), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(dz, z.grad.numpy(), rtol=1e-12, atol=1e-13)
