"""What a capture refuses, and where in the user's code."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import FrameType

import tinygrad_mmb

PACKAGE = str(Path(tinygrad_mmb.__file__).parent)
NUMPY = str(Path(sys.modules["numpy"].__file__ or "").parent)
Line = tuple[str, int]


class CaptureError(RuntimeError):
    """A step, or a part of it, that cannot be captured. Nothing was changed by the refused call."""


class UnsettledError(CaptureError):
    """A step that did not do what it did in the call before: the next one may."""


class UntraceableError(Exception):
    """Inside the forward of one op: it is to be recorded as one call, not looked into."""


def user_line() -> Line:
    """File and line of the innermost code that is neither ours nor NumPy's."""
    frame: FrameType | None = sys._getframe(1)
    outermost = frame
    while frame is not None:
        name = frame.f_code.co_filename
        if not is_ours(name):
            return name, frame.f_lineno
        outermost, frame = frame, frame.f_back
    return ("", 0) if outermost is None else (outermost.f_code.co_filename, outermost.f_lineno)


@functools.lru_cache(1024)
def is_ours(name: str) -> bool:
    """Whether this is a file of ours or of NumPy's, or no file."""
    return name.startswith((PACKAGE, NUMPY, "<"))


def said(line: Line) -> str:
    """A line as messages show it."""
    return f"{Path(line[0]).name}:{line[1]}"
