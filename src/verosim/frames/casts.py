"""A column in the type of another, whoever wrote it: values are kept, or nothing is."""

from __future__ import annotations

import polars as pl


def cast_exactly(column: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """The column in another type; None where a value would be lost or changed."""
    if column.dtype == dtype:
        return column
    try:
        cast = column.cast(dtype, strict=False) if column.dtype != pl.String else _from_text(column, dtype)
    except pl.exceptions.PolarsError:
        return None
    if cast.null_count() != column.null_count():
        return None
    both_numbers = column.dtype.is_numeric() and dtype.is_numeric()
    return None if both_numbers and not column.eq_missing(cast.cast(column.dtype)).all() else cast


def _from_text(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Values that stand as text, as one maker's CSV has them."""
    if dtype == pl.Boolean:
        return text.str.to_lowercase().replace_strict(
            {"true": True, "false": False, "1": True, "0": False}, default=None, return_dtype=pl.Boolean
        )
    if isinstance(dtype, pl.Date | pl.Datetime):
        return text.str.to_datetime(strict=False).cast(dtype)
    return text.cast(dtype, strict=False)
