"""Rows out of a database: all tables as they stood at one moment, in batches, or so many rows of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import nsmallest
from pathlib import Path
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from verosim.databases.places import Pick, opened, said, shown
from verosim.databases.reflecting import reflect
from verosim.databases.structure import SqlTable, Structure
from verosim.databases.values import column_of, columns_of, join
from verosim.draws import stream
from verosim.errors import DatabaseError
from verosim.files import Layout, Source

_BATCH: Final = 1 << 15  # rows that are held as Python objects at a time
Row = tuple[Any, ...]
Keys = dict[tuple[str, tuple[str, ...]], set[Row]]  # (table, columns) -> the values that its drawn rows have there


def read(place: str | Path, pick: Pick) -> Source:
    """The tables of a database, parents first; what they are made of lies in the layout. The database is only read.

    Raises DatabaseError where it cannot be reached or read, DataError for values that cannot be carried.
    """
    with opened(place) as connection:
        structure, notes = reflect(connection, pick.schema_name, pick.tables, shown(place))
        frames: dict[str, pl.DataFrame] = {}
        drawn: Keys = {}
        for table in structure.tables.values():
            rows = _rows(connection, table, pick.schema_name, shown(place))
            if pick.sample_rows is not None:
                rows = iter([_drawn(rows, table, structure, pick.sample_rows, drawn, notes)])
            frames[table.name], more = _frame(rows, table)
            notes += more
    return Source(frames, Layout("database", structure=structure.to_dict()), tuple(notes))


def described(place: str | Path, pick: Pick) -> Structure:
    """What the tables of a database are made of, parents first. No row is read."""
    with opened(place) as connection:
        return reflect(connection, pick.schema_name, pick.tables, shown(place))[0]


def _rows(connection: sa.Connection, table: SqlTable, schema: str | None, place: str) -> Iterator[list[Row]]:
    """The rows of a table in batches, as the driver gives them, in the order of the primary key."""
    quote = connection.dialect.identifier_preparer.quote
    # values of types of a database's own are asked for as the text that it writes for them
    columns = [f"CAST({quote(c.name)} AS TEXT)" if c.as_text else quote(c.name) for c in table.columns]
    own = ".".join(quote(name) for name in (schema, table.name) if name)
    order = f" ORDER BY {', '.join(map(quote, table.primary_key))}" if table.primary_key else ""
    wanted = f"SELECT {', '.join(columns)} FROM {own}{order}"  # noqa: S608
    try:
        found = connection.execution_options(stream_results=True).exec_driver_sql(wanted)
        for rows in found.partitions(_BATCH):
            yield [tuple(row) for row in rows]
    except sa.exc.SQLAlchemyError as error:
        gone = "no such table", "does not exist", "doesn't exist"
        meanwhile = " Was it dropped while this was read? Try again." if any(g in str(error) for g in gone) else ""
        raise DatabaseError(f"{place}: table {table.name!r} cannot be read: {said(error)}{meanwhile}") from error


def _frame(batches: Iterator[list[Row]], table: SqlTable) -> tuple[pl.DataFrame, list[str]]:
    parts: dict[str, list[pl.Series]] = {name: [] for name in table.names}
    notes, start = [], 0
    for rows in batches:
        for name, values in zip(table.names, columns_of(rows, len(table.names)), strict=True):
            parts[name].append(column_of(values, name, table.name, start))
        start += len(rows)
    columns = []
    for column in table.columns:
        series, note = join(parts.pop(column.name), column, table.name)
        columns.append(series)
        notes += [note] if note else []
    return pl.DataFrame(columns, height=start), notes


def _drawn(
    batches: Iterator[list[Row]], table: SqlTable, structure: Structure, n: int, drawn: Keys, notes: list[str]
) -> list[Row]:
    """At most n rows, drawn by a fixed seed, of those that refer to drawn rows alone; their keys go to `drawn`.

    All rows are read once, in the order in which the database gives them, and about 2n are held.
    """
    at = {name: i for i, name in enumerate(table.names)}
    parents = [
        ([at[c] for c in key.columns], drawn.get((key.parent, key.parent_columns))) for key in table.foreign_keys
    ]
    checked = [(places, kept) for places, kept in parents if kept is not None]
    rng = stream(0, table.name, "sample rows")
    held: list[tuple[float, int, Row]] = []
    total = count = 0
    for rows in batches:
        total += len(rows)
        whole = [row for row in rows if all(_among(row, places, kept) for places, kept in checked)]
        held += zip(rng.random(len(whole)), range(count, count + len(whole)), whole, strict=True)
        count += len(whole)
        if len(held) > 2 * n:
            held = nsmallest(n, held)
    rows = [row for _, _, row in sorted(nsmallest(n, held), key=lambda item: item[1])]
    if len(rows) < total:
        rows = _loosened(rows, table, at)
        notes.append(f"table {table.name!r}: {len(rows):,} of {total:,} rows drawn; parents have fewer children for it")
        for columns in _referred(structure.tables, table.name):
            drawn[table.name, columns] = {tuple(row[at[c]] for c in columns) for row in rows}
    return rows


def _loosened(rows: list[Row], table: SqlTable, at: Mapping[str, int]) -> list[Row]:
    """Rows that refer to rows of their own table that were not drawn refer to none."""
    for key in table.foreign_keys:
        if key.parent == table.name:
            places = [at[c] for c in key.columns]
            kept = {tuple(row[at[c]] for c in key.parent_columns) for row in rows}
            rows = [
                row if _among(row, places, kept) else tuple(None if i in places else v for i, v in enumerate(row))
                for row in rows
            ]
    return rows


def _among(row: Row, places: list[int], kept: set[Row]) -> bool:
    """Whether a row refers to a drawn row, or to none."""
    key = tuple(row[i] for i in places)
    return None in key or key in kept


def _referred(tables: Mapping[str, SqlTable], parent: str) -> set[tuple[str, ...]]:
    """The columns of a table that keys of others refer to."""
    return {
        key.parent_columns
        for t in tables.values()
        if t.name != parent
        for key in t.foreign_keys
        if key.parent == parent
    }
