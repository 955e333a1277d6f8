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

    def __init__(self, fields: Sequence[Field], told: Sequence[Field], moving: int, activity: Field | None) -> None:
        self.drawn = tuple(fields)  # of a step, but for the activity
        self.seen = (*fields, activity) if activity else tuple(fields)
        self.told, self.moving, self.activity = tuple(told), moving, activity
        lags = [_lagged(f, " before") for f in self.seen]
        older = [_lagged(f, " before that") for f in self.seen]
        means = [Field(f"mean {f.name}", marks=1) for f in self.seen if f.ordered]
        levels = [Field(f"level {i}") for i in range(moving)]
        times = [
            Field("hour", marks=1),
            Field("weekday", 8),
            Field("season", marks=1),
            Field("place"),
            Field("left", marks=1),
        ]
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
        arrays = (
            *now,
            *told,
            *calendar,
            place / (place + 8.0),
            since,
            ends,
            *levels,
            *state.last,
            *state.before,
            *means,
        )
        return Codes(self.given, arrays, s)

    def after(self, state: State, drawn: Sequence[Array], activity: Array | None) -> State:
        """The state once a step was drawn."""
        codes = [*drawn, *([] if activity is None else [activity.astype(np.int32)])]
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
        seen = [*codes.arrays, *([] if activity is None else [activity.astype(np.int32)])]
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
    """The columns of a step: drawn as they are (`still`), or by what changes (`moved`: gaps in time, changes)."""

    still: TableCodec
    moved: TableCodec
    gap: Column | None
    moving: tuple[Moving, ...]

    @classmethod
    def fit(
        cls, runs: Runs, still: Table, gaps: Ints | None, moving: Sequence[Moving], k: int, people: pl.Series
    ) -> Self:
        gap = None
        columns = list[Column]()
        if gaps is not None:
            least, most = int(gaps[~runs.new].min(initial=0)), int(gaps[~runs.new].max(initial=0))
            step = whole_step(pl.Series(gaps[~runs.new]))
            gap = Column("gap in time", "number", "int64", minimum=least, maximum=most, step=step)
            columns.append(gap)
        columns += [m.change for m in moving]
        table = Table(still.name, tuple(columns))
        moved = TableCodec(table, k).fit(_moved_frame(runs, table, gaps, moving), people)
        return cls(TableCodec(still, k).fit(runs.frame.select(still.names), people), moved, gap, tuple(moving))

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.moved.fields, *self.still.fields)

    def encode(self, runs: Runs, gaps: Ints | None) -> Codes:
        frame = _moved_frame(runs, self.moved.table, gaps, self.moving)
        rest = self.still.encode(runs.frame.select(self.still.table.names))
        return self.moved.encode(frame).beside(rest)

    def changes(self, arrays: Sequence[Array], rng: np.random.Generator, seed: int) -> tuple[Ints, list[Floats]]:
        """What drawn codes say: the gap in time (n,), and the change of each moving column."""
        n = len(self.moved.fields)
        size = len(arrays[0]) if arrays else 0
        codes = Codes(self.moved.fields, tuple(arrays[:n]), size)
        frame = self.moved.decode(codes, np.arange(size), rng, seed) if n else pl.DataFrame()
        gap = frame[self.gap.name].fill_null(0).to_numpy() if self.gap else np.zeros(size, np.int64)
        return gap, [frame[m.change.name].fill_null(0).cast(pl.Float64).to_numpy() for m in self.moving]


def _moved_frame(runs: Runs, table: Table, gaps: Ints | None, moving: Sequence[Moving]) -> pl.DataFrame:
    columns = list[pl.Series]()
    if gaps is not None:
        columns.append(pl.Series("gap in time", gaps))
    for m in moving:
        values = runs.frame[m.column.name].cast(pl.Float64).to_numpy()
        change = np.diff(values, prepend=values[:1])
        series = pl.Series(m.change.name, change if m.digits is None else np.round(change, m.digits))
        columns.append(series.cast(pl.Int64) if m.digits == 0 else series)
    there = pl.Series(~runs.new)
    frame = pl.DataFrame(columns)
    return frame.select(pl.when(there).then(pl.col(n)).alias(n) for n in table.names) if columns else frame


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
