"""Python values in cells and labels: as text that says its type, and columns of them as polars columns, both ways.

A column of one Python type becomes the polars type of that kind. A column of several (`1`, `"n/a"`, `None`, `nan`)
becomes text that still says what each value was, `int:1`, so that nothing needs to be remembered to bring it back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from math import isnan
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from verosim.errors import DataError

# ------------------------------------------------------------------------------------- one value to text and back

_MICROSECOND: Final = timedelta(microseconds=1)

# name of the type -> (to text, from text)
_CODES: Final[dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]]] = {
    "str": (str, str),
    "bool": (str, lambda text: {"True": True, "False": False}[text]),
    "int": (str, int),
    "float": (repr, float),
    "Decimal": (str, Decimal),
    "date": (date.isoformat, date.fromisoformat),
    "datetime": (datetime.isoformat, datetime.fromisoformat),
    "time": (time.isoformat, time.fromisoformat),
    "timedelta": (lambda value: f"{value // _MICROSECOND}us", lambda text: int(text.removesuffix("us")) * _MICROSECOND),
    "bytes": (bytes.hex, bytes.fromhex),
    "UUID": (str, UUID),
    "NoneType": (lambda value: "", lambda text: None),
    "NAType": (lambda value: "", lambda text: _pandas("NA")),
    "NaTType": (lambda value: "", lambda text: _pandas("NaT")),
    "Timestamp": (lambda value: value.isoformat(), lambda text: _pandas("Timestamp")(text)),
    "Timedelta": (lambda value: value.isoformat(), lambda text: _pandas("Timedelta")(text)),
}
_TYPES: Final[dict[type, str]] = {
    t: t.__name__
    for t in (str, bool, int, float, Decimal, date, datetime, time, timedelta, bytes, UUID, type(None))
}  # fmt: skip
_OF_PANDAS: Final = {"NAType", "NaTType", "Timestamp", "Timedelta"}
_PREFIXED: Final = re.compile(rf"({'|'.join(_CODES)}):")

WAYS_OUT: Final[dict[str, str]] = {
    "complex": "Make two columns of it, .real and .imag.",
    "period": "Convert it with .dt.to_timestamp().",
    "interval": "Convert it with .astype(str), or make two columns, left and right.",
    "sparse": "Convert it with .sparse.to_dense().",
    "datetime64": "Convert it with pd.to_datetime(column).",
    "timedelta64": "Convert it with pd.to_timedelta(column).",
    "nested": "Make a column of each part, a table of its own with a key, or JSON text of it.",
}
OTHERWISE: Final = "Convert the column to text, numbers or dates first, or leave it out."
_NESTED: Final = {"list", "dict", "tuple", "set", "frozenset", "ndarray", "Series", "DataFrame"}


def _pandas(name: str) -> Any:
    import pandas

    return getattr(pandas, name)


def _plain(value: Any) -> Any:
    """A Python value for a numpy scalar, but for numpy's times, whose nanoseconds would become whole numbers."""
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufSU" else value


def kind_of(kind: type) -> str:
    """The name of a type of values that can be held; DataError with the way out for any other."""
    if kind in _TYPES:
        return _TYPES[kind]
    if kind.__name__ in _OF_PANDAS and kind.__module__.split(".")[0] == "pandas":
        return kind.__name__
    name = "nested" if kind.__name__ in _NESTED else kind.__name__.lower()
    raise DataError(f"values of type {kind.__name__} are not supported.", fix=WAYS_OUT.get(name, OTHERWISE))


def to_text(value: Any) -> str:
    """The value as text that says its type; a text stands for itself where it cannot be mistaken.

    >>> to_text("low"), to_text(7), to_text("int:7"), to_text(None)
    ('low', 'int:7', 'str:int:7', 'NoneType:')
    """
    value = _plain(value)
    kind = kind_of(type(value))
    if kind in {"datetime", "time", "Timestamp"} and value.tzinfo is not None:
        raise DataError(f"{value}: times with a zone do not go together with other values.", fix=ONE_ZONE)
    if kind == "str" and not _PREFIXED.match(value):
        return str(value)
    return f"{kind}:{_CODES[kind][0](value)}"


def from_text(text: str) -> Any:
    """The value that `to_text` wrote; text that it cannot have written is a text.

    >>> from_text("int:7"), from_text("str:int:7"), from_text("int:x")
    (7, 'int:7', 'int:x')
    """
    if not (match := _PREFIXED.match(text)):
        return text
    try:
        return _CODES[match[1]][1](text[match.end() :])
    except (ValueError, KeyError, ArithmeticError):
        return text


def refuse_surrogates(values: Iterable[Any], what: str = "the text") -> None:
    """DataError at the first text that is not valid Unicode: polars, files and JSON cannot hold it."""
    for row, value in enumerate(values):
        try:
            value.encode() if isinstance(value, str) else None
        except UnicodeEncodeError as error:
            raise DataError(
                f"{what} {value!r} holds half of a surrogate pair, which is not valid Unicode.",
                row=row,
                fix="Clean it: text.encode('utf-8', 'replace').decode().",
            ) from error


# ------------------------------------------------------------------------ a column of one type, without missing values
#
# In: values, None for missing -> (series, detail), or None where polars cannot hold them exactly.
# Out: series, detail -> values, None for missing.

ONE_ZONE: Final = "Bring the column to one time zone: pd.to_datetime(column, utc=True)."
_NAIVE: Final = pl.Datetime("us")
In = Callable[[list[Any]], tuple[pl.Series, str] | None]
Out = Callable[[pl.Series, str], list[Any]]


def text_series(values: Sequence[Any]) -> pl.Series:
    """Texts and None as a polars column; DataError with the row for text that is not valid Unicode."""
    try:
        return pl.Series(values, dtype=pl.String, strict=True)
    except UnicodeEncodeError:
        refuse_surrogates(values)
        raise


def _of(dtype: pl.DataType) -> In:
    return lambda values: (pl.Series(values, dtype=dtype, strict=True), "")


def _ints_in(values: list[Any]) -> tuple[pl.Series, str] | None:
    present = [v for v in values if v is not None]
    low, high = min(present), max(present)
    for dtype, least, most in (
        (pl.Int64(), -(2**63), 2**63 - 1), (pl.UInt64(), 0, 2**64 - 1), (pl.Int128(), -(2**127), 2**127 - 1)
    ):  # fmt: skip
        if least <= low and high <= most:
            return pl.Series(values, dtype=dtype, strict=True), ""
    return None


def _numbers_in(values: list[Any]) -> tuple[pl.Series, str] | None:
    """Ints among floats that are not whole: one numeric column, since which is which can be told by the value."""
    present = [v for v in values if v is not None]
    if all(not v.is_integer() if type(v) is float else abs(v) <= 2**53 for v in present):
        return pl.Series(values, dtype=pl.Float64, strict=False), ""
    return None


def _numbers_out(series: pl.Series, detail: str) -> list[Any]:
    return [int(v) if v is not None and v.is_integer() else v for v in series]


def _decimals_in(values: list[Any]) -> tuple[pl.Series, str] | None:
    """All at the finest scale. polars rounds or drops in silence what does not fit, so that is asked before."""
    present = [v for v in values if v is not None]
    if not all(v.is_finite() for v in present):
        return None
    exponents = {v.as_tuple().exponent for v in present}
    scale = max(0, -min(exponents))
    if max(v.adjusted() for v in present) + 1 + scale > 38 or scale > 38:
        return None
    detail = "" if exponents == {-scale} else "scales"
    return pl.Series(values, dtype=pl.Decimal(38, scale), strict=True), detail


def _zone_text(zone: tzinfo | None) -> str:
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if zone is None or name:
        return name or ""
    offset = zone.utcoffset(None)
    if offset is None:
        raise DataError(f"time zone {zone!r} has no name.", fix="Convert it to a named zone, such as Europe/Madrid.")
    return f"{offset // _MICROSECOND}us" if offset else "UTC"


def _zone(text: str) -> tzinfo:
    if text == "UTC":
        return UTC
    return timezone(int(text[:-2]) * _MICROSECOND) if re.fullmatch(r"-?\d+us", text) else ZoneInfo(text)


def _datetimes_in(values: list[Any]) -> tuple[pl.Series, str] | None:
    zones = {_zone_text(v.tzinfo) for v in values if v is not None}
    if len(zones) > 1:
        shown = ", ".join(sorted(z or "none" for z in zones))
        raise DataError(f"the times are of different time zones ({shown}).", fix=ONE_ZONE)
    if zones == {""}:
        return pl.Series(values, dtype=_NAIVE, strict=True), ""
    instants = [v if v is None else v.astimezone(UTC).replace(tzinfo=None) for v in values]
    series = pl.Series(instants, dtype=_NAIVE).dt.replace_time_zone("UTC")
    return series.dt.convert_time_zone(zone_inside(zone := zones.pop())), zone


def _datetimes_out(series: pl.Series, zone: str) -> list[Any]:
    if not zone:
        return series.to_list()
    instants = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_list()
    return [v if v is None else v.replace(tzinfo=UTC).astimezone(_zone(zone)) for v in instants]


def _times_in(values: list[Any]) -> tuple[pl.Series, str] | None:
    naive = all(v.tzinfo is None for v in values if v is not None)
    return (pl.Series(values, dtype=pl.Time(), strict=True), "") if naive else None


def zone_inside(zone: str) -> str:
    """The time zone under which polars holds these instants: the same where it knows it, else UTC.

    >>> zone_inside("Europe/Madrid"), zone_inside("UTC+02:00")
    ('Europe/Madrid', 'UTC')
    """
    if not zone[:1].isalpha() or ":" in zone:  # a fixed offset
        return "UTC"
    try:
        pl.Series([], dtype=pl.Datetime("us", zone))
    except pl.exceptions.PolarsError:
        return "UTC"
    return zone


def _plain_out(series: pl.Series, detail: str) -> list[Any]:
    return series.to_list()


_COLUMNS: Final[dict[str, tuple[In, Out]]] = {
    "str": (lambda values: (text_series(values), ""), _plain_out),
    "bool": (_of(pl.Boolean()), _plain_out),
    "int": (_ints_in, _plain_out),
    "float": (_of(pl.Float64()), _plain_out),
    "number": (_numbers_in, _numbers_out),
    "Decimal": (_decimals_in, _plain_out),
    "date": (_of(pl.Date()), _plain_out),
    "datetime": (_datetimes_in, _datetimes_out),
    "time": (_times_in, _plain_out),
    "timedelta": (_of(pl.Duration("us")), _plain_out),
    "bytes": (_of(pl.Binary()), _plain_out),
    "UUID": (
        lambda values: (text_series([v if v is None else str(v) for v in values]), ""),
        lambda series, detail: [v if v is None else UUID(v) for v in series],
    ),
}

# -------------------------------------------------------------------------------- a column of any Python values

MISSING: Final = {"NoneType": "None", "NAType": "NA", "NaTType": "NaT"}  # types whose values mean: nothing here
NAN: Final = float("nan")


def marker(name: str) -> Any:
    """What stands for a missing value under this name: None, nan, NA or NaT."""
    return {"None": None, "nan": NAN}[name] if name in {"None", "nan"} else _pandas(name)


def plain(values: Sequence[Any] | np.ndarray[Any, Any]) -> list[Any]:
    """The values as a list, with Python's in place of numpy's scalars."""
    if any(issubclass(kind, np.generic) for kind in set(map(type, values))):
        return [_plain(v) for v in values]
    return list(values)


def census(values: list[Any]) -> tuple[set[str], set[str]]:
    """The kinds of the values, and the markers of missing ones; a NaN is one where it cannot be just a number."""
    kinds: set[str] = set()
    for kind in set(map(type, values)):
        try:
            kinds.add(kind_of(kind))
        except DataError as error:
            row = next(i for i, v in enumerate(values) if type(v) is kind)
            raise DataError(error.reason, row=row, fix=error.fix) from error
    markers = {MISSING[k] for k in kinds & MISSING.keys()}
    kinds -= MISSING.keys()
    if "float" in kinds and (kinds != {"float"} or not markers):
        floats = [v for v in values if type(v) is float]
        nans = sum(map(isnan, floats))
        markers |= {"nan"} if nans else set()
        kinds -= {"float"} if nans == len(floats) else set()
    return kinds, markers


def column_in(cells: list[Any]) -> tuple[pl.Series, str, str, str]:
    """Python values as a polars column, with their kind, its detail, and what stood for a missing value.

    Kinds: those of Python, "empty" (only missing values), "number" (int and float), and "mixed" (text, see above).
    """
    kinds, markers = census(cells)
    kinds = {"number"} if kinds == {"int", "float"} else kinds
    missing = min(markers, default="None", key=["None", "NA", "NaT", "nan"].index)
    if len(markers) <= 1 and len(kinds) <= 1:
        present = _drop(cells, missing) if markers else cells
        if not kinds:
            return pl.Series([None] * len(cells), dtype=pl.Null), "empty", "", missing
        kind = kinds.pop()
        if kind in _COLUMNS and (found := _COLUMNS[kind][0](present)):
            return found[0], kind, found[1], missing
    texts = [v if v is None else to_text(v) for v in _drop(cells, missing)]
    return text_series(texts), "mixed", "", missing


def _drop(cells: list[Any], missing: str) -> list[Any]:
    """None where the marker of that name stands."""
    if missing == "None":
        return cells
    if missing == "nan":
        return [None if type(v) is float and isnan(v) else v for v in cells]
    gone = marker(missing)
    return [None if v is gone else v for v in cells]


def column_out(series: pl.Series, kind: str, detail: str, missing: str) -> np.ndarray[Any, Any]:
    """The inverse of `column_in`: (n,) of dtype object."""
    if kind == "empty":
        values: list[Any] = [None] * len(series)
    elif kind == "mixed":
        known = {text: from_text(text) for text in series.unique().drop_nulls()}
        values = [known.get(text) for text in series]
    else:
        values = _COLUMNS[kind][1](series, detail)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    out[series.is_null().to_numpy()] = marker(missing)
    return out
