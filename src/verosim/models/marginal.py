"""The marginal of one field: every value has its place in the cumulated shares, and every place has its value.

A field is cut into cells that stand in order: its levels; or its marks, its atoms, and small intervals of the positions
between atoms. A model file holds the number of rows in each cell, and nothing else of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Field, Floats, saved_array

MAX_CELLS = 1024  # positions are about uniform by their making: finer intervals would tell no more of a column


@dataclass(frozen=True)
class Marginal:
    """How many rows each of the k cells of a field holds.

    >>> flag = Marginal.of(np.array([1, 0, 1, 1], np.int32), Field("flag", levels=2), group=5)
    >>> flag.quantile(np.array([0.0, 0.2, 0.25, 0.9])).tolist()
    [0, 0, 1, 1]
    """

    field: Field
    intervals: int  # ordered: into how many equal intervals [0, 1) was cut, before atoms were taken out
    counts: Array  # (k,) int64

    @classmethod
    def of(cls, array: Array, field: Field, group: int) -> Marginal:
        """Of codes (n,); an interval of positions holds about `group` rows or more."""
        if not field.ordered:
            return cls(field, 0, np.bincount(array, minlength=field.levels))
        intervals = int(np.clip((array >= 0).sum() // group, 1, MAX_CELLS))
        edges = _edges(field, intervals)
        return cls(field, intervals, np.bincount(_cell(array, edges), minlength=len(edges) - 1))

    @cached_property
    def edges(self) -> Floats:
        """(k + 1,) cell i holds the codes from edges[i] up to, not including, edges[i + 1]."""
        return _edges(self.field, self.intervals)

    @cached_property
    def ends(self) -> Floats:
        """(k + 1,) the share of rows that lie below each edge. No rows at all: every cell is as likely."""
        counts = self.counts.astype(np.float64) if self.counts.any() else np.ones(len(self.counts))
        below = np.concatenate([[0.0], np.cumsum(counts)])
        return np.asarray(below / below[-1]) if len(counts) else below

    @cached_property
    def only(self) -> Floats:
        """(k,) the one value that a cell stands for: a level, a mark, an atom's middle. NaN: any in the cell."""
        low, field = self.edges[:-1], self.field
        if not field.ordered:
            return low
        atom = field.atom(low)
        middle = np.append(field.atoms.mean(1) if len(field.atoms) else [], np.nan)[atom]  # -1: no atom, NaN
        return np.where(low < 0, low, middle)

    def at(self, temperature: float) -> Marginal:
        """A category with the commoner levels commoner (below 1), or all more alike (above 1).

        >>> Marginal(Field("flag", levels=2), 0, np.array([1, 3])).at(0.5).counts.tolist()
        [1.0, 9.0]
        """
        if temperature == 1 or self.field.ordered or not self.counts.any():
            return self
        return replace(self, counts=(self.counts / self.counts[self.counts > 0].min()) ** (1 / temperature))

    def draw(self, n: int, rng: np.random.Generator, temperature: float) -> Array:
        """(n,) codes: levels at the temperature, positions nearer to the median or further from it."""
        shares = rng.random(n)
        return self.at(temperature).quantile(spread(shares, temperature) if self.field.ordered else shares)

    def quantile(self, shares: Floats) -> Array:
        """The codes (n,) at these shares of the rows (n,), in [0, 1)."""
        cell = np.searchsorted(self.ends[1:], shares, "right")
        if not self.field.ordered:
            return cell.astype(np.int32)
        low, high, begin = self.edges[cell], self.edges[cell + 1], self.ends[cell]
        inside = low + (shares - begin) / (self.ends[cell + 1] - begin) * (high - low)
        only = self.only[cell]
        return np.where(np.isnan(only), np.minimum(inside, np.nextafter(high, -np.inf)), only)

    def shares(self, array: Array, inside: Floats) -> Floats:
        """Where codes (n,) stand: (n,) in [0, 1]. The single value of a cell stands at `inside` (n,) of its range."""
        cell = _cell(array, self.edges)
        low, high, begin = self.edges[cell], self.edges[cell + 1], self.ends[cell]
        inside = np.where(np.isnan(self.only[cell]), (array - low) / (high - low), inside)
        return np.asarray(begin + inside * (self.ends[cell + 1] - begin))


def spread(shares: Floats, temperature: float) -> Floats:
    """Shares in [0, 1) drawn nearer to the middle (temperature below 1) or further from it; 1 changes none.

    The log odds of each are scaled by sqrt(temperature), by which the scores of a bell curve are.

    >>> spread(np.array([0.0, 0.1, 0.5, 0.9]), 0.25).round(2).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    if temperature == 1:
        return shares
    scale = np.sqrt(temperature)
    low, high = shares**scale, (1 - shares) ** scale
    return np.minimum(low / (low + high), np.nextafter(1.0, 0.0))


def _edges(field: Field, intervals: int) -> Floats:
    """The edges of a field's cells, ascending. Level i: from i to i + 1; mark -m: to -m + 1."""
    if not field.ordered:
        return np.arange(field.levels + 1, dtype=np.float64)
    grid = np.linspace(0, 1, intervals + 1)
    edges = np.concatenate([[0.0, 1.0], grid[field.atom(grid) < 0], field.atoms.ravel()])
    return np.concatenate([np.arange(-field.marks, 0, dtype=np.float64), np.unique(edges)])


def _cell(array: Array, edges: Floats) -> Array:
    """The cell of each code; what lies outside takes the nearest."""
    return np.clip(np.searchsorted(edges, array, "right") - 1, 0, len(edges) - 2)


# ------------------------------------------------------------------------------------------- to arrays and back


def pack_marginals(marginals: Sequence[Marginal]) -> dict[str, Array]:
    """Several marginals as two arrays: `intervals` (fields,), and `counts` end to end."""
    counts = [np.zeros(0, np.int64), *(m.counts for m in marginals)]
    return {"intervals": np.array([m.intervals for m in marginals], np.int64), "counts": np.concatenate(counts)}


def unpack_marginals(fields: Sequence[Field], arrays: Mapping[str, Array]) -> list[Marginal]:
    """What `pack_marginals` gave of these fields, checked. Raises ModelFileError."""
    intervals, counts = saved_array(arrays, "intervals", np.int64), saved_array(arrays, "counts", np.int64)
    if len(intervals) != len(fields) or ((intervals < 0) | (intervals > MAX_CELLS)).any() or (counts < 0).any():
        raise ModelFileError("the saved marginals are damaged: fit and save the model again.")
    marginals, start = [], 0
    for field, pieces in zip(fields, intervals.tolist(), strict=True):
        size = field.levels or len(_edges(field, max(1, pieces))) - 1
        if start + size > len(counts):
            break
        marginals.append(Marginal(field, max(1, pieces) if field.ordered else 0, counts[start : start + size]))
        start += size
    if len(marginals) < len(fields) or start < len(counts):
        raise ModelFileError("the saved marginals are damaged: their counts do not fit the fields.")
    return marginals
