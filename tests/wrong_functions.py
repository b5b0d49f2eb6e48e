"""Functions whose derivatives are wrong on purpose: the checks of derivatives must catch them."""

from __future__ import annotations

import tinygrad_mmb as tm
from tinygrad_mmb.autograd import Function


class WrongCube(Function):
    """y = x³, with 2 x² for its slope."""

    @staticmethod
    def forward(x):
        return x * x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * x * g

    @staticmethod
    def samples(rng, n):
        yield (rng.standard_normal((n, 3)),)


class WrongSecondSlope(WrongCube):
    """y = x², right in the first order; in the second, backward has lost x."""

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * (x.detach() if isinstance(x, tm.Tensor) else x) * g
