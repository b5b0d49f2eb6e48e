"""Every step of the ladder of matrix products against NumPy in float64; the twin of MatMul."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.kernels.emulation import SEEDS, moved, on_kernels
from tests.kernels.matrices import Case, assert_product, operands, same_bits
from tinygrad_mmb import ops
from tinygrad_mmb.kernels.cuda import matmul_launch, matmul_plan
from tinygrad_mmb.kernels.cuda.matmul import VARIANTS, matmul, matmul_variant
from tinygrad_mmb.kernels.cuda.matmul_plan import Plan, cost, plan
from tinygrad_mmb.kernels.launch.emulated import emulator

# on a CPU the emulator runs one block of a cluster, and says so of more
ALONE = [name for name in VARIANTS if "cluster" not in name]
SIMT = [name for name in ALONE if VARIANTS[name].file < "matmul/09"]
SIZES = st.sampled_from([0, 1, 2, 3, 7, 31, 33, 64, 67, 128, 131])
CASES = st.builds(Case, SIZES, SIZES, SIZES, st.booleans(), st.booleans(),
                  st.integers(0, 5), st.integers(0, 3))  # fmt: skip


def check(name, case):
    variant = VARIANTS[name]
    a, b = operands(case, variant.dtype)
    y = matmul_variant(name, a, b)
    assert y.dtype == a.dtype
    assert_product(y, a, b, variant.bound(case.depth))


@pytest.mark.parametrize("name", SIMT)
@settings(max_examples=12)
@given(case=CASES)
def test_a_step_multiplies_matrices_of_any_size_and_layout(name, case):
    check(name, case)


@pytest.mark.parametrize("name", SIMT)
def test_a_step_has_no_race_in_any_order_of_threads_and_more_tiles_than_stages(name):
    case = Case(67, 71, 83, padding=1)  # five tiles of 16, three stages
    a, b = operands(case, VARIANTS[name].dtype)
    results = []
    for seed in SEEDS:
        for early in (False, True):
            with emulator("check", seed, early=early):
                results.append(matmul_variant(name, a, b))
    assert_product(results[0], a, b, VARIANTS[name].bound(case.depth))
    for other in results[1:]:
        same_bits(results[0], other)


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("name", [n for n in SIMT if n.startswith("double_buffered")])
def test_transposes_cost_no_copy_and_no_bank_conflict(name, transposed):
    case = Case(128, 128, 48, "a" in transposed, "b" in transposed)
    a, b = operands(case, VARIANTS[name].dtype)
    with emulator("check", profile=True) as e:
        matmul_variant(name, a, b)
    shared = [line for line in e.profiles[0]["lines"] if line["space"] == "shared"]
    assert len(shared) >= 3  # copies of A and B, reads of both
    assert {line["times_ideal"] for line in shared} == {1.0}


def test_the_ladder_sheds_bank_conflicts_as_its_heads_say():
    def worst(name):
        a, b = (moved(x, 0) for x in operands(Case(128, 128, 32), "float32"))
        with emulator("check", profile=True) as e:
            matmul_variant(name, a, b)
        return max(x["times_ideal"] for x in e.profiles[0]["lines"] if x["space"] == "shared")

    found = {
        n: worst(n) for n in ("register_2d", "vectorised", "warp_tiles", "double_buffered_large")
    }
    assert found == {
        "register_2d": 4.0,
        "vectorised": 2.0,
        "warp_tiles": 1.0,
        "double_buffered_large": 1.0,
    }


def test_coalescing_lets_a_request_for_b_read_four_sectors_where_a_column_of_a_takes_sixteen():
    a, b = (moved(x, 0) for x in operands(Case(64, 64, 64), "float32"))
    sectors = {}
    for name in ("naive", "coalesced"):
        with emulator("check", profile=True) as e:
            matmul_variant(name, a, b)
        lines = [x for x in e.profiles[0]["lines"] if x["space"] == "global"]
        sectors[name] = max(x["sectors_per_request"] for x in lines)
    assert sectors["naive"] == 16.0  # sixteen rows of C, a sector each
    assert sectors["coalesced"] <= 5.0  # 128 bytes; one more where C does not start at a sector


@pytest.mark.parametrize("splits", [2, 3, 5, 32])
def test_dividing_k_among_blocks_gives_the_same_bits_in_every_order(splits):
    case = Case(33, 65, 131)
    a, b = operands(case, "float32")
    results = []
    for seed in SEEDS:
        y = np.empty((33, 65), np.float32)
        with emulator("check", seed):
            matmul_launch.simt_product(
                y, a, b, None, None, matmul_launch.ONE, Plan(matmul_plan.SMALL, splits)
            )
        results.append(y)
    assert_product(results[0], a, b, VARIANTS["double_buffered"].bound(131))
    same_bits(results[0], results[1])
    same_bits(results[0], results[2])


ACTIVATED = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "gelu": lambda x: x * 0.5 * (1.0 + np.vectorize(math.erf)(x / np.sqrt(2.0))),
    "gelu_tanh": lambda x: x * 0.5 * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))),
}


@pytest.mark.parametrize("activation", ACTIVATED)
@pytest.mark.parametrize(
    ("dtype", "shape", "tolerance"),
    [
        ("float32", (70, 45, 83), 3e-5),  # ten times 83 roundings of numbers of size 1
        ("float32", (5, 6, 300), 1e-4),  # K is divided
        ("float64", (70, 45, 83), 1e-13),
        ("float16", (70, 45, 83), 3e-2),  # one rounding to 10 bits of numbers up to 30
    ],
)
def test_bias_and_activation_are_part_of_the_product(dtype, shape, tolerance, activation):
    rows, cols, depth = shape
    a, b = operands(Case(rows, cols, depth), dtype)
    bias = np.linspace(-3, 3, cols).astype(dtype)
    z = np.empty((rows, cols), dtype)
    y = matmul_launch.product(a, b, bias, activation)
    np.testing.assert_array_equal(matmul_launch.product(a, b, bias, activation, z), y)
    expected = a.astype(float) @ b.astype(float) + bias.astype(float)
    np.testing.assert_allclose(z, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(y, ACTIVATED[activation](expected), rtol=tolerance, atol=tolerance)


def test_what_precedes_the_activation_is_stored_for_each_matrix_of_a_batch():
    a, b = np.ones((2, 5, 1, 4, 3), np.float32), np.arange(180, dtype=np.float32) - 90
    b = b.reshape(5, 6, 3, 2)
    z = np.empty((2, 5, 6, 4, 2), np.float32)
    y = matmul_launch.product(a, b, None, "relu", z)
    np.testing.assert_array_equal(z, a @ b)
    np.testing.assert_array_equal(y, np.maximum(z, 0))


def test_relu_keeps_nan_and_a_product_carries_infinities():
    a = np.array([[np.nan, 1.0], [np.inf, 1.0], [-np.inf, 1.0]], np.float32)
    y = matmul_launch.product(a, np.eye(2, dtype=np.float32), None, "relu")
    np.testing.assert_array_equal(y[:, 1], [np.nan, np.nan, np.nan])  # ∞ · 0
    np.testing.assert_array_equal(y[0, 0], np.nan)
    np.testing.assert_array_equal(y[1:, 0], [np.inf, 0.0])


SHAPES = [
    ((3,), (3,)), ((4, 3), (3,)), ((3,), (3, 4)), ((2, 4, 3), (3,)), ((3,), (2, 3, 4)),
    ((2, 4, 3), (3, 5)), ((4, 3), (2, 3, 5)), ((2, 1, 4, 3), (3, 3, 5)),
    ((2, 5, 1, 4, 3), (5, 6, 3, 2)),
    ((2, 1, 3, 1, 4, 3), (4, 1, 5, 3, 2)), ((0, 3), (3, 4)), ((4, 0), (0, 5)), ((2, 0, 3), (3, 4)),
    ((0,), (0,)), ((1, 1), (1, 1)), ((1, 70), (70, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_twin_multiplies_vectors_and_batches_as_numpy_does(left, right, dtype, rng):
    a, b = rng.standard_normal(left).astype(dtype), rng.standard_normal(right).astype(dtype)
    y = on_kernels(ops.matmul, a, b)
    expected = np.matmul(a.astype(float), b.astype(float))
    assert (y.shape, y.dtype) == (expected.shape, a.dtype)
    tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_views_of_every_kind_are_multiplied_as_they_lie(dtype, rng):
    whole = rng.standard_normal((4, 6, 8)).astype(dtype)
    other = rng.standard_normal((8, 10)).astype(dtype)
    for a, b in [
        (whole[::2, 1:, ::-1], other[::-1]),
        (whole.transpose(1, 0, 2), other),
        (whole.transpose(0, 2, 1)[:, :, :3], whole[:, :3, :5]),
        (np.broadcast_to(whole[:1], (3, 6, 8)), other[:, ::3]),
        (whole[0], np.broadcast_to(other[:, :1], (8, 5))),
    ]:
        y = on_kernels(ops.matmul, a, b)
        tolerance = 1e-5 if dtype == "float32" else 2e-2
        np.testing.assert_allclose(
            y, np.matmul(a.astype(float), b.astype(float)), rtol=tolerance, atol=tolerance
        )


def test_gradients_of_a_product_pass_the_kernels_in_float64(rng):
    a, b = (tm.tensor(rng.standard_normal(s), requires_grad=True) for s in ((2, 4, 3), (3, 5)))
    with tm.use_kernels("emulator"):
        assert tm.autograd.gradcheck(lambda a, b: (a @ b).tanh(), (a, b))
        assert tm.autograd.gradgradcheck(lambda a, b: (a @ b).tanh(), (a, b))


def test_large_products_take_the_large_tile_and_small_ones_divide_k():
    x = np.empty((1, 1), np.float32)
    assert plan(8192, 8192, 8192, 1, x) == Plan(matmul_plan.LARGE, 1)
    assert plan(64, 64, 8192, 1, x).splits > 8
    assert plan(16, 4096, 512, 1, x).tile in (matmul_plan.WIDE, matmul_plan.SMALL)
    assert plan(100000, 10, 784, 1, x).tile == matmul_plan.TALL
    assert plan(1, 1, 3, 1, x).splits == 1


def test_the_plan_is_the_cheapest_and_an_idle_gpu_costs(rng):
    wide, split = Plan(matmul_plan.MEDIUM, 1), Plan(matmul_plan.MEDIUM, 16)
    assert cost(split, 128, 128, 65536, 1, 132) < cost(wide, 128, 128, 65536, 1, 132) / 4
    assert cost(split, 4096, 4096, 4096, 1, 132) > cost(wide, 4096, 4096, 4096, 1, 132)


def test_a_gpu_is_asked_once_what_it_is(monkeypatch):
    class Device:
        id, compute_capability = 3, "103"
        asked = 0

        @property
        def attributes(self):
            Device.asked += 1
            return {"MultiProcessorCount": 148}

    class OnDevice:
        device = Device()

    monkeypatch.setattr(matmul_plan, "on_device", lambda x: True)
    monkeypatch.setattr(matmul_plan, "_facts", {})
    for _ in range(2):
        assert matmul_plan.capability(OnDevice()) == (10, 3)
        assert matmul_plan.multiprocessors(OnDevice()) == 148
    assert Device.asked == 1


@pytest.mark.parametrize(
    ("name", "a", "b", "error", "says"),
    [
        ("turbo", (2, 2), (2, 2), ValueError, "no such variant. There are naive, coalesced"),
        ("naive", (2, 3), (2, 3), ValueError, "the columns of the first"),
        ("naive", (2, 2, 2), (2, 2), ValueError, "takes two matrices of float32"),
        ("bf16_wgmma_cluster2", (64, 64), (64, 64), ValueError, "takes two matrices of bfloat16"),
    ],
)
def test_a_variant_refuses_what_it_cannot_multiply(name, a, b, error, says):
    with pytest.raises(error, match=says):
        matmul_variant(name, np.ones(a, np.float32), np.ones(b, np.float32))


@pytest.mark.parametrize(
    ("name", "own", "says"),
    [
        ("tf32_mma", (7, 5), r"needs compute capability 8\.0, but this GPU has 7\.5"),
        ("tf32_wgmma", (8, 9), r"needs compute capability 9\.0 exactly, but this GPU has 8\.9"),
        ("tf32_wgmma", (12, 0), r"needs compute capability 9\.0 exactly, but this GPU has 12\.0"),
    ],
)
def test_a_gpu_that_lacks_what_a_variant_needs_is_told_so(monkeypatch, name, own, says):
    monkeypatch.setattr("tinygrad_mmb.kernels.cuda.matmul.capability", lambda x: own)
    x = np.ones((4, 4), np.float32)
    with pytest.raises(RuntimeError, match=says):
        matmul_variant(name, x, x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_gpu_without_asynchronous_copies_multiplies_through_registers(monkeypatch, dtype, rng):
    for module in (matmul_plan, matmul_launch):
        monkeypatch.setattr(module, "capability", lambda x: (7, 5))
    a, b = (rng.standard_normal((40, 40)).astype(dtype) for _ in range(2))
    with emulator("check", profile=True) as e:
        y = matmul(a, b)
    assert all("registers" in p["kernel"] or "splits" in p["kernel"] for p in e.profiles)
    tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(y, a.astype(float) @ b.astype(float), rtol=tolerance, atol=tolerance)
