"""SDV's constraint files, read into rules and written from them.

    schema, notes = with_constraints(schema, "constraints.json")
    constraints, left = constraints_of(schema)

Those of `sdv.cag` and of the older `sdv.constraints`, by their class names; what is not known is named in the notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from verosim.compat.sdv import listed, mapping
from verosim.errors import SchemaError
from verosim.expressions import quoted
from verosim.rules import parse
from verosim.rules.kinds import FixedCombinations, FixedIncrements, Inequality, OneHot, Rule, Unique
from verosim.schema import Schema, parse_yaml, read_text


def with_constraints(schema: Schema, constraints: str | Path | Sequence[Mapping[str, Any]]) -> tuple[Schema, list[str]]:
    """A schema with the rules of a constraint file, or of its content, added; and a sentence on each not understood.

    Of a single table a constraint needs no `table_name`. Raises SchemaError for a table or parameter that lacks.
    """
    if isinstance(constraints, str | Path):
        constraints = parse_yaml(read_text(constraints, "constraint"))
    if not isinstance(constraints, Sequence):
        raise SchemaError(f"a list of constraints was wanted, not {type(constraints).__name__}.")
    notes = []
    for number, constraint in enumerate(constraints, 1):
        said = mapping(constraint, f"constraint {number}")
        kind = str(said.get("class_name") or said.get("constraint_class"))
        parameters = dict(mapping(said.get("parameters", said.get("constraint_parameters")), f"constraint {number}"))
        name = parameters.pop("table_name", None) or said.get("table_name") or _home(schema, parameters, number)
        if kind not in RULES:
            notes.append(f"constraint {number}: {kind} is not known here, and does not hold")
            continue
        try:
            rules = tuple(RULES[kind](parameters))
        except KeyError as error:
            raise SchemaError(f"constraint {number}, {kind}: the parameter {error} is missing.") from error
        schema = schema.with_table(replace(schema[name], rules=(*schema[name].rules, *rules)))
    return schema, notes


def _home(schema: Schema, parameters: Mapping[str, Any], number: int) -> str:
    """The only table that has all columns that a constraint names."""
    columns = {c for name, value in parameters.items() if "column_name" in name for c in listed(value)}
    fitting = [name for name, table in schema.items() if columns <= {*table.names}]
    if len(fitting) != 1:
        raise SchemaError(f"constraint {number}: say with `table_name` of which table it is: {', '.join(schema)}.")
    return fitting[0]


Parameters = Mapping[str, Any]
Rules = Iterator[Mapping[str, Any] | str]


def _inequality(p: Parameters) -> Rules:
    yield _below(p["low_column_name"], p["high_column_name"], p.get("strict_boundaries", False))


def _range(p: Parameters) -> Rules:
    strict = p.get("strict_boundaries", True)
    yield _below(p["low_column_name"], p["middle_column_name"], strict)
    yield _below(p["middle_column_name"], p["high_column_name"], strict)


def _chain(p: Parameters) -> Rules:
    names = listed(p["column_names"])
    yield from (_below(a, b, p.get("strict_boundaries", False)) for a, b in pairwise(names))


def _below(low: str, high: str, strict: bool) -> dict[str, Any]:
    return {"rule": "inequality", "low_column": low, "high_column": high, **({"strict": True} if strict else {})}


def _of_columns(kind: str) -> Callable[[Parameters], Rules]:
    def read(p: Parameters) -> Rules:
        yield {"rule": kind, "columns": listed(p["column_names"])}

    return read


def _increments(p: Parameters) -> Rules:
    yield {"rule": "fixed_increments", "column": p["column_name"], "step": p["increment_value"]}


def _scalar(p: Parameters) -> Rules:
    yield f"{quoted(p['column_name'])} {p['relation']} {_literal(p['value'])}"


def _scalar_range(p: Parameters) -> Rules:
    if not p.get("strict_boundaries", False):
        yield {"rule": "range", "column": p["column_name"], "low": p["low_value"], "high": p["high_value"]}
        return
    name = quoted(p["column_name"])
    yield f"{name} > {_literal(p['low_value'])} and {name} < {_literal(p['high_value'])}"


def _sign(strict: str, loose: str) -> Callable[[Parameters], Rules]:
    def read(p: Parameters) -> Rules:
        yield f"{quoted(p['column_name'])} {strict if p.get('strict_boundaries', False) else loose} 0"

    return read


def _literal(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


RULES: Final[dict[str, Callable[[Parameters], Rules]]] = {
    "Inequality": _inequality,
    "Range": _range,
    "ChainedInequality": _chain,
    "FixedCombinations": _of_columns("fixed_combinations"),
    "FixedIncrements": _increments,
    "OneHotEncoding": _of_columns("one_hot"),
    "Unique": _of_columns("unique"),
    "ScalarInequality": _scalar,
    "ScalarRange": _scalar_range,
    "Positive": _sign(">", ">="),
    "Negative": _sign("<", "<="),
}


# ------------------------------------------------------------------------------------------------------- writing


def constraints_of(schema: Schema) -> tuple[list[dict[str, Any]], list[str]]:
    """The rules that SDV has a constraint for, as the content of its file; and those that it has none for."""
    found, left = list[dict[str, Any]](), list[str]()
    for name, table in schema.items():
        for rule in parse(table.rules, table):
            if said := _said(rule):
                kind, parameters = said
                found.append({"class_name": kind, "parameters": {"table_name": name, **parameters}})
            else:
                left.append(f"{name}: {rule}")
    return found, left


def _said(rule: Rule) -> tuple[str, dict[str, Any]] | None:
    match rule:
        case Inequality():
            ends = {"low_column_name": rule.low_column, "high_column_name": rule.high_column}
            return "Inequality", {**ends, "strict_boundaries": rule.strict}
        case FixedCombinations(combinations=None):
            return "FixedCombinations", {"column_names": list(rule.of)}
        case OneHot():
            return "OneHotEncoding", {"column_names": list(rule.of)}
        case Unique():
            return "Unique", {"column_names": list(rule.of)}
        case FixedIncrements():
            return "FixedIncrements", {"column_name": rule.column, "increment_value": rule.step}
    return None
