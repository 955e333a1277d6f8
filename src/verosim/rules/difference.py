"""How far one column lies above others: the step that holds an inequality, and the exact units that it computes in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.expressions import kind_of
from verosim.rules.kinds import NUMBERS, Inequality
from verosim.rules.parsing import comparable, types_of
from verosim.schema import Column, Table

MEASURES: Final = frozenset({"number", "datetime", "date", "time", "duration"})  # kinds that have differences
DIGITS: Final = 9  # decimals of a float that are looked for
Floats = npt.NDArray[np.float64]


def fresh(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number after it, so that no column is called so."""
    number, out = 1, name
    while out in taken:
        number += 1
        out = f"{name} {number}"
    return out


def digits_of(column: Column, values: pl.Series) -> int | None:
    """Decimals of a column of numbers: the fewest, from those described, that hold all values; None: too many."""
    if not values.dtype.is_float():
        return int(getattr(values.dtype, "scale", 0) or 0)
    known = values.filter(values.is_finite())
    wide, start = known.cast(pl.Float64).to_numpy(), column.digits or 0
    for digits in range(start, max(DIGITS, start) + 1):
        if (known == pl.Series(rounded(wide, digits)).cast(known.dtype)).all():
            return digits
    return None


def rounded(values: Any, digits: int) -> Any:
    """Floats, as numpy or polars hold them, at so many decimals."""
    size = 10.0**digits
    return (values * size).round() / size


# ------------------------------------------------------------------------------------------------- exact units

_NANOSECONDS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "d": 86_400 * 10**9}
INT64: Final = 2**63 - 1


def _unit(dtype: pl.DataType) -> str:
    """The unit in which a time counts."""
    return "d" if dtype == pl.Date else "ns" if dtype == pl.Time else str(getattr(dtype, "time_unit", "us"))


def _finest(dtypes: Sequence[pl.DataType]) -> str:
    return min((_unit(d) for d in dtypes), key=_NANOSECONDS.__getitem__)


def _scales(dtypes: Sequence[pl.DataType]) -> list[int]:
    """How many of the finest unit among the columns one unit of each is: whole numbers, decimals and times."""
    if all(kind_of(d) in NUMBERS for d in dtypes):
        places = [int(getattr(d, "scale", 0) or 0) for d in dtypes]
        return [10 ** (max(places) - p) for p in places]
    sizes = [_NANOSECONDS[_unit(d)] for d in dtypes]
    return [size // _NANOSECONDS[_finest(dtypes)] for size in sizes]


def _exact(name: str, scale: int) -> pl.Expr:
    return pl.col(name).to_physical().cast(pl.Int128) * scale


def from_exact(units: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whole units of a type as its values; null beyond its range."""
    if isinstance(dtype, pl.Decimal):
        one = pl.lit(Decimal(1).scaleb(-int(dtype.scale)))
        return (units.cast(pl.Decimal(38, 0)) * one).cast(dtype, strict=False)
    if dtype.is_integer():
        return units.cast(dtype, strict=False)
    if dtype == pl.Time:
        units = pl.when(units < _NANOSECONDS["d"]).then(units)
    return units.cast(pl.Int32 if dtype == pl.Date else pl.Int64, strict=False).cast(dtype)


def _ceil_to(units: pl.Expr, size: int) -> pl.Expr:
    return units if size == 1 else (0 - ((0 - units) // size)) * size


def _bounds(column: Column, dtype: pl.DataType) -> list[int | None]:
    """The column's minimum and maximum in units of its type; those of the type itself, where it is narrow."""
    ends: tuple[int | None, int | None] = (None, None)
    if dtype.is_integer():
        ends = pl.select(dtype.min().alias("min"), dtype.max().alias("max")).row(0)  # type: ignore[attr-defined]
    elif dtype == pl.Time:
        ends = (0, _NANOSECONDS["d"] - 1)
    out: list[int | None] = []
    for bound, end in zip((column.minimum, column.maximum), ends, strict=True):
        if bound is None:
            out.append(end)
        elif isinstance(bound, str):
            seconds = Decimal(str(comparable(bound, column)))
            out.append(int(seconds * 10**9 / _NANOSECONDS[_unit(dtype)]))
        else:
            out.append(int(Decimal(str(bound)).scaleb(int(getattr(dtype, "scale", 0) or 0))))
    return out


# ------------------------------------------------------------------------------------------------- inequality

_NEAR: Final = (-50, -25, 25, 50)  # rows apart, in the order of the low column: what a model takes for alike
_SELDOM: Final = 0.01


def seldom_broken(frame: pl.DataFrame, rule: Inequality) -> bool:
    """Whether the rule would hold for nearly all rows, had each the high value of a row with a like low value."""
    pair = frame.select(rule.columns).drop_nulls().sort(rule.low_column, maintain_order=True)
    if pair.height < 4 * max(_NEAR):
        return False
    near = (pair.with_columns(pl.col(rule.high_column).shift(n)) for n in _NEAR)
    return all((~rule.check(rows)).sum() < _SELDOM * pair.height for rows in near)


@dataclass(frozen=True, slots=True)
class Difference:
    """`high` >= each of `lows`: in its place, how far it lies above the highest of them.

    Exact for whole numbers, decimals and times. Floats are restored to their own digits; those of full precision to
    rounding. Where all lows are missing the high one is kept in an extra column.
    """

    KIND: ClassVar[str] = "difference"

    high: str
    lows: tuple[str, ...]
    strict: tuple[bool, ...]  # one a low
    name: str
    rest: str = ""  # the extra column, where it is needed
    digits: int | None = None  # floats: decimals of the high column
    digits_below: int | None = None  # floats: decimals of the difference

    @classmethod
    def make(
        cls, frame: pl.DataFrame, table: Table, high: str, lows: tuple[str, ...], strict: tuple[bool, ...]
    ) -> Difference | None:
        """None where the columns are no measures, or differ by more than 64 bits."""
        used = [table[c] for c in (high, *lows)]
        if any(c.kind not in MEASURES for c in used):
            return None
        taken = {*table.names, *frame.columns}
        name = fresh(f"{high} - {lows[0] if len(lows) == 1 else 'lowest'}", taken)
        digits = [digits_of(c, frame[c.name]) for c in used]
        below = None if None in digits else max(d for d in digits if d is not None)
        step = cls(high, lows, strict, name, digits=digits[0], digits_below=below)
        floor = frame.select(step._floor(table).alias("floor"))["floor"]
        if (floor.is_null() & frame[high].is_not_null()).any():
            step = replace(step, rest=fresh(f"{high} alone", taken))
        if step._float(table):
            whole = [frame[c].abs().max() for c in (high, *lows) if frame.schema[c].is_integer()]
            return None if any(w is not None and float(w) > 2**53 for w in whole) else step  # type: ignore[arg-type]
        size = frame.select((_exact(high, step._scale(table)[0]) - floor).max()).item()
        return None if size is not None and size > INT64 else step

    @property
    def removes(self) -> tuple[str, ...]:
        return (self.high,)

    @property
    def needs(self) -> tuple[str, ...]:
        return self.lows

    def _types(self, table: Table) -> list[pl.DataType]:
        types = types_of(table)
        return [types[c] for c in (self.high, *self.lows)]

    def _float(self, table: Table) -> bool:
        return any(d.is_float() for d in self._types(table))

    def _scale(self, table: Table) -> list[int]:
        return _scales(self._types(table))

    def _floor(self, table: Table) -> pl.Expr:
        """The least value that the high column may have, in the finest unit; as a float, without `strict`."""
        if self._float(table):
            lows = [pl.col(c).cast(pl.Float64) for c in self.lows]
            return pl.max_horizontal(*(pl.when(c.is_finite()).then(c) for c in lows))
        scales = self._scale(table)[1:]
        lows = [_exact(c, s) + int(strict) for c, s, strict in zip(self.lows, scales, self.strict, strict=True)]
        return pl.max_horizontal(*lows)

    def columns(self, table: Table) -> list[Column]:
        high, types = table[self.high], self._types(table)
        reason = f"how far {self.high} lies above {' and '.join(self.lows)}"
        base = Column(self.name, "number", "int64", minimum=0, unit=high.unit, protect=high.protect, reason=reason)
        if self._float(table):
            base = replace(base, dtype="float64", digits=self.digits_below)
        elif _finest(types) == "d":
            base = replace(base, unit="days")
        elif kind_of(types[0]) not in NUMBERS:
            base = replace(base, kind="duration", dtype=f"duration[{_finest(types)}]")
        elif max(int(getattr(d, "scale", 0) or 0) for d in types):
            base = replace(base, unit=None)
        return [base, replace(high, name=self.rest, unique=False)] if self.rest else [base]

    def reduce(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        floor, (column, *_) = self._floor(table), self.columns(table)
        if self._float(table):
            above = pl.col(self.high).cast(pl.Float64) - floor
            above = rounded(above, self.digits_below) if self.digits_below is not None else above
        else:
            above = _exact(self.high, self._scale(table)[0]) - floor
            above = above.cast(pl.Int64).cast(types_of(Table("", (column,)))[self.name])
        new = [above.alias(self.name)]
        if self.rest:
            new.append(pl.when(floor.is_null()).then(pl.col(self.high)).alias(self.rest))
        return frame.select(new)

    def restore(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        dtype = self._types(table)[0]
        high = self._restore_float(frame, table) if self._float(table) else self._restore_exact(frame, table)
        rest = pl.col(self.rest) if self.rest else pl.lit(None, dtype=dtype)
        floor = self._floor(table)
        out = pl.when(floor.is_null()).then(rest).otherwise(high)
        return frame.select((self._beside_infinite(out, dtype) if self._float(table) else out).alias(self.high))

    def _beside_infinite(self, high: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        """Infinite where a low one is, for nothing else is as high; missing where there is no such value."""
        for name, strict in zip(self.lows, self.strict, strict=True):
            low = pl.col(name).cast(pl.Float64)
            below = (high <= low if strict else high < low) & low.is_infinite()
            nothing = strict or not dtype.is_float()
            high = pl.when(~below.fill_null(False)).then(high).otherwise(None if nothing else low.cast(dtype))
        return high

    def _restore_exact(self, frame: pl.DataFrame, table: Table) -> pl.Expr:
        column, dtype, scale = table[self.high], self._types(table)[0], self._scale(table)[0]
        size = scale * (column.step or 1)
        low, high = _bounds(column, dtype)
        floor = self._floor(table)
        above = pl.max_horizontal(pl.col(self.name).to_physical().cast(pl.Int128), 0)
        units: pl.Expr = pl.when(pl.col(self.name).is_not_null()).then(floor + above)
        if low is not None:
            units = units.clip(lower_bound=pl.lit(low * scale, dtype=pl.Int128))
        if high is not None:
            units = units.clip(upper_bound=pl.lit(high * scale // size * size, dtype=pl.Int128))
        units = pl.when(units < floor).then(floor).otherwise(units)
        return from_exact(_ceil_to(units, size) // scale, dtype)

    def _restore_float(self, frame: pl.DataFrame, table: Table) -> pl.Series:
        column, dtype = table[self.high], self._types(table)[0]
        base = frame.select(self._floor(table).alias("floor"))["floor"]
        floor = base.fill_null(float("nan")).to_numpy()
        above = frame[self.name].fill_null(float("nan")).to_numpy()
        with np.errstate(invalid="ignore", over="ignore"):
            value = floor + np.maximum(above, 0.0)
            value = value if column.minimum is None else np.maximum(value, float(column.minimum))
            value = value if column.maximum is None else np.minimum(value, float(column.maximum))
            value = _not_below(value, self._limit(frame, floor), self.digits, dtype)
        out = pl.Series(value).cast(dtype, strict=False)
        gone = frame[self.name].is_null()
        return out.to_frame("v").select(pl.when(~gone).then(pl.col("v"))).to_series()

    def _limit(self, frame: pl.DataFrame, floor: Floats) -> Floats:
        """The floor, moved up by one float where a strict low reaches it."""
        reach = np.zeros(len(floor), dtype=bool)
        for low, strict in zip(self.lows, self.strict, strict=True):
            reach |= strict & np.asarray(frame[low].cast(pl.Float64).fill_null(float("nan")).to_numpy() == floor)
        return np.where(reach, np.nextafter(floor, np.inf), floor)


def _not_below(value: Floats, limit: Floats, digits: int | None, dtype: pl.DataType) -> Floats:
    """`value` at its digits and in its type; where that lies below `limit`, the next that does not."""

    def fit(values: Floats) -> Floats:
        plain = values if digits is None else rounded(values, digits)
        return plain.astype(np.float32).astype(np.float64) if dtype == pl.Float32 else plain

    value = fit(value)
    tries = [limit] if digits is None else [limit, limit + 0.5 * 10.0**-digits, limit + 10.0**-digits]
    for other in tries:
        value = np.where(value < limit, fit(other), value)
    if dtype == pl.Float32:
        up = np.nextafter(value.astype(np.float32), np.float32(np.inf)).astype(np.float64)
        return np.where(value < limit, up, value)
    return np.where(value < limit, limit, value) if dtype.is_float() else value
