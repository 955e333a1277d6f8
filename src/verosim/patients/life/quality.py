"""Quality of life: years lost to illness and death, from disability weights of the conditions in the record.

In a year, a patient's disability is 1 - product(1 - w f) over the conditions active in a share f of it (the GBD's way
to combine weights). QOLS is 1 less that; YLD adds it up over the years lived; QALY is years lived less YLD; DALY is YLD
and, after a death, the years that a person of that age still has in the GBD's standard life table (Murray and others,
Lancet 2012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.patients.life.persons import lived
from verosim.patients.life.resources import Resources
from verosim.patients.population import DAY, Array

if TYPE_CHECKING:
    from verosim.patients.world import World

YEAR: Final = 365.25 * DAY  # milliseconds
AGES: Final = np.array([0, 1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 110.0])
LEFT: Final = np.array([
    86.0, 85.2, 81.3, 76.3, 71.3, 66.4, 61.4, 56.5, 51.5, 46.6, 41.8, 37.0, 32.3, 27.6, 23.1, 18.6, 14.4, 10.7, 7.6,
    5.1, 3.1, 1.2,
])  # fmt: skip
# Our own rough weights, by the first letters of ICD-10-CM codes: mild .05, moderate .13, severe .3
OWN: Final = {
    "C": 0.29, "E10": 0.05, "E11": 0.05, "F32": 0.15, "F33": 0.15, "F03": 0.38, "G30": 0.38, "G40": 0.26, "I21": 0.43,
    "I25": 0.08, "I50": 0.07, "I63": 0.07, "I10": 0.01, "J44": 0.02, "J45": 0.02, "J18": 0.13, "M17": 0.08, "M54": 0.05,
    "N18": 0.10, "S72": 0.26, "S": 0.05, "J0": 0.006, "J1": 0.05,
}  # fmt: skip


class Quality:
    """A `Finisher`: `extra["quality"]`, a line for each patient and year of life: patient, year, qaly, daly, qols."""

    def __init__(self, resources: Resources) -> None:
        rows = resources.table("gbd_disability_weights.csv", ("CODE", "MED"))
        self.weights = OWN if rows is None else dict(zip(rows["CODE"], rows["MED"].cast(pl.Float64), strict=True))
        self.prefixes = rows is None

    def finish(self, world: World) -> None:
        who = lived(world.people)
        weight = np.array([self._weight(item.codes[0].code if item.codes else "") for item in world.catalogue.items])
        rows, people = world.record["conditions"], world.people
        counted = np.flatnonzero(weight[rows["item"]] > 0) if len(rows) else np.zeros(0, np.int64)
        patient = rows["patient"][counted]
        end = np.minimum(people.stop, people.death)
        start = (rows["start"][counted] - people.birth[patient]) / YEAR
        stop = (np.minimum(rows["stop"][counted], end[patient]) - people.birth[patient]) / YEAR
        years = ((end - people.birth) / YEAR)[who]
        disability = disabilities(len(who), int(np.ceil(years.max(initial=1))), patient, start, stop,
                                  weight[rows["item"][counted]])  # fmt: skip
        world.extra["quality"] = lines(years, people.death[who] <= people.stop[who], disability)

    def _weight(self, code: str) -> float:
        if not self.prefixes:
            return float(self.weights.get(code, 0.0))
        return next((self.weights[code[:k]] for k in (3, 2, 1) if code[:k] in self.weights), 0.0)


def disabilities(n: int, years: int, patient: Array, start: Array, stop: Array, weight: Array) -> Array:
    """(n, years): the combined disability of each year of life; conditions start and stop (k,) in years of age.

    >>> one = np.array([0])
    >>> disabilities(1, 3, one, np.array([0.5]), np.array([2.0]), np.array([0.2]))
    array([[0.1, 0.2, 0. ]])
    """
    first = np.floor(np.maximum(start, 0)).astype(np.int64)
    spans = np.maximum(np.ceil(np.minimum(stop, years)).astype(np.int64) - first, 0)
    row = np.repeat(np.arange(len(patient)), spans)
    year = np.arange(len(row)) - np.repeat(np.cumsum(spans) - spans, spans) + first[row]
    share = np.clip(np.minimum(stop[row], year + 1) - np.maximum(start[row], year), 0, 1)
    health = np.zeros((n, years))
    np.add.at(health, (patient[row], year), np.log1p(-np.minimum(weight[row] * share, 0.99)))
    return 0.0 - np.expm1(health)


def lines(ages: Array, dead: Array, disability: Array) -> pl.DataFrame:
    """A line for each year begun of lives that reach these ages (n,), some to die."""
    years = np.maximum(np.ceil(ages).astype(np.int64), 1)
    patient = np.repeat(np.arange(len(ages)), years)
    year = np.arange(len(patient)) - np.repeat(np.cumsum(years) - years, years)
    part = np.clip(ages[patient] - year, 0, 1)
    lost = disability[patient, year]
    total = np.cumsum(lost * part)
    before = np.concatenate([[0.0], total])[np.repeat(np.cumsum(years) - years, years)]
    yld = total - before
    last = dead[patient] & (year == years[patient] - 1)
    left = np.where(last, np.interp(ages[patient], AGES, LEFT), 0.0)
    return pl.DataFrame(
        {
            "patient": patient,
            "year": year,
            "qaly": np.round(year + part - yld, 3),
            "daly": np.round(yld + left, 3),
            "qols": np.round(1 - lost, 3),
        }
    )


__all__ = ["Quality", "disabilities", "lines"]
