"""The event calendar over a whole run: batches of cases come in, finished cases go out, memory stays bounded.

Between two calls of the kernel its arrays are packed anew: cases that are gone are taken out, with their visits; new
cases, and further steps of paths, are put in; and every number that points to a case or a visit is moved along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import inf, nan
from pathlib import Path
from typing import Any, Final

import numpy as np

from verosim.errors import DataError
from verosim.recipe.nouns import Floats, Ints
from verosim.recipe.running import Run
from verosim.simulation import kernel, memory
from verosim.simulation import state as marks
from verosim.simulation.layout import NEVER, at_start
from verosim.simulation.paths import Batch, Visits, batches
from verosim.simulation.plan import Model
from verosim.simulation.state import NOBODY, State
from verosim.simulation.windows import Windows

OUTCOMES: Final = ("open", "served", "balked", "reneged", "full", "short")
SPANS: Final = 60  # weeks, or other spans, without any event, after which whoever waits waits for ever
GROWTH: Final = 2


@dataclass
class Done:
    """What is known of cases (n,) that have left, or of all at the end, and of their visits (m,), in order: arrays."""

    batch: Batch
    row: Ints  # (n,) in the batch
    left: Floats  # (n,) nan: is still there
    case: Ints  # (m,) row in the batch
    station: Ints
    enqueue: Floats
    start: Floats
    complete: Floats
    server: Ints
    outcome: Ints
    stops: Ints
    order: Floats
    arrives: Floats
    on_hand: Floats
    worked: Floats

    @classmethod
    def nothing(cls, batch: Batch) -> Done:
        """Of no case and no visit."""
        ints, floats = np.zeros(0, np.int64), np.zeros(0)
        columns: dict[str, Any] = {f.name: ints if f.type == "Ints" else floats for f in fields(cls)}
        return cls(**columns | {"batch": batch})


_CASE: Final = {"at": NOBODY, "end": 0, "more": 0, "left": nan, "blocked_in": NOBODY}
_VISIT: Final = {  # with what a visit begins
    "remaining": nan, "until": nan, "enqueue": nan, "start": nan, "complete": nan, "server": NOBODY, "outcome": 0,
    "where": 0, "stamp": NOBODY, "before": NOBODY, "after": NOBODY, "order": 0.0, "arrives": nan, "on_hand": nan,
    "stops": 0, "worked": 0.0,
}  # fmt: skip
_DRAWN: Final = tuple(f.name for f in fields(Visits) if f.name != "case")
_HEAP: Final = ("heap_time", "heap_seq", "heap_kind", "heap_ref", "heap_value")


class Calendar:
    """One run. compiled: the kernel that numba made, or plain Python."""

    def __init__(self, model: Model, run: Run, kernel_run: Callable[[State, float], int] | None = None) -> None:
        self.model, self.run, self.compiled = model, run, kernel_run
        self.fixed = at_start(model)
        self.resources = len(self.fixed["free"])
        self.cases = {k: np.zeros(0, np.asarray(v).dtype) for k, v in _CASE.items()}
        self.cases |= {"held": np.zeros(0, np.int64), "batch": np.zeros(0, np.int64), "row": np.zeros(0, np.int64)}
        self.visits = {k: np.zeros(0, np.asarray(v).dtype) for k, v in _VISIT.items()}
        self.visits |= {k: np.zeros(0, np.int64 if k in ("case", "station") else np.float64) for k in (*_DRAWN, "case")}
        self.heap = {k: np.zeros(0, np.float64 if k in ("heap_time", "heap_value") else np.int64) for k in _HEAP}
        self.count = np.zeros(marks.COUNTS, np.int64)
        self.clock = np.zeros(1)
        self.parked: Ints = np.zeros(0, np.int64)  # cases at the end of what is drawn of their paths
        self.resumed: Ints = np.zeros(0, np.int64)  # those whose paths have been drawn further since
        self.batches: dict[int, Batch] = {}
        self.windows = Windows(model, run, self.fixed["first_server"])
        self.feed = (np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
        self.taken = 0  # batches that have come in

    @property
    def events(self) -> int:
        return int(self.count[marks.N_EVENTS])

    def go(self, limit: int) -> Iterator[list[Done]]:
        """Run up to the end, or to the scenario's `until`: what is known of each case, once it has left.

        Between two lists the calendar can be put down, and taken up again: see memory.py.
        """
        until = self._end()
        waiting = batches(self.model, self.run, limit, self.taken)
        batch = next(waiting, None)
        while batch is not None:
            following = next(waiting, None)
            self._take_in(batch)
            if following is not None:
                self._until(min(float(batch.arrivals.times[-1]), until))
                yield list(self._let_out(self._gone()))
            batch = following
        yield self._to_the_end(until)

    def _to_the_end(self, until: float) -> list[Done]:
        if not self.windows:
            self._until(until)
        else:
            self._until_all_gone(until)
        if until == inf and self.count[marks.ACTIVE] > 0:
            raise DataError(
                f"deadlock: {self._who_waits()}.", fix="Add places or resources, or let cases `leave` or `skip`."
            )
        busy = (self.visits["where"] == marks.SERVED_NOW) & (self.visits["stamp"] >= 0)
        self.visits["worked"][busy] += until if until < inf else float(self.clock[0])
        return list(self._let_out(np.ones(len(self.cases["at"]), bool)))

    def _until_all_gone(self, until: float) -> None:
        """Servers come and go for ever: as long as anybody is there, or comes, their next week is asked for."""
        span, idle = 7 * 86_400 / self.model.clock.seconds, 0
        now = max(float(self.clock[0]), float(self.feed[0][-1]) if len(self.feed[0]) else 0.0)
        while now < until and idle < SPANS:
            before = self.count[marks.ACTIVE], self.count[marks.HEAP]
            now = min(now + span, until)
            self._until(now)
            if until == inf and self.count[marks.ACTIVE] == 0 and self.count[marks.FEED] == len(self.feed[0]):
                return
            same = before == (self.count[marks.ACTIVE], self.count[marks.HEAP])
            idle = idle + 1 if same and until == inf else 0

    def put_down(self, folder: Path) -> None:
        """Write all that is known between two lists."""
        memory.put_down(self, folder)

    def take_up(self, folder: Path) -> None:
        """Know what another one of the same run knew."""
        memory.take_up(self, folder)

    # ------------------------------------------------------------------------------------- the kernel

    def _until(self, horizon: float) -> None:
        if self.windows:
            self._add_to_feed(*self.windows.until(horizon))
        while True:
            answer = self._call(min(horizon, NEVER))
            if answer == marks.NEED_PATH:
                self._extend()
            elif answer in (marks.EMPTY, marks.HORIZON):
                return

    def _call(self, horizon: float) -> int:
        """Run the kernel over the arrays, or over lists where it is plain Python."""
        n, m = len(self.cases["at"]), len(self.visits["case"])
        room = GROWTH * (4 * n + m + 2 * len(self.model.names) + int(self.count[marks.HEAP]) + 64)
        heap = {k: np.concatenate([v[: self.count[marks.HEAP]], np.zeros(room, v.dtype)]) for k, v in self.heap.items()}
        agenda = n + len(self.model.names) + 8
        work = {
            **self.fixed, **{k: v for k, v in self.cases.items() if k not in ("batch", "row")}, **self.visits, **heap,
            "feed_time": self.feed[0], "feed_kind": self.feed[1], "feed_ref": self.feed[2],
            "agenda_kind": np.zeros(agenda, np.int64), "agenda_ref": np.zeros(agenda, np.int64),
            "parked": np.zeros(n + 1, np.int64), "count": self.count, "clock": self.clock,
        }  # fmt: skip
        waiting = len(self.resumed)
        work["agenda_kind"][:waiting], work["agenda_ref"][:waiting] = marks.RESUME, self.resumed
        self.count[marks.AGENDA_FROM], self.count[marks.AGENDA_SIZE] = 0, waiting
        self.resumed = np.zeros(0, np.int64)
        state = State(**work)
        if self.compiled is not None:
            answer = int(self.compiled(state, float(horizon)))
        else:
            lists = State(*(a.tolist() for a in state))
            answer = kernel.run(lists, horizon)
            state = State(*(np.asarray(new, old.dtype) for new, old in zip(lists, state, strict=True)))
        self._keep(state)
        return answer

    def _keep(self, state: State) -> None:
        for group in (self.fixed, self.cases, self.visits, self.heap):
            for name in group:
                if name not in ("batch", "row"):
                    group[name] = getattr(state, name)
        self.count, self.clock, self.parked = state.count, state.clock, state.parked[: state.count[marks.N_PARKED]]

    def _add_to_feed(self, times: Floats, kinds: Ints, refs: Ints) -> None:
        """Put events in, by their times; of one time, servers come and go before cases arrive."""
        rest = [part[self.count[marks.FEED] :] for part in self.feed]
        merged = [np.concatenate([a, b]) for a, b in zip(rest, (times, kinds, refs), strict=True)]
        order = np.lexsort((merged[1] == marks.ARRIVE, merged[0]))
        self.feed = (merged[0][order], merged[1][order].astype(np.int64), merged[2][order].astype(np.int64))
        self.count[marks.FEED] = 0

    # ------------------------------------------------------------------------------------- cases in and out

    def _take_in(self, batch: Batch) -> None:
        visits, before = batch.walk(), len(self.cases["at"])
        counts = np.bincount(visits.case, minlength=batch.n)
        self.batches[batch.number] = batch
        self.taken += 1
        first = len(self.visits["case"]) + np.cumsum(counts) - counts
        for name, value in _CASE.items():
            self.cases[name] = np.concatenate([self.cases[name], np.full(batch.n, value)])
        self.cases["at"][before:], self.cases["end"][before:] = first - 1, first + counts
        self.cases["more"][before:] = batch.at >= 0
        self.cases["held"] = np.concatenate([self.cases["held"], np.zeros(batch.n * self.resources, np.int64)])
        self.cases["batch"] = np.concatenate([self.cases["batch"], np.full(batch.n, batch.number)])
        self.cases["row"] = np.concatenate([self.cases["row"], np.arange(batch.n)])
        self._add_visits(visits, before + visits.case)
        self._add_to_feed(batch.arrivals.times, np.full(batch.n, marks.ARRIVE), before + np.arange(batch.n))

    def _add_visits(self, visits: Visits, case: Ints) -> None:
        new: dict[str, Any] = {k: getattr(visits, k) for k in _DRAWN} | {
            k: np.full(len(case), v) for k, v in _VISIT.items()
        }
        new |= {"case": case, "remaining": visits.service, "patience": np.minimum(visits.patience, NEVER)}
        for name in self.visits:
            self.visits[name] = np.concatenate([self.visits[name], new[name].astype(self.visits[name].dtype)])

    def _extend(self) -> None:
        """Draw further steps of the paths of those who are there; those who stand at the end of theirs go on."""
        parked = self.parked
        for number, batch in self.batches.items():
            going = np.zeros(batch.n, bool)
            mine = np.flatnonzero(
                (self.cases["batch"] == number) & (self.cases["more"] == 1) & np.isnan(self.cases["left"])
            )
            if not np.isin(mine, parked).any():
                continue
            going[self.cases["row"][mine]] = True
            visits = batch.walk(going)
            place = np.zeros(batch.n, np.int64)
            place[self.cases["row"][mine]] = mine
            self.cases["more"][mine] = batch.at[self.cases["row"][mine]] >= 0
            self._add_visits(visits, place[visits.case])
        self._pack(np.ones(len(self.cases["at"]), bool))
        self.count[marks.N_PARKED] = 0
        self.resumed = parked

    def _gone(self) -> np.ndarray:
        return ~np.isnan(self.cases["left"])

    def _let_out(self, gone: np.ndarray) -> Iterator[Done]:
        """What is known of these cases (n,), a part for each batch; then they are taken out."""
        over = gone[self.visits["case"]] & ~np.isnan(self.visits["enqueue"])
        for number in np.unique(self.cases["batch"][gone]).tolist():
            cases = np.flatnonzero(gone & (self.cases["batch"] == number))
            cases = cases[self.batches[number].arrivals.times[self.cases["row"][cases]] <= self._end()]
            m = np.flatnonzero(over & (self.cases["batch"][self.visits["case"]] == number))
            wanted = {
                f.name: self.visits[f.name][m] for f in fields(Done) if f.name not in ("batch", "row", "left", "case")
            }
            rows = self.cases["row"]
            yield Done(
                self.batches[number], rows[cases], self.cases["left"][cases], rows[self.visits["case"][m]], **wanted
            )
        self._pack(~gone)
        there = set(np.unique(self.cases["batch"]).tolist())
        self.batches = {n: b for n, b in self.batches.items() if n in there}

    def _end(self) -> float:
        return inf if self.model.file.until is None else self.model.file.until

    def _pack(self, stay: np.ndarray) -> None:
        """Keep these cases (n,), with their visits together and in order, and move all numbers that point to them."""
        keep = np.flatnonzero(stay[self.visits["case"]])
        keep = keep[np.argsort(self.visits["case"][keep], kind="stable")]
        new_case = np.append(np.cumsum(stay) - 1, NOBODY)
        new_visit = np.full(len(self.visits["case"]) + 1, NOBODY)
        new_visit[keep] = np.arange(len(keep))
        self.visits = {k: v[keep] for k, v in self.visits.items()}
        held = self.cases["held"].reshape(len(stay), self.resources)
        self.cases = {k: v[stay] for k, v in self.cases.items() if k != "held"}
        self.cases["held"] = held[stay].ravel()
        self.visits["case"] = new_case[self.visits["case"]]
        counts = np.bincount(self.visits["case"], minlength=int(stay.sum()))
        end = np.cumsum(counts)
        begun = np.bincount(self.visits["case"], weights=~np.isnan(self.visits["enqueue"]), minlength=len(end))
        self.cases["at"] = end - counts + begun.astype(np.int64) - 1
        self.cases["end"] = end
        self.cases["blocked_in"] = new_visit[self.cases["blocked_in"]]
        for name in ("before", "after"):
            self.visits[name] = new_visit[self.visits[name]]
        for name in ("head", "tail", "blocked_head", "blocked_tail", "busy_with"):
            self.fixed[name] = new_visit[self.fixed[name]]
        self._pack_feed(new_case)
        self._pack_heap(new_visit)

    def _pack_feed(self, new_case: Ints) -> None:
        done = int(self.count[marks.FEED])
        times, kinds, refs = self.feed[0][done:], self.feed[1][done:], self.feed[2][done:]
        arrives = kinds == marks.ARRIVE
        self.feed = (times, kinds, np.where(arrives, new_case[np.where(arrives, refs, NOBODY)], refs))
        self.count[marks.FEED] = 0

    def _pack_heap(self, new_visit: Ints) -> None:
        """Events of visits that are over are taken out; what is sorted is a heap."""
        n = self.count[marks.HEAP]
        part = {k: v[:n] for k, v in self.heap.items()}
        of_visit = part["heap_kind"] != marks.GOODS
        part["heap_ref"] = np.where(of_visit, new_visit[np.where(of_visit, part["heap_ref"], -1)], part["heap_ref"])
        stays = np.flatnonzero(part["heap_ref"] >= 0)
        order = stays[np.lexsort((part["heap_seq"][stays], part["heap_time"][stays]))]
        self.heap = {k: v[order] for k, v in part.items()}
        self.count[marks.HEAP] = len(order)

    def _who_waits(self) -> str:
        """Those who wait for ever, by station."""
        said = []
        for i, name in enumerate(self.model.names):
            blocked = np.flatnonzero(self.cases["blocked_in"] >= 0)
            of = blocked[self.visits["station"][self.cases["blocked_in"][blocked]] == i] if len(blocked) else blocked
            if self.fixed["waiting"][i]:
                said.append(f"{self.fixed['waiting'][i]} wait at {name!r}{self._for_what(name)}")
            if len(of):
                said.append(f"{len(of)} are done at {name!r} and wait for a place behind it")
        return "; ".join(said) or f"{self.count[marks.ACTIVE]} cases wait"

    def _for_what(self, name: str) -> str:
        station = self.model.file.stations[name]
        if station.batch is not None and station.batch.size > 1 and station.batch.wait is None:
            return f" for a batch of {station.batch.size} (give `batch` a `wait`)"
        return f" for {', '.join([*station.needs, *station.takes])}" if station.needs or station.takes else ""
