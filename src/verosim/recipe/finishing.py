"""What holds for columns of any kind: cases, decimals, type, missing values, uniqueness."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.errors import DataError, SchemaError
from verosim.recipe.nouns import Column, Dirt, Maker
from verosim.schema import parse_dtype

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block

CASE: Final = "case"  # the column that says of what sort a row is
EDGE_CASE: Final = "edge_case"  # the column that says which value of a row is at the edge


def finished(maker: Maker, column: Column, scope: Scope, name: str) -> Maker:
    """The maker with all that its column says besides its kind."""
    if column.unique and maker.capacity is None:
        raise SchemaError(
            "its kind cannot keep values unique; id, sequence, pattern, choice, pools and some providers can."
        )
    if column.dirt is not None:
        _check_dirt(column.dirt, maker)
    maker = _with_cases(maker, scope, name)
    for step in (_rounded, _typed, _with_gaps):
        maker = step(maker, column, scope, name)
    return maker


def _check_dirt(dirt: Dirt, maker: Maker) -> None:
    for what, share in vars(dirt).items():
        if not 0 <= share <= 1:
            raise SchemaError(f"dirt, {what}: a share from 0 to 1 was wanted, not {share}.")
        fits = maker.dtype.is_numeric() if what == "outlier" else maker.dtype == pl.String
        if share and (not fits or maker.capacity is not None):
            raise SchemaError(f"dirt, {what}: it is for {'numbers' if what == 'outlier' else 'text'} that is no key.")


def _rounded(maker: Maker, column: Column, scope: Scope, name: str) -> Maker:
    digits = column.digits
    if digits is None:
        return maker
    if not 0 <= digits <= 15:
        raise SchemaError(f"`digits` goes from 0 to 15, not {digits}.")
    if not maker.dtype.is_float():
        if maker.dtype.is_numeric():
            return maker
        raise SchemaError(f"`digits` is for numbers; this column is {maker.dtype}.")
    dtype = pl.Int64() if digits == 0 else maker.dtype
    ends = maker.ends and (maker.ends[0] - 10**-digits, maker.ends[1] + 10**-digits)

    def make(block: Block) -> pl.Series:
        return maker.make(block).round(digits, mode="half_away_from_zero").cast(dtype)

    return replace(maker, dtype=dtype, make=make, of=None, at=None, ends=ends)


def _typed(maker: Maker, column: Column, scope: Scope, name: str) -> Maker:
    if column.type is None:
        return maker
    dtype = parse_dtype(column.type, _levels(column))

    def cast(values: pl.Series) -> pl.Series:
        try:
            return values.cast(dtype)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"a value does not fit the type {column.type}: {str(error).splitlines()[0]}.") from error

    try:
        pl.Series([], dtype=maker.dtype).cast(dtype)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"{maker.dtype} cannot become {column.type}.") from error
    make, at = maker.make, maker.at
    return replace(
        maker, dtype=dtype, of=None, make=lambda block: cast(make(block)),
        at=None if at is None else lambda run, rows: cast(at(run, rows)),
    )  # fmt: skip


def _levels(column: Column) -> tuple[str, ...] | None:
    if column.type != "enum":
        return None
    values = getattr(column.kind, "values", None)
    if not isinstance(values, list | tuple | dict):
        raise SchemaError("type enum is for a choice, whose values are its levels.")
    return tuple(map(str, values))


def _with_gaps(maker: Maker, column: Column, scope: Scope, name: str) -> Maker:
    """Missing values, by share or by condition; an expression that gives a number is a share that differs by row."""
    missing = column.missing
    if missing is None:
        return maker
    make = maker.make
    if isinstance(missing, int | float) and not isinstance(missing, bool):
        if not 0 <= missing <= 1:
            raise SchemaError(f"`missing` is a share from 0 to 1, or a condition, not {missing}.")

        def gaps(block: Block) -> np.ndarray:
            return block.uniform(name, "missing") < missing
    else:
        expression = scope.expression(missing)
        if expression.dtype not in (pl.Boolean, pl.Null) and not expression.dtype.is_numeric():
            raise SchemaError(f"`missing`: a share or a condition was wanted; {missing!r} gives {expression.dtype}.")

        def gaps(block: Block) -> np.ndarray:
            found = block.evaluate(expression, name, "missing")
            if found.dtype == pl.Boolean:
                return found.fill_null(False).to_numpy()
            return block.uniform(name, "missing") < found.cast(pl.Float64).fill_null(0.0).to_numpy()

    def with_gaps(block: Block) -> pl.Series:
        values = make(block)
        return pl.select(pl.when(~pl.Series(gaps(block))).then(values).alias(values.name)).to_series()

    return replace(maker, make=with_gaps, of=None, at=None)


# ------------------------------------------------------------------------------------------------- cases


def _with_cases(maker: Maker, scope: Scope, name: str) -> Maker:
    """In rows of a case that sets this column, its values are made as the case says."""
    others = {}
    for case, spec in scope.planned.table.cases.items():
        if name in spec.set:
            hidden = f"\0{name} in {case}"
            if hidden not in scope.planned.columns:
                scope.planned.columns[hidden] = replace(spec.set[name], hidden=True)
                scope.places[hidden] = (*scope.where, "cases", case, "set", name)
            others[case] = hidden
    if not others:
        return maker
    if maker.at is not None or maker.capacity is not None:
        raise SchemaError("a case cannot set a column of unique values.")
    for case, hidden in others.items():
        dtype = scope[hidden]
        if dtype != maker.dtype and not (dtype.is_numeric() and maker.dtype.is_numeric()):
            raise SchemaError(f"case {case!r} sets it to {dtype}; it is {maker.dtype} in the other rows.")
    across = maker.across or any(scope.maker(hidden).across for hidden in others.values())
    dtype, make = maker.dtype, maker.make
    if dtype.is_integer() and any(scope[hidden].is_float() for hidden in others.values()):
        dtype = pl.Float64()

    def chosen(block: Block) -> pl.Series:
        label = block[CASE]
        out = make(block).cast(dtype)
        for case, hidden in others.items():
            if (label == case).any():
                out = block[hidden].cast(dtype).zip_with((label == case).fill_null(False), out)
        return out

    return replace(maker, dtype=dtype, make=chosen, of=None, across=across, ends=None)
