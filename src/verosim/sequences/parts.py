"""The columns of a step of keyed sequences, as models see them: `Parts`, the gap in time among them.

Columns that move smoothly are drawn by their change (`Moving`), all others by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.infer.measures import decimals
from verosim.keys import Ints
from verosim.models import Array, Codes, Field, Floats
from verosim.schema import Column, Table
from verosim.sequences.order import Clock, Runs
from verosim.sequences.timing import Gap

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
