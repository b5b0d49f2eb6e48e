"""Products of matrices in C++ (csrc/cpu/gemm.hpp), against NumPy in more digits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.operands import assert_product, dtypes, laid_out, layouts, sizes
from tinygrad_mmb import ops
from tinygrad_mmb.kernels.cpu.matmul import LARGE, fits
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = pytest.mark.skipif(native is None, reason="the extension _cpu is not built")


@given(sizes, sizes, sizes, layouts, layouts, dtypes, st.integers(0, 9))
def test_a_product_is_that_of_the_definition(m, n, k, layout_a, layout_b, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = laid_out(m, k, dtype, layout_a, rng), laid_out(k, n, dtype, layout_b, rng)
    assert_product(native.matmul(a, b), a, b)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 13, 14, 15, 29])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 16, 17, 33, 130])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_thin_and_odd_products_are_right_in_every_layout(m, n, transposed, rng):
    for k in (1, 7, 64, 200):
        layout = ("in rows", "transposed")
        a = laid_out(m, k, "float32", layout[transposed[0]], rng)
        b = laid_out(k, n, "float32", layout[transposed[1]], rng)
        assert_product(native.matmul(a, b), a, b)


@pytest.mark.parametrize("sizes", [(300, 70, 900), (70, 1100, 400), (600, 64, 512), (1, 300, 1000)])
def test_sums_longer_than_a_block_and_matrices_larger_than_one_are_whole(sizes, rng):
    m, n, k = sizes
    for layout in ("in rows", "transposed"):
        a, b = laid_out(m, k, "float32", layout, rng), laid_out(k, n, "float32", layout, rng)
        assert_product(native.matmul(a, b), a, b)


@given(
    st.lists(st.integers(0, 3), max_size=3), st.data(), dtypes,
    st.integers(1, 20), st.integers(1, 20), st.integers(0, 20),
)  # fmt: skip
def test_batches_broadcast(batch, data, dtype, m, n, k):
    def part(name):
        own = [data.draw(st.sampled_from([size, 1]), label=name) for size in batch]
        return own[data.draw(st.integers(0, len(own)), label=f"{name} begins at") :]

    rng = np.random.default_rng(0)
    a = rng.standard_normal((*part("a"), m, k)).astype(dtype)
    b = rng.standard_normal((*part("b"), n, k)).astype(dtype).swapaxes(-1, -2)
    assert_product(native.matmul(a, b), a, b)


def test_attention_multiplies_views_of_a_projection(rng):
    qkv = rng.standard_normal((3, 17, 3, 4, 8)).astype(np.float32).transpose(2, 0, 3, 1, 4)
    q, k, v = qkv
    scores = native.matmul(q, k.swapaxes(-1, -2))
    assert_product(scores, q, k.swapaxes(-1, -2))
    assert_product(native.matmul(scores, v), scores, v)


def test_infinities_and_nans_go_where_they_belong():
    a, b = np.ones((20, 40), np.float32), np.ones((40, 20), np.float32)
    a[3, 5], b[7, 11], a[4, 0] = np.inf, np.nan, -np.inf
    y = native.matmul(a, b)
    assert np.isnan(y[:, 11]).all()
    assert np.isposinf(np.delete(y[3], 11)).all()
    assert np.isneginf(np.delete(y[4], 11)).all()
    assert (np.delete(np.delete(y, [3, 4], 0), 11, 1) == 40).all()


def test_nothing_outside_the_operands_is_read():
    for m, n, k in ((5, 3, 7), (15, 17, 33), (2, 9, 3), (30, 1, 31)):
        a, b = (np.full((s + 4, t + 40), np.nan, np.float32) for s, t in ((m, k), (k, n)))
        a[2 : m + 2, 20 : k + 20] = 1
        b[2 : k + 2, 20 : n + 20] = 1
        left, right = a[2 : m + 2, 20 : k + 20], b[2 : k + 2, 20 : n + 20]
        assert (native.matmul(left, right) == k).all()
        assert (native.matmul(right.T, left.T) == k).all()


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex64", ">f4"])
def test_other_numbers_are_declined(dtype):
    a = np.ones((4, 4), dtype)
    assert not fits(a, a)
    assert not fits(a, np.ones((4, 4), np.float32))


def test_what_the_kernel_does_not_take_is_declined():
    a, b = np.ones((4, 5), np.float32), np.ones((5, 6), np.float32)
    assert fits(a, b)
    assert not fits(a, b.astype(np.float64))
    assert not fits(a, a)  # the reference says what is wrong
    assert not fits(np.ones((2, 4, 5), np.float32), np.ones((3, 5, 6), np.float32))
    assert not fits(np.ones(4, np.float32), b)
    edge = round(LARGE ** (1 / 3)) + 1
    large = np.broadcast_to(np.float32(1), (edge, edge))
    assert not fits(large, large)


def unaligned(shape):
    """float32 one byte off."""
    memory = np.ones(4 * np.prod(shape) + 1, np.uint8)
    return memory[1:].view(np.float32).reshape(shape)


def test_unaligned_memory_is_declined_and_refused():
    a = unaligned((4, 4))
    assert not a.flags.aligned
    assert not fits(a, np.ones((4, 4), np.float32))
    with pytest.raises(ValueError, match=r"not aligned.*copy"):
        native.matmul(a, a)


def test_strides_that_are_no_multiple_of_an_element_are_declined_and_refused():
    record = np.zeros((3, 4), np.dtype([("x", np.float32), ("tag", np.uint8, 3)]))["x"]
    assert not fits(record, np.ones((4, 4), np.float32))
    with pytest.raises(ValueError, match=r"strides|aligned"):
        native.matmul(record, np.ones((4, 4), np.float32))


def test_an_array_times_itself_is_right(rng):
    a = rng.standard_normal((30, 30)).astype(np.float32)
    assert_product(native.matmul(a, a), a, a)
    assert_product(native.matmul(a.T, a), a.T, a)


@pytest.mark.parametrize(
    ("a", "b"), [((3, 4), (5, 6)), ((4,), (4, 4)), ((2, 3, 4), (3, 4, 5)), ((3, 4), (4,))]
)
def test_sizes_that_do_not_fit_are_refused_before_anything_is_computed(a, b):
    with pytest.raises(ValueError, match="sizes do not fit"):
        native.matmul(np.ones(a, np.float32), np.ones(b, np.float32))


def test_the_twin_differentiates_in_both_orders(rng):
    inputs = [tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((2, 6, 5), (5, 4))]
    with tm.use_kernels("cpu"):
        assert tm.autograd.gradcheck(ops.matmul, inputs)
        assert tm.autograd.gradgradcheck(ops.matmul, inputs)


TESTS = ["test_gemm.py", "test_linear_cpu.py"]
OTHERS = [isa for isa in (native.supported() if native else []) if isa != native.isa]


def run_on(isa, *options):
    """These tests in a process of its own, on another set of instructions."""
    files = [str(Path(__file__).parent / name) for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *files]
    environment = {**os.environ, "MMB_CPU_ISA": isa}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif("MMB_CPU_ISA" in os.environ, reason="this process runs on a chosen one already")
@pytest.mark.parametrize("isa", OTHERS)
def test_the_other_sets_of_instructions_compute_the_same(isa):
    done = run_on(isa, "-k", "thin or formula")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif("MMB_CPU_ISA" in os.environ, reason="this process runs on a chosen one already")
@pytest.mark.parametrize("isa", OTHERS)
def test_all_tests_of_products_pass_on_the_other_sets_of_instructions(isa):
    done = run_on(isa)
    assert done.returncode == 0, done.stdout[-3000:]
