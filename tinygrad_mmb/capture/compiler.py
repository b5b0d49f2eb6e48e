"""Whether plans are replayed in C++, and which ops a trace therefore looks into."""

from __future__ import annotations

from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native

# Twins that a compiled replay does without: it knows what they are made of. Those of optimizers are
# faster than an elementwise program and stay calls.
LOOKED_INTO = {"MatMul", "MatMul.backward", "Linear", "Linear.backward", "LinearRelu",
               "LinearRelu.backward", "LinearGelu", "LinearGelu.backward", "Sum", "Mean", "SumTo",
               "Amax", "Amin"}  # fmt: skip


def is_wanted() -> bool:
    """Whether plans made now are replayed in C++: it is there, and no other backend is pinned."""
    return native is not None and registry._pin.get().backend in (None, "cpu")


def is_looked_into(kernel: registry.Kernel) -> bool:
    """Whether a trace records the lines of an op rather than one call of this twin of it."""
    return kernel.backend == "cpu" and kernel.key in LOOKED_INTO and is_wanted()
