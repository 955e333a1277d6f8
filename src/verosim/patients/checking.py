"""A folder of modules looked over: everything that is wrong, with file and state, not only what stops a run first.

    for finding in check("modules"):
        print(finding)        # asthma.json: state 'Attack': the state 'Emergancy' does not exist; did you mean ...

An error keeps a module from running, or means that it cannot do what it says; a warning is something that runs, but
that its author may not have meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from verosim.errors import FileError, VerosimError, did_you_mean
from verosim.patients.conditions import CONDITIONS, LONG, NILS, ORDERINGS
from verosim.patients.contradictions import contradictions, is_number
from verosim.patients.module import STATES, TABLES, Library, Module, endless, library
from verosim.patients.reading import MISSHAPEN, read_json
from verosim.patients.simulating import Patients
from verosim.patients.transitions import KINDS, LookupTable, read_table, successors

Spec = Mapping[str, Any]
NEAR: Final = 1e-3  # by which probabilities may miss one
KINDS_OF_DRAWS: Final = {
    "EXACT": ("value",), "UNIFORM": ("low", "high"), "GAUSSIAN": ("mean", "standardDeviation"),
    "EXPONENTIAL": ("mean",), "TRIANGULAR": ("min", "mode", "max"),
}  # fmt: skip
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {  # what a state of a type cannot do without
    "AllergyOnset": ("codes",), "CallSubmodule": ("submodule",), "CarePlanStart": ("codes",),
    "ConditionOnset": ("codes",), "Counter": ("attribute", "action"), "Device": ("code",),
    "DiagnosticReport": ("codes", "observations"), "Guard": ("allow",), "ImagingStudy": ("procedure_code", "series"),
    "MedicationOrder": ("codes",), "MultiObservation": ("codes", "observations"), "Observation": ("codes",),
    "Procedure": ("codes",), "SetAttribute": ("attribute",), "SupplyList": ("supplies",), "Symptom": ("symptom",),
    "Vaccine": ("codes", "series"), "VitalSign": ("vital_sign",),
}  # fmt: skip
POINTERS: Final[Mapping[str, str]] = {  # fields that name a state, and the type that it must have
    "target_encounter": "Encounter", "condition_onset": "ConditionOnset", "allergy_onset": "AllergyOnset",
    "medication_order": "MedicationOrder", "careplan": "CarePlanStart", "device": "Device",
}  # fmt: skip


PLACED: Final = re.compile(r"(.+?\.json): (?:state '(.*?)': )?(.*)", re.DOTALL)  # an error's file, state and what
_NOWHERE: Final[Spec] = {"type": "Terminal"}  # in place of what is missing


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. severity: `error` or `warning`."""

    file: str
    state: str
    what: str
    severity: str = "error"

    def __str__(self) -> str:
        return f"{self.file}: {f'state {self.state!r}: ' if self.state else ''}{self.what}"


def check(folder: str | Path) -> list[Finding]:
    """All that is wrong with the modules of a folder, errors first. Raises FileError where there are none to read."""
    root = Path(folder)
    paths = sorted(root.rglob("*.json")) if root.is_dir() else []
    if not paths:
        raise FileError(f"{folder}: modules were wanted, JSON files in a folder; there are none.")
    found: list[Finding] = []
    modules: dict[str, Module] = {}
    for path in paths:
        key = path.relative_to(root).with_suffix("").as_posix()
        try:
            content = read_json(path, f"{key}.json")
        except VerosimError as error:
            found.append(
                Finding(f"{key}.json", "", str(error).removeprefix(f"{key}.json: ").removeprefix(f"{key}.json, "))
            )
            continue
        states = content.get("states")
        if not isinstance(states, Mapping) or not states:
            found.append(Finding(f"{key}.json", "", "`states` must be an object with states in it."))
            continue
        modules[key] = Module(key, str(content.get("name", key)), {k: v for k, v in states.items() if _is_state(v)})
        found += [
            Finding(f"{key}.json", k, "a state must be an object.") for k, v in states.items() if not _is_state(v)
        ]
    family = _families(modules)
    for module in modules.values():
        found += _Module(module, modules, root / TABLES, family[module.key]).findings()
    found += _circles(modules)
    found += _unused(modules)
    found += _refused(modules, root / TABLES, {f.file for f in found if f.severity == "error"})
    return sorted(dict.fromkeys(found), key=lambda f: f.severity != "error")


def _is_state(value: object) -> bool:
    return isinstance(value, Mapping)


def _families(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """The states that a module may speak of: its own, and those of all that it calls or that call it."""
    reach = {key: _reached(module, modules) for key, module in modules.items()}
    out = {}
    for key in modules:
        related = set(reach[key]).union(*(keys for keys in reach.values() if key in keys))
        out[key] = {name for other in related for name in modules[other].states}
    return out


def _reached(module: Module, modules: Mapping[str, Module]) -> set[str]:
    found, todo = {module.key}, [module]
    while todo:
        for key in todo.pop().called:
            if key in modules and key not in found:
                found.add(key)
                todo.append(modules[key])
    return found


def _circles(modules: Mapping[str, Module]) -> Iterator[Finding]:
    """Submodules that call each other without end."""
    whole = Library({k: m for k, m in modules.items() if all(c in modules for c in m.called)}, {})
    closed = {k: m for k, m in whole.modules.items() if _reached(m, modules) <= set(whole.modules)}
    for module in closed.values():
        try:
            Library(closed, {}).depth(module)
        except VerosimError as error:
            file, _, what = str(error).partition(": ")
            yield Finding(file, "", what)


def _refused(modules: Mapping[str, Module], tables: Path, wrong: set[str]) -> Iterator[Finding]:
    """What else a run would refuse: one thing for each module, of those that `wrong` files leave to be run."""
    wrong = set(wrong)
    while True:
        sound = {k: m for k, m in modules.items() if not any(f"{c}.json" in wrong for c in _reached(m, modules))}
        try:
            if sound:
                Patients(library(sound, tables), compiled=False)
            return
        except VerosimError as error:
            placed = PLACED.fullmatch(str(error))
            finding = Finding(*placed.groups("")) if placed else Finding("", "", str(error))
            yield finding
            if finding.file in wrong or not finding.file:
                return
            wrong.add(finding.file)


def _unused(modules: Mapping[str, Module]) -> Iterator[Finding]:
    called = {key for module in modules.values() for key in module.called}
    for key, module in modules.items():
        if not module.is_top and key not in called:
            yield Finding(module.file, "", "no module calls this submodule.", "warning")


class _Module:
    """The findings of one module, state by state."""

    def __init__(self, module: Module, modules: Mapping[str, Module], tables: Path, family: set[str]) -> None:
        self.module, self.modules, self.tables, self.family = module, modules, tables, family
        self.found: list[Finding] = []
        self.state = ""

    def findings(self) -> list[Finding]:
        states = self.module.states
        if "Initial" not in states:
            self.error("there is no state named 'Initial' to start at.")
        for name, spec in states.items():
            self.state = name
            if spec.get("type") not in STATES:
                self.error(
                    f"the state type {spec.get('type')!r} does not exist; {did_you_mean(spec.get('type'), STATES)}"
                )
                continue
            try:
                self._state(spec)
                self._onwards(spec)
            except MISSHAPEN as error:
                self.error(f"it is not written as states of type {spec['type']} are: {error}.")
        self._graph()
        return self.found

    def error(self, what: str) -> None:
        self.found.append(Finding(self.module.file, self.state, what))

    def warn(self, what: str) -> None:
        self.found.append(Finding(self.module.file, self.state, what, "warning"))

    def _graph(self) -> None:
        """Loops that take no time, and states that nothing leads to."""
        states = self.module.states
        known = {n: s if s.get("type") in STATES else _NOWHERE for n, s in states.items()}
        lost = {name: _NOWHERE for spec in states.values() for name in successors(spec) if name not in states}
        for circle in endless(Module(self.module.key, self.module.name, {**known, **lost})):
            self.state = circle[0]
            self.error(f"an endless loop without delay: {' > '.join([*circle, circle[0]])}.")
        reached, todo = {"Initial"}, ["Initial"]
        while todo:
            after = set(successors(self.module.states.get(todo.pop(), {}))) - reached
            reached |= after
            todo += after
        for name in self.module.states:
            self.state = name
            if name not in reached and name != "Terminal":
                self.warn("no way leads here.")

    # --------------------------------------------------------------------------------------------- one state

    def _state(self, spec: Spec) -> None:
        kind = spec["type"]
        for field in NEEDED.get(kind, ()):
            if field not in spec:
                self.error(f"`{field}` is missing: {_article(kind)} state needs it.")
            elif not spec[field]:
                self.warn(f"`{field}` is empty.")
        for field, wanted in POINTERS.items():
            if isinstance(spec.get(field), str):
                self._pointer(field, spec[field], wanted)
        if kind == "CallSubmodule" and spec.get("submodule") and spec["submodule"] not in self.modules:
            names = [key for key in self.modules if "/" in key]
            self.error(f"the submodule {spec['submodule']!r} does not exist; {did_you_mean(spec['submodule'], names)}")
        if kind == "Guard" and spec.get("allow"):
            self._condition(spec["allow"])
        if kind == "Counter" and spec.get("action") not in (None, "increment", "decrement"):
            self.error(f"`action` must be increment or decrement, not {spec['action']!r}.")
        if kind == "Delay" and not any(k in spec for k in ("exact", "range", "distribution")):
            self.error("a Delay needs `exact`, `range` or `distribution`.")
        self._codes(spec)
        self._amounts(spec, timed=kind in ("Delay", "Death", "Procedure"))
        children = spec.get("observations") if kind in ("MultiObservation", "DiagnosticReport") else ()
        for child in children if isinstance(children, list) else ():
            if isinstance(child, Mapping):
                self._codes(child)
                self._amounts(child, timed=False)

    def _pointer(self, field: str, name: str, wanted: str) -> None:
        if name not in self.family:  # what ends nothing does no harm, but what waits for nothing never comes
            tell = self.error if field == "target_encounter" else self.warn
            tell(f"`{field}`: the state {name!r} does not exist; {did_you_mean(name, self.module.states)}")
        elif name in self.module.states and self.module.states[name].get("type") != wanted:
            self.error(
                f"`{field}`: {name!r} must be {_article(wanted)} state, not {self.module.states[name].get('type')}."
            )

    def _codes(self, spec: Spec) -> None:
        codes = spec.get("codes")
        for code in codes if isinstance(codes, list) else ():
            if not isinstance(code, Mapping) or not all(str(code.get(k, "")) for k in ("system", "code", "display")):
                self.error(f"a code needs `system`, `code` and `display`, not {code!r}.")

    def _amounts(self, spec: Spec, timed: bool) -> None:
        """Numbers, ranges and distributions; where they are times, they may not be negative."""
        for field in ("exact", "range", "duration"):
            amount = spec.get(field)
            if isinstance(amount, Mapping):
                self._unit(amount, timed)
                keys = ("quantity",) if field == "exact" else ("low", "high")
                self._numbers(field, [(k, amount.get(k)) for k in keys], timed)
        draw = spec.get("distribution")
        if isinstance(draw, Mapping) and "kind" in draw:
            self._unit(spec, timed)
            self._draw(draw, timed)

    def _unit(self, spec: Spec, timed: bool) -> None:
        if timed and str(spec.get("unit")) not in LONG:
            self.error(f"the unit of time {spec.get('unit')!r} does not exist; {did_you_mean(spec.get('unit'), LONG)}")

    def _draw(self, draw: Spec, timed: bool) -> None:
        kind, given = draw["kind"], draw.get("parameters") or {}
        if kind not in KINDS_OF_DRAWS:
            self.error(f"the distribution {kind!r} does not exist; {did_you_mean(kind, KINDS_OF_DRAWS)}")
            return
        if not isinstance(given, Mapping):
            self.error(f"`parameters` must be an object, not {given!r}.")
            return
        numbers = [(k, given.get(k)) for k in KINDS_OF_DRAWS[kind]]
        self._numbers(f"distribution {kind}", [n for n in numbers if n[0] != "standardDeviation"], timed)
        spread = given.get("standardDeviation", 0)
        if kind == "GAUSSIAN" and (not is_number(spread) or spread < 0):
            self.error(f"distribution GAUSSIAN: `standardDeviation` must be a number from 0 up, not {spread!r}.")

    def _numbers(self, field: str, numbers: Sequence[tuple[str, Any]], timed: bool) -> None:
        for key, value in numbers:
            if not timed and key == "quantity" and isinstance(value, str | bool):
                return  # an observation may be a text
            if not is_number(value):
                self.error(f"{field}: `{key}` must be a number, not {value!r}.")
                return
            if timed and value < 0:
                self.error(f"{field}: a time of {value:g} is negative.")
        values = [value for _, value in numbers]
        if field != "distribution GAUSSIAN" and values != sorted(values):
            self.warn(f"{field}: {' > '.join(f'`{k}` {v:g}' for k, v in numbers)}: the range is upside down.")

    # --------------------------------------------------------------------------------------------- transitions

    def _onwards(self, spec: Spec) -> None:
        kinds = [kind for kind in KINDS if kind in spec]
        if spec["type"] == "Terminal":
            return
        if not kinds:
            self.error("no transition leads on from here, and it is not Terminal.")
        for name in dict.fromkeys(successors(spec)):
            if name not in self.module.states:
                self.error(f"the state {name!r} does not exist; {did_you_mean(name, self.module.states)}")
        if len(kinds) > 1 and kinds != ["direct_transition", "alt_direct_transition"]:
            self.warn(f"it has several transitions, of which only one counts: {', '.join(kinds)}.")
        self._shares(spec.get("distributed_transition"))
        for field in ("conditional_transition", "complex_transition"):
            options = [o for o in spec.get(field) or () if isinstance(o, Mapping)]
            for place, option in enumerate(options):
                if option.get("condition") is not None:
                    self._condition(option["condition"])
                elif place < len(options) - 1:
                    self.warn(f"{field}: option {place + 1} has no condition, so that those after it are never taken.")
                self._shares(option.get("distributions"))
        self._lookup(spec.get("lookup_table_transition"))

    def _shares(self, options: object) -> None:
        """Probabilities of one distribution."""
        if not isinstance(options, list):
            return
        shares = [o.get("distribution") if isinstance(o, Mapping) else None for o in options]
        if any(isinstance(share, Mapping) for share in shares):
            return  # by an attribute: known only in a run
        numbers = [share for share in shares if is_number(share) and 0 <= share <= 1]
        if len(numbers) < len(shares):
            wrong = next(share for share in shares if share not in numbers)
            self.error(f"a probability must be a number from 0 to 1, not {wrong!r}.")
        elif abs(sum(numbers) - 1) > NEAR:
            rest = "the last option takes the rest" if sum(numbers) < 1 else "what is over one is never reached"
            self.warn(f"probabilities add up to {sum(numbers):g}, not 1: {rest}.")

    def _lookup(self, options: object) -> None:
        if not isinstance(options, list) or not options:
            return
        names = [str(o.get("transition")) for o in options if isinstance(o, Mapping)]
        files = {str(o.get("lookup_table_name")) for o in options if isinstance(o, Mapping)}
        if len(files) != 1:
            self.error(f"all options must name the same lookup table, not {', '.join(sorted(files))}.")
            return
        try:
            table = read_table(self.tables / files.pop())
        except VerosimError as error:
            self.error(f"lookup table: {error}" if not isinstance(error, FileError) else
                       f"the lookup table {options[0].get('lookup_table_name')!r} is not in {TABLES}/.")  # fmt: skip
            return
        self._table(table, names)

    def _table(self, table: LookupTable, names: Sequence[str]) -> None:
        keys = len(table.header) - len(names)
        for column in table.header[keys:]:
            if column not in names:
                self.error(f"lookup table {table.name}: the column {column!r} is no state of this transition; "
                           f"{did_you_mean(column, names)}")  # fmt: skip
                return
        off = 0
        for line, row in enumerate(table.rows, 2):
            try:
                shares = [float(cell) for cell in row[keys:]]
            except ValueError:
                self.error(f"lookup table {table.name}, line {line}: a probability must be a number, not {row[keys:]}.")
                return
            if min(shares, default=0) < 0:
                self.error(f"lookup table {table.name}, line {line}: a probability is negative.")
            off += abs(math.fsum(shares) - 1) > NEAR * len(shares)
        if off:
            self.warn(
                f"lookup table {table.name}: in {off:,} of {len(table.rows):,} rows probabilities do not add up to 1."
            )

    # --------------------------------------------------------------------------------------------- conditions

    def _condition(self, spec: object) -> None:
        if not isinstance(spec, Mapping):
            self.error(f"a condition must be an object, not {spec!r}.")
            return
        known = {name.replace(" ", "").lower(): name for name in CONDITIONS}
        kind = known.get(str(spec.get("condition_type", "")).replace(" ", "").lower())
        if kind is None:
            asked = spec.get("condition_type")
            self.error(f"the condition type {asked!r} does not exist; {did_you_mean(asked, CONDITIONS)}")
            return
        parts = [*(spec.get("conditions") or ()), *([spec["condition"]] if "condition" in spec else [])]
        for part in parts:
            self._condition(part)
        if kind in ("And", "Or", "At Least", "At Most", "Not") and not parts:
            self.error(f"the condition {kind} has nothing to look at.")
        if kind == "At Least" and is_number(spec.get("minimum")) and spec["minimum"] > len(parts):
            self.error(f"the condition cannot hold: at least {spec['minimum']} of {len(parts)}.")
        operator = spec.get("operator")
        allowed = [*ORDERINGS, *(NILS if kind in ("Attribute", "Observation") else ())]
        if "operator" in spec and operator not in allowed:
            self.error(f"the operator {operator!r} does not exist; {did_you_mean(operator, allowed)}")
        self._sensible(kind, spec)
        for contradiction in contradictions(parts) if kind == "And" else ():
            self.error(f"the condition cannot hold: {contradiction}.")

    def _sensible(self, kind: str, spec: Spec) -> None:
        """What a single condition says that can never be, or is no value."""
        if kind == "Gender" and spec.get("gender") not in ("F", "M"):
            self.error(f"the gender must be F or M, not {spec.get('gender')!r}.")
        if kind == "Age":
            age, unit = spec.get("quantity"), spec.get("unit", "years")
            if not is_number(age):
                self.error(f"an age must be a number, not {age!r}.")
            elif age < 0 or (unit == "years" and age > 140):
                self.error(f"the condition cannot hold, or always does: an age of {age:g} {unit}.")
        if kind == "PriorState" and spec.get("name") not in self.family:
            self.error(f"PriorState: the state {spec.get('name')!r} does not exist; "
                       f"{did_you_mean(spec.get('name'), self.module.states)}")  # fmt: skip
        within = spec.get("within")
        if isinstance(within, Mapping) and is_number(within.get("quantity")) and within["quantity"] < 0:
            self.error(f"a time of {within['quantity']:g} {within.get('unit')} is negative.")


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "AEIOU" else f"a {word}"
