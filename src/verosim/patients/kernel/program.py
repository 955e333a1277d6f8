"""A plan as numbers for the kernel: of each state what it does and its arguments, of each choice a graph of questions.

A state of which any part has no form is left to Python (`PYTHON`), as are builtins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients import forms
from verosim.patients.amounts import REAL, WHOLE, Amount, Length
from verosim.patients.care import RENEWED, Encounter, EncounterEnd, Reason
from verosim.patients.forms import AT_AGE, AT_TIME, PRIOR, SIGN, Choice, Draw, Form, Go, Least, Look, Named, Test
from verosim.patients.kernel import acts, signs
from verosim.patients.kernel.choices import DRAW, GO, LOOK, NAMED
from verosim.patients.names import NONE, coding
from verosim.patients.observing import Children, MultiObservation, Observation, Value
from verosim.patients.onsets import AllergyOnset, End, Onset
from verosim.patients.record import TABLES
from verosim.patients.states import (
    CallSubmodule,
    Counter,
    Death,
    Delay,
    Guard,
    Loop,
    SetAttribute,
    Simple,
    State,
    Symptom,
    Terminal,
)
from verosim.patients.transitions import successors
from verosim.patients.treating import (
    CarePlanStart,
    Device,
    ImagingStudy,
    MedicationOrder,
    Procedure,
    SupplyList,
    Vaccine,
)
from verosim.patients.world import LENGTHS

if TYPE_CHECKING:
    from verosim.patients.plan import Plan

Array = np.ndarray[Any, np.dtype[Any]]
N_ARGS: Final = 10
TRACKS: Final = 8  # where a state's tracks stand among its arguments
_TABLES: Final = list(TABLES)


class Formless(Exception):
    """A part that only Python can tell."""


class Graph:
    """Questions, and where their answers lead; `lists` and `floats` hold what is longer than a question."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes: list[tuple[int, int, int, int, float, int, int]] = []
        self.lists: list[int] = []
        self.signs: set[int] = set()  # vital signs asked for since this was emptied
        self.floats: list[float] = []
        self._goals: dict[int, int] = {}

    def listed(self, numbers: Sequence[int]) -> tuple[int, int]:
        """Numbers put down: from, to."""
        self.lists += [int(number) for number in numbers]
        return len(self.lists) - len(numbers), len(self.lists)

    def noted(self, numbers: Sequence[float]) -> int:
        self.floats += [float(number) for number in numbers]
        return len(self.floats) - len(numbers)

    def node(self, op: int, a: int = 0, b: int = 0, c: int = 0, x: float = 0.0, yes: int = 0, no: int = 0) -> int:
        self.nodes.append((op, a, b, c, x, yes, no))
        return len(self.nodes) - 1

    def goal(self, state: int) -> int:
        if state not in self._goals:
            self._goals[state] = self.node(GO, state)
        return self._goals[state]

    # --------------------------------------------------------------------------------------------- conditions

    def question(self, form: Form | None, yes: int, no: int) -> int:
        """The first question of a condition, which leads to node yes or no."""
        if form is None:
            raise Formless
        if isinstance(form, forms.Negated):
            return self.question(form.part, no, yes)
        if isinstance(form, Least):
            return self._counted(form.parts, form.least, yes, no)
        return yes if form.what == forms.TRUE else self._asked(form, yes, no)

    def _counted(self, parts: tuple[Form, ...], least: int, yes: int, no: int) -> int:
        """At least so many of parts: from the last part back, a node for each number that is still wanted."""
        after = [yes] + [no] * least
        for part in reversed(parts):
            after = [yes, *(self.question(part, after[want - 1], after[want]) for want in range(1, least + 1))]
        return after[least] if least > 0 else yes

    def _asked(self, test: Test, yes: int, no: int) -> int:
        a, b, c = test.a, test.b, test.c
        if test.what == SIGN:
            self.signs.add(a)
        if test.what == forms.ACTIVE:
            a, b = self.listed([place for places in test.places for place in places])
        elif test.what in (forms.OBSERVED, forms.OBSERVED_NIL):
            c = test.b * 8 + test.c
            a, b = self.listed([code for codes in test.places for code in codes])
        elif test.what == forms.SYMPTOM:
            c = test.b
            a, b = self.listed(self.plan.pairs_of[test.a])
        return self.node(test.what, a, b, c, test.x, yes, no)

    # --------------------------------------------------------------------------------------------- transitions

    def choice(self, form: Choice | None) -> int:
        """The first node of a transition."""
        if form is None:
            raise Formless
        if isinstance(form, Go):
            return self.goal(form.state)
        if isinstance(form, Draw):
            return self.node(DRAW, self.listed(form.states)[0], len(form.states) - 1, self.noted(form.steps))
        if isinstance(form, Named):
            first, _ = self.listed([attribute for attribute, _ in form.shares])
            self.listed(form.states)
            return self.node(NAMED, first, len(form.states), self.noted([share for _, share in form.shares]))
        if isinstance(form, Look):
            return self._look(form)
        after = self.choice(form.last)
        for test, choice in reversed(form.options):
            after = self.question(test, self.choice(choice), after)
        return after

    def _look(self, form: Look) -> int:
        columns, sizes = [], form.grid.shape
        for number, column in enumerate(form.columns):
            by_text = column.what == forms.VALUE
            pairs = (
                [x for pair in zip(column.cuts, column.values, strict=True) for x in pair] if by_text else column.cuts
            )
            stride = int(np.prod(sizes[number + 1 :], dtype=np.int64))
            columns += [column.what, column.attribute, self.noted(pairs), len(column.cuts), stride, sizes[number]]
        grid, _ = self.listed(form.grid.ravel().tolist())
        steps = self.noted(form.steps.ravel().tolist())
        first, _ = self.listed([len(form.columns), len(form.states), grid, steps, *columns])
        return self.node(LOOK, first, self.listed(form.states)[0])

    # --------------------------------------------------------------------------------------------- amounts

    def number(self, amount: Amount | None) -> int:
        if amount is None or amount.form is None:
            raise Formless
        form = amount.form
        return self.noted([form.what, *form.parameters, *[0.0] * (4 - len(form.parameters)), form.scale])

    def length(self, length: Length | None) -> int:
        if length is None:
            return NONE
        parts, size = (1.0, WHOLE[length.unit]) if length.whole else REAL[length.unit]
        start = self.number(length.amount)
        self.noted([length.whole, parts, size])
        return start


class Program:
    """All arrays of Arrays from `does` on, by name."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.graph = plan, Graph(plan)
        states = plan.states
        drawn = {str(s.spec.get("vital_sign")) for s in states if s.spec["type"] == "VitalSign"}
        self.drawn = {plan.signs[name] for name in drawn if name in plan.signs}  # signs that modules set
        self.signs = np.zeros((len(states), len(plan.signs)), bool)  # that must be read before a state is done
        self.asks = np.zeros(len(states), bool)  # whether its transition looks at one
        self.yes, self.no = self.graph.goal(1), self.graph.goal(0)
        self.visits = plan.slot.get("Encounter", NONE)
        self.does = np.zeros(len(states), np.int64)
        self.args = np.full((len(states), N_ARGS), NONE, np.int64)
        self.starts = np.zeros(len(states), np.int64)
        for state in states:
            self._state(state)
        self.looks = self._link()
        self.arrays = self._arrays()

    def _state(self, state: State) -> None:
        """Fill in one state, if the kernel can do it."""
        number = state.number
        does, told = next((found for kind, found in TELLING.items() if isinstance(state, kind)), (0, None))
        if told is None:
            return
        self.graph.signs = set()
        try:
            args = told(self, state)
            seen = set(self.graph.signs)
            self.starts[number] = 0 if isinstance(state, Terminal) else self.graph.choice(state.transition.form)
            signs = self._read(state, seen)
        except Formless:
            return
        self.signs[number, list(signs)] = True
        self.asks[number] = signs != seen
        self.args[number, : len(args)] = args
        self.args[number, TRACKS : TRACKS + 2] = self.graph.listed(state.tracks)
        self.does[number] = SHADES[type(state)](state) if type(state) in SHADES else does

    def _read(self, state: State, seen: set[int]) -> set[int]:
        """The signs that are to be read before a state is done. seen: those that it observes, or waits for."""
        signs = self.graph.signs
        if signs & self.drawn or (signs and not isinstance(state, Simple | Delay | Observation | Children)):
            raise Formless
        return signs

    def _link(self) -> Array:
        """(states,) bool: whether one only looks. What others read that may follow at once is read before the first."""
        looks = (self.does >= acts.OBSERVATION) | (self.asks & (self.does == acts.SIMPLE))
        after = {}
        for state in self.plan.states:
            if looks[state.number]:
                found = [self.plan.number(state.module, name) for name in successors(state.spec)]
                after[state.number] = [number for number in found if looks[number]]
        before = -1
        while before != self.signs.sum():
            before = self.signs.sum()
            for number, others in after.items():
                self.signs[number] |= self.signs[others].any(axis=0)
        return looks

    def _arrays(self) -> dict[str, Array]:
        plan, graph = self.plan, self.graph
        columns = list(zip(*graph.nodes, strict=True))
        names = ("ops", "a", "b", "c", "x", "yes", "no")
        found = {name: np.array(column, np.float64 if name == "x" else np.int64)
                 for name, column in zip(names, columns, strict=True)}  # fmt: skip
        watch_from, watchers = _flat(plan.watchers, len(plan.attributes))
        code_from, code_watchers = _flat(plan.code_watchers, len(plan.places))
        return found | {
            "does": self.does, "args": self.args, "starts": self.starts, "asks": self.asks, "looks": self.looks,
            "lists": np.array([*graph.lists, 0], np.int64), "floats": np.array([*graph.floats, 0.0], np.float64),
            "salts": plan.salts, "watch_from": watch_from, "watchers": watchers,
            "code_from": code_from, "code_watchers": code_watchers, "pairs": plan.pairs.astype(np.int64),
            "item_code": plan.item_code.astype(np.int64), "item_place": plan.item_place.astype(np.int64),
            "item_name": plan.item_name.astype(np.int64), "state_names": plan.state_names.astype(np.int64),
            "place_table": np.array([_TABLES.index(table) for table, _ in plan.places] or [0], np.int64),
            "first_builtin": np.array([len(plan.states)], np.int64),
        }  # fmt: skip

    # --------------------------------------------------------------------------------------------- states' arguments

    def _guard(self, state: Guard) -> list[int]:
        node = self.graph.question(state.allow.form, self.yes, self.no)
        moments = []
        for test in forms.tests(state.allow.form) if state.allow.form is not None else ():
            if test.what in (AT_AGE, AT_TIME):
                moments += [test.what - AT_AGE, test.a, 0]
            elif test.what == PRIOR and test.c >= 0:
                moments += [2, test.a, test.c]
        return [node, state.allow.polls, *self.graph.listed(moments)]

    def _set(self, state: SetAttribute) -> list[int]:
        if state.amount is not None:
            return [state.attribute, NONE, self.graph.number(state.amount)]
        if state.other is not None:
            return [state.attribute, NONE, state.other]
        return [state.attribute, state.kind, self.graph.noted([state.value])]

    def _counter(self, state: Counter) -> list[int]:
        return [state.attribute, 0, self.graph.noted([state.step])]

    def _call(self, state: CallSubmodule) -> list[int]:
        tracks = self.graph.listed(self.plan.tracks_of[state.submodule])
        return [self.plan.initial[state.submodule], *tracks]

    def _symptom(self, state: Symptom) -> list[int]:
        assert state.symptom is not None
        number = self.graph.number(state.amount)
        return [state.symptom, state.addressed, number, self.visits, self.graph.noted([state.probability])]

    def _death(self, state: Death) -> list[int]:
        attribute = state.attribute if state.attribute is not None and not state.codes else NONE
        return [self.graph.length(state.length), state.cause, attribute, self.plan.slot.get("Lifecycle", NONE)]

    def _reason(self, reason: Reason) -> tuple[int, int]:
        """Its attribute, and where its state's code, place, name and track are listed, or NONE."""
        told = (
            NONE
            if reason.code == NONE
            else self.graph.listed([reason.code, reason.place, reason.text, reason.track])[0]
        )
        return _or_none(reason.attribute), told

    def _encounter(self, state: Encounter) -> list[int]:
        onsets = self.graph.listed([onset.number for onset in state.onsets])
        if state.wellness:
            places = [n for n, (table, _) in enumerate(self.plan.places) if table == "medications"]
            return [*self.graph.listed(places), self.plan.catalogue.codes(coding(RENEWED)), 0, 0, *onsets]
        return [state.item, state.kind, int(LENGTHS[state.kind]), *self._reason(state.reason), *onsets]

    def _onset(self, state: Onset) -> list[int]:
        levels: list[int] = []
        for steps, found in state.reactions if isinstance(state, AllergyOnset) else ():
            levels += [len(found), self.graph.noted(steps.tolist()), *found.tolist()]
        target = state.target_text if state.target else NONE
        return [state.item, state.place, _or_none(state.attribute), target, state.pending, _TABLES.index(state.table),
                *self.graph.listed(levels)]  # fmt: skip

    def _end(self, state: End) -> list[int]:
        return [state.begun_place, state.begun_text, _or_none(state.attribute), *self.graph.listed(state.places)]

    def _medication(self, state: MedicationOrder) -> list[int]:
        return [state.item, state.place, _or_none(state.attribute), *self._reason(state.reason),
                state.given, state.chronic, self.visits]  # fmt: skip

    def _care_plan(self, state: CarePlanStart) -> list[int]:
        return [state.item, state.place, _or_none(state.attribute), *self._reason(state.reason)]

    def _procedure(self, state: Procedure) -> list[int]:
        length = self.graph.length(state.length)
        return [state.item, state.place, _or_none(state.attribute), *self._reason(state.reason), length]

    def _supplies(self, state: SupplyList) -> list[int]:
        return [*self.graph.listed([number for pair in state.supplies for number in pair])]

    def _imaging(self, state: ImagingStudy) -> list[int]:
        return [state.item, state.place, state.procedure, *self._reason(state.reason)]

    def _observation(self, state: Observation) -> list[int]:
        part = self._part(state.value, state.item, state.seen, False)
        return [state.item, NONE, NONE, 0, *self.graph.listed(part)]

    def _children(self, state: Children) -> list[int]:
        seen = state.seen if not isinstance(state, MultiObservation) else [[] for _ in state.parts]
        parts: list[int] = []
        for value, item, codes in zip(state.parts, state.items.tolist(), seen, strict=True):
            parts += self._part(value, item, codes, value.limits is not None)
        return [state.item, NONE, NONE, len(state.ranged), *self.graph.listed(parts)]

    def _part(self, value: Value, item: int, seen: list[int], ranged: bool) -> list[int]:
        """How, number, item, remembered codes, how many, whether of a range."""
        if value.amount is not None:
            how, number = signs.BY_AMOUNT, self.graph.number(value.amount)
        elif value.vital is not None:
            how, number = signs.BY_VITAL, self.plan.signs[value.vital]
            self.graph.signs.add(number)
        elif value.code != NONE:
            how, number = signs.BY_CODE, value.code
        elif value.text != NONE:
            how, number = signs.BY_TEXT, value.text
        else:
            how, number = (signs.BY_NOTHING, 0) if value.attribute is None else (signs.BY_ATTRIBUTE, value.attribute)
        return [how, number, item, self.graph.listed(seen)[0], len(seen), ranged]


def _or_none(attribute: int | None) -> int:
    return NONE if attribute is None else attribute


def _flat(watchers: Mapping[int, list[tuple[int, list[int]]]], n: int) -> tuple[Array, Array]:
    """Who waits for each of n things: where its pairs begin (n + 1,), and all pairs of state and module (k, 2)."""
    pairs = [[(state, slot) for state, slots in watchers.get(i, ()) for slot in slots] for i in range(n)]
    every = [pair for some in pairs for pair in some]
    return np.cumsum([0, *map(len, pairs)]), np.array(every or [(NONE, 0)], np.int64).reshape(-1, 2)


SHADES: Final[Mapping[type, Callable[[Any], int]]] = {  # kinds of which some do this and some that
    SetAttribute: lambda s: (
        acts.SET_DRAWN if s.amount is not None else acts.SET_OTHER if s.other is not None else acts.SET
    ),
    Encounter: lambda s: acts.WELLNESS if s.wellness else acts.ENCOUNTER,
    MultiObservation: lambda s: acts.MULTI,
}
TELLING: Final[Mapping[type, tuple[int, Callable[[Program, Any], list[int]]]]] = {
    Simple: (acts.SIMPLE, lambda p, s: []),
    Terminal: (acts.TERMINAL, lambda p, s: []),
    Guard: (acts.GUARD, Program._guard),
    Loop: (acts.LOOP, lambda p, s: [s.every, s.window]),
    Delay: (acts.DELAY, lambda p, s: [p.graph.length(s.length)]),
    SetAttribute: (acts.SET, Program._set),
    Counter: (acts.COUNTER, Program._counter),
    CallSubmodule: (acts.CALL, Program._call),
    Symptom: (acts.FEEL, Program._symptom),
    Death: (acts.DEATH, Program._death),
    Encounter: (acts.ENCOUNTER, Program._encounter),
    EncounterEnd: (acts.ENCOUNTER_END, lambda p, s: [s.discharge]),
    Onset: (acts.ONSET, Program._onset),
    End: (acts.END, Program._end),
    MedicationOrder: (acts.MEDICATION, Program._medication),
    CarePlanStart: (acts.CAREPLAN, Program._care_plan),
    Procedure: (acts.PROCEDURE, Program._procedure),
    Device: (acts.DEVICE, lambda p, s: [s.item, s.place, _or_none(s.attribute)]),
    SupplyList: (acts.SUPPLIES, Program._supplies),
    Vaccine: (acts.VACCINE, lambda p, s: [s.item, int(s.spec.get("series") or 1)]),
    ImagingStudy: (acts.IMAGING, Program._imaging),
    Observation: (acts.OBSERVATION, Program._observation),
    Children: (acts.REPORT, Program._children),
}
