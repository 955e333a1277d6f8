"""Weight Loss: the obese who take up weight management, what they lose by it and whether they keep it off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.bodies import Physique
from verosim.patients.population import WEEK, Array

if TYPE_CHECKING:
    from verosim.patients.world import World

STARTS: Final = 0.493  # of those told, who try within a year (Martin and others, NCHS Data Brief 313, 2018)
ADHERES: Final = 0.605  # of those who try (Leung and others, 2017)
LOSS: Final = (0.07, 0.10)  # of body weight in the first year (Wing and Phelan, 2005)
KEPT: Final = 0.2  # of those who lost it, five years on
FROM_AGE: Final = 5
FROM_BMI: Final = 30.0
FROM_PERCENTILE: Final = 95.0
YEAR: Final = 52  # weeks
AGAIN: Final = 5 * YEAR  # after a course, before another


class WeightLoss:
    """The `Builtin` of that name: looks at each patient once a year, from five years of age."""

    name = "Weight Loss"
    attributes: Sequence[str] = (
        "weight_loss_adherence", "weight_managed_since", "weight_managed_loss", "weight_managed_kept",
    )  # fmt: skip

    def __init__(self, physique: Physique) -> None:
        self.physique = physique

    def begin(self, world: World, patients: Array) -> Array:
        people = world.people
        return ((people.birthdays[patients, FROM_AGE] - people.birth[patients]) // WEEK + 1).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        people, time = world.people, world.people.now[patients]
        bmi, age = self.physique.measure(world, patients, "BMI", time), people.age(patients, time)
        child = self.physique.percentile(people, patients, "BMI", bmi, time) >= FROM_PERCENTILE
        heavy = np.where(age < 20, child, bmi >= FROM_BMI)
        tries = np.flatnonzero(heavy & (world.uniform(patients) < STARTS))
        if len(tries):
            self._start(world, patients[tries])
        gap = np.full(len(patients), YEAR)
        gap[tries] = AGAIN
        return np.where(age < 110, people.step[patients] + gap, NOT_AGAIN).astype(np.int32)

    def _start(self, world: World, patients: Array) -> None:
        adheres = world.uniform(patients) < ADHERES
        loss = np.where(adheres, LOSS[0] + (LOSS[1] - LOSS[0]) * world.uniform(patients), 0.0)
        world.attributes.set_flags(patients, "weight_loss_adherence", adheres)
        world.attributes.set_numbers(patients, "weight_managed_since", world.people.now[patients].astype(np.float64))
        world.attributes.set_numbers(patients, "weight_managed_loss", loss)
        world.attributes.set_flags(patients, "weight_managed_kept", world.uniform(patients) < KEPT)
