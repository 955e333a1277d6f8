"""Columns that repeat one of another row: of one that a key names, or of the sibling before.

The price of a line is that of its product, in all rows or in many of them; the composer of a track is that of the
track before. What is repeated is not drawn, or drawn and replaced where a **mark**, drawn as well, says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from verosim.errors import VerosimError
from verosim.keys import Ints, parent_rows
from verosim.relational.graph import SURE, Frames, resolved
from verosim.schema import Column, Schema, Table

CHECKED: Final = 20  # rows from which what always holds is taken for a law
OFTEN: Final = 0.5  # share of the rows that repeat a column of a row that they name, from which that is learned
RARE: Final = 0.05  # share of the differences to be expected by chance up to which a column repeats another always
STEADY: Final = 0.3  # share of the changes to be expected by chance up to which a mark is one of the owner
TOGETHER: Final = 0.95  # share of the rows in which two marks agree that are taken for one
NEVER: Final = ("id", "constant", "empty")  # kinds of columns that repeat no other's


@dataclass(frozen=True, slots=True)
class Copy:
    """A column that repeats one of the row that a key names: the price of a line is that of its product.

    Or that of the row before, of the same owner: the composer of a track is that of the track before.
    """

    column: str
    key: str  # the key's name; "" for the row before
    other: str  # the column of the row that is named
    mark: str = ""  # the drawn column that says in which rows it does; "" for all
    steady: bool = False  # what the mark says of an owner's first row it says of all its rows


def with_personal(dataset: Frames, schema: Schema, names: Iterable[str]) -> Schema:
    """The schema where what repeats personal data of another table is personal as well: the name on an order's label.

    names: of the tables that are looked at, those that nobody described.
    """
    wanted = {*names}
    try:
        whole = resolved(schema, dataset)
        for table in whole.values():
            found = list(_personal(table, whole, dataset)) if table.name in wanted else []
            if found:
                schema = schema.with_table(schema[table.name].with_columns(*found))
    except VerosimError:
        pass  # said where the keys are settled
    return schema


def _personal(table: Table, schema: Schema, dataset: Frames) -> Iterator[Column]:
    own = dataset[table.name]
    for key in table.foreign_keys:
        parent, above = schema[key.parent], dataset[key.parent]
        theirs = [c.name for c in parent.columns if c.kind == "personal" and c.provider]
        mine = [c for c in table.columns if c.kind in ("category", "text") and c.name not in key.columns]
        if not theirs or not mine or parent.name == table.name:
            continue
        rows = parent_rows(own, above, key, table.name)
        for column in mine:
            share, other = copied(own[column.name], above.select(theirs), rows)
            if share:
                why = f"{share:.0%} of the rows repeat {parent.name}.{other}, which is personal"
                yield replace(parent[other], name=column.name, unique=False, reason=why)


def marked_together(found: Mapping[str, tuple[float, Copy]], marks: Mapping[str, pl.Series]) -> dict[str, Copy]:
    """The copy of each column: of those of one key whose marks (n,) nearly always agree, all have the mark of one.

    found: the copy of each column with the share of rows in which it repeats. The one mark says where all of them do.
    """
    copies, said = dict[str, Copy](), dict[str, pl.Series]()
    for column in sorted(found, key=lambda name: -found[name][0]):
        copy = found[column][1]
        if copy.mark:
            same = {c.mark for c in copies.values() if c.mark and c.key == copy.key}
            near = next((n for n in said if n in same and _same(said[n], marks[copy.mark]) >= TOGETHER), copy.mark)
            said[near] = said.get(near, marks[copy.mark]) * marks[copy.mark]
            copy = replace(copy, mark=near)
        copies[column] = copy
    return copies


def copied(own: pl.Series, above: pl.DataFrame, rows: Ints) -> tuple[float, str]:
    """The share of rows that repeat a column of the rows that they name (n,), and which: the most by any; 0 where it
    is few, or what chance would do."""
    there = np.flatnonzero(rows >= 0)
    some = there[:: max(1, len(there) // 200)]
    best = 0.0, ""
    if len(there) < CHECKED:
        return best
    for other in above.get_columns():
        if other.dtype != own.dtype or _same(own[some], other[rows[some]]) < OFTEN * 0.8:
            continue
        mine, theirs = own[there], other[rows[there]]
        share, chance = _same(mine, theirs), _by_chance(mine, theirs)
        told = (1 - chance) * len(there) >= CHECKED and 1 - share <= RARE * (1 - chance)
        if share > best[0] and (told if share >= SURE else share >= OFTEN and chance <= 1 - OFTEN):
            best = share, other.name
    return best


def steady(marks: pl.Series, before: Ints) -> bool:
    """Whether a mark (n,) hardly ever changes from one row to the next of the same owner."""
    later = np.flatnonzero(before >= 0)
    if len(later) < CHECKED:
        return False
    one, two = marks[later], marks[before[later]]
    return 1 - _same(one, two) <= STEADY * (1 - _by_chance(one, two))


def _same(one: pl.Series, other: pl.Series) -> float:
    """The share of rows in which both are the same, missing values too."""
    return int(one.eq_missing(other).sum()) / max(1, len(one))


def _by_chance(one: pl.Series, other: pl.Series) -> float:
    """The share of rows in which both would be the same if neither knew of the other."""
    counts = [s.rename("v").value_counts(name="n").with_columns(pl.col("n") / len(s)) for s in (one, other)]
    both = counts[0].join(counts[1], on="v", nulls_equal=True)
    return float((both["n"] * both["n_right"]).sum())
