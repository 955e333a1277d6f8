"""Judging data of any tool: what is comparable is compared, and what is not is named."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import verosim as vs
from verosim.cli import main


def people(n: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    return pl.DataFrame(
        {
            "age": age,
            "income": np.round(age * 10 + rng.normal(0, 50, n), 2),
            "city": rng.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.5, 0.3, 0.2]),
            "member": rng.random(n) < 0.4,
            "since": [dt.date(2020, 1, 1) + dt.timedelta(int(d)) for d in rng.integers(0, 900, n)],
        }
    )


REAL, UNSEEN, NEW = people(600, 1), people(300, 2), people(600, 3)


def test_real_rows_against_real_rows_are_within_noise() -> None:
    found = vs.evaluate(REAL, NEW, UNSEEN)
    assert isinstance(found, vs.Report)
    for name in ("shape", "trend", "auc_unseen", "dcr", "copies"):
        assert found[name].grade == "noise"


def test_files_and_frames_of_any_library_give_the_same(tmp_path: Path) -> None:
    REAL.write_csv(tmp_path / "real.csv")
    NEW.write_parquet(tmp_path / "made.by.some.tool.parquet")
    by_file = vs.evaluate(tmp_path / "real.csv", tmp_path / "made.by.some.tool.parquet", UNSEEN.to_pandas())
    in_memory = vs.evaluate(REAL.to_arrow(), pd.DataFrame(NEW.to_dict(as_series=False)), UNSEEN)
    for name in ("shape", "trend", "copies"):
        assert by_file[name].value == in_memory[name].value


@pytest.mark.parametrize(
    "changed",
    [
        NEW.with_columns(pl.col("age").cast(pl.Float64)),
        NEW.with_columns(pl.all().cast(pl.String)),
        NEW.with_columns(pl.col("city").cast(pl.Categorical), pl.col("since").cast(pl.Datetime("ms"))),
        NEW.select("since", "member", "city", "income", "age"),
    ],
    ids=["whole floats", "all text", "categories and times", "another order"],
)
def test_the_same_values_in_other_types_give_the_same(changed: pl.DataFrame) -> None:
    assert vs.evaluate(REAL, changed, UNSEEN).to_dict()["tables"] == vs.evaluate(REAL, NEW, UNSEEN).to_dict()["tables"]


def test_numbers_of_another_type_are_compared_as_they_are() -> None:
    found = vs.evaluate(REAL, NEW.with_columns(age=pl.col("age") + 0.5), UNSEEN)
    assert found["shape"].value is not None
    assert "column" in found["auc_unseen"].verdict or found["auc_unseen"].verdict


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (NEW.drop("age"), "table 'table': the synthetic data lack 'age'."),
        (NEW.rename({"age": "Age"}), "lack 'age'; they have 'Age', which the real data lack."),
        (NEW.with_columns(since=pl.lit("soon")), "column 'since': Date in the real data, but String in the synthetic"),
        (NEW.with_columns(age=pl.lit("old")), "such as 'old'; write both in one way."),
        ({"a": NEW, "b": NEW}, "the synthetic data"),
    ],
    ids=["a column lacks", "another name", "no dates", "no numbers", "two tables"],
)
def test_what_differs_is_named(new: Any, said: str) -> None:
    with pytest.raises(vs.DataError) as error:
        vs.evaluate(REAL, new, UNSEEN)
    assert said in str(error.value)


def test_more_columns_are_left_out_and_said() -> None:
    found = vs.evaluate(REAL, NEW.with_columns(score=1), UNSEEN)
    assert found.notes == ("the synthetic data have more columns, which are left out: score",)


def test_without_a_hold_out_it_is_said_what_cannot_be_had() -> None:
    found = vs.evaluate(REAL, NEW)
    assert found["dcr"].verdict == "not measured: no hold-out rows"
    assert any(note.startswith("no hold-out: ") for note in found.tables["table"].notes)


def test_several_tables_are_reported_each() -> None:
    found = vs.evaluate({"a": REAL, "b": REAL}, {"b": NEW, "a": NEW}, {"a": UNSEEN, "b": UNSEEN})
    assert list(found.tables) == ["a", "b"]
    assert found["a: shape"].value is not None
    with pytest.raises(vs.ArgumentError, match="say of which table: a: shape, b: shape"):
        found["shape"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"target": "incme"}, "target: no column 'incme'; did you mean 'income'?"),
        ({"keys": ["agee"]}, "keys: no column 'agee'; did you mean 'age'?"),
        ({"keys": "age"}, "keys: a list of columns was wanted, such as ['age']."),
        ({"keys": ["age"], "target": "age"}, "'age' is the target, and so cannot be among the keys."),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_questions(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(vs.ArgumentError) as error:
        vs.evaluate(REAL, NEW, **asked)
    assert said in str(error.value)


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_rows(n: int) -> None:
    for real, new, unseen in [(REAL, NEW[:n], UNSEEN), (REAL, NEW, UNSEEN[:n]), (REAL[:n], NEW, UNSEEN)]:
        json.dumps(vs.evaluate(real, new, unseen).to_dict(), allow_nan=False)
    with pytest.raises(vs.DataError, match="there are no rows"):
        vs.evaluate(REAL, NEW[:0])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, frame in (("real", REAL), ("new", NEW), ("unseen", UNSEEN)):
        frame.write_csv(tmp_path / f"{name}.csv")
    real, new, unseen, report = (str(tmp_path / name) for name in ("real.csv", "new.csv", "unseen.csv", "r.json"))
    with pytest.raises(SystemExit) as done:
        main(["evaluate", real, new, "--holdout", unseen, "--report", report, "--json"])
    assert done.value.code == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path(report).read_text(encoding="utf-8"))
    with pytest.raises(SystemExit) as done:
        main(["evaluate", real, new, "--report", real])
    assert done.value.code == 2
    assert "this is an input" in capsys.readouterr().err
