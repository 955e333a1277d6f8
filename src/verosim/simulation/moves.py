"""From station to station: cases come in, are blocked where there is no place, go on, and leave."""

from __future__ import annotations

from verosim.simulation.queues import note, put_in_queue
from verosim.simulation.state import (
    ACTIVE,
    ADMITTED,
    BLOCKED,
    FULL,
    GONE,
    LEAVE,
    N_PARKED,
    NOBODY,
    OVER,
    PARKED,
    SEEK,
    SERVE,
    UNBLOCK,
    WAIT,
    State,
)  # fmt: skip


def admit(s: State, v: int, now: float, first: bool) -> int:
    """Let a case into the station of visit v, if there is a place. first: it was blocked, and is the first to go in.

    -> ADMITTED, BLOCKED, or what becomes of one that is turned away: LEAVE + 10, SKIP + 10.
    """
    st = s.station[v]
    taken = s.capacity[st] >= 0 and s.inside[st] >= s.capacity[st]
    if taken or (s.full[st] == WAIT and s.blocked_head[st] >= 0 and not first):
        if s.full[st] == WAIT:
            return BLOCKED
        s.enqueue[v] = s.complete[v] = now
        s.outcome[v], s.where[v] = FULL, OVER
        return int(10 + s.full[st])
    s.at[s.case[v]] = v
    s.enqueue[v] = now
    s.inside[st] += 1
    if s.stock[st] >= 0:
        s.backlog[s.stock[st]] += s.take[v]
    put_in_queue(s, v, False)
    note(s, SEEK, v)
    return ADMITTED


def go_on(s: State, c: int, v: int, now: float) -> int:
    """Send case c to its visit v, or past it. -> ADMITTED, BLOCKED, PARKED, GONE."""
    while v < s.end[c]:
        answer = admit(s, v, now, False)
        if answer == BLOCKED:
            line_up(s, v)
            return BLOCKED
        if answer == ADMITTED:
            return ADMITTED
        if answer == 10 + LEAVE:
            finish(s, c, now)
            return GONE
        s.at[c] = v
        v += 1
    if s.more[c]:
        s.parked[s.count[N_PARKED]] = c
        s.count[N_PARKED] += 1
        return PARKED
    finish(s, c, now)
    return GONE


def line_up(s: State, v: int) -> None:
    """Let the case of visit v wait for a place."""
    st = s.station[v]
    s.after[v] = NOBODY
    if s.blocked_tail[st] < 0:
        s.blocked_head[st] = v
    else:
        s.after[s.blocked_tail[st]] = v
    s.blocked_tail[st] = v


def finish(s: State, c: int, now: float) -> None:
    """Case c is gone, and gives back what it holds."""
    s.left[c] = now
    s.count[ACTIVE] -= 1
    for r in range(len(s.free)):
        if s.held[c * len(s.free) + r] > 0:
            give_back(s, c, r)


def give_back(s: State, c: int, r: int) -> None:
    """Resource r, all that case c holds of it, is free again."""
    give_part(s, c, r, s.held[c * len(s.free) + r])


def give_part(s: State, c: int, r: int, amount: int) -> None:
    """So much of what case c holds of resource r is free again."""
    n_stations = len(s.inside)
    s.free[r] += amount
    s.held[c * len(s.free) + r] -= amount
    for st in range(n_stations):
        if s.users[r * n_stations + st] and s.waiting[st] > 0:
            note(s, SERVE, st)


def leave_place(s: State, st: int) -> None:
    s.inside[st] -= 1
    if s.blocked_head[st] >= 0:
        note(s, UNBLOCK, st)


def unblock(s: State, st: int, now: float) -> None:
    """Let those in who wait for a place, as many as there is room for."""
    while s.blocked_head[st] >= 0 and s.inside[st] < s.capacity[st]:
        v = s.blocked_head[st]
        s.blocked_head[st] = s.after[v]
        if s.blocked_head[st] < 0:
            s.blocked_tail[st] = NOBODY
        s.after[v] = NOBODY
        admit(s, v, now, True)
        unstick(s, s.case[v], now)


def unstick(s: State, c: int, now: float) -> None:
    """Case c has found its way: the server and place that it still had are free."""
    v = s.blocked_in[c]
    if v < 0:
        return
    s.blocked_in[c] = NOBODY
    k = s.server[v]
    if k >= 0:
        s.stuck[k] -= 1
        if s.stuck[k] == 0:
            set_idle(s, k, now)
    leave_place(s, s.station[v])


def set_idle(s: State, k: int, now: float) -> None:
    s.busy_with[k] = NOBODY
    s.idle_since[k] = now
    note(s, SERVE, s.station_of[k])
