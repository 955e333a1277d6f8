"""The vital signs of a block's patients, worked out when they are read: growth, values, and what drugs do to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl

from verosim.normal import normal_share
from verosim.patients.life.growth import GROWN, Bodies, Growing, bmi_percentile, chart, grow, no_bodies
from verosim.patients.life.resources import Resources, growing, ranges
from verosim.patients.life.vitals import VITALS, Flags, Floats, Ints, Ranges
from verosim.patients.population import DAY, Array, Population, normal, salt

if TYPE_CHECKING:
    from verosim.patients.world import World

MONTH: Final = 365.25 / 12 * DAY  # milliseconds
YEAR: Final = 365.25 * DAY
SPANS: Final = ("life", "month", "day")  # over which chance stays the same
COURSE: Final = 5.0  # years of weight management
GROWTH: Final = ("Height", "Weight", "BMI", "Head Circumference")
PERCENTILES: Final = {  # of a child, in %
    "Height Percentile": "Height",
    "Weight Percentile": "Weight",
    "BMI Percentile": "BMI",
    "Head Circumference Percentile": "Head Circumference",
}
# mmHg off the systolic pressure, by RxNorm code (Law and others, BMJ 2009: 9 mmHg at standard dose, more from high)
PRESSURE_DRUGS: Final[Mapping[str, float]] = dict.fromkeys(
    ("314076", "310798", "308136", "197361", "979492", "197381", "866412", "866514", "313096", "313988"), 10.0
)
# % off HbA1c, by RxNorm code (ADA, Standards of Care 2022, 9: by class; of insulin as much as it takes)
SUGAR_DRUGS: Final[Mapping[str, float]] = {
    "860975": 1.5, "861007": 1.5,  # metformin
    "897122": 1.0,  # a GLP-1 agonist
    "1373463": 0.7,  # an SGLT2 inhibitor
    "106892": 3.0, "865098": 6.0,  # insulin
}  # fmt: skip
READS: Final = (  # attributes that modules set and values follow
    "hypertension", "hypertension_severe", "chf", "diabetes", "prediabetes", "diabetes_severity", "ckd",
    "weight_managed_since", "weight_managed_from", "weight_managed_loss", "weight_managed_kept", "weight_taken_off",
)  # fmt: skip


class Physique:
    """Reads vital signs: the `Vitals` of the engine."""

    names: Sequence[str] = (*VITALS, *GROWTH, *PERCENTILES)

    def __init__(self, resources: Resources | None = None) -> None:
        given = resources or Resources()
        self.ranges, self.growing = ranges(given), growing(given)
        self.pressure_drugs = _pressure_drugs(given)
        self._about: dict[tuple[str, ...], tuple[str, ...]] = {}  # topics of chance that readings of signs asked about
        self._bodies: WeakKeyDictionary[Population, tuple[Bodies, Flags]] = WeakKeyDictionary()

    def read(self, world: World, patients: Array, name: str, time: Array) -> Array:
        """The value (k,) float64 of a vital sign at `time` (k,), rounded as instruments show it."""
        return self.reads(world, patients, [name], time)[0]

    def reads(self, world: World, patients: Array, names: Sequence[str], time: Array) -> list[Array]:
        """Several vital signs (k,) of the same patients, who are looked at once."""
        who, values = self._reading(world, patients, time, names), []
        for name in names:
            if name in VITALS:
                values.append(np.round(VITALS[name](who, self.ranges), 2))
            elif name in PERCENTILES:
                which = PERCENTILES[name]
                values.append(self.percentile(world.people, patients, which, who.measure(which), time))
            else:
                values.append(np.round(who.measure(name), 2))
        return self._noted(who, names, values)

    def usual(self, world: World, patients: Array, names: Sequence[str]) -> list[Floats]:
        """Values (k,) of vital signs now, as they are in the mean of many readings."""
        who = self._reading(world, patients, world.people.now[patients], names, usual=True)
        return self._noted(who, names, [VITALS[name](who, self.ranges) for name in names])

    def _reading(
        self, world: World, patients: Array, time: Array, names: Sequence[str], usual: bool = False
    ) -> Reading:  # fmt: skip
        """A reading of vital signs, with the chance that these signs asked for before."""
        return Reading(world, self, patients, time, usual, self._about.get(tuple(names), ()))

    def _noted(self, who: Reading, names: Sequence[str], values: list[Floats]) -> list[Floats]:
        """The values, and what chance they asked for is remembered."""
        if tuple(names) not in self._about:
            self._about[tuple(names)] = who.about
        return values

    def measure(self, world: World, patients: Array, name: str, time: Array) -> Floats:
        """Height (cm), weight (kg), BMI or head circumference (cm), as (k,)."""
        bodies, months = self.bodies(world.people, patients), age_months(world.people, patients, time)
        if name == "Height":
            return bodies.height(patients, months)
        if name == "Head Circumference":
            return bodies.head(patients, months)
        weight = self.weight(world, patients, time)
        return weight if name == "Weight" else weight / (bodies.height(patients, months) / 100) ** 2

    def weight(self, world: World, patients: Array, time: Array) -> Floats:
        """kg (k,): as it grows, less what earlier courses took off; the grown put on nothing during a course."""
        on = world.attributes.known(patients, "weight_managed_since")
        out = self._own(world, patients, age_months(world.people, patients, time))
        if on.any():
            out[on] = self.managed(world, patients[on], time[on])
        return out

    def managed(self, world: World, patients: Array, time: Array) -> Floats:
        """kg (k,) of those in a course of weight management: what it leaves of the weight that they had, or grow to."""
        start = world.attributes.numbers(patients, "weight_managed_from", 0.0)
        child = self._own(world, patients, np.minimum(age_months(world.people, patients, time), GROWN * 12.0))
        return np.where(start > 0, start, child) * course(world, patients, time)

    def _own(self, world: World, patients: Array, months: Floats) -> Floats:
        """kg (k,) outside of courses, at these ages."""
        own = self.bodies(world.people, patients).weight(patients, months)
        return np.maximum(own - world.attributes.numbers(patients, "weight_taken_off", 0.0), own / 2)

    def percentile(self, people: Population, patients: Array, name: str, value: Array, time: Array) -> Floats:
        """How many % (k,) of children of that sex and age measure less; of the grown, as at twenty."""
        months = np.minimum(age_months(people, patients, time), GROWN * 12.0)
        girls = ~people.male[patients]
        if name == "BMI":
            return np.round(100 * bmi_percentile(girls, np.maximum(months, 24.0), value), 1)
        which = {"Height": "height", "Weight": "weight", "Head Circumference": "head"}[name]
        return np.round(100 * normal_share(chart(which).z(girls, months, value)), 1)

    def weight_for_length(self, world: World, patients: Array, time: Array) -> Floats:
        """How many % (k,) of infants of that sex and length weigh less."""
        weight, length = (self.measure(world, patients, name, time) for name in ("Weight", "Height"))
        return np.round(
            100 * normal_share(chart("weight_for_length").z(~world.people.male[patients], length, weight)), 1
        )

    def bodies(self, people: Population, patients: Array) -> Bodies:
        """The growth of a block's patients, worked out when one of them is first asked for."""
        if people not in self._bodies:
            self._bodies[people] = no_bodies(people.n, self.growing), np.zeros(people.n, bool)
        bodies, known = self._bodies[people]
        new = patients[~known[patients]]
        if len(new):
            bodies.put(new, bodies_of(people, new, self.growing))
            known[new] = True
        return bodies


def bodies_of(people: Population, patients: Array, options: Growing) -> Bodies:
    """Growth (k,) from the patients' own chance."""

    def draw(topic: str, counter: int) -> Array:
        return people.chance(patients, salt(topic), counter)

    normals = np.column_stack([normal(draw("growth", 2 * i), draw("growth", 2 * i + 1)) for i in range(23)])
    return grow(~people.male[patients], normals, options)


def age_months(people: Population, patients: Array, time: Array) -> Floats:
    """Age (k,) in months, with its fraction."""
    return np.maximum((time - people.birth[patients]) / MONTH, 0.0)


def course(world: World, patients: Array, time: Array) -> Floats:
    """The share (k,) of the weight that a course of weight management leaves.

    Less and less over the first year; kept, or regained by the fifth.
    """
    years = np.maximum((time - world.attributes.numbers(patients, "weight_managed_since", np.inf)) / YEAR, 0)
    loss = world.attributes.numbers(patients, "weight_managed_loss", 0.0) * np.minimum(years, 1)
    kept = world.attributes.flags(patients, "weight_managed_kept")
    return 1 - loss * np.where(kept, 1.0, np.clip((COURSE - years) / (COURSE - 1), 0, 1))


class Reading:
    """k patients at one reading each: what vital signs depend on, looked up where it is asked for."""

    def __init__(
        self, world: World, physique: Physique, patients: Array, time: Array, usual: bool = False,
        about: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """usual: as the person is in the mean of many readings. about: topics that will be asked for: drawn at once."""
        self._usual = usual
        self._world, self._physique, self._patients, self._time = world, physique, patients, time
        self._normals: dict[str, Floats] = {}
        self._measures: dict[str, Floats] = {}
        self._draw(about)

    @property
    def about(self) -> tuple[str, ...]:
        """The topics of chance that were drawn."""
        return tuple(dict.fromkeys(topic.rsplit(":", 1)[0] for topic in self._normals))

    @cached_property
    def age(self) -> Floats:
        return age_months(self._world.people, self._patients, self._time) / 12

    @property
    def female(self) -> Flags:
        return ~self._world.people.male[self._patients]

    @cached_property
    def bmi(self) -> Floats:
        return self.measure("BMI")

    @cached_property
    def hypertension(self) -> Flags:
        return self._flag("hypertension")

    @property
    def severe(self) -> Flags:
        return self._flag("hypertension_severe")

    @cached_property
    def diabetes(self) -> Flags:
        return self._flag("diabetes")

    @cached_property
    def prediabetes(self) -> Flags:
        return self._flag("prediabetes")

    @cached_property
    def severity(self) -> Ints:
        return self._world.attributes.numbers(self._patients, "diabetes_severity", 0.0).astype(np.int64)

    @property
    def kidney(self) -> Ints:
        return self._world.attributes.numbers(self._patients, "ckd", 0.0).astype(np.int64)

    @property
    def hypoxemia(self) -> Flags:
        return self._world.attributes.known(self._patients, "chf")

    @cached_property
    def pressure_drugs(self) -> Floats:
        return self._taken(self._physique.pressure_drugs)

    @cached_property
    def sugar_drugs(self) -> Floats:
        return self._taken(SUGAR_DRUGS)

    def measure(self, name: str) -> Floats:
        """As `Physique.measure`."""
        if name not in self._measures:
            self._measures[name] = (
                self.measure("Weight") / (self.measure("Height") / 100) ** 2
                if name == "BMI"
                else self._physique.measure(self._world, self._patients, name, self._time)
            )
        return self._measures[name]

    def normals(self, topic: str) -> Floats:
        if topic not in self._normals:
            self._draw((topic.rsplit(":", 1)[0],))
        return self._normals[topic]

    def _draw(self, about: tuple[str, ...]) -> None:
        """Draw life's, month's and day's normals of topics, all at once."""
        if about:
            one, two = np.moveaxis(self._world.people.chance(self._patients, _salts(about), self._when), 2, 0)
            found = normal(one, two)
            if self._usual:
                found[:, 1:] = 0.0
            names = [f"{topic}:{span}" for topic in about for span in SPANS]
            self._normals |= dict(zip(names, found.reshape(len(names), -1), strict=True))

    @cached_property
    def _when(self) -> Ints:
        """(spans, 1, k) which life, month and day it is."""
        time = self._time
        return np.stack([np.zeros_like(time), time // (30 * DAY), time // DAY])[:, None]

    def _flag(self, name: str) -> Flags:
        return self._world.attributes.flags(self._patients, name)

    def _taken(self, drugs: Mapping[str, float]) -> Floats:
        """The sum (k,) of what the drugs do that are being taken."""
        total = np.zeros(len(self._patients))
        for code, effect in drugs.items():
            if self._world.plan.slots_of(code):
                total += effect * self._world.active(self._patients, code)
        return total


@lru_cache(1024)
def _salts(about: tuple[str, ...]) -> Array:
    """(topics, spans, 2, 1) numbers for the two draws of each normal."""
    return np.array([[[[salt(f"vital:{topic}:{span}:{i}")] for i in (1, 2)] for span in SPANS] for topic in about])


def _pressure_drugs(resources: Resources) -> Mapping[str, float]:
    """mmHg off the systolic pressure by RxNorm code: the middle of the range in `htn_drugs.csv`, or our own."""
    low, high = "Systolic Impact Minimum", "Systolic Impact Maximum"
    rows = resources.table("htn_drugs.csv", ("RxNorm", low, high))
    if rows is None:
        return PRESSURE_DRUGS
    effect = -(pl.col(low).cast(pl.Float64) + pl.col(high).cast(pl.Float64)) / 2
    found: dict[Any, float] = dict(rows.select("RxNorm", effect.alias("effect")).iter_rows())
    return {str(code): value for code, value in found.items()}


__all__ = ["GROWTH", "PERCENTILES", "READS", "Physique", "Ranges", "Reading", "age_months", "bodies_of", "course"]
