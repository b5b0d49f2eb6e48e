"""Every twin against its reference, on the samples of its op, by walking the kernel table."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.function import all_functions
from tinygrad_mmb.autograd.tensor import wrap
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.kernels import registry

OPS = {op.__name__: op for op in all_functions() if op.__module__.startswith("tinygrad_mmb.")}
TWINS = [
    pytest.param(twin, id=f"{twin.backend}-{key}")
    for key in registry.keys()  # noqa: SIM118 - a function
    for twin in registry.twins(key)
    if twin.place != registry.DEVICE and key.partition(".")[0] in OPS
]
# Sums of a few dozen numbers of size 1: a few times the spacing of floats at 1, times their count.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-2}


def cast(value, dtype):
    return value.astype(dtype) if is_array(value) and value.dtype.kind == "f" else value


def results(op, args, backend):
    """Outputs and gradients, on one backend; the gradient of output k is cos(k + 0, 1, 2, ...)."""
    inputs = [
        wrap(a.copy()).requires_grad_(a.dtype.kind == "f") if is_array(a) else a for a in args
    ]
    with tm.use_kernels(backend):
        outputs = op.apply(*inputs)
        outputs = outputs if type(outputs) is tuple else (outputs,)
        heads = [y for y in outputs if y.requires_grad]
        gs = [tm.tensor(np.cos(np.arange(y.numel()) + k).reshape(y.shape), dtype=y.dtype)
              for k, y in enumerate(heads)]  # fmt: skip
        if heads:
            tm.autograd.backward(heads[:1], gs[:1])  # the first alone, as in training
    gradients = [x.grad for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
    return [None if v is None else v.detach().numpy() for v in (*outputs, *gradients)]


@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_computes_what_its_reference_computes(twin):
    op = OPS[twin.key.partition(".")[0]]
    before = twin.calls
    for dtype, tolerance in TOLERANCE.items():
        for args in op.samples(np.random.default_rng(0), 4):
            args = [cast(a, dtype) for a in args]
            expected = results(op, args, registry.REFERENCE)
            found = results(op, args, twin.backend)
            for e, f in zip(expected, found, strict=True):
                assert (e is None) == (f is None)
                if e is not None:
                    assert (e.dtype, e.shape) == (f.dtype, f.shape)
                    np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)
    assert twin.calls > before, f"the {twin.backend} twin of {twin.key} took none of the samples"
