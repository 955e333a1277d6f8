"""The rows of a table in the order of its sequence: which belong together, and when each is.

runs = Runs.of(frame, table)      runs.frame: sorted by key and time; runs.new: where a sequence begins
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.forms import Form
from verosim.infer.measures import decimals
from verosim.keys import Ints
from verosim.models import Array
from verosim.schema import Column, Sequence, Table
from verosim.timeline import Grid, from_ticks, ticks_of, times_of

FEW: Final = 20  # keys: of fewer, stretches of time are held out, not keys
BLOCKS: Final = 10  # stretches of a long series that are held out
GAP: Final = 24  # rows on each side of them that are not learned either
LEAST: Final = 200  # rows of a series: of fewer none are held out
FIRST_MONDAY: Final = 96.0  # hours from 1970-01-01 to the first Monday
_PER_HOUR: Final = {"d": 1 / 24, "ms": 3.6e6, "us": 3.6e9, "ns": 3.6e12}


def sequence_of(table: Table) -> Sequence:
    assert table.sequence is not None
    return table.sequence


@dataclass(frozen=True, slots=True)
class Runs:
    """Sequences end to end. order: (n,) the row of the table that each is."""

    frame: pl.DataFrame
    order: Ints
    new: Array  # (n,) bool: where a sequence begins

    @classmethod
    def of(cls, frame: pl.DataFrame, table: Table) -> Self:
        """Keys stand in the order in which they come; of one time, rows stand as they did."""
        said = sequence_of(table)
        by = dict[str, pl.Series]()
        if said.key:
            first = pl.DataFrame({"k": frame[said.key]}).with_row_index("i").with_columns(pl.col("i").min().over("k"))
            by["key"] = first["i"]
        if said.time:
            by["time"] = pl.Series(Clock.of(frame[said.time], table[said.time]).ticks(frame[said.time]))
        if not by:
            order = np.arange(frame.height)
        else:
            order = pl.DataFrame(by).select(pl.struct(pl.all()).rank("ordinal")).to_series().arg_sort().to_numpy()
        rows = frame[order]
        new = np.zeros(frame.height, bool)
        new[:1] = True
        if said.key and frame.height:
            new |= np.append(True, (rows[said.key][1:] != rows[said.key][:-1]).to_numpy())
        return cls(rows, order.astype(np.int64), new)

    @property
    def lengths(self) -> Ints:
        """(s,) rows of each sequence."""
        return np.diff(np.append(np.flatnonzero(self.new), len(self.new)))

    @property
    def number(self) -> Ints:
        """(n,) which sequence a row belongs to."""
        return np.cumsum(self.new) - 1

    @property
    def place(self) -> Ints:
        """(n,) how many rows of its sequence stand before a row."""
        return np.arange(len(self.new)) - np.flatnonzero(self.new)[self.number]


@dataclass(frozen=True, slots=True)
class Clock:
    """A column of times <-> whole numbers: of its unit, of the steps of its grid, or of its last decimal."""

    column: Column
    dtype: pl.DataType  # of the times that it holds
    digits: int = 0  # decimals of times that are floats
    grid: Grid | None = None

    @classmethod
    def of(cls, series: pl.Series, column: Column, step: str | None = None) -> Self:
        times = times_of(series, column)
        if times.dtype.is_float() or times.dtype.is_decimal():
            found = decimals(times.cast(pl.Float64))
            return cls(column, times.dtype, 9 if found is None else found)
        return cls(column, times.dtype, grid=Grid.of(step, times) if step else None)

    def ticks(self, series: pl.Series) -> Ints:
        times = times_of(series, self.column)
        if self.grid:
            return self.grid.numbers(times)
        if times.dtype.is_float() or times.dtype.is_decimal():
            scaled = np.rint(times.cast(pl.Float64).to_numpy() * 10.0**self.digits)
            return np.asarray(scaled, np.int64)
        return ticks_of(times)

    def times(self, ticks: Ints) -> pl.Series:
        """(n,) the times, not yet as text."""
        if self.grid:
            return self.grid.times(ticks)
        if self.dtype.is_float() or self.dtype.is_decimal():
            return pl.Series(ticks / 10.0**self.digits).cast(self.dtype)
        return pl.Series(ticks).cast(self.dtype) if self.dtype.is_integer() else from_ticks(ticks, self.dtype)

    def series(self, ticks: Ints) -> pl.Series:
        """(n,) the column, as it is held."""
        times = self.times(ticks)
        if self.column.format and self.column.dtype == "str":
            times = Form.of(self.column.format).format(times)
        return times.alias(self.column.name)

    def hours(self, ticks: Ints) -> Array | None:
        """(n,) hours since a Monday at midnight by the clock on the wall; None where there is no calendar."""
        if not isinstance(self.dtype, pl.Date | pl.Datetime):
            return None
        per = _PER_HOUR["d" if isinstance(self.dtype, pl.Date) else self.dtype.time_unit]
        if self.grid is None and getattr(self.dtype, "time_zone", None) is None:
            return ticks / per - FIRST_MONDAY
        times = self.times(ticks)
        wall = times.dt.replace_time_zone(None) if isinstance(self.dtype, pl.Datetime) else times
        return np.asarray(wall.to_physical().to_numpy() / per - FIRST_MONDAY)


def held_out(frame: pl.DataFrame, table: Table, share: float, seed: int) -> Array:
    """(n,) int: 1 for rows held out to measure with, -1 for those beside them that are not learned either, else 0.

    Whole sequences where there are enough; of a long series, and of few keys, stretches of time.
    """
    out = np.zeros(frame.height, np.int64)
    if not frame.height or not share:
        return out
    runs = Runs.of(frame, table)
    n = int(runs.new.sum())
    if n >= FEW:
        chosen = np.zeros(n, bool)
        chosen[stream(seed, table.name, "hold-out").permutation(n)[: int(n * share)]] = True
        out[runs.order] = chosen[runs.number]
        return out
    lengths = runs.lengths
    for i, begin in enumerate(np.flatnonzero(runs.new)):
        length = int(lengths[i])
        if length < LEAST:
            continue
        count = min(BLOCKS, length // 100)
        size = int(length * share / count)
        gap = min(GAP, size)
        room = length / count
        jitter = stream(seed, table.name, "hold-out", i).random(count)
        for k in range(count):
            start = int(begin + k * room + jitter[k] * max(room - size - 2 * gap, 0)) + gap
            part = runs.order[max(begin, start - gap) : min(begin + length, start + size + gap)]
            out[part] = np.where(out[part] == 1, 1, -1)
            out[runs.order[start : min(begin + length, start + size)]] = 1
    return out


def cuts_of(frame: pl.DataFrame, table: Table, share: float, seed: int) -> dict[str, Array]:
    """Of train and hold-out, as `held_out` parts them: the rows that do not follow the row before them."""
    away, order = held_out(frame, table, share, seed), Runs.of(frame, table).order
    out = dict[str, Array]()
    for role, mark in (("train", 0), ("holdout", 1)):
        place = np.flatnonzero(away[order] == mark)  # of these rows in the order of the sequence
        cut = np.zeros(frame.height, bool)
        cut[order[place]] = np.diff(place, prepend=-2) != 1
        out[role] = cut[away == mark]
    return out
