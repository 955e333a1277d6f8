"""Tables in part files: numbered ones, and folders that hold a key; what does not fit together is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from verosim import files
from verosim.cli import app
from verosim.errors import DataError, FileError

FRAME = pl.DataFrame({"id": [1, 2, 3, 4], "x": [0.5, None, 2.5, 3.5]})


def test_numbered_parts_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    for k in range(2):
        FRAME[2 * k : 2 * k + 2].write_parquet(folder / f"part-0000{k}-c000.snappy.parquet")
    (folder / "_SUCCESS").touch()
    source = files.read(folder)
    assert_frame_equal(source.dataset["events"], FRAME)
    assert source.notes == ("2 part files are one table",)
    assert len(source.digests) == 2
    files.write(source.dataset, tmp_path / "new", source.layout)
    assert_frame_equal(files.read(tmp_path / "new").dataset["part-0"], FRAME)


def test_names_that_are_no_parts_stay_tables(tmp_path: Path) -> None:
    for name in ("people", "visits"):
        FRAME.write_parquet(tmp_path / f"{name}.parquet")
    assert list(files.read(tmp_path).dataset) == ["people", "visits"]


def test_keys_in_the_names_of_folders_are_columns(tmp_path: Path) -> None:
    whole = FRAME.with_columns(
        day=pl.Series([date(2024, 1, 1), date(2024, 1, 1), date(2024, 1, 2), None]), shop=pl.Series([1, 2, 1, 2]),
        code=pl.Series(["01", "02", "a/b", "02"]),
    )  # fmt: skip
    whole.write_parquet(pl.PartitionBy(tmp_path / "sales", key=["day", "shop", "code"], include_key=False), mkdir=True)
    found = files.read(tmp_path / "sales").dataset["sales"]
    assert_frame_equal(found.sort("id"), whole)


def test_parts_that_differ_are_named(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "part-0.parquet")
    FRAME.rename({"x": "y"}).write_parquet(tmp_path / "part-1.parquet")
    with pytest.raises(DataError, match=r"part-0.parquet and part-1.parquet differ"):
        files.read(tmp_path)
    FRAME.with_columns(x=pl.lit("text")).write_parquet(tmp_path / "part-1.parquet")
    with pytest.raises(DataError, match=r"Float64 in part-0.parquet, but String in part-1.parquet"):
        files.read(tmp_path)


def test_folders_of_two_keys_are_refused(tmp_path: Path) -> None:
    for name in ("year=2024", "month=1"):
        (tmp_path / name).mkdir()
        FRAME.write_parquet(tmp_path / name / "0.parquet")
    with pytest.raises(FileError, match="folders of one key were wanted"):
        files.read(tmp_path)


def test_a_key_that_also_stands_in_the_files(tmp_path: Path) -> None:
    FRAME.write_parquet(pl.PartitionBy(tmp_path / "t", key=["id"], include_key=True), mkdir=True)
    assert_frame_equal(files.read(tmp_path / "t").dataset["t"].sort("id"), FRAME)
    (tmp_path / "t" / "id=1").rename(tmp_path / "t" / "id=7")
    with pytest.raises(DataError, match=r"'7' by the folder of id=7.*, but '1' in it"):
        files.read(tmp_path / "t")


def test_rows_are_written_into_folders_of_their_keys(tmp_path: Path) -> None:
    whole = FRAME.with_columns(
        day=pl.Series([date(2024, 1, 1), date(2024, 1, 1), date(2024, 1, 2), None]),
        code=pl.Series(["01", "02", "a/b", "é"]),
    )  # fmt: skip
    files.write(iter([whole[:1], whole[1:]]), tmp_path / "new" / "{day}" / "{code}", table="sales")
    assert (tmp_path / "new" / "day=2024-01-01" / "code=01" / "part-0.parquet").exists()
    source = files.read(tmp_path / "new")
    assert_frame_equal(source.dataset["new"].sort("id"), whole)
    files.write(source.dataset, tmp_path / "again", source.layout)
    assert_frame_equal(files.read(tmp_path / "again").dataset["again"].sort("id"), whole)


def test_parts_go_into_a_folder_of_their_own_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "rows.csv").touch()
    with pytest.raises(FileError, match="is not empty"):
        files.check_writable(tmp_path / "old" / "{id}")
    with pytest.raises(DataError, match="did you mean 'id'"):
        files.write(FRAME, tmp_path / "new" / "{idd}", table="t")
    assert not (tmp_path / "new").exists()


def test_the_command_writes_parts(tmp_path: Path) -> None:
    pl.DataFrame({"shop": ["a", "b"] * 60, "sold": range(120)}).write_csv(tmp_path / "sales.csv")
    out = str(tmp_path / "new" / "{shop}")
    done = CliRunner().invoke(app, ["synth", str(tmp_path / "sales.csv"), "--model", "independent", "--out", out])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "sales.csv", "sales.report.html"]
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"shop=a", "shop=b"}
    assert files.read(tmp_path / "new").dataset["new"].height == 120
