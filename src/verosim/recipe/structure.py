"""What a database is told of a recipe's tables: types, and those keys that hold in what is written."""

from __future__ import annotations

import polars as pl

from verosim.databases.structure import SqlColumn, SqlTable, Structure
from verosim.recipe import spoiling
from verosim.recipe.kinds.links import Ref, parts_of
from verosim.recipe.planning import Plan, TablePlan
from verosim.schema import ForeignKey, dtype_name


def structure_of(plan: Plan) -> Structure:
    """The tables of a recipe; columns that are spoilt on purpose, or missing, are no keys."""
    keys = {name: _primary_key(plan, planned) for name, planned in plan.items()}
    tables = {}
    for name, planned in plan.items():
        columns = tuple(_column(c, dtype, keys[name]) for c, dtype in spoiling.schema(planned).items())
        primary = tuple(key for key in [keys[name]] if key)
        tables[name] = SqlTable(name, columns, primary, tuple(_foreign_keys(plan, planned, keys)))
    return Structure("", tables)


def _column(name: str, dtype: pl.DataType, key: str | None) -> SqlColumn:
    levels = tuple(dtype.categories) if isinstance(dtype, pl.Enum) else ()
    return SqlColumn(name, dtype_name(dtype), nullable=name != key, levels=levels)


def _primary_key(plan: Plan, planned: TablePlan) -> str | None:
    """The column that others name, or that names the row by its kind; None where it may be missing or there twice."""
    declared = planned.table.key
    keys = [n for n in planned.visible if n == declared or getattr(planned.columns[n].kind, "KEYS", False)]
    key = declared or next(iter(keys), None)
    return key if key in planned.visible and _is_clean(planned, key) else None


def _is_clean(planned: TablePlan, name: str) -> bool:
    column = planned.columns[name]
    changed = any(name in case.set for case in planned.table.cases.values())
    return not (column.dirt or column.missing or planned.table.edge_cases or changed)


def _foreign_keys(plan: Plan, planned: TablePlan, keys: dict[str, str | None]) -> list[ForeignKey]:
    """The keys of one column that name the primary key of another table."""
    found = []
    for name in planned.visible:
        column = planned.columns[name]
        if isinstance(column.kind, Ref) and not column.dirt and not planned.table.edge_cases:
            other, theirs = parts_of(column.kind.to, plan.scopes[planned.name])
            if keys.get(other.table) == theirs:
                found.append(ForeignKey((name,), other.table, (theirs,)))
    return found
