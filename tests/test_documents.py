"""JSON in cells: learned by its parts, written as JSON of the same shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verosim as vs
from verosim.draws import stream


def orders(n: int = 400) -> list[dict[str, Any] | None]:
    """Orders of two kinds: red ones are large; some have no address, and none comes without lines but the missing."""
    rng = stream(5, "orders")
    out: list[dict[str, Any] | None] = []
    for i in range(n):
        red = bool(rng.random() < 0.5)
        lines = [{"sku": "ABC"[rng.integers(3)], "n": int(rng.integers(1, 9))} for _ in range(rng.integers(0, 4))]
        to = {"town": ("Ulm", "Bonn")[rng.integers(2)], "fast": bool(rng.random() < 0.3)}
        one = {"color": "red" if red else "blue", "size": int(rng.integers(0, 50)) + 50 * red, "lines": lines}
        out.append(None if i % 20 == 0 else one | ({} if i % 5 == 0 else {"to": to}))
    return out


def framed(documents: list[Any]) -> pl.DataFrame:
    texts = [None if d is None else json.dumps(d) for d in documents]
    return pl.DataFrame({"id": range(len(texts)), "noted": texts})


@pytest.fixture(scope="module")
def drawn() -> tuple[list[Any], list[Any]]:
    real = orders()
    new = vs.fit(framed(real), model="chain").sample(2_000, seed=2)["noted"].to_list()
    return real, [None if text is None else json.loads(text) for text in new]


def share(documents: list[Any], holds: Any) -> float:
    known = [d for d in documents if d is not None]
    return sum(map(holds, known)) / len(known)


def test_documents_are_found() -> None:
    column = vs.inspect(framed(orders()))["table"]["noted"]
    assert (column.kind, column.reason) == ("json", "JSON in all 380 values, of 6 parts")


def test_documents_keep_their_parts_and_what_ties_them(drawn: tuple[list[Any], list[Any]]) -> None:
    real, new = drawn
    truths = {
        "missing address": lambda d: "to" not in d,
        "red": lambda d: d["color"] == "red",
        "no lines": lambda d: not d["lines"],
        "Ulm": lambda d: d.get("to", {}).get("town") == "Ulm",
    }
    for name, holds in truths.items():  # the error of a share of 380 learned rows, and of what is drawn, is below .026
        assert abs(share(new, holds) - share(real, holds)) < 4 * 0.028, name
    assert abs(sum(d is None for d in new) / len(new) - 0.05) < 4 * 0.012
    assert all((d["size"] >= 45) == (d["color"] == "red") for d in new if d and not 40 <= d["size"] < 60)
    skus = [line["sku"] for d in new if d for line in d["lines"]]
    assert {*skus} == {*"ABC"}
    assert all(type(line["n"]) is int and 1 <= line["n"] <= 8 for d in new if d for line in d["lines"])
    assert all([*d] == [k for k in ("color", "size", "lines", "to") if k in d] for d in new if d)


def test_a_list_at_the_top_and_a_model_file(tmp_path: Path) -> None:
    frame = framed([["a", "b"][: i % 3] for i in range(200)])
    synthesizer = vs.fit(frame, model="chain")
    synthesizer.save(tmp_path / "lists.verosim")
    new = vs.load(tmp_path / "lists.verosim").sample(seed=4)
    assert new.equals(synthesizer.sample(seed=4))
    assert {len(json.loads(text)) for text in new["noted"]} == {0, 1, 2}


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={
            "n": st.one_of(st.none(), st.integers(0, 3)), "s": st.sampled_from(["x", 'a "quote" \\ and \n ü', None]),
            "o": st.fixed_dictionaries({}, optional={"b": st.booleans(), "l": st.lists(st.lists(st.integers(0, 1)))}),
        }),
        min_size=3, max_size=40,
    )
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_what_comes_out_is_json_of_the_same_shape(documents: list[dict[str, Any]]) -> None:
    schema = vs.Schema({"table": vs.Table("table", (vs.Column("noted", "json", "str"),))})
    new = vs.fit(framed(documents).select("noted"), schema, model="independent").sample(30, seed=1)["noted"]
    for text in new.to_list():
        document = json.loads(text)
        assert {*document} <= {key for d in documents for key in d}
        assert isinstance(document.get("n", 0), int | None)
        inner = document.get("o", {})
        assert all(isinstance(part, list) for part in inner.get("l", []))


@pytest.mark.parametrize(
    "cells",
    [
        ['{"a": 1}', '{"a": "x"}'],  # of two kinds
        ['{"a": 1}', '{"a": [1]}'],
        ['{"a": 1}', "{a: 1}"],  # no JSON
        [f'{{"key {i}": 1}}' for i in range(300)],  # keys that are values
        ["[note]", "[other]"],
    ],
)
def test_what_is_no_document_stays_text(cells: list[str]) -> None:
    assert vs.inspect({"t": pl.DataFrame({"noted": cells * 20})})["t"]["noted"].kind != "json"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("{a: 1}", "not valid JSON"),
        ('{"a": "x"}', "holds both"),
        ('{"a": NaN}', "is not JSON"),
        ("[" * 100_000, "JSON"),
        (json.dumps({"a": [1] * 10_001}), "holds both|more than 10,000 items"),
    ],
)
def test_a_bad_document_is_named(cell: str, said: str) -> None:
    frame = pl.DataFrame({"noted": ['{"a": 1}'] * 30 + [cell]})
    schema = vs.Schema({"table": vs.Table("table", (vs.Column("noted", "json", "str"),))})
    with pytest.raises(vs.DataError, match=said):
        vs.fit(frame, schema, model="independent", holdout=0)
