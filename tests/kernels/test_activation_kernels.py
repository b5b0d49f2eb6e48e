"""Activations and the way back through them to a bias, as CUDA kernels on the emulator."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.emulation import EPS, SEEDS, assert_same_bits, moved, on_kernels, profile
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.cuda.bias_activation import through_activation
from tinygrad_mmb.kernels.launch import emulated
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


SHAPES = [(1, 1), (3, 8), (9, 31), (5, 64), (17, 300), (200, 12), (0, 4), (4, 0), (2, 3, 33)]


def drawn(shape, dtype, by=0):
    g = RNG.standard_normal(shape).astype(dtype)
    return moved(g, by), moved(RNG.uniform(-4, 4, shape).astype(dtype), by)


def slope(kind, z):
    """By central differences in float64: h² times the third derivative / 6, and eps / h: 1e-9.

    Not across the corner of a ReLU: a float16 may lie within h of it.
    """
    if kind == "relu":
        return z > 0
    h = 1e-5
    return (KINDS[kind](z + h) - KINDS[kind](z - h)) / (2 * h)


@pytest.mark.parametrize("kind", ["relu", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("dtype", sorted(SUFFIX))
@pytest.mark.parametrize("by", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_before_an_activation_and_its_sum_over_the_rows(shape, by, dtype, kind):
    g, z = drawn(shape, dtype, by)
    with emulated.emulator("check"):
        dz, total = through_activation(kind, g, z, True)
    expected = g.astype(np.float64) * slope(kind, z.astype(np.float64))
    # rounding once to the dtype, of what is computed to some units of 5; the differences
    eps = EPS[dtype] + 64 * EPS["float64" if dtype == "float64" else "float32"] + 1e-9
    assert (dz.dtype, total.dtype) == (z.dtype, z.dtype)
    np.testing.assert_allclose(dz, expected, rtol=2 * eps, atol=2 * eps)
    expected = expected.sum(tuple(range(z.ndim - 1)))  # of at most 200 numbers
    np.testing.assert_allclose(total, expected, rtol=2 * eps, atol=400 * eps)


def test_a_sum_that_nobody_wants_is_not_computed():
    g, z = drawn((200, 12), "float32")
    with emulated.emulator("check", profile=True) as checker:
        dz, total = through_activation("relu", g, z, False)
    assert total is None
    assert [p["kernel"] for p in checker.profiles] == ["relu_gradients_f32"]
    np.testing.assert_array_equal(dz, np.where(z > 0, g, 0))


def test_a_nan_passes_the_gradient_and_zero_does_not_as_in_the_reference():
    y = np.array([[np.nan, 0.0, -0.0, 1.0]], np.float32)
    dz, total = through_activation("relu", np.full_like(y, 2.0), y, True)
    np.testing.assert_array_equal(dz, [[2.0, 0.0, 0.0, 2.0]])
    np.testing.assert_array_equal(total, dz[0])


@pytest.mark.parametrize("dtype", sorted(SUFFIX))
@pytest.mark.parametrize("cols", [5, 64])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(cols, dtype):
    g, z = drawn((150, cols), dtype)
    results = []
    for seed in SEEDS:
        with emulated.emulator("check", seed=seed):
            dz, total = through_activation("gelu_tanh", g, z, True)
        results.append(np.concatenate([dz, total[None]]))
    assert_same_bits(results)


@pytest.mark.parametrize("dtype", sorted(SUFFIX))
def test_a_thread_moves_16_bytes_at_a_time(dtype):
    g, z = drawn((8, 512), dtype)
    warps = g.nbytes // (16 * 32)
    found = profile(f"relu_gradients_{SUFFIX[dtype]}", through_activation, "relu", g, z, False)
    found = [a for a in found if a.space == "global"]
    assert sum(a.requests for a in found) == 3 * warps  # g and y in, dz out
    # 512 bytes are 16 sectors; g and y begin with one, dz perhaps within one, and then lies in 17
    sectors = sum(16 * a.requests * a.ratio for a in found)
    assert sectors <= (16 + 16 + 17) * warps


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
    z = x.detach().numpy().astype(np.float64)
    # rounding once to the dtype, of what is computed to some units of 4; differences: below 1e-9
    eps = EPS[dtype] + 64 * EPS["float64" if dtype == "float64" else "float32"] + 1e-9
    np.testing.assert_allclose(y.detach().numpy(), KINDS[kind](z), rtol=eps, atol=eps)
    np.testing.assert_allclose(x.grad.numpy(), g * slope(kind, z), rtol=2 * eps, atol=2 * eps)


@pytest.mark.parametrize(("kind", "f"), CALLS)
def test_gradients_pass_the_gradient_check_through_the_kernels(kind, f):
    x = tm.tensor(RNG.uniform(-3, 3, (3, 7)), requires_grad=True)
    assert on_kernels(gradcheck, f, (x,))


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    functional = torch.nn.functional
    g, x = drawn((6, 40), "float64")
    theirs = {
        "relu": functional.relu,
        "gelu": functional.gelu,
        "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
    }
    for kind, f in theirs.items():
        z = torch.tensor(x, requires_grad=True)
        f(z).backward(torch.tensor(g))
        dz, total = through_activation(kind, g, x, True)
        np.testing.assert_allclose(dz, z.grad.numpy(), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(total, z.grad.numpy().sum(0), rtol=1e-12, atol=1e-12)
