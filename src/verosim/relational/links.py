"""Which row of another table a row names, where that table does not own it: neither at random, nor twice.

The rows that may be named are put into **groups** by a tree that tells from their own columns what those who name them
are like. A row is drawn with the group it names, as one more column; then each takes one of the group's places, of
which every row offers as many as it is to be named (counts.py). So degrees are kept, and dependence too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.errors import ModelFileError
from verosim.keys import NONE, Ints
from verosim.models import Array, Codes, Floats, State, part, saved_array
from verosim.models.features import features, rank
from verosim.models.trees import Tree, grow, pack, unpack
from verosim.schema import Table

MOST: Final = 24  # groups, more or less
LISTED: Final = 64  # rows of a kept table that are told apart, each a group
_PRIOR: Final = 3.0  # rows of the whole that are added to those that name a row: few say little


class Groups:
    """The rows of a table by what those who name them are like."""

    def __init__(self, codec: TableCodec | None, ranks: Mapping[int, Array], tree: Tree | None, listed: int) -> None:
        self.codec, self.ranks, self.tree = codec, ranks, tree
        self.listed = listed  # rows that are groups themselves; 0: the tree says, or all are one group

    @classmethod
    def fit(cls, rows: pl.DataFrame, table: Table, told: Floats, k: int, kept: bool) -> Self:
        """rows: those that may be named, of `table`'s columns; told: (n, m) what those who name each are like."""
        n = rows.height
        if kept and n <= LISTED:
            return cls(None, {}, None, n)
        least = max(k, n // MOST)
        if n < 2 * least or not told.shape[1] or not table.columns:
            return cls(None, {}, None, 0)
        codec = TableCodec(table, k).fit(rows)
        codes = codec.encode(rows)
        if not codes.fields:
            return cls(None, {}, None, 0)
        ranks = {i: rank(codes.arrays[i], f.levels, told) for i, f in enumerate(codes.fields) if not f.ordered}
        return cls(codec, ranks, grow(_features(codes, ranks), told, min_leaf=least)[0], 0)

    def of(self, rows: pl.DataFrame) -> Ints:
        """(n,) the group of each row."""
        if self.listed:
            return np.arange(rows.height) % self.listed
        if self.codec is None or self.tree is None:
            return np.zeros(rows.height, np.int64)
        return self.tree.leaves(_features(self.codec.encode(rows.select(self.codec.table.names)), self.ranks))

    def state(self) -> State:
        if self.codec is None or self.tree is None:
            return {"listed": self.listed}, {}
        meta, arrays = self.codec.state()
        arrays = {f"codec/{n}": a for n, a in arrays.items()} | {f"rank{i}": r for i, r in self.ranks.items()}
        return {"listed": self.listed, "codec": meta}, arrays | pack([self.tree])

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        if "codec" not in meta:
            return cls(None, {}, None, int(meta["listed"]))
        codec = TableCodec.restore(meta["codec"], part(arrays, "codec/"))
        fields = codec.fields
        ranks = {i: saved_array(arrays, f"rank{i}", np.uint16) for i, f in enumerate(fields) if not f.ordered}
        if any(len(levels) != fields[i].levels for i, levels in ranks.items()):
            raise ModelFileError("the saved groups of rows are damaged.")
        (tree,) = unpack(arrays, [len(fields)])
        return cls(codec, ranks, tree, 0)


def _features(codes: Codes, ranks: Mapping[int, Array]) -> Array:
    return features(range(len(codes.fields)), ranks, codes.fields, dict(enumerate(codes.arrays)), codes.n)


def told_of(signals: list[Floats], named: Ints, n: int) -> Floats:
    """(n, m) what those who name each of n rows are like: the means of their signals, each (c,), in spreads."""
    there = named >= 0
    counts = np.bincount(named[there], minlength=n)
    out = []
    for values in signals:
        centred = (
            np.nan_to_num((values - np.nanmean(values)) / (np.nanstd(values) + 1e-12))
            if np.isfinite(values).any()
            else 0 * values
        )
        out.append(np.bincount(named[there], np.nan_to_num(centred[there]), n) / (counts + _PRIOR))
    return np.stack(out, 1) if out else np.zeros((n, 0))


@dataclass(slots=True)
class Places:
    """The places that rows offer, group by group, in an order of chance; what is taken is gone until all are."""

    rows: Ints  # (s,) whose place it is, group by group
    starts: Ints  # (groups + 1,) where each group's places begin
    taken: Ints  # (groups,) how many are

    @classmethod
    def of(cls, counts: Ints, groups: Ints, rng: np.random.Generator) -> Self:
        """counts, groups: (n,) the places and the group of each row."""
        rows = np.repeat(np.arange(len(counts)), counts)
        n_groups = int(groups.max(initial=0)) + 1
        order = np.lexsort((rng.random(len(rows)), groups[rows]))
        starts = np.concatenate([[0], np.cumsum(np.bincount(groups[rows], minlength=n_groups))])
        return cls(rows[order], starts, np.zeros(n_groups, np.int64))

    def take(self, wanted: Ints, rng: np.random.Generator) -> Ints:
        """(m,) a row for each wanted group; NONE for NONE, and where there are no rows.

        Where a group has no place left, one of the others' is taken.
        """
        out, sizes = np.full(len(wanted), NONE), np.diff(self.starts)
        for group in np.unique(wanted[wanted >= 0]).tolist():
            mine = np.flatnonzero(wanted == group)
            if group < len(sizes):
                first, n = self.starts[group] + self.taken[group], min(len(mine), int(sizes[group] - self.taken[group]))
                out[mine[:n]] = self.rows[first : first + n]
                self.taken[group] += n
        left = np.flatnonzero((wanted >= 0) & (out < 0))
        while len(left) and len(self.rows):
            free = np.repeat(np.arange(len(sizes)), sizes - self.taken)
            if not len(free):
                self.taken[:] = 0
                continue
            some = np.sort(rng.choice(free, min(len(left), len(free)), replace=False))
            nth = np.arange(len(some)) - np.searchsorted(some, some)
            out[left[: len(some)]] = self.rows[(self.starts[:-1] + self.taken)[some] + nth]
            self.taken += np.bincount(some, minlength=len(sizes))
            left = left[len(some) :]
        return out


def set_apart(owners: Ints, named: Ints, counts: Ints, rng: np.random.Generator) -> Ints:
    """`named` (n,) so that no owner (n,) names a row twice: first by exchange, which keeps how often each is named.

    counts: (rows,) how often each row is to be named: by these chances one is chosen where exchange does not help.
    """
    named = named.copy()
    for _ in range(60):
        bad = again(owners, named)
        if not len(bad):
            return named
        other = rng.permutation(len(named))[: len(bad)]
        trial = named.copy()
        trial[bad], trial[other] = named[other], named[bad]
        if len(again(owners, trial)) < len(bad):
            named = trial
    for i in again(owners, named).tolist():  # few: nearly every owner names nearly every row
        chance = np.maximum(counts, 1e-9).astype(float)
        chance[named[(owners == owners[i]) & (named >= 0)]] = 0.0
        named[i] = rng.choice(len(counts), p=chance / chance.sum()) if chance.sum() > 0 else NONE
    return named


def agreeing(named: Ints, wanted: Ints, offered: Ints, counts: Ints, rng: np.random.Generator) -> Ints:
    """`named` (n,) so that each row names one that agrees with it; NONE where there is none.

    wanted: (n,) what the row says, as a number; offered: (rows,) what those that may be named say; counts: (rows,) how
    often each is to be named: by these chances another one is chosen.
    """
    bad = np.flatnonzero(named >= 0)
    bad = bad[offered[named[bad]] != wanted[bad]]
    named = named.copy()
    named[bad] = among(wanted[bad], offered, counts, rng)
    return named


def among(wanted: Ints, offered: Ints, counts: Ints, rng: np.random.Generator) -> Ints:
    """(m,) for each row one that offers what it wants, by the chances `counts` (rows,); NONE where none does."""
    order = np.argsort(offered, kind="stable")
    ends = np.append(0.0, np.cumsum(counts[order] + 1e-6))
    first, last = (np.searchsorted(offered[order], wanted, side) for side in ("left", "right"))
    chance = ends[first] + rng.random(len(wanted)) * (ends[last] - ends[first])
    place = np.clip(np.searchsorted(ends, chance, "right") - 1, first, np.maximum(last - 1, first))
    if not len(order):
        return np.full(len(wanted), NONE)
    return np.where(last > first, order[np.minimum(place, len(order) - 1)], NONE)


def again(owners: Ints, named: Ints) -> Ints:
    """The places where an owner names a row that it named before."""
    there = np.flatnonzero((named >= 0) & (owners >= 0))
    first = np.unique(np.stack([owners[there], named[there]]), axis=1, return_index=True)[1]
    return np.setdiff1d(there, there[first], assume_unique=True)


def rooted(depth: Ints, share: float, rng: np.random.Generator) -> Ints:
    """The depths (n,) with this share of rows at 0, one at least: the least deep; others there go one step down."""
    wanted = max(1, round(share * len(depth)))
    by_depth = np.lexsort((rng.random(len(depth)), depth))
    out = np.maximum(depth, 1)
    out[by_depth[:wanted]] = 0
    return out


def above(depth: Ints, counts: Ints, rng: np.random.Generator) -> Ints:
    """(n,) for each row one of the same table that is one step less deep; NONE at depth 0: nobody is its own ancestor.

    counts: (n,) how often each is to be named.
    """
    out = np.full(len(depth), NONE)
    for level in range(1, int(depth.max(initial=0)) + 1):
        mine, over = np.flatnonzero(depth == level), np.flatnonzero(depth < level)
        over = over[depth[over] == depth[over].max(initial=0)]
        if len(over):
            stubs = np.repeat(over, counts[over])
            extra = rng.choice(over, max(0, len(mine) - len(stubs)))
            out[mine] = rng.permutation(np.concatenate([rng.permutation(stubs)[: len(mine)], extra]))
    return out
