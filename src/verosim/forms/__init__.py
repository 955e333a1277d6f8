"""Lossless text forms: how a column of text writes its numbers, dates or truth values, and both ways of it.

A form is found only where the whole column fits it without loss: `form.format(form.parse(x)) == x` for every value. So
a typed file can be written back letter by letter. What fits none stays text: leading zeros (00123), signs that say
nothing (+5), padding, card numbers, phone numbers, a column of mixed styles.

    int              7  -12                          bool:True/False   the two words, true first
    float            3.0  0.5  1e+16  1.5e-7         %d/%m/%Y %H:%M    dates and times, as in strftime; `%-d` is a day
    float:py         3.0  0.5  1e+16  1.5e-07                          without zero, `%.3f` a fraction of three digits,
    float:short      3  0.5  1e+16  1.5e-7                             `%^b` a month in capitals, Z or +02:00 a fixed
    float:g          3  0.5  1e+16  1.5e-07                            offset, `%:z@Europe/Paris` the offsets of a zone
    fixed:2          1.50  as a float                duration          hours:minutes:seconds over 24 hours: 31:05:00
    decimal:2        1.50  as an exact decimal       number:$#,##0.00  how a spreadsheet writes it: grouped thousands,
    sci:2, sci:2E    1.50e+05, 1.50E+05                                decimal comma, currency, percent; `0.#` shortest
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from verosim.errors import ArgumentError, SchemaError, did_you_mean
from verosim.forms.ways import CURRENCY, DETAILS, SPACE, WAYS, WORDS, picture, stamp

__all__ = ["Form", "default_form"]


@dataclass(frozen=True, slots=True)
class Form:
    """How one column of text writes its values; `str(form)` is its short name, `Form.of` reads that again.

    >>> form = Form.detect(pl.Series(["31/01/2024", "01/02/2024"]))
    >>> str(form), form.parse(pl.Series(["05/02/2024"])).to_list()
    ('%d/%m/%Y', [datetime.date(2024, 2, 5)])
    """

    kind: str  # one of WAYS
    detail: str = ""
    note: str = field(default="", compare=False)  # what was ambiguous, and how it was decided

    def __post_init__(self) -> None:
        if self.kind not in WAYS:
            raise SchemaError(f"unknown form {self.kind!r}; {did_you_mean(self.kind, WAYS)}")
        if not re.fullmatch(DETAILS[self.kind], self.detail):
            raise SchemaError(f"form {str(self)!r}: {self.detail!r} is not understood after {self.kind!r}.")
        picture(self.detail) if self.kind == "number" else stamp(self.detail) if self.kind == "stamp" else None

    def __str__(self) -> str:
        return self.detail if self.kind == "stamp" else f"{self.kind}:{self.detail}" if self.detail else self.kind

    @classmethod
    def of(cls, text: str) -> Form:
        """The form of this short name, such as `fixed:2` or `%d/%m/%Y`; SchemaError where there is none."""
        kind, _, detail = text.partition(":")
        if "%" in text and kind not in WAYS:
            return cls("stamp", text)
        return cls(kind, detail)

    @staticmethod
    def detect(series: pl.Series) -> Form | None:
        """The form that every value of a String series (n,) fits without loss; None where there is none."""
        values = series.drop_nulls()
        if values.is_empty():
            return None
        probe = pl.concat([values.head(100), values.gather_every(max(1, len(values) // 100))])
        for form in _candidates(str(probe[0]), values):
            if form.fits(probe) and form.fits(values):
                return _settle(form, values)
        return None

    def fits(self, series: pl.Series) -> bool:
        """Whether every value of a String series comes back from `parse` and `format` as it was."""
        try:
            parsed = self.parse(series)
            if parsed.null_count() != series.null_count() or not _in_calendar(parsed):
                return False
            return bool((self.format(parsed) == series).all())
        except pl.exceptions.PolarsError:
            return False

    def takes(self, dtype: pl.DataType) -> bool:
        """Whether `format` can write values of this type."""
        if self.kind == "stamp":
            return isinstance(dtype, type(stamp(self.detail).dtype))
        if self.kind in ("bool", "duration"):
            return isinstance(dtype, pl.Boolean if self.kind == "bool" else pl.Duration)
        return dtype.is_integer() if str(self) == "int" else dtype.is_numeric()

    def parse(self, series: pl.Series) -> pl.Series:
        """String (n,) to the form's type; null where a value does not fit."""
        return WAYS[self.kind][0](series, self.detail).alias(series.name)

    def format(self, series: pl.Series) -> pl.Series:
        """Values of the form's type (n,) to String; null stays null."""
        return WAYS[self.kind][1](series, self.detail).alias(series.name)


def default_form(dtype: pl.DataType) -> Form | None:
    """How a type is written as text where nothing else is asked; None for text itself (and categories).

    Raises ArgumentError for bytes and nested types, which have no text.

    >>> str(default_form(pl.Date()))
    '%Y-%m-%d'
    """
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
        return None
    if dtype.is_integer():
        return Form("int")
    if isinstance(dtype, pl.Decimal):
        return Form("decimal", str(dtype.scale))
    if isinstance(dtype, pl.Datetime):
        return Form("stamp", "%Y-%m-%d %H:%M:%S%.f" + (f"%:z@{dtype.time_zone}" if dtype.time_zone else ""))
    if isinstance(dtype, pl.Duration):
        return Form("duration", {"ms": "3", "us": "6", "ns": "9"}[dtype.time_unit])
    plain = {pl.Boolean: "bool:true/false", pl.Date: "%Y-%m-%d", pl.Time: "%H:%M:%S%.f", pl.Float64: "float"}
    text = plain.get(dtype.base_type(), "float" if dtype.is_float() else None)
    if text is None:
        raise ArgumentError(f"{dtype} cannot be written as text.")
    return Form.of(text)


def _in_calendar(parsed: pl.Series) -> bool:
    """No year outside 1 to 9999, which Python and most files cannot hold."""
    if not isinstance(parsed.dtype, pl.Date | pl.Datetime):
        return True
    years = parsed.dt.year().drop_nulls()
    return years.is_empty() or bool((years >= 1).all() and (years <= 9999).all())


# ------------------------------------------------------------------------------------------------- detection

_DAYS: Final = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y-%-m-%-d", "%Y/%-m/%-d",
    "%d/%m/%Y", "%-d/%-m/%Y", "%m/%d/%Y", "%-m/%-d/%Y", "%d-%m-%Y", "%-d-%-m-%Y", "%m-%d-%Y", "%-m-%-d-%Y",
    "%d.%m.%Y", "%-d.%-m.%Y", "%d/%m/%y", "%-d/%-m/%y", "%m/%d/%y", "%-m/%-d/%y", "%d.%m.%y", "%-d.%-m.%y",
    "%d-%m-%y", "%m-%d-%y",
    "%d-%b-%Y", "%-d-%b-%Y", "%d-%^b-%Y", "%d-%b-%y", "%d-%^b-%y", "%d %b %Y", "%-d %b %Y", "%d %B %Y", "%-d %B %Y",
    "%b %d, %Y", "%b %-d, %Y", "%B %d, %Y", "%B %-d, %Y", "%d%b%Y", "%d%^b%Y", "%Y-%b-%d",
    "%a, %d %b %Y", "%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%y", "%b-%Y",
)  # fmt: skip
_COMPACT: Final = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}  # digits: pattern. Only where every year is in 1900 .. 2099
_ZONES: Final = (
    "Europe/London", "Europe/Paris", "Europe/Athens", "Europe/Moscow", "America/New_York", "America/Chicago",
    "America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip  # zones whose offset changes in the year, tried where a column's offsets differ
_CLOCK: Final = re.compile(r"(?P<hour>\d\d?):\d\d(?P<second>:\d\d)?(?P<fraction>[.]\d{1,9})?(?P<half> ?[AP]M)?")
_AFTER_DAY: Final = re.compile(
    rf"(?P<day>.*?)(?P<join>[T ]|, )(?P<clock>{_CLOCK.pattern})(?P<zone> ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
_NUMBER: Final = re.compile(
    rf"-?(?P<before>(?:(?:{CURRENCY}){SPACE}?)?)(?P<bare>\d[\d.,' \u00a0\u202f]*?)(?P<e>[eE][+-]?\d+)?"
    rf"(?P<after>(?:{SPACE}?(?:%|{CURRENCY}))?)"
)


def _candidates(first: str, values: pl.Series) -> Iterator[Form]:
    """Forms that the first value allows, the likelier first; `values` is the whole column, without nulls."""
    yield from (Form("bool", words) for words in WORDS if first in words.split("/"))
    yield from _stamps(first)
    if (first.isdecimal() or first.startswith("-")) and _is_card(values):
        return
    if match := _NUMBER.fullmatch(first):
        yield from _numbers(match, values)
    elif first in ("inf", "-inf", "NaN"):
        yield from (Form("float"), Form("float", "short"))


def _stamps(first: str) -> Iterator[Form]:
    if clock := _CLOCK.fullmatch(first):
        yield from (Form("stamp", c) for c in _clocks(clock))
    if length := re.fullmatch(r"-?\d{2,}:\d\d:\d\d(?:[.](\d{1,9}))?", first):
        yield Form("duration", str(len(length[1] or "") or ""))
    if first.isascii() and first.isdecimal():
        if len(first) in _COMPACT:
            yield Form("stamp", _COMPACT[len(first)], f"all are dates of 1900 to 2099 written in {len(first)} digits")
        return
    if match := _AFTER_DAY.fullmatch(first):
        for day in _days(match["day"]):
            for clock_pattern in _clocks(match):
                yield from (Form("stamp", day + match["join"] + clock_pattern + tail) for tail in _tails(match["zone"]))
    else:
        yield from (Form("stamp", day) for day in _days(first))


def _days(first: str) -> Iterator[str]:
    """The patterns of a day with the same separators, and letters in the same places."""
    shape = re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "0", first))
    return (day for day in _DAYS if re.sub(r"%[-^]?[Bba]", "a", re.sub(r"%-?[Ymdy]", "0", day)) == shape)


def _clocks(match: re.Match[str]) -> Iterator[str]:
    digits = len(match["fraction"]) - 1 if match["fraction"] else 0
    seconds = "" if not match["second"] else ":%S"
    fractions = [f"%.{digits}f" if digits in (3, 6) else "%.f", "%.f"] if digits else ["", "%.f"] if seconds else [""]
    for fraction in dict.fromkeys(fractions):
        if half := match["half"]:
            end = f"{seconds}{fraction}{' ' if half[0] == ' ' else ''}%p"
            yield from ("%I:%M" + end, "%-I:%M" + end)
        else:
            yield from ("%H:%M" + seconds + fraction, "%-H:%M" + seconds + fraction)


def _tails(zone: str | None) -> Iterator[str]:
    """The column's one offset as written; else the zones that could have made several."""
    yield zone or ""
    if zone and zone[-1].isdigit():
        directive = zone[: len(zone) - len(zone.lstrip())] + ("%:z" if ":" in zone else "%z")
        yield from (f"{directive}@{name}" for name in _ZONES)


def _numbers(match: re.Match[str], values: pl.Series) -> Iterator[Form]:
    bare, exponent = match["bare"], match["e"]
    if not match["before"] and not match["after"]:
        yield Form("int")
        yield from (Form("float", style) for style in ("", "py", "short", "g"))
        _, point, digits = bare.partition(".")
        if exponent:
            yield Form("sci", f"{len(digits)}{'E' if 'E' in exponent else ''}")
        elif point and digits.isdecimal() and len(digits) <= 30:
            yield from (Form("fixed", str(len(digits))), Form("decimal", str(len(digits))))
        elif bare.isdecimal() and not _marks(values):
            return
    if not exponent:
        yield from _dressed(match, values)


def _marks(values: pl.Series) -> list[str]:
    """The separators that stand anywhere in the column."""
    return [m for m in ".,' \u00a0\u202f" if values.str.contains(m, literal=True).any()]


def _dressed(match: re.Match[str], values: pl.Series) -> Iterator[Form]:
    """Number formats with these affixes and the separators in use; thousands before a decimal comma.

    `1,234` alone may be either. It is taken as thousands unless a value contradicts (`0,123`, `1,5`); a note says so.
    """
    inside = values.str.strip_prefix("-").str.strip_prefix(match["before"]).str.strip_suffix(match["after"])
    marks = _marks(inside)
    for group in [*marks, ""]:
        if group and _is_phone(inside, group):
            continue
        rest = [m for m in marks if m != group]
        if len(rest) > 1 or any(m not in ".," for m in rest):
            continue
        picture = f"#{group}##0" if group else "0"
        ends = [rest[0] + end for end in ("#", "0" * _digits(inside, rest[0]))] if rest else [""]
        yield from (Form("number", match["before"] + picture + end + match["after"]) for end in ends)


def _digits(values: pl.Series, point: str) -> int:
    """The digits after the point in the first value that has one."""
    first = values.filter(values.str.contains(point, literal=True))[0]
    return min(len(first.rpartition(point)[2]), 30) or 1


def _is_phone(values: pl.Series, group: str) -> bool:
    """Whether digits in threes look like telephone numbers: nine or more, as many in every value (600 111 222)."""
    digits = values.str.replace_all(group, "", literal=True)
    as_many = digits.str.len_bytes().n_unique() == 1
    return group in ".\u00a0\u202f " and as_many and bool(digits.str.contains(r"^\d{9,}$").all())


def _is_card(values: pl.Series) -> bool:
    """Whether all values have 13 to 19 digits of which the last is Luhn's check digit (ISO/IEC 7812-1)."""
    if not values.head(100).str.contains(r"^[0-9]{13,19}$").all() or not values.str.contains(r"^[0-9]{13,19}$").all():
        return False
    rest = values.cast(pl.UInt64, strict=False).fill_null(0).to_numpy()
    total = np.zeros(len(rest), np.uint64)
    for place in range(19):
        digit = rest % np.uint64(10) * np.uint64(1 + place % 2)
        total += digit - np.uint64(9) * (digit > 9)
        rest = rest // np.uint64(10)
    return bool((total % np.uint64(10) == 0).all())


def _settle(form: Form, values: pl.Series) -> Form | None:
    """Decide what more than one form would fit, and say so in the note; None where the fit is by chance."""
    if form.kind == "number" and re.search(r"#[.,]##0[^.,]*$", form.detail):
        return _settle_comma(form, values)
    if form.kind != "stamp":
        return form
    if form.detail in _COMPACT.values():
        years = form.parse(values).dt.year()
        return form if (years >= 1900).all() and (years <= 2099).all() else _without(form, values)
    return _settle_day(form, values)


def _without(form: Form, values: pl.Series) -> Form | None:
    """The next best form."""
    others = (other for other in _candidates(str(values[0]), values) if other != form)
    return next((other for other in others if other.fits(values)), None)


def _settle_day(form: Form, values: pl.Series) -> Form:
    """Day or month first, where no value over 12 decides.

    Day first, unless the place of the month never changes and that of the day does: days of one month that all end at
    12 are rarer than first days of many months.
    """
    swapped = re.sub(r"%(-?)([dm])", lambda m: f"%{m[1]}{'m' if m[2] == 'd' else 'd'}", form.detail)
    numeric = re.match(r"%-?d[/.-]%-?m", form.detail)
    if not numeric or swapped.split(" ")[0].split("T")[0] not in _DAYS or not Form("stamp", swapped).fits(values):
        return form
    days = form.parse(values).dt
    monthly = days.month().n_unique() == 1 and days.day().n_unique() > 1
    chosen = swapped if monthly else form.detail
    why = "as that leaves the same day of several months" if monthly else "day first"
    return Form(
        "stamp", chosen, f"no day over 12 decides between {form.detail} and {swapped}: taken as {chosen}, {why}"
    )


def _settle_comma(form: Form, values: pl.Series) -> Form:
    """One separator before three digits in every value: thousands, or a decimal mark of three digits."""
    p = picture(form.detail)
    other = Form("number", f"{p.before}0{p.group}000{p.after}")
    if not other.fits(values):
        return form
    return replace(form, note=f"{values[0]!r} may be thousands or three decimals in every value: taken as thousands")
