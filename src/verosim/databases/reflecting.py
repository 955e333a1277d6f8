"""The structure of a database, read from it: tables, types, keys and constraints."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from verosim.databases import duckdb
from verosim.databases.structure import SqlColumn, SqlTable, Structure, in_key_order
from verosim.errors import DatabaseError, did_you_mean
from verosim.schema import ForeignKey

_PARTS: Final = ("columns", "pk_constraint", "foreign_keys", "unique_constraints", "indexes", "check_constraints")


def reflect(
    connection: sa.Connection, schema: str | None, tables: Iterable[str], place: str
) -> tuple[Structure, list[str]]:
    """The structure of some tables of a database, by default of all, and notes on what cannot be carried."""
    kind, notes = connection.dialect.name, list[str]()
    schemas = duckdb.schema_names(connection) if kind == "duckdb" else sa.inspect(connection).get_schema_names()
    if schema is not None and schema not in schemas:
        raise DatabaseError(f"{place}: there is no schema {schema!r}; {did_you_mean(schema, schemas)}")
    there = table_names(connection, schema)
    names = _picked(list(tables), there, place)
    if kind == "duckdb":
        found = duckdb.tables(connection, schema, names)
    else:
        found = _inspected(connection, schema, names, notes)
    if kind in ("mysql", "mariadb"):
        found = {n: _undoubled(table) for n, table in found.items()}
    found = {n: _with_parents(table, found, there, schema, notes) for n, table in found.items()}
    return Structure(kind, {n: found[n] for n in in_key_order(found)}), notes


def table_names(connection: sa.Connection, schema: str | None = None) -> list[str]:
    """The tables of a schema, by default of that in which the user lands."""
    if connection.dialect.name == "duckdb":
        return duckdb.table_names(connection, schema)
    return sorted(sa.inspect(connection).get_table_names(schema))


def _inspected(
    connection: sa.Connection, schema: str | None, names: list[str], notes: list[str]
) -> dict[str, SqlTable]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types unknown to it: said in `notes`, by name
        inspector = sa.inspect(connection)
        parts = {
            part: {n: found for (_, n), found in getattr(inspector, f"get_multi_{part}")(schema, names).items()}
            for part in _PARTS
        }  # fmt: skip
    return {n: _table(n, {part: by[n] for part, by in parts.items()}, connection.dialect, notes) for n in names}


def _picked(wanted: list[str], there: list[str], place: str) -> list[str]:
    if not there:
        raise DatabaseError(
            f"{place}: there are no tables that this user can see. --schema-name looks in another schema."
        )
    for name in wanted:
        if name not in there:
            raise DatabaseError(f"{place}: there is no table {name!r}; {did_you_mean(name, there)}")
    return wanted or there


def _table(name: str, parts: Mapping[str, Any], dialect: sa.Dialect, notes: list[str]) -> SqlTable:
    columns = []
    for column in parts["columns"]:
        found = _column(column, dialect)
        if found is None:
            notes.append(f"table {name!r}, column {column['name']!r}: its type cannot be carried; left out")
        else:
            columns.append(found)
    known = {c.name for c in columns}
    uniques = [u["column_names"] for u in parts["unique_constraints"]]
    uniques += [i["column_names"] for i in parts["indexes"] if i["unique"] and _is_plain(i)]
    key = tuple(parts["pk_constraint"]["constrained_columns"])
    if not known.issuperset(key):
        raise DatabaseError(f"table {name!r}: its primary key has a column of a type that cannot be carried.")
    return SqlTable(
        name,
        tuple(columns),
        primary_key=key,
        foreign_keys=tuple(
            _foreign_key(k) for k in parts["foreign_keys"] if known.issuperset(k["constrained_columns"])
        ),
        unique=tuple(dict.fromkeys(tuple(u) for u in uniques if known.issuperset(u))),
        checks=tuple(check["sqltext"] for check in parts["check_constraints"] or ()),
    )


def _undoubled(table: SqlTable) -> SqlTable:
    """The table with ` in its columns' names as it is: SQLAlchemy leaves MySQL's doubled."""

    def plain(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name.replace("``", "`") for name in names)

    columns = tuple(replace(c, name=name) for c, name in zip(table.columns, plain(table.names), strict=True))
    unique = tuple(plain(names) for names in table.unique)
    return replace(table, columns=columns, primary_key=plain(table.primary_key), unique=unique)


def _is_plain(index: Mapping[str, Any]) -> bool:
    """Whether an index is on columns alone, and on all rows."""
    options = index.get("dialect_options") or {}
    return None not in index["column_names"] and not any(name.endswith("_where") for name in options)


def _foreign_key(key: Mapping[str, Any]) -> ForeignKey:
    parent = (
        key["referred_table"] if not key["referred_schema"] else f"{key['referred_schema']}.{key['referred_table']}"
    )
    return ForeignKey(tuple(key["constrained_columns"]), parent, tuple(key["referred_columns"]))


def _with_parents(
    table: SqlTable, found: Mapping[str, SqlTable], there: list[str], schema: str | None, notes: list[str]
) -> SqlTable:
    """The table with its foreign keys to the tables at hand; SQLite lets a key name them in any case."""
    by_name = {name.casefold(): name for name in found}
    keys = []
    for key in table.foreign_keys:
        parent = key.parent.removeprefix(f"{schema}.")
        name = parent if parent in found else by_name.get(parent.casefold())
        columns = {c.casefold(): c for c in found[name].names} if name else {}
        if name is None or not all(c.casefold() in columns for c in key.parent_columns):
            why = "a table that was not asked for" if parent in there else "a table or column that is not here"
            notes.append(f"table {table.name!r}: the key {', '.join(key.columns)} refers to {why} ({parent}); left out")
        else:
            keys.append(ForeignKey(key.columns, name, tuple(columns[c.casefold()] for c in key.parent_columns)))
    return replace(table, foreign_keys=tuple(dict.fromkeys(keys)))


# ------------------------------------------------------------------------------------------------- types


def _column(column: Mapping[str, Any], dialect: sa.Dialect) -> SqlColumn | None:
    """The column; None for a type whose values cannot be carried."""
    kind = column["type"]
    nullable = bool(column.get("nullable", True))
    dtype = _dtype(kind, dialect.name)
    if dtype is None:
        if dialect.name != "postgresql":
            return None
        return SqlColumn(column["name"], "str", nullable=nullable, as_text=True)  # there, all types have a text form
    levels = tuple(map(str, kind.enums)) if isinstance(kind, sa.Enum) else ()
    length = kind.length if isinstance(kind, sa.String) and not levels else None
    native = (kind.name or "") if levels else "" if isinstance(kind, sa.types.NullType) else kind.compile(dialect)
    as_text = isinstance(kind, sa.JSON) and dialect.name == "postgresql"  # other drivers give text
    return SqlColumn(column["name"], dtype, native, nullable, length, levels, as_text)


_DTYPES: Final = (  # of a column -> of its values in memory; the first that fits
    (sa.Enum, "enum"), (sa.Boolean, "bool"), (sa.Integer, "int64"), (sa.Float, "float64"), (sa.Date, "date"),
    (sa.Time, "time"), (sa.Interval | postgresql.INTERVAL, "duration[us]"),
    (sa.LargeBinary | sa.BINARY | sa.VARBINARY, "binary"),
    (mysql.TINYBLOB | mysql.MEDIUMBLOB | mysql.LONGBLOB, "binary"), (sa.Uuid | sa.JSON | sa.String, "str"),
)  # fmt: skip


def _dtype(kind: Any, dialect: str) -> str | None:
    """The type in memory for a type of a database, as `schema.dtype_name` has it; None: there is none.

    Where the values may be of other types than is declared, as in SQLite, this is what they are taken for if they can.
    """
    if isinstance(kind, sa.types.NullType):
        return "null" if dialect == "sqlite" else None
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        precision, scale = kind.precision, kind.scale
        return f"decimal[{precision}, {scale or 0}]" if precision and 0 < precision <= 38 else "decimal"
    if isinstance(kind, sa.DateTime):
        return "datetime[us, UTC]" if kind.timezone else "datetime[us]"
    if isinstance(kind, sa.Time) and kind.timezone:
        return None
    if type(kind).__name__ == "TINYINT" and getattr(kind, "display_width", None) == 1:
        return "bool"  # MySQL's way to say it
    if type(kind).__name__ == "YEAR":
        return "int64"
    if type(kind).__name__ == "BIT":
        return ("bool" if kind.length == 1 else "uint64") if dialect in ("mysql", "mariadb") else None
    return next((name for types, name in _DTYPES if isinstance(kind, types)), None)
