"""Who the patients are: shares come out as they are asked, from the packed countries and from a user's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.draws import stream
from verosim.patients.life import demographics
from verosim.patients.life.demographics import (
    Demography,
    burdened,
    countries,
    located,
    of_country,
    of_file,
    only_in,
    pick,
    social_class,
)

N = 40_000


def chance(topic: str) -> np.ndarray:
    return stream(7, topic).random(N)


def shares(values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(values, minlength=size) / len(values)


@pytest.mark.parametrize("country", ["US", "ES"])
def test_a_packed_country_has_its_shares(country: str) -> None:
    d, facts = of_country(country), countries()[country]
    people = d.draw(chance)
    assert people["female"].mean() == pytest.approx(facts["female"], abs=0.01)
    assert (people["age"] < 15).mean() == pytest.approx(facts["to_14"], abs=0.01)
    assert (people["age"] >= 65).mean() == pytest.approx(facts["over"], abs=0.01)
    assert people["age"].max() <= 111
    assert np.median(people["income"]) == pytest.approx(facts["median_income"], rel=0.03)
    assert shares(people["school"], 4)[3] == pytest.approx(facts["degree"], abs=0.01)
    assert len(set(people["place"])) == len(d.city)


def test_every_packed_country_is_whole() -> None:
    for country in countries():
        d = of_country(country)
        for cumulative in (d.people, d.ages, d.race, d.school):
            assert np.asarray(cumulative)[..., -1] == pytest.approx(1.0)
        assert len(d.language) == len(d.races) == len(d.speaks)


def test_the_socioeconomic_score_by_hand() -> None:
    d = of_country("US")
    # income half way between 17,550 and 75,000: .5; a degree at its middle: .75; occupation .4
    score = d.score(np.array([46275.0]), np.array([3]), np.array([0.5]), np.array([0.4]))
    assert score == pytest.approx([0.2 * 0.5 + 0.7 * 0.75 + 0.1 * 0.4])
    assert social_class(np.array([0.1, 0.25, 0.5, 0.66])).tolist() == [0, 1, 1, 2]


def header() -> list[str]:
    d = demographics
    return [*d.COLUMNS, *d.BANDS, *d.INCOME_BANDS, *d.SCHOOL_COLUMNS]


def line(name: str, people: int, races: str) -> str:
    ages = ",".join(["0"] * 4 + ["1"] + ["0"] * 13)  # all of 20 to 24 years
    return f"{name},Nowhere,Some County,{people},100,300,0.5,{races},{ages},0,0,0,1,0,0,0,0,0,0,0,0,0.5,0.5"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "demographics.csv"
    path.write_text("\n".join([",".join(header()), *lines]) + "\n")
    return path


def test_a_users_places(tmp_path: Path) -> None:
    d = of_file(written(tmp_path, line("Big", 3000, "1,0,0,0,0"), line("Small", 1000, "0,1,0,0,0")))
    assert isinstance(d, Demography)
    people = d.draw(chance)
    assert people["place"].mean() == pytest.approx(0.25, abs=0.01)
    assert (people["race"] == people["place"]).all()  # the big place is white, the small one black
    assert people["female"].mean() == pytest.approx(0.75, abs=0.01)
    assert people["hispanic"].mean() == pytest.approx(0.5, abs=0.01)
    assert ((people["age"] >= 20) & (people["age"] < 25)).all()
    assert ((people["income"] >= 25_000) & (people["income"] <= 35_000)).all()
    assert set(people["school"]) == {2, 3}


def test_those_of_no_race_told_are_islanders_and_others_by_halves(tmp_path: Path) -> None:
    d = of_file(written(tmp_path, line("Big", 3000, ".5,0,0,0,.1")))
    assert d.races[-2:] == ("other", "hawaiian")
    assert np.diff(d.race[0], prepend=0).round(9).tolist() == [0.5, 0.0, 0.0, 0.0, 0.3, 0.2]


def test_only_people_of_a_state() -> None:
    places = only_in(of_country("US"), "Vermont")
    assert {places.state[i] for i in places.draw(chance)["place"]} == {"Vermont"}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, line("Big", 3000, "1,0,0,0,0"))
    with pytest.raises(vs.ArgumentError, match="no place in the state 'Elsewhere'"):
        only_in(of_file(path), "Elsewhere")
    path.write_text("NAME,STNAME\nA,B\n")
    with pytest.raises(vs.FileError, match="no column CTYNAME"):
        of_file(path)
    with pytest.raises(vs.FileError, match="no demographics"):
        of_file(tmp_path / "none.csv")
    with pytest.raises(vs.ArgumentError, match="no country 'UK'"):
        of_country("UK")


def test_pick_takes_the_share_that_the_uniform_falls_into() -> None:
    cumulative = np.array([[0.2, 0.7, 1.0]] * 4)
    assert pick(cumulative, np.array([0.0, 0.2, 0.69, 0.999999])).tolist() == [0, 1, 1, 2]


def test_a_gazetteer_puts_places_on_the_map(tmp_path: Path) -> None:
    places = of_file(written(tmp_path, line("Big", 3000, "1,0,0,0,0"), line("Small", 1000, "0,1,0,0,0")))
    known = pl.DataFrame({"USPS": ["Nowhere"] * 2, "NAME": ["Big"] * 2, "LAT": ["40", "42"], "LON": ["-70", "-72"],
                          "ZCTA5": [None, "01234"]})  # fmt: skip
    assert np.isnan(places.where).all()
    assert located(places, known).where[0].tolist() == [41.0, -71.0]
    assert np.isnan(located(places, known).where[1]).all()
    assert located(places, known).zips == ("01234", "")


def test_counties_bring_their_hardships(tmp_path: Path) -> None:
    places = of_file(written(tmp_path, line("Big", 3000, "1,0,0,0,0")))
    county = {"COUNTY": ["Some County"], "STATE": ["NOWHERE"], "FOOD_INSECURITY": ["0.5"], "NO_VEHICLE_ACCESS": ["x"],
              "SEVERE_HOUSING_COST_BURDEN": ["0.1"], "UNEMPLOYED": ["0.2"]}  # fmt: skip
    found = burdened(places, pl.DataFrame(county)).hardships
    assert {name: share.tolist() for name, share in found.items()} == {
        "food_insecurity": [0.5], "severe_housing_cost_burden": [0.1], "no_vehicle_access": [0.085],
        "unemployed": [0.2],
    }  # fmt: skip
