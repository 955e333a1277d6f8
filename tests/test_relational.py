"""Related tables: keys found, tables learned together and drawn anew, through the public door."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import verosim as vs
from verosim import files
from verosim.draws import stream
from verosim.evaluation import Family, relations
from verosim.keys import DANGLING, NONE, parent_rows
from verosim.providers import make
from verosim.relational.counts import Counts
from verosim.relational.graph import depths
from verosim.relational.links import Places, above, set_apart
from verosim.rules import parse
from verosim.schema import Column, ForeignKey, Schema, Table

SHARED = Path(__file__).parents[2] / "shared" / "data" / "relational"
Frames = dict[str, pl.DataFrame]


def shop(n: int = 300, seed: int = 0) -> Frames:
    """Customers, their orders, the lines of these, products, and a bridge of customers and clubs."""
    rng = np.random.default_rng(seed)
    rich = rng.random(n) < 0.3
    customers = pl.DataFrame(
        {"customer_id": np.arange(1, n + 1), "rich": rich, "city": rng.choice(["Oslo", "Rome", "Lima"], n)}
    )
    owner = np.repeat(np.arange(n), np.where(rich, rng.integers(3, 7, n), rng.integers(0, 3, n)))
    orders = pl.DataFrame(
        {
            "order_id": 1000 + np.arange(len(owner)),
            "customer_id": owner + 1,
            "total": np.round(np.where(rich[owner], 500, 50) * rng.uniform(0.8, 1.2, len(owner)), 2),
            "city": customers["city"].to_numpy()[owner],
        }
    )
    products = pl.DataFrame({"product_id": np.arange(30), "price": np.arange(30) * 10.0 + 5})
    of = np.repeat(np.arange(len(owner)), rng.integers(1, 4, len(owner)))
    dear = rich[owner[of]]
    lines = pl.DataFrame(
        {
            "order_id": 1000 + of,
            "line": np.arange(len(of)) - np.searchsorted(of, of) + 1,
            "product_id": np.where(dear, rng.integers(15, 30, len(of)), rng.integers(0, 15, len(of))),
            "amount": rng.poisson(2, len(of)),
        }
    )
    return {"customers": customers, "orders": orders, "order_lines": lines, "products": products}


def keys_hold(drawn: Frames, schema: Schema) -> bool:
    return not any(relations.broken_keys(drawn, schema).values())


@pytest.fixture(scope="module")
def fitted() -> vs.Synthesizer:
    return vs.fit(shop(), model="chain", seed=3)


# ------------------------------------------------------------------------------------------------- schema and keys


def test_foreign_keys_go_through_yaml_and_back() -> None:
    child = Table(
        "b", (Column("id", "id", "int64"), Column("a_id", "id", "int64")), ("id",),
        foreign_keys=(ForeignKey(("a_id",), "a", ("id",), "why"),), keep=True,
    )  # fmt: skip
    schema = Schema({"a": Table("a", (Column("id", "id", "int64"),), ("id",)), "b": child})
    from verosim.schema import parse_yaml

    again = Schema.from_dict(parse_yaml(schema.to_yaml()))
    assert again == schema
    assert again["b"].foreign_keys[0].reason == "why"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"columns": ["x"], "parent": "a"}, "no column 'x'"),
        ({"columns": ["id"], "parent": 3}, "name of a table"),
        ({"columns": ["id"], "parent": "a", "parent_columns": ["p", "q"]}, "as many"),
        ({"columns": ["id"], "parents": "a"}, "unknown key 'parents'"),
    ],
)
def test_a_wrong_foreign_key_is_named(spec: dict[str, object], said: str) -> None:
    data = {"tables": {"b": {"columns": {"id": {"kind": "id", "dtype": "int64"}}, "foreign_keys": [spec]}}}
    with pytest.raises(vs.SchemaError, match=said):
        Schema.from_dict(data)


def test_keys_are_found_by_values_and_names_with_reasons() -> None:
    schema = vs.inspect(shop())
    found = {(t.name, str(k)) for t in schema.values() for k in t.foreign_keys}
    assert found == {
        ("orders", "customer_id -> customers(customer_id)"),
        ("order_lines", "order_id -> orders(order_id)"),
        ("order_lines", "product_id -> products(product_id)"),
    }
    assert schema["order_lines"].primary_key == ("order_id", "line")
    assert "different values are in customers.customer_id" in schema["orders"].foreign_keys[0].reason


def test_a_number_within_a_key_is_no_key() -> None:
    dataset = shop()
    dataset["orders"] = dataset["orders"].with_columns(days=pl.col("customer_id") % 20 + 1)
    assert [k.columns for k in vs.inspect(dataset)["orders"].foreign_keys] == [("customer_id",)]


def test_keys_written_in_a_schema_win() -> None:
    dataset = shop()
    schema = vs.inspect(dataset)
    plain = schema.with_table(Table("orders", schema["orders"].columns, ("order_id",)))
    assert vs.inspect(dataset, plain)["orders"].foreign_keys == ()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize(("name", "keys"), [("clinic", 2), ("northwind", 11), ("sakila", 21)])
def test_keys_of_real_databases_are_found(name: str, keys: int) -> None:
    dataset = {p.stem: files.read(p).dataset[p.stem] for p in sorted((SHARED / name).glob("*.csv"))}
    assert sum(len(table.foreign_keys) for table in vs.inspect(dataset).values()) == keys


def test_a_key_that_is_damaged_is_found_by_its_name_and_refused() -> None:
    parents = pl.DataFrame({"parent_id": range(1, 201), "x": [i % 7 for i in range(200)]})
    children = pl.DataFrame({"child_id": range(600), "parent_id": [i * 7 % 200 + 1 for i in range(600)]})
    doubled = {"parent": pl.concat([parents, parents[:5]]), "child": children}
    unnamed = {"parent": parents.with_columns(parent_id=pl.col("parent_id").replace(9, None)), "child": children}
    strays = {"parent": parents, "child": children.with_columns(parent_id=pl.col("parent_id") + 12)}
    for damaged, said in (
        (doubled, "the primary key is not unique: 10 rows share theirs"),
        (unnamed, "a primary key has no value"),
        (strays, "36 of 600 rows have a key that 'parent' has not"),
    ):
        assert [str(k) for k in vs.inspect(damaged)["child"].foreign_keys] == ["parent_id -> parent(parent_id)"]
        with pytest.raises(vs.DataError, match=said):
            vs.fit(damaged, model="independent")
    assert vs.fit(strays, model="independent", orphans="null").sample()["child"]["parent_id"].null_count() == 36


def test_a_key_is_no_key_because_most_numbers_fit() -> None:
    rows = {
        "a": pl.DataFrame({"a_id": range(50)}),
        "b": pl.DataFrame({"b_id": range(90), "size": [i % 60 for i in range(90)]}),
    }
    assert not any(table.foreign_keys for table in vs.inspect(rows).values())
    twins = {str(year): pl.DataFrame({"person_id": range(year, year + 100)}) for year in (2023, 2024)}
    assert not any(table.foreign_keys for table in vs.inspect(twins).values())


def test_a_table_alone_may_name_itself() -> None:
    staff = pl.DataFrame({"employee_id": range(1, 301), "manager_id": [None, *(1 + i // 3 for i in range(299))]})
    found = vs.inspect({"staff": staff})["staff"].foreign_keys
    assert [str(key) for key in found] == ["manager_id -> staff(employee_id)"]
    new = vs.fit(staff, model="chain").sample()
    assert new["manager_id"].null_count() == 1
    assert set(new["manager_id"].drop_nulls()) <= set(new["employee_id"])


def test_an_address_is_copied_whole_or_not_at_all_and_is_personal() -> None:
    n, rng = 120, stream(3, "addresses")
    streets = [f"{i} {('Oakenshaw', 'Elmdale', 'Pinewick')[i % 3]} Street" for i in range(1, 2 * n + 1)]
    towns = make("city", np.arange(2 * n), rng).to_list()
    owners, own = np.repeat(np.arange(n), 6), rng.random(6 * n) < 0.8
    where = np.where(own, owners, owners + n)
    shop = {
        "customers": pl.DataFrame({"customer_id": np.arange(n), "street": streets[:n], "city": towns[:n]}),
        "orders": pl.DataFrame(
            {
                "order_id": np.arange(6 * n),
                "customer_id": owners,
                "delivered_to": [streets[i] for i in where],
                "ship_town": [towns[i] for i in where],
            }
        ),
    }
    schema = vs.inspect(shop)
    assert [schema["orders"][name].kind for name in ("delivered_to", "ship_town")] == ["personal", "personal"]
    new = vs.fit(shop, schema, model="chain").sample(seed=1)
    both = new["orders"].join(new["customers"], on="customer_id")
    street, town = both["delivered_to"] == both["street"], both["ship_town"] == both["city"]
    assert (street & ~town).sum() == 0  # the other way round a town may be the same by chance
    assert abs(street.mean() - own.mean()) < 4 * (0.16 / (6 * n)) ** 0.5 + 0.02
    assert not {*new["orders"]["delivered_to"]} & {*streets}


def test_what_no_key_ties_is_said() -> None:
    posts, photos = (
        pl.DataFrame({f"{name}_id": range(50), "x": [i % 3 for i in range(50)]}) for name in ("post", "photo")
    )
    kinds = [("Post", "photos")[i % 2] for i in range(200)]
    votes = pl.DataFrame({"vote_id": range(200), "subject_type": kinds, "subject_id": [i % 50 for i in range(200)]})
    notes = vs.fit({"posts": posts, "photos": photos, "votes": votes}, model="independent").notes
    assert any(note.startswith("votes: subject_id names rows of the table that subject_type says") for note in notes)
    assert any(note.startswith("no key ties posts, photos, votes to another table") for note in notes)
    assert not any("no key ties" in note for note in vs.fit(shop(), model="independent").notes)


def test_keys_of_other_types_are_one() -> None:
    key = ForeignKey(("a",), "p", ("id",))
    parent = pl.DataFrame({"id": [1, 2, 7]})
    for values in ([7, 1, None, 9], [7.0, 1.0, None, 9.0], ["7", "1", None, "9"]):
        assert parent_rows(pl.DataFrame({"a": values}), parent, key, "c").tolist() == [2, 0, NONE, DANGLING]


# ------------------------------------------------------------------------------------------------- parts


def test_numbers_of_children_are_those_learned() -> None:
    real = np.repeat([0, 1, 2, 3], [40, 30, 20, 10])
    counts = Counts.fit(real, k=5)
    drawn = counts.like(np.arange(100.0), np.random.default_rng(0))
    assert drawn.tolist() == real.tolist()  # who the model gives more gets more
    assert counts.summing(drawn, 120, "t", np.random.default_rng(0)).sum() == 120
    assert counts.summing(drawn, 70, "t", np.random.default_rng(0)).sum() == 70


def test_a_number_of_children_that_few_have_is_not_kept() -> None:
    counts = Counts.fit(np.array([1] * 50 + [977]), k=5)
    assert counts.like(np.arange(51.0), np.random.default_rng(0)).max() == 1


def test_places_keep_how_often_each_is_named() -> None:
    counts, groups = np.array([3, 1, 0, 2]), np.array([0, 0, 1, 1])
    taken = Places.of(counts, groups, np.random.default_rng(0)).take(
        np.array([0, 0, 1, 0, NONE, 1, 0]), np.random.default_rng(1)
    )
    assert np.bincount(taken[taken >= 0], minlength=4).tolist() == [3, 1, 0, 2]
    assert taken[4] == NONE
    assert set(taken[[2, 5]]) == {3}


def test_bridges_name_nobody_twice() -> None:
    rng = np.random.default_rng(0)
    owners, counts = np.repeat(np.arange(50), 6), np.full(10, 30)
    named = set_apart(owners, rng.permutation(np.repeat(np.arange(10), 30)), counts, rng)
    assert len(set(zip(owners.tolist(), named.tolist(), strict=True))) == 300


def test_a_tree_of_rows_stays_a_tree() -> None:
    depth = np.array([0, 1, 1, 2, 2, 2, 0, 1])
    parents = above(depth, np.array([2, 2, 1, 0, 0, 0, 1, 0]), np.random.default_rng(0))
    assert depths(parents) is not None
    assert depths(parents).tolist() == depth.tolist()  # type: ignore[union-attr]
    assert depths(np.array([1, 2, 0])) is None


# ------------------------------------------------------------------------------------------------- learned and drawn


def test_every_key_is_valid_and_sizes_are_exact(fitted: vs.Synthesizer) -> None:
    for scale in (0.5, 1.0, 2.0):
        drawn = fitted.sample(scale=scale)
        assert keys_hold(drawn, fitted.schema_)
        assert {n: f.height for n, f in drawn.items()} == {n: round(f.height * scale) for n, f in shop().items()}
        assert drawn["orders"].columns == shop()["orders"].columns
        assert drawn["orders"].schema == shop()["orders"].schema


def test_same_seed_same_rows_and_a_model_file_keeps_them(fitted: vs.Synthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "shop.verosim")
    one, two, other = fitted.sample(seed=5), vs.load(tmp_path / "shop.verosim").sample(seed=5), fitted.sample(seed=6)
    assert all(one[name].equals(two[name]) for name in one)
    assert not one["orders"].equals(other["orders"])


def test_children_are_like_their_parents(fitted: vs.Synthesizer) -> None:
    drawn = fitted.sample(scale=3, seed=1)
    joined = drawn["orders"].join(drawn["customers"], on="customer_id")
    assert ((joined["total"] > 200) == joined["rich"]).mean() > 0.95  # type: ignore[operator]
    per = joined["customer_id"].value_counts().join(drawn["customers"], on="customer_id")
    assert per.filter("rich")["count"].mean() > 2 * per.filter(~pl.col("rich"))["count"].mean()  # type: ignore[operator]
    real = shop()
    found = relations.cardinality(Family.of(real, {n: f.clear() for n, f in real.items()}, drawn, fitted.schema_))
    assert all(m.value is not None and m.value > 0.9 for m in found.measures)


def test_values_that_agree_and_serial_numbers_still_do(fitted: vs.Synthesizer) -> None:
    drawn = fitted.sample(seed=2)
    joined = drawn["orders"].join(drawn["customers"], on="customer_id", suffix=" of the customer")
    assert (joined["city"] == joined["city of the customer"]).all()
    lines = drawn["order_lines"].group_by("order_id").agg(pl.col("line").sort())
    assert all(row == list(range(1, len(row) + 1)) for row in lines["line"].to_list())


def test_second_parents_are_not_chosen_at_random(fitted: vs.Synthesizer) -> None:
    drawn = fitted.sample(scale=3, seed=4)
    joined = drawn["order_lines"].join(drawn["orders"], on="order_id").join(drawn["products"], on="product_id")
    dear = joined.group_by(pl.col("total") > 200).agg(pl.col("price").mean())
    prices = dict(dear.rows())
    assert prices[True] > prices[False] + 60  # 150 apart in the real ones, where chance would have them alike


def test_conditions_on_parents_go_down(fitted: vs.Synthesizer) -> None:
    drawn = fitted.sample({"customers": 200}, where={"rich": True}, seed=1)
    assert drawn["customers"]["rich"].all()
    assert (drawn["orders"]["total"] > 200).mean() > 0.9  # type: ignore[operator]
    assert keys_hold(drawn, fitted.schema_)
    with pytest.raises(vs.ArgumentError, match="'customers'"):
        fitted.sample({"orders": 20}, where={"total": 50.0})


def test_a_database_is_drawn_around_rows_that_are_given(fitted: vs.Synthesizer) -> None:
    given = pl.DataFrame({"customer_id": [7001, 7002, 7003] * 20, "rich": [True, True, False] * 20})
    given = given.with_columns(customer_id=pl.Series(np.arange(7001, 7061)))
    drawn = fitted.around(given, table="customers", seed=1)
    assert drawn["customers"].select("customer_id", "rich").equals(given)
    assert drawn["customers"]["city"].is_in(["Oslo", "Rome", "Lima"]).all()
    assert keys_hold(drawn, fitted.schema_)
    joined = drawn["orders"].join(given, on="customer_id")
    assert joined.height == drawn["orders"].height > 120
    assert ((joined["total"] > 200) == joined["rich"]).mean() > 0.8  # type: ignore[operator]
    with pytest.raises(vs.ArgumentError, match="rows are owned"):
        fitted.around(shop()["orders"], table="orders")
    with pytest.raises(vs.DataError, match="two rows have one key"):
        fitted.around(given.with_columns(customer_id=pl.lit(1)), table="customers")


def test_more_rows_than_the_parents_have_room_for_are_refused() -> None:
    people = pl.DataFrame({"person_id": np.arange(100), "x": np.arange(100) % 7})
    cards = pl.DataFrame({"card_id": np.arange(60), "person_id": np.arange(60), "y": np.arange(60) % 5})
    synthesizer = vs.fit({"people": people, "cards": cards}, model="chain", seed=1)
    assert synthesizer.sample()["cards"]["person_id"].is_unique().all()
    with pytest.raises(vs.RuleError, match="100 parents have room for 100"):
        synthesizer.sample({"people": 100, "cards": 101})


def test_employees_have_managers_without_a_circle() -> None:
    n, rng = 200, np.random.default_rng(1)
    boss = [None, None, *(int(rng.integers(0, max(1, i // 3))) for i in range(2, n))]
    frame = pl.DataFrame({"employee_id": np.arange(n), "manager_id": boss, "pay": rng.integers(10, 99, n)})
    other = pl.DataFrame({"note_id": np.arange(40), "employee_id": np.arange(40) * 2, "text": ["a", "b"] * 20})
    synthesizer = vs.fit({"employees": frame, "notes": other}, model="chain", seed=1, k=1)
    drawn = synthesizer.sample()
    key = synthesizer.schema_["employees"].foreign_keys[0]
    assert depths(parent_rows(drawn["employees"], drawn["employees"], key, "employees")) is not None
    assert drawn["employees"]["manager_id"].null_count() == 2
    assert keys_hold(drawn, synthesizer.schema_)


def test_tables_that_name_each_other_are_drawn_in_two_passes() -> None:
    rng = np.random.default_rng(2)
    teams = pl.DataFrame(
        {"team_id": np.arange(40), "leader_id": rng.integers(0, 200, 40), "size": rng.integers(3, 9, 40)}
    )
    players = pl.DataFrame(
        {"player_id": np.arange(200), "team_id": rng.integers(0, 40, 200), "age": rng.integers(18, 40, 200)}
    )
    schema = vs.inspect({"teams": teams, "players": players})
    leader = ForeignKey(("leader_id",), "players", ("player_id",))
    table = schema["teams"].with_columns(Column("leader_id", "id", "int64"))
    schema = schema.with_table(Table("teams", table.columns, ("team_id",), foreign_keys=(leader,)))
    synthesizer = vs.fit({"teams": teams, "players": players}, schema, model="chain", seed=1)
    assert keys_hold(synthesizer.sample(), synthesizer.schema_)


def test_bridges_of_keys_only_empty_tables_and_loners() -> None:
    rng = np.random.default_rng(3)
    pairs = np.unique(rng.integers(0, 40, (300, 2)), axis=0)
    dataset = {
        "students": pl.DataFrame({"student_id": np.arange(40), "year": np.arange(40) % 3}),
        "courses": pl.DataFrame({"course_id": np.arange(40)}),
        "takes": pl.DataFrame({"student_id": pairs[:, 0], "course_id": pairs[:, 1]}),
        "alone": pl.DataFrame({"x": np.arange(50) / 7}),
        "grades": pl.DataFrame({"student_id": [], "grade": []}, schema={"student_id": pl.Int64, "grade": pl.Int64}),
    }
    synthesizer = vs.fit(dataset, model="chain", seed=1)
    drawn = synthesizer.sample()
    assert {n: f.height for n, f in drawn.items()} == {n: f.height for n, f in dataset.items()}
    assert drawn["takes"].is_unique().all()
    assert keys_hold(drawn, synthesizer.schema_)
    assert drawn["grades"].schema == dataset["grades"].schema


def test_composite_keys_and_keys_without_a_value() -> None:
    rng = np.random.default_rng(4)
    rooms = pl.DataFrame(
        {"floor": np.repeat(np.arange(10), 10), "room": np.tile(np.arange(10), 10), "beds": rng.integers(1, 4, 100)}
    )
    which = rng.integers(0, 100, 500)
    stays = pl.DataFrame(
        {"stay_id": np.arange(500), "floor": which // 10, "room": which % 10, "nights": rng.integers(1, 9, 500)}
    )
    none = pl.Series(rng.random(500) < 0.2)
    stays = stays.with_columns(pl.when(~none).then(pl.col(c)).alias(c) for c in ("floor", "room"))
    schema = vs.inspect({"rooms": rooms, "stays": stays})
    parts = {"floor": Column("floor", "id", "int64"), "room": Column("room", "id", "int64")}
    two = tuple(parts.get(c.name, c) for c in schema["stays"].columns)
    key = ForeignKey(("floor", "room"), "rooms", ("floor", "room"))
    schema = schema.with_table(Table("rooms", schema["rooms"].columns, ("floor", "room")))
    schema = schema.with_table(Table("stays", two, ("stay_id",), foreign_keys=(key,)))
    drawn = vs.fit({"rooms": rooms, "stays": stays}, schema, model="chain", seed=1).sample()
    assert keys_hold(drawn, schema)
    assert drawn["stays"]["floor"].null_count() == drawn["stays"]["room"].null_count() == none.sum()


def test_kept_tables_come_out_as_they_are(tmp_path: Path) -> None:
    synthesizer = vs.fit(shop(), model="chain", seed=1, keep=["products"])
    synthesizer.save(tmp_path / "m.verosim")
    for one in (synthesizer, vs.load(tmp_path / "m.verosim")):
        drawn = one.sample(scale=0.5)
        assert drawn["products"].equals(shop()["products"])
        assert keys_hold(drawn, one.schema_)
    with pytest.raises(vs.SchemaError, match="keep both"):
        vs.fit(shop(), model="chain", keep=["orders"])


def test_times_of_children_do_not_precede_their_parents() -> None:
    rng = np.random.default_rng(5)
    day = pl.date(2020, 1, 1)
    people = pl.DataFrame({"person_id": np.arange(200), "d": rng.integers(0, 900, 200)}).select(
        "person_id", registered=day + pl.duration(days="d")
    )
    visits = pl.DataFrame(
        {"visit_id": np.arange(600), "person_id": rng.integers(0, 200, 600), "d": rng.integers(0, 90, 600)}
    )
    visits = visits.join(people, on="person_id").select(
        "visit_id", "person_id", visited=pl.col("registered") + pl.duration(days="d")
    )
    drawn = vs.fit({"people": people, "visits": visits}, model="chain", seed=1).sample(scale=3)
    joined = drawn["visits"].join(drawn["people"], on="person_id")
    assert (joined["visited"] >= joined["registered"]).all()


def test_a_panel_has_each_day_once_per_parent() -> None:
    days = [d for shop in range(40) for d in range(shop % 9 + 2)]
    shops = pl.DataFrame({"shop_id": np.arange(40), "size": np.arange(40) % 9})
    which = [shop for shop in range(40) for _ in range(shop % 9 + 2)]
    sales = pl.DataFrame({"shop_id": which, "day": days, "sold": [d * 3 for d in days]}).select(
        "shop_id", "sold", day=pl.date(2024, 1, 1) + pl.duration(days=pl.col("day") * 7)
    )
    schema = vs.inspect({"shops": shops, "sales": sales})
    table = schema["sales"]
    schema = schema.with_table(Table("sales", table.columns, ("shop_id", "day"), foreign_keys=table.foreign_keys))
    drawn = vs.fit({"shops": shops, "sales": sales}, schema, model="chain", seed=1).sample()
    assert keys_hold(drawn, schema)


def test_rules_across_tables_hold_in_every_row() -> None:
    dataset = shop()
    dataset["customers"] = dataset["customers"].with_columns(limit=pl.when("rich").then(650.0).otherwise(65.0))
    schema = vs.inspect(dataset)
    rule = {"rule": "inequality", "low_column": "total", "high_column": "customers.limit"}
    orders = schema["orders"]
    orders = Table("orders", orders.columns, orders.primary_key, (rule,), foreign_keys=orders.foreign_keys)
    drawn = vs.fit(dataset, schema.with_table(orders), model="chain", seed=1).sample(scale=2)
    joined = drawn["orders"].join(drawn["customers"], on="customer_id")
    assert (joined["total"] <= joined["limit"]).all()


def school() -> Frames:
    """Tables of keys alone and of natural keys: teachers and their bosses; a class of each level and letter."""
    rng = np.random.default_rng(6)
    boss = [None if i < 5 else i % 5 for i in range(40)]
    levels, letters = np.repeat(np.arange(1, 14), 3), np.tile(np.array(["a", "b", "c"]), 13)
    classes = {"level": levels, "letter": letters, "teacher_id": rng.integers(0, 40, 39)}
    return {
        "teachers": pl.DataFrame({"teacher_id": np.arange(40), "boss_id": boss}),
        "classes": pl.DataFrame(classes),
        "pupils": pl.DataFrame(
            {"pupil_id": np.arange(500), "level": levels[np.arange(500) % 39], "letter": letters[np.arange(500) % 39]}
        ),
    }


def school_schema(dataset: Frames) -> Schema:
    """With the keys as they are: a class is named by level and letter."""
    schema = vs.inspect(dataset)
    one = ForeignKey(("teacher_id",), "teachers", ("teacher_id",))
    boss = ForeignKey(("boss_id",), "teachers", ("teacher_id",))
    both = ForeignKey(("level", "letter"), "classes", ("level", "letter"))
    teachers, classes, pupils = (schema[name] for name in dataset)
    schema = schema.with_table(Table("teachers", teachers.columns, ("teacher_id",), foreign_keys=(boss,)))
    schema = schema.with_table(Table("classes", classes.columns, ("level", "letter"), foreign_keys=(one,)))
    return schema.with_table(Table("pupils", pupils.columns, ("pupil_id",), foreign_keys=(both,)))


def test_a_natural_key_that_uses_up_its_values_and_a_table_of_keys_alone() -> None:
    dataset = school()
    synthesizer = vs.fit(dataset, school_schema(dataset), model="chain", seed=1)
    drawn = synthesizer.sample()
    assert keys_hold(drawn, synthesizer.schema_)
    assert drawn["classes"].select("level", "letter").n_unique() == 39
    assert drawn["teachers"]["boss_id"].null_count() == 5


def test_a_key_of_two_columns_is_found() -> None:
    dataset = school()
    schema = vs.inspect(dataset)
    assert [str(k) for k in schema["pupils"].foreign_keys] == ["level, letter -> classes(level, letter)"]
    assert schema["classes"].primary_key == ("level", "letter")


def firm() -> tuple[Frames, Schema]:
    """Keys that share a column: of a company's departments and people one may name only those of the same company."""
    rng = np.random.default_rng(7)
    people = rng.integers(0, 12, 400)
    company = rng.integers(0, 12, 200)
    lead = [int(rng.choice(np.flatnonzero(people == c))) for c in company]
    dataset = {
        "companies": pl.DataFrame({"company": np.arange(12), "size": rng.integers(1, 5, 12)}),
        "departments": pl.DataFrame({"company": np.repeat(np.arange(12), 4), "department": np.tile(np.arange(4), 12)}),
        "people": pl.DataFrame({"company": people, "person": np.arange(400), "department": rng.integers(0, 4, 400)}),
        "projects": pl.DataFrame(
            {"project": np.arange(200), "company": company, "department": rng.integers(0, 4, 200), "lead": lead}
        ),
    }
    number = {n: Column(n, "id", "int64") for n in ("company", "department", "person", "project", "lead", "size")}
    own = ForeignKey(("company",), "companies", ("company",))
    within = ForeignKey(("company", "department"), "departments", ("company", "department"))
    leads = ForeignKey(("company", "lead"), "people", ("company", "person"))
    keys = {
        "companies": (("company",), ()),
        "departments": (("company", "department"), (own,)),
        "people": (("company", "person"), (own, within)),
        "projects": (("project",), (within, leads)),
    }
    tables = {
        name: Table(name, tuple(number[c] for c in dataset[name].columns), key, foreign_keys=foreign)
        for name, (key, foreign) in keys.items()
    }
    size = Column("size", "number", "int64")
    tables["companies"] = tables["companies"].with_columns(size)
    tables["departments"] = tables["departments"].with_columns(Column("department", "number", "int64"))
    return dataset, Schema(tables)


def test_keys_that_share_a_column_agree() -> None:
    dataset, schema = firm()
    synthesizer = vs.fit(dataset, schema, model="chain", seed=1)
    for scale in (1.0, 3.0):
        assert keys_hold(synthesizer.sample(scale=scale), synthesizer.schema_)


def invoices() -> Frames:
    """Customers with what they spent; orders with what their lines come to; lines with the prices of products."""
    rng, n = np.random.default_rng(8), 200
    owner = np.repeat(np.arange(n), rng.integers(0, 6, n))
    of = np.repeat(np.arange(len(owner)), rng.integers(1, 5, len(owner)))
    price, which = np.round(rng.uniform(1, 99, 30), 2), rng.integers(0, 30, len(of))
    amount = rng.integers(1, 9, len(of))
    goods = np.round(np.bincount(of, price[which] * amount), 2)
    total = np.round(goods + rng.integers(3, 9, len(owner)), 2)
    lines = {"order_id": of, "line": np.arange(len(of)) - np.searchsorted(of, of) + 1, "product_id": which}
    orders = {"order_id": np.arange(len(owner)), "customer_id": owner, "goods": goods}
    return {
        "customers": pl.DataFrame(
            {"customer_id": np.arange(n), "spent": np.round(np.bincount(owner, total, n), 2), "age": np.arange(n) % 50}
        ),
        "orders": pl.DataFrame({**orders, "shipping": np.round(total - goods, 2), "total": total}),
        "order_lines": pl.DataFrame({**lines, "price": price[which], "amount": amount}),
        "products": pl.DataFrame({"product_id": np.arange(30), "price": price}),
    }


def assert_totals(drawn: Frames) -> None:
    goods = drawn["order_lines"].group_by("order_id").agg(sum=(pl.col("price") * pl.col("amount")).sum())
    orders = drawn["orders"].join(goods, on="order_id")
    assert orders.height
    assert (orders["sum"] - orders["goods"]).abs().max() < 0.006  # type: ignore[operator]
    assert (orders["goods"] + orders["shipping"] - orders["total"]).abs().max() < 1e-6  # type: ignore[operator]
    spent = drawn["orders"].group_by("customer_id").agg(sum=pl.col("total").sum())
    customers = drawn["customers"].join(spent, on="customer_id")
    assert (customers["sum"] - customers["spent"]).abs().max() < 0.006  # type: ignore[operator]


def test_sums_of_children_and_prices_of_products_are_found_and_held(tmp_path: Path) -> None:
    dataset = invoices()
    schema = vs.inspect(dataset)
    found = {(t.name, str(r)) for t in schema.values() for r in parse(t.rules, t) if r.KIND == "aggregate"}
    assert found == {
        ("customers", "spent = sum(orders.total)"),
        ("orders", "goods = sum(order_lines.price * order_lines.amount)"),
    }
    synthesizer = vs.fit(dataset, model="chain", seed=1)
    synthesizer.save(tmp_path / "m.verosim")
    for one in (synthesizer, vs.load(tmp_path / "m.verosim")):
        drawn = one.sample(scale=1.5)
        assert_totals(drawn)
        priced = drawn["order_lines"].join(drawn["products"], on="product_id")
        assert (priced["price"] == priced["price_right"]).all()


def test_a_total_that_is_declared_is_checked_and_held() -> None:
    dataset = shop()
    n = dataset["orders"]["customer_id"].value_counts(name="n")
    dataset["customers"] = dataset["customers"].join(n, on="customer_id", how="left").with_columns(
        pl.col("n").fill_null(0).cast(pl.Int64)
    )  # fmt: skip
    schema = vs.inspect(dataset)
    customers = schema["customers"]
    declared = replace(customers, rules=("n = count(orders)",))
    drawn = vs.fit(dataset, schema.with_table(declared), model="chain", seed=1).sample()
    counted = drawn["customers"].join(drawn["orders"]["customer_id"].value_counts(), on="customer_id", how="left")
    assert (counted["count"].fill_null(0) == counted["n"]).all()
    wrong = schema.with_table(replace(customers, rules=("n = sum(orders.total)",)))
    with pytest.raises(vs.DataError, match=r"rows break the rule `n = sum\(orders.total\)`"):
        vs.fit(dataset, wrong, model="chain")
    nowhere = schema.with_table(replace(customers, rules=("n = count(order)",)))
    with pytest.raises(vs.SchemaError, match="no table 'order'; did you mean 'orders'"):
        vs.fit(dataset, nowhere, model="chain")


def test_a_condition_may_name_a_column_of_the_owner() -> None:
    dataset = shop()
    dataset["customers"] = dataset["customers"].with_columns(limit=pl.when("rich").then(650.0).otherwise(65.0))
    schema = vs.inspect(dataset)
    orders = replace(
        schema["orders"], rules=("total <= customers.limit", "total < customers.limit * 0.98 or total < 1")
    )
    kept = (
        dataset["orders"].join(dataset["customers"], on="customer_id").filter(pl.col("total") < pl.col("limit") * 0.98)
    )
    dataset["orders"] = kept.select(dataset["orders"].columns)
    some = kept["order_id"].implode()
    dataset["order_lines"] = dataset["order_lines"].filter(pl.col("order_id").is_in(some))
    drawn = vs.fit(dataset, schema.with_table(orders), model="chain", seed=1).sample()
    joined = drawn["orders"].join(drawn["customers"], on="customer_id")
    assert (joined["total"] < joined["limit"] * 0.98).all()


def test_values_repeat_those_of_a_row_that_is_named_in_as_many_rows() -> None:
    rng, n = np.random.default_rng(9), 150
    names = np.array([f"{a}{b}" for a in "abcdefghijklmnop" for b in "klmnopqrst"])
    owner = np.repeat(np.arange(n), rng.integers(1, 6, n))
    other = rng.random(n) < 0.3  # whose orders go elsewhere, all to one place
    home = names[rng.integers(0, 40, n)]
    to = np.where(other[owner], names[40 + owner % 50], home[owner])
    dataset = {
        "customers": pl.DataFrame({"customer_id": np.arange(n), "town": home}),
        "orders": pl.DataFrame({"order_id": np.arange(len(owner)), "customer_id": owner, "to_town": to}),
    }
    drawn = vs.fit(dataset, model="chain", seed=1, k=1).sample(scale=3)
    joined = drawn["orders"].join(drawn["customers"], on="customer_id")
    assert abs((joined["to_town"] == joined["town"]).mean() - 0.7) < 0.1  # type: ignore[operator]
    towns = joined.group_by("customer_id").agg(pl.col("to_town").n_unique(), pl.len()).filter(pl.col("len") > 1)
    assert (towns["to_town"] == 1).mean() > 0.85  # type: ignore[operator]


def test_values_go_on_from_a_row_to_the_next_of_its_owner() -> None:
    rng, n = np.random.default_rng(10), 100
    owner = np.repeat(np.arange(n), 20)
    steps, gaps = rng.normal(0, 60, (n, 20)), rng.integers(1, 9, (n, 20))
    steps[:, 0], gaps[:, 0] = rng.normal(1000, 200, n), rng.integers(0, 300, n)
    trades = pl.DataFrame(
        {
            "trade_id": np.arange(2000),
            "account_id": owner,
            "day": gaps.cumsum(1).ravel(),
            "balance": steps.cumsum(1).ravel(),
        }
    ).with_columns(day=pl.date(2020, 1, 1) + pl.duration(days="day"))
    accounts = pl.DataFrame({"account_id": np.arange(n), "kind": np.array(["a", "b"])[np.arange(n) % 2]})
    drawn = vs.fit({"accounts": accounts, "trades": trades}, model="chain", seed=1).sample()["trades"]
    both = drawn.with_columns(pl.col("day", "balance").shift(1).over("account_id").name.suffix(" before")).drop_nulls()
    step = both["balance"] - both["balance before"]
    gap = (both["day"] - both["day before"]).dt.total_days()
    assert 45 < step.std() < 80  # type: ignore[operator]  # 60; 350 where each is drawn by itself
    assert 4 < gap.mean() < 5  # type: ignore[operator]
    assert gap.min() >= 0  # type: ignore[operator]
    assert drawn["trade_id"].is_unique().all()


def test_a_description_beside_the_tables_of_a_folder_is_no_table(tmp_path: Path) -> None:
    for name, frame in shop(40).items():
        frame.write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "metadata.json").write_text('{"METADATA_SPEC_VERSION": "MULTI_TABLE_V1", "tables": {}}')
    source = files.read(tmp_path)
    assert sorted(source.dataset) == sorted(shop(40))
    assert any("metadata.json" in note for note in source.notes)


# ------------------------------------------------------------------------------------------------- bad inputs


def with_strays() -> tuple[Frames, Schema]:
    dataset = shop(100)
    schema = vs.inspect(dataset)
    some = dataset["orders"]["customer_id"].clone().scatter([3, 9], 99_999)
    return {**dataset, "orders": dataset["orders"].with_columns(some)}, schema


def test_keys_that_name_nobody_are_refused_with_their_number() -> None:
    dataset, schema = with_strays()
    with pytest.raises(vs.DataError, match=r"table 'orders', column 'customer_id', row 3: 2 of .* such as 99999"):
        vs.fit(dataset, schema, model="chain")


@pytest.mark.parametrize("orphans", ["drop", "null", "keep"])
def test_keys_that_name_nobody_can_be_settled(orphans: str) -> None:
    dataset, schema = with_strays()
    synthesizer = vs.fit(dataset, schema, model="chain", orphans=orphans)
    drawn, key = synthesizer.sample(), schema["orders"].foreign_keys[0]
    assert any("2 of" in note and "customer_id" in note for note in synthesizer.notes)
    rows = parent_rows(drawn["orders"], drawn["customers"], key, "orders")
    assert drawn["orders"].height == dataset["orders"].height - 2 * (orphans == "drop")
    assert (rows == {"drop": -9, "null": NONE, "keep": DANGLING}[orphans]).sum() == (0 if orphans == "drop" else 2)


def test_a_parent_key_that_stands_twice_is_refused() -> None:
    dataset = shop(100)
    schema = vs.inspect(dataset)
    dataset["customers"] = dataset["customers"].with_columns(pl.col("customer_id").replace(2, 1))
    with pytest.raises(vs.DataError, match="stand"):
        vs.fit(dataset, schema, model="chain")


def test_keys_of_two_types_come_out_in_their_own() -> None:
    dataset = shop(100)
    dataset["orders"] = dataset["orders"].with_columns(pl.col("customer_id").cast(pl.String))
    synthesizer = vs.fit(dataset, model="chain", seed=1)
    drawn = synthesizer.sample()
    assert drawn["orders"]["customer_id"].dtype == pl.String
    assert keys_hold(drawn, synthesizer.schema_)


def test_a_key_of_a_missing_table_gets_a_hint() -> None:
    dataset = shop(100)
    schema = vs.inspect(dataset)
    wrong = (ForeignKey(("customer_id",), "customer", ("customer_id",)),)
    schema = schema.with_table(Table("orders", schema["orders"].columns, ("order_id",), foreign_keys=wrong))
    with pytest.raises(vs.SchemaError, match="did you mean 'customers'"):
        vs.fit(dataset, schema, model="chain")


# ------------------------------------------------------------------------------------------------- in the family


def chemistry(molecules: int, seed: int) -> dict[str, pl.DataFrame]:
    """Molecules of atoms, bonds between two atoms of one molecule, and rings of several: as in Biodegradability."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 30, molecules)
    first, n = np.cumsum(sizes) - sizes, int(sizes.sum())
    molecule = np.repeat(np.arange(molecules), sizes)
    place = np.arange(n) - first[molecule]
    names = [f"d{m}_{k}" for m, k in zip(molecule, place, strict=True)]
    ends = np.flatnonzero(place > 0)  # each atom but the first is bound to an earlier one
    others = first[molecule[ends]] + (rng.random(len(ends)) * place[ends]).astype(int)
    rings = np.repeat(np.arange(molecules), rng.integers(0, 4, molecules))
    members = [
        (names[a], f"r{r}") for r, m in enumerate(rings) for a in first[m] + rng.permutation(sizes[m])[: 2 + r % 3]
    ]
    return {
        "molecule": pl.DataFrame({"molecule_id": [f"d{m}" for m in range(molecules)], "weight": 12.0 * sizes}),
        "atom": pl.DataFrame(
            {"atom_id": names, "molecule_id": [f"d{m}" for m in molecule], "type": rng.choice(["c", "h", "o"], n)}
        ),
        "bond": pl.DataFrame({"atom_id": [names[i] for i in ends], "atom_id2": [names[i] for i in others]}),
        "ring": pl.DataFrame(
            {"ring_id": [f"r{r}" for r in range(len(rings))], "kind": rng.choice(["a", "b"], len(rings))}
        ),
        "member": pl.DataFrame(members, schema=["atom_id", "ring_id"], orient="row"),
    }


def test_keys_that_stay_in_the_family_do() -> None:
    real = chemistry(200, 1)
    synthesizer = vs.fit(real, model="chain", seed=3)
    new = synthesizer.sample(seed=4)
    assert keys_hold(new, synthesizer.schema_)
    home = dict(new["atom"].select("atom_id", "molecule_id").iter_rows())
    bonds = list(new["bond"].iter_rows())
    assert all(home[a] == home[b] and a != b for a, b in bonds)
    assert len({*bonds}) == len(bonds)
    rings = new["member"].group_by("ring_id").agg("atom_id")["atom_id"].to_list()
    assert np.mean([len({home[a] for a in ring}) == 1 for ring in rings]) > 0.95  # of 1 where every ring finds room
    assert not new["member"].is_duplicated().any()


def test_models_know_which_keys_stay_in_the_family(tmp_path: Path) -> None:
    synthesizer = vs.fit(chemistry(60, 2), model="independent", seed=1)
    synthesizer.save(tmp_path / "m.verosim")
    again = vs.load(tmp_path / "m.verosim").sample(seed=5)
    for name, frame in synthesizer.sample(seed=5).items():
        assert_frame_equal(frame, again[name])
