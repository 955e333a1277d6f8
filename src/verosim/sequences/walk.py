"""How sequences advance together, a step at a time: `Walk`; given beginnings lead it (`Lead`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import polars as pl

from verosim.keys import Ints
from verosim.models import Array, Codes, Floats
from verosim.sequences.order import Runs, sequence_of
from verosim.sequences.steps import gaps_of

if TYPE_CHECKING:
    from verosim.sequences.keyed import Keyed

AGAIN: Final = 8  # times that a step past the end is drawn again


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call wants of the sequences beside their number; see sequences/control.py."""

    length: int | None = None
    ticks: int | None = None  # when they begin
    cases: pl.DataFrame | None = None  # a row each: columns that are given
    begin: Runs | None = None  # the rows with which they begin, in the order of the cases; not given back
    temperature: float = 1.0
    source: Callable[[int], Iterator[pl.DataFrame]] | None = None  # seed -> rows a key without end, drawn as asked


PLAIN: Final = Asked()


@dataclass(frozen=True, slots=True)
class Lead:
    """Given beginnings, as steps that are not drawn: rows end to end, of sequence i from `starts[i]` on."""

    starts: Array
    lengths: Array
    codes: list[Array]
    acts: Array | None
    ticks: Ints
    values: list[Floats]

    @classmethod
    def of(cls, model: Keyed, runs: Runs, order: Array) -> Self:
        said = sequence_of(model.table)
        ticks, gaps = gaps_of(runs, model.clock, said.time) or (np.zeros(len(runs.new), np.int64), None)
        codes = list(model.parts.encode(runs, gaps if model.parts.gap else None).arrays)
        acts = None
        if said.activity:
            acts = model.acts.encode(runs.frame.select(said.activity)).arrays[0].astype(np.int64)
        values = [runs.frame[m.column.name].cast(pl.Float64).to_numpy() for m in model.moving]
        return cls(np.flatnonzero(runs.new)[order], runs.lengths[order], codes, acts, ticks, values)

    def at(self, alive: Array, t: int) -> tuple[Array, Array]:
        """Which of those alive are led at step t, and the row that each has."""
        led = np.flatnonzero(self.lengths[alive] > t)
        return led, self.starts[alive[led]] + t


class Walk:
    """Where sequences stand while they advance: s of them, of which those alive go on."""

    def __init__(self, model: Keyed, told: Codes, ticks: Ints, values: list[Floats]) -> None:
        s = told.n
        self.model, self.told, self.ticks, self.values = model, told, ticks, values
        self.born, self.state = ticks.copy(), model.stepper.start(s)
        self.at = np.arange(s)  # which sequence each row of the state is
        markov = getattr(model, "markov", None)
        self.group = model.groups.leaves(model._told_features(told)) if markov else np.zeros(s, np.int64)
        self.history = np.full((s, markov.reach if markov else 1), -1)

    @classmethod
    def begin(cls, model: Keyed, cases: pl.DataFrame, told: Codes, asked: Asked) -> Self:
        said = sequence_of(model.table)
        ticks = np.zeros(cases.height, np.int64)
        if model.clock is not None and said.time:
            ticks = model.clock.ticks(cases[said.time]) if asked.ticks is None else np.full(cases.height, asked.ticks)
        values = [m.bounded(cases[m.column.name].cast(pl.Float64).fill_null(m.low).to_numpy()) for m in model.moving]
        return cls(model, told, ticks.copy(), values)

    def step(
        self, alive: Array, t: int, lengths: Ints, rng: np.random.Generator, seed: int, asked: Asked,
        lead: Lead | None = None,
    ) -> tuple[Array, list[Array], Array | None, list[Floats]]:  # fmt: skip
        """One step of those alive -> who made it, its codes, what happened, and the values that move."""
        model = self.model
        acts = None
        if sequence_of(model.table).activity:
            acts = model.markov.next(self.history[alive], self.group[alive], rng, asked.temperature)
            led, rows = lead.at(alive, t) if lead else (np.zeros(0, np.int64), np.zeros(0, np.int64))
            if lead is not None and lead.acts is not None:
                acts[led] = lead.acts[rows]
            goes = acts < model.markov.n_symbols_
            if asked.length is not None or t == 0:
                acts = self._unended(alive, acts, rng)
                goes = np.ones(len(alive), bool)
            alive, acts = alive[goes], acts[goes]
        if not len(alive):
            return alive, [], acts, []
        self._narrow(alive)
        hours = model.clock.hours(self.ticks[alive]) if model.clock is not None else None
        left = None if acts is not None else (lengths[alive] - t).astype(float)
        levels = [m.scaled(v[alive]) for m, v in zip(model.moving, self.values, strict=True)]
        told = [a[alive] for a in self.told.arrays]
        place, since = np.full(len(alive), float(t)), model.elapsed(self.ticks[alive] - self.born[alive])
        given = model.stepper.sight(self.state, told, hours, place, since, left, levels, acts)
        free = model.clock is None or asked.ticks is not None or asked.length is not None or lead is not None or not t
        codes = list(model.chain.sample(len(alive), given, rng, asked.temperature).arrays)
        if not free and model.parts.gap is not None:
            self._in_time(codes, given, alive, rng, asked)
        if lead is not None:
            led, rows = lead.at(alive, t)
            for code, given_code in zip(codes, lead.codes, strict=True):
                code[led] = given_code[rows]
        changes = model.parts.changes(codes, rng, seed)
        if t:
            even = model.clock is not None and model.parts.gap is None
            self.ticks[alive] += 1 if even else model.parts.gaps(codes)
            for v, m, change in zip(self.values, model.moving, changes, strict=True):
                v[alive] = m.bounded(v[alive] + change)
        if lead is not None and len(led):
            self.ticks[alive[led]] = lead.ticks[rows]
            for v, known in zip(self.values, lead.values, strict=True):
                v[alive[led]] = known[rows]
        self.state = model.stepper.after(self.state, codes, acts)
        if acts is not None:
            self.history[alive] = np.concatenate([acts[:, None], self.history[alive, :-1]], 1)
        span = model.end - model.first
        kept = np.ones(len(alive), bool) if free else self.ticks[alive] - self.born[alive] <= span
        if not kept.all():  # longer than all that was observed
            lengths[alive[~kept]] = 0
            codes, alive = [c[kept] for c in codes], alive[kept]
            acts = acts if acts is None else acts[kept]
            self._narrow(alive)
        return alive, codes, acts, [v[alive].copy() for v in self.values]

    def _in_time(self, codes: list[Array], given: Codes, alive: Array, rng: np.random.Generator, asked: Asked) -> None:
        """Steps past the end of what was observed are drawn again, in their places: nobody would have seen them."""
        for _ in range(AGAIN):
            late = np.flatnonzero(self.ticks[alive] + self.model.parts.gaps(codes) > self.model.end)
            if not len(late):
                return
            others = self.model.chain.sample(len(late), given.take(late), rng, asked.temperature)
            for code, other in zip(codes, others.arrays, strict=True):
                code[late] = other

    def _unended(self, alive: Array, acts: Array, rng: np.random.Generator) -> Array:
        """What happens next where a sequence may not end yet: drawn again, at last from all there is."""
        n = self.model.markov.n_symbols_
        for _ in range(20):
            ended = np.flatnonzero(acts >= n)
            if not len(ended):
                return acts
            acts[ended] = self.model.markov.next(self.history[alive[ended]], self.group[alive[ended]], rng)
        level = self.model.markov.levels_[0]
        going = level.symbols < n
        chance = level.counts[going] / level.counts[going].sum()
        ended = np.flatnonzero(acts >= n)
        acts[ended] = rng.choice(level.symbols[going], len(ended), p=chance)
        return acts

    def _narrow(self, alive: Array) -> None:
        """The state of those alive only."""
        if len(alive) == len(self.at):
            return
        keep = np.isin(self.at, alive)
        for parts in (self.state.last, self.state.before, self.state.sums, self.state.counts):
            parts[:] = [a[keep] for a in parts]
        self.at = self.at[keep]
