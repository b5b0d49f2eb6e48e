"""Memory that no twin of NumPy arrays reads: off by a byte, or in the other order of bytes.

A Tensor cannot hold the latter, but an op may be called with such an array.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.kernels.test_twins import OPS, TWINS, UPDATES, VARIANTS
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.kernels import registry


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


FORWARD = [p for p in TWINS if p.values[0].key in OPS]


@pytest.mark.parametrize("twin", FORWARD)
def test_a_twin_takes_aligned_memory_alone_in_the_order_of_the_machine(twin):
    assert accepted(twin) > 0
    assert accepted(twin, off_by_a_byte) == 0
    assert accepted(twin, other_order) == 0


@pytest.mark.parametrize("which", ["inputs", "gradient"])
@pytest.mark.parametrize("twin", FORWARD)
def test_off_by_a_byte_there_or_back_it_computes_the_same(twin, which):
    op = OPS[twin.key]
    for args in op.samples(np.random.default_rng(0), 64):
        results = []
        for backend, move in ((twin.backend, off_by_a_byte), (registry.REFERENCE, np.copy)):
            there = move if which == "inputs" else np.copy
            inputs = [
                tm.from_numpy(there(a)).requires_grad_(a.dtype.kind == "f") if is_array(a) else a
                for a in args
            ]
            with tm.use_kernels(backend):
                y = op.apply(*inputs)
                y = y[0] if type(y) is tuple else y
                if y.requires_grad:
                    g = np.cos(np.arange(y.numel())).reshape(y.shape)
                    y.backward(tm.from_numpy(move(g) if which == "gradient" else g))
            grads = [x.grad for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
            results.append([v.detach().numpy() for v in (y, *grads) if v is not None])
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("which", ["parameter", "gradient", "state"])
@pytest.mark.parametrize("twin", UPDATES)
def test_off_by_a_byte_an_update_goes_the_same_way(twin, which):
    name = twin.key.removesuffix(".update")
    for options in VARIANTS[name]:
        results = []
        for backend, move in ((twin.backend, off_by_a_byte), (registry.REFERENCE, np.copy)):
            numbers = np.random.default_rng(0).standard_normal((2, 71))
            theta, g = (
                tm.from_numpy(move(a) if which == what else a.copy())
                for what, a in zip(("parameter", "gradient"), numbers, strict=True)
            )
            theta.requires_grad_()
            optimizer = getattr(tm.optim, name)([theta], **options)
            with tm.use_kernels(backend):
                for _ in range(3):
                    theta.grad = g
                    optimizer.step()
                    for key, value in optimizer.state[theta].items():
                        if which == "state" and value.ndim:
                            optimizer.state[theta][key] = tm.from_numpy(move(value.numpy()))
            memory = optimizer.state[theta].values()
            results.append([theta.detach().numpy(), *[v.numpy() for v in memory]])
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
