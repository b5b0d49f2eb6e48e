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
    for size in (4, 64):  # some twins leave small arrays to NumPy
        for dtype, tolerance in TOLERANCE.items():
            for args in op.samples(np.random.default_rng(0), size):
                args = [cast(a, dtype) for a in args]
                expected = results(op, args, registry.REFERENCE)
                found = results(op, args, twin.backend)
                for e, f in zip(expected, found, strict=True):
                    assert (e is None) == (f is None)
                    if e is not None:
                        assert (e.dtype, e.shape) == (f.dtype, f.shape)
                        np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)
        if twin.calls > before:
            return
    pytest.fail(f"the {twin.backend} twin of {twin.key} took none of the samples")


# For each "<Optimizer>.update": what to construct it with, so that every branch of it runs.
VARIANTS = {
    "SGD": [
        {"lr": 0.1, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        *[{"lr": 0.1, "momentum": 0.9, "momentum_form": f} for f in ("polyak", "ema")],
        {"lr": 0.1, "momentum": 0.9, "momentum_form": "velocity_ema"},
    ],
    "Adam": [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "eps_mode": "inside"},
    ],
    "AdamW": [{"lr": 0.1}, {"lr": 0.1, "amsgrad": True, "maximize": True}],
    "RMSprop": [
        {},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"centered": True, "maximize": True},
        {"centered": True, "momentum": 0.9},
    ],
    "Adagrad": [{"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1, "maximize": True}],
}
UPDATES = [
    pytest.param(twin, id=f"{twin.backend}-{key}")
    for key in registry.keys()  # noqa: SIM118 - a function
    for twin in registry.twins(key)
    if twin.place != registry.DEVICE and key.endswith(".update")
]


def steps(name, options, backend, dtype):
    """Parameters and states after four steps; one parameter got no gradient at the second."""
    rng = np.random.default_rng(0)
    shapes = (3, 2), (), (1,), (0,), (71,)
    params = [tm.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]
    optimizer = getattr(tm.optim, name)(params, **options)
    with tm.use_kernels(backend):
        for t in range(4):
            for k, p in enumerate(params):
                p.grad = None if (t, k) == (1, 0) else tm.tensor(np.sin(3 * p.detach().numpy() + t))
            optimizer.step()
    memory = [v for p in params for v in optimizer.state[p].values()]
    return [p.detach().numpy() for p in (*params, *memory)]


@pytest.mark.parametrize("twin", UPDATES)
def test_a_twin_of_an_update_goes_the_way_of_its_reference(twin):
    name = twin.key.removesuffix(".update")
    for options in VARIANTS[name]:
        for dtype, tolerance in {"float64": 1e-13, "float32": 5e-6, "float16": 0.02}.items():
            before = twin.calls
            expected = steps(name, options, registry.REFERENCE, dtype)
            found = steps(name, options, twin.backend, dtype)
            for e, f in zip(expected, found, strict=True):
                assert (e.dtype, e.shape) == (f.dtype, f.shape)
                np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)
            assert twin.calls > before or dtype == "float16", f"declined {options} in {dtype}"


EXTREMES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e30, -1e-30]


def steps_from_extremes(name, options, backend, dtype):
    """Parameters and states after three steps from every pair of a parameter and a gradient."""
    theta, g = (a.ravel().astype(dtype) for a in np.meshgrid(EXTREMES, EXTREMES))
    p = tm.tensor(theta, requires_grad=True)
    optimizer = getattr(tm.optim, name)([p], **options)
    with tm.use_kernels(backend):
        for _ in range(3):
            p.grad = tm.tensor(g)
            optimizer.step()
    return [p.detach().numpy(), *[v.numpy() for v in optimizer.state[p].values()]]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("twin", UPDATES)
def test_infinities_and_nan_go_the_way_of_the_reference(twin, dtype):
    """A decay of 0 takes no part: 0 · ∞ would be NaN."""
    name, before = twin.key.removesuffix(".update"), twin.calls
    for options in ({"lr": 0.1}, *VARIANTS[name]):
        with np.errstate(all="ignore"):
            expected = steps_from_extremes(name, options, registry.REFERENCE, dtype)
            found = steps_from_extremes(name, options, twin.backend, dtype)
        for e, f in zip(expected, found, strict=True):
            # what is tiny may be flushed to zero
            np.testing.assert_allclose(f, e, rtol=1e-4, atol=float(np.finfo(dtype).tiny))
    assert twin.calls > before
