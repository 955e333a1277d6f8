"""The heap of events, the agenda of an instant, and the queues of stations: lists of numbers, changed in place."""

from __future__ import annotations

from verosim.simulation.state import (
    AGENDA_FROM,
    AGENDA_SIZE,
    HEAP,
    LIFO,
    NOBODY,
    PRIORITY,
    SEQ,
    SERVE,
    WAITING,
    State,
)  # fmt: skip

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
