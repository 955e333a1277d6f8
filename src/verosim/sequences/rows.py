"""The rows of the steps that sequences made: `rows_of`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from verosim.keys import Ints
from verosim.models import Array, Codes
from verosim.sequences.derived import Happened
from verosim.sequences.order import sequence_of
from verosim.sequences.walk import Asked, Step

if TYPE_CHECKING:
    from verosim.sequences.keyed import Keyed


def rows_of(
    model: Keyed, cases: pl.DataFrame, steps: list[Step], order: Array, made: int, rng: np.random.Generator, seed: int,
    asked: Asked, bound: bool,
) -> pl.DataFrame:  # fmt: skip
    """The rows of all steps, in the order of the sequences. bound: none after the last time that there was."""
    said, still = sequence_of(model.table), model.parts.still
    who = np.concatenate([step.who for step in steps])
    sort = np.lexsort((np.repeat([step.number for step in steps], [len(step.who) for step in steps]), order[who]))
    owner, rows = who[sort], made + np.arange(len(who))

    def together(parts: Iterator[Array]) -> Array:
        return np.concatenate(list(parts))[sort]

    own = range(model.parts.n_moved, model.parts.n_moved + len(still.fields))
    arrays = tuple(together(step.codes[i] for step in steps) for i in own)
    ticks = happened = None
    columns = {c.name: c for c in still.decode(Codes(still.fields, arrays, len(owner)), rows, rng, seed)}
    if said.activity and model.activities:
        happened = together(step.activity for step in steps if step.activity is not None)
        columns[said.activity] = model.activities.decode(happened, rows, rng, seed)
    if said.time and model.clock is not None:
        ticks = together(step.ticks for step in steps)
        ticks = _inside(model, ticks, owner) if bound else ticks
        columns[said.time] = model.clock.series(ticks)
    for j, m in enumerate(model.moving):
        values = pl.Series(together(step.values[j] for step in steps))
        columns[m.column.name] = values.cast(cases[m.column.name].dtype)
    columns |= {name: cases[name][owner] for name in (str(said.key), *said.statics)}
    if asked.begin is None and len(owner):
        new = np.append(True, owner[1:] != owner[:-1])
        number, place = np.cumsum(new) - 1, np.arange(len(new)) - np.flatnonzero(new)[np.cumsum(new) - 1]
        kinds = model.activities.field.levels if model.activities else 0
        made_of = Happened(number, place, ticks, happened, kinds, model.clock)
        columns |= {n: s[number] for n, s in model.derived.made(made_of, cases.schema).items()}
    return pl.DataFrame([columns[name].alias(name) for name in model.table.names])


def _inside(model: Keyed, ticks: Ints, owner: Array) -> Ints:
    """The times of whole sequences, of which those past the end of what was observed came weeks before."""
    assert model.clock is not None
    last = np.full(int(owner.max(initial=-1)) + 1, model.first)
    np.maximum.at(last, owner, ticks)
    hours = model.clock.hours(np.arange(2))
    week = 1 if hours is None else max(1, round(168 / max(float(hours[1] - hours[0]), 1e-12)))
    week = week if week * 8 <= model.end - model.first else 1
    late = np.maximum(last - model.end, 0)
    earlier = ticks - (-(-late // week) * week)[owner]
    begin = np.full(len(last), model.end)
    np.minimum.at(begin, owner, earlier)
    return earlier + np.maximum(model.first - begin, 0)[owner]  # as long as all there was: from its beginning on
