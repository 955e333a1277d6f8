"""Rules from a schema file, checked before any work: unknown names, contradictions, and data that break them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from math import isfinite
from typing import Any, Final

import polars as pl

from verosim import expressions
from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.expressions import kind_of
from verosim.rules.kinds import (
    KINDS,
    NUMBERS,
    Aggregate,
    Check,
    FixedIncrements,
    FixedSum,
    Inequality,
    Range,
    Rule,
    Types,
    file_key,
)
from verosim.schema import Column, Table, parse_dtype


def parse(specs: Iterable[Mapping[str, Any] | str], table: Table) -> tuple[Rule, ...]:
    """What a schema file says, as rules over this table's columns.

    A spec is a mapping, {rule: range, column: age, low: 17, high: 90}; {when: "age < 18", then: "income is null"}; or a
    condition as text. "start <= end", "total = a + b" and "age between 17 and 90" are read as the kinds that they are.
    Raises SchemaError for what is unknown, misspelt, of the wrong type, or contradicts another rule.
    """
    types = types_of(table)
    rules = []
    for number, spec in enumerate(specs, 1):
        try:
            rules.append(_rule(spec, types))
        except SchemaError as error:
            raise SchemaError(f"table {table.name!r}, rule {number}: {error}") from error
    try:
        _check_contradictions(rules, table)
    except SchemaError as error:
        raise SchemaError(f"table {table.name!r}: {error}") from error
    return tuple(rules)


def aggregates(table: Table) -> tuple[Aggregate, ...]:
    """Those of a table's rules that are about the rows which name its rows. Raises SchemaError."""

    def about(spec: Mapping[str, Any] | str) -> bool:
        return bool(_AGGREGATE.fullmatch(spec)) if isinstance(spec, str) else spec.get("rule") == Aggregate.KIND

    return tuple(rule for rule in parse(filter(about, table.rules), table) if isinstance(rule, Aggregate))


def types_of(table: Table) -> dict[str, pl.DataType]:
    return {c.name: parse_dtype(c.dtype, c.levels) for c in table.columns}


def verify(frame: pl.DataFrame, rules: Iterable[Rule], table: str | None = None) -> None:
    """A DataError with the count and the first row for the first rule that these data break."""
    for rule in rules:
        holds = rule.check(frame)
        bad = int((~holds).sum())
        if bad and bad == frame.height and isinstance(rule, Range):
            where = f"table {table!r}: " if table else ""
            raise SchemaError(f"{where}the rule `{rule}` leaves out every value of column {rule.column!r}.")
        if bad:
            raise DataError(
                f"{bad:,} of {frame.height:,} rows break the rule `{rule}`; the first is this one.",
                table=table,
                column=rule.columns[0] if len(rule.columns) == 1 else None,
                row=int((~holds).arg_max() or 0),
                fix="Correct the rule, leave it out, or keep only the rows that hold: frame.filter(rule.check(frame)).",
            )


def apply_ranges(table: Table, rules: Iterable[Rule]) -> Table:
    """The table with what the rules say of single columns in their descriptions: ranges, and steps of whole numbers."""
    for rule in rules:
        if isinstance(rule, Range):
            column = table[rule.column]
            low, high = (_plain(rule.low), _plain(rule.high))
            narrowed = replace(column, minimum=_inner(column, max, column.minimum, low))
            table = table.with_columns(replace(narrowed, maximum=_inner(column, min, column.maximum, high)))
        elif isinstance(rule, FixedIncrements) and kind_of(types_of(table)[rule.column]) not in ("float", "decimal"):
            table = table.with_columns(replace(table[rule.column], step=int(rule.step)))
    return table


def _inner(column: Column, choose: Callable[..., Any], *bounds: Any) -> Any:
    known = [b for b in bounds if b is not None]
    return choose(known, key=lambda b: comparable(b, column)) if known else None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def comparable(value: Any, column: Column) -> Any:
    """A bound of a column as what Python can compare: ISO text as seconds since 1970, numbers as they are."""
    if not isinstance(value, str):
        return value
    if column.dtype == "time":
        clock = dt.time.fromisoformat(value)
        return clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6
    moment = dt.datetime.fromisoformat(value)
    return (moment.replace(tzinfo=moment.tzinfo or dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds()


# ------------------------------------------------------------------------------------------------- one rule


def _rule(spec: Mapping[str, Any] | str, types: Types) -> Rule:
    if isinstance(spec, str):
        rule = _from_text(spec, types)
    elif isinstance(spec, Mapping):
        rule = _from_mapping(spec, types)
    else:
        raise SchemaError(f"a mapping or a condition was wanted, not {spec!r}.")
    rule.holds(types)  # raises for columns of the wrong kind
    if isinstance(rule, Range) and rule.low is not None and rule.high is not None:
        column = Column(rule.column, "number", "time" if types[rule.column] == pl.Time else "int64")
        if comparable(_plain(rule.low), column) > comparable(_plain(rule.high), column):
            raise SchemaError(f"low {rule.low} is above high {rule.high} in the range of {rule.column!r}.")
    return rule


def _from_mapping(spec: Mapping[str, Any], types: Types) -> Rule:
    name = spec.get("rule", "implication" if "when" in spec else None)
    if name is None:
        raise SchemaError(f"`rule` is missing; it is one of {', '.join(KINDS)}.")
    if not isinstance(name, str) or name not in KINDS:
        raise SchemaError(f"unknown rule {name!r}; {did_you_mean(name, KINDS)}")
    kind = KINDS[name]
    known = {file_key(f.name): f for f in fields(kind) if f.metadata}
    for part in spec:
        if part not in known and part not in ("rule", "reason"):
            raise SchemaError(f"{name}: unknown key {part!r}; {did_you_mean(part, known)}")
    values = {f.name: _value(spec.get(part), f, f"{name}, `{part}`", types) for part, f in known.items()}
    rule = kind(**values, reason=str(spec.get("reason", "")))
    if isinstance(rule, Range) and rule.low is None and rule.high is None:
        raise SchemaError("range: `low` or `high` is missing.")
    named = [values[n] for n, f in ((f.name, f) for f in known.values()) if f.metadata["is"] in ("column", "columns")]
    flat = [c for v in named for c in ([v] if isinstance(v, str) else v)]
    if len(set(flat)) < len(flat):
        raise SchemaError(f"{name}: column {max(flat, key=flat.count)!r} stands twice.")
    return rule


def _value(value: Any, wanted: Field[Any], where: str, types: Types) -> Any:
    """One key's value, checked; its default where it is missing."""
    if value is None:
        if wanted.default is MISSING:
            raise SchemaError(f"{where} is missing.")
        return wanted.default
    try:
        return _READERS[wanted.metadata["is"]](value, types)
    except SchemaError as error:
        raise SchemaError(f"{where}: {error}") from error


def _column(value: Any, types: Types) -> str:
    if not isinstance(value, str) or value not in types:
        raise SchemaError(f"no column {value!r}; {did_you_mean(value, types)}")
    return value


def _columns(value: Any, types: Types) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise SchemaError(f"a list of columns was wanted, not {value!r}.")
    return tuple(_column(v, types) for v in value)


def _bound(value: Any, types: Types) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str | dt.date | dt.time):
        raise SchemaError(f"a number or a time was wanted, not {value!r}.")
    return value


def _flag(value: Any, types: Types) -> bool:
    if not isinstance(value, bool):
        raise SchemaError(f"true or false was wanted, not {value!r}.")
    return value


def _step(value: Any, types: Types) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
        raise SchemaError(f"a number above 0 was wanted, not {value!r}.")
    return value


def _condition(value: Any, types: Types) -> expressions.Expression:
    expression = expressions.compile(value, types)
    if expression.dtype not in (pl.Boolean, pl.Null):
        raise SchemaError(f"{value!r} is no condition: it gives {expression.dtype}.")
    return expression


def _how(value: Any, types: Types) -> str:
    if value not in Aggregate.HOW:
        raise SchemaError(f"{value!r}: {did_you_mean(value, Aggregate.HOW)}")
    return str(value)


def _name(value: Any, types: Types) -> str:
    """The name of another table, or of a column of it."""
    if not isinstance(value, str) or not value:
        raise SchemaError(f"a name was wanted, not {value!r}.")
    return value


def _names(value: Any, types: Types) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise SchemaError(f"a list of names was wanted, not {value!r}.")
    return tuple(_name(v, types) for v in value)


def _combinations(value: Any, types: Types) -> tuple[tuple[Any, ...], ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(row, list | tuple) for row in value):
        raise SchemaError("a list of lists of values was wanted.")
    if len({len(row) for row in value}) > 1:
        raise SchemaError("not all combinations have the same number of values.")
    return tuple(tuple(row) for row in value)


_READERS: Final[dict[str, Callable[[Any, Types], Any]]] = {
    "column": _column, "columns": _columns, "value": _bound, "flag": _flag, "step": _step, "condition": _condition,
    "combinations": _combinations, "how": _how, "name": _name, "names": _names,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- text

_PLAIN: Final = r'(?:"(?:[^"]|"")+"|[^\W\d]\w*)'
_NAME: Final = rf"{_PLAIN}(?:\.{_PLAIN})?"  # customers.joined is a column of the row that owns this one
_NUMBER: Final = r"-?\d+(?:\.\d+)?"
_INEQUALITY: Final = re.compile(rf"\s*({_NAME})\s*(<=|<|>=|>)\s*({_NAME})\s*")
_STRICT: Final = re.compile(rf"\s*({_NAME})\s*([<>])\s*({_NUMBER})\s*")
_SUM: Final = re.compile(rf"\s*({_NAME})\s*=\s*({_NAME}(?:\s*[-+]\s*{_NAME})*)\s*")
_RANGE: Final = re.compile(
    rf"\s*({_NAME})\s*(?:(<=|>=)\s*({_NUMBER})|between\s+({_NUMBER})\s+and\s+({_NUMBER}))\s*", re.I
)


_AGGREGATE: Final = re.compile(rf"\s*({_NAME})\s*=\s*({'|'.join(Aggregate.HOW)})\s*\((.+)\)\s*", re.I)
_PART: Final = re.compile(rf"\s*({_PLAIN})\s*\.\s*({_PLAIN})\s*")


def _from_text(text: str, types: Types) -> Rule:
    """A condition; where it has the form of a kind that can be held by construction, that kind."""
    if isinstance(text, str) and (rule := _aggregate(text, types)) is not None:
        return rule
    check = Check(_condition(text, types), text=text)
    numbers = {c for c in types if kind_of(types[c]) in NUMBERS}
    if (match := _INEQUALITY.fullmatch(text)) and {_bare(match[1]), _bare(match[3])} <= set(types):
        low, high = (_bare(match[1]), _bare(match[3])) if match[2][0] == "<" else (_bare(match[3]), _bare(match[1]))
        if {kind_of(types[low]), kind_of(types[high])}.isdisjoint({"text", "boolean"}):
            return Inequality(low, high, strict=len(match[2]) == 1, text=text)
    if (match := _SUM.fullmatch(text)) and set(check.columns) <= numbers:
        parts = re.findall(rf"([-+]?)\s*({_NAME})", match[2])
        plus, minus = (tuple(_bare(n) for sign, n in parts if (sign == "-") == less) for less in (False, True))
        if len({_bare(match[1]), *plus, *minus}) == len(parts) + 1:
            return FixedSum(_bare(match[1]), plus, minus, text=text)
    if (match := _RANGE.fullmatch(text)) and _bare(match[1]) in numbers:
        low_text = match[4] or (match[3] if match[2] == ">=" else None)
        high_text = match[5] or (match[3] if match[2] == "<=" else None)
        return Range(_bare(match[1]), _number(low_text), _number(high_text), text=text)
    return check


def _aggregate(text: str, types: Types) -> Aggregate | None:
    """total = sum(lines.price * lines.amount), n = count(lines); None for what has another form."""
    match = _AGGREGATE.fullmatch(text)
    if match is None:
        return None
    column, how, inside = _bare(match[1]), match[2].lower(), match[3]
    if how == "count" and re.fullmatch(_PLAIN, inside.strip()):
        return Aggregate(column=_column(column, types), how=how, table=_bare(inside.strip()), text=text)
    parts = [_PART.fullmatch(part) for part in inside.split("*")]
    named = [(_bare(part[1]), _bare(part[2])) for part in parts if part is not None]
    if len(named) < len(parts) or len({table for table, _ in named}) > 1:
        return None
    of = tuple(name for _, name in named)
    return Aggregate(column=_column(column, types), how=how, table=named[0][0], of=of, text=text)


def _bare(name: str) -> str:
    parts = re.findall(_PLAIN, name)
    return ".".join(part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts)


def _number(text: str | None) -> int | float | None:
    return None if text is None else float(text) if "." in text else int(text)


# ------------------------------------------------------------------------------------------------- contradictions


def _strict_bound(text: str) -> tuple[str, int | float | None, int | float | None] | None:
    """`age > 17` as (age, 17, None): a column and what it lies between."""
    match = _STRICT.fullmatch(text)
    if match is None:
        return None
    number = _number(match[3])
    return _bare(match[1]), number if match[2] == ">" else None, number if match[2] == "<" else None


def _check_contradictions(rules: Sequence[Rule], table: Table) -> None:
    """Refuse rules that no row can hold: ranges that do not meet, and orders that run in a circle or against ranges."""
    lows: dict[str, tuple[Any, str]] = {}  # column -> highest lower bound, and who says so
    highs: dict[str, tuple[Any, str]] = {}
    sources = [(c.name, c.minimum, c.maximum, f"the schema's bounds of {c.name!r}") for c in table.columns]
    sources += [(r.column, _plain(r.low), _plain(r.high), f"`{r}`") for r in rules if isinstance(r, Range)]
    sources += [(*bound, f"`{r}`") for r in rules if isinstance(r, Check) and (bound := _strict_bound(r.text))]
    for name, low, high, who in sources:
        low, high = (None if b is None else comparable(b, table[name]) for b in (low, high))
        if low is not None and (name not in lows or low > lows[name][0]):
            lows[name] = (low, who)
        if high is not None and (name not in highs or high < highs[name][0]):
            highs[name] = (high, who)
        if name in lows and name in highs and lows[name][0] > highs[name][0]:
            raise SchemaError(f"{lows[name][1]} and {highs[name][1]} leave no value for column {name!r}.")
    orders = [r for r in rules if isinstance(r, Inequality)]
    strict = {(r.low_column, r.high_column) for r in orders if r.strict}
    for r in orders:
        if r.low_column == r.high_column:
            raise SchemaError(f"`{r}` compares a column with itself.")
        if (r.high_column, r.low_column) in strict:
            raise SchemaError(f"`{r}` and `{r.high_column} < {r.low_column}` contradict each other.")
        low_bound, high_bound = lows.get(r.low_column), highs.get(r.high_column)
        if low_bound and high_bound and low_bound[0] > high_bound[0]:
            raise SchemaError(f"`{r}` contradicts {low_bound[1]} with {high_bound[1]}.")
