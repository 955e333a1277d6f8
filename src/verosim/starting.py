"""Rows of another table, as a network learns them before a table's own: a warm start, for small data.

They are encoded by the codec of the table that is learned, so nothing of the other table can come out but how columns
hang together: a value that the table itself does not hold counts as unknown.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.errors import ArgumentError, DataError
from verosim.frames.casts import cast_exactly
from verosim.models import Array, Start
from verosim.rules import Reduction, Rule
from verosim.schema import Column

LEAST: Final = 2  # columns that both tables have: one alone tells nothing about another
LISTED: Final = {"category", "boolean", "ordinal", "constant"}  # kinds of which only known values can be encoded
UNLEARNED: Final = {"id", "personal", "empty"}


def start_of(
    other: pl.DataFrame,
    own: pl.DataFrame,
    reduction: Reduction,
    built: tuple[Rule, ...],
    codec: TableCodec,
    rng: np.random.Generator,
) -> Start:
    """Rows of `other` in the codes of the table that `own` rows were encoded with.

    built: the rules that the reduction holds by construction. A cell that cannot be encoded is taken from a row of
    `own`, and counts as unknown; so do all cells of a rule that the row breaks. Raises ArgumentError where the tables
    have fewer than two columns in common, DataError where a column's types differ.
    """
    table = reduction.original
    shared = [c.name for c in table.columns if c.name in other.columns and c.kind not in UNLEARNED]
    if len(shared) < LEAST:
        has = ", ".join(map(repr, other.columns[:8]))
        raise ArgumentError(
            f"start: table {table.name!r} and the one to start from share no two columns; it has {has}."
        )
    filled = own[rng.integers(own.height, size=other.height)]
    there = {name: _cast(other[name], table[name], own, table.name) for name in shared}
    known = {name: _encodable(there[name], table[name], own[name]) for name in shared}
    for _ in range(len(built) + 1):  # cells that a broken rule takes along may break another
        mixed = _mixed(filled, there, known)
        known = _held(mixed, known, built)
    codes = codec.encode(reduction.apply(mixed))
    return Start(codes, ~_of_fields(known, reduction, codec, other.height))


def _cast(series: pl.Series, column: Column, own: pl.DataFrame, table: str) -> pl.Series:
    cast = cast_exactly(series, own.schema[column.name])
    if cast is None:
        what = f"{own.schema[column.name]}, but {series.dtype} in the table to start from;"
        raise DataError(what, table=table, column=column.name, fix="write both in one way, or leave it out there.")
    return cast


def _encodable(series: pl.Series, column: Column, own: pl.Series) -> Array:
    """(n,) whether the codec of `own` knows the like of each value."""
    known = series.is_in(own.unique().implode()) if column.kind in LISTED else series.is_not_null()
    known = known.fill_null(False)
    if series.dtype.is_float():
        known &= series.is_finite().fill_null(False)
    return (known | series.is_null()).to_numpy() if own.null_count() else known.to_numpy()


def _mixed(filled: pl.DataFrame, there: dict[str, pl.Series], known: dict[str, Array]) -> pl.DataFrame:
    """The rows, with cells of `filled` where nothing is known."""
    return filled.with_columns(there[name].zip_with(pl.Series(known[name]), filled[name]).alias(name) for name in there)


def _held(frame: pl.DataFrame, known: dict[str, Array], rules: tuple[Rule, ...]) -> dict[str, Array]:
    """What stays known: of a rule all cells, and only where it holds."""
    known = dict(known)
    for rule in rules:
        whole = rule.check(frame).to_numpy()
        for name in rule.columns:
            whole = whole & known.get(name, np.zeros(frame.height, bool))
        known |= {name: whole for name in rule.columns if name in known}
    return known


def _of_fields(known: dict[str, Array], reduction: Reduction, codec: TableCodec, n: int) -> Array:
    """(n, fields) bool: a field that a step made is known where all that the step took is."""
    nothing = np.zeros(n, bool)
    told = {name: known.get(name, nothing) for name in reduction.original.names}
    for step in reduction.steps:
        whole = np.logical_and.reduce([told[name] for name in step.removes])
        told |= {column.name: whole for column in step.columns(reduction.original)}
    return np.stack([told[owner] for owner in codec.owners], 1) if codec.owners else np.zeros((n, 0), bool)
