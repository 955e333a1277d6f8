"""Related rows brought side by side, so that the measures of one table can look across several.

A `Family` holds the tables of train, hold-out and synthetic data, and which row each key names. `with_children` is a
parent's rows with what their children sum up to; `along` is a row with the columns of the row some keys above it. Both
give a `Kin`: a comparison as any other, and whom each real row belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.evaluation.columns import UNREADABLE, Comparison, Limits, compare, plain
from verosim.keys import DANGLING, Ints, parent_rows
from verosim.relational.context import beside
from verosim.relational.graph import Frames, Graph, name_of, plan, resolved
from verosim.relational.real import people_in
from verosim.schema import Column, ForeignKey, Schema, Table

Key = tuple[str, ForeignKey]  # the table that has the key, and the key
BOUNDS: Final = Limits(rows=5_000, pairs=200, floor_pairs=100, splits=32)  # many comparisons share the time of one
ABOVE: Final = " above"  # tells the parent's column from the child's, where both are of one table


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Tables that belong together, and the parent's row that each row names by each key, by its `name_of`."""

    dataset: Frames
    rows: Mapping[str, Ints]

    @classmethod
    def of(cls, dataset: Frames, schema: Schema) -> Self:
        keys = keys_of(schema)
        return cls(dataset, {name_of(name, key): named(dataset, name, key) for name, key in keys})


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The rows of train, hold-out or synthetic data: which rows of which side. Rows of train are not all of theirs."""

    side: Side
    numbers: Mapping[str, Ints]  # of each table


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """Related rows of the three sets, side by side; whom they belong to are the groups of `arrays`."""

    arrays: Comparison
    low: tuple[int, ...] = ()  # columns of the lower row; the others are of the row above it


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Train, hold-out and synthetic tables with their keys."""

    schema: Schema  # with the parent's columns of each key written out
    graph: Graph  # how the real tables hang together
    train: Part
    holdout: Part
    synthetic: Part
    people: Mapping[Part, Mapping[str, Ints]]  # whom the rows of each table of a part's side belong to
    seed: int
    limits: Limits = BOUNDS

    @classmethod
    def of(
        cls,
        train: Frames,
        holdout: Frames,
        synthetic: Frames,
        schema: Schema,
        *,
        seed: int = 0,
        limits: Limits = BOUNDS,
    ) -> Self:
        """Raises SchemaError for a key of columns or tables that there are not."""
        schema = resolved(schema, train)
        seen, held = _real(train, holdout, schema)
        graph = plan(seen.side.dataset, schema, seen.side.rows)
        new = Part(Side.of(synthetic, schema), {name: np.arange(frame.height) for name, frame in synthetic.items()})
        return cls(schema, graph, seen, held, new, _people((seen, held, new), graph), seed, limits)

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        return self.train, self.holdout, self.synthetic

    def chance(self, *purpose: str) -> np.random.Generator:
        return stream(self.seed, "relations", *purpose)

    def into(self, table: str) -> list[Key]:
        """The keys that name rows of a table."""
        return [(name, key) for name, key in keys_of(self.schema) if key.parent == table]

    # -------------------------------------------------------------------------------------------------- side by side

    def with_children(self, table: str) -> Kin:
        """A table's rows with what their children sum up to, by each key that names them; see `summed`."""
        frames, chosen = [], [self._pick(part.numbers[table], f"{table} {i}") for i, part in enumerate(self.parts)]
        for part, rows in zip(self.parts, chosen, strict=True):
            own = _said(part.side.dataset[table], self.schema[table])
            sums = (summed(part.side, self.schema, child, key) for child, key in self.into(table))
            frames.append(_at(pl.concat([own, *sums], how="horizontal"), rows))
        owners = [self.people[part][table][rows] for part, rows in zip(self.parts, chosen, strict=True)]
        return self._kin(table, frames, np.concatenate(owners))

    def along(self, path: Sequence[Key]) -> Kin:
        """A row with the columns of the row at the end of a path of keys; without rows that name nobody there."""
        bottom, top = path[0][0], path[-1][1].parent
        ends = [self._ends(part, path) for part in self.parts]
        chosen = [self._pick(np.arange(len(rows)), f"{label(path)} {i}") for i, (rows, _) in enumerate(ends)]
        frames, owners, wide = list[pl.DataFrame](), list[Ints](), 0
        for part, (rows, above), at in zip(self.parts, ends, chosen, strict=True):
            low, high = (_said(part.side.dataset[name], self.schema[name]) for name in (bottom, top))
            high = high.rename({c: f"{c}{ABOVE}" if top == bottom else f"{top}.{c}" for c in high.columns})
            low = low.rename({c: c if top == bottom else f"{bottom}.{c}" for c in low.columns})
            wide = low.width
            frames.append(pl.concat([_at(low, rows[at]), _at(high, above[at])], how="horizontal"))
            owners.append(self.people[part][top][above[at]])  # who is above stands beside all rows below
        return self._kin(label(path), frames, np.concatenate(owners), tuple(range(wide)))

    def _kin(self, name: str, frames: Sequence[pl.DataFrame], people: Ints, low: tuple[int, ...] = ()) -> Kin:
        columns = (
            Column(c, "number" if t == pl.Float64 else "category", "float64" if t == pl.Float64 else "str")
            for c, t in frames[0].schema.items()
        )
        train, holdout, new = frames
        arrays = compare(train, holdout, new, Table(name, tuple(columns)), self.limits, self.seed)
        return Kin(replace(arrays, groups=np.unique(people, return_inverse=True)[1]), low)

    def _pick(self, rows: Ints, purpose: str) -> Ints:
        return np.sort(self.chance(purpose).permutation(rows)[: self.limits.rows])

    def _ends(self, part: Part, path: Sequence[Key]) -> tuple[Ints, Ints]:
        """The rows at the bottom of a path that name somebody up to its top, and whom."""
        bottom = part.numbers[path[0][0]]
        above = bottom
        for name, key in path:
            above = np.where(above >= 0, np.append(part.side.rows[name_of(name, key)], -1)[above], -1)
        there = above >= 0
        return bottom[there], above[there]


def label(path: Sequence[Key]) -> str:
    """orders(customer_id) -> lines(order_id) > orders(customer_id)"""
    return " > ".join(name_of(*key) for key in path)


def keys_of(schema: Schema) -> Iterator[Key]:
    return ((name, key) for name, table in schema.items() for key in table.foreign_keys)


def paths(schema: Schema, length: int) -> list[list[Key]]:
    """All paths of so many keys upwards."""
    found = [[pair] for pair in keys_of(schema)]
    for _ in range(length - 1):
        found = [[*path, pair] for path in found for pair in keys_of(schema) if pair[0] == path[-1][1].parent]
    return found


def named(dataset: Frames, name: str, key: ForeignKey) -> Ints:
    """(n,) the parent's row that each row names, as `parent_rows`; of rows with one key the first counts."""
    parent = dataset[key.parent].with_row_index("the row")
    once = parent.unique(key.parent_columns, keep="first", maintain_order=True)
    rows = parent_rows(dataset[name], once, key, name)
    return np.where(rows >= 0, np.append(once["the row"].to_numpy().astype(np.int64), DANGLING)[rows], rows)


def children(part: Part, name: str, key: ForeignKey) -> Ints:
    """(p,) how often each row of the parent is named."""
    rows = part.side.rows[name_of(name, key)]
    counts: Ints = np.bincount(rows[rows >= 0], minlength=part.side.dataset[key.parent].height)
    return counts[part.numbers[key.parent]]


def summed(side: Side, schema: Schema, child: str, key: ForeignKey) -> pl.DataFrame:
    """What the children of each row of the parent sum up to: how many there are, how many different levels each
    category has, the mean of each measure (missing where there is none). SyntheRela's C2ST-Agg."""
    own, rows = _said(side.dataset[child], schema[child]), side.rows[name_of(child, key)]
    at = beside("at", own.columns)
    parents = pl.DataFrame({at: np.arange(side.dataset[key.parent].height)})
    known = pl.DataFrame([*own.get_columns(), pl.Series(at, rows)]).filter(pl.col(at) >= 0)
    asked = [pl.len().cast(pl.Float64).alias("rows"), *(_sum(c, t) for c, t in own.schema.items())]
    found = parents.join(known.group_by(at).agg(asked), on=at, how="left", maintain_order="left").drop(at)
    found = found.with_columns(pl.col("rows").fill_null(0.0))
    return found.rename({c: f"{name_of(child, key)}: {c}" for c in found.columns})


def _sum(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.String:
        return pl.col(name).n_unique().cast(pl.Float64).alias(f"levels of {name}")
    value = pl.col(name).filter(pl.col(name).is_finite() & (pl.col(name) != UNREADABLE))
    return value.mean().alias(f"mean of {name}")


def _at(frame: pl.DataFrame, rows: Ints) -> pl.DataFrame:
    """These rows; a table of keys alone has none to say."""
    return frame[rows] if frame.width else frame


def _said(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The columns that say something of a row, keys left out, as Float64 or String."""
    keys = {name for key in table.foreign_keys for name in key.columns}
    keys |= {*table.primary_key} if len(table.primary_key) == 1 else set()
    said = plain(frame, table)
    return said.select(name for name in said.columns if name not in keys)


# --------------------------------------------------------------------------------------------------- train, hold-out


def _real(train: Frames, holdout: Frames, schema: Schema) -> tuple[Part, Part]:
    """Train and hold-out, of one database where no key stands in both for two different rows, else each of its own.

    Of one: a product that was learned from may be named by an order of the hold-out, and counts it. Rows that stand in
    both, such as countries, are of train.
    """
    fresh = {name: _fresh(train[name], frame, schema, name) for name, frame in holdout.items()}
    if any(frame is None for frame in fresh.values()):
        sides = Side.of(train, schema), Side.of(holdout, schema)
        return tuple(Part(side, {n: np.arange(f.height) for n, f in side.dataset.items()}) for side in sides)  # type: ignore[return-value]
    side = Side.of({name: pl.concat([train[name], f]) for name, f in fresh.items() if f is not None}, schema)
    cuts = {name: (train[name].height, frame.height) for name, frame in side.dataset.items()}
    seen = {name: np.arange(begin) for name, (begin, _) in cuts.items()}
    return Part(side, seen), Part(side, {name: np.arange(begin, end) for name, (begin, end) in cuts.items()})


def _fresh(train: pl.DataFrame, holdout: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame | None:
    """The rows of the hold-out that train has not; None where a key of both is not of the same row."""
    keys = {schema[name].primary_key, *(key.parent_columns for _, key in keys_of(schema) if key.parent == name)} - {()}
    if not keys:
        return holdout
    fresh = holdout.join(train, on=holdout.columns, how="anti", nulls_equal=True, maintain_order="left")
    return None if any(fresh.join(train, on=list(key), how="semi").height for key in keys) else fresh


def _people(parts: tuple[Part, Part, Part], graph: Graph) -> dict[Part, dict[str, Ints]]:
    """Whom the rows of each table belong to; nobody is in two databases."""
    found, past = dict[Side, dict[str, Ints]](), 0
    for side in dict.fromkeys(part.side for part in parts):
        found[side] = {name: own + past for name, own in people_in(side.dataset, graph, side.rows).items()}
        past = 1 + max((int(own.max(initial=-1)) for own in found[side].values()), default=-1)
    return {part: found[part.side] for part in parts}
