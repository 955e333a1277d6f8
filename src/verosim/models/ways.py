"""Ways through a long series: `Way` goes along the real places, and now and then on from others where they fit.

A way stays near the place that its clock stands for, or at the same time of other seasons, but never at the place
itself. Before it goes on from elsewhere it looks some rows ahead, at every row and from each of the other places: it
takes a join, one of the best, at which level, movement and surroundings fit. (Resampling of neighbours: Lall and
Sharma, A nearest neighbor bootstrap for resampling hydrologic time series, 1996.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.models import Array, Floats

NOWHERE: Final = 1e30  # the misfit of a place that cannot be gone on from


@dataclass(frozen=True, slots=True)
class Options:
    least: int = 24  # rows between joins
    most: int = 72
    ahead: int = 36  # rows among which the best join is looked for
    local: int = 300  # rows about the same place that are looked at where there is no season
    guard: int = 24  # rows about the very place that are left out
    tried: int = 48  # places near, of which a join is chosen
    seasons: int = 6  # before and after, where there is one
    near: int = 3  # the best joins, of which one is taken
    slope: float = 1.0  # how much the misfit of movements counts beside that of levels
    shared: float = 20.0  # and that of what all columns share


@dataclass(frozen=True, slots=True)
class Ground:
    """Where ways may go. left: (places,) rows that follow without a gap, -1 where no row is. period: 0 for none."""

    left: Array
    period: float
    options: Options

    def anchor(self, clock: Array) -> Array:
        """The place that goes with a row: to the end of the series, then back, then on again."""
        turn = max(1, 2 * len(self.left) - 2)
        there = clock % turn
        return np.minimum(there, turn - there)

    def others(self, clock: Array, rng: np.random.Generator) -> Array:
        """(t,) rows -> (t, c) places like theirs: near, or at the same time of the season."""
        o, anchor = self.options, self.anchor(clock)
        if not self.period:
            reach = min(o.local, max(2, len(self.left) // 4))
            return anchor[:, None] + rng.integers(-reach, reach + 1, o.tried)
        late = np.rint((clock - anchor) / self.period) * self.period
        away = np.concatenate([np.arange(-o.seasons, 0), np.arange(1, o.seasons + 1)]) * self.period
        return np.rint((clock - late)[:, None] + away).astype(np.int64)

    def open(self, places: Array, least: int) -> Array:
        """Whether a place is of the series, and so many rows follow it."""
        inside = (places >= 0) & (places < len(self.left))
        return inside & (self.left[np.where(inside, places, 0)] >= least)

    def anywhere(self, clock: int, rng: np.random.Generator) -> int:
        """Some place near, where nothing better is to be found."""
        known = np.flatnonzero(self.left >= min(1, int(self.left.max(initial=0))))
        at = int(np.searchsorted(known, int(self.anchor(np.array([clock]))[0])))
        low, high = max(0, at - 12), min(len(known), at + 12)
        return int(known[rng.integers(low, high)])


@dataclass(frozen=True, slots=True)
class Lead:
    """What all columns share in the next rows, (n, m) in deviations, and the places that it comes from."""

    shared: Floats
    places: Array

    def after(self, rows: int) -> Self:
        return type(self)(self.shared[rows:], self.places[rows:])


class Way:
    """lines: (places, k) what must fit, in usual steps. shared: (places, m) what all columns share, in deviations."""

    def __init__(self, ground: Ground, lines: Floats, shared: Floats | None, rng: np.random.Generator) -> None:
        self.ground, self.lines, self.shared, self.rng = ground, lines, shared, rng
        self.steps = np.diff(lines, axis=0, prepend=lines[:1])
        self.at, self.stay, self.next = -1, 0, -1

    def begin(self, clock: int, level: Floats | None = None, near: float = 1.0) -> None:
        """To the place that the first row is taken from. level: (k,) the lines of the row before."""
        before = np.array([clock - 1])
        found = self.ground.others(before, self.rng)
        misfit = np.zeros(found.shape)
        if level is not None:
            misfit = ((self.lines[np.clip(found, 0, len(self.lines) - 1)] - level) ** 2).sum(-1)
        chosen = self._chosen(misfit, found, near)
        self.next = self.ground.anywhere(clock, self.rng) if chosen is None else int(found[chosen]) + 1

    def go(self, clock: int, rows: int, lead: Lead | None = None, near: float = 1.0) -> Array:
        """(rows,) the places of the next rows. lead: of these rows, and of `most` rows more."""
        out, done = np.empty(rows, np.int64), 0
        while done < rows:
            if not self.stay:
                self.at = self.next
                self._plan(clock + done, None if lead is None else lead.after(done), near)
            taken = min(self.stay, rows - done)
            out[done : done + taken] = self.at + np.arange(taken)
            self.at, self.stay, done = self.at + taken, self.stay - taken, done + taken
        return out

    def _plan(self, clock: int, lead: Lead | None, near: float) -> None:
        """How long to stay, and where to go then."""
        o = self.ground.options
        longest = min(int(self.rng.integers(o.least, o.most + 1)), int(self.ground.left[self.at]) + 1)
        last = np.arange(max(0, longest - o.ahead), longest)  # the last row of the stay
        here, found = self.at + last, self.ground.others(clock + last, self.rng)
        safe = np.clip(found, 0, len(self.lines) - 1)
        misfit = ((self.lines[safe] - self.lines[here][:, None]) ** 2).sum(-1)
        misfit += o.slope * ((self.steps[safe] - self.steps[here][:, None]) ** 2).sum(-1)
        if lead is not None and self.shared is not None:
            misfit += o.shared * ((self.shared[safe] - lead.shared[last][:, None]) ** 2).sum(-1)
            misfit[np.abs(found - lead.places[last][:, None]) < o.guard] = NOWHERE
        misfit[np.abs(found - here[:, None]) < o.guard] = NOWHERE
        chosen = self._chosen(misfit, found, near, self.ground.anchor(clock + last))
        if chosen is None:
            self.stay, self.next = longest, self.ground.anywhere(clock + longest, self.rng)
        else:
            self.stay, self.next = int(last[chosen[0]]) + 1, int(found[chosen]) + 1

    def _chosen(self, misfit: Floats, found: Array, near: float, anchor: Array | None = None) -> tuple[int, int] | None:
        """One of the best joins that can be gone on from; None where there is none."""
        o = self.ground.options
        for least in (o.least, 1):
            barred = ~(self.ground.open(found, least + 1) & (misfit < NOWHERE))
            if anchor is not None:
                barred |= np.abs(found - anchor[:, None]) < (o.guard if least > 1 else 1)
            if not barred.all():
                total = np.where(barred, NOWHERE, misfit).ravel()
                wanted = max(1, min(round(o.near * near), int((~barred).sum())))
                best = np.argpartition(total, wanted - 1)[:wanted]
                row, column = divmod(int(best[self.rng.integers(wanted)]), found.shape[1])
                return row, column
        return None
