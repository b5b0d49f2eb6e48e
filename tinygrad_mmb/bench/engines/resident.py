"""Bytes of memory that this process holds, and held at most. Linux tells both, macOS the second."""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def begin() -> int:
    """What is held now, and let the peak begin here; where the system cannot, the most so far."""
    with suppress(OSError):
        RESET.write_text("5", encoding="ascii")  # proc(5): sets VmHWM to what is held
    return kilobytes("VmRSS") or peak()


def peak() -> int:
    """The most that was held since. Raises: OSError where the system does not say."""
    held = kilobytes("VmHWM")  # of this program; ru_maxrss begins with that of the one before exec
    if held is not None:
        return held
    try:
        resource: Any = importlib.import_module("resource")  # Windows has none
    except ImportError:
        raise OSError("peak memory is not known on this system") from None
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def kilobytes(name: str) -> int | None:
    """A line of Linux's status file, in bytes."""
    try:
        found = re.search(rf"^{name}:\s*(\d+) kB", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
