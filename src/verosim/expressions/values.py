"""What an expression computes with: polars expressions of known kinds, made comparable, and the operators on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

NUMBERS: Final = frozenset({"integer", "decimal", "float"})
MOMENTS: Final = frozenset({"date", "datetime"})
TIMES: Final = MOMENTS | {"time"}

KINDS: Final[dict[type[pl.DataType], str]] = {
    pl.String: "text", pl.Categorical: "text", pl.Enum: "text", pl.Boolean: "boolean", pl.Date: "date",
    pl.Datetime: "datetime", pl.Time: "time", pl.Duration: "duration", pl.Null: "null", pl.Decimal: "decimal",
}  # fmt: skip
_NOUNS: Final = {
    **dict.fromkeys(NUMBERS, "number"), "moment": "date or datetime", "clock": "time or datetime",
    "months": "interval of months",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Typed:
    """A polars expression of which the kind is known; literals keep their value."""

    expr: pl.Expr
    kind: str  # integer, decimal, float, text, boolean, date, datetime, time, duration, months, null
    zone: str | None = None  # datetime: the time zone
    value: Any = None  # of a literal: int, Decimal (a number with a point), str, bool, timedelta, months
    name: str = ""  # as messages call it
    nan: bool = False  # `expr` may be NaN where there is no value: arithmetic hands it on, all else takes `clean`

    @property
    def clean(self) -> pl.Expr:
        """The expression, null where there is no value."""
        return without_nan(self.expr) if self.nan else self.expr

    def __str__(self) -> str:
        return article(self.kind) + (f" ({self.name})" if self.name else "")


def kind_of(dtype: pl.DataType) -> str:
    """What an expression calls a polars type: integer, decimal, float, text, boolean, date ... or its own name."""
    if dtype.is_integer():
        return "integer"
    return "float" if dtype.is_float() else KINDS.get(type(dtype), str(dtype))


def article(kind: str) -> str:
    noun = _NOUNS.get(kind, kind)
    return f"a{'n' if noun[0] in 'aeiou' else ''} {noun}"


def without_nan(x: pl.Expr) -> pl.Expr:
    """NaN as null. Not `fill_nan`, which puts `x` into the plan three times: nested, that grows without bound."""
    return x.replace(float("nan"), None)


def column(name: str, dtype: pl.DataType) -> Typed:
    """A column in a form that computes without surprises: wide integers, NaN as null, text, fine times."""
    kind, expr = kind_of(dtype), pl.col(name)
    if kind == "integer" and dtype != pl.Int64:
        expr = expr.cast(pl.Int128 if dtype in (pl.UInt64, pl.Int128) else pl.Int64)
    elif kind == "text" and dtype != pl.String:
        expr = expr.cast(pl.String)
    elif kind in ("datetime", "duration") and getattr(dtype, "time_unit", None) == "ms":
        expr = expr.dt.cast_time_unit("us")  # polars compares in the coarser unit, and so drops what is finer
    elif kind not in (*KINDS.values(), "integer", "float"):
        raise ValueError(f"column {name!r} holds {kind}, which has no place in an expression")
    return Typed(expr, kind, zone=getattr(dtype, "time_zone", None), name=name, nan=kind == "float")


def moment(text: str, kind: str, zone: str | None = None) -> pl.Expr:
    """ISO text as a constant date, datetime (in `zone`) or time; ValueError otherwise."""
    form = {"date": "'2024-01-31'", "datetime": "'2024-01-31 12:30:00'", "time": "'12:30:00'"}[kind]
    try:
        if kind == "date":
            return pl.lit(dt.date.fromisoformat(text))
        if kind == "time":
            return pl.lit(dt.time.fromisoformat(text))
        value = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not {article(kind)} such as {form}") from error
    if value.tzinfo is not None:
        if zone is None:
            raise ValueError(f"{text!r} has a time zone, and what it meets has none")
        plain = pl.lit(value.astimezone(dt.UTC).replace(tzinfo=None))
        return plain.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    plain = pl.lit(value)
    return plain.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null") if zone else plain


# ------------------------------------------------------------------------------------------------- one kind for many


def unify(items: list[Typed], doing: str) -> tuple[list[pl.Expr], str, str | None]:
    """All as one kind (and time zone), to be compared or to stand in one column; ValueError that names two otherwise.

    Integers, decimals and floats mix; dates become datetimes beside datetimes; quoted text beside times is read as ISO.
    """
    known = [t for t in items if t.kind != "null"]
    computed = [t for t in known if not _is_quoted(t)] or known
    if any(t.kind in TIMES for t in computed):
        return _unify_times(items, computed, doing)
    kinds = {t.kind for t in known}
    if kinds and kinds <= NUMBERS:
        return _unify_numbers(items, kinds, doing)
    for other in known:
        if other.kind != known[0].kind and not {other.kind, known[0].kind} <= NUMBERS:
            raise ValueError(f"cannot {doing} {known[0]} with {other}")
    return [t.expr for t in items], known[0].kind if known else "null", None


def _is_quoted(item: Typed) -> bool:
    return item.kind == "text" and isinstance(item.value, str)


def _unify_numbers(items: list[Typed], kinds: set[str], doing: str) -> tuple[list[pl.Expr], str, str | None]:
    """Decimals stay exact beside integers and written numbers; beside a computed float all are floats."""
    written = all(t.kind != "float" or isinstance(t.value, Decimal) for t in items)
    if "decimal" in kinds and written:
        return [pl.lit(t.value) if isinstance(t.value, Decimal) else t.expr for t in items], "decimal", None
    kind = "float" if "float" in kinds else "integer"
    exprs = [t.expr if doing == "compute" else t.clean for t in items]
    return [e.cast(pl.Float64) if t.kind == "decimal" else e for e, t in zip(exprs, items, strict=True)], kind, None


def _unify_times(items: list[Typed], computed: list[Typed], doing: str) -> tuple[list[pl.Expr], str, str | None]:
    kind = "datetime" if any(t.kind == "datetime" for t in computed) else computed[0].kind
    for other in computed:
        if other.kind != kind and not {other.kind, kind} <= MOMENTS:
            model = next(t for t in computed if t.kind == kind)
            raise ValueError(f"cannot {doing} {model} with {other}")
    zones = {t.zone for t in computed}
    if None in zones and len(zones) > 1:
        raise ValueError(f"cannot {doing} times that have a time zone with times that have none")
    zone = zones.pop() if len(zones) == 1 else "UTC"
    return [_as_time(t, kind, zone) for t in items], kind, zone


def _as_time(item: Typed, kind: str, zone: str | None) -> pl.Expr:
    if _is_quoted(item):
        return moment(item.value, kind, zone)
    if item.kind == "date" and kind == "datetime":
        return item.expr.cast(pl.Datetime("us"))
    return item.expr.dt.convert_time_zone(zone) if item.zone and item.zone != zone and zone else item.expr


# ------------------------------------------------------------------------------------------------- operators


def arithmetic(sign: str, left: Typed, right: Typed) -> Typed:
    """+ - * / % of numbers; + and - with dates, times and durations."""
    kinds = {left.kind, right.kind}
    if not kinds <= NUMBERS | {"null"}:
        return _time_arithmetic(sign, left, right)
    (a, b), kind, _ = unify([left, right], "compute")
    if sign == "/" or (kind == "decimal" and sign in "*%"):  # a product of decimals would lose digits in silence
        kind = "float"
    if kind == "float":
        a, b = a.cast(pl.Float64), b.cast(pl.Float64)
    elif kind == "integer":
        a, b = a.cast(pl.Int128), b.cast(pl.Int128)
    if sign == "/":
        out = a / (b if right.value else b.replace(0.0, None))
    elif sign == "%":
        rest = a.abs() % pl.when(b != 0).then(b.abs())
        out = pl.when(a < 0).then(0 - rest).otherwise(rest)
    else:
        out = a + b if sign == "+" else a - b if sign == "-" else a * b
    return Typed(out, kind, nan=kind == "float")


def _time_arithmetic(sign: str, left: Typed, right: Typed) -> Typed:
    spans = {"duration", "months"}
    if sign == "+" and left.kind in spans and right.kind in MOMENTS:
        left, right = right, left
    if sign in "+-" and left.kind in MOMENTS and right.kind in spans:
        return _shift(left, right, sign)
    quoted = {t.kind for t in (left, right) if not _is_quoted(t)}
    if sign == "-" and quoted <= TIMES and quoted:
        (a, b), _, _ = unify([left, right], "subtract")
        return Typed(a - b, "duration")
    if sign in "+-" and left.kind == right.kind == "duration":
        return Typed(left.expr + right.expr if sign == "+" else left.expr - right.expr, "duration")
    hint = "; text is joined by ||" if sign == "+" and "text" in (left.kind, right.kind) else ""
    raise ValueError(f"cannot compute {left} {sign} {right}{hint}")


def _shift(start: Typed, span: Typed, sign: str) -> Typed:
    """A date or datetime, moved by an interval or a duration; months end where the month ends."""
    if span.kind == "months":
        expr = start.expr.dt.cast_time_unit("us") if start.kind == "datetime" else start.expr
        return Typed(expr.dt.offset_by(f"{span.value if sign == '+' else -span.value}mo"), start.kind, start.zone)
    whole_days = isinstance(span.value, dt.timedelta) and not span.value % dt.timedelta(days=1)
    kind = "date" if start.kind == "date" and whole_days else "datetime"
    expr = start.expr if start.kind == kind else start.expr.cast(pl.Datetime("us"))
    return Typed(expr + span.expr if sign == "+" else expr - span.expr, kind, start.zone)


def connect(sign: str, left: Typed, right: Typed) -> Typed:
    a, b = (condition(side, f"`{sign}`") for side in (left, right))
    return Typed(a & b if sign == "and" else a | b, "boolean")


def condition(value: Typed, where: str) -> pl.Expr:
    if value.kind not in ("boolean", "null"):
        raise ValueError(f"{where} takes conditions; {value} is none")
    return value.expr.cast(pl.Boolean) if value.kind == "null" else value.expr


def join(sign: str, left: Typed, right: Typed) -> Typed:
    for side in (left, right):
        if side.kind not in ("text", "null"):
            raise ValueError(f"`{sign}` joins texts; {side} is none: cast(... as text)")
    return Typed(pl.concat_str(left.expr.cast(pl.String), right.expr.cast(pl.String)), "text")


def compare(sign: str, left: Typed, right: Typed) -> Typed:
    (a, b), kind, _ = unify([left, right], "compare")
    if kind == "months":
        raise ValueError("an interval of months or years has no fixed length; add it to a date")
    if kind == "null":
        return Typed(pl.lit(None, dtype=pl.Boolean), "boolean")
    methods = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    return Typed(getattr(a, methods[sign])(b), "boolean")


OPERATORS: Final[dict[str, tuple[str, Callable[[str, Typed, Typed], Typed]]]] = {  # the parser's node -> sign, builder
    "And": ("and", connect), "Or": ("or", connect), "Add": ("+", arithmetic), "Sub": ("-", arithmetic),
    "Mul": ("*", arithmetic), "Div": ("/", arithmetic), "Mod": ("%", arithmetic), "DPipe": ("||", join),
    "EQ": ("=", compare), "NEQ": ("<>", compare), "LT": ("<", compare), "LTE": ("<=", compare),
    "GT": (">", compare), "GTE": (">=", compare),
}  # fmt: skip
