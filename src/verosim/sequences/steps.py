"""One step of a keyed sequence given those before it: what a model of rows sees, and what it draws.

Columns that move smoothly are drawn by their change, all others by themselves. Beside them stand, for each step: what
is the same in the whole sequence, the step before and the one before that, means so far, the calendar, and the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.infer.measures import decimals, whole_step
from verosim.keys import Ints
from verosim.models import Array, Codes, Field, Floats
from verosim.schema import Column, Table
from verosim.sequences.order import Clock, Runs

SMOOTH: Final = 0.9  # correlation with the row before, from which a column is drawn by its change
OFTEN: Final = 25  # rows of one gap, from which it comes out exactly
LEVELS: Final = 20  # different values that such a column must have


@dataclass(frozen=True, slots=True)
class Moving:
    """A measure drawn by its change. low, high: what it may be."""

    column: Column
    low: float
    high: float
    digits: int | None

    @property
    def change(self) -> Column:
        whole = self.digits == 0
        return Column(
            f"change of {self.column.name}",
            "number",
            "int64" if whole else "float64",
            digits=None if whole else self.digits,
        )

    def scaled(self, values: Floats) -> Floats:
        """(n,) where a value lies between the ends."""
        return np.clip((values - self.low) / (self.high - self.low), 0.0, 1 - 1e-9)

    def bounded(self, values: Floats) -> Floats:
        """What lies past an end is turned back from it."""
        over = np.where(values > self.high, 2 * self.high - values, values)
        under = np.where(over < self.low, 2 * self.low - over, over)
        out = np.clip(under, self.low, self.high)
        return np.asarray(out if self.digits is None else np.clip(np.round(out, self.digits), self.low, self.high))


def moving_of(frame: pl.DataFrame, columns: Sequence[Column], new: Array) -> list[Moving]:
    """The columns that move smoothly: numbers without gaps that resemble the row before, in whatever sequence."""
    out = []
    within = np.flatnonzero(~new)
    for column in columns:
        series = frame[column.name]
        if column.kind != "number" or not (series.dtype.is_float() or series.dtype.is_integer()) or series.null_count():
            continue
        values = series.cast(pl.Float64).to_numpy()
        if (
            len(within) < 50
            or not np.isfinite(values).all()
            or series.n_unique() < LEVELS
            or np.abs(values).max() > 2.0**50
        ):
            continue
        ranks = pl.Series(values).rank().to_numpy()
        if np.corrcoef(ranks[within], ranks[within - 1])[0, 1] < SMOOTH:
            continue
        digits = 0 if series.dtype.is_integer() else decimals(series)
        out.append(Moving(column, float(values.min()), float(values.max()), digits))
    return out


@dataclass(frozen=True, slots=True)
class Gap:
    """The time from a row to the next <-> positions that lie as its logarithm does, so that long gaps are told apart.

    low, high: the shortest and the longest, in multiples of `step`. often: (a,) gaps of so many rows that they stay.
    """

    low: int
    high: int
    step: int
    often: Ints

    @classmethod
    def of(cls, gaps: Ints) -> Self:
        """gaps: (n,) of rows that have a row before."""
        if not len(gaps):
            return cls(0, 1, 1, np.zeros(0, np.int64))
        step = whole_step(pl.Series(gaps)) or 1
        values, counts = np.unique(gaps // step, return_counts=True)
        often = values[counts >= OFTEN]
        apart = np.diff(often, append=values[-1] + 2) > 1  # neighbours on the scale would run into each other
        often = often[(often <= 8) | (apart & np.append(True, apart[:-1]))] if len(often) else often
        return cls(int(values[0]), max(int(values[-1]), int(values[0]) + 1), step, often.astype(np.int64))

    def _position(self, counts: Floats) -> Floats:
        top = np.log1p(self.high - self.low + 1)
        return np.asarray(np.log1p(np.maximum(counts - self.low, 0) + 0.5) / (top + 1.0))

    @property
    def field(self) -> Field:
        own = self.often.astype(float)
        atoms = np.stack([self._position(own - 0.25), self._position(own + 0.25)], 1)
        return Field("gap in time", atoms=atoms)

    def encode(self, gaps: Ints) -> Floats:
        return self._position(gaps / self.step)

    def decode(self, codes: Floats) -> Ints:
        """(n,) gaps."""
        top = np.log1p(self.high - self.low + 1)
        counts = np.expm1(codes * (top + 1.0)) - 0.5 + self.low
        return np.clip(np.rint(counts), self.low, self.high).astype(np.int64) * self.step


@dataclass(slots=True)
class State:
    """Where the sequences stand, s of them: the codes of the last steps, and what has been summed up."""

    last: list[Array]  # of each field
    before: list[Array]
    sums: list[Floats]  # of ordered fields, positions
    counts: list[Array]

    def head(self, s: int) -> State:
        """Of the first s sequences."""
        return State(*([a[:s] for a in part] for part in (self.last, self.before, self.sums, self.counts)))


class Stepper:
    """From the state of sequences to the fields that the next step is drawn given, and on."""

    def __init__(
        self, fields: Sequence[Field], told: Sequence[Field], moving: int, activity: Field | None, kept: Sequence[int]
    ) -> None:
        """fields: of a step, but for the activity. kept: those of them that are remembered."""
        self.kept = list(kept)
        remembered = [fields[i] for i in kept]
        self.seen = (*remembered, activity) if activity else tuple(remembered)
        self.told, self.moving, self.activity = tuple(told), moving, activity
        lags = [_lagged(f, " before") for f in self.seen]
        older = [_lagged(f, " before that") for f in self.seen]
        means = [Field(f"mean {f.name}", marks=1) for f in self.seen if f.ordered]
        levels = [Field(f"level {i}") for i in range(moving)]
        calendar = [Field("hour", marks=1), Field("weekday", 8), Field("season", marks=1)]
        times = [*calendar, Field("place"), Field("elapsed"), Field("left", marks=1)]
        now = [activity] if activity else []
        self.given = (*now, *told, *times, *levels, *lags, *older, *means)

    def start(self, s: int) -> State:
        """Before the first step of s sequences."""
        none = [np.full(s, -(f.marks + 1.0)) if f.ordered else np.full(s, f.levels, np.int32) for f in self.seen]
        n = sum(f.ordered for f in self.seen)
        return State(none, [a.copy() for a in none], [np.zeros(s) for _ in range(n)], [np.zeros(s) for _ in range(n)])

    def sight(
        self, state: State, told: Sequence[Array], hours: Array | None, place: Array, since: Array, left: Array | None,
        levels: Sequence[Floats], activity: Array | None,
    ) -> Codes:  # fmt: skip
        """What the next step of each sequence is drawn given."""
        s = len(place)
        if hours is None:
            calendar: list[Array] = [np.full(s, -1.0), np.full(s, 7, np.int32), np.full(s, -1.0)]
        else:
            weekday = (hours // 24 % 7).astype(np.int32)
            calendar = [hours % 24 / 24, weekday, hours % 8765.82 / 8765.82]
        ends = np.full(s, -1.0) if left is None else left / (left + 8.0)
        means = [np.where(n > 0, a / np.maximum(n, 1), -1.0) for a, n in zip(state.sums, state.counts, strict=True)]
        now = [] if activity is None else [activity.astype(np.int32)]
        times = (*calendar, place / (place + 8.0), since, ends)
        arrays = (*now, *told, *times, *levels, *state.last, *state.before, *means)
        return Codes(self.given, arrays, s)

    def after(self, state: State, drawn: Sequence[Array], activity: Array | None) -> State:
        """The state once a step was drawn."""
        codes = [*(drawn[i] for i in self.kept), *([] if activity is None else [activity.astype(np.int32)])]
        ordered = [c for c, f in zip(codes, self.seen, strict=True) if f.ordered]
        sums = [a + np.maximum(c, 0.0) for a, c in zip(state.sums, ordered, strict=True)]
        counts = [n + (c >= 0) for n, c in zip(state.counts, ordered, strict=True)]
        return State(codes, state.last, sums, counts)

    def history(
        self, codes: Codes, activity: Array | None, told: Sequence[Array], runs: Runs, hours: Array | None,
        since: Array, left: Array | None, levels: Sequence[Floats],
    ) -> Codes:  # fmt: skip
        """The same for all steps of real sequences at once. levels: of the step before."""
        place, new = runs.place, runs.new
        seen = [*(codes.arrays[i] for i in self.kept), *([] if activity is None else [activity.astype(np.int32)])]
        none = self.start(1).last
        last = [_shifted(a, 1, place, e[0]) for a, e in zip(seen, none, strict=True)]
        before = [_shifted(a, 2, place, e[0]) for a, e in zip(seen, none, strict=True)]
        ordered = [a for a, f in zip(seen, self.seen, strict=True) if f.ordered]
        sums = [_before(np.maximum(a, 0.0), new) for a in ordered]
        counts = [_before((a >= 0).astype(float), new) for a in ordered]
        return self.sight(State(last, before, sums, counts), told, hours, place, since, left, levels, activity)


def _lagged(field: Field, when: str) -> Field:
    """The field at another step, or no step: one mark or level more."""
    if field.ordered:
        return Field(field.name + when, marks=field.marks + 1, atoms=field.atoms)
    return Field(field.name + when, field.levels + 1)


def _shifted(array: Array, by: int, place: Ints, none: Any) -> Array:
    out = np.roll(array, by)
    out[place < by] = none
    return out


def _before(values: Floats, new: Array) -> Floats:
    """(n,) the sum of the values before each row in its sequence."""
    total = np.cumsum(values) - values
    begin = np.flatnonzero(new)
    return np.asarray(total - total[begin][np.cumsum(new) - 1])


@dataclass(frozen=True, slots=True)
class Parts:
    """The columns of a step: the gap in time, what changes (`moved`), and what is drawn as it is (`still`)."""

    still: TableCodec
    moved: TableCodec
    gap: Gap | None
    moving: tuple[Moving, ...]

    @classmethod
    def fit(
        cls, runs: Runs, still: Table, gaps: Ints | None, moving: Sequence[Moving], k: int, people: pl.Series
    ) -> Self:
        """gaps: (n,) or None where all are alike, or there is no time. people: (n,) whose each row is."""
        table = Table(still.name, tuple(m.change for m in moving))
        moved = TableCodec(table, k).fit(_changes(runs, moving), people if moving else None)
        codec = TableCodec(still, k).fit(runs.frame.select(still.names), people if still.columns else None)
        return cls(codec, moved, None if gaps is None else Gap.of(gaps[~runs.new]), tuple(moving))

    @property
    def fields(self) -> tuple[Field, ...]:
        own = (self.gap.field,) if self.gap else ()
        return (*own, *self.moved.fields, *self.still.fields)

    @property
    def n_moved(self) -> int:
        """How many of the fields stand before those drawn as they are."""
        return len(self.moved.fields) + (self.gap is not None)

    def encode(self, runs: Runs, gaps: Ints | None) -> Codes:
        gap = [self.gap.encode(gaps)[_any_other(runs.new)]] if self.gap and gaps is not None else []
        moved = self.moved.encode(_changes(runs, self.moving)).arrays if self.moving else ()
        still = self.still.encode(runs.frame.select(self.still.table.names)).arrays if self.still.fields else ()
        return Codes(self.fields, (*gap, *moved, *still), len(runs.new))

    def gaps(self, arrays: Sequence[Array]) -> Ints:
        """(n,) the gaps that drawn codes say."""
        return self.gap.decode(arrays[0]) if self.gap else np.zeros(len(arrays[0]) if len(arrays) else 0, np.int64)

    def changes(self, arrays: Sequence[Array], rng: np.random.Generator, seed: int) -> list[Floats]:
        """(n,) of each moving column, what drawn codes say it changes by."""
        if not self.moving:
            return []
        first = self.gap is not None
        codes = Codes(self.moved.fields, tuple(arrays[first : self.n_moved]), len(arrays[0]))
        frame = self.moved.decode(codes, np.arange(codes.n), rng, seed)
        return [frame[m.change.name].fill_null(0).cast(pl.Float64).to_numpy() for m in self.moving]


def _changes(runs: Runs, moving: Sequence[Moving]) -> pl.DataFrame:
    columns = list[pl.Series]()
    for m in moving:
        values = runs.frame[m.column.name].cast(pl.Float64).to_numpy()
        change = np.diff(values, prepend=values[:1])
        series = pl.Series(m.change.name, change if m.digits is None else np.round(change, m.digits))
        columns.append(series.cast(pl.Int64) if m.digits == 0 else series)
    return pl.DataFrame(columns)[_any_other(runs.new)] if columns else pl.DataFrame()


def _any_other(new: Array) -> Ints:
    """(n,) each row itself, but for first rows some other row: the change of theirs says nothing."""
    out, later = np.arange(len(new)), np.flatnonzero(~new)
    if len(later):
        first = np.flatnonzero(new)
        out[first] = later[(first * 7919) % len(later)]
    return out


def rest_of(table: Table, names: Sequence[str]) -> Table:
    """These columns of a table, by themselves."""
    columns = tuple(
        replace(c, unique=False) if c.kind not in ("id", "personal") else c for c in table.columns if c.name in names
    )
    return Table(table.name, columns)


def gaps_of(runs: Runs, clock: Clock | None, time: str | None) -> tuple[Ints, Ints] | None:
    """(n,) the times as whole numbers, and how long before each the row before was; 0 for first rows."""
    if clock is None or time is None:
        return None
    ticks = clock.ticks(runs.frame[time])
    return ticks, np.where(runs.new, 0, np.diff(ticks, prepend=ticks[:1]))
