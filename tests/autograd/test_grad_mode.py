"""no_grad, enable_grad, set_grad_enabled in all their forms."""

from __future__ import annotations

import pytest

import tinygrad_mmb as tm

x = tm.ones(2, requires_grad=True)


def test_no_grad_records_nothing_and_enable_grad_records_again():
    with tm.no_grad():
        assert not (x * 2.0).requires_grad
        with tm.enable_grad():
            assert (x * 2.0).requires_grad
        assert not tm.is_grad_enabled()
    assert tm.is_grad_enabled()


def test_no_grad_decorates_with_and_without_brackets():
    @tm.no_grad()
    def with_brackets():
        return (x * 2.0).requires_grad

    @tm.no_grad
    def without():
        return (x * 2.0).requires_grad

    assert not with_brackets() and not without()
    assert (x * 2.0).requires_grad


def test_the_mode_is_restored_after_an_exception():
    try:
        with tm.no_grad():
            raise KeyError
    except KeyError:
        assert tm.is_grad_enabled()


def test_set_grad_enabled_works_at_once_and_as_a_block():
    tm.set_grad_enabled(False)
    assert not tm.is_grad_enabled()
    tm.set_grad_enabled(True)
    with tm.set_grad_enabled(False):
        assert not tm.is_grad_enabled()
    assert tm.is_grad_enabled()


def test_one_no_grad_object_may_be_nested():
    block = tm.no_grad()
    with block:
        with block:
            assert not tm.is_grad_enabled()
        assert not tm.is_grad_enabled()
    assert tm.is_grad_enabled()


def test_a_generator_runs_in_its_mode_and_leaves_the_callers_as_it_is():
    @tm.no_grad()
    def doubled(x):
        got = yield x * 2
        yield got, tm.is_grad_enabled()

    steps = doubled(tm.ones(1, requires_grad=True))
    assert not next(steps).requires_grad
    assert tm.is_grad_enabled()
    assert steps.send("sent") == ("sent", False)
    assert tm.is_grad_enabled()
    assert list(steps) == []


def test_the_mode_is_a_bool():
    with pytest.raises(TypeError, match="True or False"):
        tm.set_grad_enabled("on")
    with pytest.raises(RuntimeError, match="must be a bool"):
        tm.ones(1).requires_grad = 1
