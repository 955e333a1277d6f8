"""What a call asks of sequences: `Course`. How many and how long, from when, with what given, going on from what."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import ArgumentError, DataError, did_you_mean
from verosim.forms import Form
from verosim.schema import Table, parse_dtype
from verosim.sequences.anomalies import anomalies_of
from verosim.sequences.cases import LENGTH
from verosim.sequences.keyed import Keyed
from verosim.sequences.long import Long
from verosim.sequences.order import Clock, Runs, sequence_of
from verosim.sequences.walk import Asked
from verosim.table_model import whole
from verosim.timeline import times_of


@dataclass(frozen=True, slots=True)
class Course:
    """What is asked of sequences beside the number of their rows. Raises ArgumentError for a value that cannot be."""

    sequences: int | None = None  # how many whole ones
    length: int | None = None  # rows of each, or of a long series
    start: Any = None  # when they begin: a time, or ISO text
    given: pl.DataFrame | None = None  # keyed: a row a sequence, of columns that stay the same, such as the key
    begin: pl.DataFrame | None = None  # rows that they go on from; those are not given back
    anomalies: Any = None  # kinds of anomalies that are put in, with labels: text, a list, {kind: rate} or `Anomaly`

    def __post_init__(self) -> None:
        for name in ("sequences", "length"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), 1)
        anomalies_of(self.anomalies)
        if self.given is not None and self.begin is not None:
            raise ArgumentError("give the statics of sequences (`given`) or their beginnings (`begin`), not both.")
        if self.begin is not None and self.start is not None:
            raise ArgumentError("what goes on from given rows starts after them: leave `start` out.")

    @property
    def any(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(self))


def begun(course: Course, form: Long) -> tuple[int, int | None, pl.DataFrame | None]:
    """Of a long series: the row of the real one where it starts, when it starts, and the rows before."""
    if course.given is not None:
        raise ArgumentError("a long series has no statics to be given; give its beginning with `begin`.")
    if course.begin is not None:
        first = Runs.of(conformed(course.begin, form.table), form.table).frame
        if form.clock is None:
            return 0, None, first
        said = sequence_of(form.table)
        last = int(form.clock.ticks(first[str(said.time)].tail(1))[0])
        row = form.begin_of(last)
        step = int(form.gaps[min(row, len(form.gaps) - 1)]) if len(form.gaps) else 1
        return row + 1, last + max(step, 1), first
    if course.start is None:
        return 0, None, None
    if form.clock is None:
        raise ArgumentError(f"table {form.table.name!r} has no time column: there is no `start` to be asked.")
    ticks = tick_of(course.start, form.clock)
    return form.begin_of(ticks), ticks, None


def asked_of(course: Course, form: Keyed, seed: int) -> Asked:
    """Of keyed sequences."""
    said = sequence_of(form.table)
    ticks = None
    if course.start is not None:
        if form.clock is None:
            raise ArgumentError(f"table {form.table.name!r} has no time column: there is no `start` to be asked.")
        ticks = tick_of(course.start, form.clock)
    if course.begin is not None:
        runs = Runs.of(conformed(course.begin, form.table), form.table)
        cases = runs.frame.filter(pl.Series(runs.new))
        if LENGTH not in cases.columns and not said.activity:
            more = course.length or max(1, round(form.rows / max(form.sequences, 1)))
            cases = cases.with_columns(pl.Series(LENGTH, runs.lengths + more))
        return Asked(course.length, None, cases, begin=runs)
    if course.given is not None:
        return Asked(course.length, ticks, _cases(course.given, form, seed))
    return Asked(course.length, ticks)


def _cases(given: pl.DataFrame, form: Keyed, seed: int) -> pl.DataFrame:
    """Rows a key in which the given columns are as given, the others drawn: of rows alike in what is given."""
    said = sequence_of(form.table)
    known = [*said.statics, str(said.key)]
    for name in given.columns:
        if name not in known:
            raise ArgumentError(f"given: {name!r} is not the same in a whole sequence; {did_you_mean(name, known)}")
        if name in form.derived.columns:
            raise ArgumentError(f"given: {name!r} follows from what happens in a sequence: it cannot be given.")
    if not given.height:
        raise DataError("there is nothing given.", table=form.table.name, fix="Give a row for each sequence.")
    given = conformed(given, form.table)
    pool = form.roster if form.roster is not None else pl.concat(_some(form, max(2000, 4 * given.height), seed))
    taken, rng = np.zeros(given.height, np.int64), stream(seed, form.table.name, "given")
    match = [n for n in given.columns if n != said.key or form.roster is not None]
    own = pool.select(match).with_row_index("row")
    groups = own.group_by(match).agg("row") if match else None
    found = (
        given.select(match).join(groups, on=match, how="left", nulls_equal=True, maintain_order="left")
        if groups is not None
        else None
    )
    for i in range(given.height):
        rows = found["row"][i] if found is not None else None
        taken[i] = rng.choice(rows.to_numpy()) if rows is not None else rng.integers(pool.height)
    return pool[taken].with_columns(given.get_columns())


def _some(form: Keyed, n: int, seed: int) -> list[pl.DataFrame]:
    out, found = [], 0
    for frame in form.cases_of(seed):
        out.append(frame)
        found += frame.height
        if found >= n:
            break
    return out


def conformed(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The given columns in the types of the table. Raises DataError for what is not of it."""
    out = []
    for series in frame.get_columns():
        if series.name not in table.names:
            hint = did_you_mean(series.name, table.names)
            raise DataError(f"there is no such column; {hint}", table=table.name, column=series.name)
        column = table[series.name]
        wanted = parse_dtype(column.dtype, column.levels)
        try:
            out.append(series if series.dtype == wanted else series.cast(wanted))
        except pl.exceptions.PolarsError as error:
            reason = f"{wanted} was wanted, not {series.dtype}."
            raise DataError(reason, table=table.name, column=series.name, fix="Cast it.") from error
    return pl.DataFrame(out)


def tick_of(start: Any, clock: Clock) -> int:
    """When a sequence starts, as the clock counts. Raises ArgumentError for what is no time of it."""
    column, wanted = clock.column, f"a time such as {_example(clock)} was wanted"
    try:
        if isinstance(start, str) and column.format and column.dtype == "str":
            parsed = times_of(pl.Series([start]), column)
            if parsed.null_count():
                parsed = pl.Series([datetime.fromisoformat(start)]).cast(clock.dtype)
        elif isinstance(start, str) and isinstance(clock.dtype, pl.Date | pl.Datetime):
            parsed = _moment(datetime.fromisoformat(start), clock.dtype)
        elif isinstance(start, datetime | date):
            moment = start if isinstance(start, datetime) else datetime(start.year, start.month, start.day)
            parsed = _moment(moment, clock.dtype)
        else:
            parsed = pl.Series([start]).cast(clock.dtype)
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise ArgumentError(f"start: {wanted}, not {start!r}.") from error
    text = Form.of(column.format).format(parsed) if column.dtype == "str" and column.format else parsed
    return int(clock.ticks(text.alias(column.name))[0])


def _moment(moment: datetime, dtype: pl.DataType) -> pl.Series:
    """One moment as a series of the type; without a zone it is of the type's own."""
    zone = getattr(dtype, "time_zone", None)
    if moment.tzinfo is not None:
        series = pl.Series([moment])
        return series.dt.convert_time_zone(zone).cast(dtype) if zone else series.dt.replace_time_zone(None).cast(dtype)
    plain = pl.Series([moment])
    return plain.dt.replace_time_zone(zone, ambiguous="earliest").cast(dtype) if zone else plain.cast(dtype)


def _example(clock: Clock) -> str:
    return str(clock.times(np.zeros(1, np.int64))[0])


def check_course(course: Course, table: Table) -> None:
    """Raise ArgumentError where a table that is no sequence is asked for a course."""
    if course.any and table.sequence is None:
        raise ArgumentError(
            f"table {table.name!r} is no sequence, which `sequences`, `length`, `start`, `given`, `begin` and "
            "`anomalies` are of. "
            "Say in its schema what its `sequence` is."
        )
