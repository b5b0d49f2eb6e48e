"""C++ twins of what every recorded call and every step of an optimizer goes through, if _cpu is.

They take the same steps in the same order (csrc/cpu/engine), and hand rare calls back to the Python
functions, which stay the definition: read those. With MMB_KERNELS=reference in the environment, or
any other kernels than these, nothing but Python runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import anomaly, differentiate, engine, promotion
from tinygrad_mmb.autograd.function import Context, Function, _Output, refuse_unfit
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.hooks import run_hooks
from tinygrad_mmb.autograd.storage import Storage, clock
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import as_array
from tinygrad_mmb.backend.arrays import on_device
from tinygrad_mmb.backend.extension import load
from tinygrad_mmb.kernels import recorder, registry
from tinygrad_mmb.nn import module
from tinygrad_mmb.nn.parameter import Parameter
from tinygrad_mmb.optim import gathering

# promotions that leave operands alone which `promotion.agree` and are floats
KEEP = (
    *(promotion.common, promotion.floating, promotion.kept, promotion.floats_only),
    *(promotion.difference, promotion.product, promotion.quotient, promotion.power),
)
WALKS = (  # the methods by which a Module finds its parameters
    *("parameters", "named_parameters", "_within", "named_modules"),
    *("_own_modules", "_own_parameters"),
)
CROSS_ENTROPY = sys.modules["tinygrad_mmb.ops.cross_entropy"]  # ops has functions of these names
LINEAR = sys.modules["tinygrad_mmb.ops.linear"]
# where each twin stands in, under its name there
PLACES: dict[str, tuple[Any, ...]] = {
    "apply": (Function,),
    "save_for_backward": (Context,),
    "saved_tensors": (Context,),
    "needs_input_grad": (Context,),
    "chain_rule": (engine, differentiate),
    "fill_gradients": (differentiate,),
    "count": (registry,),
    "parameters_of": (module,),
    "forget_gradients": (differentiate,),
    "with_gradient": (gathering,),
    "gathered": (gathering,),
    "noted": (gathering,),
    "require_affine": (LINEAR,),
    "are_usual": (CROSS_ENTROPY,),
}
PYTHON = {name: vars(places[0])[name] for name, places in PLACES.items()}
AS_IN_PYTHON: dict[type, Callable[[Any], Any]] = {  # what each kind in PYTHON is around a function
    classmethod: classmethod,
    property: property,
    FunctionType: lambda function: function,
}


def parts() -> dict[str, Any]:
    """What the twins need of the Python side."""
    pinned = registry.DEFAULT.backend
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
        "Module": module.Module,
        "Parameter": Parameter,
        "WithExtras": registry.WithExtras,
        "registry": vars(registry),
        "unasked": registry._unasked[registry.HOST],
        "fits": ("place", registry.HOST) if pinned is None else ("backend", pinned),
        "pin": registry._pin,
        "any_pin": registry.DEFAULT,
        "select": registry.select,
        **{name: below(value) for name, value in PYTHON.items()},
        "clock": clock,
        "fitted": engine.fitted,
        "start": engine.Start(()),
        "as_array": as_array,
        "run_hooks": run_hooks,
        "recording": recording,
        "watching": anomaly.watching,
        "modules": sys.modules,
        "on_device": on_device,
        "quick_promotions": set(KEEP),
        "recorder": vars(recorder),
        "small": {op: (op.forward, op.backward) for op in small},
        "setups": {op: op.setup_context for op in (LINEAR.Linear, LINEAR.LinearRelu)},
        "walks": {name: vars(module.Module)[name] for name in WALKS},
        "setup_nothing": Function.setup_context,
        "setup_inputs": Fused.setup_context,
        "arrays_of": vars(Function)["arrays_of"].__func__,
        "refuse_unfit": refuse_unfit,
    }


def below(value: Any) -> Any:
    """The function below a classmethod or property."""
    return getattr(value, "__func__", None) or getattr(value, "fget", None) or value


def use_compiled(wanted: bool = True) -> bool:
    """Put the twins in place, or the Python functions back; whether the twins are in place now."""
    free = registry.DEFAULT.backend in (None, "cpu")
    native = load("cpu").module if wanted and free else None
    twins: dict[str, Any] = dict(PYTHON)
    if native is not None:
        twins = native.engine_twins(parts())
        twins = {name: AS_IN_PYTHON[type(PYTHON[name])](twin) for name, twin in twins.items()}
    for name, places in PLACES.items():
        for place in places:
            setattr(place, name, twins[name])
    return native is not None
