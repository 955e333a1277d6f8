"""Anomalies put into drawn sequences, each with a label: `Anomaly` says which, `Spoiler` puts them in.

Some change values (the vocabulary of faults.py), others whole rows: skipped, repeated, swapped with the next, or late.
Two of them never meet in a row, so that a label says all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import polars as pl

from verosim import faults
from verosim.draws import stream
from verosim.errors import ArgumentError, did_you_mean
from verosim.keys import Ints
from verosim.models import Array, Floats
from verosim.schema import Table
from verosim.sequences.order import Clock, sequence_of
from verosim.table_model import whole

ROWS: Final = {
    "skip": "rows that should be there are not; the next one has the label",
    "repeat": "rows stand twice; the second has the label",
    "swap": "two rows in the wrong order; both have the label",
    "late": "a row, and with it all that follow, comes late",
}
KINDS: Final = faults.KINDS | ROWS
LENGTHS: Final = {"shift": 24, "drift": 24, "noise": 12, "stuck": 12, "gap": 12, "season": 24}  # otherwise 1
LABEL, COLUMN = "anomaly", "anomaly_column"
MOST: Final = 0.5  # share of the rows in anomalies


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Anomalies of one kind. Raises ArgumentError for a value that cannot be."""

    kind: str  # one of KINDS
    rate: float = 0.01  # share of the rows in them, about
    length: int | None = None  # rows of one, on average; of `late`, `spike` and rows 1, else 12 or 24
    size: float = 3.0  # in standard deviations of the column; noise: of its changes; late: in usual steps
    columns: tuple[str, ...] = ()  # those that may be changed; by default all numbers
    label: str | None = None  # by default the kind

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(f"anomalies: no kind {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        for name in ("rate", "size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
                raise ArgumentError(f"anomalies, {self.kind}: {name} is a number over 0, not {value!r}.")
        if self.length is not None:
            whole(f"anomalies, {self.kind}: length", self.length, 1)
        if self.columns and self.kind in ROWS:
            raise ArgumentError(f"anomalies: {self.kind} is of whole rows, and names no columns.")

    @property
    def rows(self) -> int:
        """Of one, on average."""
        return 1 if self.kind in ("late", "swap") else self.length or LENGTHS.get(self.kind, 1)

    @classmethod
    def of_text(cls, text: str) -> Anomaly:
        """What a command line says.

        >>> Anomaly.of_text("spike=0.02 size=5 columns=temp,load")
        Anomaly(kind='spike', rate=0.02, length=None, size=5.0, columns=('temp', 'load'), label=None)
        """
        first, *rest = text.split() or [""]
        kind, _, rate = first.partition("=")
        said: dict[str, Any] = {"rate": _number(text, rate)} if rate else {}
        for part in rest:
            name, _, value = part.partition("=")
            known = [f.name for f in fields(cls) if f.name != "kind"]
            if name not in known or not value:
                raise ArgumentError(f"anomalies: {part!r} in {text!r} is no part; {did_you_mean(name, known)}")
            said[name] = (
                tuple(value.split(",")) if name == "columns" else value if name == "label" else _number(text, value)
            )
        if "length" in said:
            said["length"] = int(said["length"])
        return cls(kind, **said)


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ArgumentError(f"anomalies: a number was wanted in {text!r}, not {value!r}.") from error


def anomalies_of(asked: Any) -> tuple[Anomaly, ...]:
    """A kind, or several; as text, as {kind: rate} or as `Anomaly`. Raises ArgumentError."""
    if asked is None:
        return ()
    if isinstance(asked, Mapping):
        return tuple(Anomaly(str(kind), rate) for kind, rate in asked.items())
    several = [asked] if isinstance(asked, str | Anomaly) else asked
    if not isinstance(several, list | tuple):
        raise ArgumentError(f"anomalies: a kind, a list of them or {{kind: rate}} was wanted, not {asked!r}.")
    found = tuple(a if isinstance(a, Anomaly) else Anomaly.of_text(str(a)) for a in several)
    if sum(a.rate for a in found) > MOST:
        raise ArgumentError(f"anomalies: their rates sum to {sum(a.rate for a in found):g}; {MOST} is the most.")
    return found


@dataclass(frozen=True, slots=True)
class Events:
    """Where anomalies lie in a frame, e of them. kind: which of those asked; begin, end: (e,) rows; sign: 1 or -1."""

    kind: Ints
    begin: Ints
    end: Ints
    sign: Floats
    column: Floats  # from 0 to 1: which of the columns

    def take(self, some: Array) -> Events:
        return Events(self.kind[some], self.begin[some], self.end[some], self.sign[some], self.column[some])

    @property
    def rows(self) -> tuple[Ints, Ints]:
        """All rows in them, and of which event each is."""
        lengths = self.end - self.begin
        event = np.repeat(np.arange(len(lengths)), lengths)
        return self.begin[event] + np.arange(len(event)) - (np.cumsum(lengths) - lengths)[event], event


class Spoiler:
    """Anomalies for the frames of one draw, which come one after the other. some: rows that show what is usual."""

    def __init__(self, table: Table, clock: Clock | None, asked: tuple[Anomaly, ...], some: pl.DataFrame) -> None:
        self.table, self.clock, self.asked, self.said = table, clock, asked, sequence_of(table)
        taken = next((n for n in (LABEL, COLUMN) if n in table.names), None)
        if taken is not None:
            raise ArgumentError(
                f"anomalies: the table has a column {taken!r}, where the labels would stand: rename it."
            )
        numbers = [
            c.name for c in table.columns if some[c.name].dtype.is_numeric() and c.kind not in ("id", "personal")
        ]
        self.numbers = [n for n in numbers if n not in self.said.columns]
        self.scales = {n: _scales(some[n]) for n in self.numbers}
        self.delay, self.late = self._usual(some), 0  # ticks; those that all rows to come are late by
        for anomaly in asked:
            self._check(anomaly)

    def _check(self, anomaly: Anomaly) -> None:
        for name in anomaly.columns:
            if name not in self.numbers:
                hint = did_you_mean(name, self.numbers)
                raise ArgumentError(f"anomalies, {anomaly.kind}: {name!r} is no number that changes; {hint}")
        if anomaly.kind in faults.KINDS and not self.numbers:
            raise ArgumentError(
                f"anomalies: table {self.table.name!r} has no numbers that change, which {anomaly.kind} is of. "
                f"Of whole rows are {', '.join(ROWS)}."
            )
        if anomaly.kind == "late" and self.clock is None:
            raise ArgumentError(f"anomalies: table {self.table.name!r} has no time column: nothing can be late.")

    def _usual(self, some: pl.DataFrame) -> int:
        if self.clock is None or self.said.time is None:
            return 1
        new = self._new(some)
        gaps = np.diff(self.clock.ticks(some[self.said.time]))[~new[1:]]
        return max(1, round(float(np.median(gaps)))) if len(gaps) else 1

    def _new(self, frame: pl.DataFrame) -> Array:
        """(n,) where a sequence begins."""
        if self.said.key is None:
            return np.arange(frame.height) == 0
        return np.diff(frame[self.said.key].rle_id().to_numpy().astype(np.int64), prepend=-1) > 0

    def frames(self, drawn: Iterable[pl.DataFrame], seed: int) -> Iterator[pl.DataFrame]:
        """The frames with anomalies in them, and two columns of labels: what it is, and in which column."""
        for number, frame in enumerate(drawn):
            events = self._events(frame, number, seed)
            labels = np.full(frame.height, None, object)
            columns = np.full(frame.height, None, object)
            for i, anomaly in enumerate(self.asked):
                mine = events.take(events.kind == i)
                label = anomaly.label or anomaly.kind
                if anomaly.kind in faults.KINDS:
                    noise = stream(seed, self.table.name, "anomalies", number, i, "noise").standard_normal(frame.height)
                    frame = self._values(frame, anomaly, mine, noise, columns)
                    labels[mine.rows[0]] = label
                elif anomaly.kind == "swap":
                    frame = self._swapped(frame, mine)
                    labels[mine.begin] = labels[mine.end] = label
                elif anomaly.kind == "late":
                    labels[mine.begin] = label
            frame = self._delayed(frame, events)
            told = [pl.Series(LABEL, labels.tolist(), pl.String), pl.Series(COLUMN, columns.tolist(), pl.String)]
            yield self._rows(frame.with_columns(told), events)

    def _events(self, frame: pl.DataFrame, number: int, seed: int) -> Events:
        n = frame.height
        new = self._new(frame)
        begins = np.append(np.flatnonzero(new), n)
        last = begins[np.cumsum(new)]  # (n,) the row after the last one of its sequence
        rng = [stream(seed, self.table.name, "anomalies", number, part) for part in ("when", "long", "sign", "column")]
        each = np.array([a.rows for a in self.asked])
        rates = np.array([a.rate for a in self.asked])
        due = np.cumsum(rates / each / (1 - rates.sum()))  # begins come in rows that are free of others
        chance = rng[0].random(n)
        begin = np.flatnonzero(chance < due[-1])
        kind = np.searchsorted(due, chance[begin], side="right")
        more = rng[1].standard_exponential(n, method="inv")[begin] * (each[kind] - 1)
        length = 1 + np.floor(more + 0.5).astype(np.int64)
        behind = np.array([a.kind in ("skip", "swap") for a in self.asked])[kind]  # the next row has a part in it
        reach = begin + length + behind
        free = _apart(begin, reach) & (~behind | (reach <= last[begin]))
        end = np.minimum(begin + length, last[begin])
        sign = np.where(rng[2].random(n) < 0.5, -1.0, 1.0)[begin]
        return Events(kind, begin, end, sign, rng[3].random(n)[begin]).take(free)

    # --------------------------------------------------------------------------------------------------- values

    def _values(
        self, frame: pl.DataFrame, anomaly: Anomaly, events: Events, noise: Floats, told: Array
    ) -> pl.DataFrame:
        """Readings changed, column by column. told: (n,) is given the column of each changed row."""
        names = anomaly.columns or self.numbers
        which = (events.column * len(names)).astype(np.int64)
        for i, name in enumerate(names):
            mine = events.take(which == i)
            if len(mine.begin):
                frame = frame.with_columns(self._changed(frame[name], anomaly, mine, noise))
                told[mine.rows[0]] = name
        return frame

    def _changed(self, series: pl.Series, anomaly: Anomaly, events: Events, noise: Floats) -> pl.Series:
        rows, event = events.rows
        begin, end = events.begin[event], events.end[event]
        if anomaly.kind in ("stuck", "season"):
            return series.scatter(rows, series[begin if anomaly.kind == "stuck" else begin + end - 1 - rows])
        if anomaly.kind == "gap":
            return series.scatter(rows, None)
        level, change = self.scales[series.name]
        place = (rows - begin) / np.maximum(end - begin - 1, 1)
        off: Floats = events.sign[event] * level * faults.moved(anomaly.kind, place)
        by = anomaly.size * (noise[rows] * change if anomaly.kind == "noise" else off)
        return series.scatter(rows, self._held(series[rows].cast(pl.Float64) + pl.Series(by), series))

    def _held(self, values: pl.Series, series: pl.Series) -> pl.Series:
        """Values as the column holds them: whole numbers, decimals, and not past what the schema allows."""
        column, dtype = self.table[series.name], series.dtype
        low, high = column.minimum, column.maximum
        if isinstance(dtype, pl.datatypes.IntegerType):
            least, most = pl.select(low=dtype.min(), high=dtype.max()).row(0)
            low, high = (least if low is None else max(low, least)), (most if high is None else min(high, most))
            values = values.round()
        elif column.digits is not None:
            values = values.round(column.digits)
        return values.clip(low, high).cast(dtype)

    # ----------------------------------------------------------------------------------------------------- rows

    def _swapped(self, frame: pl.DataFrame, events: Events) -> pl.DataFrame:
        stay = {self.said.time, self.said.key, *self.said.statics}
        order = np.arange(frame.height)
        order[events.begin], order[events.begin + 1] = events.begin + 1, events.begin.copy()
        return frame.with_columns(frame[n][order] for n in frame.columns if n not in stay)

    def _delayed(self, frame: pl.DataFrame, events: Events) -> pl.DataFrame:
        """Times of late rows, and of those after them in their sequence."""
        if self.clock is None or self.said.time is None:
            return frame
        delay = np.zeros(frame.height, np.int64)
        for i, anomaly in enumerate(self.asked):
            if anomaly.kind == "late":
                delay[events.begin[events.kind == i]] = max(1, round(anomaly.size * self.delay))
        if not delay.any() and not self.late:
            return frame
        total, new = np.cumsum(delay), self._new(frame)
        begin = np.flatnonzero(new)
        late = total - (total - delay)[begin][np.cumsum(new) - 1]
        if self.said.key is None:  # the series goes on in the next frame
            late = late + self.late
            self.late = int(late[-1])
        ticks = self.clock.ticks(frame[self.said.time])
        return frame.with_columns(self.clock.series(ticks + late).alias(self.said.time))

    def _rows(self, frame: pl.DataFrame, events: Events) -> pl.DataFrame:
        """Rows left out, and rows that stand twice."""
        often = np.ones(frame.height, np.int64)
        label = np.array(frame[LABEL].to_list(), object)
        again = np.full(frame.height, None, object)
        for i, anomaly in enumerate(self.asked):
            mine, name = events.take(events.kind == i), anomaly.label or anomaly.kind
            if anomaly.kind == "skip":
                often[mine.rows[0]], label[mine.end] = 0, name
            elif anomaly.kind == "repeat":
                often[mine.rows[0]], again[mine.rows[0]] = 2, name
        taken = np.repeat(np.arange(frame.height), often)
        second = np.append(False, taken[1:] == taken[:-1])[: len(taken)]
        told = pl.Series(LABEL, np.where(second, again[taken], label[taken]).tolist(), pl.String)
        return frame[taken].with_columns(told)


def _apart(begin: Ints, end: Ints) -> Array:
    """(e,) which events stay, that none begins before the one before it has ended."""
    stays, busy = np.zeros(len(begin), bool), -1
    for i, (first, after) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        if first >= busy:
            stays[i], busy = True, after
    return stays


def _scales(series: pl.Series) -> tuple[float, float]:
    """The standard deviation of a column, and of its changes; 1 where all is alike."""
    values = series.drop_nulls().cast(pl.Float64).to_numpy()
    values = values[np.isfinite(values)]
    level = float(values.std()) if len(values) else 0.0
    change = float(np.diff(values).std()) if len(values) > 1 else 0.0
    return level or 1.0, change or level or 1.0
