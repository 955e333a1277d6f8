"""Rows as points in space: what has an order in ranges of train, every level a coordinate of its own.

These are the coordinates of the benchmarks: numbers scaled to [0, 1] over train, and one-hot codes. A mark (missing,
infinite ...) is a coordinate too, and its number the mean of train. Of columns with many levels the most frequent stand
alone, so that there are a few hundred coordinates at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.columns import Codes, Comparison, Floats, Levels, Rows

COORDINATES: Final = 400  # of levels, over all columns; at least two of each
FAR: Final = 10.0  # ranges of train: beyond, a value is simply far
CHUNK: Final = 4096  # rows that are made points at a time


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """All rows of a comparison, made points when they are asked for."""

    numbers: Sequence[Floats]  # (n,) of each column with an order
    places: Sequence[Codes]  # (n,) which coordinate of a column is 1; -1: none
    sizes: Sequence[int]  # how many coordinates each of them has

    @property
    def d(self) -> int:
        return len(self.numbers) + sum(self.sizes)

    @classmethod
    def of(cls, c: Comparison) -> Points:
        levels = max(2, COORDINATES // max(1, sum(isinstance(column, Levels) for column in c.columns)))
        numbers: list[Floats] = []
        places: list[Codes] = []
        for column in c.columns:
            if isinstance(column, Levels):
                places.append(frequent(column, np.concatenate([c.train, c.synthetic]), levels))
                continue
            known = column.marks == 0
            numbers.append(_scaled(column.values, known, c.train))
            if not known.all():
                places.append(_dense(np.where(known, -1, column.marks).astype(np.int32)))
        return cls(numbers, places, [int(place.max(initial=-1)) + 1 for place in places])

    def at(self, rows: Rows) -> Floats:
        """(len(rows), d)"""
        out, begin = np.zeros((len(rows), self.d)), len(self.numbers)
        for k, numbers in enumerate(self.numbers):
            out[:, k] = numbers[rows]
        for places, size in zip(self.places, self.sizes, strict=True):
            place = places[rows]
            there = np.flatnonzero(place >= 0)
            out[there, begin + place[there]] = 1
            begin += size
        return out

    def from_centre(self, rows: Rows, centre: Floats) -> Floats:
        """(len(rows),) the distance to a point."""
        return np.concatenate([np.sqrt(((points - centre) ** 2).sum(axis=1)) for points in self._chunks(rows)])

    def mean(self, rows: Rows) -> Floats:
        total: Floats = np.sum([points.sum(axis=0) for points in self._chunks(rows)], axis=0) / len(rows)
        return total

    def _chunks(self, rows: Rows) -> Iterator[Floats]:
        for begin in range(0, len(rows), CHUNK):
            yield self.at(rows[begin : begin + CHUNK])


def _scaled(values: Floats, known: npt.NDArray[np.bool_], train: Rows) -> Floats:
    usual = values[train][known[train]]
    low, high = (float(usual.min()), float(usual.max())) if len(usual) else (0.0, 0.0)
    with np.errstate(over="ignore"):
        scaled = np.clip((values - low) / (high - low or 1.0), -FAR, 1 + FAR)
    middle = float(scaled[train][known[train]].mean()) if len(usual) else 0.0
    return np.where(known, scaled, middle)


def frequent(column: Levels, rows: Rows, most: int) -> Codes:
    """The place of each level by its frequency in these rows; those beyond share the last.

    The rows are of both sets: levels that happen to be frequent in one would seem to be rare in the other.
    """
    order = np.argsort(-np.bincount(column.codes[rows], minlength=column.size), kind="stable")
    place = np.empty(column.size, np.int32)
    place[order] = np.minimum(np.arange(column.size), most - 1)
    return place[column.codes]


def _dense(places: Codes) -> Codes:
    """The same places without those that no row has."""
    used = np.unique(places[places >= 0])
    return np.where(places >= 0, np.searchsorted(used, places), -1).astype(np.int32)
