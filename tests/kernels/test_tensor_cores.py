"""Products on the emulated tensor cores, by mma.sync and by wgmma: steps 9 and 10 of the ladder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.emulation import SEEDS
from tests.kernels.matrices import Case, assert_product, operands, same_bits, stored, widened
from tinygrad_mmb.kernels.cuda.matmul import VARIANTS, matmul, matmul_variant
from tinygrad_mmb.kernels.cuda.matmul_launch import ONE, tensor_core_product, wgmma_product
from tinygrad_mmb.kernels.launch.emulated import emulator

ALONE = [n for n in VARIANTS if VARIANTS[n].file >= "matmul/09" and "cluster" not in n]
MMA = [n for n in ALONE if not VARIANTS[n].b_transposed]
WGMMA = [n for n in ALONE if VARIANTS[n].b_transposed]
SIZES = st.sampled_from([1, 2, 7, 8, 33, 64, 67, 130])
CASES = st.builds(Case, SIZES, SIZES, st.sampled_from([0, 1, 5, 16, 67, 130, 161]),
                  st.booleans(), st.booleans(), st.integers(0, 8), st.integers(0, 8))  # fmt: skip
# TMA reaches rows that start at multiples of 16 bytes, so K and the padding are multiples of 8
BOXES = st.builds(Case, st.sampled_from([1, 63, 64, 130]), st.sampled_from([1, 8, 129, 260]),
                  st.sampled_from([8, 64, 72, 328]), st.just(False), st.just(True),
                  st.sampled_from([0, 8]), st.just(0))  # fmt: skip


def check(name, case):
    variant = VARIANTS[name]
    a, b = operands(case, variant.dtype)
    assert_product(matmul_variant(name, a, b), a, b, variant.bound(case.depth))


@pytest.mark.parametrize("name", MMA)
@settings(max_examples=15)
@given(case=CASES)
def test_mma_multiplies_matrices_of_any_size_and_layout(name, case):
    check(name, case)


@pytest.mark.parametrize("name", WGMMA)
@settings(max_examples=6)
@given(case=BOXES)
def test_wgmma_multiplies_what_tma_can_reach(name, case):
    check(name, case)


@pytest.mark.parametrize("name", ALONE)
def test_waits_hold_early_and_late_in_every_order_with_more_tiles_than_stages(name):
    # 328: six tiles of 64 for wgmma's four stages, eleven of 32 for mma's four
    case = Case(130, 72, 328, b_transposed=True)
    a, b = operands(case, VARIANTS[name].dtype)
    results = []
    for seed in SEEDS:
        for early in (False, True):
            with emulator("check", seed, early=early):
                results.append(matmul_variant(name, a, b))
    assert_product(results[0], a, b, VARIANTS[name].bound(case.depth))
    for other in results[1:]:
        same_bits(results[0], other)


@pytest.mark.parametrize("name", ALONE)
def test_whole_numbers_are_multiplied_exactly(name):
    """Products and sums of small whole numbers fit every format: no rounding hides an index."""
    rng = np.random.default_rng(1)
    dtype = VARIANTS[name].dtype
    a = rng.integers(-2, 3, (70, 24)).astype(float)
    b = rng.integers(-2, 3, (40, 24)).astype(float).T
    y = matmul_variant(name, stored(a, dtype), stored(b.T, dtype).T)
    np.testing.assert_array_equal(widened(y), a @ b)


@pytest.mark.parametrize("number", ["tf32", "f16", "bf16"])
@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_reading_fragments_meets_no_bank_twice_in_any_layout(number, layout):
    dtype = {"tf32": "float32", "f16": "float16", "bf16": "bfloat16"}[number]
    a, b = operands(Case(64, 64, 64, layout[0] == "t", layout[1] == "t"), dtype)
    with emulator("check", profile=True) as e:
        tensor_core_product(np.empty((64, 64), a.dtype), a, b, None, None, ONE, number)
    assert e.profiles[0]["kernel"] == f"matmul_small_{layout}_{number}"
    shared = [x for x in e.profiles[0]["lines"] if x["space"] == "shared"]
    assert len(shared) >= 2  # the copies, and the reads
    assert {x["times_ideal"] for x in shared} == {1.0}


@pytest.mark.parametrize("name", ["bf16_wgmma", "f16_wgmma"])
def test_staging_c_for_the_tma_store_meets_no_bank_twice(name):
    a, b = operands(Case(64, 128, 64, b_transposed=True), VARIANTS[name].dtype)
    with emulator("check", profile=True) as e:
        matmul_variant(name, a, b)
    shared = [x for x in e.profiles[0]["lines"] if x["space"] == "shared"]
    assert [x["times_ideal"] for x in shared] == [1.0]


@pytest.mark.parametrize("number", ["tf32", "f16", "bf16"])
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
def test_mma_and_wgmma_share_one_epilogue(number, activation):
    dtype = {"tf32": "float32", "f16": "float16", "bf16": "bfloat16"}[number]
    a, b = operands(Case(66, 72, 64, b_transposed=True), dtype)
    bias = stored(np.linspace(-4, 4, 72), dtype)
    first, second = (np.empty((66, 72), a.dtype) for _ in range(2))
    tensor_core_product(first, a, b, bias, activation, ONE, number)
    wgmma_product(second, a, b, number, bias, activation)
    expected = widened(a) @ widened(b) + widened(bias)
    if activation == "relu":
        expected = np.maximum(expected, 0)
    for y in (first, second):
        if activation == "gelu":  # nearly 0 far on the left, nearly x far on the right
            np.testing.assert_allclose(widened(y), np.maximum(expected, 0), atol=0.3, rtol=0.02)
        else:  # 2⁻⁸ of numbers up to 30, the width of bfloat16
            np.testing.assert_allclose(widened(y), expected, atol=0.15, rtol=0.01)


def test_step_10_says_that_it_does_not_store_what_precedes_the_activation():
    a, b = operands(Case(8, 8, 8, b_transposed=True), "float16")
    y, z = np.empty((8, 8), a.dtype), np.empty((8, 8), a.dtype)
    with pytest.raises(ValueError, match=r"step 10 does not store .*\(z\).* Use step 08 or 09"):
        wgmma_product(y, a, b, "f16", None, "gelu", z=z)
    tensor_core_product(y, a, b, None, "gelu", ONE, "f16", z)  # which does
    np.testing.assert_allclose(z, a.astype(float) @ b.astype(float), rtol=2e-3, atol=2e-2)


def test_a_batch_of_half_precision_matrices_with_shared_operand(rng):
    a = rng.standard_normal((3, 20, 40)).astype(np.float16)
    b = rng.standard_normal((40, 30)).astype(np.float16)
    y = matmul(a, np.broadcast_to(b, (3, 40, 30)))
    np.testing.assert_allclose(y, a.astype(float) @ b.astype(float), rtol=2e-3, atol=2e-2)


def test_large_products_of_halves_take_the_large_tile(rng):
    a, b = operands(Case(130, 40, 40), "float16")
    y = np.empty((130, 40), np.float16)
    with pytest.MonkeyPatch.context() as patch:  # as if the GPU were one SM
        patch.setattr("tinygrad_mmb.kernels.cuda.matmul_launch.multiprocessors", lambda x: 1)
        with emulator("check", profile=True) as e:
            tensor_core_product(y, a, b, None, None, ONE, "f16")
    assert e.profiles[0]["kernel"] == "matmul_large_nn_f16"
    assert_product(y, a, b, VARIANTS["f16_mma"].bound(40))


def test_persistent_blocks_go_from_tile_to_tile():
    """Three tiles and one block: stages and phases of the barriers go on where they were."""
    case = Case(300, 100, 200, b_transposed=True)
    a, b = operands(case, "bfloat16")
    results = []
    for early in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tinygrad_mmb.kernels.cuda.matmul_launch.multiprocessors", lambda x: 1)
            with emulator("check", seed=3, early=early):
                results.append(matmul_variant("bf16_wgmma_n128", a, b))
    assert_product(results[0], a, b, VARIANTS["bf16_wgmma"].bound(200))
    same_bits(*results)


def test_a_cluster_of_two_blocks_is_refused_by_name():
    a, b = operands(Case(64, 64, 64, b_transposed=True), "bfloat16")
    with pytest.raises(RuntimeError, match="clusters of more than one block are not emulated"):
        matmul_variant("bf16_wgmma_cluster2", a, b)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (Case(64, 64, 20, b_transposed=True), "TMA needs contiguous rows at multiples of 16 bytes"),
        (Case(64, 64, 64), "TMA needs contiguous rows"),
        (Case(64, 64, 64, b_transposed=True, shift=1), "at address"),
        (Case(64, 64, 0, b_transposed=True), "no empty boxes"),
    ],
)
def test_what_tma_cannot_reach_is_refused_with_a_way_out(case, says):
    a, b = operands(case, "bfloat16")
    with pytest.raises(ValueError, match=says):
        matmul_variant("bf16_wgmma", a, b)
