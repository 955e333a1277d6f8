"""Deaths: by nature where it is asked for, and the certificate of a death that has a cause.

Natural death follows Gompertz and Makeham's law, fitted to the US period life tables of about 2019 (Social Security
Administration): a hazard that doubles every eight years, above a floor of accidents. It is off unless asked for, as
modules bring deaths of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.vaccines import item_of, open_visit
from verosim.patients.names import Coding
from verosim.patients.population import Array, salt
from verosim.patients.record import CODE

if TYPE_CHECKING:
    from verosim.patients.world import World

LAW: Final = {  # floor, hazard at birth, growth a year
    False: (0.0003, 2.4e-5, 0.0920),  # women
    True: (0.0008, 5.5e-5, 0.0855),  # men
}
INFANT: Final = 0.0055  # of the newborn, within the first year
OLD: Final = Coding("ICD-10-CM", "R54", "Age-related physical debility")


def years_to_live(male: Array, u: Array) -> Array:
    """Years (n,) from birth to natural death at uniforms u: the law's cumulative hazard, inverted by bisection."""
    target = -np.log1p(-u)
    floor, start, growth = (np.where(male, LAW[True][i], LAW[False][i]) for i in range(3))
    low, high = np.zeros(len(u)), np.full(len(u), 125.0)
    for _ in range(40):
        middle = (low + high) / 2
        hazard = INFANT * np.minimum(middle, 1) + floor * middle + start / growth * np.expm1(growth * middle)
        short = hazard < target
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return low


class NaturalDeath:
    """A `Builtin` that ends lives at their natural time."""

    name = "Natural Death"
    attributes: Sequence[str] = ()

    def begin(self, world: World, patients: Array) -> Array:
        people = world.people
        years = years_to_live(people.male[patients], people.chance(patients, salt("natural death")))
        return np.minimum(years * 365.25 / 7 + 1, NOT_AGAIN).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        world.die(patients, world.people.now[patients], world.catalogue.codes(OLD))
        return np.full(len(patients), NOT_AGAIN, np.int32)


class Certificates:
    """A `Finisher`: the certificate of each death that has a cause, as an encounter with its observation and report."""

    VISIT: Final = Coding("LOINC", "64297-5", "Death certificate")
    CAUSE: Final = Coding("LOINC", "69453-9", "Cause of Death [US Standard Certificate of Death]")
    REPORT: Final = Coding("LOINC", "69409-1", "U.S. standard certificate of death - 2003 revision")

    def finish(self, world: World) -> None:
        people = world.people
        dead = np.flatnonzero((people.cause >= 0) & (people.death <= people.stop))
        if not len(dead):
            return
        time = people.death[dead]
        rows = open_visit(world, dead, self.VISIT, "wellness", time)
        report = world.record.add(
            "reports", dead, item_of(world, "reports", self.REPORT), time, stop=time, encounter=rows
        )
        cause = item_of(world, "observations", self.CAUSE, category="exam")
        world.record.add("observations", dead, cause, time, stop=time, encounter=rows,
                         value=people.cause[dead].astype(np.float64), kind=CODE, report=report, panel=-1)  # fmt: skip
