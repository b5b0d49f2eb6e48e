"""Tensor maps: matrices as the tensor memory accelerator sees them (csrc/cuda/hopper.cuh)."""

from __future__ import annotations

import ctypes
import struct
import sys

from tinygrad_mmb.backend import Array
from tinygrad_mmb.backend.arrays import on_device
from tinygrad_mmb.kernels.launch.arguments import ByValue, address

BYTES, ALIGNMENT = 128, 64  # of a CUtensorMap
SWIZZLE = 128  # bytes of a row of the box: the only kind that the kernels use
DATA_TYPES = {"float16": 6, "float32": 7, "uint16": 9}  # uint16 holds the bits of bfloat16


def tensor_map(matrix: Array, box_rows: int, box_cols: int) -> ByValue:
    """The matrix, (rows, cols) with contiguous rows, in boxes of so many rows and columns.

    Raises: ValueError where TMA cannot reach the matrix: its start and its rows must lie at
        multiples of 16 bytes.
    """
    rows, cols = matrix.shape
    start, row_bytes = address(matrix), matrix.strides[0] if rows > 1 else around(matrix)
    contiguous = cols == 1 or matrix.strides[1] == matrix.itemsize
    if not contiguous or start % 16 or row_bytes % 16 or row_bytes <= 0 or 0 in matrix.shape:
        raise ValueError(
            f"tensor_map: a matrix of shape {matrix.shape} with strides {matrix.strides} at "
            f"address {start:#x}; TMA needs contiguous rows at multiples of 16 bytes. Copy it "
            "with rows padded to such, or use a variant without TMA (09_tensor_cores.cu)."
        )
    made = encoded if on_device(matrix) else emulated
    return ByValue.of(made(matrix, start, row_bytes, box_rows, box_cols), (matrix,))


def emulated(matrix: Array, start: int, row_bytes: int, box_rows: int, box_cols: int) -> bytes:
    """The emulator's TensorMap, as csrc/cuda/hopper.cuh lays it out."""
    sizes = (*matrix.shape, row_bytes, box_rows, box_cols, matrix.itemsize)
    return struct.pack("=QqqqiiiI80x", start, *sizes, SWIZZLE)


def around(matrix: Array) -> int:
    """The bytes of its only row, up to the next multiple of 16: where a second would begin."""
    return -(-matrix.shape[1] * matrix.itemsize // 16) * 16


def encoded(matrix: Array, start: int, row_bytes: int, box_rows: int, box_cols: int) -> bytes:
    """What the driver makes of it. Raises RuntimeError if it refuses."""
    rows, cols = matrix.shape
    memory = ctypes.create_string_buffer(BYTES + ALIGNMENT)
    place = -(-ctypes.addressof(memory) // ALIGNMENT) * ALIGNMENT
    none, swizzle_128, l2_128 = 0, 3, 2
    error = driver().cuTensorMapEncodeTiled(
        ctypes.c_void_p(place),
        ctypes.c_int(DATA_TYPES[matrix.dtype.name]),
        ctypes.c_uint32(2),
        ctypes.c_void_p(start),
        (ctypes.c_uint64 * 2)(cols, rows),
        (ctypes.c_uint64 * 1)(row_bytes),
        (ctypes.c_uint32 * 2)(box_cols, box_rows),
        (ctypes.c_uint32 * 2)(1, 1),
        *map(ctypes.c_int, (none, swizzle_128, l2_128, none)),
    )
    if error:
        raise RuntimeError(
            f"tensor_map: cuTensorMapEncodeTiled refuses a matrix of shape {matrix.shape} in boxes "
            f"of ({box_rows}, {box_cols}) with CUDA error {error}."
        )
    return ctypes.string_at(place, BYTES)


def driver() -> ctypes.CDLL:
    """The CUDA driver, which CuPy has loaded already."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
