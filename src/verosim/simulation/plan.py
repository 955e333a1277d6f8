"""A scenario, checked and numbered before anything happens: names resolved, expressions typed, loads known.

All that differs from case to case becomes a hidden column of one recipe table, `cases`: so each kind of column and each
expression of a recipe means the same here, and errors know their line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from verosim.errors import SchemaError, did_you_mean
from verosim.recipe.kinds import Constant, Formula
from verosim.recipe.nouns import Column, Kind, Maker, PlacedError, Table, Where
from verosim.recipe.planning import Plan
from verosim.simulation.clock import Clock
from verosim.simulation.nouns import EXIT, Branch, ScenarioFile, Station

CASES: Final = "cases"
OUT: Final = -1  # the number of the exit
MOST_SERVERS: Final = 100_000


@dataclass(frozen=True)
class Given(Kind):
    """A column that the simulation puts in."""

    dtype: pl.DataType

    def plan(self, scope: Any, name: str) -> Maker:
        def make(block: Any) -> pl.Series:
            raise SchemaError(f"{name!r} is not known here.")

        return Maker(self.dtype, make)


@dataclass(frozen=True)
class Route:
    """Where cases go from a station: targets by number (OUT: they leave), each with the name of its term."""

    targets: tuple[int, ...]
    terms: tuple[str | float, ...] = ()  # probabilities, or conditions; a name is a hidden column
    by: str = "one"  # one, chance, condition


@dataclass
class Model:
    """A scenario that can run."""

    file: ScenarioFile
    folder: Path = field(default_factory=Path)
    replayed: Mapping[str, pl.DataType] = field(default_factory=dict)  # attributes that come from files

    def __post_init__(self) -> None:
        """Raises PlacedError."""
        self.clock = self._placed((), lambda: Clock.of(self.file.unit, self.file.start, self.file.zone))
        self.names = list(self.file.stations)
        self.number = {name: i for i, name in enumerate(self.names)}
        self._columns: dict[str, Column] = {}
        self._places: dict[str, Where] = {}
        self._own_columns()
        self.routes = [self._route(name, station) for name, station in self.file.stations.items()]
        self.plan = self._planned()

    def _placed(self, where: Where, make: Any) -> Any:
        try:
            return make()
        except PlacedError:
            raise
        except SchemaError as error:
            raise PlacedError(str(error), where) from error

    # ------------------------------------------------------------------------------------- columns of cases

    def _own_columns(self) -> None:
        """Attributes, and all terms of the stations, as columns of one table."""
        file = self.file
        self._add("source", Column(Given(pl.String())), ("sources",))
        self._add("arrival", Column(Given(self.clock.dtype)), ("sources",))
        for name, dtype in self.replayed.items():
            self._add(name, Column(Given(dtype)), ("sources",))
        for name, value in file.parameters.items():
            self._add(name, Column(Constant(value), hidden=True), ("parameters", name))
        for name, column in file.attributes.items():
            if name in self._columns:
                raise PlacedError(
                    f"the attribute {name!r} is there already; give it another name.", ("attributes", name)
                )
            self._add(name, column, ("attributes", name))
        for name, source in file.sources.items():
            for part in ("every", "batch"):
                self._term(name, part, getattr(source, part), ("sources", name, part))
        for name, station in file.stations.items():
            where: Where = ("stations", name)
            for part in ("service", "priority", "balk", "patience"):
                self._term(name, part, getattr(station, part), (*where, part))
            for part in ("takes", "sets"):
                for key, column in getattr(station, part).items():
                    self._term(name, f"{part} {key}", column, (*where, part, key))
            if station.breaks is not None:
                self._term(name, "up", station.breaks.up, (*where, "breaks", "up"))
                self._term(name, "down", station.breaks.down, (*where, "breaks", "down"))
        for name, stock in file.stocks.items():
            self._term(name, "lead", stock.lead, ("stocks", name, "lead"))

    def _add(self, name: str, column: Column, where: Where) -> None:
        self._columns[name], self._places[name] = column, where

    def _term(self, owner: str, part: str, column: Column | None, where: Where) -> None:
        if column is not None:
            self._add(term(owner, part), Column(column.kind, True, column.missing, column.digits), where)

    def _planned(self) -> Plan:
        try:
            plan = Plan({CASES: Table(dict(self._columns))}, self.file.locale, self.folder)
        except PlacedError as error:
            name = str(error.where[3]) if len(error.where) > 3 else ""
            text = str(error).partition(": ")[2] or str(error)
            raise PlacedError(text, self._places.get(name, error.where)) from error
        for name, place in self._places.items():
            maker = plan[CASES].makers[name]
            if maker.across:
                raise PlacedError("it depends on other rows; the attributes of a case stand alone.", place)
            if name.startswith("\0") and place[-2:-1] != ("sets",) and not _numeric(maker.dtype, place):
                raise PlacedError(f"a number was wanted here, not {maker.dtype}.", place)
        return plan

    def has(self, owner: str, part: str) -> bool:
        return term(owner, part) in self._columns

    def dtype(self, name: str) -> pl.DataType:
        """The type of a column of the cases."""
        return self.plan[CASES].makers[name].dtype

    def names_of_cases(self) -> list[str]:
        """What is written of a case, besides what each has."""
        return [*self.file.attributes, *self.replayed]

    def mean(self, owner: str, part: str) -> float | None:
        """The mean of a term, where it is known without drawing."""
        name = term(owner, part)
        return self.plan[CASES].makers[name].typical if name in self._columns else None

    @property
    def attributes(self) -> list[str]:
        """Columns of a case that are written, in order."""
        shown = [n for n, c in self._columns.items() if not n.startswith("\0") and not c.hidden]
        return [n for n in shown if n not in ("source", "arrival")]

    # ------------------------------------------------------------------------------------- routes

    def _route(self, name: str, station: Station) -> Route:
        where: Where = ("stations", name, "next")
        if station.next is None or isinstance(station.next, str):
            return Route((self.target(station.next, where),))
        if isinstance(station.next, Mapping):
            return self._by_chance(name, station.next, where)
        return self._by_condition(name, station.next, where)

    def target(self, name: str | None, where: Where) -> int:
        """The number of a station."""
        if name is None or name == EXIT:
            return OUT
        if name not in self.number:
            raise PlacedError(f"no station {name!r}; {did_you_mean(name, [*self.number, EXIT])}", where)
        return self.number[name]

    def _by_chance(self, name: str, chances: Mapping[str, float | str], where: Where) -> Route:
        targets = tuple(self.target(to, (*where, to)) for to in chances)
        if not chances:
            raise PlacedError("there is nowhere to go.", where)
        constant = [c for c in chances.values() if not isinstance(c, str)]
        if any(not 0 <= c <= 1 for c in constant):
            raise PlacedError("a probability is a number from 0 to 1.", where)
        if len(constant) == len(chances) and abs(sum(constant) - 1) > 1e-9:
            raise PlacedError(
                f"the probabilities sum to {sum(constant):g}, not to 1; `{EXIT}` is for those who leave.", where
            )
        return Route(targets, tuple(self._chance(name, to, c, where) for to, c in chances.items()), "chance")

    def _chance(self, name: str, to: str, chance: float | str, where: Where) -> str | float:
        if not isinstance(chance, str):
            return float(chance)
        self._add(term(name, f"chance {to}"), Column(Formula(chance), hidden=True), (*where, to))
        return term(name, f"chance {to}")

    def _by_condition(self, name: str, branches: tuple[Branch, ...], where: Where) -> Route:
        if not branches or any(b.when is None for b in branches[:-1]) or branches[-1].when is not None:
            raise PlacedError("the last way has no `when`, and all others have one: so each case has a way.", where)
        terms: list[str | float] = []
        for i, branch in enumerate(branches):
            if branch.when is None:
                terms.append(1.0)
                continue
            self._add(term(name, f"when {i}"), Column(Formula(branch.when), hidden=True), (*where, i, "when"))
            terms.append(term(name, f"when {i}"))
        targets = tuple(self.target(b.to, (*where, i, "to")) for i, b in enumerate(branches))
        return Route(targets, tuple(terms), "condition")

    # ------------------------------------------------------------------------------------- numbers

    def count_of(self, value: int | str, where: Where) -> int:
        """A whole number, or the parameter of that name."""
        found: float | str | None = self.file.parameters.get(value) if isinstance(value, str) else value
        if found is None:
            raise PlacedError(f"no parameter {value!r}; {did_you_mean(str(value), self.file.parameters)}", where)
        if not 0 < float(found) <= MOST_SERVERS or float(found) % 1:
            raise PlacedError(f"a whole number from 1 to {MOST_SERVERS:,} was wanted, not {found}.", where)
        return int(found)

    def servers(self, name: str) -> int:
        """The server slots of a station; 0 where there is no limit."""
        given = self.file.stations[name].servers
        where: Where = ("stations", name, "servers")
        if given is None:
            return 0
        if isinstance(given, tuple):
            return sum(self.count_of(shift.servers, where) for shift in given)
        return self.count_of(given, where)

    def capacity(self, name: str) -> int:
        given = self.file.stations[name].capacity
        return -1 if given is None else self.count_of(given, ("stations", name, "capacity"))


def term(owner: str, part: str) -> str:
    """The hidden column of a term."""
    return f"\0{owner}\0{part}"


def _numeric(dtype: pl.DataType, place: Where) -> bool:
    return dtype.is_numeric() or (place[-1] == "when" and dtype in (pl.Boolean, pl.Null))
