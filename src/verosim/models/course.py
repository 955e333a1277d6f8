"""A long series, drawn anew: what its columns share goes one way through it, and the fine movement of each its own.

The slow movement that columns share comes from one moment of the series, each voice from other moments, and nothing
from the very place that is drawn: so windows are new, while columns hang together. Ways go on from elsewhere where that
fits (ways.py). Where a column moves, it moves somewhat more or less until it stands where what is shared wants it, and
until the gap of a join is taken up: a constant stays constant, steps are real ones (movement.py). Columns without
memory that no other column tells are drawn row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, State, pack_fields, saved_array, unpack_fields, ways
from verosim.models.movement import Movement
from verosim.models.remembering import Remembering
from verosim.models.voices import Shared, alike, voices_of

ROWS: Final = 4096  # that are drawn together
LEVEL: Final = 0.25  # deviations of a column that jumps, which count as a usual step of one that moves
PRACTICE: Final = 8192  # rows


@dataclass(frozen=True, slots=True)
class Options:
    ways: ways.Options = field(default_factory=ways.Options)
    smooth: float = 6.0  # rows: the width of the bell that what is shared is smoothed by
    fade: int = 72  # rows in which what is shared goes over to another moment
    pull: float = 3.0  # usual steps within which most of a gap is taken up


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """A series by place: (places, ...), nil where no row is. f numbers are remembered, s of them are moving levels."""

    row: Array  # (places,) -1 where none is
    ground: ways.Ground
    shared: Shared  # of k components
    own: Floats  # (places, f) what is not shared
    unit: Floats  # (f,) a usual step
    levels: Floats  # (places, s)
    steps: Floats  # (places, s) from the row before
    loads: Floats  # (s, k) how levels follow what is shared
    voices: list[Array]  # the numbers of each, all those of a column in one

    def lines(self, numbers: Array, own: Floats) -> Floats:
        """What must fit where a voice goes on from elsewhere, in usual steps."""
        return np.asarray(own[..., numbers] / self.unit[numbers])


class Course:
    """rows: one series in order, or parts of it. Every array in the state has a row for each of them."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, place: Array, period: float = 0.0) -> Self:
        """place: (n,) int64, ascending: the number of each row in the whole series; a step past 1 parts the stretches.

        period: of the season, in rows; 0 for none.
        """
        self.rows_, self.place_, self.period_ = rows, place, period
        self._prepare()
        return self

    @property
    def fields_(self) -> tuple[Field, ...]:
        return self.rows_.fields

    def _prepare(self) -> None:
        within = np.diff(self.place_, prepend=self.place_[:1] - 2) == 1  # the row before is here too
        self.columns = Remembering.of(self.rows_, within)
        self.parts = self._parted(within)
        follows = np.asarray(self.parts.loads.any(1))
        self.movement = Movement.free(follows)
        if follows.any():  # some rows as they come show how steps differ from real ones
            rng = np.random.Generator(np.random.Philox(key=1))
            levels = _Drawing(self, rng, 0, None, 1.0).levels(min(len(self.parts.row), PRACTICE))[0]
            self.movement = Movement.of(follows, np.diff(levels, axis=0), self.parts.steps[self.place_])

    def _parted(self, within: Array) -> _Parts:
        """The series by place, and what is learned of it."""
        n, whole, columns = len(self.place_), int(self.place_[-1]) + 1, self.columns
        row, left = np.full(whole, -1), np.full(whole, -1)
        row[self.place_] = np.arange(n)
        starts = np.flatnonzero(~within)
        ends = np.append(starts[1:], n)
        left[self.place_] = np.repeat(ends, ends - starts) - np.arange(n) - 1
        z = np.zeros((whole, len(columns.owner)))
        z[self.place_] = columns.numbers(self.rows_.arrays)
        steps, later = np.zeros_like(z), self.place_[within]
        steps[later] = z[later] - z[later - 1]
        shared = Shared.of(z, row >= 0, self.options.smooth, self.period_)
        loads = np.where(columns.level[:, None], shared.loads, 0.0)
        size = np.abs(steps).sum(0) / np.maximum((steps != 0).sum(0), 1)
        unit = np.where(columns.level, np.maximum(size, 1e-6), LEVEL)
        near = alike(shared.levels, row >= 0, self.options.ways.local)
        ground = ways.Ground(left, self.period_, _fitting(self.options.ways, self.period_, n, near))
        voices = voices_of(steps[later], z[self.place_], columns.owner, ~columns.level)
        own, of = z - shared.levels @ loads.T, columns.level
        return _Parts(row, ground, shared, own, unit, z[:, of], steps[:, of], loads[of], voices)

    def way(self, i: int) -> str:
        """How a field is drawn: it moves, jumps, or is alone."""
        return "moves" if i in self.columns.moving else "alone" if i in self.columns.alone else "jumps"

    def draw(
        self, n: int, rng: np.random.Generator, begin: int = 0, first: Codes | None = None, temperature: float = 1.0
    ) -> Iterator[Codes]:
        """At least n rows from the place `begin` on, in whole blocks, so that fewer rows are the head of more.

        first: the rows before them, at least one.
        """
        drawing = _Drawing(self, rng, begin, first if first is not None and first.n else None, temperature)
        for _ in range(0, n, ROWS):
            yield Codes(self.fields_, drawing.rows(ROWS), ROWS)

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        arrays |= {f"{i}": array for i, array in enumerate(self.rows_.arrays)}
        return meta | {"period": self.period_}, arrays | {"place": self.place_}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        fields, place = unpack_fields(meta, arrays), saved_array(arrays, "place", np.int64)
        period, n = float(meta["period"]), len(place)
        kinds = [np.int32 if f.levels else np.float64 for f in fields]
        codes = tuple(saved_array(arrays, f"{i}", kind) for i, kind in enumerate(kinds))
        good = n and (np.diff(place) > 0).all() and place[0] >= 0 and 0 <= period < np.inf
        if not good or any(len(a) != n or not _fits(a, f) for a, f in zip(codes, fields, strict=True)):
            raise ModelFileError("the saved course of the series is damaged.")
        return cls().fit(Codes(fields, codes, n), place, period)


def _fits(array: Array, field: Field) -> bool:
    low, high = (-field.marks, 1) if field.ordered else (0, field.levels)
    return bool(((array >= low) & (array < high)).all())


def _fitting(options: ways.Options, season: float, n: int, near: int) -> ways.Options:
    """Shorter ways through short series; with a season, ways of about one."""
    guard = max(1, min(options.guard, n // 10))
    if season:
        least, most = max(2, round(season / 2)), max(4, round(season * 1.5))
        return replace(options, least=least, most=most, ahead=round(season), guard=guard)
    most = max(1, min(options.most, n // 8))
    least = max(1, min(options.least, most // 2))
    local = max(near, 2 * guard)
    return replace(options, least=least, most=most, ahead=min(options.ahead, most), guard=guard, local=local)


# ------------------------------------------------------------------------------------------------- drawing


class _Drawing:
    """Rows of a course, block after block."""

    def __init__(
        self, course: Course, rng: np.random.Generator, begin: int, first: Codes | None, temperature: float
    ) -> None:
        self.course, self.clock, self.near = course, begin, temperature
        parts = self.parts = course.parts
        keys = rng.integers(2**62, size=2 + len(parts.voices))  # each way has chance of its own, whatever the blocks
        self.rng, lead, *others = (np.random.Generator(np.random.Philox(key=int(k))) for k in keys)
        there, shared = parts.row >= 0, parts.shared
        self.free = shared.levels - shared.trend  # what is shared, beside its trend
        self.spread = np.maximum(shared.levels[there].std(0), 1e-9)
        usual = np.maximum(np.abs(np.diff(self.free, axis=0, prepend=self.free[:1])).mean(0), 1e-6)
        self.lead = ways.Way(parts.ground, self.free / usual, None, lead)
        lines = [parts.lines(numbers, parts.own) for numbers in parts.voices]
        levels = shared.levels / self.spread
        self.voices = [ways.Way(parts.ground, line, levels, r) for line, r in zip(lines, others, strict=True)]
        known = parts.levels[there]
        self.ends = known.min(0), known.max(0)
        nothing = np.zeros((0, self.free.shape[1]))
        self.common = ways.Lead(nothing, np.zeros(0, np.int64))  # what is shared in rows to come
        self.gap, self.age, self.at = np.zeros(self.free.shape[1]), 0, -2  # of the last join of what is shared
        self.level: Floats | None = None  # (s,) of the last row
        self.last: Floats | None = None  # (k,) shared by it, beside the trend
        self._start(first, usual)

    def _start(self, first: Codes | None, usual: Floats) -> None:
        """first: rows that are gone on from."""
        parts, columns, own, before = self.parts, self.course.columns, None, None
        if first is not None:
            z = columns.numbers(first.arrays)
            slow = z[-max(1, round(self.course.options.smooth)) :].mean(0) @ parts.shared.axes
            place = int(parts.ground.anchor(np.array([self.clock - 1]))[0])
            self.last, self.level, own = slow - parts.shared.trend[place], z[-1][columns.level], z[-1].copy()
            own[columns.level] -= parts.loads @ slow
            before = self.last / usual
        self.lead.begin(self.clock, before, self.near)
        for numbers, way in zip(parts.voices, self.voices, strict=True):
            way.begin(self.clock, None if own is None else parts.lines(numbers, own), self.near)

    def rows(self, n: int) -> tuple[Array, ...]:
        """The codes of the next rows."""
        columns, codes, clock = self.course.columns, self.course.rows_.arrays, self.clock
        levels, places, stands = self.levels(n)
        arrays = dict[int, Array]()
        for numbers, at in zip(self.parts.voices, places, strict=True):
            row = self.parts.row[at]
            arrays |= {int(i): codes[i][row] for i in np.unique(columns.owner[numbers])}
        positions = columns.positions(levels)
        for k, i in enumerate(columns.moving):
            arrays[i] = np.where((arrays[i] < 0) | stands[:, k], arrays[i], positions[:, k])
        if columns.alone:
            row = self._strangers(clock, n)
            arrays |= {i: codes[i][row] for i in columns.alone}
        return tuple(arrays[i] for i in range(len(codes)))

    def levels(self, n: int) -> tuple[Floats, list[Array], Array]:
        """(n, s) levels of columns that move, places of the voices, and where levels are exactly those there."""
        parts, course, owner = self.parts, self.course, self.course.columns.owner
        self._look(n + parts.ground.options.most - len(self.common.places))
        lead = ways.Lead(self.common.shared / self.spread, self.common.places)
        places = [way.go(self.clock, n, lead, self.near) for way in self.voices]
        moving = np.flatnonzero(course.columns.level)
        at = np.zeros((n, len(owner)), np.int64)
        for numbers, own in zip(parts.voices, places, strict=True):
            at[:, numbers] = own[:, None]
        at, column = at[:, moving], np.arange(len(moving))
        levels, steps = parts.levels[at, column], parts.steps[at, column]
        targets = parts.own[at, moving] + self.common.shared[:n] @ parts.loads.T
        ease = 1 - np.exp(-np.abs(steps) / (course.options.pull * parts.unit[moving]))
        start = targets[0] - steps[0] if self.level is None else self.level
        out = course.movement.path(start, steps, targets, ease, self.ends)
        self.level, self.common, self.clock = out[-1], self.common.after(n), self.clock + n
        return out, places, np.abs(out - levels) < 1e-9

    def _look(self, n: int) -> None:
        """What columns share in so many more rows; joins are faded over."""
        if n <= 0:
            return
        clock = self.clock + len(self.common.places)
        at = self.lead.go(clock, n, None, self.near)
        out = self.free[at]
        joins = np.flatnonzero(np.diff(at, prepend=self.at) != 1).tolist()
        for begin, end in zip([0, *joins], [*joins, n], strict=True):
            if begin in joins and end > begin:
                before = out[begin - 1] if begin else self.last
                self.gap, self.age = (0 * self.gap if before is None else before - self.free[max(at[begin] - 1, 0)]), 0
            fading = np.clip(1 - (self.age + np.arange(end - begin)) / self.course.options.fade, 0.0, 1.0)
            out[begin:end] += self.gap * fading[:, None]
            self.age += end - begin
        self.at, self.last = int(at[-1]), out[-1]
        out = out + self.parts.shared.trend[self.parts.ground.anchor(clock + np.arange(n))]
        shared, places = self.common.shared, self.common.places
        self.common = ways.Lead(np.concatenate([shared, out]), np.concatenate([places, at]))

    def _strangers(self, clock: int, n: int) -> Array:
        """(n,) rows of the same time, or near, that have nothing to do with each other."""
        ground = self.parts.ground
        near = self.rng.permuted(ground.others(clock + np.arange(n), self.rng), axis=1)
        there = ground.open(near, 0)
        chosen = np.clip(near[np.arange(n), there.argmax(1)], 0, len(self.parts.row) - 1)
        some = self.rng.integers(len(self.course.place_), size=n)
        return np.where(there.any(1), self.parts.row[chosen], some)
