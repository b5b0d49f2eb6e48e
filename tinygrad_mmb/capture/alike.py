"""Whether objects of the outside are what they were: numbers and text by value, arrays by identity.

Two Tensors with the same numbers are not the same: a replay would read and write the other one.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor

PLAIN = (bool, int, float, str, bytes, type(None))
Attributes = dict[str, Any]


def same(old: Any, new: Any) -> bool:
    """The same object, or the same plain number or text."""
    return old is new or (type(old) is type(new) and isinstance(old, PLAIN) and old == new)


def equal(old: Any, new: Any) -> bool:
    """The same object, or another of its type that says the same and holds no other array."""
    if old is new:
        return True
    if type(old) is not type(new) or isinstance(old, (Tensor, np.ndarray)):
        return False
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(equal, old, new))
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(equal(old[k], new[k]) for k in old)
    try:
        return bool(old == new)
    except Exception:
        return False


def still(attributes: Attributes, was: Attributes) -> bool:
    """Whether these attributes are what they were; others may have come."""
    return all(name in attributes and equal(old, attributes[name]) for name, old in was.items())


def unchanged(before: Attributes, after: Attributes) -> Attributes:
    """The attributes that the step itself left alone: counters of a module are its own affair."""
    return {k: v for k, v in after.items() if k in before and equal(before[k], v)}


class Dictionaries:
    """Dictionaries that must say what they said, with no name more or less.

    One comparison of all of them together, which looks at identities first; where it finds equal
    arrays that are not the same, the identities of all arrays are asked for.
    """

    def __init__(self, pairs: Iterable[tuple[Attributes, Attributes]]) -> None:
        pairs = list(pairs)
        self.now = [now for now, _ in pairs]
        self.was = [dict(was) for _, was in pairs]
        arrays = [(now, name, x) for now, was in pairs for name, x in was.items()
                  if isinstance(x, (Tensor, np.ndarray))]  # fmt: skip
        self.names = [(now, name) for now, name, _ in arrays]
        self.arrays = [x for _, _, x in arrays]
        self.nested = [
            (now, name, x)
            for now, was in zip(self.now, self.was, strict=True)
            for name, x in was.items()
            if isinstance(x, (list, tuple, dict))
        ]

    def hold(self) -> bool:
        """Whether all are what they were."""
        try:
            if self.now != self.was:
                return False
        except Exception:  # arrays, which do not compare as one
            return False
        return all(map(is_, [now[name] for now, name in self.names], self.arrays)) and all(
            equal(x, now[name]) for now, name, x in self.nested
        )
