"""What is observed, felt, set and counted in one patient, and when a guard lets go: as observing.py and states.py."""

from __future__ import annotations

import math
from typing import Final

from verosim.patients.kernel.acts import (
    MULTI,
    OBSERVATIONS,
    REPORT,
    REPORTS,
    SET,
    SET_DRAWN,
    add,
    encounter_at,
    put,
    step_of,
    wake_soon,
)
from verosim.patients.kernel.choices import NONE, cell_of, decided, drawn, entry_code, lasting, uniform
from verosim.patients.kernel.state import Arrays
from verosim.patients.population import CODE, ENTRY, FLAG, FORETOLD, NUMBER, TEXT
from verosim.patients.record import CODE as CODE_VALUE
from verosim.patients.record import FLAG as FLAG_VALUE
from verosim.patients.record import NUMBER as NUMBER_VALUE
from verosim.patients.record import OPEN, PANEL
from verosim.patients.record import TEXT as TEXT_VALUE
from verosim.patients.world import NOT_AGAIN

# ------------------------------------------------------------------------------------------------- observed

PART: Final = 6  # numbers that a part of a report takes in `lists`: how, number, item, codes, how many, -
BY_AMOUNT, BY_CODE, BY_TEXT, BY_ATTRIBUTE, BY_NOTHING, BY_VITAL = range(6)


def unread(w: Arrays, p: int, start: int, stop: int) -> bool:
    """Whether parts hold a vital sign that must be read: of a row that is kept, or remembered."""
    for i in range(start, stop, PART):
        if w.lists[i] == BY_VITAL and (w.now[p] >= w.since[p] or w.lists[i + 4] > 0):
            return True
    return False


def observe(
    w: Arrays, p: int, i: int, value: float, kind: int, encounter: int, report: int, panel: int, seen: bool
) -> None:
    """A part of `lists` is observed."""
    row = add(w, OBSERVATIONS, w.observations, p, w.lists[i + 2], int(w.now[p]), OPEN, encounter, NONE)
    if row != NONE:
        w.observations[row]["value"] = value
        w.observations[row]["kind"] = kind
        w.observations[row]["report"] = report
        w.observations[row]["panel"] = panel
    if seen:
        held = held_kind(kind)
        for k in range(w.lists[i + 3], w.lists[i + 3] + w.lists[i + 4]):
            code = w.lists[k]
            if encounter > w.seen_at[code, p] or w.seen_at[code, p] == NONE:
                w.seen_at[code, p] = encounter
                w.seen_value[code, p] = value
                w.seen_kind[code, p] = held


def held_kind(kind: int) -> int:
    """The kind of attribute that a kind of observed value compares as."""
    if kind == CODE_VALUE:
        return CODE
    if kind == TEXT_VALUE:
        return TEXT
    return FLAG if kind == FLAG_VALUE else NUMBER


def value_kind(kind: int) -> int:
    """The kind of observed value that a kind of attribute is."""
    if kind == NUMBER:
        return NUMBER_VALUE
    if kind == FLAG:
        return FLAG_VALUE
    if kind == TEXT:
        return TEXT_VALUE
    return CODE_VALUE if kind in (CODE, ENTRY, FORETOLD) else PANEL


def valued(w: Arrays, p: int, i: int) -> tuple[float, int]:
    """The value of a part, and its kind."""
    how, number = w.lists[i], w.lists[i + 1]
    if how == BY_AMOUNT:
        return drawn(w, p, number), NUMBER_VALUE
    if how == BY_CODE:
        return float(number), CODE_VALUE
    if how == BY_TEXT:
        return float(number), TEXT_VALUE
    if how == BY_ATTRIBUTE:
        kind = w.kinds[number, p]
        held = kind in (ENTRY, FORETOLD)
        return float(entry_code(w, p, number)) if held else w.values[number, p], value_kind(kind)
    return (0.0, PANEL) if how == BY_NOTHING else (w.given[number, p], NUMBER_VALUE)


def report_of(w: Arrays, p: int, s: int) -> None:
    """A report, or a panel. args: item, -, -, values from, parts from, to: ranges are drawn first."""
    now, panel, report = int(w.now[p]), NONE, NONE
    encounter = encounter_at(w, p, now)
    if w.does[s] == MULTI:
        panel = add(w, OBSERVATIONS, w.observations, p, w.args[s, 0], now, OPEN, encounter, NONE)
        if panel != NONE:
            w.observations[panel]["value"] = 0.0
            w.observations[panel]["kind"] = PANEL
            w.observations[panel]["report"] = NONE
            w.observations[panel]["panel"] = NONE
    else:
        report = add(w, REPORTS, w.reports, p, w.args[s, 0], now, OPEN, encounter, NONE)
    cell = cell_of(w, p)
    first, ranged, others = int(w.draws[cell]), 0, int(w.draws[cell]) + w.args[s, 3]
    for i in range(w.args[s, 4], w.args[s, 5], PART):
        if w.lists[i + 5]:  # of a range
            w.draws[cell] = first + ranged
            ranged += 1
            value, kind = valued(w, p, i)
        else:
            w.draws[cell] = others
            value, kind = valued(w, p, i)
            others = int(w.draws[cell])
        observe(w, p, i, value, kind, encounter, report, panel, w.does[s] == REPORT)
    w.draws[cell] = others


# ------------------------------------------------------------------------------------------------- steering


def feel(w: Arrays, p: int, s: int) -> None:
    """A symptom. args: symptom, addressed, number, the visits' slot or NONE, chance."""
    chance = w.floats[w.args[s, 4]]
    if chance < 1 and uniform(w, p) > chance:
        return
    pair = w.pairs[w.module[p], w.args[s, 0]]
    w.symptoms[pair, p] = math.trunc(drawn(w, p, w.args[s, 2]))
    w.addressed[pair, p] = w.args[s, 1] != 0
    if w.args[s, 3] >= 0:
        wake_soon(w, p, w.args[s, 3])


def die(w: Arrays, p: int, s: int) -> None:
    """args: length or NONE, cause, attribute, Lifecycle's slot or NONE: it tells modules how many days are left."""
    time, cause = int(w.now[p]), w.args[s, 1]
    if w.args[s, 0] >= 0:
        time += lasting(w, p, w.args[s, 0])
    if w.args[s, 2] >= 0:
        cause = entry_code(w, p, w.args[s, 2])
    if time < w.death[p]:
        w.death[p] = time
        w.cause[p] = cause
        if w.args[s, 3] >= 0:
            wake_soon(w, p, w.args[s, 3])


def assign_value(w: Arrays, p: int, s: int) -> None:
    """args: attribute, kind, number or other attribute."""
    attribute = w.args[s, 0]
    if w.does[s] == SET:
        put(w, p, attribute, w.floats[w.args[s, 2]], w.args[s, 1])
    elif w.does[s] == SET_DRAWN:
        put(w, p, attribute, drawn(w, p, w.args[s, 2]), NUMBER)
    else:
        put(w, p, attribute, w.values[w.args[s, 2], p], w.kinds[w.args[s, 2], p])


def count(w: Arrays, p: int, s: int) -> None:
    """args: attribute, -, step."""
    attribute = w.args[s, 0]
    before = w.values[attribute, p] if w.kinds[attribute, p] == NUMBER else 0.0
    put(w, p, attribute, before + w.floats[w.args[s, 2]], NUMBER)


def allowed(w: Arrays, p: int, s: int) -> bool:
    """A guard. args: condition, polls, moments from, to."""
    return decided(w, p, w.args[s, 0], int(w.now[p]), 0.0) == 1


def wake_of_guard(w: Arrays, p: int, s: int) -> int:
    """lists: questions whose answers change at a time."""
    step, now, soonest = int(w.step[p]), w.now[p], NOT_AGAIN
    if w.args[s, 1]:
        return step + 1
    for i in range(w.args[s, 2], w.args[s, 3], 3):
        what, a, c = w.lists[i], w.lists[i + 1], w.lists[i + 2]
        if what == 0:
            moment = w.birthdays[p, a]
        elif what == 1:
            moment = a
        else:
            moment = w.left_at[a, p] + c if w.left_order[a, p] > 0 else now
        if moment > now:
            soonest = min(soonest, step_of(w, p, moment))
    return max(soonest, step + 1)


HELPERS: Final = (
    unread, held_kind, value_kind, valued, observe, report_of, feel, die, assign_value, count, allowed, wake_of_guard,
)  # fmt: skip
