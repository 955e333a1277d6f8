"""Delimited text to raw cells: decoded, its delimiter found, quotes taken off, every row as long as the first."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import DataError, FileError

Bytes = npt.NDArray[np.uint8]
QUOTE: Final = '"'
DELIMITERS: Final = ",;\t|"
_CONTROLS: Final = [c for c in range(1, 32) if c not in b"\t\n\r"]  # bytes that may stand in for hidden ones
_BLOCK: Final = 1 << 22  # bytes that are searched for quotes at a time: fits the processor's cache
_SNIFFED: Final = 1 << 18  # bytes in which the delimiter is counted


# ------------------------------------------------------------------------------------------------- bytes to UTF-8

MARKS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def decode(data: bytes, name: str) -> tuple[bytes, str, bool, list[str]]:
    """The text as UTF-8 without a byte order mark; its encoding; whether it had the mark; notes."""
    mark = next((m for m in MARKS if data.startswith(m)), b"")
    encoding = MARKS.get(mark, "utf-8")
    body, notes = data[len(mark) :], []
    try:
        decoded = body if body.isascii() and encoding == "utf-8" else body.decode(encoding)
        text = decoded.encode() if isinstance(decoded, str) and encoding != "utf-8" else body
    except UnicodeDecodeError as error:
        if mark:
            raise FileError(
                f"{name}: is marked as {encoding}, but is not: byte {error.start} ({error.reason})."
            ) from None
        text, encoding = _decode_western(body)
        notes.append(f"not UTF-8 (byte {error.start}): read as {encoding}, and written so")
    if b"\0" in text:
        raise FileError(
            f"{name}: holds NUL bytes (the first at {text.index(0)}), so it is not text, or UTF-16 without its mark. "
            "Save it as UTF-8."
        )
    return text, encoding, bool(mark), notes


def _decode_western(body: bytes) -> tuple[bytes, str]:
    try:
        return body.decode("cp1252").encode(), "cp1252"
    except UnicodeDecodeError:
        return body.decode("latin-1").encode(), "latin-1"


# ------------------------------------------------------------------------------------------------- structure


@dataclass(frozen=True, slots=True)
class Grid:
    """Text whose delimiters and `\\n` are all structure: those inside quotes are replaced as `hidden` says."""

    text: bytes
    delimiter: str
    hidden: dict[str, str]  # the stand-in -> what it stands for

    @property
    def width(self) -> int:
        """The cells of the first row."""
        return self.text.partition(b"\n")[0].count(self.delimiter.encode()) + 1


def _inside(text: bytes, delimiter: str, strict: bool, name: str) -> Bytes:
    """(bytes,) 1 where a byte stands inside quotes."""
    buffer = np.frombuffer(text, np.uint8)
    if strict:
        inside, odd = np.empty(len(buffer), np.uint8), 0
        for start in range(0, len(buffer), _BLOCK):
            part = inside[start : start + _BLOCK]
            np.cumsum(buffer[start : start + _BLOCK] == ord(QUOTE), dtype=np.uint8, out=part)  # wraps at 256: even
            part += np.uint8(odd)
            part &= 1
            odd = int(part[-1])
        return inside
    inside = np.zeros(len(buffer), np.uint8)
    whole = rf'(?:(?<=[{re.escape(delimiter)}\n])|\A)"(?:[^"]++|"")*+"(?=[{re.escape(delimiter)}\r\n]|\Z)'
    for match in re.finditer(whole.encode(), text):
        inside[match.start() : match.end()] = 1
    return inside


def _hide(text: bytes, delimiter: str, strict: bool, name: str) -> Grid | None:
    """The text with all that stands inside quotes hidden; None where the quotes do not pair (strict only)."""
    if QUOTE.encode() not in text:
        return Grid(text, delimiter, {})
    inside = _inside(text, delimiter, strict, name)
    if strict and inside[-1]:
        return None
    stand_ins = [c for c in _CONTROLS if bytes([c]) not in text][:3]
    if len(stand_ins) < 3:
        raise FileError(f"{name}: holds nearly every control character, so it is not text.")
    special, stand_in = [ord(delimiter), *b"\n\r"], np.zeros(256, np.uint8)
    stand_in[special] = stand_ins
    buffer, found = np.frombuffer(text, np.uint8).copy(), 0
    for start in range(0, len(buffer), _BLOCK):
        block = buffer[start : start + _BLOCK]
        rows = np.flatnonzero(stand_in[block] * inside[start : start + _BLOCK])
        block[rows] = stand_in[block[rows]]
        found += len(rows)
    hidden = {chr(s): chr(c) for s, c in zip(stand_ins, special, strict=True)} if found else {}
    return Grid(buffer.tobytes() if found else text, delimiter, hidden)


def sniff(text: bytes, preferred: str) -> str:
    """The delimiter that every row at the start has, as often in each; of several, the one that splits the most."""
    end = max(text.rfind(b"\n", 0, _SNIFFED), text.find(b"\n")) + 1 if len(text) > _SNIFFED else len(text)
    outside = re.sub(rb'"[^"]*"', b"", text[: end or len(text)])
    rows = [row for row in outside.splitlines() if row.strip()][:1000]
    counts = {d: {row.count(d.encode()) for row in rows} for d in DELIMITERS}
    fits = {d: max(c) for d, c in counts.items() if len(c) == 1 and max(c) > 0}
    if preferred in fits or not fits:
        return preferred if preferred in fits or not rows else max(DELIMITERS, key=lambda d: _votes(rows, d, preferred))
    return max(fits, key=lambda d: fits[d])


def _votes(rows: list[bytes], delimiter: str, preferred: str) -> tuple[int, bool]:
    """In how many rows the delimiter stands as often as in the first, at least once: for a file with faulty rows."""
    first = rows[0].count(delimiter.encode())
    return sum(row.count(delimiter.encode()) == first for row in rows) if first else 0, delimiter == preferred


def _looks_rectangular(grid: Grid) -> bool:
    """Whether there are as many delimiters as rows of the first row's width need.

    If so, and if no row has too many, which the reader refuses, none can have too few.
    """
    delimiter = grid.delimiter.encode()
    lines = grid.text.count(b"\n") + (not grid.text.endswith(b"\n"))
    return grid.text.count(delimiter) == (grid.width - 1) * lines


def _rectangle(grid: Grid, original: bytes, table: str, header: bool) -> tuple[Grid, list[str]]:
    """The grid without blank lines, and a note on them; DataError for the first row with more or fewer cells."""
    text, delimiter, width = grid.text, grid.delimiter.encode(), grid.width
    buffer = np.frombuffer(text, np.uint8)
    ends = np.append(np.flatnonzero(buffer == ord("\n")), [] if text.endswith(b"\n") else [len(buffer)]).astype(
        np.int64
    )
    starts = np.append(0, ends[:-1] + 1)
    cells = np.diff(np.searchsorted(np.flatnonzero(buffer == delimiter[0]), np.append(0, ends))) + 1
    blank = (ends == starts) | ((ends == starts + 1) & (buffer[np.minimum(starts, len(buffer) - 1)] == ord("\r")))
    kept = np.flatnonzero(~blank)
    if (cells[kept] != width).any():
        row = int(np.flatnonzero(cells[kept] != width)[0])
        at = kept[row]
        line = original.count(b"\n", 0, int(starts[at])) + 1
        raise DataError(
            f"line {line} has {cells[at]} cells, the first line has {width} (delimiter {grid.delimiter!r}).",
            table=table,
            row=row - header,
            fix="Repair that line, or put quotes around cells that hold the delimiter.",
        )
    lines = [text[starts[i] : ends[i]] for i in kept]
    note = f"{int(blank.sum())} blank lines were left out"
    return replace(grid, text=b"\n".join(lines) + b"\n"), [note]


def _raw_cells(grid: Grid) -> pl.DataFrame | None:
    """All cells as they stand, quotes on, header row first; null where empty. None where a row has too many."""
    try:
        return pl.read_csv(
            grid.text,
            has_header=False,
            separator=grid.delimiter,
            quote_char=None,
            infer_schema=False,
            schema={f"column {i}": pl.String for i in range(grid.width)},
        )
    except pl.exceptions.ComputeError:
        return None


# ------------------------------------------------------------------------------------------------- cells


@dataclass(frozen=True, slots=True)
class Cells:
    """A column's cells without their quotes, and where they had some (None: nowhere)."""

    text: pl.Series
    quoted: pl.Series | None
    in_place: bool = True  # every quote stood around a whole cell, or doubled within

    def after(self, row: int) -> Cells:
        return Cells(self.text.slice(row), None if self.quoted is None else self.quoted.slice(row), self.in_place)


def _unquote(raw: pl.Series) -> Cells:
    has = raw.str.contains(QUOTE, literal=True).fill_null(False)
    if not has.any():
        return Cells(raw, None)
    closed = (raw.str.starts_with(QUOTE) & raw.str.ends_with(QUOTE) & (raw.str.len_bytes() >= 2)).fill_null(False)
    inner = raw.str.strip_prefix(QUOTE).str.strip_suffix(QUOTE)
    doubled = inner.str.contains(QUOTE, literal=True)
    if doubled.any():
        closed &= ~inner.str.replace_all('""', "", literal=True).str.contains(QUOTE, literal=True).fill_null(False)
        inner = inner.str.replace_all('""', QUOTE, literal=True)
    return Cells(inner.zip_with(closed, raw), closed, not (has & ~closed).any())


def unhide(cells: pl.Series, hidden: dict[str, str]) -> pl.Series:
    if not hidden or not cells.str.contains(f"[{''.join(hidden)}]").any():
        return cells
    for stand_in, char in hidden.items():
        cells = cells.str.replace_all(stand_in, char, literal=True)
    return cells


def split(text: bytes, delimiter: str, name: str, table: str, header: bool) -> tuple[list[Cells], Grid, list[str]]:
    """All columns, header row first: quotes as RFC 4180 has them, else, where some stand inside unquoted cells, only
    those around whole cells."""
    for strict in (True, False):
        grid = _hide(text, delimiter, strict, name)
        if grid is None:
            continue
        notes = [] if strict else ["some quotes stand inside unquoted cells: kept as they are"]
        frame = _raw_cells(grid) if _looks_rectangular(grid) else None
        if frame is None and strict and QUOTE.encode() in text:
            continue
        if frame is None:
            grid, more = _rectangle(grid, text, table, header)
            frame, notes = _raw_cells(grid), notes + more
        columns = [] if frame is None else [_unquote(column) for column in frame]
        if frame is not None and (not strict or all(c.in_place for c in columns)):
            return columns, grid, notes
    raise FileError(f"{name}: cannot be split into cells by {delimiter!r}.")
