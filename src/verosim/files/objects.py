"""JSON and JSON lines: an object a row, or a document of objects and lists (nested.py); nothing is retyped unsaid."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import polars as pl

from verosim.errors import ArgumentError, DataError, FileError
from verosim.files import nested
from verosim.files.disk import Sink
from verosim.files.layout import Layout
from verosim.forms import default_form

Row = dict[str, Any]
_BATCH: Final = 1 << 16  # JSON lines that are held as Python objects at a time
_KINDS: Final = {bool: "true or false", int: "number", float: "number", str: "text"}
_WHOLE: Final[tuple[tuple[pl.DataType, int, int], ...]] = (  # type, least, first that is too large
    (pl.Int64(), -(2**63), 2**63),
    (pl.UInt64(), 0, 2**64),
    (pl.Int128(), -(2**127), 2**127),
)


# ------------------------------------------------------------------------------------------------- reading


def read(data: bytes, name: str, table: str, format: str) -> tuple[dict[str, pl.DataFrame], Layout, list[str]]:
    """Tables by name, their layout and notes: from lines of objects, a list of objects, or `{"table": [objects]}`.

    FileError where it is not JSON; DataError for columns of mixed kinds and keys that stand twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{name}: JSON is UTF-8, but byte {error.start} is not. Save it as UTF-8.") from None
    if not text.strip():
        raise FileError(f"{name}: is empty; JSON objects were wanted.")
    if format == "jsonl":
        return _tables(lambda: {table: _lines(text, name, table)}, format, table)
    top = _decode(_decoder(table), text, name)
    if isinstance(top, Mapping) and top and all(isinstance(v, list) for v in top.values()):
        return _tables(lambda: {str(k): iter(v) for k, v in top.items()}, format, table)
    if not isinstance(top, list):
        raise DataError("a list of objects, or an object of such lists, was wanted at the top.", table=table)
    return _tables(lambda: {table: iter(top)}, format, table)


def _lines(text: str, name: str, table: str) -> Iterator[Any]:
    """The value of each line that is not blank; many are decoded at once, for speed."""
    decoder = _decoder(table)
    lines = ((number, line) for number, line in enumerate(io.StringIO(text, newline="\n"), 1) if line.strip())
    while batch := list(islice(lines, 1000)):
        try:
            values = decoder.decode("[" + ",".join(line for _, line in batch) + "]")
        except ValueError:
            values = []
        if len(values) != len(batch):  # a faulty line: find it
            values = [_decode(decoder, line, name, number) for number, line in batch]
        yield from values


def _decoder(table: str) -> json.JSONDecoder:
    """JSON that is taken as strictly as the standard has it, and without keys that stand twice."""

    def constant(word: str) -> None:
        raise DataError(f"{word} is not JSON.", table=table, fix="Write null.")

    def unique(pairs: list[tuple[str, Any]]) -> Row:
        row = dict(pairs)
        if len(row) < len(pairs):
            twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
            raise DataError("the key stands twice in one object.", table=table, column=twice)
        return row

    return json.JSONDecoder(object_pairs_hook=unique, parse_constant=constant)


def _decode(decoder: json.JSONDecoder, text: str, name: str, line: int | None = None) -> Any:
    place = f"{name}, line {line}" if line else name
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        place = f"{name}, line {line or error.lineno}, column {error.colno}"
        raise FileError(f"{place}: is not valid JSON ({error.msg}).") from None
    except DataError as error:
        raise DataError(f"{error.reason} ({place})", table=error.table, column=error.column, fix=error.fix) from None
    except (RecursionError, ValueError) as error:
        raise FileError(f"{place}: is not JSON that can be read ({error}).") from None


class _Nested(Exception):
    """A value is an object or a list."""


def _tables(
    rows: Callable[[], Mapping[str, Iterator[Any]]], format: str, table: str
) -> tuple[dict[str, pl.DataFrame], Layout, list[str]]:
    """Each table's objects as a frame; as several where they hold objects and lists, which are then read again."""
    notes: list[str] = []
    frames: dict[str, pl.DataFrame] = {}
    shapes, keys = {}, list[Any]()
    for name, items in rows().items():
        try:
            frames[name], more = _frame(items, name)
            notes += more
        except _Nested:
            parts, shape, structure = _documents(list(rows()[name]), name)
            frames |= parts
            shapes[name] = shape.to_dict()
            keys += structure["tables"]
    wrapped = {name: Layout(format) for name in rows()} if list(rows()) != [table] else {}
    known = {"dialect": "", "tables": keys} if keys else {}
    return frames, Layout(format, tables=wrapped, nested=shapes, structure=known), notes


def in_cells(series: pl.Series) -> tuple[dict[str, pl.DataFrame], nested.Field]:
    """The documents in the cells (n,) of a column, as tables by name, the first called like it; and their shape.

    A missing cell is a document that is not there. Raises FileError for text that is no JSON, DataError for what is of
    several kinds.
    """
    decoder, name = _decoder(series.name), series.name
    cells = enumerate(series.cast(pl.String).to_list())
    items = [nested.ABSENT if text is None else _decode(decoder, text, f"column {name!r}", i) for i, text in cells]
    frames, shape, _ = _split(items, name)
    return frames, shape


def _split(items: list[Any], table: str) -> tuple[dict[str, pl.DataFrame], nested.Field, dict[str, Any]]:
    try:
        return nested.split(items, table, lambda name, values, of: _join(name, [_series(name, values, of, 0)], of))
    except RecursionError:
        raise DataError("its objects are nested too deep.", table=table) from None


def _documents(items: list[Any], table: str) -> tuple[dict[str, pl.DataFrame], nested.Field, dict[str, Any]]:
    _check_objects(items, table, 0)
    return _split(items, table)


def _check_objects(batch: list[Any], table: str, start: int) -> None:
    if (odd := next((i for i, row in enumerate(batch) if type(row) is not dict), None)) is not None:
        raise DataError(f"an object was wanted, not {str(batch[odd])[:40]!r}.", table=table, row=start + odd)


def _frame(items: Iterator[Any], table: str) -> tuple[pl.DataFrame, list[str]]:
    """The objects as a frame, and a note on every key that some lack; batch by batch, to hold few Python objects."""
    parts: dict[str, list[pl.Series]] = {}
    has: Counter[str] = Counter()
    n = 0
    while batch := list(islice(items, _BATCH)):
        _check_objects(batch, table, n)
        for keys, rows in Counter(map(tuple, batch)).items():
            has.update(dict.fromkeys(keys, rows))
        for name in has:
            part = _series(name, [row.get(name) for row in batch], table, n)
            parts.setdefault(name, [pl.Series(name, [None] * n)] if n else []).append(part)
        n += len(batch)
    notes = [f"column {k!r}: {n - has[k]} objects of table {table!r} lack it: missing" for k in has if has[k] < n]
    return pl.DataFrame({name: _join(name, part, table) for name, part in parts.items()}, height=n), notes


def _series(name: str, values: list[Any], table: str, start: int) -> pl.Series:
    """Values of one kind; `start` is the row of the first."""
    types = set(map(type, values)) - {type(None)}
    if types & {list, dict}:
        raise _Nested
    kinds = {_KINDS[t] for t in types}
    if len(kinds) > 1:
        known = [(i, _KINDS[type(v)]) for i, v in enumerate(values) if v is not None]
        raise _mixed(kinds, table, name, start + next(i for i, kind in known if kind != known[0][1]))
    return pl.Series(name, values, dtype=_dtype(types, values, name, table), strict=True)


def _dtype(types: set[type], values: list[Any], name: str, table: str) -> pl.DataType:
    if not types & {int, float}:
        return pl.Null() if not types else pl.Boolean() if bool in types else pl.String()
    whole = [v for v in values if type(v) is int]
    low, high = (min(whole), max(whole)) if whole else (0, 0)
    if float in types:
        _exact(max(-low, high), name, table)
        return pl.Float64()
    for dtype, least, limit in _WHOLE:
        if least <= low and high < limit:
            return dtype
    raise DataError("holds whole numbers above 2^127.", table=table, column=name, fix="Write them as text.")


def _join(name: str, parts: list[pl.Series], table: str) -> pl.Series:
    """The batches of one column, in the narrowest type that holds them all."""
    dtypes = {part.dtype for part in parts} - {pl.Null()}
    if len(dtypes) > 1:
        kinds = {dtype: "number" if dtype.is_numeric() else str(dtype) for dtype in dtypes}
        if len(set(kinds.values())) > 1:
            other = next(i for i, p in enumerate(parts) if p.dtype in kinds and kinds[p.dtype] != kinds[parts[0].dtype])
            words = {"String": "text", "Boolean": "true or false"}
            raise _mixed({words.get(k, k) for k in kinds.values()}, table, name, sum(map(len, parts[:other])))
        for part in parts if pl.Float64() in dtypes else []:
            if part.dtype.is_integer():
                _exact(max(map(abs, part.drop_nulls().to_list()), default=0), name, table)
    target = (
        pl.Float64() if pl.Float64() in dtypes else pl.Int128() if len(dtypes) > 1 else next(iter(dtypes), pl.String())
    )
    return pl.concat([part.cast(target) for part in parts])


def _exact(size: int, name: str, table: str) -> None:
    if size > 2**53:
        reason = "holds whole numbers above 2^53 beside decimals."
        raise DataError(reason, table=table, column=name, fix="Write them as text.")


def _mixed(kinds: set[str], table: str, name: str, row: int) -> DataError:
    reason = f"holds both {' and '.join(sorted(kinds))}."
    return DataError(reason, table=table, column=name, row=row, fix="Write them as one kind.")


# ------------------------------------------------------------------------------------------------- writing


def write_lines(frames: Iterable[pl.DataFrame], out: Sink, table: str) -> None:
    for frame in frames:
        out.write(_objects(frame, table))


def write_json(tables: Mapping[str, Iterable[pl.DataFrame]], out: Sink, wrapped: bool) -> None:
    """A list of objects, one a line; with `wrapped`, an object of such lists, by table."""
    out.write(b"{" if wrapped else b"")
    for i, (table, frames) in enumerate(tables.items()):
        out.write((b"," if i else b"") + json.dumps(table, ensure_ascii=False).encode() + b": " if wrapped else b"")
        out.write(b"[")
        between = b"\n"
        for frame in frames:
            if frame.height:
                out.write(
                    between + _objects(frame, table)[:-1].replace(b"\n", b",\n")
                )  # no string holds a bare line end
                between = b",\n"
        out.write(b"\n]")
    out.write(b"}\n" if wrapped else b"\n")


def write_documents(tables: Mapping[str, Iterable[pl.DataFrame]], out: Sink, layout: Layout) -> None:
    """Documents of objects and lists, of tables that are held as a whole; tables beside them as ever."""
    shapes = {name: nested.Field.from_dict(shape) for name, shape in layout.nested.items()}
    frames = {name: _plainly(pl.concat(list(chunks)), name) for name, chunks in tables.items()}
    within = {name for shape in shapes.values() for name in shape.tables()}
    roots = [name for name in frames if name not in within]
    wrapped = layout.format == "json" and (len(roots) > 1 or bool(layout.tables))
    if layout.format == "jsonl" and len(roots) > 1:
        raise ArgumentError(f"{len(roots)} tables do not fit one jsonl file; name a folder or .json.")
    out.write(b"{" if wrapped else b"")
    for i, name in enumerate(roots):
        rows = nested.join(frames, name, shapes[name]) if name in shapes else frames[name].to_dicts()
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False).encode() for row in rows)
        if layout.format == "jsonl":
            out.write(b"".join(line + b"\n" for line in lines))
        else:
            out.write((b"," if i else b"") + json.dumps(name, ensure_ascii=False).encode() + b": " if wrapped else b"")
            out.write(b"[\n" + b",\n".join(lines) + b"\n]")
    out.write({"jsonl": b""}.get(layout.format, b"}\n" if wrapped else b"\n"))


def _objects(frame: pl.DataFrame, table: str) -> bytes:
    buffer = io.BytesIO()
    _plainly(frame, table).write_ndjson(buffer)
    return buffer.getvalue()


def _plainly(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    return pl.DataFrame({series.name: _plain(series, table) for series in frame}, height=frame.height)


def _plain(series: pl.Series, table: str) -> pl.Series:
    """Numbers, truth values, text, and lists and objects of these as they are; dates and the like as text."""
    if series.dtype.is_float() and not series.is_finite().fill_null(True).all():
        row = int((~series.is_finite().fill_null(True)).arg_max() or 0)
        fix = "Fill it, or write CSV or Parquet."
        raise DataError("JSON has no NaN and no infinity.", table=table, column=series.name, row=row, fix=fix)
    if series.dtype.is_integer() or series.dtype.is_float() or series.dtype == pl.Boolean:
        return series
    if series.dtype.is_nested():
        return series.cast(_plain_inside(series.dtype))
    try:
        form = default_form(series.dtype)
    except ArgumentError as error:
        raise DataError(
            str(error), table=table, column=series.name, fix="Write Parquet, or leave the column out."
        ) from None
    return form.format(series) if form else series.cast(pl.String)


def _plain_inside(dtype: pl.DataType) -> pl.DataType:
    """The type of lists and objects in which all but numbers and truth values is text."""
    if isinstance(dtype, pl.List):
        return pl.List(_plain_inside(dtype.inner))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _plain_inside(field.dtype) for field in dtype.fields})  # type: ignore[arg-type]
    return dtype if dtype.is_numeric() or dtype == pl.Boolean else pl.String()
