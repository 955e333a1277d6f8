"""What happens next in the cases of an event log, or that a case is over: `Activities`, a chain in groups of cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.draws import scattered
from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, State, part
from verosim.models.features import to_codes
from verosim.models.markov import Markov
from verosim.models.trees import Tree, grow, pack, unpack
from verosim.schema import Column, Table
from verosim.sequences.order import Runs

NAMED: Final = 0.95  # share of the cases of a level that go alike, from which it is but a name of what happened
GROUPS: Final = 24  # levels of a column that may tell groups apart
GROUPED: Final = 50  # cases in a group by which what happens next is told, at least
AGAIN: Final = 20  # times that what happens next is drawn where a case may not end yet


def activity_codec(column: Column, runs: Runs, people: pl.Series, k: int) -> TableCodec:
    """people: (n,) whose each row is."""
    table = Table("activities", (replace(column, kind="category", unique=False),))
    return TableCodec(table, k).fit(runs.frame.select(column.name), people)


def field_of(codec: TableCodec) -> Field:
    """What models see of the activity; one level where it is always the same, or too rare to be told."""
    return codec.fields[0] if codec.fields else Field(codec.table.names[0], 1)


def encoded(codec: TableCodec, runs: Runs) -> Array:
    """(n,) int64"""
    arrays = codec.encode(runs.frame.select(codec.table.names)).arrays
    return arrays[0].astype(np.int64) if arrays else np.zeros(len(runs.new), np.int64)


@dataclass(frozen=True, slots=True)
class Activities:
    """groups: which group a case is of, by those columns, the same in a whole case, that are `telling`."""

    codec: TableCodec
    markov: Markov
    groups: Tree
    telling: list[int]

    @classmethod
    def fit(cls, codec: TableCodec, runs: Runs, told: Codes, k: int, rng: np.random.Generator) -> Self:
        """codec: see `activity_codec`. told: (s,) what is known of each case."""
        activity, levels = encoded(codec, runs), field_of(codec).levels
        about, trace = _about(runs, activity, levels), traces(runs, activity)
        telling = [i for i, a in enumerate(told.arrays) if not _named_by(a, trace)]
        least = max(GROUPED, 4 * k)
        tree, group = grow(_seen(told, telling), about, min_leaf=least, max_depth=4, min_gain=float(levels))
        return cls(codec, Markov().fit(activity, runs.lengths, levels, group, k, rng), tree, telling)

    @property
    def field(self) -> Field:
        return field_of(self.codec)

    @property
    def explained(self) -> str:
        remembered, groups = self.markov.depth_, self.groups.n_leaves
        return f"a chain that remembers up to {remembered} activities, in {groups} groups of cases"

    def encode(self, runs: Runs) -> Array:
        """(n,) int64"""
        return encoded(self.codec, runs)

    def decode(self, activity: Array, rows: Array, rng: np.random.Generator, seed: int) -> pl.Series:
        arrays = (activity.astype(np.int32),)
        codes = Codes(self.codec.fields, arrays[: len(self.codec.fields)], len(activity))
        return self.codec.decode(codes, rows, rng, seed).to_series()

    def group(self, told: Codes) -> Array:
        """(s,) the group of each case."""
        return self.groups.leaves(_seen(told, self.telling))

    def next(self, history: Array, group: Array, rng: np.random.Generator, temperature: float = 1.0) -> Array:
        """(n,) what happens next; `field.levels` is the end. history: (n, reach) the last activities."""
        return self.markov.next(history, group, rng, temperature)

    def going_on(self, activity: Array, history: Array, group: Array, rng: np.random.Generator) -> Array:
        """The same, but where a case would end something that goes on, at last of all there is."""
        end = self.field.levels
        for _ in range(AGAIN):
            ended = np.flatnonzero(activity >= end)
            if not len(ended):
                return activity
            activity[ended] = self.next(history[ended], group[ended], rng)
        level, ended = self.markov.levels_[0], np.flatnonzero(activity >= end)
        going = level.symbols < end
        chance = level.counts[going] / level.counts[going].sum()
        activity[ended] = rng.choice(level.symbols[going], len(ended), p=chance)
        return activity

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        parts = {"codec": self.codec.state(), "markov": self.markov.state()}
        meta: dict[str, Any] = {name: own for name, (own, _) in parts.items()} | {"telling": self.telling}
        arrays = {f"{name}/{n}": a for name, (_, own) in parts.items() for n, a in own.items()}
        return meta, arrays | {f"groups/{n}": a for n, a in pack([self.groups]).items()}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array], told: int) -> Self:
        """What `state` gave, checked; `told` columns are known of each case. Raises ModelFileError."""
        codec = TableCodec.restore(meta["codec"], part(arrays, "codec/"))
        telling = [int(i) for i in meta["telling"]]
        markov = Markov.restore(meta["markov"], part(arrays, "markov/"))
        (groups,) = unpack(part(arrays, "groups/"), [max(1, told)])
        if markov.n_symbols_ != field_of(codec).levels or not all(0 <= i < told for i in telling):
            raise ModelFileError("the parts of the sequences do not fit each other.")
        return cls(codec, markov, groups, telling)


def traces(runs: Runs, activity: Array) -> Array:
    """(s,) uint64, alike where the activities of two cases are the same, in order."""
    out = np.zeros(len(runs.lengths), np.uint64)
    np.add.at(out, runs.number, traced(activity, runs.place))
    return out


def traced(activity: Array, place: Array | int) -> Array:
    """(n,) uint64: what each step adds to the number of a trace. place: how many steps stand before it."""
    return scattered(activity * 1_000_003 + place)


def _about(runs: Runs, activity: Array, levels: int) -> Array:
    """(s, 2 levels) how often each activity comes in a case, and which comes last; centred."""
    counts = np.zeros((len(runs.lengths), levels))
    np.add.at(counts, (runs.number, activity), 1.0)
    last = np.eye(levels)[activity[np.flatnonzero(runs.new) + runs.lengths - 1]]
    about = np.concatenate([np.minimum(counts, 5) / 2, last], 1)
    return np.asarray(about - about.mean(0))


def _seen(told: Codes, telling: list[int]) -> Array:
    """(F, s) uint16 of what is known of a case. Levels past `GROUPS` tell too few cases apart."""
    chosen = [(told.arrays[i], told.fields[i]) for i in telling]
    rows = [to_codes(a, f) if f.ordered else a.astype(np.uint16) for a, f in chosen if f.ordered or f.levels <= GROUPS]
    return np.stack(rows) if rows else np.zeros((1, told.n), np.uint16)


def _named_by(values: Array, trace: Array) -> bool:
    """Whether a column (s,) but names what happened, as a number of the variant does: it is no cause of it."""
    _, value = np.unique(values, return_inverse=True)
    _, kind = np.unique(trace, return_inverse=True)
    pairs, counts = np.unique(value * (int(kind.max()) + 1) + kind, return_counts=True)
    cases = np.bincount(value)
    most = np.zeros(len(cases), np.int64)
    np.maximum.at(most, pairs // (int(kind.max()) + 1), counts)
    several = cases >= 2
    told, usual = most[several].sum() / max(cases[several].sum(), 1), np.bincount(kind).max() / len(kind)
    return bool(several.any() and told > NAMED and usual < NAMED)
