"""Names of other tables in expressions and rules: `customers.limit` is looked up, `sum(lines.amount)` is of rows below.

Such a name becomes that of a hidden column, in double quotes; the expression is then one over the own table alone. A
name that has a dot, such as `address.city` of an object, needs no quotes for this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from verosim.errors import SchemaError, did_you_mean
from verosim.expressions import quoted
from verosim.recipe.kinds.below import SUMS, Children
from verosim.recipe.kinds.links import Lookup
from verosim.recipe.nouns import Column

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope

_DOTTED: Final = re.compile(
    r"""(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?<![\w.])"""
    r"""(?:(?P<how>[A-Za-z]+)\s*\(\s*(?P<of>[^\W\d]\w*\.[^\W\d]\w*)\s*\)|(?P<name>[^\W\d]\w*\.[^\W\d]\w*)(?![\w.]))"""
)
_EXPRESSIONS: Final = ("expression", "when", "then")  # keys of a rule whose values are expressions


def within(text: str, scope: Scope) -> str:
    """The expression with names of other tables as names of columns of this one."""
    return _DOTTED.sub(lambda match: _written(match, scope), text)


def _written(match: re.Match[str], scope: Scope) -> str:
    if match["text"]:
        if match["text"][0] == '"':
            _found(match["text"][1:-1].replace('""', '"'), None, scope)
        return match[0]
    if match["name"]:
        found = _found(match["name"], None, scope)
        return match[0] if found is None else quoted(found)
    if match["how"].lower() in SUMS and match["of"].partition(".")[0] != scope.table:
        found = _found(match["of"], match["how"].lower(), scope)
        return match[0] if found is None else quoted(found)
    inner = _found(match["of"], None, scope)
    return match[0] if inner is None else match[0].replace(match["of"], quoted(inner))


def _found(name: str, how: str | None, scope: Scope) -> str | None:
    """The column, made up if need be, that stands for a name of another table; None where there is no such table."""
    table, _, column = name.partition(".")
    shown = name if how is None else f"{how}({name})"
    if shown in scope.planned.columns:
        return shown
    if not column or table not in scope.plan.tables:
        if how is not None and not any(c.startswith(f"{table}.") for c in scope):
            raise SchemaError(f"{shown}: no table {table!r}; {did_you_mean(table, scope.plan)}")
        return None
    if table == scope.table:
        return column
    kind = Lookup(name) if how is None else Children(name, how)
    scope.hide(shown, Column(kind), scope.busy or shown)
    return shown


def in_rule(spec: Any, scope: Scope) -> Any:
    """What a file says of a rule, with names of other tables as names of columns of this one."""
    if isinstance(spec, str):
        return within(spec, scope)
    if isinstance(spec, Mapping):
        return {k: _in_value(k, v, scope) for k, v in spec.items()}
    return spec


def _in_value(key: Any, value: Any, scope: Scope) -> Any:
    if isinstance(value, list | tuple):
        return [_in_value(key, v, scope) for v in value]
    if not isinstance(value, str) or key == "rule":
        return value
    if key in _EXPRESSIONS:
        return within(value, scope)
    match = re.fullmatch(r"(\w+)\(([^()]+)\)", value)
    found = _found(match[2], match[1], scope) if match and match[1] in SUMS else _found(value, None, scope)
    return value if found is None else found
