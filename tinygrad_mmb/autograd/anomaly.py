"""detect_anomaly: stop where the first NaN or Inf was made, and name the user's line."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Sequence
from contextvars import ContextVar, Token
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tinygrad_mmb.backend import is_array, namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.function import Context

watching: ContextVar[bool] = ContextVar("watching", default=False)
PACKAGE = str(Path(__file__).parent.parent)


class detect_anomaly:  # noqa: N801 - PyTorch's name
    """Check every recorded result and every gradient inside the block.

    Raises RuntimeError at the operation, forward or backward, that first makes a NaN or an Inf out
    of finite numbers, naming it and the line of your program that called it. Slow: for finding a
    fault, not for training.
    """

    def __enter__(self) -> None:
        self._token: Token[bool] = watching.set(True)

    def __exit__(self, *exc: object) -> None:
        watching.reset(self._token)


def check_forward(ctx: Context, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Remember who called, and raise if the outputs are the first that are not finite."""
    ctx.origin = user_line()
    if finite(inputs) and not finite(outputs):
        raise RuntimeError(
            f"detect_anomaly: {ctx.function.__name__} made the first {which(outputs)}, from finite "
            f"inputs, at {ctx.origin}"
        )


def check_backward(ctx: Context, gs: Sequence[Any], gxs: Sequence[Any]) -> None:
    """Raise if the gradients of the inputs are the first that are not finite."""
    if finite(gs) and not finite(gxs):
        raise RuntimeError(
            f"detect_anomaly: {ctx.name()} made the first {which(gxs)}, from a finite gradient; "
            f"its forward ran at {ctx.origin}"
        )


def floats(values: Sequence[Any]) -> list[Any]:
    """The floating-point arrays and numbers among arrays, Tensors and other arguments."""
    arrays = [getattr(v, "array", v) for v in values]
    return [a for a in arrays if isinstance(a, float) or (is_array(a) and a.dtype.kind == "f")]


def finite(values: Sequence[Any]) -> bool:
    """Whether no value holds a NaN or an Inf."""
    return all(namespace(a).isfinite(a).all() for a in floats(values))


def which(values: Sequence[Any]) -> str:
    """NaN or Inf: which of the two was made."""
    return "NaN" if any(namespace(a).isnan(a).any() for a in floats(values)) else "Inf"


def user_line() -> str:
    """The innermost line of the calling program outside this package, with its text."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    path, line = frame.f_code.co_filename, frame.f_lineno
    return f"{path}:{line}: {linecache.getline(path, line).strip()}"
