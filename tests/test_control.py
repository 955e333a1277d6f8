"""Control over what is drawn, through the public door: conditions, balance, edges, completing, imputing, parity."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import verosim as vs
from verosim.draws import BLOCK
from verosim.table_model import Given, TableModel


def people(n: int = 1500, seed: int = 0) -> pl.DataFrame:
    """A rare class (2 %) of high `score`; `end` is never before `start`; `pension` only from 60 on; some gaps."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    fraud = rng.random(n) < 0.02
    sex = rng.choice(["f", "m"], n)
    start = rng.integers(0, 1000, n)
    day = dt.date(2020, 1, 1)
    return pl.DataFrame(
        {
            "id": [f"P-{i:06d}" for i in range(n)],
            "age": age,
            "sex": sex,
            "region": rng.choice(["north", "south", "east"], n, p=[0.6, 0.3, 0.1]),
            "score": np.round(rng.normal(np.where(fraud, 6, 0), 1), 3),
            "fraud": np.where(fraud, "yes", "no"),
            "hired": rng.random(n) < np.where(sex == "f", 0.2, 0.6),
            "start": [day + dt.timedelta(days=int(d)) for d in start],
            "end": [day + dt.timedelta(days=int(d)) for d in start + rng.integers(0, 60, n)],
            "pension": [float(rng.integers(10, 30)) if a >= 60 else None for a in age],
            "size": [None if rng.random() < 0.2 else round(float(a) / 2 + rng.normal(), 1) for a in age],
        }
    )


@pytest.fixture(scope="module")
def learned() -> vs.Synthesizer:
    return vs.fit(people(), seed=3, model="chain")


# ------------------------------------------------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"fraud": "yes"}, pl.col("fraud") == "yes"),
        ({"age": (60, 70)}, pl.col("age").is_between(60, 70)),
        ({"age": (None, 30), "sex": "f"}, (pl.col("age") <= 30) & (pl.col("sex") == "f")),
        ({"region": ["south", "east"]}, pl.col("region").is_in(["south", "east"])),
        ({"size": None}, pl.col("size").is_null()),
        ({"size": [None, 20.0]}, pl.col("size").is_null() | (pl.col("size") == 20.0)),
        ({"pension": (None, None)}, pl.col("pension").is_not_null()),
        ({"hired": True}, pl.col("hired")),
        (
            {"start": ("2021-06-01", "2021-12-31")},
            pl.col("start").is_between(dt.date(2021, 6, 1), dt.date(2021, 12, 31)),
        ),
        ({"start": (dt.date(2022, 1, 1), None)}, pl.col("start") >= dt.date(2022, 1, 1)),
        ("fraud = 'yes' or age > 85", (pl.col("fraud") == "yes") | (pl.col("age") > 85)),
    ],
)
def test_every_row_meets_the_condition(learned: vs.Synthesizer, where: Any, holds: pl.Expr) -> None:
    new = learned.sample(300, where=where)
    assert new.height == 300
    assert new.select(holds.all()).item()
    assert (new["start"] <= new["end"]).all()
    assert new["id"].is_unique().all()


def test_what_goes_with_the_condition_goes_with_it_still(learned: vs.Synthesizer) -> None:
    new = learned.sample(2000, where={"fraud": "yes"})
    assert 5.3 < new["score"].mean() < 6.7  # 6 in the real rows, 0 in the others
    assert abs((new["sex"] == "f").mean() - 0.5) < 0.15  # which has nothing to do with it


def test_fewer_rows_with_a_condition_are_the_head_of_more(learned: vs.Synthesizer) -> None:
    for where in ({"fraud": "yes"}, {"sex": "f"}):
        most = learned.sample(BLOCK + 500, where=where, seed=5)
        for rows in (0, 1, 100, BLOCK + 1):
            assert_frame_equal(learned.sample(rows, where=where, seed=5), most.head(rows))


def test_the_same_rows_from_a_saved_model(learned: vs.Synthesizer, tmp_path: Any) -> None:
    learned.save(tmp_path / "people.verosim")
    again = vs.load(tmp_path / "people.verosim")
    for asked in ({"where": {"fraud": "yes"}}, {"temperature": 0.5}):
        assert_frame_equal(again.sample(50, **asked), learned.sample(50, **asked))
    assert not learned.sample(50, where={"fraud": "yes"}, seed=9).equals(learned.sample(50, where={"fraud": "yes"}))


@pytest.mark.parametrize("engine", ["copula", "independent"])
def test_any_engine_can_be_asked(engine: str) -> None:
    synthesizer = vs.fit(people(400), seed=1, model=engine)
    assert (synthesizer.sample(50, where={"region": "east", "sex": "f"})["region"] == "east").all()


def test_a_date_written_as_text_is_compared_as_a_date() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i % 300) for i in range(400)]
    frame = pl.DataFrame({"day": [f"{d:%d/%m/%Y}" for d in days], "x": [d.month for d in days]})
    new = vs.fit(frame, seed=1, model="chain").sample(100, where={"day": ("2024-03-01", "2024-03-31")})
    assert new["day"].str.ends_with("/03/2024").all()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"agee": 30}, "did you mean 'age'"),
        ({"fraud": "ye"}, "did you mean 'yes'"),
        ({"region": ["north", "sout"]}, "did you mean 'south'"),
        ({"age": (70, 60)}, "70 is above 60"),
        ({"age": (200, 300)}, "run from"),
        ({"age": (1, 2, 3)}, "pair"),
        ({"age": []}, "empty list"),
        ({"age": "old"}, "no place"),
        ({"sex": ("f", "m")}, "a range needs numbers or times"),
        ({"start": ("yesterday", None)}, "yesterday"),
        ({"id": "P-000001"}, "never learned"),
        ({}, "mapping"),
        (7, "mapping"),
        ("age >", "where"),
        ("age + 1", "no condition"),
        ("agee > 3", "did you mean 'age'"),
    ],
)
def test_a_condition_that_cannot_be_is_refused(learned: vs.Synthesizer, where: Any, said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        learned.sample(10, where=where)


def test_an_impossible_condition_says_how_rare_it_is(learned: vs.Synthesizer) -> None:
    with pytest.raises(vs.RuleError, match="fewer than 1 in 65,536"):
        learned.sample(10, where="age < 30 and age > 40")


def test_a_range_that_the_schema_does_not_allow_is_refused() -> None:
    frame = people(200)
    schema = vs.inspect(frame)
    table = schema["table"]
    rule = {"rule": "range", "column": "age", "low": 18, "high": 90}
    schema = schema.with_table(vs.Table("table", table.columns, rules=(rule,)))
    with pytest.raises(vs.ArgumentError, match="allows from 18 to 90"):
        vs.fit(frame, schema, model="independent").sample(10, where={"age": (91, 95)})


def test_conditions_of_several_tables_name_one() -> None:
    synthesizer = vs.fit({"a": people(100), "b": people(100)}, seed=1, model="independent")
    assert (synthesizer.sample({"a": 20}, where={"sex": "f"})["a"]["sex"] == "f").all()
    with pytest.raises(vs.ArgumentError, match="of one table: name it"):
        synthesizer.sample(scale=1, where={"sex": "f"})


# -------------------------------------------------------------------------------------------- balance and edges


def test_levels_come_equally_often(learned: vs.Synthesizer) -> None:
    for rows in (1000, 1001):
        counts = learned.sample(rows, balance="fraud")["fraud"].value_counts()["count"]
        assert counts.max() - counts.min() <= 1


def test_levels_come_in_the_shares_asked_and_others_as_they_were(learned: vs.Synthesizer) -> None:
    new = learned.sample(1000, balance={"region": {"east": 0.4}})["region"]
    share = {row["region"]: row["count"] / 1000 for row in new.value_counts().to_dicts()}
    assert share["east"] == 0.4
    assert abs(share["north"] / share["south"] - 2) < 0.4


def test_a_condition_and_a_balance_hold_together(learned: vs.Synthesizer) -> None:
    new = learned.sample(400, where={"age": (60, None)}, balance={"region": None, "sex": None})
    assert new["age"].min() >= 60
    counts = new.group_by("region", "sex").len()["len"]
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("balance", "said"),
    [
        ("fraude", "did you mean 'fraud'"),
        ("score", "more than 64"),
        ({"fraud": {"yess": 0.5}}, "did you mean 'yes'"),
        ({"fraud": {"yes": 1.5}}, "from 0 to 1"),
        ({"fraud": {"yes": 0.5, "no": 0.1}}, "sum to 1"),
        ({"fraud": 0.5}, "level: share"),
        ({}, "a column"),
    ],
)
def test_a_balance_that_cannot_be_is_refused(learned: vs.Synthesizer, balance: Any, said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        learned.sample(10, balance=balance)


def test_edge_cases_come_in_their_share(learned: vs.Synthesizer) -> None:
    real = people()

    def borders(frame: pl.DataFrame) -> float:
        low, high = (real["score"].quantile(q) for q in (0.01, 0.99))
        return float(((frame["score"] < low) | (frame["score"] > high)).mean())  # type: ignore[arg-type]

    assert borders(learned.sample(1000, edges=1.0)) > 3 * borders(learned.sample(1000))
    with pytest.raises(vs.ArgumentError, match="edges"):
        learned.sample(10, edges=1.2)


# -------------------------------------------------------------------------------------------- complete, impute


def test_completed_rows_keep_what_is_given(learned: vs.Synthesizer) -> None:
    given = people(300, seed=8).select("region", "fraud", "end", "size", "id")
    full = learned.complete(given)
    assert full.columns == people(1).columns
    assert_frame_equal(full.select(given.columns), given)
    assert (full["start"] <= full["end"]).all()
    assert_frame_equal(learned.complete(given), full)
    mean = full.group_by("fraud").agg(pl.col("score").mean()).sort("fraud")["score"]
    assert mean[0] < 1 < 4 < mean[1]


def test_a_pandas_frame_is_completed_as_one() -> None:
    frame = people(300).to_pandas().astype({"region": "category"})
    synthesizer = vs.fit(frame, seed=1, model="independent")
    given = frame[["region", "size"]].head(40)
    full = synthesizer.complete(given)
    assert isinstance(full, pd.DataFrame)
    pd.testing.assert_frame_equal(full[["region", "size"]], given)
    assert full["hired"].dtype == frame["hired"].dtype


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pl.DataFrame({"agee": [30]}), "did you mean 'age'"),
        (pl.DataFrame({"age": ["old"]}), "row 0"),
        (people(5), "all columns are given"),
    ],
)
def test_what_cannot_be_completed_is_refused(learned: vs.Synthesizer, given: Any, said: str) -> None:
    with pytest.raises(vs.DataError, match=said):
        learned.complete(given)


def test_missing_cells_are_drawn_and_the_others_stay(learned: vs.Synthesizer) -> None:
    frame = people(300, seed=9).with_columns(
        pl.when(pl.int_range(300) % 4 == 0).then(None).otherwise(pl.col("fraud")).alias("fraud")
    )
    one, other = learned.impute(frame, m=2)
    for filled in (one, other):
        assert filled.drop("pension").null_count().sum_horizontal().item() == 0
        for name in frame.columns:
            there = frame[name].is_not_null()
            assert filled[name].filter(there).equals(frame[name].filter(there))
    gaps = frame["size"].is_null()
    assert not one["size"].filter(gaps).equals(other["size"].filter(gaps))
    error = (one["size"] - one["age"] / 2).filter(gaps)
    assert error.std() < 5  # 16 where the size is drawn from its own column
    assert_frame_equal(learned.impute(frame), one)


def test_a_cell_that_a_rule_says_is_empty_stays_so() -> None:
    frame = people(300).select("age", "pension")
    schema = vs.inspect(frame)
    rule = {"when": "age < 60", "then": "pension is null"}
    schema = schema.with_table(vs.Table("table", schema["table"].columns, rules=(rule,)))
    synthesizer = vs.fit(frame, schema, seed=1, model="chain")
    torn = frame.with_columns(pension=pl.when(pl.int_range(300) % 2 == 0).then(pl.col("pension")))
    filled = synthesizer.impute(torn)
    assert (filled["pension"].is_null() == (filled["age"] < 60)).all()


def test_cells_that_are_missing_together_are_both_filled() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "job": rng.choice(["public", "private"], 400),
            "title": rng.choice(["clerk", "cook"], 400),
            "age": rng.integers(18, 90, 400),
        }
    )
    none = pl.Series(rng.random(400) < 0.1)
    frame = frame.with_columns(pl.when(~none).then(pl.col("job", "title")))
    synthesizer = vs.fit(frame, seed=1, model="chain")
    assert "is null" in str(synthesizer.schema_["table"].rules)
    filled = synthesizer.impute(frame.with_columns(age=pl.when(pl.int_range(400) % 3 > 0).then(pl.col("age"))))
    assert filled.null_count().sum_horizontal().item() == 0


def test_the_default_engine_is_controlled_like_any() -> None:
    pytest.importorskip("torch")
    frame = people(1200).select("age", "region", "fraud", "size")
    both = vs.fit(frame, seed=1, settings={"epochs": 2})
    assert "network" in str(both.explain())
    new = both.sample(200, where={"region": "east", "age": (30, 50)})
    assert (new["region"] == "east").all()
    assert new["age"].is_between(30, 50).all()
    assert both.sample(200, balance="fraud")["fraud"].value_counts()["count"].to_list() == [100, 100]
    assert both.complete(frame.select("age").head(50))["age"].equals(frame["age"].head(50))
    assert both.impute(frame.head(100))["size"].null_count() == 0


def test_a_frame_that_lacks_a_column_is_not_imputed(learned: vs.Synthesizer) -> None:
    with pytest.raises(vs.DataError, match="complete"):
        learned.impute(people(5).drop("age"))


# ------------------------------------------------------------------------------------------ parity, temperature


def test_a_target_is_made_independent_of_a_group(learned: vs.Synthesizer) -> None:
    def gap(frame: pl.DataFrame) -> float:
        shares = frame.group_by("sex").agg(pl.col("hired").mean())["hired"]
        return float(shares.max() - shares.min())  # type: ignore[operator]

    before, after = learned.sample(4000), learned.sample(4000, fair={"hired": "sex"})
    assert gap(before) > 0.3
    assert gap(after) < 0.06
    assert_frame_equal(after.drop("hired"), before.drop("hired"))
    assert "hired by sex" in learned.effects[0]
    assert_frame_equal(learned.sample(10, fair={"hired": "sex"}), after.head(10))


@pytest.mark.parametrize(
    ("fair", "said"),
    [
        ({"hired": ["sexx"]}, "did you mean 'sex'"),
        ({"hire": ["sex"]}, "did you mean 'hired'"),
        ({"hired": ["hired"]}, "independent of itself"),
        ({"hired": []}, "list"),
        ("hired", "target"),
    ],
)
def test_a_parity_that_cannot_be_is_refused(learned: vs.Synthesizer, fair: Any, said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        learned.sample(10, fair=fair)


def test_a_target_is_not_asked_for_twice(learned: vs.Synthesizer) -> None:
    with pytest.raises(vs.ArgumentError, match="drawn again"):
        learned.sample(10, fair={"hired": "sex"}, where={"hired": True})


@pytest.mark.parametrize("engine", ["chain", "copula", "independent"])
def test_warmer_is_more_varied(engine: str) -> None:
    frame = people(800).select("age", "region", "score")
    synthesizer = vs.fit(frame, seed=1, model=engine)
    cold, plain, hot = (synthesizer.sample(3000, temperature=t) for t in (0.3, 1.0, 3.0))
    assert cold["score"].std() < plain["score"].std() < hot["score"].std()  # type: ignore[operator]
    rare = [float((f["region"] == "east").mean()) for f in (cold, plain, hot)]  # type: ignore[arg-type]
    assert rare[0] < rare[1] < rare[2]
    assert_frame_equal(plain, synthesizer.sample(3000))
    assert_frame_equal(synthesizer.sample(BLOCK + 3, temperature=2.0, workers=2).head(3000).select("age"),
                       synthesizer.sample(3000, temperature=2.0).select("age"))  # fmt: skip


@pytest.mark.parametrize("temperature", [0, -1, True, "hot", float("nan"), 1000])
def test_a_temperature_that_cannot_be_is_refused(learned: vs.Synthesizer, temperature: Any) -> None:
    with pytest.raises(vs.ArgumentError, match="temperature"):
        learned.sample(10, temperature=temperature)


def test_replicates_are_drawn_apart(learned: vs.Synthesizer) -> None:
    frames = learned.sample(50, m=3)
    assert len(frames) == 3
    assert_frame_equal(frames[0], learned.sample(50))
    assert not frames[0].equals(frames[1])
    assert not frames[1].equals(frames[2])
    assert_frame_equal(learned.sample(50, m=3)[2], frames[2])


def test_a_table_learned_given_another_is_restored_as_it_was() -> None:
    """A child's rows given its parent's: what the parent says goes with them, before and after a model file."""
    rng = np.random.default_rng(2)
    parent = pl.DataFrame({"size": rng.choice(["small", "large"], 800)})
    price = rng.normal(np.where(parent["size"] == "small", 10, 90), 3).round(1)
    child = pl.DataFrame({"price": price})
    given = Given(parent, vs.inspect(parent)["table"])
    options = vs.Options(model="chain")
    model = TableModel.fit(child, vs.inspect(child)["table"], options, 1, 800, lambda share, what: None, given)
    meta, arrays = model.state()
    again = TableModel.restore("chain", meta, arrays)
    wanted = pl.DataFrame({"size": ["small"] * 300 + ["large"] * 300})
    drawn = again.block(0, 5, given=wanted)
    assert_frame_equal(drawn, model.block(0, 5, given=wanted))
    cheap = drawn["price"] < 50
    assert cheap.head(300).mean() > 0.98  # type: ignore[operator]
    assert cheap.tail(300).mean() < 0.02  # type: ignore[operator]
