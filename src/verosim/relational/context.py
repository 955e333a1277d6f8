"""What a row is drawn given: its owner, its owner's owner, what its siblings are like together, its place among them.

Of a parent's row that is its **profile**: the columns that say something, which keys, personal data and free text do
not. Its **summary** says how often it is named by each key, and, of those that it owns, what they have in common: the
means and shares in which the children of one parent differ more than chance has it. It is learned and drawn like any
row, given the profile; children are then drawn given it, and so agree with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.keys import NONE, Ints
from verosim.relational.graph import Graph, Link
from verosim.relational.signals import (
    as_numbers,
    correlation_within,
    group_means,
    is_level,
    signals,
)
from verosim.schema import Column, Schema, Table

SILENT: Final = frozenset({"id", "personal", "text", "json", "empty", "constant"})  # kinds that tell nothing of a row
SUMMARIES: Final = 6  # things that the children of one parent may have in common, of one key
ALIKE: Final = 0.02  # correlation within a family from which a thing is held in common


def said(table: Table) -> list[Column]:
    """The columns of a table's profile."""
    keys = {name for key in table.foreign_keys for name in key.columns}
    return [c for c in table.columns if c.kind not in SILENT and c.name not in keys]


def beside(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken."""
    known = {*taken}
    while name in known:
        name += "'"
    return name


def together(*frames: pl.DataFrame) -> pl.DataFrame:
    """Frames side by side; one without columns says nothing, not even how many rows it has."""
    return pl.DataFrame([column for frame in frames for column in frame.get_columns()])


def chosen(frame: pl.DataFrame, rows: Ints) -> pl.DataFrame:
    """The rows of these numbers; a frame without columns stays as it is."""
    return frame[rows] if frame.width else frame


def gathered(column: pl.Series, rows: Ints) -> pl.Series:
    """The values of a column in these rows (n,); null for numbers below 0, which are of no row."""
    if not len(column):
        return pl.Series(column.name, [None] * len(rows), column.dtype)
    return column.gather(pl.Series(np.maximum(rows, 0)).set(pl.Series(rows < 0), None))


def prefixed(table: str, column: str) -> str:
    """How a column of another table is called: customers.registered"""
    return f"{table}.{column}"


@dataclass(frozen=True, slots=True)
class Shared:
    """A mean or share that the children by one key have in common."""

    link: str
    column: str
    level: str | None  # None: the mean of the column

    @property
    def name(self) -> str:
        return f"{self.link}: " + (f"mean {self.column}" if self.level is None else f"{self.column} = {self.level}")

    def of(self, children: pl.DataFrame, named: Ints, n: int) -> pl.Series:
        """(n,) for each parent; null where it has no children."""
        series = children[self.column]
        values = as_numbers(series) if self.level is None else is_level(series, self.level)
        return pl.Series(self.name, group_means(values, named, n)).fill_nan(None)


def shared_by(link: Link, children: pl.DataFrame, table: Table, named: Ints) -> tuple[Shared, ...]:
    """What children of one parent have in common, most of all first."""
    found = [(correlation_within(s.values, named), s) for s in signals(children, table)]
    best = sorted((pair for pair in found if pair[0] >= ALIKE), key=lambda pair: -pair[0])[:SUMMARIES]
    return tuple(Shared(link.name, s.column, None if s.level is None else str(s.level)) for _, s in best)


def count_name(link: Link) -> str:
    return f"{link.name}: rows"


def summary_table(name: str, links: Sequence[Link], shared: Iterable[Shared]) -> Table:
    """The columns of a summary: how often a row is named by each key, and what its children have in common."""
    counts = [Column(count_name(link), "number", "int64", minimum=0, step=None) for link in links]
    return Table(f"{name}: children", (*counts, *(Column(s.name, "number", "float64") for s in shared)))


def summary(
    n: int,
    links: Sequence[Link],
    shared: Iterable[Shared],
    dataset: Mapping[str, pl.DataFrame],
    rows: Mapping[str, Ints],
) -> pl.DataFrame:
    """The summaries of n real rows."""
    counts = {count_name(k): np.bincount(rows[k.name][rows[k.name] >= 0], minlength=n) for k in links}
    child = {link.name: link.child for link in links}
    means = [s.of(dataset[child[s.link]], rows[s.link], n) for s in shared]
    return pl.DataFrame([*(pl.Series(name, c, pl.Int64) for name, c in counts.items()), *means])


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows of one table are drawn given: names and meanings of the columns."""

    owner: tuple[str, ...]  # columns of the owner's profile
    above: tuple[str, ...]  # of what the owner itself was drawn given, those of its owner's profile
    family: tuple[str, ...]  # of the owner's summary
    place: str  # the place among the siblings
    before: tuple[str, ...]  # columns of the sibling before
    table: Table  # all of them, by the names that they have here


def known_of(link: Link, schema: Schema, graph: Graph, shared: Iterable[Shared], before: Sequence[str] = ()) -> Known:
    """What the children by an owner's key are drawn given. before: their columns that the next one is drawn given."""
    taken = schema[link.child].names
    owner = said(schema[link.parent])
    up = graph.owner(link.parent)
    above = said(schema[up.parent]) if up else []
    family = [Column(count_name(link), "number", "int64"), *(Column(s.name, "number", "float64") for s in shared)]
    place = Column(f"{link.name}: place", "number", "int64")
    columns = [replace(c, name=prefixed(link.parent, c.name), unique=False) for c in owner]
    columns += [replace(c, name=prefixed(up.parent, c.name), unique=False) for c in above] if up else []
    last = [replace(schema[link.child][n], name=f"{link.name}: {n} before", unique=False) for n in before]
    names = {beside(c.name, taken): c for c in [*columns, *family, place, *last]}
    table = Table(link.parent, tuple(replace(c, name=n, reason="") for n, c in names.items()))
    return Known(
        tuple(c.name for c in owner),
        tuple(prefixed(up.parent, c.name) for c in above) if up else (),
        tuple(c.name for c in family),
        place.name,
        tuple(before),
        table,
    )


def given(
    known: Known, profile: pl.DataFrame, over: pl.DataFrame, summaries: pl.DataFrame, rows: Ints, place: Ints
) -> pl.DataFrame:
    """What rows are drawn given, whose owners have the numbers `rows` (n,), below 0 for none, and `place` (n,)
    siblings before them; but for what the sibling before says. profile, over, summaries: of all owners: their own,
    their owners', and what they own."""
    parts = [profile.select(known.owner), over.select(known.above), summaries.select(known.family)]
    columns = [gathered(c, rows) for part in parts for c in part.get_columns()]
    frame = [*columns, pl.Series(known.place, place, pl.Int64)]
    return pl.DataFrame([c.alias(name) for c, name in zip(frame, known.table.names, strict=False)])


def of_owner(context: pl.DataFrame, known: Known) -> pl.DataFrame:
    """What the context says of the owner: the same for all of its rows."""
    return context.select(known.table.names[: len(known.owner) + len(known.above) + len(known.family)])


def with_before(known: Known, context: pl.DataFrame, frame: pl.DataFrame, before: Ints) -> pl.DataFrame:
    """The context with what the sibling before says. before: (n,) its number in the frame, below 0 for none."""
    if not known.before:
        return context
    names = known.table.names[-len(known.before) :]
    return context.with_columns(
        gathered(frame[n], before).alias(name) for n, name in zip(known.before, names, strict=True)
    )


def places(owners: Ints, order: Ints) -> Ints:
    """(n,) how many siblings stand before each row. order: (n,) by which rows of one owner stand."""
    by = np.lexsort((order, owners))
    sorted_owners = owners[by]
    first = np.searchsorted(sorted_owners, sorted_owners)
    out = np.empty(len(owners), np.int64)
    out[by] = np.arange(len(owners)) - first
    return out


def befores(owners: Ints, order: Ints) -> Ints:
    """(n,) the row of the same owner that stands before each; NONE for the first, and for rows of nobody."""
    by = np.lexsort((order, owners))
    first = np.diff(owners[by], prepend=NONE - 1) != 0
    out = np.full(len(owners), NONE)
    out[by[1:]] = np.where(first[1:] | (owners[by[1:]] < 0), NONE, by[:-1])
    return out


def source(before: Ints, repeats: npt.NDArray[np.bool_]) -> Ints:
    """(n,) whose value each row has, where those that `repeats` (n,) have that of the row before them, if there is one.

    before: (n,) numbers of rows that stand anywhere above, or NONE.
    """
    at = np.where(repeats & (before >= 0), before, np.arange(len(before)))
    while not np.array_equal(at, further := at[at]):  # twice as far each time
        at = further
    return at
