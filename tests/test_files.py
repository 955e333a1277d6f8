"""Files come back as they were: letter by letter for text, type by type for the rest, and never half-written."""

import datetime as dt
import gzip
import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from verosim import files
from verosim.errors import ArgumentError, DataError, FileError
from verosim.files import Layout
from verosim.files.disk import zstd

shared = Path(__file__).parents[2] / "shared"


def read_bytes(tmp_path: Path, data: bytes, name: str = "t.csv", **options: object) -> files.Source:
    (tmp_path / name).write_bytes(data)
    return files.read(tmp_path / name, **options)  # type: ignore[arg-type]


def table(source: files.Source) -> pl.DataFrame:
    (frame,) = source.dataset.values()
    return frame


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# ------------------------------------------------------------------------------------------------- letter by letter

DIALECTS = {
    "plain": b"a,b\n1,x\n2,y\n",
    "crlf": b"a,b\r\n1,x\r\n2,y\r\n",
    "old mac": b"a,b\r1,x\r2,y\r",
    "no last line end": b"a,b\n1,x\n2,y",
    "semicolon, decimal comma": "größe;preis\n1,5;3,20 €\n2;4,00 €\n".encode(),
    "tab": b"a\tb\n1\tx y\n2\tz, w\n",
    "pipe": b"a|b\n1|x\n2|y\n",
    "all quoted": b'"a","b"\n"1","x"\n"2","y"\n',
    "all quoted, missing": b'"a","b"\n"1",""\n"","y"\n',
    "text quoted": b'"id","name"\n1,"x"\n2,"y"\n',
    "quoted by need": b'a,b\n1,"x, y"\n2,"say ""hi"""\n3,"two\nlines"\n4,z\n',
    "quoted line ends": b'a,b\r\n1,"two\r\nlines"\r\n2,"a\nb"\r\n3,"c\rd"\r\n',
    "empty and missing": b'a,b\n,x\n"",\n"",""\n',
    "NA among numbers": b"a,b\n1,NA\nNA,NA\n2,x\n",
    "NULL among dates": b"a\n2020-01-02\nNULL\n",
    "quoted NA": b'a,b\n"NA",1\nNA,2\n"x",3\n',
    "R": b'"","name","n"\n"1","x",1\n"2",NA,NA\n"3","NA",2\n',
    "NaN beside missing": b"a,b\n1.5,x\nNaN,y\n,z\n",
    "bom": b"\xef\xbb\xbfa,b\n1,x\n",
    "utf-16": "a;b\r\n1;é\r\n2;😀\r\n".encode("utf-16"),
    "utf-16 be": b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"),
    "cp1252": "a,b\n1,café €\n".encode("cp1252"),
    "latin-1": b"a,b\n1,caf\xe9 \x81\n",
    "unicode": "a,b\n1,é\u200b😀\n2,e\u0301\u202e\n".encode(),
    "leading zeros": b"zip,phone\n00123,+34 600\n01234,600\n",
    "decimals": b"a,b,c\n1.50,1e-05,3\n2.00,0.1,2.5\n",
    "dates": b"a,b,c\n31/12/2020,2020-12-31T10:00:00Z,10:30\n01/02/2021,2021-02-01T00:00:00Z,23:59\n",
    "booleans": b"a,b,c\nTrue,yes,TRUE\nFalse,no,FALSE\n",
    "one column": b"a\n1\n\n3\n",
    "one column, last missing": b"a\n1\n\n\n",
    "one column of text": b'a\nx\n\n""\n',
    "unnamed column": b",b\n0,x\n1,y\n",
    "trailing delimiter": b"a,b,\n1,2,\n3,4,\n",
    "big numbers": b"a,b\n9007199254740993,18446744073709551615\n-5,1\n",
    "exact decimals": b"a\n12345678901234567.89\n0.10\n",
    "spaces": b"a,b\n x,1 \n y, 2\n",
    "thousands": b'a,b\n"1,234",x\n"5",y\n"1,234,567",z\n',
    "control characters": b'a,b\n"x,\x01\x02",1\ny\x03,2\n',
    "words": b"a,b\nNone,?\nnull,x\n",
    "quoted header": b'"a,1","b ""2"""\n1,2\n',
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_written_copy_is_the_same_file(dialect: str, tmp_path: Path) -> None:
    source = read_bytes(tmp_path, DIALECTS[dialect])
    layout = Layout.from_dict(json.loads(json.dumps(source.layout.to_dict())))
    assert layout == source.layout
    files.write(table(source), tmp_path / "copy.csv", layout)
    assert (tmp_path / "copy.csv").read_bytes() == DIALECTS[dialect]


@pytest.mark.parametrize(
    ("data", "same"),
    [
        (b'a,b\n"1",x\n2,"y"\n', b"a,b\n1,x\n2,y\n"),  # quotes without a system
        (b'a,b\n5" pipe,x\n"y",z\n', b'a,b\n"5"" pipe",x\ny,z\n'),  # a quote inside an unquoted cell
        (b'a,b\n"x"y,1\n"p,q",2\n', b'a,b\n"""x""y",1\n"p,q",2\n'),
        (b"a,b\r\n1,x\r\n2,y\n", b"a,b\r\n1,x\r\n2,y\r\n"),  # two kinds of line ends
        (b"a,b\n1,x\n\n2,y\n\n", b"a,b\n1,x\n2,y\n"),  # blank lines
        (b"\n\na,b\n1,x\n", b"a,b\n1,x\n"),
        (b"a,b\n1,NA\n2,\n3,NA\n4,7\n", b"a,b\n1,NA\n2,NA\n3,NA\n4,7\n"),  # two ways to be missing
    ],
)
def test_what_had_no_system_gets_one_and_a_note(data: bytes, same: bytes, tmp_path: Path) -> None:
    source = read_bytes(tmp_path, data)
    files.write(table(source), tmp_path / "copy.csv", source.layout)
    assert (tmp_path / "copy.csv").read_bytes() == same
    assert_frame_equal(table(files.read(tmp_path / "copy.csv", table="t")), table(source))


def test_three_kinds_of_nothing_stay_apart(tmp_path: Path) -> None:
    frame = table(read_bytes(tmp_path, b'text,number,nan\n,NA,1.5\n"",1,NaN\n"NA",2,\nNA,,2\nx,3,3\n'))
    assert frame["text"].to_list() == [None, "", "NA", "NA", "x"]
    assert frame["number"].to_list() == [None, 1, 2, None, 3]
    assert [str(v) for v in frame["nan"]] == ["1.5", "nan", "None", "2.0", "3.0"]


def test_the_whole_column_decides_its_type(tmp_path: Path) -> None:
    frame = table(read_bytes(tmp_path, b"a,b\n" + b"1,2\n" * 20_000 + b"x,2.5\n"))
    assert frame.schema == {"a": pl.String, "b": pl.Float64}


def test_types_of_columns(tmp_path: Path) -> None:
    data = "i;f;d;t;z;b;s;zip\n1;2,5;31.12.2020;10:30;2020-01-01T00:00:00Z;true;é;00123\n"
    frame = table(read_bytes(tmp_path, data.encode()))
    assert frame.row(0) == (
        1, 2.5, dt.date(2020, 12, 31), dt.time(10, 30), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), True, "é", "00123",
    )  # fmt: skip


def test_notes_say_what_was_decided(tmp_path: Path) -> None:
    source = read_bytes(tmp_path, b"day,name\n01/02/2020,caf\xe9\n", "cafe.csv")
    assert any("cp1252" in note for note in source.notes)
    assert any("'day'" in note and "day first" in note for note in source.notes)
    assert list(source.dataset) == ["cafe"]
    assert len(next(iter(source.digests.values()))) == 64


def test_a_file_without_a_header(tmp_path: Path) -> None:
    source = read_bytes(tmp_path, b"1,x\n2,x\n", header=False)
    assert table(source).rows() == [(1, "x"), (2, "x")]
    assert table(source).columns == ["column_1", "column_2"]
    files.write(table(source), tmp_path / "copy.csv", source.layout)
    assert (tmp_path / "copy.csv").read_bytes() == b"1,x\n2,x\n"


def test_missing_rows_of_one_column_are_rows(tmp_path: Path) -> None:
    files.write(
        (pl.DataFrame({"a": [value]}, schema={"a": pl.Int64}) for value in (1, None, None, 2, None)), tmp_path / "t.csv"
    )
    assert table(files.read(tmp_path / "t.csv"))["a"].to_list() == [1, None, None, 2, None]


def test_a_very_long_cell(tmp_path: Path) -> None:
    cell = 'é,"\n' * 250_000
    files.write(pl.DataFrame({"a": [cell, "x"], "b": [1, 2]}), tmp_path / "t.csv")
    assert table(files.read(tmp_path / "t.csv"))["a"].to_list() == [cell, "x"]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", "NA", '"', '""', ",", "\n", "\r\n", "\r", " ", "😀", "\u200b", "a,b", 'x"y', "\x01", "\ufeff", "-", "é;\t|"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.none() | texts, st.none() | texts), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
)
def test_any_text_comes_back(tmp_path: Path, rows: list[tuple[str | None, str | None]], delimiter: str) -> None:
    rows = [("letters", "more letters"), *rows]  # so that no column is one of numbers
    frame = pl.DataFrame(rows, schema={"a": pl.String, 'b\n"': pl.String}, orient="row")
    files.write(frame, tmp_path / "t.csv", Layout(delimiter=delimiter))
    source = files.read(tmp_path / "t.csv")
    if source.layout.delimiter == delimiter and not any("quotes" in n for n in source.notes):
        assert_frame_equal(table(source), frame)
    files.write(table(source), tmp_path / "copy.csv", source.layout)
    assert (tmp_path / "copy.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_our_words(tmp_path: Path, data: bytes) -> None:
    for name in ("t.csv", "t.jsonl", "t.json", "t.parquet", "t.arrow", "t.xlsx", "t.csv.gz"):
        try:
            read_bytes(tmp_path, data, name)
        except (DataError, FileError):
            continue


# ------------------------------------------------------------------------------------------------- other formats

FRAME = pl.DataFrame(
    {
        "i": [1, None, 3],
        "big": [2**53 + 1, -5, None],
        "u": pl.Series([2**64 - 1, 0, None], dtype=pl.UInt64),
        "f": [0.1, 1e300, None],
        "s": ["=1+1", "", None],
        "e": ["é\n\"'", "😀", "\u200b"],
        "b": [True, False, None],
    }
)
TIMES = pl.DataFrame(
    {
        "d": [dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
        "t": [dt.datetime(2020, 1, 2, 3, 4, 5, 6), None, dt.datetime(1600, 1, 1)],
        "z": pl.Series([dt.datetime(2020, 7, 2), None, dt.datetime(2020, 1, 2)]).dt.replace_time_zone("Europe/Madrid"),
        "h": [dt.time(1, 2, 3), None, dt.time(0)],
        "u": [dt.timedelta(days=2, microseconds=5), None, dt.timedelta(0)],
        "c": [Decimal("1.50"), None, Decimal("2.00")],
    }
)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather", "t.ipc"])
def test_columnar_formats_keep_every_type(name: str, tmp_path: Path) -> None:
    nested = pl.DataFrame({"l": [[1], [], None], "x": [b"\0", b"", None], "s": [{"a": 1}, {"a": None}, None]})
    more = pl.DataFrame({"c": pl.Series(["a", "b", None], dtype=pl.Enum(["b", "a", "z"])), "n": [None] * 3})
    frame = pl.concat(
        [FRAME, TIMES.rename({"u": "v"}), nested.rename({"s": "st"}), more.rename({"c": "en"})], how="horizontal"
    )
    files.write((frame for _ in range(3)), tmp_path / name)
    assert_frame_equal(table(files.read(tmp_path / name)), pl.concat([frame] * 3))


def test_small_chunks_make_large_row_groups(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    files.write((pl.DataFrame({"a": range(8192)}) for _ in range(40)), tmp_path / "t.parquet")
    assert parquet.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups <= 4


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.json", "t.jsonl", "t.ndjson"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_text_formats_keep_values(name: str, packing: str, tmp_path: Path) -> None:
    path = tmp_path / (name + packing)
    files.write(iter([FRAME, FRAME]), path)
    assert_frame_equal(table(files.read(path)), pl.concat([FRAME, FRAME]))
    opened = {"": open, ".gz": gzip.open, ".zst": zstd.open}[packing]
    with opened(path, "rb") as file:
        assert "😀".encode() in file.read()


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_times_survive_text(name: str, tmp_path: Path) -> None:
    frame = TIMES.drop("d").with_columns(d=pl.Series([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]))
    files.write(frame, tmp_path / name)
    back = table(files.read(tmp_path / name))
    for column in ("d", "t", "h", "u"):
        assert back[column].to_list() == frame[column].to_list()
    assert back["z"].to_list() == frame["z"].to_list()
    assert back["c"].to_list() == [1.5, None, 2.0]


def test_packed_twice_is_the_same(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        files.write(FRAME, tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_excel(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "i": [1, None, 3],
            "big": [2**53 + 1, 2, 3],
            "f": [0.5, 2.25, None],
            "s": ["=1+1", "http://x", None],
            "b": [True, None, False],
            "d": [dt.date(2020, 1, 2), None, dt.date(9999, 12, 31)],
            "old": [dt.date(1850, 1, 2), None, dt.date(2020, 1, 1)],
            "t": [dt.datetime(2020, 1, 2, 3, 4, 5), None, dt.datetime(2020, 1, 2)],
            "h": [dt.time(1, 2, 3), None, dt.time(0)],
            "none": pl.Series([None] * 3, dtype=pl.String),
        }
    )
    files.write(iter([frame.head(1), frame.tail(2)]), tmp_path / "t.xlsx")
    back = table(files.read(tmp_path / "t.xlsx"))
    text = {"big": frame["big"].cast(pl.String), "old": frame["old"].dt.to_string("%Y-%m-%d")}
    assert_frame_equal(back, frame.with_columns(**text))


def test_several_sheets_are_several_tables(tmp_path: Path) -> None:
    tables = {"people": pl.DataFrame({"id": [1, 2]}), "visits": pl.DataFrame({"of": [1], "what": ["x"]})}
    files.write(tables, tmp_path / "book.xlsx")
    source = files.read(tmp_path / "book.xlsx")
    assert {k: v.to_dict(as_series=False) for k, v in source.dataset.items()} == {
        k: v.to_dict(as_series=False) for k, v in tables.items()
    }


def test_a_mixed_excel_column_is_text_and_said(tmp_path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        sheet = book.add_worksheet()
        for i, value in enumerate(["a", 1, "x"]):
            sheet.write(i, 0, value)
    source = files.read(tmp_path / "t.xlsx")
    assert table(source)["a"].to_list() == ["1", "x"]
    assert any("several kinds" in note for note in source.notes)


def test_excel_column_names_must_differ(tmp_path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        sheet = book.add_worksheet()
        for j in range(2):
            sheet.write(0, j, "a")
            sheet.write(1, j, 1)
    with pytest.raises(DataError, match="'a'"):
        files.read(tmp_path / "t.xlsx")


def test_json_of_several_tables(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"p": [{"a": 1}, {"a": null}], "q": [{"b": "x"}]}')
    source = files.read(tmp_path / "t.json")
    assert source.dataset["p"]["a"].to_list() == [1, None]
    files.write(source.dataset, tmp_path / "copy.json", source.layout)
    assert json.loads((tmp_path / "copy.json").read_text()) == json.loads((tmp_path / "t.json").read_text())


def test_json_types_and_missing_keys(tmp_path: Path) -> None:
    source = read_bytes(
        tmp_path, b'{"a": 1, "b": 18446744073709551615}\n\n{"b": 1, "c": 1.5, "d": "1"}\n{"c": 2}\n', "t.jsonl"
    )
    assert table(source).rows() == [(1, 2**64 - 1, None, None), (None, 1, 1.5, "1"), (None, None, 2.0, None)]
    assert len(source.notes) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"a": 1}, {"a": "x"}]', "column 'a', row 1: holds both number and text"),
        (b'[{"a": 1}, {"a": [2]}]', "column 'a', row 1: holds both list and value"),
        (b'[{"a": 1, "a": 2}]', "column 'a': the key stands twice"),
        (b'[{"a": NaN}]', "NaN is not JSON"),
        (b'[{"a": 1}, 5]', "row 1: an object was wanted"),
        (b'{"a": 1}', "a list of objects"),
        (b'[{"a": 1.5}, {"a": 9007199254740993}]', "above 2\\^53"),
    ],
)
def test_json_that_is_no_table(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_bytes(tmp_path, data, "t.json")


def test_a_broken_json_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="line 3, column"):
        read_bytes(tmp_path, b'{"a": 1}\n{"a": 2}\n{"a": \n', "t.jsonl")


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'a', row 1: JSON has no NaN"):
        files.write(pl.DataFrame({"a": [1.0, float("nan")]}), tmp_path / "t.json")
    assert left_in(tmp_path) == []


def test_a_folder_is_a_dataset(tmp_path: Path) -> None:
    tables = {"p": pl.DataFrame({"a": [1, 2]}), "q": pl.DataFrame({"b": ["x"]})}
    files.write(tables, tmp_path / "data")
    (tmp_path / "data" / "readme.md").write_text("hello")
    assert left_in(tmp_path / "data") == ["p.csv", "q.csv", "readme.md"]
    source = files.read(tmp_path / "data")
    assert source.dataset["q"].rows() == [("x",)]
    assert any("readme.md" in note for note in source.notes)
    files.write(source.dataset, tmp_path / "copy", source.layout)
    assert (tmp_path / "copy" / "p.csv").read_bytes() == (tmp_path / "data" / "p.csv").read_bytes()


def test_a_table_in_a_folder_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a\n1\n")
    (tmp_path / "q.csv").write_text("b,c\n")
    assert files.read(tmp_path).dataset["q"].shape == (0, 2)


def test_one_table_name_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a\n1\n")
    (tmp_path / "p.tsv").write_text("a\n1\n")
    with pytest.raises(FileError, match=r"'p' stands in both p\.csv and p\.tsv"):
        files.read(tmp_path)


# ------------------------------------------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"\n\n", "is empty"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b\n1,\0\n", "NUL bytes"),
        ("t.csv", b"\xff\xfea\x00b", "marked as utf-16"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 100, mtime=0)[:-9], "damaged or cut off"),
        ("t.csv.zst", zstd.compress(b"a,b\n1,2\n" * 100)[:-5], "damaged or cut off"),
        ("t.parquet", b"PAR1 nothing", "not a whole parquet file"),
        ("t.arrow", b"ARROW1 nothing", "not a whole arrow file"),
        ("t.xlsx", b"PK nothing", "not a whole Excel workbook"),
        ("t.json", b"", "is empty"),
        ("t.json", b"[{]", "line 1"),
        ("t.json", b"\xff\xff", "UTF-8"),
        ("t.dat", b"a,b\n", "suffix '.dat' is not known"),
        ("t", b"a,b\n", "suffix was wanted"),
        ("t.parquet.gz", b"a,b\n", "own compression"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=message):
        read_bytes(tmp_path, data, name)


def test_a_cut_parquet_file(tmp_path: Path) -> None:
    files.write(FRAME, tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    for end in (10, len(data) // 2, len(data) - 1):
        with pytest.raises(FileError, match="not a whole parquet file"):
            read_bytes(tmp_path, data[:end], "cut.parquet")


def test_a_missing_file_names_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "adult.csv").write_text("a\n1\n")
    with pytest.raises(FileError, match=r"did you mean 'adult\.csv'"):
        files.read(tmp_path / "adlut.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no data files"):
        files.read(tmp_path / "empty")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"a,b,a,b,c\n1,2,3,4,5\n",
            "stand twice in the header: 'a', 'b'.*Rename column 3 of the file, which holds some",
        ),
        (
            b'a,b,a\n1,2,1\n"x",4,x\n',
            "twice in the header: 'a'.*Delete column 3 of the file, which holds what column 1",
        ),
        (b"a,b\n1,2\n3\n", "row 1: line 3 has 1 cells"),
        (b"a,b\n1,2\n3,4,5\n", "row 1: line 3 has 3 cells"),
        (b"a,b\n1\n1,2,3\n", "row 0: line 2 has 1 cells"),
        (b'a,b\n"x\ny",2\n3,4,5\n', "row 1: line 4 has 3 cells"),
        (b'a,b\n1,"open\n2,3,4\n', "line 3 has 3 cells"),
    ],
)
def test_rows_and_names_that_do_not_fit(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_bytes(tmp_path, data)


# ------------------------------------------------------------------------------------------------- whole or not at all

WRITABLE = ["t.csv", "t.csv.gz", "t.csv.zst", "t.parquet", "t.arrow", "t.jsonl", "t.json", "t.xlsx"]


@pytest.mark.parametrize("name", WRITABLE)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(name: str, error: type[BaseException], tmp_path: Path) -> None:
    def chunks() -> Iterator[pl.DataFrame]:
        yield from [FRAME] * 3
        raise error("stop")

    with pytest.raises(error):
        files.write(chunks(), tmp_path / name)
    assert left_in(tmp_path) == []
    (tmp_path / name).write_bytes(b"before")
    with pytest.raises(error):
        files.write(chunks(), tmp_path / name)
    assert left_in(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"before"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_ctrl_c_leaves_nothing(name: str, tmp_path: Path) -> None:
    program = (
        "import sys, time, polars as pl\nfrom verosim import files\n"
        "def chunks():\n"
        "    while True:\n"
        "        yield pl.DataFrame({'a': range(200_000)})\n"
        "        print('chunk', flush=True)\n"
        "        time.sleep(0.05)\n"
        "files.write(chunks(), sys.argv[1])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / name)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode
    assert left_in(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
@pytest.mark.parametrize("format", ["csv", "parquet", "arrow", "jsonl", "json", "xlsx"])
def test_a_full_disk_is_said(format: str) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        files.write(pl.DataFrame({"a": range(100_000)}), "/dev/full", format=format)


def test_a_failure_in_a_folder_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[pl.DataFrame]:
        yield FRAME
        raise KeyError("stop")

    with pytest.raises(KeyError):
        files.write({"p": FRAME, "q": chunks()}, tmp_path / "data")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", WRITABLE)
def test_no_rows_are_a_header(name: str, tmp_path: Path) -> None:
    files.write(FRAME.clear(), tmp_path / name)
    assert left_in(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITABLE)
def test_chunks_must_be_alike_and_at_least_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="other columns"):
        files.write(iter([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": ["x"]})]), tmp_path / name)
    with pytest.raises(ArgumentError, match="at least one"):
        files.write(iter([]), tmp_path / name)
    assert left_in(tmp_path) == []


def test_chunking_does_not_show(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(1000), "b": ["x,y"] * 1000})
    for name in ("t.csv", "t.jsonl", "t.json", "t.parquet", "t.csv.gz"):
        files.write(frame, tmp_path / f"whole.{name}")
        files.write((frame.slice(i, 7) for i in range(0, 1000, 7)), tmp_path / f"parts.{name}")
        assert (tmp_path / f"whole.{name}").read_bytes() == (tmp_path / f"parts.{name}").read_bytes()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/t.csv", "there is no folder"),
        ("t.dat", "is not known"),
    ],
)
def test_a_path_that_cannot_be_written_fails_first(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=message):
        files.check_writable(tmp_path / name)
    with pytest.raises(FileError, match=message):
        files.write(FRAME, tmp_path / name)


def test_check_writable_leaves_nothing(tmp_path: Path) -> None:
    for name in ("t.csv", "new"):
        files.check_writable(tmp_path / name)
    files.check_writable(tmp_path)
    files.check_writable("-")
    assert left_in(tmp_path) == []


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "real.csv").chmod(0o640)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    files.write(FRAME, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("i,big")
    assert stat.S_IMODE(os.stat(tmp_path / "real.csv").st_mode) == 0o640


def test_json_holds_lists_and_objects(tmp_path: Path) -> None:
    nested = pl.DataFrame({"x": [[1, 2], []], "o": [{"day": dt.date(2024, 2, 29)}, {"day": None}]})
    files.write(nested, tmp_path / "t.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert lines == [{"x": [1, 2], "o": {"day": "2024-02-29"}}, {"x": [], "o": {"day": None}}]


def test_what_a_format_cannot_hold_is_named(tmp_path: Path) -> None:
    nested = pl.DataFrame({"a": [1], "x": [[1]]})
    for name in ("t.csv", "t.xlsx"):
        with pytest.raises(DataError, match="column 'x'"):
            files.write(nested, tmp_path / name)
    with pytest.raises(DataError, match="cannot be written in cp1252"):
        files.write(pl.DataFrame({"a": ["😀"]}), tmp_path / "t.csv", Layout(encoding="cp1252"))
    with pytest.raises(DataError, match="column 's', row 0: a cell holds"):
        files.write(pl.DataFrame({"s": ["x" * 40_000]}), tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="a sheet holds no more"):
        files.write(pl.DataFrame({"s": range(1_048_576)}), tmp_path / "t.xlsx")
    with pytest.raises(ArgumentError, match="do not fit one csv file"):
        files.write({"p": FRAME, "q": FRAME}, tmp_path / "t.csv")
    assert left_in(tmp_path) == []


def test_a_layout_is_checked() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'delimiter'"):
        Layout.from_dict({"delimeter": ";"})
    with pytest.raises(ArgumentError, match="one character"):
        Layout(delimiter="::")


def test_standard_input_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def __init__(self, data: bytes = b"") -> None:
            self.buffer = io.BytesIO(data)

    monkeypatch.setattr(sys, "stdin", Stream(b"a;b\n1;x\n"))
    monkeypatch.setattr(sys, "stdout", out := Stream())
    source = files.read("-")
    assert source.dataset["table"].rows() == [(1, "x")]
    files.write(table(source), "-", source.layout)
    assert out.buffer.getvalue() == b"a;b\n1;x\n"
    monkeypatch.setattr(sys, "stdout", out := Stream())
    files.write(FRAME, "-", format="jsonl")
    assert out.buffer.getvalue().count(b"\n") == 3


def test_another_format_keeps_the_forms(tmp_path: Path) -> None:
    source = read_bytes(tmp_path, b"a;b\n1,50;31/12/2020\n")
    files.write(table(source), tmp_path / "t.tsv", source.layout)
    assert (tmp_path / "t.tsv").read_bytes() == b"a\tb\n1,50\t31/12/2020\n"
    files.write(table(source), tmp_path / "t.parquet", source.layout)
    assert table(files.read(tmp_path / "t.parquet")).rows() == [(1.5, dt.date(2020, 12, 31))]


@pytest.mark.skipif(not shared.exists(), reason="the shared example data is absent")
@pytest.mark.parametrize("name", ["clinic", "northwind", "chinook", "sakila"])
def test_real_databases_come_back(name: str, tmp_path: Path) -> None:
    for path in sorted((shared / "data" / "relational" / name).glob("**/*.csv"))[:8]:
        source = files._read_file(path, None, None, True)  # an empty table is no fault here
        files.write(table(source), tmp_path / "copy.csv", source.layout)
        if not any("written as" in n or "lines" in n or "quotes" in n for n in source.notes):
            again = files._read_file(tmp_path / "copy.csv", None, None, True)
            assert_frame_equal(table(again), table(source))
