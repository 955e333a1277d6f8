"""Whether the order of a table's rows matters: a long series, many keyed sequences, an event log. By values, not names.

A column orders the rows where it is sorted in all of them, or in the rows of each key. That rows are sorted proves
little (any table may be): they must also stand on a regular grid, be kept together by a key, or resemble their
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import DataError
from verosim.infer.order import what_tells
from verosim.infer.personal import words_of
from verosim.providers import learn_pattern
from verosim.schema import Column, Sequence, Table
from verosim.timeline import Grid, step_of, ticks_of, times_of

LEAST: Final = 30  # rows: of fewer nothing is guessed
ALIKE: Final = 0.7  # correlation of neighbours that makes a series, half-way through its columns
LABELS: Final = 20  # fewer keys than this are names that stay, as of sensors; more are made anew
FEW: Final = 0.05  # share of the rows without a time or a key that hide a sequence, at most
MOST_LEVELS: Final = 300  # activities of a log
_TIMES: Final = ("date", "datetime")
_ZONED: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)? ?(Z|[+-]\d\d:?\d\d)$"
_COUNTS: Final = frozenset({
    "time", "timestamp", "step", "tick", "t", "day", "week", "month", "quarter", "year", "period", "hour", "minute",
    "second", "wave", "visit", "round", "index", "seq", "sequence", "position", "cycle", "epoch", "frame", "order",
})  # fmt: skip
_ACTIVITY: Final = frozenset({
    "activity", "event", "action", "task", "concept", "status", "state", "stage", "operation", "page",
})  # fmt: skip
_RESOURCE: Final = frozenset({
    "resource", "user", "agent", "operator", "employee", "staff", "worker", "org", "group", "machine", "actor",
})  # fmt: skip
_KEY: Final = frozenset({
    "id", "case", "customer", "patient", "user", "session", "client", "device", "sensor", "account", "subject",
    "person", "key", "unit", "machine", "store", "item", "ticker", "symbol", "series", "entity", "name", "station",
    "country", "household", "vehicle", "player", "trace", "order", "visit",
})  # fmt: skip

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Times:
    """A column that may order the rows."""

    name: str
    values: pl.Series  # as times or whole numbers, without nulls
    ticks: npt.NDArray[np.int64]

    @property
    def counts(self) -> bool:
        return not self.values.dtype.is_temporal()


def with_sequence(table: Table, frame: pl.DataFrame) -> Table:
    """The table with the sequence that its rows are, if they are one; the key's column is one of ids then."""
    if frame.height < LEAST or frame.width < 2:
        return table
    found = _found(table, frame)
    if found is None:
        return table
    columns = [_as_key(c, frame) if c.name == found.key else c for c in table.columns]
    return replace(table, columns=tuple(columns), sequence=found)


def _found(table: Table, frame: pl.DataFrame) -> Sequence | None:
    times = list(_candidates(table, frame))
    for time in times:
        if not time.counts and (series := _long(time, table, frame)):
            keyed = _keyed(time, table, frame) if series.step else None
            return keyed if keyed and keyed.step and _parted(frame[str(keyed.key)], time) else series
    for time in times:
        if keyed := _keyed(time, table, frame):
            return keyed
    for time in times:
        if not time.counts and (keyed := _shuffled(time, table, frame)):
            return keyed
    counted = (time for time in times if time.counts)
    return next((s for time in counted if (s := _long(time, table, frame))), None) or _unnamed(table, frame)


def _candidates(table: Table, frame: pl.DataFrame) -> Iterator[_Times]:
    """Columns of days and times, in their order, then whole numbers that are named like a count of time."""
    named = [c for c in table.columns if c.kind in ("number", "id") and {*words_of(c.name).split()} & _COUNTS]
    for column in (*(c for c in table.columns if c.kind in _TIMES), *named):
        series = frame[column.name]
        if series.null_count():
            continue
        values = times_of(series, column)
        if values.dtype.is_temporal() or values.dtype.is_integer():
            yield _Times(column.name, values, ticks_of(values))


# ------------------------------------------------------------------------------------------------- one long series


def _long(time: _Times, table: Table, frame: pl.DataFrame) -> Sequence | None:
    """All rows, one after the other: each time once, on a grid, or sorted with neighbours that resemble each other."""
    ticks = np.sort(time.ticks)
    if (np.diff(ticks) == 0).any():
        return None
    alone = np.zeros(len(ticks), np.bool_)
    alone[0] = True
    step = step_of(time.values.sort(), alone)
    gaps = int((np.diff(ticks) != np.median(np.diff(ticks))).sum())
    sorted_ = bool((np.diff(time.ticks) > 0).all())
    alike = _likeness(table, frame.sort(by=pl.Series(time.ticks)), {time.name})
    if step and (not time.counts or sorted_) and (gaps == 0 or alike >= ALIKE / 2 or sorted_):
        why = f"each {time.name} stands once, {_every(step)}" + (f", with {gaps:,} gaps" if gaps else "")
        return Sequence(time.name, step=step, reason=why)
    if sorted_ and not time.counts and alike >= ALIKE:
        why = f"sorted by {time.name}, each once, and rows resemble the row before (correlation {alike:.2f})"
        return Sequence(time.name, reason=why)
    return None


def _parted(key: pl.Series, time: _Times) -> bool:
    """Whether the rows of each key stand together, and the steps that are missing are all between them."""
    new, gaps = _begins(key), np.diff(time.ticks)
    within = gaps[~new[1:]]
    parted = int(new.sum()) == key.n_unique() <= len(key) // 3
    return parted and len(within) > 0 and bool((gaps > within.max()).any() and np.ptp(within) == 0)


def _unnamed(table: Table, frame: pl.DataFrame) -> Sequence | None:
    """A series without a time: rows that resemble the row before, in half of the columns at least."""
    ids = {c.name for c in table.columns if words_of(c.name).split()[-1:] == ["id"]}
    measures = [c for c in table.columns if c.kind == "number" and c.name not in ids]
    named = table.primary_key or any(c.kind in _TIMES for c in table.columns)
    if named or len(measures) < 2 or len(measures) * 2 < len(table.columns):
        return None
    alike = _likeness(table, frame, ids)
    if alike < ALIKE or frame.height < 5 * LEAST:
        return None
    return Sequence(reason=f"rows resemble the row before (correlation {alike:.2f}), and no column says the time")


def _likeness(table: Table, frame: pl.DataFrame, without: set[str]) -> float:
    """The median over the measures of how each row's value goes with that of the row before, from 0 to 1.

    A column that only rises or falls is sorted, and says nothing.
    """
    found = list[float]()
    for column in table.columns:
        pair = column.kind == "geo" and frame[column.name].dtype == pl.String  # latitude and longitude in one text
        if column.kind not in ("number", "geo") or pair or column.name in without:
            continue
        series = times_of(frame[column.name], column)
        values = series.cast(pl.Float64).rank().fill_null(strategy="forward").drop_nulls().to_numpy()
        steps = np.diff(values)
        if len(values) < LEAST or (steps >= 0).all() or (steps <= 0).all():
            continue
        found.append(max(0.0, float(np.corrcoef(values[1:], values[:-1])[0, 1])))
    return float(np.median(found)) if found else 0.0


# ------------------------------------------------------------------------------------------------- keyed sequences


def _keyed(time: _Times, table: Table, frame: pl.DataFrame) -> Sequence | None:
    """The key in whose rows the times are sorted: the one whose rows stand together, or whose times no key shares."""
    scores = {c.name: _score(c, time, frame) for c in table.columns}
    name = max(scores, key=lambda name: scores[name] or (-1.0, False))  # of equals the first
    scored = scores[name]
    if scored is None:
        return None
    stand = f"the rows of each of {frame[name].n_unique():,} values of {name} "
    stand += "stand together and are" if scored[1] else "are"
    return _by(time, name, table, frame, f"{stand} sorted by {time.name}")


def _shuffled(time: _Times, table: Table, frame: pl.DataFrame) -> Sequence | None:
    """The key that is called one, of rows that stand in any order, where the order of times matters within it."""
    for column in table.columns:
        series = frame[column.name]
        whole = column.kind in ("category", "id", "text") and column.name != time.name and not series.null_count()
        if not (whole and {*words_of(column.name).split()} & _KEY and 2 <= series.n_unique() * 3 <= frame.height):
            continue
        owners = series.rank("dense").cast(pl.Int64).to_numpy() - 1
        told = what_tells(frame, table, {column.name}, owners, time.ticks)
        why = (
            f"{time.name} orders the rows of each of {series.n_unique():,} values of {column.name}, wherever they stand"
        )
        if told and (found := _by(time, column.name, table, frame, f"{why}; {told}")):
            return found
    return None


def hindered(table: Table, frame: pl.DataFrame) -> str:
    """What may keep a table from being found to be a sequence, a few rows or mixed zones: a sentence; "" for none."""
    if table.sequence is not None or frame.height < LEAST:
        return ""
    for series in frame.select(pl.selectors.string()):
        zones = series.str.extract(_ZONED)
        if not zones.null_count() and zones.n_unique() > 1:
            shown = ", ".join(sorted(zones.unique())[:3])
            return (
                f"table {table.name!r}: {series.name!r} has times of {zones.n_unique()} zones ({shown}), and is "
                "learned as text: write them in one, such as UTC"
            )
    asked = [c.name for c in table.columns if c.kind in _TIMES or {*words_of(c.name).split()} & _KEY]
    lost = [n for n in asked if 0 < frame[n].null_count() <= FEW * frame.height]
    known = replace(table, primary_key=())
    found = with_sequence(known, frame.drop_nulls(lost)).sequence if lost else None
    name = next((n for n in lost if found and n in (found.time, found.key)), None)
    if found is None or name is None:
        return ""
    row = int(frame[name].is_null().arg_true()[0])
    return (
        f"table {table.name!r} would be a sequence ({found.reason}), but {frame[name].null_count():,} rows have no "
        f"{name!r}, the first of them row {row}: fill it in, or leave them out"
    )


def by_key(table: Table, frame: pl.DataFrame, key: str) -> Sequence | None:
    """The sequences that the rows of each value of a key are by the first column of times, whether or not their order
    matters; None where there is no such column, or keys or times are missing."""
    if frame.height < LEAST or frame[key].null_count():
        return None
    found = (_by(time, key, table, frame, "") for time in _candidates(table, frame) if time.name != key)
    said = next((s for s in found if s), None)
    if said is None:
        return None
    why = f"{said.time} orders the rows of each of {frame[key].n_unique():,} values of {key}{said.reason}"
    return replace(said, reason=why)


def _by(time: _Times, name: str, table: Table, frame: pl.DataFrame, why: str) -> Sequence | None:
    """The sequences of a key; None where times are the same in each."""
    key = frame[name]
    order = frame.select(pl.struct(k=key.rank("dense"), t=pl.Series(time.ticks)).arg_sort()).to_series()
    step = step_of(time.values.gather(order), _begins(key.gather(order)))
    statics = _statics(table, frame, name)
    if time.name in statics:
        return None
    activity, resource = _log(table, frame, time, statics, name) if step is None else (None, None)
    why += f", {_every(step)}" if step else ""
    if statics:
        named = ", ".join(statics[:3]) + " ..." * (len(statics) > 3)
        why += f"; {named} {'stays' if len(statics) == 1 else 'stay'} the same"
    return Sequence(time.name, name, step, statics, activity, resource, why)


def _score(column: Column, time: _Times, frame: pl.DataFrame) -> tuple[float, bool] | None:
    """How well a column keys the rows, and whether the rows of each key stand together; None where it does not."""
    series = frame[column.name]
    if column.kind not in ("category", "id", "number", "text", "personal") or column.name == time.name:
        return None
    if series.null_count() or series.dtype.is_float() or series.dtype.is_decimal():
        return None
    n = series.n_unique()
    if not 2 <= n <= frame.height * 0.7:
        return None
    named = bool({*words_of(column.name).split()} & _KEY)
    together = int(_begins(series).sum()) == n
    if column.kind in ("number", "personal") and not ((together and n * 3 <= frame.height) or named):
        return None
    pairs = pl.DataFrame({"key": series, "time": time.ticks})
    within = pairs.select((pl.col("time").diff().over("key") < 0).any()).item()
    if within:
        return None
    rises = bool((np.diff(time.ticks) >= 0).all())  # over all keys: their rows stand between each other, or they follow
    shared = len(np.unique(time.ticks)) < frame.height and pairs.n_unique() == frame.height
    if together and not rises:
        return 3.0 + named, True
    if shared and not time.counts and (rises or not together):
        return 1.0 + named + 0.5 * (column.kind == "id"), False
    return (1.0, together) if named and not time.counts and n * 2 <= frame.height else None


def _begins(key: pl.Series) -> Bools:
    """(n,) where a row's key is not that of the row before."""
    return np.append(True, (key[1:] != key[:-1]).fill_null(True).to_numpy()) if len(key) else np.zeros(0, np.bool_)


def _statics(table: Table, frame: pl.DataFrame, key: str) -> tuple[str, ...]:
    """The columns that hold one value, or none at all, in all rows of each key, and not the same in all keys."""
    others = [c.name for c in table.columns if c.name != key and c.kind not in ("constant", "empty")]
    if not others:
        return ()
    counts = frame.group_by(key).agg(pl.col(others).n_unique()).select(pl.col(others).max()).row(0)
    return tuple(name for name, most in zip(others, counts, strict=True) if most == 1)


def _log(
    table: Table, frame: pl.DataFrame, time: _Times, statics: tuple[str, ...], key: str
) -> tuple[str | None, str | None]:
    """The activity and the resource of an event log; none where there is no column of what happens."""
    if time.counts:
        return None, None
    here = [c for c in table.columns if c.name not in statics and c.name != key and c.name != time.name]
    levels = [c for c in here if c.kind == "category" and 2 <= frame[c.name].n_unique() <= MOST_LEVELS]
    whole = [c for c in levels if not frame[c.name].null_count()]
    named = (c.name for c in whole if {*words_of(c.name).split()} & _ACTIVITY)
    activity = next(named, None)
    others = (c.name for c in levels if c.name != activity and {*words_of(c.name).split()} & _RESOURCE)
    return activity, next(others, None) if activity else None


def _as_key(column: Column, frame: pl.DataFrame) -> Column:
    """A key of many values is an id, made anew; of few it stays what it is, a label."""
    series = frame[column.name]
    if column.kind == "id" or series.n_unique() < LABELS or series.dtype.is_nested():
        return replace(column, unique=False)
    bare: Mapping[str, Any] = {"step": None, "digits": None, "format": None, "provider": None, "unique": False}
    if not (series.dtype.is_integer() or isinstance(series.dtype, pl.String)):
        return column
    reason = f"the key of {series.n_unique():,} sequences"
    return replace(column, kind="id", pattern=learn_pattern(series.unique(maintain_order=True)), reason=reason, **bare)


def _every(step: str) -> str:
    return f"in steps of {step}"


# ------------------------------------------------------------------------------------------------- as given


def check_sequence(table: Table, frame: pl.DataFrame) -> None:
    """What a person wrote, held against the data: DataError with the row where they contradict."""
    said = table.sequence
    if said is None or not frame.height:
        return
    for name in (said.time, said.key, said.activity):
        if name and frame[name].null_count():
            row = int(frame[name].is_null().arg_true()[0])
            part = {said.time: "time", said.key: "key", said.activity: "activity"}[name]
            fix = "Fill it in, drop the row, or take the sequence out of the schema."
            raise DataError(
                f"the {part} of the sequence has no value.", table=table.name, column=name, row=row, fix=fix
            )
    if said.time:
        _check_time(table, frame[said.time], said)
    for name in said.statics:
        _check_static(table, frame, str(said.key), name)


def _check_time(table: Table, series: pl.Series, said: Sequence) -> None:
    times = times_of(series, table[series.name])
    if not (times.dtype.is_temporal() or times.dtype.is_numeric()):
        reason = f"a time, a day or a number orders the rows, not {series.dtype}."
        fix = "Write the column's `kind` and `format`, or leave `time` out: the rows stand in order then."
        raise DataError(reason, table=table.name, column=series.name, fix=fix)
    if times.null_count():
        row = int(times.is_null().arg_true()[0])
        raise DataError(f"{series[row]!r} is no time.", table=table.name, column=series.name, row=row)
    if said.step:
        try:
            Grid.of(said.step, times.rename(series.name))
        except DataError as error:
            raise DataError(error.reason, table=table.name, column=series.name, row=error.row, fix=error.fix) from error


def _check_static(table: Table, frame: pl.DataFrame, key: str, name: str) -> None:
    first = pl.col(name).first().over(key)
    off = frame.select((~pl.col(name).eq_missing(first)).arg_true()).to_series()
    if len(off):
        row = int(off[0])
        reason = f"{frame[name][row]!r} is not what the first row of {key} {frame[key][row]!r} has: it is no static."
        raise DataError(reason, table=table.name, column=name, row=row, fix="Take it out of `statics`.")
