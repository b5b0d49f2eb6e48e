"""A clock that runs out: every part of a run gets its share of the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """`left()` seconds until `seconds` have passed since now."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + seconds

    def left(self) -> float:
        return max(0.0, self._end - self._now())

    def overdrawn(self) -> float:
        """Seconds since it passed; 0 before."""
        return max(0.0, self._now() - self._end)

    @property
    def passed(self) -> bool:
        return self.left() == 0.0

    def share(self, parts: float) -> Deadline:
        """The end of the next part, if all that is left are `parts` as long as it."""
        return Deadline(self.left() / max(parts, 1), self._now)
