"""Immunisations: the doses that are due when a visit opens, and the campaign against COVID-19.

The schedule is the CDC's (Recommended Immunization Schedule, United States), its codes CVX: both are public. A user's
`immunization_schedule.json` is read in its place.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl

from verosim.errors import FileError
from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.resources import Resources
from verosim.patients.names import NONE, Catalogue, Coding
from verosim.patients.population import DAY, NUMBER, WEEK, Array, Attributes, civil, instant, salt
from verosim.patients.record import KINDS

if TYPE_CHECKING:
    from verosim.patients.world import World

CVX: Final = "http://hl7.org/fhir/sid/cvx"
LATEST: Final = 48  # months: a dose that is later than this is not made up for
OLDEST: Final = 110 * 12  # months
NEVER: Final = 2 * OLDEST


@dataclass(frozen=True, slots=True)
class Vaccine:
    """A series: a dose is due at each of these months of life, once the vaccine exists."""

    name: str
    coding: Coding
    months: Array  # (doses,) ascending
    since: int  # year


class Doses:
    """When doses of vaccines are due: looked up for all vaccines and patients at once."""

    def __init__(self, vaccines: Sequence[Vaccine]) -> None:
        most = 1 + max((len(vaccine.months) for vaccine in vaccines), default=0)
        self._months = np.full((len(vaccines), most), NEVER)  # of each dose; then none
        self._late = np.zeros((len(vaccines), OLDEST + 1), np.int64)  # doses that are too late, by months of life
        self._since = np.array([[vaccine.since] for vaccine in vaccines])
        for number, vaccine in enumerate(vaccines):
            self._months[number, : len(vaccine.months)] = vaccine.months
            self._late[number] = np.searchsorted(vaccine.months, np.arange(OLDEST + 1) - LATEST)

    def due(self, given: Array, months: Array, year: Array) -> Array:
        """The number (vaccines, k) of the dose that is due, from 1; 0 where none is.

        given: doses (vaccines, k) given or passed over so far; months: age (k,) in whole months; year (k,).

        >>> d = Doses([Vaccine("x", Coding(CVX, "0"), np.array([2, 4, 120]), 1990)])
        >>> d.due(np.array([[0, 1, 1, 0, 0]]), np.array([2, 3, 5, 100, 300]), np.array([2000] * 5))
        array([[1, 0, 2, 0, 0]])
        """
        place = np.maximum(given, self._late[:, np.minimum(months, OLDEST)])
        vaccine = np.arange(len(given))[:, None]
        comes = self._months[vaccine, np.minimum(place, self._months.shape[1] - 1)]
        return np.where((comes <= months) & (year >= self._since), place + 1, 0)


def schedule(resources: Resources) -> tuple[Vaccine, ...]:
    """All vaccines: the user's `immunization_schedule.json`, or our own."""
    given = resources.mapping("immunization_schedule.json")
    if given is None:
        return _packed()
    found = []
    for name, spec in given.items():
        try:
            code = Coding(str(spec["code"]["system"]), str(spec["code"]["code"]), str(spec["code"]["display"]))
            months = np.array(sorted(int(m) for m in spec["at_months"]), dtype=np.int64)
            found.append(Vaccine(name, code, months, int(spec.get("first_available", 0))))
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(f"immunization_schedule.json: {name!r} wants `code` and `at_months` ({error}).") from error
    return tuple(found)


def _packed() -> tuple[Vaccine, ...]:
    text = (files("verosim.patients.life") / "data" / "vaccines.csv").read_bytes()
    rows = pl.read_csv(io.BytesIO(text), schema_overrides={"code": pl.String, "months": pl.String})
    return tuple(
        Vaccine(row["name"], Coding(CVX, row["code"], row["display"]), _months(row["months"]), row["from"])
        for row in rows.to_dicts()
    )


def _months(text: str) -> Array:
    """`2 4 6`, or `yearly 6`: every twelve months from the sixth on."""
    numbers = [int(part) for part in text.split() if part.isdigit()]
    return np.arange(numbers[0], OLDEST, 12) if text.startswith("yearly") else np.array(numbers, dtype=np.int64)


class Immunizations:
    """What is given when a visit opens: a visit hook of the engine."""

    def __init__(self, resources: Resources) -> None:
        self.vaccines = schedule(resources)
        self.attributes = tuple(f"doses of {vaccine.name}" for vaccine in self.vaccines)
        self._doses = Doses(self.vaccines)

    def __call__(self, world: World, patients: Array, encounters: Array) -> None:
        """Give every dose that is due to `patients` (k,) at the visits `encounters` (k,) that have just opened."""
        time = world.people.now[patients]
        doses = self._due(world, patients, time)
        for number in np.flatnonzero(doses.any(axis=1)).tolist():
            now = np.flatnonzero(doses[number])
            dose = doses[number, now]
            world.attributes.set_numbers(patients[now], self.attributes[number], dose.astype(np.float64))
            item = item_of(world, "immunizations", self.vaccines[number].coding)
            world.record.add("immunizations", patients[now], item, time[now], stop=time[now],
                             encounter=encounters[now], series=dose)  # fmt: skip

    def _due(self, world: World, patients: Array, time: Array) -> Array:
        """The number (vaccines, k) of the dose of each that is due, or 0."""
        rows = np.array([[world.attributes.number[name]] for name in self.attributes])
        kind, value = world.attributes.kind[rows, patients], world.attributes.value[rows, patients]
        given = np.where(kind == NUMBER, value, 0.0).astype(np.int64)
        return self._doses.due(given, whole_months(world.people.birth[patients], time), civil(time)[0])


def whole_months(birth: Array, time: Array) -> Array:
    """Calendar months (k,) lived."""
    (y1, m1, d1), (y2, m2, d2) = civil(birth), civil(time)
    return (y2 - y1) * 12 + (m2 - m1) - (d2 < d1)


_ITEMS: Final[WeakKeyDictionary[Catalogue, dict[tuple[str, Coding], int]]] = WeakKeyDictionary()


def item_of(world: World, table: str, coding: Coding, *, category: str = "", unit: str = "") -> int:
    """The catalogue's item of this code, entered when first asked for."""
    known = _ITEMS.setdefault(world.catalogue, {})
    if (table, coding) not in known:
        item = world.catalogue.item(table, (coding,), name=coding.display, category=category, unit=unit)
        known[table, coding] = item
    return known[table, coding]


# --------------------------------------------------------------------------------- COVID-19

_AGES: Final = np.array([12, 16, 18, 30, 40, 50, 65, 75])
_UPTAKE: Final = np.array([0.52, 0.60, 0.61, 0.68, 0.74, 0.82, 0.95, 0.90])  # of each age group by 2022 (CDC)
_OPENED: Final = np.array(
    [instant(2021, 5, 12), *[instant(2021, 4, 15)] * 5, instant(2021, 2, 15), instant(2021, 1, 15)]
)
_BRANDS: Final = (  # share, doses, days between them
    (Coding(CVX, "208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose"), 0.60, 2, 21),
    (Coding(CVX, "207", "COVID-19, mRNA, LNP-S, PF, 100 mcg/0.5 mL dose"), 0.36, 2, 28),
    (Coding(CVX, "212", "COVID-19 vaccine, vector-nr, rS-Ad26, PF, 0.5 mL"), 0.04, 1, 0),
)
_WAIT: Final = 40.0  # days from the opening to the first dose, on average
_VISIT: Final = Coding("ICD-10-CM", "Z23", "Encounter for immunization")


class Covid:
    """The `Builtin` that gives the first series against COVID-19, at visits of its own."""

    name = "COVID-19 Immunization Module"
    attributes: Sequence[str] = ("C19_FULLY_VACCINATED", "C19 brand", "C19 doses")

    def begin(self, world: World, patients: Array) -> Array:
        """The week of the first dose: by the age at the campaign's opening, for those who take it."""
        people = world.people
        group = np.searchsorted(_AGES, people.age(patients, np.full(len(patients), _OPENED[1])), side="right") - 1
        takes = (group >= 0) & (people.chance(patients, salt("c19 takes")) < _UPTAKE[group])
        takes &= people.birth[patients] < _OPENED[0] - 12 * 366 * DAY
        days = -_WAIT * np.log1p(-people.chance(patients, salt("c19 wait")))
        time = _OPENED[group] + (days * DAY).astype(np.int64)
        return np.where(takes, (time - people.birth[patients]) // WEEK + 1, NOT_AGAIN).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        """Give a dose; come back for the second."""
        known = world.attributes.numbers(patients, "C19 brand", -1.0)
        ends = np.cumsum([share for _, share, _, _ in _BRANDS])[:-1]
        brand = np.where(known >= 0, known, np.searchsorted(ends, world.uniform(patients), side="right")).astype(
            np.int64
        )
        dose = world.attributes.numbers(patients, "C19 doses", 0.0).astype(np.int64) + 1
        world.attributes.set_numbers(patients, "C19 brand", brand.astype(np.float64))
        world.attributes.set_numbers(patients, "C19 doses", dose.astype(np.float64))
        rows = open_visit(world, patients, _VISIT, "outpatient")
        time = world.people.now[patients]
        for number, (coding, _, _, _) in enumerate(_BRANDS):
            those = brand == number
            if those.any():
                world.record.add("immunizations", patients[those], item_of(world, "immunizations", coding), time[those],
                                 stop=time[those], encounter=rows[those], series=dose[those])  # fmt: skip
        done = dose >= np.array([doses for _, _, doses, _ in _BRANDS])[brand]
        world.attributes.set_flags(patients[done], "C19_FULLY_VACCINATED", True)
        gap = np.array([days // 7 for _, _, _, days in _BRANDS])[brand]
        return np.where(done, NOT_AGAIN, world.people.step[patients] + np.maximum(gap, 1)).astype(np.int32)


def open_visit(world: World, patients: Array, coding: Coding, kind: str, time: Array | None = None) -> Array:
    """A short encounter (rows (k,)) beside whatever encounter is open, which stays the latest one."""
    start = world.people.now[patients] if time is None else time
    before = world.record.latest[patients]
    rows = world.record.open_encounter(patients, item_of(world, "encounters", coding), start, KINDS.index(kind), NONE)
    world.record.latest[patients] = np.where(before == NONE, rows, before)
    world.record["encounters"]["stop"][rows] = start + 15 * 60_000
    return rows


def attributes_of(immunizations: Immunizations) -> tuple[str, ...]:
    return (*immunizations.attributes, *Covid.attributes)


__all__ = [
    "Attributes",
    "Covid",
    "Doses",
    "Immunizations",
    "Vaccine",
    "item_of",
    "open_visit",
    "schedule",
    "whole_months",
]
