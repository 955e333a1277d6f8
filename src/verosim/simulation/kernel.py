"""The event calendar: cases move from station to station, wait, are served, and go, one event after the other.

Nothing here draws: each case comes with its arrival and its path, a row a visit with all that was drawn for it. So the
same input gives the same result, on lists in plain Python, and on arrays once numba has compiled these very functions
(fast.py). Both ask the same of the code: state in flat lists of numbers, no objects, no recursion.

An event may make work for the same instant: a case that was admitted looks for a server, a server that became free for
a case, a place that became free for a case that is blocked. That work stands in the agenda, and is done in its order
before time goes on.
"""

from __future__ import annotations

from typing import Final

from verosim.simulation.queues import before, drop_first, note, push, put_in_queue, swap, take_from_queue
from verosim.simulation.state import (
    ACTIVE,
    ADMITTED,
    AGENDA_FROM,
    AGENDA_SIZE,
    ARRIVE,
    AS_RESUME,
    BALKED,
    BLOCKED,
    COMPLETE,
    DUE,
    EMPTY,
    FEED,
    FINISH,
    FULL,
    GONE,
    GOODS,
    GROW,
    HEAP,
    HORIZON,
    LEAVE,
    N_EVENTS,
    N_PARKED,
    NEED_PATH,
    NOBODY,
    ON,
    OVER,
    PARKED,
    RENEGE,
    RENEGED,
    SEEK,
    SERVE,
    SERVED,
    SERVED_NOW,
    SHORT,
    SKIP,
    UNBLOCK,
    WAIT,
    WAITING,
    State,
)  # fmt: skip

# ---------------------------------------------------------------------------------------- from station to station


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
    place, n_stations = c * len(s.free) + r, len(s.inside)
    s.free[r] += s.held[place]
    s.held[place] = 0
    for st in range(n_stations):
        if s.users[r * n_stations + st] and s.waiting[st] > 0:
            note(s, SERVE, st)


def give_part(s: State, c: int, r: int, amount: int) -> None:
    """So much of what case c holds of resource r is free again."""
    place, n_stations = c * len(s.free) + r, len(s.inside)
    s.free[r] += amount
    s.held[place] -= amount
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


# ----------------------------------------------------------------------------------------------- service


def idle_server(s: State, st: int) -> int:
    """The server that is idle for longest, or -1."""
    best = NOBODY
    for k in range(s.first_server[st], s.end_server[st]):
        free = s.busy_with[k] < 0 and s.stuck[k] == 0 and s.off[k] == 0
        if free and (best < 0 or s.idle_since[k] < s.idle_since[best]):
            best = k
    return best


def is_weaker(s: State, v: int, w: int) -> bool:
    if s.priority[v] != s.priority[w]:
        return bool(s.priority[v] > s.priority[w])
    return bool(s.start[v] > s.start[w])


def weaker(s: State, st: int, v: int) -> int:
    """The server whose case has the worst priority, if that is worse than that of visit v; of equals the last begun."""
    worst = NOBODY
    for k in range(s.first_server[st], s.end_server[st]):
        w = s.busy_with[k]
        if w < 0 or s.where[w] != SERVED_NOW or s.priority[w] <= s.priority[v]:
            continue
        if worst < 0 or is_weaker(s, w, s.busy_with[worst]):
            worst = k
    return worst


def can_take(s: State, st: int) -> bool:
    """Whether all resources that the station needs are free."""
    for i in range(s.needs_from[st], s.needs_to[st]):  # noqa: SIM110  (numba knows no `all` over a generator)
        if s.free[s.needs[i]] < s.amounts[i]:
            return False
    return True


def lacks_goods(s: State, v: int) -> bool:
    """Whether the stock holds less than visit v, which has not begun, takes."""
    q = s.stock[s.station[v]]
    return bool(q >= 0 and s.start[v] != s.start[v] and s.level[q] < s.take[v])


def serve(s: State, st: int, now: float) -> None:
    """Begin as many services as can begin."""
    while s.waiting[st] > 0:
        v = s.head[st]
        if s.waiting[st] < s.batch_size[st] and not s.rush[st]:
            return
        if not can_take(s, st):
            return
        if lacks_goods(s, v):
            if s.short[s.stock[st]] == WAIT:
                return
            turn_away(s, v, SHORT, now)
            continue
        k = NOBODY
        if s.end_server[st] > s.first_server[st]:
            k = idle_server(s, st)
            if k < 0 and s.preempt[st]:
                k = weaker(s, st, v)
                if k >= 0:
                    interrupt(s, k, now, s.preempt[st])
            if k < 0:
                return
        begin(s, st, k, now)


def begin(s: State, st: int, k: int, now: float) -> None:
    """The first in the queue, or the first few, are served by server k (-1: there is no limit to servers)."""
    v = s.head[st]
    size = min(s.batch_size[st], s.waiting[st])
    s.rush[st] = 0
    last = NOBODY
    for _ in range(size):
        w = s.head[st]
        take_from_queue(s, w)
        take_goods(s, w)
        s.where[w], s.server[w] = SERVED_NOW, k
        if s.start[w] != s.start[w]:
            s.start[w] = now
        if last >= 0:
            s.after[last] = w  # those of a batch hang together
        last = w
    for i in range(s.needs_from[st], s.needs_to[st]):
        s.free[s.needs[i]] -= s.amounts[i]
        s.held[s.case[v] * len(s.free) + s.needs[i]] += s.amounts[i]
    if k >= 0:
        s.busy_with[k] = v
    s.stamp[v] = push(s, now + s.remaining[v], COMPLETE, v, 0.0)
    s.until[v] = now + s.remaining[v]


def take_goods(s: State, v: int) -> None:
    q = s.stock[s.station[v]]
    if q >= 0 and s.start[v] != s.start[v]:
        s.level[q] -= s.take[v]
        s.backlog[q] -= s.take[v]
        s.on_hand[v] = s.level[q]


def interrupt(s: State, k: int, now: float, how: int) -> None:
    """Whom server k serves goes back to the front of the queue."""
    v = s.busy_with[k]
    st = s.station[v]
    for i in range(s.needs_from[st], s.needs_to[st]):
        give_part(s, s.case[v], s.needs[i], s.amounts[i])
    s.remaining[v] = s.until[v] - now if how == AS_RESUME else s.service[v]
    s.stamp[v] = s.server[v] = NOBODY
    s.stops[v] += 1
    put_in_queue(s, v, True)
    s.busy_with[k] = NOBODY
    s.idle_since[k] = now


def over(s: State, v: int, now: float) -> None:
    """The service of visit v, and of those of its batch, is over."""
    st, k, c = s.station[v], s.server[v], s.case[v]
    if not s.holds[st]:
        for i in range(s.needs_from[st], s.needs_to[st]):
            give_part(s, c, s.needs[i], s.amounts[i])
    w = v
    while w >= 0:
        behind = s.after[w]
        s.after[w] = NOBODY
        s.complete[w] = now
        s.outcome[w], s.where[w] = SERVED, OVER
        d = s.case[w]
        for i in range(s.frees_from[st], s.frees_to[st]):
            give_back(s, d, s.frees[i])
        answer = go_on(s, d, w + 1, now)
        if answer in (BLOCKED, PARKED):
            s.blocked_in[d] = w
            if k >= 0:
                s.stuck[k] += 1
        else:
            leave_place(s, st)
        w = behind
    if k >= 0:
        s.busy_with[k] = NOBODY
        if s.stuck[k] == 0:
            set_idle(s, k, now)


def turn_away(s: State, v: int, why: int, now: float) -> None:
    """Visit v, which waits, ends without service."""
    st, c = s.station[v], s.case[v]
    take_from_queue(s, v)
    if s.stock[st] >= 0:
        s.backlog[s.stock[st]] -= s.take[v]
    s.complete[v] = now
    s.outcome[v], s.where[v] = why, OVER
    answer = GONE
    if s.lost[st] == SKIP:
        answer = go_on(s, c, v + 1, now)
    else:
        finish(s, c, now)
    if answer in (BLOCKED, PARKED):
        s.blocked_in[c] = v
        s.server[v] = NOBODY
    else:
        leave_place(s, st)


def seek(s: State, v: int, now: float) -> None:
    """Visit v has come into its station: is it served at once, does it wait, or go away?"""
    st = s.station[v]
    serve(s, st, now)
    if s.stock[st] >= 0:
        order_goods(s, v, now)
    if s.where[v] != WAITING:
        return
    if s.waiting[st] - 1 >= s.balk[v]:
        turn_away(s, v, BALKED, now)
        return
    if s.patience[v] < 1e300:
        push(s, now + s.patience[v], RENEGE, v, 0.0)
    if s.batch_wait[st] < 1e300:
        push(s, now + s.batch_wait[st], DUE, v, 0.0)


def order_goods(s: State, v: int, now: float) -> None:
    """Order where what is there and on its way, less what is promised, has fallen to the point of order."""
    q = s.stock[s.station[v]]
    position = s.level[q] + s.ordered[q] - s.backlog[q]
    if position > s.order_at[q]:
        return
    if s.order_upto[q] == s.order_upto[q]:
        amount = s.order_upto[q] - position
    else:
        amount = s.order_quantity[q]
        while position + amount <= s.order_at[q]:
            amount += s.order_quantity[q]
    s.ordered[q] += amount
    s.order[v], s.arrives[v] = amount, now + s.lead[v]
    push(s, now + s.lead[v], GOODS, q, amount)


# ----------------------------------------------------------------------------------------------- the calendar


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


HELPERS: Final = (  # all that `run` uses, for the compiler
    before, swap, push, drop_first, note, put_in_queue, take_from_queue, admit, go_on, line_up, finish, give_back,
    give_part, leave_place, unblock, unstick, set_idle, idle_server, is_weaker, weaker, can_take, lacks_goods, serve,
    begin, take_goods, interrupt, over, turn_away, seek, order_goods, work_off, happen, come,
)  # fmt: skip
