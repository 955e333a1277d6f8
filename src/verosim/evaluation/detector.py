"""A detector: boosted trees that tell two sets of rows apart, judged on rows that they were not fitted on.

Gradient boosting of the logistic loss (Friedman, Greedy Function Approximation, 2001) over histograms of byte codes,
one cell a code. The trees of the models are not used here: a judge that shares the weaknesses of what it judges is
blind to them, and fine cells matter, since rounded or smeared values show only there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int = 60  # 100 trees of depth 6, the usual default, find no more at three times the cost
    rate: float = 0.3  # share of a Newton step taken
    depth: int = 5
    min_leaf: int = 5  # rows
    ridge: float = 1.0  # added to the curvature of a leaf; a row has at most 1/4


@dataclass(frozen=True, slots=True)
class _Cells:
    """The codes of all features in one line of histogram cells: feature 0 from 0, feature 1 behind it ..."""

    codes: Bytes  # (p, n)
    start: Ints  # (p,) the first cell of each feature
    feature: Ints  # (cells,)
    code: Ints  # (cells,)

    @classmethod
    def of(cls, codes: Bytes) -> _Cells:
        sizes = codes.max(axis=1).astype(np.int64) + 1
        start, feature = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(sizes)), sizes)
        return cls(codes, start, feature, np.arange(len(feature)) - start[feature])

    def within(self, sums: Floats) -> Floats:
        """(k, cells) -> sums from the feature's first cell up to and with each cell."""
        total = np.zeros((len(sums), sums.shape[1] + 1))
        np.cumsum(sums, axis=1, out=total[:, 1:])
        return total[:, 1:] - total[:, self.start[self.feature]]


@dataclass(frozen=True, slots=True)
class _Tree:
    """Levels of splits: a row of `node` goes to 2 node + 1 where the code of its feature is above the cut."""

    levels: list[tuple[Ints, Ints]]  # feature and cut of each of the 1, 2, 4 ... nodes; after a cut of 255 all go left
    values: Floats  # (2 ** levels,) of the leaves

    def scores(self, codes: Bytes) -> Floats:
        node = np.zeros(codes.shape[1], np.int64)
        for feature, cut in self.levels:
            node = _descend(node, codes, feature, cut)
        return self.values[node]


def _descend(node: Ints, codes: Bytes, feature: Ints, cut: Ints) -> Ints:
    return 2 * node + (codes[feature[node], np.arange(len(node))] > cut[node])


ONE: Final = 2.0**20  # a row's count in a sum that also holds its gradient, which is at most 1: one histogram for both


def _grow(cells: _Cells, index: Ints, gradient: Floats, curve: Floats, o: Options) -> tuple[_Tree, Ints, Floats]:
    """One tree, the leaf of each row, and what each feature gained below each. index: (p, n) the cell of each code."""
    n_cells, node, gains = len(cells.feature), np.zeros(len(gradient), np.int64), np.zeros(2 * index.shape[:1])
    packed, levels = np.tile(ONE + gradient, len(cells.codes)), list[tuple[Ints, Ints]]()
    for depth in range(o.depth):
        k = 1 << depth
        sums: Floats = np.bincount((index + node * n_cells).ravel(), packed, k * n_cells)  # type: ignore[assignment]
        best, gain = _best_cells(cells, sums.reshape(k, n_cells), o)
        split = gain > 0
        if not split.any():
            break
        feature, cut = cells.feature[best], np.where(split, cells.code[best], 255)
        above = np.repeat(levels[-1][0], 2) if levels else feature
        np.add.at(gains, (above[split], feature[split]), gain[split])
        levels.append((feature, cut))
        node = _descend(node, cells.codes, feature, cut)
    slope, bend = (np.bincount(node, of, 1 << len(levels)) for of in (gradient, curve))
    return _Tree(levels, o.rate * slope / (bend + o.ridge)), node, gains


def _best_cells(cells: _Cells, sums: Floats, o: Options) -> tuple[Ints, Floats]:
    """For each of k nodes the last cell to go left, and how much that lowers the squared error of the gradient."""
    count = np.rint(sums / ONE)
    n_left, in_left = cells.within(count), cells.within(sums - count * ONE)
    n, whole = n_left[:, -1:], in_left[:, -1:]  # the last cell of the last feature: all rows lie left
    n_right, in_right = n - n_left, whole - in_left
    ridge = 4 * o.ridge
    score = in_left**2 / (n_left + ridge) + in_right**2 / (n_right + ridge)
    score[(n_left < o.min_leaf) | (n_right < o.min_leaf)] = -np.inf
    best = score.argmax(axis=1)
    return best, score[np.arange(len(best)), best] - (whole**2 / (n + ridge))[:, 0]


def _boost(codes: Bytes, label: Bools, unseen: Bytes, o: Options) -> tuple[Floats, Floats]:
    """The log odds of `unseen` (p, m), and what the features gained in telling the rows of `codes` (p, n)."""
    cells, gains = _Cells.of(codes), np.zeros(2 * codes.shape[:1])
    index = codes + cells.start[:, None]
    odds, out = np.zeros(len(label)), np.zeros(unseen.shape[1])
    for _ in range(o.rounds):
        chance = 1 / (1 + np.exp(-odds))
        tree, leaf, gain = _grow(cells, index, label - chance, chance * (1 - chance), o)
        odds += tree.values[leaf]
        out += tree.scores(unseen)
        gains += gain
    return out, gains


def _folds(label: Bools, folds: int, rng: np.random.Generator) -> Ints:
    """(n,) the fold of each, both labels spread evenly."""
    order, fold = rng.permutation(len(label)), np.empty(len(label), np.int64)
    fold[order[np.argsort(label[order], kind="stable")]] = np.arange(len(label)) % folds
    return fold


def classify(
    codes: Bytes,
    label: Bools,
    folds: int,
    rng: np.random.Generator,
    options: Options = Options(),
    groups: Ints | None = None,
) -> tuple[Floats, Floats]:
    """The log odds of `label` for each row, by trees fitted on the other folds, and what the features gained.

    codes: (p, n) byte codes, label: (n,); both labels are spread evenly over the folds. -> (n,), (p, p): the gain of
    the splits by the second feature right below a split by the first. The gain of first splits is on the diagonal.
    groups: (n,) rows of one label that are alike, and so lie in one fold: in another they would give each other away.
    """
    _, first, group = np.unique(
        np.arange(len(label)) if groups is None else groups, return_index=True, return_inverse=True
    )
    fold = _folds(label[first], folds, rng)[group]
    out, gains = np.zeros(len(label)), np.zeros(2 * codes.shape[:1])
    for k in range(folds):
        seen, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        out[held], gain = _boost(np.ascontiguousarray(codes[:, seen]), label[seen], codes[:, held], options)
        gains += gain
    return out, gains
