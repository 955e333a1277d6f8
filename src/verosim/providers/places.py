"""Where people live: the street, and a row of the gazetteer of which city, region and postcode are parts."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import polars as pl

from verosim.providers.packs import CROSSED, pack, taken
from verosim.providers.patterns import Ints, parse
from verosim.providers.subjects import Subjects, joined

HOUSES: Final = 250  # house numbers 1 .. 250
NUMBERS: Final = pl.Series([str(i) for i in range(1, HOUSES + 1)])


def city(s: Subjects) -> pl.Series:
    return s.take("city", s.pack.cities)


def region(s: Subjects) -> pl.Series:
    return taken(s.pack.regions.values, s.choose("city", s.pack.cities))


def postcode(s: Subjects) -> pl.Series:
    return joined(taken(s.pack.postcodes.values, s.choose("city", s.pack.cities)), _tail(s))


def _tail(s: Subjects) -> pl.Series:
    """The last part of the postcode."""
    return s.write("postcode", parse(s.pack.text("postcode_tail")))


def street(s: Subjects) -> pl.Series:
    """Street and house number, in the country's order."""
    return joined(*_street(s))


def _street(s: Subjects) -> list[pl.Series]:
    types, words = s.pack.street_types, s.pack.street_words
    place = s.choose("street word", words) * len(types) + s.choose("street type", types)
    return _between(s.pack.street_ends, place, taken(NUMBERS, s.pick("house", HOUSES)))


def _between(ends: tuple[pl.Series | None, pl.Series | None], place: Ints, middle: pl.Series) -> list[pl.Series]:
    """A text with what stands before and after it at each place (n,)."""
    before, after = (() if end is None else (taken(end, place),) for end in ends)
    return [*before, middle, *after]


def address(s: Subjects) -> pl.Series:
    """The whole address on one line."""
    city, towns = s.choose("city", s.pack.cities), _towns(s.pack.locale)
    if towns is None:
        return joined(*_street(s), *_between(s.pack.address_ends, city, _tail(s)))
    tails = len(towns) // len(s.pack.cities)
    return joined(*_street(s), taken(towns, city * tails + s.pick("postcode", tails)))


@cache
def _towns(locale: str) -> pl.Series | None:
    """What follows the street in an address, for each postcode of each city; None where these are too many."""
    cities, tails = len(pack(locale).cities), parse(pack(locale).text("postcode_tail"))
    if tails.room * cities > CROSSED:
        return None
    city, tail = np.divmod(np.arange(cities * tails.room), tails.room)
    return joined(*_between(pack(locale).address_ends, city, tails.write(tail, tail.astype(np.uint64))))


def north(s: Subjects) -> pl.Series:
    """The latitude, within about 5 km of the middle of the city."""
    return _near(s, "latitude", 0)


def east(s: Subjects) -> pl.Series:
    """The longitude, within about 5 km of the middle of the city."""
    return _near(s, "longitude", 1)


def _near(s: Subjects, topic: str, axis: int) -> pl.Series:
    middle = s.pack.coordinates[s.choose("city", s.pack.cities), axis]
    return pl.Series(np.round(middle + (s.pick(topic, 10_001) - 5000) / 100_000, 5))


def latitude(s: Subjects) -> pl.Series:
    return north(s).cast(pl.String)


def longitude(s: Subjects) -> pl.Series:
    return east(s).cast(pl.String)
