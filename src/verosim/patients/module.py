"""A library of modules: a folder of JSON files, each a machine of states, and its lookup tables, read and checked.

A file in the folder itself is a module that every patient lives; one in a folder below is a submodule, called by others
by its path without `.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from verosim.errors import FileError
from verosim.patients.reading import Place, mapping, read_json
from verosim.patients.transitions import LookupTable, read_table, successors

TABLES: Final = "lookup_tables"
NEWEST: Final = 2.0  # version of the module format
STATES: Final = (
    "Initial", "Terminal", "Simple", "Guard", "Delay", "SetAttribute", "Counter", "CallSubmodule", "Encounter",
    "EncounterEnd", "ConditionOnset", "ConditionEnd", "AllergyOnset", "AllergyEnd", "MedicationOrder", "MedicationEnd",
    "CarePlanStart", "CarePlanEnd", "Procedure", "VitalSign", "Observation", "MultiObservation", "DiagnosticReport",
    "ImagingStudy", "Symptom", "Device", "DeviceEnd", "SupplyList", "Vaccine", "Death", "Physiology",
)  # fmt: skip
WAITS: Final = {"Terminal", "Guard", "Delay", "Encounter"}  # states at which time may pass; Procedure: if it lasts


@dataclass(frozen=True)
class Module:
    """One file. key: its path in the library without `.json`. states: name -> the state as written."""

    key: str
    name: str
    states: Mapping[str, Mapping[str, Any]]
    remarks: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.key}.json"

    @property
    def is_top(self) -> bool:
        return "/" not in self.key

    @property
    def called(self) -> list[str]:
        """Keys of the submodules that it calls."""
        return [str(s.get("submodule", "")) for s in self.states.values() if s.get("type") == "CallSubmodule"]

    @property
    def tables(self) -> dict[str, str]:
        """Names of the lookup tables that it needs, each with a state that needs it."""
        return {
            str(option.get("lookup_table_name")): name
            for name, state in self.states.items()
            for option in state.get("lookup_table_transition") or ()
        }


@dataclass(frozen=True)
class Library:
    """All modules by key, and the lookup tables by file name."""

    modules: Mapping[str, Module]
    tables: Mapping[str, LookupTable]

    @property
    def top(self) -> list[Module]:
        """The modules that patients live, in the order in which a week runs them."""
        return [self.modules[key] for key in sorted(self.modules) if self.modules[key].is_top]

    def closure(self, module: Module) -> list[Module]:
        """A module and all that it calls, directly or not."""
        found, todo = {module.key: module}, [module]
        while todo:
            for key in todo.pop().called:
                if key not in found:
                    found[key] = self.modules[key]
                    todo.append(found[key])
        return list(found.values())

    def depth(self, module: Module) -> int:
        """How many calls lie above each other at most. Raises SchemaError where modules call each other in a circle."""

        def deepest(key: str, path: tuple[str, ...]) -> int:
            if key in path:
                Place(f"{path[-1]}.json").fail(f"submodules call each other in a circle: {' > '.join([*path, key])}.")
            if key not in known:
                known[key] = max((1 + deepest(k, (*path, key)) for k in self.modules[key].called), default=0)
            return known[key]

        known: dict[str, int] = {}
        return deepest(module.key, ())


def load(folder: str | Path, only: Iterable[str] | None = None) -> Library:
    """Read all modules of a folder and the tables that they need. Raises FileError, SchemaError with file and state.

    only: keys of top modules (`asthma`, or patterns with *); with the submodules that they call.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileError(f"{folder} is no folder of modules: give one with JSON files in it.")
    modules = {}
    for path in sorted(root.rglob("*.json")):
        key = path.relative_to(root).with_suffix("").as_posix()
        modules[key] = parse(read_json(path, f"{key}.json"), key)
    if not modules:
        raise FileError(f"{folder} holds no modules: JSON files were wanted.")
    return library(modules, root / TABLES, only)


def library(
    modules: Mapping[str, Module], tables: Path | Mapping[str, LookupTable], only: Iterable[str] | None = None
) -> Library:
    """A library of modules; with `only`, of those that match it and what they call."""
    if only is not None:
        modules = _chosen(modules, list(only))
    for module in modules.values():
        check(module, modules)
    needed = {name: Place(m.file, state) for m in modules.values() for name, state in m.tables.items()}
    found = Library(modules, {name: _table(tables, name, place) for name, place in needed.items()})
    for module in found.top:
        found.depth(module)
    return found


def _chosen(modules: Mapping[str, Module], only: list[str]) -> dict[str, Module]:
    from fnmatch import fnmatchcase

    chosen = {}
    for wanted in only:
        keys = [k for k in modules if fnmatchcase(k, wanted) and modules[k].is_top]
        if not keys:
            Place("modules").known(wanted, [k for k, m in modules.items() if m.is_top], "the module")
        for key in keys:
            for module in Library(modules, {}).closure(modules[key]):
                chosen[module.key] = module
    return chosen


def _table(tables: Path | Mapping[str, LookupTable], name: str, place: Place) -> LookupTable:
    if isinstance(tables, Mapping):
        place.known(name, tables, "the lookup table")
        return tables[name]
    if not (tables / name).is_file():
        place.fail(f"the lookup table {name!r} is not in {TABLES}/.")
    return read_table(tables / name)


def parse(content: Mapping[str, Any], key: str) -> Module:
    """A module from its JSON. Raises SchemaError."""
    place = Place(f"{key}.json")
    states = mapping(content.get("states"), "`states`", place)
    for name, state in states.items():
        kind = mapping(state, "a state", Place(place.file, name)).get("type")
        Place(place.file, name).known(kind, STATES, "the state type")
    version = content.get("gmf_version", 1)
    place.check(
        not isinstance(version, int | float) or version <= NEWEST, f"its format {version} is newer than {NEWEST}."
    )
    remarks = content.get("remarks") or []
    lines = map(str, remarks if isinstance(remarks, list) else [remarks])
    return Module(key, str(content.get("name", key)), states, tuple(lines))


def check(module: Module, modules: Mapping[str, Module]) -> None:
    """Check that the start, all targets and all submodules exist, and that no circle of states takes no time."""
    Place(module.file).check("Initial" in module.states, "there is no state named 'Initial' to start at.")
    for name, state in module.states.items():
        place = Place(module.file, name)
        after = successors(state)
        place.check(after or state["type"] == "Terminal", "no transition leads on from here, and it is not Terminal.")
        for target in after:
            place.known(target, module.states, "the state")
        if state["type"] == "CallSubmodule":
            place.known(state.get("submodule"), modules, "the submodule")
    for circle in endless(module):
        Place(module.file, circle[0]).fail(f"an endless loop without delay: {' > '.join([*circle, circle[0]])}.")


def takes_time(state: Mapping[str, Any]) -> bool:
    """Whether time may pass at a state: then a circle through it is no endless loop."""
    kind = state["type"]
    lasts = kind == "Procedure" and ("duration" in state or "distribution" in state)
    return kind in WAITS or kind == "CallSubmodule" or lasts


def endless(module: Module) -> Iterator[list[str]]:
    """Circles of states that take no time and that nothing leads out of, each as its path."""
    graph = {n: [] if takes_time(s) else list(dict.fromkeys(successors(s))) for n, s in module.states.items()}
    for parts in _strong(graph):
        inside = set(parts)
        own = {n: [t for t in graph[n] if t in inside] for n in parts}
        if any(own.values()) and all(len(own[n]) == len(graph[n]) for n in parts):
            yield _circle(own, parts[-1])


def _circle(graph: Mapping[str, list[str]], start: str) -> list[str]:
    path = [start]
    while graph[path[-1]][0] not in path:
        path.append(graph[path[-1]][0])
    return path[path.index(graph[path[-1]][0]) :]


def _strong(graph: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Strongly connected parts (Tarjan, 1972), without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    held: set[str] = set()
    for root in graph:
        todo = [(root, iter(graph[root]))] if root not in index else []
        while todo:
            node, after = todo[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                held.add(node)
            for target in after:
                if target not in index:
                    todo.append((target, iter(graph[target])))
                    break
                if target in held:
                    low[node] = min(low[node], index[target])
            else:
                todo.pop()
                if todo:
                    low[todo[-1][0]] = min(low[todo[-1][0]], low[node])
                if low[node] == index[node]:
                    cut = stack.index(node)
                    part, stack[cut:] = stack[cut:], []
                    held.difference_update(part)
                    yield part
