"""Closed recursions: waiting times without a calendar, for stations that serve in the order of arrival.

One server: Lindley, The theory of queues with a single server (1952). Several: Kiefer and Wolfowitz, On the theory of
queues with many servers (1955). Where stations follow each other without a way back, they are done one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heapreplace
from pathlib import Path
from typing import Any, Final

import numpy as np

from verosim.recipe.nouns import Floats, Ints
from verosim.recipe.running import Run
from verosim.simulation.calendar import Done
from verosim.simulation.paths import Batch, Visits, batches
from verosim.simulation.plan import OUT, Model
from verosim.simulation.state import SERVED

MOST: Final = 4_000_000  # cases that are held in memory at once


def suits(model: Model, limit: int) -> str | None:
    """Why closed recursions cannot answer this scenario; None where they can."""
    plain = {"queue", "capacity", "balk", "patience", "batch", "needs", "takes", "breaks", "frees"}
    for name, station in model.file.stations.items():
        for part in sorted(plain):
            if part == "queue":
                if station.queue != "fifo":
                    return f"station {name!r} has `queue: {station.queue}`"
            elif getattr(station, part):
                return f"station {name!r} has `{part}`"
        if isinstance(station.servers, tuple):
            return f"station {name!r} has shifts"
    if in_order(model) is None:
        return "cases come back to stations where they were"
    if model.file.until is not None:
        return "`until` cuts the simulation off"
    if limit > MOST and len(model.names) > 1:
        return f"over {MOST:,} cases"
    return None


def in_order(model: Model) -> list[int] | None:
    """The stations so that each stands before those that follow it; None where there is a circle."""
    ways = {i: {t for t in route.targets if t != OUT} for i, route in enumerate(model.routes)}
    out: list[int] = []
    while ways:
        free = [i for i in ways if not any(i in targets for targets in ways.values())]
        if not free:
            return None
        out += free
        for i in free:
            del ways[i]
    return out


def single(arrive: Floats, service: Floats, free: float) -> tuple[Floats, Floats]:
    """Start and end (n,) of services by one server, in the order of arrival. free: when the server is free at first.

    The end is the greatest, over all cases before, of that case's arrival and all services since: running sums.
    """
    sums = np.cumsum(service)
    before = sums - service
    ready = np.maximum.accumulate(np.maximum(arrive, free) - before)
    start = np.maximum(ready + before, arrive)  # rounding must not let a service begin before its case is there
    return start, start + service


def several(arrive: Any, service: Any, free: Any, start: Any, server: Any) -> None:
    """The same by several servers, each case by the one that is free first; for the compiler. free (c,) is changed.

    A heap of servers by the time when they are free; numbers decide between equals.
    """
    c = len(free)
    heap = np.argsort(free, kind="mergesort")
    for i in range(len(arrive)):
        k = heap[0]
        start[i] = max(arrive[i], free[k])
        server[i] = k
        free[k] = start[i] + service[i]
        at = 0
        while True:
            child = 2 * at + 1
            if child >= c:
                break
            if child + 1 < c:
                a, b = heap[child + 1], heap[child]
                if free[a] < free[b] or (free[a] == free[b] and a < b):
                    child += 1
            a = heap[child]
            if free[k] < free[a] or (free[k] == free[a] and k < a):
                break
            heap[at] = a
            at = child
        heap[at] = k


def several_plain(arrive: Floats, service: Floats, free: Floats, start: Floats, server: Ints) -> None:
    """`several`, in Python."""
    heap = [(t, k) for k, t in enumerate(free.tolist())]
    heapify(heap)
    begun: list[float] = []
    by: list[int] = []
    for a, s in zip(arrive.tolist(), service.tolist(), strict=True):
        t, k = heap[0]
        t = max(a, t)
        begun.append(t)
        by.append(k)
        heapreplace(heap, (t + s, k))
    start[:], server[:] = begun, by
    for t, k in heap:
        free[k] = t


class Recursion:
    """One run. queue: `several`, compiled; else plain Python."""

    def __init__(self, model: Model, run: Run, queue: Callable[..., None] | None = None) -> None:
        self.model, self.run, self.queue = model, run, queue or several_plain
        self.free = [np.zeros(model.servers(name)) for name in model.names]
        self.taken = 0  # batches that are done

    def go(self, limit: int) -> Iterator[list[Done]]:
        """All cases, station by station; between two lists it can be put down, and taken up again."""
        found = batches(self.model, self.run, limit, self.taken)
        if len(self.model.names) > 1:
            yield self._through(list(found))
            return
        for batch in found:  # batches come in the order of time: each is done when it comes
            self.taken += 1
            yield self._through([batch])

    def put_down(self, folder: Path) -> None:
        """Write all that is known between two lists."""
        arrays: dict[str, Any] = {"taken": self.taken, **{f"free {i}": f for i, f in enumerate(self.free)}}
        np.savez(folder / "recursion.npz", **arrays)

    def take_up(self, folder: Path) -> None:
        """Know what another one of the same run knew."""
        with np.load(folder / "recursion.npz") as found:
            self.taken, self.free = int(found["taken"]), [found[f"free {i}"] for i in range(len(self.free))]

    def _through(self, all_batches: list[Batch]) -> list[Done]:
        walks = [b.walk() for b in all_batches]
        ints = np.zeros(0, np.int64)
        rows, station = (np.concatenate([ints, *(getattr(w, k) for w in walks)]) for k in ("case", "station"))
        service = np.concatenate([np.zeros(0), *(w.service for w in walks)])
        first = np.concatenate([np.zeros(0, bool), *(np.diff(w.case, prepend=-1) != 0 for w in walks)])
        times = np.concatenate(
            [np.zeros(0), *(b.arrivals.times[w.case] for b, w in zip(all_batches, walks, strict=True))]
        )
        enqueue, start, complete = np.where(first, times, np.nan), np.empty(len(station)), np.empty(len(station))
        server = np.full(len(station), -1)
        for i in in_order(self.model) or ():
            mine = np.flatnonzero(station == i)
            order = mine[np.argsort(enqueue[mine], kind="stable")] if len(self.model.names) > 1 else mine
            start[order], complete[order], server[order] = _served(
                enqueue[order], service[order], self.free[i], self.queue
            )
            server[order] += sum(len(f) for f in self.free[:i]) if len(self.free[i]) else 0
            follows = mine[mine + 1 < len(station)] + 1
            follows = follows[~first[follows]]
            enqueue[follows] = complete[follows - 1]
        ends = np.cumsum([len(w.case) for w in walks])
        return [
            _done(b, w, rows[part], enqueue[part], start[part], complete[part], server[part])
            for b, w, end in zip(all_batches, walks, ends.tolist(), strict=True)
            for part in (slice(end - len(w.case), end),)
        ]


def _done(
    batch: Batch, walk: Visits, rows: Ints, enqueue: Floats, start: Floats, complete: Floats, server: Ints
) -> Done:
    """All cases of a batch, which are served whatever happens: visits (m,), those of a case together."""
    n = len(rows)
    last = np.flatnonzero(np.diff(rows, append=-1) != 0)
    none, zero = np.full(n, np.nan), np.zeros(n, np.int64)
    return Done(
        batch, np.arange(batch.n), complete[last], rows, walk.station, enqueue, start, complete, server,
        zero + SERVED, zero, np.zeros(n), none, none, walk.service,
    )  # fmt: skip


def _served(arrive: Floats, service: Floats, free: Floats, queue: Callable[..., None]) -> tuple[Floats, Floats, Ints]:
    if not len(free):
        return arrive, arrive + service, np.full(len(arrive), -1)
    if len(free) == 1:
        start, end = single(arrive, service, float(free[0]))
        free[0] = end[-1] if len(end) else free[0]
        return start, end, np.zeros(len(arrive), np.int64)
    start, server = np.empty(len(arrive)), np.empty(len(arrive), np.int64)
    queue(arrive, service, free, start, server)
    return start, start + service, server
