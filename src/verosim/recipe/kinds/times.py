"""Dates and times: by calendar and clock, at regular intervals, or some time after another column."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from verosim.errors import SchemaError, did_you_mean
from verosim.recipe.kinds.plain import shares_of
from verosim.recipe.nouns import Column, Floats, Ints, Kind, Maker, Number

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
UNITS: Final = {"us": 1, "ms": 1000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}
WORDS: Final = {
    "seconds": SECOND, "minutes": 60 * SECOND, "hours": 3600 * SECOND, "days": DAY, "weeks": 7 * DAY,
}  # fmt: skip
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LONGEST: Final = 400_000  # days between the ends
Weights = list[Number] | dict[str | int, Number]
Clock = Callable[[Floats], Ints]  # uniforms (n,) to microseconds since 1970


def duration(text: str) -> int:
    """Microseconds of a text such as 15m or 1h.

    >>> duration("15m") // 1_000_000
    900
    """
    match = re.fullmatch(r"(\d{1,9})(us|ms|s|m|h|d|w)", text)
    if not match or not int(match[1]):
        raise SchemaError(f"an interval such as 30s, 15m, 1h or 1d was wanted, not {text!r}.")
    return int(match[1]) * UNITS[match[2]]


def moment(text: object) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError as error:
        raise SchemaError(f"a date or time such as 2024-01-31 or 2024-01-31 12:30 was wanted, not {text!r}.") from error
    if found.tzinfo is not None:
        raise SchemaError(f"{text!r}: name the time zone in `zone`, not in the time.")
    return found


def _micros(time: dt.datetime) -> int:
    return (time - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)


def _weights(given: Weights | None, names: tuple[str, ...], what: str) -> Floats:
    """One weight for each name; those left out of a mapping are 0."""
    if given is None:
        return np.full(len(names), 1 / len(names))
    if isinstance(given, dict):
        full = [0.0] * len(names)
        for key, weight in given.items():
            matches = [n for n in names if n.startswith(str(key).lower())] if len(names) == 7 else [str(key)]
            if len(matches) != 1 or matches[0] not in names:
                raise SchemaError(f"{what}: no {key!r}; {did_you_mean(key, names)}")
            full[names.index(matches[0])] = float(weight)
        given = list(full)
    if len(given) != len(names):
        raise SchemaError(f"{what}: {len(names)} weights were wanted, not {len(given)}.")
    return shares_of(given)


@dataclass(frozen=True)
class Days:
    """The days from first to last, each with its share."""

    first: int  # days since 1970
    ends: Floats  # running shares

    @classmethod
    def between(cls, first: dt.date, last: dt.date, weekdays: Floats, holidays: tuple[str, ...]) -> Days:
        start = (first - dt.date(1970, 1, 1)).days
        n = (last - first).days + 1
        if not 0 < n <= LONGEST:
            raise SchemaError(f"from {first} to {last} there is no day, or too many.")
        weights = weekdays[(start + 3 + np.arange(n)) % 7].copy()  # 1970-01-01 was a Thursday
        for text in holidays:
            place = (moment(text).date() - first).days
            if 0 <= place < n:
                weights[place] = 0
        if not weights.sum() > 0:
            raise SchemaError(f"from {first} to {last} no day is left by `weekdays`, `business` and `holidays`.")
        return cls(start, np.cumsum(weights) / weights.sum())

    def pick(self, u: Floats) -> tuple[Ints, Floats]:
        """The day (n,) that a uniform falls on, and what is left of the uniform."""
        day = np.minimum(np.searchsorted(self.ends, u, side="right"), len(self.ends) - 1)
        return self.first + day, _rest(u, self.ends, day)


def _rest(u: Floats, ends: Floats, place: Ints) -> Floats:
    """Where in its own stretch of the running shares each uniform lies, from 0 to 1."""
    start = np.where(place > 0, ends[place - 1], 0.0)
    return np.clip((u - start) / np.maximum(ends[place] - start, 1e-300), 0.0, 1 - 2.0**-53)


@dataclass(frozen=True)
class Date(Kind):
    ABOUT: ClassVar[str] = "a day from the first to the last; weekdays by weight, business days, without holidays"
    FROM_UNIFORM: ClassVar[bool] = True

    first: str
    last: str
    weekdays: Weights | None = None
    business: bool = False
    holidays: tuple[str, ...] = ()

    def plan(self, scope: Scope, name: str) -> Maker:
        days = _days(self, moment(self.first).date(), moment(self.last).date())

        def of(block: Block, u: Floats) -> pl.Series:
            return pl.Series(days.pick(u)[0].astype(np.int32)).cast(pl.Date)

        return Maker(pl.Date(), lambda block: of(block, block.uniform(name)), of=of)


def _days(kind: Date | Datetime, first: dt.date, last: dt.date) -> Days:
    weekdays = _weights(kind.weekdays, WEEKDAYS, "weekdays")
    if kind.business:
        weekdays = weekdays * np.array([1, 1, 1, 1, 1, 0, 0])
    return Days.between(first, last, weekdays, kind.holidays)


@dataclass(frozen=True)
class Datetime(Kind):
    ABOUT: ClassVar[str] = "a time from the first on, before the last; hours and weekdays by weight, in a time zone"
    FROM_UNIFORM: ClassVar[bool] = True

    first: str
    last: str
    hours: Weights | None = None
    weekdays: Weights | None = None
    business: bool = False
    holidays: tuple[str, ...] = ()
    zone: str | None = None
    step: str = "1s"

    def plan(self, scope: Scope, name: str) -> Maker:
        dtype, step = pl.Datetime("us", checked_zone(self.zone)), duration(self.step)
        first, last = moment(self.first), moment(self.last)
        if first >= last:
            raise SchemaError(f"the first time {self.first} is not before the last, {self.last}.")
        profile = self.hours or self.weekdays or self.business or self.holidays
        local = self._by_profile(first, last, step) if profile else _even(first, last, step)

        def of(block: Block, u: Floats) -> pl.Series:
            return in_zone(pl.Series(local(u)).cast(pl.Datetime("us")), self.zone)

        return Maker(dtype, lambda block: of(block, block.uniform(name)), of=of)

    def _by_profile(self, first: dt.datetime, last: dt.datetime, step: int) -> Clock:
        if first.time() != dt.time() or last.time() != dt.time():
            raise SchemaError("with hours, weekdays, business days or holidays, the ends are days: 2024-01-31.")
        if step > 3600 * SECOND:
            raise SchemaError("with hours, weekdays, business days or holidays, the step is an hour at most.")
        days = _days(self, first.date(), last.date() - dt.timedelta(days=1))
        hours = np.cumsum(_weights(self.hours, tuple(map(str, range(24))), "hours"))

        def local(u: Floats) -> Ints:
            day, rest = days.pick(u)
            hour = np.minimum(np.searchsorted(hours, rest, side="right"), 23)
            within = _rest(rest, hours, hour) * (3600 * SECOND)
            return day * DAY + hour * (3600 * SECOND) + (within // step).astype(np.int64) * step

        return local


def _even(first: dt.datetime, last: dt.datetime, step: int) -> Clock:
    start, steps = _micros(first), -(-(_micros(last) - _micros(first)) // step)
    return lambda u: start + np.minimum((u * steps).astype(np.int64), steps - 1) * step


def checked_zone(zone: str | None) -> str | None:
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, LookupError) as error:
            raise SchemaError(f"no time zone {zone!r}; a name such as Europe/Madrid was wanted.") from error
    return zone


def in_zone(local: pl.Series, zone: str | None) -> pl.Series:
    """Clock times as times of a zone; those that the clocks leap over in spring are an hour later."""
    if zone is None:
        return local
    known = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if known.null_count() == local.null_count():
        return known
    later = (local + dt.timedelta(hours=1)).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return known.zip_with(known.is_not_null(), later)


@dataclass(frozen=True)
class Ticks(Kind):
    ABOUT: ClassVar[str] = "times at regular intervals, one a row; for each parent from the start again"

    every: str
    start: str = "2024-01-01"
    zone: str | None = None

    def plan(self, scope: Scope, name: str) -> Maker:
        start, step = _micros(moment(self.start)), duration(self.every)
        dtype = pl.Datetime("us", checked_zone(self.zone))

        def at(run: Run, rows: Ints) -> pl.Series:
            times = pl.Series(start + rows * step).cast(pl.Datetime("us"))
            return times.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone) if self.zone else times

        if scope.planned.parent is None:
            room = (_micros(dt.datetime(9999, 12, 31)) - start) // step
            return Maker(dtype, lambda block: at(block.run, block.rows), at=at, capacity=room, fixed=True)
        return Maker(dtype, lambda block: at(block.run, block.position), fixed=True)


@dataclass(frozen=True)
class After(Kind):
    ABOUT: ClassVar[str] = "a time after that of another column: `wait` is a number of `unit`, such as days"

    column: str
    wait: Column
    unit: str = "days"
    business: bool = False  # days are counted Monday to Friday

    def plan(self, scope: Scope, name: str) -> Maker:
        base, across = scope[self.column], scope.maker(self.column).across
        if not isinstance(base, pl.Date | pl.Datetime):
            raise SchemaError(f"`after` takes a date or time; {self.column!r} is {base}.")
        if self.unit not in WORDS:
            raise SchemaError(f"unit {self.unit!r}: {did_you_mean(self.unit, WORDS)}")
        if self.business and self.unit != "days":
            raise SchemaError("business days have the unit days.")
        hidden = f"\0wait of {name}"
        scope.hide(hidden, self.wait, name)
        if not scope[hidden].is_numeric():
            raise SchemaError(f"`wait` gives {scope[hidden]}; a number of {self.unit} was wanted.")
        is_date = isinstance(base, pl.Date) and WORDS[self.unit] >= DAY
        dtype = pl.Date() if is_date else base if isinstance(base, pl.Datetime) else pl.Datetime("us")

        def make(block: Block) -> pl.Series:
            start, wait = block[self.column], block[hidden]
            if self.business:
                return pl.select(
                    pl.lit(start).dt.add_business_days(pl.lit(wait.cast(pl.Int32)), roll="forward")
                ).to_series()
            if is_date:
                return start + (wait.floor().cast(pl.Int64) * (WORDS[self.unit] // DAY) * DAY).cast(pl.Duration("us"))
            span = (wait.cast(pl.Float64) * WORDS[self.unit]).round().cast(pl.Int64)
            whole = span // SECOND * SECOND if WORDS[self.unit] >= SECOND else span
            return start.cast(dtype) + whole.cast(pl.Duration("us"))

        return Maker(dtype, make, across=across or scope.maker(hidden).across)
