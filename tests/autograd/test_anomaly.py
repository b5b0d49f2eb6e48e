"""detect_anomaly names the operation and the user's line."""

from __future__ import annotations

import pytest

import tinygrad_mmb as tm


def test_the_first_infinity_of_the_forward_pass_is_named_with_the_user_s_line():
    x = tm.tensor([0.0, 1.0], requires_grad=True)
    with (
        tm.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match=r"Log made the first Inf.*test_anomaly.py:\d+: .*x\.log"),
    ):
        x.log()


def test_the_first_bad_gradient_is_named_with_the_line_of_its_forward():
    x = tm.tensor([0.0, 1.0], requires_grad=True)
    with (
        tm.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match=r"SqrtBackward0.*test_anomaly.py:\d+: .*x\.sqrt\(\)"),
    ):
        x.sqrt().sum().backward()


def test_outside_the_block_nothing_is_checked():
    x = tm.tensor([0.0], requires_grad=True)
    with tm.autograd.detect_anomaly():
        pass
    assert x.log().item() == float("-inf")


def test_an_infinity_that_came_in_is_not_blamed_on_the_operation():
    x = tm.tensor([float("inf")], requires_grad=True)
    with tm.autograd.detect_anomaly():
        (x * 2.0).sum().backward()
    assert x.grad.item() == 2.0
