"""Lifecycle: smoking, drinking, work, marriage, falls, the days left. Runs twice a year from the sixteenth birthday on.

Also whenever somebody gives up a habit, and every week once a death is certain. Shares are those of the Java module of
that name, which takes them from US surveys: smoking from the National Health Interview Survey's trend, marriage,
divorce and widowhood from the Census (P70-167, 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.bodies import Physique, age_months
from verosim.patients.population import DAY, NEVER, WEEK, Array, civil

if TYPE_CHECKING:
    from verosim.patients.world import World

EVERY: Final = 26  # weeks between runs
STARTS_AT: Final = 16  # years
WORKS: Final = 18  # years
UNEMPLOYED: Final = 0.05
FALLS_AT: Final = 65
FALLS: Final = (0.035, 0.06)  # a year; the second with osteoporosis
MARRIES_AT: Final = 28
MARRIES: Final = 0.8
AFTER: Final = {35: (0.18, 0.02), 45: (0.02, 0.03), 55: (0.05, 0.06)}  # of the married: divorced, widowed by then


def smokers(year: Array) -> Array:
    """The share (k,) of people who smoke, of those who turn sixteen in a year: 42.4 % before 1965, falling since."""
    return np.where(year < 1965, 0.424, np.clip(9.9641 - 0.004865 * year, 0, 1))


@dataclass(frozen=True, slots=True)
class Habit:
    """Begins at an age for some, and is given up by so many of them each week."""

    name: str
    begins: int  # years
    share: Callable[[Array], Array]  # of those who reach that age in a year
    gives_up: float  # a week
    quit_age: str  # the attribute that keeps the age at which it was given up

    @property
    def until(self) -> str:
        """The attribute that keeps the week of life in which it will be given up."""
        return f"{self.name} until"


HABITS: Final = (
    Habit("smoker", 16, smokers, 0.01, "quit smoking age"),
    Habit("alcoholic", 25, lambda year: np.full(len(year), 0.025), 0.001, "quit alcoholism age"),
)


class Lifecycle:
    """The `Builtin` of that name."""

    name = "Lifecycle"
    attributes: Sequence[str] = (
        *(name for habit in HABITS for name in (habit.name, habit.until, habit.quit_age)),
        "marital_status", "unemployed", "unemployment", "bmi_percentile", "current_weight_length_percentile",
        "probability_of_fall_injury", "osteoporosis", "days_until_death",
    )  # fmt: skip

    def __init__(self, physique: Physique) -> None:
        self.physique = physique

    def begin(self, world: World, patients: Array) -> Array:
        people = world.people
        return ((people.birthdays[patients, STARTS_AT] - people.birth[patients]) // WEEK + 1).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        people, step = world.people, world.people.step[patients]
        since = step - self.begin(world, patients)
        regular = (since >= 0) & (since % EVERY == 0)
        self._years(world, patients[regular])
        again = np.minimum(step + EVERY - since % EVERY, self._give_up(world, patients))
        again = np.where(self._number_days(world, patients), step + 1, again)
        return np.where(people.age(patients, people.now[patients]) < 110, again, NOT_AGAIN).astype(np.int32)

    def _years(self, world: World, patients: Array) -> None:
        """What comes with the years."""
        people, now = world.people, world.people.now[patients]
        age = people.age(patients, now)
        before = people.age(patients, np.maximum(now - EVERY * WEEK, people.birth[patients]))
        for habit in HABITS:
            first = (age >= habit.begins) & (before < habit.begins)
            self._begin(world, patients[first], habit)
        self._work(world, patients[age >= WORKS])
        self._marry(world, patients, age, before)
        old = patients[age >= FALLS_AT]
        weak = world.attributes.flags(old, "osteoporosis")
        world.attributes.set_numbers(old, "probability_of_fall_injury", np.where(weak, FALLS[1], FALLS[0]))

    def _number_days(self, world: World, patients: Array) -> Array:
        """Tell how many days are left where a death is certain; where it is (k,)."""
        left = world.people.death[patients] - world.people.now[patients]
        certain = world.people.death[patients] != NEVER
        world.attributes.set_numbers(patients[certain], "days_until_death", left[certain] // DAY)
        return certain

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

    def _begin(self, world: World, patients: Array, habit: Habit) -> None:
        """Let some take up a habit, and know in which week they will give it up."""
        if not len(patients):
            return
        year = civil(world.people.now[patients])[0]
        has = world.uniform(patients) < habit.share(year)
        world.attributes.set_flags(patients, habit.name, has)
        some = patients[has]
        weeks = np.floor(np.log1p(-world.uniform(some)) / np.log1p(-habit.gives_up))
        world.attributes.set_numbers(some, habit.until, world.people.step[some] + weeks)

    def _give_up(self, world: World, patients: Array) -> Array:
        """Let habits end in their week; the week (k,) in which the next one will."""
        people, attributes = world.people, world.attributes
        soonest = np.full(len(patients), float(NOT_AGAIN))
        for habit in HABITS:
            until = attributes.numbers(patients, habit.until, NOT_AGAIN)
            over = until <= people.step[patients]
            soonest = np.minimum(soonest, np.where(over, NOT_AGAIN, until))
            some = patients[over]
            attributes.set_flags(some, habit.name, False)
            age = people.age(some, people.now[some])
            attributes.set_numbers(some, habit.quit_age, age.astype(np.float64))
            attributes.clear(some, habit.until)
        return soonest

    def _work(self, world: World, patients: Array) -> None:
        """Whoever is out of work finds some; of the others a share loses it."""
        if len(patients):
            share = world.attributes.numbers(patients, "unemployment", UNEMPLOYED)
            out = world.attributes.flags(patients, "unemployed")
            world.attributes.set_flags(patients, "unemployed", ~out & (world.uniform(patients) < share))

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
