"""Levels of a category that was made from the data, and so lists every value that there is, rare ones too.

`frame.astype("category")`, or a dictionary array, says nothing of which values there may be: its levels are those that
the rows have. What few people hold must not be told by them. So such columns are *loose*: inside, they are Categorical,
like text; `tell` forgets the levels that few hold; and when rows leave, those that were made up are added.
Enums and ordered categories are declared by a person: all their levels are part of the type, and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import polars as pl

from verosim.frames import cells
from verosim.frames.columns import ColumnShape, Origin, TableShape, level_names

_MOST_DIGITS = 15  # of whole numbers as levels: what is made up of as many digits fits the type


def is_loose(origin: Origin) -> bool:
    """Whether the levels are texts, or whole numbers of 64 bits, in no declared order."""
    if origin.levels is None or origin.ordered or "ordered=1" in origin.type:
        return False
    if {origin.form, origin.detail}.isdisjoint({"category", "dictionary"}):
        return False
    levels = [cells.from_text(level) for level in origin.levels]
    if _whole_numbers(origin):
        return all(type(v) is int and len(str(v)) <= _MOST_DIGITS for v in levels)
    return all(type(v) is str for v in levels)


def _whole_numbers(origin: Origin) -> bool:
    return "int64" in origin.type and "string" not in origin.type.partition("indices")[0]


def loosen(frame: pl.DataFrame, shape: TableShape) -> tuple[pl.DataFrame, TableShape]:
    """The table with loose columns as Categorical."""
    loose = [c for c in shape.columns if is_loose(c.origin) and c.dtype == "enum"]
    names = [c.name for c in loose]
    columns = tuple(replace(c, dtype="categorical") if c.name in names else c for c in shape.columns)
    return frame.with_columns(pl.col(names).cast(pl.Categorical)), replace(shape, columns=columns)


def tell(shape: TableShape, rare: Callable[[str], pl.Series]) -> TableShape:
    """The shape without the levels that may not be told. rare(column): the values that too few people hold, as text."""

    def told(column: ColumnShape) -> ColumnShape:
        if column.dtype != "categorical" or column.origin.levels is None:
            return column
        hidden = set(rare(column.name))
        pairs = zip(column.origin.levels, level_names(column.origin.levels), strict=True)
        kept = tuple(level for level, name in pairs if name not in hidden)
        return replace(column, origin=replace(column.origin, levels=kept))

    return replace(shape, columns=tuple(map(told, shape.columns)))


def tighten(series: pl.Series, origin: Origin) -> tuple[pl.Series, Origin]:
    """A loose column's values as an Enum of the levels that may be told and, after them, those that were made up."""
    if isinstance(series.dtype, pl.Enum):
        return series, origin
    text = series.cast(pl.String)
    found = sorted(text.drop_nulls().unique())
    if _whole_numbers(origin):
        plain: Mapping[str, str] = {name: str(int(name)) for name in found}  # 04 is 4
        text, found = text.replace(plain), sorted({*plain.values()}, key=int)
    known = set(level_names(origin.levels or ()))
    others = [int(name) if _whole_numbers(origin) else name for name in found if name not in known]
    levels = (*(origin.levels or ()), *map(cells.to_text, others))
    return text.cast(pl.Enum(level_names(levels))), replace(origin, levels=levels)
