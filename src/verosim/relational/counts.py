"""How many children each parent has: drawn by a model that knows the parent's row, then brought to what was learned.

The model says which parents have many; `Counts` keeps how many have none, one, two ... and gives exactly those shares.
So chance adds nothing: a sample of a few hundred parents has the distribution that was learned, zeros and tails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.errors import ModelFileError, RuleError
from verosim.keys import Ints
from verosim.models import Array, saved_array


def _cells(parents: Ints, k: int) -> Ints:
    """The cell of each number, ascending: one of its own for each that k parents have, others together up to k.

    A number of k parents joins a few before it where it does not have many more than they: sharing their cell evenly
    then moves fewer of them than giving them up would.
    """
    cells, filled = list[int](), k
    for n in parents.tolist():
        opens = filled >= k or n >= max(k, 3 * filled)
        cells.append((cells[-1] if cells else -1) + opens)
        filled = n if opens else filled + n
    return np.array(cells, np.int64)


FAR: Final = 0.5  # share by which a sum differs from the usual one where all counts change, not only large ones


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of the parents have `low` to `high` children, a cell of at least k parents each: (cells,) each."""

    low: Ints
    high: Ints
    parents: Ints
    most: int  # children that a parent may have; 0: any number
    mean: float = 0.0  # children that a parent has: more than `like` gives, where few have very many

    @classmethod
    def fit(cls, counts: Ints, k: int, alone: bool = False) -> Self:
        """counts: (p,) the children of each parent; alone: each has one at most."""
        values, parents = np.unique(counts, return_counts=True)
        if not len(values):
            none = np.zeros(0, np.int64)
            return cls(none, none, none, int(alone))
        common = parents >= k
        cell = _cells(parents, k)
        for last in range(cell[-1], -1, -1):  # too few parents join a run of others, or take their neighbour's number
            own, before = cell == last, cell == last - 1
            if parents[own].sum() >= k:
                continue
            if before.any() and not common[before].any():
                cell[own] = last - 1
            elif common.any():
                near = np.flatnonzero(common)[np.abs(values[common] - values[own].mean()).argmin()]
                values[own], cell[own] = values[near], cell[near]
        order = np.unique(cell)
        sizes = np.array([parents[cell == c].sum() for c in order], np.int64)
        low = np.array([values[cell == c].min() for c in order], np.int64)
        means = np.array([np.average(values[cell == c], weights=parents[cell == c]) for c in order])
        high = np.maximum(np.rint(2 * means - low).astype(np.int64), low)
        return cls(low, high, sizes, int(alone), float(np.mean(counts)))

    def like(self, wanted: Array, rng: np.random.Generator) -> Ints:
        """(p,) the learned numbers of children, in the order that `wanted` (p,) puts the parents in."""
        order, n = np.lexsort((rng.random(len(wanted)), np.nan_to_num(wanted))), len(wanted)
        if not len(self.low) or not n:
            return np.zeros(n, np.int64)
        ends = np.cumsum(self.parents) / self.parents.sum()
        place = (np.arange(n) + 0.5) / n
        cell = np.minimum(np.searchsorted(ends, place), len(ends) - 1)
        within = (place - np.append(0.0, ends)[cell]) * self.parents.sum() / self.parents[cell]
        width = self.high[cell] - self.low[cell] + 1
        out = np.empty(n, np.int64)
        out[order] = self.low[cell] + np.minimum((within * width).astype(np.int64), width - 1)
        return out

    def summing(self, counts: Ints, total: int, what: str, rng: np.random.Generator) -> Ints:
        """The counts (p,) brought to a sum: in proportion where it is far off, then one by one."""
        if total > len(counts) * self.most if self.most else (total and not len(counts)):
            raise RuleError(
                f"{what}: {total:,} rows are asked, but {len(counts):,} parents have room for "
                f"{len(counts) * self.most:,}. Ask for fewer rows, or for more of the parents."
            )
        usual = self.mean * len(counts) or float(counts.sum())
        if usual and counts.any() and abs(total - usual) > FAR * usual:
            counts = np.floor(counts * (total / usual) + rng.random(len(counts))).astype(np.int64)
        if self.most:
            counts = np.minimum(counts, self.most)
        return _trimmed(counts, total, self.most, rng)

    def arrays(self) -> dict[str, Array]:
        return {
            "low": self.low,
            "high": self.high,
            "parents": self.parents,
            "most": np.array([self.most]),
            "mean": np.array([self.mean]),
        }

    @classmethod
    def restore(cls, arrays: Mapping[str, Array]) -> Self:
        low, high, parents, most = (saved_array(arrays, n, np.int64) for n in ("low", "high", "parents", "most"))
        mean = saved_array(arrays, "mean", np.float64)
        good = len(mean) == len(most) == 1 and len(low) == len(high) == len(parents)
        good = good and bool((high >= low).all() and (low >= 0).all())
        if not good or (parents <= 0).any():
            raise ModelFileError("the saved numbers of children are damaged.")
        return cls(low, high, parents, int(most[0]), float(mean[0]))


def _trimmed(counts: Ints, total: int, most: int, rng: np.random.Generator) -> Ints:
    """Counts that sum to `total`, none past `most` (0: no bound): large ones gain and lose, where it shows least."""
    counts = counts.copy()
    while (missing := total - int(counts.sum())) > 0:
        room = counts < most if most else np.ones(len(counts), bool)
        weight = np.where(room, np.maximum(counts, 1e-3) ** 2.0, 0.0)
        extra = rng.multinomial(missing, weight / weight.sum())
        counts += np.minimum(extra, most - counts) if most else extra
    if missing < 0:
        stubs = np.repeat(np.arange(len(counts)), counts)
        by = 2 * np.log(counts[stubs]) + rng.gumbel(size=len(stubs))  # chance in proportion, none twice
        gone = stubs[np.argpartition(-by, -missing - 1)[:-missing]]
        counts -= np.bincount(gone, minlength=len(counts))
    return counts
