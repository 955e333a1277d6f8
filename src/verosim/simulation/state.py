"""What the event calendar knows: flat lists of numbers, or arrays, with the codes that stand in them."""

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
    worked: Any  # how long a server was busy with it; of a batch, with the first of it
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
