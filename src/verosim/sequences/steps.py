"""One step of a keyed sequence given those before it: what models see (`Stepper`).

That is what is the same in the whole sequence, the step before and the one before that, means so far, the place, and
the calendar: first of the step before, then, once its time is drawn, of the step itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from verosim.keys import Ints
from verosim.models import Array, Codes, Field, Floats
from verosim.sequences.order import Clock, Runs

YEAR: Final = 8765.82  # hours


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a step knows of its time. first, end: of all there was. pace: the mean time from a step to the next.

    drifts: whether things may change in the long run. Of regular steps, each moment would stand for itself.
    """

    clock: Clock | None
    first: int
    end: int
    pace: float
    drifts: bool

    @property
    def fields(self) -> tuple[Field, ...]:
        wall = Field("hour", marks=1), Field("weekday", 8), Field("season", marks=1)
        return (*wall, Field("moment", marks=1), Field("elapsed"))

    def of(self, ticks: Ints, since: Ints) -> list[Array]:
        """The arrays (n,) of the fields. since: how long a sequence has gone on."""
        hours = self.clock.hours(ticks) if self.clock is not None else None
        none = np.full(len(ticks), -1.0)
        wall: list[Array] = [none, np.full(len(ticks), 7, np.int32), none]
        if hours is not None:
            wall = [hours % 24 / 24, (hours // 24 % 7).astype(np.int32), hours % YEAR / YEAR]
        moment = np.clip((ticks - self.first) / max(self.end - self.first, 1), 0.0, 1.0) if self.drifts else none
        elapsed = np.maximum(since, 0) / (np.maximum(since, 0) + 8.0 * self.pace)
        return [*wall, moment, elapsed]


@dataclass(slots=True)
class State:
    """Where the sequences stand, s of them: the codes of the last steps, and what has been summed up."""

    last: list[Array]  # of each field
    before: list[Array]
    sums: list[Floats]  # of ordered fields, positions
    counts: list[Array]

    def head(self, s: int) -> State:
        """Of the first s sequences."""
        return State(*([a[:s] for a in part] for part in (self.last, self.before, self.sums, self.counts)))


class Stepper:
    """From the state of sequences to the fields that the next step is drawn given, and on."""

    def __init__(
        self, fields: Sequence[Field], told: Sequence[Field], moving: int, activity: Field | None, kept: Sequence[int],
        calendar: Calendar,
    ) -> None:  # fmt: skip
        """fields: of a step, but for the activity. kept: those of them that are remembered."""
        self.kept = list(kept)
        remembered = [fields[i] for i in kept]
        self.seen = (*remembered, activity) if activity else tuple(remembered)
        self.calendar = calendar
        lags = [_lagged(f, " before") for f in self.seen]
        older = [_lagged(f, " before that") for f in self.seen]
        means = [Field(f"mean {f.name}", marks=1) for f in self.seen if f.ordered]
        levels = [Field(f"level {i}") for i in range(moving)]
        now = [activity] if activity else []
        self._past = (*now, *told, Field("place"), Field("left", marks=1), *levels, *lags, *older, *means)
        self.given = (*calendar.fields, *self._past)  # of a step whose time is known, or of the time before it
        self.recent = len(self.given) - len(older) - len(means)  # so many of them need no memory
        self.lagged = self.recent - len(lags)  # those from here on are of the step before

    def start(self, s: int) -> State:
        """Before the first step of s sequences."""
        none = [np.full(s, -(f.marks + 1.0)) if f.ordered else np.full(s, f.levels, np.int32) for f in self.seen]
        n = sum(f.ordered for f in self.seen)
        return State(none, [a.copy() for a in none], [np.zeros(s) for _ in range(n)], [np.zeros(s) for _ in range(n)])

    def past(
        self, state: State, told: Sequence[Array], place: Array, left: Array | None, levels: Sequence[Floats],
        activity: Array | None,
    ) -> Codes:  # fmt: skip
        """What the next step of each sequence is drawn given, but for the time."""
        ends = np.full(len(place), -1.0) if left is None else left / (left + 8.0)
        means = [np.where(n > 0, a / np.maximum(n, 1), -1.0) for a, n in zip(state.sums, state.counts, strict=True)]
        now = [] if activity is None else [activity.astype(np.int32)]
        arrays = (*now, *told, place / (place + 8.0), ends, *levels, *state.last, *state.before, *means)
        return Codes(self._past, arrays, len(place))

    def at(self, past: Codes, ticks: Ints, since: Ints) -> Codes:
        """The same, with a time."""
        return Codes(self.given, (*self.calendar.of(ticks, since), *past.arrays), past.n)

    def after(self, state: State, drawn: Sequence[Array], activity: Array | None) -> State:
        """The state once a step was drawn."""
        codes = [*(drawn[i] for i in self.kept), *([] if activity is None else [activity.astype(np.int32)])]
        ordered = [c for c, f in zip(codes, self.seen, strict=True) if f.ordered]
        sums = [a + np.maximum(c, 0.0) for a, c in zip(state.sums, ordered, strict=True)]
        counts = [n + (c >= 0) for n, c in zip(state.counts, ordered, strict=True)]
        return State(codes, state.last, sums, counts)

    def history(
        self, codes: Codes, activity: Array | None, told: Sequence[Array], runs: Runs, left: Array | None,
        levels: Sequence[Floats],
    ) -> Codes:  # fmt: skip
        """`past` for all steps of real sequences at once. levels: of the step before."""
        place, new = runs.place, runs.new
        seen = [*(codes.arrays[i] for i in self.kept), *([] if activity is None else [activity.astype(np.int32)])]
        none = self.start(1).last
        last = [_shifted(a, 1, place, e[0]) for a, e in zip(seen, none, strict=True)]
        before = [_shifted(a, 2, place, e[0]) for a, e in zip(seen, none, strict=True)]
        ordered = [a for a, f in zip(seen, self.seen, strict=True) if f.ordered]
        sums = [_before(np.maximum(a, 0.0), new) for a in ordered]
        counts = [_before((a >= 0).astype(float), new) for a in ordered]
        return self.past(State(last, before, sums, counts), told, place.astype(float), left, levels, activity)


def _lagged(field: Field, when: str) -> Field:
    """The field at another step, or no step: one mark or level more."""
    if field.ordered:
        return Field(field.name + when, marks=field.marks + 1, atoms=field.atoms)
    return Field(field.name + when, field.levels + 1)


def _shifted(array: Array, by: int, place: Ints, none: Any) -> Array:
    out = np.roll(array, by)
    out[place < by] = none
    return out


def _before(values: Floats, new: Array) -> Floats:
    """(n,) the sum of the values before each row in its sequence."""
    total = np.cumsum(values) - values
    begin = np.flatnonzero(new)
    return np.asarray(total - total[begin][np.cumsum(new) - 1])
