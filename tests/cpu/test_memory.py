"""Memory that the C++ twins do not read: off by a byte, or in the other order of bytes."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.test_twins import OPS
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = pytest.mark.skipif(native is None, reason="no C++ here")

TWINS = {twin.key: twin for key in registry.keys() for twin in registry.twins(key)  # noqa: SIM118
         if twin.backend == "cpu" and key in OPS}  # fmt: skip


def off_by_a_byte(value):
    """The same numbers where no processor expects numbers of their size."""
    if not is_array(value):
        return value
    memory = np.empty(value.nbytes + 1, np.uint8)[1:]
    moved = np.ndarray(value.shape, value.dtype, memory)
    moved[...] = value
    return moved


def other_order(value):
    return value.astype(value.dtype.newbyteorder("S")) if is_array(value) else value


def accepted(twin, moved=lambda value: value):
    """How many of the op's samples the twin takes, their arrays moved."""
    samples = OPS[twin.key].samples(np.random.default_rng(0), 64)
    return sum(twin.accepts(*map(moved, args)) for args in samples)


@pytest.mark.parametrize("key", TWINS)
def test_a_twin_takes_aligned_memory_alone_in_the_order_of_the_machine(key):
    assert accepted(TWINS[key]) > 0
    assert accepted(TWINS[key], off_by_a_byte) == 0
    assert accepted(TWINS[key], other_order) == 0


@pytest.mark.parametrize("key", TWINS)
@pytest.mark.parametrize("which", ["inputs", "gradient"])
def test_off_by_a_byte_there_or_back_computes_the_same(key, which):
    op = OPS[key]
    for args in op.samples(np.random.default_rng(0), 64):
        results = []
        for backend, moved in (("cpu", off_by_a_byte), (registry.REFERENCE, np.copy)):
            there = moved if which == "inputs" else np.copy
            inputs = [
                tm.from_numpy(there(a)).requires_grad_(a.dtype.kind == "f") if is_array(a) else a
                for a in args
            ]
            with tm.use_kernels(backend):
                y = op.apply(*inputs)
                y = y[0] if type(y) is tuple else y
                if y.requires_grad:
                    g = np.cos(np.arange(y.numel())).reshape(y.shape)
                    y.backward(tm.from_numpy(moved(g) if which == "gradient" else g))
            grads = [x.grad for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
            results.append([v.detach().numpy() for v in (y, *grads) if v is not None])
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
