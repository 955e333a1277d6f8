"""Service: who is next, by which server, with what; who goes away unserved; what is ordered."""

from __future__ import annotations

from verosim.simulation.moves import finish, give_back, give_part, go_on, leave_place, set_idle
from verosim.simulation.queues import push, put_in_queue, take_from_queue
from verosim.simulation.state import (
    AS_RESUME,
    BALKED,
    BLOCKED,
    COMPLETE,
    DUE,
    GONE,
    GOODS,
    NOBODY,
    OVER,
    PARKED,
    RENEGE,
    SERVED,
    SERVED_NOW,
    SHORT,
    SKIP,
    WAIT,
    WAITING,
    State,
)  # fmt: skip


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
    s.worked[v] -= now  # until the service ends, or is interrupted
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
    s.worked[v] += now
    s.stamp[v] = s.server[v] = NOBODY
    s.stops[v] += 1
    put_in_queue(s, v, True)
    s.busy_with[k] = NOBODY
    s.idle_since[k] = now


def over(s: State, v: int, now: float) -> None:
    """The service of visit v, and of those of its batch, is over."""
    st, k, c = s.station[v], s.server[v], s.case[v]
    s.worked[v] += now
    s.stamp[v] = NOBODY
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
