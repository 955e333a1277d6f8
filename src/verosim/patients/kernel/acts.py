"""What states do to one patient: what states.py, care.py and observing.py say for many.

`args[s]` holds what a state declares, in the order that program.py gives for its kind.
"""

from __future__ import annotations

from typing import Any, Final

from verosim.patients.care import SHORT
from verosim.patients.kernel.choices import (
    NONE,
    cell_of,
    entry_code,
    entry_place,
    uniform,
)
from verosim.patients.kernel.state import Arrays
from verosim.patients.population import ENTRY, FORETOLD, WEEK
from verosim.patients.record import OPEN
from verosim.patients.world import NOT_AGAIN, SHIFT

(PYTHON, SIMPLE, GUARD, DELAY, LOOP, SET, SET_DRAWN, SET_OTHER, COUNTER, CALL, TERMINAL, FEEL, DEATH, ENCOUNTER,
 WELLNESS, ENCOUNTER_END, ONSET, END, MEDICATION, CAREPLAN, PROCEDURE, DEVICE, SUPPLIES, VACCINE, IMAGING, OBSERVATION,
 MULTI, REPORT) = range(28)  # fmt: skip
ENCOUNTERS, CONDITIONS, ALLERGIES, MEDICATIONS, PROCEDURES, OBSERVATIONS, REPORTS, CAREPLANS = range(8)

# ------------------------------------------------------------------------------------------------- waking


def step_of(w: Arrays, p: int, time: int) -> int:
    """The first step at or after a time."""
    return int(min(-((w.birth[p] - time) // WEEK), NOT_AGAIN))


def time_of(w: Arrays, p: int) -> int:
    return int(w.birth[p] + w.step[p] * WEEK)


def wake_soon(w: Arrays, p: int, slot: int) -> None:
    step = w.step[p] + (1 if slot <= w.module[p] else 0)
    if step < w.wake[p, slot]:
        w.wake[p, slot] = step


def notify(w: Arrays, p: int, watchers: Any, start: int, stop: int) -> None:
    """Wake modules that wait at states which look at what has changed."""
    modules = w.wake.shape[1]
    for i in range(start, stop):
        if w.state[p * modules + watchers[i, 1]] == watchers[i, 0]:
            wake_soon(w, p, watchers[i, 1])


def put(w: Arrays, p: int, attribute: int, value: float, kind: int) -> None:
    w.values[attribute, p] = value
    w.kinds[attribute, p] = kind
    notify(w, p, w.watchers, w.watch_from[attribute], w.watch_from[attribute + 1])


def active_changed(w: Arrays, p: int, place: int) -> None:
    notify(w, p, w.code_watchers, w.code_from[place], w.code_from[place + 1])


# ------------------------------------------------------------------------------------------------- the record


def encounter_at(w: Arrays, p: int, time: int) -> int:
    row = int(w.latest[p])
    while row != NONE and w.encounters[row]["start"] > time and w.encounters[row]["encounter"] != NONE:
        row = int(w.encounters[row]["encounter"])
    return row


def add(
    w: Arrays, number: int, table: Any, p: int, item: int, start: int, stop: int, encounter: int, reason: int
) -> int:
    """A row of a table, or NONE where it is not kept."""
    seq = w.seq[p]
    w.seq[p] = seq + 1
    if ((number >= 4 and number <= 6) or number >= 9) and start < w.since[p]:
        return NONE
    row = int(w.sizes[number])
    w.sizes[number] = row + 1
    table[row]["patient"] = p
    table[row]["seq"] = seq
    table[row]["encounter"] = encounter
    table[row]["item"] = item
    table[row]["start"] = start
    table[row]["stop"] = stop
    table[row]["reason"] = reason
    return row


def active_as(w: Arrays, p: int, place: int, state: int) -> bool:
    """Whether what is active at a place was begun, or renamed last, by a state of this name; or ever done."""
    row = int(w.present[place, p])
    if row < 0:
        return False
    table = w.place_table[place]
    if table == PROCEDURES:
        return True
    if table == CONDITIONS:
        item = int(w.conditions[row]["item"])
    elif table == ALLERGIES:
        item = int(w.allergies[row]["item"])
    elif table == MEDICATIONS:
        item = int(w.medications[row]["item"])
    elif table == CAREPLANS:
        item = int(w.careplans[row]["item"])
    else:
        item = int(w.devices[row]["item"])
    return bool(w.item_name[item] == state)


def reason_of(w: Arrays, p: int, attribute: int, told: int) -> int:
    """told: where its state's code, place, name and track are listed, or NONE."""
    if attribute < 0:
        return NONE
    found = entry_code(w, p, attribute)
    if found != NONE or told == NONE:
        return found
    code, place, name, track = w.lists[told], w.lists[told + 1], w.lists[told + 2], w.lists[told + 3]
    return int(code) if active_as(w, p, place, name) or (track != NONE and w.left_order[track, p] == 0) else NONE


def order(w: Arrays, p: int, item: int, time: int, stop: int, reason: int, given: bool, chronic: bool) -> int:
    """A row of the medications."""
    row = add(w, MEDICATIONS, w.medications, p, item, time, stop, encounter_at(w, p, time), reason)
    w.medications[row]["administered"] = given
    w.medications[row]["chronic"] = chronic
    w.medications[row]["ended"] = NONE
    return row


def assign(w: Arrays, p: int, attribute: int, table: int, row: int) -> None:
    if attribute >= 0:
        put(w, p, attribute, float(table * SHIFT + row), ENTRY)


def set_stop(w: Arrays, table: int, row: int, time: int, ended: int) -> None:
    if table == CONDITIONS:
        w.conditions[row]["stop"] = time
    elif table == ALLERGIES:
        w.allergies[row]["stop"] = time
    elif table == MEDICATIONS:
        w.medications[row]["stop"] = time
        w.medications[row]["ended"] = ended
    elif table == CAREPLANS:
        w.careplans[row]["stop"] = time
    else:
        w.devices[row]["stop"] = time


def end(w: Arrays, p: int, place: int, time: int) -> None:
    """End what is active; nothing where it is not."""
    row = int(w.present[place, p])
    if row < 0:
        return
    table = w.place_table[place]
    set_stop(w, table, row, time, NONE)
    if table == MEDICATIONS and w.chronic[place, p]:
        w.n_chronic[p] -= 1
        w.chronic[place, p] = False
    w.present[place, p] = NONE
    active_changed(w, p, place)


def lasts(w: Arrays, row: int, until: int) -> None:
    if row != NONE and w.encounters[row]["stop"] < until:
        w.encounters[row]["stop"] = until


# ------------------------------------------------------------------------------------------------- encounters


def close_encounter(w: Arrays, p: int, time: int) -> None:
    lasts(w, int(w.open[p]), time)
    w.lock[p] = NONE
    w.open[p] = NONE
    for slot in range(w.wake.shape[1]):
        if w.waits_lock[p, slot]:
            wake_soon(w, p, slot)
            w.waits_lock[p, slot] = False


def open_encounter(w: Arrays, p: int, s: int) -> bool:
    """args: item, kind, shortest, reason, its state, onsets from, to."""
    now = int(w.now[p])
    if w.lock[p] == w.module[p]:
        close_encounter(w, p, now)
    elif w.lock[p] != NONE:
        return False
    row = add(w, ENCOUNTERS, w.encounters, p, w.args[s, 0], now, now + w.args[s, 2], int(w.latest[p]), NONE)
    w.encounters[row]["kind"] = w.args[s, 1]
    w.encounters[row]["module"] = w.module[p]
    w.encounters[row]["discharge"] = NONE
    w.latest[p] = row
    w.lock[p] = w.module[p]
    w.open[p] = row
    meet(w, p, s)
    w.encounters[row]["reason"] = reason_of(w, p, w.args[s, 3], w.args[s, 4])
    return True


def share_visit(w: Arrays, p: int, s: int) -> bool:
    """args: medications' places from, to, why they end; -, -; onsets from, to."""
    visit, cell = w.visit[p], cell_of(w, p)
    if visit == NONE or w.used[cell] == visit:
        return False
    w.used[cell] = visit
    if w.renewed[p] != visit:
        w.renewed[p] = visit
        if w.n_chronic[p] > 0:
            renew(w, p, w.args[s, 0], w.args[s, 1], w.args[s, 2])
    meet(w, p, s)
    return True


def renew(w: Arrays, p: int, start: int, stop: int, ended: int) -> None:
    now = int(w.now[p])
    for i in range(start, stop):
        place = w.lists[i]
        if w.chronic[place, p]:
            row = int(w.present[place, p])
            item, reason = int(w.medications[row]["item"]), int(w.medications[row]["reason"])
            set_stop(w, MEDICATIONS, row, now, ended)
            w.present[place, p] = order(w, p, item, now, OPEN, reason, False, True)


def meet(w: Arrays, p: int, s: int) -> None:
    """An encounter has begun: what waits for it is diagnosed."""
    w.encounter_state[cell_of(w, p)] = s
    for i in range(w.args[s, 5], w.args[s, 6]):
        onset = w.lists[i]
        if w.pending[w.args[onset, 4], p]:
            diagnose(w, p, onset)


def diagnose(w: Arrays, p: int, s: int) -> None:
    """args: item, place, attribute, target's name or NONE, pending, table, reactions from, to."""
    place, item, table, now = w.args[s, 1], w.args[s, 0], w.args[s, 5], int(w.now[p])
    severity = severity_of(w, p, w.args[s, 6], w.args[s, 7])
    row = int(w.present[place, p])
    if row >= 0:
        if table == CONDITIONS:
            w.conditions[row]["item"] = item
        else:
            w.allergies[row]["item"] = item
    else:
        if table == CONDITIONS:
            row = add(w, table, w.conditions, p, item, now, OPEN, encounter_at(w, p, now), NONE)
        else:
            row = add(w, table, w.allergies, p, item, now, OPEN, encounter_at(w, p, now), NONE)
            w.allergies[row]["severity"] = severity
        w.present[place, p] = row
        active_changed(w, p, place)
    if w.args[s, 3] != NONE:
        w.pending[w.args[s, 4], p] = False
    assign(w, p, w.args[s, 2], table, row)


def severity_of(w: Arrays, p: int, start: int, stop: int) -> int:
    """lists: of each reaction the number of levels, where their steps begin, and the levels."""
    found, number, i = 0, 0, start
    while i < stop:
        n, steps = w.lists[i], w.lists[i + 1]
        if n > 0:
            u, k = uniform(w, p), 0
            while k < n - 1 and w.floats[steps + k] <= u:
                k += 1
            found |= w.lists[i + 2 + k] << (3 * number)
        i += 2 + n
        number += 1
    return found


def onset(w: Arrays, p: int, s: int) -> None:
    if w.args[s, 3] != NONE:
        state = w.encounter_state[cell_of(w, p)]
        if state == NONE or w.state_names[state] != w.args[s, 3]:
            w.pending[w.args[s, 4], p] = True
            if w.args[s, 2] >= 0:
                put(w, p, w.args[s, 2], float(w.args[s, 0]), FORETOLD)
            return
    diagnose(w, p, s)


def end_encounter(w: Arrays, p: int, s: int) -> None:
    """args: discharge."""
    w.encounter_state[cell_of(w, p)] = NONE
    if w.lock[p] == w.module[p]:
        if w.args[s, 0] != NONE:
            w.encounters[w.open[p]]["discharge"] = w.args[s, 0]
        close_encounter(w, p, int(w.now[p]))


def end_of(w: Arrays, p: int, s: int) -> None:
    """args: the begun state's place, its name, attribute, places from, to."""
    now, place = int(w.now[p]), w.args[s, 0]
    if place != NONE:
        if active_as(w, p, place, w.args[s, 1]):
            end(w, p, place, now)
    elif w.args[s, 2] >= 0:
        found = entry_place(w, p, w.args[s, 2])
        if found != NONE:
            end(w, p, found, now)
    for i in range(w.args[s, 3], w.args[s, 4]):
        end(w, p, w.lists[i], now)


# ------------------------------------------------------------------------------------------------- given and done


def medicate(w: Arrays, p: int, s: int) -> None:
    """args: item, place, attribute, reason, its state, given, chronic, the visits' slot or NONE."""
    item, place, now = w.args[s, 0], w.args[s, 1], int(w.now[p])
    reason, row = reason_of(w, p, w.args[s, 3], w.args[s, 4]), NONE
    given, chronic = w.args[s, 5] != 0, w.args[s, 6] != 0
    if given:
        row = order(w, p, item, now, now + SHORT, reason, True, False)
    if not given or chronic:
        row = int(w.present[place, p])
        if row >= 0:
            w.medications[row]["item"] = item
        else:
            row = order(w, p, item, now, OPEN, reason, False, chronic)
            w.present[place, p] = row
            active_changed(w, p, place)
        if chronic and not w.chronic[place, p]:
            w.chronic[place, p] = True
            w.n_chronic[p] += 1
            if w.args[s, 7] >= 0:
                wake_soon(w, p, w.args[s, 7])
    assign(w, p, w.args[s, 2], MEDICATIONS, row)


def plan_care(w: Arrays, p: int, s: int) -> None:
    """args: item, place, attribute, reason, its state."""
    place, now = w.args[s, 1], int(w.now[p])
    reason, row = reason_of(w, p, w.args[s, 3], w.args[s, 4]), int(w.present[place, p])
    if row >= 0:
        w.careplans[row]["item"] = w.args[s, 0]
    else:
        row = add(w, CAREPLANS, w.careplans, p, w.args[s, 0], now, OPEN, encounter_at(w, p, now), reason)
        w.present[place, p] = row
        active_changed(w, p, place)
    assign(w, p, w.args[s, 2], CAREPLANS, row)


def operate(w: Arrays, p: int, s: int, stop: int) -> None:
    """A procedure. args: item, place, attribute, reason, its state, length."""
    now, place = int(w.now[p]), w.args[s, 1]
    reason, encounter = reason_of(w, p, w.args[s, 3], w.args[s, 4]), encounter_at(w, p, int(w.now[p]))
    add(w, PROCEDURES, w.procedures, p, w.args[s, 0], now, stop, encounter, reason)
    lasts(w, encounter, stop)
    if w.args[s, 2] >= 0:
        put(w, p, w.args[s, 2], float(w.args[s, 0]), FORETOLD)
    if w.present[place, p] < 0:
        w.present[place, p] = 0
        active_changed(w, p, place)


def fit(w: Arrays, p: int, s: int) -> None:
    """A device. args: item, place, attribute."""
    udi = int(uniform(w, p) * 2.0**53)
    place, now = w.args[s, 1], int(w.now[p])
    row = int(w.present[place, p])
    if row >= 0:
        w.devices[row]["item"] = w.args[s, 0]
    else:
        row = add(w, 8, w.devices, p, w.args[s, 0], now, OPEN, encounter_at(w, p, now), NONE)
        w.devices[row]["udi"] = udi
        w.present[place, p] = row
        active_changed(w, p, place)
    assign(w, p, w.args[s, 2], 8, row)


def supply(w: Arrays, p: int, s: int) -> None:
    """args: items and quantities from, to."""
    now = int(w.now[p])
    for i in range(w.args[s, 0], w.args[s, 1], 2):
        row = add(w, 9, w.supplies, p, w.lists[i], now, OPEN, encounter_at(w, p, now), NONE)
        if row != NONE:
            w.supplies[row]["quantity"] = w.lists[i + 1]


def vaccinate(w: Arrays, p: int, s: int) -> None:
    """args: item, series."""
    now = int(w.now[p])
    row = add(w, 10, w.immunizations, p, w.args[s, 0], now, OPEN, encounter_at(w, p, now), NONE)
    if row != NONE:
        w.immunizations[row]["series"] = w.args[s, 1]


def picture(w: Arrays, p: int, s: int) -> None:
    """An imaging study. args: item, place, procedure, reason, its state."""
    now, place = int(w.now[p]), w.args[s, 1]
    reason, encounter = reason_of(w, p, w.args[s, 3], w.args[s, 4]), encounter_at(w, p, int(w.now[p]))
    uid = int(uniform(w, p) * 2.0**53)
    procedure = add(w, PROCEDURES, w.procedures, p, w.args[s, 2], now, now + 2 * SHORT, encounter, reason)
    lasts(w, encounter, now + 2 * SHORT)
    row = add(w, 11, w.imaging, p, w.args[s, 0], now, OPEN, encounter, reason)
    if row != NONE:
        w.imaging[row]["procedure"] = procedure
        w.imaging[row]["uid"] = uid
    w.present[place, p] = 0
    active_changed(w, p, place)


HELPERS: Final = (
    step_of, time_of, wake_soon, notify, put, active_changed, encounter_at, add, active_as, reason_of, order, assign,
    set_stop, end, lasts, close_encounter, renew, severity_of, diagnose, meet, open_encounter, share_visit, onset,
    end_encounter, end_of, medicate, plan_care, operate, fit, supply, vaccinate, picture,
)  # fmt: skip
