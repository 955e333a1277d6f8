"""Values of a database as polars columns, exactly, and back as what a driver takes.

A batch of values becomes a column of the type that they have; the batches of a column are joined; the joined column
takes the type that the database declares where every value is the same in it. SQLite, which lets any column hold
anything, so keeps what it holds: `''` in a column of whole numbers makes it text, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import polars as pl

from verosim.databases.structure import SqlColumn
from verosim.errors import DataError
from verosim.schema import parse_dtype

_BYTES: Final = (bytes, bytearray, memoryview)


# ------------------------------------------------------------------------------------------------- reading


def column_of(values: list[Any], name: str, table: str, start: int) -> pl.Series:
    """A batch of a column in the type that its values have; `start` is the row of the first.

    Raises DataError, with table, column and row, for values that cannot be carried.
    """
    types = {type(v) for v in values} - {type(None)}
    read = _READ.get(frozenset(types)) or next((r for known, r in _READ.items() if types <= known), None)
    try:
        if read is None:
            raise ValueError(f"holds values of type {' and '.join(sorted(t.__name__ for t in types))} side by side")
        return read(name, values)
    except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        row = start + next((i for i, v in enumerate(values) if not _alone(read, v)), 0)
        fix = "Mend it, or leave its table out."
        reason = f"cannot be carried ({str(error).splitlines()[0]})."
        raise DataError(reason, table=table, column=name, row=row, fix=fix) from error


def _alone(read: Callable[[str, list[Any]], pl.Series] | None, value: Any) -> bool:
    """Whether a value can be carried by itself: to find the faulty one."""
    try:
        return value is None or (read is not None and read("", [value]) is not None)
    except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError):
        return False


def _whole(name: str, values: list[Any]) -> pl.Series:
    for dtype in (pl.Int64(), pl.UInt64()):
        try:
            return pl.Series(name, values, dtype=dtype, strict=True)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            continue
    return pl.Series(name, values, dtype=pl.Int128(), strict=True)


def _floats(name: str, values: list[Any]) -> pl.Series:
    if any(type(v) is int and abs(v) > 2**53 for v in values):
        raise ValueError("whole numbers above 2^53 beside decimals")
    return pl.Series(name, values, dtype=pl.Float64(), strict=False)


def _decimals(name: str, values: list[Any]) -> pl.Series:
    exponents = [v.as_tuple().exponent for v in values if v is not None]
    if not all(isinstance(e, int) for e in exponents):
        raise ValueError("NaN or infinity among decimals")
    scale = max((-int(e) for e in exponents), default=0)
    if scale > 38:
        raise ValueError("more than 38 digits")
    return pl.Series(name, values, dtype=pl.Decimal(38, max(scale, 0)), strict=True)


def _moments(name: str, values: list[Any]) -> pl.Series:
    zones = {v.tzinfo is None for v in values if v is not None}
    if len(zones) > 1:
        raise ValueError("moments with and without a time zone")
    if zones == {False}:
        in_utc = [None if v is None else v.astimezone(UTC).replace(tzinfo=None) for v in values]
        return pl.Series(name, in_utc, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.Series(name, values, dtype=pl.Datetime("us"), strict=True)


def _texts(name: str, values: list[Any]) -> pl.Series:
    return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String())


def _typed(dtype: pl.DataType) -> Callable[[str, list[Any]], pl.Series]:
    return lambda name, values: pl.Series(name, values, dtype=dtype, strict=True)


# types found in a batch -> its column; what holds less takes the first that holds it
_READ: Final[dict[frozenset[type], Callable[[str, list[Any]], pl.Series]]] = {
    frozenset(): _typed(pl.Null()),
    frozenset({bool}): _typed(pl.Boolean()),
    frozenset({int}): _whole,
    frozenset({float}): _typed(pl.Float64()),
    frozenset({str}): _typed(pl.String()),
    frozenset({datetime}): _moments,
    frozenset({date}): _typed(pl.Date()),
    frozenset({time}): _typed(pl.Time()),
    frozenset({timedelta}): _typed(pl.Duration("us")),
    frozenset({Decimal}): _decimals,
    frozenset({UUID}): _texts,
    frozenset(_BYTES): lambda name, values: pl.Series(
        name, [None if v is None else bytes(v) for v in values], dtype=pl.Binary()
    ),
    frozenset({int, float}): _floats,
    frozenset({int, float, str}): _texts,  # SQLite
}


def join(parts: list[pl.Series], column: SqlColumn, table: str) -> tuple[pl.Series, str | None]:
    """The batches of a column as one, in its declared type where no value changes, and a note where that is not so."""
    dtypes = {part.dtype for part in parts} - {pl.Null()}
    if len(dtypes) > 1:
        parts = [part.cast(_common(dtypes, column, table)) for part in parts]
    elif dtypes:
        parts = [part.cast(next(iter(dtypes))) for part in parts]
    whole = pl.concat(parts) if parts else pl.Series(column.name, [], dtype=pl.Null())
    if column.dtype == "null":
        return whole.cast(pl.String()) if whole.dtype == pl.Null() else whole, None
    if column.dtype == "decimal":
        return _narrow(whole), None
    found = as_declared(whole, parse_dtype(column.dtype, column.levels or None))
    if found is not None:
        return found, None
    declared = column.native or column.dtype
    mixed = whole.dtype == pl.String
    note = f"table {table!r}, column {column.name!r}: declared {declared}, but holds other text too: read as text"
    return whole, note if mixed and not column.dtype.startswith(("date", "time")) else None


def _common(dtypes: set[pl.DataType], column: SqlColumn, table: str) -> pl.DataType:
    """The type that holds the values of all batches."""
    if all(dtype.is_integer() for dtype in dtypes):
        return pl.Int128()
    if all(isinstance(dtype, pl.Decimal) for dtype in dtypes):
        return pl.Decimal(38, max(dtype.scale for dtype in dtypes if isinstance(dtype, pl.Decimal)))
    if all(dtype.is_numeric() for dtype in dtypes):
        return pl.Float64()
    if all(dtype.is_numeric() or dtype == pl.String for dtype in dtypes):
        return pl.String()
    kinds = " and ".join(sorted(map(str, dtypes)))
    fix = "Mend it, or leave its table out."
    raise DataError(f"holds values of type {kinds} side by side.", table=table, column=column.name, fix=fix)


def _narrow(numbers: pl.Series) -> pl.Series:
    """Numbers without a declared size: decimals with as many digits after the point as there are."""
    return numbers.cast(pl.Int64()) if numbers.dtype == pl.Null() else numbers


def as_declared(series: pl.Series, wanted: pl.DataType) -> pl.Series | None:
    """The column in another type in which each value is the same; None where one would change."""
    if series.dtype == wanted or series.dtype == pl.Null():
        return series.cast(wanted)
    try:
        found = _take(series, wanted)
    except pl.exceptions.PolarsError:
        return None
    return found if found is not None and found.null_count() == series.null_count() else None


def _take(series: pl.Series, wanted: pl.DataType) -> pl.Series | None:
    held = series.dtype
    if held.is_integer() and wanted.is_integer():
        return series  # wider than it was declared: MySQL's unsigned
    if held.is_integer() and wanted == pl.Boolean:
        return series.cast(wanted) if series.drop_nulls().is_in([0, 1]).all() else None
    if held == pl.Binary and (wanted.is_integer() or wanted == pl.Boolean):  # MySQL's BIT
        numbers = [None if v is None else int.from_bytes(v, "big") for v in series]
        return pl.Series(series.name, numbers, dtype=pl.UInt64()).cast(wanted)
    if held.is_numeric() and isinstance(wanted, pl.Decimal | pl.Float64):
        found = series.cast(pl.String()).cast(wanted) if isinstance(wanted, pl.Decimal) else series.cast(wanted)
        return found if found.cast(held).eq_missing(series).all() else None
    if isinstance(held, pl.Duration) and wanted == pl.Time:  # MySQL's TIME may be longer than a day, or negative
        within = ((series >= timedelta(0)) & (series < timedelta(days=1))).fill_null(True).all()
        return series.cast(pl.Duration("ns")).to_physical().cast(pl.Time()) if within else series
    if held == pl.String and wanted.is_temporal():
        found = _parse(series, wanted)
        return found if to_text(found).eq_missing(series).all() else None
    if held == pl.String and isinstance(wanted, pl.Enum):
        return series.cast(wanted)
    return None


def _parse(text: pl.Series, wanted: pl.DataType) -> pl.Series:
    """ISO text, as SQLite keeps times."""
    if wanted == pl.Time:
        return text.str.to_time("%H:%M:%S%.f", strict=False)
    if wanted == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us").cast(wanted)


# ------------------------------------------------------------------------------------------------- writing


def to_text(series: pl.Series) -> pl.Series:
    """Times as ISO text, with a fraction of a second only where there is one: what SQLite's functions read."""
    if series.dtype == pl.Date:
        return series.dt.to_string("%Y-%m-%d")
    form = "%H:%M:%S" if series.dtype == pl.Time else "%Y-%m-%d %H:%M:%S"
    fraction = series.dt.microsecond() if series.dtype != pl.Time else series.dt.nanosecond()
    frame = pl.select(plain=series.dt.to_string(form), long=series.dt.to_string(form + "%.6f"), some=fraction != 0)
    return frame.select(pl.when("some").then("long").otherwise("plain").alias(series.name)).to_series()


def rows_of(frame: pl.DataFrame, dialect: str) -> list[tuple[Any, ...]]:
    """The rows as the driver of a kind of database takes them."""
    return pl.DataFrame([_sendable(series, dialect) for series in frame]).rows()


def _sendable(series: pl.Series, dialect: str) -> pl.Series:
    dtype = series.dtype
    if isinstance(dtype, pl.Enum | pl.Categorical):
        return series.cast(pl.String())
    if dialect == "sqlite":
        if isinstance(dtype, pl.Decimal | pl.UInt64 | pl.Int128):
            return series.cast(pl.String())  # a column of numbers makes a number of it, where none is lost
        if dtype == pl.Boolean:
            return series.cast(pl.Int8())
        if isinstance(dtype, pl.Duration):
            return series.cast(pl.Int64())
        if dtype.is_temporal():
            return to_text(series)
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        return series.dt.cast_time_unit("us")
    return series


def columns_of(rows: list[Any], width: int) -> Iterable[list[Any]]:
    """Rows as columns."""
    return map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(width))
