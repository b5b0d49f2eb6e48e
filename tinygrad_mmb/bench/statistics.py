"""Medians, spreads and ratios with an interval: what may be said about two things timed in turn.

Two candidates are timed in the same rounds, so a machine that slows down slows both: what counts is
the ratio within a round. Its median over the rounds gets an interval from order statistics (the
sign test turned round): among n independent rounds the number of ratios below the true median is
Binomial(n, 1/2), whatever their distribution, so

    P(r₍ₖ₎ ≤ true median ≤ r₍ₙ₊₁₋ₖ₎) = 1 - 2 P(Binomial(n, 1/2) < k)

and k is the largest for which this is at least 95 %. It needs at least 6 rounds, and assumes no
shape: times have a long tail to one side.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

METHOD = "order statistics of the ratios within rounds (sign test), 95 %"
CONFIDENCE = 0.95
FASTER, SLOWER, SAME = "faster", "slower", "indistinguishable"


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as the peer: its median over the rounds, and the interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval allows to say."""
        if self.low > 1.0:
            return FASTER
        return SLOWER if self.high < 1.0 else SAME


def speed_ratio(peer: Sequence[float], ours: Sequence[float]) -> Ratio | None:
    """The peer's times over ours, round by round; None for fewer rounds than an interval needs.

    Raises: ValueError if the two were not timed in the same rounds.
    """
    if len(peer) != len(ours):
        raise ValueError(f"speed_ratio: {len(peer)} rounds of the peer, but {len(ours)} of ours")
    ratios = sorted(p / o for p, o in zip(peer, ours, strict=True))
    k = rank(len(ratios))
    if k is None:
        return None
    return Ratio(statistics.median(ratios), ratios[k - 1], ratios[len(ratios) - k])


def rank(n: int, confidence: float = CONFIDENCE) -> int | None:
    """Which smallest and largest of n bound the median; None if n is too small for any."""
    below, k = 0.0, 0  # P(Binomial(n, 1/2) < k)
    while k < n:
        below += math.comb(n, k) * 0.5**n
        if 2.0 * below > 1.0 - confidence:
            break
        k += 1
    return k or None


def median(times: Sequence[float]) -> float:
    """The middle of the times."""
    return statistics.median(times)


def interquartile_range(times: Sequence[float]) -> float:
    """How wide the middle half of the times is; 0 for a single one."""
    if len(times) < 2:
        return 0.0
    quarter, _, three_quarters = statistics.quantiles(times, n=4, method="inclusive")
    return three_quarters - quarter
