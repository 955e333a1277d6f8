"""When cases come: each source gives its times in order, and together they are cut into blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
import polars as pl

from verosim import files
from verosim.draws import BLOCK, stream
from verosim.errors import DataError
from verosim.recipe.nouns import Floats, Ints, PlacedError
from verosim.recipe.running import Block, Run
from verosim.simulation.clock import Clock
from verosim.simulation.nouns import MOST_ROWS, Source
from verosim.simulation.plan import CASES, Model, term

BATCH: Final = 8 * BLOCK  # cases that are drawn together
EMPTY_BLOCKS: Final = 10_000  # of a profile without a single arrival, after which it is a mistake


@dataclass(frozen=True)
class Arrivals:
    """Cases that come: times (n,) in order, and the number of the source of each (n,)."""

    times: Floats
    source: Ints
    row: Ints  # in the file of the source that replays one


class Rows(Block):
    """Some rows of a table, by default that of cases, with values at hand: terms are evaluated for these rows alone.

    number, attempt: what the random streams are keyed by. values: whole columns; chosen: which of
    them these rows are (n,), None for all.
    """

    def __init__(
        self, run: Run, number: int, attempt: int, rows: Ints,
        values: Mapping[str, pl.Series] | None = None, chosen: Ints | None = None, table: str = CASES,
    ) -> None:  # fmt: skip
        self.run, self.table, self.number, self.attempt = run, table, number, attempt
        self.planned = run.plan.tables[table]
        self.whole, self.chosen = values or {}, chosen
        self.of = None
        self._values, self._shared = {}, {}
        self.n, self.rows, self.root = len(rows), rows, rows

    def __getitem__(self, name: str) -> pl.Series:
        if name in self.whole and name not in self._values:
            whole = self.whole[name]
            self._values[name] = whole if self.chosen is None else whole.gather(self.chosen)
        return super().__getitem__(name)

    def numbers(self, name: str) -> Floats:
        """A term as numbers (n,), nan where it is missing."""
        return self[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def merged(model: Model, run: Run, limit: int) -> Iterator[Arrivals]:
    """All arrivals, in blocks of `BATCH`; at most `limit` cases."""
    parts = [_Feed(model, run, name, i) for i, name in enumerate(model.file.sources)]
    given = 0
    while given < limit:
        size = min(BATCH, limit - given)
        for part in parts:
            part.fill(size)
        ready = min((p.known for p in parts), default=inf)  # all arrivals before it are known
        times = np.concatenate([p.times for p in parts]) if parts else np.zeros(0)
        source = (
            np.concatenate([np.full(len(p.times), i) for i, p in enumerate(parts)]) if parts else np.zeros(0, np.int64)
        )
        rows = np.concatenate([p.rows for p in parts]) if parts else np.zeros(0, np.int64)
        order = np.argsort(times, kind="stable") if len(parts) > 1 else np.arange(len(times))
        order = order[times[order] <= ready][:size]
        if not len(order):
            return
        for i, part in enumerate(parts):
            part.drop(int((source[order] == i).sum()))
        given += len(order)
        yield Arrivals(times[order], source[order].astype(np.int64), rows[order])


class _Feed:
    """One source, while it is read."""

    def __init__(self, model: Model, run: Run, name: str, number: int) -> None:
        self.source, self.name, self.number = model.file.sources[name], name, number
        self.blocks = _of(model, run, name, self.source)
        self.times, self.rows = np.zeros(0), np.zeros(0, np.int64)
        self.known = 0.0

    def fill(self, size: int) -> None:
        while len(self.times) < size and self.known < inf:
            block = next(self.blocks, None)
            if block is None:
                self.known = inf
                return
            times, rows = block
            self.times, self.rows = np.concatenate([self.times, times]), np.concatenate([self.rows, rows])
            self.known = float(times[-1]) if len(times) else self.known
        # what is known ends at the last time: of those at the same time, more may follow

    def drop(self, n: int) -> None:
        self.times, self.rows = self.times[n:], self.rows[n:]


Blocks = Iterator[tuple[Floats, Ints]]


def _of(model: Model, run: Run, name: str, source: Source) -> Blocks:
    """All of a source: within its time, in batches, no more than it has."""
    (way,) = (k for k in _WAYS if getattr(source, k) is not None and getattr(source, k) != ())
    last = min((t for t in (source.until, model.file.until) if t is not None), default=inf)
    blocks = _until(_WAYS[way](model, run, name, source), last)
    if source.batch is not None and way != "file":
        blocks = _in_batches(blocks, run, name)
    return blocks if source.cases is None else _at_most(blocks, source.cases)


def _until(blocks: Blocks, last: float) -> Blocks:
    for times, rows in blocks:
        n = int(np.searchsorted(times, last, side="right"))
        yield times[:n], rows[:n]
        if n < len(times):
            return


def _at_most(blocks: Blocks, room: int) -> Blocks:
    for times, rows in blocks:
        yield times[:room], rows[:room]
        room -= len(times)
        if room <= 0:
            return


def _in_batches(blocks: Blocks, run: Run, name: str) -> Blocks:
    for number, (times, rows) in enumerate(blocks):
        sizes = Rows(run, number, 0, np.arange(len(times))).numbers(term(name, "batch"))
        wrong = sizes[~(np.isfinite(sizes) & (sizes >= 0) & (sizes % 1 == 0))]
        if len(wrong) or sizes.sum() > MOST_ROWS:
            said = f"not {wrong[0]:g}" if len(wrong) else f"and not over {MOST_ROWS:,} in {len(sizes):,} batches"
            raise DataError(
                f"source {name!r}: a batch has a whole number of cases from 0 up, {said}.",
                fix="Correct `batch`, for example by `digits: 0`.",
            )
        if len(sizes) == BLOCK and not sizes.any():
            raise DataError(f"source {name!r}: {len(sizes):,} batches with nobody in them.", fix="Correct `batch`.")
        counts = sizes.astype(np.int64)
        yield np.repeat(times, counts), np.repeat(rows, counts)


def _by_gaps(model: Model, run: Run, name: str, source: Source) -> Blocks:
    at, number = source.start, 0
    while True:
        gaps = Rows(run, number, 0, np.arange(BLOCK)).numbers(term(name, "every"))
        if not (np.isfinite(gaps) & (gaps >= 0)).all():
            bad = gaps[~(np.isfinite(gaps) & (gaps >= 0))][0]
            raise DataError(
                f"source {name!r}: a time between arrivals is 0 or more, not {bad:g}.", fix="Correct `every`."
            )
        if not gaps.any():
            raise DataError(f"source {name!r}: {BLOCK:,} arrivals in no time.", fix="Correct `every`.")
        times = at + np.cumsum(gaps)
        at, number = float(times[-1]), number + 1
        yield times, np.zeros(BLOCK, np.int64)


def _by_rate(model: Model, run: Run, name: str, source: Source) -> Blocks:
    """Arrivals of a rate that changes with the hour: those of rate 1, on the scale of the rate's running sum.

    Exact for rates that are constant within each quarter of an hour (Cinlar, Introduction to Stochastic Processes,
    1975).
    """
    profile = _Profile(model.clock, source)
    due, number = 0.0, 0
    while True:
        gaps = stream(run.seed, "arrivals", name, number).standard_exponential(BLOCK, method="inv")
        sums = due + np.cumsum(gaps)
        due, number = float(sums[-1]), number + 1
        yield profile.times(sums), np.zeros(BLOCK, np.int64)


class _Profile:
    """The running sum of a rate, week by week, turned round: from the sum to the time."""

    def __init__(self, clock: Clock, source: Source) -> None:
        self.clock, self.source = clock, source
        self.edges, self.sums = np.array([source.start]), np.zeros(1)

    def times(self, sums: Floats) -> Floats:
        rate = self.source.rate or 0.0
        if not self.source.hours and not self.source.weekdays:
            return self.source.start + sums / rate
        while self.sums[-1] < sums[-1]:
            self._add_week()
        out: Floats = np.interp(sums, self.sums, self.edges)
        keep = max(0, int(np.searchsorted(self.sums, sums[-1])) - 1)
        self.edges, self.sums = self.edges[keep:], self.sums[keep:]
        return out

    def _add_week(self) -> None:
        first = float(self.edges[-1])
        edges, hours, days = self.clock.quarters(first, first + 7 * 86_400 / self.clock.seconds)
        rates = np.full(len(hours), float(self.source.rate or 0.0))
        if self.source.hours:
            rates *= np.array(self.source.hours)[hours.astype(np.int64)]
        if self.source.weekdays:
            rates *= np.array(self.source.weekdays)[days]
        edges = np.maximum(edges, first)
        self.edges = np.concatenate([self.edges, edges[1:]])
        self.sums = np.concatenate([self.sums, self.sums[-1] + np.cumsum(rates * np.diff(edges))])


def _by_schedule(model: Model, run: Run, name: str, source: Source) -> Blocks:
    times = np.array([model.clock.time_of(t) if isinstance(t, str) else float(t) for t in source.at])
    yield np.sort(times), np.zeros(len(times), np.int64)


def _at_start(model: Model, run: Run, name: str, source: Source) -> Blocks:
    n = source.population or 0
    yield np.full(n, source.start), np.zeros(n, np.int64)


def replayed(model_folder: Any, name: str, source: Source) -> pl.DataFrame:
    """The rows of the file that a source replays, in the order of their times."""
    frame = next(iter(files.read(model_folder / str(source.file)).dataset.values()))
    if "time" not in frame.columns:
        raise PlacedError(
            f"{source.file} has no column `time` that says when each case comes.", ("sources", name, "file")
        )
    if frame["time"].null_count() or not (frame["time"].dtype.is_numeric() or frame["time"].dtype.is_temporal()):
        raise PlacedError(f"{source.file}: `time` holds numbers or dates, in every row.", ("sources", name, "file"))
    return frame.sort("time", maintain_order=True)


def _from_file(model: Model, run: Run, name: str, source: Source) -> Blocks:
    column = replayed(model.folder, name, source)["time"]
    times = model.clock.times_of(column) if column.dtype.is_temporal() else column.cast(pl.Float64).to_numpy()
    if (times < 0).any():
        raise DataError(f"source {name!r}: {source.file} begins before the scenario does.", fix="Move `start`.")
    yield times, np.arange(len(times))


_WAYS: Final[dict[str, Callable[[Model, Run, str, Source], Blocks]]] = {
    "every": _by_gaps, "rate": _by_rate, "at": _by_schedule, "file": _from_file, "population": _at_start,
}  # fmt: skip
