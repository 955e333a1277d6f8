"""Published risk equations against the worked examples of their papers."""

from __future__ import annotations

import numpy as np
import pytest

from verosim.patients.life import risks

NO, YES = np.array([False]), np.array([True])


def one(value: float) -> np.ndarray:
    return np.array([float(value)])


@pytest.mark.parametrize(  # Goff and others 2014, table A: 55 years, cholesterol 213, HDL 50, untreated 120, no smoker
    ("female", "black", "printed"), [(True, False, 2.1), (True, True, 3.0), (False, False, 5.3), (False, True, 6.1)]
)
def test_pooled_cohort_equations_give_the_papers_example(female: bool, black: bool, printed: float) -> None:
    sex, race = np.array([female]), np.array([black])
    chance = risks.ascvd(one(55), sex, race, one(213), one(50), one(120), NO, NO, NO)
    assert chance * 100 == pytest.approx([printed], abs=0.1)  # the paper's own steps are rounded


def test_each_risk_factor_raises_the_pooled_risk() -> None:
    at = [risks.ascvd(one(60), NO, NO, one(213), one(50), one(120), *flags)[0] for flags in
          [(NO, NO, NO), (YES, NO, NO), (NO, YES, NO), (NO, NO, YES)]]  # fmt: skip
    assert all(chance > at[0] for chance in at[1:])


def test_atrial_fibrillation_by_points() -> None:
    # a man of 67: 5; BMI 31: 1; systolic 165: 1; treated: 1; 8 points are 16 %
    assert risks.atrial_fibrillation(one(67), NO, one(31), one(165), YES) == pytest.approx([0.16])
    # a woman of 47 with none of it: -3 points are at most 1 %
    assert risks.atrial_fibrillation(one(47), YES, one(22), one(110), NO) == pytest.approx([0.01])
    assert risks.atrial_fibrillation(one(30), NO, one(31), one(165), YES) == pytest.approx([0.0])


def test_stroke_by_points() -> None:
    # a man of 70: 5; untreated 160: 6; diabetes: 2; smoker: 3; 16 points are 22 %
    assert risks.stroke(one(70), NO, one(160), NO, YES, YES, NO, NO) == pytest.approx([0.22])
    # a woman of 66: 4; treated 128: 5; fibrillation: 6; 15 points are 16 %
    assert risks.stroke(one(66), YES, one(128), YES, NO, NO, NO, YES) == pytest.approx([0.16])
    assert risks.stroke(one(40), YES, one(128), YES, NO, NO, NO, YES) == pytest.approx([0.0])


def test_filtration_and_its_inverse() -> None:
    # CKD-EPI 2021 by hand: a woman of 50 with .7 mg/dL: 142 x .9938^50 x 1.012 = 105.3
    assert risks.egfr(one(0.7), one(50), YES) == pytest.approx([105.31], abs=0.05)
    # a man of 60 with 1.8 mg/dL: 142 x 2^-1.2 x .9938^60 = 42.56
    assert risks.egfr(one(1.8), one(60), NO) == pytest.approx([42.56], abs=0.05)
    filtration, age = np.array([120.0, 90, 60, 30, 8]), np.full(5, 55.0)
    for sex in (np.zeros(5, bool), np.ones(5, bool)):
        assert risks.egfr(risks.creatinine_of(filtration, age, sex), age, sex) == pytest.approx(filtration)


def test_friedewald_and_the_part_of_a_risk() -> None:
    assert risks.ldl(one(200), one(50), one(150)) == pytest.approx([120.0])
    weekly = risks.within(one(0.2), 7 / 3652.5)
    assert 1 - (1 - weekly) ** (3652.5 / 7) == pytest.approx([0.2])


def test_a_risk_is_the_same_for_one_as_among_many() -> None:
    random = np.random.Generator(np.random.Philox(4))
    n = 200
    numbers = [random.uniform(low, high, n) for low, high in ((40, 79), (130, 300), (20, 90), (90, 190))]
    flags = [random.random(n) < 0.5 for _ in range(5)]
    age, total, hdl, systolic = numbers
    female, black, treated, smoker, diabetes = flags
    given = (age, female, black, total, hdl, systolic, treated, smoker, diabetes)
    alone = [risks.ascvd(*(x[i : i + 1] for x in given))[0] for i in range(n)]
    assert np.array_equal(risks.ascvd(*given), alone)
