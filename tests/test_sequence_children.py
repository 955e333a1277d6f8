"""Children that are sequences of their parents: found with reasons, drawn given the parent's row, keys and all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.errors import DataError, SchemaError
from verosim.infer.order import tells_next
from verosim.relational.families import _cuts
from verosim.sequences.keyed import TOGETHER

STAGES = ["a", "b", "c"]
Tables = dict[str, pl.DataFrame]


def machines(n: int = 120, order: bool = True) -> Tables:
    """Machines with readings: stages go round from the machine's first one, hour by hour; counts rise by its pace."""
    rng = np.random.default_rng(0)
    own = pl.DataFrame({
        "machine_id": range(1, n + 1),
        "begins": [STAGES[i % 3] for i in range(n)],
        "pace": [1 if i % 2 else 10 for i in range(n)],
        "built": [datetime(2024, 1, 1) + timedelta(days=i % 20) for i in range(n)],
    })  # fmt: skip
    rows = list[tuple[object, ...]]()
    for i in range(n):
        length, count = int(rng.integers(0, 9)), 0
        for step in range(length):
            stage = STAGES[(i + (step if order else int(rng.integers(3)))) % 3]
            count += int(own["pace"][i])
            at = own["built"][i] + timedelta(hours=1 + step)
            rows.append((len(rows) + 1, i + 1, at, stage, count if order else int(rng.integers(50)), 1 + i % 4))
    names = ["reading_id", "machine_id", "at", "stage", "count", "worker_id"]
    workers = pl.DataFrame({"worker_id": range(1, 5), "shift": ["day", "night", "day", "night"]})
    readings = pl.DataFrame(rows, schema=names, orient="row")
    return {"machines": own, "readings": readings, "workers": workers}


@pytest.fixture(scope="module")
def learned() -> vs.Synthesizer:
    return vs.fit(machines(), seed=1)


@pytest.fixture(scope="module")
def drawn(learned: vs.Synthesizer) -> Tables:
    out: Tables = learned.sample()
    return out


def after_another(drawn: Tables) -> pl.DataFrame:
    """Pairs of readings of one machine, one after the other."""
    frame = drawn["readings"].sort("machine_id", "at")
    return frame.with_columns(
        pl.col("stage", "count", "at").shift(1).over("machine_id").name.prefix("old_")
    ).drop_nulls()


def test_children_whose_order_matters_are_found_with_the_reason() -> None:
    said = vs.inspect(machines())["readings"].sequence
    assert said is not None
    assert (said.time, said.key, said.step) == ("at", "machine_id", "1h")
    assert "at orders the rows of each of" in said.reason
    assert "tells" in said.reason


def test_children_in_any_order_are_no_sequence() -> None:
    assert vs.inspect(machines(order=False))["readings"].sequence is None


def test_what_the_schema_says_of_a_child_wins() -> None:
    found = vs.inspect(machines())
    told = vs.fit(machines(), found.with_table(replace(found["readings"], sequence=None)), seed=1)
    assert told.schema_["readings"].sequence is None
    other = vs.inspect(machines(order=False))
    said = vs.schema.Sequence("at", "machine_id")
    told = vs.fit(machines(order=False), other.with_table(replace(other["readings"], sequence=said)), seed=1)
    assert told.schema_["readings"].sequence == said
    assert "drawn" in str(told.explain()["readings"]) or told.explain()["readings"]


def test_stages_go_round_from_the_one_that_the_parent_says(drawn: Tables) -> None:
    pairs = after_another(drawn)
    turned = {"a": "b", "b": "c", "c": "a"}
    assert (pairs["old_stage"].replace_strict(turned) == pairs["stage"]).mean() > 0.95
    first = drawn["readings"].sort("at").unique("machine_id", keep="first", maintain_order=True)
    both = first.join(drawn["machines"], on="machine_id")
    assert (both["stage"] == both["begins"]).mean() > 0.95


def test_counts_rise_by_the_pace_of_the_parent(drawn: Tables) -> None:
    both = after_another(drawn).join(drawn["machines"], on="machine_id")
    rise = (both["count"] - both["old_count"]).to_numpy()
    assert np.abs(rise - both["pace"].to_numpy()).mean() < 1.0  # 5 where the pace is not heard of


def test_times_go_on_by_their_step_and_never_before_the_parent_s(drawn: Tables) -> None:
    pairs = after_another(drawn)
    assert (pairs["at"] - pairs["old_at"] == timedelta(hours=1)).all()
    both = drawn["readings"].join(drawn["machines"], on="machine_id")
    assert (both["at"] >= both["built"]).all()
    assert both["at"].max() <= machines()["readings"]["at"].max()


def test_keys_and_numbers_are_those_of_a_database(drawn: Tables) -> None:
    real = machines()
    assert {n: f.height for n, f in drawn.items()} == {n: f.height for n, f in real.items()}
    assert drawn["readings"]["reading_id"].n_unique() == drawn["readings"].height
    assert drawn["readings"].join(drawn["machines"], on="machine_id", how="anti").height == 0
    assert drawn["readings"].join(drawn["workers"], on="worker_id", how="anti").height == 0
    assert drawn["readings"].group_by("machine_id").agg(pl.col("worker_id").n_unique())["worker_id"].max() == 1
    assert drawn["machines"].join(drawn["readings"], on="machine_id", how="anti").height > 0  # some have none
    assert drawn["readings"].schema == real["readings"].schema


def test_the_report_measures_them_as_sequences(learned: vs.Synthesizer) -> None:
    table = vs.evaluate(machines(), learned.sample(), schema=learned.schema_).tables["readings"]
    assert {"transitions", "lengths", "broken sequences"} <= {m.name for m in table.measures}


def test_a_saved_model_draws_the_same_and_scale_draws_more(
    learned: vs.Synthesizer, drawn: Tables, tmp_path: Path
) -> None:
    learned.save(tmp_path / "m.verosim")
    again = vs.load(tmp_path / "m.verosim").sample()
    assert all(again[name].equals(drawn[name]) for name in drawn)
    more = learned.sample(scale=2)
    assert more["readings"].height == 2 * drawn["readings"].height
    rich = learned.sample({"machines": 50}, where={"begins": "a"})
    assert set(rich["machines"]["begins"]) == {"a"}


def test_totals_of_the_parent_and_rules_of_the_rows_hold() -> None:
    real = machines()
    readings = real["readings"].with_columns(
        until=pl.col("at") + pl.duration(minutes=pl.col("reading_id") % 50 + 1), kwh=(pl.col("count") * 0.5).round(1)
    )
    summed = readings.group_by("machine_id").agg(total=pl.col("kwh").sum())
    own = real["machines"].join(summed, on="machine_id", how="left", maintain_order="left")
    tables = real | {"readings": readings, "machines": own.with_columns(pl.col("total").fill_null(0.0))}
    synthesizer = vs.fit(tables, seed=2)
    assert synthesizer.schema_["readings"].sequence is not None
    new = synthesizer.sample()
    assert (new["readings"]["until"] >= new["readings"]["at"]).all()
    sums = new["machines"].join(new["readings"].group_by("machine_id").agg(s=pl.col("kwh").sum()), on="machine_id")
    assert np.allclose(sums["total"], sums["s"])


def test_few_devices_with_long_series() -> None:
    rng = np.random.default_rng(1)
    times = [datetime(2024, 1, 1) + timedelta(minutes=10 * i) for i in range(400)]
    levels = [10 * k + np.cumsum(rng.normal(size=400)) for k in range(6)]
    readings = pl.concat(
        pl.DataFrame({"device_id": [k] * 400, "at": times, "level": levels[k].round(2), "on": levels[k] > 10 * k})
        for k in range(6)
    )
    devices = pl.DataFrame({"device_id": range(6), "room": ["hall", "kitchen"] * 3})
    synthesizer = vs.fit({"devices": devices, "readings": readings}, seed=1)
    assert synthesizer.schema_["readings"].sequence is not None
    new = synthesizer.sample()["readings"]
    assert new["device_id"].n_unique() <= 6
    steps = new.sort("device_id", "at").select(pl.col("at").diff().over("device_id")).to_series().drop_nulls()
    assert set(steps) == {timedelta(minutes=10)}


def test_what_sequences_cannot_hold_is_refused_with_the_way_out() -> None:
    tables = machines()
    tables["readings"] = tables["readings"].with_columns(seal=pl.col("reading_id") * 7 + 0.5)
    schema = vs.inspect(tables)
    table = schema["readings"]
    said = table.sequence or vs.schema.Sequence("at", "machine_id")
    unique = replace(table, sequence=said, rules=(*table.rules, {"rule": "unique", "columns": ["stage", "count"]}))
    with pytest.raises((SchemaError, DataError), match=r"unique"):
        vs.fit(tables, schema.with_table(unique), seed=1)


def test_how_much_a_row_tells_of_the_next_one() -> None:
    owners, ticks = np.repeat(np.arange(100), 6), np.tile(np.arange(6), 100)
    rng = np.random.default_rng(0)
    assert tells_next(np.tile([0, 1, 2, 0, 1, 2], 100), owners, ticks, rng) > 0.9  # each stage tells the next
    assert tells_next(rng.integers(0, 3, 600), owners, ticks, rng) == 0.0  # chance
    assert tells_next(owners % 3, owners, ticks, rng) == 0.0  # of an owner, not of its order


def test_a_sequence_that_no_key_can_own_is_refused() -> None:
    tables = machines()
    schema = vs.inspect(tables)
    said = replace(schema["readings"], sequence=vs.schema.Sequence("at", "worker_id"))
    kept = schema.with_table(said)
    with pytest.raises(SchemaError, match=r"to a table that is not kept .*machine_id"):
        vs.fit(tables, kept, keep=["workers"])


def test_tables_without_keys_between_them_are_each_looked_at() -> None:
    tables = {"one": machines()["readings"].drop("worker_id"), "other": pl.DataFrame({"x": [0.5, 1.5] * 20})}
    schema = vs.inspect(tables)
    assert schema["one"].sequence is not None
    assert schema["other"].sequence is None


def test_rows_of_nobody_are_sequences_of_one_row() -> None:
    tables = machines()
    schema = vs.inspect(tables)
    lost = (
        tables["readings"]
        .head(100)
        .with_columns(
            reading_id=pl.col("reading_id") + 10_000,
            machine_id=pl.lit(9_999, dtype=pl.Int64),
            worker_id=pl.lit(1, dtype=pl.Int64),
        )
    )
    tables["readings"] = pl.concat([tables["readings"], lost.select(tables["readings"].columns)])
    new = vs.fit(tables, schema, seed=1, orphans="null").sample()["readings"]
    assert new.height == tables["readings"].height
    assert abs(new["machine_id"].null_count() - 100) <= 1


def test_families_are_parted_nowhere_and_rows_of_nobody_anywhere() -> None:
    owners = np.concatenate([np.repeat([0, 1, 2], [TOGETHER - 1, TOGETHER + 5, 3]), np.full(2 * TOGETHER, -1)])
    cuts = list(_cuts(owners, whole=True))
    assert cuts[0] == (0, TOGETHER - 1)
    assert cuts[1] == (TOGETHER - 1, 2 * TOGETHER + 4)
    assert cuts[-1][1] == len(owners)
    assert all(b - a <= TOGETHER for a, b in cuts[2:])


def test_rows_that_their_parent_and_time_tell_apart() -> None:
    tables = machines()
    rng = np.random.default_rng(1)
    level = pl.Series("level", np.cumsum(rng.normal(size=len(tables["readings"]))).round(1))
    readings = tables["readings"].select("machine_id", "at", "stage").with_columns(level)
    schema = vs.inspect({"machines": tables["machines"], "readings": readings})
    keyed = schema.with_table(replace(schema["readings"], primary_key=("machine_id", "at")))
    new = vs.fit({"machines": tables["machines"], "readings": readings}, keyed, seed=1).sample()["readings"]
    assert not new.select("machine_id", "at").is_duplicated().any()
