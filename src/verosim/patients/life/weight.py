"""Weight Loss: the obese who take up weight management, what they lose by it and whether they keep it off.

Whoever is obese takes it up at the next look: in the reference 49.3 % do each week, which leaves nobody out in a year.
A course lasts five years. The grown who keep to it lose weight in the first year, and keep it off for good or put it on
again; those who do not keep to it stay as heavy as they are. Children grow on, in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.bodies import Physique
from verosim.patients.population import WEEK, Array

if TYPE_CHECKING:
    from verosim.patients.world import World

ADHERES: Final = 0.605  # of those who try (Leung and others, 2017)
LOSS: Final = (0.07, 0.10)  # of body weight in the first year (Wing and Phelan, 2005)
KEPT: Final = 0.2  # of those who lost it, for good
FROM_AGE: Final = 5
NOT_AT: Final = 19  # years: the charts end within the year
FROM_BMI: Final = 30.0
FROM_PERCENTILE: Final = 95.0
YEAR: Final = 52  # weeks between looks
AFTER: Final = 261  # weeks: a course and a little more


class WeightLoss:
    """The `Builtin` of that name: looks at each patient once a year, from five years of age."""

    name = "Weight Loss"
    attributes: Sequence[str] = (
        "weight_loss_adherence", "weight_managed_since", "weight_managed_from", "weight_managed_loss",
        "weight_managed_kept", "weight_taken_off",
    )  # fmt: skip

    def __init__(self, physique: Physique) -> None:
        self.physique = physique

    def begin(self, world: World, patients: Array) -> Array:
        people = world.people
        return ((people.birthdays[patients, FROM_AGE] - people.birth[patients]) // WEEK + 1).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        people, time = world.people, world.people.now[patients]
        self._end(world, patients)
        bmi, age = self.physique.measure(world, patients, "BMI", time), people.age(patients, time)
        child = self.physique.percentile(people, patients, "BMI", bmi, time) >= FROM_PERCENTILE
        heavy = np.where(age < 20, child & (age != NOT_AT), bmi >= FROM_BMI)
        kept = self._start(world, patients[heavy], age[heavy])
        gap = np.full(len(patients), YEAR)
        gap[heavy] = np.where(kept, NOT_AGAIN, AFTER)
        return np.where(age < 110, np.minimum(people.step[patients] + gap, NOT_AGAIN), NOT_AGAIN).astype(np.int32)

    def _start(self, world: World, patients: Array, age: Array) -> Array:
        """Begin a course; who (k,) will keep the weight off for good."""
        time, put = world.people.now[patients], world.attributes
        adheres = world.uniform(patients) < ADHERES
        kept = adheres & (world.uniform(patients) < KEPT)
        loss = np.where(adheres, LOSS[0] + (LOSS[1] - LOSS[0]) * world.uniform(patients), 0.0)
        weight = np.where(age >= 20, self.physique.weight(world, patients, time), 0.0)  # a child grows on
        put.set_flags(patients, "weight_loss_adherence", adheres)
        put.set_numbers(patients, "weight_managed_from", weight)
        put.set_numbers(patients, "weight_managed_since", time.astype(np.float64))
        put.set_numbers(patients, "weight_managed_loss", loss)
        put.set_flags(patients, "weight_managed_kept", kept)
        return kept

    def _end(self, world: World, patients: Array) -> None:
        """Let those whose course is over go on from the weight that it left them."""
        some = patients[world.attributes.known(patients, "weight_managed_since")]
        if not len(some):
            return
        time, numbers = world.people.now[some], world.attributes.numbers
        left = self.physique.managed(world, some, time)
        for name in ("weight_managed_since", "weight_managed_from", "weight_loss_adherence"):
            world.attributes.clear(some, name)
        more = self.physique.weight(world, some, time) - left
        world.attributes.set_numbers(some, "weight_taken_off", numbers(some, "weight_taken_off", 0.0) + more)
