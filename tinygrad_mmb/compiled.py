"""C++ twins of `Function.apply`, the chain rule and the gathering of optimizers, where _cpu is.

They take the same steps in the same order (csrc/cpu/engine), and hand rare calls back to the Python
functions, which stay the definition: read those. With MMB_KERNELS=reference in the environment, or
any other kernels than these, nothing but Python runs.
"""

from __future__ import annotations

import sys
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import anomaly, differentiate, engine, promotion
from tinygrad_mmb.autograd.function import Context, Function, _Output
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.hooks import run_hooks
from tinygrad_mmb.autograd.storage import Storage, clock
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import as_array
from tinygrad_mmb.backend.extension import load
from tinygrad_mmb.kernels import recorder, registry
from tinygrad_mmb.optim import gathering

# promotions that leave operands alone which `promotion.agree` and are floats
KEEP = (
    *(promotion.common, promotion.floating, promotion.kept, promotion.floats_only),
    *(promotion.difference, promotion.product, promotion.quotient, promotion.power),
)
# where each twin stands in, under its name there
PLACES: dict[str, tuple[Any, ...]] = {
    "apply": (Function,),
    "chain_rule": (engine, differentiate),
    "fill_gradients": (differentiate,),
    "gathered": (gathering,),
    "noted": (gathering,),
}
PYTHON = {name: vars(places[0])[name] for name, places in PLACES.items()}


def parts() -> dict[str, Any]:
    """What the twins need of the Python side."""
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
        **{name: PYTHON[name] for name in ("fill_gradients", "gathered", "noted")},
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
    }


def use_compiled(wanted: bool = True) -> bool:
    """Put the twins in place, or the Python functions back; whether the twins are in place now."""
    free = registry.DEFAULT.backend in (None, "cpu")
    native = load("cpu").module if wanted and free else None
    twins: dict[str, Any] = dict(PYTHON)
    if native is not None:
        twins = native.engine_twins(parts())
        twins["apply"] = classmethod(twins["apply"])
    for name, places in PLACES.items():
        for place in places:
            setattr(place, name, twins[name])
    return native is not None
