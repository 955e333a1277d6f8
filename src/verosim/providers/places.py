"""Where people live: the street, and a row of the gazetteer of which city, region and postcode are parts."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import polars as pl

from verosim.providers.packs import CROSSED, crossed, pack, taken
from verosim.providers.patterns import parse
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
    types, words = s.pack.street_types, s.pack.street_words
    road = s.choose("street word", words) * len(types) + s.choose("street type", types)
    return taken(_streets(s.pack.locale), road * HOUSES + s.pick("house", HOUSES))


@cache
def _streets(locale: str) -> pl.Series:
    """Each house of each street."""
    before, after = pack(locale).street_ends
    return _between(before, NUMBERS, after)


def _between(before: pl.Series, middle: pl.Series, after: pl.Series) -> pl.Series:
    """Each text of the middle within each pair of what stands before and after it; the middle changes fastest."""
    pairs = np.repeat(np.arange(len(before)), len(middle))
    return crossed(before, middle) + taken(after, pairs)


def address(s: Subjects) -> pl.Series:
    """The whole address on one line."""
    city, towns = s.choose("city", s.pack.cities), _towns(s.pack.locale)
    if towns is None:
        before, after = s.pack.address_ends
        return joined(street(s), taken(before, city), _tail(s), taken(after, city))
    tails = parse(s.pack.text("postcode_tail")).room
    return joined(street(s), taken(towns, city * tails + s.pick("postcode", tails)))


@cache
def _towns(locale: str) -> pl.Series | None:
    """What follows the street in an address: each postcode of each city; None where these are too many."""
    before, after = pack(locale).address_ends
    tails = parse(pack(locale).text("postcode_tail"))
    if tails.room * len(before) > CROSSED:
        return None
    every = np.arange(tails.room)
    return _between(before, tails.write(every, every.astype(np.uint64)), after)


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
