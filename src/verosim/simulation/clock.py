"""Time: numbers of a unit inside, dates with a time zone outside, and what repeats by hour and weekday."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import polars as pl

from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.recipe.nouns import Floats, Ints

YEARS: Final = 7000  # after the start, that dates reach
LONGEST: Final = YEARS * 365.25 * 86_400.0  # seconds
SECONDS: Final = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
ROUND: Final = (  # seconds that people count by: parts of a minute, an hour, a day, then days and weeks
    *(m * 10.0**e for e in range(-6, 0) for m in (1, 2, 5)), *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(m * 60.0 for m in (1, 2, 5, 10, 15, 30)), *(h * 3600.0 for h in (1, 2, 3, 6, 12)),
    *(d * 86_400.0 for d in (1, 2, 7, 14, 28)),
)  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """Turns times of the simulation into dates, and says which hour and weekday it is.

    >>> Clock.of("minutes", "2025-01-06T08:00", "Europe/Berlin").dates(np.array([90.0]))[0].isoformat()
    '2025-01-06T09:30:00+01:00'
    """

    seconds: float  # of one unit
    start: dt.datetime
    zone: str | None

    @classmethod
    def of(cls, unit: str, start: str, zone: str | None) -> Clock:
        """Raises SchemaError for what is no date or time zone."""
        try:
            moment = dt.datetime.fromisoformat(start)
        except ValueError as error:
            raise SchemaError(
                f"`start` is a date or a date and time such as 2025-01-06T08:00, not {start!r}."
            ) from error
        if moment.tzinfo is not None:
            raise SchemaError(
                f"`start` {start!r} names its own offset; leave it out, and give `zone`, such as Europe/Berlin."
            )
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise SchemaError(
                f"`zone`: no time zone {zone!r}; {did_you_mean(zone, sorted(available_timezones()))}"
            ) from error
        return cls(SECONDS[unit], moment, zone)

    @property
    def dtype(self) -> pl.Datetime:
        return pl.Datetime("us", self.zone)

    def dates(self, times: Floats) -> pl.Series:
        """Times (n,) as dates, to the microsecond; nan as null."""
        known = np.isfinite(times)
        if len(times) and (latest := np.where(known, times, 0.0).max()) * self.seconds > LONGEST:
            raise DataError(f"time {latest:g}: over {YEARS:,} years from the start.", fix="Choose a smaller `unit`.")
        micro = np.rint(np.where(known, times, 0.0) * (self.seconds * 1e6)).astype(np.int64)
        series = pl.Series(micro) + self._origin
        if not known.all():
            series = series.zip_with(pl.Series(known), pl.Series([None], dtype=pl.Int64).new_from_index(0, len(times)))
        return series.cast(self.dtype)

    def round_step(self, span: float, most: int) -> float:
        """A step in units that people count by, of which a span holds `most` at most; beyond four weeks, no round one.

        >>> Clock.of("minutes", "2025-01-06T08:00", None).round_step(2_000, 500)
        5.0
        """
        seconds = span * self.seconds / most
        return next((step for step in ROUND if step >= seconds), seconds) / self.seconds

    @property
    def _origin(self) -> int:
        """The start in microseconds since 1970, in UTC where there is a zone."""
        moment = self.start.replace(tzinfo=ZoneInfo(self.zone) if self.zone else dt.UTC)
        return round((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))

    def time_of(self, date: str) -> float:
        """A date and time as a time of the simulation."""
        try:
            moment = dt.datetime.fromisoformat(date)
        except ValueError as error:
            raise SchemaError(
                f"a time, or a date and time such as 2025-01-06T08:00 was wanted, not {date!r}."
            ) from error
        zone = ZoneInfo(self.zone) if self.zone else dt.UTC
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        origin = self.start.replace(tzinfo=zone)
        return (
            (moment - origin).total_seconds() / self.seconds
            if self.zone
            else (moment - origin) / dt.timedelta(seconds=self.seconds)
        )

    def times_of(self, dates: pl.Series) -> Floats:
        """Dates (n,) of a file as times."""
        if dates.dtype == pl.Date:
            dates = dates.cast(pl.Datetime("us"))
        if dates.dtype.time_zone is None and self.zone:  # type: ignore[attr-defined]
            dates = dates.dt.replace_time_zone(self.zone)
        micro = dates.cast(pl.Datetime("us", dates.dtype.time_zone)).to_physical()  # type: ignore[attr-defined]
        return (micro - self._origin).to_numpy() / (self.seconds * 1e6)

    def quarters(self, first: float, last: float) -> tuple[Floats, Floats, Ints]:
        """The quarters of an hour that touch [first, last): starts (q + 1,), hour of the day (q,), weekday from 0 (q,).

        By the clock on the wall: where the clocks change, an hour comes twice or not at all.
        """
        quarter = 900.0 / self.seconds
        offset = (self.start.minute % 15 * 60 + self.start.second + self.start.microsecond / 1e6) / self.seconds
        edges = (
            np.arange(np.floor((first + offset) / quarter), np.ceil((last + offset) / quarter) + 1) * quarter - offset
        )
        dates = self.dates(edges[:-1])
        hours = dates.dt.hour().to_numpy() + dates.dt.minute().to_numpy() / 60.0
        return edges, hours, dates.dt.weekday().to_numpy().astype(np.int64) - 1
