"""Stand-ins for life: people without a place, vital signs that do not change. For tests of modules alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from verosim.patients.hooks import Builtin, Finisher
from verosim.patients.population import DAY, Array, Attributes, Population, instant, salt
from verosim.patients.world import World

USUAL: Final[Mapping[str, float]] = {
    "Height": 170, "Weight": 75, "BMI": 26, "Systolic Blood Pressure": 122, "Diastolic Blood Pressure": 78,
    "Heart Rate": 72, "Respiration Rate": 14, "Oxygen Saturation": 97, "Glucose": 90, "Blood Glucose": 5.4,
    "Urea Nitrogen": 13, "Calcium": 9.4, "Sodium": 140, "Potassium": 4.2, "Chloride": 103, "Carbon Dioxide": 25,
    "Creatinine": 0.9, "EGFR": 95, "Total Cholesterol": 180, "Triglycerides": 120, "LDL": 105, "HDL": 51,
    "Microalbumin Creatinine Ratio": 10, "Left ventricular Ejection fraction": 60, 
    "Head Circumference": 55, "Head Circumference Percentile": 50,
}  # fmt: skip


class PlainPeople:
    """People of a few attributes, born evenly over the last 90 years; end: the end of the simulation."""

    attributes: Sequence[str] = ("gender", "race", "ethnicity", "state", "socioeconomic_category")

    def __init__(self, end: int = instant(2026, 6, 1), age: tuple[float, float] = (0, 90)) -> None:
        self.end, self.age = end, age

    def born(self, people: Population, attributes: Attributes, patients: Array) -> None:
        low, high = self.age
        age = low + (high - low) * people.chance(patients, salt("age"))
        people.born(patients, self.end - (age * 365.25 * DAY).astype(np.int64))
        people.stop[patients] = self.end
        male = people.chance(patients, salt("sex")) < 0.5
        people.male[patients] = male
        texts = attributes.texts
        attributes.set_texts(patients, "gender", np.where(male, texts("M"), texts("F")))
        people.race[patients] = texts("white")
        for name, text in (("race", "white"), ("ethnicity", "nonhispanic"), ("state", "Massachusetts"),
                           ("socioeconomic_category", "Middle")):  # fmt: skip
            attributes.set_texts(patients, name, text)


class PlainVitals:
    """The same for everybody, always."""

    def __init__(self, values: Mapping[str, float] = USUAL) -> None:
        self.values, self.names = values, tuple(values)

    def read(self, world: World, patients: Array, name: str, time: Array) -> Array:
        return np.full(len(patients), float(self.values[name]))

    def reads(self, world: World, patients: Array, names: Sequence[str], time: Array) -> list[Array]:
        return [self.read(world, patients, name, time) for name in names]


class PlainLife:
    """No builtins, nothing to finish."""

    def __init__(self, people: PlainPeople | None = None, builtins: Sequence[Builtin] = ()) -> None:
        self.demographics, self.vitals = people or PlainPeople(), PlainVitals()
        self.builtins: Sequence[Builtin] = tuple(builtins)
        self.finishers: Sequence[Finisher] = ()
