"""A schema from data: what each column means, every guess with its reason.

    schema = infer({"people": frame})
    schema = infer({"people": frame}, Schema.load("people.schema.yaml"))    what the file says wins
    for row in explain(schema): print(row.column, row.kind, row.detail, row.reason)

Counts, ranges, uniqueness, decimals, steps and forms are exact, over the whole column; only what tells personal data,
codes and free text apart is judged by a sample of up to 1,000 different values from all over the column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.infer.columns import dtype_of, guess
from verosim.infer.given import check_key, fitted
from verosim.infer.keys import loose_ends, with_keys
from verosim.infer.measures import facts_of
from verosim.infer.personal import words_of
from verosim.infer.sequences import check_sequence, with_sequence
from verosim.providers import PLACELESS
from verosim.providers.packs import LOCALES
from verosim.schema import Column, Schema, Table

__all__ = ["Explained", "check_key", "explain", "infer", "loose_ends"]


def infer(dataset: Mapping[str, pl.DataFrame], schema: Schema | None = None) -> Schema:
    """The schema of a dataset, {table: frame}: given columns as they are, the others guessed.

    Raises SchemaError where `schema` names what is not there, or another type; DataError where the data cannot be of
    the kind that it says, or of no kind at all (nested or binary values).

    >>> frame = pl.DataFrame({"size": ["S", "L", "M", "S"], "price": [1.25, 2.5, 2.0, 1.0]})
    >>> [(c.name, c.kind) for c in infer({"shirts": frame})["shirts"].columns]
    [('size', 'ordinal'), ('price', 'number')]
    """
    given = schema or Schema()
    for name in given:
        if name not in dataset:
            raise SchemaError(f"the schema has a table {name!r} that is not in the data; {did_you_mean(name, dataset)}")
    found = Schema({name: _table(name, frame, given.tables.get(name)) for name, frame in dataset.items()})
    found = with_keys(dataset, found, given)
    if any(table.foreign_keys for table in found.values()):
        return found  # which children are sequences of their owners is seen where those are known
    return Schema({n: t if n in given.tables else with_sequence(t, dataset[n]) for n, t in found.items()})


def _table(name: str, frame: pl.DataFrame, given: Table | None) -> Table:
    known = {c.name: c for c in given.columns} if given else {}
    for column in known:
        if column not in frame.columns:
            hint = did_you_mean(column, frame.columns)
            raise SchemaError(f"table {name!r}: the schema has a column {column!r} that is not in the data; {hint}")
    try:
        columns = _columns(frame, known)
    except DataError as error:
        raise DataError(error.reason, table=name, column=error.column, row=error.row, fix=error.fix) from error
    except SchemaError as error:
        raise SchemaError(f"table {name!r}, {error}") from error
    if given is None:
        return Table(name, tuple(columns), primary_key=_key(columns))
    table = replace(given, columns=tuple(columns), primary_key=given.primary_key or _key(columns))
    check_key(table, frame)
    check_sequence(table, frame)
    return table


def _columns(frame: pl.DataFrame, known: Mapping[str, Column]) -> list[Column]:
    for series in frame:
        dtype_of(series)
    facts = facts_of(frame)
    beside = frozenset(word for name in frame.columns for word in words_of(name).split())
    columns = [
        fitted(known[s.name], s, facts[s.name]) if s.name in known else guess(s, facts[s.name], beside) for s in frame
    ]
    return _one_locale(columns, set(known))


def _one_locale(columns: list[Column], given: set[str]) -> list[Column]:
    """Guessed personal columns that say no locale take that of most others; en_US alone goes without saying.

    What is the same everywhere (PLACELESS) has none.
    """
    said = Counter(c.provider.partition(":")[2] for c in columns if c.provider and ":" in c.provider)
    locale = max(LOCALES, key=lambda name: said[name])
    alone = not set(said) - {"en_US"}

    def of(provider: str) -> str:
        if alone:
            return provider.removesuffix(":en_US")
        return provider if ":" in provider or provider in PLACELESS else f"{provider}:{locale}"

    return [
        replace(c, provider=of(c.provider)) if c.kind == "personal" and c.provider and c.name not in given else c
        for c in columns
    ]


def _key(columns: list[Column]) -> tuple[str, ...]:
    """The first column of unique ids."""
    return next(((c.name,) for c in columns if c.kind == "id" and c.unique), ())


class Explained(NamedTuple):
    """One column of a schema, in words."""

    table: str
    column: str
    kind: str
    detail: str
    reason: str


def explain(schema: Schema) -> list[Explained]:
    """A line a column, for printing: what it is, what refines that, and why.

    >>> explain(infer({"t": pl.DataFrame({"n": [2, 4, 8]})}))[0].detail
    'int64, step 2'
    """
    return [
        Explained(table.name, c.name, c.kind, _detail(c, table), c.reason)
        for table in schema.values()
        for c in table.columns
    ]


def _detail(column: Column, table: Table) -> str:
    parts = [column.dtype]
    if column.minimum is not None or column.maximum is not None:
        parts.append(f"{column.minimum} to {column.maximum}")
    parts += [f"{column.digits} decimals"] if column.digits is not None else []
    parts += [f"step {column.step}"] if column.step else []
    parts += [column.format] if column.format else []
    parts += [column.provider] if column.provider else []
    parts += [column.pattern] if column.pattern else []
    parts += [" < ".join(map(str, column.levels))] if column.kind == "ordinal" and column.levels else []
    parts += ["unique"] if column.unique else []
    parts += ["primary key"] if column.name in table.primary_key else []
    return ", ".join([*parts, *_part(column, table)])


def _part(column: Column, table: Table) -> list[str]:
    """What a column is in the table's sequence."""
    said = table.sequence
    if said is None or column.name not in said.columns:
        return []
    if column.name == said.time:
        return [f"the time of the sequence{f', steps of {said.step}' if said.step else ''}"]
    named = {said.key: "the key of the sequences", said.activity: "the activity", said.resource: "the resource"}
    return [named.get(column.name, "the same in each sequence")]
