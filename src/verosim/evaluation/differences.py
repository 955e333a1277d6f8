"""What can differ between two sets of rows in one column: moments, quantiles, missing values, range and levels.

Each kind of difference is a distance, which is averaged over columns and has a floor, and a test of one column: its own
number beside that of train, and how likely chance alone makes the difference. All is computed from how often each value
occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan, sqrt
from typing import Final, Literal

import numpy as np

from verosim.evaluation import doubt
from verosim.evaluation.axes import DAY, Clock, unscaled
from verosim.evaluation.columns import Column, Floats, Levels, Ordered, Rows
from verosim.evaluation.doubt import Weighted

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
FAR: Final = 0.1  # standard deviations from which on a difference is large
MANY: Final = 0.05  # of the rows: from here on a difference of shares is large
SOME: Final = 0.01  # of the rows: from here on it is large that they are lost or outside

# ------------------------------------------------------------------------------------------------------- one column


@dataclass(frozen=True, slots=True)
class Shown:
    """A column, and how its numbers are told: times as text, and counted in days."""

    column: Column
    clock: Clock | None

    def number(self, value: float) -> float:
        """The value as it is in the table; days since 1970-01-01 (or midnight, or of a duration) for times."""
        if isinstance(self.column, Ordered):
            value = float(unscaled([value], self.column)[0])
        return value / self.clock.second / DAY if self.clock else value

    def point(self, value: float) -> str | float:
        return self.clock.text(value) if self.clock else self.number(value)

    def point_text(self, value: float) -> str:
        return self.clock.text(value) if self.clock else f"{self.number(value):.4g}"

    def length_text(self, value: float) -> str:
        return f"{self.number(value):.4g}{' days' if self.clock else ''}"


@dataclass(frozen=True)
class Counted:
    """How often each value of a column occurs in one set of rows: values or levels first, then marks or missing."""

    column: Column
    counts: Floats

    @classmethod
    def of(cls, column: Column, rows: Rows) -> Counted:
        return cls(column, np.bincount(column.codes[rows], minlength=column.size).astype(np.float64))

    @property
    def n(self) -> float:
        return float(self.counts.sum())

    @property
    def known(self) -> Floats:
        """The counts of values or levels alone."""
        return self.counts[: self.column.n_values if isinstance(self.column, Ordered) else -1]

    @property
    def missing(self) -> float:
        return float(self.counts[self.column.n_values if isinstance(self.column, Ordered) else -1])

    @cached_property
    def weighted(self) -> Weighted:
        """The values of an ordered column."""
        assert isinstance(self.column, Ordered)
        there = np.flatnonzero(self.known)
        return Weighted(self.column.distinct[there], self.known[there])

    @cached_property
    def below(self) -> Floats:
        """The share of the values up to and with each."""
        below: Floats = np.cumsum(self.known) / self.known.sum()
        return below

    def quantiles(self, shares: Sequence[float] = QUANTILES) -> Rows:
        """The rank of the lowest value that this share of the values does not exceed."""
        return np.searchsorted(self.below, np.array(shares) - 1e-12)


def spread(w: Weighted) -> float:
    """The standard deviation."""
    return sqrt(w.moment(2) * w.n / (w.n - 1)) if w.n > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Own:
    """What one column shows of one kind of difference."""

    value: float
    error: float | None  # standard error, were the synthetic rows real
    real: float | None  # the value of train; None: what real rows get against real rows
    p: float  # how likely chance alone makes such a difference
    words: str
    large: bool  # worth more than a word


# ---------------------------------------------------------------------------------------- the kinds of differences


def _pooled_sd(a: Weighted, b: Weighted) -> float:
    largest = float(np.abs(np.concatenate([a.values, b.values])).max(initial=0.0)) or 1.0
    values, counts = np.concatenate([a.values, b.values]) / largest, np.concatenate([a.counts, b.counts])
    return largest * sqrt(Weighted(values, counts).moment(2))


def _apart(x: float, y: float, sd: float) -> float:
    """The distance in standard deviations; rounding is no distance."""
    return abs(x - y) / sd if abs(x - y) > 1e-12 * max(abs(x), abs(y)) and sd > 0 else 0.0


def _mean_distance(a: Counted, b: Counted) -> float:
    x, y = a.weighted, b.weighted
    return _apart(x.mean, y.mean, _pooled_sd(x, y))


def _mean(shown: Shown, real: Counted, new: Counted) -> Own:
    a, b = real.weighted, new.weighted
    error, p = doubt.of_means(a, b)
    words = f"{shown.point_text(b.mean)} instead of {shown.point_text(a.mean)}"
    return Own(
        shown.number(b.mean), shown.number(error), shown.number(a.mean), p, words, _mean_distance(real, new) >= FAR
    )


def _sd_distance(a: Counted, b: Counted) -> float:
    x, y = a.weighted, b.weighted
    return _apart(spread(x), spread(y), _pooled_sd(x, y))


def _sd(shown: Shown, real: Counted, new: Counted) -> Own:
    a, b = real.weighted, new.weighted
    largest = float(np.abs(np.concatenate([a.values, b.values])).max()) or 1.0
    squares = [Weighted(((w.values - w.mean) / largest) ** 2, w.counts) for w in (a, b)]
    error, p = doubt.of_means(*squares)
    sd = spread(b)
    of_root = error * largest / (2 * sd / largest) if sd else 0.0
    words = f"{shown.length_text(sd)} instead of {shown.length_text(spread(a))}"
    return Own(
        shown.number(sd), shown.number(of_root), shown.number(spread(a)), p, words, _sd_distance(real, new) >= FAR
    )


def _quantile_distance(a: Counted, b: Counted) -> float:
    at = a.quantiles()
    return float(np.abs(a.below[at] - b.below[at]).max())


def _quantiles(shown: Shown, real: Counted, new: Counted) -> Own:
    at, n, m = real.quantiles(), float(real.known.sum()), float(new.known.sum())
    ours, theirs = new.below[at], real.below[at]
    tests = [doubt.of_shares(x * m, m, y * n, n) for x, y in zip(ours, theirs, strict=True)]
    worst = int(np.abs(ours - theirs).argmax())
    column = shown.column
    assert isinstance(column, Ordered)
    cut = shown.point_text(float(column.distinct[at[worst]]))
    words = f"{100 * ours[worst]:.1f} % are up to {cut}, of real rows {100 * theirs[worst]:.1f} %"
    distance = abs(float(ours[worst] - theirs[worst]))
    p = min(1.0, len(tests) * min(p for _, p in tests))
    return Own(100 * distance, 100 * tests[worst][0], None, p, words, distance >= MANY)


def _missing_distance(a: Counted, b: Counted) -> float:
    return abs(a.missing / a.n - b.missing / b.n)


def _missing(shown: Shown, real: Counted, new: Counted) -> Own:
    error, p = doubt.of_shares(new.missing, new.n, real.missing, real.n)
    value, usual = 100 * new.missing / new.n, 100 * real.missing / real.n
    return Own(
        value, 100 * error, usual, p, f"{value:.3g} % instead of {usual:.3g} %", abs(value - usual) >= 100 * MANY
    )


def _range_lost(a: Counted, b: Counted) -> float:
    """The share of the range of a that b does not reach."""
    x, y = a.weighted.values, b.weighted.values
    if x[0] == x[-1]:
        return 0.0 if y[0] <= x[0] <= y[-1] else 1.0
    common = max(0.0, min(x[-1], y[-1]) - max(x[0], y[0]))
    return 1 - float(common / (x[-1] - x[0]))


def _beyond(a: Counted, b: Counted) -> tuple[int, int]:
    """How many rows of a lie below and above all values of b."""
    x, y = a.weighted, b.weighted
    return round(float(x.counts[x.values < y.values[0]].sum())), round(float(x.counts[x.values > y.values[-1]].sum()))


def _extremes(a: Counted, b: Counted) -> tuple[int, float]:
    """How many rows of a lie beyond all of b, and how likely chance puts so many of one end there."""
    ends = _beyond(a, b)
    n, m = int(a.known.sum()), int(b.known.sum())
    return sum(ends), min(1.0, 2 * min(doubt.of_extremes(k, n, m) for k in ends))


def _range(shown: Shown, real: Counted, new: Counted) -> Own:
    beyond, p = _extremes(real, new)
    share = beyond / float(real.known.sum())
    low, high = (shown.point_text(float(new.weighted.values[k])) for k in (0, -1))
    words = f"none beyond {low} to {high}, where {beyond:,} real rows lie ({100 * share:.2g} %)"
    return Own(100 * (1 - _range_lost(real, new)), None, None, p, words, share >= SOME)


def _gone(a: Counted, b: Counted) -> Floats:
    """The counts in a of the levels that b has not."""
    gone: Floats = a.known[(a.known > 0) & (b.known == 0)]
    return gone


def _levels_lost(a: Counted, b: Counted) -> float:
    """The share of the levels of a that b has not."""
    return len(_gone(a, b)) / max(1, int((a.known > 0).sum()))


def _lost(a: Counted, b: Counted) -> float:
    """How likely chance alone keeps levels of a from b."""
    both = a.known + b.known
    return doubt.of_lost(_gone(a, b), both[both > 0], a.n / (a.n + b.n))


def _levels(shown: Shown, real: Counted, new: Counted) -> Own:
    gone = _gone(real, new)
    share = float(gone.sum()) / real.n
    words = f"{len(gone):,} of {int((real.known > 0).sum()):,} levels, held by {100 * share:.2g} % of real rows"
    return Own(100 * (1 - _levels_lost(real, new)), None, None, _lost(real, new), words, share >= SOME)


def _outside_distance(a: Counted, b: Counted) -> float:
    """The share of the rows of b that lie beyond the range of a, or in none of its levels."""
    if isinstance(a.column, Levels):
        return float(_gone(b, a).sum()) / b.n
    return sum(_beyond(b, a)) / b.n


def _outside(shown: Shown, real: Counted, new: Counted) -> Own:
    share = _outside_distance(real, new)
    if isinstance(real.column, Levels):
        new_levels, p = len(_gone(new, real)), _lost(new, real)
        words = f"{100 * share:.2g} % of rows, {new_levels:,} new level{'' if new_levels == 1 else 's'}"
    else:
        p = _extremes(new, real)[1]
        low, high = (shown.point_text(float(real.weighted.values[k])) for k in (0, -1))
        words = f"{100 * share:.2g} % of rows, beyond {low} to {high}"
    return Own(100 * share, None, None, p, words, share >= SOME)


# ----------------------------------------------------------------------------------------------------------- all kinds


def _is_known(*sets: Counted) -> bool:
    return all(bool(s.known.any()) for s in sets)


def _has_order(a: Counted, b: Counted) -> bool:
    return isinstance(a.column, Ordered) and _is_known(a, b)


def _has_levels(a: Counted, b: Counted) -> bool:
    return isinstance(a.column, Levels) and _is_known(a)


def _has_missing(a: Counted, b: Counted) -> bool:
    return a.missing + b.missing > 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of difference."""

    name: str
    about: str  # the own number of a column
    direction: Literal["lower", "higher", "floor"]  # of that number
    unit: Literal["", "%"]
    about_all: str  # the number of the table: the mean distance, or what it leaves of 100 % where higher is better
    fits: Callable[[Counted, Counted], bool]  # whether the column can have this difference
    distance: Callable[[Counted, Counted], float]
    test: Callable[[Shown, Counted, Counted], Own]
    lead: str  # how the verdict begins
    none: str  # why there is nothing to measure where no column fits; empty: then nothing differs

    def apart(self, a: Counted, b: Counted) -> float:
        """The distance of two sets of rows; NaN where it is not defined."""
        return self.distance(a, b) if self.fits(a, b) else nan if self.none else 0.0


KINDS: Final = (
    Kind(
        "mean", "mean", "floor", "",
        "difference of each column's mean, in % of its standard deviation; their mean",
        _has_order, _mean_distance, _mean, "another mean", "no column has an order",
    ),
    Kind(
        "sd", "standard deviation", "floor", "",
        "difference of each column's standard deviation, in % of it; their mean",
        _has_order, _sd_distance, _sd, "another spread", "no column has an order",
    ),
    Kind(
        "quantiles", "rows up to the 5, 25, 50, 75 or 95 % quantile of train: the largest difference", "lower", "%",
        "rows up to each column's quantiles: the largest difference, their mean",
        _has_order, _quantile_distance, _quantiles, "other quantiles", "no column has an order",
    ),
    Kind(
        "missing", "missing values", "floor", "%",
        "difference of each column's share of missing values, their mean",
        _has_missing, _missing_distance, _missing, "other shares of missing values", "",
    ),
    Kind(
        "range_coverage", "share of the range of train that is reached", "higher", "%",
        "share of each column's range in train that is reached, their mean",
        _has_order, _range_lost, _range, "ends of the range not reached", "no column has an order",
    ),
    Kind(
        "category_coverage", "share of the levels of train that occur", "higher", "%",
        "share of each column's levels in train that occur, their mean",
        _has_levels, _levels_lost, _levels, "levels lost", "no column has levels",
    ),
    Kind(
        "outside", "rows beyond the range or the levels of train", "lower", "%",
        "rows beyond each column's range or levels in train, their mean",
        _is_known, _outside_distance, _outside, "values that train has not", "no column has values",
    ),
)  # fmt: skip
