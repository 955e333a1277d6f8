"""Who the patients are: sex, age, place, race, language, schooling and income, drawn from shares of a population.

A `Demography` is a list of places, each with its shares. It comes from a country's line in our own packed table
(rounded from the CIA World Factbook, the US Census and national statistics of about 2020), or from the user's
`geography/demographics.csv`, in which every line is a place. What is drawn depends on the person's number only.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import ArgumentError, FileError, did_you_mean
from verosim.normal import normal_quantile
from verosim.providers.packs import pack

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Column = npt.NDArray[Any]
Uniforms = Callable[[str], Floats]  # topic: uniforms (n,) in (0, 1), the same whenever asked for the same

SCHOOLING: Final = ("less_than_hs", "hs_degree", "some_college", "bs_degree")
SCHOOLED: Final[Floats] = np.array([[0.0, 0.5], [0.1, 0.75], [0.3, 0.85], [0.5, 1.0]])  # the score that each is worth
AGES: Final[Floats] = np.array([*range(0, 86, 5), 111.0])  # ends of the 18 bands: five years each, the last from 85
INCOMES: Final = np.array([0, 10, 15, 25, 35, 50, 75, 100, 150, 200, 1000]) * 1000.0
HARDSHIPS: Final = {  # shares of people (USDA and Census, about 2018), where a county's own are not known
    "food_insecurity": 0.115,
    "severe_housing_cost_burden": 0.14,
    "no_vehicle_access": 0.085,
    "unemployed": 0.05,
}
LATIN_SPEAKS: Final = 0.4885  # share of the Hispanic people of the US whose language is English (Census, ACS B16006)
CLASSES: Final = ("Low", "Middle", "High")
CLASS_EDGES: Final = (0.25, 0.66)
WEIGHTS: Final = (0.2, 0.7, 0.1)  # of income, schooling and occupation in the socioeconomic score
RACES: Final = ("WHITE", "BLACK", "ASIAN", "NATIVE", "OTHER")
COLUMNS: Final = ("NAME", "STNAME", "CTYNAME", "POPESTIMATE2015", "TOT_MALE", "TOT_FEMALE", "HISPANIC", *RACES)
BANDS: Final = tuple(str(i) for i in range(1, 19))
INCOME_BANDS: Final = (
    "00..10", "10..15", "15..25", "25..35", "35..50", "50..75", "75..100", "100..150", "150..200", "200..999",
)  # fmt: skip
SCHOOL_COLUMNS: Final = ("LESS_THAN_HS", "HS_DEGREE", "SOME_COLLEGE", "BS_DEGREE")

STATES: Final = {  # of the United States: modules and demographics name them whole, costs and facilities short
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "District of Columbia": "DC", "Florida": "FL", "Georgia": "GA",
    "Hawaii": "HI", "Idaho": "ID", "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS", "Kentucky": "KY",
    "Louisiana": "LA", "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN",
    "Mississippi": "MS", "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH",
    "New Jersey": "NJ", "New Mexico": "NM", "New York": "NY", "North Carolina": "NC", "North Dakota": "ND",
    "Ohio": "OH", "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA", "Puerto Rico": "PR", "Rhode Island": "RI",
    "South Carolina": "SC", "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT",
    "Virginia": "VA", "Washington": "WA", "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Demography:
    """Places and the shares of who lives there: every array has one row a place; cumulative shares end at 1."""

    country: str
    locale: str
    city: tuple[str, ...]
    state: tuple[str, ...]
    county: tuple[str, ...]
    people: Floats  # (places,) cumulative
    female: Floats  # (places,)
    ages: Floats  # (places, 18) cumulative over bands
    races: tuple[str, ...]
    race: Floats  # (places, races) cumulative
    hispanic: Floats  # (places, races): share of each race
    language: tuple[str, ...]  # the main one of each race
    speaks: Floats  # (races,) share that speaks it; others speak `other`
    income: Floats  # (places, 10) cumulative over INCOMES; or (places, 2) log median and log spread
    school: Floats  # (places, 4) cumulative
    where: Floats  # (places, 2) latitude, longitude; nan where unknown
    poverty: float = 17550.0
    comfortable: float = 75000.0
    other_language: str = "spanish"
    zips: tuple[str, ...] = ()  # of each place, where a gazetteer of the user's knows them
    hardships: Mapping[str, Floats] = field(default_factory=dict)  # (places,) shares of people, where they are known

    @property
    def languages(self) -> tuple[str, ...]:
        """That of each race, then the other one."""
        return (*self.language, self.other_language)

    def draw(self, chance: Uniforms, given: Mapping[str, Column] | None = None) -> dict[str, Column]:
        """Columns (n,) of people: place (index), female, age, race (index), hispanic, language (index of `languages`),
        school (index of SCHOOLING), income, occupation and score.

        chance: uniforms (n,) by topic. given: columns that are known; the others follow them.
        """
        out: dict[str, Column] = dict(given or {})
        place = np.searchsorted(self.people, chance("place"), side="right").clip(max=len(self.city) - 1)
        out.setdefault("place", place)
        out.setdefault("female", chance("sex") < self.female[place])
        out.setdefault("age", self._age(place, chance("age band"), chance("age")))
        race = out.setdefault("race", pick(self.race[place], chance("race")))
        out.setdefault("hispanic", chance("ethnicity") < self.hispanic[place, race])
        latin = out["hispanic"] & (self.country == "US")
        main = chance("language") < np.where(latin, LATIN_SPEAKS, self.speaks[race])
        out.setdefault("language", np.where(main, race, len(self.language)))
        school = out.setdefault("school", pick(self.school[place], chance("education")))
        income = out.setdefault("income", self._income(place, chance("income")))
        out["occupation"] = chance("occupation")
        out["score"] = self.score(income, school, chance("schooling"), out["occupation"])
        return out

    def score(self, income: Floats, school: Ints, schooling: Floats, occupation: Floats) -> Floats:
        """Socioeconomic score (n,) in 0 to 1: income between poverty and comfort, schooling, occupation, weighted."""
        earned = np.clip((income - self.poverty) / (self.comfortable - self.poverty), 0, 1)
        learned = SCHOOLED[school, 0] + (SCHOOLED[school, 1] - SCHOOLED[school, 0]) * schooling
        return WEIGHTS[0] * earned + WEIGHTS[1] * learned + WEIGHTS[2] * occupation

    def _age(self, place: Ints, band: Floats, u: Floats) -> Floats:
        """Years (n,), even within the band; the last band falls off with a mean of five years (Gompertz's tail)."""
        which = pick(self.ages[place], band)
        low, high = AGES[which], AGES[which + 1]
        oldest = np.minimum(low - 5 * np.log1p(-u), high)
        return np.where(which == len(AGES) - 2, oldest, low + (high - low) * u)

    def _income(self, place: Ints, u: Floats) -> Floats:
        """Yearly income (n,): even within its band, or lognormal."""
        shares = self.income[place]
        if shares.shape[1] == 2:
            median, spread = shares[:, 0], shares[:, 1]
            return np.asarray(np.round(np.exp(median + spread * normal_quantile(u))), dtype=np.float64)
        which = pick(shares, u)
        below = np.where(which > 0, np.take_along_axis(shares, np.maximum(which - 1, 0)[:, None], 1)[:, 0], 0.0)
        within = (u - below) / np.maximum(np.take_along_axis(shares, which[:, None], 1)[:, 0] - below, 1e-12)
        return np.round(INCOMES[which] + (INCOMES[which + 1] - INCOMES[which]) * np.clip(within, 0, 1))


def pick(cumulative: Floats, u: Floats) -> Ints:
    """Which share (n,) of each row's cumulative shares (n, k) a uniform falls into.

    >>> pick(np.array([[0.2, 1.0], [0.2, 1.0]]), np.array([0.1, 0.5]))
    array([0, 1])
    """
    return np.minimum((u[:, None] >= cumulative).sum(axis=1), cumulative.shape[1] - 1)


def social_class(score: Floats) -> Ints:
    """The place (n,) in CLASSES of a socioeconomic score."""
    return np.searchsorted(CLASS_EDGES, score, side="right")


# --------------------------------------------------------------------------------- our own countries


@lru_cache(1)
def countries() -> dict[str, dict[str, object]]:
    """The countries that are packed, by their two letters."""
    rows = pl.read_csv(io.BytesIO(_packed("countries.csv")))
    return {str(row["country"]): row for row in rows.to_dicts()}


def of_country(country: str) -> Demography:
    """A packed country: one set of shares over the places of its locale's gazetteer.

    Raises ArgumentError for a country that is not packed: name a folder with `geography/demographics.csv` instead.
    """
    if country not in countries():
        raise ArgumentError(
            f"no country {country!r}; {did_you_mean(country, countries())} "
            "Any other comes from a folder of your own: `resources`."
        )
    facts: Mapping[str, object] = countries()[country]
    number: Callable[[str], float] = lambda name: float(str(facts[name]))  # noqa: E731
    places, whole = pack(str(facts["locale"])), {short: name for name, short in STATES.items()}
    n = len(places.cities)
    groups = pl.read_csv(io.BytesIO(_packed("groups.csv"))).filter(pl.col("country") == country)
    school = np.array([number(c) for c in ("no_school", "school", "college", "degree")])
    return Demography(
        country,
        str(facts["locale"]),
        city=tuple(places.cities.values),
        state=tuple(whole.get(region, region) if country == "US" else region for region in places.regions.values),
        county=("",) * n,
        people=np.asarray(places.cities.cumulative, dtype=np.float64),
        female=np.full(n, number("female")),
        ages=np.tile(_bands([number(c) for c in ("to_14", "to_24", "to_54", "to_64", "over")]), (n, 1)),
        races=tuple(groups["race"]),
        race=np.tile(_cumulative(groups["share"].to_numpy()), (n, 1)),
        hispanic=np.tile(groups["hispanic"].cast(pl.Float64).to_numpy(), (n, 1)),
        language=tuple(groups["language"]),
        speaks=groups["language_share"].to_numpy(),
        income=np.tile([np.log(number("median_income")), number("income_spread")], (n, 1)),
        school=np.tile(_cumulative(school), (n, 1)),
        where=places.coordinates,
        poverty=number("poverty_line"),
        comfortable=number("comfortable"),
        other_language="spanish" if country == "US" else "english",
    )


def _bands(five: list[float]) -> Floats:
    """Cumulative shares of the 18 bands from those to 14, 24, 54, 64 and above; the old halve every eight years."""
    old = 0.5 ** (np.arange(5) * 5 / 8)
    sizes = (3, 2, 6, 2)
    shares = np.concatenate([np.full(k, share / k) for k, share in zip(sizes, five, strict=False)])
    return _cumulative(np.concatenate([shares, five[4] * old / old.sum()]))


def _cumulative(shares: Floats) -> Floats:
    """Running shares, which end at exactly one."""
    total = np.cumsum(np.asarray(shares, dtype=np.float64), axis=-1)
    return total / total[..., -1:]


def _packed(name: str) -> bytes:
    return (files("verosim.patients.life") / "data" / name).read_bytes()


# --------------------------------------------------------------------------------- the user's own places


def of_file(path: Path, country: str = "US") -> Demography:
    """The places of a `demographics.csv`: one line each, with shares of sex, race, age bands, income and schooling.

    Raises FileError where columns are missing or there is no place.
    """
    if not path.is_file():
        raise FileError(
            f"no demographics at {path}: a CSV file with the columns {', '.join(COLUMNS[:4])}, ... is wanted."
        )
    rows = pl.read_csv(path, infer_schema_length=None, encoding="utf8-lossy")
    wanted = (*COLUMNS, *BANDS, *INCOME_BANDS, *SCHOOL_COLUMNS)
    missing = [c for c in wanted if c not in rows.columns]
    if missing:
        raise FileError(f"{path.name} has no column {', '.join(missing)}: see docs/patient-lives.md.")
    if rows.is_empty():
        raise FileError(f"{path.name} has no place.")
    packed = of_country(country) if country in countries() else of_country("US")
    return _placed(rows, packed)


def _placed(rows: pl.DataFrame, packed: Demography) -> Demography:
    """The rows as places; what the file lacks (languages, lines of poverty) is the packed country's."""
    floats: Callable[[tuple[str, ...]], Floats] = lambda names: rows.select(names).cast(pl.Float64).to_numpy()  # noqa: E731
    sexes = floats(("TOT_MALE", "TOT_FEMALE"))
    spoken = dict(zip(packed.races, zip(packed.language, packed.speaks, strict=True), strict=True))
    races = (*(r.lower() for r in RACES), "hawaiian")
    spoken_by = [spoken.get(r, ("english", 0.9)) for r in races]
    return Demography(
        packed.country,
        packed.locale,
        city=tuple(rows["NAME"].cast(pl.String)),
        state=tuple(rows["STNAME"].cast(pl.String)),
        county=tuple(rows["CTYNAME"].cast(pl.String)),
        people=_cumulative(rows["POPESTIMATE2015"].cast(pl.Float64).to_numpy()),
        female=sexes[:, 1] / sexes.sum(axis=1),
        ages=_cumulative(floats(BANDS)),
        races=races,
        race=_cumulative(_races(floats(RACES))),
        hispanic=np.repeat(floats(("HISPANIC",)), len(races), axis=1),
        language=tuple(language for language, _ in spoken_by),
        speaks=np.array([share for _, share in spoken_by]),
        income=_cumulative(floats(INCOME_BANDS)),
        school=_cumulative(floats(SCHOOL_COLUMNS)),
        where=np.full((len(rows), 2), np.nan),
        poverty=packed.poverty,
        comfortable=packed.comfortable,
        other_language=packed.other_language,
    )


def _races(shares: Floats) -> Floats:
    """The shares of RACES and of Hawaiians and other islanders: half of those of whom the file tells no race."""
    rest = np.maximum(1 - shares.sum(axis=1), 0) / 2
    return np.column_stack([shares[:, :-1], shares[:, -1] + rest, rest])


def only_in(places: Demography, state: str) -> Demography:
    """The same places, of which only those of a state have people. Raises ArgumentError where there is none."""
    known = sorted(set(places.state))
    if state not in known:
        raise ArgumentError(f"no place in the state {state!r}; {did_you_mean(state, known)}")
    people = np.diff(places.people, prepend=0.0)
    return replace(places, people=_cumulative(np.where(np.array(places.state) == state, people, 0.0)))


def located(places: Demography, zipcodes: pl.DataFrame) -> Demography:
    """The same places, where a gazetteer knows them: rows of USPS (the state), NAME, ZCTA5 (the ZIP), LAT, LON."""
    key = pl.concat_str("NAME", "USPS", separator="|").alias("key")
    degrees = [pl.col(c).cast(pl.Float64, strict=False) for c in ("LAT", "LON")]
    spots = zipcodes.select(key, "ZCTA5", *degrees).group_by("key", maintain_order=True)
    spot = spots.agg(pl.mean("LAT", "LON"), pl.col("ZCTA5").drop_nulls().first())
    keys = pl.DataFrame({"key": [f"{city}|{state}" for city, state in zip(places.city, places.state, strict=True)]})
    found = keys.join(spot, on="key", how="left", maintain_order="left")
    where = found.select("LAT", "LON").fill_null(float("nan")).to_numpy()
    return replace(places, where=where, zips=tuple(found["ZCTA5"].fill_null("")))


def burdened(places: Demography, counties: pl.DataFrame) -> Demography:
    """The same places with the hardships of their counties: rows of COUNTY, STATE and HARDSHIPS in capitals."""
    key = pl.concat_str(pl.col("COUNTY").str.to_lowercase(), pl.col("STATE").str.to_lowercase(), separator="|")
    shares = counties.select(key.alias("key"), *(pl.col(h.upper()).cast(pl.Float64, strict=False) for h in HARDSHIPS))
    keys = [f"{county}|{state}".lower() for county, state in zip(places.county, places.state, strict=True)]
    found = pl.DataFrame({"key": keys}).join(shares.unique("key"), on="key", how="left", maintain_order="left")
    known = {h: found[h.upper()].fill_null(usual).to_numpy() for h, usual in HARDSHIPS.items()}
    return replace(places, hardships=known)
