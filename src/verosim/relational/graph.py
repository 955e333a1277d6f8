"""How the tables of a dataset hang together: who owns whom, what else is named, and in which order to draw.

Of a table's foreign keys one at most is its **owner**: its rows are drawn as children of that table's rows. The others
are **references**, assigned to rows that are drawn: before the table is, or **late**, after, where keys run in a circle
or to the table itself. A key that only repeats one of the owner's (the customer of a payment is that of its invoice) is
**copied**.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.errors import SchemaError, did_you_mean
from verosim.keys import Ints, parent_rows
from verosim.relational.signals import alike_in, signals
from verosim.schema import ForeignKey, Schema, Table

OWNER, REFERENCE, LATE, COPIED = ROLES = ("owner", "reference", "late", "copied")
FEW: Final = 20  # rows: a smaller parent is a list to choose from, and owns nobody
SURE: Final = 0.99  # share of the rows in which what is taken for a law must hold: data have errors
Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Link:
    """One foreign key, and how it is drawn."""

    child: str
    key: ForeignKey
    role: str  # one of ROLES
    alone: bool = False  # no parent is named twice
    apart: bool = False  # ... by children of one owner: a bridge
    acyclic: bool = False  # of a table to itself: no row is its own ancestor
    via: str = ""  # copied: the name of the owner's key that it repeats; "" for the owner itself

    @property
    def parent(self) -> str:
        return self.key.parent

    @property
    def name(self) -> str:
        return name_of(self.child, self.key)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        key = data["key"]
        key = ForeignKey(tuple(key["columns"]), str(key["parent"]), tuple(key["parent_columns"]))
        if data["role"] not in ROLES:
            raise SchemaError(f"the key {key} has an unknown role {data['role']!r}.")
        return cls(**{**data, "key": key})


def name_of(child: str, key: ForeignKey) -> str:
    """orders(customer_id)"""
    return f"{child}({', '.join(key.columns)})"


@dataclass(frozen=True, slots=True)
class Graph:
    """All links, and the order in which tables are drawn: each after its owner and its references."""

    links: tuple[Link, ...]
    order: tuple[str, ...]

    def of(self, table: str, *roles: str) -> list[Link]:
        """The keys of a table that have one of these roles; by default all."""
        return [link for link in self.links if link.child == table and (not roles or link.role in roles)]

    def owner(self, table: str) -> Link | None:
        return next(iter(self.of(table, OWNER)), None)

    def into(self, table: str, *roles: str) -> list[Link]:
        """The keys that name rows of a table."""
        return [link for link in self.links if link.parent == table and (not roles or link.role in roles)]

    def named(self, name: str) -> Link:
        return next(link for link in self.links if link.name == name)

    def line(self, table: str) -> list[str]:
        """A table, the one that owns it, the one that owns that, and so on."""
        owner = self.owner(table)
        return [table, *(self.line(owner.parent) if owner else [])]

    def root(self, table: str) -> str:
        """The table that owns all above it."""
        return self.line(table)[-1]

    def together(self, table: str) -> set[str]:
        """The tables that hang together with one, itself among them."""
        found, todo = {table}, [table]
        while todo:
            one = todo.pop()
            near = {link.parent for link in self.of(one)} | {link.child for link in self.into(one)}
            todo += near - found
            found |= near
        return found

    @property
    def linked(self) -> list[str]:
        """The tables that a key is of or names, in the order in which they are drawn."""
        ends = {end for link in self.links for end in (link.child, link.parent)}
        return [name for name in self.order if name in ends]


def resolved(schema: Schema, dataset: Frames) -> Schema:
    """The schema of these tables with each foreign key's parent columns written out. Raises SchemaError."""
    tables = []
    for table in (schema[name] for name in dataset):
        keys = tuple(_resolved(key, table, schema) for key in table.foreign_keys)
        tables.append(replace(table, foreign_keys=tuple(dict.fromkeys(keys))))
    return Schema({table.name: table for table in tables})


def _resolved(key: ForeignKey, table: Table, schema: Schema) -> ForeignKey:
    where = f"table {table.name!r}, foreign key {key}"
    if key.parent not in schema.tables:
        raise SchemaError(f"{where}: there is no table {key.parent!r}; {did_you_mean(key.parent, schema.tables)}")
    parent = schema[key.parent]
    names = key.parent_columns or parent.primary_key
    if len(names) != len(key.columns):
        raise SchemaError(f"{where}: say with `parent_columns` which columns of {parent.name!r} it names.")
    for name in names:
        if name not in parent.names:
            raise SchemaError(f"{where}: {parent.name!r} has no column {name!r}; {did_you_mean(name, parent.names)}")
    if key.parent == table.name and names == key.columns:
        raise SchemaError(f"{where}: it names each row itself; take it out.")
    return replace(key, parent_columns=names)


def rows_of(dataset: Frames, schema: Schema) -> dict[str, Ints]:
    """For each foreign key by its `name_of`, the parent's row that each row names."""
    return {
        name_of(name, key): parent_rows(frame, dataset[key.parent], key, name)
        for name, frame in dataset.items()
        for key in schema[name].foreign_keys
    }


def plan(dataset: Frames, schema: Schema, rows: Mapping[str, Ints]) -> Graph:
    """What each foreign key is drawn as. schema: `resolved`; rows: `rows_of` it."""
    owners = dict[str, str]()  # child -> the name of its key
    for name in sorted(dataset, key=lambda n: -dataset[n].height):
        for key in _candidates(schema[name], dataset, schema, rows):
            if not _reaches(key.parent, name, {c: schema[c].foreign_keys for c in owners}, owners):
                owners[name] = name_of(name, key)
                break
    links = list[Link]()
    for name in dataset:
        links += _links(schema[name], owners, links_of_owner(name, owners, schema), rows)
    return _ordered(tuple(links), tuple(dataset))


def links_of_owner(name: str, owners: Mapping[str, str], schema: Schema) -> dict[str, ForeignKey]:
    """The keys of the table that owns this one, by their names."""
    own = next((k for k in schema[name].foreign_keys if name_of(name, k) == owners.get(name)), None)
    return {name_of(own.parent, k): k for k in schema[own.parent].foreign_keys} if own else {}


def _candidates(table: Table, dataset: Frames, schema: Schema, rows: Mapping[str, Ints]) -> list[ForeignKey]:
    """The keys that could own a table's rows, the best first.

    Best is the one whose rows follow each other; then the parent whose keys repeat what the row's other keys say; then
    one whose children stand side by side, as what was made together does; then the one that tells most of the row's
    values; then the one with most rows.
    """
    fitting = [key for key in table.foreign_keys if _may_own(table, key, dataset, schema, rows)]
    ordered = [key for key in fitting if _goes_on(table, key)]
    if len(fitting) < 2 or ordered:
        return ordered or fitting
    values = signals(dataset[table.name], table)

    def rank(key: ForeignKey) -> tuple[int, bool, float, int]:
        own = rows[name_of(table.name, key)]
        repeated = sum(
            _repeats(own, rows[name_of(key.parent, theirs)], rows[name_of(table.name, other)])
            for other in table.foreign_keys
            for theirs in schema[key.parent].foreign_keys
            if other != key and theirs.parent == other.parent and theirs.parent_columns == other.parent_columns
        )
        return repeated, _side_by_side(own), round(alike_in(values, own), 1), dataset[key.parent].height

    return sorted(fitting, key=rank, reverse=True)


def _may_own(table: Table, key: ForeignKey, dataset: Frames, schema: Schema, rows: Mapping[str, Ints]) -> bool:
    mostly = bool((rows[name_of(table.name, key)] >= 0).mean() >= 0.5) if dataset[table.name].height else True
    few = dataset[table.name].height >= FEW and dataset[key.parent].height < FEW
    told = {*table.primary_key} - {n for k in table.foreign_keys for n in k.columns}
    few = few and not (told and {*key.columns} < {*table.primary_key})  # rows are told apart within a parent
    few = few and not _goes_on(table, key)
    return key.parent != table.name and mostly and not few and not schema[key.parent].keep and not table.keep


def _goes_on(table: Table, key: ForeignKey) -> bool:
    """Whether the rows of each parent are a sequence."""
    return table.sequence is not None and key.columns == (table.sequence.key,)


def _side_by_side(own: Ints) -> bool:
    """Whether nearly all rows of one parent (n,) follow each other, where a parent has several."""
    own = own[own >= 0]
    most = len(own) - len(np.unique(own))
    return most >= len(own) / 4 and int((own[1:] == own[:-1]).sum()) >= SURE * most


def _repeats(own: Ints, theirs: Ints, other: Ints) -> bool:
    """Whether the parents' parents (p,) at `own` (n,) are nearly all those that the children name themselves (n,)."""
    there = own >= 0
    return bool(there.any() and (theirs[own[there]] == other[there]).mean() >= SURE)


def _reaches(start: str, end: str, keys: Mapping[str, tuple[ForeignKey, ...]], owners: Mapping[str, str]) -> bool:
    """Whether `end` is `start`, or owns it."""
    while start != end:
        own = [k.parent for k in keys.get(start, ()) if name_of(start, k) == owners[start]]
        if not own:
            return False
        (start,) = own
    return True


def _links(
    table: Table, owners: Mapping[str, str], of_owner: Mapping[str, ForeignKey], rows: Mapping[str, Ints]
) -> Iterator[Link]:
    mine = owners.get(table.name)
    own = {n for k in table.foreign_keys if name_of(table.name, k) == mine for n in k.columns}
    for key in table.foreign_keys:
        name = name_of(table.name, key)
        named = rows[name][rows[name] >= 0]
        link = Link(table.name, key, REFERENCE, alone=len(named) >= 2 and len(np.unique(named)) == len(named))
        if name == mine:
            yield replace(link, role=OWNER)
            continue
        same = (n for n, k in of_owner.items() if (k.parent, k.parent_columns) == (key.parent, key.parent_columns))
        if via := next((n for n in same if mine and _repeats(rows[mine], rows[n], rows[name])), ""):
            yield replace(link, role=COPIED, via=via)
        elif key.parent == table.name:
            yield replace(link, role=LATE, acyclic=depths(rows[name]) is not None)
        else:
            told = bool(own and table.primary_key) and {*table.primary_key} <= own | {*key.columns}
            yield replace(link, apart=mine is not None and (told or _apart(rows[mine], rows[name])))


def _apart(owner: Ints, named: Ints) -> bool:
    """Whether the children of one owner never name the same row; only where chance would not have it so."""
    there = (owner >= 0) & (named >= 0)
    pairs = np.stack([owner[there], named[there]])
    shared = len(pairs[0]) - len(np.unique(pairs[0]))  # children beside another one of their owner
    return bool(shared >= 5 and np.unique(pairs, axis=1).shape[1] == pairs.shape[1])


def depths(parents: Ints) -> Ints | None:
    """How many ancestors each row has, where `parents` (n,) are of the same table; None where they run in a circle."""
    depth, at = np.zeros(len(parents), np.int64), parents.copy()
    for _ in range(len(parents) + 1):
        up = np.flatnonzero(at >= 0)
        if not len(up):
            return depth
        depth[up] += 1
        at[up] = parents[at[up]]
        if depth.max() > 1_000:
            return None
    return None


def _ordered(links: tuple[Link, ...], names: tuple[str, ...]) -> Graph:
    """References that would have to be drawn before their own children are made late."""
    after: dict[str, set[str]] = {name: set() for name in names}  # table -> those that must be drawn before
    out = dict[str, Link]()
    for link in sorted(links, key=lambda one: ROLES.index(one.role)):
        if link.role == REFERENCE and link.child in _before(link.parent, after):
            link = replace(link, role=LATE)
        if link.role in (OWNER, REFERENCE):
            after[link.child].add(link.parent)
        out[link.name] = link
    order = list[str]()
    while len(order) < len(names):
        order += [name for name in names if name not in order and after[name] <= {*order}]
    return Graph(tuple(out[link.name] for link in links), tuple(order))


def _before(table: str, after: Mapping[str, set[str]]) -> set[str]:
    """A table, and all that must be drawn before it."""
    found, todo = {table}, [table]
    while todo:
        near = after[todo.pop()] - found
        todo += near
        found |= near
    return found
