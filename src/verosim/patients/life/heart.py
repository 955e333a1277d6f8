"""Cardiovascular Disease: risks of heart attack, stroke and atrial fibrillation, attributes that modules draw by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life import risks
from verosim.patients.life.bodies import Physique
from verosim.patients.population import Array

if TYPE_CHECKING:
    from verosim.patients.world import World

MONTH: Final = 30 / 3652.5  # of the ten years that the equations look ahead
WEEK: Final = 7 / 3652.5
IHD: Final = 5  # ischemic heart disease is found so many times as often as a heart attack strikes
ADULT: Final = 20  # years
COHORT: Final = (40, 79)  # years that the pooled cohort equations were made for: nothing is foretold outside of them
FRAMINGHAM: Final = 55  # years from which on a stroke is foretold by points; before, by how many have had one
YOUNG_STROKE: Final = {20: (0.002, 0.007), 40: (0.019, 0.022)}  # prevalence to 39 and to 59, men and women (AHA 2014)
EVERY: Final = 52  # weeks between looks at the risk
READ: Final = ("Systolic Blood Pressure", "Total Cholesterol", "HDL")


class Heart:
    """The `Builtin` of that name: sets the risks from twenty years, once a year."""

    name = "Cardiovascular Disease"
    attributes: Sequence[str] = (
        "mi_risk", "ihd_risk", "stroke_risk", "atrial_fibrillation_risk", "smoker", "diabetes", "hypertension",
        "blood_pressure_controlled", "coronary_heart_disease", "atrial_fibrillation", "race",
    )  # fmt: skip

    def __init__(self, physique: Physique) -> None:
        self.physique = physique

    def begin(self, world: World, patients: Array) -> Array:
        """Nothing happens before twenty years: the first run is the week after the birthday."""
        people = world.people
        return ((people.birthdays[patients, ADULT] - people.birth[patients]) // (7 * 86_400_000) + 1).astype(np.int32)

    def run(self, world: World, patients: Array) -> Array:
        people = world.people
        age = people.age(patients, people.now[patients])
        for name, values in self._risks(world, patients, age.astype(np.float64)).items():
            world.attributes.set_numbers(patients, name, values)
        return np.where(age < 110, people.step[patients] + EVERY, NOT_AGAIN).astype(np.int32)

    def _risks(self, world: World, patients: Array, age: Array) -> dict[str, Array]:
        """The attributes (k,) that modules draw by, each the chance of the period that it is drawn for."""

        def flag(name: str) -> Array:
            return world.attributes.flags(patients, name)

        female, black = ~world.people.male[patients], world.attributes.is_text(patients, "race", "black")
        systolic, total, hdl = self.physique.usual(world, patients, READ)
        smoker, diabetes, ill = flag("smoker"), flag("diabetes"), flag("coronary_heart_disease")
        treated, flutter = flag("blood_pressure_controlled"), world.attributes.known(patients, "atrial_fibrillation")
        hypertension = flag("hypertension")
        attack = risks.ascvd(age, female, black, total, np.maximum(hdl, 10), systolic, hypertension, smoker, diabetes)
        attack = risks.within(np.where((age >= COHORT[0]) & (age <= COHORT[1]), attack, 0.0), MONTH)
        stroke = risks.stroke(age, female, systolic, treated, diabetes, smoker, ill, flutter)
        stroke = np.where(age < FRAMINGHAM, _young(age, female), stroke)
        bmi = self.physique.measure(world, patients, "BMI", world.people.now[patients])
        fibrillation = np.where(flutter, 0.0, risks.atrial_fibrillation(age, female, bmi, systolic, treated))
        return {
            "mi_risk": attack,
            "ihd_risk": np.minimum(IHD * attack, 1.0),
            "stroke_risk": risks.within(stroke, WEEK),
            "atrial_fibrillation_risk": risks.within(fibrillation, WEEK),
        }


def _young(age: Array, female: Array) -> Array:
    """Ten years' chance (k,) of a stroke before Framingham's years: as many as have had one at that age."""
    group = np.where(age < 40, 0, 1)
    return np.array(list(YOUNG_STROKE.values()))[group, female.astype(np.int64)]
