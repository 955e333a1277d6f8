"""Lifecycle: smoking, drinking, work, marriage. Runs twice a year from the sixteenth birthday on.

Shares follow the study notes on the Java module of that name, which takes them from US surveys: smoking from the
National Health Interview Survey's trend, marriage and divorce from the Census.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.bodies import Physique, age_months
from verosim.patients.population import WEEK, Array, civil

if TYPE_CHECKING:
    from verosim.patients.world import World

EVERY: Final = 26  # weeks between runs
SMOKES_AT: Final = 16
DRINKS_AT: Final = 25
ALCOHOLIC: Final = 0.025
QUITS_SMOKING: Final = 0.01  # a week
QUITS_DRINKING: Final = 0.001
WORKS: Final = (18, 65)  # years
UNEMPLOYED: Final = 0.05
MARRIES_AT: Final = 28
MARRIES: Final = 0.8
AFTER: Final = {35: (0.35, 0.01), 45: (0.20, 0.03), 55: (0.10, 0.08)}  # of the married: divorced, widowed by then


def smokers(year: Array) -> Array:
    """The share (k,) of people who smoke, of those who turn sixteen in a year: 42.4 % before 1965, falling since."""
    return np.where(year < 1965, 0.424, np.clip(9.9641 - 0.004865 * year, 0, 1))


class Lifecycle:
    """The `Builtin` of that name."""

    name = "Lifecycle"
    attributes: Sequence[str] = (
        "smoker", "quit smoking age", "alcoholic", "quit alcoholism age", "marital_status", "unemployed",
        "unemployment", "bmi_percentile", "current_weight_length_percentile",
    )  # fmt: skip

    def __init__(self, physique: Physique) -> None:
        self.physique = physique

    def begin(self, world: World, patients: Array) -> Array:
        people = world.people
        return ((people.birthdays[patients, SMOKES_AT] - people.birth[patients]) // WEEK + 1).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        people, now = world.people, world.people.now[patients]
        age = people.age(patients, now)
        before = people.age(patients, np.maximum(now - EVERY * WEEK, people.birth[patients]))
        self._habits(world, patients, age, before)
        self._work(world, patients[(age >= WORKS[0]) & (age < WORKS[1])])
        self._marry(world, patients, age, before)
        return np.where(age < 110, people.step[patients] + EVERY, NOT_AGAIN).astype(np.int32)

    def measured(self, world: World, patients: Array, encounters: Array) -> None:
        """Percentiles of children, which modules read as attributes: set when a visit opens."""
        time = world.people.now[patients]
        months = age_months(world.people, patients, time)
        infant, child = months <= 36, (months >= 24) & (months < 240)
        if infant.any():
            share = self.physique.weight_for_length(world, patients[infant], time[infant])
            world.attributes.set_numbers(patients[infant], "current_weight_length_percentile", share)
        if child.any():
            bmi = self.physique.measure(world, patients[child], "BMI", time[child])
            share = self.physique.percentile(world.people, patients[child], "BMI", bmi, time[child])
            world.attributes.set_numbers(patients[child], "bmi_percentile", share)

    def _habits(self, world: World, patients: Array, age: Array, before: Array) -> None:
        year = civil(world.people.now[patients])[0]
        for habit, starts, share, quits, quit_age in (
            ("smoker", SMOKES_AT, smokers(year), QUITS_SMOKING, "quit smoking age"),
            ("alcoholic", DRINKS_AT, np.full(len(patients), ALCOHOLIC), QUITS_DRINKING, "quit alcoholism age"),
        ):
            begins = (age >= starts) & (before < starts)
            if begins.any():
                world.attributes.set_flags(patients[begins], habit, world.uniform(patients[begins]) < share[begins])
            has = np.flatnonzero((before >= starts) & world.attributes.flags(patients, habit))
            stops = has[world.uniform(patients[has]) < 1 - (1 - quits) ** EVERY]
            if len(stops):
                world.attributes.set_flags(patients[stops], habit, False)
                world.attributes.set_numbers(patients[stops], quit_age, age[stops].astype(np.float64))

    def _work(self, world: World, patients: Array) -> None:
        if len(patients):
            share = world.attributes.numbers(patients, "unemployment", UNEMPLOYED)
            world.attributes.set_flags(patients, "unemployed", world.uniform(patients) < share)

    def _marry(self, world: World, patients: Array, age: Array, before: Array) -> None:
        first = patients[(age >= MARRIES_AT) & (before < MARRIES_AT)]
        if len(first):
            married = world.uniform(first) < MARRIES
            world.attributes.set_texts(first[married], "marital_status", "M")
            world.attributes.set_texts(first[~married], "marital_status", "S")
        for years, (divorced, widowed) in AFTER.items():
            those = patients[(age >= years) & (before < years)]
            those = those[world.attributes.is_text(those, "marital_status", "M")]
            if len(those):
                u = world.uniform(those)
                world.attributes.set_texts(those[u < divorced], "marital_status", "D")
                world.attributes.set_texts(those[(u >= divorced) & (u < divorced + widowed)], "marital_status", "W")
