"""Tables looked up and added up as CUDA kernels, on the emulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tests.kernels.emulation import EPS, assert_same_bits, in_every_order, moved, on_kernels
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.ops.embedding import AddRows, Rows

RNG = np.random.default_rng(8)


@settings(max_examples=40)
@given(
    vectors=st.sampled_from([1, 2, 7, 300]),
    cols=st.sampled_from([0, 1, 3, 4, 31, 64, 257]),
    places=st.sampled_from([0, 1, 5, 100]),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    wide=st.booleans(),
    by=st.integers(0, 3),
)
def test_there_and_back_for_all_sizes(vectors, cols, places, dtype, wide, by):
    table = moved(RNG.standard_normal((vectors, cols)).astype(dtype), by)
    index = RNG.integers(0, vectors, (1, places), dtype=np.int64 if wide else np.int32)
    np.testing.assert_array_equal(on_kernels(Rows.apply, table, index, None), table[index])
    g = RNG.standard_normal((1, places, cols)).astype(dtype)
    expected = np.zeros((vectors, cols))
    np.add.at(expected, index.ravel(), g.reshape(places, cols).astype(np.float64))
    found = on_kernels(AddRows.apply, g, index, vectors)
    assert found.dtype == table.dtype
    # `places` additions in float32 (or float64) of numbers below 5, then rounded once
    eps = places * 5 * EPS["float64" if dtype == "float64" else "float32"]
    np.testing.assert_allclose(found, expected, rtol=2 * EPS[dtype], atol=eps + 1e-7 * (eps > 0))


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"scale_grad_by_freq": True},
                                     {"padding_idx": 0, "scale_grad_by_freq": True}])  # fmt: skip
def test_padding_and_frequency_go_the_way_of_the_reference(options):
    index = tm.tensor([[2, 0, 2, 5], [2, 1, 0, 2]])
    gradients = []
    for backend in ("emulator", "reference"):
        weight = tm.tensor(np.random.default_rng(1).standard_normal((6, 5)), requires_grad=True)
        with tm.use_kernels(backend):
            y = F.embedding(index, weight, **options)
            y.backward(tm.tensor(np.arange(40.0).reshape(2, 4, 5)))
        gradients.append(weight.grad.numpy())
    np.testing.assert_array_equal(*gradients)  # the same terms in the same order


def test_gradients_pass_the_gradient_check_through_the_kernels():
    weight = tm.tensor(RNG.standard_normal((5, 3)), requires_grad=True)
    index = tm.tensor([4, 0, 4, 1])
    assert on_kernels(gradcheck, lambda w: F.embedding(index, w), (weight,))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(dtype):
    table = moved(RNG.standard_normal((9, 37)).astype(dtype), 0)
    index = RNG.integers(0, 9, 50)
    assert_same_bits(in_every_order(Rows.apply, table, index, None))
    g = RNG.standard_normal((50, 37)).astype(dtype)
    assert_same_bits(in_every_order(AddRows.apply, g, index, 9))


@pytest.mark.torch
def test_pytorch_agrees():
    import torch

    table, index = RNG.standard_normal((20, 6)), RNG.integers(0, 20, (3, 9))
    g = RNG.standard_normal((3, 9, 6))
    theirs = torch.tensor(table, requires_grad=True)
    torch.nn.functional.embedding(torch.tensor(index), theirs, padding_idx=4).backward(
        torch.tensor(g)
    )
    ours = tm.tensor(table, requires_grad=True)
    on_kernels(lambda: F.embedding(tm.tensor(index), ours, padding_idx=4).backward(tm.tensor(g)))
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-13, atol=1e-14)
