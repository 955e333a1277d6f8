"""Vital signs and laboratory values: each a function of the person, the day and what ails them.

A value is its usual range at a quantile, and the quantile has a memory: most of it is the person's own, held for life,
the rest is the season's and the day's (of HDL, whose range is narrow, nearly all is). Values that hang together share
their quantiles: HbA1c and glucose, the lipids, creatinine and filtration, the two blood pressures. So a person's
measurements of one day agree, those of one person are alike, and over people every value keeps the range that it is
asked to have.

Ranges are the usual reference intervals of adults (MedlinePlus), in the units written beside them. Users who give a
`biometrics.yml` get that file's (see `resources`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from verosim.normal import normal_share
from verosim.patients.life import risks

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Range = tuple[float, float]

OWN: Final = 0.6  # share of a value's variance that is the person's for life, ...
SEASON: Final = 0.25  # ... that is this month's; the rest is this day's
PER_PERCENT: Final = 0.85 * 28.7  # mg/dL of fasting glucose for a percent of HbA1c (ADAG: Nathan and others, 2008)
HIGH_CHOLESTEROL: Final = 0.114  # of adults: 240 mg/dL and more (NCHS Data Brief 363, 2020)
LOW_HDL: Final = (0.085, 0.266)  # of women and of men: below 40 mg/dL (ibid.)


@dataclass(frozen=True, slots=True)
class Ranges:
    """The usual ranges of every value that is drawn from one: (low, high)."""

    systolic: Range = (100, 139)  # mmHg
    diastolic: Range = (65, 89)
    systolic_high: Range = (140, 160)  # of people with hypertension, before what drugs do
    systolic_severe: Range = (160, 185)  # where it is severe
    diastolic_high: Range = (90, 110)
    heart_rate: Range = (60, 100)  # per minute
    respiration: Range = (12, 16)
    oxygen: Range = (95, 99)  # %
    oxygen_low: Range = (75, 89)  # with hypoxemia
    temperature: Range = (36.5, 37.5)  # degrees Celsius
    cholesterol: tuple[float, ...] = (160, 200, 239, 259, 279, 300)  # mg/dL; by severity of diabetes, from 1 up
    triglycerides: tuple[float, ...] = (100, 150, 199, 499, 550, 600)
    hdl: tuple[float, ...] = (80, 59, 40, 30, 25, 20)  # the more severe, the lower
    hba1c: tuple[Range, Range, Range] = ((5.0, 5.7), (5.8, 6.4), (6.6, 12.0))  # %: normal, prediabetes and diabetes
    hba1c_least: float = 4.6  # treatment brings it to normal, not below
    glucose: tuple[float, ...] = (70, 100, 125, 200)  # mg/dL, fasting: ends of normal, prediabetes and diabetes
    microalbumin: tuple[float, ...] = (2, 17, 30, 300, 600)  # mg/g: normal, controlled, not controlled, proteinuria
    egfr: tuple[float, ...] = (130, 90, 60, 30, 15, 5)  # mL/min: the ends of stages none to 5 of kidney disease
    urea_nitrogen: Range = (7, 20)  # mg/dL
    carbon_dioxide: Range = (20, 29)  # mmol/L
    chloride: Range = (98, 107)
    potassium: Range = (3.6, 5.2)
    sodium: Range = (136, 145)
    calcium: Range = (8.6, 10.2)  # mg/dL
    ejection: Range = (55, 70)  # %, left ventricle


class Who(Protocol):
    """What a value depends on, of k people at one reading each: their bodies, their ailments, their drugs."""

    @property
    def age(self) -> Floats: ...  # (k,) years
    @property
    def female(self) -> Flags: ...
    @property
    def bmi(self) -> Floats: ...
    @property
    def hypertension(self) -> Flags: ...
    @property
    def severe(self) -> Flags: ...  # hypertension
    @property
    def diabetes(self) -> Flags: ...
    @property
    def prediabetes(self) -> Flags: ...
    @property
    def severity(self) -> Ints: ...  # of diabetes, 0 to 4
    @property
    def kidney(self) -> Ints: ...  # stage of kidney disease, 0 to 5
    @property
    def pressure_drugs(self) -> Floats: ...  # mmHg that drugs take off the systolic pressure
    @property
    def sugar_drugs(self) -> Floats: ...  # % that drugs take off HbA1c
    @property
    def hypoxemia(self) -> Flags: ...

    def normals(self, topic: str) -> Floats:
        """Standard normals (k,) of `name:life`, `name:month` or `name:day`, the same whenever asked for the same."""
        ...


def level(who: Who, topic: str, own: float = OWN) -> Floats:
    """Standard normals (k,) with a memory: what the person (a share `own` of the variance), month and day add."""
    life, month, day = (who.normals(f"{topic}:{span}") for span in ("life", "month", "day"))
    season = SEASON * (1 - own) / (1 - OWN)
    return np.sqrt(own) * life + np.sqrt(season) * month + np.sqrt(1 - own - season) * day


def quantile(who: Who, topic: str) -> Floats:
    """The same as uniforms (k,)."""
    return normal_share(level(who, topic))


def between(ends: Range, u: Floats) -> Floats:
    """The value (k,) at u of an even range."""
    return ends[0] + (ends[1] - ends[0]) * u


def step(ends: tuple[float, ...], which: Ints, u: Floats) -> Floats:
    """The value (k,) at u of the range that a severity (k,) picks from a ladder of ends."""
    ladder = np.asarray(ends, dtype=np.float64)
    low = np.clip(which, 0, len(ladder) - 2)
    return ladder[low] + (ladder[low + 1] - ladder[low]) * u


def systolic(who: Who, r: Ranges) -> Floats:
    """Systolic pressure (k,) in mmHg; a child's grows with it (NHBPEP, Pediatrics 2004)."""
    u = quantile(who, "pressure")
    high = np.where(who.severe, between(r.systolic_severe, u), between(r.systolic_high, u))
    return _pressure(who, r.systolic, high, u, 1.0)


def diastolic(who: Who, r: Ranges) -> Floats:
    """Diastolic pressure (k,) in mmHg, which rises and falls with the systolic one (correlation about .7)."""
    z = level(who, "pressure")
    u = normal_share(0.7 * z + np.sqrt(1 - 0.49) * who.normals("diastolic:month"))
    return np.minimum(_pressure(who, r.diastolic, between(r.diastolic_high, u), u, 0.6), systolic(who, r) - 15)


def _pressure(who: Who, usual: Range, high: Floats, u: Floats, drugs: float) -> Floats:
    """A pressure (k,) at u, or `high` (k,) with hypertension, less what drugs then take off it."""
    young = np.clip(who.age / 18, 0.55, 1)
    value = np.where(who.hypertension, high, between(usual, u) * young)
    return value - np.where(who.female, 1, -1) - np.where(who.hypertension, who.pressure_drugs * drugs, 0)


def hba1c(who: Who, r: Ranges) -> Floats:
    """Glycated haemoglobin (k,) in %: normal, before diabetes, or with it: then about a quarter of the BMI."""
    z = level(who, "sugar")
    u, (normal, before, ill) = normal_share(z), r.hba1c
    with_it = np.clip(who.bmi / 4 + 0.3 * z, *ill)
    value = np.where(who.diabetes, with_it, np.where(who.prediabetes, between(before, u), between(normal, u)))
    return np.maximum(value - who.sugar_drugs, r.hba1c_least)


def glucose(who: Who, r: Ranges) -> Floats:
    """Fasting glucose (k,) in mg/dL, by how far diabetes has come; it goes with HbA1c, of which drugs take a part."""
    found = np.where(who.diabetes, 2, np.where(who.prediabetes, 1, 0))
    stage = np.where(who.severity > 0, np.minimum(who.severity, 2), found)
    u = normal_share(0.9 * level(who, "sugar") + np.sqrt(1 - 0.81) * who.normals("glucose:day"))
    lower = PER_PERCENT * np.where(stage > 0, who.sugar_drugs, 0.0)
    return np.maximum(step(r.glucose, stage, u) - lower, r.glucose[0])


def cholesterol(who: Who, r: Ranges) -> Floats:
    """Total cholesterol (k,) in mg/dL: high in some for life; by the severity of diabetes."""
    z = level(who, "cholesterol")
    high = normal_share(who.normals("high cholesterol:life")) < HIGH_CHOLESTEROL
    free = np.where(high, 280 + 20 * z, 170 + 30 * z)
    return np.where(who.severity == 0, free, step(r.cholesterol, who.severity, normal_share(z)))


def triglycerides(who: Who, r: Ranges) -> Floats:
    """Triglycerides (k,) in mg/dL."""
    return step(r.triglycerides, who.severity, quantile(who, "fat"))


def hdl(who: Who, r: Ranges) -> Floats:
    """HDL cholesterol (k,) in mg/dL: low in some for life, and where triglycerides are high.

    Within a person it swings by 7.3 % (Ricos and others, 1999), to which a laboratory adds 4 % (NCEP's limit): that is
    all but a sixth of the variance of those who have no low one, so nothing but triglycerides gives it a memory.
    """
    z = 0.5 * level(who, "fat") + np.sqrt(0.75) * level(who, "hdl", own=0.0)
    low = normal_share(who.normals("low hdl:life")) < np.where(who.female, *LOW_HDL)
    free = np.where(low, 30 - 3 * z, 55 - 5 * z)
    return np.where(who.severity == 0, free, step(r.hdl, who.severity, normal_share(z)))  # the ladder leads down


def ldl(who: Who, r: Ranges) -> Floats:
    """LDL cholesterol (k,) in mg/dL: what the other three leave."""
    return np.maximum(risks.ldl(cholesterol(who, r), hdl(who, r), triglycerides(who, r)), 25.0)


def filtration(who: Who, r: Ranges) -> Floats:
    """Estimated glomerular filtration (k,) in mL/min/1.73 m2, within the stage of kidney disease."""
    z = level(who, "kidney")
    healthy = np.clip(140 - 0.9 * who.age + 12 * z, r.egfr[1], r.egfr[0])
    return np.where(who.kidney == 0, healthy, step(r.egfr, who.kidney, normal_share(z)))


def creatinine(who: Who, r: Ranges) -> Floats:
    """Creatinine (k,) in mg/dL: that which gives the same reading's filtration."""
    return risks.creatinine_of(filtration(who, r), np.maximum(who.age, 18), who.female)


def microalbumin(who: Who, r: Ranges) -> Floats:
    """Microalbumin to creatinine (k,) in mg/g, by the severity of the kidney's disease."""
    return step(r.microalbumin, np.clip(who.kidney, 0, 3), quantile(who, "albumin"))


def _plain(field: str) -> Callable[[Who, Ranges], Floats]:
    def value(who: Who, r: Ranges) -> Floats:
        return between(getattr(r, field), quantile(who, field))

    return value


def urea(who: Who, r: Ranges) -> Floats:
    """Urea nitrogen (k,) in mg/dL, which a failing kidney holds back."""
    healthy = between(r.urea_nitrogen, quantile(who, "urea_nitrogen"))
    return healthy * np.clip(60 / filtration(who, r), 1, 4)


def oxygen(who: Who, r: Ranges) -> Floats:
    """Saturation (k,) in %."""
    u = quantile(who, "oxygen")
    return np.where(who.hypoxemia, between(r.oxygen_low, u), between(r.oxygen, u))


VITALS: Final[dict[str, Callable[[Who, Ranges], Floats]]] = {  # by the names that modules read them under
    "Systolic Blood Pressure": systolic,
    "Diastolic Blood Pressure": diastolic,
    "Heart Rate": _plain("heart_rate"),
    "Respiration Rate": _plain("respiration"),
    "Oxygen Saturation": oxygen,
    "Body Temperature": _plain("temperature"),
    "Blood Glucose": hba1c,  # modules write HbA1c under this name
    "Glucose": glucose,
    "Total Cholesterol": cholesterol,
    "Triglycerides": triglycerides,
    "HDL": hdl,
    "LDL": ldl,
    "EGFR": filtration,
    "Creatinine": creatinine,
    "Microalbumin Creatinine Ratio": microalbumin,
    "Urea Nitrogen": urea,
    "Carbon Dioxide": _plain("carbon_dioxide"),
    "Chloride": _plain("chloride"),
    "Potassium": _plain("potassium"),
    "Sodium": _plain("sodium"),
    "Calcium": _plain("calcium"),
    "Left ventricular Ejection fraction": _plain("ejection"),
}
