"""The patients of a block are born: who they are as attributes that modules read, and as a table of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.draws import scattered
from verosim.normal import TINY
from verosim.patients.life.bodies import READS
from verosim.patients.life.demographics import CLASSES, HARDSHIPS, SCHOOLING, Demography, social_class
from verosim.patients.life.roster import NAMES, TEXTS, Roster
from verosim.patients.population import TEXT, Array, Attributes, Population, salt
from verosim.providers import numbers, places
from verosim.providers import people as providers
from verosim.providers.packs import LOTS, Pool, pack, taken
from verosim.providers.subjects import Subjects

if TYPE_CHECKING:
    from verosim.patients.world import World

YEAR: Final = 365.25 * 86_400_000  # milliseconds
ELEVEN: Final = np.uint64(11)  # bits off a hash leave the 53 of a float
RELAXED: Final = 10  # so many attempts at a patient older than 90 before one of 85 to 90 will do
ORIENTATIONS: Final = (("heterosexual", 0.966), ("homosexual", 0.016), ("bisexual", 0.018))
ABROAD: Final = "MX"  # where those of the US were born whose first language is not English
RH_NEGATIVE: Final = 0.15
ATTRIBUTES: Final = (
    "gender", "race", "ethnicity", "first_language", "birth_country", "city", "state", "county", "address", "education",
    "income", "poverty_ratio", "socioeconomic_score", "socioeconomic_category", "occupation_level", "RH_NEG",
    "sexual_orientation", *HARDSHIPS, "unemployment", *READS,
)  # fmt: skip


class Births:
    """The engine's `Demographics`: draws people of a `Demography`, alive at `end` unless modules have them die."""

    def __init__(
        self, demography: Demography, end: int, more: Sequence[str] = (), roster: Roster | None = None
    ) -> None:
        """more: further attributes, of others, that have columns. roster: people who are given."""
        self.demography, self.end, self.roster = demography, end, roster
        self.attributes: Sequence[str] = (*ATTRIBUTES, *more)

    def born(self, people: Population, attributes: Attributes, patients: Array) -> None:
        """Births and attributes of `patients` (k,); a slot's next attempt is the same person with another fate."""
        d = self.drawn(people, patients)
        relaxed = (people.attempt[patients] >= RELAXED) & (d["age"] > 90)
        years = np.where(relaxed, 85 + 5 * people.chance(patients, salt("relaxed age")), d["age"])
        people.born(patients, d["birth"] if "birth" in d else (self.end - years * YEAR).astype(np.int64))
        people.stop[patients] = self.end
        people.male[patients] = ~d["female"].astype(bool)
        people.race[patients] = _named(attributes, self.demography.races)[d["race"]]
        for name, (values, index) in self._texts(people, patients, d).items():
            used, place = np.unique(index, return_inverse=True)
            attributes.set_texts(patients, name, _named(attributes, [values[i] for i in used])[place])
        for name in TEXTS if self.roster is not None else ():
            self._given(name, people, attributes, patients)
        for name, amounts in {
            "income": d["income"],
            "poverty_ratio": np.round(d["income"] / self.demography.poverty, 3),
            "socioeconomic_score": d["score"],
            "occupation_level": d["occupation"],
        }.items():
            attributes.set_numbers(patients, name, amounts)
        for name, usual in {"RH_NEG": RH_NEGATIVE, **HARDSHIPS}.items():
            known = self.demography.hardships.get(name)
            share = usual if known is None else known[d["place"]]
            if name == "unemployed":  # comes and goes: the lifecycle draws it
                attributes.set_numbers(patients, "unemployment", share)
            else:
                attributes.set_flags(patients, name, people.chance(patients, salt(name)) < share)

    def _texts(
        self, people: Population, patients: Array, d: dict[str, Array]
    ) -> dict[str, tuple[Sequence[str], Array]]:
        """The attributes that are texts: the values they may have, and which one (k,) each patient has."""
        demography = self.demography
        abroad = (d["language"] == len(demography.language)) & (demography.country == "US")
        loves = np.searchsorted(np.cumsum([s for _, s in ORIENTATIONS])[:-1], people.chance(patients, salt("loves")))
        return {
            "gender": (("F", "M"), people.male[patients].astype(np.int64)),
            "race": (demography.races, d["race"]),
            "ethnicity": (("nonhispanic", "hispanic"), d["hispanic"].astype(np.int64)),
            "first_language": (demography.languages, d["language"]),
            "birth_country": ((demography.country, ABROAD), abroad.astype(np.int64)),
            "city": (demography.city, d["place"]),
            "state": (demography.state, d["place"]),
            "county": (demography.county, d["place"]),
            "address": (demography.city, d["place"]),  # no street: texts are kept for the whole run
            "education": (SCHOOLING, d["school"]),
            "socioeconomic_category": (CLASSES, social_class(d["score"])),
            "sexual_orientation": (tuple(name for name, _ in ORIENTATIONS), loves),
        }

    def drawn(self, people: Population, patients: Array) -> dict[str, Array]:
        """The demography's columns, (k,) each, by the chance of the slots: the same for every attempt."""
        start = salt(f"people:{people.seed}")
        key = scattered(people.slot[patients].astype(np.uint64) ^ start)
        given = None if self.roster is None else self.roster.of(people.slot[patients], self.demography)

        def chance(topic: str) -> Array:
            return np.maximum((scattered(key ^ salt(topic)) >> ELEVEN) * 2.0**-53, TINY)

        return self.demography.draw(chance, given)

    def _given(self, name: str, people: Population, attributes: Attributes, patients: Array) -> None:
        """Let the roster's text be the attribute's."""
        assert self.roster is not None
        texts = self.roster.text(name, people.slot[patients])
        if texts is not None:
            attributes.set_texts(patients, name, _named(attributes, texts.fill_null("").to_list()))


def _named(attributes: Attributes, values: Sequence[str]) -> Array:
    """The numbers of these texts."""
    return np.array([attributes.texts(value) for value in values])


class Register:
    """A `Finisher`: `extra["people"]`, with names, addresses and numbers that belong to nobody."""

    def __init__(self, births: Births) -> None:
        self.births = births

    def finish(self, world: World) -> None:
        people, demography, who = world.people, self.births.demography, lived(world.people)
        d = self.births.drawn(people, who)
        place, male = d["place"], pl.Series(people.male[who])
        marital = _texts_of(world.attributes, "marital_status", who)
        adult = pl.Series(people.age(who, np.minimum(people.stop, people.death)[who]) >= 16)
        wife = (marital == "M") & ~male
        title = pl.when(male).then(pl.lit("Mr.")).when(wife).then(pl.lit("Mrs.")).otherwise(pl.lit("Ms."))
        near = [np.round(demography.where[place, i] + 0.1 * (people.chance(who, salt(axis)) - 0.5), 6)
                for i, axis in enumerate(("lat", "lon"))]  # fmt: skip
        where = {"city": demography.city, "state": demography.state, "county": demography.county}
        table = names_of(people, who, demography, place).with_columns(
            pl.Series("patient", who),
            pl.when(adult).then(title).alias("prefix"),
            pl.when(wife).then("maiden").alias("maiden"),
            *(pl.when(adult).then(c).alias(c) for c in ("drivers", "passport")),
            marital.alias("marital"),
            *(taken(pl.Series(values), place).alias(name) for name, values in where.items()),
            pl.Series("lat", near[0]),
            pl.Series("lon", near[1]),
            taken(pl.Series(demography.races), d["race"]).alias("race"),
            pl.Series("ethnicity", np.where(d["hispanic"], "hispanic", "nonhispanic")),
            pl.Series("income", d["income"].astype(np.int64)),
        )
        born = pl.concat_str("city", pl.col("state").replace("", None), pl.lit(demography.country), separator=", ",
                             ignore_nulls=True)  # fmt: skip
        table = table.with_columns(born.alias("birthplace"))
        world.extra["people"] = table.with_columns(self._given(people.slot[who]))

    def _given(self, slots: Array) -> list[pl.Series]:
        """The columns that a roster gives, in place of ours."""
        roster = self.births.roster
        texts = {} if roster is None else {name: roster.text(name, slots) for name in (*TEXTS, *NAMES)}
        return [values.alias(name) for name, values in texts.items() if values is not None]


def lived(people: Population) -> Array:
    """The rows that have a patient: the first ones, as many as were admitted."""
    return np.arange(np.count_nonzero(people.key))


def names_of(people: Population, who: Array, demography: Demography, place: Array) -> pl.DataFrame:
    """Names and addresses (k rows) by the providers; facts hang on the patient's own key, whatever the block."""
    locale = demography.locale
    facts = _Facts(people, who, locale)
    facts.settle("city", place)
    own = demography.city == tuple(pack(locale).cities.values)  # places that the locale's pack has postcodes of
    zips = places.postcode(facts) if own else taken(pl.Series(demography.zips or [""] * len(demography.city)), place)
    sexes = [facts.take(f"first {sex}", pool) for sex, pool in zip("FM", first_names(locale), strict=True)]
    middles = [facts.take(f"middle {sex}", pool) for sex, pool in zip("FM", first_names(locale), strict=True)]
    male = pl.Series(people.male[who])

    return pl.select(
        first=pl.when(male).then(sexes[1]).otherwise(sexes[0]),
        middle=pl.when(male).then(middles[1]).otherwise(middles[0]),
        last=facts.take("last", facts.pack.last),
        maiden=facts.take("maiden", facts.pack.last),
        ssn=numbers.national_id(facts),
        drivers="S99" + facts.digits("drivers", 6),
        passport="X" + facts.digits("passport", 8) + "X",
        address=places.street(facts),
        zip=zips,
        phone=facts.phone(),
    )


class _Facts(Subjects):
    """Subjects whose facts hang on the patient's key in place of a stream over rows."""

    def __init__(self, people: Population, who: Array, locale: str) -> None:
        super().__init__(who, pack(locale), 0)
        self._people = people

    def pick(self, topic: str, size: int) -> Array:
        if topic not in self._facts:
            u = self._people.chance(self.rows, salt("name:" + topic))
            self._facts[topic] = np.minimum((u * size).astype(np.int64), size - 1)
        return self._facts[topic]

    def choose(self, topic: str, pool: Pool) -> Array:
        if topic not in self._facts:
            lots = self._people.chance(self.rows, salt("name:" + topic)) * LOTS
            self._facts[topic] = pool.find(lots.astype(np.uint16))
        return self._facts[topic]

    def settle(self, topic: str, places: Array) -> None:
        """Let a fact be known."""
        self._facts[topic] = places

    def noise(self, topic: str) -> Array:
        parts = [self._people.chance(self.rows, salt(f"noise:{topic}"), i) for i in (0, 1)]
        return sum((p * 2.0**32).astype(np.uint64) << np.uint64(32 * i) for i, p in enumerate(parts))  # type: ignore[return-value]

    def digits(self, topic: str, length: int) -> pl.Series:
        return pl.Series(self.pick(topic, 10**length)).cast(pl.String).str.zfill(length)

    def phone(self) -> pl.Series:
        return providers.phone(self)


def first_names(locale: str) -> tuple[Pool, Pool]:
    """The first names of women, and of men."""
    found = pack(locale)
    weights = np.diff(found.first.cumulative, prepend=0)
    return tuple(Pool.weighted(list(found.first.values), weights * share) for share in (found.female, 1 - found.female))  # type: ignore[return-value]


def _texts_of(attributes: Attributes, name: str, who: Array) -> pl.Series:
    """The texts (k,) of an attribute, null where there is none."""
    a = attributes.number.get(name)
    if a is None:
        return pl.Series([None] * len(who), dtype=pl.String)
    known = attributes.kind[a, who] == TEXT
    index = np.where(known, attributes.value[a, who], 0).astype(np.int64)
    values = taken(pl.Series(attributes.texts.texts or [""]), index)
    return pl.select(pl.when(pl.Series(known)).then(values)).to_series()
