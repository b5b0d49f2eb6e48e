"""Storage: what all Tensors over one memory know in common. Only writing in place needs it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

clock: Callable[[], int] = count(1).__next__  # one tick per recorded call and per write


class Storage:
    """When this memory was last written to in place, and how often.

    A value saved for backward is stale if its memory was written later than its node was made:
    one number per node, none per saved value.
    """

    written = 0
    version = 0
    home: Storage | None = None  # x.exp_() is computed here, but lives in x's memory...
    moved = 0  #                   ...since this time

    def touch(self) -> None:
        """Note a write."""
        self.written = clock()
        self.version += 1

    def moved_to(self, home: Storage) -> None:
        """Note that what was computed here now lives in the memory of `home`."""
        self.home, self.moved = home, home.written

    def changed_since(self, time: int) -> bool:
        """Whether these values have been written over."""
        return self.written > time or (
            self.home is not None and self.home.changed_since(self.moved)
        )
