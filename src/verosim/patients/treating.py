"""States of treatment: what is ordered, given and done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.amounts import length
from verosim.patients.care import SHORT, CareState
from verosim.patients.module import Module
from verosim.patients.names import NONE, coding
from verosim.patients.population import FORETOLD, Array
from verosim.patients.reading import listing, mapping
from verosim.patients.states import State, Wait

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World


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


TREATMENTS: Final[Mapping[str, Callable[..., State]]] = {
    "MedicationOrder": MedicationOrder, "CarePlanStart": CarePlanStart, "Procedure": Procedure,
    "ImagingStudy": ImagingStudy, "Device": Device, "SupplyList": SupplyList, "Vaccine": Vaccine,
}  # fmt: skip
