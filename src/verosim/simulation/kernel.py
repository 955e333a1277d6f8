"""The event calendar: cases move from station to station, wait, are served, and go, one event after the other.

Nothing here draws: each case comes with its arrival and its path, a row a visit with all that was drawn for it. So the
same input gives the same result, on lists in plain Python, and on arrays once numba has compiled these very functions
(fast.py). Both ask the same of the code: state in flat lists of numbers, no objects, no recursion.

An event may make work for the same instant: a case that was admitted looks for a server, a server that became free for
a case, a place that became free for a case that is blocked. That work stands in the agenda, and is done in its order
before time goes on.
"""

from __future__ import annotations

from verosim.simulation.moves import go_on, unblock, unstick
from verosim.simulation.queues import drop_first, note
from verosim.simulation.service import interrupt, over, seek, serve, turn_away
from verosim.simulation.state import (
    ACTIVE,
    ADMITTED,
    AGENDA_FROM,
    AGENDA_SIZE,
    ARRIVE,
    COMPLETE,
    DUE,
    EMPTY,
    FEED,
    FINISH,
    GONE,
    GROW,
    HEAP,
    HORIZON,
    N_EVENTS,
    N_PARKED,
    NEED_PATH,
    ON,
    RENEGE,
    RENEGED,
    SEEK,
    SERVE,
    UNBLOCK,
    WAITING,
    State,
)  # fmt: skip


def work_off(s: State, now: float) -> None:
    """Do what the agenda holds."""
    while s.count[AGENDA_SIZE] > 0:
        at = s.count[AGENDA_FROM]
        kind, ref = s.agenda_kind[at], s.agenda_ref[at]
        s.count[AGENDA_FROM] = (at + 1) % len(s.agenda_kind)
        s.count[AGENDA_SIZE] -= 1
        if kind == SEEK:
            seek(s, ref, now)
        elif kind == SERVE:
            s.asked[ref] = 0
            serve(s, ref, now)
        elif kind == UNBLOCK:
            unblock(s, ref, now)
        else:
            answer = go_on(s, ref, s.at[ref] + 1, now)
            if answer in (ADMITTED, GONE):
                unstick(s, ref, now)


def happen(s: State, kind: int, ref: int, value: float, seq: int, now: float) -> None:
    """One event of the calendar."""
    if kind == COMPLETE:
        if s.stamp[ref] == seq:
            over(s, ref, now)
    elif kind == RENEGE:
        if s.where[ref] == WAITING and s.start[ref] != s.start[ref]:
            turn_away(s, ref, RENEGED, now)
    elif kind == DUE:
        if s.where[ref] == WAITING:
            s.rush[s.station[ref]] = 1
            note(s, SERVE, s.station[ref])
    else:
        s.level[ref] += value
        s.ordered[ref] -= value
        for st in range(len(s.inside)):
            if s.stock[st] == ref:
                note(s, SERVE, st)


def come(s: State, kind: int, ref: int, now: float) -> None:
    """One event of the feed."""
    if kind == ARRIVE:
        s.count[ACTIVE] += 1
        go_on(s, ref, s.at[ref] + 1, now)
    elif kind == ON:
        s.off[ref] -= 1
        s.idle_since[ref] = now
        note(s, SERVE, s.station_of[ref])
    else:
        s.off[ref] += 1
        how = s.interrupted[s.station_of[ref]]
        if how != FINISH and s.busy_with[ref] >= 0:
            interrupt(s, ref, now, how)
            note(s, SERVE, s.station_of[ref])


def run(s: State, horizon: float) -> int:
    """Let things happen until `horizon`, which itself still belongs to it. -> EMPTY, HORIZON, NEED_PATH or GROW."""
    work_off(s, s.clock[0])
    while True:
        if s.count[N_PARKED] > 0:
            return NEED_PATH
        if s.count[HEAP] + 2 * len(s.at) + len(s.inside) >= len(s.heap_time):
            return GROW
        fed, n = s.count[FEED], s.count[HEAP]
        from_feed = fed < len(s.feed_time) and (n == 0 or s.feed_time[fed] < s.heap_time[0])
        if not from_feed and n == 0:
            return EMPTY
        now = s.feed_time[fed] if from_feed else s.heap_time[0]
        if now > horizon:
            return HORIZON
        s.clock[0] = now
        s.count[N_EVENTS] += 1
        if from_feed:
            s.count[FEED] = fed + 1
            come(s, s.feed_kind[fed], s.feed_ref[fed], now)
        else:
            kind, ref, value, seq = s.heap_kind[0], s.heap_ref[0], s.heap_value[0], s.heap_seq[0]
            drop_first(s)
            happen(s, kind, ref, value, seq, now)
        work_off(s, now)
