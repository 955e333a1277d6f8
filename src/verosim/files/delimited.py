"""Delimited text (CSV, TSV): every cell as it stands, typed by whole columns, and written back letter by letter.

Reading, in steps: decode to UTF-8; hide what stands inside quotes (delimiters and line ends become control characters
that the file does not use); check that every row has as many cells; split, with the quotes still on, so that `NA` and
`"NA"`, an empty cell and `""` stay apart; take off the quotes; type each column by the form that all of it fits.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import polars as pl

from verosim.errors import ArgumentError, DataError, FileError
from verosim.files.disk import Sink
from verosim.files.grid import MARKS, QUOTE, Cells, Grid, decode, sniff, split, unhide
from verosim.files.layout import ColumnLayout, Layout
from verosim.forms import Form, default_form

MISSING: Final = (
    "NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "NAN", "None", "none", "<NA>", "#N/A", "NaT", "\\N", ".", "-",
    "?",
)  # fmt: skip  # words for a missing value: only where all other values of the column have a form, unquoted
_NAN: Final = ("NaN", "nan", "NAN")


# ------------------------------------------------------------------------------------------------- types


def _type(cells: pl.Series, quoted: pl.Series | None) -> tuple[pl.Series, ColumnLayout, list[str]]:
    """A column as the form says that all of it fits; a word for missing values counts only beside a form, or quotes.

    Where every cell is quoted, quotes say nothing, and `"NA"` or `""` among numbers is missing too. Where every cell
    but the words is quoted, the words are missing, among text as well.
    """
    words = cells.is_in(MISSING).fill_null(False)
    apart = quoted is not None and bool(quoted.any() and (quoted | words | cells.is_null()).all())
    everywhere = apart and quoted is not None and bool((quoted | cells.is_null()).all())
    if quoted is not None and everywhere:
        words |= (cells == "").fill_null(False)
    elif quoted is not None:
        words &= ~quoted
    form, missing = _with_missing(cells, words) if words.any() else (Form.detect(cells), words)
    if form is None and (everywhere or not apart):
        return cells, ColumnLayout(quoted=everywhere), []
    null, notes = _null(cells, missing, everywhere)
    values = _without(cells, missing)
    if form and form.note:
        notes.append(f"column {cells.name!r}: {form.note}")
    return form.parse(values) if form else values, ColumnLayout(str(form) if form else None, null, apart), notes


def _without(cells: pl.Series, missing: pl.Series) -> pl.Series:
    return cells.zip_with(~missing, pl.Series([None], dtype=pl.String)) if missing.any() else cells


def _with_missing(cells: pl.Series, words: pl.Series) -> tuple[Form | None, pl.Series]:
    """The form beside the words, and which cells are missing. NaN beside another way to be missing is a number."""
    others = words & ~cells.is_in(_NAN).fill_null(False)
    if others.any() or cells.null_count():
        form = Form.detect(_without(cells, others))
        if form:
            return form, others
    return Form.detect(_without(cells, words)), words


def _null(cells: pl.Series, missing: pl.Series, everywhere: bool) -> tuple[str, list[str]]:
    """The raw cell of a missing value: the most frequent one, with a note where there are several."""
    counts = Counter(dict(cells.filter(missing).value_counts().iter_rows()))
    tokens = {(f'"{token}"' if everywhere else token): n for token, n in counts.items()}
    if cells.null_count():
        tokens[""] = cells.null_count()
    if not tokens:
        return "", []
    most = max(sorted(tokens), key=lambda t: tokens[t])
    rest = ", ".join(repr(t) for t in sorted(tokens) if t != most)
    return most, [
        f"column {cells.name!r}: missing values are written as {most!r}, also those of {rest}"
    ] if rest else []


# ------------------------------------------------------------------------------------------------- reading


def read(
    data: bytes, name: str, table: str, *, format: str = "csv", header: bool = True
) -> tuple[pl.DataFrame, Layout, list[str]]:
    """A delimited file's table, its layout, and notes on what was decided.

    `name` is for messages. FileError where it is no text or empty; DataError for ragged rows and duplicate names.
    """
    text, encoding, bom, notes = decode(data, name)
    if not text.strip(b"\r\n"):
        raise FileError(f"{name}: is empty; a header row and data were wanted.")
    old_mac = b"\n" not in text and b"\r" in text
    text = text.replace(b"\r", b"\n") if old_mac else text
    if text[:1] in b"\r\n":
        text = text.lstrip(b"\r\n")
        notes.append("blank lines before the first row were left out")
    delimiter = sniff(text, "\t" if format == "tsv" else ",")
    cells, grid, more = split(text, delimiter, name, table, header)
    notes += more
    plain = [f"column_{i + 1}" for i in range(len(cells))], [False] * len(cells)
    columns: dict[str, ColumnLayout] = {}
    typed: dict[str, pl.Series] = {}
    for column, header_quoted, raw in zip(*(_header(cells, grid, table) if header else plain), cells, strict=True):
        data_cells = raw.after(1) if header else raw
        typed[column], shape, more = _type(unhide(data_cells.text.alias(column), grid.hidden), data_cells.quoted)
        columns[column] = replace(shape, header_quoted=header_quoted)
        notes += more
    line_end, more = ("\r", []) if old_mac else _line_end(grid.text)
    layout = Layout(
        format=format,
        delimiter=delimiter,
        line_end=line_end,
        last_line_end=grid.text.endswith(b"\n"),
        encoding=encoding,
        bom=bom,
        header=header,
        columns=columns,
    )
    return pl.DataFrame(typed), layout, [*notes, *more]


def _header(columns: list[Cells], grid: Grid, table: str) -> tuple[list[str], list[bool]]:
    """Column names, an empty one as "", and which were quoted; DataError where one stands twice."""
    names = unhide(pl.Series([c.text[0] or "" for c in columns], dtype=pl.String), grid.hidden).to_list()
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"column names stand twice in the header: {', '.join(map(repr, twice))}.",
            table=table,
            fix=_apart(names, columns) + "; a file without a row of names needs one.",
        )
    return names, [c.quoted is not None and bool(c.quoted[0]) for c in columns]


def _apart(names: list[str], columns: list[Cells]) -> str:
    """What to do with the first column whose name stands before it: it may be the same column again."""
    again = next(i for i, name in enumerate(names) if name in names[:i])
    first = names.index(names[again])
    same = columns[again].text.equals(columns[first].text, null_equal=True)
    if same:
        return f"Delete column {again + 1} of the file, which holds what column {first + 1} holds"
    return f"Rename column {again + 1} of the file, which holds something else than column {first + 1}"


def _line_end(text: bytes) -> tuple[str, list[str]]:
    crlf, lf = text.count(b"\r\n"), text.count(b"\n")
    if crlf in (0, lf):
        return ("\r\n" if crlf else "\n"), []
    return ("\r\n" if crlf * 2 > lf else "\n"), ["lines end in both CRLF and LF: written with the more frequent one"]


# ------------------------------------------------------------------------------------------------- writing


def write(frames: Iterable[pl.DataFrame], out: Sink, layout: Layout, table: str) -> None:
    """Write chunk by chunk in this layout; columns that it does not name are written plainly."""
    first = True
    between = b""  # the line end that is owed: the last one may have to be left out
    for frame in frames:
        if first:
            out.write(_mark(layout))
        lines = _lines(frame, layout, table, header=first and layout.header)
        first = False
        if lines is not None:
            out.write(between + lines)
            between = layout.line_end.encode(layout.encoding)
    if layout.last_line_end:
        out.write(between)


def _mark(layout: Layout) -> bytes:
    return next((m for m, encoding in MARKS.items() if encoding == layout.encoding), b"") if layout.bom else b""


def _lines(frame: pl.DataFrame, layout: Layout, table: str, header: bool) -> bytes | None:
    """The rows as bytes, without the last line end; None where there is no line."""
    cells = [_raw(s, layout.columns.get(s.name, ColumnLayout()), layout, table) for s in frame]
    parts = [_names(frame.columns, layout)] if header else []
    if frame.height:
        buffer = io.BytesIO()
        renamed = pl.DataFrame([c.alias(str(i)) for i, c in enumerate(cells)])
        renamed.write_csv(
            buffer,
            include_header=False,
            separator=layout.delimiter,
            line_terminator=layout.line_end,
            quote_style="never",
        )
        parts.append(buffer.getvalue()[: -len(layout.line_end)])
    return _encode(layout.line_end.encode().join(parts), layout, table) if parts else None


def _names(names: list[str], layout: Layout) -> bytes:
    if names == [""]:
        return b'""'  # else a blank line, which is no header
    always = [layout.columns.get(n, ColumnLayout()).header_quoted for n in names]
    cells = pl.Series(names, dtype=pl.String)
    needed = cells.str.contains(_special(layout)) | pl.Series(always, dtype=pl.Boolean)
    return layout.delimiter.join(_quote(cells).zip_with(needed, cells)).encode()


def _raw(series: pl.Series, column: ColumnLayout, layout: Layout, table: str) -> pl.Series:
    """A column's cells as they stand in the file; plain numbers are left to the writer, which is fast."""
    form = _form(series, column, table)
    plain = (
        form is None
        or (str(form) == "int" and series.dtype.is_integer())
        or (str(form) == "float" and series.dtype.is_float())
    )
    if form and plain and not column.null and not column.quoted:
        return series
    text = form.format(series) if form else series.cast(pl.String)
    if column.quoted:
        return _quote(text).fill_null(column.null)
    special = text.str.contains(_special(layout)) | (text == "")  # empty, but not missing
    return (_quote(text).zip_with(special.fill_null(False), text) if special.any() else text).fill_null(column.null)


def _form(series: pl.Series, column: ColumnLayout, table: str) -> Form | None:
    """The layout's form where the column still has a type for it; the plain one otherwise."""
    try:
        default = default_form(series.dtype)
    except ArgumentError as error:
        raise DataError(
            str(error), table=table, column=series.name, fix="Write Parquet, or leave the column out."
        ) from None
    if default is None or column.form is None:
        return default
    asked = Form.of(column.form)
    return asked if asked.takes(series.dtype) else default


def _special(layout: Layout) -> str:
    return f'[{re.escape(layout.delimiter)}"\r\n]'


def _quote(text: pl.Series) -> pl.Series:
    return QUOTE + text.str.replace_all(QUOTE, '""', literal=True) + QUOTE


def _encode(utf8: bytes, layout: Layout, table: str) -> bytes:
    if layout.encoding == "utf-8":
        return utf8
    try:
        return utf8.decode().encode(layout.encoding)
    except UnicodeEncodeError as error:
        raise DataError(
            f"{error.object[error.start]!r} cannot be written in {layout.encoding}.",
            table=table,
            fix="Write it as UTF-8.",
        ) from None
