"""Where people live: the street, and a row of the gazetteer of which city, region and postcode are parts."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl

from verosim.providers.patterns import parse
from verosim.providers.subjects import Subjects, joined

HOUSES: Final = 250  # house numbers 1 .. 250
NUMBERS: Final = pl.Series([str(i) for i in range(1, HOUSES + 1)])


def city(s: Subjects) -> pl.Series:
    return s.take("city", s.pack.cities)


def region(s: Subjects) -> pl.Series:
    return s.pack.regions.values.gather(s.choose("city", s.pack.cities))


def postcode(s: Subjects) -> pl.Series:
    start = s.pack.postcodes.values.gather(s.choose("city", s.pack.cities))
    return joined(start, s.write("postcode", parse(s.pack.text("postcode_tail"))))


def street(s: Subjects) -> pl.Series:
    """Street and house number, in the country's order."""
    return filled(
        s.pack.text("street"),
        {
            "type": s.take("street type", s.pack.street_types),
            "word": s.take("street word", s.pack.street_words),
            "number": NUMBERS.gather(s.pick("house", HOUSES)),
        },
    )


def address(s: Subjects) -> pl.Series:
    """The whole address on one line."""
    parts = {"street": street(s), "city": city(s), "region": region(s), "postcode": postcode(s)}
    return filled(s.pack.text("address"), parts)


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


def filled(template: str, parts: dict[str, pl.Series]) -> pl.Series:
    """The texts (n,) of a template such as `{number} {word}` with each name replaced by its part."""
    return joined(*(parts[p[1:-1]] if p.startswith("{") else p for p in re.split(r"(\{\w+\})", template) if p))
