"""Each way of writing values as text, and back: pairs of a parse and a format, side by side; see `verosim.forms`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

import polars as pl

from verosim.errors import SchemaError

Way = Callable[[pl.Series, str], pl.Series]  # a series and the form's detail -> a series; null stays null

# ------------------------------------------------------------------------------------------------- whole numbers


def _parse_int(text: pl.Series, detail: str) -> pl.Series:
    """Int64; UInt64 where a value is beyond it."""
    small = text.cast(pl.Int64, strict=False)
    return small if small.null_count() == text.null_count() else text.cast(pl.UInt64, strict=False)


def _format_plain(values: pl.Series, detail: str) -> pl.Series:
    return values.cast(pl.String)


# ------------------------------------------------------------------------------------------------- floats

_SHORT: Final = {"short", "g"}  # float styles that leave out a closing .0
_PYTHON: Final = {"py", "g"}  # float styles with an exponent of at least two digits


def _parse_float(text: pl.Series, detail: str) -> pl.Series:
    return text.cast(pl.Float64, strict=False)


def _format_float(values: pl.Series, style: str) -> pl.Series:
    values = values.cast(pl.Float64)
    text = values.cast(pl.String)
    if style in _PYTHON:
        size = values.abs()
        odd = values.is_finite() & (values != 0) & ((size < 1e-4) | (size >= 1e16))
        rows = odd.fill_null(False).arg_true()
        if len(rows):  # few, as a rule: only these need Python's own notation
            text = text.scatter(rows, [repr(v) for v in values.gather(rows)])
    return text.str.strip_suffix(".0") if style in _SHORT else text


def _format_fixed(values: pl.Series, digits: str) -> pl.Series:
    """Rounded to the nearest; what no decimal can hold (infinite, NaN, above 1e38) as a plain float."""
    values = values.cast(pl.Float64)
    exact = values.round(int(digits)).cast(pl.Decimal(38, int(digits)), strict=False)
    minus_zero = (values == 0) & (1 / values < 0)
    text = exact.cast(pl.String)
    text = ("-" + text).zip_with(minus_zero.fill_null(False), text) if minus_zero.any() else text
    return (
        text if text.null_count() == values.null_count() else text.zip_with(text.is_not_null(), values.cast(pl.String))
    )


def _parse_decimal(text: pl.Series, digits: str) -> pl.Series:
    return text.cast(pl.Decimal(38, int(digits)), strict=False)


def _format_decimal(values: pl.Series, digits: str) -> pl.Series:
    return values.cast(pl.Decimal(38, int(digits))).cast(pl.String)


def _format_sci(values: pl.Series, detail: str) -> pl.Series:
    digits, letter = detail.rstrip("E"), "E" if detail.endswith("E") else "e"
    texts = [None if v is None else f"{v:.{digits}{letter}}" for v in values.cast(pl.Float64)]
    return pl.Series(texts, dtype=pl.String)


# ------------------------------------------------------------------------------------------------- dressed numbers

CURRENCY: Final = r"[$€£¥₹₩₽₺₫₴₱฿₦]|US\$|A\$|C\$|R\$|EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|kr|zł|Kč|Ft"
SPACE: Final = "[ \u00a0\u202f]"  # plain, no-break, narrow no-break
_PICTURE: Final = re.compile(
    r"(?P<before>[^#0]*?)(?:#(?P<group>[^#0])##)?0(?:(?P<point>[.,])(?P<digits>0+|#))?(?P<after>[^#0]*)"
)


class Picture(NamedTuple):
    """A spreadsheet's number format, taken apart: `$#,##0.00` has before $, group `,`, point `.`, digits 00."""

    before: str
    group: str
    point: str
    digits: str
    after: str

    @property
    def inner(self) -> tuple[str, str]:
        """The kind and detail of the bare number."""
        if self.digits == "#":
            return "float", "short"
        return ("fixed", str(len(self.digits))) if self.digits else ("int", "")


@cache
def picture(detail: str) -> Picture:
    match = _PICTURE.fullmatch(detail)
    if not match:
        raise SchemaError(f"form 'number:{detail}': a number format such as '#,##0.00' or '0,# €' was wanted.")
    return Picture(*(match[name] or "" for name in Picture._fields))


def _parse_number(text: pl.Series, detail: str) -> pl.Series:
    p = picture(detail)
    minus = text.str.starts_with("-")
    bare = text.str.strip_prefix("-").str.strip_prefix(p.before).str.strip_suffix(p.after)
    bare = bare.str.replace_all(p.group, "", literal=True) if p.group else bare
    bare = bare.str.replace(",", ".", literal=True) if p.point == "," else bare
    kind, inner = p.inner
    return WAYS[kind][0](("-" + bare).zip_with(minus, bare), inner)


def _format_number(values: pl.Series, detail: str) -> pl.Series:
    p = picture(detail)
    kind, inner = p.inner
    text = WAYS[kind][1](values, inner)
    minus = text.str.starts_with("-")
    halves = text.str.strip_prefix("-").str.splitn(".", 2).struct
    whole, fraction = halves["field_0"], halves["field_1"]
    if p.group:  # from the right, three by three: Rust's regex has no look-ahead
        whole = (
            whole.str.reverse().str.replace_all(r"(\d{3})", f"${{1}}{p.group}").str.strip_suffix(p.group).str.reverse()
        )
    bare = p.before + (whole + (p.point + fraction).fill_null("")) + p.after
    return ("-" + bare).zip_with(minus, bare)


# ------------------------------------------------------------------------------------------------- true and false

WORDS: Final = ("true/false", "True/False", "TRUE/FALSE")


def _parse_bool(text: pl.Series, detail: str) -> pl.Series:
    yes, no = detail.split("/")
    return (text == yes).zip_with((text == yes) | (text == no), pl.Series([None], dtype=pl.Boolean))


def _format_bool(values: pl.Series, detail: str) -> pl.Series:
    yes, no = detail.split("/")
    words = pl.when(values).then(pl.lit(yes)).when(~values).then(pl.lit(no))
    return pl.select(words).to_series()


# ------------------------------------------------------------------------------------------------- dates and times

_CLOCK_PARTS: Final = re.compile(r"%[-.:369]*[HIMSpfT]")
_DAY_PARTS: Final = re.compile(r"%[-^]?[YymdbBjaAF]")
_TAIL: Final = re.compile(
    r"(?s)(?P<body>.*?)(?:(?P<utc> ?(?:Z|UTC|GMT))|(?P<offset> ?[+-]\d\d:?\d\d)|@(?P<zone>[\w/+-]+))?"
)


class Stamp(NamedTuple):
    """A strftime pattern as polars takes it, and where its clock stands."""

    pattern: str
    dtype: pl.Date | pl.Datetime | pl.Time
    minutes: int | None  # fixed offset from UTC, east positive; None: no zone, or `zone`
    zone: str | None
    capitals: bool


@cache
def stamp(detail: str) -> Stamp:
    match = _TAIL.fullmatch(detail)
    assert match
    body, zone = match["body"], match["zone"]
    pattern = body + (match["utc"] or match["offset"] or "")
    minutes = 0 if match["utc"] else None
    if match["offset"]:
        sign, hours, rest = re.fullmatch(r" ?([+-])(\d\d):?(\d\d)", match["offset"]).groups()  # type: ignore[union-attr]
        minutes = (int(hours) * 60 + int(rest)) * (-1 if sign == "-" else 1)
    has_day, has_clock = bool(_DAY_PARTS.search(body)), bool(_CLOCK_PARTS.search(body))
    if not has_day and not has_clock:
        raise SchemaError(f"form {detail!r} has no part of a date or a time, such as %Y or %H.")
    aware = zone or (None if minutes is None else "UTC")
    dtype = pl.Datetime("us", aware) if has_day and has_clock else pl.Date() if has_day else pl.Time()
    plain = pattern.replace(".%f", "%.6f").replace("%^b", "%b").replace("%^B", "%B")  # Python's %f is six digits
    try:
        pl.Series([0]).cast(dtype).dt.to_string(plain)
    except pl.exceptions.PolarsError:
        raise SchemaError(f"form {detail!r} is no strftime pattern, or names an unknown time zone.") from None
    return Stamp(plain, dtype, minutes, zone, "%^" in pattern)


def _parse_stamp(text: pl.Series, detail: str) -> pl.Series:
    s = stamp(detail)
    if not isinstance(s.dtype, pl.Datetime):
        return text.str.strptime(s.dtype, s.pattern, strict=False)
    if s.zone:
        return text.str.strptime(pl.Datetime("us", "UTC"), s.pattern, strict=False).dt.convert_time_zone(s.zone)
    local = text.str.strptime(pl.Datetime("us"), s.pattern, strict=False)
    return local if s.minutes is None else local.dt.offset_by(f"{-s.minutes}m").dt.replace_time_zone("UTC")


def _format_stamp(values: pl.Series, detail: str) -> pl.Series:
    s = stamp(detail)
    if s.zone:
        values = values.dt.convert_time_zone(s.zone)
    elif s.minutes is not None:
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.offset_by(f"{s.minutes}m")
    text = values.dt.to_string(s.pattern)
    return text.str.to_uppercase() if s.capitals else text


_PER_SECOND: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def _parse_duration(text: pl.Series, digits: str) -> pl.Series:
    fraction = rf"\.(\d{{{digits}}})" if digits else "()"
    parts = text.str.extract_groups(rf"^(-?)(\d{{2,}}):([0-5]\d):([0-5]\d){fraction}$").struct
    hours, minutes, seconds = (parts[name].cast(pl.Int64, strict=False) for name in ("2", "3", "4"))
    unit = "ns" if digits == "9" else "us"
    rest = parts["5"].str.pad_end(9 if digits == "9" else 6, "0").cast(pl.Int64, strict=False)
    total = (hours * 3600 + minutes * 60 + seconds) * _PER_SECOND[unit] + rest
    return (total * (1 - 2 * (parts["1"] == "-").cast(pl.Int64))).cast(pl.Duration(unit))  # type: ignore[arg-type]


def _format_duration(values: pl.Series, digits: str) -> pl.Series:
    """Whole seconds, or with a fraction of `digits` digits; what is finer is cut off."""
    dtype = values.dtype
    if not isinstance(dtype, pl.Duration):
        raise pl.exceptions.InvalidOperationError(f"a duration was wanted, not {dtype}")
    per_second = _PER_SECOND[dtype.time_unit]
    size = values.to_physical().abs()
    seconds, rest = size // per_second, size % per_second
    two = [part.cast(pl.String).str.zfill(2) for part in (seconds // 3600, seconds // 60 % 60, seconds % 60)]
    text = two[0] + ":" + two[1] + ":" + two[2]
    if digits:
        padded = rest.cast(pl.String).str.zfill(len(str(per_second)) - 1).str.pad_end(9, "0")
        text = text + "." + padded.str.head(int(digits))
    return ("-" + text).zip_with(values.to_physical() < 0, text)


# ------------------------------------------------------------------------------------------------- all ways

WAYS: Final[dict[str, tuple[Way, Way]]] = {
    "int": (_parse_int, _format_plain),
    "float": (_parse_float, _format_float),
    "fixed": (_parse_float, _format_fixed),
    "decimal": (_parse_decimal, _format_decimal),
    "sci": (_parse_float, _format_sci),
    "number": (_parse_number, _format_number),
    "bool": (_parse_bool, _format_bool),
    "stamp": (_parse_stamp, _format_stamp),
    "duration": (_parse_duration, _format_duration),
}
DETAILS: Final = {
    "int": r"",
    "float": r"|py|short|g",
    "fixed": r"\d{1,2}",
    "decimal": r"\d{1,2}",
    "sci": r"\d{1,2}E?",
    "number": r".+",
    "bool": r"[^/]+/[^/]+",
    "stamp": r"(?s).*%.*",
    "duration": r"[1-9]?",
}
