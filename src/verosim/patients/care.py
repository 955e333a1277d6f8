"""Care: states that write into the record, their reasons, encounters; then onsets.py, treating.py, observing.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.amounts import MINUTE
from verosim.patients.module import Module
from verosim.patients.names import NONE, coding, codings
from verosim.patients.population import Array
from verosim.patients.reading import listing
from verosim.patients.record import KINDS
from verosim.patients.states import NOT_AGAIN, State

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

RENEWED: Final = {"system": "SNOMED-CT", "code": "182840001",
                  "display": "Drug treatment stopped - medical advice (situation)"}  # fmt: skip
SHORT: Final = 15 * MINUTE  # a procedure that takes no time is written down as taking so long


class Reason:
    """Why something is done: the code of an attribute, or of the state that began a condition, while that goes on.

    A condition of the module that never began for somebody is a reason as well; one that is over is none.
    """

    def __init__(self, spec: Mapping[str, Any], plan: Plan, state: State, module: Module) -> None:
        self.name = str(spec.get("reason") or "")
        self.attribute = plan.attribute(self.name) if self.name else None
        self.code, self.place, self.text = NONE, NONE, NONE  # of what the state begins, and the state's name
        onset = module.states.get(self.name, {}).get("type") == "ConditionOnset"
        self.track = plan.track(state.at, self.name) if onset else NONE

    def link(self, plan: Plan, state: State) -> None:
        for module in plan.library.closure(plan.library.modules[state.module]) if self.name else ():
            if self.name in module.states:
                begun = plan.states[plan.number(module.key, self.name)]
                self.place, codes = getattr(begun, "place", NONE), begun.spec.get("codes")
                if self.place != NONE and codes:
                    self.code, self.text = plan.catalogue.codes(coding(codes[0])), plan.catalogue.texts(self.name)
                return

    def of(self, world: World, patients: Array) -> Array | int:
        if self.attribute is None:
            return NONE
        codes = world.entry_codes(patients, self.attribute)
        return (
            codes if self.code == NONE else np.where((codes == NONE) & self._holds(world, patients), self.code, codes)
        )

    def _holds(self, world: World, patients: Array) -> Array:
        """(k,) whether what the state begins goes on, or never began."""
        found = world.active_as(self.place, patients, self.text)
        return found if self.track == NONE else found | (world.left_order[self.track, patients] == 0)


class CareState(State):
    """A state that writes an item into the record."""

    table = ""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.item = self.entered(spec, plan, module)
        self.reason = Reason(spec, plan, self, module)
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
            if not self.wellness:
                world.record["encounters"]["reason"][world.open[some]] = self.reason.of(world, some)
        return goes

    def _opens(self, world: World, patients: Array) -> Array:
        owner = world.lock[patients]
        own = owner == world.module[patients]
        if own.any():
            world.close_encounter(patients[own], world.people.now[patients[own]])
        free = own | (owner == NONE)
        some = patients[free]
        if len(some):
            world.open_encounter(some, self.item, world.people.now[some], self.kind, NONE)
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


ENCOUNTERS: Final[Mapping[str, Callable[..., State]]] = {"Encounter": Encounter, "EncounterEnd": EncounterEnd}
