"""Expressions in the manner of SQL over one table's columns, as text, to polars: parsed, typed, never run as code.

    compile("income / 12 > 3000 and city in ('Bonn', 'Kiel')", frame.schema).evaluate(frame)

sqlglot parses, from a vocabulary cut down to what stands here; then only the nodes in `_Compiler.NODES` and the
functions in `FUNCTIONS` are compiled. There is no way to name a table, a file, an attribute or a Python object, so none
has to be forbidden. Every refusal is a `SchemaError` with line and column.

* **Nulls** are SQL's: comparing with null is null, `and`, `or`, `not` have three values, `least` and `greatest` skip
  nulls. **NaN counts as null.** What has no value (division by zero, sqrt(-1), cast('abc' as int)) is null.
* **Numbers.** Whole numbers are exact: intermediate results have 128 bits. `/` always gives a float; `%` has the sign
  of its left side; `round` rounds halves away from zero.
* **Text** compares by code points. **Times**: quoted text beside a date or time is read as ISO (`start >=
  '2024-01-31'`); `start + interval '3' month`; a difference of two times is a duration, `days(end - start)` a number.
* **Names** are exact, also in case. A name with blanks or dots, or a word of the language, stands in "double quotes".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import polars as pl

from verosim.errors import DataError, SchemaError
from verosim.expressions import values
from verosim.expressions.functions import FUNCTIONS, TYPES, UNIFORM, Draw, Function, Random, cast, draw
from verosim.expressions.language import Source, parse, place, quoted
from verosim.expressions.values import NUMBERS, OPERATORS, Typed, kind_of

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = [
    "FUNCTIONS", "UNIFORM", "Draw", "Expression", "Function", "Random", "compile", "kind_of", "literal", "quoted",
]  # fmt: skip

YEARS: Final = 1000  # longest interval
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression: `expr` is what polars computes, `dtype` the type of its result."""

    text: str
    columns: tuple[str, ...]  # names used, each once, in the order of the text
    dtype: pl.DataType
    expr: pl.Expr = field(compare=False, repr=False)
    draws: tuple[Draw, ...] = field(default=(), compare=False, repr=False)  # a column each, handed in with the frame

    def evaluate(self, frame: pl.DataFrame) -> pl.Series:
        """The value in each row; a DataError where a result has no place in its type, such as the year 300,000."""
        try:
            out = frame.select(self.expr.alias("value")).to_series()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = (str(error).splitlines() or ["polars gave up"])[0]
            raise DataError(f"the expression {Source(self.text)} has no value for these data: {reason}.") from error
        return out if self.columns or self.draws else out.new_from_index(0, frame.height)


def compile(
    text: str, columns: Mapping[str, pl.DataType], random: Mapping[str, Random] = MappingProxyType({})
) -> Expression:
    """`text` over columns of these types; a SchemaError with line and column for all that is not understood.

    random: functions whose values the caller draws: see `Expression.draws`.

    >>> import polars as pl
    >>> compile("age >= 18 or guardian is not null", {"age": pl.Int64(), "guardian": pl.String()}).columns
    ('age', 'guardian')
    >>> compile("age > 'old'", {"age": pl.Int64()})
    Traceback (most recent call last):
    verosim.errors.SchemaError: "age > 'old'", line 1, column 1: cannot compare a number (age) with a text ('old').
    """
    source = Source(text)
    compiler = _Compiler(source, columns, random)
    typed = compiler.typed(parse(source, columns, {**FUNCTIONS, **random}))
    expr = typed.clean
    if typed.kind == "months":
        raise source.error(0, "an interval of months or years has no fixed length; add it to a date")
    if typed.kind == "integer":
        wide = any(columns[name] in (pl.UInt64, pl.Int128) for name in compiler.used)
        expr = expr.cast(pl.Int128 if wide else pl.Int64, strict=False)
    types = {name: columns[name] for name in compiler.used} | {d.column: pl.Float64() for d in compiler.draws}
    try:
        dtype = pl.LazyFrame(schema=types).select(expr.alias("value")).collect_schema()["value"]
    except pl.exceptions.PolarsError as error:
        raise source.error(0, str(error).splitlines()[0]) from error
    return Expression(text, tuple(compiler.used), dtype, expr, tuple(compiler.draws))


def literal(value: object, dtype: pl.DataType) -> pl.Expr:
    """A plain value (number, text, boolean, date, ISO text) as a constant that compares with a column of `dtype`.

    Raises SchemaError that says what is wrong with it.
    """
    kind = kind_of(dtype)
    if isinstance(value, dt.date | dt.time):
        value = value.isoformat()
    if kind in values.TIMES and isinstance(value, str):
        try:
            return values.moment(value, kind, getattr(dtype, "time_zone", None))
        except ValueError as error:
            raise SchemaError(f"{error}.") from error
    wanted: tuple[type, ...] = (int, float, Decimal) if kind in NUMBERS else {"text": (str,)}.get(kind, (bool,))
    if not isinstance(value, wanted) or (kind in NUMBERS and (isinstance(value, bool) or value != value)):
        raise SchemaError(f"{value!r} has no place among the values of {values.article(kind)} column.")
    if kind == "decimal":
        return pl.lit(Decimal(str(value)))
    return pl.lit(value, dtype=pl.Int128) if isinstance(value, int) and abs(value) >= 2**63 else pl.lit(value)


class _Compiler:
    """A checked tree to a `Typed`: one method a node, listed in NODES."""

    def __init__(self, source: Source, columns: Mapping[str, pl.DataType], random: Mapping[str, Random]) -> None:
        self.source, self.columns, self.random = source, columns, random
        self.used: dict[str, None] = {}  # an ordered set
        self.draws: list[Draw] = []

    def typed(self, node: exp.Expr) -> Typed:
        name = type(node).__name__
        try:
            if name in OPERATORS:
                return self._chain(node)
            if name not in self.NODES:
                raise ValueError(f"{name.lower()} has no place in an expression")
            build, parts = self.NODES[name]
            _only(node, parts)
            out = build(self, node)
            return replace(out, expr=~out.expr) if node.args.get("negate") else out  # x not like ...
        except SchemaError:
            raise  # from a node inside, which knew its place
        except ValueError as error:
            raise self.source.error(place(node), str(error)) from error

    def _chain(self, node: exp.Expr) -> Typed:
        """a + b - c + ...: from the left, without recursion."""
        chain = []
        while type(node).__name__ in OPERATORS:
            chain.append(node)
            node = node.this
        left = self.typed(node)
        for link in reversed(chain):
            _only(link, "this expression safe typed")  # the last two: how other databases divide and join
            sign, build = OPERATORS[type(link).__name__]
            left = build(sign, left, self.typed(link.expression))
        return left

    def _column(self, node: exp.Expr) -> Typed:
        if type(node.this).__name__ != "Identifier":
            raise ValueError("a column is named alone, without a table")
        if node.name not in self.columns:  # the parser takes a word of the language for a name
            raise ValueError(f"a value is missing beside {node.name!r}; a column of this name stands in double quotes")
        self.used[node.name] = None
        return values.column(node.name, self.columns[node.name])

    def _literal(self, node: exp.Expr) -> Typed:
        text = str(node.name)
        if node.args["is_string"]:
            return Typed(pl.lit(text), "text", value=text, name=repr(text))
        if not text.isdigit():
            return _point_literal(text)
        if len(text) > 30:
            raise ValueError("a whole number has at most 30 digits")
        return Typed(literal(int(text), pl.Int64()), "integer", value=int(text), name=text)

    def _boolean(self, node: exp.Expr) -> Typed:
        return Typed(pl.lit(bool(node.this)), "boolean", value=bool(node.this), name=str(bool(node.this)).lower())

    def _null(self, node: exp.Expr) -> Typed:
        return Typed(pl.lit(None), "null", name="null")

    def _paren(self, node: exp.Expr) -> Typed:
        return self.typed(node.this)

    def _negative(self, node: exp.Expr) -> Typed:
        inner = self.typed(node.this)
        if inner.kind not in NUMBERS | {"duration", "null"}:
            raise ValueError(f"cannot take the negative of {inner}")
        value = -inner.value if inner.value is not None else None
        zero = Typed(pl.lit(0), "integer")
        out = Typed(-inner.expr, "duration") if inner.kind == "duration" else values.arithmetic("-", zero, inner)
        return replace(out, value=value, name=f"-{inner.name}" if inner.name else "")

    def _not(self, node: exp.Expr) -> Typed:
        return Typed(~values.condition(self.typed(node.this), "`not`"), "boolean")

    def _between(self, node: exp.Expr) -> Typed:
        value, low, high = (self.typed(node.args[part]) for part in ("this", "low", "high"))
        return values.connect("and", values.compare(">=", value, low), values.compare("<=", value, high))

    def _in(self, node: exp.Expr) -> Typed:
        value = self.typed(node.this)
        if not node.expressions:
            raise ValueError("`in` takes a list of values")
        tests = (values.compare("=", value, self.typed(item)).expr for item in node.expressions)
        return Typed(pl.any_horizontal(*tests), "boolean")

    def _is(self, node: exp.Expr) -> Typed:
        value, wanted = self.typed(node.this), self.typed(node.expression)
        if wanted.kind == "null":
            return Typed(value.clean.is_null(), "boolean")
        if not isinstance(wanted.value, bool):
            raise ValueError("`is` takes null, true or false; values are compared by =")
        return Typed(values.condition(value, "`is true`").eq_missing(wanted.expr), "boolean")

    def _like(self, node: exp.Expr) -> Typed:
        """% is any text, _ one character. Matched in time linear in the text, whatever the pattern."""
        value, pattern = self.typed(node.this), self.typed(node.expression)
        if value.kind not in ("text", "null") or not isinstance(pattern.value, str):
            raise ValueError(f"`like` compares a text with a quoted pattern, not {value} with {pattern}")
        parts = [{"%": ".*", "_": "."}.get(c) or pl.escape_regex(c) for c in pattern.value]
        flags = "(?si)" if type(node).__name__ == "ILike" else "(?s)"
        return Typed(value.expr.cast(pl.String).str.contains(rf"{flags}\A{''.join(parts)}\z"), "boolean")

    def _case(self, node: exp.Expr) -> Typed:
        base = self.typed(node.this) if node.this is not None else None
        tests, results = [], []
        for branch in node.args["ifs"]:
            test = self.typed(branch.this)
            tests.append(values.condition(test if base is None else values.compare("=", base, test), "`when`"))
            results.append(self.typed(branch.args["true"]))
        default = node.args.get("default")
        results.append(self._null(node) if default is None else self.typed(default))
        (*thens, out), kind, zone = values.unify(results, "mix")
        for test_expr, then in zip(reversed(tests), reversed(thens), strict=True):
            out = pl.when(test_expr).then(then).otherwise(out)
        return Typed(out, kind, zone)

    def _interval(self, node: exp.Expr) -> Typed:
        count, unit = (str(part.name) if part is not None else "" for part in (node.this, node.args.get("unit")))
        unit = unit.lower().removesuffix("s")
        if not count.removeprefix("-").isdigit() or unit not in (*_SECONDS, *_MONTHS):
            raise ValueError(f"an interval is written interval '3' month; units: {', '.join((*_SECONDS, *_MONTHS))}")
        seconds = _SECONDS.get(unit) or _MONTHS[unit] * 2_629_746
        if len(count) > 12 or abs(int(count)) * seconds > YEARS * 31_556_952:
            raise ValueError(f"an interval has at most {YEARS} years")
        if unit in _MONTHS:
            return Typed(pl.lit(None), "months", value=int(count) * _MONTHS[unit])
        span = dt.timedelta(seconds=int(count) * seconds)
        return Typed(pl.lit(span), "duration", value=span)

    def _cast(self, node: exp.Expr) -> Typed:
        """cast(x as type); sqlglot reads date '2024-01-31' as one too, but that must be right."""
        inner, kind = self.typed(node.this), TYPES.get(node.args["to"].this.name)
        if kind is None:
            raise ValueError(f"cannot cast to {node.args['to'].this.name.lower()}")
        if kind in values.TIMES and isinstance(inner.value, str):
            return Typed(values.moment(inner.value, kind), kind)
        return Typed(cast(inner, kind), kind)

    def _call(self, node: exp.Expr) -> Typed:
        name, arguments = str(node.this).lower(), [self.typed(argument) for argument in node.expressions]
        if name in self.random:
            out, call = draw(name, self.random[name], arguments, f"\0draw {len(self.draws)}")
            self.draws.append(call)
            return out
        if name not in FUNCTIONS:
            raise ValueError(f"{name} is no function")
        return FUNCTIONS[name].call(name, arguments)

    NODES: Final[dict[str, tuple[Callable[[_Compiler, exp.Expr], Typed], str]]] = {  # node -> method, parts it reads
        "Column": (_column, "this"), "Literal": (_literal, "this is_string"), "Boolean": (_boolean, "this"),
        "Null": (_null, ""), "Paren": (_paren, "this"), "Neg": (_negative, "this"), "Not": (_not, "this"),
        "Between": (_between, "this low high negate"), "In": (_in, "this expressions negate"),
        "Is": (_is, "this expression negate"), "Like": (_like, "this expression negate"),
        "ILike": (_like, "this expression negate"), "Case": (_case, "this ifs default"),
        "Interval": (_interval, "this unit"), "Cast": (_cast, "this to"), "Anonymous": (_call, "this expressions"),
    }  # fmt: skip


def _only(node: exp.Expr, parts: str) -> None:
    """A part that is not read could change the meaning, such as `escape` of `like`."""
    for part, value in node.args.items():
        if value and part not in parts.split():
            raise ValueError(f"{type(node).__name__.lower()} with {part} has no place in an expression")


def _point_literal(text: str) -> Typed:
    """A number with a point or exponent: a float that remembers its digits, to meet decimals exactly."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text} is not a number") from None
    if number and not -300 < number.adjusted() < 300:
        raise ValueError(f"{text} is out of the range of a number")
    exact = number if number.adjusted() < 18 and -18 <= int(number.as_tuple().exponent) <= 0 else None
    return Typed(pl.lit(float(text)), "float", value=exact, name=text)
