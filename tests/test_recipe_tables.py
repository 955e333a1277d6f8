"""Recipes of several tables: keys, children, lookups, sums, nested values; files, parts and processes; learned data."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim import Recipe
from verosim.errors import DatabaseError
from verosim.generating import generate_file, generate_parts, parse_rate, stream
from verosim.recipe import skeleton
from verosim.recipe.editors import json_schema

EXAMPLES = Path(__file__).parents[1] / "examples" / "recipes"
SHOP = """
tables:
  people:
    columns:
      id: {permuted: [1000, 99999]}
      town: [Bonn, Kiel]
      n: {integer: [0, 4]}
      spent: {children: orders.amount}
      orders: {children: orders, how: count}
      web: {children: orders, how: count, where: channel = 'web'}
  orders:
    per: people
    count: n
    columns:
      id: {id: uuid}
      person: {ref: people}
      town: {lookup: people.town}
      position: {position: 1}
      channel: [web, shop]
      amount: {exponential: 10, digits: 2}
      so_far: {running: amount}
  items:
    per: orders
    count: {poisson: 2}
    columns:
      order: {ref: orders.id}
      town: {lookup: people.town}
"""


def test_children_belong_to_their_parents() -> None:
    shop = Recipe.parse(SHOP).sample(20_000, seed=1)
    people, orders, items = shop["people"], shop["orders"], shop["items"]
    assert orders.height == people["n"].sum()
    assert people["id"].n_unique() == 20_000
    assert orders["id"].n_unique() == orders.height
    joined = orders.join(people, left_on="person", right_on="id", how="left", maintain_order="left")
    assert (joined["town"] == joined["town_right"]).all()
    groups = orders.group_by("person", maintain_order=True).agg(
        pl.col("position"), pl.col("amount").sum(), pl.len(), (pl.col("channel") == "web").sum().alias("w"),
        pl.col("so_far").last(),
    )  # fmt: skip
    assert all(p == list(range(1, len(p) + 1)) for p in groups["position"].to_list())
    sums = people.join(groups, left_on="id", right_on="person", how="left").fill_null(0)
    np.testing.assert_allclose(sums["spent"], sums["amount"], atol=1e-6)
    np.testing.assert_allclose(sums["so_far"], sums["amount"], atol=1e-6)
    assert (sums["orders"] == sums["len"]).all()
    assert (sums["web"] == sums["w"]).all()
    towns = items.join(orders, left_on="order", right_on="id", how="left")
    assert (towns["town"] == towns["town_right"]).all()
    assert towns["town_right"].null_count() == 0
    assert items.height / orders.height == pytest.approx(2, abs=0.05)


def test_threads_blocks_and_heads_agree() -> None:
    recipe = Recipe.parse(SHOP)
    whole = recipe.sample(70_000, seed=5)
    many = recipe.sample(70_000, seed=5, workers=2)
    few = recipe.sample(50, seed=5)
    for name, frame in whole.items():
        assert many[name].equals(frame)
        assert few[name].equals(frame.head(few[name].height)) or name == "people"
        assert pl.concat(recipe.blocks(name, 70_000, 5)).equals(frame)
        late = pl.concat(recipe.blocks(name, 70_000, 5, first=1))
        assert late.equals(frame.tail(late.height))
        assert late.height
    assert few["people"].equals(whole["people"].head(50))


def keyed(columns: dict[str, Any], rows: int = 5000, **table: Any) -> pl.DataFrame:
    """Rows beside a table `other` of 100 rows."""
    other = {"rows": 100, "columns": {"k": {"id": "K[0-9]{4}"}, "w": {"sequence": 0}, "v": {"normal": [0, 1]}}}
    return Recipe({"t": {"columns": columns, **table}, "other": other}).sample(rows, seed=2)["t"]


def test_foreign_keys_fan_out_as_asked() -> None:
    frame = keyed({
        "even": {"ref": "other"}, "zipf": {"ref": "other", "fanout": {"zipf": 1.5}},
        "heavy": {"ref": "other.w", "fanout": {"weight": "w"}},
    })  # fmt: skip
    counts = frame["even"].value_counts()["count"]
    assert counts.len() == 100
    assert counts.max() < 100
    assert frame["zipf"].value_counts(sort=True)["count"][0] / 5000 == pytest.approx(
        0.415, abs=0.03
    )  # 1 / sum(k**-1.5)
    assert frame["heavy"].mean() == pytest.approx(66.3, abs=1.5)  # sum(w**2) / sum(w)
    assert frame.filter(pl.col("heavy") == 0).is_empty()


def test_one_to_one_and_lookups_of_the_same_row() -> None:
    columns = {"k": {"ref": "other", "unique": True}, "w": {"lookup": "other.w"}, "w2": {"ref": "other.w", "same": "k"}}
    frame = keyed(columns, 100)
    assert frame["k"].n_unique() == 100
    assert frame["w"].n_unique() == 100
    assert (frame["w"] == frame["w2"]).all()
    with pytest.raises(vs.ArgumentError, match="100 different values, and 101 rows"):
        keyed(columns, 101)


def test_many_to_many_without_duplicates() -> None:
    tables = {
        "students": {"rows": 3000, "columns": {"id": {"sequence": 1}}},
        "courses": {"rows": 7, "columns": {"id": {"sequence": 1}}},
        "takes": {
            "per": "students",
            "count": 5,
            "columns": {"s": {"ref": "students"}, "c": {"ref": "courses", "distinct": True}},
        },
    }
    takes = Recipe(tables).sample()["takes"]
    assert takes.height == 15_000
    assert takes.unique().height == 15_000
    assert takes["c"].value_counts()["count"].min() > 1900  # type: ignore[operator]
    tables["takes"]["count"] = 8
    with pytest.raises(vs.DataError, match="has 8 rows here, and table 'courses' has only 7"):
        Recipe(tables).sample()


def test_a_row_of_the_own_table_is_an_earlier_one() -> None:
    staff = Recipe({"staff": {"columns": {"id": {"sequence": 1}, "boss": {"ref": "staff"}}}}).sample(10_000)
    assert staff["boss"][0] is None
    assert staff["boss"].null_count() == 1
    assert (staff["boss"].drop_nulls() < staff["id"][1:]).all()


def test_tables_may_point_at_each_other() -> None:
    tables = {
        "a": {"rows": 10, "columns": {"id": {"sequence": 1}, "b": {"ref": "b"}}},
        "b": {"rows": 20, "columns": {"id": {"sequence": 100}, "a": {"ref": "a"}}},
    }
    both = Recipe(tables).sample()
    assert both["a"]["b"].is_in(both["b"]["id"].implode()).all()
    assert both["b"]["a"].is_in(both["a"]["id"].implode()).all()


def test_objects_and_lists() -> None:
    columns = {
        "age": {"integer": [1, 9]},
        "who": {"object": {"name": {"provider": "name"}, "double": "age * 2"}},
        "shout": 'upper("who.name")',
        "tags": {"list": ["a", "b"], "length": {"integer": [0, 3]}},
        "pets": {"list": {"object": {"owner_age": {"lookup": "t.age"}}}, "length": 2},
    }
    frame = Recipe({"t": {"columns": columns}}).sample(2000)
    assert (frame["who"].struct.field("double") == frame["age"] * 2).all()
    assert (frame["who"].struct.field("name").str.to_uppercase() == frame["shout"]).all()
    assert set(frame["tags"].list.len()) == {0, 1, 2, 3}


def test_learned_inside_declared(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    data = pl.DataFrame({"x": x, "y": 2 * x + rng.normal(size=400) / 10, "kind": rng.choice(["p", "q"], 400)})
    vs.fit(data, model="chain", seed=1).save(tmp_path / "m.verosim")
    columns = {
        "id": {"sequence": 1},
        "x": {"learned": "m.verosim", "column": "x"},
        "y": {"learned": "m.verosim", "column": "y"},
    }
    frame = Recipe({"t": {"columns": columns}}, folder=tmp_path).sample(9000)
    assert np.corrcoef(frame["x"], frame["y"])[0, 1] > 0.9
    whole = Recipe({"t": {"learned": "m.verosim", "columns": {"z": "x + y"}}}, folder=tmp_path).sample(50)
    assert whole.columns == ["x", "y", "kind", "z"]
    assert (whole["z"] == whole["x"] + whole["y"]).all()


# ------------------------------------------------------------------------------------------------- files


def test_the_shop_agrees_to_the_cent(tmp_path: Path) -> None:
    made = generate_file(EXAMPLES / "shop.yaml", tmp_path / "out", 500, format="parquet")
    shop = {p.stem: pl.read_parquet(p) for p in (tmp_path / "out").iterdir()}
    assert {n: f.height for n, f in shop.items()} == dict(made.rows)
    lines = shop["lines"].group_by("order_id").agg(pl.col("amount").sum())
    orders = shop["orders"].join(lines, left_on="id", right_on="order_id", how="left")
    np.testing.assert_allclose(orders["total"], orders["amount"], atol=0.006)
    paid = shop["payments"].join(orders, left_on="order_id", right_on="id")
    assert paid.height == orders.height
    assert (paid["amount"] == paid["total"]).all()
    assert (shop["orders"].filter(pl.col("channel") == "store")["status"] == "delivered").all()
    assert shop["lines"]["product_id"].is_in(shop["products"]["id"].implode()).all()


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("part-*")}


def test_a_broken_run_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    recipe = Recipe.parse(SHOP)
    generate_parts(recipe, tmp_path / "a", 40_000, part_rows=10_000)
    whole = digests(tmp_path / "a")
    assert len(whole) > 8
    for name in sorted(whole)[1::2]:
        (tmp_path / "a" / name).unlink()
    done = generate_parts(recipe, tmp_path / "a", 40_000, part_rows=10_000, resume=True)
    assert digests(tmp_path / "a") == whole
    assert done.kept == len(whole) - len(whole) // 2
    with pytest.raises(vs.FileError, match="holds parts of this recipe already"):
        generate_parts(recipe, tmp_path / "a", 40_000, part_rows=10_000)
    with pytest.raises(vs.FileError, match="another recipe, number of rows or seed"):
        generate_parts(recipe, tmp_path / "a", 40_001, part_rows=10_000, resume=True)


def test_lines_at_a_rate(tmp_path: Path) -> None:
    assert stream(EXAMPLES / "heights.yaml", tmp_path / "x.jsonl", 25, rate=10_000) == 25
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == list(range(1, 26))
    assert parse_rate("500/s") == 500
    with pytest.raises(vs.ArgumentError, match="a rate such as 500/s"):
        parse_rate("fast")


def cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "verosim.cli", *map(str, words)], capture_output=True, text=True)


def test_the_commands(tmp_path: Path) -> None:
    made = cli("generate", EXAMPLES / "shop.yaml", "-n", "100", "-o", tmp_path / "out", "--json")
    assert json.loads(made.stdout)["rows"]["customers"] == 100
    assert sorted(p.name for p in (tmp_path / "out").iterdir())[0] == "customers.csv"
    assert "is right" in cli("generate", EXAMPLES / "bank.yaml", "--check").stdout
    (tmp_path / "bad.yaml").write_text("tables:\n  t:\n    columns:\n      x: {normall: [0, 1]}\n")
    wrong = cli("generate", tmp_path / "bad.yaml", "--check")
    assert wrong.returncode == 2
    assert "bad.yaml, line 4" in wrong.stderr
    assert "did you mean 'normal'?" in wrong.stderr
    lines = cli("generate", EXAMPLES / "heights.yaml", "-n", "5", "--rate", "1000/s").stdout
    assert len(lines.splitlines()) == 5
    assert json.loads(cli("generate", "--json-schema").stdout)["title"] == "verosim recipe"


def test_the_json_schema_knows_all_kinds() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    import yaml

    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in EXAMPLES.glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


# ------------------------------------------------------------------------------------------------- skeletons

SQL = """
create table customers (id int primary key, email text not null unique, tier text check (tier in ('a', 'b')));
create table orders (id serial primary key, customer_id int references customers(id), total numeric(10, 2) not null);
"""


def test_skeletons_from_sql_run_at_once() -> None:
    recipe = Recipe.parse(skeleton.text(skeleton.from_sql(SQL)))
    data = recipe.sample(200)
    assert data["orders"]["customer_id"].drop_nulls().is_in(data["customers"]["id"].implode()).all()
    assert set(data["customers"]["tier"].drop_nulls()) == {"a", "b"}
    assert data["customers"]["email"].n_unique() == 200
    with pytest.raises(vs.SchemaError, match="no CREATE TABLE"):
        skeleton.from_sql("select 1")


def test_skeletons_from_json_schema_and_classes() -> None:
    schema = {
        "title": "user", "required": ["id", "role", "born"],
        "properties": {
            "id": {"type": "integer"}, "role": {"enum": ["admin", "user"]},
            "born": {"type": "string", "format": "date"},
            "code": {"type": "string", "pattern": "^[A-Z]{3}$"}, "tags": {"type": "array", "items": {"type": "string"}},
            "home": {"$ref": "#/$defs/Home"}, "age": {"type": "integer", "minimum": 18, "maximum": 20},
        },
        "$defs": {"Home": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    }  # fmt: skip
    frame = Recipe.parse(skeleton.text(skeleton.from_json_schema(schema))).sample(300)
    assert frame["age"].drop_nulls().is_between(18, 20).all()
    assert frame["code"].drop_nulls().str.contains("^[A-Z]{3}$").all()
    assert frame.schema["home"] == pl.Struct({"city": pl.String})
    assert frame.schema["tags"] == pl.List(pl.String)
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Item", id=(int, ...), price=(float, ...), name=(str | None, None))
    item = Recipe.parse(skeleton.text(skeleton.from_class(model))).sample(500)
    assert item.columns == ["id", "price", "name"]
    assert item["name"].null_count() > 0


def test_skeletons_from_a_live_database(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    import sqlite3

    with sqlite3.connect(tmp_path / "x.db") as db:
        db.executescript(SQL.replace("serial", "integer"))
    plain = skeleton.from_database(tmp_path / "x.db")
    assert plain == skeleton.from_database(f"sqlite:///{tmp_path / 'x.db'}")
    data = Recipe.parse(skeleton.text(plain)).sample(50)
    assert data["orders"].columns == ["id", "customer_id", "total"]
    assert data["orders"]["customer_id"].drop_nulls().is_in(data["customers"]["id"].implode()).all()
    assert set(data["customers"]["tier"].drop_nulls()) == {"a", "b"}
    with pytest.raises(vs.FileError, match="no such file"):
        skeleton.from_database(tmp_path / "y.db")


def test_skeletons_of_data_know_foreign_keys_and_decimals() -> None:
    up = pl.DataFrame({"id": range(1, 61), "price": [i * 1.25 + 0.01 for i in range(60)]})
    down = pl.DataFrame({"of": [i * 7 % 60 + 1 for i in range(200)], "n": [i % 50 for i in range(200)]})
    data = {"up": up, "down": down}
    made = Recipe.parse(skeleton.text(skeleton.from_frames(data, vs.inspect(data)))).sample(seed=1)
    assert made["down"]["of"].is_in(made["up"]["id"].implode()).all()
    assert (made["up"]["price"].round(2) == made["up"]["price"]).all()


def test_skeletons_of_data_leave_out_what_few_hold() -> None:
    data = pl.DataFrame({"kind": ["a"] * 60 + ["b"] * 39 + ["secret"], "n": [i * i % 97 + 0.5 for i in range(100)]})
    text = skeleton.text(skeleton.from_frames({"t": data}, vs.inspect({"t": data})))
    assert "secret" not in text
    made = Recipe.parse(text).sample(5000)
    assert (made["kind"] == "a").mean() == pytest.approx(0.6, abs=0.03)
    assert made["n"].is_between(1, 95).all()


# ------------------------------------------------------------------------------------------------- databases


def test_a_recipe_goes_into_a_database_with_its_keys(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/shop.db"
    written = generate_file(EXAMPLES / "shop.yaml", place, 50)
    connection = sqlite3.connect(tmp_path / "shop.db")
    held = {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in written.rows}
    assert held == dict(written.rows)
    keys = {(row[3], row[2], row[4]) for row in connection.execute("pragma foreign_key_list(lines)")}
    assert keys == {("order_id", "orders", "id"), ("product_id", "products", "id")}
    assert [row[1] for row in connection.execute("pragma table_info(orders)") if row[5]] == ["id"]
    assert connection.execute("select email from customers order by id limit 1").fetchone() == (
        vs.generate(EXAMPLES / "shop.yaml", 50)["customers"]["email"][0],
    )
    with pytest.raises(DatabaseError, match="holds tables already"):
        generate_file(EXAMPLES / "shop.yaml", place, 50)
    again = generate_file(EXAMPLES / "shop.yaml", place, 20, replace_tables=True)
    assert connection.execute("select count(*) from customers").fetchone()[0] == again.rows["customers"]


def test_what_is_spoilt_on_purpose_is_no_key_of_the_database(tmp_path: Path) -> None:
    tables = {
        "a": {"columns": {"id": {"sequence": 1, "missing": 0.5}, "x": 1}},
        "b": {"per": "a", "count": 1, "columns": {"a": {"ref": "a.id"}}},
    }
    generate_file(Recipe(tables), tmp_path / "t.db", 40)
    connection = sqlite3.connect(tmp_path / "t.db")
    assert not connection.execute("pragma foreign_key_list(b)").fetchall()
    assert not [row for row in connection.execute("pragma table_info(a)") if row[5]]
