"""The door for polars: most types are the types inside; what they cannot hold is held in a wider one."""

from __future__ import annotations

import json

import polars as pl

from verosim.errors import DataError
from verosim.frames import cells
from verosim.frames.columns import Origin, TableShape, enter_columns, first_line, leave_columns, refuse_type


def enter(frame: pl.DataFrame | pl.LazyFrame, table: str) -> tuple[pl.DataFrame, TableShape]:
    """A polars frame in the types inside, and what it was; a LazyFrame is collected."""
    lazy = isinstance(frame, pl.LazyFrame)
    if isinstance(frame, pl.LazyFrame):
        try:
            frame = frame.collect()
        except pl.exceptions.PolarsError as error:
            reason = f"the lazy frame cannot be collected: {first_line(error)}."
            raise DataError(reason, table=table, fix="Collect it yourself first: frame.collect().") from error
    inside, columns = enter_columns(table, frame.columns, frame.get_columns(), column_in)
    return inside, TableShape("polars", columns, lazy=lazy)


def leave(frame: pl.DataFrame, shape: TableShape, table: str) -> pl.DataFrame | pl.LazyFrame:
    """The inverse of `enter`."""
    series = leave_columns(table, frame, shape, column_out)
    labels = [cells.from_text(c.label) for c in shape.columns]
    out = pl.DataFrame(dict(zip(labels, series, strict=True)))
    return out.lazy() if shape.lazy else out


def column_in(series: pl.Series) -> tuple[pl.Series, Origin]:
    """One column in a type inside, and what it was."""
    dtype = series.dtype
    if isinstance(dtype, pl.Enum):
        return series, Origin("same", levels=tuple(cells.to_text(level) for level in dtype.categories))
    if dtype == pl.Float16():
        return series.cast(pl.Float32), Origin("wider", "float16")
    if dtype == pl.UInt128():
        return series.cast(pl.Int128, strict=True), Origin("wider", "uint128")
    if isinstance(dtype, pl.Categorical) and dtype != pl.Categorical():
        return series.cast(pl.Categorical()), Origin("named", detail=_categories_text(dtype.categories))
    if dtype.is_nested():
        raise refuse_type(dtype, cells.WAYS_OUT["nested"])
    if isinstance(dtype, pl.Object) or dtype.is_extension():
        raise refuse_type(dtype, cells.OTHERWISE)
    return series, Origin("same")


def column_out(series: pl.Series, origin: Origin) -> pl.Series:
    """The inverse of `column_in`."""
    if origin.form == "wider":
        return series.cast({"float16": pl.Float16(), "uint128": pl.UInt128()}[origin.type], strict=True)
    if origin.form == "named":
        return series.cast(pl.Categorical(_categories(origin.detail)))
    return series


def _categories_text(categories: pl.Categories) -> str:
    return json.dumps([categories.name(), categories.namespace(), str(categories.physical())])


def _categories(text: str) -> pl.Categories:
    name, namespace, physical = json.loads(text)
    return pl.Categories(name, namespace, {"UInt8": pl.UInt8, "UInt16": pl.UInt16}.get(physical, pl.UInt32))
