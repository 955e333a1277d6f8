"""One long series, learned and drawn anew: `Long`. Its times go on as the real ones do; see models/course.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import DataError, ModelFileError
from verosim.keys import Ints
from verosim.models import Array, Codes, State, part, saved_array
from verosim.models.course import Course
from verosim.models.voices import products
from verosim.rules import Reduction, reduce
from verosim.schema import Table, dtype_name, parse_dtype
from verosim.sequences.measures import Measures
from verosim.sequences.order import Clock, Runs, held_out, sequence_of
from verosim.table_model import Options, rules_of
from verosim.timeline import Grid

HOURS: Final = {"a day": 24.0, "a week": 168.0, "a year": 8765.8}  # seasons that are looked for
CYCLES: Final = 10  # so many of them are wanted at least
LONG_ENOUGH: Final = 400  # rows, to tell a rhythm without times
CLEAR: Final = 0.5  # of the highest rise of the autocorrelation, from which a shorter rhythm counts
SEASONAL: Final = 0.1  # share of the variance that a season must tell, or tell more than a shorter one
PHASES: Final = 24
SHUFFLED: Final = 24  # gaps of irregular times that change places with each other


class Long:
    """A series without a key. clock: its times, None where rows only stand in order."""

    def __init__(
        self, table: Table, reduction: Reduction, measures: Measures, course: Course, rows: int,
        clock: Clock | None, first: int, gaps: Ints, season: str,
    ) -> None:  # fmt: skip
        self.table, self.reduction, self.measures, self.course, self.rows = table, reduction, measures, course, rows
        self.clock, self.first, self.gaps, self.season = clock, first, gaps, season

    @classmethod
    def fit(cls, frame: pl.DataFrame, table: Table, options: Options, seed: int) -> Self:
        """frame: all rows of the real series; those held out are left out here."""
        said, runs = sequence_of(table), Runs.of(frame, table)
        place = np.flatnonzero(held_out(frame, table, options.holdout, seed)[runs.order] == 0)
        clock, first, gaps = None, 0, np.zeros(0, np.int64)
        if said.time:
            clock = Clock.of(runs.frame[said.time], table[said.time], said.step)
            ticks = clock.ticks(runs.frame[said.time])
            first, gaps = int(ticks[0]), np.diff(ticks)
        rest = _without_time(table)
        train = runs.frame[place].select(rest.names)
        reduced, reduction = reduce(train, rules_of(rest), rest, k=options.k)
        measures = Measures.fit(reduced, reduction.table, options.k, stream(seed, table.name, "scales"))
        codes = measures.encode(reduced)
        hours = clock.hours(ticks) if clock and len(gaps) else None
        season, period = _rhythm(codes, place) if hours is None else _season(codes, hours[place], hours)
        course = Course().fit(codes, place, period)
        return cls(table, reduction, measures, course, frame.height, clock, first, gaps, season)

    @property
    def notes(self) -> list[str]:
        """What a reader of the model file should know."""
        held = "the model file holds the course of the series, but for its hold-out: guard it as you guard the data"
        return [held, *self.measures.notes]

    def explain(self) -> dict[str, str]:
        """For each field, how it is drawn."""
        season = f", and at the same time of {self.season}" if self.season else ""
        ways = {"moves": f"goes on from moments alike near the same place{season}; gaps are taken up by movement",
                "jumps": f"goes on from moments alike near the same place{season}",
                "alone": "no memory, and no other column tells it: drawn row by row near the same place"}  # fmt: skip
        return {field.name: ways[self.course.way(i)] for i, field in enumerate(self.course.fields_)}

    def blocks(
        self, rows: int, seed: int, begin: int = 0, ticks: int | None = None, first: pl.DataFrame | None = None,
        temperature: float = 1.0,
    ) -> Iterator[pl.DataFrame]:  # fmt: skip
        """`rows` rows, block by block. begin: the row of the real series where it starts. ticks: when, if elsewhere.

        first: rows that stand before them, from which they go on.
        """
        before = self._codes(first) if first is not None else None
        rng, done = stream(seed, self.table.name, "course"), 0
        times = self._times(rows, seed, begin, ticks)
        for number, codes in enumerate(self.course.draw(rows, rng, begin, before, temperature)):
            own = stream(seed, self.table.name, number, "decode")
            frame = self.measures.decode(codes, done + np.arange(codes.n), own, seed)
            frame = self.reduction.restore(frame).head(rows - done)
            if self.clock is not None:
                frame = frame.with_columns(self.clock.series(times[done : done + codes.n]))
            done += codes.n
            yield frame.select(self.table.names)

    def _codes(self, first: pl.DataFrame) -> Codes:
        rest = first.select(n for n in self.reduction.original.names)
        return self.measures.encode(self.reduction.apply(rest))

    def _times(self, rows: int, seed: int, begin: int, ticks: int | None) -> Ints:
        """(rows,) when each is: steps as in the real series; past its end they begin again."""
        if self.clock is None or not rows:
            return np.zeros(0, np.int64)
        gaps = self.gaps if len(self.gaps) else np.ones(1, np.int64)
        if not self.clock.grid:
            rng = stream(seed, self.table.name, "gaps")
            parts = np.arange(len(gaps)) // SHUFFLED
            gaps = gaps[np.lexsort((rng.random(len(gaps)), parts))]
        taken = np.take(gaps, begin + np.arange(rows - 1), mode="wrap")
        start = self.first + int(gaps[:begin].sum()) if ticks is None else ticks
        return start + np.concatenate([[0], np.cumsum(taken)]).astype(np.int64)

    def begin_of(self, ticks: int) -> int:
        """The row of the real series that goes with a time: it itself, or where the season stands alike."""
        if self.clock is None:
            return 0
        known = self.first + np.concatenate([[0], np.cumsum(self.gaps)])
        found = int(np.searchsorted(known, ticks))
        if 0 < found < self.rows or ticks == self.first or not self.course.period_:
            return found % max(self.rows, 1)
        step = max(float(np.median(self.gaps)), 1e-9) if len(self.gaps) else 1.0
        away = (ticks - self.first) / step
        return int(away % self.course.period_) % max(self.rows, 1)

    # ---------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        measures, arrays = self.measures.state()
        course, own = self.course.state()
        meta = {"reduction": self.reduction.to_dict(), "measures": measures, "course": course, "rows": self.rows}
        meta |= {"first": self.first, "season": self.season}
        if self.clock:
            meta["clock"] = saved_clock(self.clock)
        out = {f"measures/{n}": a for n, a in arrays.items()} | {f"course/{n}": a for n, a in own.items()}
        return meta, out | {"gaps": self.gaps.astype(np.int64)}

    @classmethod
    def restore(cls, table: Table, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        reduction = Reduction.from_dict(meta["reduction"])
        measures = Measures.restore(reduction.table, meta["measures"], part(arrays, "measures/"))
        course = Course.restore(meta["course"], part(arrays, "course/"))
        gaps = saved_array(arrays, "gaps", np.int64)
        clock = restored_clock(table, meta.get("clock"))
        known = [f.name for f in (*(s.field for s in measures.scales.values()), *measures.codec.fields)]
        if [f.name for f in course.fields_] != known or (gaps < 0).any():
            raise ModelFileError("the parts of the series do not fit each other.")
        return cls(
            table, reduction, measures, course, int(meta["rows"]), clock, int(meta["first"]), gaps, str(meta["season"])
        )


def saved_clock(clock: Clock) -> dict[str, Any]:
    origin = clock.grid.origin if clock.grid else None
    return {"dtype": dtype_name(clock.dtype), "digits": clock.digits, "origin": origin}


def restored_clock(table: Table, meta: Mapping[str, Any] | None) -> Clock | None:
    said = sequence_of(table)
    if meta is None or said.time is None:
        return None
    dtype = parse_dtype(str(meta["dtype"]))
    grid = Grid(said.step, dtype, int(meta["origin"])) if said.step else None
    return Clock(table[said.time], dtype, int(meta["digits"]), grid)


def _without_time(table: Table) -> Table:
    """The table without its time, and the rules about it."""
    said = sequence_of(table)
    names = [n for n in table.names if n != said.time]
    if not names:
        raise DataError(
            "there is nothing in the rows but their time.", table=table.name, fix="Add a column of what was measured."
        )
    kept = tuple(rule.spec() for rule in rules_of(replace(table, primary_key=())) if {*rule.columns} <= {*names})
    columns = tuple(
        replace(c, unique=False) if c.kind not in ("id", "personal") else c for c in table.columns if c.name in names
    )
    order = tuple(n for n in table.order if n in names)
    key = table.primary_key if said.time not in table.primary_key else ()
    return Table(table.name, columns, key, kept, order)


def _rhythm(codes: Codes, place: Ints) -> tuple[str, float]:
    """After how many rows a series without times comes back to what it was, told by autocorrelation; 0 for never."""
    columns = [a for a, f in zip(codes.arrays, codes.fields, strict=True) if f.ordered and a.std() > 0]
    if len(place) < LONG_ENOUGH or not columns:
        return "", 0.0
    whole, there = int(place[-1]) + 1, np.zeros(int(place[-1]) + 1)
    there[place] = 1.0
    pairs, size = products(there), np.zeros(whole // CYCLES)
    for array in columns:
        x = np.zeros(whole)
        x[place] = (np.maximum(array, 0) - np.maximum(array, 0).mean()) / array.std()
        size += products(x)[: len(size)] / np.maximum(pairs[: len(size)], 1.0) / len(columns)
    rise = size - np.minimum.accumulate(size)
    peaks = np.flatnonzero((rise[1:-1] >= rise[:-2]) & (rise[1:-1] > rise[2:])) + 1
    peaks = peaks[rise[peaks] >= max(SEASONAL / 2, CLEAR * rise.max())]
    if not len(peaks):
        return "", 0.0
    tried = np.arange(0.9 * peaks[0], 1.1 * peaks[0], 0.25)
    teeth = np.rint(tried[:, None] * np.arange(1, CYCLES)).astype(np.int64)
    period = float(tried[np.where(teeth < len(size), size[np.minimum(teeth, len(size) - 1)], 0.0).mean(1).argmax()])
    return f"a rhythm of {period:g} rows", period


def _season(codes: Codes, hours: Array, all_hours: Array) -> tuple[str, float]:
    """The season that tells most of the columns, and its length in rows; 0 rows for none."""
    if len(hours) < 10 * CYCLES:
        return "", 0.0
    spread = float(all_hours[-1] - all_hours[0])
    found, best, last = "", 0.0, 0.0
    columns = [np.where(a < 0, np.nan, a) for a, f in zip(codes.arrays, codes.fields, strict=True) if f.ordered]
    for name, length in HOURS.items():
        rows = length / max(spread, 1e-9) * (len(all_hours) - 1)
        if spread < CYCLES * length or rows < 4:
            continue
        phase = (hours % length / length * PHASES * (7 if length == 168 else 1)).astype(np.int64)
        told = float(np.mean([_told(c, phase) for c in columns])) if columns else 0.0
        if told >= last + SEASONAL:
            found, best, last = name, rows, told
    return found, best


def _told(values: Array, phase: Array) -> float:
    """The share of a column's variance that lies between the phases of a season, corrected for their number."""
    there = np.isfinite(values)
    values, phase = values[there], phase[there]
    if len(values) < 10 or values.std() < 1e-12:
        return 0.0
    count = np.bincount(phase)
    mean = np.bincount(phase, values) / np.maximum(count, 1)
    within = float(((values - mean[phase]) ** 2).sum()) / max(len(values) - (count > 0).sum(), 1)
    return max(0.0, 1.0 - within / float(values.var()))
