"""vjp, jvp, jacobian, hessian, hvp; gradients with stop_gradients; GradientTape."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd import GradientTape, functional, gradients


def variable(*values):
    return tm.tensor(list(values), dtype=tm.float64, requires_grad=True)


def test_jacobian_of_a_quadratic_map_is_the_closed_form():
    a = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    x = variable(0.5, -1.0)
    j = functional.jacobian(lambda x: tm.tensor(a) @ (x * x), x)
    np.testing.assert_allclose(j.numpy(), a * 2 * x.detach().numpy())


def test_jacobian_of_several_inputs_and_outputs_is_a_tuple_of_tuples():
    blocks = functional.jacobian(lambda x, y: (x * y, x.sum()), (variable(1.0, 2.0), variable(3.0)))
    assert [[b.shape for b in row] for row in blocks] == [[(2, 2), (2, 1)], [(2,), (1,)]]
    np.testing.assert_array_equal(blocks[0][0].numpy(), np.diag([3.0, 3.0]))
    np.testing.assert_array_equal(blocks[1][1].numpy(), [0.0])


def test_vjp_jvp_and_hvp_agree_with_jacobian_and_hessian():
    f = lambda x: (x.exp() * x).sum()  # noqa: E731
    x, v = variable(0.1, 0.2, 0.3), variable(1.0, 2.0, 3.0)
    h = functional.hessian(f, x).numpy()
    values = x.detach().numpy()
    np.testing.assert_allclose(h, np.diag(np.exp(values) * (values + 2)))
    np.testing.assert_allclose(functional.hvp(f, x, v)[1].numpy(), h @ v.detach().numpy())
    np.testing.assert_allclose(functional.vhp(f, x, v)[1].numpy(), v.detach().numpy() @ h)
    _, j = functional.jvp(f, x, v)
    _, g = functional.vjp(f, x)
    np.testing.assert_allclose(j.numpy(), g.numpy() @ v.detach().numpy())


def test_the_hessian_of_the_tiny_example_has_the_printed_eigenvalues():  # AG14, N12, SO01
    cost = lambda w: (w[0] * w[1] - 1.5) ** 2 + 0.04 * (w * w).sum()  # noqa: E731
    w = np.sqrt(1.46)
    h = functional.hessian(cost, variable(w, w)).numpy()
    np.testing.assert_allclose(h, h.T, atol=1e-8)
    np.testing.assert_allclose(np.linalg.eigvalsh(h), [0.16, 5.84], atol=1e-9)
    assert cost(variable(w, w)).item() == pytest.approx(0.1184)
    saddle = functional.hessian(cost, variable(0.0, 0.0)).numpy()
    np.testing.assert_allclose(np.linalg.eigvalsh(saddle), [-2.92, 3.08], atol=1e-9)


def test_vjp_of_a_vector_needs_v_of_its_shape():
    with pytest.raises(RuntimeError, match="v can only be None"):
        functional.vjp(lambda x: x * 2.0, variable(1.0, 2.0))
    with pytest.raises(RuntimeError, match="shapes"):
        functional.vjp(lambda x: x * 2.0, variable(1.0, 2.0), variable(1.0))
    with pytest.raises(RuntimeError, match="single-element"):
        functional.hvp(lambda x: x * 2.0, variable(1.0, 2.0), variable(1.0, 1.0))
    with pytest.raises(TypeError, match="must return Tensors"):
        functional.vjp(lambda x: [3.0], variable(1.0))


def test_strict_refuses_an_input_that_plays_no_part():
    with pytest.raises(RuntimeError, match="does not depend on input 1"):
        functional.vjp(lambda x, y: x.sum(), (variable(1.0), variable(2.0)), strict=True)


def test_create_graph_makes_a_jacobian_differentiable():
    x = variable(0.3)
    j = functional.jacobian(lambda x: x**3, x, create_graph=True)
    (h,) = tm.autograd.grad(j.sum(), x)
    assert h.item() == pytest.approx(6 * 0.3)


def test_stop_gradients_gives_partial_instead_of_total_derivatives():  # AG07, N02, erratum 6
    a = tm.tensor(2.0, requires_grad=True)
    b = a * 3.0
    assert [g.item() for g in gradients(a + b, [a, b])] == [4.0, 1.0]
    assert [g.item() for g in gradients(a + b, [a, b], stop_gradients=[a, b])] == [1.0, 1.0]


def test_stopping_at_an_inner_value_closes_all_paths_through_it():
    a = variable(2.0)
    b = a * a
    assert gradients(b * a, a).item() == pytest.approx(12.0)
    assert gradients(b * a, a, stop_gradients=[b]).item() == pytest.approx(4.0)
    assert gradients((b * 3.0).sum(), a, stop_gradients=[b]) is None


def test_detach_is_a_stop_gradient():  # AG07
    a = tm.tensor(2.0, requires_grad=True)
    (g,) = tm.autograd.grad(a + (a * 3.0).detach(), a)
    assert g.item() == 1.0


def test_a_tape_gives_the_gradients_of_backward():  # AG08
    w, x = variable(1.0, 2.0), tm.tensor([3.0, 4.0], dtype=tm.float64)
    with GradientTape() as tape:
        loss = ((w * x) ** 2).sum()
    (g,) = tape.gradient(loss, [w])
    loss = ((w * x) ** 2).sum()
    loss.backward()
    np.testing.assert_array_equal(g.numpy(), w.grad.numpy())


def test_a_tape_answers_once_unless_persistent_and_knows_only_its_block():  # AG08
    w = variable(2.0)
    before = w * 3.0
    with GradientTape() as tape:
        inside = (w * w).sum()
    after = w * 3.0
    assert tape.gradient(inside, w).item() == 4.0
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(inside, w)
    with GradientTape(persistent=True) as tape:
        inside = (w * w).sum()
    assert [tape.gradient(inside, w).item() for _ in range(2)] == [4.0, 4.0]
    assert tape.gradient(before, w) is None and tape.gradient(after, w) is None


def test_a_tape_records_in_no_grad_and_watches_constants():
    x = tm.tensor([2.0])
    with tm.no_grad(), GradientTape() as tape:
        tape.watch(x)
        y = (x * x).sum()
    assert tape.gradient(y, x).item() == 4.0


def test_strict_refuses_a_function_that_is_linear_in_an_input():
    x = tm.tensor([1.0, 2.0])
    for f in (tm.autograd.functional.hessian, tm.autograd.functional.hvp):
        v = () if f is tm.autograd.functional.hessian else (tm.ones(2),)
        with pytest.raises(RuntimeError, match="does not depend on input 0"):
            f(lambda x: x.sum(), x, *v, strict=True)


def test_gradients_of_nothing_and_batched_ones_are_refused():
    x = tm.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="non-empty inputs"):
        tm.autograd.grad(x.sum(), [])
    with pytest.raises(NotImplementedError, match="is_grads_batched"):
        tm.autograd.grad(x, x, tm.ones(3, 2), is_grads_batched=True)
    with pytest.raises(NotImplementedError, match="row by row"):
        tm.autograd.functional.jacobian(tm.exp, x, vectorize=True)
    with pytest.raises(TypeError, match="sizes in PyTorch"):
        tm.Tensor(5)
