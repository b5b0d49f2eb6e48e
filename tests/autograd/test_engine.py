"""The chain rule: where gradients go, when, and what is refused."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import ops


def leaf(*shape, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return tm.tensor(values, requires_grad=True)


def test_the_deck_s_first_example_has_the_printed_gradients():  # N01, AG01
    x, y, z = (tm.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    q = x + y
    q.retain_grad()
    f = q * z
    f.backward()
    assert (f.item(), q.item()) == (-12.0, 3.0)
    assert [t.grad.item() for t in (q, x, y, z)] == [-4.0, -4.0, -4.0, 3.0]


def test_a_small_change_of_x_moves_f_by_its_gradient():  # AG02
    f = lambda x: (x + 5.0) * -4.0  # noqa: E731
    assert f(tm.tensor(-1.5)).item() - f(tm.tensor(-2.0)).item() == 0.5 * -4.0


def test_the_error_of_the_linear_approximation_is_quadratic():  # AG02
    x = tm.tensor(0.7, dtype=tm.float64, requires_grad=True)
    (g,) = tm.autograd.grad(x.exp(), x)
    residual = [
        (tm.tensor(0.7 + d, dtype=tm.float64).exp() - x.exp() - d * g).item() for d in (1e-3, 5e-4)
    ]
    assert residual[0] / residual[1] == pytest.approx(4.0, rel=1e-3)


def test_global_gradient_is_upstream_times_local_at_every_edge():  # AG03
    x = leaf(3)
    h = x * x
    y = h.exp()
    seen = {}
    h.register_hook(lambda g: seen.update(h=g.numpy().copy()))
    y.register_hook(lambda g: seen.update(y=g.numpy().copy()))
    y.sum().backward()
    np.testing.assert_allclose(seen["h"], seen["y"] * np.exp(h.detach().numpy()))
    np.testing.assert_allclose(x.grad.numpy(), seen["h"] * 2 * x.detach().numpy())


def test_gradients_add_up_over_backward_calls_until_they_are_cleared():  # AG04
    x = leaf(3)
    for _ in range(2):
        (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [6.0] * 3)
    x.grad = None
    (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0] * 3)


def test_python_control_flow_makes_another_graph_each_time():  # AG04
    x = tm.tensor(3.0, requires_grad=True)
    gradients = []
    for n in (1, 2, 3):
        y = x
        for _ in range(n - 1):
            y = y * x
        gradients += tm.autograd.grad(y if n < 3 else y + x, x)
    assert [g.item() for g in gradients] == [1.0, 6.0, 28.0]


def test_a_diamond_adds_both_paths_and_visits_each_node_once():  # AG10
    x = tm.tensor(3.0, requires_grad=True)
    visits = []
    a = x * x
    a.register_hook(lambda g: visits.append("a"))
    (a + x).backward()
    assert x.grad.item() == 7.0 and visits == ["a"]


def test_a_weight_used_twice_gets_the_sum_of_both_gradients():  # AG11
    w = leaf(3, 3)
    x = tm.tensor(np.eye(3))
    assert tm.autograd.gradcheck(lambda w: ((x @ w).tanh() @ w).sum(), (w,))


def test_a_chain_of_20000_operations_goes_there_and_back():
    x = h = leaf()
    for _ in range(20_000):
        h = h + 1.0
    h.backward()
    assert x.grad.item() == 1.0


def test_a_graph_is_freed_without_the_cycle_collector():
    def step():
        x = leaf(4, 4)
        h = (x.exp() * x).softmax(-1) * 2.0
        v = h[0]
        v.mul_(2.0)
        loss = ops.cat([h, v[None]]).max(1)[0].sum()
        loss.backward()
        return weakref.ref(h), weakref.ref(loss)

    gc.disable()
    try:
        assert [r() for r in step()] == [None, None]
    finally:
        gc.enable()


def test_memory_is_freed_while_backward_runs():
    x = leaf(4)
    a = x.exp()
    saved = weakref.ref(a)
    b = a.sin()
    alive = []
    x.register_hook(lambda g: alive.append(saved() is not None))
    del a
    b.sum().backward()
    assert alive == [False]


def test_gradients_of_leaves_share_memory_with_nothing():
    a, b = leaf(3), leaf(3)
    (a + b).sum().backward()
    a.grad.mul_(7.0)
    np.testing.assert_array_equal(b.grad.numpy(), [1.0] * 3)
    seed = tm.tensor([1.0, 2.0, 3.0], dtype=tm.float64)
    c = leaf(3)
    (c + 0.0).backward(seed)
    c.grad.zero_()
    assert seed.tolist() == [1.0, 2.0, 3.0]


def test_backward_twice_says_how_to_mend_it():
    y = leaf(3).exp().sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_backward_twice_with_retain_graph_adds_up():
    x = leaf(3)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(x.detach().numpy()))


def test_a_non_scalar_needs_a_gradient():
    with pytest.raises(RuntimeError, match=r"scalar outputs, but this tensor has shape \(3,\)"):
        leaf(3).exp().backward()


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        leaf(3).exp().backward(tm.ones(2))


def test_a_gradient_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="Tensors or None"):
        leaf(1).exp().backward([1.0])
    with pytest.raises(TypeError, match="Tensors or None"):
        leaf(3).exp().backward([1.0, 1.0, 1.0])


def test_backward_of_a_constant_says_that_nothing_was_recorded():
    with pytest.raises(RuntimeError, match="does not require grad"):
        tm.ones(1).backward()
    with tm.no_grad():
        y = leaf(1).exp()
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_integers_cannot_require_gradients():
    with pytest.raises(RuntimeError, match=r"floating point.*x\.float\(\)"):
        tm.tensor([1, 2], requires_grad=True)


def test_backward_with_inputs_fills_only_those():
    x, w = leaf(3), leaf(3, seed=1)
    (x * w).sum().backward(inputs=[x])
    np.testing.assert_array_equal(x.grad.numpy(), w.detach().numpy())
    assert w.grad is None
    with pytest.raises(RuntimeError, match="cannot be empty"):
        (x * w).sum().backward(inputs=[])


def test_grad_of_inner_results_and_of_the_output_itself():
    x = leaf(3)
    h = x * x
    y = (h * 3.0).sum()
    gh, gy, gx = tm.autograd.grad(y, [h, y, x])
    assert gh.tolist() == [3.0] * 3 and gy.item() == 1.0
    np.testing.assert_allclose(gx.numpy(), 6.0 * x.detach().numpy())
    assert x.grad is None


def test_grad_of_an_unused_input_raises_or_gives_none_or_zeros():
    x, unused = leaf(3), leaf(2)
    with pytest.raises(RuntimeError, match=r"not have been used.*inputs\[1\] of shape \(2,\)"):
        tm.autograd.grad(x.sum(), [x, unused])
    assert tm.autograd.grad(x.sum(), [x, unused], allow_unused=True)[1] is None
    assert tm.autograd.grad(x.sum(), [unused], materialize_grads=True)[0].tolist() == [0.0, 0.0]


def test_hooks_replace_the_gradient_in_the_order_they_came():
    x = leaf(2)
    x.register_hook(lambda g: g + 1.0)
    handle = x.register_hook(lambda g: g * 10.0)
    x.sum().backward()
    assert x.grad.tolist() == [20.0, 20.0]
    handle.remove()
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_hook_that_returns_another_shape_or_kind_is_refused():
    x = leaf(2)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="changed the size"):
        x.sum().backward()
    y = leaf(2)
    y.register_hook(lambda g: 3.0)
    with pytest.raises(TypeError, match="must return a Tensor or None"):
        y.sum().backward()


def test_retain_grad_sees_the_gradient_after_all_hooks():
    x = leaf(2)
    h = x * 1.0
    h.retain_grad()
    h.register_hook(lambda g: g * 5.0)
    h.sum().backward()
    assert h.grad.tolist() == [5.0, 5.0]


def test_a_ready_hook_fires_when_the_gradient_is_complete_while_backward_runs():
    early, late, order = leaf(2), leaf(2), []
    late.register_post_accumulate_grad_hook(lambda p: order.append(("late", p.grad.tolist())))
    early.register_post_accumulate_grad_hook(lambda p: order.append(("early", p.grad.tolist())))
    h = early * 2.0
    (h * 1.0 + late + late).sum().backward()
    assert order == [("late", [2.0, 2.0]), ("early", [2.0, 2.0])]


def test_reading_grad_of_an_inner_result_warns():
    h = leaf(2) * 2.0
    with pytest.warns(UserWarning, match="retain_grad"):
        assert h.grad is None


def test_assigning_a_gradient_that_does_not_fit_is_refused():
    x = leaf(2)
    with pytest.raises(TypeError, match="ndarray"):
        x.grad = np.ones(2)
    with pytest.raises(RuntimeError, match="size"):
        x.grad = tm.ones(3, dtype=tm.float64)
    with pytest.raises(RuntimeError, match="type"):
        x.grad = tm.ones(2, dtype=tm.float32)


def test_each_thread_has_its_own_grad_mode():
    seen = []
    with tm.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tm.is_grad_enabled()))
        thread.start()
        thread.join()
        assert seen == [True] and not tm.is_grad_enabled()


def test_threads_differentiate_graphs_of_their_own():
    results = [None] * 4

    def work(k):
        x = leaf(5, seed=k)
        (x * x).sum().backward()
        results[k] = np.array_equal(x.grad.numpy(), 2 * x.detach().numpy())

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert results == [True] * 4


def test_unused_outputs_of_an_operation_get_no_gradient_and_used_ones_add_up():
    x = leaf(6)
    a, _, c = x.split(2)
    (a * 2.0 + c).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 0.0, 0.0, 1.0, 1.0]


def test_gradients_take_the_dtype_of_their_tensor_when_forward_promoted():
    x, y = tm.ones(3, requires_grad=True), leaf(3)
    (x * y).sum().backward()
    assert x.grad.dtype == tm.float32 and y.grad.dtype == tm.float64


def test_gradients_of_broadcast_operands_are_summed():  # TE03
    a, b, s = leaf(3, 1), leaf(1, 4), leaf()
    (a * b + s).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.full((3, 1), b.detach().numpy().sum()))
    assert b.grad.shape == (1, 4) and s.grad.item() == 12.0


def test_third_derivative_of_tanh():
    x = tm.tensor(0.3, dtype=tm.float64, requires_grad=True)
    y = x.tanh()
    for _ in range(3):
        (y,) = tm.autograd.grad(y, x, create_graph=True)
    t = np.tanh(0.3)
    assert abs(y.item() - (1 - t * t) * (6 * t * t - 2)) < 1e-10


def test_create_graph_makes_leaf_gradients_differentiable():
    x = leaf(3)
    (x**3).sum().backward(create_graph=True)
    (h,) = tm.autograd.grad(x.grad.sum(), x)
    np.testing.assert_allclose(h.numpy(), 6 * x.detach().numpy())


def test_the_derivative_of_the_binomial_tail_is_the_beta_density():  # AG13, N20
    y = tm.tensor(0.4, dtype=tm.float64, requires_grad=True)
    tail = sum(
        c * y**k * (1 - y) ** (4 - k) for k, c in ((2, 6), (3, 4), (4, 1))
    )  # P(at least 2 of 4)
    (density,) = tm.autograd.grad(tail, y)
    assert tail.item() == pytest.approx(0.5248) and density.item() == pytest.approx(1.728)
    z = tm.tensor(0.7, dtype=tm.float64, requires_grad=True)
    tail = sum(c * z**k * (1 - z) ** (6 - k) for k, c in ((5, 6), (6, 1)))
    (density,) = tm.autograd.grad(tail, z)
    assert tail.item() == pytest.approx(0.420175) and density.item() == pytest.approx(2.1609)
