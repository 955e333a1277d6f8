"""Missing cells of given sequences: filled given the row, what is the same in all of it, and the rows around."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import verosim as vs
from test_sequences import keyed, log, series
from verosim import run


def holed(frame: pl.DataFrame, columns: list[str], share: float = 0.15) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    there = {name: pl.Series(rng.random(frame.height) >= share) for name in columns}
    return frame.with_columns(pl.when(t).then(pl.col(n)).alias(n) for n, t in there.items())


def untouched(given: pl.DataFrame, filled: pl.DataFrame) -> bool:
    return all((given[n].is_null() | (given[n] == filled[n])).all() for n in given.columns)


@pytest.fixture(scope="module")
def many() -> vs.Synthesizer:
    return vs.fit(keyed())


def test_cells_are_filled_given_their_neighbours(many: vs.Synthesizer) -> None:
    real = keyed()
    given = holed(real, ["temp", "n", "room"]).sample(fraction=1.0, shuffle=True, seed=1)
    filled = many.impute(given)
    assert filled.schema == given.schema
    assert filled.null_count().sum_horizontal().item() == 0
    assert untouched(given, filled)
    assert (filled.group_by("sensor").agg(pl.col("room").n_unique())["room"] == 1).all()
    both = real.join(filled, on=["sensor", "at"], suffix=" filled")
    assert both["room"].equals(both["room filled"])  # another row of the sequence says it
    error = (both["temp"] - both["temp filled"]).to_numpy()[given.join(real, on=["sensor", "at"])["temp"].is_null()]
    assert np.sqrt(np.mean(error**2)) < 0.25 * float(real["temp"].std())  # type: ignore[arg-type]
    versions = many.impute(given, 2)
    assert versions[0].equals(filled)
    assert not versions[1].equals(filled)


def test_a_static_that_no_row_says_is_drawn_once(many: vs.Synthesizer) -> None:
    given = keyed().with_columns(pl.when(pl.col("sensor") != "S-0003").then(pl.col("room")))
    filled = many.impute(given).filter(pl.col("sensor") == "S-0003")
    assert filled["room"].n_unique() == 1
    assert filled["room"][0] in ("kitchen", "bath", "hall")


def test_activities_follow_from_what_is_around() -> None:
    real = log()
    filled = vs.fit(real).impute(holed(real, ["activity", "resource"]))
    assert (filled["activity"] == real["activity"]).mean() > 0.99  # here all follows from the place and the resource


def test_a_long_series_is_filled(tmp_path: Path) -> None:
    real = series()
    given = holed(real, ["temp", "state"])
    given.write_csv(tmp_path / "series.csv")
    cells, (out,) = run.impute_file(tmp_path / "series.csv")
    filled = pl.read_csv(out, try_parse_dates=True)
    assert cells == given.null_count().sum_horizontal().item()
    error = (filled["temp"] - real["temp"]).to_numpy()[given["temp"].is_null()]
    assert np.sqrt(np.mean(error**2)) < 2.5  # the values spread by 6.3, and change by 1.8 a step


def test_whole_columns_are_drawn_along_sequences(many: vs.Synthesizer) -> None:
    real = keyed()
    known = real.drop("temp").sample(fraction=1.0, shuffle=True, seed=2)
    full = many.complete(known)
    assert full.columns == real.columns
    assert full.drop("temp").equals(known)
    steps = full.sort("sensor", "at").select(pl.col("temp").diff().over("sensor")).to_series().drop_nulls()
    assert float(steps.std()) < 1.0  # type: ignore[arg-type]  # the values spread by 1.9, and change by 0.2 a step
    rooms = many.complete(real.drop("room", "n"))
    assert (rooms.group_by("sensor").agg(pl.col("room").n_unique())["room"] == 1).all()


def test_ids_of_completed_rows_are_all_different() -> None:
    real = keyed().with_row_index("reading", 1).with_columns(pl.col("reading").cast(pl.Int64))
    full = vs.fit(real).complete(real.drop("reading", "temp"))
    assert full["reading"].n_unique() == real.height
    assert full["temp"].null_count() == 0


def test_what_cannot_be_filled_says_why(many: vs.Synthesizer) -> None:
    with pytest.raises(vs.DataError, match=r"cannot be placed.*whole sequences"):
        many.complete(keyed().drop("at"))
    hole = pl.when(pl.int_range(pl.len()) != 5).then(pl.col("at"))
    with pytest.raises(vs.DataError, match="row 5"):
        many.impute(keyed().with_columns(hole))
    with pytest.raises(vs.DataError, match="the column is missing"):
        many.impute(keyed().drop("n"))
