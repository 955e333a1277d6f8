"""A recipe from data at hand: each column drawn like the one there is, apart from the others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import polars as pl

from verosim.providers import PROVIDERS
from verosim.recipe.reading import VERSION
from verosim.recipe.skeleton.guessed import bare
from verosim.schema import Column, Schema, Table

PRIVATE: Final = 5  # levels that fewer rows hold do not go into a recipe


def from_frames(dataset: Mapping[str, pl.DataFrame], schema: Schema) -> dict[str, Any]:
    """A recipe of data like these: levels with their shares, ranges, gaps, foreign keys. Other columns are drawn apart.

    Levels that fewer than five rows hold are left out, and so are the lowest and highest numbers.
    """
    tables = {}
    for name, frame in dataset.items():
        columns = {c.name: _like(frame[c.name], c) for c in schema[name].columns} | _keys(schema[name], schema, frame)
        tables[bare(name)] = {"rows": frame.height, "columns": columns}
    return {"verosim": VERSION, "tables": tables}


def _keys(table: Table, schema: Schema, frame: pl.DataFrame) -> dict[str, Any]:
    """The foreign keys; columns of one key are of one row."""
    found: dict[str, Any] = {}
    for key in table.foreign_keys:
        first = key.columns[0]
        for own, other in zip(key.columns, key.parent_columns or schema[key.parent].primary_key, strict=True):
            beside = {"same": first} if own != first else _gaps(frame[own])
            found.setdefault(own, {"ref": f"{bare(key.parent)}.{other}", **beside})
    return found


def _gaps(values: pl.Series) -> dict[str, float]:
    return {"missing": round(values.null_count() / len(values), 4)} if values.null_count() else {}


def _like(values: pl.Series, column: Column) -> dict[str, Any]:
    known, kind, gaps = values.drop_nulls(), column.kind, _gaps(values)
    if not len(known):
        return {"constant": None}
    if kind == "id":
        return {"id": column.pattern or "uuid"}
    name, _, locale = (column.provider or "").partition(":")
    if kind == "personal" and name in PROVIDERS:
        return {"provider": name, **({"locale": locale} if locale else {}), **gaps}
    if kind in ("number", "geo") and known.dtype.is_numeric() and known.n_unique() > 20:
        decimals = {"digits": column.digits} if column.digits and not known.dtype.is_integer() else {}
        return {**_histogram(known), **decimals, **gaps}
    if isinstance(known.dtype, pl.Date | pl.Datetime):
        first, last = (str(known.quantile(q, "nearest"))[:10] for q in (0.05, 0.95))
        word = "date" if isinstance(known.dtype, pl.Date) else "datetime"
        return {word: [first, last if first < last or word == "date" else "2100-01-01"], **gaps}
    if kind == "text" or known.dtype.is_temporal() or known.dtype.is_nested():
        return {"lorem": [3, 10], **gaps}
    return {**_levels(known), **gaps}


def _histogram(known: pl.Series) -> dict[str, Any]:
    digits = None if known.dtype.is_integer() else 4  # rounded to None: a whole number
    edges = sorted({round(known.quantile(q / 20, "nearest") or 0, digits) for q in range(1, 20)})
    if len(edges) < 2:
        return {"constant": edges[0]}
    ends = known.cast(pl.Float64)
    weights = [int(ends.is_between(a, b, closed="left").sum()) for a, b in pairwise(edges)]
    return {"histogram": edges, "weights": [w or 1 for w in weights], **({"digits": 0} if digits is None else {})}


def _levels(known: pl.Series) -> dict[str, Any]:
    values = known if known.dtype in (pl.Boolean, pl.String) or known.dtype.is_numeric() else known.cast(pl.String)
    values = values.cast(pl.Float64) if isinstance(values.dtype, pl.Decimal) else values
    counts = values.value_counts(sort=True, name="\0rows").filter(pl.col("\0rows") >= PRIVATE).head(200)
    if counts.is_empty():
        return {"lorem": [1, 3]}
    levels, rows = counts.to_dict(as_series=False).values()
    return {"choice": dict(zip(levels, (round(r / len(known), 4) for r in rows), strict=True))}
