"""States of care: encounters, and what begins, is given and done in them; observing.py has what is observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.amounts import MINUTE, length
from verosim.patients.module import Module
from verosim.patients.names import NONE, coding, codings
from verosim.patients.population import FORETOLD, Array
from verosim.patients.reading import listing, mapping
from verosim.patients.record import KINDS
from verosim.patients.states import NOT_AGAIN, State, Wait

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

RENEWED: Final = {"system": "SNOMED-CT", "code": "182840001",
                  "display": "Drug treatment stopped - medical advice (situation)"}  # fmt: skip
SEVERITIES: Final = {"none": 0, "mild": 1, "moderate": 2, "severe": 3}
SHORT: Final = 15 * MINUTE  # a procedure that takes no time is written down as taking so long


class Reason:
    """Why something was done: a code, from an attribute or from the state of an onset."""

    def __init__(self, spec: Mapping[str, Any], plan: Plan, state: State) -> None:
        self.name = str(spec.get("reason") or "")
        self.attribute = plan.attribute(self.name) if self.name else None
        self.code, self.track = NONE, NONE

    def link(self, plan: Plan, state: State) -> None:
        if not self.name:
            return
        number = plan.state_named(plan.library.modules[state.module], self.name)
        codes = plan.states[number].spec.get("codes") if number is not None else None
        if codes:
            self.code = plan.catalogue.codes(coding(codes[0]))

    def of(self, world: World, patients: Array) -> Array | int:
        if self.attribute is None:
            return NONE
        codes = world.entry_codes(patients, self.attribute)
        return codes if self.code == NONE else np.where(codes == NONE, self.code, codes)


class CareState(State):
    """A state that writes an item into the record."""

    table = ""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.item = self.entered(spec, plan, module)
        self.reason = Reason(spec, plan, self)
        named = spec.get("assign_to_attribute")
        self.attribute = plan.attribute(str(named)) if named else None

    def entered(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> int:
        listing(spec.get("codes"), "`codes`", self.at)
        return plan.catalogue.item(
            self.table, codings(spec["codes"]), name=self.name, module=module.key,
            unit=str(spec.get("unit") or ""), category=str(spec.get("category") or ""), spec=spec,
        )  # fmt: skip

    def link(self, plan: Plan, inner: set[str]) -> None:
        self.reason.link(plan, self)


# ------------------------------------------------------------------------------------------------- encounters


class Encounter(CareState):
    """Opens an encounter, or shares the visit of this step; waits while another module holds one."""

    waits = True
    table = "encounters"

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.wellness = bool(spec.get("wellness"))
        self.kind = 0
        if not self.wellness:
            kind = str(spec.get("encounter_class", "")).lower()
            self.at.known(kind, KINDS, "the encounter class")
            self.kind = KINDS.index(kind)
        super().read(spec, plan, module)

    def entered(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> int:
        return NONE if self.wellness else super().entered(spec, plan, module)

    def link(self, plan: Plan, inner: set[str]) -> None:
        super().link(plan, inner)
        self.onsets = [o for o in plan.pending if o.target == self.name and o.module in inner]

    def run(self, world: World, patients: Array) -> Array | None:
        goes = self._shares(world, patients) if self.wellness else self._opens(world, patients)
        some = patients[goes]
        if len(some):
            world.encounter_state[world.cell(some)] = self.number
            for onset in self.onsets:
                found = some[world.pending[onset.pending, some]]
                if len(found):
                    onset.diagnose(world, found)
        return goes

    def _opens(self, world: World, patients: Array) -> Array:
        owner = world.lock[patients]
        own = owner == world.module[patients]
        if own.any():
            world.close_encounter(patients[own], world.people.now[patients[own]])
        free = own | (owner == NONE)
        some = patients[free]
        if len(some):
            world.open_encounter(some, self.item, world.people.now[some], self.kind, self.reason.of(world, some))
        return free

    def _shares(self, world: World, patients: Array) -> Array:
        visit, cell = world.visit[patients], world.cell(patients)
        found = (visit != NONE) & (world.used[cell] != visit)
        world.used[cell[found]] = visit[found]
        first = patients[found & (world.renewed[patients] != visit)]
        if len(first):
            world.renewed[first] = world.visit[first]
            renew(world, first)
        return found

    def wake(self, world: World, patients: Array) -> Array | int:
        waiting = world.waits_visit if self.wellness else world.waits_lock
        waiting[patients, world.module[patients]] = True
        return NOT_AGAIN


def renew(world: World, patients: Array) -> None:
    """End all chronic medications and order them again."""
    some = patients[world.n_chronic[patients] > 0]
    if not len(some):
        return
    places = np.flatnonzero(world.chronic[:, some].any(axis=1))
    stopped = world.catalogue.codes(coding(RENEWED))
    for place in places:
        who = some[world.chronic[place, some]]
        orders, time = world.record["medications"], world.people.now[who]
        rows = world.present[place, who]
        item, reason = orders["item"][rows], orders["reason"][rows]
        orders["stop"][rows], orders["ended"][rows] = time, stopped
        world.present[place, who] = world.record.add(
            "medications", who, item, time, reason=reason, administered=False, chronic=True, ended=NONE
        )


class EncounterEnd(State):
    """Ends the module's encounter; of a shared visit, its part in it."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        found = spec.get("discharge_disposition")
        self.discharge = plan.catalogue.codes(coding(found)) if found else NONE

    def run(self, world: World, patients: Array) -> Array | None:
        world.encounter_state[world.cell(patients)] = NONE
        own = patients[world.lock[patients] == world.module[patients]]
        if len(own):
            if self.discharge != NONE:
                world.record["encounters"]["discharge"][world.open[own]] = self.discharge
            world.close_encounter(own, world.people.now[own])
        return None


# ------------------------------------------------------------------------------------------------- onsets and ends


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
            rows = world.present[self.begun_place, patients]
            table = world.plan.places[self.begun_place][0]
            item = world.record[table]["item"][rows] if world.record[table].n else rows
            own = (rows >= 0) & (world.plan.item_name[item] == self.begun_text)
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


# ------------------------------------------------------------------------------------------------- given and done


class MedicationOrder(CareState):
    """Orders a medication, or gives it once."""

    table = "medications"

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        self.given, self.chronic = bool(spec.get("administration")), bool(spec.get("chronic"))
        self.place = plan.place(self.table, str(coding(spec["codes"][0]).code))

    def run(self, world: World, patients: Array) -> Array | None:
        time, reason = world.people.now[patients], self.reason.of(world, patients)
        if self.given:
            rows = world.record.add(self.table, patients, self.item, time, stop=time + SHORT, reason=reason,
                                    administered=True, chronic=False, ended=NONE)  # fmt: skip
        if not self.given or self.chronic:
            rows = world.start(self.table, self.place, patients, self.item, time, reason,
                               administered=False, chronic=self.chronic, ended=NONE)  # fmt: skip
            if self.chronic:
                self._renew_always(world, patients)
        world.assign(patients, self.attribute, self.table, rows)
        return None

    def _renew_always(self, world: World, patients: Array) -> None:
        new = patients[~world.chronic[self.place, patients]]
        world.chronic[self.place, new] = True
        world.n_chronic[new] += 1
        if "Encounter" in world.plan.slot and len(new):
            world.wake_module(new, "Encounter")  # whoever takes medication is seen once a year


class CarePlanStart(CareState):
    table = "careplans"

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        self.place = plan.place(self.table, str(coding(spec["codes"][0]).code))

    def run(self, world: World, patients: Array) -> Array | None:
        time, reason = world.people.now[patients], self.reason.of(world, patients)
        rows = world.start(self.table, self.place, patients, self.item, time, reason)
        world.assign(patients, self.attribute, self.table, rows)
        return None


class Procedure(CareState, Wait):
    """Does something; goes on when it is over."""

    table = "procedures"

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        self.place = plan.place(self.table, str(coding(spec["codes"][0]).code))
        lasting = {"range": spec["duration"]} if "duration" in spec else spec if "distribution" in spec else {}
        self.length = length(lasting, self.at)
        self.waits = self.length is not None

    def begin(self, world: World, patients: Array) -> Array:
        now = world.people.now[patients]
        until = now if self.length is None else now + self.length.draw(world, patients)
        self._done(world, patients, now, until)
        return until

    def run(self, world: World, patients: Array) -> Array | None:
        if self.length is not None:
            return super().run(world, patients)
        now = world.people.now[patients]
        self._done(world, patients, now, now + SHORT)
        return None

    def _done(self, world: World, patients: Array, now: Array, stop: Array) -> None:
        reason = self.reason.of(world, patients)
        encounters = world.record.encounter_at(patients, now)
        world.record.add(self.table, patients, self.item, now, stop=stop, encounter=encounters, reason=reason)
        world.lasts(encounters, stop)
        if self.attribute is not None:
            world.attributes.put(patients, self.attribute, self.item, FORETOLD)
        new = patients[world.present[self.place, patients] < 0]
        world.present[self.place, new] = 0  # known for ever
        if len(new):
            world.active_changed(new, self.place)


class Device(CareState):
    table = "devices"

    def entered(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> int:
        found = mapping(spec.get("code"), "`code`", self.at)
        self.place = plan.place(self.table, coding(found).code)
        return plan.catalogue.item(self.table, (coding(found),), name=self.name, module=module.key, spec=spec)

    def run(self, world: World, patients: Array) -> Array | None:
        udi = (world.uniform(patients) * 2.0**53).astype(np.uint64)
        rows = world.start(self.table, self.place, patients, self.item, world.people.now[patients], udi=udi)
        world.assign(patients, self.attribute, self.table, rows)
        return None


class SupplyList(CareState):
    table = "supplies"

    def entered(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> int:
        self.supplies = []
        for supply in listing(spec.get("supplies"), "`supplies`", self.at):
            item = plan.catalogue.item(
                self.table, (coding(supply["code"]),), name=self.name, module=module.key, spec=supply
            )
            self.supplies.append((item, int(supply.get("quantity", 1))))
        return self.supplies[0][0]

    def run(self, world: World, patients: Array) -> Array | None:
        for item, quantity in self.supplies:
            world.record.add(self.table, patients, item, world.people.now[patients], quantity=quantity)
        return None


class Vaccine(CareState):
    table = "immunizations"

    def run(self, world: World, patients: Array) -> Array | None:
        series = int(self.spec.get("series") or 1)
        world.record.add(self.table, patients, self.item, world.people.now[patients], series=series)
        return None


class ImagingStudy(CareState):
    """A study, and the procedure that makes it: half an hour."""

    table = "imaging"

    def entered(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> int:
        code = (coding(mapping(spec.get("procedure_code"), "`procedure_code`", self.at)),)
        self.procedure = plan.catalogue.item("procedures", code, name=self.name, module=module.key, spec=spec)
        self.place = plan.place("procedures", code[0].code)
        listing(spec.get("series"), "`series`", self.at)
        return plan.catalogue.item(self.table, code, name=self.name, module=module.key, spec=spec)

    def run(self, world: World, patients: Array) -> Array | None:
        now, reason = world.people.now[patients], self.reason.of(world, patients)
        encounters = world.record.encounter_at(patients, now)
        uid = (world.uniform(patients) * 2.0**53).astype(np.uint64)
        rows = world.record.add("procedures", patients, self.procedure, now, stop=now + 2 * SHORT,
                                encounter=encounters, reason=reason)  # fmt: skip
        world.lasts(encounters, now + 2 * SHORT)
        world.record.add(
            self.table, patients, self.item, now, encounter=encounters, reason=reason, procedure=rows, uid=uid
        )
        world.present[self.place, patients] = 0
        world.active_changed(patients, self.place)
        return None


CARE: Final[Mapping[str, Callable[..., State]]] = {
    "Encounter": Encounter, "EncounterEnd": EncounterEnd,
    "ConditionOnset": ConditionOnset, "ConditionEnd": ConditionEnd,
    "AllergyOnset": AllergyOnset, "AllergyEnd": AllergyEnd, "MedicationOrder": MedicationOrder,
    "MedicationEnd": MedicationEnd, "CarePlanStart": CarePlanStart, "CarePlanEnd": CarePlanEnd, "Procedure": Procedure,
    "ImagingStudy": ImagingStudy, "Device": Device, "DeviceEnd": DeviceEnd, "SupplyList": SupplyList,
    "Vaccine": Vaccine,
}  # fmt: skip
