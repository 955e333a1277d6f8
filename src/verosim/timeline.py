"""Times as whole numbers, exactly: what a column of times holds, the regular grid that they stand on, and back.

    grid = Grid.of("1h", times)     grid.number(times) -> 0, 1, 2, 4 ...      grid.times(numbers) -> the times again

Steps below a day count real time: through a change to summer time an hour is an hour. Days, weeks, months and years
count by the clock on the wall: a day that begins at midnight does so in summer too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import DataError
from verosim.forms import Form
from verosim.schema import STEPS, Column

Ints = npt.NDArray[np.int64]

REGULAR: Final = 0.8  # share of the gaps that are one step, in times that stand on a grid
_SECOND: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_PARTS: Final = {"ns": (1, 10**9), "us": (1, 10**6), "ms": (1, 10**3), "s": (1, 1), "m": (60, 1), "h": (3600, 1)}
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS: Final = {"mo": 1, "q": 3, "y": 12}
_FORTNIGHT: Final = 10  # days in a row without a weekend that make business days
_FIRST_MONDAY: Final = 4  # 5 January 1970, in days since 1970-01-01


def times_of(series: pl.Series, column: Column) -> pl.Series:
    """What a column of times holds: dates, datetimes, durations, times of day or numbers, whatever it is held in."""
    if isinstance(series.dtype, pl.String) and column.format:
        return Form.of(column.format).parse(series)
    return series


def ticks_of(times: pl.Series) -> Ints:
    """(n,) int64: whole units of the dtype, in the order of the times. Floats keep their order only.

    times: no nulls.
    """
    if times.dtype.is_temporal():
        return times.to_physical().cast(pl.Int64).to_numpy()
    if times.dtype.is_integer():
        return times.cast(pl.Int64).to_numpy()
    return times.rank("dense").cast(pl.Int64).to_numpy()


def parse_step(step: str) -> tuple[int, str]:
    """
    >>> parse_step("10m"), parse_step("5")
    ((10, 'm'), (5, ''))
    """
    match = re.fullmatch(rf"(\d+)({'|'.join(STEPS)})?", step)
    assert match is not None  # the schema has checked it
    return int(match[1]), match[2] or ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Equal steps. origin: a time on the grid, in physical units of the dtype (of the wall clock where steps are)."""

    step: str
    dtype: pl.DataType
    origin: int

    @classmethod
    def of(cls, step: str, times: pl.Series) -> Self:
        """The grid of these steps through the times (n,), without nulls. Raises DataError for one beside it."""
        whole = times.dtype.is_integer() or times.dtype.is_temporal()
        unit = parse_step(step)[1]
        if not whole or bool(unit) == times.dtype.is_integer() or (unit in _PARTS and isinstance(times.dtype, pl.Date)):
            raise DataError(f"steps of {step!r} do not go with values of type {times.dtype}.", column=times.name)
        wall = _wall(times, unit)
        monthly = unit in _MONTHS and len(wall)
        anchor = int(wall.dt.day().arg_max() or 0) if monthly else 0  # 31 January also says the ends of shorter months
        grid = cls(step, times.dtype, int(wall.to_physical()[anchor]) if len(wall) else 0)
        back = grid.times(grid.numbers(times))
        off = np.flatnonzero((back != times).to_numpy())
        if len(off):
            row = int(off[0])
            reason = f"{times[row]} stands beside the grid of steps of {step}."
            raise DataError(reason, column=times.name, row=row, fix="Correct it, or leave `step` out of the schema.")
        return grid

    def numbers(self, times: pl.Series) -> Ints:
        """(n,) int64: the number of each time's step, counted from the origin."""
        count, unit = parse_step(self.step)
        wall = _wall(times, unit)
        origin = self._series(np.array([self.origin]), wall.dtype)
        if unit in _MONTHS:
            return (_month(wall) - _month(origin)) // (count * _MONTHS[unit])
        if unit == "bd":
            return (_business(wall) - _business(origin)) // count
        return (wall.to_physical().cast(pl.Int64).to_numpy() - self.origin) // self._width(wall.dtype)

    def times(self, numbers: Ints) -> pl.Series:
        """(n,) the times of these steps."""
        count, unit = parse_step(self.step)
        wall_type = _wall_type(self.dtype, unit)
        if unit in _MONTHS:
            origin = self._series(np.full(len(numbers), self.origin), wall_type)
            by = pl.Series((numbers * count * _MONTHS[unit]).astype(str)) + "mo"
            out = pl.select(origin.dt.offset_by(by)).to_series() if len(numbers) else origin
        elif unit == "bd":
            origin = self._series(np.array([self.origin]), wall_type)
            days = _calendar(_business(origin) + numbers * count) - _day(origin)
            out = self._series(self.origin + days * _per_day(wall_type), wall_type)
        else:
            out = self._series(self.origin + numbers * self._width(wall_type), wall_type)
        zone = getattr(self.dtype, "time_zone", None)
        if zone and unit in (*_DAYS, *_MONTHS, "bd"):
            return _in_zone(out, zone)
        return out

    def _width(self, dtype: pl.DataType) -> int:
        count, unit = parse_step(self.step)
        if not unit:
            return count
        if unit in _DAYS:
            return count * _DAYS[unit] * _per_day(dtype)
        seconds, parts = _PARTS[unit]
        return max(1, count * seconds * _second(dtype) // parts)

    @staticmethod
    def _series(physical: Ints, dtype: pl.DataType) -> pl.Series:
        return pl.Series(physical).cast(dtype) if dtype.is_integer() else from_ticks(physical, dtype)


def from_ticks(ticks: Ints, dtype: pl.DataType) -> pl.Series:
    """Whole units of a type of times (n,) as times."""
    return pl.Series(ticks).cast(pl.Int32 if isinstance(dtype, pl.Date) else pl.Int64).cast(dtype)


def step_of(times: pl.Series, new: npt.NDArray[np.bool_]) -> str | None:
    """The regular step of times (n,) without nulls, sorted in each sequence; None where they have none.

    new: (n,) where a sequence begins. Missing steps are gaps: at least `REGULAR` of the gaps are one step.
    """
    if not (times.dtype.is_integer() or times.dtype.is_temporal()) or len(times) < 3:
        return None
    within = ~new[1:]
    dated = isinstance(times.dtype, pl.Date | pl.Datetime)
    for unit in ("bd", "mo", "d") if dated else ():
        wall = _wall(times, unit)
        if unit == "d" and not getattr(times.dtype, "time_zone", None):
            continue
        if not _same_hour(wall) or (unit == "mo" and not _same_day(wall)):
            continue
        numbers = {"bd": _business, "mo": _month, "d": _day}[unit](wall)
        if unit == "bd" and ((wall.dt.weekday() > 5).any() or np.ptp(_day(wall)) < _FORTNIGHT):
            continue
        if count := _common(np.diff(numbers)[within]):
            if unit == "mo" and count % 12 == 0:
                return f"{count // 12}y"
            if unit != "bd" or count == 1:
                return f"{count}{unit}"
    width = _common(np.diff(ticks_of(times))[within])
    return _named(width, times.dtype) if width else None


def _common(gaps: Ints) -> int | None:
    """The gap that most are, where all are multiples of it."""
    if not len(gaps) or (gaps <= 0).any():
        return None
    values, counts = np.unique(gaps, return_counts=True)
    most = int(values[counts.argmax()])
    return most if counts.max() >= REGULAR * len(gaps) and not (gaps % most).any() else None


def _named(width: int, dtype: pl.DataType) -> str | None:
    """A width in units of the dtype as text: 600,000 ms -> 10m."""
    if dtype.is_integer():
        return str(width)
    if isinstance(dtype, pl.Date):
        return f"{width // 7}w" if width % 7 == 0 else f"{width}d"
    units = [("w", 604_800, 1), ("d", 86_400, 1), *((u, s, p) for u, (s, p) in reversed(_PARTS.items()))]
    for unit, seconds, parts in units:
        per = seconds * _second(dtype) // parts
        if per and not width % per:
            return f"{width // per}{unit}"
    return None


# ------------------------------------------------------------------------------------------------- the wall clock


def _second(dtype: pl.DataType) -> int:
    return _SECOND["ns" if isinstance(dtype, pl.Time) else dtype.time_unit]  # type: ignore[attr-defined]


def _per_day(dtype: pl.DataType) -> int:
    """How many units of a type make a day."""
    return 1 if isinstance(dtype, pl.Date) else 86_400 * _second(dtype)


def _wall(times: pl.Series, unit: str) -> pl.Series:
    """The times as the clock on the wall shows them, where steps of this unit go by it; else as they are."""
    if getattr(times.dtype, "time_zone", None) and unit in (*_DAYS, *_MONTHS, "bd"):
        return times.dt.replace_time_zone(None)
    return times


def _wall_type(dtype: pl.DataType, unit: str) -> pl.DataType:
    zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone and unit in (*_DAYS, *_MONTHS, "bd")
    return pl.Datetime(dtype.time_unit) if zoned else dtype  # type: ignore[attr-defined]


def _in_zone(wall: pl.Series, zone: str) -> pl.Series:
    """Of an hour that the clock shows twice, the first; one that it leaps over is an hour later."""
    found = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if not found.null_count():
        return found
    later = wall.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return found.zip_with(found.is_not_null(), later)


def _day(wall: pl.Series) -> Ints:
    return wall.cast(pl.Date).to_physical().cast(pl.Int64).to_numpy()


def _month(wall: pl.Series) -> Ints:
    return (wall.dt.year().cast(pl.Int64) * 12 + wall.dt.month().cast(pl.Int64)).to_numpy()


def _business(wall: pl.Series) -> Ints:
    """Days from Monday to Friday, counted; a weekend counts as the Friday before."""
    day = _day(wall) - _FIRST_MONDAY
    return day // 7 * 5 + np.minimum(day % 7, 4)


def _calendar(business: Ints) -> Ints:
    return business // 5 * 7 + business % 5 + _FIRST_MONDAY


def _same_hour(wall: pl.Series) -> bool:
    return isinstance(wall.dtype, pl.Date) or wall.dt.time().n_unique() == 1


def _same_day(wall: pl.Series) -> bool:
    """Whether all stand at one day of the month, or at its end."""
    days = wall.dt.day()
    return days.n_unique() == 1 or bool((wall.cast(pl.Date) == wall.cast(pl.Date).dt.month_end()).all())
