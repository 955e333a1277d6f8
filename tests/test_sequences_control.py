"""What can be asked of sequences: kinds of them, and anomalies with labels. Truths through the public door."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import verosim as vs
from test_sequences import keyed, log, said, series
from verosim import run
from verosim.draws import stream
from verosim.sequences import Course


@pytest.fixture(scope="module")
def cases() -> vs.Synthesizer:
    return vs.fit(log())


@pytest.fixture(scope="module")
def many() -> vs.Synthesizer:
    schema = said(keyed(), time="at", key="sensor", step="10m", statics=("room",))
    return vs.fit(keyed(), schema)


@pytest.fixture(scope="module")
def names() -> vs.Synthesizer:
    """Few keys that are names: they stay as they are."""
    return vs.fit(keyed(6).with_columns(pl.col("sensor").str.replace("S-000", "oven ")))


# ------------------------------------------------------------------------------------------------- kinds


def test_a_condition_on_what_is_the_same_holds_in_all_rows(cases: vs.Synthesizer) -> None:
    drawn = cases.sample(course=Course(sequences=30), where={"urgent": True})
    assert drawn["case"].n_unique() == 30
    assert drawn["urgent"].all()


def test_a_condition_on_what_changes_holds_in_a_row_of_each_sequence(many: vs.Synthesizer) -> None:
    drawn = many.sample(course=Course(sequences=40, length=8), where={"room": "bath", "n": (6, None)})
    found = drawn.group_by("sensor").agg(pl.col("n").max(), pl.len(), pl.col("room").unique().alias("rooms"))
    assert found.height == 40
    assert found["n"].min() >= 6
    assert found["len"].unique().to_list() == [8]
    assert found["rooms"].explode().unique().to_list() == ["bath"]


def test_fewer_sequences_are_the_head_of_more(many: vs.Synthesizer) -> None:
    more, fewer = (many.sample(course=Course(sequences=n), where="n >= 7 and temp > 19", seed=3) for n in (9, 4))
    assert more.head(fewer.height).equals(fewer)
    assert many.sample(50, where="n >= 7 and temp > 19", seed=3).equals(more.head(50))


def test_rare_sequences_are_learned_by_themselves(many: vs.Synthesizer) -> None:
    drawn = many.sample(course=Course(sequences=60, length=4), where={"n": 8})
    assert drawn.group_by("sensor").agg((pl.col("n") == 8).any())["n"].sum() == 60


def test_shares_of_sequences_are_as_asked(cases: vs.Synthesizer) -> None:
    drawn = cases.sample(course=Course(sequences=100), balance={"urgent": {True: 0.9}})
    assert drawn.unique("case")["urgent"].sum() == 90


def test_edges_are_those_of_whole_sequences(many: vs.Synthesizer) -> None:
    plain, edges = (many.sample(course=Course(sequences=200), edges=share) for share in (0.0, 1.0))

    def spread(frame: pl.DataFrame) -> float:
        lengths = frame.group_by("sensor").len()["len"]
        return float((lengths - lengths.median()).abs().mean())

    assert spread(edges) > spread(plain)


def test_a_static_is_made_independent_of_another() -> None:
    frame = log().with_columns(sex=pl.when(pl.col("urgent")).then(pl.lit("f")).otherwise(pl.lit("m")))
    frame = frame.with_columns(won=pl.col("urgent") ^ (pl.col("case").str.slice(1).cast(int) % 10 < 2))
    schema = said(frame, time="at", key="case", activity="activity", statics=("sex", "won", "urgent"))
    fitted = vs.fit(frame.drop("urgent"), vs.Schema({"table": _without(schema["table"], "urgent")}))
    drawn = fitted.sample(course=Course(sequences=1000), fair={"won": "sex"}).unique("case")
    shares = drawn.group_by("sex").agg(pl.col("won").mean())["won"]
    assert abs(shares[0] - shares[1]) < 4 * (2 * 0.25 / 500) ** 0.5
    assert "won by sex" in fitted.effects[0]


def _without(table: vs.Table, name: str) -> vs.Table:
    from dataclasses import replace

    assert table.sequence
    order = replace(table.sequence, statics=tuple(n for n in table.sequence.statics if n != name))
    return replace(table, columns=tuple(c for c in table.columns if c.name != name), sequence=order)


def test_keys_that_stay_are_chosen_by_name(names: vs.Synthesizer) -> None:
    drawn = names.sample(where={"sensor": ["oven 4", "oven 1"]})
    assert set(drawn["sensor"].unique()) == {"oven 1", "oven 4"}
    warm = names.sample(where={"room": "hall", "n": (6, None)})
    found = warm.group_by("sensor").agg(pl.col("n").max())
    assert set(found["sensor"]) == {"oven 2", "oven 5"}
    assert found["n"].min() >= 6


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"where": {"activity": "wrok"}}, "did you mean 'work'"),
        ({"where": {"activty": "work"}}, "did you mean 'activity'"),
        ({"where": "at < '1999-01-01'"}, "too few to learn from"),
        ({"balance": "activity"}, "changes within a sequence"),
        ({"fair": {"activity": "urgent"}}, "changes within a sequence"),
        ({"where": {"activity": "work"}, "edges": 0.5}, "asked by itself"),
        ({"where": {"urgent": True}, "course": Course(given=pl.DataFrame({"urgent": [True]}))}, "given .* or chosen"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen(cases: vs.Synthesizer, asked: dict[str, object], said: str) -> None:
    with pytest.raises(vs.VerosimError, match=said):
        cases.sample(20, **asked)  # type: ignore[arg-type]


def test_neither_keys_that_stay_nor_a_long_series_are_balanced(names: vs.Synthesizer) -> None:
    with pytest.raises(vs.ArgumentError, match="few keys"):
        names.sample(balance="room")
    with pytest.raises(vs.ArgumentError, match="long series"):
        vs.fit(series(300)).sample(where={"state": "on"})


# ------------------------------------------------------------------------------------------------- anomalies


@pytest.fixture(scope="module")
def one() -> vs.Synthesizer:
    return vs.fit(series())


def test_what_has_no_label_is_as_without(one: vs.Synthesizer) -> None:
    plain = one.sample(10_000)
    kinds = ("spike", "shift", "drift", "noise", "stuck", "gap", "season")
    spoiled = one.sample(10_000, anomalies=dict.fromkeys(kinds, 0.03))
    assert spoiled.height == 10_000
    assert set(spoiled["anomaly"].drop_nulls()) == set(kinds)
    for name in ("temp", "load"):
        other = spoiled.with_row_index().filter(pl.col("anomaly_column").ne_missing(name))
        assert other[name].equals(plain[other["index"]][name])
    assert spoiled["load"].dtype == plain["load"].dtype
    assert spoiled.filter(pl.col("anomaly") == "gap").select("temp", "load").null_count().sum_horizontal()[0] > 0
    assert 0.1 < spoiled["anomaly"].is_not_null().mean() < 0.32


def test_values_are_changed_as_the_kind_says(one: vs.Synthesizer) -> None:
    plain = one.sample(2000)
    spoiled = one.sample(2000, anomalies=vs.Anomaly("spike", rate=0.02, size=5, columns=("temp",), label="hit"))
    hit = spoiled["anomaly"] == "hit"
    assert set(spoiled["anomaly_column"].drop_nulls()) == {"temp"}
    off = ((spoiled["temp"] - plain["temp"]).abs() / plain["temp"].std()).filter(hit.fill_null(False))
    assert ((off > 4) & (off < 6)).all()
    stuck = one.sample(2000, anomalies="stuck=0.2 length=10 columns=temp")
    run = stuck.with_columns(run=pl.col("anomaly").rle_id()).filter(pl.col("anomaly") == "stuck")
    assert run.group_by("run").agg(pl.col("temp").n_unique())["temp"].mean() < 1.5


def test_activities_are_skipped_repeated_swapped_and_late(cases: vs.Synthesizer) -> None:
    plain = cases.sample(course=Course(sequences=300))
    counts = {}
    for kind in ("skip", "repeat", "swap", "late"):
        spoiled = cases.sample(course=Course(sequences=300), anomalies=f"{kind}=0.05")
        assert spoiled["case"].n_unique() == 300
        counts[kind] = spoiled.height - plain.height
        labelled = int((spoiled["anomaly"] == kind).sum())
        assert labelled > 0
        assert abs(counts[kind]) == (labelled if kind in ("skip", "repeat") else 0)
        times = spoiled.with_columns(wait=pl.col("at").diff().over("case"))["wait"].drop_nulls()
        assert (times.dt.total_seconds() >= 0).all()
    assert counts["skip"] < 0 < counts["repeat"]
    swapped = cases.sample(course=Course(sequences=300), anomalies="swap=0.05")
    assert swapped["at"].equals(plain["at"])
    assert swapped["activity"].sort().equals(plain["activity"].sort())
    assert not swapped["activity"].equals(plain["activity"])


def test_labels_come_with_any_kind_of_frame_and_file(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    fitted = vs.fit(series(300).to_pandas())
    spoiled = fitted.sample(anomalies="spike=0.1")
    assert isinstance(spoiled, pandas.DataFrame)
    assert (spoiled["anomaly"] == "spike").any()
    series(300).write_csv(tmp_path / "s.csv")
    run.synth(tmp_path / "s.csv", tmp_path / "out.csv", course=run.course_of(anomalies=["spike=0.1"]))
    assert "spike" in pl.read_csv(tmp_path / "out.csv")["anomaly"].to_list()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("spkie", "did you mean 'spike'"), ("spike=0.9", "0.5 is the most"), ("spike size=big", "a number"),
        ("spike=0.1 columns=tmp", "did you mean 'temp'"), ({"skip": 0}, "over 0"), (3, "a list"),
        ("spike sise=3", "did you mean 'size'"),
    ],
)  # fmt: skip
def test_anomalies_that_cannot_be(one: vs.Synthesizer, asked: object, said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        one.sample(anomalies=asked)


def test_anomalies_of_what_is_no_sequence_or_has_no_numbers() -> None:
    with pytest.raises(vs.ArgumentError, match="no sequence"):
        vs.fit(pl.DataFrame({"a": [1, 2, 3] * 20})).sample(anomalies="spike")
    with pytest.raises(vs.ArgumentError, match="no numbers"):
        vs.fit(log()).sample(anomalies="spike")


def test_what_follows_from_the_rows_can_be_asked_for() -> None:
    rng, rows = stream(1, "steps"), []
    for case in range(150):
        n, at = int(rng.integers(2, 8)), datetime(2024, 1, 1) + timedelta(hours=float(rng.integers(0, 5000)))
        for activity in ("start", *rng.choice(["check", "call"], n - 2).tolist(), "end"):
            rows.append((f"c{case}", activity, at, n))
            at += timedelta(minutes=float(rng.integers(5, 300)))
    synthesizer = vs.fit(pl.DataFrame(rows, schema=["case", "activity", "time", "steps"], orient="row"))
    new = synthesizer.sample(where="steps >= 6", course=vs.Course(sequences=40))
    cases = new.group_by("case").agg(pl.len(), pl.col("steps").n_unique().alias("values"), pl.col("steps").first())
    assert cases.height == 40
    assert cases["steps"].min() >= 6
    assert (cases["steps"] == cases["len"]).all()
    assert (cases["values"] == 1).all()
