"""Chance, conditions and transitions, for one patient at a time: what amounts.py, conditions.py and transitions.py say
for many. A condition or a transition is a graph of questions (program.py); each leads on by its answer.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from verosim.patients.forms import (
    ACTIVE,
    AT_AGE,
    AT_TIME,
    CONSTANT,
    ENTRY_ACTIVE,
    EXPONENTIAL,
    GAUSSIAN,
    KIND,
    MALE,
    OBSERVED,
    OBSERVED_NIL,
    PRIOR,
    RACE,
    SIGN,
    SYMPTOM,
    UNIFORM,
    VALUE,
    YOUNG,
)
from verosim.patients.kernel.state import Arrays
from verosim.patients.population import CODE, DAY, ENTRY, FORETOLD, NIL, NUMBER, OLDEST, TEXT
from verosim.patients.steady import (
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
    C10,
    C11,
    C12,
    C13,
    C14,
    C15,
    C16,
    C17,
    HALF_ROOT,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
    LN2_HIGH,
    LN2_LOW,
    TURN,
)
from verosim.patients.world import SHIFT

GO, DRAW, NAMED, LOOK = 100, 101, 102, 103  # what ends a graph
ODD: Final = np.uint64(0xD1342543DE82EF95)
GOLD: Final = np.uint64(0x9E3779B97F4A7C15)
MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
MIX_2: Final = np.uint64(0x94D049BB133111EB)
U11, U27, U30, U31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
NONE: Final = -1
QUARTER: Final = DAY * 1461 // 4

# ------------------------------------------------------------------------------------------------- chance


def chance(w: Arrays, p: int, count: int) -> float:
    """As Population.chance, of the running module."""
    z = (w.key[p] ^ (np.uint64(count) * ODD + w.salts[w.module[p]])) + GOLD
    z = (z ^ (z >> U30)) * MIX_1
    z = (z ^ (z >> U27)) * MIX_2
    return float((z ^ (z >> U31)) >> U11) * 2.0**-53


def cell_of(w: Arrays, p: int) -> int:
    return int(p * w.wake.shape[1] + w.module[p])


def uniform(w: Arrays, p: int) -> float:
    """The next number of the running module."""
    cell = cell_of(w, p)
    count = w.draws[cell]
    w.draws[cell] = count + 1
    return chance(w, p, count)


def log(x: float) -> float:
    mantissa, power = math.frexp(x)
    if mantissa < HALF_ROOT:
        mantissa *= 2.0
        power -= 1
    k = float(power)
    f = mantissa - 1.0
    half, s = 0.5 * f * f, f / (2.0 + f)
    z = s * s
    y = z * z
    r = y * (L2 + y * (L4 + y * L6)) + z * (L1 + y * (L3 + y * (L5 + y * L7)))
    return k * LN2_HIGH - ((half - (s * (half + r) + k * LN2_LOW)) - f)


def cosine(part: float) -> float:
    quarter = math.floor(4.0 * part + 0.5)
    t = TURN * (part - quarter / 4.0)
    z = t * t
    if quarter == 1 or quarter == 3:
        odd = t * (1.0 - z * (C3 - z * (C5 - z * (C7 - z * (C9 - z * (C11 - z * (C13 - z * (C15 - z * C17))))))))
        return -odd if quarter == 1 else odd
    even = 1.0 - z * (C2 - z * (C4 - z * (C6 - z * (C8 - z * (C10 - z * (C12 - z * (C14 - z * C16)))))))
    return -even if quarter == 2 else even


def drawn(w: Arrays, p: int, at: int) -> float:
    """The number that `floats[at:]` declares: kind, four parameters, scale of rounding."""
    what = int(w.floats[at])
    one, two, low, high, scale = (
        w.floats[at + 1],
        w.floats[at + 2],
        w.floats[at + 3],
        w.floats[at + 4],
        w.floats[at + 5],
    )
    if what == CONSTANT:
        value = one
    elif what == UNIFORM:
        value = one + two * uniform(w, p)
    elif what == GAUSSIAN:
        u = uniform(w, p)
        value = one + two * (math.sqrt(-2.0 * log(1.0 - u)) * cosine(uniform(w, p)))
        value = min(max(value, low), high)
    elif what == EXPONENTIAL:
        value = 1.0 - one * log(1.0 - uniform(w, p))
    else:
        value = triangular(uniform(w, p), one, two, low)
    return math.floor(value * scale + 0.5) / scale if scale > 0 else value


def triangular(u: float, low: float, mode: float, high: float) -> float:
    width = high - low
    if u < (mode - low) / width:
        return low + math.sqrt(u * width * (mode - low))
    return high - math.sqrt((1 - u) * width * (high - mode))


def lasting(w: Arrays, p: int, at: int) -> int:
    """The milliseconds that `floats[at:]` declares: a number; whether it is cut, units in one, milliseconds of one."""
    value = drawn(w, p, at)
    if w.floats[at + 6] > 0:
        value = float(math.trunc(value))
    return max(math.floor(value * w.floats[at + 7]) * int(w.floats[at + 8]), 0)


# ------------------------------------------------------------------------------------------------- conditions


def compared(how: int, left: float, right: float) -> bool:
    """By the place in COMPARED."""
    if how == 0:
        return left == right
    if how == 1:
        return left != right
    if how == 2:
        return left < right
    if how == 3:
        return left <= right
    return left > right if how == 4 else left >= right


def entry_item(w: Arrays, p: int, attribute: int) -> int:
    """The item that an attribute stands for, or NONE."""
    kind = w.kinds[attribute, p]
    if kind == FORETOLD:
        return int(w.values[attribute, p])
    if kind != ENTRY:
        return NONE
    value = int(w.values[attribute, p])
    table, row = value // SHIFT, value % SHIFT
    if table == 1:
        return int(w.conditions[row]["item"])
    if table == 2:
        return int(w.allergies[row]["item"])
    if table == 3:
        return int(w.medications[row]["item"])
    if table == 7:
        return int(w.careplans[row]["item"])
    return int(w.devices[row]["item"])


def entry_code(w: Arrays, p: int, attribute: int) -> int:
    if w.kinds[attribute, p] == CODE:
        return int(w.values[attribute, p])
    item = entry_item(w, p, attribute)
    return NONE if item == NONE else int(w.item_code[item])


def entry_place(w: Arrays, p: int, attribute: int) -> int:
    item = entry_item(w, p, attribute)
    return NONE if item == NONE else int(w.item_place[item])


def is_active(w: Arrays, p: int, n: int) -> bool:
    for at in range(w.a[n], w.b[n]):  # noqa: SIM110  (numba knows no `any` over a generator)
        if w.present[w.lists[at], p] >= 0:
            return True
    return False


def latest(w: Arrays, p: int, n: int) -> int:
    """The code of `lists` that was observed last, or NONE."""
    found, newest = NONE, NONE
    for at in range(w.a[n], w.b[n]):
        code = w.lists[at]
        if w.seen_at[code, p] > newest:
            found, newest = code, w.seen_at[code, p]
    return found


def prior(w: Arrays, p: int, n: int, time: int) -> bool:
    order = w.left_order[w.a[n], p]
    if order <= 0 or (w.b[n] >= 0 and order <= w.left_order[w.b[n], p]):
        return False
    return bool(w.c[n] < 0 or w.left_at[w.a[n], p] > time - w.c[n])


def symptom(w: Arrays, p: int, n: int) -> int:
    most = 0
    for at in range(w.a[n], w.b[n]):
        pair = w.lists[at]
        if not w.addressed[pair, p]:
            most = max(most, w.symptoms[pair, p])
    return most


def holds(w: Arrays, p: int, n: int, time: int) -> bool:
    """The answer to question n."""
    op = w.ops[n]
    if op == VALUE:
        return w.kinds[w.a[n], p] == w.b[n] and compared(w.c[n], w.values[w.a[n], p], w.x[n])
    if op == KIND:
        return bool(w.kinds[w.a[n], p] == w.b[n])
    if op == AT_AGE:
        return bool(time >= w.birthdays[p, w.a[n]])
    if op == AT_TIME:
        return bool(time >= w.a[n])
    if op == MALE:
        return bool(w.male[p] == (w.a[n] != 0))
    if op == ACTIVE:
        return is_active(w, p, n)
    if op == PRIOR:
        return prior(w, p, n, time)
    if op == RACE:
        return bool(w.race[p] == w.a[n])
    if op == SYMPTOM:
        return compared(w.c[n], symptom(w, p, n), w.x[n])
    if op == SIGN:
        return compared(w.b[n], w.given[w.a[n], p], w.x[n])
    if op == YOUNG:
        return compared(w.b[n], (time - w.birth[p]) // w.a[n], w.x[n])
    if op == ENTRY_ACTIVE:
        place = entry_place(w, p, w.a[n])
        return place != NONE and w.present[place, p] >= 0
    code = latest(w, p, n)
    kind = NIL if code == NONE else w.seen_kind[code, p]
    if op == OBSERVED_NIL:
        return kind == NIL
    kind_wanted, how = w.c[n] // 8, w.c[n] % 8
    return op == OBSERVED and kind == kind_wanted and compared(how, w.seen_value[code, p], w.x[n])


# ------------------------------------------------------------------------------------------------- transitions


def decided(w: Arrays, p: int, n: int, time: int, given: float) -> int:
    """Where a graph leads from question n on. given: the uniform number to use, below 0: the module's next one."""
    while w.ops[n] < GO:
        n = w.yes[n] if holds(w, p, n, time) else w.no[n]
    op = w.ops[n]
    if op == GO:
        return int(w.a[n])
    if op == LOOK:
        return looked(w, p, n, time, given)
    u = given if given >= 0 else uniform(w, p)
    k, total = 0, 0.0
    if op == DRAW:
        while k < w.b[n] and w.floats[w.c[n] + k] <= u:
            k += 1
        return int(w.lists[w.a[n] + k])
    for i in range(w.b[n]):
        attribute = w.lists[w.a[n] + i]
        held = attribute >= 0 and w.kinds[attribute, p] == NUMBER
        total += w.values[attribute, p] if held else w.floats[w.c[n] + i]
        k += total <= u
    return int(w.lists[w.a[n] + w.b[n] + min(k, w.b[n] - 1)])


def age(w: Arrays, p: int, time: int) -> int:
    """Whole years."""
    guess = min(max((time - w.birth[p]) // QUARTER, 0), OLDEST - 2)
    if w.birthdays[p, guess + 1] <= time:
        guess += 1
    return int(guess - 1 if w.birthdays[p, guess] > time else guess)


def looked(w: Arrays, p: int, n: int, time: int, given: float) -> int:
    """By a lookup table. lists[a:]: columns, states, grid, steps; of a column kind, attribute, cuts, stride, keys."""
    at = w.a[n]
    columns, states, grid, place = w.lists[at], w.lists[at + 1], w.lists[at + 2], 0
    for i in range(columns):
        j = at + 4 + 6 * i
        key = key_of(w, p, time, w.lists[j], w.lists[j + 1], w.lists[j + 2], w.lists[j + 3])
        place += (key if key >= 0 else w.lists[j + 5] - 1) * w.lists[j + 4]
    steps = w.lists[at + 3] + w.lists[grid + place] * states
    u, k = given if given >= 0 else uniform(w, p), 0
    for i in range(states):
        k += w.floats[steps + i] <= u
    return int(w.lists[w.b[n] + min(k, states - 1)])


def key_of(w: Arrays, p: int, time: int, what: int, attribute: int, start: int, count: int) -> int:
    """A patient's key in a column of a lookup table, or NONE."""
    found = NONE
    if what == VALUE:
        kind, value = w.kinds[attribute, p], w.values[attribute, p]
        if kind == NIL:
            w.failed[0] = 1
        for i in range(count):
            if value == w.floats[start + 2 * i + (0 if kind == TEXT else 1)]:
                found = i
        return found
    value = float(age(w, p, time) if what == AT_AGE else time)
    while found + 1 < count and w.floats[start + found + 1] <= value:
        found += 1
    return found if found < count - 1 else NONE


HELPERS: Final = (
    chance, cell_of, uniform, log, cosine, triangular, drawn, lasting, compared, entry_item, entry_code, entry_place,
    is_active, latest, prior, symptom, holds, age, key_of, looked, decided,
)  # fmt: skip
