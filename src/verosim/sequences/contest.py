"""Which engine's sequences are least told from unseen real ones: `Contest`.

A judge (models/judge.py) looks at windows of some steps, and how they move. It learns on the
sequences that engines learned from, and is asked about those that none has seen; 0.5 is chance, 1 certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.draws import stream
from verosim.models import Array, Codes, Field, Floats
from verosim.models.judge import Judge
from verosim.sequences.walk import PLAIN, Walk

if TYPE_CHECKING:
    from verosim.sequences.keyed import Keyed

WIDTH: Final = 6  # steps of a window
DRAWN: Final = 2  # drawn windows for each that is known
KNOWN: Final = 10_000  # steps of real sequences that the judge learns on
LONGEST: Final = 10_000  # steps of a sequence that is drawn


@dataclass(frozen=True, slots=True)
class Seen:
    """What a judge sees of windows (n,) of steps that follow each other.

    shapes: (n, features) of what is ordered, NaN where it has no value. codes: of categories. number: (n,) whose.
    """

    shapes: Floats
    codes: Codes
    number: Array

    @classmethod
    def of(cls, fields: Sequence[Field], arrays: Sequence[Array], levels: Sequence[Floats], new: Array) -> Seen:
        """fields, arrays: (n,) codes of steps, end to end. levels: where values that move stand between their ends."""
        number = np.cumsum(new) - 1
        place = np.arange(len(new)) - np.flatnonzero(new)[number]
        last = np.flatnonzero(place >= min(WIDTH, int(place.max(initial=0))))
        at = np.maximum(last[:, None] - np.arange(WIDTH), 0)
        there = np.arange(WIDTH) <= place[last][:, None]
        own = [*levels, *(_values(f, a) for f, a in zip(fields, arrays, strict=True) if f.ordered)]
        shapes = [_shape(np.where(there, a[at], np.nan)) for a in own]
        named = [(f, a[at]) for f, a in zip(fields, arrays, strict=True) if not f.ordered]
        lags = tuple(Field(f"{f.name} {lag}", f.levels + 1) for f, _ in named for lag in range(WIDTH))
        codes = [np.where(there, a, f.levels).astype(np.int32).T for f, a in named]
        rows = Codes(lags, tuple(column for lagged in codes for column in lagged), len(last))
        return cls(np.concatenate([np.zeros((len(last), 0)), *shapes], 1), rows, number[last])

    def rows(self, real: Floats, some: Array | None = None) -> Codes:
        """All windows, or some. real: (m, features) shapes, by whose ranks all are told."""
        some = np.arange(self.codes.n) if some is None else np.flatnonzero(some)
        ranks = tuple(_ranked(self.shapes[some, i], np.sort(real[:, i])) for i in range(real.shape[1]))
        fields = tuple(Field(f"shape {i}", marks=1) for i in range(len(ranks)))
        return Codes(fields, ranks, len(some)).beside(self.codes.take(some))


def _values(field: Field, positions: Array) -> Floats:
    """(n,) positions, all of an atom alike; NaN for what is no value."""
    middle = np.append(field.atoms.mean(1), np.nan)[field.atom(positions)]
    return np.where(positions < 0, np.nan, np.where(np.isnan(middle), positions, middle))


def _shape(z: Floats) -> Floats:
    """Windows (n, width), the last step first: its values, changes, changes of changes, and how they spread."""
    first, second = -np.diff(z, axis=1), np.diff(z, 2, axis=1)
    spread = np.stack([z.mean(1), z.std(1), np.abs(first).mean(1), np.abs(second).mean(1)], 1)
    return np.concatenate([z, first, second, spread], 1)


def _ranked(values: Floats, among: Floats) -> Floats:
    """(n,) positions among sorted values (m,); a mark where there is none."""
    among = among[np.isfinite(among)]
    below = np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")
    position = np.minimum(below / (2 * len(among) + 2), 1 - 1e-9) if len(among) else np.zeros(len(values))
    return np.where(np.isfinite(values), position, -1.0)


@dataclass(frozen=True, slots=True)
class Contest:
    """known: real windows that engines learned. unseen: others."""

    known: Seen
    unseen: Seen
    seed: int

    def auc(self, model: Keyed) -> float:
        """How surely a judge tells what the model draws from unseen sequences."""
        drawn, real = self._drawn(model), self.known.shapes
        parts = [drawn.rows(real, drawn.number % 2 == half) for half in (0, 1)]
        known, unseen = self.known.rows(real), self.unseen.rows(real)
        if min(part.n for part in (*parts, known, unseen)) < 2 or not known.fields:
            return 0.5
        judge = Judge.fit(known, parts[0], stream(self.seed, "contest"))
        return max(0.5, _auc(judge.odds(unseen), judge.odds(parts[1])))

    def _drawn(self, model: Keyed) -> Seen:
        """Windows of sequences as the model draws them: two for each known one."""
        steps = DRAWN * max(1, self.known.codes.n)
        size = max(2, round(steps * model.sequences / max(model.rows, 1)))
        cases = next(model.cases_of(self.seed)).head(size)
        most = max(2 * WIDTH, min(LONGEST, steps // max(1, cases.height) * 4))
        walk = Walk(model, cases, model.lengths_of(cases), PLAIN, np.arange(cases.height))
        made = list(walk.all(most, stream(self.seed, "contest"), self.seed))
        who = np.concatenate([step.who for step in made])
        order = np.argsort(who, kind="stable")
        first = model.parts.n_moved
        codes = [np.concatenate(parts)[order] for parts in zip(*(step.codes[first:] for step in made), strict=True)]
        values = zip(*(step.values for step in made), strict=True)
        levels = [m.scaled(np.concatenate(v)[order]) for m, v in zip(model.moving, values, strict=True)]
        return Seen.of(model.parts.still.fields, codes, levels, np.diff(who[order], prepend=-1) != 0)


def _auc(real: Floats, drawn: Floats) -> float:
    """The chance that a real step has the higher odds of the two."""
    both = np.concatenate([real, drawn])
    _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[: len(real)].sum() - len(real) * (len(real) + 1) / 2) / (len(real) * len(drawn)))
