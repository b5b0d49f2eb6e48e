"""The replay in C++ refuses plans that would read or write where they may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.capture.by_hand import NEEDS_CPP
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = NEEDS_CPP


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


def program() -> Any:
    return native.Replay([np.zeros(8, np.float32), np.zeros(8, np.float32)], np.zeros(1))


A, B = ("memory", 0, 0, [4]), ("memory", 1, 0, [4])


@pytest.mark.parametrize(
    ("shape", "slots", "steps", "said"),
    [
        ([9], [A, B], [("copy", 1, 0, 0)], "inside its buffer"),
        ([8], [("memory", 0, 4, [4]), B], [("copy", 1, 0, 0)], "inside its buffer"),
        ([8], [("memory", 0, -4, [4]), B], [("copy", 1, 0, 0)], "inside its buffer"),
        ([8], [("memory", 2, 0, [4]), B], [("copy", 1, 0, 0)], "a buffer of the plan"),
        ([8], [A, B], [("cosh", 1, 0, 0)], "no operation cosh"),
        ([8], [A, B], [("add", 1, 0, 2)], "a slot"),
        ([8], [A, ("block",)], [("copy", 0, 1, 1)], "has written"),
        ([8], [A, ("number", 1)], [("copy", 0, 1, 1)], "number of the table"),
        ([8], [A, ("constant", 1.0)], [("copy", 1, 0, 0)], "a result in memory"),
        ([8], [A, ("memory", 1, 0, [0])], [("copy", 1, 0, 0)], "side by side"),
        ([7], [A, ("memory", 0, 4, [4])], [("copy", 1, 0, 0)], "do not overlap"),
        ([0], [A, B], [("copy", 1, 0, 0)], "at least one element"),
        ([8], [A, ("somewhere",)], [("copy", 0, 1, 1)], "no slot of kind somewhere"),
        ([8], [A, B], [], "at least one operation"),
    ],
)
def test_wrong_elementwise_programs_are_refused(shape, slots, steps, said):
    with pytest.raises(ValueError, match=said):
        program().elementwise("float32", shape, slots, steps)


def test_wrong_products_and_reductions_are_refused():
    p, rows, alone = program(), (0, 0, [8, 4]), (None, False, None, None)
    with pytest.raises(ValueError, match="apart from its factors"):
        p.product("float32", [], 2, 2, 2, rows, rows, rows, *alone)
    with pytest.raises(ValueError, match="inside its buffer"):
        p.product("float32", [], 2, 2, 5, (0, 0, [20, 4]), rows, (1, 0, [8, 4]), *alone)
    with pytest.raises(ValueError, match="in rows"):
        p.product("float32", [], 2, 2, 2, rows, rows, (1, 0, [4, 8]), *alone)
    with pytest.raises(ValueError, match="no reduction by hypot"):
        p.reduction("float32", "hypot", 1, 8, 1, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="inside its buffer"):
        p.reduction("float32", "add", 1, 9, 1, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="not in int64"):
        p.reduction("int64", "add", 1, 2, 1, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="instructions of the plan"):
        p.run(0, 1)


def test_a_read_only_array_is_no_place_for_a_result():
    fixed = np.zeros(8, np.float32)
    fixed.flags.writeable = False
    p = native.Replay([fixed], np.zeros(0))
    with pytest.raises(ValueError, match="may be written"):
        p.elementwise("float32", [8], [A], [("negative", 0, 0, 0)])


def test_the_result_of_a_call_must_be_there_before_it_is_read():
    p = native.Replay([np.zeros(8, np.float32), 32], np.zeros(0))
    p.elementwise("float32", [8], [A, B], [("copy", 0, 1, 1)])
    with pytest.raises(ValueError, match="before it is read"):
        p.run(0, 1)
    with pytest.raises(ValueError, match="as many bytes"):
        p[1] = np.zeros(7, np.float32)
    p[1] = np.zeros(8, np.float32)
    p.run(0, 1)
