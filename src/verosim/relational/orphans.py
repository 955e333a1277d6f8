"""Keys that name nobody, settled before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from verosim.errors import DataError
from verosim.keys import DANGLING, NONE, Ints
from verosim.relational.graph import Frames, name_of, resolved, rows_of
from verosim.schema import ForeignKey, Schema

ORPHANS: Final[dict[str, str]] = {
    "error": "refuse the data",
    "drop": "leave out the rows, and those that name them",
    "null": "the rows stay, and name nobody",
    "keep": "the rows stay, and so many name nobody that there is",
}


@dataclass(frozen=True, slots=True)
class Settled:
    """A dataset whose keys all name a row, or nobody."""

    dataset: dict[str, pl.DataFrame]
    schema: Schema  # with the columns of each key written out
    rows: Mapping[str, Ints]  # of each key, by name: the parent's row of each row
    dangling: Mapping[str, float]  # the share of rows whose key names nobody that there is, where that is kept
    notes: tuple[str, ...] = ()


def settled(dataset: Frames, schema: Schema, orphans: str = "error") -> Settled:
    """Find the row that each key names. Raises DataError for keys of nobody, unless `orphans` says what to do.

    Raises SchemaError for a key of columns or tables that there are not.
    """
    schema, frames, notes = resolved(schema, dataset), dict(dataset), list[str]()
    dangling = dict[str, float]()
    rows = rows_of(frames, schema)
    while lost := _lost(frames, schema, rows):
        name, key = lost
        own = rows[name_of(name, key)]
        wrong = own == DANGLING
        found = f"table {name!r}, key {key}: {int(wrong.sum()):,} of {len(own):,} rows name nobody that there is"
        if orphans == "error" or (orphans == "null" and {*key.columns} & {*schema[name].primary_key}):
            raise _error(frames[name], name, key, wrong, orphans)
        if orphans == "drop":
            frames[name] = frames[name].filter(pl.Series(~wrong))
            rows = rows_of(frames, schema)
            notes.append(f"{found}; they are left out.")
        elif orphans == "null":
            frames[name] = frames[name].with_columns(
                pl.when(pl.Series(~wrong)).then(pl.col(c)).otherwise(None).alias(c) for c in key.columns
            )
            rows[name_of(name, key)] = np.where(wrong, NONE, own)
            notes.append(f"{found}; they now have no value.")
        else:
            dangling[name_of(name, key)] = float(wrong.mean())
            rows[name_of(name, key)] = np.where(wrong, NONE, own)
            notes.append(f"{found}; as many do in what is drawn.")
    return Settled(frames, schema, rows, dangling, tuple(notes))


def _lost(frames: Frames, schema: Schema, rows: Mapping[str, Ints]) -> tuple[str, ForeignKey] | None:
    """A table and a key of it that names nobody in some row."""
    for name in frames:
        for key in schema[name].foreign_keys:
            if (rows[name_of(name, key)] == DANGLING).any():
                return name, key
    return None


def _error(frame: pl.DataFrame, name: str, key: ForeignKey, wrong: np.ndarray, orphans: str) -> DataError:
    shown = frame.select(key.columns).filter(pl.Series(wrong)).unique(maintain_order=True).head(5).rows()
    values = ", ".join(str(row if len(row) > 1 else row[0]) for row in shown)
    reason = f"{int(wrong.sum()):,} of {frame.height:,} rows have a key that {key.parent!r} has not, such as {values}."
    fix = "Say with `orphans` what to do: drop, null or keep; or take the key out of the schema."
    if orphans == "null":
        fix = "It is a part of the primary key, and cannot be null: use orphans='drop'."
    where = key.columns[0] if len(key.columns) == 1 else key.columns
    return DataError(reason, table=name, column=where, row=int(np.flatnonzero(wrong)[0]), fix=fix)
