"""The door for pandas: numpy, nullable, text, category, arrow and object columns; pyarrow only where these use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from verosim.errors import DataError
from verosim.frames import cells
from verosim.frames.columns import (
    Origin,
    TableShape,
    category_series,
    enter_columns,
    leave_columns,
    refuse_twins,
    refuse_type,
)
from verosim.frames.loose import tighten

if TYPE_CHECKING:
    import pandas as pd

Column = Any  # a pandas Series, of more types than its stubs know


def enter(frame: pd.DataFrame, table: str) -> tuple[pl.DataFrame, TableShape]:
    """A pandas frame as a polars frame, and what it was; its index is left out."""
    import pandas as pd

    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            f"the columns are a MultiIndex of {frame.columns.nlevels} levels; one label a column was wanted.",
            table=table,
            fix="Join the levels: frame.columns = frame.columns.map('_'.join).",
        )
    labels = frame.columns.tolist()
    refuse_twins(labels, table)
    columns = (frame.iloc[:, place] for place in range(len(labels)))
    inside, shapes = enter_columns(table, labels, columns, column_in)
    labels_type = _labels_text(frame.columns)
    notes = [] if isinstance(frame.index, pd.RangeIndex) else [_INDEX_NOTE]
    notes += [_LABELS_NOTE.format(frame.columns.dtype)] if not labels_type else []
    title = cells.to_text(frame.columns.name)
    return inside, TableShape("pandas", shapes, labels_type or "object", title, notes=tuple(notes))


_INDEX_NOTE: Final = (
    "the index is not learned and comes back as 0, 1, 2 ...; to keep it, make it a column: reset_index()."
)
_LABELS_NOTE: Final = "the column labels are of type {}; they come back as plain objects."


def leave(frame: pl.DataFrame, shape: TableShape, table: str) -> pd.DataFrame:
    """The inverse of `enter`, with the index 0, 1, 2 ..."""
    import pandas as pd

    columns = leave_columns(table, frame, shape, column_out)
    out = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(frame.height), copy=False)
    labels = [cells.from_text(c.label) for c in shape.columns]
    if shape.labels == "range":
        out.columns = pd.RangeIndex(len(labels))
    else:
        out.columns = pd.Index(labels, dtype=dtype_of(shape.labels), tupleize_cols=False)
    out.columns.name = cells.from_text(shape.title)
    return out


def _labels_text(labels: pd.Index[Any]) -> str:
    """The type of the labels as text, empty where that cannot be kept."""
    import pandas as pd

    if isinstance(labels, pd.RangeIndex) and labels.equals(pd.RangeIndex(len(labels))):
        return "range"
    try:
        return dtype_text(labels.dtype)
    except DataError:
        return ""


# ----------------------------------------------------------------------------------------------- types as text


def dtype_text(dtype: Any) -> str:
    """The type as text that `dtype_of` reads; DataError with the way out for types that cannot be held."""
    import pandas as pd

    if isinstance(dtype, pd.StringDtype):
        return f"string[{dtype.storage}, {'NA' if dtype.na_value is pd.NA else 'nan'}]"
    if isinstance(dtype, pd.ArrowDtype):
        from verosim.frames import from_arrow

        return f"arrow[{from_arrow.type_text(dtype.pyarrow_dtype)}]"
    text = str(dtype)
    if match := re.match(r"complex|period|interval|sparse", text.lower()):
        raise refuse_type(text, cells.WAYS_OUT[match[0]])
    try:
        if dtype_of(text) == dtype:
            return text
    except (TypeError, ValueError):
        pass
    raise refuse_type(text, "Convert the column to a plain type first (times: .dt.tz_convert('UTC')), or leave it out.")


def dtype_of(text: str) -> Any:
    """The type that `dtype_text` wrote."""
    import pandas as pd

    if match := re.fullmatch(r"string\[(\w+), (\w+)\]", text):
        return _string_dtype(match[1], match[2])
    if match := re.fullmatch(r"arrow\[(.+)\]", text):
        from verosim.frames import from_arrow

        return pd.ArrowDtype(from_arrow.type_of(match[1]))
    return pd.api.types.pandas_dtype(text)


def _string_dtype(storage: Any, missing: str) -> Any:
    """pandas 3 names storage and missing value; pandas 2.2 knows three pairs of them by the storage alone."""
    import pandas as pd

    try:
        return pd.StringDtype(storage, na_value=pd.NA if missing == "NA" else np.nan)
    except TypeError:
        return pd.StringDtype("pyarrow_numpy" if missing == "nan" else storage)
    except ImportError:  # saved where pyarrow was, and brought back where it is not
        return pd.StringDtype("python", na_value=pd.NA if missing == "NA" else np.nan)


# ----------------------------------------------------------------------------------------------------- columns
#
# One pair of functions a form, side by side: what goes in through one comes out of the other.


def _number_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    """numpy integers, floats and booleans. Copied: polars would look into the caller's memory."""
    array = np.array(values.to_numpy(), dtype=values.dtype.newbyteorder("="))
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return pl.Series(array, nan_to_null=array.dtype.kind == "f"), Origin("number", text)


def _number_out(series: pl.Series, origin: Origin) -> Any:
    dtype = np.dtype(origin.type)
    if series.null_count() and dtype.kind != "f":
        raise DataError(f"values are missing, which type {dtype} cannot hold.")
    array = (series.fill_null(np.nan) if dtype.kind == "f" else series).to_numpy()
    return array.astype(dtype)


def _time_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    """datetime64 and timedelta64 without time zone; polars knows no seconds, so these become milliseconds."""
    array = np.array(values.to_numpy())
    if np.datetime_data(array.dtype)[0] == "s":
        fine = array.astype(f"{array.dtype.kind}8[ms]")
        if not (np.isnat(array) | (fine.astype(array.dtype) == array)).all():
            raise DataError("times lie beyond 292 million years.", fix="Replace them by missing values.")
        array = fine
    return pl.Series(array), Origin("time", text)


def _time_out(series: pl.Series, origin: Origin) -> Any:
    return series.to_numpy().astype(np.dtype(origin.type))


def _zoned_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    naive, _ = _time_in(values.dt.tz_convert("UTC").dt.tz_localize(None), text)
    zone = cells.zone_inside(str(values.dt.tz))
    return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone), Origin("zoned", text)


def _zoned_out(series: pl.Series, origin: Origin) -> Any:
    import pandas as pd

    dtype = dtype_of(origin.type)
    naive = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    return pd.DatetimeIndex(naive.astype(f"M8[{dtype.unit}]"), tz="UTC").tz_convert(dtype.tz).array


def _nullable_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    """Int64, UInt8, Float32, boolean ...: values beside a mask; a NaN under Float64 is a value."""
    array = values.array
    plain = array.to_numpy(dtype=array.dtype.numpy_dtype, na_value=array.dtype.type(0), copy=True)
    series = pl.Series(plain)
    mask = np.asarray(values.isna()) & ~_is_nan(plain)
    return (series.set(pl.Series(mask), None) if mask.any() else series), Origin("nullable", text)


def _is_nan(array: np.ndarray[Any, Any]) -> Any:
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(array), bool)


def _nullable_out(series: pl.Series, origin: Origin) -> Any:
    import pandas as pd

    mask = series.is_null().to_numpy().copy()
    empty: Any = False if series.dtype == pl.Boolean else 0
    plain = np.array(series.fill_null(empty).to_numpy())
    if origin.type == "boolean":
        return pd.arrays.BooleanArray(plain, mask)
    return (pd.arrays.FloatingArray if plain.dtype.kind == "f" else pd.arrays.IntegerArray)(plain, mask)


def _text_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    if "[pyarrow" in text:
        from verosim.frames import from_arrow

        return from_arrow.column_in(_chunks(values))[0], Origin("text", text)
    array = values.to_numpy(dtype=object)
    return cells.text_series(np.where(values.isna(), None, array)), Origin("text", text)


def _text_out(series: pl.Series, origin: Origin) -> Any:
    import pandas as pd

    dtype = dtype_of(origin.type)
    if dtype.storage.startswith("pyarrow"):
        import pyarrow as pa  # type: ignore[import-untyped]

        return dtype.__from_arrow__(pa.chunked_array([series.to_arrow()]))
    return pd.array(series.to_numpy(), dtype=dtype)


def _category_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    dtype: Any = values.dtype
    codes = pl.Series(np.array(values.cat.codes, dtype=np.int64))
    levels = tuple(cells.to_text(level) for level in dtype.categories.tolist())
    origin = Origin("category", dtype_text(dtype.categories.dtype), levels=levels, ordered=bool(dtype.ordered))
    if not _category_dtype(origin).categories.equals(dtype.categories):
        raise refuse_type(f"category of {dtype.categories.dtype}", "Convert its levels to text or numbers first.")
    return category_series(codes.set(codes < 0, None), levels), origin


def _category_out(series: pl.Series, origin: Origin) -> Any:
    import pandas as pd

    series, origin = tighten(series, origin)
    codes = series.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    return pd.Categorical.from_codes(codes, dtype=_category_dtype(origin))


@lru_cache(maxsize=64)
def _category_dtype(origin: Origin) -> pd.CategoricalDtype:
    import pandas as pd

    levels = [cells.from_text(level) for level in origin.levels or ()]
    return pd.CategoricalDtype(pd.Index(levels, dtype=dtype_of(origin.type), tupleize_cols=False), origin.ordered)


def _arrow_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    from verosim.frames import from_arrow

    series, origin = from_arrow.column_in(_chunks(values))
    return series, replace(origin, form="arrow", detail=origin.form)


def _arrow_out(series: pl.Series, origin: Origin) -> Any:
    import pandas as pd

    from verosim.frames import from_arrow

    return pd.arrays.ArrowExtensionArray(from_arrow.column_out(series, replace(origin, form=origin.detail)))


def _chunks(values: Column) -> Any:
    import pyarrow as pa

    array = pa.array(values.array)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


_MIXED_NOTE: Final = (
    "its cells are Python values of different types: they are learned as categories, and come back with their types."
)
_SCALES_NOTE: Final = "its decimals have different numbers of digits: they come back at the finest."


def _object_in(values: Column, text: str) -> tuple[pl.Series, Origin]:
    """Python values. Those of pandas' own times go through the door of their type."""
    plain = cells.plain(values.to_numpy())
    kinds, markers = cells.census(plain)
    if len(kinds) == 1 and kinds <= {"Timestamp", "Timedelta"} and len(markers) <= 1:
        return _pandas_times_in(values, kinds.pop(), min(markers, default="NaT"))
    series, kind, detail, missing = cells.column_in(plain)
    note = {"mixed": _MIXED_NOTE}.get(kind, _SCALES_NOTE if detail == "scales" else "")
    return series, Origin("object", kind, detail, missing, note=note)


def _pandas_times_in(values: Column, kind: str, missing: str) -> tuple[pl.Series, Origin]:
    import pandas as pd

    present = values.where(values.notna(), None).tolist()
    if kind == "Timestamp":
        zones = {str(v.tz) for v in present if v is not None}
        if len(zones) > 1:
            raise DataError(f"the times are of different time zones ({', '.join(sorted(zones))}).", fix=cells.ONE_ZONE)
    index = pd.DatetimeIndex(present) if kind == "Timestamp" else pd.TimedeltaIndex(present)
    series, origin = column_in(pd.Series(index))
    return series, Origin("object", kind, origin.type, missing)


def _object_out(series: pl.Series, origin: Origin) -> Any:
    import pandas as pd

    if origin.type not in {"Timestamp", "Timedelta"}:
        return pd.Series(cells.column_out(series, origin.type, origin.detail, origin.missing), dtype=object)
    inner = Origin("zoned" if "," in origin.detail else "time", origin.detail)
    out = np.array(pd.Series(column_out(series, inner)).astype(object), dtype=object)
    out[series.is_null().to_numpy()] = cells.marker(origin.missing)
    return pd.Series(out, dtype=object)


In = Callable[[Column, str], tuple[pl.Series, Origin]]
Out = Callable[[pl.Series, Origin], Any]
_FORMS: Final[dict[str, tuple[In, Out]]] = {
    "number": (_number_in, _number_out),
    "time": (_time_in, _time_out),
    "zoned": (_zoned_in, _zoned_out),
    "nullable": (_nullable_in, _nullable_out),
    "text": (_text_in, _text_out),
    "category": (_category_in, _category_out),
    "arrow": (_arrow_in, _arrow_out),
    "object": (_object_in, _object_out),
}
_NULLABLE: Final = re.compile(r"U?Int(8|16|32|64)|Float(32|64)|boolean")


def _form(dtype: Any, text: str) -> str:
    import pandas as pd

    if isinstance(dtype, np.dtype):
        return "number" if dtype.kind in "biuf" else "time"  # pandas has no other kinds but object
    for kind, form in ((pd.DatetimeTZDtype, "zoned"), (pd.StringDtype, "text"), (pd.ArrowDtype, "arrow")):
        if isinstance(dtype, kind):
            return form
    if _NULLABLE.fullmatch(text):
        return "nullable"
    raise refuse_type(text, cells.OTHERWISE)


def column_in(values: Column) -> tuple[pl.Series, Origin]:
    """One column as polars, and what it was."""
    import pandas as pd

    dtype: Any = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _category_in(values, "category")
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _object_in(values, "object")
    text = dtype_text(dtype)
    if dtype == np.longdouble and dtype.itemsize > 8:
        raise refuse_type(text, "Convert it with .astype('float64').")
    return _FORMS[_form(dtype, text)][0](values, text)


def column_out(series: pl.Series, origin: Origin) -> Any:
    """The inverse of `column_in`: an array for pandas."""
    return _FORMS[origin.form][1](series, origin)
