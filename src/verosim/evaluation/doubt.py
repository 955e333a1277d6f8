"""How likely chance alone makes a difference: p-values that can be trusted far out, for few rows and unlike sizes.

Hundreds of columns are judged in each report, so a verdict needs a p-value near 1e-5, where the usual normal
approximation of rare counts and heavy tails is wrong by orders of magnitude. All are two-sided, and of the null that
both sets of rows are from one source; where they are not exact, they err upwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cbrt, erfc, exp, lgamma, log, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ALPHA: Final = 0.0003  # chance of a false alarm of one measure, whatever the number of columns that it looks at


def surely(p: Floats, alpha: float = ALPHA) -> Bools:
    """Which of many differences are no chance, with at most `alpha` of a false word in all (Holm, 1979). NaN: not.

    >>> surely(np.array([0.04, 0.001, 0.02]), 0.05).tolist()
    [True, True, True]
    >>> surely(np.array([0.04, 0.03, np.nan]), 0.05).tolist()
    [False, False, False]
    """
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    passed = p[order] * np.arange(len(order), 0, -1) <= alpha
    sure = np.zeros(len(p), np.bool_)
    sure[order[: len(order) if passed.all() else int(passed.argmin())]] = True
    return sure


@dataclass(frozen=True, slots=True)
class Weighted:
    """Values with how often each occurs."""

    values: Floats
    counts: Floats

    @property
    def n(self) -> float:
        return float(self.counts.sum())

    @property
    def mean(self) -> float:
        return float(self.counts @ self.values) / self.n

    def moment(self, k: int) -> float:
        """The mean k-th power of the distance to the mean."""
        return float(self.counts @ (self.values - self.mean) ** k) / self.n


def of_means(a: Weighted, b: Weighted) -> tuple[float, float]:
    """The standard error of the difference of two means, were both sets one, and its p-value.

    The variance is that of both sets together, so that a few huge values cannot make their own significance. Where the
    sets differ in size, their skewness makes one tail of the difference long: it is then judged as gamma distributed
    (the cube root of which is about normal: Wilson and Hilferty, 1931).
    """
    both = Weighted(np.concatenate([a.values, b.values]), np.concatenate([a.counts, b.counts]))
    largest = float(np.abs(both.values).max(initial=0.0)) or 1.0  # third powers of extreme values would not be finite
    both = Weighted(both.values / largest, both.counts)
    variance, parts = both.moment(2), 1 / a.n + 1 / b.n
    if variance <= 1e-24:  # one value, but for rounding
        return 0.0, 1.0
    error = sqrt(variance * parts)
    z = (a.mean - b.mean) / largest / error
    skew = both.moment(3) / variance**1.5 * (1 / a.n**2 - 1 / b.n**2) / parts**1.5
    if z * skew > 1e-6:
        shape = 4 / skew**2
        z = max(0.0, 3 * sqrt(shape) * (cbrt(1 + abs(z) / sqrt(shape)) - 1 + 1 / (9 * shape)))
    return error * largest, _two_sided(z)


def of_shares(k: float, n: float, other: float, m: float) -> tuple[float, float]:
    """The standard error of the difference of the shares k of n and other of m, were both one, and its p-value.

    By the signed root of the likelihood ratio, with half a count off for continuity: near the exact test also where
    a handful of counts is all there is.
    """
    total, both = n + m, k + other
    if not 0 < both < total:
        return 0.0, 1.0
    share = both / total
    surplus = max(0.0, abs(k - n * share) - 0.5)
    if k < n * share:
        surplus = -surplus
    cells = ((n, share, 1), (n, 1 - share, -1), (m, share, -1), (m, 1 - share, 1))
    ratio = 2 * sum(_likely(size * part + sign * surplus, size * part) for size, part, sign in cells)
    return sqrt(share * (1 - share) * (1 / n + 1 / m)), _two_sided(sqrt(max(0.0, ratio)))


def of_extremes(beyond: int, n: int, m: int) -> float:
    """The chance that, of n and m rows in one order, the `beyond` outermost of one end all are of the n.

    >>> round(of_extremes(2, 3, 2), 12)  # 3/5 x 2/4, on either end
    0.6
    """
    steps = np.arange(beyond)
    return min(1.0, 2 * exp(float(np.log((n - steps) / (n + m - steps)).sum())))


def of_lost(gone: Floats, all_counts: Floats, share: float) -> float:
    """The chance that levels of these counts miss one of two sets, of all levels with their counts in both sets.

    share: of all rows, how many are in the other set, so that a level of t rows is there alone with share^t. Both the
    number of lost levels (at most Poisson distributed) and the largest of them are judged.
    """
    if not len(gone):
        return 1.0
    many = _poisson_tail(len(gone), float((share**all_counts).sum()))
    largest = len(all_counts) * share ** float(gone.max())
    return min(1.0, 2 * min(many, largest))


def _poisson_tail(k: int, mean: float) -> float:
    """The chance of k or more events where `mean` are expected."""
    if k <= mean or mean <= 0:
        return 1.0 if k <= mean else 0.0
    steps = np.arange(k + 1, k + 1000)
    following = np.exp(np.cumsum(np.log(mean / steps)))
    return min(1.0, exp(k * log(mean) - mean - lgamma(k + 1)) * (1 + float(following.sum())))


def _likely(found: float, expected: float) -> float:
    return found * log(found / expected) if found > 0 else 0.0


def _two_sided(z: float) -> float:
    return erfc(abs(z) / sqrt(2))
