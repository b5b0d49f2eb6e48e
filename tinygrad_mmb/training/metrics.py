"""What is measured beside the loss, over a batch or a whole set."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import Array, to_numpy


def host(value: Any) -> Array:
    """A NumPy array of a Tensor, array or list."""
    if isinstance(value, Tensor):
        return to_numpy(value.array)
    return to_numpy(value) if hasattr(value, "dtype") else np.asarray(value)


def accuracy(output: Any, target: Any) -> float:
    """The share of rows whose largest output is the target's class.   Shapes: (N, C), (N,).

    Raises: ValueError if the shapes do not fit, or there are no rows.
    """
    y, t = host(output), host(target)
    if y.ndim != 2 or t.shape != y.shape[:1] or not len(t):
        raise ValueError(
            f"accuracy: output has shape {y.shape} and target {t.shape}, but (N, C) and (N,) with "
            "N > 0 were expected"
        )
    return float(np.mean(y.argmax(1) == t))


def error_rate(output: Any, target: Any) -> float:
    """1 - accuracy."""
    return 1.0 - accuracy(output, target)


def confusion_matrix(predicted: Any, target: Any, classes: int) -> Array:
    """counts[t, p]: how often class t was taken for class p.

    Shapes: (N,), (N,) → (classes, classes) int64.
    Raises: ValueError for a class outside 0 ... classes - 1, or different lengths.
    """
    p, t = host(predicted).astype(np.int64), host(target).astype(np.int64)
    if p.shape != t.shape or p.ndim != 1:
        raise ValueError(
            f"confusion_matrix: predicted has shape {p.shape}, target {t.shape}; expected (N,) "
            "twice"
        )
    for name, values in (("predicted", p), ("target", t)):
        if len(values) and (values.min() < 0 or values.max() >= classes):
            raise ValueError(
                f"confusion_matrix: {name} holds classes {values.min()} ... {values.max()}, but "
                f"classes is {classes}"
            )
    return np.bincount(t * classes + p, minlength=classes * classes).reshape(classes, classes)


def roc_curve(score: Any, target: Any) -> tuple[Array, Array]:
    """False and true positive rates as the threshold falls through all scores; ties move together.

    Shapes: (N,), (N,) of 0 and 1 → two arrays from 0 to 1, of one length.
    Raises: ValueError unless both classes occur.
    """
    s, t = host(score).astype(np.float64), host(target).astype(bool)
    if s.shape != t.shape or s.ndim != 1 or t.all() or not t.any():
        raise ValueError(
            f"roc_curve: score has shape {s.shape}, target {t.shape} with {int(t.sum())} "
            "positives; expected (N,) "
            "twice, and both classes"
        )
    order = np.argsort(-s, kind="stable")
    s, t = s[order], t[order]
    last_of_tie = np.append(s[1:] != s[:-1], True)
    true, false = np.cumsum(t)[last_of_tie], np.cumsum(~t)[last_of_tie]
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def auc(score: Any, target: Any) -> float:
    """Area under the ROC curve.

    It is the chance that a positive scores above a negative, a tie counting half.
    """
    false, true = roc_curve(score, target)
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))


def rejection(score: Any, target: Any, efficiency: float = 0.5) -> float:
    """1 / (false positive rate) at the given true positive rate, between two thresholds on a
    straight line.

    Infinite where no negative passes.
    Raises: ValueError unless 0 < efficiency <= 1.
    """
    if not 0.0 < efficiency <= 1.0:
        raise ValueError(f"rejection: efficiency is {efficiency}, but must lie in (0, 1]")
    false, true = roc_curve(score, target)
    reached = int(np.searchsorted(true, efficiency, side="left"))
    low, high = true[reached - 1], true[reached]
    rate = false[reached - 1] + (false[reached] - false[reached - 1]) * (efficiency - low) / (
        high - low
    )
    return float(1.0 / rate) if rate > 0 else float("inf")


class WeightedMean:
    """Means over batches, each batch weighted by its size: a short last batch counts less.

    Sums are kept in Python floats, so that they go into a checkpoint and come back bit for bit.
    """

    def __init__(self) -> None:
        self.total: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, float], n: int) -> None:
        """Add the means over a batch of n samples."""
        self.count += n
        for name, value in values.items():
            self.total[name] = self.total.get(name, 0.0) + n * value

    def means(self, prefix: str = "") -> dict[str, float]:
        """The means over all samples added; empty if there were none."""
        return {prefix + k: v / self.count for k, v in self.total.items()} if self.count else {}

    def state_dict(self) -> dict[str, Any]:
        return {"total": dict(self.total), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total, self.count = dict(state["total"]), state["count"]
