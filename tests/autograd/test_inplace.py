"""Writing in place: values, gradients through views, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm


def variable(*values: float) -> tm.Tensor:
    return tm.tensor(list(values), dtype=tm.float64, requires_grad=True)


def test_an_in_place_method_writes_into_the_same_memory_and_returns_the_same_tensor():
    x = tm.tensor([1.0, 2.0])
    memory = x.array
    assert x.mul_(3) is x
    assert x.array is memory
    assert x.tolist() == [3.0, 6.0]


def test_a_write_through_a_view_is_seen_in_the_base_and_in_other_views():
    base = tm.zeros(2, 3)
    row, column = base[0], base[:, 1]
    row.fill_(5.0)
    assert base.tolist() == [[5.0, 5.0, 5.0], [0.0, 0.0, 0.0]]
    assert column.tolist() == [5.0, 0.0]


def test_the_gradient_flows_through_a_write_into_a_view():
    x = variable(1.0, 2.0, 3.0)
    y = x * 1
    y[1:].mul_(10)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 10.0, 10.0]


def test_the_gradient_of_what_was_overwritten_is_zero_and_that_of_the_source_is_kept():
    x, v = variable(1.0, 2.0, 3.0), variable(7.0)
    y = x * 2
    y[0] = v[0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 16.0, 24.0]
    assert v.grad.tolist() == [14.0]


def test_a_view_taken_before_a_write_to_its_base_has_the_gradient_of_what_it_shows_now():
    x = variable(1.0, 2.0, 3.0)
    y = x * 1
    first = y[0]
    y.mul_(5)
    first.backward()
    assert x.grad.tolist() == [5.0, 0.0, 0.0]


def test_a_write_makes_a_constant_and_its_views_results():
    x, base = variable(2.0, 2.0), tm.zeros(2, dtype=tm.float64)
    view = base[:1]
    base.add_(x)
    assert base.requires_grad and view.requires_grad
    view.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0]


def test_a_view_in_a_layout_that_reshape_would_copy_is_written_through_all_the_same():
    x = tm.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = (x * 1).T  # its base lies in rows, the gradient arrives in columns
    flat = y.T.view(-1)
    flat[1:4].mul_(3)
    (y * tm.tensor(np.arange(6.0).reshape(3, 2))).sum().backward()
    assert x.grad.tolist() == [[0.0, 6.0, 12.0], [3.0, 3.0, 5.0]]


def test_second_derivatives_go_through_writes_into_views():
    def f(x):
        y = x * x
        y[1:] *= x[1:]
        return y.sum()

    x = variable(1.0, 2.0, 3.0)
    (g,) = tm.autograd.grad(f(x), x, create_graph=True)
    (h,) = tm.autograd.grad(g.sum(), x)
    assert g.tolist() == [2.0, 12.0, 27.0]
    assert h.tolist() == [2.0, 12.0, 18.0]


def test_pow_in_place_keeps_the_base_it_needs():
    x = variable(3.0)
    y = x * 1
    y.pow_(2)
    y.sum().backward()
    assert x.grad.tolist() == [6.0]


def test_backward_refuses_a_saved_value_that_was_written_over():
    y = variable(1.0).exp()
    z = y.sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward() if z.grad_fn is None else (y * 1).sum().backward()


def test_multiplying_by_itself_in_place_cannot_be_differentiated():
    y = variable(2.0) * 1
    y.mul_(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_write_through_detach_is_noticed_and_one_through_data_is_not():
    x = variable(2.0)
    y = x * 1
    noticed = y * y
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        noticed.sum().backward()
    y = x * 1
    unnoticed = y * y
    y.data.mul_(2)
    unnoticed.sum().backward()
    assert x.grad.tolist() == [8.0]


def test_a_leaf_that_requires_grad_is_written_to_under_no_grad_only():
    x = variable(1.0, 2.0)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        x[:1].add_(1)
    with tm.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0, 3.0]


def test_views_from_split_are_neither_written_to_nor_used_after_a_write_to_their_base():
    y = variable(1.0, 2.0) * 1
    a, b = y.unbind()
    with pytest.raises(RuntimeError, match="multiple views"):
        a.mul_(2)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified inplace"):
        b * 2


def test_a_view_made_under_no_grad_is_not_written_to_outside():
    y = variable(1.0, 2.0) * 1
    with tm.no_grad():
        v = y[:1]
    with pytest.raises(RuntimeError, match="no_grad"):
        v.mul_(2)


def test_an_in_place_result_keeps_shape_and_dtype_or_is_refused():
    with pytest.raises(RuntimeError, match="broadcast shape"):
        tm.zeros(3).add_(tm.zeros(2, 3))
    with pytest.raises(RuntimeError, match="can't be cast"):
        tm.tensor([1, 2]).add_(0.5)
    x = tm.tensor([1.5], dtype=tm.float32)
    assert x.add_(tm.tensor([1.0], dtype=tm.float64)).dtype == tm.float32


def test_writing_to_repeated_or_overlapping_memory_is_refused():
    with pytest.raises(RuntimeError, match="more than one element"):
        tm.zeros(3).expand(2, 3).add_(1)
    x = tm.arange(4.0)
    with pytest.raises(RuntimeError, match="single memory location"):
        x[1:].add_(x[:-1])
    m = tm.zeros(3, 3)
    with pytest.raises(NotImplementedError, match="overlap"):
        m[:, 1:].add_(m[:, :-1])


def test_two_different_views_of_the_same_row_are_not_read_and_written_at_once():
    x = tm.zeros(1, 3)
    x[0].add_(x[0])
    with pytest.raises(NotImplementedError, match="two different views"):
        x.add_(x[:1])


def test_a_leaf_detached_and_rewritten_in_place_cannot_receive_its_old_gradient():
    x = variable(2.0)
    y = x * 3
    x.detach_()
    x.mul_(y)
    with pytest.raises(RuntimeError, match="moved into the graph interior"):
        x.sum().backward()


def test_a_value_saved_before_detach_in_place_cannot_be_used():
    x, y = variable(2.0), variable(3.0) * 1
    z = x * y
    y.detach_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_view_cannot_be_detached_in_place_but_a_result_can():
    y = variable(1.0, 2.0) * 1
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        y[:1].detach_()
    y.detach_()
    assert y.is_leaf and not y.requires_grad


def test_retain_grad_follows_the_tensor_through_a_write():
    y = variable(1.0) * 1
    y.retain_grad()
    y.mul_(3)
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2.0]


def test_copy_casts_and_broadcasts_and_checks_shapes():
    x = tm.zeros(2, 2, dtype=tm.int64)
    x.copy_(tm.tensor([1.9, -1.9]))
    assert x.tolist() == [[1, -1], [1, -1]]
    with pytest.raises(RuntimeError, match="must match the size"):
        x.copy_(tm.zeros(3))
    with pytest.raises(RuntimeError, match="broadcast shape"):
        tm.zeros(2).copy_(tm.zeros(1, 2))


def test_fill_takes_one_number_that_the_dtype_can_hold():
    with pytest.raises(RuntimeError, match="0-dimension value tensor"):
        tm.zeros(2).fill_(tm.zeros(1))
    with pytest.raises(RuntimeError, match="without overflow"):
        tm.zeros(1, dtype=tm.uint8).fill_(300)
    assert tm.zeros(1, dtype=tm.uint8).fill_(-1).tolist() == [255]
    with pytest.raises(TypeError, match="expected a Tensor or a number"):
        tm.zeros(1).fill_("x")
    with pytest.raises(NotImplementedError, match=r"value\.detach"):
        tm.zeros(1, dtype=tm.int64).fill_(variable(1.0)[0])


def test_setitem_by_slice_list_and_mask():
    x = tm.zeros(2, 3)
    x[0] = tm.tensor([1.0, 2.0, 3.0])
    x[:, [0, 2]] = 9
    x[x == 2] = -1.0
    assert x.tolist() == [[9.0, -1.0, 9.0], [9.0, 0.0, 9.0]]
    x[...] = tm.ones(1, 1, 3)
    assert x.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_setitem_refuses_what_pytorch_refuses():
    x = tm.zeros(3)
    with pytest.raises(TypeError, match="can't assign a list"):
        x[0] = [1.0]
    with pytest.raises(TypeError, match="can't assign a numpy"):
        x[:2] = np.zeros(2)
    with pytest.raises(RuntimeError, match="dtypes match"):
        x[[0]] = tm.tensor([1.0], dtype=tm.float64)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        x[[0, 1]] = tm.zeros(3)
    with pytest.raises(RuntimeError, match="expanded size"):
        x[:2] = tm.zeros(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        x[[0, 1]] = x[:2]


def test_data_can_be_replaced():
    x = variable(1.0, 2.0)
    x.data = tm.zeros(3, dtype=tm.float64)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="floating point"):
        x.data = tm.zeros(3, dtype=tm.int64)
    with pytest.raises(TypeError, match="has to be a tensor"):
        x.data = 3.0


@pytest.mark.parametrize("data", [[3.0, 4.0], [3.0, 4.0, 5.0]], ids=["as large", "larger"])
def test_hooks_stay_where_data_is_replaced(data):
    x, seen = variable(1.0, 2.0), []
    doubling = x.register_hook(lambda g: g * 2)
    telling = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.shape))
    x.data = tm.tensor(data)
    (x * 5).sum().backward()
    assert x.grad.tolist() == [10.0] * len(data)
    assert seen == [(len(data),)]
    doubling.remove()
    telling.remove()
    (x * 5).sum().backward()
    assert x.grad.tolist() == [15.0] * len(data)
    assert len(seen) == 1


def test_every_write_counts_as_a_version_of_the_memory():
    x = tm.zeros(3)
    before = x._version
    x[0] = 1.0
    x.view(3, 1).add_(1)
    assert x._version == before + 2
