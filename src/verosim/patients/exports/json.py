"""JSON as text, written by expressions over columns: a row, a document; what is null is left out.

record({"id": text("id"), "age": number("age")})        '{"id":"a","age":7}', and null where id is null
"""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps

import polars as pl

Part = pl.Expr | str  # an expression that gives JSON, or JSON


def text(column: str | pl.Expr) -> pl.Expr:
    """A text as JSON."""
    value = pl.col(column) if isinstance(column, str) else column
    value = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    return plain(value.str.replace_all("[\x00-\x1f]", " "))


def plain(column: str | pl.Expr) -> pl.Expr:
    """A text that needs no care, such as an id or a date, as JSON."""
    value = pl.col(column) if isinstance(column, str) else column
    return pl.lit('"') + value + pl.lit('"')


def number(column: str | pl.Expr) -> pl.Expr:
    value = pl.col(column) if isinstance(column, str) else column
    return value.cast(pl.String)


def constant(value: object) -> str:
    return dumps(value, ensure_ascii=False, separators=(",", ":"))


def record(members: Mapping[str, Part]) -> pl.Expr:
    """An object: null where its first member is null; other members that are null are left out."""
    parts: list[pl.Expr] = []
    for place, (name, part) in enumerate(members.items()):
        head = f"{',' if place else '{'}{dumps(name)}:"
        if isinstance(part, str):
            parts.append(pl.lit(head + part))
        elif place:
            parts.append((pl.lit(head) + part).fill_null(""))
        else:
            parts.append(pl.lit(head) + part)
    return pl.concat_str(*parts, pl.lit("}"))


def listed(part: pl.Expr) -> pl.Expr:
    """A list with one thing in it; null where that is null."""
    return pl.lit("[") + part + pl.lit("]")


def several(parts: list[pl.Expr]) -> pl.Expr:
    """A list of those that are not null; null where all are."""
    joined = pl.concat_str(*parts, separator=",", ignore_nulls=True)
    return pl.when(pl.any_horizontal(*(p.is_not_null() for p in parts))).then(listed(joined))
