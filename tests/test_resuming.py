"""Long runs in parts: what is whole stays, what is not is made again, and together they are one file a table."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from verosim import files
from verosim.files.resuming import Parts

SETTINGS = {"seed": 1}


def put(parts: Parts, number: int, frame: pl.DataFrame, name: str) -> None:
    with parts.part(number) as (folder, told):
        files.write(frame, folder / name)
        told["rows"] = frame.height


def stopped(parts: Parts, frame: pl.DataFrame) -> None:
    """Ctrl-C in the midst of part 1."""
    with parts.part(1) as (folder, _):
        files.write(frame, folder / "t.csv")
        raise KeyboardInterrupt


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet", "arrow"])
def test_parts_become_one_file_like_that_of_the_whole(suffix: str, tmp_path: Path) -> None:
    whole = pl.DataFrame({'two\nlines, "quoted"': [1, 2, 3, 4, 5], "b": ["x", None, "y\nz", "", "w"]})
    parts = Parts(tmp_path / "out", SETTINGS)
    for number, rows in enumerate((whole[:2], whole[2:2], whole[2:])):
        put(parts, number, rows, f"t.{suffix}")
    parts.put_together()
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"t.{suffix}"]
    assert files.read(tmp_path / "out" / f"t.{suffix}").dataset["t"].equals(whole)
    if suffix not in ("parquet", "arrow"):
        files.write(whole, tmp_path / f"t.{suffix}")
        assert (tmp_path / "out" / f"t.{suffix}").read_bytes() == (tmp_path / f"t.{suffix}").read_bytes()


def test_a_part_that_broke_off_is_no_part(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1]})
    put(Parts(tmp_path, SETTINGS), 0, frame, "t.csv")
    with pytest.raises(KeyboardInterrupt):
        stopped(Parts(tmp_path, SETTINGS), frame)
    again = Parts(tmp_path, SETTINGS)
    assert (again.told(0), again.told(1)) == ({"rows": 1}, None)
    put(again, 1, frame, "t.csv")
    again.put_together()
    assert (tmp_path / "t.csv").read_text() == "a\n1\n1\n"


def test_parts_of_other_settings_go(tmp_path: Path) -> None:
    put(Parts(tmp_path, SETTINGS), 0, pl.DataFrame({"a": [1]}), "t.csv")
    assert Parts(tmp_path, {"seed": 2}).told(0) is None


def test_slices_of_a_part_are_one_table_and_what_begins_with_a_dot_stays_behind(tmp_path: Path) -> None:
    parts = Parts(tmp_path, SETTINGS)
    for number in range(2):
        with parts.part(number) as (folder, _):
            for part in range(2):
                pl.DataFrame({"a": [2 * number + part]}).write_parquet(folder / f"t.{part:06}.parquet")
            (folder / ".own").write_text("mine")
    parts.put_together()
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
    assert pl.read_parquet(tmp_path / "t.parquet")["a"].to_list() == [0, 1, 2, 3]
