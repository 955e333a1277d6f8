"""A row for each sequence: its key, what is the same in all of it, when and where it begins, and how long it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from verosim.codec import TableCodec
from verosim.schema import Column, Table
from verosim.sequences.order import FEW, Runs, sequence_of
from verosim.sequences.parts import Moving, rest_of
from verosim.table_model import rules_of

LENGTH: Final = "rows of the sequence"


def labelled(table: Table, sequences: int) -> bool:
    """Whether the keys are few names, such as those of sensors, that stay."""
    return sequences < FEW and table[str(sequence_of(table).key)].kind != "id"


def case_table(table: Table, moving: Sequence[Moving]) -> Table:
    """What a row a key is about. moving: columns that are drawn by their change, whose first value stands there."""
    said, key = sequence_of(table), table[str(sequence_of(table).key)]
    chosen = {key.name, said.time, *said.statics, *(m.column.name for m in moving)}
    columns = list(rest_of(table, [n for n in table.names if n in chosen]).columns)
    if key.kind == "id":
        columns = [replace(c, unique=True) if c.name == key.name else c for c in columns]
    if not said.activity:
        columns.append(Column(LENGTH, "number", "int64", minimum=1))
    rules = (r for r in rules_of(replace(table, primary_key=())) if {*r.columns} <= {*said.statics})
    return Table(table.name, tuple(columns), rules=tuple(r.spec() for r in rules))


def cases_of(runs: Runs, cases: Table) -> pl.DataFrame:
    """The row of each sequence."""
    frame = runs.frame.filter(pl.Series(runs.new))
    if LENGTH in cases.names and LENGTH not in frame.columns:
        frame = frame.with_columns(pl.Series(LENGTH, runs.lengths))
    return frame.select(cases.names)


def told_codec(table: Table, runs: Runs, without: Sequence[str], named: bool, k: int) -> TableCodec:
    """What steps know of their sequence. named: its key is a name that stays, and says something."""
    said = sequence_of(table)
    statics = [name for name in said.statics if name not in without]
    rest = rest_of(table, [*statics, *([str(said.key)] if named else [])])
    if named:
        rest = replace(rest, columns=tuple(replace(c, protect=False) for c in rest.columns))
    cases = runs.frame.filter(pl.Series(runs.new)).select(rest.names)
    return TableCodec(rest, 1 if named else k).fit(cases)
