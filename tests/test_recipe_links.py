"""What recipes say across rows and tables: rules, sums that agree, fan-out without doubles, runs by group, streams."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim import Recipe
from verosim.generating import stream
from verosim.recipe.nouns import BLOCK

SHOP = """
tables:
  products: {rows: 12, columns: {id: {sequence: 1}, popularity: {choice: {9: 1, 3: 1, 1: 1}}}}
  customers:
    columns:
      id: {id: "C[0-9]{5}"}
      registered: {date: [2024-01-01, 2024-12-31]}
      limit: {uniform: [100, 500], digits: 2}
      spent: sum(orders.total)
  orders:
    per: customers
    count: {poisson: 2}
    columns:
      id: {sequence: 1}
      customer: {ref: customers.id}
      ordered: {date: [2024-01-01, 2025-06-30]}
      total: {uniform: [5, 400], digits: 2}
      room: customers.limit - total
    rules:
    - orders.ordered >= customers.registered
    - {rule: inequality, low_column: total, high_column: customers.limit}
    - total = sum(lines.amount)
    - count(lines.product) between 1 and 12
  lines:
    per: orders
    count: {poisson: 4, min: 1, max: 12}
    columns:
      order: {ref: orders}
      product: {ref: products, distinct: true, fanout: {weight: popularity}}
      rare: {ref: products, distinct: true, fanout: {zipf: 2}}
      amount: {part: orders.total}
"""


@pytest.fixture(scope="module")
def shop() -> dict[str, pl.DataFrame]:
    data: dict[str, pl.DataFrame] = Recipe.parse(SHOP).sample(3000, seed=3)
    return data


def test_rules_across_tables_hold_in_every_row(shop: dict[str, pl.DataFrame]) -> None:
    both = shop["orders"].join(shop["customers"], left_on="customer", right_on="id")
    assert both.height == shop["orders"].height
    assert (both["ordered"] >= both["registered"]).all()
    assert (both["total"] <= both["limit"]).all()
    assert (both["room"] - (both["limit"] - both["total"])).abs().max() == 0


def test_parts_come_to_the_number_of_the_parent_exactly(shop: dict[str, pl.DataFrame]) -> None:
    cents = (pl.col("amount") * 100).round().cast(pl.Int64)
    sums = shop["lines"].group_by("order").agg(cents.sum())
    both = sums.join(shop["orders"], left_on="order", right_on="id")
    assert (both["amount"] == (both["total"] * 100).round().cast(pl.Int64)).all()
    assert shop["lines"]["amount"].min() >= 0


def test_sums_of_the_rows_below_have_no_noise(shop: dict[str, pl.DataFrame]) -> None:
    sums = shop["orders"].group_by("customer").agg(pl.col("total").sum().round(2))
    both = shop["customers"].join(sums, left_on="id", right_on="customer", how="left")
    assert (both["spent"] == both["total"].fill_null(0)).all()


def test_whole_parts_by_weight() -> None:
    columns = {"n": {"constant": 10}, "m": {"constant": -7}, "none": {"constant": 3, "missing": 1}}
    below = {
        "w": {"position": 1}, "n": {"part": "up.n", "weight": "w"}, "m": {"part": "up.m", "weight": 0},
        "none": {"part": "up.none"},
    }  # fmt: skip
    rows = Recipe({"up": {"columns": columns}, "t": {"per": "up", "count": 4, "columns": below}}).sample(3)["t"]
    assert rows["n"].to_list() == [1, 2, 3, 4] * 3
    assert sorted(rows["m"].head(4)) == [-2, -2, -2, -1]
    assert rows["none"].null_count() == 12


def test_fan_out_by_weight_without_doubles(shop: dict[str, pl.DataFrame]) -> None:
    for column in ("product", "rare"):
        assert shop["lines"].select(pl.struct("order", column).is_unique().all()).item()


@pytest.mark.parametrize("fanout", [{"zipf": 1.0}, {"weight": "w"}])
def test_draws_without_doubles_are_those_of_one_after_the_other(fanout: Any) -> None:
    """The chances of a pair that is drawn by weight, one after the other, worked out by hand; four of four are all."""
    weights = np.array([1, 1 / 2, 1 / 3, 1 / 4])
    tables = {
        "other": {"rows": 4, "columns": {"id": {"sequence": 0}, "w": "1 / (id + 1)"}},
        "up": {"columns": {"id": {"sequence": 1}, "n": {"choice": [2, 4]}}},
        "t": {"per": "up", "count": "n", "columns": {
            "n": {"lookup": "up.n"}, "up": {"ref": "up"}, "to": {"ref": "other", "distinct": True, "fanout": fanout},
        }},
    }  # fmt: skip
    data = Recipe(tables).sample(12_000, seed=1)["t"]
    all_four = data.filter(pl.col("n") == 4).group_by("up").agg(pl.col("to").n_unique())
    assert (all_four["to"] == 4).all()
    pairs = data.filter(pl.col("n") == 2).group_by("up").agg(pl.col("to").unique().sort())
    shares = np.sort(pairs["to"].value_counts(normalize=True)["proportion"].to_numpy())
    p = weights / weights.sum()
    expected = [p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) for i in range(4) for j in range(i)]
    assert shares == pytest.approx(np.sort(expected), abs=5 * 0.5 / np.sqrt(pairs.height))


def test_rules_see_the_rows_that_keys_without_doubles_are_of() -> None:
    tables = {
        "other": {"rows": 30, "columns": {"id": {"sequence": 1}, "price": {"uniform": [1, 9], "digits": 2}}},
        "up": {"columns": {"id": {"sequence": 1}}},
        "t": {"per": "up", "count": 5, "rules": ["paid >= other.price"], "columns": {
            "to": {"ref": "other", "distinct": True, "fanout": {"zipf": 1.2}}, "paid": {"uniform": [1, 20]},
        }},
    }  # fmt: skip
    data = Recipe(tables).sample(500, seed=3)
    both = data["t"].join(data["other"], left_on="to", right_on="id")
    assert (both["paid"] >= both["price"]).all()


def test_more_rows_than_can_differ_are_refused() -> None:
    text = SHOP.replace("max: 12", "max: 40").replace("rows: 12", "rows: 5").replace("between 1 and 12", "> 0")
    with pytest.raises(vs.DataError, match="table 'products' has only 5 for it"):
        Recipe.parse(text).sample(300)


def test_previous_and_running_by_group_go_on_through_blocks() -> None:
    columns = {
        "k": {"choice": ["a", "b", None], "weights": [5, 4, 1]}, "x": {"integer": [-5, 5], "missing": 0.1},
        "sum": {"running": "x", "by": "k", "start": 100}, "count": {"running": "x", "how": "count", "by": "k"},
        "max": {"running": "x", "how": "max", "by": "k"}, "before": {"previous": "x", "by": "k", "default": 7},
        "all": {"running": "x"},
    }  # fmt: skip
    frame = Recipe({"t": {"columns": columns}}).sample(2 * BLOCK + 9, seed=2)
    x = pl.col("x")
    wanted = frame.select(
        sum=x.fill_null(0).cum_sum().over("k") + 100, count=x.cum_count().over("k").cast(pl.Int64),
        max=x.cum_max().forward_fill().over("k"), before=x.shift(1, fill_value=7).over("k"),
        all=x.fill_null(0).cum_sum(),
    )  # fmt: skip
    assert frame.select(wanted.columns).equals(wanted)


def test_states_last_as_long_as_they_are_said_to() -> None:
    states = {"new": {"paid": 3, "lost": 1}, "paid": {"sent": 1}, "sent": {}}
    stay = {"new": {"gamma": [2, 3]}, "paid": 1, "else": {"exponential": 5}}
    steps = {
        "up": {"ref": "up"}, "state": {"states": states},
        "at": {"sojourn": "state", "stay": stay, "start": "up.began", "unit": "hours"},
        "received": {"after": "at", "wait": "case when random() < 0.1 then exponential(30) else 0 end",
                     "unit": "minutes"},
    }  # fmt: skip
    up = {"id": {"sequence": 1}, "began": {"datetime": ["2024-01-01", "2024-02-01"]}}
    data = Recipe({"up": {"columns": up}, "t": {"per": "up", "count": 3, "columns": steps}}).sample(20_000, seed=4)
    rows = data["t"].join(data["up"], left_on="up", right_on="id")
    assert (rows.group_by("up", maintain_order=True).first().select(pl.col("at") == pl.col("began"))["at"]).all()
    rows = rows.with_columns(stay=(pl.col("at").shift(-1) - pl.col("at")).over("up").dt.total_seconds() / 3600)
    spent = rows.drop_nulls("stay").group_by("state").agg(pl.col("stay").mean(), pl.col("stay").var().alias("var"))
    found = {state: (mean, var) for state, mean, var in spent.iter_rows()}
    assert found["paid"] == (1, 0)
    assert found["new"] == (pytest.approx(6, rel=0.03), pytest.approx(18, rel=0.08))
    late = (rows["received"] > rows["at"]).mean()
    assert late == pytest.approx(0.1, abs=0.01)
    assert (rows["received"] >= rows["at"]).all()


def test_sojourns_of_one_long_run() -> None:
    columns = {"s": {"states": {"a": {"b": 1}, "b": {"a": 1}}}, "at": {"sojourn": "s", "stay": {"a": 1, "b": 2}}}
    times = Recipe({"t": {"columns": columns}}).sample(BLOCK + 2)["at"]
    assert times[:3].to_list() == [dt.datetime(2024, 1, d) for d in (1, 2, 4)]
    assert times[BLOCK + 1] - times[0] == dt.timedelta(days=3 * BLOCK // 2 + 1)


@pytest.mark.parametrize("library", ["faker", "mimesis"])
def test_unique_values_of_a_pool(library: str) -> None:
    pytest.importorskip(library)
    what = {"faker": "color_name"} if library == "faker" else {"mimesis": "address.country"}
    recipe = Recipe({"t": {"columns": {"c": {**what, "pool": 2000, "unique": True}}}})
    assert recipe.sample(60, seed=1)["c"].n_unique() == 60
    assert recipe.sample(60, seed=1)["c"].head(9).equals(recipe.sample(9, seed=1)["c"])
    with pytest.raises(vs.ArgumentError, match="different values, and 100,000 rows"):
        recipe.run(100_000)


def test_all_tables_in_one_stream(tmp_path: Path) -> None:
    recipe = Recipe.parse(SHOP)
    out = tmp_path / "rows.jsonl"
    written = stream(recipe, out, 200, rate=1e8, seed=1)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == written
    data = recipe.sample(200, seed=1)
    for name, frame in data.items():
        rows = [line["row"] for line in lines if line["table"] == name]
        assert [next(iter(row.values())) for row in rows] == [frame[frame.columns[0]][i] for i in range(frame.height)]
    seen: set[str] = set()
    for line in lines:  # what a row points at has come before it
        assert line["table"] != "orders" or line["row"]["customer"] in seen
        seen.add(line["row"].get("id", "") if line["table"] == "customers" else "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("customers.registered", "customers.registred", "line 20: .*did you mean 'registered'"),
        ("customers.registered", "customer.registered", "did you mean|not part of the language"),
        ("sum(lines.amount)", "sum(products.id)", "line 22: .*not `per` 'orders'"),
        ("{part: orders.total}", "{part: customers.limit}", "a number of the parent was wanted"),
        ("{part: orders.total}", "{part: orders.ordered}", "a number was wanted; 'orders.ordered' is Date"),
        ("{part: orders.total}", "{part: orders.total, digits: 1}", "needs `digits: 1` or fewer"),
        ("{part: orders.total}", "{part: orders.total, weight: {constant: x}}", "`weight` is a number"),
        ("spent: sum(orders.total)", "spent: {running: limit, by: nix}", "no column 'nix'"),
        ("spent: sum(orders.total)", "spent: {sojourn: id, stay: {a: 1}, unit: eons}", "unit 'eons'"),
    ],
)
def test_what_is_wrong_across_tables_is_told(old: str, new: str, message: str) -> None:
    with pytest.raises(vs.SchemaError, match=message):
        Recipe.parse(SHOP.replace(old, new, 1))
