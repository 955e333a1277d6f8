"""What a person wrote into a schema, held against the data: it wins, unless the data cannot have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from verosim.errors import ArgumentError, DataError, SchemaError
from verosim.forms import Form
from verosim.infer.columns import dtype_of
from verosim.infer.measures import Facts, first_double, pair_format
from verosim.providers import capacity, learn_pattern, parse_provider
from verosim.schema import Column, Table, parse_dtype

_WHOLE: Final = "whole numbers or text"
_HOLDERS: Final[dict[str, tuple[tuple[type[pl.DataType], ...], str]]] = {  # kind: the types it may be held in, in words
    "boolean": ((pl.Boolean, pl.String), "true and false, or text of two words"),
    "date": ((pl.Date, pl.String), "dates, or text with a `format`"),
    "datetime": ((pl.Datetime, pl.String), "datetimes, or text with a `format`"),
    "time": ((pl.Time, pl.String), "times, or text with a `format`"),
    "duration": ((pl.Duration, pl.String), "durations, or text with a `format`"),
    "text": ((pl.String, pl.Categorical), "text"),
    "json": ((pl.String,), "text of JSON"),
}
_FORMED: Final = {"number", "boolean", "date", "datetime", "time", "duration"}  # text of these kinds has a `format`


def fitted(column: Column, series: pl.Series, facts: Facts) -> Column:
    """The given column, with what it left open and the data decides; SchemaError or DataError where they contradict."""
    _same_type(column, series)
    _can_hold(column, series, facts)
    _settings(column)
    if column.unique or column.kind == "id":
        _no_doubles(column, series)
    if column.kind == "ordinal":
        _on_levels(column, series)
    if column.kind in _FORMED and isinstance(series.dtype, pl.String) and facts.values:
        column = _formed(column, series)
    if column.kind == "geo" and isinstance(series.dtype, pl.String) and not column.format:
        column = _paired(column, series)
    if column.kind == "id" and not column.pattern and facts.values:
        column = replace(column, pattern=learn_pattern(series))
    return column if column.reason else replace(column, reason="given in the schema")


def _same_type(column: Column, series: pl.Series) -> None:
    found = dtype_of(series)
    if found == column.dtype:
        if isinstance(series.dtype, pl.Enum) and parse_dtype("enum", column.levels) != series.dtype:
            declared = series.dtype.categories.to_list()
            raise SchemaError(f"column {column.name!r}: `levels` must be those of the Enum, in its order: {declared}.")
        return
    raise SchemaError(
        f"column {column.name!r}: the schema says dtype {column.dtype}, the data holds {found}; "
        f"write `dtype: {found}`, or read the data with the other type."
    )


def _can_hold(column: Column, series: pl.Series, facts: Facts) -> None:
    """Whether the type of the data may be of this kind at all."""
    dtype, kind = series.dtype, column.kind
    if kind in _HOLDERS:
        held, wanted = _HOLDERS[kind]
        good = isinstance(dtype, held)
    elif kind in ("number", "geo"):
        good, wanted = dtype.is_numeric() or isinstance(dtype, pl.String), "numbers, or text with a `format`"
    elif kind == "id":
        good, wanted = dtype.is_integer() or dtype.is_float() or isinstance(dtype, pl.String), _WHOLE
    elif kind == "personal":
        good, wanted = (
            dtype.is_numeric() or isinstance(dtype, pl.String | pl.Categorical | pl.Date),
            "text, numbers or dates",
        )
    elif kind == "empty":
        good, wanted = facts.values == 0, f"no value at all, but there are {facts.values:,}"
    elif kind == "constant":
        good, wanted = facts.levels <= 1, f"one value, but there are {facts.levels:,}"
    else:
        return
    if not good and facts.values:
        fix = "Leave the column out of the schema to have its kind guessed."
        raise DataError(f"kind {kind} needs {wanted}; the type is {dtype}.", column=column.name, fix=fix)


def _settings(column: Column) -> None:
    """The provider and the pattern of ids must be known."""
    try:
        if column.kind == "personal" and column.provider:
            parse_provider(column.provider)
        if column.kind == "id" and column.pattern:
            capacity(column.pattern, parse_dtype(column.dtype, column.levels))
    except ArgumentError as error:
        raise SchemaError(f"column {column.name!r}: {error}") from error


def _no_doubles(column: Column, series: pl.Series) -> None:
    if column.unique and (double := first_double(series)):
        row, value = double
        others = series.filter(series.is_duplicated() & (series != value)).drop_nulls().unique(maintain_order=True)
        more = f", and so do others, such as {', '.join(map(repr, others.head(4)))}" if len(others) else ""
        reason = f"{value!r} stands for the second time in a unique column{more}."
        raise DataError(reason, column=column.name, row=row, fix="Remove it, or write `unique: false`.")


def _on_levels(column: Column, series: pl.Series) -> None:
    known = {str(v) for v in column.levels or ()}
    values = series.drop_nulls().unique(maintain_order=True)
    if stray := next((v for v in values.to_list() if str(v) not in known), None):
        row = int((series == stray).arg_true()[0])
        fix = "Add it to `levels` at its place."
        raise DataError(f"{stray!r} is not one of the `levels`.", column=column.name, row=row, fix=fix)


def _formed(column: Column, series: pl.Series) -> Column:
    """With the form of its text: as given, if every value has it, or as found."""
    if column.format:
        form = Form.of(column.format)
        if form.fits(series):
            return column
        wrong = next((i for i, v in enumerate(series) if v is not None and not form.fits(series.slice(i, 1))), None)
        value = None if wrong is None else series[wrong]
        fix = "Correct the value or the format."
        raise DataError(f"{value!r} is not in the form {column.format!r}.", column=column.name, row=wrong, fix=fix)
    if found := Form.detect(series):
        return replace(column, format=str(found))
    fix = "Write its `format`, or make it a category."
    raise DataError(f"the text has no one form of a {column.kind}.", column=column.name, fix=fix)


def _paired(column: Column, series: pl.Series) -> Column:
    if pair := pair_format(series.drop_nulls()):
        return replace(column, format=pair)
    raise DataError("the text is no pair of latitude and longitude.", column=column.name, fix="Make it a category.")


def check_key(table: Table, frame: pl.DataFrame) -> None:
    """The given primary key has no missing value and none twice; DataError with the first places otherwise."""
    key = list(table.primary_key)
    if not key or not frame.height:
        return
    for name in key:
        if frame[name].null_count():
            row = int(frame[name].is_null().arg_true()[0])
            fix = "Fill it in, or name another `primary_key`."
            raise DataError("a primary key has no value.", table=table.name, column=name, row=row, fix=fix)
    double = frame.select(pl.struct(key).is_duplicated().arg_true()).to_series()
    if len(double):
        shown = ", ".join(str(tuple(frame[name][int(i)] for name in key)) for i in double.head(5))
        reason = f"the primary key is not unique: {len(double):,} rows share theirs with another, such as {shown}."
        where = key[0] if len(key) == 1 else tuple(key)
        fix = "Remove the doubles, or name another `primary_key`."
        raise DataError(reason, table=table.name, column=where, row=int(double[0]), fix=fix)
