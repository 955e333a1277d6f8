"""A pandas frame leaves as it came in: values, types, labels and order."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from verosim.frames import Shape, cells, enter, leave

NAN = float("nan")
MADRID = "Europe/Madrid"


def saved(shape: Shape) -> Shape:
    """The shape after it went to a model file and back."""
    again = Shape.from_dict(json.loads(json.dumps(shape.to_dict())))
    assert again == shape
    return again


def there_and_back(data: Any) -> Any:
    dataset, shape = enter(data)
    return leave(dataset, saved(shape))


def inside(data: Any) -> pl.DataFrame:
    return enter(data)[0]["table"]


def objects(*values: Any) -> pd.Series:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return pd.Series(out, dtype=object)


def zoned(texts: list[str], unit: str) -> pd.Series:
    """These times, of UTC, in Madrid."""
    return pd.Series(pd.DatetimeIndex(np.array(texts, f"M8[{unit}]"), tz="UTC").tz_convert(MADRID))


def arrow_backed(values: list[Any], kind: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)])))


INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
PANDAS: dict[str, Callable[[], pd.Series]] = {
    **{name: lambda name=name: pd.Series([0, 1, 0, np.iinfo(name).max, np.iinfo(name).min], dtype=name)
       for name in INTS},
    **{name: lambda name=name: pd.Series([1.5, NAN, -0.0, np.inf, -np.inf, np.finfo(name).max], dtype=name)
       for name in ("float16", "float32", "float64")},
    "big-endian": lambda: pd.Series(np.array([1, 2**53 + 1], dtype=">i8")),
    "integral float": lambda: pd.Series([1.0, NAN, 3.0]),
    "all NaN": lambda: pd.Series([NAN, NAN]),
    "bool": lambda: pd.Series([True, False, True]),
    **{f"datetime64[{unit}]": lambda unit=unit: pd.Series(np.array(["2020-02-29T12:30:01", "NaT"], dtype=f"M8[{unit}]"))
       for unit in ("s", "ms", "us", "ns")},
    "all NaT": lambda: pd.Series(np.array(["NaT", "NaT"], dtype="M8[ns]")),
    "far times": lambda: pd.Series(np.array(["0001-01-01", "1600-01-01", "9999-12-31", "NaT"], dtype="M8[us]")),
    "farther times": lambda: pd.Series(np.array(["-9999-01-01", "123456-01-01", "NaT"], dtype="M8[s]")),
    **{f"timedelta64[{unit}]": lambda unit=unit: pd.Series(np.array([-1, 0, "NaT", 10**9], dtype=f"m8[{unit}]"))
       for unit in ("s", "ms", "us", "ns")},
    "Madrid": lambda: zoned(["2020-10-25T00:30", "2020-10-25T01:30", "NaT"], "us"),  # the hour that comes twice
    "UTC": lambda: pd.Series(pd.DatetimeIndex(["2020-10-25T00:30", None], tz="UTC")),
    "fixed offset": lambda: pd.Series(pd.to_datetime(["2020-01-01T00:00+05:30", None]).as_unit("us")),
    "far zoned": lambda: zoned(["1200-01-01", "9999-01-01"], "s"),
    **{name: lambda name=name: pd.Series([0, None, 7], dtype=name) for name in
       ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")},
    "Int64 large": lambda: pd.Series([2**63 - 1, None, -(2**63), 2**53 + 1], dtype="Int64"),
    "Float64 NaN and NA": lambda: pd.Series(
        pd.arrays.FloatingArray(np.array([1.5, NAN, 0.0]), np.array([False, False, True]))),
    "boolean": lambda: pd.Series([True, None, False], dtype="boolean"),
    "str": lambda: pd.Series(["x", None, "", "nan", "None", "NA", "00123", "e\u0301 \u200b 👩‍👧 ‏ע\0"]),
    "string[python]": lambda: pd.Series(["x", None, ""], dtype=pd.StringDtype("python")),
    "string[pyarrow]": lambda: pd.Series(["x", None, ""], dtype=pd.StringDtype("pyarrow")),
    "category": lambda: pd.Series(["b", None, "a", "b"], dtype=pd.CategoricalDtype(["b", "unused", "a"])),
    "category ordered": lambda: pd.Series(
        ["low", None, "high"], dtype=pd.CategoricalDtype(["low", "mid", "high"], ordered=True)),
    "category of numbers": lambda: pd.Series([3, 1, None, 3], dtype=pd.CategoricalDtype([3, 2, 1])),
    "category of floats": lambda: pd.Series([0.1, None], dtype=pd.CategoricalDtype([0.1, 1e300])),
    "category of bools": lambda: pd.Series([True, None]).astype("category"),
    "category of objects": lambda: objects(1, "1", None, "int:1").astype("category"),
    "category of times": lambda: pd.Series(pd.DatetimeIndex(np.array([0, "NaT", 1], "M8[ns]"))).astype("category"),
    "category of dates": lambda: objects(date(2020, 1, 1), None).astype("category"),
    "category without levels": lambda: pd.Series([None, None], dtype=pd.CategoricalDtype([])),
    "object text None": lambda: objects("a", None, ""),
    "object text nan": lambda: objects("a", NAN, "NaN"),
    "object text NA": lambda: objects("a", pd.NA),
    "object text None and nan": lambda: objects("a", None, NAN, ""),
    "object bool": lambda: objects(True, None, False),
    "object bool nan": lambda: objects(True, NAN, False),
    "object int": lambda: objects(1, None, 2**63 - 1),
    "object int unsigned": lambda: objects(0, None, 2**64 - 1),
    "object int 128": lambda: objects(-(2**100), None, 2**100),
    "object int beyond": lambda: objects(10**60, None, -1),
    "object float": lambda: objects(1.5, NAN, -0.0),
    "object float None": lambda: objects(1.5, None),
    "object float None and nan": lambda: objects(1.5, None, NAN),
    "object int and float": lambda: objects(1, 2.5, NAN, -(2**53), float("inf")),
    "object int and whole float": lambda: objects(1, 1.0, None),
    "object int large and float": lambda: objects(2**53 + 1, 2.5),
    "object Decimal": lambda: objects(Decimal("1.10"), None, Decimal("-20.00")),
    "object Decimal long": lambda: objects(Decimal("12345678901234567890123456789012345.678"), Decimal("0.001")),
    "object Decimal beyond": lambda: objects(Decimal("1e-60"), None, Decimal("1.5")),
    "object Decimal inf": lambda: objects(Decimal("Infinity"), None, Decimal("1.5")),
    "object date": lambda: objects(date(1, 1, 1), None, date(9999, 12, 31)),
    "object time": lambda: objects(time(0), None, time(23, 59, 59, 999999)),
    "object datetime": lambda: objects(datetime(1500, 1, 1), None, datetime(9999, 12, 31, 23, 59, 59, 999999)),
    "object datetime zone": lambda: objects(datetime(2020, 7, 1, tzinfo=ZoneInfo(MADRID)), None),
    "object datetime UTC": lambda: objects(datetime(2020, 7, 1, tzinfo=UTC), None),
    "object datetime offset": lambda: objects(
        datetime(2020, 7, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), None),
    "object timedelta": lambda: objects(timedelta(days=200_000, microseconds=1), None, timedelta(microseconds=-1)),
    "object bytes": lambda: objects(b"\xff\0", None, b""),
    "object UUID": lambda: objects(UUID(int=1), None, UUID(int=2**128 - 1)),
    "object Timestamp": lambda: objects(pd.Timestamp("2020-01-01T00:00:00.000000001"), pd.NaT),
    "object Timestamp None": lambda: objects(pd.Timestamp("2020-01-01"), None),
    "object Timestamp zone": lambda: objects(pd.Timestamp("2020-01-01", tz=MADRID), pd.NaT),
    "object Timedelta": lambda: objects(pd.Timedelta(5, "ns"), pd.NaT),
    "object nothing None": lambda: objects(None, None),
    "object nothing nan": lambda: objects(NAN, NAN),
    "object nothing NA": lambda: objects(pd.NA, pd.NA),
    "object nothing NaT": lambda: objects(pd.NaT, pd.NaT),
    "object mixed": lambda: objects(
        1, "1", None, "a", 1.0, True, "int:1", Decimal("1.0"), date(2020, 1, 1), b"\0", "None"),
    "object mixed missing": lambda: objects("a", None, NAN, pd.NA, pd.NaT, 1),
    "object mixed times": lambda: objects(
        date(2020, 1, 1), datetime(2020, 1, 1), time(1), timedelta(1), pd.Timestamp("2020"), pd.Timedelta(-1, "ns")),
    "object numpy scalars": lambda: objects(np.int64(3), 4, None),
    "arrow string": lambda: arrow_backed(["a", None], pa.string()),
    "arrow int": lambda: arrow_backed([2**63 - 1, None], pa.int64()),
    "arrow decimal": lambda: arrow_backed([Decimal("1.10"), None], pa.decimal128(10, 2)),
    "arrow date": lambda: arrow_backed([date(2020, 1, 1), None], pa.date32()),
    "arrow time": lambda: arrow_backed([time(1, 2, 3), None], pa.time32("s")),
    "arrow timestamp": lambda: arrow_backed([datetime(2020, 1, 1, tzinfo=UTC), None], pa.timestamp("us", MADRID)),
    "arrow dictionary": lambda: arrow_backed(["b", None, "a"], pa.dictionary(pa.int32(), pa.string())),
    "arrow binary": lambda: arrow_backed([b"\0", None], pa.binary()),
    "arrow bool": lambda: arrow_backed([True, None], pa.bool_()),
}  # fmt: skip


def assert_same(new: pd.DataFrame, old: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(new, old, check_exact=True)
    for place, dtype in enumerate(old.dtypes):
        assert new.dtypes.iloc[place] == dtype
        if dtype == np.dtype("O"):
            first, second = cells.plain(new.iloc[:, place]), cells.plain(old.iloc[:, place])
            assert list(map(type, first)) == list(map(type, second))
            assert list(map(str, first)) == list(map(str, second))


@pytest.mark.parametrize("name", PANDAS)
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "complete"])
def test_pandas_returns_as_it_was(name: str, missing: bool) -> None:
    series = PANDAS[name]()
    if not missing:
        series = series[series.notna()].reset_index(drop=True)
        if series.empty:
            series = PANDAS[name]()
    frame = pd.DataFrame({"x": series, "row": np.arange(len(series))})
    assert_same(there_and_back(frame), frame)


@pytest.mark.parametrize("name", PANDAS)
def test_pandas_types_hold_for_no_rows_and_for_some(name: str) -> None:
    frame = pd.DataFrame({"x": PANDAS[name]()})
    dataset, shape = enter(frame)
    assert_same(shape.leave_table("table", dataset["table"].clear()), frame.iloc[:0].reset_index(drop=True))
    assert_same(shape.leave_table("table", dataset["table"].head(1)), frame.iloc[:1])


@pytest.mark.parametrize("name", PANDAS)
def test_the_callers_frame_is_not_changed(name: str) -> None:
    frame, same = pd.DataFrame({"x": PANDAS[name]()}), pd.DataFrame({"x": PANDAS[name]()})
    dataset, shape = enter(frame)
    new = leave(dataset, shape)
    new.iloc[0, 0] = new.iloc[-1, 0]  # what left can be written to, and has nothing in common with what is inside
    assert_same(frame, same)
    assert_same(leave(dataset, shape), same)


@pytest.mark.parametrize("name", [n for n, make in PANDAS.items() if isinstance(make().dtype, np.dtype)])
def test_the_callers_memory_is_read_once(name: str) -> None:
    array = np.array(PANDAS[name]())
    array.flags.writeable = False
    frame = pd.DataFrame({"x": pd.Series(array, dtype=array.dtype, copy=False)}, copy=False)
    assert np.shares_memory(frame["x"].to_numpy(), array)
    dataset, _ = enter(frame)
    file = dataset["table"].write_ipc(None)
    file.seek(0)
    array.flags.writeable = True
    array[0] = array[-1]
    assert_frame_equal(dataset["table"], pl.read_ipc(file))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("int64", pl.Int64()), ("uint64", pl.UInt64()), ("float16", pl.Float32()), ("bool", pl.Boolean()),
        ("Int64", pl.Int64()), ("boolean", pl.Boolean()), ("str", pl.String()), ("datetime64[s]", pl.Datetime("ms")),
        ("Madrid", pl.Datetime("us", MADRID)), ("fixed offset", pl.Datetime("us", "UTC")),
        ("timedelta64[ns]", pl.Duration("ns")), ("category", pl.Enum(["b", "unused", "a"])),
        ("category of numbers", pl.Enum(["3", "2", "1"])), ("object bool nan", pl.Boolean()),
        ("object int", pl.Int64()),
        ("object Decimal", pl.Decimal(38, 2)), ("object date", pl.Date()), ("object time", pl.Time()),
        ("object mixed", pl.String()),
        ("object int and float", pl.Float64()), ("object int and whole float", pl.String()),
        ("object nothing nan", pl.Null()), ("object Timestamp", pl.Datetime("ns")),
        ("object datetime zone", pl.Datetime("us", MADRID)), ("object bytes", pl.Binary()),
    ],
)  # fmt: skip
def test_pandas_types_inside(name: str, wanted: pl.DataType) -> None:
    frame = inside(pd.DataFrame({"x": PANDAS[name]()}))
    assert frame.schema["x"] == wanted
    assert not frame["x"].is_nan().any() if frame.schema["x"].is_float() else True


def test_missing_values_have_three_states() -> None:
    assert inside(pd.DataFrame({"x": objects("a", None, "", NAN)}))["x"].to_list() == ["a", None, "", "float:nan"]
    assert inside(pd.DataFrame({"x": objects(1.5, None, NAN)}))["x"].is_nan().to_list() == [False, None, True]
    frame = pl.DataFrame({"x": [1.5, None, NAN], "t": ["", None, "NaN"]})
    assert there_and_back(frame).equals(frame)


LABELS: dict[str, Callable[[], Any]] = {
    "range": lambda: pd.RangeIndex(3),
    "text": lambda: ["a", "index", "col.value"],
    "odd text": lambda: ["", " a b-(c)+\0\n", "👩‍👧 é e\u0301 ‏ע" * 40],
    "clash": lambda: [1, "1", "1 (int)"],
    "numbers": lambda: [5, -1, 2**40],
    "floats": lambda: [0.5, 1.0, NAN],
    "bools": lambda: [True, False, "x"],
    "None": lambda: pd.Index([None, "a", 3], dtype=object),
    "nan and text": lambda: ["a", NAN, "b"],
    "times": lambda: pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]),
    "dates": lambda: [date(2020, 1, 1), "a", "b"],
    "named": lambda: pd.Index(["a", "b", "c"], name="field"),
    "named by a number": lambda: pd.Index(["a", "b", "c"], name=7),
    "reserved": lambda: ["int:1", "str:a", "NoneType:"],
}


@pytest.mark.parametrize("name", LABELS)
def test_pandas_labels_return_as_they_were(name: str) -> None:
    frame = pd.DataFrame([[1, 2.5, "a"]], columns=LABELS[name]())
    new = there_and_back(frame)
    pd.testing.assert_frame_equal(new, frame, check_column_type="exact" if name == "range" else "equiv")
    assert list(map(type, new.columns)) == list(map(type, frame.columns))
    assert all(isinstance(n, str) for n in inside(frame).columns)


def test_labels_of_categories_return_as_plain_labels() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["a", "b"]))
    dataset, shape = enter(frame)
    assert list(leave(dataset, shape).columns) == ["a", "b"]
    assert "category" in shape.notes[0]


def test_the_index_is_left_out_and_this_is_said() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=["a", "a", "b"])
    dataset, shape = enter(frame)
    assert "index" in shape.notes[0]
    assert_same(leave(dataset, shape), frame.reset_index(drop=True))
    pairs = pd.DataFrame({"x": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
    assert_same(there_and_back(pairs), pairs.reset_index(drop=True))
    assert enter(pd.DataFrame({"x": [1]}))[1].notes == ()


def test_columns_of_mixed_types_are_named_in_the_notes() -> None:
    shape = enter(pd.DataFrame({"a": objects(1, "1"), "b": [1, 2]}))[1]
    assert len(shape.notes) == 1
    assert "'a'" in shape.notes[0]


def test_decimals_of_several_scales_return_at_the_finest() -> None:
    frame = pd.DataFrame({"x": objects(Decimal("1.5"), Decimal("1E+2"), Decimal("0.125"))})
    dataset, shape = enter(frame)
    assert leave(dataset, shape)["x"].tolist() == frame["x"].tolist()
    assert "finest" in shape.notes[0]


cell = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(), st.datetimes(),
    st.times(), st.uuids(), st.decimals(allow_nan=False), st.timedeltas(-timedelta(days=10**6), timedelta(days=10**6)),
)  # fmt: skip


@given(st.one_of(st.lists(cell, min_size=1), *[st.lists(s | st.none(), min_size=1) for s in cell.element_strategies]))
@settings(max_examples=300, deadline=None)
def test_any_python_values_return_as_they_were(values: list[Any]) -> None:
    new = there_and_back(pd.DataFrame({"x": objects(*values)}))["x"].tolist()
    assert list(map(type, new)) == list(map(type, values))
    assert all(n == v or (n != n and v != v) for n, v in zip(new, values, strict=True))


@given(cell)
@settings(deadline=None)
def test_a_value_as_text_is_the_value(value: Any) -> None:
    again = cells.from_text(cells.to_text(value))
    assert type(again) is type(value)
    assert again == value or value != value


@given(st.text())
def test_any_text_can_be_read_as_a_value(text: str) -> None:
    cells.from_text(f"int:{text}"), cells.from_text(f"date:{text}"), cells.from_text(f"Timestamp:{text}")
    assert cells.from_text(cells.to_text(text)) == text
