"""Ordered kinds of one axis or two: `Number` (also times of day and durations), `Ordinal`, `Place`; and `InText`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.codec.axis import Axis, Limits
from verosim.codec.categories import to_keys
from verosim.codec.column import ColumnCodec, Draw, Guard, Kind
from verosim.codec.grid import Ints
from verosim.codec.limits import limits_of
from verosim.codec.saved import Saved, nest
from verosim.errors import DataError, SchemaError
from verosim.forms import Form
from verosim.models import Array, State
from verosim.schema import Column, dtype_name, parse_dtype


def rarity(column: Column, series: pl.Series, guard: Guard) -> str:
    """What an ordered column does not reproduce, as a sentence."""
    if not column.protect:
        return ""
    found = guard.holders(series.drop_nulls()) if guard.people is None else guard.holders(series).drop_nulls("value")
    rare = int((found["holders"] < guard.k).sum())
    if not rare:
        return ""
    return f"{rare:,} of {len(found):,} values are held by fewer than {guard.k} people: others are made up around them."


class Number:
    """Numbers, times of day and durations: one axis. Decimals are counted in their last digit that is ever used."""

    def __init__(self, column: Column, axis: Axis, unit: int) -> None:
        self.column, self.axis, self.unit = column, axis, unit
        self.dtype = parse_dtype(column.dtype)
        self.fields = (axis.field(column.name),)
        self.note = ""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        dtype = series.dtype
        if not (dtype.is_numeric() or dtype in (pl.Time, pl.Duration)):
            raise SchemaError(
                f"column {column.name!r}: kind {column.kind} cannot be held in {column.dtype}"
                + (" without a `format` that says how it is written." if dtype == pl.String else ".")
            )
        unit = _last_digit(series) if dtype.is_decimal() else 1
        limits = limits_of(column, dtype, unit)
        if dtype in (pl.Time, pl.Duration) and column.step is None:
            limits = replace(limits, step=common_step(series.to_physical()))
        ticks = _ticks(series, unit)
        codec = cls(column, Axis.fit(ticks, guard.people, guard.k, limits, column.protect), unit)
        codec.note = rarity(column, ticks, guard)
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        return [self.axis.encode(_ticks(series, self.unit))]

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        values = self.axis.decode(arrays[0])
        if isinstance(self.dtype, pl.Decimal):
            whole = values.cast(pl.Int128) * pl.Series([self.unit], dtype=pl.Int128)
            return whole.reinterpret(dtype=self.dtype)
        return values.cast(self.dtype)

    def state(self) -> State:
        meta, arrays = nest(axis=self.axis.state())
        return {**meta, "unit": self.unit}, arrays

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        return cls(column, Axis.restore(saved.part("axis")), saved.whole("unit", 1, 10**38))


class Coordinate(Number):
    """A latitude or longitude alone: a number that stays on the globe."""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        if not series.dtype.is_float():
            raise SchemaError(f"column {column.name!r}: a latitude or longitude is a float, not {column.dtype}.")
        end = 90 if column.format == "latitude" else 180
        low, high = (
            given if given is not None else way * end for given, way in ((column.minimum, -1), (column.maximum, 1))
        )
        return super().fit(replace(column, minimum=low, maximum=high), series, guard)


def _ticks(series: pl.Series, unit: int) -> pl.Series:
    """Floats as they are, anything else as whole numbers."""
    if series.dtype.is_decimal():
        return series.to_physical().cast(pl.Int128) // pl.Series([unit], dtype=pl.Int128)
    return series.to_physical() if series.dtype.is_temporal() else series


def _last_digit(series: pl.Series) -> int:
    """The largest power of ten that all decimals are multiples of, in units of their scale; at most one."""
    whole, scale = series.to_physical().cast(pl.Int128), getattr(series.dtype, "scale", 0)
    units = (pl.Series([10**places], dtype=pl.Int128) for places in range(scale, 0, -1))
    return next((int(unit[0]) for unit in units if not (whole % unit != 0).any()), 1)


def common_step(ticks: pl.Series) -> int:
    """The greatest common divisor of whole numbers, below 2**62; 1 where there is none."""
    values = ticks.drop_nulls().unique().cast(pl.Int64).to_numpy()
    step = abs(int(np.gcd.reduce(values))) if len(values) else 0
    return step if 0 < step < 2**62 else 1


# -------------------------------------------------------------------------------------------------- ordinals


class Ordinal:
    """Levels in the order of `Column.levels`: one axis over their ranks, where each kept level is an atom.

    A level that fewer than k people hold counts as the nearest that is kept. nearest: (levels,) the kept rank of each
    rank.
    """

    def __init__(self, column: Column, axis: Axis, nearest: Ints) -> None:
        self.column, self.axis, self.nearest = column, axis, nearest
        self.levels, self._coder = _levels(column)
        self.fields = (axis.field(column.name),)
        self.note = ""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        levels, coder = _levels(column)
        ranks = _ranks(series, coder)
        strange = (ranks.is_null() & series.is_not_null()).arg_true()
        if len(strange):
            row = int(strange[0])
            value = series[row]
            reason, fix = f"{value!r} is none of the levels.", "Add it to `levels`, in its place."
            raise DataError(reason, column=column.name, row=row, fix=fix)
        found = guard.holders(ranks).drop_nulls("value").sort("value")
        held = found.filter(pl.col("holders") >= guard.k) if column.protect else found
        kept = (held if len(held) else found)["value"].to_numpy()
        every = np.arange(len(levels))
        nearest = kept[np.argmin(np.abs(every[:, None] - kept), axis=1)] if len(kept) else every
        axis = Axis.fit(pl.Series(nearest).gather(ranks), guard.people, 1, Limits(), protect=False)
        codec = cls(column, axis, nearest)
        if rare := len(found) - len(kept):
            codec.note = f"{rare:,} levels are held by fewer than {guard.k} people: the nearest level in their place."
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        return [self.axis.encode(pl.Series(self.nearest).gather(_ranks(series, self._coder)))]

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        return self.levels.gather(self.axis.decode(arrays[0]).clip(0, len(self.levels) - 1))

    def state(self) -> State:
        meta, arrays = nest(axis=self.axis.state())
        return meta, {**arrays, "nearest": self.nearest}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        size = len(column.levels or ())
        return cls(column, Axis.restore(saved.part("axis")), saved.indices("nearest", size, size))


def _levels(column: Column) -> tuple[pl.Series, pl.Enum]:
    """The declared levels as values of the dtype, and the enum of their keys, which finds a value's rank."""
    dtype = parse_dtype(column.dtype, column.levels)
    try:
        levels = pl.Series(list(column.levels or ())).cast(dtype)
        return levels, pl.Enum(to_keys(levels))
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise SchemaError(f"column {column.name!r}: `levels` must be different values of {column.dtype}.") from error


def _ranks(series: pl.Series, coder: pl.Enum) -> pl.Series:
    return to_keys(series).cast(coder, strict=False).to_physical().cast(pl.Int64)


# ---------------------------------------------------------------------------------------------------- places

_NUMBER: Final = r"(-?\d+(?:\.\d+)?)"
_PAIR: Final = re.compile(rf"(\D*?){_NUMBER}(\D+?){_NUMBER}(\D*)")


@dataclass(frozen=True, slots=True)
class Style:
    """How a pair is written: what stands before, between and after its numbers, and the form and decimals of each."""

    before: str
    between: str
    after: str
    forms: tuple[str, str]
    digits: tuple[int, int]

    @classmethod
    def of(cls, values: pl.Series) -> Style:
        match = _PAIR.fullmatch(str(values[0])) if len(values) else None
        before, between, after = (match[1], match[3], match[5]) if match else ("", ", ", "")
        halves = _halves(values, before, between, after)
        forms = [str(Form.detect(half) or "float:short") for half in halves]
        first, second = (form if form.startswith(("float", "fixed")) else "float:short" for form in forms)
        return cls(before, between, after, (first, second), (_decimals(halves[0]), _decimals(halves[1])))

    def parse(self, texts: pl.Series) -> list[pl.Series]:
        return [half.cast(pl.Float64) for half in _halves(texts, self.before, self.between, self.after)]

    def format(self, numbers: Sequence[pl.Series]) -> pl.Series:
        first, second = (Form.of(form).format(n) for form, n in zip(self.forms, numbers, strict=True))
        return self.before + first + self.between + second + self.after


def _decimals(texts: pl.Series) -> int:
    most = texts.str.extract(r"\.(\d+)$").str.len_bytes().max()
    return min(int(most or 0), 15)  # type: ignore[arg-type]


def _halves(texts: pl.Series, *parts: str) -> list[pl.Series]:
    """The two numbers of each text, as text; null where it is written otherwise."""
    before, between, after = map(re.escape, parts)
    return [texts.str.extract(f"^{before}{_NUMBER}{between}{_NUMBER}{after}$", i) for i in (1, 2)]


class Place:
    """A pair of coordinates in one text, such as `40.4, -3.7`: two axes, and the style that it is written in."""

    def __init__(self, column: Column, axes: Sequence[Axis], style: Style) -> None:
        self.column, self.axes, self.style = column, tuple(axes), style
        self.fields = tuple(axis.field(f"{column.name} ({i + 1})") for i, axis in enumerate(axes))
        self.note = ""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        if series.dtype != pl.String:
            raise SchemaError(
                f"column {column.name!r}: a place is a float with format latitude or longitude, or a text."
            )
        style = Style.of(series.drop_nulls())
        numbers = style.parse(series)
        must_fit(column, series, numbers[1], "a pair of numbers written as in the first row")
        axes = [
            Axis.fit(n, guard.people, guard.k, Limits(digits=d), column.protect)
            for n, d in zip(numbers, style.digits, strict=True)
        ]
        codec = cls(column, axes, style)
        codec.note = rarity(column, numbers[0], guard)
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        return [axis.encode(n) for axis, n in zip(self.axes, self.style.parse(series), strict=True)]

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        """(n,) texts; null where the first code is, whatever the second says."""
        first, second = arrays
        second = np.where(second < 0, draw.rng.random(len(second)), second)
        return self.style.format([self.axes[0].decode(first), self.axes[1].decode(second)])

    def state(self) -> State:
        meta, arrays = nest(first=self.axes[0].state(), second=self.axes[1].state())
        return {**meta, **asdict(self.style)}, arrays

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        axes = [Axis.restore(saved.part(name)) for name in ("first", "second")]
        before, between, after = (saved.text(name) for name in ("before", "between", "after"))
        forms, digits = saved.pair("forms", str), saved.pair("digits", int)
        for form in forms:
            saved.need(Form.of(form).kind in ("float", "fixed"), f"{form!r} is no form of a coordinate")
        return cls(column, axes, Style(before, between, after, forms, digits))


def must_fit(column: Column, series: pl.Series, parsed: pl.Series, wanted: str) -> None:
    """Raises DataError with the first row whose text gave no value."""
    wrong = (parsed.is_null() & series.is_not_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        reason, fix = f"{series[row]!r} is not {wanted}.", "Correct it, or give the column kind category or text."
        raise DataError(reason, column=column.name, row=row, fix=fix)


# ------------------------------------------------------------------------------------------- values held in text


class InText:
    """Numbers and times that a text column holds in one form: the codec of their kind, between parse and format."""

    def __init__(self, column: Column, form: Form, inner: ColumnCodec, dtype: pl.DataType) -> None:
        self.column, self.form, self.inner, self.dtype = column, form, inner, dtype
        self.fields, self.note = inner.fields, inner.note

    @classmethod
    def fit_kind(cls, kind: type[Kind], column: Column, series: pl.Series, guard: Guard) -> Self:
        form = Form.of(str(column.format))
        values = form.parse(series)
        must_fit(column, series, values, f"written as {column.format!r}")
        return cls(column, form, kind.fit(_typed(column, form, values.dtype), values, guard), values.dtype)

    def encode(self, series: pl.Series) -> list[Array]:
        return self.inner.encode(self.form.parse(series))

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        return self.form.format(self.inner.decode(arrays, draw))

    def state(self) -> State:
        meta, arrays = nest(inner=self.inner.state())
        return {**meta, "dtype": dtype_name(self.dtype)}, arrays

    @classmethod
    def restore_kind(cls, kind: type[Kind], column: Column, saved: Saved) -> Self:
        form, dtype = Form.of(str(column.format)), parse_dtype(saved.text("dtype"))
        inner = kind.restore(_typed(column, form, dtype), saved.part("inner"))
        return cls(column, form, inner, dtype)


def _typed(column: Column, form: Form, dtype: pl.DataType) -> Column:
    """The column as it would be if its values were not text."""
    digits = int(form.detail) if column.digits is None and form.kind == "fixed" else column.digits
    return replace(column, dtype=dtype_name(dtype), format=None, digits=digits)
