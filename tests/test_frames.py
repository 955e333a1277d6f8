"""Datasets in memory: polars frames and mappings leave as they came in; what cannot be held is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from verosim.errors import ArgumentError, DataError, ModelFileError, VerosimError
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


def objects(*values: Any) -> pd.Series:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return pd.Series(out, dtype=object)


# ------------------------------------------------------------------------------------------------------- polars

POLARS: dict[str, pl.Series] = {
    **{str(t): pl.Series([0, None, 7], dtype=t) for t in (
        pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt128, pl.Float16, pl.Float32)},
    "Int64": pl.Series([2**63 - 1, None, 2**53 + 1]),
    "UInt64": pl.Series([2**64 - 1, None], dtype=pl.UInt64),
    "Int128": pl.Series([2**127 - 1, None], dtype=pl.Int128),
    "Float64": pl.Series([1.5, None, NAN, float("inf"), -0.0]),
    "Boolean": pl.Series([True, None]),
    "String": pl.Series(["", None, "é\0👩‍👧 \u200b"]),
    "Binary": pl.Series([b"", None, b"\xff\0"]),
    "Date": pl.Series([date(1, 1, 1), None, date(9999, 12, 31)]),
    "Time": pl.Series([time(23, 59, 59, 999999), None]),
    **{f"Datetime {u}": pl.Series([datetime(1969, 12, 31), None], dtype=pl.Datetime(u)) for u in ("ms", "us", "ns")},
    "Datetime zone": pl.Series([datetime(2020, 7, 1), None], dtype=pl.Datetime("us", MADRID)),
    **{f"Duration {u}": pl.Series([timedelta(seconds=-1), None], dtype=pl.Duration(u)) for u in ("ms", "us", "ns")},
    "Decimal": pl.Series([Decimal("1.10"), None], dtype=pl.Decimal(12, 2)),
    "Categorical": pl.Series(["b", None, "a"], dtype=pl.Categorical()),
    "Categorical named": pl.Series(["b", None, "a"], dtype=pl.Categorical(pl.Categories("colours", "shop", pl.UInt8))),
    "Enum": pl.Series(["b", None], dtype=pl.Enum(["b", "unused", "int:1", ""])),
    "Null": pl.Series([None, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", POLARS)
@pytest.mark.parametrize("lazy", [False, True], ids=["frame", "lazy"])
def test_polars_returns_as_it_was(name: str, lazy: bool) -> None:
    frame = pl.DataFrame({"x": POLARS[name], "": range(len(POLARS[name]))})
    new = there_and_back(frame.lazy() if lazy else frame)
    assert isinstance(new, pl.LazyFrame if lazy else pl.DataFrame)
    assert_frame_equal(new.lazy().collect(), frame)
    assert new.collect_schema() == frame.schema


@given(
    dataframes(
        excluded_dtypes=[pl.List, pl.Array, pl.Struct, pl.UInt128, pl.Extension],
        min_size=1,
        min_cols=1,
        allow_null=True,
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_polars_frame_returns_as_it_was(frame: pl.DataFrame) -> None:
    before = frame.clone()
    assert_frame_equal(there_and_back(frame), before, check_exact=True)
    assert_frame_equal(frame, before, check_exact=True)


def test_a_polars_frame_changed_in_place_is_not_seen() -> None:
    frame = pl.DataFrame({"x": [1, 2]})
    dataset, _ = enter(frame)
    frame[0, "x"] = 99
    frame.insert_column(0, pl.Series("y", [1, 2]))
    assert dataset["table"].equals(pl.DataFrame({"x": [1, 2]}))


# ---------------------------------------------------------------------------------------------- datasets and shapes


def test_a_mapping_leaves_as_a_mapping_each_table_in_its_library() -> None:
    data = {
        "a": pd.DataFrame({1: [1]}),
        "b": pl.DataFrame({"x": [1]}).lazy(),
        "c": pa.table({"x": [1]}),
        "d": pl.DataFrame({"x": []}),
    }
    dataset, shape = enter(data)
    assert list(dataset) == list("abcd")
    new = leave(dataset, saved(shape))
    assert list(new) == list("abcd")
    pd.testing.assert_frame_equal(new["a"], data["a"])
    assert new["b"].collect().equals(pl.DataFrame({"x": [1]}))
    assert new["c"].equals(data["c"])
    assert new["d"].equals(data["d"])


def test_one_frame_can_be_given_a_name() -> None:
    dataset, shape = enter(pl.DataFrame({"x": [1]}), name="adult")
    assert list(dataset) == ["adult"]
    assert leave(dataset, shape).equals(pl.DataFrame({"x": [1]}))


def test_columns_leave_in_the_order_in_which_they_came() -> None:
    frame = pd.DataFrame({"b": [1], "a": [2]})
    dataset, shape = enter(frame)
    pd.testing.assert_frame_equal(leave({"table": dataset["table"].select("a", "b")}, shape), frame)


def test_new_values_leave_in_the_types_that_came() -> None:
    frame = pd.DataFrame({"c": pd.Series(["a", "b"], dtype="category"), "n": np.array([1, 2], dtype="int8")})
    _, shape = enter(frame)
    new = leave({"table": pl.DataFrame({"c": ["b", None, "a"], "n": [3.0, 4.0, 5.0]})}, shape)
    assert new.dtypes.equals(frame.dtypes)
    assert new["c"].tolist() == ["b", NAN, "a"] or new["c"].isna().tolist() == [False, True, False]
    assert new["n"].tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"c": ["new"], "n": [1]}, ["'c'"]),
        ({"c": ["a"], "n": [1.5]}, ["'n'", "fit"]),
        ({"c": ["a"], "n": [300]}, ["'n'"]),
        ({"c": ["a"], "n": [None]}, ["'n'", "missing", "int8"]),
        ({"c": ["a"]}, ["'n'", "missing"]),
        ({"c": ["a"], "n": [1], "z": [1]}, ["'z'"]),
    ],
)
def test_values_that_the_types_cannot_hold_are_refused(frame: dict[str, list[Any]], words: list[str]) -> None:
    old = pd.DataFrame({"c": pd.Series(["a", "b"], dtype="category"), "n": np.array([1, 2], dtype="int8")})
    _, shape = enter(old)
    with pytest.raises(DataError) as error:
        leave({"table": pl.DataFrame(frame)}, shape)
    assert all(word in str(error.value) for word in words)


def test_leaving_needs_the_tables_that_came() -> None:
    dataset, shape = enter({"a": pl.DataFrame({"x": [1]}), "b": pl.DataFrame({"x": [1]})})
    with pytest.raises(DataError, match="'b'"):
        leave({"a": dataset["a"]}, shape)
    with pytest.raises(ArgumentError, match="'c'"):
        leave({**dataset, "c": dataset["a"]}, shape)
    with pytest.raises(ArgumentError, match="did you mean"):
        shape.leave_table("aa", dataset["a"])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: [],
        lambda d: {**d, "more": 1},
        lambda d: {**d, "one": 1},
        lambda d: {**d, "tables": {**d["tables"], "second": d["tables"]["table"]}},
        lambda d: {**d, "tables": {"table": 1}},
        lambda d: {**d, "tables": {"table": {**d["tables"]["table"], "library": "os"}}},
        lambda d: {**d, "tables": {"table": {**d["tables"]["table"], "columns": [{"name": "x"}]}}},
        lambda d: {**d, "tables": {"table": {**d["tables"]["table"], "columns": "x"}}},
        lambda d: {
            **d,
            "tables": {
                "table": {
                    "library": "polars",
                    "columns": [{"name": "x", "label": "x", "dtype": "whatever", "origin": {"form": "same"}}],
                }
            },
        },
        lambda d: {**d, "tables": {"table": {**d["tables"]["table"], "lazy": "yes"}}},
    ],
)
def test_a_forged_shape_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    plain = enter(pl.DataFrame({"x": [1]}))[1].to_dict()
    with pytest.raises(ModelFileError, match="shape"):
        Shape.from_dict(change(plain))


# ------------------------------------------------------------------------------------------------------ refusals


class Streamed:
    """A frame of some other library, with the Arrow stream interface only."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(requested_schema)


def test_other_libraries_come_through_their_arrow_stream() -> None:
    dataset, shape = enter(Streamed(pa.table({"x": [1, None]})))
    assert leave(dataset, shape).equals(pl.DataFrame({"x": [1, None]}))
    assert "Streamed" in shape.notes[0]


def framed(column: Any) -> Any:
    """A frame of one column, in the column's library."""
    if isinstance(column, pl.Series):
        return pl.DataFrame({"x": column})
    return pa.table({"x": column}) if isinstance(column, pa.Array) else pd.DataFrame({"x": column})


WRONG_COLUMNS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "complex": (lambda: pd.Series([1j]), ["complex128", ".real"]),
    "period": (lambda: pd.period_range("2020", periods=2, freq="D"), ["to_timestamp"]),
    "interval": (lambda: pd.interval_range(0, 2), ["astype(str)"]),
    "category of intervals": (lambda: pd.cut([1, 2], 2), ["astype(str)"]),
    "sparse": (lambda: pd.arrays.SparseArray([0, 1]), ["to_dense"]),
    "longdouble": (lambda: np.array([1], dtype=np.longdouble), ["float64"]),
    "time too far": (lambda: np.array([2**62], dtype="M8[s]"), ["beyond"]),
    "surrogate": (lambda: objects("a", "b\udc80"), ["row 1", "surrogate"]),
    "surrogate str": (lambda: pd.Series(["a", "\udc80"], dtype=pd.StringDtype("python")), ["row 1", "surrogate"]),
    "surrogate level": (lambda: pd.Categorical(["a"], pd.Index(["a", "\udc80"], dtype=object)), ["surrogate"]),
    "cells of lists": (lambda: objects(None, [1]), ["row 1", "list", "JSON"]),
    "cells of dicts": (lambda: objects({"a": 1}), ["row 0", "dict", "JSON"]),
    "cells of arrays": (lambda: objects(np.zeros(2), None), ["row 0", "ndarray"]),
    "cells of numpy times": (lambda: objects(None, np.datetime64(1, "ns")), ["row 1", "to_datetime"]),
    "cells of complex numbers": (lambda: objects(1j, None), ["complex", ".real"]),
    "cells of intervals": (lambda: objects(pd.Interval(0, 1), None), ["Interval", "astype(str)"]),
    "cells of anything": (lambda: objects(object(), None), ["object"]),
    "cells of zones": (
        lambda: objects(pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020", tz=MADRID)), [MADRID, "utc=True"]),
    "cells of zones and none": (
        lambda: objects(datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)), ["UTC", "utc=True"]),
    "cells of zones and text": (lambda: objects(datetime(2020, 1, 1, tzinfo=UTC), "a"), ["zone"]),
    "cells of times with a zone": (lambda: objects(time(1, tzinfo=UTC)), ["zone"]),
    "cells of long timedeltas": (lambda: objects(timedelta.max), ["without loss"]),
    "polars list": (lambda: pl.Series([[1]]), ["List", "JSON"]),
    "polars array": (lambda: pl.Series([[1]], dtype=pl.Array(pl.Int8, 1)), ["Array", "JSON"]),
    "polars struct": (lambda: pl.Series([{"a": 1}]), ["Struct", "JSON"]),
    "polars object": (lambda: pl.Series([object()], dtype=pl.Object), ["Object"]),
    "polars uint128": (lambda: pl.Series([2**128 - 1], dtype=pl.UInt128), ["without loss"]),
    "arrow list": (lambda: pa.array([[1]]), ["list", "JSON"]),
    "arrow struct": (lambda: pa.array([{"a": 1}]), ["struct", "JSON"]),
    "arrow interval": (lambda: pa.nulls(1, pa.month_day_nano_interval()), ["interval"]),
    "arrow extension": (lambda: pa.nulls(1, pa.uuid()), ["uuid"]),
    "arrow negative scale": (lambda: pa.nulls(1, pa.decimal128(5, -2)), ["decimal128(5, -2)"]),
    "arrow wide decimal": (lambda: pa.array([Decimal(10) ** 60], pa.decimal256(70, 0)), ["without loss"]),
    "arrow dictionary of lists": (
        lambda: pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([[1]])), ["dictionary"]),
    "arrow date64 within a day": (lambda: pa.array([5], pa.int64()).view(pa.date64()), ["lose data"]),
    "arrow time too far": (lambda: pa.array([2**62], pa.timestamp("s")), ["without loss"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_COLUMNS)
def test_a_column_that_cannot_be_held_is_refused_by_name_with_the_way_out(name: str) -> None:
    make, words = WRONG_COLUMNS[name]
    with pytest.raises(DataError) as error:
        enter({"people": framed(make())})
    message = str(error.value)
    assert message.startswith("table 'people', column 'x'")
    assert not [word for word in words if word not in message], message
    assert error.value.fix
    assert "\n" not in message


PAIRS = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
WRONG: dict[str, tuple[Callable[[], Any], type[VerosimError], list[str]]] = {
    "path": (lambda: "adult.csv", ArgumentError, ["path", "read the file"]),
    "None": (lambda: None, ArgumentError, ["NoneType", "DataFrame"]),
    "list of dicts": (lambda: [{"a": 1}], ArgumentError, ["list", "DataFrame"]),
    "array": (lambda: np.zeros((2, 2)), ArgumentError, ["numpy.ndarray"]),
    "pandas series": (lambda: pd.Series([1]), ArgumentError, ["Series", "to_frame"]),
    "polars series": (lambda: pl.Series([1]), ArgumentError, ["Series", "to_frame"]),
    "ragged dict": (lambda: {"a": [1, 2], "b": [1]}, ArgumentError, ["'a'", "list", "one length"]),
    "empty mapping": (dict, DataError, ["no tables"]),
    "number as table name": (lambda: {1: pl.DataFrame({"x": [1]})}, ArgumentError, ["1", "text"]),
    "surrogate table name": (lambda: {"\ud800": pl.DataFrame({"x": [1]})}, DataError, ["surrogate"]),
    "path in mapping": (lambda: {"a": "a.csv"}, ArgumentError, ["'a'", "path"]),
    "pandas nothing": (pd.DataFrame, DataError, ["'table'", "no columns"]),
    "pandas no columns": (lambda: pd.DataFrame(index=[1, 2]), DataError, ["no columns"]),
    "pandas no rows": (lambda: pd.DataFrame({"a": []}), DataError, ["'table'", "no rows"]),
    "polars nothing": (pl.DataFrame, DataError, ["no columns"]),
    "polars no rows": (lambda: pl.DataFrame({"a": []}), DataError, ["no rows"]),
    "arrow nothing": (lambda: pa.table({}), DataError, ["no columns"]),
    "all tables empty": (lambda: {"a": pl.DataFrame({"x": []}), "b": pl.DataFrame({"x": []})}, DataError, ["no rows"]),
    "pandas twins": (lambda: pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), DataError, ["'a'", "twice"]),
    "arrow twins": (lambda: pa.table([[1], [2]], names=["a", "a"]), DataError, ["'a'", "twice"]),
    "stream twins": (lambda: Streamed(pa.table([[1], [2]], names=["a", "a"])), DataError, ["'table'", "Streamed"]),
    "MultiIndex columns": (lambda: pd.DataFrame([[1, 2]], columns=PAIRS), DataError, ["MultiIndex", "map"]),
    "tuple label": (lambda: pd.DataFrame([[1, 2]], columns=[("a", 1), "b"]), DataError, ["tuple", "map"]),
    "surrogate label": (
        lambda: pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)), DataError, ["label", "surrogate"]),
    "lazy that fails": (lambda: pl.DataFrame({"x": [1]}).lazy().select("y"), DataError, ["'table'", "collected"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_data_is_refused_with_the_way_out(name: str) -> None:
    make, kind, words = WRONG[name]
    with pytest.raises(kind) as error:
        enter(make())
    assert not [word for word in words if word not in str(error.value)], str(error.value)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------- without the optional libraries

WITHOUT_ARROW = """
    import sys
    from importlib.machinery import PathFinder
    class NoArrow(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.split(".")[0] == "pyarrow" else super().find_spec(name, path, target)
    sys.meta_path = [NoArrow if finder is PathFinder else finder for finder in sys.meta_path]
    from datetime import date
    from decimal import Decimal
    import numpy as np, pandas as pd
    from verosim.frames import Shape, enter, leave
    nan = float("nan")
    frame = pd.DataFrame({
        "int": np.array([1, 2**62 + 1, 3], dtype="int64"), "float": [1.5, nan, 2],
        "half": np.array([1, nan, 2], "float16"),
        "bool": [True, False, True], "time": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
        "zone": pd.to_datetime(["2020-01-01", None, "2021-01-01"]).tz_localize("Europe/Madrid"),
        "span": pd.to_timedelta([1, None, 2], unit="s"), "Int64": pd.array([1, None, 2], dtype="Int64"),
        "boolean": pd.array([True, None, False], dtype="boolean"), "Float32": pd.array([1, None, 2.5], dtype="Float32"),
        "text": ["a", None, ""], "string": pd.array(["a", None, ""], dtype="string"),
        "category": pd.Categorical(["a", None, "b"], categories=["b", "c", "a"], ordered=True),
        "object": pd.Series(["a", None, ""], dtype=object), "mixed": pd.Series([1, "1", None], dtype=object),
        "date": pd.Series([date(2020, 1, 1), None, date(9999, 1, 1)], dtype=object),
        "decimal": pd.Series([Decimal("1.10"), None, Decimal("2.00")], dtype=object),
    })
    dataset, shape = enter(frame)
    pd.testing.assert_frame_equal(leave(dataset, Shape.from_dict(shape.to_dict())), frame, check_exact=True)
    assert "pyarrow" not in sys.modules
"""
ALONE = """
    import sys
    import polars as pl
    from verosim.errors import MissingExtraError
    from verosim.frames import Shape, enter, leave
    frame = pl.DataFrame({"x": ["a", None]})
    dataset, shape = enter(frame)
    assert leave(dataset, shape).equals(frame)
    assert not {"pandas", "pyarrow"} & set(sys.modules)
    sys.modules["pandas"] = sys.modules["pyarrow"] = None
    for library, missing in (("pandas", "pandas"), ("pyarrow", "pyarrow")):
        plain = shape.to_dict()
        plain["tables"]["table"]["library"] = library
        try:
            leave(dataset, Shape.from_dict(plain))
        except MissingExtraError as error:
            assert missing in str(error), error
        else:
            raise AssertionError(library)
"""


@pytest.mark.parametrize("code", [WITHOUT_ARROW, ALONE], ids=["pandas without pyarrow", "polars alone"])
def test_optional_libraries_stay_optional(code: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
