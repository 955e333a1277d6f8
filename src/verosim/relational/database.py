"""A database, learned: `Database` fits all its tables and draws them anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Self

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import ModelFileError, SchemaError
from verosim.keys import Ints
from verosim.models import Array, Progress, State, part
from verosim.relational.context import Shared, known_of
from verosim.relational.drawing import Drawing, Rows
from verosim.relational.graph import Frames, Graph, Link, plan
from verosim.relational.learned import Learned
from verosim.relational.orphans import Settled
from verosim.relational.real import Real, people_in
from verosim.schema import Schema
from verosim.sequences.owned import Owned
from verosim.table_model import Options, TableModel, people_of

LEAST = 20  # people: of fewer none are held out


class Database:
    """Tables that keys tie together, and others beside them."""

    def __init__(self, schema: Schema, graph: Graph, tables: Mapping[str, Learned]) -> None:
        self.schema, self.graph, self.tables = schema, graph, tables

    @classmethod
    def fit(
        cls,
        family: Settled,
        train: Mapping[str, Ints],
        options: Options,
        seed: int,
        progress: Progress,
    ) -> Self:
        """train: the numbers of the rows to learn from, by table."""
        dataset, schema, rows = family.dataset, family.schema, family.rows
        graph = plan(dataset, schema, rows)
        real = Real.of(dataset, schema, rows, graph, train)
        names = graph.order
        _check_kept(schema, graph)
        _check_sequences(schema, graph)
        tables = {name: Learned.of(name, real, options) for name in names}
        for link in graph.links:
            if link.name in family.dangling:
                tables[link.child].dangling = {**tables[link.child].dangling, link.name: family.dangling[link.name]}
        groups = {
            link.name: tables[link.parent].group(link, real.profile(link.parent), real.summary(link.parent))
            for link in graph.links
        }
        for number, name in enumerate(names):

            def show(share: float, what: str, number: int = number, name: str = name) -> None:
                progress((number + share) / len(names), f"{name}: {what}")

            tables[name].fit(real, groups, options, seed, show)
        return cls(schema, graph, tables)

    @property
    def models(self) -> dict[str, TableModel]:
        """What draws the rows of each table that has any drawn one by one."""
        return {name: table.model for name, table in self.tables.items() if isinstance(table.model, TableModel)}

    @property
    def sequences(self) -> dict[str, Owned]:
        """What draws the rows of each table whose rows follow each other."""
        return {name: table.model for name, table in self.tables.items() if isinstance(table.model, Owned)}

    def draw(
        self, sizes: Mapping[str, int], seed: int, rows: Rows | None = None, free: Collection[str] = ()
    ) -> Drawing:
        """A sample; sizes: of all tables. rows: draws those of tables without an owner, by default as learned.

        free: see `Drawing`.
        """
        return Drawing(self.graph, self.tables, sizes, seed, rows or self._rows, free)

    def owned(self, name: str) -> set[str]:
        """The tables whose rows belong to those of a table."""
        return {child for child in self.tables if child != name and name in self.graph.line(child)}

    def _rows(self, name: str, rows: int, seed: int) -> Iterator[pl.DataFrame]:
        model = self.tables[name].model
        assert isinstance(model, TableModel)  # a sequence has an owner
        return model.blocks(rows, seed)

    def sizes(self, asked: Mapping[str, int], scale: float = 1.0) -> dict[str, int]:
        """The rows of each table: as asked by name, else those of the real one times what its owner's, or any other
        table that hangs together with it, was asked; kept tables have theirs."""
        out = {name: table.rows for name, table in self.tables.items() if table.kept is not None}
        factors = {name: n / self.tables[name].rows for name, n in asked.items() if self.tables[name].rows}
        for name in self.graph.order:
            if name not in self.tables or name in out:
                continue
            owner = self.graph.owner(name)
            near = next(
                (factors[o] for o in self.graph.order if o in factors and o in self.graph.together(name)), scale
            )
            factor = factors.get(owner.parent, near) if owner else near
            factors.setdefault(name, factor)
            out[name] = asked.get(name, round(self.tables[name].rows * factors[name]))
        for name in reversed(self.graph.order):  # whom a row names there must be
            if not out[name] and name not in asked and any(out[link.child] for link in self.graph.into(name)):
                out[name] = min(1, self.tables[name].rows)
        return out

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        states = [table.state() for table in self.tables.values()]
        meta = {
            "links": [link.to_dict() for link in self.graph.links],
            "order": list(self.graph.order),
            "tables": {name: m for name, (m, _) in zip(self.tables, states, strict=True)},
        }
        return meta, {f"{i}/{n}": a for i, (_, arrays) in enumerate(states) for n, a in arrays.items()}

    @classmethod
    def restore(cls, engine: str, schema: Schema, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        graph = Graph(tuple(Link.from_dict(link) for link in meta["links"]), tuple(map(str, meta["order"])))
        schema = Schema({name: schema[name] for name in graph.order})
        if any(link.child not in meta["tables"] or link.parent not in meta["tables"] for link in graph.links):
            raise ModelFileError("the keys of the model are not those of its tables.")
        tables = {}
        shared = {n: [Shared(*s) for s in m["shared"]] for n, m in meta["tables"].items()}
        for i, (name, own) in enumerate(meta["tables"].items()):
            owner = graph.owner(name)
            known = None
            if owner and not schema[name].keep:
                of_owner = [s for s in shared[owner.parent] if s.link == owner.name]
                known = known_of(owner, schema, graph, of_owner, [str(n) for n in own["before"]])
            tables[name] = Learned.restore(engine, schema[name], known, own, part(arrays, f"{i}/"))
        return cls(schema, graph, tables)


def _check_kept(schema: Schema, graph: Graph) -> None:
    """The rows of a kept table name rows that are kept as well."""
    for link in graph.links:
        if schema[link.child].keep and not schema[link.parent].keep:
            raise SchemaError(
                f"table {link.child!r} is kept, but the table {link.parent!r} that it names by {link.key} is not: "
                "keep both, or neither."
            )


def _check_sequences(schema: Schema, graph: Graph) -> None:
    """The rows of a sequence are those of one owner: its key must be one that can own them."""
    for name in graph.order:
        said, owner = schema[name].sequence, graph.owner(name)
        if said is None or schema[name].keep or (owner and owner.key.columns == (said.key,)):
            continue
        keys = [str(k.key) for k in graph.of(name) if len(k.key.columns) == 1 and not schema[k.parent].keep]
        raise SchemaError(
            f"table {name!r}: among tables that keys tie together the `key` of a sequence is a foreign key to a table "
            f"that is not kept ({', '.join(keys) or 'it has none'}), not {said.key!r}. Name such a key, take the "
            "`sequence` out of the schema, or learn the table by itself."
        )


def held_out(
    dataset: Frames, schema: Schema, rows: Mapping[str, Ints], options: Options, seed: int
) -> dict[str, np.ndarray]:
    """For each table (n,) whether a row is held out: with all that its owner owns. None of kept tables, nor of those
    with few people."""
    graph = plan(dataset, schema, rows)
    people, out = people_in(dataset, graph, rows), dict[str, np.ndarray]()
    for name in graph.order:
        owner, root = graph.owner(name), graph.root(name)
        frame = dataset[name]
        own = people_of(frame, options.unit) if not owner else people[name]
        n = int(own.max(initial=-1)) + 1
        if owner and root != name:
            above = out[owner.parent]
            held = np.zeros(frame.height, bool)
            there = rows[owner.name] >= 0
            held[there] = above[rows[owner.name][there]]
        else:
            chosen = np.zeros(n, bool)
            count = int(n * options.holdout) if n >= LEAST and not schema[name].keep else 0
            chosen[stream(seed, name, "hold-out").permutation(n)[:count]] = True
            held = chosen[own]
        out[name] = held
    return out
