"""Objects and lists inside a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from verosim.errors import SchemaError
from verosim.recipe.kinds.below import Children
from verosim.recipe.nouns import Column, Kind, Maker, Table

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope

VALUE = "value"  # the only column of a list's own table


@dataclass(frozen=True)
class Object(Kind):
    ABOUT: ClassVar[str] = 'columns in one: others see a field as "column.field", in double quotes'

    object: Mapping[str, Column]

    def plan(self, scope: Scope, name: str) -> Maker:
        if not self.object:
            raise SchemaError("an object needs fields.")
        shown = [field for field, column in self.object.items() if not column.hidden]
        for field, column in self.object.items():
            if f"{name}.{field}" in scope.planned.columns:
                raise SchemaError(f"there is a column {name + '.' + field!r} already.")
            scope.planned.columns[f"{name}.{field}"] = replace(column, hidden=True)
            scope.places[f"{name}.{field}"] = (*scope.place(name), "object", field)
        dtype = pl.Struct({field: scope[f"{name}.{field}"] for field in shown})
        across = any(scope.maker(f"{name}.{field}").across for field in shown)
        return Maker(
            dtype,
            lambda block: pl.DataFrame([block[f"{name}.{f}"].alias(f) for f in shown]).to_struct(name),
            across=across,
        )


@dataclass(frozen=True)
class List(Kind):
    """A list is a hidden table whose rows are its elements."""

    ABOUT: ClassVar[str] = "a list of values of any kind; elements look up columns of their row with `lookup`"

    list: Column
    length: Column

    def plan(self, scope: Scope, name: str) -> Maker:
        table = f"\0{scope.table} {name}".replace(".", " ")
        element = Table(
            {VALUE: replace(self.list, hidden=False)}, per=scope.table, count=self.length, locale=scope.locale
        )
        scope.plan.add_inner(table, element, scope.place(name))
        return Children(f"{table}.{VALUE}", "list").plan(scope, name)
