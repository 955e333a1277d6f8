"""The functions of the expression language: one entry a name. A new function is a new line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from verosim.expressions.values import MOMENTS, NUMBERS, Typed, article, unify

POWER: Final = 16  # highest exponent

_GROUPS: Final = {
    "number": NUMBERS, "float": NUMBERS, "moment": MOMENTS, "clock": frozenset({"datetime", "time"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """What a function takes and gives, and how it is built from polars expressions.

    takes: a kind each, or number, moment (date, datetime), clock (datetime, time), any; `float` takes any number as a
        float. `?` optional; `*` any number of them; `!` a literal, given to `build` as its Python value. All that are
        `any` become one kind.
    gives: a kind, or `same` as the first argument. `build` raises ValueError for a literal that is out of bounds.
    """

    takes: tuple[str, ...]
    gives: str
    build: Callable[..., pl.Expr]

    def call(self, name: str, arguments: list[Typed]) -> Typed:
        """The function on these arguments; ValueError where their number or kind is wrong."""
        takes = self._counted(name, len(arguments))
        if not takes:
            return Typed(self.build(), self.gives)
        if takes[0].startswith("any"):
            exprs, kind, zone = unify(arguments, "mix")
            return Typed(self.build(*exprs), kind, zone)
        given = [_given(name, wanted, a) for wanted, a in zip(takes, arguments, strict=False)]
        kind = arguments[0].kind if self.gives == "same" else self.gives
        out = self.build(*given)
        return Typed(out, kind, nan=kind == "float")

    def _counted(self, name: str, count: int) -> tuple[str, ...]:
        takes = self.takes * max(count, 1) if self.takes and self.takes[0].endswith("*") else self.takes
        needed = sum(not part.endswith("?") for part in takes)
        if not needed <= count <= len(takes):
            wanted = f"{needed}" if needed == len(takes) else f"{needed} to {len(takes)}"
            raise ValueError(f"{name} takes {wanted} argument{'' if wanted == '1' else 's'}, not {count}")
        return takes


@dataclass(frozen=True, slots=True)
class Random:
    """A random function: its arguments are computed here, its value is drawn by the caller, as a column (`Draw`)."""

    takes: tuple[str, ...]  # as of a `Function`; any*: one of the arguments is picked, all alike likely
    gives: str


@dataclass(frozen=True, slots=True)
class Draw:
    """One call of a random function in a text."""

    name: str
    arguments: tuple[pl.Expr, ...]  # as floats
    constants: tuple[float | None, ...]  # of arguments that are written numbers, else None
    column: str  # under which the drawn values are handed to the expression


UNIFORM: Final = "random"  # the draw behind a pick


def draw(name: str, random: Random, arguments: list[Typed], column: str) -> tuple[Typed, Draw]:
    """The value of a call of a random function, and what must be drawn for it; ValueError for wrong arguments."""
    if random.takes[:1] == ("any*",):
        exprs, kind, zone = unify(arguments, "mix")
        out = exprs[-1]
        for number in range(len(exprs) - 1, 0, -1):
            out = pl.when(pl.col(column) < number / len(exprs)).then(exprs[number - 1]).otherwise(out)
        return Typed(out, kind, zone), Draw(UNIFORM, (), (), column)
    Function(random.takes, random.gives, lambda *x: pl.lit(0)).call(name, arguments)  # checks their number and kinds
    exprs = [a.clean.cast(pl.Float64) for a in arguments]
    constants = [float(a.value) if isinstance(a.value, int | float | Decimal) else None for a in arguments]
    drawn = pl.col(column).cast(_DTYPES[random.gives])
    return Typed(drawn, random.gives), Draw(name, tuple(exprs), tuple(constants), column)


def _given(name: str, wanted: str, argument: Typed) -> Any:
    kind = wanted.rstrip("?!*")
    if argument.kind not in _GROUPS.get(kind, frozenset({kind})) | {"null"}:
        raise ValueError(f"{name} takes {article(kind)}, not {argument}")
    if "!" in wanted:
        if argument.value is None:
            raise ValueError(f"{name} takes a plain value here, not a computed one")
        return argument.value
    if kind in ("float", "text"):
        return argument.clean.cast(pl.Float64 if kind == "float" else pl.String)
    return argument.clean


def _part(name: str, takes: str = "moment") -> Function:
    return Function((takes,), "integer", lambda x: getattr(x.dt, name)().cast(pl.Int64))


def _round(x: pl.Expr, digits: int = 0) -> pl.Expr:
    if not 0 <= digits <= 15:
        raise ValueError(f"round takes 0 to 15 digits, not {digits}")
    return x.round(digits, mode="half_away_from_zero")


def _power(x: pl.Expr, exponent: int | Decimal) -> pl.Expr:
    if not -POWER <= exponent <= POWER:
        raise ValueError(f"power takes an exponent from -{POWER} to {POWER}, not {exponent}")
    return x.pow(float(exponent)).replace([float("inf"), float("-inf")], None)


def _finite_log(x: pl.Expr) -> pl.Expr:
    return x.replace(float("-inf"), None)  # of 0; that of a negative number is NaN, and so null


def _substring(text: pl.Expr, start: pl.Expr, length: pl.Expr | None = None) -> pl.Expr:
    """From the `start`th character, counted from 1."""
    known = start.is_not_null() if length is None else start.is_not_null() & length.is_not_null()
    size = None if length is None else pl.max_horizontal(length, 0)
    return pl.when(known).then(text.str.slice(pl.max_horizontal(start, 1) - 1, size))


def _replace(text: pl.Expr, old: str, new: str) -> pl.Expr:
    if not old or len(new) > len(old):  # a longer one, nested, could double a cell's length fifty times
        raise ValueError("replace puts a text of the same length or shorter in the place of another")
    return text.str.replace_all(old, new, literal=True)


FUNCTIONS: Final[dict[str, Function]] = {
    # numbers
    "abs": Function(("number",), "same", lambda x: x.abs()),
    "floor": Function(("number",), "same", lambda x: x.floor()),
    "ceil": Function(("number",), "same", lambda x: x.ceil()),
    "round": Function(("number", "integer!?"), "same", _round),
    "sign": Function(("float",), "integer", lambda x: x.sign().cast(pl.Int64)),
    "sqrt": Function(("float",), "float", lambda x: x.sqrt()),
    "ln": Function(("float",), "float", lambda x: _finite_log(x.log())),
    "log10": Function(("float",), "float", lambda x: _finite_log(x.log10())),
    "exp": Function(("float",), "float", lambda x: x.exp()),
    "power": Function(("float", "number!"), "float", _power),
    # any kind
    "coalesce": Function(("any*",), "same", lambda *x: pl.coalesce(*x)),
    "least": Function(("any*",), "same", lambda *x: pl.min_horizontal(*x)),
    "greatest": Function(("any*",), "same", lambda *x: pl.max_horizontal(*x)),
    "nullif": Function(("any", "any"), "same", lambda x, y: pl.when(x.ne_missing(y)).then(x)),
    # text
    "lower": Function(("text",), "text", lambda x: x.str.to_lowercase()),
    "upper": Function(("text",), "text", lambda x: x.str.to_uppercase()),
    "trim": Function(("text",), "text", lambda x: x.str.strip_chars(" ")),
    "length": Function(("text",), "integer", lambda x: x.str.len_chars().cast(pl.Int64)),
    "concat": Function(("text*",), "text", lambda *x: pl.concat_str(*x)),
    "substring": Function(("text", "integer", "integer?"), "text", _substring),
    "replace": Function(("text", "text!", "text!"), "text", _replace),
    # dates and times; weekday is 1 (Monday) to 7
    **{name: _part(name) for name in ("year", "quarter", "month", "day", "weekday")},
    **{name: _part(name, "clock") for name in ("hour", "minute", "second")},
    "date": Function(("moment",), "date", lambda x: x.cast(pl.Date)),
    "days": Function(("duration",), "float", lambda x: x.dt.total_microseconds() / 86_400_000_000),
    "seconds": Function(("duration",), "float", lambda x: x.dt.total_microseconds() / 1_000_000),
}


# ------------------------------------------------------------------------------------------------- cast

TYPES: Final[dict[str, str]] = {
    "INT": "integer", "INTEGER": "integer", "BIGINT": "integer", "DOUBLE": "float", "FLOAT": "float", "REAL": "float",
    "TEXT": "text", "VARCHAR": "text", "STRING": "text", "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "datetime",
    "DATETIME": "datetime", "TIME": "time",
}  # fmt: skip

_DTYPES: Final[dict[str, pl.DataType]] = {
    "integer": pl.Int64(), "float": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean(), "date": pl.Date(),
    "datetime": pl.Datetime("us"), "time": pl.Time(),
}  # fmt: skip


def cast(value: Typed, kind: str) -> pl.Expr:
    """A value as another kind, null where it has no place there; ValueError for kinds that have nothing in common."""
    plain = value.expr.dt.replace_time_zone(None) if value.zone else value.clean  # the local clock
    if value.kind in (kind, "null"):
        return plain.cast(_DTYPES[kind])
    if value.kind == "text" and kind in _PARSERS:
        return _PARSERS[kind](plain)
    simple = NUMBERS | {"text"}
    if (value.kind in simple | {"boolean"} and kind in simple) or (value.kind, kind) in _TIME_CASTS:
        return plain.cast(_DTYPES[kind], strict=False)
    raise ValueError(f"cannot cast {value} to {article(kind)}")


def _text_to_datetime(x: pl.Expr) -> pl.Expr:
    forms = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d")
    return pl.coalesce(*(x.str.to_datetime(form, time_unit="us", strict=False) for form in forms))


def _text_to_boolean(x: pl.Expr) -> pl.Expr:
    low: pl.Expr = x.str.to_lowercase()
    return pl.when(low == "true").then(True).when(low == "false").then(False)


_PARSERS: Final[dict[str, Callable[[pl.Expr], pl.Expr]]] = {
    "boolean": _text_to_boolean,
    "date": lambda x: x.str.to_date("%Y-%m-%d", strict=False),
    "datetime": _text_to_datetime,
    "time": lambda x: x.str.to_time("%H:%M:%S", strict=False),
}
_TIME_CASTS: Final = frozenset({
    ("date", "datetime"), ("date", "text"), ("datetime", "date"), ("datetime", "time"), ("datetime", "text"),
    ("time", "text"),
})  # fmt: skip
