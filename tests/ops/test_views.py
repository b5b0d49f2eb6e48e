"""Shapes of views, their gradients, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

A = np.arange(24.0).reshape(2, 3, 4)

CALLS = {
    "reshape with -1": lambda m, x: x.reshape(4, -1),
    "reshape to a number of dimensions": lambda m, x: m.reshape(x, (2, 2, 3, 2)),
    "reshape of a transpose": lambda m, x: x.transpose(0, 2).reshape(6, 4),
    "view": lambda m, x: x.view(6, 4),
    "view of a transpose that splits": lambda m, x: x.transpose(0, 1).view(3, 2, 2, 2),
    "view of a transpose that joins": lambda m, x: x.transpose(0, 1).view(6, 4),
    "view_as": lambda m, x: x.view_as(m.ones(4, 6)),
    "flatten": lambda m, x: x.flatten(1),
    "flatten between": lambda m, x: m.flatten(x, 0, 1),
    "flatten backwards": lambda m, x: x.flatten(2, 0),
    "squeeze": lambda m, x: x[:, :1].squeeze(),
    "squeeze of listed dims": lambda m, x: x[:1, :1].squeeze((0, 2)),
    "squeeze twice the same": lambda m, x: x.squeeze((0, 0)),
    "unsqueeze at the end": lambda m, x: x.unsqueeze(-1),
    "unsqueeze out of range": lambda m, x: x.unsqueeze(5),
    "permute": lambda m, x: x.permute(2, 0, 1),
    "permute with negative dims": lambda m, x: m.permute(x, (-1, 0, -2)),
    "permute twice the same": lambda m, x: x.permute(0, 0, 1),
    "permute too few": lambda m, x: x.permute(0, 1),
    "transpose": lambda m, x: x.transpose(-1, 0),
    "transpose out of range": lambda m, x: x.transpose(0, 3),
    "movedim": lambda m, x: x.movedim(0, -1),
    "movedim of two": lambda m, x: m.movedim(x, (0, 1), (2, 0)),
    "movedim not alike": lambda m, x: x.movedim((0,), (1, 2)),
    "t of three dimensions": lambda m, x: x.t(),
    "mT": lambda m, x: x.mT,
    "expand": lambda m, x: x[:, :1].expand(2, 5, 4),
    "expand with -1 and new dims": lambda m, x: x.expand(2, -1, -1, 4),
    "expand too few": lambda m, x: x.expand(3, 4),
    "expand what is not 1": lambda m, x: x.expand(2, 6, 4),
    "expand -1 in front": lambda m, x: x.expand(-1, 2, 3, 4),
    "expand to nothing": lambda m, x: x[:, :1].expand(2, 0, 4),
    "expand_as": lambda m, x: x[:1].expand_as(m.ones(2, 3, 4)),
    "broadcast_to": lambda m, x: m.broadcast_to(x, (2, 2, 3, 4)),
    "diagonal": lambda m, x: x.diagonal(),
    "diagonal of other dims": lambda m, x: m.diagonal(x, 1, 2, 0),
    "diagonal outside": lambda m, x: x.diagonal(9),
    "diagonal of one dim": lambda m, x: x.diagonal(0, 1, 1),
    "narrow": lambda m, x: x.narrow(2, 1, 2),
    "narrow from the end": lambda m, x: m.narrow(x, 1, -2, 1),
    "narrow too long": lambda m, x: x.narrow(0, 1, 2),
    "narrow of negative length": lambda m, x: x.narrow(0, 0, -1),
    "select": lambda m, x: x.select(1, -1),
    "select out of range": lambda m, x: x.select(1, 3),
    "split": lambda m, x: x.split(2, 2),
    "split with a rest": lambda m, x: m.split(x, 3, -1),
    "split of sizes": lambda m, x: x.split([1, 0, 2], 1),
    "split of wrong sizes": lambda m, x: x.split([1, 1], 1),
    "split by 0": lambda m, x: x.split(0),
    "chunk": lambda m, x: x.chunk(3, 2),
    "chunk by 0": lambda m, x: x.chunk(0),
    "unbind": lambda m, x: m.unbind(x, 1),
    "too many elements": lambda m, x: x.reshape(5, 5),
    "two unknown sizes": lambda m, x: x.reshape(-1, -1),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_a_call_does_what_pytorch_does(name: str) -> None:
    same_as_torch(CALLS[name], A)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["reshape", "squeeze", "unsqueeze", "flatten", "permute", "T"])
def test_a_single_number_has_views_too(name: str) -> None:
    args = {"reshape": (1, 1), "unsqueeze": (0,), "permute": ((),)}.get(name, ())

    def call(m, x):
        return x.T if name == "T" else getattr(x, name)(*args)

    same_as_torch(call, np.array(2.0))


@pytest.mark.torch
def test_views_of_nothing() -> None:
    same_as_torch(lambda m, x: x.reshape(3, -1), np.zeros((0, 3)))
    same_as_torch(lambda m, x: x.reshape(-1, 0), np.zeros((0, 3)))
    same_as_torch(lambda m, x: x.chunk(3), np.zeros((0, 3)))
    same_as_torch(lambda m, x: x.unbind(1), np.zeros((0, 3)))


def test_the_decks_reshape_a_vector_to_a_row_and_back() -> None:
    x = tm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    row = x.unsqueeze(0)
    assert row.shape == (1, 3)
    assert row.squeeze(0).shape == (3,)
    assert x.unsqueeze(-1).shape == (3, 1)
    assert row.reshape(3, 1).permute(1, 0).flatten().shape == (3,)
    (row.unsqueeze(-1).flatten() * tm.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 10.0, 100.0]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_cat_undoes_split(shape: list[int], data: st.DataObject) -> None:
    x = tm.randn(shape)
    dim = data.draw(st.integers(0, len(shape) - 1))
    size = data.draw(st.integers(1, 4))
    assert tm.equal(tm.cat(x.split(size, dim), dim), x)


@given(st.permutations([0, 1, 2]))
def test_a_permutation_and_its_inverse_give_the_same_tensor(order: list[int]) -> None:
    x = tm.randn(2, 3, 4)
    back = sorted(range(3), key=order.__getitem__)
    assert tm.equal(x.permute(order).permute(back), x)


def test_messages_name_the_sizes() -> None:
    x = tm.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"\[4, 2\].*size 6.*\[2, 3\]"):
        x.reshape(4, 2)
    with pytest.raises(IndexError, match=r"range of \[-2, 1\], but got 2"):
        x.transpose(0, 2)
    with pytest.raises(TypeError, match="'dim' must be int, not float"):
        x.unsqueeze(0.5)
    with pytest.raises(TypeError, match="'shape' must be int"):
        x.reshape(2.0, 3)
    with pytest.raises(NotImplementedError, match="another dtype"):
        x.view(tm.int32)
    with pytest.raises(IndexError, match="no dimensions"):
        tm.tensor(1.0).unbind()
    with pytest.raises(RuntimeError, match="1-D"):
        tm.zeros(3).mT  # noqa: B018


@pytest.mark.torch
@pytest.mark.parametrize("call", [
    "m.reshape(x, 6)", "m.reshape(x, 3, 2)", "x.reshape(3, 2)", "x.reshape((3, 2))",
    "x.view(size=6)",
    "x.view(size=(6,))", "m.flip(x, 0)", "x.flip(0)", "x.flip(0, 1)", "m.permute(x, 1, 0)",
    "x.permute(1, 0)", "m.tile(x, 2)", "x.tile(2)", "x.broadcast_to(2, 3)", "m.squeeze(x, None)",
    "m.split(x, split_size_or_sections=1)", "x.split(split_size=1)", "m.sum(input=x)",
    "m.chunk(x, m.tensor(True))", "m.eye(2, None)", "m.eye(True)", "m.arange(end=3)",
    "m.arange(5, step=2)", "m.arange(0, 3.1, dtype=m.int32)", "m.arange(m.tensor([3]))",
    "m.tensor([1], m.float32)", "m.as_tensor([1], m.float32)", "m.full(2, 1)", "m.full((2,), 1e40)",
    "m.full((2,), -1.5, dtype=m.uint8)", "m.full((2,), -1, dtype=m.uint8)", "x == None", "x != 'a'",
    "~x", "~(x > 1)", "int(x)", "x.size(True)", "reversed(x)", "x.clone().fill_(1e40)",
    "m.linspace(0, 1, True)", "x.clone().copy_(other=x)", "m.roll(x, 1, None)",
])  # fmt: skip
def test_arguments_are_taken_by_the_forms_and_names_that_pytorch_takes(call):
    torch = pytest.importorskip("torch")

    def outcome(module):
        try:
            x = module.arange(6.0).reshape(2, 3)
            y = eval(call, {"m": module, "x": x})
        except Exception as error:
            return type(error)
        parts = y if isinstance(y, tuple) else (y,)
        return [getattr(p, "tolist", lambda p=p: p)() for p in parts]

    assert outcome(tm) == outcome(torch)


@pytest.mark.torch
@pytest.mark.parametrize("call", [
    "m.round(m.tensor([1, 2]), decimals=0)", "m.add(m.ones(2), 1e40, alpha=0)",
    "m.add(m.ones(2), 3.3, alpha=7)", "m.movedim(m.ones(2, 3), 0, (1,))", "m.ones(2, 3).norm(1)",
    "F.batch_norm(m.ones(2, 3), m.ones(3), m.ones(3), eps=-0.5)", "F.leaky_relu(m.ones(2), [1])",
    "F.pad(m.ones(2), (1, 1), value=1e40)", "m.floor(m.ones(2, 3).int().t()).is_contiguous()",
    "m.ones(3, 2).t().sort(0)[1].is_contiguous()", "(m.ones(3, 2).t() == m.ones(2, 3)).stride()",
    "m.where(m.ones(2, 3) > 0, m.ones(3, 2).t(), m.zeros(2, 3)).stride()",
    "m.linalg.inv(m.eye(3)).is_contiguous()", "m.zeros(0).var(correction=-2)",
    "m.zeros(2).__setitem__(m.tensor([0, 1], dtype=m.uint8), 1)",
    "m.where(m.tensor([True]), None, None)", "m.zeros(2, dtype=m.int64).eq_(m.ones(2))",
])  # fmt: skip
def test_values_layouts_and_refusals_at_the_edges_are_pytorchs(call):
    torch = pytest.importorskip("torch")
    import torch.nn.functional as theirs

    from tinygrad_mmb.nn import functional as ours

    def outcome(module, functional):
        try:
            y = eval(call, {"m": module, "F": functional})
        except Exception as error:
            return type(error)
        return str(y.tolist()) if hasattr(y, "tolist") else y

    assert outcome(tm, ours) == outcome(torch, theirs)
