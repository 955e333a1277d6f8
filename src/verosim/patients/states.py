"""States compiled: what each does to many patients. Here the base and those that steer; then care.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.amounts import Amount, amount, length, unit_of
from verosim.patients.conditions import condition
from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.module import Module
from verosim.patients.names import NONE, coding
from verosim.patients.population import CODE, DAY, FLAG, NIL, NUMBER, TEXT, WEEK, Array
from verosim.patients.reading import MISSHAPEN, Place, number_of
from verosim.patients.transitions import Transition, successors, transition

if TYPE_CHECKING:
    from verosim.patients.plan import Plan
    from verosim.patients.world import World

FRESH: Final = np.iinfo(np.int64).min


class State:
    """A state of a module. A subclass does something in `run`, and says in `wake` when to look again at who stays."""

    waits = False  # whether time may pass here
    watched_attributes: frozenset[int] = frozenset()
    watched_codes: frozenset[str] = frozenset()
    symptom: int | None = None
    reads_vitals = False

    def __init__(self, spec: Mapping[str, Any], plan: Plan, module: Module, name: str) -> None:
        self.spec, self.module, self.name = spec, module.key, name
        self.at = Place(module.file, name)
        self.number = plan.number(module.key, name)
        self.tracks: tuple[int, ...] = ()  # under which its visits are remembered
        found = transition(spec, plan, self.at, lambda target: self._target(target, plan, module))
        self.transition = found or Transition(lambda world, patients, time, uniform: self.number)  # of Terminal
        self.read(spec, plan, module)

    def _target(self, name: object, plan: Plan, module: Module) -> int:
        self.at.known(name, module.states, "the state")
        return plan.number(module.key, str(name))

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        """Read what the state declares. Raises SchemaError."""

    def link(self, plan: Plan, inner: set[str]) -> None:
        """Find other states, once all are read. inner: this module and those that it calls."""

    def run(self, world: World, patients: Array) -> Array | None:
        """Do it; who goes on (k,) bool, or None: all."""
        return None

    def wake(self, world: World, patients: Array) -> Array | int:
        """The step (k,) at which patients who stay are looked at again, if nothing wakes them before."""
        return NOT_AGAIN


class Simple(State):
    """A point of decision."""


class Terminal(State):
    """The end of a module: of a submodule, back to the caller (the engine does that)."""

    waits = True


class Guard(State):
    """Waits until a condition holds."""

    waits = True

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.at.check("allow" in spec, "a Guard needs a condition, `allow`.")
        self.allow = condition(spec["allow"], plan, self.at)
        self.watched_attributes, self.watched_codes = self.allow.attributes, self.allow.codes

    def run(self, world: World, patients: Array) -> Array | None:
        return self.allow.holds(world, patients, world.people.now[patients])

    def wake(self, world: World, patients: Array) -> Array | int:
        step, now = world.people.step[patients], world.people.now[patients]
        if self.allow.polls:
            return step + 1
        soonest = np.full(len(patients), NOT_AGAIN, np.int32)
        for moment in self.allow.moments(world, patients):
            later = moment > now
            soonest[later] = np.minimum(soonest[later], world.step_of(patients[later], moment[later]))
        return np.maximum(soonest, step + 1)


class Wait(State):
    """Waits for a length of time, and is left at its exact end, be that before the step's time."""

    waits = True

    def begin(self, world: World, patients: Array) -> Array:
        """Start to wait: the end (k,)."""
        raise NotImplementedError

    def run(self, world: World, patients: Array) -> Array | None:
        cell, people = world.cell(patients), world.people
        until = world.until[cell]
        fresh = until == FRESH
        if fresh.any():
            until[fresh] = self.begin(world, patients[fresh])
            world.until[cell[fresh]] = until[fresh]
        now, time = people.now[patients], people.time(patients)
        goes = (until <= time) & (people.death[patients] > until)
        moved = goes & (until != now)
        world.at[patients] = np.where(moved, time, now)  # time is turned back only after the transition
        world.rewound[patients[moved]] = np.where(until < time, world.depth[cell], -1)[moved]
        people.now[patients[goes]] = until[goes]
        world.until[cell[goes]] = FRESH
        return goes

    def wake(self, world: World, patients: Array) -> Array | int:
        return world.step_of(patients, world.until[world.cell(patients)])


class Delay(Wait):
    """Waits."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        found = length(spec, self.at, cut=True)
        if found is None:
            self.at.fail("a Delay needs `exact`, `range` or `distribution`.")
        self.length = found
        fixed = found.amount.constant
        self.every = 0 if fixed is None else found.of(np.array([fixed]))[0]

    def begin(self, world: World, patients: Array) -> Array:
        return world.people.now[patients] + self.length.draw(world, patients)


AHEAD: Final = 5 * 365 * DAY  # so far a loop is looked through at once


class Loop(Delay):
    """A delay of fixed length that may lead back to itself: `next month, perhaps`.

    The numbers of many rounds are drawn at once, and nothing is done until the first one that leads elsewhere. That
    gives what going round by round would: each round has a number of its own, and if something changes that the choice
    depends on, the rounds from then on are looked at again.
    """

    @classmethod
    def suits(cls, delay: Delay) -> bool:
        """Whether a delay can be looked through: of fixed length, by a choice that depends on nothing unseen."""
        fixed, back = delay.length.amount.constant, delay.name in successors(delay.spec)
        return back and fixed is not None and not delay.transition.polls and delay.every > 0

    def link(self, plan: Plan, inner: set[str]) -> None:
        self.watched_attributes, self.watched_codes = self.transition.attributes, self.transition.codes
        self.window = int(np.clip(AHEAD // self.every, 2, 512))

    def run(self, world: World, patients: Array) -> Array | None:
        cell, people = world.cell(patients), world.people
        until, now, time = world.until[cell], people.now[patients], people.time(patients)
        until = np.where(until == FRESH, now + self.every, until)
        skipped = self._over(until, time)
        until = until + skipped * self.every
        world.draws[cell] += skipped.astype(np.uint32)
        ends, rounds, chosen = self._look(world, patients, cell, until)
        goes = (ends <= time) & (people.death[patients] > ends) & (chosen != self.number)
        world.at[patients], world.chosen[patients] = time, chosen
        world.draws[cell[goes]] += (rounds[goes] + 1).astype(np.uint32)
        moved = goes & (ends != now)
        world.rewound[patients[moved]] = np.where(ends < time, world.depth[cell], -1)[moved]
        people.now[patients[goes]] = ends[goes]
        world.until[cell] = np.where(goes, FRESH, until)
        world.next_look[cell] = ends
        return goes

    def _over(self, until: Array, time: Array) -> Array:
        """(k,) how many rounds ended in steps before this one: they led back here."""
        return np.maximum(-((until - (time - WEEK) - 1) // self.every), 0)

    def _look(self, world: World, patients: Array, cell: Array, until: Array) -> tuple[Array, Array, Array]:
        """When the first round ends that leads elsewhere (k,), its number, and where to; or the end of the look."""
        n, k = self.window, len(patients)
        ends = until[:, None] + np.arange(n) * self.every
        birth = world.people.birth[patients][:, None]
        steps = birth - ((birth - ends) // WEEK) * WEEK
        every, purpose = np.repeat(patients, n), np.repeat(world.plan.salts[world.module[patients]], n)
        count = (world.draws[cell][:, None] + np.arange(n, dtype=np.uint32)).ravel()
        uniform = world.people.chance(every, purpose, count)
        found = np.broadcast_to(self.transition.choose(world, every, steps.ravel(), uniform), k * n).reshape(k, n)
        away = found != self.number
        first = away.argmax(axis=1)
        some = np.arange(k)
        none = ~away[some, first]
        first[none] = n - 1
        return ends[some, first], first, found[some, first]

    def wake(self, world: World, patients: Array) -> Array | int:
        step = world.step_of(patients, world.next_look[world.cell(patients)])
        return np.maximum(step, world.people.step[patients] + 1)


class SetAttribute(State):
    """Sets an attribute, or deletes it where no value is given."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.attribute = plan.attribute(str(spec.get("attribute", "")))
        self.amount = amount(spec, self.at) if "distribution" in spec or "range" in spec else None
        other = spec.get("value_attribute")
        self.other = plan.attribute(str(other)) if other else None
        self.value, self.kind = value_of(spec, plan)

    def run(self, world: World, patients: Array) -> Array | None:
        attributes = world.attributes
        if self.amount is not None:
            attributes.put(patients, self.attribute, self.amount.draw(world, patients), NUMBER)
        elif self.other is not None:
            values, kinds = attributes.value[self.other, patients], attributes.kind[self.other, patients]
            attributes.put(patients, self.attribute, values, kinds)
        else:
            attributes.put(patients, self.attribute, self.value, self.kind)
        return None


def value_of(spec: Mapping[str, Any], plan: Plan) -> tuple[float, int]:
    """A constant and its kind: `value_code`, or `value`."""
    if "value_code" in spec:
        return float(plan.catalogue.codes(coding(spec["value_code"]))), CODE
    value = spec.get("value")
    if isinstance(value, bool):
        return float(value), FLAG
    if isinstance(value, int | float):
        return float(value), NUMBER
    return (0.0, NIL) if value is None else (float(plan.catalogue.texts(str(value))), TEXT)


class Counter(State):
    """Adds to a number, which begins at 0."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.attribute = plan.attribute(str(spec.get("attribute", "")))
        self.at.known(spec.get("action"), ["increment", "decrement"], "the action")
        step = number_of(spec, "amount", self.at) if "amount" in spec else 1.0
        self.step = step if spec["action"] == "increment" else -step

    def run(self, world: World, patients: Array) -> Array | None:
        held = world.attributes.kind[self.attribute, patients] == NUMBER
        before = np.where(held, world.attributes.value[self.attribute, patients], 0.0)
        world.attributes.put(patients, self.attribute, before + self.step, NUMBER)
        return None


class CallSubmodule(State):
    """Goes through another module, then on: the engine does that."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.submodule = str(spec["submodule"])


class Symptom(State):
    """Sets how strongly a symptom is felt."""

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.symptom = plan.symptom(str(spec.get("symptom", "")))
        found = amount(spec, self.at)
        if found is None:
            self.at.fail("a Symptom needs `exact`, `range` or `distribution`.")
        self.amount, self.probability = found, float(spec.get("probability", 1.0))
        self.addressed = bool(spec.get("addressed", False))

    def run(self, world: World, patients: Array) -> Array | None:
        felt = patients
        if self.probability < 1:
            felt = patients[world.uniform(patients) <= self.probability]
        if len(felt):
            pairs = world.plan.pairs[world.module[felt], self.symptom]
            world.symptoms[pairs, felt] = np.trunc(self.amount.draw(world, felt))
            world.addressed[pairs, felt] = self.addressed
            if "Encounter" in world.plan.slot:
                world.wake_module(felt, "Encounter")
        return None


class VitalSign(State):
    """Sets a vital sign, drawn anew whenever it is read."""

    amount: Amount

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        found = amount(spec, self.at)
        if found is None:
            self.at.fail("a VitalSign needs `exact`, `range` or `distribution`.")
        self.amount, self.vital = found, str(spec.get("vital_sign", ""))

    def run(self, world: World, patients: Array) -> Array | None:
        if self.vital not in world.vital_states:
            world.vital_states[self.vital] = np.full(world.people.n, NONE, np.int32)
        world.vital_states[self.vital][patients] = self.number
        return None


class Death(State):
    """Dies now, or after a time."""

    waits = True  # only the living go on

    def read(self, spec: Mapping[str, Any], plan: Plan, module: Module) -> None:
        self.length = length(spec, self.at)
        self.codes = [plan.catalogue.codes(coding(code)) for code in spec.get("codes") or ()]
        self.onset = str(spec.get("condition_onset") or "")
        named = spec.get("referenced_by_attribute")
        self.attribute = plan.attribute(str(named)) if named else None
        self.cause = self.codes[0] if self.codes else NONE

    def link(self, plan: Plan, inner: set[str]) -> None:
        if self.onset and not self.codes:
            number = plan.state_named(plan.library.modules[self.module], self.onset)
            if number is not None:
                codes = plan.states[number].spec.get("codes") or []
                self.cause = plan.catalogue.codes(coding(codes[0])) if codes else NONE

    def run(self, world: World, patients: Array) -> Array | None:
        time = world.people.now[patients]
        if self.length is not None:
            time = time + self.length.draw(world, patients)
        cause: Array | int = self.cause
        if self.attribute is not None and not self.codes:
            cause = world.entry_codes(patients, self.attribute)
        world.die(patients, time, cause)
        return None


def compiled(spec: Mapping[str, Any], plan: Plan, module: Module, name: str) -> State:
    """A state of a module. Raises SchemaError with file and state."""
    try:
        found = _kinds()[spec["type"]](spec, plan, module, name)
    except MISSHAPEN as error:
        Place(module.file, name).fail(f"it is not written as states of type {spec['type']} are: {error}.")
    return Loop(spec, plan, module, name) if isinstance(found, Delay) and Loop.suits(found) else found


@cache
def _kinds() -> Mapping[str, Callable[..., State]]:
    """The states by type; those of care stand on those of this file."""
    from verosim.patients.care import ENCOUNTERS
    from verosim.patients.observing import OBSERVED
    from verosim.patients.onsets import ONSETS
    from verosim.patients.treating import TREATMENTS

    return {**STEERING, **ENCOUNTERS, **ONSETS, **TREATMENTS, **OBSERVED}


STEERING: Final[Mapping[str, Callable[..., State]]] = {
    "Initial": Simple, "Simple": Simple, "Terminal": Terminal, "Guard": Guard, "Delay": Delay, "Physiology": Simple,
    "SetAttribute": SetAttribute, "Counter": Counter, "CallSubmodule": CallSubmodule, "Symptom": Symptom,
    "VitalSign": VitalSign, "Death": Death,
}  # fmt: skip
__all__ = ["NOT_AGAIN", "WEEK", "State", "Terminal", "Wait", "compiled", "unit_of"]
