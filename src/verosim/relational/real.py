"""The real tables of a database, and what follows from their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import polars as pl

from verosim.keys import Ints
from verosim.relational.context import Known, Shared, gathered, given, prefixed, said, shared_by, summary
from verosim.relational.graph import LATE, OWNER, REFERENCE, Frames, Graph, Link
from verosim.relational.totals import check_totals, totals_of
from verosim.rules import Aggregate
from verosim.schema import Schema


def people_in(dataset: Frames, graph: Graph, rows: Mapping[str, Ints]) -> dict[str, Ints]:
    """For each table (n,) whom its rows belong to: the row of the table that owns all above; rows of nobody to
    themselves."""
    people = dict[str, Ints]()
    for name in graph.order:
        own, owner = np.arange(dataset[name].height), graph.owner(name)
        if owner:
            above, rows_up = people[owner.parent], rows[owner.name]
            past = int(above.max(initial=-1)) + 1
            own = np.where(rows_up >= 0, above[rows_up] if len(above) else 0, past + own)
        people[name] = own
    return people


def looked_up(owner: Link, profile: pl.DataFrame, rows: Ints) -> pl.DataFrame:
    """The owners' profiles beside their children, by prefixed names. rows: (n,) numbers of owners, below 0 for none."""
    return pl.DataFrame([gathered(c, rows).alias(prefixed(owner.parent, c.name)) for c in profile.get_columns()])


@dataclass(frozen=True, slots=True)
class Real:
    """The real tables, and what follows from their keys."""

    dataset: Frames
    schema: Schema  # resolved
    rows: Mapping[str, Ints]  # of each key, by name: the parent's row of each row
    graph: Graph
    train: Mapping[str, Ints]  # the numbers of the rows to learn from
    people: Mapping[str, Ints]  # whom each row belongs to: the row of the table that owns all above it
    shared: Mapping[str, tuple[Shared, ...]]  # of each owner's key: what the children of one parent have in common
    totals: Mapping[str, Mapping[Aggregate, str]]  # of each table the rules about sums of children, and by which key
    _summaries: dict[str, pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(
        cls, dataset: Frames, schema: Schema, rows: Mapping[str, Ints], graph: Graph, train: Mapping[str, Ints]
    ) -> Self:
        """Raises SchemaError or DataError for a rule about sums of children that cannot be, or that they break."""
        people = people_in(dataset, graph, rows)
        shared = {
            link.name: shared_by(link, dataset[link.child], schema[link.child], rows[link.name])
            for link in graph.links
            if link.role == OWNER
        }
        totals = {name: totals_of(table, schema) for name, table in schema.items()}
        for name, own in totals.items():
            for rule, key in own.items():
                check_totals(rule, dataset[name], dataset[rule.table], rows[key], name)
        return cls(dataset, schema, rows, graph, train, people, shared, totals)

    def sums(self, parent: str, column: str, child: str) -> bool:
        """Whether a column is a total of the rows of another table."""
        return any((rule.column, rule.table) == (column, child) for rule in self.totals[parent])

    def profile(self, name: str) -> pl.DataFrame:
        return self.dataset[name].select(c.name for c in said(self.schema[name]))

    def over(self, name: str) -> pl.DataFrame:
        """The profile of each row's owner, by prefixed names; no columns where there is none."""
        owner = self.graph.owner(name)
        return looked_up(owner, self.profile(owner.parent), self.rows[owner.name]) if owner else pl.DataFrame()

    def summary(self, name: str) -> pl.DataFrame:
        """How often each row is named, and what its children have in common."""
        if name not in self._summaries:
            links = self.graph.into(name, OWNER, REFERENCE, LATE)
            shared = [s for link in links for s in self.shared.get(link.name, ())]
            self._summaries[name] = summary(self.dataset[name].height, links, shared, self.dataset, self.rows)
        return self._summaries[name]

    def context(self, known: Known, owner: Link, place: Ints) -> pl.DataFrame:
        """What the rows that an owner's key is of are drawn given."""
        parts = self.profile(owner.parent), self.over(owner.parent), self.summary(owner.parent)
        return given(known, *parts, self.rows[owner.name], place)
