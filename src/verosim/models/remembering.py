"""What each column of a series is, and how it is seen: it moves, jumps, or has no memory (`Remembering`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.models import Array, Codes, Field, Floats
from verosim.models.features import outputs

MEMORY: Final = 0.3  # correlation with the row before, from which a column has a memory ...
SMOOTH: Final = 0.9  # ... and from which it moves rather than jumps
OFTEN: Final = 0.1  # share of rows of one value, above which a column is at that value, not on its way through it
BESIDE: Final = 0.1  # correlation with a column of memory, from which a column without goes along with it
WAVES: Final = 4  # numbers that tell the levels of a category apart


@dataclass(frozen=True, slots=True, eq=False)
class Remembering:
    """Columns by what they do, and those with a memory as f standardised numbers."""

    fields: tuple[Field, ...]
    moving: list[int]  # columns
    jumping: list[int]
    alone: list[int]  # without memory, and no other column tells them
    owner: Array  # (f,) the column of each number
    level: Array  # (f,) bool: whether it is where a moving column stands
    mean: Floats  # (f,)
    spread: Floats  # (f,)

    @classmethod
    def of(cls, rows: Codes, within: Array) -> Self:
        """within: (n,) whether the row before is the one before in the series."""
        fields, arrays = rows.fields, rows.arrays
        memory = np.array([_memory(a, f, within) for a, f in zip(arrays, fields, strict=True)])
        alone = _alone(arrays, fields, memory)
        moving = [
            i for i, f in enumerate(fields) if f.ordered and memory[i] >= SMOOTH and _often(arrays[i]) <= OFTEN
        ]  # fmt: skip
        jumping = [i for i in range(len(fields)) if i not in {*moving, *alone}]
        parts = [_numbers(arrays[i], fields[i]) for i in (*moving, *jumping)]
        owner = np.repeat(np.array([*moving, *jumping], np.int64), [p.shape[1] for p in parts])
        level = np.isin(owner, moving) & (np.diff(owner, prepend=-1) != 0)
        found = np.concatenate([np.zeros((rows.n, 0)), *parts], 1)
        mean, spread = (found.mean(0), found.std(0)) if rows.n else (np.zeros(len(owner)), np.ones(len(owner)))
        return cls(fields, moving, jumping, alone, owner, level, mean, np.where(spread > 1e-9, spread, 1e9))

    def numbers(self, arrays: Sequence[Array]) -> Floats:
        """(n, f) standardised numbers of the columns with a memory."""
        parts = [_numbers(arrays[i], self.fields[i]) for i in (*self.moving, *self.jumping)]
        found = np.concatenate([np.zeros((len(arrays[0]) if len(arrays) else 0, 0)), *parts], 1)
        return np.asarray((found - self.mean) / self.spread)

    def positions(self, levels: Floats) -> Floats:
        """(n, s) standardised levels of the columns that move -> their positions."""
        return np.clip(levels * self.spread[self.level] + self.mean[self.level], 0.0, 1.0 - 1e-9)


def _numbers(array: Array, field: Field) -> Floats:
    """(n, m) a position, and whether it is a mark; or waves that tell the levels of a category apart."""
    if not field.ordered:
        rng = np.random.Generator(np.random.Philox(key=field.levels))  # fixed directions
        return np.asarray(outputs(np.arange(field.levels), field, WAVES, rng)[array])
    if not field.marks:
        return np.asarray(array[:, None])
    return np.stack([_held(array), array < 0], 1)


def _held(array: Array) -> Floats:
    """Marks as the value before them."""
    last = np.maximum.accumulate(np.where(array >= 0, np.arange(len(array)), -1))
    return np.where(last >= 0, array[np.maximum(last, 0)], 0.5)


def _often(array: Array) -> float:
    """The share of rows that hold the most frequent value."""
    values = array[array >= 0]
    return float(np.unique(values, return_counts=True)[1].max(initial=0) / max(len(values), 1))


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
