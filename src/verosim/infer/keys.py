"""Foreign keys found by values: every value of one column is a key of another table, and chance does not explain it.

Whole numbers that count from 1 lie in every key that counts as far, and prove nothing: there the name must agree too.
Where several keys hold all values, names decide, then which key is filled most. Each key found says why.

A key that its names say in full is found in damaged data too: where some rows name nobody, and where some rows of the
other table share theirs or have none. Learning then asks what to do, where silence would lose the relation.
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
FULL: Final = 3  # the likeness of names that say a key in full
FOUND: Final = 0.5  # share of the values that must be keys of the other table where names say so in full
SOUND: Final = 0.9  # share of a table's rows that a damaged key must tell apart
_NEVER: Final = (
    "personal",
    "json",
    "empty",
    "boolean",
    "geo",
    "date",
    "datetime",
    "time",
    "duration",
)  # kinds of no key


@dataclass(frozen=True, slots=True)
class _Key:
    """A unique column that others may name."""

    table: str
    column: str
    primary: bool
    values: pl.Series  # as text, unique
    whole: bool  # numbers without gaps to speak of: other numbers lie in them by chance
    harmed: int = 0  # rows of the table that share theirs with another, or have none


@dataclass(frozen=True, slots=True)
class _Match:
    """A column beside a key that it may name: the likeness of their names, and what its values say."""

    score: int
    key: _Key
    levels: int  # different values
    found: float  # the share of them that are keys; 0 of none

    @classmethod
    def of(cls, score: int, key: _Key, values: pl.Series) -> _Match:
        """values: different ones, as text."""
        found = values.is_in(key.values.implode()).mean() if len(values) else 0.0
        return cls(score, key, len(values), float(found or 0.0))  # type: ignore[arg-type]

    @property
    def filled(self) -> float:
        return self.levels / len(self.key.values)

    @property
    def believed(self) -> bool:
        """Names that agree, or are alike where at least half of the key is used, or values that no chance explains;
        names that say a key in full need not have all values in it."""
        if self.found < 1:
            return self.score == FULL and self.key.primary and self.found >= FOUND and self.levels >= TELLING
        by_chance = self.key.whole or self.levels < TELLING
        return self.score >= 2 or (self.score == 1 and self.filled >= 0.5) or not by_chance

    @property
    def worth(self) -> tuple[float, ...]:
        """By which of several keys that a column may name the best is found."""
        return self.score == FULL, self.found == 1, self.score, self.key.primary, self.filled

    def smaller(self, table: Table, frame: pl.DataFrame) -> bool:
        """Of two tables with one key, the one with fewer rows names the other; of equals, the later by name."""
        first = (frame.height, self.key.table) < (len(self.key.values), table.name)
        return self.score == FULL and self.key.primary and self.found == 1 and first

    def reason(self, among: int) -> str:
        lost = self.levels - round(self.found * self.levels)
        how_many = f"{self.levels - lost:,} of" if lost else "all"
        why = f"{how_many} {self.levels:,} different values are in {self.key.table}.{self.key.column}"
        if self.score:
            why += ", and the names agree" if self.score > 1 else ", and the names are alike"
        why += f"; {among - 1} other key{'s' * (among > 2)} would fit" if among > 1 else ""
        return why + (f"; rows there that share theirs or have none: {self.key.harmed:,}" if self.key.harmed else "")


def with_keys(dataset: Mapping[str, pl.DataFrame], schema: Schema, given: Schema) -> Schema:
    """The schema with the foreign keys found between its tables; those of `given` tables are as they say."""
    known = list(_keys(dataset, schema))
    for name, frame in dataset.items():
        if name not in given.tables:
            found = tuple(_of_table(schema[name], frame, known))
            schema = schema.with_table(_linked(schema[name], frame, found))
    named = {(key.parent, key.parent_columns) for table in schema.values() for key in table.foreign_keys}
    for key in known:
        if key.harmed and (key.table, (key.column,)) in named and key.table not in given.tables:
            schema = schema.with_table(_harmed(schema[key.table], key))
    for name in dataset:
        if name not in given.tables:
            schema = _with_pairs(name, dataset, schema, given)
    return schema


def loose_ends(dataset: Mapping[str, pl.DataFrame], schema: Schema) -> list[str]:
    """What is not learned for want of a key: tables that none ties, and columns that name rows of several tables."""
    notes = []
    for table in schema.values():
        for column, said in _of_several(table, dataset[table.name], schema):
            notes.append(
                f"{table.name}: {column} names rows of the table that {said} says; such a key is not learned: "
                "give it a column for each table that it names."
            )
    tied = {name for table in schema.values() for key in table.foreign_keys for name in (table.name, key.parent)}
    if len(schema) > 1 and (lone := [name for name in schema if name not in tied]):
        names = ", ".join(lone[:5]) + (f" and {len(lone) - 5} more" if len(lone) > 5 else "")
        notes.append(f"no key ties {names} to another table: learned alone; a schema can name keys (foreign_keys).")
    return notes


def _of_several(table: Table, frame: pl.DataFrame, schema: Schema) -> Iterator[tuple[str, str]]:
    """Columns such as subject_id beside subject_type, whose values are names of tables (a polymorphic key)."""
    tables = {_home(name) for name in schema if name != table.name}
    own = {words_of(name): name for name in table.names}
    for words, name in own.items():
        stem, _, last = words.rpartition(" ")
        said = own.get(f"{stem} type") if stem and last in PLAIN else None
        if said is None or any(name in key.columns for key in table.foreign_keys):
            continue
        if not isinstance(frame[said].dtype, pl.String | pl.Categorical | pl.Enum):
            continue
        levels = frame[said].drop_nulls().unique().cast(pl.String).to_list()
        if 1 < len(levels) <= len(tables) and {_home(level) for level in levels} <= tables:
            yield name, said


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
        frame, found = dataset[table.name], False
        for column in table.columns:
            primary, series = table.primary_key == (column.name,), frame[column.name]
            if not primary and not (column.kind == "id" and column.unique):
                continue
            values, found = comparable(series).drop_nulls(), True
            if len(values):
                yield _Key(table.name, column.name, primary, values.sort(), _dense(series))
        if not found and not table.primary_key:
            yield from _harmed_key(table, frame)


def _harmed_key(table: Table, frame: pl.DataFrame) -> Iterator[_Key]:
    """The column that is a table's key by its name, and that tells nearly all of its rows apart."""
    home = _home(table.name)
    for column in table.columns:
        words = words_of(column.name).split()
        stem = " ".join(_singular(w) for w in words if w not in PLAIN)
        if column.kind in _NEVER or not {*words} & PLAIN or stem not in ("", home):
            continue
        values = comparable(frame[column.name]).drop_nulls()
        alone = values.filter(values.is_unique())
        if values.n_unique() >= SOUND * frame.height:
            yield _Key(table.name, column.name, True, values.unique().sort(), True, frame.height - len(alone))
            return


def _dense(series: pl.Series) -> bool:
    """Whether whole numbers fill at least a tenth of their range."""
    numbers = comparable(series).cast(pl.Int64, strict=False)
    if numbers.null_count() > series.null_count():
        return False
    return 10 * len(numbers) >= int(numbers.max()) - int(numbers.min())  # type: ignore[arg-type]


def _of_table(table: Table, frame: pl.DataFrame, known: list[_Key]) -> Iterator[ForeignKey]:
    for column in table.columns:
        scored = [] if column.kind in _NEVER else list(_candidates(column, table, known))
        if not scored:
            continue
        values = comparable(frame[column.name].unique()).drop_nulls().unique()
        good = [m for m in (_Match.of(score, key, values) for score, key in scored) if m.believed]
        if table.primary_key == (column.name,):  # of one entity in two tables, one names the other
            good = [m for m in good if m.smaller(table, frame)]
        if good:
            best = max(good, key=lambda m: m.worth)
            yield ForeignKey((column.name,), best.key.table, (best.key.column,), best.reason(len(good)))


def _candidates(column: Column, table: Table, known: list[_Key]) -> Iterator[tuple[int, _Key]]:
    """The keys that a column may name, with the likeness of the names, before any value is looked at."""
    for key in known:
        if (key.table, key.column) != (table.name, column.name):
            score = _likeness(column, table, key)
            if score == FULL or (not key.harmed and (score or not key.whole)):
                yield score, key


def _likeness(column: Column, table: Table, key: _Key) -> int:
    """How much a column's name says that it names the key: 0 not, 3 fully."""
    own, theirs, home = words_of(column.name).split(), words_of(key.column).split(), _home(key.table).split()
    stem = [_singular(w) for w in own if w not in PLAIN]
    if own == theirs and set(own) - PLAIN:
        return FULL
    if stem == home and len(own) > len(stem):
        return FULL
    if key.table == table.name:
        return 2 if SELF & {*own} else 0
    if set(theirs) - PLAIN and own[-len(theirs) :] == theirs:
        return 2
    named = bool(home) and home[-1] in stem and (len(own) > len(stem) or own[-1:] == home[-1:])
    if named and not WORDS["measure"].search(" ".join(own)):
        return 2
    alike = any(a[:_LEAST] == b[:_LEAST] for a in stem for b in home if min(len(a), len(b)) >= _LEAST)
    return 1 if alike and not WORDS["measure"].search(" ".join(own)) else 0


def _home(name: str) -> str:
    """The words of a table's name, each in the singular."""
    return " ".join(_singular(w) for w in words_of(name).split())


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


def _harmed(table: Table, key: _Key) -> Table:
    """The table with a primary key that is damaged, as learning will say."""
    why = f"its name is that of a key; rows that share theirs or have none: {key.harmed:,}"
    column = replace(table[key.column], kind="id", step=None, digits=None, unique=False, reason=why)
    return replace(table.with_columns(column), primary_key=(key.column,))


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
