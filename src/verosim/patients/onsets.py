"""States that begin a condition or an allergy, and those that end what was begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.care import CareState
from verosim.patients.module import Module
from verosim.patients.names import NONE, coding
from verosim.patients.population import FORETOLD, Array
from verosim.patients.reading import mapping
from verosim.patients.states import State

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

SEVERITIES: Final = {"none": 0, "mild": 1, "moderate": 2, "severe": 3}


class Onset(CareState):
    """Begins; is written down at once, or when the target encounter comes."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        self.place = plan.place(self.table, str(coding(spec["codes"][0]).code))
        self.target = str(spec.get("target_encounter") or "").strip()
        self.pending = len(plan.pending)
        if self.target:
            self.target_text = plan.catalogue.texts(self.target)
            plan.pending.append(self)

    def run(self, world: World, patients: Array) -> Array | None:
        now = patients
        if self.target:
            state = world.encounter_state[world.cell(patients)]
            there = (state != NONE) & (world.plan.state_names[state] == self.target_text)
            now, later = patients[there], patients[~there]
            if len(later):
                world.pending[self.pending, later] = True
                if self.attribute is not None:
                    world.attributes.put(later, self.attribute, self.item, FORETOLD)
        if len(now):
            self.diagnose(world, now)
        return None

    def diagnose(self, world: World, patients: Array) -> None:
        rows = world.start(
            self.table, self.place, patients, self.item, world.people.now[patients], **self.own(world, patients)
        )
        if self.target:
            world.pending[self.pending, patients] = False
        world.assign(patients, self.attribute, self.table, rows)

    def own(self, world: World, patients: Array) -> dict[str, Any]:
        return {}


class ConditionOnset(Onset):
    table = "conditions"


class AllergyOnset(Onset):
    table = "allergies"

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        self.reactions = []
        for reaction in spec.get("reactions") or ():
            options = [mapping(o, "a severity", self.at) for o in reaction.get("possible_severities") or ()]
            levels = np.array([SEVERITIES.get(str(o.get("level")).lower(), 0) for o in options], np.int64)
            self.reactions.append((np.cumsum([float(o.get("value", 0)) for o in options]), levels))

    def own(self, world: World, patients: Array) -> dict[str, Any]:
        severity = np.zeros(len(patients), np.int64)
        for number, (steps, levels) in enumerate(self.reactions):
            if len(levels):
                chosen = np.minimum(steps.searchsorted(world.uniform(patients), side="right"), len(levels) - 1)
                severity |= levels[chosen] << (3 * number)
        return {"severity": severity}


class End(State):
    """Ends what is active: by the state that began it, an attribute, or codes."""

    by_state = ""  # the key that names a state

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.begun = str(spec.get(self.by_state) or "")
        named = spec.get("referenced_by_attribute")
        self.attribute = plan.attribute(str(named)) if named else None
        self.codes = [coding(code).code for code in spec.get("codes") or ()]
        self.at.check(self.begun or named or self.codes, f"it needs `{self.by_state}`, an attribute or codes to end.")

    def link(self, plan: Plan, inner: set[str]) -> None:
        self.places = [p for code in self.codes for p in plan.slots_of(code) if plan.places[p][0] != "procedures"]
        self.begun_place, self.begun_text = NONE, plan.catalogue.texts(self.begun)
        if self.begun:
            number = plan.state_named(plan.library.modules[self.module], self.begun)
            if number is not None:
                self.begun_place = getattr(plan.states[number], "place", NONE)
            if self.begun_place == NONE:
                plan.note(
                    self.at, f"`{self.by_state}` names {self.begun!r}, which begins nothing here: nothing is ended."
                )

    def run(self, world: World, patients: Array) -> Array | None:
        time = world.people.now[patients]
        if self.begun_place != NONE:
            own = world.active_as(self.begun_place, patients, self.begun_text)
            world.end(self.begun_place, patients[own], time[own])
        elif self.attribute is not None:
            world.end_each(world.entry_places(patients, self.attribute), patients, time)
        for place in self.places:
            world.end(place, patients, time)
        return None


class ConditionEnd(End):
    by_state = "condition_onset"


class AllergyEnd(End):
    by_state = "allergy_onset"


class MedicationEnd(End):
    by_state = "medication_order"


class CarePlanEnd(End):
    by_state = "careplan"


class DeviceEnd(End):
    by_state = "device"


ONSETS: Final[Mapping[str, Callable[..., State]]] = {
    "ConditionOnset": ConditionOnset, "AllergyOnset": AllergyOnset,
    "ConditionEnd": ConditionEnd, "AllergyEnd": AllergyEnd, "MedicationEnd": MedicationEnd,
    "CarePlanEnd": CarePlanEnd, "DeviceEnd": DeviceEnd,
}  # fmt: skip
