"""How the rows of one owner stand: counted (`serial`), by equal steps (`grid`), or as a sequence (`with_sequences`),
as the visits of a patient and the readings of a device do.

Times alone prove nothing: any row may have one. Order matters where what a row says tells what the next one of its
owner says, more than it tells of any other row of that owner. So the rows of each owner are shuffled, and how much
neighbours say of each other (their mutual information) is held against that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import VerosimError
from verosim.infer.sequences import by_key
from verosim.keys import Ints
from verosim.relational.context import SILENT, befores, places
from verosim.relational.copies import CHECKED
from verosim.relational.graph import SURE, Frames, Graph, Link, plan, resolved, rows_of
from verosim.schema import Schema, Sequence, Table
from verosim.timeline import ticks_of, times_of

PAIRS: Final = 100  # rows beside one of their owner by which order is judged
BINS: Final = 8  # of a number, about as many rows in each; categories keep so many levels
SHUFFLES: Final = 10
CLEAR: Final = 6.0  # standard deviations of shuffled rows ...
MATTERS: Final = 0.02  # ... and the share of what is not known of the next row, from which order matters


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
    ticks = ticks_of(times_of(frame[said.time], table[said.time]))
    others = {*said.statics, *table.primary_key, *(n for k in table.foreign_keys for n in k.columns)}
    told = list[tuple[float, str]]()
    for column in table.columns:
        if column.kind in SILENT or column.name in others or column.kind in ("date", "datetime", "time"):
            continue
        if share := tells_next(_codes(frame[column.name]), owners, ticks, stream(0, table.name, column.name)):
            told.append((share, column.name))
    if not told:
        return None
    share, name = max(told)
    return replace(said, reason=f"{said.reason}; {name} tells {share:.0%} of what the next one is, beyond its {key}")


def tells_next(codes: Ints, owners: Ints, ticks: Ints, rng: np.random.Generator) -> float:
    """The share of what is not known of the next row's code that a row tells, more than rows of the same owner in any
    order do; 0 where chance may have it so. codes, owners: (n,) from 0 on; ticks: (n,) times."""
    before = befores(owners, ticks)
    later = np.flatnonzero(before >= 0)
    if len(later) < PAIRS:
        return 0.0
    real = _information(codes[before[later]], codes[later])
    chance = np.zeros(SHUFFLES)
    other, by_time = codes.copy(), np.lexsort((ticks, owners))
    for i in range(SHUFFLES):
        other[by_time] = codes[np.lexsort((rng.random(len(codes)), owners))]
        chance[i] = _information(other[before[later]], other[later])
    excess, most = real - chance.mean(), _entropy(np.bincount(codes[later]))
    clear = excess > CLEAR * max(float(chance.std()), 1e-9) and excess >= MATTERS * most
    return float(excess / most) if clear and most > 0 else 0.0


def _codes(series: pl.Series) -> Ints:
    """(n,) numbers in bins of about as many rows each, others by their commonest levels; a missing value is a code."""
    if series.dtype.is_numeric() and series.n_unique() > BINS:
        values = series.cast(pl.Float64).fill_nan(None)
        share = (values.rank("average") - 1) / max(len(values) - values.null_count(), 1)
        return (share * BINS).floor().fill_null(BINS).cast(pl.Int64).to_numpy()
    levels = series.cast(pl.String).value_counts(sort=True).to_series(0).head(BINS).to_list()
    known = {level: code for code, level in enumerate(levels)}
    return series.cast(pl.String).replace_strict(known, default=BINS, return_dtype=pl.Int64).to_numpy()


def _information(one: Ints, other: Ints) -> float:
    """The mutual information of codes (n,), in nats."""
    cells = np.bincount(one * (BINS + 1) + other, minlength=(BINS + 1) ** 2).reshape(BINS + 1, BINS + 1)
    return _entropy(cells.sum(0)) + _entropy(cells.sum(1)) - _entropy(cells.ravel())


def _entropy(counts: Ints) -> float:
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


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
