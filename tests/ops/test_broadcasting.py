"""Broadcasting is expanding first, in both directions."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops import table
from tests.ops.outcomes import assert_close, few_and_many, outcome, quietly
from tests.ops.table import for_all
from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import wrap

BROADCASTING = {
    **{name: getattr(ops, name) for name in table.BINARY if name not in ("allclose", "equal")},
    "where": lambda x, y: ops.where(x > y, x, y * y),
    "clamp": lambda x, y: ops.clamp(x, min=y),
    "clip": lambda x, y: ops.clip(x, max=y),
    "masked_fill": lambda x, y: ops.masked_fill(x + 0 * y, y > 0, 2.0),
    "add with alpha": lambda x, y: ops.add(x, y, alpha=3),
    "matmul": lambda x, y: ops.matmul(
        ops.stack([x, x * x], -1).unsqueeze(-1), ops.stack([y, 2 * y], -1).unsqueeze(-2)
    ),
    "+=": lambda x, y: (x + 0 * y).add_(y),
    "[...] =": lambda x, y: assigned(x + 0 * y, y),
}


def assigned(x, y):
    x[...] = y
    return x * x


@few_and_many
@pytest.mark.parametrize("name", BROADCASTING)
def test_broadcasting_is_expanding_first_in_both_directions(name, effort):
    f = BROADCASTING[name]
    dtype = "int64" if name.startswith("bitwise") else "float64"

    def holds(data):
        shapes = data.draw(table.pairs_of_shapes)
        a, b = (data.draw(table.arrays(s, dtype)) for s in shapes)
        full = np.broadcast_shapes(*shapes)

        def result(expand):
            xs = [wrap(x).requires_grad_() if dtype == "float64" else wrap(x) for x in (a, b)]
            operands = [x.expand(full) for x in xs] if expand else xs
            y = quietly(f, *operands)
            if not y.requires_grad:
                return y, []
            # floor_divide has no gradient, as in PyTorch, and says so
            gs = outcome(tm.autograd.grad, (y * y.detach().cos()).sum(), xs, allow_unused=True)
            return y, gs if isinstance(gs, type) else [g for g in gs if g is not None]

        y, gs = result(expand=False)
        expected, expected_gs = result(expand=True)
        assert_close(y, expected, 1e-12)
        if isinstance(gs, type):
            assert expected_gs is gs is NotImplementedError and name == "floor_divide"
        else:
            assert_close(gs, expected_gs, 1e-11)

    for_all(effort, holds)
