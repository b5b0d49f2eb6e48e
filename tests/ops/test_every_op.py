"""What every Function owes, by walking the table of them: nobody lists ops by hand."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.wrong_functions import WrongCube, WrongSecondSlope
from tinygrad_mmb.autograd.function import Function, all_functions
from tinygrad_mmb.autograd.gradcheck import GradcheckError, cases, gradcheck, gradgradcheck
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.kernels import registry

OPS = sorted(
    {op for op in all_functions() if op.__module__.startswith("tinygrad_mmb.")},
    key=lambda op: op.__qualname__,
)
NOT_A_FUNCTION_OF_VALUES = {"Replaced"}  # its first argument is memory; tested with the views


def samples(op):
    return list(op.samples(np.random.default_rng(0), 4))


def differentiable(op):
    return "backward" in {k for c in op.__mro__[:-2] for k in vars(c)}


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_every_op_has_samples_and_says_what_it_computes(op):
    if op.__name__ not in NOT_A_FUNCTION_OF_VALUES:
        assert samples(op), f"{op.__name__}.samples yields nothing"
    assert op.__doc__, f"{op.__name__} has no docstring"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_first_and_second_derivatives_agree_with_finite_differences(op):
    for f, inputs in cases(op, np.random.default_rng(0)):
        if not any(isinstance(x, tm.Tensor) and x.requires_grad for x in inputs):
            continue
        outputs = f(*inputs)
        if not any(t.requires_grad for t in (outputs if type(outputs) is tuple else (outputs,))):
            continue
        gradcheck(f, inputs, name=op.__name__)
        gradgradcheck(f, inputs, name=op.__name__, atol=1e-4)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_arrays_give_what_tensors_give(op):
    for args in samples(op):
        if not any(is_array(a) for a in args):
            continue
        plain = op.apply(*args)
        lifted = op.apply(*[tm.autograd.tensor.wrap(a) if is_array(a) else a for a in args])
        pairs = zip(plain, lifted, strict=True) if type(plain) is tuple else [(plain, lifted)]
        for a, t in pairs:
            assert is_array(a) and isinstance(t, tm.Tensor)
            np.testing.assert_array_equal(a, t.array)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_layout_in_memory_does_not_matter(op):
    for args in samples(op):
        if not any(is_array(a) and a.ndim > 1 for a in args):
            continue
        other = [np.asfortranarray(a) if is_array(a) else a for a in args]
        a, b = op.apply(*args), op.apply(*other)
        pairs = zip(a, b, strict=True) if type(a) is tuple else [(a, b)]
        for left, right in pairs:
            np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_arguments_are_not_written_to(op):
    for args in samples(op):
        if op.__name__ in NOT_A_FUNCTION_OF_VALUES:
            continue
        before = [a.copy() if is_array(a) else None for a in args]
        inputs = [
            tm.tensor(a, requires_grad=a.dtype.kind == "f") if is_array(a) else a for a in args
        ]
        op.apply(*args)
        for a, b in zip(args, before, strict=True):
            if b is not None:
                np.testing.assert_array_equal(a, b)
        out = op.apply(*inputs)
        out = out if type(out) is tuple else (out,)
        heads = [t for t in out if t.requires_grad]
        if heads:
            tm.autograd.backward(heads, [tm.ones(t.shape, dtype=t.dtype) for t in heads])
        for t, b in zip(inputs, before, strict=True):
            if b is not None:
                np.testing.assert_array_equal(t.array, b)


class WithoutSamples(Function):
    """Somebody forgot."""

    @staticmethod
    def forward(x):
        return x * 1


@pytest.mark.parametrize("op", [WrongCube, WrongSecondSlope])
def test_a_wrong_backward_fails_the_walk(op):
    assert op in set(all_functions())
    with pytest.raises(GradcheckError, match=f"{op.__name__}, input 0 of shape"):
        test_first_and_second_derivatives_agree_with_finite_differences(op)


def test_an_op_without_samples_fails_the_walk():
    assert WithoutSamples in set(all_functions())
    with pytest.raises(NotImplementedError, match="samples"):
        test_every_op_has_samples_and_says_what_it_computes(WithoutSamples)


def test_every_key_of_the_kernel_table_belongs_to_an_op_or_an_optimizer():
    known = {op.__name__ for op in OPS}
    known |= {f"{op.__name__}.backward" for op in OPS}
    optimizers = [o for o in vars(tm.optim).values() if isinstance(o, type)]
    known |= {f"{o.__name__}.update" for o in optimizers if issubclass(o, tm.optim.Optimizer)}
    assert set(registry.keys()) <= known
