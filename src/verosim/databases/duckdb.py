"""The structure of a DuckDB database, from its own catalogue.

SQLAlchemy's dialect for it asks the catalogue of PostgreSQL, of which DuckDB 2 has not all that the dialect wants.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from verosim.databases.structure import SqlColumn, SqlTable, in_key_order
from verosim.schema import ForeignKey

_HERE: Final = "database_name = current_database() AND schema_name = coalesce(?, current_schema())"
_DTYPES: Final = {  # a type in DuckDB's words -> of its values in memory
    "BOOLEAN": "bool", "TINYINT": "int64", "SMALLINT": "int64", "INTEGER": "int64", "BIGINT": "int64",
    "HUGEINT": "int128", "UTINYINT": "int64", "USMALLINT": "int64", "UINTEGER": "int64", "UBIGINT": "uint64",
    "FLOAT": "float64", "DOUBLE": "float64", "VARCHAR": "str", "UUID": "str", "BLOB": "binary", "DATE": "date",
    "TIME": "time", "TIMESTAMP": "datetime[us]", "TIMESTAMP_S": "datetime[us]", "TIMESTAMP_MS": "datetime[us]",
    "TIMESTAMP WITH TIME ZONE": "datetime[us, UTC]", "INTERVAL": "duration[us]",
}  # fmt: skip
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")
_LEVEL: Final = re.compile(r"'((?:[^']|'')*)'")


def schema_names(connection: sa.Connection) -> list[str]:
    """The schemas of the database that was opened."""
    wanted = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() AND NOT internal"
    return sorted({"main", *connection.exec_driver_sql(wanted).scalars()})


def table_names(connection: sa.Connection, schema: str | None = None) -> list[str]:
    """The tables of a schema; views are none."""
    wanted = f"SELECT table_name FROM duckdb_tables() WHERE {_HERE} ORDER BY 1"  # noqa: S608
    return list(connection.exec_driver_sql(wanted, (schema,)).scalars())


def tables(connection: sa.Connection, schema: str | None, names: Iterable[str]) -> dict[str, SqlTable]:
    """Tables by name, with types, keys and constraints."""
    columns: dict[str, list[SqlColumn]] = defaultdict(list)
    wanted = "table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
    for table, name, words, nullable in _rows(connection, wanted, schema, "column_index"):
        columns[table].append(_column(name, words, nullable))
    limits: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    wanted = (
        "table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names, expression "
        "FROM duckdb_constraints()"
    )
    for table, kind, own, parent, theirs, condition in _rows(connection, wanted, schema, "constraint_index"):
        key = ForeignKey(tuple(own), parent, tuple(theirs)) if parent else None
        limits[table][kind].append(key or (condition if kind == "CHECK" else tuple(own)))
    wanted = "table_name, expressions FROM duckdb_indexes()"
    for table, expressions in _rows(connection, wanted, schema, "index_name", "is_unique AND NOT is_primary"):
        plain = [part.strip().strip('"') for part in expressions.strip("[]").split(",")]
        if {*plain} <= {c.name for c in columns[table]}:  # an index may be on an expression
            limits[table]["UNIQUE"].append(tuple(plain))
    return {name: _table(name, columns[name], limits[name]) for name in names}


def drop(connection: sa.Connection, names: Iterable[str]) -> None:
    """Drop tables, children before their parents."""
    quote = connection.dialect.identifier_preparer.quote
    for name in reversed(in_key_order(tables(connection, None, names))):
        connection.exec_driver_sql(f"DROP TABLE {quote(name)}")


@dataclass(frozen=True, slots=True)
class _Stream:
    """A frame as DuckDB takes it without pyarrow: it knows polars frames by name, and asks pyarrow for them."""

    frame: pl.DataFrame

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(schema)


def insert(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> None:
    """Rows into a table, as columns: row by row DuckDB takes some thousand a second. It casts text to its own types."""
    preparer = connection.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(c.name) for c in table.columns)
    as_text = frame.with_columns(pl.selectors.by_dtype(pl.Int128).cast(pl.String))  # Arrow has no such numbers
    connection.exec_driver_sql("register", ("verosim_rows", _Stream(as_text)))
    into = f"INSERT INTO {preparer.format_table(table)} ({columns}) SELECT {columns} FROM verosim_rows"  # noqa: S608
    connection.exec_driver_sql(into)
    connection.exec_driver_sql("DROP VIEW verosim_rows")


def _rows(
    connection: sa.Connection, wanted: str, schema: str | None, order: str, condition: str = "true"
) -> Iterable[Any]:
    statement = f"SELECT {wanted} WHERE {_HERE} AND {condition} ORDER BY table_name, {order}"
    return connection.exec_driver_sql(statement, (schema,)).all()


def _table(name: str, columns: list[SqlColumn], limits: dict[str, list[Any]]) -> SqlTable:
    return SqlTable(
        name,
        tuple(columns),
        primary_key=next(iter(limits["PRIMARY KEY"]), ()),
        foreign_keys=tuple(limits["FOREIGN KEY"]),
        unique=tuple(dict.fromkeys(limits["UNIQUE"])),
        checks=tuple(limits["CHECK"]),
    )


def _column(name: str, words: str, nullable: bool) -> SqlColumn:
    """A column by its type's words; one of a type that is not known here is carried as text."""
    if words.startswith("ENUM("):
        levels = tuple(level.replace("''", "'") for level in _LEVEL.findall(words))
        return SqlColumn(name, "enum", nullable=nullable, levels=levels)
    decimal = _DECIMAL.fullmatch(words)
    dtype = f"decimal[{decimal[1]}, {decimal[2]}]" if decimal else _DTYPES.get(words)
    return SqlColumn(name, dtype or "str", words if dtype else "", nullable, as_text=dtype is None)
