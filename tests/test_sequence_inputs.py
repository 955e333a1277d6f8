"""Sequences in bad shape: found all the same, or a sentence that names the column and the row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.errors import DataError


def sensors(keys: int = 25, length: int = 12) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    frames = [
        pl.DataFrame({
            "sensor": [f"S{k:03d}"] * length,
            "at": [datetime(2024, 1, 1) + timedelta(hours=i) for i in range(length)],
            "level": (10.0 * (k % 3) + np.cumsum(rng.normal(size=length))).round(2),
            "state": ["on" if i % 4 < 2 else "off" for i in range(length)],
        })
        for k in range(keys)
    ]  # fmt: skip
    return pl.concat(frames)


def found(frame: pl.DataFrame) -> vs.Sequence | None:
    return vs.inspect(frame)["table"].sequence


def fitted(frame: pl.DataFrame, schema: vs.Schema | None = None) -> pl.DataFrame:
    drawn = vs.fit(frame, schema, model="independent", seed=1).sample()
    assert isinstance(drawn, pl.DataFrame)
    assert drawn.schema == frame.schema
    return drawn


def test_rows_in_any_order() -> None:
    said = found(sensors().sample(fraction=1.0, shuffle=True, seed=1))
    assert said is not None
    assert (said.key, said.time, said.step) == ("sensor", "at", "1h")
    assert "tells" in said.reason


def test_rows_in_any_order_that_tell_nothing_of_the_next() -> None:
    rng = np.random.default_rng(0)
    frame = sensors().with_columns(
        level=pl.Series(rng.normal(size=300).round(2)), state=pl.Series(rng.choice(["a", "b"], 300))
    )
    assert found(frame.sample(fraction=1.0, shuffle=True, seed=1)) is None


def test_times_that_stand_twice() -> None:
    twice = pl.concat([sensors(), sensors()[5:8]])
    said = found(twice)
    assert said is not None
    assert said.key == "sensor"
    assert fitted(twice).height == twice.height


@pytest.mark.parametrize("column", ["at", "sensor"])
def test_a_missing_time_or_key_is_told_with_its_row(column: str) -> None:
    frame = sensors().with_columns(pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise(column).alias(column))
    synthesizer = vs.fit(frame, model="independent", seed=1)
    (note,) = [note for note in synthesizer.notes if "would be a sequence" in note]
    assert f"1 rows have no '{column}', the first of them row 7" in note
    schema = vs.inspect(frame)
    said = replace(schema["table"], sequence=vs.Sequence("at", "sensor"))
    with pytest.raises(DataError, match=rf"column '{column}', row 7"):
        vs.fit(frame, schema.with_table(said))


def test_sequences_of_one_row_and_gaps() -> None:
    frame = sensors().filter((pl.col("sensor") > "S010") | (pl.int_range(pl.len()) % 12 == 0))
    frame = frame.filter(pl.int_range(pl.len()) % 7 != 3)
    assert found(frame) is not None
    lengths = fitted(frame).group_by("sensor").len()["len"]
    assert lengths.min() == 1
    assert lengths.max() <= 12  # type: ignore[operator]


def test_channels_without_a_value() -> None:
    frame = sensors().with_columns(
        dead=pl.lit(float("nan")), none=pl.lit(None, dtype=pl.Float64), same=pl.col("sensor").str.slice(3, 1)
    )
    drawn = fitted(frame)
    assert drawn["dead"].is_nan().all()
    assert drawn["none"].null_count() == drawn.height
    assert drawn.group_by("sensor").agg(pl.col("same").n_unique())["same"].max() == 1


def test_few_keys_keep_what_their_rows_say() -> None:
    frame = sensors(3, 60)
    drawn = fitted(frame)
    assert set(drawn["sensor"]) == {"S000", "S001", "S002"}
    assert set(drawn["state"]) == {"on", "off"}


def test_one_key_only_is_one_series() -> None:
    said = found(sensors(1, 60))
    assert said is not None
    assert said.key is None


def test_thousands_of_keys_with_one_row_are_rows() -> None:
    n, rng = 2000, np.random.default_rng(0)
    times = [datetime(2024, 1, 1) + timedelta(minutes=int(m)) for m in rng.integers(0, 99_999, n)]
    frame = pl.DataFrame({"id": [f"K{i:05d}" for i in range(n)], "at": times, "x": rng.normal(size=n).round(3)})
    assert found(frame) is None
    assert fitted(frame).height == n


def test_holidays_stay_free_and_clocks_change() -> None:
    days = pl.date_range(datetime(2022, 1, 3), datetime(2023, 6, 30), "1d", eager=True)
    free = days.dt.to_string("%m-%d").is_in(["12-26", "05-01", "05-02"]) | (days.dt.weekday() > 5)
    prices = pl.DataFrame({"day": days.filter(~free)})
    prices = prices.with_columns(
        price=pl.Series(100 + np.cumsum(np.random.default_rng(0).normal(size=len(prices)))).round(2)
    )
    said = found(prices)
    assert said is not None
    assert said.step == "1bd"
    drawn = fitted(prices)["day"]
    assert not (drawn.dt.weekday() > 5).any()
    assert not drawn.dt.to_string("%m-%d").is_in(["12-26", "05-01", "05-02"]).any()
    hours = pl.datetime_range(datetime(2024, 3, 20), datetime(2024, 4, 8), "1h", eager=True, time_zone="UTC")
    load = pl.DataFrame({"at": hours.dt.convert_time_zone("Europe/Berlin")})
    load = load.with_columns(load=pl.Series((50 + 10 * np.sin(np.arange(len(load)) * np.pi / 12)).round(1)))
    assert set(fitted(load)["at"].diff().drop_nulls()) == {timedelta(hours=1)}


def test_times_of_mixed_zones_are_told() -> None:
    zones = pl.Series(["+01:00", "+02:00"] * 150)
    frame = sensors().with_columns(at=pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S") + zones)
    synthesizer = vs.fit(frame, model="independent", seed=1)
    assert any("'at' has times of 2 zones (+01:00, +02:00)" in note for note in synthesizer.notes)
