"""Products of matrices and reductions as calls that add them to a native.Replay: their arguments
(csrc/cpu/replay/matrices.hpp).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tinygrad_mmb.capture.layout import UnfitError, along, in_rows, is_float, where
from tinygrad_mmb.capture.plan import Instruction, Operand

REDUCTIONS = {"add.reduce": "add", "maximum.reduce": "maximum", "minimum.reduce": "minimum"}


def product(one: Instruction) -> tuple[Any, ...]:
    """Arguments of a product of matrices, or of one for each of the dimensions in front."""
    if one.options or not all(isinstance(x, Operand) and len(x.shape) > 1 for x in one.inputs):
        raise UnfitError
    a, b = one.inputs
    c = one.outputs[0]
    if not (is_float(c.dtype) and a.dtype == b.dtype == c.dtype) or not in_rows(c):
        raise UnfitError
    if 0 in (*a.shape, *b.shape) or any(s % c.dtype.itemsize for x in (a, b) for s in x.strides):
        raise UnfitError
    batch, (m, k), n = c.shape[:-2], a.shape[-2:], b.shape[-1]
    factors = []
    for x in (a, b):
        front = x._replace(shape=x.shape[:-2], strides=x.strides[:-2])
        strides = [*along(front, batch), *x.strides[-2:]]
        factors.append((x.buffer, x.offset, strides))
    return (c.dtype.name, list(batch), m, n, k, *factors, where(c), None, False, None, None)


def fused_product(one: Instruction) -> tuple[Any, ...]:
    """Arguments of a product with what comes after it (capture/product.py): all lie in rows."""
    a, b = one.inputs
    c, options = one.outputs[0], one.options
    shape = (a.shape[0], b.shape[1])
    strides = (shape[1] * a.dtype.itemsize, a.dtype.itemsize)
    matrices = {k: options[k] for k in ("add", "gate") if k in options}
    if not all(in_rows(x) for x in (c, *matrices.values())):
        raise UnfitError
    as_matrix = {"shape": shape, "strides": strides, "dtype": a.dtype}
    plain = replace(one, options={}, outputs=[c._replace(**as_matrix)])
    bias, add, gate = (
        where(x if key == "bias" else x._replace(**as_matrix)) if (x := options.get(key)) else None
        for key in ("bias", "add", "gate")
    )
    return (*product(plain)[:-4], bias, options.get("relu", False), add, gate)


def reduction(one: Instruction) -> tuple[Any, ...]:
    """Arguments of a reduction over neighbouring dimensions of an array in rows."""
    x, y = one.inputs[0], one.outputs[0]
    if set(one.options) - {"axis", "keepdims"} or len(one.inputs) != 1:
        raise UnfitError
    if not isinstance(x, Operand) or not is_float(x.dtype) or x.dtype != y.dtype:
        raise UnfitError
    axes = one.options.get("axis", 0)
    axes = range(len(x.shape)) if axes is None else axes if isinstance(axes, tuple) else (axes,)
    found = sorted({a % len(x.shape) for a in axes}) if x.shape else []
    together = found == list(range(found[0], found[-1] + 1)) if found else False
    if not together or 0 in x.shape or not (in_rows(x) and in_rows(y)):
        raise UnfitError
    outer, inner = math.prod(x.shape[: found[0]]), math.prod(x.shape[found[-1] + 1 :])
    count = math.prod(x.shape[found[0] : found[-1] + 1])
    name = REDUCTIONS[one.name]
    places = ((x.buffer, x.offset), (y.buffer, y.offset))
    return (x.dtype.name, name, outer, count, inner, *places)
