"""What a database is made of: tables, types, keys and constraints, read from one and kept as plain data.

A structure lies in the layout of a model (verosim.files.Layout.structure), so that rows drawn later find tables of the
same types, keys and constraints. It holds no rows. Check constraints are kept as parsed and written anew by sqlglot:
one condition on columns, never more of SQL than that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mysql, postgresql
from sqlglot import exp

from verosim.errors import ArgumentError, DatabaseError, DataError, SchemaError, did_you_mean
from verosim.rules import parse
from verosim.schema import Schema, Table


@dataclass(frozen=True, slots=True)
class ForeignKey:
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column as the database has it."""

    name: str
    dtype: str  # of its values in memory, as `schema.dtype_name` has it; "null": the values decide
    native: str = ""  # the type in the database's own words: MEDIUMINT UNSIGNED; of an enum its name
    nullable: bool = True
    length: int | None = None  # text: at most so many characters
    levels: tuple[str, ...] = ()  # of an enum
    as_text: bool = False  # JSON, arrays, addresses ...: carried as the text that the database writes for them


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table as the database has it."""

    name: str
    columns: tuple[SqlColumn, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    checks: tuple[str, ...] = ()  # in the words of the database

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]


@dataclass(frozen=True, slots=True)
class Structure:
    """The tables of a database, parents before children where no cycle stands in the way."""

    dialect: str  # sqlite, postgresql ...: whose words types and checks are in
    tables: Mapping[str, SqlTable]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars."""
        return {"dialect": self.dialect, "tables": [asdict(table) for table in self.tables.values()]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` gave, also by way of JSON. Raises ArgumentError for anything else."""
        try:
            tables = [_table_of(table) for table in data["tables"]]
            return cls(str(data["dialect"]), {table.name: table for table in tables})
        except (KeyError, TypeError, ValueError) as error:
            raise ArgumentError(f"the structure of a database is damaged ({error}).") from error

    @classmethod
    def of_schema(cls, schema: Schema) -> Self:
        """The keys that a schema knows, for data that come from elsewhere; types are those of the values."""
        tables = {}
        for table in schema.values():
            columns = tuple(SqlColumn(c.name, c.dtype, nullable=c.name not in table.primary_key) for c in table.columns)
            unique = tuple((c.name,) for c in table.columns if c.unique and (c.name,) != table.primary_key)
            tables[table.name] = SqlTable(table.name, columns, table.primary_key, _keys_of(table), unique)
        return cls("", tables)

    def tell(self, schema: Schema) -> Schema:
        """A schema with what is known here for certain: keys, columns without doubles, and checks that are rules."""
        for name, table in schema.items():
            if name in self.tables:
                schema = schema.with_table(_told(table, self.tables[name], self.dialect))
        return schema


def _told(table: Table, known: SqlTable, dialect: str) -> Table:
    single = {*(unique[0] for unique in known.unique if len(unique) == 1)} & {*table.names}
    columns = tuple(replace(c, unique=True) if c.name in single else c for c in table.columns)
    key = known.primary_key if {*known.primary_key} <= {*table.names} else ()
    rules = [
        rule for check in known.checks if (rule := _rule(check, known, dialect, table)) and rule not in table.rules
    ]
    return replace(table, columns=columns, primary_key=key or table.primary_key, rules=(*table.rules, *rules))


def _rule(check: str, known: SqlTable, dialect: str, table: Table) -> str | None:
    """A check constraint as a rule; None where it cannot be one."""
    text = check_for(check, known, dialect, "postgresql")
    try:
        parse((*table.rules, text or ""), table)
    except (SchemaError, DataError):
        return None
    return text


def _keys_of(table: Table) -> tuple[ForeignKey, ...]:
    return ()


def _table_of(data: Mapping[str, Any]) -> SqlTable:
    columns = tuple(SqlColumn(**{**c, "levels": tuple(c["levels"])}) for c in data["columns"])
    keys = tuple(ForeignKey(tuple(k["columns"]), k["parent"], tuple(k["parent_columns"])) for k in data["foreign_keys"])
    plain = {f.name: data[f.name] for f in fields(SqlTable)}
    lists = {"primary_key": tuple(data["primary_key"]), "unique": tuple(map(tuple, data["unique"]))}
    return SqlTable(**plain | lists | {"columns": columns, "foreign_keys": keys, "checks": tuple(data["checks"])})


def in_key_order(tables: Mapping[str, SqlTable]) -> list[str]:
    """Names of tables, parents before children; in a cycle, the one of fewest parents still to come goes first."""
    waiting = {name: {k.parent for k in t.foreign_keys if k.parent in tables} - {name} for name, t in tables.items()}
    order: list[str] = []
    while waiting:
        following = min(waiting, key=lambda name: len(waiting[name] & waiting.keys()))
        order.append(following)
        del waiting[following]
    return order


# ------------------------------------------------------------------------------------------------- reading it


_PARTS: Final = ("columns", "pk_constraint", "foreign_keys", "unique_constraints", "indexes", "check_constraints")


def reflect(
    connection: sa.Connection, schema: str | None, tables: Iterable[str], place: str
) -> tuple[Structure, list[str]]:
    """The structure of some tables of a database, by default of all, and notes on what cannot be carried."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types unknown to it: said below, by name
        inspector = sa.inspect(connection)
        if schema is not None and schema not in inspector.get_schema_names():
            hint = did_you_mean(schema, inspector.get_schema_names())
            raise DatabaseError(f"{place}: there is no schema {schema!r}; {hint}")
        there = sorted(inspector.get_table_names(schema))
        names = _picked(list(tables), there, place)
        parts = {
            part: {n: found for (_, n), found in getattr(inspector, f"get_multi_{part}")(schema, names).items()}
            for part in _PARTS
        }  # fmt: skip
    notes: list[str] = []
    found = {n: _table(n, {part: by[n] for part, by in parts.items()}, connection.dialect, notes) for n in names}
    if connection.dialect.name in ("mysql", "mariadb"):
        found = {n: _undoubled(table) for n, table in found.items()}
    found = {n: _with_parents(table, found, there, schema, notes) for n, table in found.items()}
    return Structure(connection.dialect.name, {n: found[n] for n in in_key_order(found)}), notes


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
    (sa.LargeBinary | sa.BINARY | sa.VARBINARY, "binary"), (mysql.TINYBLOB | mysql.MEDIUMBLOB | mysql.LONGBLOB, "binary"),
    (sa.Uuid | sa.JSON | sa.String, "str"),
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


# ------------------------------------------------------------------------------------------------- checks

_GLOT: Final = {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql"}  # SQLAlchemy's name -> sqlglot's
_EVERYWHERE: Final = (  # what a condition may be made of to be carried from one kind of database to another
    exp.Column, exp.Identifier, exp.Literal, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE,
    exp.LT, exp.LTE, exp.In, exp.Between, exp.Is, exp.Null, exp.Like, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Length,
    exp.Lower, exp.Upper, exp.Abs, exp.Tuple,
)  # fmt: skip


def check_for(check: str, table: SqlTable, source: str, target: str) -> str | None:
    """A check constraint in the words of another database (or of the same); None where it cannot be carried.

    >>> people = SqlTable("people", (SqlColumn("Age", "int64"),))
    >>> check_for("age >= 0 AND age < 150", people, "sqlite", "mysql")
    '`Age` >= 0 AND `Age` < 150'
    """
    dialects = [_GLOT.get(name, name) for name in (source, target)]
    try:
        tree: Any = sqlglot.parse_one(check, read=dialects[0], into=exp.Condition)
    except sqlglot.ParseError:
        return None
    names = {c.name.casefold(): c for c in table.columns}
    used = {c.name.casefold() for c in tree.find_all(exp.Column)}
    if not used <= names.keys() or tree.find(exp.Query, exp.Anonymous, exp.Placeholder, exp.Parameter, exp.Command):
        return None
    tree = tree.transform(
        lambda node: exp.column(names[node.name.casefold()].name) if type(node) is exp.Column else node
    )
    if dialects[0] != dialects[1]:
        tree = tree.transform(_plainly)
        flags = any(names[name].dtype in ("bool", "null") for name in used)  # 0 and 1 here, true and false there
        if flags or not all(isinstance(node, _EVERYWHERE) for node in tree.walk()):
            return None
    return tree.sql(dialect=dialects[1], identify=True)


def _plainly(node: Any) -> Any:
    """PostgreSQL's `(0)::numeric` as 0, and `= ANY (ARRAY['a', 'b'])` as `IN ('a', 'b')`."""
    if isinstance(node, exp.Cast) and isinstance(_bare(node), exp.Literal | exp.Column):
        return _bare(node)
    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        array = _bare(node.expression.this)
        if isinstance(array, exp.Array):
            return exp.In(this=_bare(node.this), expressions=[_bare(value) for value in array.expressions])
    return node


def _bare(node: Any) -> Any:
    """What stands within parentheses and casts."""
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node
