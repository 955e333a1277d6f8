"""`Calendar`: dates and datetimes as what people live by: the day, the weekday where it matters, and the time of day.

    2024-03-05 09:30 in Europe/Madrid  <->  day 19787, 09:30   or   week 2827, Tuesday, 09:30

Zone-aware times are split on the clock of their zone, so that office hours stay office hours over summer and winter
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.codec.axis import SIGNED, Axis, Limits
from verosim.codec.column import Draw, Guard
from verosim.codec.grid import Ints
from verosim.codec.limits import PER_SECOND, limits_of
from verosim.codec.ordered import common_step, rarity
from verosim.codec.saved import Saved, nest
from verosim.errors import SchemaError
from verosim.models import Array, Field, State
from verosim.schema import Column, parse_dtype

MONDAY: Final = 3  # 1970-01-01, day 0, was a Thursday: day + 3 is a multiple of seven on Mondays
SPAN: Final = 60  # fewer days than this say nothing of weekdays
YEARS: Final = (-719_162, 2_932_896)  # the days from 0001-01-01 to 9999-12-31
FARTHEST: Final = (-95_000_000, 95_000_000)  # days that polars can place in a time zone
UNKNOWN: Final = -1


class Calendar:
    """Dates and datetimes <-> an axis of days or weeks, then a category of weekdays, then an axis of times of day.

    Where all rows of an atom (9999-12-31, a launch day) share one weekday or time of day, the atom has no other: so it
    comes back exactly, whatever the other codes say. only_day, only_time: (s,) that weekday and time of each segment,
    or -1.
    """

    def __init__(self, column: Column, days: Axis, times: Axis | None, weekly: bool, only: tuple[Ints, Ints]) -> None:
        self.column, self.days, self.times, self.weekly = column, days, times, weekly
        self.only_day, self.only_time = only
        self.dtype = parse_dtype(column.dtype)
        self.limits = limits_of(column, self.dtype)
        self.fields = self._fields()
        self.note = ""

    def _fields(self) -> tuple[Field, ...]:
        name, missing = self.column.name, bool(self.days.marks)
        fields = [self.days.field(f"{name} (week)" if self.weekly else name)]
        if self.weekly:
            fields.append(Field(f"{name} (weekday)", levels=7 + missing))  # a row without a value has an eighth weekday
        if self.times:
            fields.append(self.times.field(f"{name} (time)"))
        return tuple(fields)

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        if not isinstance(series.dtype, pl.Date | pl.Datetime):
            hint = " without a `format` that says how it is written." if series.dtype == pl.String else "."
            raise SchemaError(f"column {column.name!r}: kind {column.kind} cannot be held in {column.dtype}{hint}")
        per_day = ticks_per_day(series.dtype)
        days, clock = _split(series, per_day)
        weekly = _weekdays_matter(days)
        index = _weeks(days) if weekly else days
        limits = _day_limits(column, series.dtype, per_day, weekly)
        axis = Axis.fit(index, guard.people, guard.k, limits, column.protect)
        times = None
        if (clock != 0).any():
            within = Limits(0, per_day - 1, _time_step(column, clock, per_day))
            times = Axis.fit(clock, guard.people, guard.k, within, column.protect)
        common = guard.holders(index).filter(pl.col("holders") >= (guard.k if column.protect else 1))
        sure = index.is_in(common["value"].drop_nulls().implode()).fill_null(False)
        only = [_only(axis, index.filter(sure), part.filter(sure)) for part in (_weekday(days), clock)]
        codec = cls(column, axis, times, weekly, (only[0], only[1]))
        codec.note = rarity(column, days, guard)
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        days, clock = _split(series, ticks_per_day(self.dtype))
        arrays = [self.days.encode(_weeks(days) if self.weekly else days)]
        if self.weekly:
            missing = 7 if self.days.marks else 0
            arrays.append(_weekday(days).fill_null(missing).cast(pl.Int32).to_numpy())
        if self.times:
            arrays.append(self.times.encode(clock))
        return arrays

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        """(n,) values; null where the first code is. A weekday or time that is missing beside a day is drawn evenly."""
        rest = list(arrays[1:])
        day, segments = self.days.decode(arrays[0]), self.days.grid.locate(np.maximum(arrays[0], 0.0))
        if self.weekly:
            weekday = rest.pop(0)
            weekday = np.where(weekday > 6, draw.rng.integers(0, 7, len(weekday)), weekday)
            forced = self.only_day[segments]
            day = day * 7 - MONDAY + pl.Series(np.where(forced >= 0, forced, weekday).astype(np.int64))
        if isinstance(self.dtype, pl.Date):
            return self._bounded(day).cast(pl.Int32).cast(pl.Date)
        ticks = day.cast(pl.Int128) * pl.Series([ticks_per_day(self.dtype)], dtype=pl.Int128)
        if self.times:
            codes = np.where(rest[0] < 0, draw.rng.random(len(rest[0])), rest[0])
            only = pl.Series(self.only_time[segments])
            ticks = ticks + only.zip_with(only >= 0, self.times.decode(codes)).cast(pl.Int128)
        return _placed(self._bounded(ticks).cast(pl.Int64), self.dtype)

    def _bounded(self, ticks: pl.Series) -> pl.Series:
        """Within the column's limits, and, as weeks may reach past the last day, within the calendar."""
        per_day = ticks_per_day(self.dtype)
        first, last = YEARS if self.weekly else FARTHEST
        low, high = first * per_day, (last + 1) * per_day - 1
        low = low if self.limits.low is None else max(low, int(self.limits.low))
        high = high if self.limits.high is None else min(high, int(self.limits.high))
        return ticks.clip(max(low, SIGNED[0]), min(high, SIGNED[1]))

    def state(self) -> State:
        parts = {"days": self.days.state()} | ({"times": self.times.state()} if self.times else {})
        meta, arrays = nest(**parts)
        only = {"only_day": self.only_day, "only_time": self.only_time}
        return {**meta, "weekly": self.weekly, "timed": self.times is not None}, {**arrays, **only}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        days = Axis.restore(saved.part("days"))
        times = Axis.restore(saved.part("times")) if saved.flag("timed") else None
        for axis in (days, times):
            saved.need(axis is None or axis.ticks.way == "signed", "days and times must be whole numbers")
        size, per_day = len(days.grid.low), ticks_per_day(parse_dtype(column.dtype))
        only_day, only_time = saved.array("only_day", "int64", size), saved.array("only_time", "int64", size)
        saved.need(bool((only_day >= UNKNOWN).all() and (only_day < 7).all()), "weekdays go from 0 to 6")
        saved.need(bool((only_time >= UNKNOWN).all() and (only_time < per_day).all()), "a time is past its day")
        return cls(column, days, times, saved.flag("weekly"), (only_day, only_time))


def ticks_per_day(dtype: pl.DataType) -> int:
    return 86_400 * PER_SECOND[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 1


# ------------------------------------------------------------------------------------------ points in time <-> days


def _split(series: pl.Series, per_day: int) -> tuple[pl.Series, pl.Series]:
    """Days since 1970 and ticks since midnight, on the clock of the zone; Int64 with nulls."""
    if isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone:
        series = series.dt.replace_time_zone(None)
    ticks = series.to_physical().cast(pl.Int64)
    return ticks // per_day, ticks % per_day


def _placed(ticks: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Ticks on the clock of the zone to points in time: the earlier of two, and past a gap in spring."""
    if not isinstance(dtype, pl.Datetime) or not dtype.time_zone:
        return ticks.cast(dtype)
    wall, zone = ticks.cast(pl.Datetime(dtype.time_unit)), dtype.time_zone
    placed = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if placed.null_count() == wall.null_count():
        return placed
    # A time in the gap is as long after the day before as the clock says, so that it falls past the gap.
    before = wall.dt.offset_by("-1d").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return placed.zip_with(placed.is_not_null(), before.dt.offset_by("24h"))


def _weeks(days: pl.Series) -> pl.Series:
    """Weeks from Monday: day = week * 7 - MONDAY + weekday."""
    return (days + MONDAY) // 7


def _weekday(days: pl.Series) -> pl.Series:
    """0 is Monday."""
    return (days + MONDAY) % 7


# -------------------------------------------------------------------------------------------------- learning


def _weekdays_matter(days: pl.Series) -> bool:
    """Whether weekdays are clearly uneven: beyond chance, and not by a trifle. Days with 5 % of the rows aside."""
    counts = days.drop_nulls().value_counts(name="n")
    day, n = counts.to_series(0), counts["n"]
    usual = n * 20 <= max(int(n.sum() or 0), 20)
    day, n = day.filter(usual), n.filter(usual)
    if day.is_empty() or int(day.max()) - int(day.min()) <= SPAN:  # type: ignore[arg-type]
        return False
    if int(days.min()) < YEARS[0] or int(days.max()) > YEARS[1]:  # type: ignore[arg-type]
        return False
    rows = np.bincount(_weekday(day).to_numpy(), weights=n.to_numpy(), minlength=7)
    expected = rows.sum() / 7
    squares = float(((rows - expected) ** 2).sum() / expected)  # chi-squared with six degrees of freedom
    return bool(squares > 40 and squares > 0.01 * rows.sum())


def _day_limits(column: Column, dtype: pl.DataType, per_day: int, weekly: bool) -> Limits:
    """The column's limits in days or weeks, and its step where that is whole days."""
    limits = limits_of(column, dtype)
    low, high = (None if v is None else int(v) // per_day for v in (limits.low, limits.high))
    if weekly:
        low, high = (None if v is None else (v + MONDAY) // 7 for v in (low, high))
        return Limits(low, high)
    return Limits(low, high, step=limits.step // per_day if limits.step % per_day == 0 else 1)


def _time_step(column: Column, clock: pl.Series, per_day: int) -> int:
    """The column's step where a day is a multiple of it; else what divides all times seen."""
    step = column.step or 0
    return step if 0 < step < per_day and per_day % step == 0 else common_step(clock)


def _only(axis: Axis, index: pl.Series, part: pl.Series) -> Ints:
    """For each segment of the axis, the one value of `part` that its rows have, or -1: (s,). Atoms only."""
    size = len(axis.grid.low)
    codes, values = axis.encode(index), part.to_numpy()
    exact = axis.grid.is_atom[axis.grid.locate(codes)] & (axis.decode(codes) == index).to_numpy()
    segments, values = axis.grid.locate(codes[exact]), values[exact]
    lowest, highest = np.full(size, np.iinfo(np.int64).max), np.full(size, UNKNOWN)
    np.minimum.at(lowest, segments, values)
    np.maximum.at(highest, segments, values)
    return np.where(lowest == highest, highest, UNKNOWN)
