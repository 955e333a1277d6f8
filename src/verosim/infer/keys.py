"""Foreign keys found by values: every value of one column is a key of another table, and chance does not explain it.

Whole numbers that count from 1 lie in every key that counts as far, and prove nothing: there the name must agree too.
Where several keys hold all values, names decide, then which key is filled most. Each key found says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import polars as pl

from verosim.infer.personal import WORDS, words_of
from verosim.keys import comparable
from verosim.schema import Column, ForeignKey, Schema, Table

TELLING: Final = 10  # different values of text that lie in a key by no chance, whatever the names
SELF: Final = frozenset({"parent", "manager", "boss", "supervisor", "reports", "superior", "chief", "lead", "ancestor"})
PLAIN: Final = frozenset({"id", "key", "code", "no", "nr", "num", "number", "pk", "uuid", "guid", "ref", "fk"})
_PAIRED: Final = frozenset({"id", "number", "category", "ordinal"})  # kinds of columns that make up a key together
_LEAST: Final = 4  # letters that the beginnings of two words must share to be thought of one stem


@dataclass(frozen=True, slots=True)
class _Key:
    """A unique column that others may name."""

    table: str
    column: str
    primary: bool
    values: pl.Series  # as text, unique
    whole: bool  # numbers without gaps to speak of: other numbers lie in them by chance


def with_keys(dataset: Mapping[str, pl.DataFrame], schema: Schema, given: Schema) -> Schema:
    """The schema with the foreign keys found between its tables; those of `given` tables are as they say."""
    known = list(_keys(dataset, schema))
    for name, frame in dataset.items():
        if name not in given.tables:
            found = tuple(_of_table(schema[name], frame, known))
            schema = schema.with_table(_linked(schema[name], frame, found))
    for name in dataset:
        if name not in given.tables:
            schema = _with_pairs(name, dataset, schema, given)
    return schema


def _with_pairs(name: str, dataset: Mapping[str, pl.DataFrame], schema: Schema, given: Schema) -> Schema:
    """The schema with the keys of two columns that a table names others by: columns of the same names, no two rows of
    the other table alike in both, and all pairs of values among theirs."""
    table = schema[name]
    single = {key.columns[0] for key in table.foreign_keys if len(key.columns) == 1}
    for other in schema.values():
        for pair in combinations([n for n in table.names if n in other.names], 2):
            kinds = {c.kind for c in (*map(table.__getitem__, pair), *map(other.__getitem__, pair))}
            if other.name == name or {*pair} <= single or not kinds <= _PAIRED or table.primary_key == pair:
                continue
            if len(other.primary_key) == 1 or not _names_rows(dataset[name], dataset[other.name], pair):
                continue
            reason = f"all pairs of values are in {other.name}, and the names agree"
            ids = tuple(replace(table[n], kind="id", step=None, digits=None, unique=False) for n in pair)
            keys = (*table.foreign_keys, ForeignKey(pair, other.name, pair, reason))
            schema = schema.with_table(replace(table.with_columns(*ids), foreign_keys=keys))
            if other.name not in given.tables:
                schema = schema.with_table(replace(other, primary_key=pair))
            return schema
    return schema


def _names_rows(frame: pl.DataFrame, other: pl.DataFrame, pair: tuple[str, str]) -> bool:
    """Whether each pair of values is that of one row of another table, which neither value alone tells."""
    theirs, own = other.select(pair), frame.select(pair).drop_nulls().unique()
    if (
        [*theirs.schema.values()] != [*own.schema.values()]
        or own.height < TELLING
        or theirs.null_count().row(0) != (0, 0)
    ):
        return False
    if theirs.is_duplicated().any() or any(theirs[n].n_unique() == theirs.height for n in pair):
        return False
    return own.join(theirs, on=pair, how="anti").is_empty()


def _keys(dataset: Mapping[str, pl.DataFrame], schema: Schema) -> Iterator[_Key]:
    """The single columns by which rows of a table can be named: its primary key, and other unique ids."""
    for table in schema.values():
        for column in table.columns:
            primary, series = table.primary_key == (column.name,), dataset[table.name][column.name]
            if not primary and not (column.kind == "id" and column.unique):
                continue
            values = comparable(series).drop_nulls()
            if len(values):
                yield _Key(table.name, column.name, primary, values.sort(), _dense(series))


def _dense(series: pl.Series) -> bool:
    """Whether whole numbers fill at least a tenth of their range."""
    numbers = comparable(series).cast(pl.Int64, strict=False)
    if numbers.null_count() > series.null_count():
        return False
    return 10 * len(numbers) >= int(numbers.max()) - int(numbers.min())  # type: ignore[arg-type]


def _of_table(table: Table, frame: pl.DataFrame, known: list[_Key]) -> Iterator[ForeignKey]:
    for column in table.columns:
        if column.kind in ("personal", "empty", "boolean", "geo", "date", "datetime", "time", "duration"):
            continue
        values = comparable(frame[column.name]).drop_nulls().unique()
        fitting = [key for key in known if (key.table, key.column) != (table.name, column.name)]
        scored = [(_likeness(column, table, key), key) for key in fitting if _within(values, key)]
        good = [(score, key) for score, key in scored if _believed(score, values, key)]
        if table.primary_key == (column.name,):  # of one entity in two tables, one names the other
            good = [(score, key) for score, key in good if score >= 3 and key.primary and _smaller(table, key, frame)]
        if good:
            score, key = max(good, key=lambda pair: (pair[0], pair[1].primary, _filled(values, pair[1])))
            yield ForeignKey((column.name,), key.table, (key.column,), _reason(values, key, score, len(good)))


def _believed(score: int, values: pl.Series, key: _Key) -> bool:
    """Names that agree, or are alike where at least half of the key is used, or values that no chance explains."""
    return score >= 2 or (score == 1 and _filled(values, key) >= 0.5) or (not key.whole and len(values) >= TELLING)


def _filled(values: pl.Series, key: _Key) -> float:
    return len(values) / len(key.values)


def _within(values: pl.Series, key: _Key) -> bool:
    return 0 < len(values) <= len(key.values) and bool(values.is_in(key.values.implode()).all())


def _smaller(table: Table, key: _Key, frame: pl.DataFrame) -> bool:
    """Of two tables with one key, the one with fewer rows names the other; of equals, the later by name."""
    return (frame.height, key.table) < (len(key.values), table.name)


def _likeness(column: Column, table: Table, key: _Key) -> int:
    """How much a column's name says that it names the key: 0 not, 3 fully."""
    own, theirs = words_of(column.name).split(), words_of(key.column).split()
    home = [_singular(w) for w in words_of(key.table).split()]
    stem = [_singular(w) for w in own if w not in PLAIN]
    if own == theirs and set(own) - PLAIN:
        return 3
    if stem == home and len(own) > len(stem):
        return 3
    if key.table == table.name:
        return 2 if SELF & {*own} else 0
    if set(theirs) - PLAIN and own[-len(theirs) :] == theirs:
        return 2
    named = bool(home) and home[-1] in stem and (len(own) > len(stem) or own[-1:] == home[-1:])
    if named and not WORDS["measure"].search(" ".join(own)):
        return 2
    alike = any(a[:_LEAST] == b[:_LEAST] for a in stem for b in home if min(len(a), len(b)) >= _LEAST)
    return 1 if alike and not WORDS["measure"].search(" ".join(own)) else 0


def _singular(word: str) -> str:
    """companies -> company, boxes -> box, clients -> client

    >>> _singular("companies"), _singular("boxes"), _singular("status")
    ('company', 'box', 'status')
    """
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("xes", "ses", "shes", "ches")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _reason(values: pl.Series, key: _Key, score: int, among: int) -> str:
    why = f"all {len(values):,} different values are in {key.table}.{key.column}"
    if score:
        why += ", and the names agree" if score > 1 else ", and the names are alike"
    return why + (f"; {among - 1} other key{'s' * (among > 2)} would fit" if among > 1 else "")


def _linked(table: Table, frame: pl.DataFrame, found: tuple[ForeignKey, ...]) -> Table:
    """The table with these keys: their columns are ids, and make up its primary key where it has none."""
    keys = {name for key in found for name in key.columns}
    columns = tuple(
        c if c.name not in keys or c.kind == "id" else replace(c, kind="id", step=None, digits=None, unique=False)
        for c in table.columns
    )
    names = [n for n in table.names if n in keys]
    return replace(
        table,
        columns=columns,
        foreign_keys=found,
        primary_key=table.primary_key or (_composite(table, frame, names) if names else ()),
    )


def _composite(table: Table, frame: pl.DataFrame, keys: list[str]) -> tuple[str, ...]:
    """Two or three foreign keys, or one and a number, that no two rows share."""
    whole = (c.name for c in table.columns if c.kind == "number" and frame[c.name].dtype.is_integer())
    numbers = [name for name in whole if name not in keys]
    pairs = [*combinations(keys, 2), *combinations(keys, 3), *((k, n) for k in keys for n in numbers)]
    for names in pairs:
        part = frame.select(names)
        if frame.height >= 2 and not sum(part.null_count().row(0)) and part.n_unique() == frame.height:
            return names
    return ()
