"""C++ twins of `Function.apply` and of the chain rule, put in their place where _cpu is there.

They take the same steps in the same order (csrc/cpu/engine), and hand rare calls back to the Python
functions, which stay the definition: read those. With MMB_KERNELS=<backend> in the environment
nothing but Python runs.
"""

from __future__ import annotations

import sys
from typing import Any

from tinygrad_mmb.autograd import anomaly, differentiate, engine, promotion
from tinygrad_mmb.autograd.function import Context, Function, _Output
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.hooks import run_hooks
from tinygrad_mmb.autograd.storage import Storage, clock
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import as_array, float32, float64
from tinygrad_mmb.backend.extension import load
from tinygrad_mmb.kernels import recorder, registry

# promotions that leave operands alone which `promotion.agree` and are floats
KEEP = (
    *(promotion.common, promotion.floating, promotion.kept, promotion.floats_only),
    *(promotion.difference, promotion.product, promotion.quotient, promotion.power),
)
PYTHON: dict[str, Any] = {
    "apply": vars(Function)["apply"],
    "chain_rule": engine.chain_rule,
    "fill_gradients": differentiate.fill_gradients,
}


def parts() -> dict[str, Any]:
    """What the twins need of the Python side."""
    from tinygrad_mmb import ops

    small = [
        *(ops.elementwise.Add, ops.elementwise.Sub, ops.elementwise.Mul, ops.elementwise.Neg),
        *(ops.activation.Relu, ops.reduction.Sum),
    ]
    return {
        "Tensor": Tensor,
        "Context": Context,
        "AccumulateGrad": engine.AccumulateGrad,
        "Output": _Output,
        "Storage": Storage,
        "WithExtras": registry.WithExtras,
        "unasked": registry._unasked[registry.HOST],
        "pin": registry._pin,
        "any_pin": registry.DEFAULT,
        "select": registry.select,
        "apply": PYTHON["apply"].__func__,
        "chain_rule": PYTHON["chain_rule"],
        "fill_gradients": PYTHON["fill_gradients"],
        "clock": clock,
        "summed": engine.summed,
        "cast": ops.to,
        "as_array": as_array,
        "run_hooks": run_hooks,
        "recording": recording,
        "watching": anomaly.watching,
        "modules": sys.modules,
        "quick_promotions": set(KEEP),
        "recorder": vars(recorder),
        "small": {op: (op.forward, op.backward) for op in small},
        "setup_nothing": Function.setup_context,
        "arrays_of": vars(Function)["arrays_of"].__func__,
        "float32": float32,
        "float64": float64,
    }


def use_compiled(wanted: bool = True) -> bool:
    """Put the twins in place, or the Python functions back; whether the twins are in place now."""
    unpinned = registry.DEFAULT.backend is None
    native = load("cpu").module if wanted and unpinned else None
    twins = PYTHON if native is None else native.engine_twins(parts())
    apply = twins["apply"] if native is None else classmethod(twins["apply"])
    for where, name, function in (
        (Function, "apply", apply),
        (engine, "chain_rule", twins["chain_rule"]),
        (differentiate, "chain_rule", twins["chain_rule"]),
        (differentiate, "fill_gradients", twins["fill_gradients"]),
    ):
        setattr(where, name, function)
    return native is not None
