"""The kinds of rule. A class is a kind: its fields are the keys of the schema file, `holds` is its meaning."""
# ruff: noqa: RUF009  (`key` makes a dataclass field, as `field` does)

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from functools import reduce
from math import isfinite
from operator import add, and_
from typing import Any, ClassVar, Final

import polars as pl

from verosim.errors import DataError, SchemaError
from verosim.expressions import Expression, kind_of, literal, quoted, values

NUMBERS: Final = frozenset({"integer", "decimal", "float"})
TIMES: Final = frozenset({"date", "datetime", "time"})
Types = Mapping[str, pl.DataType]


def key(what: str, default: Any = MISSING) -> Any:
    """A field that stands in the schema file; `what` it must be there is checked by `parsing`."""
    return field(metadata={"is": what}) if default is MISSING else field(default=default, metadata={"is": what})


def file_key(name: str) -> str:
    """What a field is called in the schema file: `columns`, which in Python is every column that a rule reads."""
    return "columns" if name == "of" else name


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What must hold in each row, or across the rows."""

    KIND: ClassVar[str]

    reason: str = ""  # why it was learned
    text: str = field(default="", repr=False, compare=False)  # as a person wrote it, where that was plain text

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, each once."""
        out: dict[str, None] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.metadata.get("is") == "column":
                out[value] = None
            elif f.metadata.get("is") == "columns":
                out.update(dict.fromkeys(value))
            elif isinstance(value, Expression):
                out.update(dict.fromkeys(value.columns))
        return tuple(out)

    def holds(self, types: Types) -> pl.Expr:
        """A boolean for each row; null holds. types: those of the columns it reads."""
        raise NotImplementedError

    def check(self, frame: pl.DataFrame) -> pl.Series:
        """True in each row that holds, False in each that breaks it; never null."""
        try:
            return frame.select(self.holds(frame.schema).fill_null(True).alias("holds")).to_series()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise DataError(f"the rule `{self}` cannot be checked: {str(error).splitlines()[0]}.") from error

    def count(self, frame: pl.DataFrame) -> int:
        """How many rows break it."""
        return int((~self.check(frame)).sum())

    def spec(self) -> dict[str, Any] | str:
        """What the schema file says: `parse` makes the same rule of it."""
        if self.text:
            return self.text
        out: dict[str, Any] = {} if self.KIND == "implication" else {"rule": self.KIND}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "text" and value != f.default:
                out[file_key(f.name)] = value.text if isinstance(value, Expression) else _plain(value)
        return out

    def __str__(self) -> str:
        spec = self.spec()
        if isinstance(spec, str):
            return spec
        return ", ".join(f"{name}: {_short(value)}" for name, value in spec.items() if name != "reason")


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def number_of(name: str, types: Types) -> pl.Expr:
    """A column of numbers, NaN as null."""
    return pl.col(name).fill_nan(None) if types[name].is_float() else pl.col(name)


@dataclass(frozen=True)
class Range(Rule):
    """The value lies from `low` to `high`, both included; one may be left out."""

    KIND: ClassVar[str] = "range"

    column: str = key("column")
    low: Any = key("value", None)  # a number, or ISO text for times
    high: Any = key("value", None)

    def holds(self, types: Types) -> pl.Expr:
        column, dtype = number_of(self.column, types), types[self.column]
        if kind_of(dtype) not in NUMBERS | TIMES:
            raise SchemaError(f"a range is one of numbers or times; {self.column!r} is {dtype}.")
        sides = [column >= literal(self.low, dtype)] if self.low is not None else []
        sides += [column <= literal(self.high, dtype)] if self.high is not None else []
        return reduce(and_, sides, pl.lit(True))


@dataclass(frozen=True)
class Inequality(Rule):
    """`low_column` <= `high_column`: numbers, dates, datetimes, times or durations. strict: never equal."""

    KIND: ClassVar[str] = "inequality"

    low_column: str = key("column")
    high_column: str = key("column")
    strict: bool = key("flag", False)

    def holds(self, types: Types) -> pl.Expr:
        kinds = {kind_of(types[c]) for c in self.columns}
        if not (kinds <= NUMBERS or kinds <= TIMES or kinds == {"duration"}):
            raise SchemaError(f"{self.low_column!r} and {self.high_column!r} have no common order.")
        low, high = (values.column(c, types[c]) for c in (self.low_column, self.high_column))
        try:
            return values.compare("<" if self.strict else "<=", low, high).expr
        except ValueError as error:
            raise SchemaError(f"{error}.") from error

    def __str__(self) -> str:
        return self.text or f"{self.low_column} {'<' if self.strict else '<='} {self.high_column}"


@dataclass(frozen=True)
class FixedCombinations(Rule):
    """Only combinations of values that are in the data, or in `combinations`. A missing value is a value like others.

    combinations: plain values, a list for each; times as ISO text or whole numbers of their unit. Without them `check`
    finds every row right, for it is the data's own; `Reduction.remaining` holds the rule with those of the data.
    """

    KIND: ClassVar[str] = "fixed_combinations"

    of: tuple[str, ...] = key("columns")
    combinations: tuple[tuple[Any, ...], ...] | None = key("combinations", None)

    def holds(self, types: Types) -> pl.Expr:
        if self.combinations is not None:
            decode(self.combinations, {c: types[c] for c in self.of})  # raises for values that have no place there
        return pl.lit(True)  # as far as a single row can tell: see `check`

    def check(self, frame: pl.DataFrame) -> pl.Series:
        if self.combinations is None:
            return pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True).alias("holds")
        known = decode(self.combinations, {c: frame.schema[c] for c in self.of}).with_columns(holds=pl.lit(True))
        joined = frame.select(self.of).join(known, on=self.of, how="left", nulls_equal=True, maintain_order="left")
        return joined["holds"].fill_null(False)


@dataclass(frozen=True)
class FixedSum(Rule):
    """`total` is the sum of `plus`, less that of `minus`: exact for integers and decimals, to rounding for floats."""

    KIND: ClassVar[str] = "fixed_sum"

    total: str = key("column")
    plus: tuple[str, ...] = key("columns")
    minus: tuple[str, ...] = key("columns", ())

    def holds(self, types: Types) -> pl.Expr:
        kinds = {kind_of(types[c]) for c in self.columns}
        if not kinds <= NUMBERS:
            odd = next(c for c in self.columns if kind_of(types[c]) not in NUMBERS)
            raise SchemaError(f"a fixed sum is one of numbers; {odd!r} is {types[odd]}.")
        total = exact_or_float(self.total, types, kinds)
        rest = total - self.sum(types, kinds)
        if "float" not in kinds:
            return rest == 0
        size = sum((exact_or_float(c, types, kinds).abs() for c in (*self.plus, *self.minus)), total.abs())
        tolerance = 1e-6 if any(types[c] == pl.Float32 for c in self.columns) else 1e-9
        return rest.abs() <= tolerance * size

    def sum(self, types: Types, kinds: set[str]) -> pl.Expr:
        """What the total must be; null where a part is missing or infinite."""
        parts = [exact_or_float(c, types, kinds) for c in self.plus]
        parts += [0 - exact_or_float(c, types, kinds) for c in self.minus]
        return reduce(add, parts)

    def __str__(self) -> str:
        sides = " + ".join(self.plus) + "".join(f" - {c}" for c in self.minus)
        return self.text or f"{self.total} = {sides}"


def exact_or_float(name: str, types: Types, kinds: set[str]) -> pl.Expr:
    """A column of numbers in the widest type of its kinds; what is not finite is null."""
    column = pl.col(name)
    if "float" in kinds:
        wide = column.cast(pl.Float64)
        return pl.when(wide.is_finite()).then(wide)
    return column.cast(pl.Int128) if "decimal" not in kinds else column


@dataclass(frozen=True)
class FixedIncrements(Rule):
    """A number is a multiple of `step`; a time too, in units of its type: a date of step 7 is always a Thursday."""

    KIND: ClassVar[str] = "fixed_increments"

    column: str = key("column")
    step: float = key("step")

    def holds(self, types: Types) -> pl.Expr:
        kind, column = kind_of(types[self.column]), pl.col(self.column)
        if kind not in NUMBERS | TIMES | {"duration"}:
            raise SchemaError(f"increments are steps of numbers or times; {self.column!r} is {types[self.column]}.")
        if kind == "float":
            times = pl.when(column.is_finite()).then(column.cast(pl.Float64) / self.step)
            return (times - times.round()).abs() <= (1e-4 if types[self.column] == pl.Float32 else 1e-6)
        whole = Decimal(str(self.step)) * 10 ** getattr(types[self.column], "scale", 0)
        if whole != int(whole):
            raise SchemaError(f"the step {self.step} is finer than the values of {self.column!r}.")
        return column.to_physical() % int(whole) == 0


@dataclass(frozen=True)
class OneHot(Rule):
    """Exactly one of the columns is 1 (or true), the others are 0 (or false)."""

    KIND: ClassVar[str] = "one_hot"

    of: tuple[str, ...] = key("columns")

    def holds(self, types: Types) -> pl.Expr:
        odd = [c for c in self.of if kind_of(types[c]) not in NUMBERS | {"boolean"}]
        if odd:
            raise SchemaError(f"one_hot takes columns of 0 and 1, or of truth values; {odd[0]!r} is {types[odd[0]]}.")
        values = [pl.col(c).cast(pl.Int8) if types[c] == pl.Boolean else number_of(c, types) for c in self.of]
        plain = reduce(and_, [(v == 0) | (v == 1) for v in values])
        known = pl.all_horizontal(*(v.is_not_null() for v in values))
        return pl.when(known).then(plain & (reduce(add, [(v == 1).cast(pl.Int32) for v in values]) == 1))


@dataclass(frozen=True)
class Implication(Rule):
    """Where `when` is true, `then` is true; exactly: and nowhere else. Both are conditions."""

    KIND: ClassVar[str] = "implication"

    when: Expression = key("condition")
    then: Expression = key("condition")
    exactly: bool = key("flag", False)

    def holds(self, types: Types) -> pl.Expr:
        return self.when.expr.eq(self.then.expr) if self.exactly else ~self.when.expr | self.then.expr

    @property
    def emptied(self) -> str | None:
        """The column of which `then` says that it is null; None where it says something else."""
        match = re.fullmatch(r"\s*\S.*?\s+is\s+null\s*", self.then.text, re.IGNORECASE)
        name = self.then.columns[0] if len(self.then.columns) == 1 else None
        text = self.then.text.strip().lower()
        plain = name is not None and text.split(" is")[0].strip() in (name.lower(), quoted(name).lower())
        return name if match and plain else None

    def __str__(self) -> str:
        return f"when {self.when.text} then {self.then.text}" + (" and nowhere else" if self.exactly else "")


@dataclass(frozen=True)
class Unique(Rule):
    """No value, or combination of values, stands in two rows; the second and later ones break the rule."""

    KIND: ClassVar[str] = "unique"

    of: tuple[str, ...] = key("columns")

    def holds(self, types: Types) -> pl.Expr:
        values = pl.col(self.of[0]) if len(self.of) == 1 else pl.struct(self.of)
        return values.is_first_distinct() | pl.any_horizontal(*(pl.col(c).is_null() for c in self.of))


@dataclass(frozen=True)
class Check(Rule):
    """A condition that is true, or null."""

    KIND: ClassVar[str] = "check"

    expression: Expression = key("condition")

    def holds(self, types: Types) -> pl.Expr:
        return self.expression.expr

    def __str__(self) -> str:
        return self.expression.text


@dataclass(frozen=True)
class Aggregate(Rule):
    """`column` is the sum, mean, lowest or highest value of the rows of another table that name this row, or how many
    there are: of the product of their columns `of`. It is checked and held where tables are learned together."""

    KIND: ClassVar[str] = "aggregate"
    HOW: ClassVar[tuple[str, ...]] = ("sum", "count", "mean", "min", "max")

    column: str = key("column")
    how: str = key("how")
    table: str = key("name")
    of: tuple[str, ...] = key("names", ())

    def holds(self, types: Types) -> pl.Expr:
        if (self.how == "count") != (not self.of):
            raise SchemaError(f"{self.how} is taken of {'rows, not of columns' if self.of else 'one column or more'}.")
        return pl.lit(True)  # as far as one table can tell

    def check(self, frame: pl.DataFrame) -> pl.Series:
        return pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True).alias("holds")

    def __str__(self) -> str:
        inside = " * ".join(f"{self.table}.{name}" for name in self.of) or self.table
        return self.text or f"{self.column} = {self.how}({inside})"


KINDS: Final[dict[str, type[Rule]]] = {
    kind.KIND: kind
    for kind in (
        Range, Inequality, FixedCombinations, FixedSum, FixedIncrements, OneHot, Implication, Unique, Check,
        Aggregate,
    )
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- plain values


def encode(frame: pl.DataFrame) -> list[list[Any]]:
    """The rows as lists of what JSON can hold: `decode` makes the same rows of them."""
    return [list(row) for row in zip(*(_encode(c) for c in frame.get_columns()), strict=True)]


def _encode(values: pl.Series) -> list[Any]:
    kind = kind_of(values.dtype)
    if kind == "float":
        return [v if v is None else v + 0.0 if isfinite(v) else str(v) for v in values]  # -0.0 is 0.0
    if kind == "date":
        return values.cast(pl.String).to_list()
    if kind in ("datetime", "time", "duration"):
        return values.to_physical().to_list()
    if values.dtype == pl.Binary:
        return values.bin.encode("hex").to_list()
    return values.cast(pl.String).to_list() if kind in ("decimal", "text") else values.to_list()


def decode(rows: Any, types: Types) -> pl.DataFrame:
    """Rows of plain values as columns of these types; a SchemaError for a value that has no place there."""
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    out = {}
    for rows_of, (name, dtype) in zip(columns, types.items(), strict=True):
        try:
            out[name] = _decode(list(rows_of), dtype)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise SchemaError(f"column {name!r}: not all of its combinations are values of {dtype}.") from error
    return pl.DataFrame(out)


def _decode(values: list[Any], dtype: pl.DataType) -> pl.Series:
    kind = kind_of(dtype)
    if kind in TIMES | {"duration"} and any(isinstance(v, str) for v in values):
        exprs = [pl.lit(None) if v is None else literal(v, dtype).alias("v") for v in values]
        return pl.concat([pl.select(e.cast(dtype).alias("v")) for e in exprs]).to_series()
    if dtype == pl.Binary:
        return pl.Series(values, dtype=pl.String).str.decode("hex")
    if kind == "float":
        return pl.Series([float(v) if v is not None else None for v in values], dtype=pl.Float64).cast(dtype)
    if kind == "decimal":
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String).cast(dtype)
    return pl.Series(values, dtype=pl.Int64 if kind in TIMES | {"duration"} else dtype).cast(dtype)
