"""How a series moves: memory (autocorrelation), its channels together, its rhythm (spectrum, calendar), its steps.

Each measure is a statistic of sums over units, and the distance of that statistic between two sets of units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final

import numpy as np

from verosim.evaluation.columns import Floats, Rows
from verosim.evaluation.fidelity import beside
from verosim.evaluation.floors import floor_of
from verosim.evaluation.report import Measure
from verosim.evaluation.sequences.paths import Bools, Paths, levels_of

LAGS: Final = 48
CROSS_LAGS: Final = (0, 1, 2, 4, 8, 16, 32, 48)
CHANNELS: Final = 40  # looked at together, at most
WINDOW: Final = 64  # steps of a spectrum, at most
BARS: Final = 100  # quantiles that steps are told by
LEVELS: Final = 12  # of a channel in transitions
HOURS, DAYS = 24, 7

AUTOCORRELATION: Final = Measure(
    "autocorrelation", "lower", about="difference of autocorrelations to lag 48, mean over lags and channels"
)
CROSS_CORRELATION: Final = Measure(
    "cross-correlation", "lower", about="difference of two channels' correlations at lags 0 to 48, mean"
)
SPECTRUM: Final = Measure("spectrum", "lower", "%", about="power at other frequencies than real, mean over channels")
STEPS: Final = Measure("steps", "lower", "%", about="distance of the distributions of first differences, mean")
TRANSITIONS: Final = Measure("transitions", "lower", "%", about="transitions from level to level that differ, mean")
CALENDAR: Final = Measure(
    "calendar", "lower", "%", about="difference of means by hour and weekday, in % of the standard deviation"
)

Statistic = Callable[[Rows], Floats]  # of a set of units


@dataclass(frozen=True, slots=True)
class Found:
    """A measure, and what its picture is drawn from: the statistic of each set."""

    measure: Measure
    names: list[str]
    statistic: Statistic | None = None

    def of_sets(self, p: Paths) -> dict[str, Any]:
        """The statistic of train, hold-out (None where there is none) and synthetic, as lists."""
        sets = {"train": p.units.train, "holdout": p.units.holdout, "synthetic": p.units.synthetic}
        assert self.statistic is not None
        return {role: _plain(self.statistic(units)) if len(units) else None for role, units in sets.items()}


def _plain(values: Floats) -> Any:
    """Nested lists, with None for what is undefined."""
    return _defined(np.round(values, 5).tolist())


def _defined(value: Any) -> Any:
    if isinstance(value, list):
        return [_defined(v) for v in value]
    return value if isfinite(value) else None


def judged(
    p: Paths, like: Measure, names: list[str], statistic: Statistic, distance: Callable[[Floats, Floats], Floats]
) -> Found:
    """The measure: distances of the statistic of train and of synthetic units, beside random sets of real units."""

    def errors(a: Rows, b: Rows) -> Floats:
        return distance(statistic(a), statistic(b))

    found = errors(p.units.train, p.units.synthetic)
    if not np.isfinite(found).any():
        return Found(like.absent("nothing varies"), names)
    real = floor_of(p.units, f"{like.name} floor", errors)
    measure = beside(like, found, real, lambda i: names[i])
    if names == [like.name]:  # there is no other place
        measure = replace(measure, verdict=measure.verdict.partition(": mostly")[0])
    return Found(measure, names, statistic)


def mean_gap(a: Floats, b: Floats) -> Floats:
    """(d, k), (d, k) -> (d,) mean absolute difference; what is undefined in both is left out, in one it counts 0."""
    both = np.isnan(a) & np.isnan(b)
    gap = np.where(both, np.nan, np.abs(np.nan_to_num(a) - np.nan_to_num(b)))
    return _mean(gap)


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)


def half_sum(a: Floats, b: Floats) -> Floats:
    """(d, k) shares -> (d,) total variation."""
    return np.abs(a - b).sum(axis=1) / 2


# ------------------------------------------------------------------------------------------------- memory


def autocorrelation(p: Paths, x: Floats) -> Found:
    """Of every ordered channel, to lag 48. x: (n, d) scaled."""
    lags = range(1, min(LAGS, max(1, int(p.place.max(initial=0)))) + 1)
    one, two, size = p.sums(x), p.sums(x * x), p.sums(np.ones(len(x)))
    product, pairs = np.empty((len(size), len(lags), x.shape[1])), np.empty((len(size), len(lags)))
    for i, lag in enumerate(lags):
        here = np.zeros_like(x)
        follows = p.follows(lag)
        here[:-lag] = x[:-lag] * x[lag:]
        here[~follows] = 0
        product[:, i], pairs[:, i] = p.sums(here), p.sums(follows.astype(np.float64))

    def statistic(units: Rows) -> Floats:
        n = size[units].sum()
        mean = one[units].sum(axis=0) / n
        variance = two[units].sum(axis=0) / n - mean**2
        known = pairs[units].sum(axis=0)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (product[units].sum(axis=0) / known - mean**2) / np.where(variance > 1e-12, variance, np.nan)
        return r.T  # (d, lags)

    return judged(p, AUTOCORRELATION, [c.name for c in p.ordered], statistic, mean_gap)


def cross_correlation(p: Paths, x: Floats) -> Found:
    """Of every two ordered channels, one some steps after the other."""
    names = [c.name for c in p.ordered]
    some = np.sort(p.units.chance("cross channels").permutation(len(names))[:CHANNELS])
    if len(some) < 2:
        return Found(CROSS_CORRELATION.absent("fewer than two channels with an order"), [])
    x, d = x[:, some], len(some)
    longest = int(p.place.max(initial=0))
    lags = [lag for lag in CROSS_LAGS if lag <= longest]
    starts = p.starts
    ends = np.append(starts[1:], len(x))
    product, pairs = np.zeros((len(starts), d, d, len(lags))), np.zeros((len(starts), len(lags)))
    for k, lag in enumerate(lags):
        follows = p.follows(lag) if lag else np.ones(len(x), np.bool_)
        head = np.where(follows[:, None], x, 0)
        pairs[:, k] = p.sums(follows.astype(np.float64))
        for unit, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            product[unit, :, :, k] = head[start : max(start, end - lag)].T @ x[start + lag : max(start + lag, end)]
    one, two, size = p.sums(x), p.sums(x * x), p.sums(np.ones(len(x)))
    first, second = np.triu_indices(d, 1)

    def statistic(units: Rows) -> Floats:
        n = size[units].sum()
        mean = one[units].sum(axis=0) / n
        spread = np.sqrt(np.maximum(two[units].sum(axis=0) / n - mean**2, 0))
        spread[spread <= 1e-6] = np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            r = product[units].sum(axis=0) / pairs[units].sum(axis=0) - np.outer(mean, mean)[:, :, None]
            r /= np.outer(spread, spread)[:, :, None]
        return np.concatenate([r[first, second], r[second, first]], axis=1)  # (pairs, 2 lags)

    named = [f"{names[some[i]]} x {names[some[j]]}" for i, j in zip(first, second, strict=True)]
    return judged(p, CROSS_CORRELATION, named, statistic, mean_gap)


# ------------------------------------------------------------------------------------------------- rhythm


def spectrum(p: Paths, x: Floats) -> Found:
    """The share of the power at each frequency, over windows without overlap."""
    width = min(WINDOW, int(p.place.max(initial=0)) + 1)
    if width < 8:
        return Found(SPECTRUM.absent("sequences are shorter than 8 steps"), [])
    first = np.flatnonzero((p.place % width == 0) & np.append(p.follows(width - 1), False)[: len(x)])
    window = x[first[:, None] + np.arange(width)]  # (windows, width, d)
    window = (window - window.mean(axis=1, keepdims=True)) * np.hanning(width)[:, None]
    power = (np.abs(np.fft.rfft(window, axis=1)[:, 1:]) ** 2).transpose(0, 2, 1)  # (windows, d, frequencies)
    sums = np.zeros((len(p.starts), *power.shape[1:]))
    np.add.at(sums, p.unit[first], power)

    def statistic(units: Rows) -> Floats:
        total = sums[units].sum(axis=0)
        whole = total.sum(axis=1, keepdims=True)
        return np.where(whole > 1e-9, total / np.where(whole > 1e-9, whole, 1), np.nan)

    def distance(a: Floats, b: Floats) -> Floats:
        return np.where(np.isnan(a[:, 0]) & np.isnan(b[:, 0]), np.nan, half_sum(np.nan_to_num(a), np.nan_to_num(b)))

    return judged(p, SPECTRUM, [c.name for c in p.ordered], statistic, distance)


def calendar(p: Paths, x: Floats) -> Found:
    """The mean of every ordered channel by hour and by weekday."""
    if not p.in_calendar:
        return Found(CALENDAR.absent("no column of points in time orders the rows"), [])
    hour, day = clock(p)
    cells = [(hour, HOURS), (day, DAYS)] if len(np.unique(hour)) > 1 else [(day, DAYS)]
    sums, counts = [], []
    for codes, size in cells:
        hot = np.zeros((len(p.starts), size, x.shape[1]))
        np.add.at(hot, (p.unit, codes), x)
        sums.append(hot)
        counts.append(p.counts(codes, size))
    total, n = np.concatenate(sums, axis=1), np.concatenate(counts, axis=1)

    def statistic(units: Rows) -> Floats:
        found = n[units].sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (total[units].sum(axis=0) / found[:, None]).T  # (d, hours and days)

    def distance(a: Floats, b: Floats) -> Floats:
        return _mean(np.abs(a - b))

    return judged(p, CALENDAR, [c.name for c in p.ordered], statistic, distance)


def clock(p: Paths) -> tuple[Rows, Rows]:
    """(n,) the hour, and the weekday from Monday, of every row; 0 where the time is missing."""
    seconds = np.nan_to_num(p.clock)
    hour, day = (seconds // 3600) % HOURS, (seconds // 86_400 + 3) % DAYS  # the first of January 1970 was a Thursday
    return hour.astype(np.int64), day.astype(np.int64)


# ------------------------------------------------------------------------------------------------- steps


def steps(p: Paths) -> Found:
    """The distribution of first differences of every ordered channel."""
    follows = p.follows()
    channels = ((c.name, c.values, c.marks == 0) for c in p.ordered)
    return _differences(p, STEPS, [(name, x, follows & ok & np.append(ok[1:], False)) for name, x, ok in channels])


def intervals(p: Paths, like: Measure) -> Found:
    """The distribution of the times between neighbours of a sequence."""
    known = np.isfinite(p.seconds)
    return _differences(p, like, [(like.name, p.seconds, p.follows() & known & np.append(known[1:], False))])


def _differences(p: Paths, like: Measure, of: list[tuple[str, Floats, Bools]]) -> Found:
    """of: name, (n,) values, and where the next row is of the same piece and both values are known."""
    names, counts = [], []
    for name, values, where in of:
        change = np.append(np.diff(values), 0.0)[where]
        if not len(change):
            continue
        change = np.round(change, 9)  # 0.3 - 0.2 and 0.4 - 0.3 are one step
        edges = np.unique(np.quantile(change, np.linspace(0, 1, BARS), method="nearest"))
        codes = np.zeros(len(values), np.int64)
        # an edge has a cell of its own: a step that many rows take is told from those beside it
        codes[where] = np.searchsorted(edges, change, "left") + np.searchsorted(edges, change, "right")
        names.append(name)
        counts.append(p.counts(codes, 2 * BARS + 1, where))
    if not names:
        return Found(like.absent("no two rows follow each other"), [])
    each = np.stack(counts, axis=1)  # (units, d, cells)

    def statistic(units: Rows) -> Floats:
        total = each[units].sum(axis=0)
        whole = total.sum(axis=1, keepdims=True)
        return np.where(whole > 0, total / np.maximum(whole, 1), np.nan)

    def distance(a: Floats, b: Floats) -> Floats:
        return np.abs(np.cumsum(a, axis=1) - np.cumsum(b, axis=1)).max(axis=1)  # Kolmogorov-Smirnov

    return judged(p, like, names, statistic, distance)


def transitions(p: Paths) -> Found:
    """The table of each channel's levels, or fifths, by those one step before."""
    follows = p.follows()
    if not follows.any():
        return Found(TRANSITIONS.absent("no two rows follow each other"), [])
    tables = list(_transitions(p, follows))

    def statistic(units: Rows) -> Floats:
        return np.stack([_share(each[units].sum(axis=0)) for _, each in tables])

    return judged(p, TRANSITIONS, [name for name, _ in tables], statistic, half_sum)


def _transitions(p: Paths, follows: Bools) -> Iterator[tuple[str, Floats]]:
    """(units, LEVELS ** 2) of every channel."""
    for name, codes, _ in levels_of(p, LEVELS):
        pair = codes * LEVELS + np.append(codes[1:], 0)
        yield name, p.counts(pair, LEVELS * LEVELS, follows)


def _share(counts: Floats) -> Floats:
    return counts / max(counts.sum(), 1.0)
