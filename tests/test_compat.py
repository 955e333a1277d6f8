"""Other systems' doors: SDV's metadata and constraint files, and Gretel's calls for related tables."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim import run
from verosim.compat.constraints import constraints_of, with_constraints
from verosim.compat.gretel import MultiTable, RelationalData
from verosim.compat.sdv import FAKED, Metadata
from verosim.evaluation import relations
from verosim.providers import PROVIDERS

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data" / "relational"


def users(n: int = 60) -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(1)
    return {
        "users": pl.DataFrame(
            {
                "user_id": [f"U_{i:06}" for i in range(n)],
                "email": [f"person{i}@example.org" for i in range(n)],
                "age": rng.integers(18, 90, n),
                "joined": [f"2020-01-{1 + i % 28:02}" for i in range(n)],
                "tier": rng.choice(["gold", "bronze", "silver"], n),
                "active": rng.random(n) < 0.5,
                "code": rng.integers(1, 4, n),
            }
        ),
        "sessions": pl.DataFrame(
            {
                "session_id": np.arange(2 * n),
                "user_id": [f"U_{i % n:06}" for i in range(2 * n)],
                "clicks": np.arange(2 * n) % 7,
            }
        ),
    }


V1: dict[str, Any] = {
    "METADATA_SPEC_VERSION": "V1",
    "tables": {
        "users": {
            "primary_key": "user_id",
            "alternate_keys": ["email"],
            "columns": {
                "user_id": {"sdtype": "id", "regex_format": "U_[0-9]{6}"},
                "email": {"sdtype": "email", "pii": True},
                "age": {"sdtype": "numerical", "computer_representation": "Int64"},
                "joined": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
                "tier": {"sdtype": "categorical", "order": ["bronze", "silver", "gold"]},
                "active": {"sdtype": "boolean"},
                "code": {"sdtype": "categorical", "order_by": "numerical_value"},
            },
        },
        "sessions": {
            "primary_key": "session_id",
            "sequence_key": "user_id",
            "columns": {
                "session_id": {"sdtype": "id"},
                "user_id": {"sdtype": "id"},
                "clicks": {"sdtype": "numerical", "computer_representation": "Int64"},
            },
        },
    },
    "relationships": [
        {
            "parent_table_name": "users",
            "child_table_name": "sessions",
            "parent_primary_key": "user_id",
            "child_foreign_key": "user_id",
        }
    ],
}


# ------------------------------------------------------------------------------------------------- SDV metadata


def test_metadata_say_what_columns_and_keys_are() -> None:
    schema = Metadata.from_dict(V1).schema(users())
    table = schema["users"]
    kinds = {c.name: c.kind for c in table.columns}
    assert kinds == {
        "user_id": "id", "email": "personal", "age": "number", "joined": "date", "tier": "ordinal", "active": "boolean",
        "code": "ordinal",
    }  # fmt: skip
    assert table["user_id"].pattern == "U_[0-9]{6}"
    assert table["email"].unique
    assert table["tier"].levels == ("bronze", "silver", "gold")
    assert table["code"].levels == (1, 2, 3)
    assert table.primary_key == ("user_id",)
    assert [str(key) for key in schema["sessions"].foreign_keys] == ["user_id -> users(user_id)"]


def test_what_is_read_is_written_again() -> None:
    metadata = Metadata.from_dict(V1)
    again = Metadata.of(metadata.schema(users()), like=metadata).to_dict()
    assert again == V1
    assert Metadata.from_dict(again).schema(users()) == metadata.schema(users())


def test_older_forms_are_read() -> None:
    dataset = users()
    many = Metadata.from_dict(V1 | {"METADATA_SPEC_VERSION": "MULTI_TABLE_V1"})
    assert many.schema(dataset) == Metadata.from_dict(V1).schema(dataset)
    alone = Metadata.from_dict({"METADATA_SPEC_VERSION": "SINGLE_TABLE_V1", **V1["tables"]["users"]})
    named_otherwise = alone.schema({"people": dataset["users"]})
    assert named_otherwise["people"].columns == many.schema(dataset)["users"].columns


def test_unknown_attributes_are_kept_and_named() -> None:
    table = {**V1["tables"]["users"], "owner": "me"}
    table["columns"] = {**table["columns"], "age": {"sdtype": "numerical", "range_min": 0}}
    metadata = Metadata.from_dict({**V1, "team": "x", "tables": {**V1["tables"], "users": table}})
    assert metadata.notes == (
        "metadata: attributes that are not known are kept and not used: team, owner, range_min",
        "metadata: sequence_key are kept and not used",
    )
    again = Metadata.of(metadata.schema(users()), like=metadata).to_dict()
    assert again["team"] == "x"
    assert again["tables"]["users"]["owner"] == "me"
    assert again["tables"]["users"]["columns"]["age"]["range_min"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"METADATA_SPEC_VERSION": "V9"}, "METADATA_SPEC_VERSION 'V9'"),
        ({"tables": 3}, "`tables`: an object was wanted"),
        ({"tables": {"users": {"columns": {"a": {}}}}}, "table 'users', column 'a': `sdtype` is missing"),
        ({"relationships": [{"parent_table_name": "user"}]}, "did you mean 'users'"),
        ({"relationships": [{**V1["relationships"][0], "child_foreign_key": "uid"}]}, "no column 'uid'"),
    ],
)
def test_wrong_metadata_are_refused_with_the_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(vs.SchemaError, match=said):
        Metadata.from_dict({**V1, **change})


def test_metadata_of_other_data_are_refused() -> None:
    dataset = users()
    with pytest.raises(vs.SchemaError, match="a column 'clicks' that is not in the data"):
        Metadata.from_dict(V1).schema({**dataset, "sessions": dataset["sessions"].drop("clicks")})
    with pytest.raises(vs.SchemaError, match="a table 'users' that is not in the data"):
        Metadata.from_dict(V1).schema({"user": dataset["users"], "sessions": dataset["sessions"]})


def test_every_faker_name_has_a_provider_that_there_is() -> None:
    assert {*FAKED.values()} <= {*PROVIDERS}


def test_what_is_personal_is_never_learned_unless_it_is_said_to_be_plain() -> None:
    frame = {"t": pl.DataFrame({"who": ["Ann Lee", "Bo Fry"] * 20, "iban": [f"DE{i:020}" for i in range(40)]})}
    said = {"who": {"sdtype": "name"}, "iban": {"sdtype": "bban"}}
    content = {"METADATA_SPEC_VERSION": "V1", "tables": {"t": {"columns": said}}, "relationships": []}
    assert Metadata.from_dict(content).schema(frame)["t"]["who"].kind == "personal"
    said["who"]["pii"] = False  # type: ignore[assignment]
    assert Metadata.from_dict(content).schema(frame)["t"]["who"].kind == "category"


def test_metadata_beside_the_tables_are_used(tmp_path: Path) -> None:
    for name, frame in users().items():
        frame.write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "metadata.json").write_text(json.dumps(V1))
    opened = run.open_data(tmp_path)
    assert sorted(opened.dataset) == ["sessions", "users"]
    opened, schema = run.briefed(opened, None)
    assert schema is not None
    assert schema["users"]["tier"].kind == "ordinal"
    assert any("metadata.json: kinds and keys" in note for note in opened.notes)
    outcome = run.synth(tmp_path, tmp_path.with_name("new"), options=vs.Options(model="independent"))
    assert not sum(
        relations.broken_keys(
            {n: pl.read_csv(tmp_path.with_name("new") / f"{n}.csv") for n in schema}, outcome.synthesizer.schema_
        ).values()
    )
    assert vs.inspect(tmp_path, tmp_path / "metadata.json")["users"]["tier"].kind == "ordinal"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize(("name", "keys"), [("northwind", 11), ("chinook", 11), ("sakila", 22)])
def test_metadata_of_whole_databases(name: str, keys: int) -> None:
    opened, schema = run.briefed(run.open_data(SHARED / name), None)
    assert schema is not None
    assert sum(len(table.foreign_keys) for table in schema.values()) == keys
    assert any("n_rows" in note for note in opened.notes)


# ------------------------------------------------------------------------------------------------- SDV constraints


TRIP = pl.DataFrame(
    {
        "start": [1, 2, 3],
        "middle": [2, 3, 4],
        "end": [5, 6, 7],
        "city": ["a", "b", "a"],
        "land": ["x", "y", "x"],
        "a": [1, 0, 0],
        "b": [0, 1, 1],
    }
)


def test_constraints_become_rules_and_back(tmp_path: Path) -> None:
    content = [
        {"class_name": "Inequality", "parameters": {"low_column_name": "start", "high_column_name": "end"}},
        {
            "class_name": "Range",
            "parameters": {"low_column_name": "start", "middle_column_name": "middle", "high_column_name": "end"},
        },
        {"class_name": "FixedCombinations", "parameters": {"column_names": ["city", "land"]}},
        {"class_name": "OneHotEncoding", "parameters": {"column_names": ["a", "b"]}},
        {"class_name": "FixedIncrements", "parameters": {"column_name": "end", "increment_value": 1}},
        {"constraint_class": "Positive", "constraint_parameters": {"column_name": "start", "strict_boundaries": True}},
        {"class_name": "ScalarInequality", "parameters": {"column_name": "end", "relation": "<", "value": 10}},
        {"class_name": "Mine", "parameters": {}},
    ]  # fmt: skip
    path = tmp_path / "constraints.json"
    path.write_text(json.dumps(content))
    schema, notes = with_constraints(vs.inspect(TRIP), path)
    assert notes == ["constraint 8: Mine is not known here, and does not hold"]
    plain = vs.Schema({"table": vs.Table("table", schema["table"].columns)})
    rules = with_constraints(plain, content)[0]["table"].rules
    assert rules[:3] == (
        {"rule": "inequality", "low_column": "start", "high_column": "end"},
        {"rule": "inequality", "low_column": "start", "high_column": "middle", "strict": True},
        {"rule": "inequality", "low_column": "middle", "high_column": "end", "strict": True},
    )
    assert rules[-2:] == ('"start" > 0', '"end" < 10')
    found, left = constraints_of(with_constraints(plain, content)[0])
    assert [c["class_name"] for c in found] == ["Inequality"] * 3 + [
        "FixedCombinations",
        "OneHotEncoding",
        "FixedIncrements",
    ]
    assert found[0]["parameters"]["table_name"] == "table"
    assert len(left) == 2


def test_a_constraint_finds_its_table_by_its_columns() -> None:
    schema = vs.inspect({"trips": TRIP, "other": pl.DataFrame({"x": [1.5, 2.5], "start": [1, 2]})})
    wanted = {"low_column_name": "start", "high_column_name": "end"}
    with_it, _ = with_constraints(schema, [{"class_name": "Inequality", "parameters": wanted}])
    assert with_it["trips"].rules[-1] == {"rule": "inequality", "low_column": "start", "high_column": "end"}
    with pytest.raises(vs.SchemaError, match="constraint 1: say with `table_name`"):
        with_constraints(schema, [{"class_name": "Positive", "parameters": {"column_name": "start"}}])
    with pytest.raises(vs.SchemaError, match="the parameter 'low_column_name' is missing"):
        with_constraints(schema, [{"class_name": "Inequality", "parameters": {"high_column_name": "end"}}])


# ------------------------------------------------------------------------------------------------- Gretel


def test_the_guide_runs_with_its_import_line_changed() -> None:
    names = runpy.run_path(str(ROOT / "examples" / "clinic" / "clinic.py"))
    real, new = names["clinic"](), names["main"]()
    assert {name: frame.height for name, frame in new.items()} == dict.fromkeys(real, 5000)
    assert {name: frame.schema for name, frame in new.items()} == {name: frame.schema for name, frame in real.items()}
    for child in ("lab_results", "treatments"):
        assert new[child]["patient_id"].is_in(new["patients"]["patient_id"].implode()).all()
    joined = new["lab_results"].filter(pl.col("test") == "glucose").join(new["patients"], on="patient_id")
    means = dict(joined.group_by("diabetic").agg(pl.col("value").mean()).rows())
    assert means[True] - means[False] == pytest.approx(55, abs=8)


def family() -> RelationalData:
    data = RelationalData()
    data.add_table(name="a.people", primary_key="id", data=pl.DataFrame({"id": range(30), "x": [1.5, 2.5, 3.5] * 10}))
    data.add_table(
        name="visits", primary_key=None, data=pl.DataFrame({"who": [i % 30 for i in range(60)], "n": [1, 2, 3] * 20})
    )
    data.add_foreign_key(foreign_key="visits.who", referencing="a.people.id")
    return data


def test_names_may_hold_dots_and_keys_are_listed() -> None:
    data = family()
    assert data.get_foreign_keys("visits") == [
        {"table_name": "visits", "columns": ["who"], "parent_table_name": "a.people", "parent_columns": ["id"]}
    ]
    assert data.list_tables_parents_before_children() == ["a.people", "visits"]
    assert data.get_ancestors("visits") == data.get_parents("visits") == ["a.people"]
    assert data.get_descendants("a.people") == ["visits"]
    assert data.get_all_key_columns("visits") == ["who"]
    assert data.debug_summary()["foreign_key_count"] == 1
    data.remove_foreign_key("visits.who")
    assert data.get_parents("visits") == []


def test_both_names_of_a_project_are_taken_and_models_too() -> None:
    tables = MultiTable(family(), project_name="demo", gretel_model="Amplify", strategy="ancestral")
    assert tables.project_display_name == "demo"
    with pytest.raises(vs.ArgumentError, match=r"call train\(\) first"):
        tables.generate()
    tables.train()
    given = tables.generate(record_size_ratio=2.0)
    assert given is tables.synthetic_output_tables
    assert {name: frame.height for name, frame in given.items()} == {"a.people": 60, "visits": 120}


def test_tables_are_preserved_and_named_by_the_others() -> None:
    data = family()
    tables = MultiTable(data)
    tables.train()
    drawn = tables.generate(preserve_tables=["a.people"])
    assert drawn["a.people"].equals(data.get_table_data("a.people"))
    assert drawn["visits"]["who"].is_in(drawn["a.people"]["id"].implode()).all()


def test_a_folder_holds_tables_and_keys(tmp_path: Path) -> None:
    path = family().to_filesystem(tmp_path / "kept")
    assert json.loads(Path(path).read_text())["foreign_keys"] == [["visits.who", "a.people.id"]]
    again = RelationalData.from_filesystem(path)
    assert again.get_parents("visits") == ["a.people"]
    assert again.get_table_data("visits").equals(family().get_table_data("visits"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda d: d.add_foreign_key(foreign_key="visits.whom", referencing="a.people.id"), "did you mean 'who'"),
        (lambda d: d.add_foreign_key(foreign_key="visit.who", referencing="a.people.id"), "did you mean 'visits'"),
        (lambda d: d.add_table(name="t", primary_key="k", data=pl.DataFrame({"key": [1]})), "there are 'key'"),
        (lambda d: d.get_parents("people"), "no table 'people'"),
        (lambda d: MultiTable(d, gretel_model="amplfy").train(), "there is no model 'amplfy'"),
        (lambda d: MultiTable(d, strategy="alone"), "strategy 'alone'"),
        (lambda d: MultiTable(RelationalData()).train(), "call add_table first"),
        (lambda d: MultiTable(d).train_synthetics(only=["visits"]), "learned together"),
    ],
)  # fmt: skip
def test_wrong_calls_are_told(call: Any, said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        call(family())
