"""One call in PyTorch and here: same values, dtypes, shapes and gradients, or the same error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm

RELATIVE = {"float64": 1e-9, "float32": 1e-5, "float16": 2e-3}  # a few units in the last place


def same_as_torch(f: Callable[..., Any], *arrays: Any) -> None:
    """f(torch, *tensors) and f(tm, *tensors) agree; floating-point inputs ask for a gradient."""
    torch = pytest.importorskip("torch")
    theirs, their_inputs = outcome(torch, torch.from_numpy, f, arrays)
    ours, our_inputs = outcome(tm, tm.from_numpy, f, arrays)
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert kind(ours) == kind(theirs), f"{ours!r} instead of {theirs!r}"
        return
    for y, expected in zip(flat(ours), flat(theirs), strict=True):
        compare(y, expected)
    for g, expected in zip(
        gradients(tm, ours, our_inputs), gradients(torch, theirs, their_inputs), strict=True
    ):
        assert (g is None) == (expected is None)
        if g is not None:
            compare(g, expected)


def outcome(module: Any, make: Any, f: Any, arrays: Any) -> tuple[Any, list[Any]]:
    inputs = [make(a.copy()) for a in arrays]
    inputs = [
        x.requires_grad_() if a.dtype.kind == "f" else x
        for a, x in zip(arrays, inputs, strict=True)
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both warn about degrees of freedom, in other words
            return f(module, *inputs), inputs
    except Exception as error:
        return error, inputs


def kind(result: Any) -> str:
    return type(result).__name__.lstrip("_") if isinstance(result, Exception) else "an answer"


def flat(y: Any) -> list[Any]:
    return [p for part in y for p in flat(part)] if isinstance(y, tuple) else [y]


def gradients(module: Any, y: Any, inputs: list[Any]) -> list[Any]:
    """Of Σ y², through every output that has a gradient."""
    ys = [p for p in flat(y) if getattr(p, "requires_grad", False)]
    xs = [x for x in inputs if x.requires_grad]
    if not ys or not xs:
        return []
    loss = sum((p * p).sum() for p in ys)
    return list(module.autograd.grad(loss, xs, allow_unused=True))


def compare(y: Any, expected: Any) -> None:
    a, b = y.detach().numpy(), expected.detach().numpy(force=True)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    tolerance = RELATIVE.get(str(a.dtype), 0.0)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
