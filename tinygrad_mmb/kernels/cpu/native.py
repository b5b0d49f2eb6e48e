"""The compiled module below the CPU twins, and how a twin declares itself.

It exists in variants for several sets of instructions; the fastest that this processor has is used,
or the one that MMB_CPU_ISA names: generic, avx2, avx512.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tinygrad_mmb.backend import allocator, threads
from tinygrad_mmb.backend.extension import load
from tinygrad_mmb.kernels.registry import kernel

F = TypeVar("F", bound=Callable[..., Any])
native: Any = load("cpu").module  # None without a compiler at installation: there are no twins then
# Whether arrays (None is left out) have one dtype, float32 or float64, and lie where the processor
# expects numbers of that size, in this machine's order of bytes
are_floats: Any = getattr(native, "are_floats", None)
threads.begin()
if native:
    allocator.begin()


def cpu_kernel(
    key: str, *, accepts: Callable[..., bool] = lambda *args, **options: True
) -> Callable[[F], F]:
    """Declare the function below as the C++ twin of `key`, if the C++ is there."""
    return kernel(key, backend="cpu", accepts=accepts) if native else lambda run: run
