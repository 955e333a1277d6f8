"""Rows into a database: tables made anew with types, keys and constraints, all of them or none.

Rows go in parents first, and keys between tables are added after the rows: that checks them, and lets tables refer to
each other in a circle. SQLite and DuckDB take keys only as a table is made; SQLite's are checked at the end.

Where structure is part of a transaction, one transaction holds everything. MySQL and MariaDB keep every change of
structure at once: there the tables are filled under other names, and take their own in one step at the end.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl
import sqlalchemy as sa

from verosim.databases import duckdb
from verosim.databases.places import file_of, opened, refuses_rows, said, shown
from verosim.databases.reflecting import table_names
from verosim.databases.structure import SqlColumn, SqlTable, Structure, in_key_order
from verosim.databases.types import table_of
from verosim.databases.values import rows_of
from verosim.errors import DatabaseError, DataError
from verosim.files import disk
from verosim.schema import dtype_name

Chunks = Mapping[str, Iterator[pl.DataFrame]]
_KEYS_INSIDE: Final = ("sqlite", "duckdb")  # take keys between tables only as these are made
_STAGED: Final = ("mysql", "mariadb")  # keep every change of structure at once
_REPLACING: Final = (*_KEYS_INSIDE, *_STAGED, "postgresql", "mssql")
_ROWS: Final = 5_000  # that are sent at a time
_PARAMETERS: Final = 30_000  # that PostgreSQL takes at a time, and some room
_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}  # where a driver puts a value; else by number


# ------------------------------------------------------------------------------------------------- before writing


def check_target(place: str | Path, replace: bool = False) -> None:
    """Raise DatabaseError where `write` could not write to this place: call it before long work. Changes nothing."""
    file = file_of(place)
    if file is not None:
        disk.check_writable(file)
        if not file.exists():
            return
    with opened(place) as connection:
        _check_free(connection, place, replace)


def _check_free(connection: sa.Connection, place: str | Path, replace: bool) -> list[str]:
    """The tables that are there; DatabaseError where there are some that may not be replaced."""
    there = table_names(connection)
    if there and not replace:
        some = ", ".join(map(repr, there[:3])) + (" ..." if len(there) > 3 else "")
        fix = "Name an empty database, or say --replace, which makes tables of the same names anew."
        raise DatabaseError(f"{shown(place)}: holds tables already ({some}). {fix}")
    if there and connection.dialect.name not in _REPLACING:
        raise DatabaseError(f"{shown(place)}: tables of this kind of database cannot be replaced: empty it yourself.")
    return there


# ------------------------------------------------------------------------------------------------- writing


def write(chunks: Chunks, place: str | Path, structure: Structure, replace: bool = False) -> list[str]:
    """Make tables and fill them, as `structure` has those of these names; -> notes on what could not be carried.

    Raises DatabaseError where the database refuses, DataError for rows that it refuses; then nothing is left behind.
    """
    file = file_of(place)
    new = file is not None and not file.exists()
    try:
        with opened(place, write=True) as connection:
            return _Target(connection, place).fill(chunks, structure, _check_free(connection, place, replace))
    except BaseException:
        if new and file is not None:
            file.unlink(missing_ok=True)
        raise


@dataclass
class _Target:
    """A database that is being written."""

    connection: sa.Connection
    place: str | Path
    tables: dict[str, sa.Table] = field(default_factory=dict)
    keys: dict[str, list[sa.ForeignKeyConstraint]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.connection.dialect.name

    def fill(self, chunks: Chunks, structure: Structure, there: list[str]) -> list[str]:
        firsts = {name: next(part) for name, part in chunks.items()}
        fitting = {name: _fitting(name, frame, structure, self.kind) for name, frame in firsts.items()}
        self._describe(fitting, structure.dialect)
        old = [name for name in there if name in fitting]
        with self._staged(old) if self.kind in _STAGED else self._dropped(old):
            for name in in_key_order(fitting):
                self._create(name)
                self._insert(name, firsts.pop(name), fitting[name])
                for frame in chunks[name]:
                    self._insert(name, frame, fitting[name])
            self._add_keys()
        return self.notes

    def _describe(self, tables: Mapping[str, SqlTable], source: str) -> None:
        metadata = sa.MetaData()
        for name, table in tables.items():
            own = f"verosim_{secrets.token_hex(6)}" if self.kind in _STAGED else name
            self.tables[name] = table_of(table, own, metadata, source, self.kind, self.notes)
        order = in_key_order(tables)
        for name, table in tables.items():
            self.keys[name] = []
            for key in table.foreign_keys:
                parent = tables.get(key.parent)
                what = f"table {name!r}: its key {', '.join(key.columns)} to {key.parent!r}"
                if parent is None or key.parent_columns not in (parent.primary_key, *parent.unique):
                    self.notes.append(f"{what} is left out: there is no such unique key")
                elif self.kind == "duckdb" and order.index(key.parent) >= order.index(name):
                    self.notes.append(f"{what} is left out: DuckDB has no keys in a circle")
                else:
                    parents = [self.tables[key.parent].c[column] for column in key.parent_columns]
                    constraint = sa.ForeignKeyConstraint(key.columns, parents)
                    self.tables[name].append_constraint(constraint)
                    self.keys[name].append(constraint)

    def _create(self, name: str) -> None:
        table = self.tables[name]
        for column in table.columns:
            if self.kind == "postgresql" and isinstance(column.type, sa.Enum):
                column.type.create(self.connection, checkfirst=True)
        inside = self.keys[name] if self.kind in _KEYS_INSIDE else []
        with self._of_table(name):
            self.connection.execute(sa.schema.CreateTable(table, include_foreign_key_constraints=inside))

    def _insert(self, name: str, frame: pl.DataFrame, table: SqlTable) -> None:
        """Rows by a statement for many where the driver has no quick way for one a row."""
        if self.kind == "duckdb":
            with self._of_table(name):
                duckdb.insert(self.connection, self.tables[name], _whole(frame, table))
            return
        many = max(1, min(_ROWS, _PARAMETERS // len(table.columns))) if self.kind == "postgresql" else 1
        for part in _whole(frame, table).iter_slices(max(many, 1) if many > 1 else _ROWS):
            rows = rows_of(part, self.kind)
            with self._of_table(name):
                if many > 1:
                    values = tuple(value for row in rows for value in row)
                    self.connection.exec_driver_sql(self._statement(name, len(rows)), values)
                else:
                    self.connection.exec_driver_sql(self._statement(name, 1), rows)

    def _statement(self, name: str, rows: int) -> str:
        preparer, style = self.connection.dialect.identifier_preparer, self.connection.dialect.paramstyle
        columns = [preparer.quote(c.name) for c in self.tables[name].columns]
        marks = [_MARKS.get(style) or f"{'$' if 'dollar' in style else ':'}{i}" for i in range(1, len(columns) + 1)]
        row = f"({', '.join(marks)})"
        into = f"INSERT INTO {preparer.format_table(self.tables[name])} ({', '.join(columns)}) VALUES "  # noqa: S608
        return into + ", ".join([row] * rows)

    def _add_keys(self) -> None:
        """Add the keys between tables, or check those that are there: all rows are in by now."""
        for name, keys in self.keys.items():
            if self.kind not in _KEYS_INSIDE:
                for key in keys:
                    with self._of_table(name):
                        self.connection.execute(sa.schema.AddConstraint(key))
        if self.kind == "sqlite":
            broken = self.connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                reason = f"row {broken[1]} refers to no row of table {broken[2]!r}."
                raise DataError(reason, table=broken[0], fix="Nothing was written.")

    # ------------------------------------------------------------------------------------- tables in the way

    @contextlib.contextmanager
    def _dropped(self, old: list[str]) -> Iterator[None]:
        """Tables of the same names give way first: the transaction brings them back if it fails."""
        if old and self.kind == "duckdb":
            duckdb.drop(self.connection, old)
        elif old:
            there = sa.MetaData()
            there.reflect(self.connection, only=old, resolve_fks=False)
            there.drop_all(self.connection)
        yield

    @contextlib.contextmanager
    def _staged(self, old: list[str]) -> Iterator[None]:
        """Tables under other names take their own in one step at the end; they vanish where they are not finished."""
        quote = self.connection.dialect.identifier_preparer.quote
        own = {quote(name): quote(table.name) for name, table in self.tables.items()}
        self._check_unreferred(old)
        try:
            yield
            self.connection.commit()
            gone = {quote(name): quote(f"verosim_{secrets.token_hex(6)}") for name in old}
            swaps = [*gone.items(), *((staged, name) for name, staged in own.items())]
            self.connection.exec_driver_sql("RENAME TABLE " + ", ".join(f"{a} TO {b}" for a, b in swaps))
            self._drop(gone.values())
        except BaseException:
            self.connection.rollback()
            self._drop(own.values())
            raise

    def _drop(self, names: Iterable[str]) -> None:
        self.connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        for name in names:
            self.connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        self.connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")

    def _check_unreferred(self, old: list[str]) -> None:
        """Tables that stay must not refer to tables that go."""
        for (_, name), keys in sa.inspect(self.connection).get_multi_foreign_keys().items() if old else ():
            for key in keys:
                if name not in old and key["referred_table"] in old:
                    raise DatabaseError(
                        f"{shown(self.place)}: table {key['referred_table']!r} cannot be replaced: {name!r}, which "
                        "stays, refers to it. Name another database."
                    )

    @contextlib.contextmanager
    def _of_table(self, name: str) -> Iterator[None]:
        """What the database says against rows or a table, with the table's name."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            if refuses_rows(error):
                raise DataError(f"the database refuses the rows: {said(error)}", table=name, fix=_AGAIN) from error
            raise DatabaseError(f"{shown(self.place)}: table {name!r}: {said(error)} {_AGAIN}") from error


_AGAIN: Final = "Nothing was written."


# ------------------------------------------------------------------------------------------------- frames and tables


def _fitting(name: str, frame: pl.DataFrame, structure: Structure, target: str) -> SqlTable:
    """The table for a frame: the known one, with the types of the values where the declared ones cannot hold them."""
    known = structure.tables.get(name)
    own = {c.name: c for c in known.columns} if known else {}
    loose = structure.dialect == target == "sqlite"  # any column there holds anything
    columns = {series.name: _column(series, own.get(series.name), loose) for series in frame}
    if known is None:
        return SqlTable(name, tuple(columns.values()))
    order = list(dict.fromkeys([*own, *columns]))  # columns of bytes are not learned, and so lack in the frame
    return replace(known, columns=tuple(columns.get(n) or own[n] for n in order))


def _column(series: pl.Series, known: SqlColumn | None, loose: bool) -> SqlColumn:
    dtype = dtype_name(series.dtype)
    if known is None:
        levels = tuple(series.dtype.categories) if isinstance(series.dtype, pl.Enum) else ()
        return SqlColumn(series.name, dtype, levels=levels)
    kinds = {known.dtype.partition("[")[0], dtype.partition("[")[0]}
    numbers = "decimal" in kinds and kinds <= {"decimal", "int64", "float64"}
    wider = known.dtype == "int128" and "int" in dtype
    if loose or wider or len(kinds) == 1 or (numbers and known.dtype.startswith("decimal[")):
        return known
    return replace(known, dtype=dtype, native="", length=None, levels=())


def _whole(frame: pl.DataFrame, table: SqlTable) -> pl.DataFrame:
    """The frame with all columns of its table: those that it lacks are missing, or empty where they may not be."""
    lacking = [c for c in table.columns if c.name not in frame.columns]
    added = [pl.lit(None if c.nullable else b"", pl.Binary()).alias(c.name) for c in lacking]
    return frame.with_columns(added).select(table.names)
