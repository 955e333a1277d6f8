"""Patients live, one by one, until each needs Python or has nothing more to do: what engine.py does for many."""

from __future__ import annotations

from typing import Final

from verosim.patients.care import SHORT
from verosim.patients.kernel import DONE, ENDLESS, FAILED, ROOM
from verosim.patients.kernel.acts import (
    CALL,
    CAREPLAN,
    COUNTER,
    DEATH,
    DELAY,
    DEVICE,
    ENCOUNTER,
    ENCOUNTER_END,
    END,
    FEEL,
    GUARD,
    IMAGING,
    LOOP,
    MEDICATION,
    MULTI,
    OBSERVATION,
    ONSET,
    PROCEDURE,
    PYTHON,
    REPORT,
    SET,
    SET_OTHER,
    SIMPLE,
    SUPPLIES,
    TERMINAL,
    VACCINE,
    WELLNESS,
    close_encounter,
    encounter_at,
    end_encounter,
    end_of,
    fit,
    lasts,
    medicate,
    onset,
    open_encounter,
    operate,
    picture,
    plan_care,
    share_visit,
    step_of,
    supply,
    time_of,
    vaccinate,
)
from verosim.patients.kernel.choices import NONE, cell_of, chance, decided, lasting
from verosim.patients.kernel.signs import (
    allowed,
    assign_value,
    count,
    die,
    feel,
    observe,
    report_of,
    unread,
    valued,
    wake_of_guard,
)
from verosim.patients.kernel.state import Arrays
from verosim.patients.population import WEEK
from verosim.patients.world import FRESH, NOT_AGAIN

SLACK: Final = 512  # rows that one state may add to a table
MOST: Final = 10_000  # states that a module may go through in one step
STAYS_3, STAYS_6, STAYS_8 = 3, 6, 8  # kinds of encounters that stay open to the end


# ------------------------------------------------------------------------------------------------- waits


def waited(w: Arrays, p: int, s: int) -> bool:
    """A delay, or a procedure that lasts: whether it is over. args of a delay: its length."""
    cell, now = cell_of(w, p), int(w.now[p])
    until = int(w.until[cell])
    if until == FRESH:
        if w.does[s] == DELAY:
            until = now + lasting(w, p, w.args[s, 0])
        else:
            until = now + lasting(w, p, w.args[s, 5])
            operate(w, p, s, until)
        w.until[cell] = until
    return over(w, p, cell, until)


def over(w: Arrays, p: int, cell: int, until: int) -> bool:
    """Whether a wait's end has come and is lived to see: then time is turned back to it."""
    time = time_of(w, p)
    if until > time or w.death[p] <= until:
        return False
    if until != w.now[p]:
        w.rewound[p] = w.depth[cell] if until < time else -1
    w.now[p] = until
    w.until[cell] = FRESH
    return True


def looped(w: Arrays, p: int, s: int) -> int:
    """A delay that may lead back to itself: where it leads to by now, or NONE. args: length of a round, rounds."""
    cell, now, time, every = cell_of(w, p), int(w.now[p]), time_of(w, p), w.args[s, 0]
    until = int(w.until[cell])
    if until == FRESH:
        until = now + every
    skipped = max(-((until - (time - WEEK) - 1) // every), 0)
    until += skipped * every
    first = int(w.draws[cell]) + skipped
    w.draws[cell] = first
    end, found, rounds = until, s, 0
    for rounds in range(w.args[s, 1]):
        end = until + rounds * every
        step = w.birth[p] - ((w.birth[p] - end) // WEEK) * WEEK
        found = decided(w, p, w.starts[s], step, chance(w, p, first + rounds))
        if found != s:
            break
    w.next_look[cell] = end
    w.until[cell] = until
    if found == s or not over(w, p, cell, end):
        w.until[cell] = until
        return NONE
    w.draws[cell] = first + rounds + 1
    return found


# ------------------------------------------------------------------------------------------------- states


def act(w: Arrays, p: int, s: int) -> None:
    """States that are always left at once."""
    op = w.does[s]
    if op >= SET and op <= SET_OTHER:
        assign_value(w, p, s)
    elif op == COUNTER:
        count(w, p, s)
    elif op == FEEL:
        feel(w, p, s)
    elif op == DEATH:
        die(w, p, s)
    elif op == ENCOUNTER_END:
        end_encounter(w, p, s)
    elif op == ONSET:
        onset(w, p, s)
    elif op == END:
        end_of(w, p, s)
    elif op == MEDICATION:
        medicate(w, p, s)
    elif op == CAREPLAN:
        plan_care(w, p, s)
    elif op == PROCEDURE:
        operate(w, p, s, int(w.now[p]) + SHORT)
    else:
        act_rarely(w, p, s)


def act_rarely(w: Arrays, p: int, s: int) -> None:
    op = w.does[s]
    if op == DEVICE:
        fit(w, p, s)
    elif op == SUPPLIES:
        supply(w, p, s)
    elif op == VACCINE:
        vaccinate(w, p, s)
    elif op == IMAGING:
        picture(w, p, s)
    elif op == OBSERVATION:
        encounter = encounter_at(w, p, int(w.now[p]))
        value, kind = valued(w, p, w.args[s, 4])
        observe(w, p, w.args[s, 4], value, kind, encounter, NONE, NONE, True)
    elif op in (REPORT, MULTI):
        report_of(w, p, s)


def needs_python(w: Arrays, p: int, s: int) -> bool:
    """Whether Python has to do a state, or to read vital signs first: those of `told` have been."""
    if s >= w.first_builtin[0] or w.does[s] == PYTHON:
        return True
    if w.told[p] == s:
        return False
    w.at[p] = w.now[p]
    if w.asks[s]:
        return w.does[s] != DELAY or asks_now(w, p, s)
    return w.does[s] >= OBSERVATION and unread(w, p, w.args[s, 4], w.args[s, 5])


def asks_now(w: Arrays, p: int, s: int) -> bool:
    """Whether a delay is over, so that its transition asks for vital signs: at that transition's time."""
    cell, time = cell_of(w, p), time_of(w, p)
    if w.until[cell] == FRESH:
        w.until[cell] = w.now[p] + lasting(w, p, w.args[s, 0])
    until = w.until[cell]
    if until != w.now[p]:
        w.at[p] = time
    return bool(until <= time and w.death[p] > until)


def short_of_room(w: Arrays) -> bool:
    for table in range(len(w.sizes)):  # noqa: SIM110  (numba knows no `any` over a generator)
        if w.sizes[table] + SLACK > w.rooms[table]:
            return True
    return False


def left(w: Arrays, p: int, s: int) -> None:
    """Remember that a state whose visits are asked about was left. args: tracks, last but one and last."""
    if w.args[s, 9] > w.args[s, 8]:
        order = w.left_count[p] + 1
        w.left_count[p] = order
        for i in range(w.args[s, 8], w.args[s, 9]):
            w.left_order[w.lists[i], p] = order
            w.left_at[w.lists[i], p] = w.now[p]


def passed(w: Arrays, p: int, s: int) -> int:
    """Do a state; the next one, or NONE: the patient stays."""
    op, time = w.does[s], int(w.now[p])
    if op == LOOP:
        found = looped(w, p, s)
        if found != NONE:
            left(w, p, s)
        return found
    if op == DELAY or (op == PROCEDURE and w.args[s, 5] >= 0):
        if not waited(w, p, s):
            return NONE
        time = time_of(w, p) if w.now[p] != time else time  # time is turned back only after the transition
    elif op == GUARD:
        if not allowed(w, p, s):
            return NONE
    elif op == ENCOUNTER:
        if not open_encounter(w, p, s):
            return NONE
    elif op == WELLNESS:
        if not share_visit(w, p, s):
            return NONE
    elif op != SIMPLE:
        act(w, p, s)
    left(w, p, s)
    return decided(w, p, w.starts[s], time, -1.0)


def called(w: Arrays, p: int, s: int) -> int:
    """Into a submodule. args: its first state, its tracks from, to."""
    cell = cell_of(w, p)
    w.calls[cell, w.depth[cell]] = s
    w.depth[cell] += 1
    for i in range(w.args[s, 1], w.args[s, 2]):
        w.left_order[w.lists[i], p] = 0
    return int(w.args[s, 0])


def ended(w: Arrays, p: int, s: int) -> int:
    """The end of a module: on after the call, or NONE."""
    cell, now = cell_of(w, p), int(w.now[p])
    depth = int(w.depth[cell]) - 1
    if depth >= 0:
        w.depth[cell] = depth
        time = now
        if w.rewound[p] == depth + 1:
            time = time_of(w, p)
            w.rewound[p] = depth
        caller = int(w.calls[cell, depth])
        left(w, p, caller)
        return decided(w, p, w.starts[caller], time, -1.0)
    if w.lock[p] == w.module[p]:
        close_encounter(w, p, now)
    w.state[cell] = s
    w.wake[p, w.module[p]] = NOT_AGAIN
    return NONE


def stay(w: Arrays, p: int, s: int) -> int:
    """Wait at a state: once more by the step's own time, or NONE: until woken."""
    time = time_of(w, p)
    if w.now[p] < time:
        w.now[p] = time
        w.rewound[p] = -1
        return s
    cell, module, op, again = cell_of(w, p), w.module[p], w.does[s], NOT_AGAIN
    w.state[cell] = s
    if op == GUARD:
        again = wake_of_guard(w, p, s)
    elif op == ENCOUNTER:
        w.waits_lock[p, module] = True
    elif op == WELLNESS:
        w.waits_visit[p, module] = True
    elif op == LOOP:
        again = max(step_of(w, p, w.next_look[cell]), int(w.step[p]) + 1)
    else:
        again = step_of(w, p, w.until[cell])
    w.wake[p, module] = again
    return NONE


# ------------------------------------------------------------------------------------------------- the week


def advance(w: Arrays, p: int) -> int:
    """On to the next module whose turn has come, in this step or a later one: its state or builtin, or NONE: over."""
    step, modules, soonest, found = int(w.step[p]), w.wake.shape[1], NOT_AGAIN, NONE
    for slot in range(w.module[p] + 1, modules):
        if w.wake[p, slot] <= step:
            found = slot
            break
    if found == NONE:
        for slot in range(modules):
            soonest = min(soonest, int(w.wake[p, slot]))
        step = max(soonest, step + 1)
        last = step_of(w, p, min(int(w.death[p]), int(w.stop[p]))) - 1
        w.step[p] = min(step, max(last, int(w.step[p])))
        if step > last:
            finish(w, p)
            return NONE
        found = 0
        while w.wake[p, found] > step:
            found += 1
    w.spins[p] = 0
    w.module[p] = found
    w.now[p] = time_of(w, p)
    w.rewound[p] = -1
    return int(w.state[p * modules + found])


def finish(w: Arrays, p: int) -> None:
    """The end: an encounter that is open is closed."""
    w.done[p] = True
    if w.lock[p] != NONE:
        row = int(w.open[p])
        kind = w.encounters[row]["kind"]
        stays = kind in (STAYS_3, STAYS_6, STAYS_8)
        lasts(w, row, int(w.stop[p]) if stays else time_of(w, p))
        most = max(int(w.death[p]), int(w.encounters[row]["start"]))
        if w.encounters[row]["stop"] > most:
            w.encounters[row]["stop"] = most
        w.lock[p] = NONE
        w.open[p] = NONE


def follow(w: Arrays, p: int, s: int) -> int:
    """Do what patient p does next: the state after that, or NONE: nothing more."""
    if w.death[p] <= w.now[p]:
        finish(w, p)
        return NONE
    w.spins[p] += 1
    op, after = w.does[s], NONE
    if op == CALL:
        after = called(w, p, s)
    elif op == TERMINAL:
        after = ended(w, p, s)
        if after == NONE:
            return advance(w, p)
    else:
        after = passed(w, p, s)
        if after == NONE:
            again = stay(w, p, s)
            return again if again != NONE else advance(w, p)
    w.visits[w.tally[p], after] += 1
    return after


def live(w: Arrays, patients: object, first: int) -> tuple[int, int]:
    """Let patients live, from the first-th on, until each needs Python: why this stops, and at which of them."""
    for i in range(first, len(patients)):  # type: ignore[arg-type]
        p = patients[i]  # type: ignore[index]
        s = int(w.action[p])
        if s == NONE:
            continue
        w.waiting[s] -= 1
        why = DONE
        while why == DONE and s != NONE and not needs_python(w, p, s):
            if short_of_room(w):
                why = ROOM
            elif w.spins[p] > MOST:
                why = ENDLESS
            else:
                after = follow(w, p, s)
                w.told[p] = after if w.told[p] == s and w.looks[s] and w.looks[after] else NONE
                if w.failed[0]:
                    why = FAILED
                else:
                    s = after
        w.action[p] = s
        if s != NONE:
            w.waiting[s] += 1
        if why != DONE:
            return why, i
    return DONE, 0


HELPERS: Final = (
    over, waited, looped, act_rarely, act, asks_now, needs_python, short_of_room, left, passed, called, ended, stay,
    finish, advance, follow,
)  # fmt: skip
