"""The two experts of the chain: how one column is drawn, given the codes of others.

* `Donors`: a tree groups the rows, and a value is drawn from the rows of the leaf (Reiter, Using CART to generate
  partially synthetic public use microdata, 2005), spread between its neighbours in the leaf: no cell is copied.
* `Classes`: boosted class probabilities, where a column has few values: many weak effects add up, no leaf's people
  are repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Field, Floats, saved_array
from verosim.models.boost import Boosted
from verosim.models.features import MARKS, SCALE, positions, to_codes
from verosim.models.marginal import spread
from verosim.models.trees import Tree, pack, unpack

ASKED = 256  # donors of one leaf that a density is made of, at most


@dataclass(frozen=True, slots=True)
class Donors:
    """A tree whose leaves hold the codes of their rows: leaf l those from `starts[l]` to `starts[l + 1]`."""

    tree: Tree
    codes: Array  # (r,) category: int32 levels. Ordered: uint16 codes, ascending in a leaf, no finer than `cell`
    starts: Array  # (leaves + 1,) int64
    low: Array  # (r,) where the positions that a donor may give begin; an atom's middle exactly. Category: its level
    width: Array  # (r,) and how wide they are: 0 for atoms and marks. Category: empty

    @classmethod
    def fill(cls, tree: Tree, X: Array, array: Array, field: Field, cell: float) -> Donors:
        """Put the rows with codes X (F, n) and values `array` (n,) into the leaves of `tree`.

        cell: the finest step of a position that is kept, as a share of the rows: what a model file tells of one value.
        """
        leaf = tree.leaves(X)
        codes = _coarsen(array, field, cell) if field.ordered else array.astype(np.int32)
        by_leaf = np.lexsort((codes, leaf))
        starts = np.concatenate([[0], np.cumsum(np.bincount(leaf, minlength=tree.n_leaves))])
        return cls._of(tree, codes[by_leaf], starts, field, cell)

    @classmethod
    def _of(cls, tree: Tree, codes: Array, starts: Array, field: Field, cell: float) -> Donors:
        low, width = _intervals(codes, starts, field, cell) if field.ordered else (codes, np.zeros(0))
        return cls(tree, codes, starts, low, width)

    def draw(self, X: Array, rng: np.random.Generator, temperature: float = 1.0) -> Array:
        """X: (F, n) uint16 -> (n,) levels or positions; at a temperature those nearer to the leaf's median, or its
        commoner levels."""
        leaf = self.tree.leaves(X)
        begin, chance = self.starts[leaf], rng.random(len(leaf))
        if temperature != 1 and not len(self.width):
            return self.low[self._commoner(leaf, chance, temperature)]
        size = self.starts[leaf + 1] - begin
        donor = begin + (spread(chance, temperature) * size).astype(np.int64)
        if not len(self.width):
            return self.low[donor]
        return self.low[donor] + rng.random(len(leaf)) * self.width[donor]

    def _commoner(self, leaf: Array, chance: Floats, temperature: float) -> Array:
        """A donor for each leaf (n,): a level that c of its donors hold has the weight c ** (1 / temperature)."""
        first = np.diff(self.codes, prepend=self.codes[:1] - 1) != 0
        first[self.starts[:-1]] = True  # equal codes stand side by side in a leaf
        held = np.diff(np.flatnonzero(np.append(first, True)))
        held = np.repeat(held, held)
        most = np.repeat(np.maximum.reduceat(held, self.starts[:-1]), np.diff(self.starts))
        weight = (held / most) ** (1 / temperature - 1)  # of the leaf's commonest level: 1
        below = np.concatenate([[0.0], np.cumsum(weight)])
        begin, end = below[self.starts[leaf]], below[self.starts[leaf + 1]]
        donor = np.searchsorted(below, begin + chance * (end - begin), "right") - 1
        return np.clip(donor, self.starts[leaf], self.starts[leaf + 1] - 1)

    def density(self, X: Array, values: Array) -> Floats:
        """(n,) how likely each value is in its row's leaf: a chance for levels, marks and atoms, else a density."""
        leaf = self.tree.leaves(X)
        begin, size = self.starts[leaf], np.diff(self.starts)[leaf]
        asked = np.minimum(size, ASKED)
        row = np.repeat(np.arange(len(leaf)), asked)
        number = np.arange(len(row)) - np.repeat(np.cumsum(asked) - asked, asked)
        donor = begin[row] + number * size[row] // asked[row]  # of a large leaf, some that lie evenly
        low, value = self.low[donor], values[row]
        if len(self.width):
            width = self.width[donor]
            inside = (value >= low) & (value < low + width)
            there = np.divide(inside, width, out=(low == value).astype(float), where=width > 0)
        else:
            there = (low == value).astype(float)
        return np.bincount(row, there, len(leaf)) / asked

    def arrays(self) -> dict[str, Array]:
        return {**pack([self.tree]), "codes": self.codes, "starts": self.starts}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], n_features: int, field: Field, cell: float) -> Donors:
        """Raises ModelFileError for arrays that do not fit together."""
        (tree,) = unpack(arrays, [n_features])
        codes = saved_array(arrays, "codes", np.uint16 if field.ordered else np.int32)
        starts = saved_array(arrays, "starts", np.int64)
        highest = MARKS + SCALE - 1 if field.ordered else field.levels - 1
        lowest = MARKS - field.marks if field.ordered else 0
        fits = (
            len(starts) == tree.n_leaves + 1
            and starts[0] == 0
            and starts[-1] == len(codes)
            and (np.diff(starts) > 0).all()
        )
        if not fits or codes.min() < lowest or codes.max() > highest:
            raise ModelFileError(f"the saved donors of {field.name!r} are damaged.")
        return cls._of(tree, codes, starts, field, cell)


def _coarsen(array: Array, field: Field, cell: float) -> Array:
    """Codes of an ordered array; those of no atom and no mark in steps of `cell`."""
    codes = to_codes(array, field)
    step = max(1, round(cell * SCALE))
    coarse = np.minimum(MARKS + (codes.astype(np.int64) - MARKS) // step * step + step // 2, MARKS + SCALE - 1)
    return np.where((array < 0) | (field.atom(array) >= 0), codes, coarse).astype(np.uint16)


def _intervals(codes: Array, starts: Array, field: Field, cell: float) -> tuple[Array, Array]:
    """For each donor, the positions it may give: half-way to its neighbours in the leaf, at least `cell` wide.

    Atoms and marks give themselves only. The outermost donors of a leaf reach out as far as they reach in.
    """
    position = positions(codes)
    atom = field.atom(position)
    fixed = (position < 0) | (atom >= 0)
    leaf = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    joined = (leaf[1:] == leaf[:-1]) & (position[:-1] >= 0)  # the next donor is of the same leaf, and both are values
    gap = np.where(joined, np.diff(position) / 2, np.nan)
    below, above = np.concatenate([[np.nan], gap]), np.concatenate([gap, [np.nan]])
    below, above = np.where(np.isnan(below), above, below), np.where(np.isnan(above), below, above)
    below, above = (np.maximum(np.nan_to_num(side), cell / 2) for side in (below, above))
    low = np.maximum(position - below, 0.0)
    width = np.minimum(position + above, 1 - 1e-6) - low
    middle = field.atoms.mean(1)[atom] if len(field.atoms) else position
    low = np.where(position < 0, position, np.where(fixed, middle, low))
    return low, np.where(fixed, 0.0, width)


@dataclass(frozen=True, slots=True)
class Classes:
    """Boosted probabilities of the few values that a column has."""

    boosted: Boosted
    values: Array  # (K,) the level, position or mark of each class

    def draw(self, X: Array, rng: np.random.Generator, temperature: float = 1.0) -> Array:
        """X: (F, n) uint16 -> (n,) levels or positions."""
        chances = self.boosted.probabilities(X)
        if temperature != 1:
            chances = (chances / chances.max(1, keepdims=True)) ** (1 / temperature)
        cumulated = chances.cumsum(1)
        chance = rng.random(len(cumulated))[:, None] * cumulated[:, -1:]
        return self.values[np.minimum((cumulated <= chance).sum(1), len(self.values) - 1)]

    def density(self, X: Array, values: Array) -> Floats:
        """(n,) the chance of each value; 0 for one that was never seen."""
        order = np.argsort(self.values)
        at = order[np.minimum(np.searchsorted(self.values, values, sorter=order), len(order) - 1)]
        chance = self.boosted.probabilities(X)[np.arange(len(values)), at]
        return np.where(self.values[at] == values, chance, 0.0)

    def arrays(self) -> dict[str, Array]:
        return {**self.boosted.arrays(), "classes": self.values}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], n_features: int, field: Field) -> Classes:
        """Raises ModelFileError for arrays that do not fit together."""
        boosted = Boosted.restore(arrays, n_features)
        values = saved_array(arrays, "classes", np.float64 if field.ordered else np.int32)
        allowed = (values >= -field.marks) & (values < 1) if field.ordered else (values >= 0) & (values < field.levels)
        if len(values) != len(boosted.prior) or not len(values) or not allowed.all():
            raise ModelFileError(f"the saved classes of {field.name!r} are damaged.")
        return cls(boosted, values)
