"""The life around the modules: people, bodies, risks, visits' immunisations, insurance, costs, places and deaths.

Everything that the Java engine has as code and not as a module file, rebuilt over arrays of patients from published
formulas and our own parameter values, or from a folder of the user's (see `resources`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl

from verosim.errors import ArgumentError
from verosim.patients.hooks import Builtin, Demographics, Finisher, Vitals
from verosim.patients.life.bodies import Physique
from verosim.patients.life.claims import Claims
from verosim.patients.life.costs import Costs
from verosim.patients.life.demographics import HARDSHIPS, Demography, burdened, located, of_country, of_file, only_in
from verosim.patients.life.facilities import Places
from verosim.patients.life.heart import Heart
from verosim.patients.life.insurance import Insurance
from verosim.patients.life.lifecycle import Lifecycle
from verosim.patients.life.mortality import Certificates, NaturalDeath
from verosim.patients.life.persons import Births, Register
from verosim.patients.life.quality import Quality
from verosim.patients.life.resources import Resources
from verosim.patients.life.roster import Roster
from verosim.patients.life.totals import Totals
from verosim.patients.life.vaccines import Covid, Immunizations
from verosim.patients.life.virtual import Virtual
from verosim.patients.life.weight import WeightLoss

__all__ = ["Life"]


class Life:
    """All that plugs into the engine beside module files.

    resources: the user's folder; any file that it lacks is replaced by our own values. country: two letters of a packed
    country. state: only places of that state. end: milliseconds since 1970 at which the simulation stops.
    people: who the patients are, a row for each (see `roster`): rows of a recipe, or of a file; none: they are drawn.
    natural_death: whether people die of age, beside what modules have them die of.
    """

    def __init__(
        self,
        resources: Path | None = None,
        *,
        end: int,
        country: str = "US",
        state: str | None = None,
        people: pl.DataFrame | None = None,
        natural_death: bool = False,
    ) -> None:
        if resources is not None and not resources.is_dir():
            raise ArgumentError(f"resources: no folder {resources}; see docs/patient-lives.md for what it may hold.")
        given = Resources(resources)
        demography = _demography(given, country, state)
        insurance, immunizations = Insurance(given, demography.poverty), Immunizations(given)
        births = Births(demography, end, immunizations.attributes, None if people is None else Roster(people, end))
        physique = Physique(given)
        lifecycle = Lifecycle(physique)
        self.demographics: Demographics = births
        self.vitals: Vitals = physique
        self.visit_hooks = (immunizations, lifecycle.measured)
        self.builtins: Sequence[Builtin] = (
            insurance, Covid(), Heart(physique), lifecycle, WeightLoss(physique),
            *((NaturalDeath(),) if natural_death else ()),
        )  # fmt: skip
        self.finishers: Sequence[Finisher] = (
            Certificates(), Virtual(), Register(births), Places(given, demography), Costs(given),
            Claims(insurance.plans), Quality(given), Totals(),
        )  # fmt: skip
        roll = None if people is None else blake2b(people.write_csv().encode(), digest_size=8).hexdigest()
        self._settings = {
            "resources": None if resources is None else str(resources), "country": country, "state": state, "end": end,
            "natural_death": natural_death, "people": roll,
        }  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """What this life depends on, for the note beside a run's output."""
        return dict(self._settings)


def _demography(given: Resources, country: str, state: str | None) -> Demography:
    """The user's places, on the map where their gazetteer has them; else a packed country."""
    path = given.path("geography/demographics.csv")
    places = of_country(country) if path is None else of_file(path, country)
    places = places if state is None else only_in(places, state)
    if path is None:
        return places
    gazetteer = given.table("geography/zipcodes.csv", ("USPS", "NAME", "ZCTA5", "LAT", "LON"))
    places = places if gazetteer is None else located(places, gazetteer)
    counties = given.table("geography/sdoh.csv", ("COUNTY", "STATE", *(h.upper() for h in HARDSHIPS)))
    return places if counties is None else burdened(places, counties)
