"""What the emulator takes each PTX instruction to mean: NumPy says so too, and a GPU, if there is.

The emulated bodies in csrc/cuda/ptx.cuh and hopper.cuh are a reading of the PTX manual. The kernels
of csrc/cuda/kernels/conformance/ run one instruction each. Without a GPU they are compared with
NumPy, which is the same reading written twice; on a GPU the device's numbers must be the same too,
bit for bit, except where tensor cores add in an order that is not documented. If all agree, the
pass is recorded in conformance.json, which says until then that there was none.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.emulation import SEEDS
from tests.kernels.matrices import stored, widened
from tinygrad_mmb.kernels.cuda.matmul_plan import capability
from tinygrad_mmb.kernels.launch import cuda_function, int32
from tinygrad_mmb.kernels.launch.emulated import emulator
from tinygrad_mmb.kernels.launch.tensor_map import tensor_map

RECORD = Path(__file__).with_name("conformance.json")
PTX, HOPPER = "conformance/ptx.cu", "conformance/hopper.cu"
SM75, SM80, SM90 = (7, 5), (8, 0), (9, 0)
Put = Callable[[np.ndarray], Any]  # where the arrays are to be: here, or on a GPU


@dataclass
class Case:
    """One instruction on random numbers: what runs it, and what NumPy says comes out."""

    capability: tuple[int, int]
    run: Callable[[Put], Any]
    expected: np.ndarray
    allowed: np.ndarray | float = 0.0  # how far each number may be off; 0: not one bit


CASES: dict[str, Case] = {}


def swizzled(lines: np.ndarray) -> np.ndarray:
    """Lines of 128 bytes with group g of 16 bytes of line r at place g xor (r mod 8)."""
    groups = lines.reshape(len(lines), 8, -1)
    place = np.arange(8) ^ (np.arange(len(lines)) % 8)[:, None]
    return np.take_along_axis(groups, place[:, :, None], 1).reshape(lines.shape)


def add_copies(size: int) -> None:
    rng = np.random.default_rng(size)
    memory = rng.integers(0, 256, (40, size), dtype=np.uint8)
    places = rng.permutation(40)[:32].astype(np.int32)
    valid = rng.integers(0, size + 1, 32).astype(np.int32)

    def run(put: Put) -> Any:
        out = put(np.zeros(96 * size, np.uint8))
        arrays = out, put(memory.ravel()), put(places), put(valid)
        cuda_function(PTX, f"conformance_cp_async_{size}")((1,), (32,), arrays)
        return out

    kept = np.where(np.arange(size) < valid[:, None], memory[places], 0).astype(np.uint8)
    CASES[f"cp.async of {size} bytes"] = Case(
        SM80, run, np.concatenate([kept, kept, kept[::-1]]).ravel()
    )


def add_ldmatrix(count: int, transposed: bool) -> None:
    rng = np.random.default_rng(count)
    rows = rng.integers(0, 2**16, (32, 8), dtype=np.uint16)
    order = rng.permutation(32).astype(np.int32)
    name = f"x{count}{'_trans' if transposed else ''}"

    def run(put: Put) -> Any:
        out = put(np.zeros(32 * count, np.uint32))
        arrays = out, put(rows.view(np.uint32).ravel()), put(order)
        cuda_function(PTX, f"conformance_ldmatrix_{name}")((1,), (32,), arrays)
        return out

    matrices = rows[order].reshape(4, 8, 8)[:count]
    matrices = matrices.swapaxes(1, 2) if transposed else matrices
    pairs = np.ascontiguousarray(matrices).view(np.uint32).reshape(count, 32)  # lane l: row l / 4
    CASES[f"ldmatrix {name}"] = Case(SM75, run, pairs.T.ravel())


def add_rounding() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([
        (rng.standard_normal(249) * 10.0 ** rng.integers(-37, 38, 249)).astype(np.float32),
        np.array([0.0, -0.0, np.inf, -np.inf], np.float32),
        np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, -1 - 2.0**-11], np.float32),  # ties
    ])  # fmt: skip

    def run(put: Put) -> Any:
        out = put(np.zeros(256, np.uint32))
        cuda_function(PTX, "conformance_round_tf32")((1,), (256,), (out, put(x)))
        return out

    unit = 2.0 ** (
        np.floor(np.log2(np.where(np.isfinite(x) & (x != 0), np.abs(x), 1.0).astype(float))) - 10
    )
    finite = np.where(np.isfinite(x), x, 0).astype(float)
    nearest = np.sign(finite) * np.floor(np.abs(finite) / unit + 0.5) * unit  # ties away from 0
    expected = np.where(np.isfinite(x), np.copysign(nearest, x), x).astype(np.float32)
    CASES["cvt.rna.tf32"] = Case(SM80, run, expected.view(np.uint32))


NUMBERS = {"tf32": ("float32", 1), "f16": ("float16", 2), "bf16": ("bfloat16", 2)}


def tf32(x: np.ndarray) -> np.ndarray:
    """Without the 13 bits that tensor cores do not look at."""
    return (x.astype(np.float32).view(np.uint32) & 0xFFFFE000).view(np.float32)


def drawn(rng: np.random.Generator, shape: tuple[int, ...], number: str) -> np.ndarray:
    x = rng.standard_normal(shape)
    return tf32(x) if number == "tf32" else stored(x, NUMBERS[number][0])


def add_mma(number: str) -> None:
    each = NUMBERS[number][1]  # numbers in a register
    depth = 8 * each
    rng = np.random.default_rng(depth)
    a, b = drawn(rng, (16, depth), number), drawn(rng, (depth, 8), number)
    d = rng.standard_normal((16, 8)).astype(np.float32)
    g, t = np.arange(32) // 4, np.arange(32) % 4
    k = each * t[:, None] + np.arange(each)  # of each lane's register

    def registers(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x).view(np.uint32).reshape(32, -1)

    a_of = np.concatenate(
        [registers(a[(g + i % 2 * 8)[:, None], k + i // 2 * depth // 2]) for i in range(4)], 1
    )
    b_of = np.concatenate([registers(b[k + i * depth // 2, g[:, None]]) for i in range(2)], 1)
    rows = g[:, None] + np.array([0, 0, 8, 8])
    cols = 2 * t[:, None] + np.array([0, 1, 0, 1])

    def run(put: Put) -> Any:
        out = put(d[rows, cols].copy())
        cuda_function(PTX, f"conformance_mma_{number}")((1,), (32,), (out, put(a_of), put(b_of)))
        return out

    a, b = widened(a), widened(b)
    size = np.abs(d) + np.abs(a) @ np.abs(b)
    # depth + 1 terms, each cut off at 2⁻²² of the largest: twice what was seen of tensor cores
    # (Fasi, Higham, Mikaitis, Pranesh 2021, Numerical behavior of NVIDIA tensor cores)
    CASES[f"mma.sync {number}"] = Case(
        SM80, run, (d + a @ b)[rows, cols], ((depth + 1) * 2.0**-22 * size)[rows, cols]
    )


def add_tma_load(col: int, row: int) -> None:
    rng = np.random.default_rng(3)
    matrix = rng.integers(0, 2**16, (40, 104), dtype=np.uint16)  # 16 bits, as bfloat16

    def run(put: Put) -> Any:
        there = put(matrix)
        out = put(np.zeros(16 * 32, np.uint32))
        arguments = (out, tensor_map(there, 16, 64), int32(col), int32(row), int32(16 * 128))
        cuda_function(HOPPER, "conformance_tma_load")((1,), (64,), arguments, 16 * 128 + 8)
        return out

    whole = np.zeros((80, 232), np.uint16)
    whole[20:60, 64:168] = matrix
    box = whole[20 + row : 36 + row, 64 + col : 128 + col]
    expected = swizzled(np.ascontiguousarray(box).view(np.uint32)).ravel()
    CASES[f"TMA load at column {col}, row {row}"] = Case(SM90, run, expected)


def add_tma_store(col: int, row: int) -> None:
    rng = np.random.default_rng(4)
    box = rng.integers(0, 2**16, (16, 64), dtype=np.uint16)
    before = rng.integers(0, 2**16, (40, 104), dtype=np.uint16)

    def run(put: Put) -> Any:
        there = put(before.copy())
        source = put(swizzled(box.view(np.uint32)))
        arguments = (tensor_map(there, 16, 64), source, int32(col), int32(row), int32(16 * 128))
        cuda_function(HOPPER, "conformance_tma_store")((1,), (64,), arguments, 16 * 128)
        return there

    whole = np.zeros((80, 232), np.uint16)
    whole[20:60, 64:168] = before
    whole[20 + row : 36 + row, 64 + col : 128 + col] = box
    CASES[f"TMA store at column {col}, row {row}"] = Case(SM90, run, whole[20:60, 64:168])


def add_wgmma(number: str, cols: int, accumulate: bool) -> None:
    each = NUMBERS[number][1]
    depth, rng = 32 * each, np.random.default_rng(cols)
    a, b = drawn(rng, (64, depth), number), drawn(rng, (cols, depth), number)
    d = rng.standard_normal((64, cols)).astype(np.float32)
    thread, i = np.arange(128)[:, None], np.arange(cols // 2)
    rows = thread // 32 * 16 + thread % 32 // 4 + i // 2 % 2 * 8
    columns = i // 4 * 8 + thread % 4 * 2 + i % 2

    def run(put: Put) -> Any:
        out = put(d[rows, columns].copy())
        lines = [put(swizzled(np.ascontiguousarray(x).view(np.uint32))) for x in (a, b)]
        arguments = (out, *lines, int32(accumulate))
        name, shared = f"conformance_wgmma_n{cols}_{number}", (64 + cols) * 128
        cuda_function(HOPPER, name)((1,), (128,), arguments, shared)
        return out

    used = depth // 2  # two instructions of 32 bytes of K each
    left, right = widened(a)[:, :used], widened(b)[:, :used].T
    start = d if accumulate else np.zeros_like(d)
    size = np.abs(start) + np.abs(left) @ np.abs(right)
    kind = "adding to D" if accumulate else "into D"
    CASES[f"wgmma m64n{cols} {number} {kind}"] = Case(
        SM90,
        run,
        (start + left @ right)[rows, columns],
        ((used + 2) * 2.0**-22 * size)[rows, columns],
    )


def add_barriers() -> None:
    def run(put: Put) -> Any:
        out = put(np.zeros(4, np.int32))
        cuda_function(HOPPER, "conformance_barriers")((1,), (128,), (out, int32(4)), 4 * 8 + 8)
        return out

    number = 0
    for step in range(16):
        number = number * 3 + step % 4
    CASES["mbarrier, bar.sync and elect"] = Case(SM90, run, np.full(4, number, np.int32))


for _size in (4, 8, 16):
    add_copies(_size)
for _count in (1, 2, 4):
    for _transposed in (False, True):
        add_ldmatrix(_count, _transposed)
add_rounding()
for _number in NUMBERS:
    add_mma(_number)
for _place in ((0, 0), (64, 24), (-24, -8), (80, 32)):  # inside; to the edge; before; beyond
    add_tma_load(*_place)
    add_tma_store(*_place)
for _number, _cols in (("bf16", 64), ("bf16", 128), ("bf16", 256), ("f16", 128), ("f16", 256),
                       ("tf32", 128), ("tf32", 256)):  # fmt: skip
    add_wgmma(_number, _cols, False)
    add_wgmma(_number, _cols, True)
add_barriers()


def assert_same(found: np.ndarray, case: Case) -> None:
    found = found.reshape(case.expected.shape)
    if np.ndim(case.allowed) == 0:
        np.testing.assert_array_equal(found, case.expected)
    else:
        error = np.abs(found.astype(float) - case.expected)
        assert (error <= case.allowed).all(), f"off by up to {np.max(error / case.allowed)} x bound"


@pytest.mark.parametrize("name", CASES)
def test_the_emulator_does_what_the_manual_says(name):
    results = []
    for seed in SEEDS:
        for early in (False, True):
            with emulator("check", seed, early=early):
                results.append(CASES[name].run(lambda x: x.copy()))
    for found in results:
        assert_same(found, CASES[name])


# ---------------------------------------------------------------------- on a GPU

needs_gpu = pytest.mark.skipif(
    not tm.cuda.is_available(),
    reason="no GPU: what PTX instructions do on one is not compared with the emulator here",
)
passed: set[str] = set()


def on_gpu(case: Case) -> np.ndarray:
    from tinygrad_mmb.backend.arrays import cupy

    device = cupy()
    own, needed = capability(device.empty(1)), case.capability
    if own < needed or (needed == SM90 and own > SM90):  # later GPUs lack wgmma
        pytest.skip(f"needs compute capability {needed}, but this GPU has {own}")
    return device.asnumpy(case.run(device.asarray))


@needs_gpu
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_does_what_the_emulator_does(name):
    case = CASES[name]
    found = on_gpu(case)
    assert_same(found, case)
    emulated = case.run(lambda x: x.copy())
    if np.ndim(case.allowed) == 0:
        np.testing.assert_array_equal(found, emulated)
    passed.add(name)


@needs_gpu
def test_a_pass_of_all_is_recorded():
    missing = CASES.keys() - passed
    if missing:
        pytest.skip(f"not recorded: {len(missing)} instructions did not run or did not agree")
    from tinygrad_mmb.backend.arrays import cupy

    runtime = cupy().cuda.runtime
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    record["passed"] = {
        "date": datetime.date.today().isoformat(),
        "device": runtime.getDeviceProperties(runtime.getDevice())["name"].decode(),
        "driver": runtime.driverGetVersion(),
        "commit": commit(),
        "instructions": sorted(CASES),
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def commit() -> str:
    """Of the sources that ran, and whether they were changed since."""
    asked = [["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--", "csrc"]]
    head, changes = (
        subprocess.run(c, capture_output=True, text=True, cwd=RECORD.parent, check=True).stdout
        for c in asked
    )
    return head.strip() + (" and changes" if changes.strip() else "")


def test_the_record_says_when_a_gpu_agreed_or_that_none_was_asked():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record.keys() == {"about", "passed"}
    if record["passed"] is not None:
        assert record["passed"].keys() == {"date", "device", "driver", "commit", "instructions"}
        assert set(record["passed"]["instructions"]) == set(CASES), "run it again on a GPU"
