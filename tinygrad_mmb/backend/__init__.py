"""Where arrays live: NumPy on the CPU, CuPy on a GPU. Everything above asks here, nobody imports either."""

from tinygrad_mmb.backend.arrays import (
    Array,
    DType,
    as_array,
    as_dtype,
    bool_,
    expanded,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    is_array,
    is_floating,
    namespace,
    promote_types,
    set_default_dtype,
    share_memory,
    to_numpy,
    uint8,
)
from tinygrad_mmb.backend.device import cpu, device, device_of, to_device

__all__ = [
    "Array",
    "DType",
    "as_array",
    "as_dtype",
    "bool_",
    "cpu",
    "device",
    "device_of",
    "expanded",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_array",
    "is_floating",
    "namespace",
    "promote_types",
    "set_default_dtype",
    "share_memory",
    "to_device",
    "to_numpy",
    "uint8",
]
import numpy as _np
ARRAYS = (_np.ndarray,)
default_dtype = float32
