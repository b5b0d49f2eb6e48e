"""help(Tensor.sum) says what help(sum) says."""

from __future__ import annotations

import inspect

import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.method_table import METHODS


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_the_docstring_of_its_op(name):
    first_line = inspect.getdoc(METHODS[name].function).splitlines()[0]
    assert inspect.getdoc(getattr(tm.Tensor, name)).startswith(first_line)


def test_a_method_shows_the_signature_and_the_source_of_its_op():
    assert inspect.signature(tm.Tensor.sum) == inspect.signature(tm.sum)
    assert inspect.getsource(tm.Tensor.sum) == inspect.getsource(tm.sum)


def test_a_method_in_place_says_so_and_what_it_writes():
    doc = inspect.getdoc(tm.Tensor.exp_)
    assert "into x" in doc
    assert inspect.getdoc(tm.exp) in doc


def test_an_unknown_argument_of_a_method_is_reported_for_the_tensor():
    with pytest.raises(TypeError, match=r"Tensor\.sum\(\) got an unexpected keyword.*'axes'"):
        tm.ones(2).sum(axes=1)
