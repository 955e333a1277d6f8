"""How sequences advance together, a step at a time: `Walk`; given beginnings lead it (`Lead`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import polars as pl

from verosim.keys import Ints
from verosim.models import Array, Codes, Floats
from verosim.sequences.activities import traced
from verosim.sequences.order import Runs, sequence_of
from verosim.sequences.parts import gaps_of
from verosim.sequences.wholes import Whole

if TYPE_CHECKING:
    from verosim.sequences.keyed import Keyed


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call wants of the sequences beside their number; see sequences/control.py."""

    length: int | None = None
    ticks: int | None = None  # when they begin
    cases: pl.DataFrame | None = None  # a row each: columns that are given
    begin: Runs | None = None  # the rows with which they begin, in the order of the cases; not given back
    temperature: float = 1.0
    source: Callable[[int], Iterator[pl.DataFrame]] | None = None  # seed -> rows a key without end, drawn as asked
    exact: bool = False  # as many steps as their lengths say, whenever that is


PLAIN: Final = Asked()
Led = tuple[Array, Array]  # which of those alive have a step given, and the row of it that each has


@dataclass(frozen=True, slots=True)
class Lead:
    """Given beginnings, as steps that are not drawn: rows end to end, of sequence i from `starts[i]` on."""

    starts: Array
    lengths: Array
    codes: list[Array]
    activity: Array
    ticks: Ints
    values: list[Floats]

    @classmethod
    def of(cls, model: Keyed, runs: Runs, order: Array) -> Self:
        said = sequence_of(model.table)
        ticks, gaps = gaps_of(runs, model.clock, said.time) or (np.zeros(len(runs.new), np.int64), None)
        codes = list(model.parts.encode(runs, gaps if model.parts.gap else None).arrays)
        activity = model.activities.encode(runs) if model.activities else np.zeros(len(ticks), np.int64)
        values = [runs.frame[m.column.name].cast(pl.Float64).to_numpy() for m in model.moving]
        return cls(np.flatnonzero(runs.new)[order], runs.lengths[order], codes, activity, ticks, values)

    @classmethod
    def none(cls, model: Keyed, s: int) -> Self:
        """Nothing is given to s sequences."""
        no, empty = np.zeros(s, np.int64), np.zeros(0, np.int64)
        return cls(no, no, [empty for _ in model.parts.fields], empty, empty, [np.zeros(0) for _ in model.moving])

    def at(self, alive: Array, number: int) -> Led:
        """What is given of a step of those alive."""
        who = np.flatnonzero(self.lengths[alive] > number)
        return who, self.starts[alive[who]] + number


@dataclass(frozen=True, slots=True)
class Step:
    """One step of sequences `who`: codes of its columns but the gap, what happened, when, and the values that move."""

    who: Array
    number: int
    codes: list[Array]
    activity: Array | None
    ticks: Ints
    values: list[Floats]

    def take(self, rows: Array) -> Step:
        """Of some of the sequences."""
        activity = None if self.activity is None else self.activity[rows]
        codes, values = [c[rows] for c in self.codes], [v[rows] for v in self.values]
        return Step(self.who[rows], self.number, codes, activity, self.ticks[rows], values)


class Walk:
    """Where sequences stand while they advance: s of them, of which those alive go on."""

    def __init__(self, model: Keyed, cases: pl.DataFrame, lengths: Ints, asked: Asked, order: Array) -> None:
        """cases: a row each. lengths: (s,) rows after which they end. order: (s,) which of those asked for each is."""
        s = cases.height
        self.model, self.asked, self.lengths = model, asked, lengths
        self.lead = Lead.of(model, asked.begin, order) if asked.begin is not None else Lead.none(model, s)
        self.told = model.tell(cases)
        self.ticks = model.begins(cases) if asked.ticks is None else np.full(s, asked.ticks)
        self.born, self.state, self.memory = self.ticks.copy(), model.stepper.start(s), model.engine.start(s)
        first = [cases[m.column.name].cast(pl.Float64).fill_null(m.low).to_numpy() for m in model.moving]
        self.values = [m.bounded(v) for m, v in zip(model.moving, first, strict=True)]
        self.alive = self.at = np.arange(s)  # at: which sequence each row of the state is
        what = model.activities
        self.group = what.group(self.told) if what else np.zeros(s, np.int64)
        self.history = np.full((s, what.markov.reach if what else 1), -1)
        self.made, self.trace = np.zeros(s, np.int64), np.zeros(s, np.uint64)
        self.bound = model.clock is not None and asked.ticks is None and asked.length is None and asked.begin is None

    @property
    def whole(self) -> Whole:
        """The sequences so far."""
        return Whole(self.ticks - self.born, self.made, self.trace)

    def all(self, most: int, rng: np.random.Generator, seed: int) -> Iterator[Step]:
        """All steps, one after the other; at most so many."""
        for number in range(most):
            step = self.step(number, rng, seed)
            if step is None:
                return
            yield step

    def step(self, number: int, rng: np.random.Generator, seed: int) -> Step | None:
        """The next step of those that go on; None where none do."""
        model, self.alive = self.model, self.alive[self.lengths[self.alive] > number]
        activity = self._happens(number, rng) if model.activities else None
        alive, led = self.alive, self.lead.at(self.alive, number)
        if not len(alive):
            return None
        self._narrow()
        past = self._past(number, activity)
        gap = self._advance(past, number, led, activity, rng)
        given = model.stepper.at(past, self.ticks[alive], self.ticks[alive] - self.born[alive])
        given = model.with_gap(given, gap)
        drawn = model.engine.draw(given, self.memory, rng, self.asked.temperature)
        codes = [*([] if gap is None else [gap]), *drawn]
        for code, known in zip(codes, self.lead.codes, strict=True):
            code[led[0]] = known[led[1]]
        self._move(codes, number, led, rng, seed)
        self.state = model.stepper.after(self.state, codes, activity)
        self.memory = model.engine.after(self.memory, given, codes[gap is not None :])
        if activity is not None:
            self.trace[alive] += traced(activity, number)
            self.history[alive] = np.concatenate([activity[:, None], self.history[alive, :-1]], 1)
        self.made[alive] += 1
        return self._kept(Step(alive, number, codes, activity, self.ticks[alive], [v[alive] for v in self.values]))

    def _happens(self, number: int, rng: np.random.Generator) -> Array:
        """What happens next; cases that are over are no longer alive."""
        what, alive, (who, rows) = self.model.activities, self.alive, self.lead.at(self.alive, number)
        assert what is not None
        activity = what.next(self.history[alive], self.group[alive], rng, self.asked.temperature)
        activity[who] = self.lead.activity[rows]
        if self.asked.length is not None or number == 0:
            activity = what.going_on(activity, self.history[alive], self.group[alive], rng)
        goes = activity < what.field.levels
        self.alive = alive[goes]
        return np.asarray(activity[goes])

    def _past(self, number: int, activity: Array | None) -> Codes:
        """What the step is drawn given, but for the time."""
        model, alive = self.model, self.alive
        levels = [m.scaled(v[alive]) for m, v in zip(model.moving, self.values, strict=True)]
        left = None if model.activities else (self.lengths[alive] - number).astype(float)
        told, place = [a[alive] for a in self.told.arrays], np.full(len(alive), float(number))
        return model.stepper.past(self.state, told, place, left, levels, activity)

    def _advance(
        self, past: Codes, number: int, led: Led, activity: Array | None, rng: np.random.Generator
    ) -> Floats | None:
        """Go on to the time of the step; the codes of the gap before it, where gaps differ."""
        model, (who, rows), before = self.model, led, self.ticks[self.alive]
        gap, passed = None, np.ones(len(before), np.int64)
        if model.timing is not None:
            born, what = self.born[self.alive], np.zeros(len(before), np.int64) if activity is None else activity
            given = model.stepper.at(past, before, before - born)
            bounds = born if self.bound and number and model.roster is None else None
            gap = model.timing.draw(given, before, bounds, what, rng, self.asked.temperature)
            gap[who] = self.lead.codes[0][rows]
            passed = model.timing.gap.decode(gap)
        if number and model.clock is not None:
            self.ticks[self.alive] += passed
        self.ticks[self.alive[who]] = self.lead.ticks[rows]
        return gap

    def _move(self, codes: list[Array], number: int, led: Led, rng: np.random.Generator, seed: int) -> None:
        """The values that move go on."""
        model, (who, rows) = self.model, led
        if number:
            changes = model.parts.changes(codes, rng, seed)
            for values, m, change in zip(self.values, model.moving, changes, strict=True):
                values[self.alive] = m.bounded(values[self.alive] + change)
        for values, known in zip(self.values, self.lead.values, strict=True):
            values[self.alive[who]] = known[rows]

    def _kept(self, step: Step) -> Step:
        """Without the sequences that would go on for longer than all that was observed: those are over."""
        over = self.ticks[step.who] - self.born[step.who] > self.model.end - self.model.first
        if not self.bound or self.asked.exact or not over.any():
            return step
        self.alive = step.who[~over]
        self._narrow()
        return step.take(~over)

    def _narrow(self) -> None:
        """The state of those alive only."""
        if len(self.alive) == len(self.at):
            return
        keep = np.isin(self.at, self.alive)
        for parts in (self.state.last, self.state.before, self.state.sums, self.state.counts):
            parts[:] = [a[keep] for a in parts]
        self.memory = self.memory[keep]
        self.at = self.at[keep]
