"""`Grid`: one ordered column's values <-> positions in [0, 1), learned so that no rare value is kept.

Values are either float64 or, for anything whole (integers, decimals, dates, times), uint64 counted from the lowest
value of their type: exact, and free of the training data. A grid is a row of segments, each a range of positions and
values:

    position  0      .31       .33                  .90      1
    value     |  0    | 12 ~ 19 | 19 ~ 40 ~ 55 ~ 80 | 9999   |
                atom    piece     piece   (knots 12, 19, 40 ...)   atom

An **atom** is a value held by at least k people, and not merely one of a crowd of neighbours that are held about as
often: it owns as many positions as it has rows, and comes back exactly. The other values between two atoms form
**pieces**, through knots that are each the mean of at least k people's neighbouring values; inside a piece, values
follow positions on a straight line. So no rare value is stored; extremes are pulled in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.models import Array, Floats

KNOTS: Final = 2000  # about as many knots in all; a heap of small pieces between atoms may need more
FEW: Final = 256  # distinct values up to which each that k people hold is an atom
CROWD: Final = 31  # of more values, one is compared with so many around it ...
LOUD: Final = 3.0  # ... and is an atom if held so many times as often,
SURE: Final = 4  # or by so many times k people
HUGE_GAP: Final = 0.5  # a piece breaks at a gap wider than this share of its span
_BELOW_2_64: Final = float(np.nextafter(2.0**64, 0))

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """Values <-> positions; segment i holds positions [edges[i], edges[i + 1]) and values low[i] .. high[i].

    edges: (s + 1,) ascending from 0 to 1. low, high: (s,) float64 or uint64, ascending; equal for an atom.

    >>> grid = fit_grid(np.array([0.0] * 6 + [1, 2, 3, 4]), k=2)
    >>> grid.encode(np.array([0.0, 1.5, 3.5]))
    array([0.3, 0.6, 1. ])
    >>> grid.decode(np.array([0.3, 0.6, 0.8])).tolist()
    [0.0, 1.5, 2.5]
    """

    edges: Floats
    low: Array
    high: Array

    @cached_property
    def is_atom(self) -> Bools:
        return np.asarray(self.low == self.high)

    @property
    def atoms(self) -> Floats:
        """The intervals of positions that atoms own: (a, 2)."""
        return np.column_stack([self.edges[:-1], self.edges[1:]])[self.is_atom]

    @cached_property
    def _span(self) -> Floats:
        """How far each segment reaches; for floats half of it, as the whole may be past the largest float."""
        if self.low.dtype == np.uint64:
            return (self.high - self.low).astype(np.float64)
        return np.asarray(self.high / 2 - self.low / 2)

    def encode(self, values: Array) -> Floats:
        """The position of each value: the middle of its atom, else interpolated; total, and monotone in the value."""
        i = self._segment_of(values)
        low, span = self.low[i], self._span[i]
        above = np.maximum(values, low) - low if values.dtype == np.uint64 else values / 2 - low / 2
        share = np.divide(np.clip(above, 0.0, span), span, out=np.zeros(len(i)), where=span > 0)
        share = np.where(self.is_atom[i], 0.5, share)
        start, end = self.edges[i], self.edges[i + 1]
        inside = np.nextafter(end, 0.0)
        return np.maximum(np.minimum(start + share * (end - start), inside), start)

    def _segment_of(self, values: Array) -> Ints:
        """The segment of each value; between two segments, a piece goes before an atom, else the nearer one."""
        i = np.maximum(np.searchsorted(self.low, values, side="right") - 1, 0)
        outside = np.flatnonzero((values > self.high[i]) & (i + 1 < len(self.low)))
        left, x = i[outside], values[outside]
        before, after = self.high[left], self.low[left + 1]
        if x.dtype != np.uint64:  # halved: a distance may be past the largest float
            before, x, after = before / 2, x / 2, after / 2
        same = self.is_atom[left] == self.is_atom[left + 1]
        move = np.where(same, after - x < x - before, self.is_atom[left])
        i[outside] = left + move
        return i

    def decode(self, positions: Floats) -> Array:
        """The value at each position."""
        return self.at(positions)[0]

    def at(self, positions: Floats) -> tuple[Array, Ints]:
        """The value at each position, and the segment that it lies in."""
        i = self.locate(positions)
        start = self.edges[i]
        share = np.clip((positions - start) / (self.edges[i + 1] - start), 0.0, 1.0)
        low, high, ahead = self.low[i], self.high[i], share * self._span[i]
        if self.low.dtype == np.uint64:
            steps = np.minimum(np.rint(ahead), _BELOW_2_64).astype(np.uint64)
            return low + np.minimum(steps, high - low), i
        return np.minimum((low + ahead) + ahead, high), i

    @cached_property
    def _table(self) -> tuple[Ints, Bools, int]:
        """For each of m equal slices of [0, 1): the segment that it starts in, and whether another begins within."""
        m = 1 << min(17, (8 * len(self.low)).bit_length())
        first = np.searchsorted(self.edges, np.arange(m + 1) / m, side="right") - 1
        first = np.minimum(first, len(self.low) - 1)
        return first[:-1], first[1:] > first[:-1], m

    def locate(self, positions: Floats) -> Ints:
        """The segment of each position: by table; by search only where segments meet in a slice."""
        first, mixed, m = self._table
        bucket = np.clip((positions * m).astype(np.int64), 0, m - 1)
        i = first[bucket]
        unsure = np.flatnonzero(mixed[bucket])
        found = np.searchsorted(self.edges, positions[unsure], side="right") - 1
        i[unsure] = np.clip(found, 0, len(self.low) - 1)
        return i


def segment(low: Array, high: Array) -> Grid:
    """The grid of one segment: everything lies evenly between `low` and `high`, (1,) arrays."""
    return Grid(np.array([0.0, 1.0]), low, high)


def fit_grid(values: Array, people: Ints | None = None, k: int = 5, protect: bool = True) -> Grid:
    """Learn the grid of `values`: (n,) float64 or uint64, finite; `people`: (n,) who holds each, or None.

    At least k people hold a value, or `protect` is off. Without protection every value is an atom, or, where there are
    more than `KNOTS`, knots are real values and the ends are the real extremes.
    """
    held = _Held.of(values, people)
    atom = (held.holders >= k) & _stands_out(held.holders, k) | (not protect and len(held.distinct) <= KNOTS)
    starts, stops, small = _runs(held, atom, k)
    if not protect:
        atom |= _within(starts[small], stops[small], len(atom))
        small[:] = False
    chunk = max(k, -(-int(held.holders[~atom].sum()) // KNOTS))
    pieces = [
        _piece(held, _cuts(held, a, b, k, chunk), k, protect)
        for start, stop in zip(starts[~small].tolist(), stops[~small].tolist(), strict=True)
        for a, b in _split(held, start, stop, k)
    ]
    rows = held.rows.astype(np.float64)
    bridges = _bridge(held, rows, starts[small], stops[small])
    atoms = _Segments(np.flatnonzero(atom), held.distinct[atom], held.distinct[atom], rows[atom])
    return _assemble([*pieces, bridges, atoms])


def _stands_out(holders: Ints, k: int) -> Bools:
    """Which of many values are no mere chance in a crowd of neighbours that are held about as often.

    A crowd is drawn through its knots, where each of its values comes again; as atoms, those that k people happen to
    hold would swallow those that fewer hold.
    """
    if len(holders) <= FEW:
        return np.ones(len(holders), dtype=bool)
    around = pl.Series(holders).rolling_median(CROWD, min_samples=1, center=True).to_numpy()
    return np.asarray((holders >= SURE * k) | (holders >= LOUD * around))


# ------------------------------------------------------------------------------------------- who holds what


@dataclass(frozen=True, slots=True)
class _Held:
    """The distinct values of a column, ascending, and who holds them.

    distinct: (d,). rows, holders: (d,) rows and people of each. first: (d + 1,) sums of `holders` before each.
    previous: for each pair of value and person, ordered by value, the pair before it of the same person, or -1; None
    where each row is its own person.
    """

    distinct: Array
    rows: Ints
    holders: Ints
    first: Ints
    previous: Ints | None

    @classmethod
    def of(cls, values: Array, people: Ints | None) -> _Held:
        distinct, rows = np.unique(values, return_counts=True)
        if people is None:
            return cls(distinct, rows, rows, np.concatenate([[0], np.cumsum(rows)]), None)
        order = np.lexsort((people, values))
        value, person = values[order], people[order]
        new = np.ones(len(value), dtype=bool)
        new[1:] = (value[1:] != value[:-1]) | (person[1:] != person[:-1])
        value, person = value[new], person[new]
        first = np.concatenate([np.searchsorted(value, distinct), [len(value)]])
        by_person = np.argsort(person, kind="stable")
        again = person[by_person[1:]] == person[by_person[:-1]]
        previous = np.full(len(person), -1)
        previous[by_person[1:][again]] = by_person[:-1][again]
        return cls(distinct, rows, np.diff(first), first, previous)

    def reach(self, start: int, people: int) -> int:
        """The lowest `stop` such that so many people hold values start .. stop - 1; d + 1 if there is none."""
        begin, none = int(self.first[start]), len(self.distinct) + 1
        if self.previous is None:
            return min(bisect_left(memoryview(self.first.data), begin + people, start), none)
        length = 2 * people
        while True:
            seen = np.cumsum(self.previous[begin : begin + length] < begin)
            if len(seen) and seen[-1] >= people:
                last = begin + int(np.searchsorted(seen, people))
                return int(np.searchsorted(self.first, last, side="right"))
            if begin + length >= len(self.previous):
                return none
            length *= 4


# --------------------------------------------------------------------------------------------------- pieces


@dataclass(frozen=True, slots=True)
class _Segments:
    """Segments and the rows that each stands for; `order`: the distinct value where its run begins, by index."""

    order: Ints
    low: Array
    high: Array
    rows: Floats


def _runs(held: _Held, atom: Bools, k: int) -> tuple[Ints, Ints, Bools]:
    """The runs of values between atoms: where they start and stop, and whether fewer than k people hold them."""
    edge = np.diff(np.concatenate([[1], atom.astype(np.int8), [1]]))
    starts, stops = np.flatnonzero(edge == -1), np.flatnonzero(edge == 1)
    small = held.first[stops] - held.first[starts] < k
    if held.previous is not None:  # the same person may hold several of the values
        for i in np.flatnonzero(~small).tolist():
            small[i] = held.reach(int(starts[i]), k) > stops[i]
    return starts, stops, small


def _within(starts: Ints, stops: Ints, n: int) -> Bools:
    """Which of 0 .. n - 1 lie in any of the runs."""
    step = np.zeros(n + 1, dtype=np.int64)
    step[starts], step[stops] = 1, -1
    return np.cumsum(step)[:-1] > 0


def _split(held: _Held, start: int, stop: int, k: int) -> Iterator[tuple[int, int]]:
    """Break a run at gaps over half of its span where k people hold either side: nothing is made up between."""
    todo = [(start, stop)]
    while todo:
        a, b = todo.pop()
        value = held.distinct[a:b].astype(np.float64) / 2  # halved: the span of floats may be past the largest float
        gap = np.diff(value)
        left, right = held.first[a + 1 : b] - held.first[a], held.first[b] - held.first[a + 1 : b]
        gap[(left < k) | (right < k)] = 0
        widest = int(np.argmax(gap)) if len(gap) else 0
        middle = a + widest + 1
        huge = len(gap) and gap[widest] > HUGE_GAP * (value[-1] - value[0])
        if huge and held.reach(a, k) <= middle and held.reach(middle, k) <= b:
            todo += [(middle, b), (a, middle)]
        else:
            yield a, b


def _cuts(held: _Held, start: int, stop: int, k: int, chunk: int) -> list[int]:
    """Where a piece's chunks begin, and its end: k people each at its ends, where values are sparse, `chunk` inside."""
    cuts, total = [start], int(held.first[stop] - held.first[start])
    while cuts[-1] < stop:
        done = int(held.first[cuts[-1]] - held.first[start])
        want = min(max(min(done, total - done) // 4, k), chunk)
        cuts.append(min(held.reach(cuts[-1], want), stop))
    if len(cuts) > 2 and held.reach(cuts[-2], k) > stop:  # too few are left over: they join the chunk before
        del cuts[-2]
    return cuts


def _piece(held: _Held, cuts: list[int], k: int, protect: bool) -> _Segments:
    """One piece: each knot stands at the middle of its chunk's rows; the ends are stretched to the borders."""
    knots = _knots(held, cuts, k) if protect else _real_knots(held, cuts)
    sums = np.concatenate([[0], np.cumsum(held.rows[cuts[0] : cuts[-1]])])[np.asarray(cuts) - cuts[0]]
    if len(knots) == 1:
        knots = np.repeat(knots, 2)
    widths = np.diff((sums[1:] + sums[:-1]) / 2) if len(cuts) > 2 else np.ones(1)
    order = np.full(len(knots) - 1, cuts[0])
    return _Segments(order, knots[:-1], knots[1:], widths * (sums[-1] / widths.sum()))


def _knots(held: _Held, cuts: list[int], k: int) -> Array:
    """The mean of each chunk, (c,), where a person counts once for a value.

    A lone chunk becomes two knots, half its mean distance below and above its mean: strictly between its lowest and
    highest value, whatever they are.
    """
    starts = np.asarray(cuts[:-1]) - cuts[0]
    value = _tamed(held.distinct[cuts[0] : cuts[-1]], held.holders[cuts[0] : cuts[-1]], (k - 1) // 2)
    first, last = held.distinct[cuts[:-1]], held.distinct[np.asarray(cuts[1:]) - 1]
    weight = held.holders[cuts[0] : cuts[-1]] / np.repeat(np.diff(held.first[cuts]), np.diff(cuts))
    if value.dtype != np.uint64:
        means = np.clip(np.add.reduceat(value * weight, starts), first, last)
        return means if len(means) > 1 else means + np.array([-1, 1]) * (np.abs(value / 2 - means / 2) @ weight)
    above = (value - np.repeat(first, np.diff(cuts))).astype(np.float64)
    means = np.add.reduceat(above * weight, starts)
    if len(means) == 1:
        means = means + np.array([-1, 1]) * (np.abs(above - means) @ weight) / 2
    steps = np.minimum(np.rint(means), _BELOW_2_64).astype(np.uint64)
    return np.asarray(first + np.minimum(steps, last - first))


def _tamed(value: Array, holders: Ints, outermost: int) -> Array:
    """The values of a piece, ascending, with those of so many people at either end drawn in to the next one's.

    A mean in which one value is far larger than the rest is, nearly, a share of that value: it would tell of one person
    (the dominance rule of statistical offices: Hundepool et al., Statistical Disclosure Control, 2012).
    """
    below, above = np.cumsum(holders), np.cumsum(holders[::-1])
    low = value[min(int(np.searchsorted(below, outermost, side="right")), len(value) - 1)]
    high = value[max(len(value) - 1 - int(np.searchsorted(above, outermost, side="right")), 0)]
    return np.clip(value, low, max(low, high))


def _real_knots(held: _Held, cuts: list[int]) -> Array:
    """For values without protection: the middle value of each chunk, and the real extremes at the ends."""
    middle = [(a + b) // 2 for a, b in pairwise(cuts)][1:-1] if len(cuts) > 2 else []
    return np.asarray(held.distinct[[cuts[0], *middle, cuts[-1] - 1]])


def _bridge(held: _Held, rows: Floats, starts: Ints, stops: Ints) -> _Segments:
    """Runs that fewer than k people hold: no mean of theirs is kept. They lie evenly between the atoms around them.

    Where the gap is huge, or one side has no atom, their rows are added to those of the nearer atom (in `rows`).
    """
    value, cumulated = held.distinct, np.concatenate([[0.0], np.cumsum(rows)])
    held_rows = cumulated[stops] - cumulated[starts]
    left, right = np.maximum(starts - 1, 0), np.minimum(stops, len(value) - 1)
    low, high = _next(value[left], 1), _next(value[right], -1)
    half = value.astype(np.float64) / 2
    narrow = half[right] - half[left] <= HUGE_GAP * (half[-1] - half[0])
    bridged = (starts > 0) & (stops < len(value)) & (low < high) & narrow
    middle = half[(starts + stops) // 2]
    nearer = np.where(half[right] - middle < middle - half[left], right, left)
    nearer = np.where(starts == 0, right, np.where(stops == len(value), left, nearer))
    np.add.at(rows, nearer[~bridged], held_rows[~bridged])
    return _Segments(starts[bridged], low[bridged], high[bridged], held_rows[bridged])


def _next(values: Array, way: int) -> Array:
    """The next value of the type above (way 1) or below (-1)."""
    if values.dtype == np.uint64:
        return values + np.uint64(1) if way > 0 else values - np.uint64(1)
    return np.asarray(np.nextafter(values, way * np.inf))


def _assemble(parts: list[_Segments]) -> Grid:
    """All segments in the order of their values, each as wide as its share of the rows."""
    order = np.argsort(np.concatenate([p.order for p in parts]), kind="stable")
    rows = np.concatenate([p.rows for p in parts])[order]
    edges = np.concatenate([[0.0], np.cumsum(rows)])
    low, high = (np.concatenate([getattr(p, end) for p in parts])[order] for end in ("low", "high"))
    return Grid(edges / edges[-1], low, high)
