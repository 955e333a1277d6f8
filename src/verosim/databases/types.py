"""Columns and tables as SQLAlchemy has them, for the kind of database that they are written to."""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from verosim.databases.structure import SqlColumn, SqlTable, check_for

_PLAIN: Final = re.compile(r"[A-Za-z]\w*( [A-Za-z]+)*(\(\d+(, ?\d+)?\))?( [A-Za-z]+)*")  # names and sizes only
_MYSQL: Final = ("mysql", "mariadb")


class Native(sa.types.UserDefinedType[Any]):
    """A type in a database's own words."""

    cache_ok = True

    def __init__(self, words: str) -> None:
        self.words = words

    def get_col_spec(self, **_: Any) -> str:
        return self.words


_TYPES: Final[dict[str, sa.types.TypeEngine[Any]]] = {  # of values in memory -> of a column
    "int8": sa.SmallInteger(), "int16": sa.SmallInteger(), "uint8": sa.SmallInteger(),
    "int32": sa.Integer(), "uint16": sa.Integer(), "int64": sa.BigInteger(), "uint32": sa.BigInteger(),
    "uint64": sa.Numeric(20, 0).with_variant(mysql.BIGINT(unsigned=True), *_MYSQL), "int128": sa.Numeric(38, 0),
    "float32": sa.Double(), "float64": sa.Double(), "bool": sa.Boolean(), "date": sa.Date(),
    "time": sa.Time().with_variant(mysql.TIME(fsp=6), *_MYSQL),
    "datetime": sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL),
    "duration": (
        sa.BigInteger().with_variant(mysql.TIME(fsp=6), *_MYSQL).with_variant(sa.Interval(), "postgresql", "duckdb")
    ),
    "binary": sa.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL),
}  # fmt: skip
TOO_LARGE: Final = ("uint64", "int128")  # for SQLite, whose numbers above 2^63 lose their last digits
_TEXT: Final = sa.Text().with_variant(mysql.LONGTEXT(), *_MYSQL)


def type_of(column: SqlColumn, table: str, source: str, target: str, in_key: bool) -> sa.types.TypeEngine[Any]:
    """The type of a column: that which it had, where the database is of the same kind; else that of its values."""
    kind, _, zone = column.dtype.partition("[")
    if column.levels and kind == "enum" and target == "duckdb":
        return Native("ENUM(" + ", ".join("'" + level.replace("'", "''") + "'" for level in column.levels) + ")")
    if column.levels and kind == "enum":
        native = target in (*_MYSQL, "postgresql")
        name = column.native if source == target and column.native else f"{table}_{column.name}"
        return sa.Enum(*column.levels, name=name, native_enum=native, create_constraint=not native)
    if column.native and _family(source) == _family(target) and not column.as_text and is_plain(column.native):
        return Native(column.native)
    if kind == "decimal" and zone:
        precision, scale = map(int, zone.rstrip("]").split(","))
        return sa.Numeric(precision, scale)
    if kind == "datetime" and "," in zone and target not in _MYSQL:
        return sa.DateTime(timezone=True)
    if target == "sqlite" and kind == "null":
        return Native("")  # a column without a type, as it was
    if target == "sqlite" and "int" in kind:
        return _TEXT if kind in TOO_LARGE else sa.Integer()
    if kind in _TYPES:
        return _TYPES[kind]
    if column.length or (in_key and target in (*_MYSQL, "mssql", "oracle")):  # these have no keys on text without end
        return sa.String(column.length or 255)
    return _TEXT


def is_plain(native: str) -> bool:
    """Whether a type in a database's words can be written as it stands: a file may have been tampered with."""
    return len(native) < 60 and _PLAIN.fullmatch(native) is not None


def _family(dialect: str) -> str:
    return "mysql" if dialect == "mariadb" else dialect


def table_of(table: SqlTable, name: str, metadata: sa.MetaData, source: str, target: str, notes: list[str]) -> sa.Table:
    """A table by this name with its columns, its primary key, and its unique and check constraints."""
    keyed = {
        *table.primary_key,
        *(c for u in table.unique for c in u),
        *(c for k in table.foreign_keys for c in k.columns),
    }
    columns = [
        sa.Column(
            c.name, type_of(c, table.name, source, target, c.name in keyed), nullable=c.nullable,
            primary_key=c.name in table.primary_key, autoincrement=False,
        )
        for c in table.columns
    ]  # fmt: skip
    made = sa.Table(name, metadata, *columns, *(sa.UniqueConstraint(*unique) for unique in table.unique))
    for check in table.checks:
        text = check_for(check, table, source, target)
        if text is None:
            notes.append(f"table {table.name!r}: the check {check!r} cannot be carried over; left out")
        else:
            made.append_constraint(sa.CheckConstraint(text.replace(":", r"\:")))
    return made
