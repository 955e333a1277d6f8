"""Recipes that are a little wrong: whatever is changed in one, it works, or an error of ours says where it does not."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import verosim as vs
from verosim import Recipe
from verosim.recipe.kinds import KINDS

TABLES = """
tables:
  products: {rows: 12, columns: {id: {sequence: 1}, popularity: {choice: {9: 1, 3: 1}}}}
  customers:
    columns:
      id: {id: "C[0-9]{5}"}
      name: {provider: name, missing: 0.1, dirt: {typo: 0.2}}
      registered: {date: [2024-01-01, 2024-12-31]}
      limit: {uniform: [100, 500], digits: 2}
      spent: sum(orders.total)
  orders:
    per: customers
    count: {poisson: 2, max: 9}
    columns:
      id: {sequence: 1}
      customer: {ref: customers.id}
      ordered: {after: when, wait: {exponential: 3}, unit: hours}
      when: {datetime: [2024-01-01, 2025-01-01], hours: {9: 1, 17: 3}, zone: Europe/Madrid}
      total: {uniform: [5, 90], digits: 2}
      state: {states: {new: {paid: 9, lost: 1}, paid: {sent: 1}}}
      entered: {sojourn: state, stay: {new: 1, else: {exponential: 2}}, unit: hours}
    rules: [total <= customers.limit, total = sum(lines.amount)]
  lines:
    per: orders
    count: {poisson: 2, min: 1, max: 8}
    columns:
      product: {ref: products, distinct: true, fanout: {weight: popularity}}
      amount: {part: orders.total}
"""
KINDS_OF_COLUMNS = r"""
tables:
  t:
    edge_cases: 0.1
    duplicates: 0.1
    cases: {odd: {share: 0.2, set: {x: {uniform: [100, 200]}}}}
    shares: {"y > 3": 0.25}
    correlate: [{columns: [x, z], rank: 0.5}]
    rules: [{rule: inequality, low_column: x, high_column: big}]
    columns:
      id: {permuted: [1000, 99999]}
      x: {normal: [0, 1], min: -2, max: 3, digits: 2, missing: 0.1}
      z: {gamma: [2, 3]}
      y: {integer: [0, 9]}
      big: x + exponential(1000)
      c: {choice: {a: 1, b: 2}}
      d: {choice: {a: {p: 1}, else: [q]}, by: c}
      m: {mixture: [{normal: [0, 1]}, {uniform: [5, 6]}], weights: [1, 2]}
      h: {histogram: [0, 1, 10], weights: [1, 3]}
      e: {empirical: [1, 2, 3.5], smooth: true}
      tick: {ticks: 15m, start: 2024-01-01}
      p: {pattern: "[A-Z]{3}-[0-9]{2,4}"}
      r: {regex: '[A-Z]\w+-\d{2,4}(foo)?'}
      prev: {previous: y, default: 0, by: c}
      run: {running: y, how: sum, by: c}
      rank: {rank: y, by: c}
      s: {series: {level: 20, trend: 0.01, seasons: [{period: 24, size: 5}], ar: 0.8, sd: 1}}
      o: {object: {street: {provider: street}, city: {provider: city}}}
      l: {list: [a, b], length: {poisson: 2}}
      mail: {provider: email, locale: de_DE, of: buyer}
      text: {lorem: [4, 12]}
      g: {grammar: "The {adj} {noun}", rules: {adj: [big], noun: [cat]}}
"""
JUNK: list[Any] = [
    None, True, 0, -1, 0.5, 1.5, float("inf"), float("nan"), "", "x", "id", "orders", "1e", "a.b", "customers.id", ".",
    "%", "{", "normal(0, 1)", "sum(lines.amount)", "x +", "[", "'", "2024-01-01", "2024-13-01", "é", [], {}, [[]],
    [None], {"a": None}, {None: 1}, {1: 2}, [1, 2, 3], {"uniform": [1, 0]}, {"choice": []}, {"ref": "customers"},
    {"lookup": "x.y"}, {"children": "t"}, {"constant": [1]}, {"part": "orders.total"}, {"states": {}}, {"regex": "("},
    {"list": "a", "length": -1}, {"object": {}}, {"id": "["}, {"zipf": [0, 0]}, [-1, -1], "random()", 10**30, 1e308,
    {"grammar": "{a}", "rules": {"a": ["{a}"]}}, {"ticks": "0s"}, {"previous": "x", "by": "x"}, {"rank": "o"},
    {"sojourn": "state", "stay": {}},
]  # fmt: skip
KEYS = [
    *KINDS,
    "rows",
    "per",
    "missing",
    "digits",
    "unique",
    "type",
    "hidden",
    "min",
    "max",
    "by",
    "locale",
    "of",
    "",
    1,
]
SIGNS = [*"()\"'.+-*/%,0eé{}[]\\:\n ", " and ", " not "]


def places(tree: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all parts of a tree of mappings and lists."""
    yield from [way] if way else []
    for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from places(part, (*way, key))


def at(tree: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        tree = tree[key]
    return tree


def changed(data: st.DataObject, tree: Any) -> None:
    """One part of the tree is replaced, left out, renamed, or joined by another."""
    ways = list(places(tree))
    way = data.draw(st.sampled_from(ways))
    around, key = at(tree, way[:-1]), way[-1]
    what = data.draw(st.sampled_from(["junk", "gone", "copy", "renamed", "beside", "letter"]))
    if what == "junk":
        around[key] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    elif what == "gone":
        del around[key]
    elif what == "copy":
        around[key] = copy.deepcopy(at(tree, data.draw(st.sampled_from(ways))))
    elif what == "renamed" and isinstance(around, dict):
        around[data.draw(st.sampled_from(KEYS))] = around.pop(key)
    elif what == "beside" and isinstance(around, dict):
        around[data.draw(st.sampled_from(KEYS))] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    elif isinstance(around[key], str):
        text = around[key]
        place = data.draw(st.integers(0, len(text)))
        around[key] = text[:place] + data.draw(st.sampled_from(SIGNS)) + text[place + data.draw(st.integers(0, 1)) :]


def tried(text: str) -> None:
    """The recipe works, or it is refused with a line; drawn, it may only be refused."""
    try:
        recipe = Recipe.parse(text, "recipe.yaml")
    except vs.VerosimError as error:
        message = str(error)
    else:
        message = "recipe.yaml, line 1"
        with contextlib.suppress(vs.VerosimError):
            recipe.sample({name: 20 for name, table in recipe.file.tables.items() if table.per is None}, seed=1)
    assert "recipe.yaml, line " in message


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_recipe_that_is_changed_works_or_is_refused_with_its_line(data: st.DataObject) -> None:
    tree = yaml.safe_load(data.draw(st.sampled_from([TABLES, KINDS_OF_COLUMNS])))
    for _ in range(data.draw(st.integers(1, 3))):
        if list(places(tree)):
            changed(data, tree)
    tried(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_text_that_is_changed_works_or_is_refused_with_its_line(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([TABLES, KINDS_OF_COLUMNS]))
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.sampled_from(SIGNS)) + text[place + data.draw(st.integers(0, 3)) :]
    tried(text)


def test_the_recipes_to_be_changed_work() -> None:
    for text in (TABLES, KINDS_OF_COLUMNS):
        assert Recipe.parse(text).sample(20, seed=1) is not None
