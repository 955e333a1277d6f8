"""A library compiled: every module's states as numbers, with all that they name numbered: attributes, codes.

A plan holds no patients: one serves all blocks of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.hooks import FIRST, Builtin, Life
from verosim.patients.module import Library, Module
from verosim.patients.names import NONE, Catalogue
from verosim.patients.population import salt
from verosim.patients.reading import Place
from verosim.patients.transitions import LookupTable

if TYPE_CHECKING:
    from verosim.patients.states import State

LAST: Final = "Encounter end"  # closes the visit of a step, after all modules


class Plan:
    """states: all states of all modules, by number. order: names of modules and builtins, as a week runs them."""

    def __init__(self, library: Library, life: Life, builtins: Sequence[Builtin]) -> None:
        """builtins: those of the engine itself, besides life's."""
        from verosim.patients import states

        self.library, self.life, self.catalogue = library, life, Catalogue()
        self.builtins: dict[str, Builtin] = {b.name: b for b in (*life.builtins, *builtins)}
        inner = sorted({m.key for m in library.top} | (set(self.builtins) - {*FIRST, LAST}))
        self.order = [*(n for n in FIRST if n in self.builtins), *inner, *([LAST] if LAST in self.builtins else [])]
        self.slot = {name: number for number, name in enumerate(self.order)}
        self.depth = 1 + max((library.depth(module) for module in library.top), default=0)
        self._attributes: dict[str, int] = {}
        self._codes: dict[str, list[int]] = {}
        self.places: list[tuple[str, str]] = []  # of active things: (table, code)
        self._places: dict[tuple[str, str], int] = {}
        self._tracks: dict[tuple[str, str], int] = {}
        self._symptoms: dict[str, int] = {}
        self.signs: dict[str, int] = {}  # vital signs that are read, and their numbers
        self._observed: dict[str, int] = {}
        self.pending: list[Any] = []  # onsets that wait for an encounter
        self.notes: list[str] = []  # what a module's author should know
        for name in (*life.demographics.attributes, *(a for b in self.builtins.values() for a in b.attributes)):
            self.attribute(name)
        self._number: dict[tuple[str, str], int] = {}
        for module in library.modules.values():
            for state in module.states:
                self._number[module.key, state] = len(self._number)
        self.states: list[State] = [
            states.compiled(spec, self, module, name)
            for module in library.modules.values()
            for name, spec in module.states.items()
        ]
        self._link()

    # --------------------------------------------------------------------------------------------- names to numbers

    def number(self, module: str, state: str) -> int:
        """A state's number."""
        return self._number[module, state]

    def attribute(self, name: str) -> int:
        return self._attributes.setdefault(name, len(self._attributes))

    @property
    def attributes(self) -> list[str]:
        return list(self._attributes)

    def place(self, table: str, code: str) -> int:
        """The number of what can be active once a patient: a code in a table."""
        number = self._places.setdefault((table, code), len(self.places))
        if number == len(self.places):
            self.places.append((table, code))
            self.slots_of(code).append(number)
        return number

    def slots_of(self, code: str) -> list[int]:
        """The places of a code in all tables; the list grows until all is compiled."""
        return self._codes.setdefault(code, [])

    def track(self, place: Place, state: str) -> int:
        """A state of a module whose visits are remembered."""
        key = place.file.removesuffix(".json")
        place.check(
            any(state in m.states for m in self.library.closure(self.library.modules[key])),
            f"the state {state!r} does not exist, neither here nor in a submodule.",
        )
        return self._tracks.setdefault((key, state), len(self._tracks))

    @property
    def n_tracks(self) -> int:
        return len(self._tracks)

    def symptom(self, name: str) -> int:
        return self._symptoms.setdefault(name, len(self._symptoms))

    @property
    def symptoms(self) -> list[str]:
        return list(self._symptoms)

    def observed(self, code: str) -> int:
        """A code whose latest observation is remembered."""
        return self._observed.setdefault(code, len(self._observed))

    @property
    def n_observed(self) -> int:
        return len(self._observed)

    def observation(self, code: str) -> int:
        """The number under which observations of a code are remembered, or NONE."""
        return self._observed.get(code, NONE)

    def note(self, place: Place, what: str) -> None:
        self.notes.append(f"{place.file}: state {place.state!r}: {what}")

    def vital(self, name: str, place: Place) -> str:
        if name not in self.vitals:
            place.known(name, [*self.life.vitals.names, *self.vitals], "the vital sign")
        self.signs.setdefault(name, len(self.signs))
        return name

    @property
    def vitals(self) -> set[str]:
        """Vital signs there are: those of life, and those that modules set."""
        if not hasattr(self, "_vitals"):
            set_here = (s.get("vital_sign") for m in self.library.modules.values() for s in m.states.values()
                        if s["type"] == "VitalSign")  # fmt: skip
            self._vitals = {*self.life.vitals.names, *(str(name) for name in set_here)}
        return self._vitals

    def table(self, name: str, place: Place) -> LookupTable:
        place.known(name, self.library.tables, "the lookup table")
        return self.library.tables[name]

    def state_named(self, module: Module, name: str) -> int | None:
        """The number of a state of a module, or of one that it calls, or that calls it."""
        for found in (*self.library.closure(module), *self._callers(module)):
            if name in found.states:
                return self._number[found.key, name]
        return None

    def _callers(self, module: Module) -> list[Module]:
        return [m for m in self.library.modules.values() if module.key in m.called]

    # --------------------------------------------------------------------------------------------- links

    def _link(self) -> None:
        """What can be said only once all states are known."""
        closures = {key: {m.key for m in self.library.closure(m)} for key, m in self.library.modules.items()}
        for (key, name), number in self._tracks.items():
            for inner in closures[key]:
                if (inner, name) in self._number:
                    state = self.states[self._number[inner, name]]
                    state.tracks = (*state.tracks, number)
        self.tracks_of = {key: [n for (k, _), n in self._tracks.items() if k == key] for key in self.library.modules}
        for state in self.states:
            state.link(self, closures[state.module])
        self.salts = np.array([salt(name) for name in self.order], np.uint64)
        self.initial = {m.key: self._number[m.key, "Initial"] for m in self.library.modules.values()}
        self.state_names = np.array([self.catalogue.texts(state.name) for state in self.states], np.int32)
        self._watch(closures)
        self._pair(closures)

    def _watch(self, closures: dict[str, set[str]]) -> None:
        """Which waiting states look at an attribute or an active code: [(state, modules' slots)]."""
        self.watchers: dict[int, list[tuple[int, list[int]]]] = {}
        self.code_watchers: dict[int, list[tuple[int, list[int]]]] = {}
        for state in self.states:
            modules = [self.slot[m.key] for m in self.library.top if state.module in closures[m.key]]
            for attribute in state.watched_attributes:
                self.watchers.setdefault(attribute, []).append((state.number, modules))
            for code in state.watched_codes:
                for slot in self.slots_of(code):
                    self.code_watchers.setdefault(slot, []).append((state.number, modules))

    def _pair(self, closures: dict[str, set[str]]) -> None:
        """Symptoms of modules: a number for each pair (module's slot, symptom) that can be."""
        self.pairs = np.full((len(self.order), max(1, len(self._symptoms))), NONE, np.int32)
        found = set()
        for state in self.states:
            if state.symptom is not None:
                found |= {
                    (state.symptom, self.slot[m.key]) for m in self.library.top if state.module in closures[m.key]
                }
        ordered = sorted(found)
        for number, (symptom, slot) in enumerate(ordered):
            self.pairs[slot, symptom] = number
        self.pairs_of = [
            [n for n, (s, _) in enumerate(ordered) if s == symptom] for symptom in range(len(self._symptoms))
        ]
        self.n_pairs = len(ordered)
        self.item_code = self.catalogue.leading()
        self.item_place = np.full(len(self.catalogue.items), NONE, np.int32)
        self.item_name = np.full(len(self.catalogue.items), NONE, np.int32)
        for number, item in enumerate(self.catalogue.items):
            self.item_name[number] = self.catalogue.texts(item.name)
            if item.codes:
                self.item_place[number] = self._places.get((item.table, item.codes[0].code), NONE)
