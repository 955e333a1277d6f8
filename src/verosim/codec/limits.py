"""A column's limits, as a person wrote them, in the ticks that an axis counts: whole numbers of the dtype's unit."""

from __future__ import annotations

import math
from datetime import datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from verosim.codec.axis import Limits
from verosim.errors import SchemaError
from verosim.schema import Column

PER_SECOND: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH: Final = datetime(1970, 1, 1)


def limits_of(column: Column, dtype: pl.DataType, unit: int = 1) -> Limits:
    """What may come out of a column of this dtype, in `unit`s of its ticks. Raises SchemaError for a wrong limit.

    >>> limits_of(Column("day", "date", "date", minimum="1970-01-11", step=7), pl.Date())
    Limits(low=10, high=None, step=7, digits=None)
    """
    low, high = (_tick(column, part, dtype) for part in ("minimum", "maximum"))
    if dtype.is_float():
        return Limits(None if low is None else float(low), None if high is None else float(high), digits=column.digits)
    first, last = _range(dtype)
    lows = [math.ceil(v / unit) for v in (low, first) if v is not None]
    highs = [math.floor(v / unit) for v in (high, last) if v is not None]
    return Limits(max(lows, default=None), min(highs, default=None), step=max(1, column.step or 1))


def _range(dtype: pl.DataType) -> tuple[Fraction | None, Fraction | None]:
    """The lowest and highest tick of a dtype, where they are not those of its bits."""
    if isinstance(dtype, pl.Decimal):
        return Fraction(1 - 10**dtype.precision), Fraction(10**dtype.precision - 1)
    if dtype.is_integer():
        low, high = pl.select(low=dtype.min(), high=dtype.max()).row(0)  # type: ignore[attr-defined]
        return Fraction(low), Fraction(high)
    return (Fraction(0), Fraction(86_400 * 10**9 - 1)) if dtype == pl.Time else (None, None)


def _tick(column: Column, part: str, dtype: pl.DataType) -> Fraction | None:
    value = getattr(column, part)
    if value is None:
        return None
    try:
        if isinstance(dtype, pl.Decimal):
            return _number(value) * 10**dtype.scale
        if isinstance(dtype, pl.Date | pl.Datetime):
            return Fraction(_moment(value, dtype))
        if dtype == pl.Time:
            at = value if isinstance(value, time) else time.fromisoformat(str(value))
            return Fraction(((at.hour * 60 + at.minute) * 60 + at.second) * 10**9 + at.microsecond * 1000)
        if isinstance(dtype, pl.Duration) and isinstance(value, timedelta):
            return Fraction(_ticks(value, dtype.time_unit))
        return _number(value)
    except (ValueError, ArithmeticError) as error:
        raise SchemaError(f"column {column.name!r}: {part} {value!r} is no value of {column.dtype}.") from error


def _number(value: Any) -> Fraction:
    """A number exactly; none of thousands of digits, as which a short text such as 1e999999999 can be written."""
    text = str(value)
    if len(text) > 400 or abs(Decimal(text.partition("/")[0]).adjusted()) > 400:
        raise ValueError("out of range")
    return Fraction(text)


def _moment(value: Any, dtype: pl.Date | pl.Datetime) -> int:
    """Days of a date, ticks of a datetime: on the clock of the column's zone, since 1970."""
    if not isinstance(value, datetime):
        value = datetime.fromisoformat(str(value))
    if value.tzinfo and isinstance(dtype, pl.Datetime) and dtype.time_zone:
        value = value.astimezone(ZoneInfo(dtype.time_zone))
    past = value.replace(tzinfo=None) - _EPOCH
    return past.days if isinstance(dtype, pl.Date) else _ticks(past, dtype.time_unit)


def _ticks(length: timedelta, unit: str) -> int:
    return (length // timedelta(microseconds=1)) * PER_SECOND[unit] // 10**6
