"""One computation with the twins and in Python only, and whether both gave the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_mmb import compiled


def in_both(run: Callable[[], Any]) -> tuple[Any, Any]:
    """What `run` returns with the twins, and with Python only."""
    if not compiled.use_compiled():
        pytest.skip("MMB_KERNELS pins other kernels, so the twins are out of the way")
    fast = run()
    compiled.use_compiled(False)
    return fast, run()


def same(a: Any, b: Any) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_array_equal(a, b)
    a, b = (np.where(np.isnan(x), 0, x) for x in (a, b))  # which sign a NaN has, nobody says
    np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


def outcome(run: Callable[[], Any]) -> Any:
    """What `run` returns, or the kind and the words of its error."""
    try:
        return run()
    except Exception as error:
        return type(error), str(error)


def run_in_python(run: Callable[[], Any], *functions: Any) -> set[str]:
    """The names of those among these functions that `run` calls."""
    codes = {f.__code__ for f in functions}
    ran = set()

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in codes:
            ran.add(frame.f_code.co_qualname)

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(None)
    return ran
