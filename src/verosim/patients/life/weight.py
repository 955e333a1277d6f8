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
        heavy = np.where(age < 20, child, bmi >= FROM_BMI)
        tries = np.flatnonzero(heavy & (world.uniform(patients) < STARTS))
        gap = np.full(len(patients), YEAR)
        if len(tries):
            adheres = self._start(world, patients[tries], age[tries])
            gap[tries[adheres]] = AFTER
        return np.where(age < 110, people.step[patients] + gap, NOT_AGAIN).astype(np.int32)

    def _start(self, world: World, patients: Array, age: Array) -> Array:
        """Who of those that try (k,) keeps to it: they begin a course."""
        adheres = world.uniform(patients) < ADHERES
        world.attributes.set_flags(patients, "weight_loss_adherence", adheres)
        some, grown = patients[adheres], age[adheres] >= 20
        time = world.people.now[some]
        loss = LOSS[0] + (LOSS[1] - LOSS[0]) * world.uniform(some)
        weight = np.where(grown, self.physique.weight(world, some, time), 0.0)  # a child grows on
        world.attributes.set_numbers(some, "weight_managed_from", weight)
        world.attributes.set_numbers(some, "weight_managed_since", time.astype(np.float64))
        world.attributes.set_numbers(some, "weight_managed_loss", loss)
        world.attributes.set_flags(some, "weight_managed_kept", world.uniform(some) < KEPT)
        return adheres

    def _end(self, world: World, patients: Array) -> None:
        """Let the grown, whose course is over, go on from the weight that it left them."""
        numbers = world.attributes.numbers
        start = numbers(patients, "weight_managed_from", 0.0)
        over = start > 0
        some = patients[over]
        if not len(some):
            return
        kept = world.attributes.flags(some, "weight_managed_kept")
        left = start[over] * (1 - np.where(kept, numbers(some, "weight_managed_loss", 0.0), 0.0))
        world.attributes.clear(some, "weight_managed_since")
        world.attributes.clear(some, "weight_managed_from")
        more = np.maximum(self.physique.weight(world, some, world.people.now[some]) - left, 0)  # the old lose anyway
        world.attributes.set_numbers(some, "weight_taken_off", numbers(some, "weight_taken_off", 0.0) + more)
