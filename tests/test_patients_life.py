"""What surrounds the modules, as functions over arrays: each truth worked by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import verosim as vs
from verosim.draws import stream
from verosim.patients.life import insurance, quality, vaccines, vitals
from verosim.patients.life.claims import running, split
from verosim.patients.life.costs import price, prices
from verosim.patients.life.demographics import of_country
from verosim.patients.life.facilities import facilities
from verosim.patients.life.insurance import Insured, choose, eligible
from verosim.patients.life.lifecycle import smokers
from verosim.patients.life.mortality import years_to_live
from verosim.patients.life.resources import Resources, growing, ranges
from verosim.patients.names import NONE
from verosim.patients.population import instant

OWN = Resources()
RESOURCES = Path(__file__).parents[2] / "shared" / "data" / "patients" / "resources"
needs_resources = pytest.mark.skipif(not RESOURCES.is_dir(), reason="no resources of Synthea's here")
N = 20_000


# --------------------------------------------------------------------------------------------- vital signs


@dataclass
class Person:
    """N readings, each of another person."""

    age: np.ndarray = field(default_factory=lambda: np.full(N, 50.0))
    female: np.ndarray = field(default_factory=lambda: np.arange(N) % 2 == 0)
    bmi: np.ndarray = field(default_factory=lambda: np.full(N, 28.0))
    hypertension: np.ndarray = field(default_factory=lambda: np.zeros(N, bool))
    severe: np.ndarray = field(default_factory=lambda: np.zeros(N, bool))
    diabetes: np.ndarray = field(default_factory=lambda: np.zeros(N, bool))
    prediabetes: np.ndarray = field(default_factory=lambda: np.zeros(N, bool))
    severity: np.ndarray = field(default_factory=lambda: np.zeros(N, np.int64))
    kidney: np.ndarray = field(default_factory=lambda: np.zeros(N, np.int64))
    pressure_drugs: np.ndarray = field(default_factory=lambda: np.zeros(N))
    sugar_drugs: np.ndarray = field(default_factory=lambda: np.zeros(N))
    hypoxemia: np.ndarray = field(default_factory=lambda: np.zeros(N, bool))
    day: int = 0

    def normals(self, topic: str) -> np.ndarray:
        when = {"life": 0, "month": self.day // 30, "day": self.day}[topic.rsplit(":", 1)[1]]
        return stream(7, topic, when).standard_normal(N)


def read(name: str, **facts: object) -> np.ndarray:
    return vitals.VITALS[name](Person(**facts), vitals.Ranges())  # type: ignore[arg-type]


def test_every_value_keeps_its_range_and_fills_it() -> None:
    for name, (low, high) in {"Sodium": (136, 145), "Potassium": (3.6, 5.2), "Heart Rate": (60, 100)}.items():
        values = read(name)
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))


def test_two_visits_of_a_person_are_alike_and_not_the_same() -> None:
    today, next_year = read("Sodium", day=0), read("Sodium", day=365)
    assert np.corrcoef(today, next_year)[0, 1] == pytest.approx(vitals.OWN, abs=0.03)  # the share held for life
    assert (read("Sodium", day=0) == today).all()


def test_hba1c_and_glucose_agree() -> None:
    stage = np.arange(N) % 3
    facts = {"prediabetes": stage == 1, "diabetes": stage == 2}
    hba1c, glucose = read("Blood Glucose", **facts), read("Glucose", **facts)
    assert np.corrcoef(hba1c, glucose)[0, 1] > 0.85
    assert hba1c.min() >= 4.6
    assert (hba1c[stage == 2] >= 6.4).all()
    assert ((hba1c[stage == 1] >= 5.6) & (hba1c[stage == 1] <= 6.4)).all()
    assert glucose.min() >= 55
    treated = read("Blood Glucose", **facts, sugar_drugs=np.full(N, 9.0))
    assert (treated >= 4.6).all()  # treatment does not take it below the physiological limit


def test_lipids_add_up_and_go_together() -> None:
    total, fat, hdl, ldl = (read(n) for n in ("Total Cholesterol", "Triglycerides", "HDL", "LDL"))
    assert ldl == pytest.approx(np.maximum(total - hdl - fat / 5, 25))
    assert np.corrcoef(fat, hdl)[0, 1] < -0.15


def test_creatinine_gives_the_filtration_of_its_stage() -> None:
    stage = np.arange(N) % 6
    filtration = read("EGFR", kidney=stage)
    for number, (low, high) in enumerate([(90, 130), (60, 90), (30, 60), (15, 30), (5, 15)]):
        some = filtration[stage == number]
        assert ((some >= low) & (some <= high)).all()
    creatinine = read("Creatinine", kidney=stage)
    assert vitals.risks.egfr(creatinine, np.full(N, 50.0), Person().female) == pytest.approx(filtration)


def test_blood_pressure() -> None:
    high = np.arange(N) % 2 == 0
    systolic, diastolic = (read(f"{n} Blood Pressure", hypertension=high) for n in ("Systolic", "Diastolic"))
    assert systolic[high].min() > 138
    assert systolic[~high].max() < 141
    assert (systolic - diastolic >= 15).all()
    assert np.corrcoef(systolic[~high], diastolic[~high])[0, 1] > 0.5
    drugs = read("Systolic Blood Pressure", hypertension=high, pressure_drugs=np.full(N, 20.0))
    assert systolic - drugs == pytest.approx(np.where(high, 20.0, 0.0))
    severe = read("Systolic Blood Pressure", hypertension=high, severe=high)
    assert severe[high].min() > 158


# --------------------------------------------------------------------------------------------- insurance and claims


def people(**facts: object) -> Insured:
    usual = {"age": 40, "income": 50_000.0, "disabled": False, "blind": False, "helped": True}
    columns = {k: np.array([facts.get(k, v)]) for k, v in usual.items()}
    pregnant, shares = np.array([facts.get("pregnant", False)]), np.array([insurance.MEDICAID])
    columns["medicaid"] = insurance.medicaid_limit(columns["age"], pregnant, shares)
    return Insured(**columns, poverty=15_000.0, previous=np.array([facts.get("previous", NONE)]))  # type: ignore[arg-type]


def rules_of(who: Insured, luck: float = 0.0) -> set[str]:
    offer = insurance.plans(OWN)
    return {offer.rule[i] for i in np.flatnonzero(eligible(offer, who, np.array([luck]))[0])}


def test_who_may_have_which_plan() -> None:
    assert rules_of(people()) == {"any", "subsidy 4.0"} - {"subsidy 4.0"}  # 50,000 is beyond three times the line
    assert "medicare" in rules_of(people(age=65))
    assert "medicare" in rules_of(people(disabled=True))
    assert "medicaid" in rules_of(people(income=19_000))  # to 1.33 times 15,000: 19,950
    assert "medicaid" not in rules_of(people(income=21_000))
    assert "medicaid" in rules_of(people(income=21_000, pregnant=True))  # to twice
    assert "medicaid" in rules_of(people(income=22_000, age=10))  # to 1.5 times
    assert "dual" in rules_of(people(income=10_000, age=70))
    assert "dual" not in rules_of(people(income=10_000, age=70), luck=0.9)  # one of those who are not taken


def chosen(who: Insured, u: float = 0.0) -> str | None:
    offer = insurance.plans(OWN)
    plan = int(choose(offer, who, np.array([0.0]), np.array([u]))[0])
    return None if plan == NONE else offer.name[plan]


def test_the_choice_of_a_plan() -> None:
    assert chosen(people(age=70)) == "Medicare"
    assert chosen(people(income=10_000)) == "Medicaid"
    assert chosen(people(income=10_000, age=70)) == "Medicare and Medicaid"
    # bronze: 340 x 12 x .17 = 694 a year, up to .034 of 50,000 = 1,700; silver 938, gold 1,020: all can be paid
    assert {chosen(people(), u) for u in (0.1, 0.5, 0.9)} == {"Bronze", "Silver", "Gold"}
    assert chosen(people(helped=False)) is None  # 4,080 is beyond 1,700
    offer = insurance.plans(OWN)
    silver = offer.name.index("Silver")
    assert {chosen(people(previous=silver), u) for u in (0.1, 0.5, 0.9)} == {"Silver"}


def test_a_year_of_claims_by_hand() -> None:
    # copay 50, deductible 100, the patient bears a fifth of the rest, at most 200 a year
    cost = np.array([80.0, 200, 1000, 1000])
    paid = split(cost, np.zeros(4), *(np.full(4, x) for x in (50.0, 100.0, 0.2, 200.0)))
    # 1: 50 + 30 of the deductible. 2: 50 + 70 and a fifth of 80, 16 more, are 136: only 120 are left of the 200
    left = cost - paid["covered"]
    assert left == pytest.approx([80, 120, 0, 0])
    assert paid["copay"] + paid["deductible"] + paid["coinsurance"] == pytest.approx(left)
    assert paid["deductible"][0] == pytest.approx(30)


def test_claims_of_another_year_begin_anew_and_the_uninsured_pay_all() -> None:
    cost, year = np.array([300.0, 300, 300]), np.array([0, 1, 2])
    infinite = np.array([100.0, 100, np.inf])
    paid = split(cost, year, np.zeros(3), infinite, np.array([0.5, 0.5, 1.0]), np.array([1e9, 1e9, np.inf]))
    assert paid["covered"] == pytest.approx([100, 100, 0])


def test_running_sums_begin_anew_with_each_group() -> None:
    assert running(np.array([1.0, 2, 4]), np.array([5, 5, 9])).tolist() == [1, 3, 4]
    assert running(np.zeros(0), np.zeros(0)).tolist() == []


# --------------------------------------------------------------------------------------------- vaccines


def test_the_schedule_of_a_child() -> None:
    hepb, flu = (next(v for v in vaccines.schedule(OWN) if v.name == name) for name in ("hepb", "influenza"))
    doses, none = vaccines.Doses([hepb, flu]), np.zeros((2, 1), np.int64)
    given, got = none, []
    for month in (0, 1, 2, 4, 6, 9):
        dose = doses.due(given, np.array([month]), np.array([2020]))
        given = np.maximum(given, dose)
        got.append(int(dose[0, 0]))
    assert got == [1, 2, 0, 0, 3, 0]
    assert doses.due(none, np.array([0]), np.array([1970]))[0].tolist() == [0]  # not yet invented
    assert doses.due(none, np.array([480]), np.array([2020]))[1, 0] == 37  # doses of the last four years count


def test_calendar_months() -> None:
    birth, time = np.array([instant(2000, 1, 31)]), np.array([instant(2000, 2, 29)])
    assert vaccines.whole_months(birth, time).tolist() == [0]
    assert vaccines.whole_months(birth, np.array([instant(2001, 3, 31)])).tolist() == [14]


# --------------------------------------------------------------------------------------------- quality, death, prices


def test_disability_combines_within_a_year() -> None:
    # two conditions, .2 and .5, in all of the second year: 1 - .8 x .5 = .6
    got = quality.disabilities(
        1, 3, np.zeros(2, np.int64), np.array([1.0, 1]), np.array([2.0, 2]), np.array([0.2, 0.5])
    )
    assert got == pytest.approx(np.array([[0, 0.6, 0]]))


def test_years_of_life_add_up() -> None:
    lost = np.array([[0.0, 0.6, 0.0], [0.1, 0.1, 0.0]])
    got = quality.lines(np.array([2.5, 2.0]), np.array([False, True]), lost).to_dicts()
    assert [row["qols"] for row in got] == [1.0, 0.4, 1.0, 0.9, 0.9]
    assert [row["qaly"] for row in got] == pytest.approx([1, 1.4, 1.9, 0.9, 1.8])
    assert got[2]["daly"] == pytest.approx(0.6)
    assert got[4]["daly"] == pytest.approx(0.2 + np.interp(2, quality.AGES, quality.LEFT), abs=0.001)


def test_natural_death_follows_the_life_table() -> None:
    u = (np.arange(N) + 0.5) / N
    women, men = (years_to_live(np.full(N, male), u) for male in (False, True))
    assert women.mean() == pytest.approx(81.3, abs=1.5)  # life expectancy, United States 2019
    assert men.mean() == pytest.approx(76.2, abs=1.5)
    assert (women < 65).mean() == pytest.approx(0.125, abs=0.03)


def test_smoking_falls_since_1965() -> None:
    assert smokers(np.array([1950, 1990, 2010])) == pytest.approx([0.424, 0.28275, 0.18545], abs=1e-4)


def test_prices_are_held_between_their_ends() -> None:
    ends = np.array([[5.0] * 3, [10.0] * 3, [20.0] * 3])
    assert price(ends, np.array([0.1, 0.5, 0.99])).tolist() == [5.0, 6.93, 20.0]


def test_the_nearest_facility_of_the_own_state() -> None:
    found = facilities(OWN, of_country("US"))
    home, state = found.where[[3, 9]], found.state[[3, 9]]
    hospitals = found.nearest(1, home, state)
    assert (found.sort[hospitals] == 1).all()
    assert found.where[hospitals] == pytest.approx(home)


# --------------------------------------------------------------------------------------------- the user's files


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "htn_drugs.csv").write_text("RxNorm\n1\n")
    with pytest.raises(vs.FileError, match=r"htn_drugs.csv: no column Systolic Impact Minimum"):
        Resources(tmp_path).table("htn_drugs.csv", ("RxNorm", "Systolic Impact Minimum"))
    (tmp_path / "immunization_schedule.json").write_text('{"a": {"code": {}}}')
    with pytest.raises(vs.FileError, match="'a' wants `code` and `at_months`"):
        vaccines.schedule(Resources(tmp_path))
    (tmp_path / "immunization_schedule.json").write_text("[")
    with pytest.raises(vs.FileError, match=r"immunization_schedule\.json"):
        vaccines.schedule(Resources(tmp_path))


@needs_resources
def test_the_users_resources_are_read() -> None:
    given = Resources(RESOURCES)
    assert ranges(given).sodium == (136, 144)
    assert ranges(given).systolic_high == (140, 160)
    assert growing(given).gain == (1, 2)
    assert len(growing(given).ties) == 18
    offer = insurance.plans(given)
    assert "Medicare" in offer.payers
    assert offer.rule.count("any") == 4
    assert offer.deductible[offer.name.index("Medicare Plan")] == 233
    office = insurance.Insurance(given, 15_000)
    assert office.medicaid["Alabama"] == (1.41, 1.41, 1.41, 1.41, 0)
    assert "87433001" in office.disabling  # emphysema
    known = prices(given)
    assert known.codes["procedures"]["73761001"] == (5856.40, 11712.80115, 23425.60)
    assert known.factors["reports"]["MA"] > 0
    assert len(vaccines.schedule(given)) > 10
    assert facilities(given, of_country("US")).table["sort"].n_unique() >= 5
