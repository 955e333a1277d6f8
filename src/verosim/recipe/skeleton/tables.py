"""A recipe from the tables of SQL statements, or of a live database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlglot
from sqlglot import exp

from verosim import databases
from verosim.databases.structure import SqlColumn, SqlTable
from verosim.errors import SchemaError
from verosim.recipe.skeleton.guessed import Field, bare, recipe_of


def from_sql(statements: str, dialect: str | None = None) -> dict[str, Any]:
    """A recipe of the tables that CREATE TABLE statements describe. Nothing is run."""
    try:
        trees = sqlglot.parse(statements, read=dialect)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise SchemaError(f"the SQL is not understood: {str(error).splitlines()[0]}") from error
    tables = {}
    for tree in trees:
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            tables[tree.this.this.name] = _sql_fields(tree.this)
    if not tables:
        raise SchemaError("there is no CREATE TABLE statement.")
    return recipe_of(tables)


def _sql_fields(schema: exp.Schema) -> list[Field]:
    keys = {c.name for key in schema.find_all(exp.PrimaryKey) for c in key.expressions}
    refs = {}
    for foreign in schema.find_all(exp.ForeignKey):
        for place, column in enumerate(foreign.expressions):
            refs[column.name] = _target(foreign.args["reference"].this, place)
    return [_sql_field(c, keys, refs) for c in schema.expressions if isinstance(c, exp.ColumnDef)]


def _target(target: exp.Expression, place: int = 0) -> str:
    """What a foreign key is of: table.column, or the table alone for its key."""
    if not isinstance(target, exp.Schema):
        return bare(target.name)
    columns = target.expressions
    return f"{bare(target.this.name)}.{columns[place].name}" if place < len(columns) else bare(target.this.name)


def _sql_field(column: exp.ColumnDef, keys: set[str], refs: Mapping[str, str]) -> Field:
    kinds = [constraint.kind for constraint in column.constraints]
    ref = next((_target(k.this) for k in kinds if isinstance(k, exp.Reference)), refs.get(column.name))
    key = column.name in keys or any(isinstance(k, exp.PrimaryKeyColumnConstraint) for k in kinds)
    needed = key or any(isinstance(k, exp.NotNullColumnConstraint) and not k.args.get("allow_null") for k in kinds)
    values = next((_levels(k.this, column.name) for k in kinds if isinstance(k, exp.CheckColumnConstraint)), ())
    unique = any(isinstance(k, exp.UniqueColumnConstraint) for k in kinds)
    composite = key and len(keys) > 1 and ref is None
    return Field(column.name, _sql_type(column.kind), not needed, key and not composite, unique, values, ref=ref)


def _levels(condition: exp.Expression | None, column: str) -> tuple[Any, ...]:
    """The values that a check such as `tier in ('a', 'b')` allows; none where it is of another kind."""
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if not isinstance(condition, exp.In) or condition.this.name.casefold() != column.casefold():
        return ()
    values = condition.expressions
    return tuple(v.to_py() for v in values) if all(isinstance(v, exp.Literal) for v in values) else ()


_SQL: Final = {  # what the name of a type holds -> what it is; the first counts
    "SERIAL": "integer", "INT": "integer", "BOOL": "boolean", "UUID": "uuid", "TIMESTAMP": "datetime",
    "DATETIME": "datetime", "DATE": "date", "DEC": "number", "NUM": "number", "FLOAT": "number", "DOUBLE": "number",
    "REAL": "number", "MONEY": "number",
}  # fmt: skip


def _sql_type(kind: exp.DataType | None) -> str:
    return _named("TEXT" if kind is None else str(kind.args.get("kind") or kind.this.name))


def _named(kind: str) -> str:
    return next((found for part, found in _SQL.items() if part in kind.upper()), "text")


# ------------------------------------------------------------------------------------------------- live databases


def from_database(place: str | Path) -> dict[str, Any]:
    """A recipe of the tables of a live database: its URL, or the file of an embedded one. No row is read.

    Raises DatabaseError, and MissingExtraError where the extra `sql` or a driver is not installed.
    """
    structure = databases.described(place)
    return recipe_of({
        name: [_field(column, table, structure.dialect) for column in table.columns]
        for name, table in structure.tables.items()
    })  # fmt: skip


def _field(column: SqlColumn, table: SqlTable, dialect: str) -> Field:
    kind = next((found for part, found in _DTYPES.items() if column.dtype.startswith(part)), "text")
    kind = "uuid" if column.native.upper() == "UUID" else kind
    refs = (
        f"{bare(key.parent)}.{other}"
        for key in table.foreign_keys
        for own, other in zip(key.columns, key.parent_columns, strict=True)
        if own == column.name
    )
    checks = (databases.condition(check, dialect) for check in table.checks)
    values = next(filter(None, (_levels(check, column.name) for check in checks)), ())
    nullable = column.nullable and column.name not in table.primary_key
    is_key, is_unique = ((column.name,) in keys for keys in ([table.primary_key], table.unique))
    return Field(
        column.name, kind, nullable, is_key, is_unique, column.levels or values,
        ref=next(refs, None),
    )  # fmt: skip


_DTYPES: Final = {  # how the name of a type in memory begins -> what it is
    "int": "integer", "uint": "integer", "float": "number", "decimal": "number", "bool": "boolean",
    "datetime": "datetime", "date": "date",
}  # fmt: skip
