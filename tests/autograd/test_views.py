"""Which results share memory with their input, and what they remember of it."""

from __future__ import annotations

import pytest

import tinygrad_mmb as tm


def shares(a: tm.Tensor, b: tm.Tensor) -> bool:
    before = a.clone()
    b.data.add_(1)
    return not tm.equal(a, before)


VIEWS = {
    "reshape": lambda x: x.reshape(6),
    "view": lambda x: x.view(3, 2),
    "flatten": lambda x: x.flatten(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "t": lambda x: x.t(),
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "expand": lambda x: x.expand(1, 2, 3),
    "diagonal": lambda x: x.diagonal(),
    "narrow": lambda x: x.narrow(1, 0, 2),
    "select": lambda x: x.select(0, 1),
    "movedim": lambda x: x.movedim(0, 1),
    "int": lambda x: x[0],
    "slice": lambda x: x[:, 1:],
    "None": lambda x: x[None],
    "Ellipsis": lambda x: x[...],
    "split": lambda x: x.split(1)[0],
    "chunk": lambda x: x.chunk(2)[1],
    "unbind": lambda x: x.unbind(1)[0],
    "detach": lambda x: x.detach(),
    "contiguous": lambda x: x.contiguous(),
    "to its own dtype": lambda x: x.to(tm.float32),
}
COPIES = {
    "clone": lambda x: x.clone(),
    "reshape across strides": lambda x: x.T.reshape(6),
    "contiguous across strides": lambda x: x.T.contiguous(),
    "list": lambda x: x[[0, 1]],
    "mask": lambda x: x[x > -1],
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1),
    "repeat": lambda x: x.repeat(1, 1),
    "tile": lambda x: x.tile(1),
    "diag": lambda x: x.diag(),
    "tril": lambda x: x.tril(),
    "cat": lambda x: tm.cat([x]),
    "to another dtype": lambda x: x.double(),
    "to with copy": lambda x: x.to(tm.float32, copy=True),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_shares_memory(name: str) -> None:
    x = tm.zeros(2, 3)
    assert shares(x, VIEWS[name](x))


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_does_not(name: str) -> None:
    x = tm.zeros(2, 3)
    assert not shares(x, COPIES[name](x))


def test_view_refuses_where_only_a_copy_would_do() -> None:
    with pytest.raises(RuntimeError, match="reshape"):
        tm.zeros(2, 3).T.view(6)


def test_a_view_made_under_no_grad_requires_grad_as_its_base_does_but_is_no_result_of_it() -> None:
    x = tm.zeros(2, requires_grad=True)
    with tm.no_grad():
        v = x[:1]
    assert v.requires_grad and v.is_leaf
    (v * 2).sum().backward()
    assert x.grad is None and v.grad is None
    with pytest.raises(RuntimeError, match="does not require grad"):
        v.sum().detach().backward()


def test_requires_grad_of_a_base_reaches_the_views_taken_before() -> None:
    base = tm.zeros(2)
    v = base[:1]
    base.requires_grad_()
    assert v.requires_grad
    base.requires_grad_(False)
    assert not v.requires_grad


def test_hundreds_of_dead_views_leave_nothing_behind() -> None:
    x = tm.zeros(3)
    for i in range(300):
        x[i % 3].add_(1)
    assert not x._views
    assert x.tolist() == [100.0, 100.0, 100.0]
