"""Functions a user writes: everything works on them."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd import Function, Fused


class Cube(Function):
    """y = x³.   ∂L/∂x = 3 g x²."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3.0 * x * x

    @staticmethod
    def samples(rng, n):
        yield (rng.standard_normal((n, n)),)


class WrongCube(Cube):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2.0 * x * x


class SquareDifference(Fused):
    @staticmethod
    def definition(a, b):
        return (a - b) * (a - b)

    @staticmethod
    def samples(rng, n):
        yield rng.standard_normal((n, n)), rng.standard_normal(n)


def variable(*shape):
    return tm.tensor(np.random.default_rng(1).standard_normal(shape), requires_grad=True)


def test_a_user_s_function_passes_gradcheck_of_both_orders():
    assert tm.autograd.gradcheck(Cube.apply, (variable(3, 2),))
    assert tm.autograd.gradgradcheck(Cube.apply, (variable(3, 2),))


def test_gradcheck_says_where_a_wrong_backward_is_wrong():
    x = tm.tensor([[1.0, 2.0]], dtype=tm.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"input 0 of shape \(1, 2\), entry \(0, 0\): analytic"):
        tm.autograd.gradcheck(WrongCube.apply, (x,), name="WrongCube")
    assert not tm.autograd.gradcheck(WrongCube.apply, (x,), raise_exception=False)


def test_gradcheck_needs_a_variable_and_warns_of_float32():
    with pytest.raises(ValueError, match="require gradient"):
        tm.autograd.gradcheck(Cube.apply, (tm.ones(2),))
    with pytest.warns(UserWarning, match="float64"):
        tm.autograd.gradcheck(
            Cube.apply, (tm.ones(2, requires_grad=True),), eps=1e-2, atol=1e-2, rtol=1e-2
        )


def test_arrays_in_gives_an_array_out_and_records_nothing():
    y = Cube.apply(np.array([2.0]))
    assert type(y) is np.ndarray and y.tolist() == [8.0]


def test_a_fused_function_has_the_derivatives_of_its_definition():
    a, b = variable(3, 3), variable(3)
    assert tm.autograd.gradcheck(SquareDifference.apply, (a, b))
    assert tm.autograd.gradgradcheck(SquareDifference.apply, (a, b))


def test_a_fused_function_counts_an_input_computed_from_another_once():
    x = variable(3)
    y = SquareDifference.apply(x, x * 2.0).sum()
    (g,) = tm.autograd.grad(y, x)
    np.testing.assert_allclose(g.numpy(), 2 * x.detach().numpy())


def test_a_forward_that_takes_ctx_is_refused_at_its_definition():
    with pytest.raises(TypeError, match="setup_context"):

        class OldStyle(Function):
            @staticmethod
            def forward(ctx, x):
                return x


def test_a_backward_with_too_few_gradients_is_refused():
    class Lost(Function):
        @staticmethod
        def forward(a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match=r"Lost.backward returned.*expected 2, got 1"):
        Lost.apply(variable(2), variable(2)).sum().backward()


def test_a_function_without_backward_says_so():
    class OneWay(Function):
        @staticmethod
        def forward(x):
            return x * 1.0

    with pytest.raises(NotImplementedError, match="OneWay has no backward"):
        OneWay.apply(variable(2)).sum().backward()


def test_needs_input_grad_spares_work():
    asked = []

    class Product(Function):
        @staticmethod
        def forward(a, b):
            return a * b

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            asked.append(list(ctx.needs_input_grad))
            _, b = ctx.saved_tensors
            return g * b, None

    Product.apply(variable(2), tm.ones(2, dtype=tm.float64)).sum().backward()
    assert asked == [[True, False]]


def test_a_saved_output_makes_no_cycle_and_survives_the_result():
    x = variable(3)
    loss = x.exp().sum()
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.detach().numpy()))


@pytest.mark.parametrize("gradient", [(2,), (4, 3), (3, 3), (12,)])
def test_a_gradient_of_another_shape_is_refused_even_with_as_many_elements(gradient):
    class Sloppy(Function):
        @staticmethod
        def forward(x):
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            return np.ones(gradient)

    text = r"SloppyBackward0.*invalid gradient.*expected \(3, 4\)"
    with pytest.raises(RuntimeError, match=text):
        Sloppy.apply(variable(3, 4)).sum().backward()


@pytest.mark.parametrize(("result", "kind"), [(1.5, "float"), (None, "NoneType"), ([], "list")])
def test_a_forward_that_returns_no_array_is_refused(result, kind):
    class Careless(Function):
        @staticmethod
        def forward(x):
            return result

    with pytest.raises(TypeError, match=rf"Careless\.forward returned a value of type {kind}"):
        Careless.apply(variable(2))


def test_gradcheck_names_the_class_whose_apply_it_is_given():
    with pytest.raises(tm.autograd.GradcheckError, match=r"WrongCube.*See WrongCube\.backward"):
        tm.autograd.gradcheck(WrongCube.apply, (variable(2),))


def test_a_forward_that_returns_a_tensor_is_refused_by_name():
    class Wrapped(Function):
        @staticmethod
        def forward(x):
            return tm.tensor(x) * 2.0

    for argument in (variable(2), variable()):
        with pytest.raises(TypeError, match=r"Wrapped\.forward returned a value of type Tensor"):
            Wrapped.apply(argument)
