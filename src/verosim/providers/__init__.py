"""Makers of personal data and ids: people, places, numbers with check digits, none of which belong to anyone.

make("email", rows, rng, locale="es_ES")                      one column (n,) of text
make_together({"name": "name", "mail": "email"}, rows, rng)   columns of the same people
make_ids("AB-[0-9]{6}", rows, seed)                           unique keys: see `ids`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from verosim.errors import ArgumentError, did_you_mean
from verosim.providers import numbers, people, places, things
from verosim.providers.ids import capacity, learn_pattern, make_ids
from verosim.providers.packs import LOCALES, pack
from verosim.providers.patterns import ROOM, Ints
from verosim.providers.subjects import Subjects

__all__ = [
    "IMPERSONAL", "LOCALES", "PLACELESS", "PROVIDERS", "Provider", "capacity", "digits_of", "laid_out", "learn_pattern",
    "make", "make_ids", "make_together", "parse_provider", "values_of",
]  # fmt: skip

PLACELESS: Final = frozenset({"ip", "ipv6", "mac", "uuid", "card", "card_expiry"})  # made alike for every locale
IMPERSONAL: Final = frozenset({  # of recipes alone: such a column is learned like any other
    "sex", "latitude", "longitude", "product", "category", "price", "colour", "department", "user_agent",
})  # fmt: skip
TAGGED: Final = ("row",)  # told apart by the row number, written into the value


@dataclass(frozen=True, slots=True)
class Provider:
    """One maker: what it makes, and by which topics its values are told apart where they must be unique."""

    make: Callable[[Subjects], pl.Series]
    topics: tuple[str, ...] = ()  # none: it cannot be unique
    typed: Callable[[Subjects], pl.Series] | None = None  # as what it is, where that is no text
    dtype: pl.DataType = field(default_factory=pl.String)  # of `typed`

    def values(self, who: Subjects, typed: bool = False) -> pl.Series:
        return self.typed(who) if typed and self.typed is not None else self.make(who)

    @property
    def about(self) -> str:
        return (self.make.__doc__ or self.make.__name__.replace("_", " ")).split("\n")[0]


PROVIDERS: Final[dict[str, Provider]] = {
    "first_name": Provider(people.first_name, ("first",)),
    "last_name": Provider(people.last_name, ("last",)),
    "name": Provider(people.name, ("first", "last", "last2")),
    "email": Provider(people.email, TAGGED),
    "user_name": Provider(people.user_name, TAGGED),
    "phone": Provider(people.phone, ("phone",)),
    "sex": Provider(people.sex),
    "birth_date": Provider(people.birth_date, ("birth",), people.birth_day, pl.Date()),
    "street": Provider(places.street, ("house", "street word", "street type")),
    "address": Provider(places.address, ("house", "street word", "street type", "city", "postcode")),
    "city": Provider(places.city, ("city",)),
    "region": Provider(places.region),
    "postcode": Provider(places.postcode, ("city", "postcode")),
    "latitude": Provider(places.latitude, (), places.north, pl.Float64()),
    "longitude": Provider(places.longitude, (), places.east, pl.Float64()),
    "country": Provider(people.country, ("country",)),
    "company": Provider(people.company, ("owner", "partner", "trade", "form")),
    "job": Provider(people.job, ("job",)),
    "url": Provider(people.url, TAGGED),
    "domain": Provider(people.domain, TAGGED),
    "ip": Provider(people.ip, ("ip",)),
    "ipv6": Provider(people.ipv6, ("ipv6",)),
    "mac": Provider(people.mac, ("mac",)),
    "uuid": Provider(people.uuid, ("uuid",)),
    "iban": Provider(numbers.iban, ("iban",)),
    "bic": Provider(numbers.bic, ("bic",)),
    "card": Provider(numbers.card, ("card",)),
    "card_expiry": Provider(numbers.card_expiry, ("expiry",)),
    "national_id": Provider(numbers.national_id, ("national", "state", "national state")),
    "vat": Provider(numbers.vat, ("vat",)),
    "license_plate": Provider(numbers.license_plate, ("plate",)),
    "product": Provider(things.product),
    "category": Provider(things.category),
    "price": Provider(things.price, (), things.list_price, pl.Float64()),
    "colour": Provider(things.colour),
    "department": Provider(things.department),
    "user_agent": Provider(things.user_agent),
}


def make(
    name: str,
    rows: Ints,
    rng: np.random.Generator,
    *,
    locale: str = "en_US",
    pattern: str | None = None,
    unique: bool = False,
    seed: int = 0,
) -> pl.Series:
    """Values (n,) of one provider, as text.

    name: `email`, or with its locale `email:es_ES`. rows: (n,) int64 row numbers, from 0. rng: the stream of these
    rows. pattern: how the digits of the value are laid out, `(###) ###-####`: `#` is a digit, all else stands as it
    is. unique: no value twice over all rows made with this `seed`. Raises ArgumentError for an unknown name or
    locale, a pattern without `#`, or more unique values than there are.

    >>> from verosim.draws import stream
    >>> make("country", np.arange(2), stream(7, "demo")).len()
    2
    """
    unique_names = ("value",) if unique else ()
    values = make_together({"value": name}, rows, rng, locale=locale, unique=unique_names, seed=seed)["value"]
    if pattern is None:
        return values
    if unique and pattern.count("#") < _digits(values):
        raise ArgumentError(f"pattern {pattern!r} has no place for all {_digits(values)} digits of a unique {name}.")
    return laid_out(values, pattern)


def make_together(
    columns: Mapping[str, str],
    rows: Ints,
    rng: np.random.Generator,
    locale: str = "en_US",
    *,
    unique: Collection[str] = (),
    seed: int = 0,
    typed: bool = False,
) -> dict[str, pl.Series]:
    """Columns by name, {column: provider}, about the same people: names agree with addresses, cities with postcodes.

    The second column of one provider (a second telephone, the city of delivery) is about a second person of the row,
    and so on. typed: dates and numbers as what they are, in place of text. `unique` names columns without repeated
    values. A column is the same whatever columns are made beside it,
    as long as none of them is unique.
    """
    for column in unique:
        if column not in columns:
            raise ArgumentError(f"`unique` names {column!r}, which is not made; {did_you_mean(column, columns)}")
    key, used = int(rng.integers(2**63)), Counter[str]()
    subjects: dict[tuple[str, int], Subjects] = {}
    made: dict[str, pl.Series] = {}
    numbered = {}
    for column, text in columns.items():
        numbered[column] = used[text]
        used[text] += 1
    for column in sorted(columns, key=lambda c: c not in unique):  # unique ones first: the others follow them
        name, own_locale = parse_provider(columns[column])
        place = own_locale or locale
        number = numbered[column]
        who = subjects.setdefault((place, number), Subjects(rows, pack(place), key, number))
        if column in unique:
            who = _told_apart(name, who, seed)
        made[column] = PROVIDERS[name].values(who, typed)
    return {column: made[column].alias(column) for column in columns}


def _told_apart(name: str, who: Subjects, seed: int) -> Subjects:
    """Subjects whose values do not repeat: the topics that tell them apart are fixed, unless others fixed them."""
    topics = PROVIDERS[name].topics
    if not topics:
        raise ArgumentError(f"provider {name!r} cannot make unique values; there are too few of them.")
    if topics == TAGGED:
        return who.twin()
    who = who.others() if who.knows(topics) else who
    who.count_through(_sizes(name, who.pack.locale), seed, name)
    return who


def _sizes(name: str, locale: str) -> dict[str, int]:
    """How many values each topic of a provider has, seen by making none."""
    probe = Subjects(np.zeros(0, np.int64), pack(locale), 0)
    PROVIDERS[name].make(probe)
    return {topic: probe.sizes[topic] for topic in PROVIDERS[name].topics if topic in probe.sizes}


def values_of(name: str) -> int:
    """How many different values a provider (`phone`, `phone:es_ES`) can make for a unique column; 0: it cannot."""
    name, locale = parse_provider(name)
    topics = PROVIDERS[name].topics
    if topics == TAGGED:
        return ROOM
    total = int(np.prod([float(s) for s in _sizes(name, locale or "en_US").values()])) if topics else 0
    return min(total, ROOM)


def parse_provider(text: str) -> tuple[str, str | None]:
    """`email:es_ES` to ("email", "es_ES"); ArgumentError for an unknown provider or locale."""
    name, _, locale = text.partition(":")
    if name not in PROVIDERS:
        raise ArgumentError(f"no provider {name!r}; {did_you_mean(name, PROVIDERS)}")
    if locale:
        pack(locale)
    return name, locale or None


def _digits(values: pl.Series) -> int:
    """The most digits that a value has."""
    counts = values.str.count_matches(r"[0-9]")
    return int(counts.max() or 0)  # type: ignore[arg-type]


def digits_of(provider: str) -> int:
    """How many digits a value of this provider has."""
    return _digits(make(provider, np.arange(1), np.random.Generator(np.random.Philox(0))))


def laid_out(values: pl.Series, pattern: str) -> pl.Series:
    """The digits of values (n,) put in place of the `#` of a pattern, from the right; zeros where there are too few."""
    wanted = pattern.count("#")
    if not wanted:
        raise ArgumentError(f"pattern {pattern!r} has no `#`, which stands for a digit, as in '(###) ###-####'.")
    found = values.str.replace_all(r"[^0-9]", "").str.tail(wanted).str.zfill(wanted)
    parts, at = [], 0
    for piece in pattern.replace("#", "\0#\0").split("\0"):
        if piece == "#":
            parts.append(pl.lit(found).str.slice(at, 1))
            at += 1
        elif piece:
            parts.append(pl.lit(piece))
    return pl.select(pl.concat_str(parts).alias(values.name)).to_series()
