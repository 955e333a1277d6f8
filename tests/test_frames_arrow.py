"""A pyarrow table leaves as it came in: values, types, levels and null flags."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from verosim.errors import DataError
from verosim.frames import Shape, enter, leave

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


ARROW: dict[str, tuple[pa.DataType, list[Any]]] = {
    **{str(t): (t, [0, None, 7]) for t in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32())},
    "int64": (pa.int64(), [2**63 - 1, None, 2**53 + 1, -(2**63)]),
    "uint64": (pa.uint64(), [2**64 - 1, None, 2**53 + 1]),
    "float16": (pa.float16(), [np.float16(1.5), None, np.float16("nan"), np.float16("inf")]),
    "float32": (pa.float32(), [1.5, None, NAN, np.inf]),
    "float64": (pa.float64(), [0.1, None, NAN, -np.inf]),
    "bool": (pa.bool_(), [True, None, False]),
    **{str(t): (t, ["", None, "é\0👩‍👧"]) for t in (pa.string(), pa.large_string(), pa.string_view())},
    **{str(t): (t, [b"abc", None, b"\0\xff\1"]) for t in (
        pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3))},
    "decimal32": (pa.decimal32(5, 2), [Decimal("1.10"), None]),
    "decimal64": (pa.decimal64(15, 2), [Decimal("1.10"), None]),
    "decimal128": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), None]),
    "decimal256": (pa.decimal256(38, 3), [Decimal("1.101"), None]),
    "date32": (pa.date32(), [date(1, 1, 1), None, date(9999, 12, 31)]),
    "date64": (pa.date64(), [date(1, 1, 1), None, date(9999, 12, 31)]),
    **{str(t): (t, [time(1, 2, 3), None]) for t in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))},
    **{str(t): (t, [10**9, None, -1]) for u in ("s", "ms", "us", "ns") for t in (pa.timestamp(u), pa.duration(u))},
    **{str(t): (t, [10**9, None, -1]) for t in (
        pa.timestamp("s", MADRID), pa.timestamp("us", "UTC"), pa.timestamp("ns", "+05:30"),
        pa.timestamp("ms", "-03:30"),
    )},
    "far timestamp": (pa.timestamp("s"), [-(10**12), 10**12]),
    "null": (pa.null(), [None, None]),
}  # fmt: skip


def dictionary(codes: list[int | None], levels: list[Any], index: str = "int8", ordered: bool = False) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, index), pa.array(levels), ordered=ordered)


DICTIONARIES: dict[str, Callable[[], pa.Array]] = {
    "text": lambda: dictionary([2, None, 0], ["c", "unused", "a"]),
    "ordered": lambda: dictionary([2, None, 0], ["c", "b", "a"], "int32", ordered=True),
    "numbers": lambda: dictionary([1, 0, None], [30, 10], "uint16"),
    "floats": lambda: dictionary([1, 0], [0.5, 0.1]),
    "dates": lambda: dictionary([1, 0, None], [date(2020, 1, 1), date(2019, 1, 1)]),
    "large text": lambda: dictionary([0], ["a"]).cast(pa.dictionary(pa.int64(), pa.large_string())),
}


@pytest.mark.parametrize("name", ARROW)
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "complete"])
def test_arrow_returns_as_it_was(name: str, missing: bool) -> None:
    kind, values = ARROW[name]
    values = values if missing or name == "null" else [v for v in values if v is not None]
    table = pa.table({"x": pa.array(values, kind), "row": range(len(values))})
    new = there_and_back(table)
    assert new.schema.equals(table.schema)
    assert new.equals(table) or "float" in name  # NaN is not equal to itself
    if "float" in name:
        assert str(new.to_pydict()) == str(table.to_pydict())
    dataset, shape = enter(table)
    assert shape.leave_table("table", dataset["table"].clear()).equals(table.slice(0, 0))


@pytest.mark.parametrize("name", DICTIONARIES)
def test_arrow_dictionaries_keep_all_levels(name: str) -> None:
    table = pa.table({"x": DICTIONARIES[name]()})
    assert there_and_back(table).equals(table)
    levels = [str(v) for v in DICTIONARIES[name]().dictionary.to_pylist()]
    assert inside(table).schema["x"] == pl.Enum(levels)


def test_arrow_tables_of_many_or_no_chunks() -> None:
    pieces = [pa.table({"x": dictionary([0, 1], levels), "y": ["a", None]}) for levels in (["a", "b"], ["b", "c"])]
    table = pa.concat_tables(pieces)
    assert there_and_back(table).to_pydict() == table.to_pydict()
    nothing = {"a": table, "b": pa.schema([("x", table.schema.field("x").type), ("y", pa.string())]).empty_table()}
    assert there_and_back(nothing)["b"].schema == nothing["b"].schema


def test_arrow_dictionaries_with_a_null_or_twins_among_the_levels() -> None:
    table = pa.table({"x": dictionary([0, 1, 2, 3, None], ["a", None, "b", "a"])})
    assert there_and_back(table).to_pydict() == table.to_pydict()


def test_arrow_fields_that_take_no_nulls() -> None:
    table = pa.table({"x": [1, 2]}, schema=pa.schema([pa.field("x", pa.int64(), nullable=False)]))
    dataset, shape = enter(table)
    assert leave(dataset, saved(shape)).schema.equals(table.schema)
    with pytest.raises(DataError, match=r"'x'.*missing"):
        leave({"table": pl.DataFrame({"x": [1, None]})}, shape)


def test_arrow_metadata_are_left_out_and_this_is_said() -> None:
    table = pa.table({"x": [1]}).replace_schema_metadata({"origin": "survey"})
    dataset, shape = enter(table)
    assert "metadata" in shape.notes[0]
    assert leave(dataset, shape).equals(table)


def test_arrow_times_are_cut_to_the_unit_of_their_type() -> None:
    dataset, shape = enter(pa.table({"x": pa.array([1], pa.time32("s"))}))
    new = leave({"table": dataset["table"].with_columns(x=pl.lit(time(1, 2, 3, 999)))}, shape)
    assert new["x"].to_pylist() == [time(1, 2, 3)]
