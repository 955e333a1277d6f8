"""Lives lived by the engine with all that surrounds the modules: people, growth, insurance, vaccines, costs, deaths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.patients import Patients, module, visits
from verosim.patients.engine import Engine
from verosim.patients.life import Life
from verosim.patients.life.mortality import years_to_live
from verosim.patients.life.roster import Roster, people_of
from verosim.patients.plan import Plan
from verosim.patients.population import DAY, NEVER, instant
from verosim.patients.world import World
from verosim.providers.packs import pack

END = instant(2024, 1, 1)
N = 150


def code(number: str, system: str = "ICD-10-CM") -> list[dict[str, str]]:
    return [{"system": system, "code": number, "display": number}]


def observe(vital: str, then: str) -> dict[str, Any]:
    return {"type": "Observation", "category": "vital-signs", "unit": "1", "vital_sign": vital,
            "codes": code(vital, "LOINC"), "direct_transition": then}  # fmt: skip


CHECK_UPS: dict[str, Any] = {
    "name": "Check ups",
    "states": {
        "Initial": {"type": "Initial", "direct_transition": "Visit"},
        "Visit": {"type": "Encounter", "wellness": True, "direct_transition": "Height"},
        "Height": observe("Height", "Weight"),
        "Weight": observe("Weight", "BMI"),
        "BMI": observe("BMI", "Glucose"),
        "Glucose": observe("Glucose", "HbA1c"),
        "HbA1c": observe("Blood Glucose", "Medicine"),
        "Medicine": {"type": "MedicationOrder", "codes": code("1", "RxNorm"), "direct_transition": "Stop"},
        "Stop": {"type": "MedicationEnd", "medication_order": "Medicine", "direct_transition": "Done"},
        "Done": {"type": "EncounterEnd", "direct_transition": "Visit"},
    },
}
FATAL: dict[str, Any] = {
    "name": "Fatal",
    "states": {
        "Initial": {"type": "Initial", "direct_transition": "Wait"},
        "Wait": {"type": "Delay", "exact": {"quantity": 40, "unit": "years"}, "direct_transition": "End"},
        "End": {"type": "Death", "exact": {"quantity": 1, "unit": "days"}, "codes": code("I21"),
                "direct_transition": "Last"},
        "Last": {"type": "Terminal"},
    },
}  # fmt: skip


def live(modules: Mapping[str, dict[str, Any]], seed: int = 7, first: int = 0, n: int = N, **options: Any) -> World:
    with TemporaryDirectory() as folder:
        for name, content in modules.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps(content))
        library = module.load(folder)
    life = Life(end=END, **options)
    world = World(Plan(library, life, visits.visits()), seed, n, None)
    world.visit_hooks = list(life.visit_hooks)
    engine = Engine(world)
    engine.admit(np.arange(first, first + n), np.zeros(n, np.int64))
    engine.run()
    for finisher in life.finishers:
        finisher.finish(world)
    return world


@lru_cache(1)
def lived() -> World:
    return live({"check_ups": CHECK_UPS})


def observations(world: World, name: str) -> pl.DataFrame:
    rows = world.record["observations"]
    named = np.array([item.codes[0].code == name for item in world.catalogue.items])[rows["item"]]
    patient, start = rows["patient"][named], rows["start"][named]
    years = (start - world.people.birth[patient]) / (365.25 * DAY)
    return pl.DataFrame({"patient": patient, "age": years, "value": rows["value"][named]}).sort("patient", "age")


def test_people_have_names_of_their_sex_addresses_and_numbers() -> None:
    people = lived().extra["people"]
    assert len(people) == N
    assert (
        people.null_count().select("first", "last", "ssn", "address", "city", "state", "race").sum_horizontal()[0] == 0
    )
    adults = people.filter(pl.col("prefix").is_not_null())
    assert 0.6 < len(adults) / N < 1
    assert people.filter(pl.col("prefix").is_null())["passport"].null_count() == N - len(adults)
    first = dict(zip(pack("en_US").cities.values, pack("en_US").postcodes.values, strict=True))
    assert all(code.startswith(first[city]) for code, city in people.select("zip", "city").iter_rows())
    assert set(people["marital"].drop_nulls()) <= {"S", "M", "D", "W"}
    assert (people["birthplace"] == people["city"] + ", " + people["state"] + ", US").all()


def test_children_grow_and_bmi_is_weight_over_height_squared() -> None:
    world = lived()
    height, weight, bmi = (observations(world, name) for name in ("Height", "Weight", "BMI"))
    young = height.filter(pl.col("age") < 18)
    steps = young.with_columns(pl.col("value").diff().over("patient"))["value"].drop_nulls()
    assert steps.min() > -1
    assert bmi["value"].to_numpy() == pytest.approx(
        weight["value"].to_numpy() / (height["value"].to_numpy() / 100) ** 2, rel=0.01
    )
    at_birth = weight.filter(pl.col("age") < 0.01)["value"]
    assert at_birth.mean() == pytest.approx(3.9, abs=0.2)  # the charts begin at half a month


def test_glucose_and_hba1c_of_a_visit_agree() -> None:
    world = lived()
    glucose, hba1c = observations(world, "Glucose"), observations(world, "Blood Glucose")
    assert pl.DataFrame({"g": glucose["value"], "h": hba1c["value"]}).select(pl.corr("g", "h")).item() > 0.6
    assert hba1c["value"].min() >= 4.6


def test_check_ups_come_by_age() -> None:
    seen = observations(lived(), "Height").with_columns(pl.col("age").floor().alias("year"))
    whole = seen.group_by("patient").agg(pl.max("age").alias("last"))
    per_year = seen.join(whole, on="patient").filter(pl.col("year") + 1 < pl.col("last")).group_by("year").agg(
        pl.len() / pl.n_unique("patient")
    ).sort("year")  # fmt: skip
    counts = dict(per_year.iter_rows())
    assert counts[0.0] == pytest.approx(7, abs=1)
    assert counts[10.0] == pytest.approx(1, abs=0.1)


def test_doses_are_given_in_order_and_only_once() -> None:
    rows = lived().record["immunizations"]
    doses = pl.DataFrame({c: rows[c] for c in ("patient", "item", "series", "start")}).sort("patient", "item", "start")
    again = doses.group_by("patient", "item", maintain_order=True).agg(pl.col("series").diff().drop_nulls().min())
    assert again["series"].drop_nulls().min() >= 1
    assert len(doses) > 5 * N


def test_every_year_has_a_plan_and_every_claim_is_paid_by_somebody() -> None:
    world = lived()
    coverage, claims = world.extra["coverage"], world.extra["claims"]
    gaps = coverage.with_columns((pl.col("start").shift(-1).over("patient") - pl.col("stop")).alias("gap"))
    assert gaps["gap"].drop_nulls().unique().to_list() == [0]
    borne = claims["covered"] + claims["secondary_paid"] + claims["patient_paid"]
    assert (borne - claims["cost"]).abs().max() < 0.05  # sums of cents
    assert claims["cost"].sum() == pytest.approx(
        sum(world.record[t]["cost"].sum() for t in ("encounters", "medications", "immunizations"))
    )
    seniors = coverage.filter(pl.col("start") > instant(2023, 1, 1))
    age = world.people.age(seniors["patient"].to_numpy(), seniors["start"].to_numpy())
    names = seniors.join(world.extra["payers"], on="payer", maintain_order="left")["name"].to_numpy()
    assert set(names[age >= 65]) <= {"Medicare", "Medicaid", "Dual Eligible"}


def test_the_same_patient_whatever_the_block() -> None:
    whole, part = lived(), live({"check_ups": CHECK_UPS}, first=100, n=20)
    own = whole.extra["people"].slice(100, 20).drop("patient")
    assert own.equals(part.extra["people"].drop("patient"))
    some = observations(whole, "Weight").filter((pl.col("patient") >= 100) & (pl.col("patient") < 120))
    assert some["value"].equals(observations(part, "Weight")["value"])


def test_a_death_with_a_cause_has_a_certificate() -> None:
    world = live({"fatal": FATAL}, n=60)
    dead = np.flatnonzero(world.people.death != NEVER)
    assert 20 < len(dead) < 55
    rows = world.record["reports"]
    assert sorted(rows["patient"]) == dead.tolist()
    assert (rows["start"] == world.people.death[rows["patient"]]).all()
    lost = world.extra["quality"].group_by("patient").agg(pl.last("daly"))
    years = dict(lost.iter_rows())
    assert min(years[p] for p in dead) > 40  # the years that one of forty had left


def test_nature_ends_lives_where_it_is_asked_to() -> None:
    short = {"Initial": {"type": "Initial", "direct_transition": "End"}, "End": {"type": "Terminal"}}
    people = live({"short": {"name": "Short", "states": short}}, natural_death=True).people
    age = (END - people.birth) / (365.25 * DAY)
    grid = (np.arange(2000) + 0.5) / 2000
    chance = np.empty(N)
    for male in (False, True):
        years = years_to_live(np.full(2000, male), grid)
        some = people.male == male
        chance[some] = np.searchsorted(years, age[some]) / 2000
    died = np.count_nonzero(people.death != NEVER)
    assert abs(died - chance.sum()) < 4 * np.sqrt((chance * (1 - chance)).sum())
    assert died > 0


def test_people_who_are_given_live() -> None:
    given = pl.DataFrame({
        "birth_date": ["1950-03-01", "1990-12-31"], "sex": ["F", "M"], "income": [9000, 90_000],
        "race": ["black", "asian"],
        "city": ["Springfield", "Shelbyville"], "first": ["Ada", "Bo"],
    })  # fmt: skip
    world = live({"check_ups": CHECK_UPS}, n=2, people=given)
    people = world.extra["people"]
    assert people.select("first", "city", "race", "income").rows() == [
        ("Ada", "Springfield", "black", 9000), ("Bo", "Shelbyville", "asian", 90_000),
    ]  # fmt: skip
    assert people["last"].null_count() == 0  # drawn
    assert world.people.male.tolist() == [False, True]
    assert world.people.birth.tolist() == [instant(1950, 3, 1), instant(1990, 12, 31)]
    assert world.attributes.is_text(np.arange(2), "city", "Springfield").tolist() == [True, False]


def test_people_who_cannot_be_are_named_by_column_and_row() -> None:
    with pytest.raises(vs.DataError, match=r"column 'sex', row 1: 'x' is none of F, f"):
        Roster(pl.DataFrame({"sex": ["F", "x"]}), END)
    with pytest.raises(vs.DataError, match=r"column 'age', row 0: a number from 0 to 115"):
        Roster(pl.DataFrame({"age": [-1]}), END)
    with pytest.raises(vs.DataError, match=r"column 'birth_date', row 1: a birth date is wanted"):
        Roster(pl.DataFrame({"birth_date": ["2000-01-01", "soon"]}), END)
    with pytest.raises(vs.ArgumentError, match="no patient has a 'birthdate'; did you mean 'birth_date'"):
        Roster(pl.DataFrame({"birthdate": ["2000-01-01"]}), END)
    with pytest.raises(vs.DataError, match=r"row 0: 2200-01-01 is after the simulation's end"):
        Roster(pl.DataFrame({"birth_date": ["2200-01-01"]}), END)
    with pytest.raises(vs.ArgumentError, match="no folder /nowhere"):
        Life(Path("/nowhere"), end=END)
    with pytest.raises(vs.ArgumentError, match="3 patients are asked, and 1 are given"):
        live({"check_ups": CHECK_UPS}, n=3, people=pl.DataFrame({"sex": ["F"]}))


@pytest.mark.parametrize("end", ["1850-01-01", "2200-01-01", "", "NaT", "soon"])
def test_an_end_that_cannot_be_is_refused(end: str) -> None:
    with pytest.raises(vs.ArgumentError, match="end: a date"):
        Patients(only=["asthma"], end=end)


def test_weight_management_takes_weight_off_and_some_of_it_for_good() -> None:
    world = live({"check_ups": CHECK_UPS}, seed=3, n=60, people=pl.DataFrame({"age": [70] * 60}))
    everyone, vitals = np.arange(60), world.plan.life.vitals
    off = world.attributes.numbers(everyone, "weight_taken_off", 0.0)
    assert 10 < np.count_nonzero(off > 0) < 50
    assert off.min() > -20  # a course also keeps the old from losing weight
    assert vitals.read(world, everyone, "BMI", world.people.stop[everyone]).max() < 45  # the obese gain no more
    weights = observations(world, "Weight").filter(pl.col("age") > 21)
    falls = weights.with_columns((pl.col("value") / pl.col("value").shift(1).over("patient")).alias("share"))
    assert falls["share"].min() > 0.8  # no visit finds a person a fifth lighter than the one before
    assert vitals.read(world, everyone, "BMI", world.people.stop[everyone]).max() < 60


def test_people_come_from_a_recipe_or_a_file(tmp_path: Path) -> None:
    recipe = vs.Recipe({"people": {"columns": {"sex": ["F", "M"], "age": {"uniform": [20, 60]}}}})
    drawn = people_of(recipe, 5, seed=1)
    assert len(drawn) == 5
    drawn.write_csv(tmp_path / "people.csv")
    assert people_of(tmp_path / "people.csv", 5)["sex"].to_list() == drawn["sex"].to_list()
    assert Roster(drawn, END).facts["female"].tolist() == [s == "F" for s in drawn["sex"]]
