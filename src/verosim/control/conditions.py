"""Conditions on rows: what `where` asks for, checked at the door, and told apart in any frame of the table.

    {"income": ">50K", "age": (60, 80), "workclass": ["Private", None], "left": ("2020-01-01", None)}
    "income = '>50K' and age between 60 and 80"

A value asks for equality, None for a missing value, a list for any of its values, a pair for a range with both ends
included, of which either may be None. Text beside a date or time is read as ISO. Text that holds another kind (a
schema's `format`) is compared as what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, Final

import numpy as np
import polars as pl

from verosim import expressions
from verosim.errors import ArgumentError, SchemaError, did_you_mean
from verosim.expressions import Expression, kind_of, literal, quoted
from verosim.expressions.values import NUMBERS, TIMES, column
from verosim.forms import Form
from verosim.models import Array
from verosim.rules.parsing import types_of
from verosim.schema import Column, Table

MADE: Final = ("id", "personal")  # kinds of columns that are made anew for each row
LEVELS: Final = ("category", "ordinal", "boolean", "constant")  # kinds of which a value that no row has is a mistake
SHOWN: Final = 60  # characters of a value in a text


@dataclass(frozen=True, slots=True)
class Test:
    """What is asked of one column. each: for every value asked for, what it is and which rows have it."""

    column: Column
    form: Form | None  # of a column that holds another kind as text
    expr: pl.Expr
    each: tuple[tuple[Any, pl.Expr], ...] = ()

    def mask(self, frame: pl.DataFrame, expr: pl.Expr | None = None) -> Array:
        """(n,) which rows pass."""
        series = frame[self.column.name]
        held = pl.DataFrame({self.column.name: self.form.parse(series) if self.form else series})
        return held.select((self.expr if expr is None else expr).fill_null(False)).to_series().to_numpy()


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that each row of a table meets or not; a null is no."""

    text: str  # as an expression; two conditions of one text are the same
    tests: tuple[Test, ...] = ()
    expression: Expression | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return self.expression.columns if self.expression else tuple(test.column.name for test in self.tests)

    def mask(self, frame: pl.DataFrame) -> Array:
        """(n,) which rows meet it."""
        if self.expression:
            return self.expression.evaluate(frame).fill_null(False).to_numpy()
        return reduce(and_, (test.mask(frame) for test in self.tests))

    def refuse_unknown(self, drawn: pl.DataFrame) -> None:
        """Raise ArgumentError for a value that none of many drawn rows has, where that can only be a mistake."""
        for test in self.tests:
            seen = drawn[test.column.name]
            none = not test.mask(drawn).any()
            for value, expr in test.each:
                if (none or test.column.kind in LEVELS) and value is not None and not test.mask(drawn, expr).any():
                    raise ArgumentError(_unseen(test.column, value, seen))
            if none:
                raise ArgumentError(_unseen(test.column, test.expr, seen))


def parse(where: Mapping[str, Any] | str, table: Table) -> Condition:
    """The condition that a call asks for. Raises ArgumentError for anything unknown or contradictory."""
    if isinstance(where, str):
        return _expression(where, table)
    if not isinstance(where, Mapping) or not where:
        raise ArgumentError(f"where: a mapping of columns to values, or an expression, was wanted, not {where!r}.")
    tests, texts = [], []
    for name, value in where.items():
        learned = asked_column(name, table, "where")
        form, dtype = _held(learned, types_of(table)[learned.name])
        try:
            test, text = _test(learned, form, dtype, value)
        except SchemaError as error:
            raise ArgumentError(f"where, column {name!r}: {error}") from error
        tests.append(test)
        texts.append(text)
    return Condition(" and ".join(texts), tuple(tests))


def asked_column(name: object, table: Table, what: str) -> Column:
    """The column of that name, if it is one that is learned. what: the argument that names it."""
    if name not in table.names:
        raise ArgumentError(f"{what}: no column {name!r}; {did_you_mean(name, table.names)}")
    found = table[str(name)]
    if found.kind in MADE:
        raise ArgumentError(f"{what}: {name!r} is made anew for each row, never learned; ask for other columns.")
    return found


def _expression(text: str, table: Table) -> Condition:
    try:
        expression = expressions.compile(text, types_of(table))
    except SchemaError as error:
        raise ArgumentError(f"where: {error}") from error
    if expression.dtype != pl.Boolean or not expression.columns:
        raise ArgumentError(f"where: {text!r} is no condition on a column, such as age >= 60.")
    for name in expression.columns:
        asked_column(name, table, "where")
    return Condition(text, (), expression)


def _held(column: Column, dtype: pl.DataType) -> tuple[Form | None, pl.DataType]:
    """How to read a column that holds another kind as text, and the type of what it holds."""
    if dtype != pl.String or column.format is None or column.kind not in ("number", "date", "datetime", "time"):
        return None, dtype
    form = Form.of(column.format)
    return form, form.parse(pl.Series([], dtype=pl.String)).dtype


def _test(asked: Column, form: Form | None, dtype: pl.DataType, value: Any) -> tuple[Test, str]:
    if isinstance(value, tuple):
        expr, text = _range(asked, dtype, value)
        return Test(asked, form, expr), text
    several = isinstance(value, list | set | frozenset | np.ndarray | pl.Series)
    values = sorted(value, key=repr) if isinstance(value, set | frozenset) else list(value) if several else [value]
    if not values:
        raise ArgumentError(f"where, column {asked.name!r}: an empty list is met by no row; name at least one value.")
    each = tuple((v, _equals(asked, dtype, v)) for v in map(_plain, values))
    texts = [_told(v) for v, _ in each]
    name = quoted(asked.name)
    text = f"{name} in ({', '.join(texts)})" if several else f"{name} {'is' if values[0] is None else '='} {texts[0]}"
    return Test(asked, form, reduce(or_, (expr for _, expr in each)), each), text


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _told(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if isinstance(value, bool | int | float) else "'" + text.replace("'", "''") + "'"


def _constant(value: Any, dtype: pl.DataType) -> pl.Expr:
    return pl.lit(value) if kind_of(dtype) == "duration" else literal(value, dtype)


def _equals(asked: Column, dtype: pl.DataType, value: Any) -> pl.Expr:
    expr = column(asked.name, dtype).expr
    if value is None:
        return expr.is_null()
    if isinstance(value, tuple | list | dict | set):
        raise ArgumentError(f"where, column {asked.name!r}: {value!r} is no value; a pair is a range by itself.")
    _refuse_outside(asked, dtype, value, value)
    return expr.eq(_constant(value, dtype))


def _range(asked: Column, dtype: pl.DataType, value: tuple[Any, ...]) -> tuple[pl.Expr, str]:
    """Both ends included. -> the test, and its text."""
    where = f"where, column {asked.name!r}"
    if len(value) != 2:
        raise ArgumentError(f"{where}: a range is a pair (low, high), not {value!r}; several values are a list.")
    low, high = map(_plain, value)
    name, expr = quoted(asked.name), column(asked.name, dtype).expr
    ends = [f"{name} {sign} {_told(end)}" for sign, end in ((">=", low), ("<=", high)) if end is not None]
    text = " and ".join(ends) or f"{name} is not null"
    if asked.kind == "ordinal" and asked.levels:
        return expr.is_in(_between(asked, low, high, where)), text
    if kind_of(dtype) not in NUMBERS | TIMES | {"duration"}:
        raise ArgumentError(f"{where}: a range needs numbers or times; {asked.kind} values are asked for by a list.")
    _refuse_outside(asked, dtype, low, high)
    sides = [expr.is_not_null()]
    sides += [expr >= _constant(low, dtype)] if low is not None else []
    sides += [expr <= _constant(high, dtype)] if high is not None else []
    return reduce(and_, sides), text


def _between(asked: Column, low: Any, high: Any, where: str) -> list[Any]:
    """The levels of an ordinal from low to high."""
    levels = list(asked.levels or ())
    for end in (low, high):
        if end is not None and end not in levels:
            raise ArgumentError(f"{where}: no level {end!r}; {did_you_mean(end, levels)}")
    first, last = 0 if low is None else levels.index(low), len(levels) if high is None else levels.index(high) + 1
    if first >= last:
        raise ArgumentError(f"{where}: {low!r} stands above {high!r}; a range is (low, high).")
    return levels[first:last]


def _refuse_outside(asked: Column, dtype: pl.DataType, low: Any, high: Any) -> None:
    """Raise ArgumentError where low is above high, or no value between them is allowed by the schema and its rules."""
    allowed = (asked.minimum, asked.maximum) if kind_of(dtype) in NUMBERS | TIMES else (None, None)
    for bottom, top in ((low, high), (low, allowed[1]), (allowed[0], high)):
        if bottom is None or top is None or pl.select(_constant(bottom, dtype) <= _constant(top, dtype)).item():
            continue
        if (bottom, top) == (low, high):
            raise ArgumentError(f"where, column {asked.name!r}: {low!r} is above {high!r}; a range is (low, high).")
        raise ArgumentError(
            f"where, column {asked.name!r}: the schema allows from {allowed[0]!r} to {allowed[1]!r} only, which "
            f"{low!r} to {high!r} does not meet."
        )


def _unseen(asked: Column, value: Any, seen: pl.Series) -> str:
    """Why no row passes a test."""
    said = f"where, column {asked.name!r}: "
    if asked.kind in LEVELS:
        levels = seen.drop_nulls().value_counts(sort=True)[asked.name].to_list()
        return said + f"no row drawn has the value {value!r}; {did_you_mean(value, levels)}"
    ordered = not (isinstance(seen.dtype, pl.String | pl.Categorical | pl.Enum)) and seen.drop_nulls().len() > 0
    runs = f"; drawn values run from {seen.min()!s} to {seen.max()!s}" if ordered else ""
    return said + f"no row of {len(seen):,} drawn passes{runs}. Ask for a value or range that was learned."
