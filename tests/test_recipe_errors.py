"""Wrong recipes: each is refused before anything is drawn, with its line and what to do."""

from __future__ import annotations

import time
from typing import Any

import pytest

import verosim as vs
from verosim import Recipe


def refusal(columns: str, table: str = "") -> str:
    """What is said of a table with these columns, one a line; the first stands in line 5."""
    lines = "".join(f"      {line}\n" for line in columns.splitlines())
    with pytest.raises(vs.SchemaError) as found:
        Recipe.parse(f"verosim: recipe 1\ntables:\n  t:\n    columns:\n{lines}{table}", "shop.yaml")
    return str(found.value)


WRONG = [  # columns -> the line, and a part of what is said
    ("a: b + 1\nb: a + 1", 6, "in a circle: a -> b -> a"),
    ("a: {normall: [0, 1]}", 5, "did you mean 'normal'?"),
    ("a: {normal: [0, 1], digit: 2}", 5, "did you mean 'digits'?"),
    ("ok: 1\na: {normal: [0, -1]}", 6, "sd >= 0; given are mean = 0, sd = -1"),
    ("a: {normal: {mean: 0, std: 1}}", 5, "no parameter 'std'"),
    ("a: {normal: [0, 1, 2]}", 5, "normal takes mean, sd: 3 were given"),
    ("a: {normal: [0, 1], min: 20, max: 30}", 5, "leave nothing of the distribution"),
    ("a: {normal: [0, 1], min: 3, max: 1}", 5, "`min` 3.0 is above `max` 1.0"),
    ("a: {choice: {x: 1, y: -1}}", 5, "a weight is a number from 0 up, not -1"),
    ("a: {choice: {x: 0, y: 0}}", 5, "all weights are 0"),
    ("a: {choice: []}", 5, "nothing to choose from"),
    ("a: {choice: [1, x]}", 5, "not all of one type"),
    ("a: [x, y]\nb: {choice: {x: [1], z: [2]}, by: a}", 6, "'z' is no value of 'a'"),
    ("a: [x, y]\nb: {choice: {x: [1]}, by: a}", 6, "there is no choice for 'a' = 'y'"),
    ("a: age + 1\nagee: 3", 5, "no column 'age'; did you mean 'agee'?"),
    ("a: nomal(0, 1)", 5, "no function 'nomal'; did you mean 'normal'?"),
    ("a: normal('x', 1)", 5, "normal takes a number"),
    ("a: {constant: x}\nb: a + 1", 6, "cannot compute"),
    ("a: {formula: 'case when 1 then 2 end'}", 5, "takes conditions"),
    ("a: {ref: customers}", 5, "no table 'customers'"),
    ("a: {ref: t}", 5, "table 't' has no key"),
    ("a: {sequence: 1}\nb: {ref: t.c}", 6, "has no column 'c'"),
    ("a: {sequence: 1}\nb: {ref: t, fanout: zip}", 6, "did you mean 'zipf'?"),
    ("a: {lookup: t.a}", 5, "a foreign key of table 't' was wanted"),
    ("a: {regex: '(?=x)'}", 5, "not understood here"),
    ("a: {pattern: '[A-'}", 5, "pattern"),
    ("a: {normal: [0, 1], unique: true}", 5, "cannot keep values unique"),
    ("a: {normal: [0, 1], missing: 1.5}", 5, "a share from 0 to 1"),
    ("a: {normal: [0, 1], null: 0.1}", 5, "`missing: 0.1`"),
    ("a: {normal: [0, 1], type: int33}", 5, "unknown dtype"),
    ("a: {provider: emial}", 5, "did you mean 'email'?"),
    ("a: {provider: email, locale: en_UK}", 5, "no locale 'en_UK'"),
    ("a: {datetime: [2024-13-01, 2025-01-01]}", 5, "2024-13-01"),
    ("a: {datetime: [2025-01-01, 2024-01-01]}", 5, "is not before the last"),
    ("a: {datetime: [2024-01-01, 2025-01-01], zone: Europe/Madird}", 5, "no time zone"),
    ("a: {date: [2024-01-06, 2024-01-07], business: true}", 5, "no day is left"),
    ("a: {states: {x: {y: 0}}}", 5, "all weights are 0"),
    ("a: {series: {ar: 1.2}}", 5, "grows without end"),
    ("a: {histogram: [0, 1], weights: [1, 2]}", 5, "one weight less than edges"),
    ("a: {grammar: '{b}', rules: {b: ['{b}']}}", 5, "in a circle"),
    ("a: {normal: [0, 1], dirt: {type: 0.1}}", 5, "did you mean 'typo'?"),
    ("a: {normal: [0, 1], dirt: {typo: 0.1}}", 5, "for text"),
    ("a: {previous: b}", 5, "no column 'b'"),
    ("a: {children: x.y}", 5, "no table 'x'"),
    ("a: {integer: [5, 1]}", 5, "low <= high"),
    ("a: {constant: [1, 2]}", 5, "at most value were wanted"),
    ("a: {hidden: true}", 5, "it has no kind"),
    ("a: {constant: 1, hidden: true}", 4, "no column to write"),
    ("a: 1\na: 2", 6, "'a' stands twice"),
    ("a: &x 1\nb: *x", 6, "aliases"),
]


@pytest.mark.parametrize(("columns", "line", "said"), WRONG, ids=lambda v: str(v)[:40])
def test_a_wrong_column_is_named_with_its_line(columns: str, line: int, said: str) -> None:
    message = refusal(columns)
    assert f"shop.yaml, line {line}" in message.split(":")[0]
    assert said in message


TABLES = [
    ("    per: x\n    count: 2\n", "no table 'x'"),
    ("    per: t\n    count: 2\n", "the parents run in a circle"),
    ("    count: 2\n", "`per` is missing"),
    ("    rows: many\n", "a whole number was wanted, not 'many'"),
    ("    rules: ['a > 5', 'a > b + 1']\n", "no column 'b'"),
    ("    rules: ['a >= 5', 'a <= 1']\n", "leave no value for column 'a'"),
    ("    shares: {'a > 1': 2}\n", "a share from 0 to 1"),
    ("    correlate: [{columns: [a, c], rank: 1.5}]\n", "from -1 to 1"),
    ("    correlate: [{columns: [a, z], rank: 0.5}]\n", "no column 'z'"),
    ("    correlate: [{columns: [a, k], rank: 0.5}]\n", "has no distribution"),
    ("    correlate: [{columns: [a, c, d], matrix: [[1, .9, .9], [.9, 1, -.9], [.9, -.9, 1]]}]\n", "the nearest that"),
    ("    cases: {x: {share: 0.5, set: {z: 1}}}\n", "no column 'z'"),
    ("    key: z\n", "no column 'z'"),
    ("    edge_cases: 2\n", "a share from 0 to 1"),
    ("    rows: -5\n", "from 0 up was wanted, not -5"),
    ("    colums: {}\n", "unknown key 'colums'; did you mean 'columns'?"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "said"), TABLES, ids=lambda v: str(v)[:40])
def test_a_wrong_table_is_named_with_its_line(table: str, said: str) -> None:
    columns = "a: {normal: [0, 1]}\nc: {normal: [0, 1]}\nd: {normal: [0, 1]}\nk: {sequence: 1}"
    message = refusal(columns, table)
    assert message.startswith("shop.yaml, line ")
    assert said in message


HOSTILE = [
    "().__class__.__bases__", "__import__('os').system('x')", "a.b.c", "select * from t", "1; drop table t",
    "read_csv('/etc/passwd')", "power(9, 999999999)", "a -- hidden", "/* x */ a", "(" * 500 + "a" + ")" * 500,
    "replace('a', 'a', 'aaaaaaaaaaaaaaaa')", "a" + " % 2" * 300, "1 + " * 2000 + "a", "@a", "a[0]", "lambda: 1",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: t[:20])
def test_hostile_expressions_are_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(vs.SchemaError):
        Recipe({"t": {"columns": {"a": {"normal": [0, 1]}, "x": {"formula": text}}}}).check()
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 5000, "nested over 30 deep"),
        ("tables: {t: " + "{a: " * 40 + "1" + "}" * 41, "nested over 30 deep"),
        ("x" * 10_000_000, "at most 1,000,000"),
        ("tables:\n  t: {columns: {a: 1}\n", "line 3"),
        ("", "a recipe was wanted"),
        ("- 1", "a recipe was wanted"),
        ("verosim: recipe 2\ntables: {}", "this verosim reads 'recipe 1'"),
        ("tables: {}", "there are no tables"),
        ("tables:\n  a.b: {columns: {x: 1}}", "a name without dots"),
        ("tabels: {}", "did you mean 'tables'?"),
    ],
    ids=lambda v: str(v)[:20],
)
def test_what_is_no_recipe_is_refused(text: str, said: str) -> None:
    with pytest.raises(vs.SchemaError) as found:
        Recipe.parse(text, "x.yaml")
    assert said in str(found.value)
    assert str(found.value).startswith("x.yaml")


def test_yes_no_and_leading_zeros_stay_text() -> None:
    recipe = Recipe.parse("tables: {t: {columns: {a: {choice: [yes, no]}, b: {choice: ['x', 00123, 12:30]}}}}")
    frame = recipe.sample(100)
    assert set(frame["a"]) == {"yes", "no"}
    assert set(frame["b"]) == {"x", "00123", "12:30"}


def drawn(columns: dict[str, Any], rows: Any = 10, **table: Any) -> Any:
    return Recipe({"t": {"columns": columns, **table}}).sample(rows)


def test_what_shows_only_in_the_rows_is_named() -> None:
    with pytest.raises(vs.DataError, match=r"table 't', column 'x', row 0: normal needs sd >= 0; this row has"):
        drawn({"s": {"choice": [-1, -1]}, "x": {"normal": [0, "s"]}})
    with pytest.raises(vs.DataError, match="for which there is no choice"):
        drawn({"s": {"integer": [1, 9]}, "x": {"choice": {1: ["a"]}, "by": "s"}}, 1000)
    with pytest.raises(vs.DataError, match="does not fit the type int8"):
        drawn({"x": {"integer": [1000, 2000], "type": "int8"}})
    with pytest.raises(vs.ArgumentError, match="there are 10 different values, and 11 rows"):
        drawn({"x": {"id": "[0-9]"}}, 11)


def test_wrong_numbers_of_rows() -> None:
    for rows in (-1, 2.5, "many", True):
        with pytest.raises(vs.ArgumentError, match="a whole number from 0 up was wanted"):
            drawn({"x": 1}, rows)
    with pytest.raises(vs.ArgumentError, match="no table 'u'"):
        drawn({"x": 1}, {"u": 3})
    assert drawn({"x": {"normal": [0, 1]}}, 0).shape == (0, 1)
    two = Recipe({n: {"rows": 5, "columns": {"x": 1}} for n in "ab"})
    with pytest.raises(vs.ArgumentError, match="each table says how many rows it has"):
        two.sample(3)


def test_extras_that_are_missing_are_named() -> None:
    for spec, module in (({"faker": "name"}, "faker"), ({"mimesis": "person.name"}, "mimesis")):
        try:
            __import__(module)
        except ImportError:
            with pytest.raises(vs.MissingExtraError, match=f"extra `{module}`"):
                drawn({"x": spec})
