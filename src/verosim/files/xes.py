"""XES (IEEE 1849): the event log as process mining tools write and read it, one row an event.

    case:concept:name | concept:name | time:timestamp | org:resource | case:age ...

A column is the key of an attribute; `case:` stands before what a whole trace has. A document is never trusted: one that
declares a document type or entities is refused, and nothing outside it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from xml.parsers import expat

import polars as pl

from verosim.errors import DataError, FileError
from verosim.files.disk import Sink

CASE, ACTIVITY, TIME, RESOURCE = "case:concept:name", "concept:name", "time:timestamp", "org:resource"
OF_CASE: Final = "case:"  # before the keys of a trace
FIRST: Final = (CASE, ACTIVITY, TIME)  # columns that stand first
ZONES: Final = (  # tried where offsets change through the year: large zones, and one for each rule in use
    "Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Sao_Paulo", "Australia/Sydney", "America/Santiago", "Pacific/Auckland",
)  # fmt: skip
TYPES: Final = ("string", "date", "int", "float", "boolean", "id")  # of attributes with one value
NESTED: Final = ("list", "container")  # attributes of attributes: a table has no place for them

HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xes.features="" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
  <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
  <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
  <classifier name="activity" keys="concept:name lifecycle:transition"/>
"""
TAIL: Final = "</log>\n"
_SIGNS: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\n", "&#10;"), ("\t", "&#9;"))

# ------------------------------------------------------------------------------------------------- reading


def read(data: bytes, name: str, table: str) -> tuple[pl.DataFrame, list[str]]:
    """The events of a log, a row each, and what was left out or decided on the way.

    Raises FileError for what is no XES or not whole, DataError for a value that is not of its declared type.
    """
    reader = _Reader(name)
    reader.parse(data)
    if not reader.traces:
        raise FileError(f"{name}: no trace stands in this log.")
    if not reader.events:
        raise FileError(f"{name}: none of the {reader.traces:,} traces has an event.")
    notes, columns = list(reader.notes()), list[pl.Series]()
    of_event = [c.series(reader.events, table) for c in reader.of_event.values()]
    event_trace = pl.Series(reader.trace_of, dtype=pl.UInt32)
    for column in reader.of_trace.values():
        columns.append(column.series(reader.traces, table).gather(event_trace))
    frame = pl.DataFrame([*columns, *of_event])
    for column_name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Datetime):
            continue
        if column_name in reader.dates():
            times, said = _times(frame.get_column(column_name), table)
            frame = frame.with_columns(times)
            notes += said
    first = [c for c in FIRST if c in frame.columns]
    return frame.select(*first, pl.exclude(first)), notes


class _Column:
    """The values of one attribute by their row, as text, with the types that it was declared to have."""

    def __init__(self, name: str) -> None:
        self.name, self.rows, self.values, self.types = name, list[int](), list[str](), set[str]()

    def add(self, row: int, kind: str, value: str) -> None:
        if self.rows and self.rows[-1] == row:  # a key twice: the last one counts
            self.values[-1] = value
        else:
            self.rows.append(row)
            self.values.append(value)
        self.types.add(kind)

    @property
    def kind(self) -> str:
        """The type of all values; text where they differ."""
        if self.types <= {"int", "float"}:
            return "float" if "float" in self.types else "int"
        return next(iter(self.types)) if len(self.types) == 1 else "string"

    def series(self, n: int, table: str) -> pl.Series:
        """(n,) null where the attribute does not stand. Dates stay text."""
        text = pl.Series(self.name, self.values, dtype=pl.String)
        typed = self._typed(text)
        if typed.null_count():
            wrong = int(typed.is_null().arg_true()[0])
            raise DataError(
                f"{text[wrong]!r} is no {self.kind}, though the log says so.", table=table, column=self.name,
                row=self.rows[wrong] + 1,
            )  # fmt: skip
        if len(self.rows) == n:
            return typed
        place = pl.DataFrame({"row": pl.Series(self.rows, dtype=pl.Int64), self.name: typed})
        rows = pl.DataFrame({"row": pl.int_range(n, eager=True)})
        return rows.join(place, on="row", how="left", maintain_order="left").get_column(self.name)

    def _typed(self, text: pl.Series) -> pl.Series:
        if self.kind == "int":
            return text.str.strip_chars().cast(pl.Int64, strict=False)
        if self.kind == "float":
            return text.str.strip_chars().str.replace("^([+-]?)INF$", "${1}inf").cast(pl.Float64, strict=False)
        if self.kind == "boolean":
            words = {"true": True, "1": True, "false": False, "0": False}
            return (
                text.str.strip_chars().str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
            )
        return text


class _Reader:
    """Walks through a document; what it keeps are columns."""

    def __init__(self, name: str) -> None:
        self.name, self.depth, self.place = name, 0, ""
        self.traces, self.events, self.trace_of = 0, 0, list[int]()
        self.of_trace, self.of_event = dict[str, _Column](), dict[str, _Column]()
        self.nested, self.of_log, self.loose, self.within = 0, 0, 0, 0

    def parse(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset + 1}"
            raise FileError(
                f"{self.name}: is no whole XES file ({expat.ErrorString(error.code)}, {where}). Was it cut off?"
            ) from error

    def _refuse(self, *_: Any) -> None:
        raise FileError(f"{self.name}: declares a document type or entities, which an event log needs not; refused.")

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        tag = tag.rpartition(" ")[2]
        if self.depth == 1 and tag != "log":
            raise FileError(f"{self.name}: a <log> was wanted at the top of an XES file, not <{tag}>.")
        if self.within:  # an attribute of an attribute
            self.nested += tag in TYPES and self.place != ""
        elif tag == "trace" and self.depth == 2:
            self.place, self.traces = "trace", self.traces + 1
        elif tag == "event" and self.place == "trace" and self.depth == 3:
            self.place = "event"
            self.trace_of.append(self.traces - 1)
            self.events += 1
        elif tag == "event":
            self.loose += 1
            self.within = self.depth
        elif tag in TYPES or tag in NESTED:
            self._attribute(tag, attributes)
            self.within = self.depth
        elif tag in ("global", "extension", "classifier"):
            self.within = self.depth

    def _attribute(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self.place == "":
            self.of_log += 1
        elif tag in NESTED:
            self.nested += 1
        elif "key" not in attributes or "value" not in attributes:
            raise FileError(
                f"{self.name}: an attribute <{tag}> of {self.place} {self._number:,} lacks its key or value."
            )
        elif self.place == "trace":
            key = OF_CASE + attributes["key"]
            self.of_trace.setdefault(key, _Column(key)).add(self.traces - 1, tag, attributes["value"])
        else:
            key = attributes["key"]
            key = f"event:{key}" if key.startswith(OF_CASE) else key
            self.of_event.setdefault(key, _Column(key)).add(self.events - 1, tag, attributes["value"])

    @property
    def _number(self) -> int:
        return self.traces if self.place == "trace" else self.events

    def _end(self, tag: str) -> None:
        if self.within == self.depth:
            self.within = 0
        elif tag.rpartition(" ")[2] in ("event", "trace") and not self.within:
            self.place = "trace" if self.depth == 3 else ""
        self.depth -= 1

    def dates(self) -> set[str]:
        columns = (*self.of_trace.values(), *self.of_event.values())
        return {c.name for c in columns if c.kind == "date"}

    def notes(self) -> Iterator[str]:
        """What a table has no place for, and what was retyped."""
        if empty := self.traces - len(set(self.trace_of)):
            yield f"{empty:,} of {self.traces:,} cases have no event and were left out"
        if self.nested:
            yield f"{self.nested:,} attributes within attributes were left out"
        if self.loose:
            yield f"{self.loose:,} events outside a trace were left out"
        if self.of_log:
            yield f"{self.of_log:,} attributes of the log itself were left out"
        for column in (*self.of_trace.values(), *self.of_event.values()):
            if column.kind == "string" and len(column.types) > 1:
                yield f"{column.name}: {' and '.join(sorted(column.types))} values; all are kept as text"


def _times(text: pl.Series, table: str) -> tuple[pl.Series, list[str]]:
    """ISO 8601 as points in time, in the zone that the offsets tell; and what was decided."""
    parts = text.str.strip_chars().str.extract_groups(r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?)(.*)$").struct
    digits = parts.field("1").str.replace(r"(\.\d{6})\d+$", "$1")  # microseconds at most
    wall = digits.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    said = parts.field("2").replace("Z", "+00:00").fill_null("")
    offset = _minutes(said)
    bad = text.is_not_null() & (wall.is_null() | (offset.is_null() & (said != "")))
    if bad.any():
        row = int(bad.arg_true()[0])
        raise DataError(
            f"{text[row]!r} is no time such as 2024-01-31T09:30:00+01:00.", table=table, column=text.name, row=row + 1
        )
    known = offset.filter(text.is_not_null())
    if known.null_count() == len(known):
        return wall.alias(text.name), []
    if known.null_count():
        note = f"{text.name}: {known.null_count():,} times without a zone were taken for UTC"
        return _in_zone(wall, offset.fill_null(0), "UTC").alias(text.name), [note]
    zone, notes = _zone(wall, offset, text.name)
    return _in_zone(wall, offset, zone).alias(text.name), notes


def _minutes(said: pl.Series) -> pl.Series:
    """`+01:30` -> 90; null where there is no offset."""
    parts = said.str.extract_groups(r"^([+-])(\d{2}):?(\d{2})$").struct
    minutes = parts.field("2").cast(pl.Int64) * 60 + parts.field("3").cast(pl.Int64)
    return minutes * parts.field("1").replace_strict({"+": 1, "-": -1}, default=None, return_dtype=pl.Int64)


def _in_zone(wall: pl.Series, offset: pl.Series, zone: str) -> pl.Series:
    frame = pl.DataFrame({"wall": wall, "offset": offset})
    utc = (pl.col("wall") - pl.duration(minutes=pl.col("offset"))).dt.replace_time_zone("UTC")
    return frame.select(utc.dt.convert_time_zone(zone)).to_series()


def _zone(wall: pl.Series, offset: pl.Series, name: str) -> tuple[str, list[str]]:
    """The zone whose clock shows these offsets at these times; UTC, with a note, where none of those tried does."""
    distinct = offset.drop_nulls().unique().to_list()
    if distinct == [0]:
        return "UTC", []
    if len(distinct) == 1 and distinct[0] % 60 == 0:
        return f"Etc/GMT{-distinct[0] // 60:+d}", []  # the sign of these names is that of the sky, not of the clock
    for zone in ZONES:
        there = _in_zone(wall, offset, zone)
        shown = (there.dt.base_utc_offset() + there.dt.dst_offset()).dt.total_minutes()
        if (shown == offset).all():
            return zone, [f"{name}: the offsets are those of {zone}"]
    return "UTC", [f"{name}: offsets of {len(distinct)} kinds are those of no zone that was tried; times are in UTC"]


# ------------------------------------------------------------------------------------------------- writing


def write(frames: Iterable[pl.DataFrame], out: Sink, table: str, keys: Mapping[str, str]) -> None:
    """Write events, chunk by chunk. keys: the XES key of a column, where its name is not the key itself.

    A log in several chunks has the rows of each case together. Raises DataError where it has not, or has no case.
    """
    out.write(HEAD.encode())
    chunks = iter(frames)
    held, done = next(chunks), set[Any]()
    named = _named(held, table, keys)
    for chunk in chunks:
        last = held.get_column(named[CASE])[-1] if held.height else None
        open_ = held.get_column(named[CASE]).eq_missing(pl.Series([last], dtype=held.schema[named[CASE]]))
        _write(held.filter(~open_), out, table, named, done)
        held = pl.concat([held.filter(open_), chunk])
    _write(held, out, table, named, done)
    out.write(TAIL.encode())


def _named(frame: pl.DataFrame, table: str, keys: Mapping[str, str]) -> dict[str, str]:
    """XES key -> column, for all columns; a DataError where none is the case."""
    named = {keys.get(column, column): column for column in frame.columns}
    if CASE not in named:
        raise DataError(
            f"no column says the case of an event ({CASE}), which XES needs.", table=table,
            fix=f"Rename it, or describe the `sequence` in the schema; there are {', '.join(frame.columns[:8])}.",
        )  # fmt: skip
    return named


def _write(frame: pl.DataFrame, out: Sink, table: str, named: Mapping[str, str], done: set[Any]) -> None:
    if frame.is_empty():
        return
    frame = frame.rechunk()  # polars 2.1 panics when it replaces text in a column of an empty and another chunk
    case = named[CASE]
    names = frame.get_column(case)
    if names.null_count():
        row = int(names.is_null().arg_true()[0])
        raise DataError("an event of no case, which XES cannot hold.", table=table, column=case, row=row + 1)
    again = [name for name in names.unique(maintain_order=True).to_list() if name in done]
    if again:
        raise DataError(
            f"the rows of case {again[0]!r} are not together.", table=table, column=case, fix="Sort the table by case."
        )
    done.update(names.unique().to_list())
    of_case = {key.removeprefix(OF_CASE): column for key, column in named.items() if key.startswith(OF_CASE)}
    of_event = {key: column for key, column in named.items() if not key.startswith(OF_CASE)}
    text = frame.select(
        case=pl.col(case).cast(pl.String), head=_attributes(frame, of_case, "    "), event=event(frame, of_event)
    )
    traces = text.group_by("case", maintain_order=True).agg(pl.col("head").first(), pl.col("event").str.join(""))
    for part in traces.iter_slices(10_000):
        text_of = part.select(pl.format("  <trace>\n{}{}  </trace>\n", "head", "event")).to_series()
        out.write("".join(text_of.to_list()).encode())


def event(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.Expr:
    """The text of each row's event. columns: XES key -> column."""
    return pl.format("    <event>\n{}    </event>\n", _attributes(frame, columns, "      "))


def trace_head(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.Expr:
    """The text of the attributes of a trace, one a row. columns: XES key -> column."""
    return _attributes(frame, columns, "    ")


def _attributes(frame: pl.DataFrame, columns: Mapping[str, str], indent: str) -> pl.Expr:
    parts = [_attribute(key, pl.col(c), frame.schema[c], indent).fill_null("") for key, c in columns.items()]
    return pl.concat_str(parts) if parts else pl.lit("")


def _attribute(key: str, value: pl.Expr, dtype: pl.DataType, indent: str) -> pl.Expr:
    """One attribute; null where there is no value, which XES says by its absence."""
    if dtype.is_integer() and key not in (ACTIVITY, RESOURCE):
        kind, text = "int", value.cast(pl.String)
    elif dtype.is_float() or dtype.is_decimal():
        kind, text = "float", value.cast(pl.String).str.replace("^(-?)inf$", "${1}INF")
    elif dtype == pl.Boolean:
        kind, text = "boolean", value.cast(pl.String)
    elif isinstance(dtype, pl.Datetime):
        kind, text = "date", _iso(value, dtype)
    elif dtype == pl.Date:
        kind, text = "date", value.dt.strftime("%Y-%m-%dT00:00:00")
    else:
        kind, text = "string", _escaped(value.cast(pl.String))
    return pl.format(f'{indent}<{kind} key="{_plain(key)}" value="{{}}"/>\n', text)


def _escaped(text: pl.Expr) -> pl.Expr:
    for sign, written in _SIGNS:
        text = text.str.replace_all(sign, written, literal=True)
    return text.str.replace_all("[\x00-\x08\x0b\x0c\x0e-\x1f￾￿]", "\ufffd")  # what XML cannot hold


def _plain(key: str) -> str:
    for sign, written in _SIGNS:
        key = key.replace(sign, written)
    return key.replace("{", "{{").replace("}", "}}")


def _iso(time: pl.Expr, dtype: pl.Datetime) -> pl.Expr:
    """2025-01-06T09:00:00.000000+01:00; without an offset where the column has no zone."""
    return time.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z" if dtype.time_zone else "%Y-%m-%dT%H:%M:%S%.6f")
