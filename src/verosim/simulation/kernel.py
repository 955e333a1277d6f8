"""The event calendar: cases move from station to station, wait, are served, and go, one event after the other.

Nothing here draws: each case comes with its arrival and its path, a row a visit with all that was drawn for it. So the
same input gives the same result, on lists in plain Python, and on arrays once numba has compiled these very functions
(fast.py). Both ask the same of the code: state in flat lists of numbers, no objects, no recursion.

An event may make work for the same instant: a case that was admitted looks for a server, a server that became free for
a case, a place that became free for a case that is blocked. That work stands in the agenda, and is done in its order
before time goes on.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

# kinds of event; those of the feed come from outside
COMPLETE, RENEGE, DUE, GOODS = 0, 1, 2, 3  # a visit is over, loses patience; a batch may be smaller; goods come
ARRIVE, ON, OFF = 4, 5, 6  # a case comes; a server comes, goes
# kinds of work of the same instant
SEEK, SERVE, UNBLOCK, RESUME = 0, 1, 2, 3
# where a visit stands
AHEAD, WAITING, SERVED_NOW, OVER = 0, 1, 2, 3
# how a visit ended
OPEN, SERVED, BALKED, RENEGED, FULL, SHORT = 0, 1, 2, 3, 4, 5
# what becomes of those that are turned away; WAIT blocks, PARKED waits for the rest of its path
LEAVE, SKIP, WAIT = 0, 1, 2
ADMITTED, BLOCKED, PARKED, GONE = 0, 1, 2, 3
FIFO, LIFO, PRIORITY = 0, 1, 2
FINISH, AS_RESUME, AS_RESTART = 0, 1, 2
# why the calendar stops
EMPTY, HORIZON, NEED_PATH, GROW = 0, 1, 2, 3
# places in `count`
HEAP, SEQ, FEED, AGENDA_FROM, AGENDA_SIZE, N_PARKED, ACTIVE, N_EVENTS = 0, 1, 2, 3, 4, 5, 6, 7
COUNTS: Final = 8
NOBODY: Final = -1


class State(NamedTuple):
    """All that the calendar knows: lists, or arrays (float64 or int64)."""

    # stations (S,)
    first_server: Any
    end_server: Any  # no servers: no limit
    discipline: Any
    preempt: Any  # 0 no, or AS_RESUME, AS_RESTART
    interrupted: Any
    capacity: Any  # -1: no limit
    full: Any
    lost: Any
    batch_size: Any
    batch_wait: Any
    rush: Any  # 1: a smaller batch will do
    needs_from: Any
    needs_to: Any
    holds: Any
    frees_from: Any
    frees_to: Any
    stock: Any  # that it takes from, or -1
    inside: Any
    waiting: Any
    head: Any
    tail: Any
    blocked_head: Any
    blocked_tail: Any
    asked: Any  # 1: SERVE stands in the agenda
    # lists that the stations point into
    needs: Any  # resource
    amounts: Any
    frees: Any
    # servers (K,)
    station_of: Any
    busy_with: Any  # visit, or -1
    off: Any  # reasons why it is not there
    idle_since: Any
    stuck: Any  # cases that are blocked in it
    # resources (R,) and stocks (Q,)
    free: Any
    users: Any  # (R * S,) 1: the station needs the resource
    level: Any
    ordered: Any
    backlog: Any
    order_at: Any
    order_upto: Any  # or nan
    order_quantity: Any
    short: Any
    # cases (n,)
    at: Any  # the visit that it is at
    end: Any  # one past its last visit
    more: Any  # 1: its path goes on
    left: Any  # when it left, or nan
    held: Any  # (n * R,)
    blocked_in: Any  # the visit whose place and server it still has, or -1
    # visits (m,)
    case: Any
    station: Any
    service: Any
    patience: Any
    balk: Any
    priority: Any
    take: Any
    lead: Any
    remaining: Any  # of the service
    until: Any  # when the service will be over
    enqueue: Any
    start: Any
    complete: Any
    server: Any
    outcome: Any
    where: Any
    stamp: Any  # of the COMPLETE event that counts
    before: Any  # in the queue
    after: Any  # in the queue, in a batch, or among the blocked
    order: Any  # what it made the stock order
    arrives: Any  # when that comes
    on_hand: Any  # what the stock held after it took its part
    stops: Any  # how often it was interrupted
    # events
    heap_time: Any
    heap_seq: Any
    heap_kind: Any
    heap_ref: Any
    heap_value: Any
    feed_time: Any
    feed_kind: Any
    feed_ref: Any
    agenda_kind: Any
    agenda_ref: Any
    parked: Any
    count: Any  # see HEAP ... N_EVENTS
    clock: Any  # (1,)


# ----------------------------------------------------------------------------------------------- the heap of events


def before(s: State, i: int, j: int) -> bool:
    if s.heap_time[i] != s.heap_time[j]:
        return bool(s.heap_time[i] < s.heap_time[j])
    return bool(s.heap_seq[i] < s.heap_seq[j])


def swap(s: State, i: int, j: int) -> None:
    s.heap_time[i], s.heap_time[j] = s.heap_time[j], s.heap_time[i]
    s.heap_seq[i], s.heap_seq[j] = s.heap_seq[j], s.heap_seq[i]
    s.heap_kind[i], s.heap_kind[j] = s.heap_kind[j], s.heap_kind[i]
    s.heap_ref[i], s.heap_ref[j] = s.heap_ref[j], s.heap_ref[i]
    s.heap_value[i], s.heap_value[j] = s.heap_value[j], s.heap_value[i]


def push(s: State, time: float, kind: int, ref: int, value: float) -> int:
    """Put an event into the calendar. -> its number, by which events of one time are ordered."""
    i, seq = s.count[HEAP], s.count[SEQ]
    s.heap_time[i], s.heap_seq[i], s.heap_kind[i], s.heap_ref[i], s.heap_value[i] = time, seq, kind, ref, value
    s.count[HEAP], s.count[SEQ] = i + 1, seq + 1
    while i > 0 and before(s, i, (i - 1) // 2):
        swap(s, i, (i - 1) // 2)
        i = (i - 1) // 2
    return int(seq)


def drop_first(s: State) -> None:
    """Take the earliest event out."""
    n = s.count[HEAP] - 1
    s.count[HEAP] = n
    swap(s, 0, n)
    i = 0
    while 2 * i + 1 < n:
        child = 2 * i + 1
        if child + 1 < n and before(s, child + 1, child):
            child += 1
        if not before(s, child, i):
            break
        swap(s, i, child)
        i = child


def note(s: State, kind: int, ref: int) -> None:
    """Put work for this instant into the agenda."""
    if kind == SERVE:
        if s.asked[ref]:
            return
        s.asked[ref] = 1
    at = (s.count[AGENDA_FROM] + s.count[AGENDA_SIZE]) % len(s.agenda_kind)
    s.agenda_kind[at], s.agenda_ref[at] = kind, ref
    s.count[AGENDA_SIZE] += 1


# ----------------------------------------------------------------------------------------------- the queue of a station


def put_in_queue(s: State, v: int, back: bool) -> None:
    """Let visit v wait. back: it was there before, and goes before its equals."""
    st = s.station[v]
    ahead = s.tail[st]  # after which it stands
    if s.discipline[st] == PRIORITY:
        mine = s.priority[v]
        while ahead >= 0 and (s.priority[ahead] > mine or (back and s.priority[ahead] == mine)):
            ahead = s.before[ahead]
    elif s.discipline[st] == LIFO or back:
        ahead = NOBODY
    behind = s.head[st] if ahead < 0 else s.after[ahead]
    s.before[v], s.after[v] = ahead, behind
    if ahead < 0:
        s.head[st] = v
    else:
        s.after[ahead] = v
    if behind < 0:
        s.tail[st] = v
    else:
        s.before[behind] = v
    s.waiting[st] += 1
    s.where[v] = WAITING


def take_from_queue(s: State, v: int) -> None:
    st, ahead, behind = s.station[v], s.before[v], s.after[v]
    if ahead < 0:
        s.head[st] = behind
    else:
        s.after[ahead] = behind
    if behind < 0:
        s.tail[st] = ahead
    else:
        s.before[behind] = ahead
    s.waiting[st] -= 1
    s.before[v] = s.after[v] = NOBODY


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
