"""When servers are there: shifts and breakdowns, as events that come from outside."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final

import numpy as np

from verosim.errors import DataError
from verosim.recipe.nouns import Floats, Ints
from verosim.recipe.running import Run
from verosim.simulation.arrivals import Rows
from verosim.simulation.clock import Clock
from verosim.simulation.nouns import Shift
from verosim.simulation.plan import Model, term
from verosim.simulation.state import OFF, ON

DRAWN: Final = 64  # times of failure and repair that are drawn at a time
MOST: Final = 1_000_000  # failures and repairs of one server, in a week or as long as cases of one batch come

Events = tuple[Floats, Ints, Ints]  # times, kinds (ON or OFF), servers


class Windows:
    """The comings and goings of all servers."""

    def __init__(self, model: Model, run: Run, first_server: Ints) -> None:
        self.parts: list[_Server | _Shifts] = []
        self.last = 0.0  # up to when they were asked for
        for i, (name, station) in enumerate(model.file.stations.items()):
            if isinstance(station.servers, tuple):
                self.parts.append(_Shifts(model.clock, station.servers, int(first_server[i])))
            for k in range(model.servers(name) if station.breaks else 0):
                self.parts.append(_Server(run, name, k, int(first_server[i]) + k))

    def __bool__(self) -> bool:
        return bool(self.parts)

    def until(self, time: float) -> Events:
        """The events after those of the last call, up to `time`, in order."""
        self.last = time
        found = [part.until(time) for part in self.parts]
        times, kinds, servers = (np.concatenate([f[i] for f in found]) for i in range(3))
        order = np.argsort(times, kind="stable")
        return times[order], kinds[order].astype(np.int64), servers[order].astype(np.int64)


def on_shift(clock: Clock, shifts: tuple[Shift, ...], first: float, last: float) -> tuple[Floats, Ints]:
    """How many servers are there from each quarter of an hour that touches [first, last) on: when it begins, and n."""
    edges, hours, days = clock.quarters(first, last)
    there = np.zeros(len(hours), np.int64)
    for shift in shifts:
        low, high = shift.hours
        within = (hours >= low) & (hours < high) if low < high else (hours >= low) | (hours < high)
        there += shift.servers * (within & np.isin(days + 1, shift.weekdays))
    return edges, there


class _Shifts:
    """The servers of one station, by the clock; the lowest numbers are there first."""

    def __init__(self, clock: Clock, shifts: tuple[Shift, ...], first: int) -> None:
        self.clock, self.shifts, self.first = clock, shifts, first
        self.there = sum(s.servers for s in shifts)  # as the calendar believes before anything is said
        self.last = 0.0

    def until(self, time: float) -> Events:
        edges, wanted = on_shift(self.clock, self.shifts, self.last, time)
        inside = (edges[:-1] <= time) & ((edges[:-1] > self.last) | (self.last == 0.0))
        times, kinds, servers = [], [], []
        for at, there in zip(np.maximum(edges[:-1][inside], 0.0), wanted[inside], strict=True):
            changed = range(self.there, there) if there > self.there else range(there, self.there)
            for k in changed:
                times.append(at)
                kinds.append(ON if there > self.there else OFF)
                servers.append(self.first + k)
            self.there = int(there)
        self.last = time
        return np.array(times, float), np.array(kinds, np.int64), np.array(servers, np.int64)


class _Server:
    """The failures and repairs of one server."""

    def __init__(self, run: Run, name: str, number: int, server: int) -> None:
        self.run, self.name, self.number, self.server = run, name, number, server
        self.events = self._drawn()
        self.ready: list[tuple[float, int]] = []

    def _drawn(self) -> Iterator[tuple[float, int]]:
        at, block = 0.0, 0
        while True:
            rows = Rows(self.run, block, 1 + self.number, np.arange(DRAWN))
            ups, downs = rows.numbers(term(self.name, "up")), rows.numbers(term(self.name, "down"))
            if not (np.isfinite(ups) & (ups >= 0) & np.isfinite(downs) & (downs >= 0)).all() or not (
                ups.any() or downs.any()
            ):
                raise DataError(
                    f"station {self.name!r}: times of `breaks` are 0 or more, not all 0.", fix="Correct `breaks`."
                )
            for up, down in zip(ups.tolist(), downs.tolist(), strict=True):
                at += up
                yield at, OFF
                at += down
                yield at, ON
            block += 1

    def until(self, time: float) -> Events:
        found, self.ready = [e for e in self.ready if e[0] <= time], [e for e in self.ready if e[0] > time]
        while not self.ready and time < inf:
            if len(found) > MOST:
                said = f"station {self.name!r}: a server breaks over {MOST // 2:,} times up to {time:g}."
                raise DataError(said, fix="Give `breaks` longer times.")
            event = next(self.events)
            (found if event[0] <= time else self.ready).append(event)
        times, kinds = np.array([t for t, _ in found], float), np.array([k for _, k in found], np.int64)
        return times, kinds, np.full(len(found), self.server)
