"""Einsum and tensordot."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

RNG = np.random.default_rng(0)
A, B, C = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))
SQUARE, CUBE = RNG.standard_normal((3, 3)), RNG.standard_normal((2, 3, 3))
HEADS = RNG.standard_normal((2, 2, 3, 4))


@pytest.mark.parametrize(
    ("equation", "operands"),
    [
        ("ik,kj->ij", (A, B)),
        ("ij->ji", (A,)),
        ("ij->", (A,)),
        ("ii->i", (SQUARE,)),
        ("ii", (SQUARE,)),
        ("bik,bkj->bij", (CUBE, CUBE)),
        ("bhqd,bhkd->bhqk", (HEADS, HEADS)),
        ("ij,jk,kl->il", (A, B, C)),
        ("i,j->ij", (A[0], B[0])),
        ("bij,ij->b", (CUBE, SQUARE)),
        ("...i,...i->...", (A, A)),
    ],
)
def test_einsum_agrees_with_numpy_and_with_finite_differences(equation, operands):
    inputs = [tm.tensor(x, requires_grad=True) for x in operands]
    y = tm.einsum(equation, *inputs)
    np.testing.assert_allclose(y.detach().numpy(), np.einsum(equation, *operands), atol=1e-12)
    tm.autograd.gradcheck(lambda *xs: tm.einsum(equation, *xs), inputs)
    tm.autograd.gradgradcheck(lambda *xs: tm.einsum(equation, *xs), inputs)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "operands"),
    [
        (("ij,jk",), (A, B)),
        (("ij , jk -> i k",), (A, B)),
        (("Ba",), (A,)),
        (("iij->ij",), (RNG.standard_normal((2, 2, 3)),)),
        (("iijj",), (RNG.standard_normal((2, 2, 3, 3)),)),
        (("i...->...",), (CUBE,)),
        (("i...->i",), (CUBE,)),
        (("...ij,...jk->...ik",), (CUBE, SQUARE)),
        (("...,...",), (CUBE, A[0])),
        (("ij,jk->...ik",), (A, B)),
        (("ij,jk->ik",), (A, B[:1])),
        (("ij,ij",), (A, A[:, :1])),
        (("ij,ij->ij",), (A, A[:1])),
        ((",ij",), (np.array(2.0), A)),
        (("->",), (np.array(2.0),)),
        (("i,i->",), (np.zeros(0), np.zeros(0))),
        (("ij->i",), (A > 0,)),
        (("ij,ij->ij",), (A > 0, A > 0)),
        (("ij,jk",), (A > 0, B > 0)),
        (("ij,jk",), (A, B.astype(np.float32))),
        (("i,j",), (A[0], A[1].astype(np.float32))),
        (("ij,kj->ik",), (np.array([[1, 100]], np.int8), np.array([[2, 2]], np.int8))),
        (("ij->ijk",), (A,)),
        (("ij->ii",), (A,)),
        (("ij->i->j",), (A,)),
        (("ij,",), (A,)),
        (("ij",), (A, A)),
        (("ij,ij",), (A,)),
        (("ijk",), (A,)),
        (("i",), (A,)),
        (("ii",), (A,)),
        (("ij,jk",), (A, A)),
        (("ij-i",), (A,)),
        (("i1",), (A,)),
        (("..i",), (A,)),
        (("i.. .",), (A,)),
        (("...i...",), (A,)),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_strings_answer_or_refuse_as_in_pytorch(arguments, operands):
    same_as_torch(lambda t, *xs: t.einsum(*arguments, *xs), *operands)


@pytest.mark.torch
@pytest.mark.parametrize(
    "f",
    [
        lambda t, a, b: t.einsum(a, [0, 1], b, [1, 2], [0, 2]),
        lambda t, a, b: t.einsum(a, [0, 1], b, [1, 2]),
        lambda t, a, b: t.einsum(a, [..., 1], [1, ...]),
        lambda t, a, b: t.einsum(a, (0, 51), (51, 0)),
        lambda t, a, b: t.einsum(a, [0, 52]),
        lambda t, a, b: t.einsum(a, [0, -1]),
        lambda t, a, b: t.einsum(a, [0, 1.0]),
        lambda t, a, b: t.einsum(a, [0, "a"]),
        lambda t, a, b: t.einsum(a, "ij"),
        lambda t, a, b: t.einsum("ij,jk", [a, b]),
        lambda t, a, b: t.einsum("ij,jk", [a], [b]),
        lambda t, a, b: t.einsum("ij", 1.0),
        lambda t, a, b: t.einsum("ij"),
        lambda t, a, b: t.einsum(a),
        lambda t, a, b: t.einsum(None, a),
    ],
)
def test_lists_answer_or_refuse_as_in_pytorch(f):
    same_as_torch(f, A, B)


@pytest.mark.torch
@pytest.mark.parametrize(
    "dims",
    [2, 1, 0, 3, -1, True, 1.0, None, ([1], [1]), ([0, 1], [0, 1]), ([0, 1], [0]), ([0, 0], [0, 1]),
     (1, 1), [[1], [-1]], ([5], [1]), ([], []), [[0, 1]]],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "operands",
    [(A, A), (A, A[:, :1]), (A > 0, A > 0), (np.array(2.0), A[0]),
     (np.array([[100, 100]], np.int8), np.array([[2, 2]], np.int8))],
    ids=["square", "size 1", "bool", "number", "int8"],
)  # fmt: skip
def test_tensordot_answers_or_refuses_as_in_pytorch(operands, dims):
    same_as_torch(lambda t, a, b: t.tensordot(a, b, dims), *operands)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda a: tm.einsum("ij,jk", a), RuntimeError, "fewer operands"),
        (lambda a: tm.einsum("ij", a, a), RuntimeError, "more operands"),
        (lambda a: tm.einsum("i?", a), RuntimeError, "invalid subscript '?'"),
        (lambda a: tm.einsum("i", a), RuntimeError, r"number of subscripts \(1\)"),
        (lambda a: tm.einsum("ij,ij", a, a.T), RuntimeError, "does not broadcast with the size 2"),
        (lambda a: tm.einsum("ii", a), RuntimeError, "repeated for operand 0"),
        (lambda a: tm.einsum("ij->k", a), RuntimeError, "does not appear for any operand"),
        (lambda a: tm.einsum("ij->ii", a), RuntimeError, "more than once"),
        (lambda a: tm.einsum(a, [0, 99]), ValueError, "valid range"),
        (lambda a: tm.einsum(a, [0, 1], [..., ...]), RuntimeError, "two Ellipses"),
        (lambda a: tm.tensordot(a, a.double()), RuntimeError, "same dtype"),
        (lambda a: tm.tensordot(a, a, ([0, 0], [0, 0])), RuntimeError, "appears twice"),
        (lambda a: tm.tensordot(a, a, 3), RuntimeError, "dims=3"),
        (lambda a: tm.tensordot(a, a, 1), RuntimeError, "contracted dimensions need to match"),
        (lambda a: tm.tensordot(a, a, "a"), RuntimeError, "two lists of ints"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.ones(2, 3))
