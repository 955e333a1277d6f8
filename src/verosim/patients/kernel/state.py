"""All arrays that the kernel works on, under the names by which world.py, population.py and record.py have them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Arrays(NamedTuple):
    """The block (patients, what holds for them, their record), then the program (see program.py)."""

    # people, and what the engine does with them
    key: Array
    birth: Array
    death: Array
    cause: Array
    stop: Array
    male: Array
    race: Array
    step: Array
    now: Array
    birthdays: Array
    action: Array
    waiting: Array
    spins: Array
    done: Array
    given: Array
    told: Array
    # what holds for them
    kinds: Array
    values: Array
    module: Array
    wake: Array
    state: Array
    until: Array
    next_look: Array
    draws: Array
    depth: Array
    calls: Array
    rewound: Array
    at: Array
    present: Array
    chronic: Array
    n_chronic: Array
    pending: Array
    left_order: Array
    left_at: Array
    left_count: Array
    symptoms: Array
    addressed: Array
    seen_kind: Array
    seen_value: Array
    seen_at: Array
    lock: Array
    open: Array
    waits_lock: Array
    waits_visit: Array
    visit: Array
    used: Array
    renewed: Array
    encounter_state: Array
    visits: Array
    tally: Array
    # their record: tables as rows of structures, how many rows are in use, and how many there is room for
    since: Array
    seq: Array
    latest: Array
    sizes: Array
    rooms: Array
    encounters: Array
    conditions: Array
    allergies: Array
    medications: Array
    procedures: Array
    observations: Array
    reports: Array
    careplans: Array
    devices: Array
    supplies: Array
    immunizations: Array
    imaging: Array
    # the program
    does: Array
    args: Array
    starts: Array
    asks: Array
    looks: Array
    ops: Array
    a: Array
    b: Array
    c: Array
    x: Array
    yes: Array
    no: Array
    lists: Array
    floats: Array
    salts: Array
    watch_from: Array
    watchers: Array
    code_from: Array
    code_watchers: Array
    pairs: Array
    item_code: Array
    item_place: Array
    item_name: Array
    state_names: Array
    place_table: Array
    first_builtin: Array
    failed: Array
