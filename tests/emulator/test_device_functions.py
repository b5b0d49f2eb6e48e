"""Device functions of the emulator against NumPy, and against the formats' definitions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.kernels.launch.emulated import KernelError, Library, load

RNG = np.random.default_rng(0)
INT = np.int32


@pytest.fixture(scope="module", params=["fast", "check"])
def device(request: pytest.FixtureRequest) -> Library:
    file = Path(__file__).with_name("device_functions.cu")
    return load(compile.library(str(file), request.param), request.param)


def every_half() -> np.ndarray:
    return np.arange(65536, dtype=np.uint16).view(np.float16)


def halves_and_what_lies_between() -> np.ndarray:
    """Every half, the middle between it and the next, and the floats around that middle."""
    halves = every_half().astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        up = np.nextafter(every_half(), np.float16(np.inf)).astype(np.float32)
        middle = (halves + up) / np.float32(2)
        around = [np.nextafter(middle, np.float32(s * np.inf)) for s in (1, -1)]
    edges = np.float32([65504, 65519.99, 65520, 65536, 1e38, 2**-24, 2**-25, 1.0000001 * 2**-25])
    return np.concatenate([halves, middle, *around, edges, -edges])


def grid(n: int) -> tuple[int]:
    return (-(-n // 256),)


def test_every_half_widens_as_in_numpy(device):
    x, y = every_half(), np.empty(65536, np.float32)
    device.launch("widen_half", (256,), (256,), (y, x), 0)
    np.testing.assert_array_equal(y, x.astype(np.float32))


def test_floats_narrow_to_the_nearest_half_and_ties_to_the_even_one(device):
    x = halves_and_what_lies_between()
    with np.errstate(invalid="ignore"):  # signalling NaN
        d = x.astype(np.float64) * (1 + 2.0**-40)  # off the middle: float would not see it
    nearest, zero, down, up, from_double = (np.empty(x.size, np.float16) for _ in range(5))
    arguments = (nearest, zero, down, up, from_double, x, d, INT(x.size))
    device.launch("narrow_half", grid(x.size), (256,), arguments, 0)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(nearest, x.astype(np.float16))
        np.testing.assert_array_equal(from_double, d.astype(np.float16))
    known = np.isfinite(x)
    assert np.all(down[known].astype(np.float64) <= x[known])
    assert np.all(up[known].astype(np.float64) >= x[known])
    inside = known & (np.abs(x) < 65504)
    exact = inside & (x == nearest)
    assert np.all(down[exact] == x[exact])
    next_up = np.nextafter(down[inside & ~exact], np.float16(np.inf))
    np.testing.assert_array_equal(next_up, up[inside & ~exact])
    np.testing.assert_array_equal(zero[known], np.where(x > 0, down, up)[known])


def test_half_arithmetic_rounds_once(device):
    a, b, c = (RNG.integers(0, 65536, 5000).astype(np.uint16).view(np.float16) for _ in range(3))
    results = [np.empty(5000, np.float16) for _ in range(4)]
    arguments = (*results, a, b, c, INT(5000))
    device.launch("half_arithmetic", grid(5000), (256,), arguments, 0)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(results[0], a + b)  # NumPy's half arithmetic rounds once
        np.testing.assert_array_equal(results[1], a * b)
        np.testing.assert_array_equal(results[2], a / b)
        exact = a.astype(np.longdouble) * b.astype(np.longdouble) + c.astype(np.longdouble)
        known = np.isfinite(results[3])
        error = np.abs(results[3].astype(np.longdouble) - exact)
        for way in (np.inf, -np.inf):
            neighbour = np.nextafter(results[3], np.float16(way)).astype(np.longdouble)
            assert np.all((error <= np.abs(neighbour - exact))[known])
    assert np.all(np.abs(exact[np.isinf(results[3]) & np.isfinite(exact)]) >= 65520)
    np.testing.assert_array_equal(np.isnan(results[3]), np.isnan(exact))


def test_pairs_of_halves_work_element_by_element(device):
    a, b = (RNG.standard_normal(64).astype(np.float16) for _ in range(2))
    y = np.empty(64, np.float16)
    device.launch("pair_arithmetic", (1,), (32,), (y, a, b), 0)
    exact = a.astype(np.float64) * b + np.tile([1.0, 2.0], 32)
    np.testing.assert_array_equal(y, exact.astype(np.float16))


def test_every_bfloat16_is_the_upper_half_of_a_float(device):
    bits, y = np.arange(65536, dtype=np.uint16), np.empty(65536, np.float32)
    device.launch("widen_bfloat16", (256,), (256,), (y, bits), 0)
    np.testing.assert_array_equal(y.view(np.uint32), bits.astype(np.uint32) << 16)


def test_floats_narrow_to_the_nearest_bfloat16(device):
    upper = np.arange(65536, dtype=np.uint32) << 16
    bits = (upper[:, None] + np.uint32([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])).ravel()
    x = bits.view(np.float32)
    y = np.empty(x.size, np.uint16)
    device.launch("narrow_bfloat16", grid(x.size), (256,), (y, x, INT(x.size)), 0)
    low, odd = bits & 0xFFFF, bits >> 16 & 1
    expected = (bits >> 16) + ((low > 0x8000) | ((low == 0x8000) & (odd == 1)))
    number = ~np.isnan(x)
    np.testing.assert_array_equal(y[number], expected[number])
    assert np.all((y[~number] & 0x7FFF) > 0x7F80)  # NaN stays NaN


@pytest.mark.parametrize("width", [32, 16, 8, 4])
@pytest.mark.parametrize(
    "name, dtype", [("i32", np.int32), ("f32", np.float32), ("f64", np.float64)]
)
def test_shuffles_move_within_segments_of_the_width(device, name, dtype, width):
    x, y = RNG.integers(-99, 99, 32).astype(dtype), np.empty(128, dtype)
    device.launch(f"shuffles_{name}", (1,), (32,), (y, x, INT(width)), 0)
    lane = np.arange(32)
    first, last = lane // width * width, lane // width * width + width - 1
    sources = [
        first + 3 % width,
        np.where(lane - 2 >= first, lane - 2, lane),
        np.where(lane + 2 <= last, lane + 2, lane),
        np.where(
            (lane ^ 5) <= last, lane ^ 5, lane
        ),  # PTX: out of the segment upwards keeps its own
    ]
    np.testing.assert_array_equal(y, x[np.concatenate(sources)])


def test_votes_matches_and_reductions_of_a_warp(device):
    x, y = RNG.integers(0, 10, 32).astype(np.int32), np.empty(320, np.uint32)
    device.launch("votes", (1,), (32,), (y, x), 0)
    bit = np.uint32(1) << np.arange(32, dtype=np.uint32)
    rows = y.reshape(10, 32)
    np.testing.assert_array_equal(rows[0], (bit * (x > 4)).sum())
    np.testing.assert_array_equal(rows[1], int((x > 8).any()))
    np.testing.assert_array_equal(rows[2], 1)
    np.testing.assert_array_equal(rows[3], [(bit * (x == v)).sum() for v in x])
    np.testing.assert_array_equal(rows[4:6], [[0xFFFFFFFF] * 32, [1] * 32])
    np.testing.assert_array_equal(rows[6], x.sum())
    np.testing.assert_array_equal(rows[7], x.min())
    np.testing.assert_array_equal(rows[8], x.max())
    np.testing.assert_array_equal(rows[9], np.bitwise_xor.reduce(x))


def test_barriers_count_and_combine(device):
    x, y = np.arange(64, dtype=np.int32), np.empty(192, np.int32)
    device.launch("barriers", (1,), (64,), (y, x), 0)
    np.testing.assert_array_equal(y.reshape(3, 64), [[22] * 64, [1] * 64, [1] * 64])


def test_atomics_of_every_kind(device):
    x = RNG.permutation(96).astype(np.int32)
    i = np.int32([0, 0, 50, 50])
    u = np.uint32([0xFFFFFFFF, 0, 0, 0, 0, 0, 0])
    w, f, d, h = np.uint64([0, 0]), np.float32([0]), np.float64([0]), np.float16([0, 0])
    device.launch("atomics", (3,), (32,), (i, u, w, f, d, h, x), 0)
    total = 95 * 96 // 2
    assert i.tolist() == [total, -total, 0, 95]
    # 96 increments wrap after 9: 96 % 10; decrements from 0 go to 9 first
    assert u.tolist() == [0, 0xFFFFFFFF, int(np.bitwise_xor.reduce(x)), 96 % 10, (-96) % 10, 77, 5]
    assert w.tolist() == [96, 95]
    assert (f[0], d[0], h.tolist()) == (48.0, 24.0, [96.0, 192.0])


def test_integer_intrinsics(device):
    a, b = (RNG.integers(0, 2**32, 64, dtype=np.uint64) for _ in range(2))
    a[:3] = [0, 1, 2**31]
    y, w = np.empty(11 * 64, np.uint32), np.empty(128, np.uint64)
    device.launch("integers", (1,), (64,), (y, w, a.astype(np.uint32), b.astype(np.uint32)), 0)
    rows = y.reshape(11, 64)
    pairs = [(int(p), int(q)) for p, q in zip(a, b, strict=True)]

    def signed(v: int, bits: int = 32) -> int:
        v &= (1 << bits) - 1
        return v - (v >> bits - 1 << bits)

    def perm(p: int, q: int) -> int:
        data = (q << 32 | p).to_bytes(8, "little")
        return int.from_bytes(bytes(data[d] for d in (5, 1, 7, 3)), "little")

    def dot(p: int, q: int) -> int:
        return 3 + sum(signed(p >> 8 * k, 8) * signed(q >> 8 * k, 8) for k in range(4))

    expected = [
        [p.bit_count() for p, _ in pairs],
        [32 - p.bit_length() for p, _ in pairs],
        [(p & -p).bit_length() for p, _ in pairs],
        [int(f"{p:032b}"[::-1], 2) for p, _ in pairs],
        [p * q >> 32 for p, q in pairs],
        [perm(p, q) for p, q in pairs],
        [((q << 32 | p) << 11 >> 32) & 0xFFFFFFFF for p, q in pairs],
        [((q << 32 | p) >> 11) & 0xFFFFFFFF for p, q in pairs],
        [signed(p, 24) * signed(q, 24) & 0xFFFFFFFF for p, q in pairs],
        [signed(p) * signed(q) >> 32 & 0xFFFFFFFF for p, q in pairs],
        [dot(p, q) & 0xFFFFFFFF for p, q in pairs],
    ]
    np.testing.assert_array_equal(rows, np.array(expected, np.uint64))
    assert w[:64].tolist() == [(p << 32 | q) * (q << 32 | p) >> 64 for p, q in pairs]
    assert w[64:].tolist() == [int(f"{p << 32 | q:064b}"[::-1], 2) for p, q in pairs]


def test_conversions_to_integers_round_as_named_and_saturate(device):
    x = np.float32([0.5, 1.5, 2.5, -0.5, -1.5, 2.7, -2.7, 3e9, -3e9, 1e20, np.nan, -np.inf])
    results = [np.empty(12, np.int32) for _ in range(4)] + [np.empty(12, np.uint32)]
    device.launch("conversions", (1,), (12,), (*results, x), 0)
    low, high = -(2**31), 2**31 - 1
    end = [high, low, high, 0, low]
    assert results[0].tolist() == [0, 2, 2, 0, -2, 3, -3, *end]
    assert results[1].tolist() == [0, 1, 2, 0, -1, 2, -2, *end]
    assert results[2].tolist() == [0, 1, 2, -1, -2, 2, -3, *end]
    assert results[3].tolist() == [1, 2, 3, 0, -1, 3, -2, *end]
    assert results[4].tolist() == [0, 2, 2, 0, 0, 3, 0, 3_000_000_000, 0, 2**32 - 1, 0, 0]


def test_mathematics_that_c_lacks(device):
    x, y = np.linspace(-0.99, 0.98, 67), np.empty(6 * 67)
    device.launch("mathematics", (1,), (67,), (y, x), 0)
    rows = y.reshape(6, 67)
    np.testing.assert_allclose(rows[0], 1 / np.sqrt(x + 2), rtol=1e-15)
    np.testing.assert_allclose([math.erf(v) for v in rows[1]], x, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(rows[2], np.sin(3 * np.pi * x), atol=2e-15)
    normal = [math.erfc(-v / math.sqrt(2)) / 2 for v in x]
    np.testing.assert_allclose(rows[3], normal, rtol=1e-14)
    np.testing.assert_allclose(rows[4], np.minimum(x, 0.25) + 13)
    cube = 1 / np.cbrt(x) + np.clip(np.float32(3 * x), 0, 1)
    np.testing.assert_allclose(rows[5], cube, rtol=1e-7, atol=1e-7)  # saturation is of floats


def test_vector_types_have_the_sizes_of_a_gpu(device):
    x, y = RNG.standard_normal((8, 4)).astype(np.float32), np.empty(8, np.float32)
    device.launch("vectors", (2,), (4,), (y, x), 0)
    np.testing.assert_allclose(y, x @ np.float32([1, 2, 3, 1]), rtol=1e-6, atol=1e-6)


def test_indices_in_three_dimensions(device):
    y = np.empty(12 * 30, np.int32)
    device.launch("indices", (2, 3, 2), (5, 3, 2), (y,), 0)
    np.testing.assert_array_equal(y.reshape(12, 30), 100 * np.arange(12)[:, None] + np.arange(30))


def test_cooperative_groups(device):
    x, y = RNG.integers(0, 50, 64).astype(np.int32), np.empty(8 * 64, np.int32)
    device.launch("groups", (1,), (64,), (y, x), 0)
    rows, tiles = y.reshape(8, 64), x.reshape(8, 8)
    np.testing.assert_array_equal(rows[0], np.repeat(tiles.sum(1), 8))
    np.testing.assert_array_equal(rows[1], np.repeat(tiles.max(1), 8))
    np.testing.assert_array_equal(rows[2], np.cumsum(tiles, 1).ravel())
    np.testing.assert_array_equal(rows[3], (np.cumsum(tiles, 1) - tiles).ravel())
    shifted = np.concatenate([tiles[:, 1:], tiles[:, -1:]], 1)
    np.testing.assert_array_equal(rows[4], (shifted * 100 + np.arange(8)[:, None]).ravel())
    np.testing.assert_array_equal(rows[5], np.repeat((tiles % 2) @ (1 << np.arange(8)), 8))
    warps = x.reshape(2, 32) % 2
    rank = np.cumsum(warps, 1) - 1
    expected = np.where(warps, 100 * warps.sum(1, keepdims=True) + rank, -1)
    np.testing.assert_array_equal(rows[6], expected.ravel())
    np.testing.assert_array_equal(rows[7], np.arange(64) % 4)


@pytest.mark.parametrize("name, k", [("f16", 16), ("bf16", 16), ("tf32", 8)])
def test_tensor_cores_multiply_a_tile(device, name, k):
    # small integers: exact in all three formats, and so are their sums
    a, b = (RNG.integers(-8, 9, (16, k)).astype(np.float32) for _ in range(2))
    stored = {
        "f16": lambda v: v.astype(np.float16),
        "bf16": lambda v: (v.view(np.uint32) >> 16).astype(np.uint16),
        "tf32": lambda v: v,
    }[name]

    def aligned(v: np.ndarray) -> np.ndarray:  # wmma wants 32 bytes
        room = np.empty(v.nbytes + 32, np.uint8)
        start = -room.ctypes.data % 32
        placed = room[start : start + v.nbytes].view(v.dtype).reshape(v.shape)
        placed[...] = v
        return placed

    d = aligned(np.zeros((16, 16), np.float32))
    operands = aligned(stored(a)), aligned(stored(b))
    device.launch(f"tensor_cores_{name}", (1,), (32,), (d, *operands), 0)
    np.testing.assert_array_equal(d, 2 * (a @ b.T + 0.5))


def test_what_is_not_emulated_says_so(device):
    with pytest.raises(KernelError, match=r"grid.sync.*one after another.*two kernels") as error:
        device.launch("waits_for_grid", (2,), (1,), (np.zeros(1, INT),), 0)
    assert error.value.findings[0]["kind"] == "not-emulated"


def test_a_trap_names_its_line(device):
    with pytest.raises(KernelError, match=r"__trap\(\) at device_functions.cu:\d+"):
        device.launch("traps", (1,), (1,), (np.zeros(1, INT),), 0)


def test_a_launch_that_cuda_refuses_is_refused(device):
    y = np.zeros(4096, INT)
    for sizes, why in [
        (((1,), (1025,)), "1025 threads, but 1024 are the most"),
        (((1,), (1, 1, 65)), "deeper than 64"),
        (((1, 65536), (1,)), "more than 65535"),
    ]:
        with pytest.raises(KernelError, match=why):
            device.launch("indices", *sizes, (y,), 0)
    with pytest.raises(KernelError, match="300000 bytes of shared memory"):
        device.launch("indices", (1,), (1,), (y,), 300000)


def test_wrong_arguments_are_named(device):
    with pytest.raises(KeyError, match=r"no kernel nothing\. Here are atomics, barriers"):
        device.launch("nothing", (1,), (1,), (), 0)
    with pytest.raises(TypeError, match="kernel indices takes 1 arguments, but got 2"):
        device.launch("indices", (1,), (1,), (np.zeros(1, INT), INT(3)), 0)
    with pytest.raises(TypeError, match=r"kernel shuffles_i32: argument 2 is .* takes i4"):
        arrays = np.zeros(128, INT), np.zeros(32, INT)
        device.launch("shuffles_i32", (1,), (32,), (*arrays, np.float32(32)), 0)
