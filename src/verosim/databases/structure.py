"""What a database is made of: tables, types, keys and constraints, read from one and kept as plain data.

A structure lies in the layout of a model (verosim.files.Layout.structure), so that rows drawn later find tables of the
same types, keys and constraints. It holds no rows. Check constraints are kept as parsed and written anew by sqlglot:
one condition on columns, never more of SQL than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

import sqlglot
from sqlglot import exp

from verosim.errors import ArgumentError, DataError, SchemaError
from verosim.rules import parse
from verosim.schema import ForeignKey, Schema, Table


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
            tables[table.name] = SqlTable(table.name, columns, table.primary_key, _keys_of(table, schema), unique)
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
    own = tuple(k for k in known.foreign_keys if {*k.columns} <= {*table.names})
    return replace(
        table,
        columns=columns,
        primary_key=key or table.primary_key,
        foreign_keys=own or table.foreign_keys,
        rules=(*table.rules, *rules),
    )


def _rule(check: str, known: SqlTable, dialect: str, table: Table) -> str | None:
    """A check constraint as a rule; None where it cannot be one."""
    text = check_for(check, known, dialect, "postgresql")
    try:
        parse((*table.rules, text or ""), table)
    except (SchemaError, DataError):
        return None
    return text


def _keys_of(table: Table, schema: Schema) -> tuple[ForeignKey, ...]:
    """The foreign keys of a table, with the columns of the parent that they name."""
    keys = (replace(k, parent_columns=k.parent_columns or schema[k.parent].primary_key) for k in table.foreign_keys)
    return tuple(key for key in keys if key.parent_columns)


def _table_of(data: Mapping[str, Any]) -> SqlTable:
    """A table of plain lists; what is left out has its default."""
    columns = [SqlColumn(**{**c, "levels": tuple(c.get("levels", ()))}) for c in data.get("columns", ())]
    keys = [
        ForeignKey(tuple(k["columns"]), k["parent"], tuple(k["parent_columns"])) for k in data.get("foreign_keys", ())
    ]
    return SqlTable(
        data["name"],
        tuple(columns),
        tuple(data.get("primary_key", ())),
        tuple(keys),
        tuple(map(tuple, data.get("unique", ()))),
        tuple(data.get("checks", ())),
    )


def in_key_order(tables: Mapping[str, SqlTable]) -> list[str]:
    """Names of tables, parents before children; in a cycle, the one of fewest parents still to come goes first."""
    waiting = {name: {k.parent for k in t.foreign_keys if k.parent in tables} - {name} for name, t in tables.items()}
    order: list[str] = []
    while waiting:
        following = min(waiting, key=lambda name: len(waiting[name] & waiting.keys()))
        order.append(following)
        del waiting[following]
    return order


# ------------------------------------------------------------------------------------------------- checks

_GLOT: Final = {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql"}  # SQLAlchemy's name -> sqlglot's
_EVERYWHERE: Final = (  # what a condition may be made of to be carried from one kind of database to another
    exp.Column, exp.Identifier, exp.Literal, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE,
    exp.LT, exp.LTE, exp.In, exp.Between, exp.Is, exp.Null, exp.Like, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Length,
    exp.Lower, exp.Upper, exp.Abs, exp.Tuple,
)  # fmt: skip


def condition(check: str, dialect: str) -> exp.Expression | None:
    """A check constraint, parsed; None where it is not understood."""
    try:
        found: Any = sqlglot.parse_one(check, read=_GLOT.get(dialect, dialect), into=exp.Condition)
    except sqlglot.ParseError:
        return None
    return _plainly(found)


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
