"""A block of patients in the middle of their lives: all arrays, and what states and builtins do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.names import NONE
from verosim.patients.plan import Plan
from verosim.patients.population import (
    CODE,
    ENTRY,
    FORETOLD,
    NIL,
    WEEK,
    Array,
    Attributes,
    Population,
    normal,
)
from verosim.patients.record import NUMBER as NUMERIC
from verosim.patients.record import OPEN, TABLES, Record

FRESH: Final = np.iinfo(np.int64).min  # of a wait that has not been drawn yet
SHIFT: Final = 2**40  # an entry of the record is table * SHIFT + row
_TABLES: Final = list(TABLES)
LENGTHS: Final = np.array([15, 15, 15, 1440, 60, 15, 1440, 15, 1440, 15]) * 60_000  # shortest visits, by KINDS
STAYS: Final = [3, 6, 8]  # of KINDS, those that stay open to the end: inpatient, hospice, snf

VisitHook = Callable[["World", Array, Array], None]


class World:
    """The patients of a block. Arrays [patient, module] are flat: `cell(patients)` is where the running module lies."""

    def __init__(self, plan: Plan, seed: int, rows: int, history: int | None) -> None:
        """rows: room for patients. history: milliseconds before the end from which point events are kept."""
        self.plan, self.library, self.catalogue = plan, plan.library, plan.catalogue
        self.history = history
        self.attributes = Attributes(rows, plan.attributes, plan.catalogue.texts)
        self.people = Population(seed, rows, self.attributes)
        self.record = Record(rows)
        self.modules = modules = len(plan.order)
        self.module = np.zeros(rows, np.int16)  # the slot of the module that runs
        self.wake = np.full((rows, modules), NOT_AGAIN, np.int16)  # the step at which each is run next
        self.state = np.zeros(rows * modules, np.int16)  # where each waits
        self.until = np.full(rows * modules, FRESH)  # when a delay or procedure ends
        self.next_look = np.zeros(rows * modules, np.int64)  # when a loop is looked at again
        self.chosen = np.zeros(rows, np.int16)  # where a loop leads
        self.draws = np.zeros(rows * modules, np.uint32)  # numbers drawn so far
        self.depth = np.zeros(rows * modules, np.int8)  # calls of submodules that are under way
        self.calls = np.zeros((rows * modules, plan.depth), np.int16)  # the states that called
        self.at = np.zeros(rows, np.int64)  # the time that transitions go by
        self.rewound = np.full(rows, -1, np.int8)  # the depth at which time was turned back in this step
        self.present = np.full((len(plan.places), rows), NONE, np.int32)  # rows of what is active
        self.chronic = np.zeros((len(plan.places), rows), bool)
        self.n_chronic = np.zeros(rows, np.int16)
        self.pending = np.zeros((len(plan.pending), rows), bool)  # onsets that wait for their encounter
        self.left_order = np.zeros((plan.n_tracks, rows), np.int32)
        self.left_at = np.full((plan.n_tracks, rows), FRESH)
        self.left_count = np.zeros(rows, np.int32)
        self.symptoms = np.zeros((plan.n_pairs, rows), np.int16)
        self.addressed = np.zeros((plan.n_pairs, rows), bool)
        self.seen_kind = np.zeros((plan.n_observed, rows), np.int8)
        self.seen_value = np.zeros((plan.n_observed, rows))
        self.seen_at = np.full((plan.n_observed, rows), NONE, np.int32)
        self.lock = np.full(rows, NONE, np.int16)  # the module whose encounter is open
        self.open = np.full(rows, NONE, np.int32)  # that encounter's row
        self.waits_lock = np.zeros((rows, modules), bool)
        self.waits_visit = np.zeros((rows, modules), bool)
        self.visit = np.full(rows, NONE, np.int32)  # the visit of this step, which modules may share
        self.used = np.full(rows * modules, NONE, np.int32)  # the visit that a module used last
        self.renewed = np.full(rows, NONE, np.int32)  # the visit at which medications were renewed last
        self.encounter_state = np.full(rows * modules, NONE, np.int16)  # the state that a module's encounter began with
        self.vital_states: dict[str, Array] = {}  # vital sign -> (rows,) the state that sets it, or NONE
        self.visit_hooks: list[VisitHook] = []
        self.lived = np.zeros(rows, bool)  # rows that somebody lived in
        self.extra: dict[str, pl.DataFrame] = {}  # what finishers add: people, organizations, claims ...
        # how often each state was entered: by all; by each whose life may prove needless
        self.visits: Array = np.zeros((1, len(plan.states)), np.int64)
        self.tally = np.zeros(rows, np.int32)  # in which row of `visits` each is counted
        self._inner = np.arange(modules)
        for attribute in plan.watchers:
            self.attributes.watched[attribute] = True
        self.attributes.changed = self._attribute_changed

    # --------------------------------------------------------------------------------------------- chance and time

    def cell(self, patients: Array) -> Array:
        """(k,) the place of each patient's running module in the flat arrays."""
        return patients * self.modules + self.module[patients]

    def uniform(self, patients: Array) -> Array:
        """(k,) the next number in [0, 1) of each patient's running module."""
        cell = self.cell(patients)
        count = self.draws[cell]
        self.draws[cell] = count + 1
        return self.people.chance(patients, self.plan.salts[self.module[patients]], count)

    def uniforms(self, patients: Array, n: int) -> Array:
        """(k, n) the next n numbers of each."""
        cell = self.cell(patients)
        count = self.draws[cell]
        self.draws[cell] = count + n
        purpose = self.plan.salts[self.module[patients]]
        every = (count[:, None] + np.arange(n, dtype=np.uint32)).ravel()
        return self.people.chance(np.repeat(patients, n), np.repeat(purpose, n), every).reshape(-1, n)

    def normal(self, patients: Array) -> Array:
        return normal(self.uniform(patients), self.uniform(patients))

    def step_of(self, patients: Array, time: Array) -> Array:
        """(k,) int32 the first step at or after a time."""
        steps = -((self.people.birth[patients] - time) // WEEK)
        return np.minimum(steps, NOT_AGAIN).astype(np.int32)

    # --------------------------------------------------------------------------------------------- waking

    def wake_at(self, patients: Array, slot: int | Array, step: Array) -> None:
        """Run a module no later than at a step."""
        self.wake[patients, slot] = np.minimum(self.wake[patients, slot], step)

    def soon(self, patients: Array, slot: int | Array) -> Array:
        """(k,) the step at which a module can be run next: this one, if its turn is still to come."""
        return self.people.step[patients] + (slot <= self.module[patients])

    def wake_module(self, patients: Array, name: str) -> None:
        """Run a module or builtin as soon as its turn comes."""
        slot = self.plan.slot[name]
        self.wake_at(patients, slot, self.soon(patients, slot))

    def _attribute_changed(self, patients: Array, attribute: int) -> None:
        self._notify(patients, self.plan.watchers[attribute])

    def _notify(self, patients: Array, watchers: list[tuple[int, list[int]]]) -> None:
        for state, slots in watchers:
            for slot in slots:
                waiting = self.state[patients * self.modules + slot] == state
                if waiting.any():
                    some = patients[waiting]
                    self.wake_at(some, slot, self.soon(some, slot))

    # --------------------------------------------------------------------------------------------- what is active

    def start(
        self, table: str, place: int, patients: Array, item: int, time: Array, reason: Array | int = NONE, **own: Any
    ) -> Array:
        """Begin a condition, medication ...; one whose code is active already goes on, renamed. Rows (k,)."""
        rows = self.present[place, patients]
        has = rows >= 0
        if has.any():
            self.record[table]["item"][rows[has]] = item
        if not has.all():
            new = patients[~has]
            own = {k: v[~has] if isinstance(v, np.ndarray) else v for k, v in own.items()}
            why = reason[~has] if isinstance(reason, np.ndarray) else reason
            rows[~has] = self.record.add(table, new, item, time[~has], reason=why, **own)
            self.present[place, new] = rows[~has]
            self.active_changed(new, place)
        return rows

    def end(self, place: int, patients: Array, time: Array, ended: int = NONE) -> None:
        """End what is active; nothing where it is not."""
        rows = self.present[place, patients]
        has = rows >= 0
        if not has.any():
            return
        some, table = patients[has], self.plan.places[place][0]
        self.record[table]["stop"][rows[has]] = time[has]
        if table == "medications":
            self.record[table]["ended"][rows[has]] = ended
            chronic = self.chronic[place, some]
            self.n_chronic[some] -= chronic
            self.chronic[place, some] = False
        self.present[place, some] = NONE
        self.active_changed(some, place)

    def end_each(self, places: Array, patients: Array, time: Array) -> None:
        """End what is active at places (k,), NONE for nothing."""
        for place in np.unique(places[places != NONE]):
            some = places == place
            self.end(int(place), patients[some], time[some])

    def active_changed(self, patients: Array, place: int) -> None:
        if place in self.plan.code_watchers:
            self._notify(patients, self.plan.code_watchers[place])

    def active(self, patients: Array, code: str) -> Array:
        """(k,) whether a code is active: of a condition, medication, care plan, device, allergy or past procedure."""
        found = np.zeros(len(patients), bool)
        for slot in self.plan.slots_of(code):
            found |= self.present[slot, patients] >= 0
        return found

    def active_as(self, place: int, patients: Array, state: int) -> Array:
        """(k,) whether what is active at a place was begun, or renamed last, by a state of this name; or ever done."""
        rows, table = self.present[place, patients], self.plan.places[place][0]
        found = rows >= 0
        if table != "procedures" and found.any():
            found[found] = self.plan.item_name[self.record[table]["item"][rows[found]]] == state
        return found

    def entry_items(self, patients: Array, attribute: int) -> Array:
        """(k,) the items that an attribute stands for; NONE where it stands for nothing of the record."""
        kind, value = self.attributes.kind[attribute, patients], self.attributes.value[attribute, patients]
        items = np.full(len(patients), NONE, np.int64)
        foretold = kind == FORETOLD
        items[foretold] = value[foretold].astype(np.int64)
        entries = np.flatnonzero(kind == ENTRY)
        if len(entries):
            tables, rows = np.divmod(value[entries].astype(np.int64), SHIFT)
            for table in np.unique(tables):
                some = tables == table
                items[entries[some]] = self.record[_TABLES[table]]["item"][rows[some]]
        return items

    def entry_codes(self, patients: Array, attribute: int) -> Array:
        """(k,) the leading code that an attribute stands for, or NONE."""
        items = self.entry_items(patients, attribute)
        codes = np.where(items != NONE, self.plan.item_code[items], NONE)
        is_code = self.attributes.kind[attribute, patients] == CODE
        return np.where(is_code, self.attributes.value[attribute, patients].astype(np.int64), codes)

    def entry_places(self, patients: Array, attribute: int) -> Array:
        items = self.entry_items(patients, attribute)
        return np.where(items != NONE, self.plan.item_place[items], NONE)

    def entry_active(self, patients: Array, attribute: int) -> Array:
        places = self.entry_places(patients, attribute)
        return (places != NONE) & (self.present[places, patients] >= 0)

    def assign(self, patients: Array, attribute: int | None, table: str, rows: Array) -> None:
        """Let an attribute stand for rows of the record."""
        if attribute is not None:
            self.attributes.put(patients, attribute, float(_TABLES.index(table) * SHIFT) + rows, ENTRY)

    # --------------------------------------------------------------------------------------------- encounters

    def open_encounter(
        self, patients: Array, item: int | Array, time: Array, kind: int | Array, reason: Array | int
    ) -> Array:
        """Open an encounter of the running module, which nobody else may hold; rows (k,)."""
        module = self.module[patients]
        rows = self.record.open_encounter(patients, item, time, kind, module, reason)
        self.record["encounters"]["stop"][rows] = time + LENGTHS[kind]
        self.lock[patients], self.open[patients] = module, rows
        return rows

    def close_encounter(self, patients: Array, time: Array) -> None:
        """Close the open encounters of patients (k,), all of whom have one; whoever waits for that is woken."""
        stop, rows = self.record["encounters"]["stop"], self.open[patients]
        stop[rows] = np.maximum(stop[rows], time)
        self.lock[patients], self.open[patients] = NONE, NONE
        waiting = self.waits_lock[patients]
        if waiting.any():
            soon = self.people.step[patients][:, None] + (self._inner <= self.module[patients][:, None])
            self.wake[patients] = np.where(waiting, np.minimum(self.wake[patients], soon), self.wake[patients])
            self.waits_lock[patients] = False

    def lasts(self, rows: Array, until: Array) -> None:
        """Let encounters (rows, NONE for none) last at least until a time."""
        has = rows != NONE
        stop = self.record["encounters"]["stop"]
        stop[rows[has]] = np.maximum(stop[rows[has]], until[has])

    # --------------------------------------------------------------------------------------------- signs

    def symptom(self, patients: Array, symptom: int) -> Array:
        """(k,) the highest value that any module sets and that was not seen to."""
        pairs = self.plan.pairs_of[symptom]
        if not pairs:
            return np.zeros(len(patients), np.int16)
        where = np.ix_(np.array(pairs), patients)
        return np.where(self.addressed[where], 0, self.symptoms[where]).max(axis=0)

    def vital(self, patients: Array, name: str, time: Array) -> Array:
        """(k,) a vital sign: as a module set it, or as life has it."""
        states = self.vital_states.get(name)
        if states is None:
            return self.plan.life.vitals.read(self, patients, name, time)
        which, out = states[patients], np.empty(len(patients))
        for state in np.unique(which):
            some = which == state
            if state == NONE:
                out[some] = self._read(patients[some], name, time[some])
            else:
                out[some] = self.plan.states[state].amount.draw(self, patients[some])
        return out

    def _read(self, patients: Array, name: str, time: Array) -> Array:
        if name in self.plan.life.vitals.names:
            return self.plan.life.vitals.read(self, patients, name, time)
        return np.full(len(patients), np.nan)

    def last_observation(self, patients: Array, seen: list[int]) -> tuple[Array, Array]:
        """Kind and value (k,) of the latest observation of any of these codes; NIL where there is none."""
        kinds, values = np.full(len(patients), NIL, np.int8), np.zeros(len(patients))
        at = np.full(len(patients), NONE)
        for code in seen:
            newer = self.seen_at[code, patients] > at
            at = np.where(newer, self.seen_at[code, patients], at)
            kinds = np.where(newer, self.seen_kind[code, patients], kinds)
            values = np.where(newer, self.seen_value[code, patients], values)
        return kinds, values

    def observed(self, code: int, patients: Array, encounters: Array, values: Array, kinds: Array | int) -> None:
        """Remember an observation: of the newest encounter, the first."""
        newer = (encounters > self.seen_at[code, patients]) | (self.seen_at[code, patients] == NONE)
        some = patients[newer]
        self.seen_at[code, some] = encounters[newer]
        self.seen_value[code, some] = values[newer]
        self.seen_kind[code, some] = kinds[newer] if isinstance(kinds, np.ndarray) else kinds

    # --------------------------------------------------------------------------------------------- leaving states

    def left(self, tracks: tuple[int, ...], patients: Array, time: Array) -> None:
        """Remember that states whose visits are asked about were left."""
        order = self.left_count[patients] + 1
        self.left_count[patients] = order
        for track in tracks:
            self.left_order[track, patients] = order
            self.left_at[track, patients] = time

    def die(self, patients: Array, time: Array, cause: Array | int) -> None:
        """Let patients die at a time, unless an earlier death is certain."""
        sooner = time < self.people.death[patients]
        some = patients[sooner]
        self.people.death[some] = time[sooner]
        self.people.cause[some] = cause[sooner] if isinstance(cause, np.ndarray) else cause
        if "Lifecycle" in self.plan.slot and len(some):
            self.wake_module(some, "Lifecycle")  # which tells modules how many days are left


__all__ = ["FRESH", "NOT_AGAIN", "NUMERIC", "OPEN", "STAYS", "World"]
