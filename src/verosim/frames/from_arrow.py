"""The door for pyarrow: every type of plain values, dictionaries with all their levels, null flags of the schema."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

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
    import pyarrow as pa  # type: ignore[import-untyped]

Chunks: TypeAlias = "pa.ChunkedArray"


def enter(frame: pa.Table, table: str) -> tuple[pl.DataFrame, TableShape]:
    """A pyarrow Table as a polars frame, and what it was."""
    refuse_twins(frame.column_names, table)
    nullable = {f.name: f.nullable for f in frame.schema}

    def one(place: int) -> tuple[pl.Series, Origin]:
        series, origin = column_in(frame.column(place))
        return series, replace(origin, nullable=nullable[frame.column_names[place]])

    inside, columns = enter_columns(table, frame.column_names, range(frame.num_columns), one)
    extra = frame.schema.metadata or any(f.metadata for f in frame.schema)
    return inside, TableShape("pyarrow", columns, notes=(_METADATA_NOTE,) if extra else ())


_METADATA_NOTE: Final = "the metadata of the Arrow schema are not kept."


def leave(frame: pl.DataFrame, shape: TableShape, table: str) -> pa.Table:
    """The inverse of `enter`."""
    import pyarrow as pa

    arrays = leave_columns(table, frame, shape, column_out)
    schema = [
        pa.field(cells.from_text(c.label), array.type, nullable=c.origin.nullable)
        for c, array in zip(shape.columns, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(schema))


# ------------------------------------------------------------------------------------------------ types as text

_TYPE: Final = re.compile(
    r"timestamp\[(?P<unit>s|ms|us|ns), tz=(?P<zone>.+)\]"
    r"|(?P<decimal>decimal(?:32|64|128|256))\((?P<precision>\d+), (?P<scale>\d+)\)"
    r"|fixed_size_binary\[(?P<width>\d+)\]"
    r"|dictionary<values=(?P<values>.+), indices=(?P<indices>\w+), ordered=(?P<ordered>[01])>"
)


def type_text(kind: pa.DataType) -> str:
    """The type as text that `type_of` reads; DataError for types of no plain values."""
    try:
        if type_of(str(kind)) == kind:
            return str(kind)
    except ValueError:
        pass
    import pyarrow as pa

    raise refuse_type(kind, cells.WAYS_OUT["nested"] if pa.types.is_nested(kind) else cells.OTHERWISE)


def type_of(text: str) -> pa.DataType:
    """The type that `type_text` wrote; ValueError for others."""
    import pyarrow as pa

    if not (match := _TYPE.fullmatch(text)):
        return pa.type_for_alias(text)
    if match["unit"]:
        return pa.timestamp(match["unit"], match["zone"])
    if match["decimal"]:
        return getattr(pa, match["decimal"])(int(match["precision"]), int(match["scale"]))
    if match["width"]:
        return pa.binary(int(match["width"]))
    return pa.dictionary(type_of(match["indices"]), type_of(match["values"]), ordered=match["ordered"] == "1")


# ------------------------------------------------------------------------------------------------------ columns


def column_in(values: Chunks) -> tuple[pl.Series, Origin]:
    """One column as polars, and what it was."""
    import pyarrow as pa

    text = type_text(values.type)
    if pa.types.is_dictionary(values.type):
        return _dictionary_in(values, text)
    series = pl.Series(pl.from_arrow(values.cast(_carrier(values.type))))
    if isinstance(series.dtype, pl.Datetime) and values.type.tz:
        series = series.dt.convert_time_zone(cells.zone_inside(values.type.tz))
    return series, Origin("plain", text)


def column_out(series: pl.Series, origin: Origin) -> Chunks:
    """The inverse of `column_in`; times finer than the type's unit are cut to it."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    if series.null_count() and not origin.nullable:
        raise DataError("values are missing, but the column's field says that none may be.")
    if origin.form == "dictionary":
        return _dictionary_out(series, origin)
    if isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    wanted = type_of(origin.type)
    zone = getattr(wanted, "tz", None)
    options = pc.CastOptions(target_type=pa.timestamp(wanted.unit) if zone else wanted, allow_time_truncate=True)
    array = pc.cast(pa.chunked_array([series.to_arrow()]), options=options)
    return array.cast(pa.timestamp(wanted.unit, "UTC")).cast(wanted) if zone else array


def _carrier(kind: pa.DataType) -> pa.DataType:
    """The type under which polars takes over the values as they are: it wraps seconds, and knows no wide decimals."""
    import pyarrow as pa

    if pa.types.is_date64(kind):
        return pa.date32()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal256(kind):
        return pa.decimal128(38, kind.scale)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, "UTC" if kind.tz else None)
    if pa.types.is_duration(kind) and kind.unit == "s":
        return pa.duration("ms")
    return kind


def _dictionary_in(values: Chunks, text: str) -> tuple[pl.Series, Origin]:
    import pyarrow as pa

    one = values.combine_chunks()
    one = one.chunk(0) if isinstance(one, pa.ChunkedArray) and one.num_chunks else one
    if not isinstance(one, pa.DictionaryArray):  # no rows
        one = pa.DictionaryArray.from_arrays(pa.array([], values.type.index_type), pa.array([], values.type.value_type))
    if one.dictionary.null_count or len(one.dictionary.unique()) < len(one.dictionary):
        one = one.dictionary_decode().dictionary_encode()
    levels = tuple(cells.to_text(level) for level in one.dictionary.to_pylist())
    return category_series(pl.Series(pl.from_arrow(one.indices)), levels), Origin("dictionary", text, levels=levels)


def _dictionary_out(series: pl.Series, origin: Origin) -> Chunks:
    import pyarrow as pa

    series, origin = tighten(series, origin)
    wanted = type_of(origin.type)
    values = pa.array([cells.from_text(level) for level in origin.levels or ()], wanted.value_type)
    codes = series.to_physical().to_arrow().cast(wanted.index_type)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, values, ordered=wanted.ordered)])
