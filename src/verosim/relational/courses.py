"""How the rows of one owner stand: counted (`serial`), by equal steps (`grid`), or as a sequence (`with_sequences`),
as the visits of a patient and the readings of a device do.

Times alone prove nothing: any row may have one. Order matters where a row tells what the next one of its owner is
(infer/order.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import polars as pl

from verosim.errors import VerosimError
from verosim.infer.order import what_tells
from verosim.infer.sequences import by_key
from verosim.keys import Ints
from verosim.relational.context import places
from verosim.relational.copies import CHECKED
from verosim.relational.graph import SURE, Frames, Graph, Link, plan, resolved, rows_of
from verosim.schema import Schema, Sequence, Table
from verosim.timeline import ticks_of, times_of


def with_sequences(dataset: Frames, schema: Schema, names: Iterable[str]) -> Schema:
    """The schema in which the tables of these names whose order matters within an owner are sequences."""
    wanted = [n for n in names if schema[n].sequence is None and not schema[n].keep and schema[n].foreign_keys]
    if not wanted:
        return schema
    try:
        whole = resolved(schema, dataset)
        rows = rows_of(dataset, whole)
    except VerosimError:
        return schema  # said where the keys are settled
    graph = plan(dataset, whole, rows)
    for name in wanted:
        found = (_found(dataset[name], whole[name], link, rows[link.name]) for link in _owners(name, graph, whole))
        if sequence := next((s for s in found if s), None):
            schema = schema.with_table(replace(schema[name], sequence=sequence))
    return schema


def _owners(name: str, graph: Graph, schema: Schema) -> list[Link]:
    """The keys by which the rows may be sequences: the owner's, or where nobody owns them all."""
    owner = graph.owner(name)
    links = [owner] if owner else graph.of(name)
    return [k for k in links if len(k.key.columns) == 1 and k.parent != name and not schema[k.parent].keep]


def _found(frame: pl.DataFrame, table: Table, link: Link, owners: Ints) -> Sequence | None:
    """The sequence that the rows of each owner are, where their order matters."""
    (key,) = link.key.columns
    said = by_key(table, frame, key) if (owners >= 0).all() else None
    if said is None or said.time is None:
        return None
    without = {*said.statics, *table.primary_key, *(n for k in table.foreign_keys for n in k.columns)}
    ticks = ticks_of(times_of(frame[said.time], table[said.time]))
    told = what_tells(frame, table, without, owners, ticks)
    return replace(said, reason=f"{said.reason}; {told}, beyond its {key}") if told else None


def serial(series: pl.Series, rows: Ints) -> tuple[str, int] | None:
    """Whether a column counts the rows of each owner, from 0 or 1."""
    if not series.dtype.is_integer() or series.null_count() or len(series) < CHECKED or (rows < 0).any():
        return None
    first = int(series.min())  # type: ignore[arg-type]
    if first not in (0, 1) or int(series.max()) == first:  # type: ignore[arg-type]
        return None
    return (
        (series.name, first) if (places(rows, series.to_numpy()) + first == series.to_numpy()).mean() >= SURE else None
    )


def grid(series: pl.Series, rows: Ints) -> tuple[str, int] | None:
    """Whether the times of each owner's rows follow each other by one step, and its length in units of the type."""
    if series.null_count() or len(series) < CHECKED:
        return None
    at = series.to_physical().cast(pl.Int64).to_numpy()
    by = np.lexsort((at, rows))
    steps = np.diff(at[by])[(np.diff(rows[by]) == 0) & (rows[by][1:] >= 0)]
    step = int(np.median(steps)) if len(steps) >= CHECKED else 0
    return (series.name, step) if step > 0 and (steps == step).mean() >= SURE else None
