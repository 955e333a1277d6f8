"""Where care is given and by whom: the organisation and the clinician of each encounter, kept by the patient for life.

Without files of the user's, every city has a practice, a hospital, an urgent care centre, a nursing home, a hospice and
a home health agency with invented names. With `providers/*.csv` a patient goes to the nearest facility of the right
sort, in their own state where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.draws import scattered
from verosim.patients.life.demographics import STATES, Demography
from verosim.patients.life.persons import lived
from verosim.patients.life.resources import Resources
from verosim.patients.population import Array, salt
from verosim.patients.record import KINDS
from verosim.providers.packs import LOTS, pack

if TYPE_CHECKING:
    from verosim.patients.world import World

SORTS: Final = ("practice", "hospital", "urgent", "nursing", "hospice", "home")
NAMES: Final = ("Family Practice", "General Hospital", "Urgent Care", "Nursing Home", "Hospice", "Home Health")
SORT_OF: Final = {  # the sort of facility that each kind of encounter takes place at
    "wellness": 0, "ambulatory": 0, "outpatient": 0, "virtual": 0, "inpatient": 1, "emergency": 1, "urgentcare": 2,
    "snf": 3, "hospice": 4, "home": 5,
}  # fmt: skip
FILES: Final = (
    "providers/primary_care_facilities.csv", "providers/hospitals.csv", "providers/urgent_care_facilities.csv",
    "providers/nursing.csv", "providers/hospice.csv", "providers/home_health_agencies.csv",
)  # fmt: skip
CLINICIANS: Final = 3  # a facility
SPECIALTIES: Final = ("GENERAL PRACTICE", "INTERNAL MEDICINE", "NURSE PRACTITIONER")


@dataclass(frozen=True, slots=True)
class Facilities:
    """All facilities, sort after sort: `table` with one row each, `where` (n, 2), `sort` (n,), `state` (n,)."""

    table: pl.DataFrame
    where: Array
    sort: Array
    state: Array

    def nearest(self, sort: int, home: Array, state: Array) -> Array:
        """The facility (k,) of a sort nearest to each home (k, 2), of those in its state where there are any."""
        rows = np.flatnonzero(self.sort == sort)
        if not len(rows):
            return self.nearest(1, home, state) if sort != 1 else np.full(len(home), -1)
        found = np.empty(len(home), np.int64)
        for one in np.unique(state):
            those = np.flatnonzero(state == one)
            near = rows[self.state[rows] == one]
            near = near if len(near) else rows
            found[those] = near[_closest(home[those], self.where[near])]
        return found


def _closest(home: Array, places: Array) -> Array:
    """The nearest place (k,) to each home, on a sphere flattened at the home's latitude; in parts, to bound memory."""
    out = np.empty(len(home), np.int64)
    for first in range(0, len(home), 512):
        part = home[first : first + 512]
        north = part[:, None, 0] - places[None, :, 0]
        east = (part[:, None, 1] - places[None, :, 1]) * np.cos(np.radians(part[:, None, 0]))
        out[first : first + 512] = (north**2 + east**2).argmin(axis=1)
    return out


def facilities(resources: Resources, demography: Demography) -> Facilities:
    """The user's providers, or one facility of each sort in every city."""
    tables = [resources.table(name, ("name", "city", "state", "zip")) for name in FILES]
    if all(table is None for table in tables):
        return _invented(demography)
    parts = [_facility_rows(table, sort) for sort, table in enumerate(tables) if table is not None]
    table = pl.concat(parts).drop_nulls(["lat", "lon"])
    where = table.select("lat", "lon").to_numpy()
    return Facilities(table, where, table["sort"].to_numpy(), table["state"].to_numpy())


def _facility_rows(rows: pl.DataFrame, sort: int) -> pl.DataFrame:
    rows = rows.rename({c: c.lower() for c in rows.columns})

    def text(name: str) -> pl.Expr:
        return pl.col(name) if name in rows.columns else pl.lit("").alias(name)

    return rows.select(
        "name", text("address"), "city", "state", "zip", text("phone"), pl.lit(sort).alias("sort"),
        pl.col("lat").cast(pl.Float64, strict=False), pl.col("lon").cast(pl.Float64, strict=False),
    )  # fmt: skip


def _invented(demography: Demography) -> Facilities:
    n, k = len(demography.city), len(SORTS)
    city, sort = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    where = np.nan_to_num(demography.where[city])
    named = [f"{demography.city[c]} {NAMES[s]}" for c, s in zip(city, sort, strict=True)]
    state = np.array([STATES.get(s, s) for s in demography.state])[city]
    table = pl.DataFrame(
        {
            "name": named,
            "address": [f"{100 + 7 * s} Main Street" for s in sort],
            "city": [demography.city[c] for c in city],
            "state": state,
            "zip": [""] * len(city),
            "phone": [""] * len(city),
            "sort": sort,
            "lat": where[:, 0],
            "lon": where[:, 1],
        }
    )
    return Facilities(table, where, sort, state)


class Places:
    """A `Finisher`: `organization` and `provider` of encounters, `extra["organizations"]` and `extra["providers"]`."""

    def __init__(self, resources: Resources, demography: Demography) -> None:
        self.facilities, self.demography = facilities(resources, demography), demography
        self.clinicians = _clinicians(self.facilities, demography.locale)

    def finish(self, world: World) -> None:
        people = world.people
        everyone = lived(people)
        home = world.extra["people"].select("lat", "lon").to_numpy()
        state = np.array([STATES.get(s, s) for s in world.extra["people"]["state"]])
        own = np.column_stack([self.facilities.nearest(sort, np.nan_to_num(home), state) for sort in range(len(SORTS))])
        rows = world.record["encounters"]
        sort = np.array([SORT_OF[kind] for kind in KINDS])[rows["kind"]]
        organization = own[rows["patient"], sort]
        choice = (people.chance(everyone, salt("clinician")) * CLINICIANS).astype(np.int64)
        rows.add_column("organization", organization)
        rows.add_column("provider", organization * CLINICIANS + choice[rows["patient"]])
        world.extra["organizations"] = self.facilities.table.with_row_index("organization")
        world.extra["providers"] = self.clinicians


def _clinicians(where: Facilities, locale: str) -> pl.DataFrame:
    """So many clinicians for each facility, with names that depend on its place in the list only."""
    n = len(where.table) * CLINICIANS
    rows = np.arange(n)
    names = pack(locale)
    lots = [(scattered(rows + shift) % np.uint64(LOTS)).astype(np.uint16) for shift in (0, 10**9)]
    first, last = names.first.find(lots[0]), names.last.find(lots[1])
    female = names.female[first] > 0.5
    return pl.DataFrame(
        {
            "provider": rows,
            "organization": rows // CLINICIANS,
            "name": pl.Series(names.first.values)[first] + " " + pl.Series(names.last.values)[last],
            "gender": np.where(female, "F", "M"),
            "speciality": np.array(SPECIALTIES)[rows % CLINICIANS],
        }
    )
