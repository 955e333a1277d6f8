"""What comes out: a table of cases, an event log, the state over time; as frames, files, and XES."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Final

import numpy as np
import polars as pl

from verosim import files
from verosim.files import disk
from verosim.recipe.nouns import Floats
from verosim.simulation import xes
from verosim.simulation.calendar import OUTCOMES, Done
from verosim.simulation.plan import Model

QUEUED: Final = 4  # chunks that wait to be written
_OUTCOME_NAMES: Final = pl.Series(OUTCOMES, dtype=pl.Enum(OUTCOMES))


def cases(model: Model, done: Done) -> pl.DataFrame:
    """A row a case: where it came from, when it came and left, how it ended, and its attributes."""
    batch, rows = done.batch, done.row
    last = np.full(batch.n, 0)
    last[done.case] = done.outcome  # the last visit of each case is the one that stays
    waited, begun = np.zeros(batch.n), np.where(np.isnan(done.start), done.complete, done.start)
    np.add.at(waited, done.case, np.nan_to_num(begun - done.enqueue))
    outcome = np.where(np.isnan(done.left), 0, np.where(last[rows] == 0, 1, last[rows]))
    arrived = batch.arrivals.times[rows]
    columns = {
        "case": batch.rows[rows] + 1,
        "source": batch.values["source"].gather(rows),
        "arrival": batch.values["arrival"].gather(rows),
        "left": model.clock.dates(done.left),
        "outcome": _OUTCOME_NAMES.gather(outcome),
        "waited": waited[rows],
        "stayed": pl.Series(done.left - arrived).fill_nan(None),
        **{name: batch.values[name].gather(rows) for name in model.attributes},
    }
    return pl.DataFrame(columns)


def log(model: Model, done: Done) -> pl.DataFrame:
    """A row a visit: case, activity, when it queued, started and was complete, by whom, and how it ended."""
    stations, servers = pl.Series(model.names, dtype=pl.Enum(model.names)), _server_names(model)
    columns = {
        "case": done.batch.rows[done.case] + 1,
        "activity": stations.gather(done.station),
        "enqueue": model.clock.dates(done.enqueue),
        "start": model.clock.dates(done.start),
        "complete": model.clock.dates(done.complete),
        "outcome": _OUTCOME_NAMES.gather(done.outcome),
    }
    if len(servers):
        by = pl.Series(np.where(done.server < 0, len(servers), done.server).astype(np.uint32))
        columns["resource"] = servers.append(pl.Series([None], dtype=servers.dtype)).gather(by)
    if any(s.preempt != "no" or s.interrupted != "finish" for s in model.file.stations.values()):
        columns["interruptions"] = pl.Series(done.stops)
    return pl.DataFrame(columns)


def _server_names(model: Model) -> pl.Series:
    names = [f"{name} {k + 1}" for name in model.names for k in range(model.servers(name))]
    return pl.Series(names, dtype=pl.Enum(names)) if names else pl.Series([], dtype=pl.String)


def orders(model: Model, done: Done) -> pl.DataFrame:
    """A row an order of a stock: which stock, when, how much, and when it comes."""
    mine = np.flatnonzero(done.order > 0)
    stock_of = [next(iter(s.takes), None) for s in model.file.stations.values()]
    return pl.DataFrame(
        {
            "stock": pl.Series(stock_of, dtype=pl.String).gather(done.station[mine]),
            "ordered": model.clock.dates(done.enqueue[mine]),
            "amount": done.order[mine],
            "arrives": model.clock.dates(done.arrives[mine]),
        }
    )


def series(model: Model, visits: Mapping[str, np.ndarray], every: float, end: float) -> pl.DataFrame:
    """The state of each station at regular times: how many wait, and are served, and the share of servers that is busy.

    visits: arrays `station`, `enqueue`, `start`, `complete` (m,) of all visits.
    """
    grid = np.arange(0.0, end + every / 2, every)
    parts = []
    for i, (name, station) in enumerate(model.file.stations.items()):
        mine = visits["station"] == i
        enqueue, start, complete = (visits[k][mine] for k in ("enqueue", "start", "complete"))
        served = ~np.isnan(start)
        begun = np.where(served, start, complete)
        services = np.stack([start[served], complete[served]])
        busy = in_service = _count(grid, services[0]) - _count(grid, services[1])
        if station.batch is not None:  # one service for all of a batch
            services = np.unique(services, axis=1)
            busy = _count(grid, services[0]) - _count(grid, services[1])
        slots = model.servers(name)
        paused = np.maximum(busy - slots, 0) if slots else np.zeros(len(grid), np.int64)  # interrupted: they wait
        busy, in_service = busy - paused, in_service - paused
        columns = {
            "time": model.clock.dates(grid),
            "station": pl.Series([name]).new_from_index(0, len(grid)),
            "waiting": _count(grid, enqueue) - _count(grid, begun) + paused,
            "in_service": in_service,
            "utilisation": pl.Series(busy / slots if slots else np.full(len(grid), np.nan)).fill_nan(None),
        }
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


def _count(grid: Floats, times: Floats) -> np.ndarray:
    """How many of these times (n,) have come at each time of the grid."""
    return np.searchsorted(np.sort(times[~np.isnan(times)]), grid, side="right")


# ------------------------------------------------------------------------------------------------- files


class _Writer(Thread):
    """Writes one table, chunk by chunk, while others are made; None is its end, and an exception that of the run."""

    def __init__(self, path: Path, table: str) -> None:
        super().__init__(daemon=True)
        self.path, self.table = path, table
        self.chunks: Queue[pl.DataFrame | BaseException | None] = Queue(QUEUED)
        self.error: BaseException | None = None
        self.ended = False

    def run(self) -> None:
        try:
            files.write(self._given(), self.path, table=self.table)
        except BaseException as error:
            self.error = error
            for _ in self._given():
                pass  # whoever puts chunks in must not wait for ever

    def _given(self) -> Iterator[pl.DataFrame]:
        while not self.ended:
            chunk = self.chunks.get()
            if isinstance(chunk, pl.DataFrame):
                yield chunk
                continue
            self.ended = True
            if chunk is not None and self.error is None:
                raise chunk  # the run broke off: so does the file, which does not appear then


def made(folder: str | Path) -> Path:
    """The folder, which is there now."""
    path = Path(folder)
    if not path.exists():
        disk.make_folder(path)
    return path


def save(chunks: Iterable[Mapping[str, pl.DataFrame]], folder: Path, suffix: str) -> dict[str, int]:
    """Write tables that come together, chunk by chunk, each to a file of its own. -> rows by table.

    A few chunks are in memory at a time, never a whole table. A file appears when it is whole.
    """
    if suffix == "xes":
        return _save_xes(chunks, folder / "log.xes")
    writers: dict[str, _Writer] = {}
    rows: dict[str, int] = {}
    end: BaseException | None = None
    try:
        for tables in chunks:
            for name, frame in tables.items():
                if name not in writers:
                    writers[name] = _Writer(folder / f"{name}.{suffix}", name)
                    writers[name].start()
                rows[name] = rows.get(name, 0) + frame.height
                if writers[name].error is None:
                    writers[name].chunks.put(frame)
    except BaseException as error:
        end = error
        raise
    finally:
        for writer in writers.values():
            writer.chunks.put(end)
            writer.join()
    for writer in writers.values():
        if writer.error is not None:
            raise writer.error
    return rows


def _save_xes(chunks: Iterable[Mapping[str, pl.DataFrame]], path: Path) -> dict[str, int]:
    """The log alone, a trace a case."""
    rows = {"cases": 0, "log": 0}

    def counted() -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        for tables in chunks:
            for name in rows:
                rows[name] += tables[name].height
            yield tables["cases"], tables["log"]

    with disk.atomic(path) as sink:
        for text in xes.document(counted()):
            sink.write(text.encode())
    return rows
