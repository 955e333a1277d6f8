"""Binary trees over integer codes, grown level by level with histograms that zoom in.

The features are uint16 codes, one row of `X` (F, n) a feature. The target is a matrix `Y` (n, m): a split is judged by
how much it lowers the squared error of all m outputs together (Breiman et al., Classification and Regression Trees,
1984; with several outputs, De'ath 2002), so a tree sees any change of the target's distribution that they express.

Every node cuts its own range of codes into `LOCAL` equal bins, and its children cut theirs again: a few bins are
enough, and deep nodes resolve single codes. One level costs O(n F m), whatever the number of nodes. Plain arrays in and
out: a saved tree holds no code and is checked on loading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Floats, saved_array

LOCAL = 32  # bins a node and feature: more cost time, and gave no better trees
DIRECT = 64  # ranks a feature that need no zoom
_BITS = LOCAL.bit_length() - 1
_CELLS = 1 << 14  # bins of all nodes that are judged together
_ONE = 2.0**24  # a row, in a sum that also holds its first output: exact to 2**-29 for sums of 2**24 rows
_CHUNK = 16_384  # rows walked together: what they touch stays in the processor's cache


class Tree:
    """A row goes to `left[node] + 1` where its `feature` code is above `threshold`, else to `left[node]`.

    feature, threshold, left: (nodes,) int32. A leaf has `left` = -1 - its number; children stand behind their parent.
    """

    def __init__(self, feature: Array, threshold: Array, left: Array) -> None:
        self.feature, self.threshold, self.left = feature, threshold, left
        self.n_leaves = (len(left) + 1) // 2
        leaf = left < 0
        # To walk without asking "is this a leaf?": a leaf leads to itself, since no code is above the largest.
        self._next = np.where(leaf, np.arange(len(left)), left)
        self._above = np.where(leaf, np.iinfo(np.uint16).max, threshold).astype(np.uint16)
        self._asks = np.where(leaf, 0, feature).astype(np.int64)
        self._depth, level = 0, np.zeros(1, np.int64)
        while len(level := level[left[level] >= 0]):
            self._depth, level = self._depth + 1, np.concatenate([left[level], left[level] + 1])

    def leaves(self, X: Array) -> Array:
        """The leaf of each row. X: (F, n) uint16 -> (n,) int64."""
        n = X.shape[1]
        flat, place = np.ascontiguousarray(X).reshape(-1), self._asks * n
        node = np.zeros(n, np.int64)
        for start in range(0, n, _CHUNK):
            stop = min(start + _CHUNK, n)
            row = np.arange(start, stop)
            at = self._next[0] + (X[self._asks[0], start:stop] > self._above[0])  # all rows ask the first node
            for _ in range(1, self._depth):
                code = flat.take(place.take(at, mode="clip") + row, mode="clip")
                at = self._next.take(at, mode="clip") + (code > self._above.take(at, mode="clip"))
            node[start:stop] = at
        return -1 - self.left[node]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Features to grow trees on: the rank of each code among those that occur, so that no bin is spent on a gap."""

    ranks: Array  # (F, n) uint16
    values: tuple[Array, ...]  # for each feature (2, ranks): the lowest and highest code of each rank, ascending

    @classmethod
    def of(cls, X: Array, most: int = 65_536) -> Ranks:
        """X: (F, n) uint16 codes. A feature of more than `most` codes gets ranks of about as many rows each."""
        ranks, values = np.empty_like(X), []
        for row, codes in zip(ranks, X, strict=True):
            counts = np.bincount(codes, minlength=1)
            found = np.flatnonzero(counts)
            rank = np.arange(len(found))
            if len(found) > most:
                rows = counts[found].astype(np.float64)
                for _ in range(5):  # a spike counts as one rank, and leaves the others to the others
                    rows = np.minimum(rows, rows.sum() / most)
                middle = np.cumsum(rows) - rows / 2
                rank = np.unique((middle * (most / rows.sum())).astype(np.int64), return_inverse=True)[1]
            begins = np.flatnonzero(np.diff(rank, prepend=-1))
            values.append(np.stack([found[begins], found[np.append(begins[1:], len(found)) - 1]]))
            table = np.zeros(len(counts), np.uint16)
            table[found] = rank
            row[:] = table[codes]
        return cls(ranks, tuple(values))

    def only(self, features: Array) -> Ranks:
        """Some of the features."""
        return Ranks(self.ranks[features], tuple(self.values[f] for f in features))

    def threshold(self, feature: int, rank: int) -> int:
        """The code half-way between those of a rank and the next."""
        lowest, highest = self.values[feature]
        return int(highest[rank] + lowest[rank + 1]) // 2


@dataclass(slots=True)
class _Level:
    """The nodes of one depth that may still be split, and their rows, which stand node by node in parallel arrays."""

    rows: Array  # (r,) numbers of the rows in the caller's arrays
    count: Array  # (k,) rows of each node
    codes: Array  # (F, r) uint16 ranks
    outputs: Floats  # (m, r)
    packed: Floats  # (r,) _ONE + the first output in units of `unit`: one histogram for counts and sums
    unit: float
    ids: Array  # (k,) number of each node in the tree
    low: Array  # (F, k) int32: the range of ranks that can occur in the node
    high: Array  # (F, k)


def grow(
    X: Array | Ranks,
    Y: Floats,
    *,
    min_leaf: int,
    max_depth: int = 24,
    min_gain: float = 0.0,
    ridge: float = 0.0,
) -> tuple[Tree, Array]:
    """A tree on X (F, n) uint16, or its ranks, and Y (n, m), whose leaves hold at least `min_leaf` rows.

    A split must lower the squared error by more than `min_gain`; `ridge` is added to the counts under each mean.
    Returns the tree, and the leaf of each row (n,).
    """
    X = X if isinstance(X, Ranks) else Ranks.of(X)
    n_features, n = X.ranks.shape
    sizes = np.array([values.shape[1] for values in X.values])
    feature, threshold, left = (np.zeros(2 * n + 1, np.int32) for _ in range(3))
    left[:] = -1
    home, total = np.zeros(n, np.int64), 1
    low, high = np.zeros((n_features, 1), np.int32), np.maximum(sizes - 1, 0).astype(np.int32)[:, None]
    outputs, unit = np.ascontiguousarray(Y.T), float(np.abs(Y[:, 0]).max(initial=1e-300))
    packed = _ONE + outputs[0] / unit
    level = _Level(np.arange(n), np.array([n]), X.ranks, outputs, packed, unit, np.zeros(1, np.int64), low, high)
    for _ in range(max_depth):
        if not len(level.ids) or len(level.rows) < 2 * min_leaf:
            break
        gain, by, at = _best_splits(level, sizes, min_leaf, ridge)
        split = gain > min_gain
        if not split.any():
            break
        ids, parents = total + np.arange(2 * split.sum()), level.ids[split]
        feature[parents], threshold[parents], left[parents] = by[split], at[split], ids[::2]
        total += len(ids)
        level = _children(level, split, by, at, ids, home, min_leaf)
    leaves = np.flatnonzero(left[:total] < 0)
    number = np.zeros(total, np.int64)
    number[leaves] = np.arange(len(leaves))
    left[leaves] = -1 - number[leaves]
    for node in np.flatnonzero(left[:total] >= 0).tolist():
        threshold[node] = X.threshold(feature[node], threshold[node])
    return Tree(feature[:total].copy(), threshold[:total].copy(), left[:total].copy()), number[home]


def _best_splits(level: _Level, sizes: Array, min_leaf: int, ridge: float) -> tuple[Floats, Array, Array]:
    """For each of the k nodes: the largest gain, its feature, and the rank that is the last to go left.

    sizes: (F,) how many ranks a feature has. Where no feature has many, each rank has its bin, and nothing zooms.
    """
    k, most = len(level.ids), int(sizes.max(initial=1))
    bins = most if most <= DIRECT else LOCAL
    best, by, at = np.full(k, -np.inf), np.zeros(k, np.int64), np.zeros(k, np.int64)
    if bins < 2:
        return best, by, at
    shift = np.maximum(0, np.ceil(np.log2(level.high - level.low + 1.0)).astype(np.int32) - _BITS)
    shift[sizes <= bins] = 0
    low = np.where(sizes[:, None] <= bins, 0, level.low)
    base = np.repeat(np.arange(k) * bins, level.count)
    starts = np.concatenate([[0], np.cumsum(level.count)[:-1]])
    whole = np.add.reduceat(level.outputs, starts, axis=1)  # (m, k)
    together = max(1, _CELLS // (k * bins))  # features judged at once: few calls, small arrays
    for first in range(0, len(sizes), together):
        some = range(first, min(first + together, len(sizes)))
        index = (_bins(level, f, base, low[f], shift[f], sizes[f] > bins) for f in some)
        sums = np.array([_histograms(level, i, k * bins) for i in index]).reshape(len(some), -1, k, bins)
        score = _scores(sums, level.count, whole, min_leaf, ridge)  # (features, k, bins - 1)
        flat = score.transpose(1, 0, 2).reshape(k, -1)
        place = flat.argmax(1)
        top = flat[np.arange(k), place]
        better = np.flatnonzero(top > best)
        feature, step = first + place[better] // (bins - 1), place[better] % (bins - 1)
        best[better], by[better] = top[better], feature
        at[better] = low[feature, better] + ((step + 1) << shift[feature, better]) - 1
    return best - (whole**2).sum(0) / (level.count + ridge), by, at


def _bins(level: _Level, f: int, base: Array, low: Array, shift: Array, zoom: bool) -> Array:
    """(r,) the bin of each row for feature f, counted through all nodes."""
    if not zoom:
        return base + level.codes[f]
    return base + ((level.codes[f] - np.repeat(low, level.count)) >> np.repeat(shift, level.count))


def _histograms(level: _Level, index: Array, size: int) -> Floats:
    """(1 + m, size) in each bin: the rows, and the sum of each output."""
    packed = np.bincount(index, level.packed, size)
    count = np.rint(packed / _ONE)
    others = (np.bincount(index, output, size) for output in level.outputs[1:])
    return np.stack([count, (packed - count * _ONE) * level.unit, *others])


def _scores(sums: Floats, count: Array, whole: Floats, min_leaf: int, ridge: float) -> Floats:
    """(F, k, bins - 1) what a cut after each bin takes off the squared error, up to a term of the node.

    sums: (F, 1 + m, k, bins) rows and outputs. A cut that leaves a side too few rows has -inf.
    """
    left = sums.cumsum(3)[..., :-1]
    n_left, in_left = left[:, 0], left[:, 1:]
    n_right, in_right = count[:, None] - n_left, whole[:, :, None] - in_left
    score = np.einsum("fmkb,fmkb->fkb", in_left, in_left) / np.maximum(n_left + ridge, 1e-9)
    score += np.einsum("fmkb,fmkb->fkb", in_right, in_right) / np.maximum(n_right + ridge, 1e-9)
    score[(n_left < min_leaf) | (n_right < min_leaf)] = -np.inf
    return score


def _children(level: _Level, split: Array, by: Array, at: Array, ids: Array, home: Array, min_leaf: int) -> _Level:
    """The next level: the children (numbered `ids`) large enough to be split. Notes every row's node in `home`."""
    node = np.repeat(np.arange(len(level.ids)), level.count)
    number, pair = np.cumsum(split) - 1, np.arange(split.sum())
    above = level.codes[by[node], np.arange(len(node))] > at[node]
    child = 2 * number[node] + above
    child[~split[node]] = -1
    home[level.rows] = np.where(child < 0, level.ids[node], ids[child])
    low, high = np.repeat(level.low[:, split], 2, 1), np.repeat(level.high[:, split], 2, 1)
    high[by[split], 2 * pair] = at[split]
    low[by[split], 2 * pair + 1] = at[split] + 1

    count = np.bincount(child[child >= 0], minlength=len(ids))
    large = count >= 2 * min_leaf
    rows = np.flatnonzero((child >= 0) & large[child])
    key = child[rows].astype(np.uint16) if len(ids) < 65_536 else child[rows]  # short keys are sorted by radix
    rows = rows[np.argsort(key, kind="stable")]
    codes, outputs = (np.take(a, rows, axis=1) for a in (level.codes, level.outputs))
    packed, ids, low, high = level.packed[rows], ids[large], low[:, large], high[:, large]
    return _Level(level.rows[rows], count[large], codes, outputs, packed, level.unit, ids, low, high)


# ------------------------------------------------------------------------------------------- to arrays and back


def pack(trees: Sequence[Tree]) -> dict[str, Array]:
    """Several trees as four arrays: `sizes` (trees,), and feature, threshold, left end to end."""
    empty = np.zeros(0, np.int32)
    parts = {
        part: np.concatenate([empty, *(getattr(t, part) for t in trees)]) for part in ("feature", "threshold", "left")
    }
    return {"sizes": np.array([len(t.left) for t in trees], np.int32), **parts}


def unpack(arrays: Mapping[str, Array], n_features: Sequence[int]) -> list[Tree]:
    """What `pack` gave, checked so that no walk can leave a tree or go on for ever.

    n_features: for each tree, how many features it may ask for. Raises ModelFileError.
    """
    sizes, feature, threshold, left = (
        saved_array(arrays, part, np.int32).astype(np.int64) for part in ("sizes", "feature", "threshold", "left")
    )
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    if len(sizes) != len(n_features) or (sizes < 1).any() or not len(feature) == len(threshold) == len(left) == total:
        raise ModelFileError("the saved trees are damaged: their sizes do not agree.")
    own = np.concatenate([np.arange(s) for s in sizes]) if total else np.zeros(0, np.int64)
    inner, size, allowed = left >= 0, np.repeat(sizes, sizes), np.repeat(np.asarray(n_features), sizes)
    good = np.where(inner, (left > own) & (left + 1 < size) & (feature >= 0) & (feature < allowed), left >= -size)
    if not (good & (threshold >= 0) & (threshold <= 65535)).all():
        raise ModelFileError("the saved trees are damaged: a node points outside its tree.")
    trees = [
        Tree(*(a[end - s : end].astype(np.int32) for a in (feature, threshold, left)))
        for s, end in zip(sizes, ends, strict=True)
    ]
    for tree in trees:
        if sorted((-1 - tree.left[tree.left < 0]).tolist()) != list(range(tree.n_leaves)):
            raise ModelFileError("the saved trees are damaged: their leaves are not numbered one by one.")
    return trees
