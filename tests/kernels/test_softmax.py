"""Softmax, its logarithm and logsumexp as CUDA kernels, on the emulator."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.kernels.emulation import (
    EPS,
    assert_same_bits,
    in_every_order,
    moved,
    on_kernels,
    profile,
)
from tinygrad_mmb import ops
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.launch import cuda_function, emulated, int32, rows
from tinygrad_mmb.kernels.launch.rows import plan_rows

RNG = np.random.default_rng(3)
# one pack, part of one, a warp, more than a warp's packs, a block, odd, prime, none
COLS = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 10, 31, 33, 64, 127, 128, 129, 257, 1000, 1031])
DTYPES = st.sampled_from(["float16", "float32", "float64"])


def softmax_of(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logits(shape, dtype="float32", scale=3.0):
    return (scale * RNG.standard_normal(shape)).astype(dtype)


def bound(x):
    """Of the relative error: that of x - max, which exp turns into a relative one; exp and 1/s
    round to a few units; a tree of sums adds log2 n roundings.
    """
    eps = EPS["float32" if x.dtype == np.float16 else x.dtype.name]
    spread = 2 * np.abs(x.astype(np.float64)).max(initial=1.0)
    return (spread + 8 + np.log2(x.size + 2)) * eps + EPS[x.dtype.name]


@settings(max_examples=40)
@given(rows=st.sampled_from([0, 1, 2, 5]), cols=COLS, dtype=DTYPES, by=st.integers(0, 3))
def test_softmax_of_rows_of_any_length_at_any_address(rows, cols, dtype, by):
    x = moved(logits((rows, cols), dtype), by)
    y = on_kernels(ops.softmax, x, -1)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    if x.size:
        # the smallest float16 are 2**-24 apart, whatever their size
        np.testing.assert_allclose(y, softmax_of(x.astype(np.float64)), rtol=bound(x), atol=6e-8)


@settings(max_examples=25)
@given(rows=st.sampled_from([1, 3]), cols=COLS, dtype=DTYPES, by=st.integers(0, 3))
def test_log_softmax_and_logsumexp_of_rows(rows, cols, dtype, by):
    x = moved(logits((rows, max(cols, 1)), dtype), by)
    wide = x.astype(np.float64)
    expected = np.log(np.exp(wide).sum(-1, keepdims=True))
    allowed = bound(x) * max(1.0, np.abs(wide - expected).max())
    np.testing.assert_allclose(on_kernels(ops.log_softmax, x, 1), wide - expected, atol=allowed)
    np.testing.assert_allclose(on_kernels(ops.logsumexp, x, 1, True), expected, atol=allowed)


@settings(max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    dim=st.integers(0, 2),
    dtype=DTYPES,
)
def test_any_dimension_of_any_layout(shape, dim, dtype):
    x = logits(shape, dtype).transpose(1, 0, 2)
    with tm.use_kernels("reference"):
        wide = x.astype(np.float64)
        expected = [f(wide, dim) for f in (ops.softmax, ops.log_softmax, ops.logsumexp)]
    found = [on_kernels(f, x, dim) for f in (ops.softmax, ops.log_softmax, ops.logsumexp)]
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f, e, atol=bound(x) * max(1.0, np.abs(e).max()))


@pytest.mark.parametrize("cols", [4096, 16385, 20001, 50257])
def test_a_row_that_takes_a_whole_block_and_more_than_its_registers(cols):
    x = logits((2, cols))
    y = on_kernels(ops.softmax, x, 1)
    np.testing.assert_allclose(y, softmax_of(x.astype(np.float64)), rtol=bound(x))


@pytest.mark.parametrize("slots", [0, 1, 2])
@pytest.mark.parametrize("by", [0, 1])
def test_registers_then_shared_memory_then_memory_again(slots, by):
    x = moved(logits((3, 700)), by)  # 6 packs per lane: 1 in registers, `slots` in shared memory
    expected = softmax_of(x.astype(np.float64))
    kernel = cuda_function("softmax.cu", "softmax_rows_short_f32")
    for seed in (0, 1, 7):
        y = np.empty_like(x)
        with emulated.emulator("check", seed=seed):
            sizes = int32(3), int32(700), int32(32), int32(slots)
            kernel((3,), (32,), (y, x, *sizes), shared=slots * 32 * 16)
        np.testing.assert_allclose(y, expected, rtol=bound(x))


def test_the_plan_uses_as_little_as_will_do():
    assert plan_rows(10, 4, held=8).team == 4  # (10 + 3) / 4 packs, rounded up
    assert plan_rows(1024, 4, held=8) == plan_rows(512, 4, held=8)
    assert plan_rows(4096, 4, held=8).threads == 128
    assert (plan_rows(16384, 4, held=8).threads, plan_rows(16384, 4, held=8).slots) == (512, 0)
    assert plan_rows(32768, 4, held=8, shared=227 * 1024).threads == 512  # two rows on an SM
    large = plan_rows(50257, 4, held=8, shared=227 * 1024)
    assert (large.threads, large.slots) == (1024, 5)
    assert (large.threads * (8 + large.slots)) * 4 >= 50257  # all of it on the chip
    beyond = plan_rows(10**6, 4, held=8, shared=48 * 1024)
    assert beyond.threads == 1024 and beyond.shared <= 46 * 1024


def test_a_device_is_asked_once_for_its_shared_memory(monkeypatch):
    monkeypatch.setattr(rows, "_shared_memory", {})
    asked = []

    class Device:
        id = 3

        @property
        def attributes(self):
            asked.append(self.id)
            return {"MaxSharedMemoryPerBlockOptin": 232448}

    array = SimpleNamespace(device=Device())
    assert [rows.shared_memory(array), rows.shared_memory(array)] == [232448] * 2
    assert asked == [3]
    assert rows.shared_memory(np.zeros(3)) == 48 * 1024


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 10), (3, 129), (2, 1031)])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(shape, dtype):
    x, g = logits(shape, dtype), logits(shape, dtype)

    def there_and_back(x, g):
        results = []
        for f in (ops.softmax, ops.log_softmax):
            t = tm.tensor(x, requires_grad=True)
            y = f(t, 1)
            y.backward(tm.tensor(g))
            results += [y.detach().numpy(), t.grad.numpy()]
        return results

    runs = in_every_order(there_and_back, x, g)
    for results in runs[1:]:
        for a, b in zip(runs[0], results, strict=True):
            np.testing.assert_array_equal(a, b)
    assert_same_bits(in_every_order(ops.logsumexp, x, 1))
    assert_same_bits(in_every_order(ops.softmax, x, 0))


@pytest.mark.parametrize("cols", [3, 40, 700])
def test_infinities_and_nan_give_what_the_reference_gives(cols):
    x = logits((7, cols))
    x[0, 0] = np.inf
    x[1, :2] = np.inf
    x[2, 1] = -np.inf
    x[3] = -np.inf
    x[4, -1] = np.nan
    x[5, 0], x[5, 1] = np.nan, np.inf
    x[6, 0], x[6, 1] = -np.inf, np.inf
    for f in (ops.softmax, ops.log_softmax, ops.logsumexp):
        for array, dim in ((x, 1), (np.ascontiguousarray(x.T), 0)):
            with tm.use_kernels("reference"), np.errstate(all="ignore"):
                expected = f(array, dim)
            np.testing.assert_allclose(on_kernels(f, array, dim), expected, rtol=1e-5, atol=1e-6)


def test_huge_and_tiny_numbers_stay_finite():
    x = np.array([[1e30, -1e30, 1e30], [1e-30, 2e-30, -1e-30], [-3e38, -3e38, -3e38]], np.float32)
    third = np.float32(1 / 3)
    expected = [[0.5, 0.0, 0.5], [third] * 3, [third] * 3]
    np.testing.assert_allclose(on_kernels(ops.softmax, x, 1), expected, rtol=3e-7)


@pytest.mark.parametrize("function", [ops.softmax, ops.log_softmax, ops.logsumexp])
@pytest.mark.parametrize(
    ("shape", "dim"), [((2, 5), 1), ((3, 40), 1), ((2, 3, 4), 1), ((2, 70), 0)]
)
def test_gradients_pass_the_gradient_check_through_the_kernels(function, shape, dim):
    x = tm.tensor(RNG.standard_normal(shape), requires_grad=True)
    assert on_kernels(gradcheck, lambda x: function(x, dim), (x,))


def test_the_gradient_of_long_rows_against_float64():
    x, g = logits((2, 9001)), logits((2, 9001))
    y = softmax_of(x.astype(np.float64))
    expected = y * (g - (g * y).sum(1, keepdims=True))
    t = tm.tensor(x, requires_grad=True)
    on_kernels(lambda: ops.softmax(t, 1).backward(tm.tensor(g)))
    # y (g - Σ g y): Σ |g| y ≤ 4 √..., so 16 eps of y times the size of g
    np.testing.assert_allclose(
        t.grad.numpy(), expected, rtol=4 * bound(x), atol=4 * bound(x) * y.max()
    )
    t.grad = None
    on_kernels(lambda: ops.log_softmax(t, 1).backward(tm.tensor(g)))
    expected = g - y * g.astype(np.float64).sum(1, keepdims=True)
    np.testing.assert_allclose(t.grad.numpy(), expected, atol=bound(x) * np.abs(g).sum(1).max())


def test_bfloat16_rows_are_computed_in_float32():
    x = logits((3, 75))
    bits = x.view(np.uint32) >> 16  # cut to the 8 digits of bfloat16
    x = (bits << 16).astype(np.uint32).view(np.float32)
    stored, y = bits.astype(np.uint16), np.empty((3, 75), np.uint16)
    plan = plan_rows(75, 2, held=4)
    sizes = int32(3), int32(75), int32(plan.team), int32(0)
    kernel = cuda_function("softmax.cu", f"softmax_rows_{plan.kind}_bf16")
    with emulated.emulator("check"):
        kernel(plan.grid(3), (plan.threads,), (y, stored, *sizes))
    found = (y.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_allclose(found, softmax_of(x.astype(np.float64)), rtol=2.0**-8 + bound(x))


def test_reads_and_writes_of_aligned_rows_use_every_byte_they_fetch():
    x = moved(logits((4, 4096)), 0)
    found = [a for a in profile("softmax_rows_long_f32", ops.softmax, x, 1) if a.space == "global"]
    assert [a.requests for a in found] == [x.size // (4 * 32)] * 2  # a pack per lane, once each way
    # NumPy's results start at 16 bytes, so that a warp's 16 sectors may be cut to 17; GPUs: at 256
    assert min(a.ratio for a in found) == 1.0 and max(a.ratio for a in found) <= 17 / 16 + 1e-3


def test_neither_partial_sums_nor_slots_meet_bank_conflicts():
    x = logits((1, 17000))  # 512 threads, one pack each in shared memory
    shared = [a for a in profile("softmax_rows_long_f32", ops.softmax, x, 1) if a.space == "shared"]
    assert shared and {a.ratio for a in shared} == {1.0}


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    x, g = logits((6, 130)), logits((6, 130))
    for name in ("softmax", "log_softmax"):
        theirs = torch.tensor(x, requires_grad=True)
        getattr(torch, name)(theirs, 1).backward(torch.tensor(g))
        ours = tm.tensor(x, requires_grad=True)
        on_kernels(lambda f, t=ours: f(t, 1).backward(tm.tensor(g)), getattr(ops, name))
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=2e-6, atol=2e-6)
