"""Documents of objects and lists become related tables, and come back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import verosim as vs
from verosim import files
from verosim.errors import ArgumentError, DataError
from verosim.files import Layout
from verosim.files.nested import Field

ORDERS = [
    {
        "id": 7,
        "to": {"city": "Ulm", "zip": None},
        "items": [{"sku": "a", "tags": ["x", "y"]}, {"sku": "b", "tags": []}],
    },
    {"id": 8, "to": {"city": "Bonn", "zip": "53111"}, "items": []},
    {"id": 9, "to": {"city": None, "zip": None}, "items": [{"sku": "a", "tags": []}]},
]


def written(documents: list[Any], folder: Path, name: str = "orders.jsonl") -> Path:
    lines = "\n".join(json.dumps(d) for d in documents) + "\n"
    text = json.dumps(documents) if name.endswith(".json") else lines
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def read_back(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_a_list_is_a_table_with_its_parents_key(tmp_path: Path) -> None:
    source = files.read(written(ORDERS, tmp_path))
    assert {name: frame.to_dict(as_series=False) for name, frame in source.dataset.items()} == {
        "orders": {
            "orders_key": [0, 1, 2], "id": [7, 8, 9], "to_city": ["Ulm", "Bonn", None], "to_zip": [None, "53111", None],
        },
        "orders_items": {
            "orders_items_key": [0, 1, 2], "orders_key": [0, 0, 2], "position": [0, 1, 0], "sku": ["a", "b", "a"],
        },
        "orders_items_tags": {"orders_items_key": [0, 0], "position": [0, 1], "value": ["x", "y"]},
    }  # fmt: skip


@pytest.mark.parametrize("name", ["orders.jsonl", "orders.json", "orders.jsonl.gz"])
def test_documents_come_back(tmp_path: Path, name: str) -> None:
    source = files.read(written(ORDERS, tmp_path, name.removesuffix(".gz")))
    layout = Layout.from_dict(json.loads(json.dumps(source.layout.to_dict())))  # as in a model file
    files.write(source.dataset, tmp_path / f"new.{name}", layout)
    back = files.read(tmp_path / f"new.{name}", table="orders")
    assert {t: f.to_dicts() for t, f in back.dataset.items()} == {t: f.to_dicts() for t, f in source.dataset.items()}
    if not name.endswith(".gz"):
        assert read_back(tmp_path / f"new.{name}") == ORDERS


values = st.integers(-5, 5), st.text(max_size=3), st.booleans(), st.floats(-5, 5)


@st.composite
def shapes(draw: st.DrawFn, depth: int = 3) -> st.SearchStrategy[Any]:
    """A strategy for values of one shape: a field is a value, an object or a list throughout; any may be missing."""
    kind = draw(st.sampled_from(["value", "object", "list"] if depth else ["value"]))
    if kind == "list":
        return st.lists(st.none() | draw(shapes(depth - 1)), max_size=3)
    if kind == "value":
        return draw(st.sampled_from(values))
    names = draw(
        st.lists(st.sampled_from(["a", "b", "a_b", "key", "is", "position", "value", ""]), unique=True, max_size=3)
    )
    return st.fixed_dictionaries({}, optional={name: st.none() | draw(shapes(depth - 1)) for name in names})


@given(st.data())
def test_no_document_is_changed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(["a", "b", "a_b", "t_key", "t"]), unique=True, min_size=1))
    fields = {name: st.none() | data.draw(shapes()) for name in names}
    documents = data.draw(st.lists(st.fixed_dictionaries({"l": st.just([])}, optional=fields), min_size=1, max_size=6))
    folder = tmp_path_factory.mktemp("t")
    source = files.read(written(documents, folder, "t.jsonl"))
    files.write(source.dataset, folder / "new.jsonl", source.layout)
    assert read_back(folder / "new.jsonl") == documents


def test_several_lists_of_documents_and_a_folder_of_files_come_back(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    both = {"orders": ORDERS, "flat": [{"a": 1}, {"a": 2}]}
    (tmp_path / "in" / "both.json").write_text(json.dumps(both))
    written([{"x": [1, 2]}, {"x": []}], tmp_path / "in", "more.jsonl")
    source = files.read(tmp_path / "in")
    files.write(source.dataset, tmp_path / "out", source.layout)
    assert json.loads((tmp_path / "out" / "both.json").read_text()) == both
    assert read_back(tmp_path / "out" / "more.jsonl") == [{"x": [1, 2]}, {"x": []}]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([{"a": {"b": 1}}, {"a": 2}], "table 'orders', column 'a', row 1: holds both object and value"),
        ([{"a": [1, {"b": 2}]}], "table 'orders_a', row 1: holds both object and value"),
        ([{"a": [1, "x"]}], "table 'orders_a', column 'value', row 1: holds both number and text"),
        ([{"a": [1]}, 5], "row 1: an object was wanted, not '5'"),
    ],
)
def test_what_has_no_shape_is_named(tmp_path: Path, documents: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        files.read(written(documents, tmp_path))


def test_documents_need_all_their_tables(tmp_path: Path) -> None:
    source = files.read(written(ORDERS, tmp_path))
    with pytest.raises(DataError, match="'orders_items_tags': is not there"):
        files.write({t: source.dataset[t] for t in ("orders", "orders_items")}, tmp_path / "new.jsonl", source.layout)
    with pytest.raises(ArgumentError, match="shape of nested JSON is damaged"):
        Field.from_dict({"kind": "list", "colour": "red"})


def test_the_tables_may_go_elsewhere(tmp_path: Path) -> None:
    source = files.read(written(ORDERS, tmp_path))
    files.write(source.dataset, tmp_path / "tables", source.layout)
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == [
        "orders.jsonl", "orders_items.jsonl", "orders_items_tags.jsonl",
    ]  # fmt: skip


def test_keys_of_documents_are_known(tmp_path: Path) -> None:
    found = vs.inspect(written(ORDERS * 30, tmp_path))
    assert found["orders"].primary_key == ("orders_key",)
    assert found["orders_items"].primary_key == ("orders_items_key",)
    assert found["orders_items_tags"].primary_key == ("orders_items_key", "position")


def test_documents_go_into_a_database(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `sql` is not installed")
    from verosim import databases

    source = files.read(written(ORDERS, tmp_path))
    databases.write(source.dataset, tmp_path / "orders.db", source.layout.structure)
    tables = databases.read(tmp_path / "orders.db").layout.structure["tables"]
    assert [[key["parent"] for key in table["foreign_keys"]] for table in tables] == [[], ["orders"], ["orders_items"]]


def test_flat_files_are_read_as_ever(tmp_path: Path) -> None:
    source = files.read(written([{"a": 1}, {"a": None}, {}], tmp_path))
    assert source.dataset["orders"].rows() == [(1,), (None,), (None,)]
    assert source.layout.nested == {}
    assert isinstance(source.dataset["orders"], pl.DataFrame)
