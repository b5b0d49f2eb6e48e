"""Operands on several devices: one number on the CPU is sent along, anything else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.backend import cpu, device_of, is_array, refuse_mixed_devices

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.function import Function


def brought_together(function: type[Function], inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The inputs with 0-d Tensors of the CPU sent to the others' GPU; None if nothing is to move.

    PyTorch's rule, for elementwise operations: x_cuda * tensor(2.0).
    Raises: RuntimeError naming the devices for all other operands on several.
    """
    arrays = [x.array if isinstance(x, tensors.Tensor) else x for x in inputs]
    arrays = [a for a in arrays if is_array(a)]
    places = {device_of(a) for a in arrays}
    if len(places) < 2:
        return None
    strong = {device_of(a) for a in arrays if a.ndim}
    if function.promotion is None or len(strong) != 1:
        refuse_mixed_devices(arrays)
    (there,) = strong
    if there.type == "cpu" or any(place not in (there, cpu) for place in places):
        refuse_mixed_devices(arrays)
    return tuple([ops.to_device(x, there) if isinstance(x, tensors.Tensor) else x for x in inputs])
