"""What rows must hold: rules and shares, and which columns are drawn again for them."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING

from verosim import rules
from verosim.errors import SchemaError
from verosim.recipe import beyond
from verosim.recipe.nouns import PlacedError
from verosim.schema import Column as SchemaColumn
from verosim.schema import Table as SchemaTable
from verosim.schema import dtype_name

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope, TablePlan


def plan_conditions(scope: Scope) -> None:
    """Rules and shares; those of columns that depend on other rows can only be checked."""
    planned = scope.planned
    if planned.table.rules:
        for rule in _rules(scope):
            late = any(planned.makers[c].across for c in rule.columns)
            (planned.late if late else planned.conditions).append(rule)
    for text, share in planned.table.shares.items():
        try:
            if not 0 <= share <= 1:
                raise SchemaError(f"a share from 0 to 1 was wanted, not {share}.")
            condition = scope.condition(text)
            if condition.draws or any(planned.makers[c].across for c in condition.columns):
                raise SchemaError(f"{text!r}: a share is one of columns that neither draw nor depend on other rows.")
            planned.shares[text] = (condition, share)
        except SchemaError as error:
            raise scope.wrong(str(error), "shares", text) from error
    read = [c for rule in planned.conditions for c in rule.columns]
    read += [c for condition, _ in planned.shares.values() for c in condition.columns]
    behind = _behind(planned, read)
    planned.redrawn = [n for n, m in planned.makers.items() if n in behind and not (m.fixed or m.across)]


def _behind(planned: TablePlan, columns: list[str]) -> set[str]:
    """These columns, all that they are made from, and all that is drawn together with one of them."""
    found: set[str] = set()
    todo = list(columns)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += planned.uses.get(name, ())
            if name in planned.correlations:
                todo += planned.correlations[name][0].columns
            bond = getattr(planned.columns[name].kind, "bond", None)
            todo += [n for n, c in planned.columns.items() if bond and getattr(c.kind, "bond", None) == bond]
    return found


def _rules(scope: Scope) -> Iterable[rules.Rule]:
    """The rules of a table, parsed over its columns with the bounds that their distributions have."""
    columns = []
    specs = []
    for number, spec in enumerate(scope.planned.table.rules):
        known = {*scope.planned.columns}
        specs.append(beyond.in_rule(spec, scope))
        for name in [n for n in scope.planned.columns if n not in known]:
            scope.places[name] = (*scope.where, "rules", number)
            scope.maker(name)
    for name in scope:
        dtype = scope[name]
        if dtype.is_nested():
            continue
        ends = scope.maker(name).ends or (None, None)
        low, high = (b if b is not None and isfinite(b) and dtype.is_numeric() else None for b in ends)
        columns.append(SchemaColumn(name, "text", dtype_name(dtype), minimum=low, maximum=high))
    table = SchemaTable(scope.table, tuple(columns))
    for number, spec in enumerate(specs):
        try:
            rules.parse([spec], table)
        except SchemaError as error:
            raise PlacedError(
                _of_recipe(str(error).replace("rule 1", f"rule {number + 1}")), (*scope.where, "rules", number)
            ) from error
    try:
        return rules.parse(specs, table)
    except SchemaError as error:
        raise PlacedError(_of_recipe(str(error)), (*scope.where, "rules")) from error


def _of_recipe(message: str) -> str:
    return message.replace("the schema's bounds of", "what the recipe says of")
