"""Sequences from one shape into another: worked by hand, and there and back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import verosim as vs
from verosim.cli import app
from verosim.errors import ArgumentError, DataError
from verosim.reshaping import notes_on, shape_of

WIDE = pl.DataFrame({
    "shop": ["A", "B", "C"], "city": ["Ulm", "Bonn", "Ulm"],
    "heat_2024-01-01": [1, 2, None], "heat_2024-01-02": [3, None, None], "heat_2024-01-03": [5, 6, None],
    "wet_2024-01-01": [0.5, None, None], "wet_2024-01-02": [0.25, None, None], "wet_2024-01-03": [None, 0.5, None],
})  # fmt: skip


def test_wide_data_become_a_row_for_each_time_that_has_a_value() -> None:
    rows = vs.reshape(WIDE)
    assert rows.columns == ["shop", "city", "time", "heat", "wet"]
    day = [date(2024, 1, d) for d in (1, 2, 3)]
    assert rows.rows() == [
        ("A", "Ulm", day[0], 1, 0.5), ("A", "Ulm", day[1], 3, 0.25), ("A", "Ulm", day[2], 5, None),
        ("B", "Bonn", day[0], 2, None), ("B", "Bonn", day[2], 6, 0.5), ("C", "Ulm", day[0], None, None),
    ]  # fmt: skip


def test_rows_become_wide_again() -> None:
    assert vs.reshape(vs.reshape(WIDE), "wide", key="shop", time="time").equals(WIDE)


def test_long_data_have_a_row_a_value() -> None:
    long = vs.reshape(WIDE, "long")
    assert long.columns == ["shop", "city", "time", "variable", "value"]
    assert long.height == 8
    assert shape_of(long).shape == "long"
    rows = vs.reshape(WIDE).filter(pl.col("shop") != "C").with_columns(pl.col("heat").cast(pl.Float64))
    assert vs.reshape(long).equals(rows)


@given(st.lists(st.lists(st.integers(-9, 9) | st.none(), min_size=4, max_size=4), min_size=1, max_size=6))
def test_there_and_back(cells: list[list[int | None]]) -> None:
    columns = {f"day_{j + 1}": pl.Series([row[j] for row in cells], dtype=pl.Int64) for j in range(4)}
    wide = pl.DataFrame({"id": range(len(cells))} | columns)
    rows = vs.reshape(wide)
    assert rows.columns == ["id", "day", "value"]
    assert rows["value"].drop_nulls().len() == sum(c is not None for row in cells for c in row)
    assert set(rows["id"]) == set(range(len(cells)))
    if rows["day"].n_unique() == 4:
        back = vs.reshape(rows, "wide", key="id", time="day")
        assert back.rename({str(j): f"day_{j}" for j in range(1, 5)}).equals(wide)


@pytest.mark.parametrize(
    ("columns", "times"),
    [
        (["2021", "2022", "2023"], [2021, 2022, 2023]),
        (["2024-01", "2024-02", "2024-03"], [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)]),
        (["2024Q1", "2024Q2", "2024Q3"], [date(2024, 1, 1), date(2024, 4, 1), date(2024, 7, 1)]),
        (["t1", "t2", "t10"], [1, 2, 10]),
    ],
)
def test_times_in_names(columns: list[str], times: list[object]) -> None:
    rows = vs.reshape(pl.DataFrame({"k": ["x"], **{name: [i] for i, name in enumerate(columns)}}))
    assert rows["time"].to_list() == times


def test_what_is_no_table_of_times_is_left_alone() -> None:
    frame = pl.DataFrame({"id": [1, 2], "T1": [0.5, 1.0], "T2": [1.5, 2.0], "age": [3, 4]})
    assert shape_of(frame).shape == "rows"
    sensors = pl.DataFrame({"T1": [0.5, 1.0], "T2": [1.5, 2.0], "T3": [3.0, 4.0]})
    assert notes_on({"sensors": sensors}) == []
    assert "`verosim reshape`" in notes_on({"shops": WIDE})[0]


def test_two_values_of_one_time_are_refused_with_key_and_row() -> None:
    rows = pl.DataFrame({"k": ["a", "a", "b"], "at": [1, 1, 2], "x": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=r"row 1.*two rows of one k and at: a, 1"):
        vs.reshape(rows, "wide", key="k", time="at")
    long = rows.with_columns(variable=pl.lit("heat")).rename({"x": "value"})
    with pytest.raises(DataError, match=r"row 1.*two values of one"):
        vs.reshape(long, variable="variable", value="value", key="k", time="at")
    with pytest.raises(ArgumentError, match="did you mean"):
        vs.reshape(rows, "wide", key="kk", time="at")


def test_the_command_reshapes_files(tmp_path: Path) -> None:
    WIDE.write_csv(tmp_path / "wide.csv")
    run = CliRunner().invoke
    done = run(app, ["reshape", str(tmp_path / "wide.csv"), "-o", str(tmp_path / "rows.csv")])
    assert done.exit_code == 0, done.output
    again = ["--to", "wide", "--key", "shop", "--time", "time", "-o", str(tmp_path / "again.csv")]
    assert run(app, ["reshape", str(tmp_path / "rows.csv"), *again]).exit_code == 0
    assert pl.read_csv(tmp_path / "again.csv").equals(pl.read_csv(tmp_path / "wide.csv"))


def test_few_rows_are_told_apart_by_key_and_time() -> None:
    rows = pl.DataFrame({"store": ["A", "A", "B", "B"], "month": [1, 2, 1, 2], "sold": [5, 6, 7, 8]})
    wide = vs.reshape(rows, "wide")
    assert (wide.columns, wide.rows()) == (["store", "sold_1", "sold_2"], [("A", 5, 6), ("B", 7, 8)])
