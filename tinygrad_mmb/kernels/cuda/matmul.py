"""Products of matrices: the twin of MatMul, and every step of the ladder by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.ladder import Step, enter
from tinygrad_mmb.kernels.cuda.matmul_launch import (
    MMA,
    ONE,
    SIMT,
    WGMMA,
    for_tensor_cores,
    product,
    simt_product,
    strides_of,
    tensor_core_product,
    wgmma_product,
)
from tinygrad_mmb.kernels.cuda.matmul_plan import (
    DOUBLE,
    LARGE,
    MEDIUM,
    REGISTERS,
    SM75,
    SM80,
    SM90,
    SMALL,
    TALL,
    WIDE,
    Plan,
    Tile,
    capability,
    ceil,
)
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    int64,
    is_float,
)

LONGEST = 2**31  # the sizes of a matrix are C's int


def fits(a: Array, b: Array) -> bool:
    """Whether the kernels multiply these; the reference says what is wrong with others."""
    if not is_float(a, b) or not a.ndim or not b.ndim:
        return False
    if a.shape[-1] != (b.shape[0] if b.ndim == 1 else b.shape[-2]):
        return False
    if any(m != n and 1 not in (m, n) for m, n in zip(a.shape[-3::-1], b.shape[-3::-1])):  # noqa: B905
        return False
    return max(a.size, b.size) < LONGEST and max((*a.shape, *b.shape), default=0) < LONGEST


@cuda_kernel("MatMul", accepts=fits)
def matmul(a: Array, b: Array) -> Array:
    row, column = a.ndim == 1, b.ndim == 1
    a, b = a[None, :] if row else a, b[:, None] if column else b
    if a.ndim > 2 and b.ndim == 2:  # one matrix b for the whole batch: one tall product
        y = product(folded(a), b).reshape(*a.shape[:-1], b.shape[1])
    else:
        y = product(a, b)
    shape = y.shape[:-2] + (() if row else y.shape[-2:-1]) + (() if column else y.shape[-1:])
    return y.reshape(shape)


def folded(a: Array) -> Array:
    """All rows of a batch as one matrix: a view if they lie evenly, else a copy."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


@dataclass(frozen=True)
class Variant:
    """One step of the ladder, or one form of it: what tests and benchmarks enumerate."""

    name: str
    file: str
    dtype: str  # of the operands; "bfloat16" comes as the uint16 that hold its bits
    capability: tuple[int, int]  # the least; SM90 means exactly this: later GPUs lack wgmma
    run: Callable[[Array, Array], Array]  # (M, K) and (K, N) → (M, N)
    b_transposed: bool = False  # b must be the transpose of a matrix with contiguous rows
    unit: float = 2.0**-24  # half a unit in the last place of what is summed
    rounding: float = 0.0  # the same of tf32 operands, or of a result of 16 bits

    def runs_on(self, capability: tuple[int, int]) -> bool:
        """Whether GPUs of this compute capability have what it takes."""
        if self.capability == SM90:
            return capability == SM90
        return capability >= self.capability

    def bound(self, depth: int) -> float:
        """How far the product may be off, as a share of |A| |B|, for `depth` terms in a sum."""
        return (depth + 2) * self.unit + 2.0 * self.rounding


VARIANTS: dict[str, Variant] = {}
HALF, BRAIN, TF32 = 2.0**-11, 2.0**-8, 2.0**-11  # half a unit in the last place


def matmul_variant(name: str, a: Array, b: Array) -> Array:
    """The product of two matrices by one step of the ladder.

    Raises: ValueError for an unknown name or for operands that the step does not take;
        RuntimeError where the GPU is too old for it.
    """
    return checked(name, a, b).run(a, b)


def checked(name: str, a: Array, b: Array) -> Variant:
    """The variant, if it takes these operands here. Raises: as matmul_variant."""
    variant = VARIANTS.get(name)
    if variant is None:
        raise ValueError(
            f"matmul_variant({name!r}): no such variant. There are {', '.join(VARIANTS)}."
        )
    held = "uint16" if variant.dtype == "bfloat16" else variant.dtype
    if (a.dtype.name, b.dtype.name) != (held, held) or (a.ndim, b.ndim) != (2, 2):
        raise ValueError(
            f"matmul_variant({name!r}): takes two matrices of {variant.dtype} (in {held}), but got "
            f"{a.dtype} {a.shape} and {b.dtype} {b.shape}."
        )
    if a.shape[1] != b.shape[0]:
        raise ValueError(
            f"matmul_variant({name!r}): shapes {a.shape} and {b.shape}; the columns of the first "
            "must be as many as the rows of the second."
        )
    if not variant.runs_on(capability(a)):
        (major, minor), own = variant.capability, capability(a)
        exactly = " exactly" if variant.capability == SM90 else ""
        raise RuntimeError(
            f"matmul_variant({name!r}): needs compute capability {major}.{minor}{exactly}, but "
            f"this GPU has {own[0]}.{own[1]}. Use a variant of an earlier step."
        )
    return variant


def _simple(kernel: str, file: str, tile: tuple[int, int], block: tuple[int, ...]) -> None:
    """Enter one of the steps 01 to 07: row by row, one block a tile."""

    def run(a: Array, b: Array) -> Array:
        a, b = with_rows(a), with_rows(b)
        (rows, depth), cols = a.shape, b.shape[1]
        y = namespace(a).empty((rows, cols), dtype=a.dtype)
        grid = ceil(rows, tile[0]), ceil(cols, tile[1])
        if grid[1] > 65535:
            raise ValueError(
                f"matmul_variant({kernel!r}): {cols} columns are {grid[1]} tiles, but a grid has "
                "at most 65535 in its second dimension. Use double_buffered."
            )
        sizes = map(int32, (rows, cols, depth))
        strides = map(int64, (strides_of(a)[0], strides_of(b)[0], cols))
        cuda_function(f"matmul/{file}.cu", f"matmul_{kernel}_f32")(
            grid, block, (y, a, b, *sizes, *strides)
        )
        return y

    VARIANTS[kernel] = Variant(kernel, f"matmul/{file}.cu", "float32", (7, 5), run)


def with_rows(x: Array) -> Array:
    """x with contiguous rows: itself, or a copy."""
    return x if strides_of(x)[1] == 1 else contiguous(x)


def _tile(name: str, dtype: str, tile: Tile, least: tuple[int, int], splits: int = 1) -> None:
    """Enter step 08 with one of its tiles."""

    def run(a: Array, b: Array) -> Array:
        y = namespace(a).empty((a.shape[0], b.shape[1]), dtype=a.dtype)
        return y if y.size == 0 else simt_product(y, a, b, None, None, ONE, Plan(tile, splits))

    unit = 2.0**-53 if dtype == "float64" else 2.0**-24
    rounding = HALF if dtype == "float16" else 0.0
    VARIANTS[name] = Variant(name, SIMT, dtype, least, run, unit=unit, rounding=rounding)


def _tensor_cores(name: str, number: str, dtype: str, rounding: float) -> None:
    """Enter step 09 for one kind of number."""

    def run(a: Array, b: Array) -> Array:
        a, b = for_tensor_cores(a), for_tensor_cores(b)
        y = namespace(a).empty((a.shape[0], b.shape[1]), dtype=a.dtype)
        return y if y.size == 0 else tensor_core_product(y, a, b, None, None, ONE, number)

    VARIANTS[name] = Variant(name, MMA, dtype, SM80, run, rounding=rounding)


def _wgmma(
    name: str, number: str, dtype: str, rounding: float, cols: int = 256, cluster: int = 1
) -> None:
    """Enter step 10 in one form."""

    def run(a: Array, b: Array) -> Array:
        y = namespace(a).empty((a.shape[0], b.shape[1]), dtype=a.dtype)
        return wgmma_product(y, a, b, number, cols=cols, cluster=cluster)

    VARIANTS[name] = Variant(name, WGMMA, dtype, SM90, run, b_transposed=True, rounding=rounding)


for _kernel, _file, _size, _block in (
    ("naive", "01_naive", (16, 16), (16, 16)),
    ("coalesced", "02_coalesced", (8, 32), (32, 8)),
    ("shared", "03_shared_memory", (32, 32), (32, 32)),
    ("register_1d", "04_register_tile_1d", (64, 64), (512,)),
    ("register_2d", "05_register_tile_2d", (128, 128), (256,)),
    ("vectorised", "06_vectorised", (128, 128), (256,)),
    ("warp_tiles", "07_warp_tiles", (128, 128), (256,)),
):
    _simple(_kernel, _file, _size, _block)
for _form in (LARGE, MEDIUM, SMALL, WIDE, TALL):
    _tile(f"double_buffered_{_form.name}", "float32", _form, SM80)
_tile("double_buffered_splits", "float32", SMALL, SM80, splits=3)
_tile("double_buffered_medium_registers", "float32", REGISTERS["medium"], SM75)
_tile("double_buffered_small_registers", "float32", REGISTERS["small"], SM75)
_tile("double_buffered_f64", "float64", DOUBLE, SM80)
_tile("double_buffered_f64_registers", "float64", REGISTERS["double"], SM75)
_tile("double_buffered_f16_medium", "float16", REGISTERS["medium"], SM75)
_tile("double_buffered_f16_small", "float16", REGISTERS["small"], SM75)
VARIANTS["double_buffered"] = Variant("double_buffered", SIMT, "float32", SM75, product)
_tensor_cores("tf32_mma", "tf32", "float32", TF32)
_tensor_cores("f16_mma", "f16", "float16", HALF)
_tensor_cores("bf16_mma", "bf16", "bfloat16", BRAIN)
_wgmma("bf16_wgmma", "bf16", "bfloat16", BRAIN)
_wgmma("bf16_wgmma_cluster2", "bf16", "bfloat16", BRAIN, cluster=2)
_wgmma("bf16_wgmma_n128", "bf16", "bfloat16", BRAIN, cols=128)
_wgmma("f16_wgmma", "f16", "float16", HALF)
_wgmma("f16_wgmma_cluster2", "f16", "float16", HALF, cluster=2)
_wgmma("tf32_wgmma", "tf32", "float32", 2 * TF32)  # cut off, not rounded
_wgmma("tf32_wgmma_cluster2", "tf32", "float32", 2 * TF32, cluster=2)


def _step(variant: Variant) -> Step:
    def prepare(a: Array, b: Array) -> partial[Array]:
        run = checked(variant.name, a, b).run
        return partial(run, a, b.T.copy().T if variant.b_transposed else b)

    number = "tf32" if variant.name.startswith("tf32") else variant.dtype
    return Step(variant.file, variant.name, prepare, number)


enter("MatMul", *[_step(v) for v in VARIANTS.values()])
