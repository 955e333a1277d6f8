"""Risks of the heart and the brain, and clinical equations: published formulas, each over arrays of people.

Every function says where its numbers come from; each is checked by the worked examples of its paper.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# --------------------------------------------------------------------------------- heart attack and stroke, ten years

# Pooled cohort equations: Goff and others, Circulation 2014, 129 (25 suppl 2) S49-S73, appendix 7, table A.
# Columns: women white, women black, men white, men black.
_TERMS: Final = np.array([
    [-29.799, 17.114, 12.344, 2.469],  # ln age
    [4.884, 0.0, 0.0, 0.0],            # (ln age)^2
    [13.540, 0.940, 11.853, 0.302],    # ln total cholesterol
    [-3.114, 0.0, -2.664, 0.0],        # ... times ln age
    [-13.578, -18.920, -7.990, -0.307],  # ln HDL
    [3.149, 4.475, 1.769, 0.0],        # ... times ln age
    [2.019, 29.291, 1.797, 1.916],     # ln systolic pressure, treated
    [0.0, -6.432, 0.0, 0.0],           # ... times ln age
    [1.957, 27.820, 1.764, 1.809],     # ln systolic pressure, untreated
    [0.0, -6.087, 0.0, 0.0],           # ... times ln age
    [7.574, 0.691, 7.837, 0.549],      # smoker
    [-1.665, 0.0, -1.795, 0.0],        # ... times ln age
    [0.661, 0.874, 0.658, 0.645],      # diabetes
])  # fmt: skip
_MEANS: Final = np.array([-29.18, 86.61, 61.18, 19.54])
_SURVIVAL: Final = np.array([0.9665, 0.9533, 0.9144, 0.8954])


def ascvd(
    age: Floats, female: Flags, black: Flags, cholesterol: Floats, hdl: Floats, systolic: Floats,
    treated: Flags, smoker: Flags, diabetes: Flags,
) -> Floats:  # fmt: skip
    """The chance (n,) of a first heart attack or stroke within ten years, by the pooled cohort equations.

    Ages are held within the 40 to 79 years that they were made for; cholesterols in mg/dL, pressure in mmHg.
    """
    a, c, h, p = np.log(np.clip(age, 40, 79)), np.log(cholesterol), np.log(hdl), np.log(systolic)
    on, off = treated * p, ~treated * p
    terms = np.array([a, a * a, c, c * a, h, h * a, on, on * a, off, off * a, smoker * 1.0, smoker * a, diabetes * 1.0])
    group = np.where(female, 0, 2) + black
    score = np.cumsum(_TERMS[:, group] * terms, axis=0)[-1]  # term by term: `sum` adds one person's in another order
    return 1 - _SURVIVAL[group] ** np.exp(score - _MEANS[group])


# --------------------------------------------------------------------------------- atrial fibrillation, ten years

# Framingham: Schnabel and others, Lancet 2009, 373: 739-745, figure 3 (points for age in five years from 45).
_AF_MEN: Final = np.array([1, 2, 3, 4, 5, 6, 7, 7, 8])
_AF_WOMEN: Final = np.array([-3, -2, 0, 1, 3, 4, 6, 7, 8])
_AF_RISK: Final = np.array([0.01, 0.02, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.22, 0.30])


def atrial_fibrillation(age: Floats, female: Flags, bmi: Floats, systolic: Floats, treated: Flags) -> Floats:
    """The chance (n,) of atrial fibrillation within ten years, by Framingham points; 0 below 45 years.

    The PR interval, murmurs and heart failure, which also have points, are taken as absent.
    """
    band = np.clip((age - 45) // 5, 0, 8).astype(np.int64)
    points = np.where(female, _AF_WOMEN[band], _AF_MEN[band])
    points = points + (bmi >= 30) + (systolic >= 160) + treated
    return np.where(age >= 45, _AF_RISK[np.clip(points, 0, 10)], 0.0)


# --------------------------------------------------------------------------------- stroke, ten years

# Framingham: D'Agostino and others, Stroke 1994, 25: 40-43, tables 3 and 4. Lower edges of ten points' bands.
_STROKE_AGE: Final = (
    np.array([57, 60, 63, 65, 68, 71, 74, 77, 79, 82]),  # women
    np.array([57, 60, 63, 66, 69, 73, 76, 79, 82, 85]),  # men
)
_STROKE_UNTREATED: Final = (
    np.array([95, 107, 119, 131, 144, 156, 168, 181, 193, 205]),
    np.array([106, 116, 126, 136, 146, 156, 166, 176, 186, 196]),
)
_STROKE_TREATED: Final = (
    np.array([95, 107, 114, 120, 126, 132, 140, 149, 161, 205]),
    np.array([106, 113, 118, 124, 130, 136, 143, 151, 162, 177]),
)
_STROKE_RISK: Final = (
    np.array([1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 8, 9, 11, 13, 16, 19, 23, 27, 32, 37, 43, 50, 57, 64, 71, 78, 84]) / 100,
    np.array([
        3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10, 11, 13, 15, 17, 20, 22, 26, 29, 33, 37, 42, 47, 52, 57, 63, 68, 74, 79, 84,
        88,
    ]) / 100,
)  # fmt: skip
_EXTRAS: Final = np.array([[3, 3, 2, 6, 4], [2, 3, 4, 4, 5]])  # diabetes, smoking, heart disease, fibrillation, LVH


def stroke(
    age: Floats, female: Flags, systolic: Floats, treated: Flags, diabetes: Flags, smoker: Flags,
    heart_disease: Flags, fibrillation: Flags,
) -> Floats:  # fmt: skip
    """The chance (n,) of a stroke within ten years, by Framingham points; 0 below 54 years.

    Left ventricular hypertrophy, which also has points, is taken as absent.
    """
    chance = np.zeros(len(age))
    for sex, them in enumerate((female, ~female)):
        points = np.searchsorted(_STROKE_AGE[sex], np.floor(age[them]), side="right")
        p = np.round(systolic[them])
        on, off = (np.searchsorted(t[sex], p, side="right") for t in (_STROKE_TREATED, _STROKE_UNTREATED))
        points = points + np.where(treated[them], on, off)
        facts = np.array([diabetes[them], smoker[them], heart_disease[them], fibrillation[them]])
        points = points + _EXTRAS[sex, :4] @ facts
        chance[them] = _STROKE_RISK[sex][np.clip(points, 0, len(_STROKE_RISK[sex]) - 1)]
    return np.where(age >= 54, chance, 0.0)


def within(chance: Floats, part: float | Floats) -> Floats:
    """The chance (n,) over a part of the time: 1 - (1 - chance)^part, as if the hazard were even.

    >>> within(np.array([0.19]), 0.5).round(2)
    array([0.1])
    """
    return 1 - (1 - np.clip(chance, 0, 1)) ** part


# --------------------------------------------------------------------------------- the kidney, the blood


def egfr(creatinine: Floats, age: Floats, female: Flags) -> Floats:
    """Filtration (n,) in mL/min/1.73 m2 from creatinine in mg/dL: CKD-EPI 2021 (Inker and others, NEJM 2021)."""
    kappa, alpha = np.where(female, 0.7, 0.9), np.where(female, -0.241, -0.302)
    ratio = creatinine / kappa
    base = 142 * np.minimum(ratio, 1) ** alpha * np.maximum(ratio, 1) ** -1.2
    return base * 0.9938**age * np.where(female, 1.012, 1.0)


def creatinine_of(filtration: Floats, age: Floats, female: Flags) -> Floats:
    """Creatinine (n,) in mg/dL that gives this filtration: the inverse of `egfr`."""
    kappa, alpha = np.where(female, 0.7, 0.9), np.where(female, -0.241, -0.302)
    rest = filtration / (142 * 0.9938**age * np.where(female, 1.012, 1.0))
    return kappa * np.where(rest >= 1, rest ** (1 / alpha), rest ** (1 / -1.2))


def mean_glucose(hba1c: Floats) -> Floats:
    """The mean glucose (n,) in mg/dL behind a share of glycated haemoglobin in % (ADAG: Nathan and others, 2008).

    >>> mean_glucose(np.array([6.0, 7.0]))
    array([125.5, 154.2])
    """
    return 28.7 * hba1c - 46.7


def ldl(cholesterol: Floats, hdl: Floats, triglycerides: Floats) -> Floats:
    """LDL cholesterol (n,) in mg/dL (Friedewald and others, 1972)."""
    return cholesterol - hdl - triglycerides / 5
