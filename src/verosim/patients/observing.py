"""States that observe: single values, panels of them, and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.amounts import Amount, amount
from verosim.patients.care import CareState
from verosim.patients.module import Module
from verosim.patients.names import NONE, coding, codings
from verosim.patients.population import CODE, ENTRY, FLAG, FORETOLD, NUMBER, TEXT, Array
from verosim.patients.reading import Place, mapping
from verosim.patients.record import CODE as CODE_VALUE
from verosim.patients.record import FLAG as FLAG_VALUE
from verosim.patients.record import NUMBER as NUMBER_VALUE
from verosim.patients.record import PANEL
from verosim.patients.record import TEXT as TEXT_VALUE
from verosim.patients.states import State

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

KIND_OF_ATTRIBUTE: Final = np.full(7, PANEL, np.int8)
KIND_OF_ATTRIBUTE[[NUMBER, FLAG, TEXT, CODE]] = NUMBER_VALUE, FLAG_VALUE, TEXT_VALUE, CODE_VALUE
KIND_OF_ATTRIBUTE[[ENTRY, FORETOLD]] = CODE_VALUE


class Value:
    """What is observed: a number drawn, a code, an attribute, a vital sign."""

    def __init__(self, spec: Mapping[str, Any], plan: Plan, place: Place) -> None:
        said = spec["exact"].get("quantity") if isinstance(spec.get("exact"), Mapping) else None
        self.text = plan.catalogue.texts(said) if isinstance(said, str) else NONE
        found: Amount | None = amount(spec, place) if self.text == NONE else None
        self.amount, self.attribute, self.vital, self.code = found, None, None, NONE
        limits = spec.get("range")
        self.limits = (
            limits if limits and found is not None and "distribution" not in spec and "exact" not in spec else None
        )
        if found is not None:
            return
        if "value_code" in spec:
            self.code = plan.catalogue.codes(coding(spec["value_code"]))
        elif spec.get("attribute"):
            self.attribute = plan.attribute(str(spec["attribute"]))
        elif spec.get("vital_sign"):
            self.vital = plan.vital(str(spec["vital_sign"]), place)

    def of(self, world: World, patients: Array, time: Array) -> tuple[Array, Array | int]:
        """Values (k,) and their kinds."""
        if self.amount is not None:
            return self.amount.draw(world, patients), NUMBER_VALUE
        if self.vital is not None:
            return world.vital(patients, self.vital, time), NUMBER_VALUE
        if self.code != NONE:
            return np.full(len(patients), float(self.code)), CODE_VALUE
        if self.text != NONE:
            return np.full(len(patients), float(self.text)), TEXT_VALUE
        if self.attribute is None:
            return np.zeros(len(patients)), PANEL
        kinds = world.attributes.kind[self.attribute, patients]
        values = world.attributes.value[self.attribute, patients]
        held = (kinds == ENTRY) | (kinds == FORETOLD)
        if held.any():
            values = np.where(held, world.entry_codes(patients, self.attribute), values)
        return values, KIND_OF_ATTRIBUTE[kinds]


class Observation(CareState):
    table = "observations"

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        self.value = Value(spec, plan, self.at)
        self.reads_vitals = self.value.vital is not None

    def link(self, plan: Plan, inner: set[str]) -> None:
        super().link(plan, inner)
        self.seen = [n for c in self.spec["codes"] if (n := plan.observation(coding(c).code)) != NONE]

    def run(self, world: World, patients: Array) -> Array | None:
        now = world.people.now[patients]
        encounters = world.record.encounter_at(patients, now)
        values, kinds = self.value.of(world, patients, now)
        world.record.add(self.table, patients, self.item, now, encounter=encounters,
                         value=values, kind=kinds, report=NONE, panel=NONE)  # fmt: skip
        for code in self.seen:
            world.observed(code, patients, encounters, values, _held(kinds))
        return None


def _held(kinds: Array | int) -> Array | int:
    """Kinds of attributes for kinds of observed values: conditions compare with these."""
    held = np.array([NUMBER, CODE, TEXT, NUMBER, FLAG], np.int8)
    return held[kinds]


class Children(CareState):
    """Several observations at once."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        super().read(spec, plan, module)
        parts = [mapping(o, "an observation", self.at) for o in spec.get("observations") or ()]
        self.parts = [Value(part, plan, self.at) for part in parts]
        self.reads_vitals = any(part.vital is not None for part in self.parts)
        self.items = np.array([
            plan.catalogue.item("observations", codings(part.get("codes")), name=self.name, module=module.key,
                                unit=str(part.get("unit") or ""), category=str(part.get("category") or ""), spec=part)
            for part in parts
        ], np.int32)  # fmt: skip
        self.codes = [[coding(code).code for code in part.get("codes") or ()] for part in parts]
        ranges = [(i, v.limits) for i, v in enumerate(self.parts) if v.limits is not None]
        self.ranged = [i for i, _ in ranges]
        self.low = np.array([float(r["low"]) for _, r in ranges])
        self.width = np.array([float(r["high"]) - float(r["low"]) for _, r in ranges])
        self.scale = np.array([10.0 ** int(r["decimals"]) if r.get("decimals") is not None else 0.0 for _, r in ranges])
        self.rounds = self.scale > 0

    def link(self, plan: Plan, inner: set[str]) -> None:
        super().link(plan, inner)
        self.seen = [[n for c in codes if (n := plan.observation(c)) != NONE] for codes in self.codes]

    def add(self, world: World, patients: Array, **part_of: Array) -> None:
        """Add the observations of each patient, as parts of rows (k,)."""
        n, k = len(self.parts), len(patients)
        if not n:
            return
        now = world.people.now[patients]
        values, kinds = np.zeros((k, n)), np.zeros((k, n), np.int8)
        if self.ranged:
            drawn = self.low + self.width * world.uniforms(patients, len(self.ranged))
            if self.rounds.any():
                inner = self.rounds
                drawn[:, inner] = np.floor(drawn[:, inner] * self.scale[inner] + 0.5) / self.scale[inner]
            values[:, self.ranged] = drawn
        for column, part in enumerate(self.parts):
            if part.limits is None:
                values[:, column], kinds[:, column] = part.of(world, patients, now)
        encounters = world.record.encounter_at(patients, now)
        rows = {"report": NONE, "panel": NONE} | {name: np.repeat(value, n) for name, value in part_of.items()}
        world.record.add(
            "observations", np.repeat(patients, n), np.tile(self.items, k), np.repeat(now, n), each=n,
            encounter=np.repeat(encounters, n), value=values.ravel(), kind=kinds.ravel(), **rows,
        )  # fmt: skip
        if "report" in part_of:
            for column, seen in enumerate(self.seen):
                for code in seen:
                    world.observed(code, patients, encounters, values[:, column], _held(kinds[:, column]))


class MultiObservation(Children):
    """A panel: its parts are found through it only."""

    table = "observations"

    def run(self, world: World, patients: Array) -> Array | None:
        now = world.people.now[patients]
        panel = world.record.add(self.table, patients, self.item, now, value=0.0, kind=PANEL, report=NONE, panel=NONE)
        self.add(world, patients, panel=panel)
        return None


class DiagnosticReport(Children):
    table = "reports"

    def run(self, world: World, patients: Array) -> Array | None:
        report = world.record.add(self.table, patients, self.item, world.people.now[patients])
        self.add(world, patients, report=report)
        return None


OBSERVED: Final[Mapping[str, Callable[..., State]]] = {
    "Observation": Observation, "MultiObservation": MultiObservation, "DiagnosticReport": DiagnosticReport,
}  # fmt: skip
