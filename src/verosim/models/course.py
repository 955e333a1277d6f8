"""A long series, gone through anew: stretches of it from nearby moments, joined where they fit (`Course`).

At each join the state, all columns with their latest movements, is compared with those near the same place of the real
series: the level, trend and season of the place are kept, and so is how columns hang together. One of the nearest is
gone on from. The gap between the two is not jumped over but taken up by movement: where the stretch moves, it moves
somewhat more or less until the gap is gone. So a constant stays constant, a straight line straight, and the joins
cannot be seen. (Resampling of neighbours: Lall and Sharma, A nearest neighbor bootstrap for resampling hydrologic time
series, 1996; the absorption of gaps is ours.) Columns without memory that depend on no other are drawn row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, State, pack_fields, saved_array, unpack_fields
from verosim.models.features import outputs

TOGETHER: Final = 1024  # rows, at least, that are given together
MEMORY: Final = 0.3  # correlation with the row before, from which a column has a memory ...
SMOOTH: Final = 0.9  # ... and from which it moves rather than jumps
BESIDE: Final = 0.1  # correlation with a column of memory, from which a column without goes along with it


@dataclass(frozen=True, slots=True)
class Options:
    least: int = 12  # rows of a stretch
    most: int = 36
    near: int = 6  # moments that resemble the state most, of which one is gone on from
    local: int = 300  # rows about the same place, before and after, that are looked at
    seasons: int = 2  # where there is a season: so many of them before and after, at least ...
    pool: int = 150  # ... and as many as hold so many rows
    pull: float = 0.5  # share of a movement that may take up a gap
    slope: float = 0.3  # how much movements count beside levels
    parts: int = 16  # directions in which states are compared


@dataclass(frozen=True, slots=True)
class _Seen:
    """How states are compared: outputs of the columns, centred, along the directions in which they differ most."""

    mean: Floats  # (2 f,)
    scale: Floats  # (2 f,) level and movement of each output
    axes: Floats  # (2 f, parts)

    def points(self, level: Floats, move: Floats) -> Floats:
        """(n, f) levels and movements -> (n, parts)"""
        return (np.concatenate([level, move], -1) * self.scale - self.mean) @ self.axes


class Course:
    """rows: one series in order, or parts of it. Every array in the state has a row for each of them."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, place: Array, period: float = 0.0) -> Self:
        """place: (n,) int64, ascending: the number of each row in the whole series; a step past 1 parts the stretches.

        period: of the season, in rows; 0 for none.
        """
        self.fields_, self.place_, self.period_, self.arrays_ = rows.fields, place, period, rows.arrays
        self._prepare()
        return self

    def _prepare(self) -> None:
        options, n = self.options, len(self.place_)
        within = np.diff(self.place_, prepend=self.place_[:1] - 2) == 1  # the row before is here too
        ends = np.append(np.flatnonzero(~within)[1:], n) if n else np.zeros(0, np.int64)
        self._left = np.repeat(ends, np.diff(np.append(np.flatnonzero(~within), n))) - np.arange(n) - 1
        self._whole = int(self.place_[-1]) + 1 if n else 0
        memory = np.array([_memory(a, f, within) for a, f in zip(self.arrays_, self.fields_, strict=True)])
        self._noise = _alone(self.arrays_, self.fields_, memory)
        self._smooth = [i for i, f in enumerate(self.fields_) if f.ordered and memory[i] >= SMOOTH]
        self._others = [i for i in range(len(self.fields_)) if i not in {*self._smooth, *self._noise}]
        smooth = [self._position(i, self.arrays_[i]) for i in self._smooth]
        self._levels = np.stack(smooth, 1) if smooth else np.zeros((n, 0))
        self._moves = np.where(within[:, None], np.diff(self._levels, axis=0, prepend=self._levels[:1]), 0.0)
        self._most = max(1, min(options.most, n // 8))
        self._least = max(1, min(options.least, self._most // 2))
        self._seen, self._points = self._compare(within)
        self._squares = (self._points**2).sum(1)

    def _position(self, i: int, array: Array) -> Floats:
        """Marks as the middle: where a gap is, nothing is compared but that."""
        return np.where(array < 0, 0.5, array) if self.fields_[i].ordered else np.asarray(array, np.float64)

    def _outputs(self, arrays: Mapping[int, Array]) -> Floats:
        """(n, f) what of the remembering columns is compared."""
        n = len(next(iter(arrays.values()))) if arrays else len(self.place_)
        parts: list[Floats] = [np.zeros((n, 0))]
        for i in (*self._smooth, *self._others):
            field, array = self.fields_[i], arrays[i]
            if field.ordered:
                parts.append(np.stack([self._position(i, array), array < 0], 1) if field.marks else array[:, None])
            else:
                parts.append(self._wheel[i][array])
        return np.concatenate(parts, 1)

    def _compare(self, within: Array) -> tuple[_Seen, Floats]:
        rng = np.random.Generator(np.random.Philox(key=0))  # fixed directions that tell levels apart
        self._wheel = {i: outputs(np.arange(f.levels), f, 4, rng) for i, f in enumerate(self.fields_) if not f.ordered}
        level = self._outputs(dict(enumerate(self.arrays_)))
        move = np.where(within[:, None], np.diff(level, axis=0, prepend=level[:1]), 0.0)
        spread = np.concatenate([level.std(0), move.std(0)]) if len(level) else np.ones(2 * level.shape[1])
        scale = np.repeat([1.0, self.options.slope], level.shape[1]) / np.maximum(spread, 1e-6)
        scale[spread < 1e-6] = 0.0
        both = np.concatenate([level, move], 1) * scale
        mean = both.mean(0) if len(both) else np.zeros(both.shape[1])
        some = (both - mean)[:: max(1, len(both) // 4000)]
        axes = np.linalg.eigh(some.T @ some)[1][:, ::-1][:, : self.options.parts]
        seen = _Seen(mean, scale, axes)
        return seen, seen.points(level, move)

    def way(self, i: int) -> str:
        """How a field is drawn: it moves, jumps, or is alone."""
        return "moves" if i in self._smooth else "alone" if i in self._noise else "jumps"

    # ---------------------------------------------------------------------------------------------- drawing

    def draw(
        self, n: int, rng: np.random.Generator, begin: int = 0, first: Codes | None = None, temperature: float = 1.0
    ) -> Iterator[Codes]:
        """At least n rows from the place `begin` on, in whole blocks, so that fewer rows are the head of more.

        first: the rows before them, at least one.
        """
        clock, done = begin, 0
        state = self._state(first) if first is not None and first.n else None
        parts, held, last = list[tuple[Array, ...]](), 0, -1
        while done < n:
            length = int(rng.integers(self._least, self._most + 1))
            stretch, state, last = self._stretch(state, self._at(clock), length, last, rng, temperature)
            parts.append(stretch)
            got = len(stretch[0]) if stretch else length
            clock, held = clock + got, held + got
            if held >= TOGETHER:
                arrays = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
                yield Codes(self.fields_, arrays, held)
                done, parts, held = done + held, [], 0

    def _at(self, clock: int) -> int:
        """The place of the real series that goes with a row: to its end, then back, then on again."""
        turn = max(1, 2 * self._whole - 2)
        there = clock % turn
        return min(there, turn - there)

    def _state(self, first: Codes) -> tuple[Floats, Floats, Floats]:
        arrays = dict(enumerate(first.arrays))
        level = self._outputs(arrays)
        move = level[-1] - level[-2] if first.n > 1 else np.zeros(level.shape[1])
        return level[-1], move, np.array([self._position(i, arrays[i])[-1] for i in self._smooth])

    def _stretch(
        self, state: tuple[Floats, Floats, Floats] | None, place: int, length: int, last: int,
        rng: np.random.Generator, temperature: float,
    ) -> tuple[tuple[Array, ...], tuple[Floats, Floats, Floats], int]:  # fmt: skip
        """The codes of the next rows, the state after them, and the row that they end with."""
        near = self._candidates(place, length, last, state is not None)
        if state is not None and len(near) > 1:
            point = self._seen.points(state[0], state[1])
            distance = self._squares[near] - 2 * (self._points[near] @ point)
            wanted = max(1, min(round(self.options.near * temperature), len(near) - 1))
            near = near[np.argpartition(distance, wanted)[:wanted]]
        chosen = int(near[rng.integers(len(near))])
        begin = chosen + 1 if state is not None and self._left[chosen] else chosen
        rows = np.arange(begin, begin + min(length, int(self._left[begin]) + 1))
        arrays = {i: self.arrays_[i][rows] for i in self._others}
        levels = self._moved(rows, state[2] - self._levels[chosen]) if state is not None else self._levels[rows]
        for k, i in enumerate(self._smooth):
            own = self.arrays_[i][rows]
            arrays[i] = np.where(own < 0, own, levels[:, k])
        local = self._candidates(place, 1, -1)
        drawn = local[rng.integers(len(local), size=len(rows))] if self._noise else rows
        arrays |= {i: self.arrays_[i][drawn] for i in self._noise}
        level = self._outputs({i: a[-2:] for i, a in arrays.items()})
        move = level[-1] - level[-2] if len(level) > 1 else np.zeros(level.shape[1])
        after = (level[-1], move, levels[-1])
        return tuple(arrays[i] for i in range(len(self.fields_))), after, int(rows[-1])

    def _moved(self, rows: Array, gap: Floats) -> Floats:
        """(rows, s) the levels of a stretch, beside which the series stood by `gap`, taken up as the stretch moves."""
        moves = np.abs(self._moves[rows])
        room = self.options.pull * np.cumsum(moves, 0)
        return np.clip(self._levels[rows] + np.sign(gap) * np.maximum(np.abs(gap) - room, 0.0), 0.0, 1.0 - 1e-9)

    def _candidates(self, place: int, length: int, last: int, seasonal: bool = True) -> Array:
        """Rows near this place of the series, or at it in other seasons, after which there are so many more.

        Not the very place, which would give the real rows again, nor where the last stretch ended.
        """
        guard = min(2 * self._most, len(self.place_) // 10)
        for least, wanted, after in ((guard, length, last), (guard // 4, 1, -1), (0, 0, -1)):
            if len(found := self._near(place, least, wanted, after, seasonal)):
                return found
        return np.arange(len(self.place_))

    def _near(self, place: int, guard: int, length: int, last: int, seasonal: bool = True) -> Array:
        reach = max(self.options.local, 4 * guard)
        if self.period_ and seasonal and self.period_ * 2 < self._whole:
            reach = max(2, round(min(reach, self.period_ / 16)))
            around = max(self.options.seasons, -(-self.options.pool // (4 * reach)))
            middles = place + np.rint(np.arange(-around, around + 1) * self.period_)
        else:
            middles = np.array([place])
        low = np.searchsorted(self.place_, middles - reach)
        high = np.searchsorted(self.place_, middles + reach, "right")
        rows = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
        good = (self._left[rows] >= length) & (np.abs(self.place_[rows] - place) >= guard)
        if last >= 0:
            good &= np.abs(rows - last) >= guard // 2
        return rows[good]

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        arrays |= {f"{i}": array for i, array in enumerate(self.arrays_)}
        return meta | {"period": self.period_}, arrays | {"place": self.place_}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        new = cls()
        new.fields_, new.place_ = unpack_fields(meta, arrays), saved_array(arrays, "place", np.int64)
        new.period_, n = float(meta["period"]), len(new.place_)
        kinds = [np.int32 if f.levels else np.float64 for f in new.fields_]
        new.arrays_ = tuple(saved_array(arrays, f"{i}", kind) for i, kind in enumerate(kinds))
        good = n and (np.diff(new.place_) > 0).all() and new.place_[0] >= 0 and 0 <= new.period_ < np.inf
        if not good or any(len(a) != n or not _fits(a, f) for a, f in zip(new.arrays_, new.fields_, strict=True)):
            raise ModelFileError("the saved course of the series is damaged.")
        new._prepare()
        return new


def _fits(array: Array, field: Field) -> bool:
    low, high = (-field.marks, 1) if field.ordered else (0, field.levels)
    return bool(((array >= low) & (array < high)).all())


# ------------------------------------------------------------------------------------------------- kinds of columns


def _tones(array: Array, field: Field) -> Floats:
    """(n, m) centred numbers that tell the values apart: the position itself, or levels."""
    if field.ordered:
        tone = np.where(array < 0, 0.5, array)[:, None]
        tone = np.concatenate([tone, (array < 0)[:, None]], 1) if field.marks else tone
    else:
        tone = (array[:, None] == np.arange(min(field.levels, 12))[None]).astype(np.float64)
    return np.asarray(tone - tone.mean(0)) if len(tone) else tone


def _memory(array: Array, field: Field, within: Array) -> float:
    """How a column goes with the row before: the highest correlation of its tones."""
    tone = _tones(array, field)
    if within.sum() < 3:
        return 0.0
    now, before = tone[within], tone[np.flatnonzero(within) - 1]
    scale = np.sqrt((now**2).sum(0) * (before**2).sum(0))
    return float(np.max((now * before).sum(0) / np.maximum(scale, 1e-12), initial=0.0))


def _alone(arrays: Sequence[Array], fields: Sequence[Field], memory: Floats) -> list[int]:
    """The columns without memory that go with no column that has one."""
    quiet = [i for i in range(len(fields)) if memory[i] < MEMORY]
    kept = [_tones(arrays[i], fields[i]) for i in range(len(fields)) if memory[i] >= MEMORY]
    if not kept or not quiet:
        return quiet if len(quiet) < len(fields) or len(fields) == 1 else []
    others = np.concatenate(kept, 1)
    others = others / np.maximum(np.sqrt((others**2).sum(0)), 1e-12)
    bound = max(BESIDE, 4 / np.sqrt(max(len(others), 1)))
    out = []
    for i in quiet:
        tone = _tones(arrays[i], fields[i])
        tone = tone / np.maximum(np.sqrt((tone**2).sum(0)), 1e-12)
        if float(np.abs(tone.T @ others).max(initial=0.0)) < bound:
            out.append(i)
    return out
