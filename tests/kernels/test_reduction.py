"""Reductions as CUDA kernels, on the emulator: sums, means, extremes and where they are."""

from __future__ import annotations

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
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.reduction import groups_of, parts_of
from tinygrad_mmb.ops.copying import SumTo

RNG = np.random.default_rng(11)
DTYPES = st.sampled_from(["float16", "float32", "float64"])
SIZES = st.sampled_from([1, 2, 3, 5, 8, 17, 33])
SHAPES = st.lists(SIZES, min_size=1, max_size=4).map(tuple).filter(lambda s: np.prod(s) <= 20000)


def numbers(shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


def allowed(x, axes):
    """Of the error of a sum: a thread adds up at most 1 in 16 or 32 numbers, then trees of at most
    20 steps; each addition rounds what may be as large as Σ |x|.
    """
    n = x.size if axes is None else int(np.prod([x.shape[a] for a in axes]))
    eps = EPS["float32" if x.dtype == np.float16 else x.dtype.name]
    return (20 + n / 16) * eps * np.abs(x.astype(np.float64)).sum(axes).max(initial=0.0)


@settings(max_examples=60)
@given(data=st.data(), shape=SHAPES, dtype=DTYPES, by=st.integers(0, 3), keepdim=st.booleans())
def test_any_dimensions_of_any_layout_at_any_address(data, shape, dtype, by, keepdim):
    x = moved(numbers(shape, dtype), by)
    x = x.transpose(data.draw(st.permutations(range(x.ndim)), label="order"))
    some = data.draw(st.sets(st.integers(0, x.ndim - 1), min_size=1), label="dims")
    dims = tuple(sorted(some))
    wide, stored = x.astype(np.float64), EPS[dtype]
    found = on_kernels(ops.sum, x, dims, keepdim)
    assert found.dtype == x.dtype
    expected = wide.sum(dims, keepdims=keepdim)
    np.testing.assert_allclose(found, expected, rtol=stored, atol=allowed(x, dims))
    n = np.prod([x.shape[d] for d in dims])
    mean = on_kernels(ops.mean, x, dims, keepdim)
    np.testing.assert_allclose(
        mean, expected / n, rtol=2 * stored, atol=allowed(x, dims) / n + 6e-8
    )
    np.testing.assert_array_equal(
        on_kernels(ops.amax, x, dims, keepdim), x.max(dims, keepdims=keepdim)
    )
    np.testing.assert_array_equal(
        on_kernels(ops.amin, x, dims, keepdim), x.min(dims, keepdims=keepdim)
    )


@settings(max_examples=40)
@given(data=st.data(), shape=SHAPES, dtype=DTYPES, by=st.integers(0, 3), keepdim=st.booleans())
def test_places_of_extremes_are_those_of_the_first(data, shape, dtype, by, keepdim):
    x = moved(RNG.integers(-3, 3, shape).astype(dtype), by)  # many are equal
    dim = data.draw(st.integers(0, x.ndim - 1), label="dim")
    for name in ("argmax", "argmin"):
        along = getattr(x, name)(dim, keepdims=keepdim)
        found = on_kernels(getattr(ops, name), x, dim, keepdim)
        np.testing.assert_array_equal(found, along)
        assert found.dtype == np.int64 and on_kernels(getattr(ops, name), x) == getattr(x, name)()
        values, places = on_kernels(getattr(ops, name[3:]), x, dim, keepdim)
        np.testing.assert_array_equal(values, getattr(x, name[3:])(dim, keepdims=keepdim))
        np.testing.assert_array_equal(places, along)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("shape", [(30011,), (2, 20000), (5000, 3), (1, 9000, 8), (2, 9001, 2)])
def test_long_rows_and_high_columns_are_cut_into_parts(shape, dtype):
    x = numbers(shape, dtype)
    dims = (x.ndim - 1,) if shape[-1] > 100 else (x.ndim - 2,)
    outer = int(np.prod(shape[: dims[0]]))
    inner = int(np.prod(shape[dims[0] + 1 :]))
    if dtype == "float32":
        assert parts_of(outer, shape[dims[0]], inner, 4) > 1
    expected = x.astype(np.float64).sum(dims)
    found = on_kernels(ops.sum, x, dims)
    np.testing.assert_allclose(found, expected, rtol=EPS[dtype], atol=allowed(x, dims))
    np.testing.assert_array_equal(on_kernels(ops.amax, x, dims), x.max(dims))
    np.testing.assert_array_equal(on_kernels(ops.argmin, x, dims[0]), x.argmin(dims[0]))
    assert on_kernels(ops.argmax, x) == x.argmax()


def test_float16_is_added_up_in_float32_through_all_launches():
    x = np.ones((3, 5000, 4), np.float16)  # in float16 itself a sum of ones ends at 2048
    assert on_kernels(ops.sum, x, (0, 2)).tolist() == [12.0] * 5000
    assert on_kernels(ops.sum, x, (0, 1)).tolist() == [15000.0] * 4
    large = np.full(
        (2, 3, 400), 300.0, np.float16
    )  # the sum of a row passes 65504, its mean does not
    np.testing.assert_array_equal(on_kernels(ops.mean, large, (0, 2)), np.full(3, 300.0))
    assert np.isinf(on_kernels(ops.sum, large, (2,))).all()


@pytest.mark.parametrize("function", [ops.sum, ops.amax, ops.argmin])
@pytest.mark.parametrize("shape", [(7, 5), (3, 200), (300, 5), (9000,)])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(function, shape):
    x = numbers(shape)
    for dim in range(x.ndim):
        assert_same_bits(in_every_order(function, x, dim))
    assert_same_bits(in_every_order(function, numbers((4000, 4), "float16"), 0))


def test_infinities_and_nan():
    x = numbers((5, 70))
    x[0, 3], x[1, 4], x[2, 5] = np.inf, -np.inf, np.nan
    x[3, 6], x[3, 60], x[4] = np.nan, np.nan, -np.inf
    for array, dim in ((x, 1), (np.ascontiguousarray(x.T), 0)):
        for name in ("amax", "amin", "argmax", "argmin", "sum"):
            expected = getattr(np, name)(array, dim)
            np.testing.assert_allclose(
                on_kernels(getattr(ops, name), array, dim), expected, rtol=1e-5
            )
    only = np.full((2, 40), np.inf, np.float32)
    assert on_kernels(ops.argmin, only, 1).tolist() == [0, 0]
    assert on_kernels(ops.amax, -only, 1).tolist() == [-np.inf] * 2


def test_huge_and_tiny_numbers():
    assert on_kernels(ops.mean, np.full(33, 1e38, np.float32)) == np.inf  # as the sum is
    assert on_kernels(ops.sum, np.full(33, 1e-42, np.float32)) == pytest.approx(33e-42, rel=1e-2)
    assert on_kernels(ops.sum, np.array([1e30, 1.0, -1e30] * 9, np.float64)) == pytest.approx(
        0, abs=9
    )


def test_a_sum_of_nothing_is_0_and_its_mean_is_no_number():
    assert on_kernels(ops.sum, np.zeros((0, 3), np.float32), 0).tolist() == [0.0] * 3
    assert on_kernels(ops.sum, np.zeros((3, 0), np.float32), 1).tolist() == [0.0] * 3
    assert on_kernels(ops.sum, np.zeros((2, 0, 3), np.float32), 0).shape == (0, 3)
    assert on_kernels(ops.sum, np.zeros((2, 0, 3), np.float32), (0, 2)).shape == (0,)
    assert np.isnan(on_kernels(ops.mean, np.zeros(0, np.float32)))


def test_the_kernels_decline_integers_and_what_has_no_extreme():
    for key, args in (
        ("Sum", (np.arange(3), None, False)),
        ("Amax", (np.zeros((0, 3), np.float32), (1,), False)),
        ("SumTo", (np.zeros((2, 3), np.float32), (3, 2))),
    ):
        (twin,) = [k for k in registry.twins(key) if k.backend == "emulator"]
        assert not twin.accepts(*args)


@settings(max_examples=30)
@given(
    shape=st.lists(SIZES, min_size=1, max_size=4).map(tuple).filter(lambda s: np.prod(s) <= 9000),
    data=st.data(),
)
def test_what_broadcasting_repeated_is_summed_again(shape, data):
    lead = data.draw(st.integers(0, len(shape)), label="new dimensions")
    target = tuple(data.draw(st.sampled_from([1, n]), label="size") for n in shape[lead:])
    x = numbers(shape, "float64")
    found = on_kernels(SumTo.apply, x, target)
    axes = (*range(lead), *[lead + i for i, n in enumerate(target) if n == 1])
    np.testing.assert_allclose(found, x.sum(axes).reshape(target), atol=allowed(x, axes))


def test_neighbouring_dimensions_are_one():
    assert groups_of((4, 1, 5, 6), [True, False, True, False]) == [(20, True), (6, False)]
    assert groups_of((1, 1), [True, True]) == []


@pytest.mark.parametrize("function", [ops.sum, ops.mean, ops.amax, ops.amin])
@pytest.mark.parametrize("dims", [None, (0,), (0, 2)])
def test_gradients_pass_the_gradient_check_through_the_kernels(function, dims):
    x = tm.tensor(RNG.standard_normal((3, 4, 5)), requires_grad=True)
    f = (lambda x: function(x)) if dims is None else (lambda x: function(x, dims))
    assert on_kernels(gradcheck, f, (x,))


@pytest.mark.parametrize(
    ("kernel", "shape", "dim"),
    [("sum_rows_f32", (4, 4096), 1), ("sum_columns_packed_f32", (256, 128), 0)],
)
def test_each_byte_is_fetched_once_and_without_bank_conflicts(kernel, shape, dim):
    x = moved(numbers(shape), 0)
    found = profile(kernel, ops.sum, x, dim)
    reading = [a for a in found if a.space == "global" and a.requests == x.size // (4 * 32)]
    assert [a.ratio for a in reading] == [1.0]
    assert {a.ratio for a in found if a.space == "shared"} <= {1.0}


@pytest.mark.parametrize(
    ("kernel", "dtype"), [("f16", "float16"), ("f32", "float32"), ("f64", "float64")]
)
def test_a_thread_writes_its_columns_16_bytes_at_a_time(kernel, dtype):
    x = moved(np.ones((64, 1024), dtype), 0)
    found = profile(f"sum_columns_packed_{kernel}", ops.sum, x, 0)
    (writing,) = [a for a in found if a.file.endswith("platform.cuh")]
    assert writing.requests == x[0].nbytes // (16 * 32)
    assert writing.ratio <= 17 / 16  # the result may begin in the middle of a sector


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    x = numbers((6, 130, 3))
    for name, dim in (("sum", (0, 2)), ("mean", (1,)), ("amax", (1, 2)), ("argmin", 1)):
        ours = on_kernels(getattr(ops, name), x, dim)
        theirs = getattr(torch, name)(torch.tensor(x), dim).numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
