"""Excel workbooks: one sheet a table, read with the types of all cells, written with types and never as formulas."""

from __future__ import annotations

import datetime
import logging
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Final

import polars as pl

from verosim.errors import ArgumentError, DataError, FileError
from verosim.forms import default_form

_ROWS: Final = 1_048_576  # that a sheet holds, with its header
_COLUMNS: Final = 16_384
_TEXT: Final = 32_767  # characters that a cell holds
_EXACT: Final = 2**53  # a cell holds a double: whole numbers above this are written as text
_ZERO: Final = datetime.date(1899, 12, 31)  # the day that a time of day seems to have


# ------------------------------------------------------------------------------------------------- reading


def read(data: bytes, name: str, table: str) -> tuple[dict[str, pl.DataFrame], dict[str, str], list[str]]:
    """Tables by name, the sheet of each, and notes. A workbook with one filled sheet gives the table `table`."""
    import fastexcel

    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns of empty columns, which are no fault
    try:
        book = fastexcel.read_excel(data)
        loaded = {sheet: _sheet(book, sheet, table) for sheet in book.sheet_names}
    except fastexcel.FastExcelError as error:
        raise FileError(f"{name}: is not a whole Excel workbook ({str(error).splitlines()[0]}).") from error
    filled = {sheet: pair for sheet, pair in loaded.items() if pair[0].width}
    if not filled:
        raise FileError(f"{name}: all sheets are empty; a header row and data were wanted.")
    notes = [f"sheet {sheet!r} is empty: left out" for sheet in loaded if sheet not in filled]
    notes += [f"sheet {sheet!r}: {note}" for sheet, (_, more) in filled.items() for note in more]
    names = {sheet: table if len(filled) == 1 else sheet for sheet in filled}
    return {names[s]: frame for s, (frame, _) in filled.items()}, {names[s]: s for s in filled}, notes


def _sheet(book: Any, sheet: str, table: str) -> tuple[pl.DataFrame, list[str]]:
    import fastexcel

    head = book.load_sheet(sheet, header_row=None, n_rows=1, dtypes="string").to_polars()
    if not head.height:
        return pl.DataFrame(), []
    names = [cell or "" for cell in head.row(0)]
    notes = []
    try:
        body = book.load_sheet(sheet, schema_sample_rows=None, dtype_coercion="strict").to_polars()
    except fastexcel.UnsupportedColumnTypeCombinationError as error:
        mixed = re.search(r"for column (.+)", str(error))
        notes.append(
            f"column {mixed[1] if mixed else '?'} (and maybe others) holds cells of several kinds: read as text"
        )
        body = book.load_sheet(sheet, schema_sample_rows=None).to_polars()
    frame = pl.DataFrame([_typed(s).alias(f"column {i}") for i, s in enumerate(body)], height=body.height)
    kept = [i for i, n in enumerate(names) if n or frame.to_series(i).null_count() < frame.height]
    twice = [n for n, count in Counter(names[i] for i in kept).items() if count > 1]
    if twice:
        raise DataError(f"column names stand twice: {', '.join(map(repr, twice))}.", table=sheet, fix="Rename them.")
    return frame.select(pl.nth(i).alias(names[i]) for i in kept), notes


def _typed(series: pl.Series) -> pl.Series:
    """Excel holds only doubles and moments: whole numbers, days and times of day are told by their values."""
    if series.dtype == pl.Float64:
        whole = ((series == series.floor()) & (series.abs() < _EXACT)).all()
        return series.cast(pl.Int64) if whole and series.null_count() < len(series) else series
    if isinstance(series.dtype, pl.Datetime) and series.null_count() < len(series):
        if (series.dt.date() <= _ZERO).all():
            return series.dt.time()
        return series.dt.date() if (series.dt.time() == datetime.time()).all() else series.dt.cast_time_unit("us")
    return series


# ------------------------------------------------------------------------------------------------- writing


def write(tables: Mapping[str, Iterable[pl.DataFrame]], out: BinaryIO, sheets: Mapping[str, str]) -> None:
    """Write each table to its sheet; DataError for what a sheet cannot hold."""
    import xlsxwriter  # type: ignore[import-untyped]

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with tempfile.TemporaryFile() as held:  # the zip needs to go back and forth; `out` may be a pipe
        book = xlsxwriter.Workbook(held, options)
        try:
            for table, frames in tables.items():
                _write_sheet(book, book.add_worksheet(sheets.get(table) or _sheet_name(table)), frames, table)
        finally:
            book.close()  # removes its own temporary files as well
        held.seek(0)
        shutil.copyfileobj(held, out)


def _sheet_name(table: str) -> str:
    """At most 31 characters, without []:*?/\\ and quotes at the ends, as Excel asks."""
    return re.sub(r"[\[\]:*?/\\]", "_", table).strip("'")[:31] or "table"


def _write_sheet(book: Any, sheet: Any, frames: Iterable[pl.DataFrame], table: str) -> None:
    formats = {
        pl.Date: book.add_format({"num_format": "yyyy-mm-dd"}),
        pl.Datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        pl.Time: book.add_format({"num_format": "hh:mm:ss"}),
    }
    frame = _gather(frames, table)
    for j, name in enumerate(frame.columns):
        sheet.write_string(0, j, name)
    columns = [_cells(series, table) for series in frame]
    styles = [formats.get(s.dtype.base_type()) for s in columns]
    for i, cells in enumerate(zip(*columns, strict=True), 1):
        for j, cell in enumerate(cells):
            _write_cell(sheet, i, j, cell, styles[j])


def _gather(frames: Iterable[pl.DataFrame], table: str) -> pl.DataFrame:
    """All chunks, as a sheet holds few rows and a column is written as one type; DataError where it has no room."""
    parts, rows = [], 1
    for frame in frames:
        rows += frame.height
        if rows > _ROWS:
            raise DataError(
                f"over {_ROWS - 1:,} rows; a sheet holds no more.", table=table, fix="Write CSV or Parquet."
            )
        parts.append(frame)
    if parts[0].width > _COLUMNS:
        raise DataError(f"{parts[0].width:,} columns; a sheet holds {_COLUMNS:,}.", table=table, fix="Write CSV.")
    return pl.concat(parts)


def _write_cell(sheet: Any, i: int, j: int, cell: Any, style: Any) -> None:
    if cell is None:
        return
    if isinstance(cell, str):
        sheet.write_string(i, j, cell)
    elif isinstance(cell, bool):
        sheet.write_boolean(i, j, cell)
    elif isinstance(cell, int | float):
        sheet.write_number(i, j, cell)
    else:
        sheet.write_datetime(i, j, cell, style)


def _cells(series: pl.Series, table: str) -> pl.Series:
    """What a sheet can hold; as text: whole numbers above 2^53, NaN, days before 1900, zones, durations, decimals."""
    dtype = series.dtype
    if dtype == pl.Boolean:
        return series
    exact = dtype.is_integer() and bool((series.cast(pl.Int128).abs() < _EXACT).all())
    if exact or (dtype.is_float() and series.is_finite().all()):
        return series
    day = isinstance(dtype, pl.Date) or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None)
    if dtype == pl.Time or (day and (series.dt.year() >= 1900).all() and (series.dt.year() <= 9999).all()):
        return series
    try:
        form = default_form(dtype)
    except ArgumentError as error:
        raise DataError(
            str(error), table=table, column=series.name, fix="Write Parquet, or leave the column out."
        ) from None
    text = form.format(series) if form else series.cast(pl.String)
    if (text.str.len_chars() > _TEXT).any():
        row = int((text.str.len_chars() > _TEXT).arg_max() or 0)
        fix = "Write CSV or Parquet."
        raise DataError(
            f"a cell holds {_TEXT:,} characters at most.", table=table, column=series.name, row=row, fix=fix
        )
    return text
