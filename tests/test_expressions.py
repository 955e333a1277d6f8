"""Expressions: SQL's meaning over columns, exact numbers, three-valued nulls; and nothing but that can be said."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from verosim import expressions
from verosim.errors import DataError, SchemaError

FRAME = pl.DataFrame(
    {
        "a": pl.Series([1, -7, None], dtype=pl.Int64),
        "small": pl.Series([100, -100, None], dtype=pl.Int8),
        "large": pl.Series([2**64 - 1, 3, None], dtype=pl.UInt64),
        "b": pl.Series([2.5, float("nan"), None], dtype=pl.Float64),
        "single": pl.Series([0.1, 0.2, None], dtype=pl.Float32),
        "price": pl.Series([Decimal("1.10"), Decimal("2.35"), None], dtype=pl.Decimal(10, 2)),
        "s": pl.Series(["Abc", "b%", None]),
        "level": pl.Series(["x", "y", None], dtype=pl.Enum(["x", "y"])),
        "ok": pl.Series([True, False, None]),
        "start": pl.Series([dt.date(2020, 1, 31), dt.date(2021, 12, 31), None]),
        "end": pl.Series([dt.date(2020, 3, 1), dt.date(2021, 12, 1), None]),
        "at": pl.Series([dt.datetime(2020, 1, 31, 5), dt.datetime(9999, 12, 31), None]),
        "local": pl.Series([dt.datetime(2020, 1, 31, 5), dt.datetime(2020, 7, 1), None]).dt.replace_time_zone(
            "Europe/Madrid"
        ),
        "clock": pl.Series([dt.time(1), dt.time(2), None]),
        "span": pl.Series([dt.timedelta(days=1), dt.timedelta(hours=1), None]),
        "education.num": pl.Series([1, 2, 3]),
        "order": pl.Series([1, 2, 3]),
        "date": pl.Series([dt.date(2020, 1, 1)] * 3),
        "list": pl.Series([[1], [2], [3]]),
    }
)

WORKS: list[tuple[str, list[Any]]] = [
    # numbers: exact, wide, null where there is no value
    ("a + 1", [2, -6, None]),
    ("a * 2 - 1", [1, -15, None]),
    ("small + 100", [200, 0, None]),
    ("large + 1", [2**64, 4, None]),
    ("-large", [-(2**64 - 1), -3, None]),
    ("9223372036854775808 > large", [False, True, None]),
    ("a * 9223372036854775807 / 9223372036854775807 = a", [True, True, None]),
    ("a / 0", [None, None, None]),
    ("a / 2", [0.5, -3.5, None]),
    ("a % 3", [1, -1, None]),
    ("-a % 3", [-1, 1, None]),
    ("b % 0", [None, None, None]),
    ("single = 0.1", [True, False, None]),
    ("price = 1.10", [True, False, None]),
    ("price + 0.05 = 1.15", [True, False, None]),
    ("price > -1.10", [True, True, None]),
    ("price * 2", [2.2, 4.7, None]),
    ("round(b)", [3.0, None, None]),
    ("round(2.345, 2)", [2.35] * 3),
    ("sqrt(a)", [1.0, None, None]),
    ("ln(a)", [0.0, None, None]),
    ("power(a, 2)", [1.0, 49.0, None]),
    ("power(0, -1)", [None] * 3),
    ("abs(a) + floor(1.5) + ceil(1.5)", [4.0, 10.0, None]),
    ("least(a, b)", [1.0, -7.0, None]),
    ("greatest(a, 0)", [1, 0, 0]),
    ("coalesce(a, b, 0)", [1.0, -7.0, 0.0]),
    ("1e5 > a", [True, True, None]),
    ("+".join(["a"] * 900), [900, -6300, None]),
    # conditions: three values
    ("a > 0 and ok", [True, False, None]),
    ("a < 0 and ok", [False, False, None]),
    ("null and false", [False] * 3),
    ("null or true", [True] * 3),
    ("not ok", [False, True, None]),
    ("a is null", [False, False, True]),
    ("a is not null", [True, True, False]),
    ("b is null", [False, True, True]),
    ("ok is not true", [False, True, True]),
    ("(a is null) = (b is null)", [True, False, True]),
    ("a = null", [None] * 3),
    ("a between -10 and 0", [False, True, None]),
    ("a not between -10 and 0", [True, False, None]),
    ("a in (1, 2.5, -7)", [True, True, None]),
    ("a not in (1)", [False, True, None]),
    ("a in (2, null)", [None, None, None]),
    ("a in (1, null)", [True, None, None]),
    ("a == 1 or a != 1", [True, True, None]),
    ("case when a > 0 then 'p' when a < 0 then 'n' end", ["p", "n", None]),
    ("case a when 1 then 2.5 else 0 end", [2.5, 0.0, 0.0]),
    ("nullif(a, 1)", [None, -7, None]),
    # text
    ("s like 'A%'", [True, False, None]),
    ("s like '_\\%'", [False, False, None]),
    ("s not like '%b%c'", [False, True, None]),
    ("s ilike 'aB_'", [True, False, None]),
    ("s like 'A.c'", [False, False, None]),
    ("s || '-' || level", ["Abc-x", "b%-y", None]),
    ("concat(s, 'it''s')", ["Abcit's", "b%it's", None]),
    ("level = 'x'", [True, False, None]),
    ("length(s)", [3, 2, None]),
    ("substring(s, 2)", ["bc", "%", None]),
    ("substring(s, 1, 1)", ["A", "b", None]),
    ("upper(trim(' x '))", ["X"] * 3),
    ("replace(s, 'b', '')", ["Ac", "%", None]),
    # times
    ("start <= end", [True, False, None]),
    ("start >= '2021-01-01'", [False, True, None]),
    ("date < date '2020-01-02'", [True] * 3),
    ("at > start", [True, True, None]),
    ("days(end - start)", [30.0, -30.0, None]),
    ("end - start > interval 20 day", [True, False, None]),
    ("start + interval '1' month", [dt.date(2020, 2, 29), dt.date(2022, 1, 31), None]),
    ("start - interval 1 week", [dt.date(2020, 1, 24), dt.date(2021, 12, 24), None]),
    ("start + interval 36 hour", [dt.datetime(2020, 2, 1, 12), dt.datetime(2022, 1, 1, 12), None]),
    ("year(start) * 100 + month(at)", [202001, 202112, None]),
    ("weekday(start)", [5, 5, None]),
    ("hour(local)", [5, 0, None]),
    ("local > '2020-02-01'", [False, True, None]),
    ("local > '2020-01-31 04:30:00+00:00'", [False, True, None]),
    ("clock > '01:30:00'", [False, True, None]),
    ("-span < interval '1 hour'", [True, True, None]),
    ("greatest(start, '2020-12-31')", [dt.date(2020, 12, 31), dt.date(2021, 12, 31), dt.date(2020, 12, 31)]),
    # casts
    ("cast(s as int)", [None, None, None]),
    ("cast('12' as int)", [12] * 3),
    ("cast(a as text)", ["1", "-7", None]),
    ("cast(at as date) = start", [True, False, None]),
    ("cast('TRUE' as boolean)", [True] * 3),
    ("cast(ok as int)", [1, 0, None]),
    # names: words of SQL are only names here
    ('"education.num" > 1 and order < 3', [False, True, False]),
    ("education.num > 1 and order < 3", [False, True, False]),
    ('case when "end" > start then 1 else 2 end', [1, 2, 2]),
]

REFUSED: list[tuple[object, str]] = [
    # nothing there, too much, too deep
    ("", "an expression such as"),
    (None, "an expression such as"),
    ("a" * 2001, "at most 2,000 characters"),
    ("(" * 900 + "a" + ")" * 900, "nested more than 20 deep"),
    ("not " * 400 + "ok", "nested more than 20 deep"),
    ("- " * 900 + "a", "nested more than 20 deep"),
    ("case when ok then " * 30 + "1" + " end" * 30, "nested more than 20 deep"),
    ("abs(" * 300 + "a" + ")" * 300, "nested more than 20 deep"),
    ("ok or ok and (" * 18 + "ok" + ")" * 18, "nested more than 50 deep"),
    # names, functions, types: where, and what was meant
    ("starts <= end", "column 1: no column 'starts'; did you mean 'start'?"),
    ("a\n+\n  q", "line 3, column 3: no column 'q'"),
    ("sqr(a)", "no function 'sqr'; did you mean 'sqrt'?"),
    ('"abs"(a)', "is a column, not a function"),
    ("a > 'x'", "cannot compare a number (a) with a text ('x')"),
    ("start > 3", "cannot compare a date (start) with a number (3)"),
    ("start > 'x'", "'x' is not a date such as '2024-01-31'"),
    ("clock > at", "cannot compare a datetime (at) with a time (clock)"),
    ("local > at", "have a time zone"),
    ("s + s", "text is joined by ||"),
    ("a and ok", "a number (a) is none"),
    ("case when ok then 1 else 'x' end", "cannot mix a number (1) with a text ('x')"),
    ("coalesce(a, s)", "cannot mix"),
    ("list = 1", "which has no place"),
    ("year(a)", "year takes a date or datetime, not a number (a)"),
    ("substring(s)", "substring takes 2 to 3 arguments, not 1"),
    ("cast(a as blob)", "cannot cast to 'blob'"),
    ("cast(a as varchar(10))", "without a size"),
    ("cast(a as date)", "cannot cast a number (a) to a date"),
    ("a in ()", "takes a list"),
    ("a is 3", "compared by ="),
    ("a <", "column 3"),
    ("a b", "column 3"),
    ("1 2", "column 3"),
    ("'a", "a quote is not closed"),
    # no statements, tables, queries, comments, attributes, lambdas, parameters
    ("select a", "queries and tables"),
    ("(select a from t)", "queries and tables"),
    ("a in (select 1)", "queries and tables"),
    ("a; a", "';' is not part of the language"),
    ("drop table x", "no column 'drop'"),
    ("a -- rest", "comments are not allowed"),
    ("a /* rest */", "comments are not allowed"),
    ("{# a #} a", "comments are not allowed"),
    ("{{ a }}", "not part of the language"),
    ("a.b", "'.' is not part of the language"),
    ("a.__class__.__mro__", "'.' is not part of the language"),
    ("__import__('os')", "no function '__import__'"),
    ("eval('1')", "no function 'eval'"),
    ("read_csv('/etc/passwd')", "no function 'read_csv'"),
    ("lambda x: x", "no column 'lambda'"),
    ("a -> a", "column 4"),
    ("a[0]", "'[' is not part of the language"),
    ("@a", "'@' is not part of the language"),
    ("?", "'?' is not part of the language"),
    ("*", "no place"),
    ("a::int", "':' is not part of the language"),
    ("sum(a) over (partition by b)", "no function 'sum'"),
    ("(a, b) = (1, 2)", "tuple has no place"),
    ("a is distinct from b", "no column 'distinct'"),
    ("a << 1", "no place"),
    ("a = 'x' 'y'", "no place"),
    ("now()", "no function 'now'"),
    # nothing that grows without bound
    ("a ** 999999", "column 6"),
    ("power(a, 1000)", "exponent from -16 to 16"),
    ("power(2, power(2, 9))", "takes a plain value"),
    ("repeat(s, 1000000)", "no function 'repeat'"),
    ("replace(s, 'a', 'aaaaaaaa')", "same length or shorter"),
    ("s like level", "quoted pattern"),
    ("s regexp '(a+)+'", "no column 'regexp'"),
    ("1" * 40, "at most 30 digits"),
    ("1e999", "out of the range"),
    ("start + interval 99999999 year", "at most 1000 years"),
    ("interval 1 month", "no fixed length"),
    ("round(b, 99)", "0 to 15 digits"),
]


@pytest.mark.parametrize(("text", "wanted"), WORKS, ids=[text[:40] for text, _ in WORKS])
def test_what_an_expression_means(text: str, wanted: list[Any]) -> None:
    expression = expressions.compile(text, FRAME.schema)
    got = expression.evaluate(FRAME)
    assert got.to_list() == wanted
    assert got.dtype == expression.dtype


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[str(text)[:40] for text, _ in REFUSED])
def test_everything_else_is_refused_with_its_place(text: Any, reason: str) -> None:
    with pytest.raises(SchemaError) as error:
        expressions.compile(text, FRAME.schema)
    assert reason in str(error.value)
    if isinstance(text, str) and text:
        assert ", line " in str(error.value)


def test_an_expression_says_which_columns_it_reads() -> None:
    expression = expressions.compile('b > a or "education.num" = a', FRAME.schema)
    assert expression.columns == ("b", "a", "education.num")
    assert expression == expressions.compile('b > a or "education.num" = a', FRAME.schema)


def test_a_result_that_has_no_place_in_its_type_is_a_data_error() -> None:
    far = "start" + " + interval 1000 year" * 90
    frame = pl.DataFrame({"start": [250_000 * 365]}).cast(pl.Date)
    with pytest.raises(DataError, match="has no value for these data"):
        expressions.compile(far, frame.schema).evaluate(frame)


def test_a_pattern_costs_time_linear_in_the_text() -> None:
    frame = pl.DataFrame({"s": ["a" * 100_000]})
    assert expressions.compile("s like '" + "%a" * 500 + "b'", frame.schema).evaluate(frame).to_list() == [False]


@given(
    st.lists(st.integers(-(2**62), 2**62) | st.none(), min_size=1, max_size=5),
    st.integers(-(2**62), 2**62),
    st.sampled_from(["+", "-", "<", "<=", "=", "<>"]),
)
@example([2**62], 2**62, "+")
def test_whole_numbers_are_computed_as_python_does(values: list[int | None], other: int, sign: str) -> None:
    """What is past 64 bits is missing, never wrapped around."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    got = expressions.compile(f"x {sign} {other}", frame.schema).evaluate(frame).to_list()
    compute = {
        "+": int.__add__, "-": int.__sub__, "<": int.__lt__, "<=": int.__le__, "=": int.__eq__, "<>": int.__ne__,
    }[sign]  # fmt: skip
    exact = [None if v is None else compute(v, other) for v in values]
    assert got == [None if v is None or v > 2**63 - 1 else v for v in exact]


PIECES = [
    *("a", "s", "ok", "start", "price", "1", "2.5", "'x'", "null", "true", "(", ")", ",", "+", "-", "*", "/", "%"),
    *("=", "<", "||", "and", "or", "not", "in", "is", "like", "between", "case", "when", "then", "else", "end"),
    *(
        "cast(",
        "as int",
        "interval 1 day",
        "date '2020-01-01'",
        "abs(",
        "least(",
        ".",
        ";",
        "--",
        '"',
        "'",
        "\x00",
        "é",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=30))
def test_any_text_is_computed_or_refused_as_our_own_error(text: str) -> None:
    with suppress(SchemaError, DataError):
        assert len(expressions.compile(text, FRAME.schema).evaluate(FRAME)) == FRAME.height


def test_plain_values_compare_with_columns_of_their_kind() -> None:
    day = pl.DataFrame({"d": [dt.date(2020, 1, 1)]})
    assert day.select(pl.col("d") >= expressions.literal("2020-01-01", pl.Date())).item()
    with pytest.raises(SchemaError, match="no place among the values of a number column"):
        expressions.literal("old", pl.Int64())
