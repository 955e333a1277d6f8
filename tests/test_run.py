"""The path from Python: `fit`, `synth`, `inspect`, `load`, and what they leave behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import verosim as vs
from verosim.targets import beside, default_output

FRAME = pl.DataFrame({"x": [i % 9 for i in range(120)], "y": ["a", "b", "c"] * 40, "day": ["2024-01-05"] * 120})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    FRAME.write_csv(tmp_path / "t.csv")
    return tmp_path


def test_a_path_is_data(home: Path) -> None:
    """The same rows from a path and from what is in it, but for what a CSV cannot say."""
    rows = vs.fit("t.csv", seed=2, model="independent").sample(50)
    assert_frame_equal(vs.fit(home / "t.csv", seed=2, model="independent").sample(50), rows)
    assert rows.schema == {"x": pl.Int64, "y": pl.String, "day": pl.Date}


def test_the_callers_data_stay_as_they_are() -> None:
    frame = pd.DataFrame({"x": [3, 1, 2] * 20, "c": pd.Categorical(["a", "b", "rare?"] * 20)}, index=range(60, 0, -1))
    before = frame.copy(deep=True)
    vs.fit(frame, seed=1)
    pd.testing.assert_frame_equal(frame, before)


def test_synth_says_what_it_did(home: Path) -> None:
    heard: list[float] = []
    done = vs.synth(
        "t.csv", "out.parquet", scale=0.5, seed=3, report="t.json", progress=lambda share, what: heard.append(share)
    )
    assert (done.rows, done.out, done.report_path) == ({"t": 60}, "out.parquet", "t.json")
    assert heard == sorted(heard)
    assert 0 <= heard[0] <= heard[-1] <= 1.0
    report = json.loads(Path("t.json").read_text())
    assert report == done.report.to_dict()
    assert list(done.report.notes) == report["notes"]
    assert_frame_equal(pl.read_parquet("out.parquet"), done.synthesizer.sample(60))


@pytest.mark.parametrize("workers", [1, 3])
def test_synth_writes_the_rows_of_sample(home: Path, workers: int) -> None:
    done = vs.synth("t.csv", "out.parquet", rows=20_000, seed=3, workers=workers)
    assert_frame_equal(pl.read_parquet("out.parquet"), done.synthesizer.sample(20_000))


@pytest.mark.parametrize(
    "how",
    [
        {"out": "t.csv"},
        {"out": "missing/x.csv"},
        {"out": "x.unknown"},
        {"rows": 5, "scale": 2},
        {"rows": -5},
        {"scale": float("nan")},
        {"schema": "none.yaml"},
        {"report": "t.csv"},
        {"report": "missing/r.json"},
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(home: Path, how: dict[str, Any]) -> None:
    heard: list[str] = []
    with pytest.raises(vs.VerosimError):
        vs.synth("t.csv", **how, progress=lambda share, what: heard.append(what))
    assert [p.name for p in home.iterdir()] == ["t.csv"]
    assert [what for what in heard if what != "looking at the columns"] == []


def test_a_schema_is_a_value_or_a_path(home: Path) -> None:
    schema = vs.inspect("t.csv")
    schema.save("t.yaml")
    assert vs.Schema.load("t.yaml") == schema
    one, two = (vs.fit("t.csv", s, seed=1).sample(20) for s in (schema, "t.yaml"))
    assert_frame_equal(one, two)
    with pytest.raises(vs.FileError):
        schema.save(home / "missing" / "t.yaml")
    with pytest.raises(vs.FileError):
        schema.save(home)


def test_rules_are_learned_only_where_no_schema_says_them() -> None:
    frame = FRAME.with_columns(z=pl.col("x") * 2, w=pl.col("x") * 3)
    frame = frame.with_columns(total=pl.col("z") + pl.col("w"))
    found = vs.inspect(frame)["table"]
    assert found.rules
    none = vs.Schema({"table": replace(found, rules=())})
    assert vs.inspect(frame, none)["table"].rules == ()


def test_load_is_the_inverse_of_save(home: Path) -> None:
    synthesizer = vs.fit("t.csv", seed=1)
    synthesizer.save("t.verosim")
    assert_frame_equal(vs.load("t.verosim").sample(30), synthesizer.sample(30))
    assert default_output(vs.load("t.verosim").layout, "deep/t.verosim") == Path("deep/t.synthetic.csv")
    assert default_output(vs.fit(FRAME, seed=1).layout, "t.verosim") == Path("t.synthetic.parquet")


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("a/adult.csv", "a/adult.synthetic.csv"),
        ("adult.csv.gz", "adult.synthetic.csv.gz"),
        ("my.data.v2.jsonl.zst", "my.data.v2.synthetic.jsonl.zst"),
        ("ADULT.CSV", "ADULT.synthetic.CSV"),
        (".csv", ".csv.synthetic"),
        ("csv", "csv.synthetic"),
    ],
)
def test_names_of_outputs(source: str, out: str) -> None:
    assert beside(source, "synthetic") == Path(out)
    assert beside(source, "report", ".json").suffix == ".json"
    with pytest.raises(vs.ArgumentError, match="--out"):
        beside("-", "synthetic")
