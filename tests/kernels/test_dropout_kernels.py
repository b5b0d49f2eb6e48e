"""Dropout as a CUDA kernel, on the emulator: the same mask as NumPy's, from the key alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tests.kernels.emulation import (
    EPS,
    assert_same_bits,
    in_every_order,
    moved,
    on_kernels,
    profile,
)
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.launch import cuda_function, emulated, float32, int64
from tinygrad_mmb.ops.dropout import Dropout

RNG = np.random.default_rng(4)
SIZES = st.sampled_from([0, 1, 2, 7, 8, 9, 255, 256, 257, 1000, 2047, 2049, 5003])
KEYS = st.integers(0, 2**64 - 1)
DTYPES = st.sampled_from(["float16", "float32", "float64"])


def philox_mask(n, p, key):
    """Straight from NumPy's generator, number by number."""
    words = np.random.Philox(key=key).random_raw(n // 2 + 1)
    halves = np.stack([words & 0xFFFFFFFF, words >> 32], 1).ravel()[:n]
    return halves >= round(p * 2**32)


@settings(max_examples=60)
@given(n=SIZES, key=KEYS, p=st.floats(0, 1), dtype=DTYPES, by=st.integers(0, 7))
def test_the_mask_is_numpys_philox_bit_for_bit(n, key, p, dtype, by):
    y = on_kernels(Dropout.apply, moved(np.ones(n, dtype), by), p, key)
    scale = np.ones((), dtype) * (1 / (1 - p) if p < 1 else 0)
    if np.isfinite(scale) and scale:
        np.testing.assert_array_equal(y != 0, philox_mask(n, p, key))
        np.testing.assert_allclose(y[y != 0], scale, rtol=2 * EPS[dtype])
    if p == 1:
        assert not y.any()


@settings(max_examples=20)
@given(n=SIZES, key=KEYS, dtype=DTYPES)
def test_values_equal_the_reference_exactly(n, key, dtype):
    x = RNG.standard_normal((3, n)).astype(dtype)
    with tm.use_kernels("reference"):
        expected = [Dropout.apply(a, 0.3, key) for a in (x, x.T)]
    for a, e in zip((x, x.T), expected, strict=True):
        np.testing.assert_array_equal(on_kernels(Dropout.apply, a, 0.3, key), e)


@pytest.mark.parametrize("p", [0.0, 2.0**-34, 1 - 2.0**-40, 1.0])
def test_probabilities_that_32_bits_cannot_tell_from_0_and_1(p):
    x = np.ones(5000, np.float32)
    y = on_kernels(Dropout.apply, x, p, 3)
    np.testing.assert_array_equal(y, float(p < 0.5))


def test_the_way_back_draws_the_same_mask_and_saves_no_array():
    x = tm.tensor(RNG.standard_normal((9, 77)), requires_grad=True)
    with tm.use_kernels("emulator", strict=True):
        y = F.dropout(x, 0.4)
        saved = y.grad_fn.saved_tensors
        assert not any(hasattr(v, "dtype") for v in saved) and y.grad_fn.extras is None
        y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy() * x.detach().numpy(), y.detach().numpy())


def test_gradients_pass_the_gradient_check_through_the_kernels():
    x = tm.tensor(RNG.standard_normal((3, 50)), requires_grad=True)
    assert on_kernels(gradcheck, lambda x: Dropout.apply(x, 0.3, 2**63 + 1), (x,))


def test_a_second_derivative_is_that_of_a_constant_mask():
    x = tm.tensor(RNG.standard_normal(40), requires_grad=True)
    for backend in ("emulator", "reference"):
        with tm.use_kernels(backend):
            y = Dropout.apply(x, 0.5, 5)
            (g,) = tm.autograd.grad((y**3).sum(), x, create_graph=True)
            (h,) = tm.autograd.grad(g.sum(), x)
        mask = 2.0 * philox_mask(40, 0.5, 5)
        np.testing.assert_allclose(h.numpy(), 6 * mask**3 * x.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("n", "by"), [(1, 0), (300, 1), (5003, 0)])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(n, by, dtype):
    x = moved(RNG.standard_normal(n).astype(dtype), by)
    assert_same_bits(in_every_order(Dropout.apply, x, 0.3, 9))


def test_in_place_and_with_the_layers_own_generator():
    layer = tm.nn.Dropout(0.5, inplace=True, generator=tm.Generator().manual_seed(3))
    x = tm.ones(1000)
    assert on_kernels(layer, x) is x
    with tm.use_kernels("reference"):
        again = tm.nn.Dropout(0.5, generator=tm.Generator().manual_seed(3))(tm.ones(1000))
    np.testing.assert_array_equal(x.numpy(), again.numpy())


def test_a_number_that_is_dropped_shows_nan_and_infinity_as_the_reference():
    x = np.full(64, np.inf, np.float32)
    with np.errstate(invalid="ignore"), tm.use_kernels("reference"):
        expected = Dropout.apply(x, 0.5, 1)
    assert np.isnan(expected).any() and np.isinf(expected).any()
    np.testing.assert_array_equal(on_kernels(Dropout.apply, x, 0.5, 1), expected)


def test_bfloat16_is_scaled_in_float32():
    stored = np.full(300, 0x3FC0, np.uint16)  # 1.5
    y = np.empty_like(stored)
    arguments = y, stored, int64(300), int64(8), int64(2**31), float32(2.0)
    with emulated.emulator("check"):
        cuda_function("dropout.cu", "dropout_bf16")((1,), (256,), arguments)
    np.testing.assert_array_equal(y, np.where(philox_mask(300, 0.5, 8), 0x4040, 0))  # 3.0


def test_reads_and_writes_use_every_byte_they_fetch():
    for suffix, dtype in (("f16", "float16"), ("f32", "float32"), ("f64", "float64")):
        x = moved(RNG.standard_normal(4096).astype(dtype), 0)
        found = [
            a for a in profile(f"dropout_{suffix}", Dropout.apply, x, 0.3, 1) if a.space == "global"
        ]
        assert sum(a.requests for a in found) == 2 * x.nbytes // (16 * 32)
        # y begins where NumPy put it: in the middle of a sector at worst, 17 of them for 16
        assert all(a.ratio <= 17 / 16 for a in found)
