"""Event logs as XES: what is written is read again, what others write is read, and what is no log is refused."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from verosim import files
from verosim.errors import DataError, FileError
from verosim.files import Layout
from verosim.files.xes import read

LOG = """<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/" xes.version="2.0">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <global scope="event"><string key="concept:name" value="?"/></global>
  <string key="source" value="a shop"/>
  <trace>
    <string key="concept:name" value="order 1"/><int key="items" value="3"/>
    <event><string key="concept:name" value="pay &amp; go"/>
      <date key="time:timestamp" value="2024-01-01T09:00:00.500+01:00"/><float key="amount" value="2"/></event>
    <event><string key="concept:name" value="send"/><date key="time:timestamp" value="2024-07-01T09:00:00+02:00"/>
      <int key="amount" value="7"/><boolean key="late" value="true"/>
      <list key="parts"><values><string key="part" value="box"/></values></list></event>
  </trace>
  <trace><string key="concept:name" value="order 2"/></trace>
</log>"""


def test_what_others_write() -> None:
    frame, notes = read(LOG.encode(), "log.xes", "log")
    berlin = ZoneInfo("Europe/Berlin")
    assert frame.to_dict(as_series=False) == {
        "case:concept:name": ["order 1", "order 1"],
        "concept:name": ["pay & go", "send"],
        "time:timestamp": [datetime(2024, 1, 1, 9, 0, 0, 500_000, berlin), datetime(2024, 7, 1, 9, tzinfo=berlin)],
        "case:items": [3, 3],
        "amount": [2.0, 7.0],
        "late": [None, True],
    }
    assert notes == [
        "1 of 2 cases have no event and were left out",
        "2 attributes within attributes were left out",
        "1 attributes of the log itself were left out",
        "time:timestamp: the offsets are those of Europe/Berlin",
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), TEXTS, st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
            st.none() | st.floats(allow_nan=False), st.none() | st.booleans(),
            st.none() | st.integers(-(2**63), 2**63 - 1),
        ),
        min_size=1,
    )
)  # fmt: skip
def test_a_round_trip_keeps_everything(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, ...]]
) -> None:
    names = ["case:concept:name", "concept:name", "time:timestamp", "x", "yes", "n"]
    types = [pl.Int64, pl.String, pl.Datetime("us", "UTC"), pl.Float64, pl.Boolean, pl.Int64]
    frame = pl.DataFrame(rows, dict(zip(names, types, strict=True)), orient="row").cast({names[0]: pl.String})
    frame = frame.sort(names[0], maintain_order=True)
    frame = frame.select(names[:3] + [n for n in names[3:] if frame[n].null_count() < len(frame)])
    path = tmp_path_factory.mktemp("xes") / "log.xes.gz"
    files.write(frame, path)
    found = files.read(path)
    assert_frame_equal(found.dataset["log"], frame, check_column_order=False)
    assert found.layout == Layout("xes", compression="gzip")


def test_a_case_stays_one_trace_over_chunks(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"case": [1, 1, 1, 2, 2], "what": list("abcab"), "at": [datetime(2024, 1, d) for d in range(1, 6)]}
    )
    layout = Layout("xes", keys={"case": "case:concept:name", "what": "concept:name", "at": "time:timestamp"})
    files.write(iter([frame[:2], frame[2:4], frame[4:]]), tmp_path / "log.xes", layout)
    files.write(frame, tmp_path / "whole.xes", layout)
    text = (tmp_path / "log.xes").read_text()
    assert text == (tmp_path / "whole.xes").read_text()
    assert text.count("<trace>") == 2
    with pytest.raises(DataError, match="the rows of case 1 are not together"):
        files.write(iter([frame[:2], frame[3:], frame[2:3]]), tmp_path / "bad.xes", layout)
    assert not (tmp_path / "bad.xes").exists()


def test_offsets_that_never_change_are_a_zone() -> None:
    frame, notes = read(LOG.replace("+02:00", "+01:00").encode(), "log.xes", "log")
    assert frame["time:timestamp"].dt.hour().to_list() == [9, 9]
    assert frame["time:timestamp"][0] == datetime(2024, 1, 1, 8, 0, 0, 500_000, UTC)
    assert not any("offset" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html/>", "a <log> was wanted"),
        (LOG[:700], "no whole XES file"),
        ("not xml", "no whole XES file"),
        ("<log/>", "no trace stands in this log"),
        ("<log><trace/></log>", "none of the 1 traces has an event"),
        ('<log><trace><event><string key="a"/></event></trace></log>', "lacks its key or value"),
        ('<!DOCTYPE log [<!ENTITY a "b">]><log/>', "refused"),
        ('<!DOCTYPE log SYSTEM "file:///etc/passwd"><log/>', "refused"),
    ],
)
def test_what_is_no_log_is_refused(text: str, said: str) -> None:
    with pytest.raises(FileError, match=said):
        read(text.encode(), "log.xes", "log")


@pytest.mark.parametrize(
    ("old", "new"), [('value="3"', 'value="three"'), ("2024-07-01T", "soon"), ('value="true"', 'value="maybe"')]
)
def test_a_value_that_is_not_of_its_type_is_named(old: str, new: str) -> None:
    with pytest.raises(DataError, match=r"three|soon|maybe") as error:
        read(LOG.replace(old, new).encode(), "log.xes", "log")
    assert "row" in str(error.value)


def test_a_table_without_cases_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column says the case"):
        files.write(pl.DataFrame({"a": [1]}), tmp_path / "log.xes")
    with pytest.raises(DataError, match="an event of no case"):
        files.write(pl.DataFrame({"case:concept:name": ["a", None]}), tmp_path / "log.xes")


def test_packed_by_others(tmp_path: Path) -> None:
    (tmp_path / "log.xes.gz").write_bytes(gzip.compress(LOG.encode()))
    assert files.read(tmp_path / "log.xes.gz").dataset["log"].height == 2
