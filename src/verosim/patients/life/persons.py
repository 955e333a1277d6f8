"""The patients of a block are born: who they are as attributes that modules read, and as a table of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.patients.life import demographics
from verosim.patients.life.bodies import READS
from verosim.patients.life.demographics import CLASSES, SCHOOLING, Demography, social_class
from verosim.patients.population import Array, Attributes, Population, salt
from verosim.providers.packs import Pool, pack, taken
from verosim.providers.subjects import Subjects
from verosim.recipe.quantiles import TINY

if TYPE_CHECKING:
    from verosim.patients.world import World

YEAR: Final = 365.25 * 86_400_000  # milliseconds
RELAXED: Final = 10  # so many attempts at a patient older than 90 before one of 85 to 90 will do
ORIENTATIONS: Final = (("heterosexual", 0.966), ("homosexual", 0.016), ("bisexual", 0.018))
RH_NEGATIVE: Final = 0.15
HARDSHIPS: Final = {  # shares of people (USDA and Census, about 2018)
    "food_insecurity": 0.115,
    "severe_housing_cost_burden": 0.14,
    "no_vehicle_access": 0.085,
}
ATTRIBUTES: Final = (
    "gender", "race", "ethnicity", "first_language", "birth_country", "city", "state", "county", "address", "education",
    "income", "poverty_ratio", "socioeconomic_score", "socioeconomic_category", "occupation_level", "RH_NEG",
    "sexual_orientation", *HARDSHIPS, *READS,
)  # fmt: skip


class Births:
    """The engine's `Demographics`: draws people of a `Demography`, alive at `end` unless modules have them die."""

    attributes: Sequence[str] = ATTRIBUTES

    def __init__(self, demography: Demography, end: int) -> None:
        self.demography, self.end = demography, end

    def born(self, people: Population, attributes: Attributes) -> None:
        """Births and attributes of all patients; a slot's next attempt is the same person with another fate."""
        who = np.arange(people.n)
        d = self.drawn(people)
        relaxed = (people.attempt >= RELAXED) & (d["age"] > 90)
        years = np.where(relaxed, 85 + 5 * people.chance(who, salt("relaxed age")), d["age"])
        people.born((self.end - years * YEAR).astype(np.int64))
        people.stop[:] = self.end
        people.male[:] = ~d["female"].astype(bool)
        texts = attributes.texts
        people.race[:] = _named(texts, self.demography.races)[d["race"]]
        ends = {
            "gender": (("F", "M"), people.male.astype(np.int64)),
            "race": (self.demography.races, d["race"]),
            "ethnicity": (("nonhispanic", "hispanic"), d["hispanic"].astype(np.int64)),
            "city": (self.demography.city, d["place"]),
            "state": (self.demography.state, d["place"]),
            "county": (self.demography.county, d["place"]),
            "education": (SCHOOLING, d["school"]),
            "socioeconomic_category": (CLASSES, social_class(d["score"])),
        }
        for name, (values, index) in ends.items():
            attributes.set_texts(who, name, _named(texts, values)[index])
        self._more(people, attributes, d)

    def _more(self, people: Population, attributes: Attributes, d: dict[str, Array]) -> None:
        who, texts = np.arange(people.n), attributes.texts
        attributes.set_texts(who, "first_language", np.array([texts(str(t)) for t in d["language"]]))
        attributes.set_texts(who, "birth_country", self.demography.country)
        attributes.set_texts(who, "address", "at home")
        for name, values in {
            "income": d["income"],
            "poverty_ratio": np.round(d["income"] / self.demography.poverty, 3),
            "socioeconomic_score": d["score"],
            "occupation_level": d["occupation"],
        }.items():
            attributes.set_numbers(who, name, values)
        attributes.set_flags(who, "RH_NEG", people.chance(who, salt("rh")) < RH_NEGATIVE)
        for name, share in HARDSHIPS.items():
            attributes.set_flags(who, name, people.chance(who, salt(name)) < share)
        names = tuple(name for name, _ in ORIENTATIONS)
        ends = np.cumsum([share for _, share in ORIENTATIONS])[:-1]
        attributes.set_texts(who, "sexual_orientation", _named(texts, names)[np.searchsorted(ends, people.chance(who, salt("orientation")))])

    def drawn(self, people: Population) -> dict[str, Array]:
        """The demography's columns, (n,) each."""
        who = np.arange(people.n)
        key = getattr(people, "base", people.key)  # of the slot: the same for every attempt

        def chance(topic: str) -> Array:
            u = people.chance(who, salt("person:" + topic)) if key is people.key else slot_chance(key, topic)
            return np.maximum(u, TINY)

        return self.demography.draw(chance)


def slot_chance(key: Array, topic: str) -> Array:
    """Uniforms (n,) of the slots' own keys."""
    from verosim.draws import scattered

    return (scattered(key ^ salt("person:" + topic)) >> np.uint64(11)) * 2.0**-53


def _named(texts: object, values: Sequence[str]) -> Array:
    """The numbers of these texts."""
    return np.array([texts(value) for value in values])  # type: ignore[operator]


class Register:
    """A `Finisher`: the table of people, with names, addresses and numbers that belong to nobody."""

    def __init__(self, births: Births) -> None:
        self.births = births

    def finish(self, world: World) -> None:
        people, attributes = world.people, world.attributes
        d, demography = self.births.drawn(people), self.births.demography
        facts = names_of(people, demography.locale)
        place = d["place"]
        where = demography.where[place]
        marital = _texts_of(attributes, "marital_status", people.n)
        adult = people.age(np.arange(people.n), np.minimum(people.stop, people.death)) >= 16
        wife = (marital == "M") & pl.Series(~people.male)
        world.extra["people"] = facts.with_columns(
            pl.Series("patient", np.arange(people.n)),
            pl.when(pl.Series(adult)).then(pl.when(pl.Series(people.male)).then(pl.lit("Mr.")).when(wife).then(pl.lit("Mrs.")).otherwise(pl.lit("Ms."))).alias("prefix"),
            pl.when(wife).then("maiden").alias("maiden"),
            *(pl.when(pl.Series(adult)).then(c).alias(c) for c in ("drivers", "passport")),
            marital.alias("marital"),
            *(taken(pl.Series(values), place).alias(name) for name, values in {
                "city": demography.city, "state": demography.state, "county": demography.county,
            }.items()),
            pl.Series("lat", np.round(where[:, 0] + 0.1 * (people.chance(np.arange(people.n), salt("lat")) - 0.5), 6)),
            pl.Series("lon", np.round(where[:, 1] + 0.1 * (people.chance(np.arange(people.n), salt("lon")) - 0.5), 6)),
            taken(pl.Series(demography.races), d["race"]).alias("race"),
            pl.Series("ethnicity", np.where(d["hispanic"], "hispanic", "nonhispanic")),
            (taken(pl.Series(demography.city), place) + ", " + demography.country).alias("birthplace"),
            pl.Series("income", d["income"].astype(np.int64)),
        )  # fmt: skip


def names_of(people: Population, locale: str) -> pl.DataFrame:
    """Names and addresses (n rows) by the providers; facts hang on the patient's own key, whatever the block."""
    facts = _Facts(people, locale)
    sexes = [facts.take(f"first {sex}", pool) for sex, pool in zip("FM", first_names(locale), strict=True)]
    middles = [facts.take(f"middle {sex}", pool) for sex, pool in zip("FM", first_names(locale), strict=True)]
    male = pl.Series(people.male)
    from verosim.providers import numbers, places

    return pl.select(
        first=pl.when(male).then(sexes[1]).otherwise(sexes[0]),
        middle=pl.when(male).then(middles[1]).otherwise(middles[0]),
        last=facts.take("last", facts.pack.last),
        maiden=facts.take("maiden", facts.pack.last),
        ssn=numbers.national_id(facts),
        drivers="S99" + facts.digits("drivers", 6),
        passport="X" + facts.digits("passport", 8) + "X",
        address=places.street(facts),
        zip=places.postcode(facts),
        phone=facts.phone(),
    )


class _Facts(Subjects):
    """Subjects whose facts hang on the patient's key in place of a stream over rows."""

    def __init__(self, people: Population, locale: str) -> None:
        super().__init__(np.arange(people.n), pack(locale), 0)
        self._people = people

    def pick(self, topic: str, size: int) -> Array:
        if topic not in self._facts:
            u = self._people.chance(self.rows, salt("name:" + topic))
            self._facts[topic] = np.minimum((u * size).astype(np.int64), size - 1)
        return self._facts[topic]

    def choose(self, topic: str, pool: Pool) -> Array:
        if topic not in self._facts:
            self._facts[topic] = pool.find(self._people.chance(self.rows, salt("name:" + topic)))
        return self._facts[topic]

    def noise(self, topic: str) -> Array:
        parts = [self._people.chance(self.rows, salt(f"noise:{topic}"), i) for i in (0, 1)]
        return sum((p * 2.0**32).astype(np.uint64) << np.uint64(32 * i) for i, p in enumerate(parts))  # type: ignore[return-value]

    def digits(self, topic: str, length: int) -> pl.Series:
        return pl.Series(self.pick(topic, 10**length)).cast(pl.String).str.zfill(length)

    def phone(self) -> pl.Series:
        from verosim.providers import people

        return people.phone(self)


def first_names(locale: str) -> tuple[Pool, Pool]:
    """The first names of women, and of men."""
    found = pack(locale)
    weights = np.diff(found.first.cumulative, prepend=0)
    return tuple(Pool.weighted(list(found.first.values), weights * share) for share in (found.female, 1 - found.female))  # type: ignore[return-value]


def _texts_of(attributes: Attributes, name: str, n: int) -> pl.Series:
    """The texts (n,) of an attribute, null where there is none."""
    if name not in attributes.number:
        return pl.Series([None] * n, dtype=pl.String)
    a = attributes.number[name]
    known = attributes.kind[a] == 3
    index = np.where(known, attributes.value[a], 0).astype(np.int64)
    values = taken(pl.Series(attributes.texts.texts or [""]), index)
    return pl.select(pl.when(pl.Series(known)).then(values)).to_series()


__all__ = ["ATTRIBUTES", "Births", "Register", "demographics", "names_of"]
