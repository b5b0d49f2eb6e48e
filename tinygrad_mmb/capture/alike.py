"""Whether objects of the outside are what they were: numbers and text by value, arrays by identity.

Two Tensors with the same numbers are not the same: a replay would read and write the other one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import is_
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor

PLAIN = (bool, int, float, str, bytes, type(None))
CONTAINERS = (list, tuple, dict)
Attributes = dict[str, Any]


def exactly(x: Any) -> tuple[Any, ...]:
    """Something that is equal for the same x only: 1, 1.0 and True are three, 0.0 and -0.0 two."""
    if isinstance(x, (float, np.floating)) and x == 0:
        return type(x), x, math.copysign(1.0, x)
    return type(x), x


def same(old: Any, new: Any) -> bool:
    """The same object, or the same plain number or text."""
    return old is new or (isinstance(old, PLAIN) and exactly(old) == exactly(new))


def equal(old: Any, new: Any) -> bool:
    """The same object, or another of its type that says the same and holds no other array."""
    if old is new:
        return True
    if type(old) is not type(new) or isinstance(old, (Tensor, np.ndarray)):
        return False
    if isinstance(old, PLAIN):
        return same(old, new)
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(equal, old, new))
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(equal(old[k], new[k]) for k in old)
    return agree(old, new)


def agree(a: Any, b: Any) -> bool:
    """a == b; False where what is compared does not know how, or gives many answers."""
    try:
        return bool(a == b)
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

    Nearly always they hold the very same objects: so much is asked of all of them together.
    """

    def __init__(self, pairs: Iterable[tuple[Attributes, Attributes]]) -> None:
        pairs = list(pairs)
        self.now = [now for now, _ in pairs]
        self.sizes = [len(was) for _, was in pairs]
        entries = [(now, name, x) for now, was in pairs for name, x in was.items()]
        self.nested = [e for e in entries if isinstance(e[2], CONTAINERS)]  # copies of what was
        single = [e for e in entries if not isinstance(e[2], CONTAINERS)]
        self.names = [(now, name) for now, name, _ in single]
        self.values = [x for _, _, x in single]

    def hold(self) -> bool:
        """Whether all are what they were."""
        if list(map(len, self.now)) != self.sizes:
            return False
        try:
            found = [now[name] for now, name in self.names]
            return (
                all(map(is_, found, self.values)) or all(map(equal, self.values, found))
            ) and all(equal(x, now[name]) for now, name, x in self.nested)
        except KeyError:  # a name went, and another came
            return False
