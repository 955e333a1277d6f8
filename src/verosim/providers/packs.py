"""What is known of each locale: names, places, words and the look of its numbers, as packed lists.

`data/LOCALE.json` holds lists of common names and places, written as one text each, the most frequent first. A
name's weight falls with its rank as 1 / (rank + 10), about as the frequencies of names do; cities as 1 / (rank + 2).
Facts only: no list is taken from another project.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import ArgumentError, did_you_mean

LOCALES: Final = ("en_US", "en_GB", "es_ES", "es_MX", "fr_FR", "de_DE", "it_IT", "pt_BR")


LOTS: Final = 1 << 16  # what a value of a pool is drawn by
CROSSED: Final = 1 << 13  # so many texts at most are put together beforehand: more would not fit the processor's cache


def taken(values: pl.Series, places: npt.NDArray[Any]) -> pl.Series:
    """The values (n,) at these places, by an index that polars takes directly: much faster than `gather`."""
    return values[pl.Series(places.astype(np.uint32))]


def crossed(*parts: pl.Series) -> pl.Series:
    """Each text of the first part before each of the second, and so on; the last part changes fastest."""
    out = parts[0]
    for part in parts[1:]:
        places = np.divmod(np.arange(len(out) * len(part)), len(part))
        out = taken(out, places[0]) + taken(part, places[1])
    return out


@dataclass(frozen=True)
class Pool:
    """Different texts with their weights, the most frequent first."""

    values: pl.Series  # (k,) String
    cumulative: npt.NDArray[np.float64]  # (k,) running share; the last is 1

    @classmethod
    def ranked(cls, texts: list[str], flat: float = 10.0) -> Pool:
        weights = 1 / (np.arange(len(texts)) + flat)
        return cls.weighted(texts, weights)

    @classmethod
    def weighted(cls, texts: list[str], weights: npt.NDArray[np.float64]) -> Pool:
        return cls(pl.Series(texts, dtype=pl.String), np.cumsum(weights) / weights.sum())

    def __len__(self) -> int:
        return len(self.values)

    def map(self, texts: list[str]) -> Pool:
        """The same weights over other texts, one a value."""
        return Pool(pl.Series(texts, dtype=pl.String), self.cumulative)

    def find(self, lots: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
        """The place (n,) of the value that each lot, one of `LOTS` numbers, falls on."""
        return self._table.take(lots).astype(np.int64)

    @cached_property
    def _table(self) -> npt.NDArray[np.uint16]:
        """The place that each lot falls on: weights are kept to 1 / LOTS, which is finer than they are known."""
        middles = (np.arange(LOTS) + 0.5) / LOTS
        return np.searchsorted(self.cumulative[:-1], middles, side="right").astype(np.uint16)

    @cached_property
    def slugs(self) -> pl.Series:
        """Each text in lower-case ASCII letters only, as in a mail address."""
        return pl.Series([slug(t) for t in self.values], dtype=pl.String)

    @cached_property
    def initials(self) -> pl.Series:
        return self.slugs.str.head(1)


@dataclass(frozen=True)
class Pack:
    """One locale."""

    locale: str
    facts: dict[str, Any]  # the file, as it is

    def texts(self, key: str) -> list[str]:
        return [t.strip() for t in str(self.facts[key]).split(",")]

    def text(self, key: str) -> str:
        return str(self.facts[key])

    @cached_property
    def first(self) -> Pool:
        """First names of women and of men, each sex with half of the weight."""
        weights: dict[str, float] = {}
        for part in ("female", "male"):
            names = self.texts(part)
            shares = 1 / (np.arange(len(names)) + 10.0)
            for name, share in zip(names, shares / shares.sum() / 2, strict=True):
                weights[name] = weights.get(name, 0.0) + float(share)
        return Pool.weighted(list(weights), np.array(list(weights.values())))

    @cached_property
    def female(self) -> npt.NDArray[np.float64]:
        """Of how many who have each name of `first` a share is women."""
        weights = {}
        for part in ("female", "male"):
            names = self.texts(part)
            shares = 1 / (np.arange(len(names)) + 10.0)
            weights[part] = dict(zip(names, shares / shares.sum(), strict=True))
        both = [(weights["female"].get(n, 0.0), weights["male"].get(n, 0.0)) for n in self.first.values]
        return np.array([f / (f + m) for f, m in both])

    @cached_property
    def last(self) -> Pool:
        return Pool.ranked(self.texts("last"))

    @cached_property
    def surnames(self) -> pl.Series:
        """The last names with a blank before each."""
        return " " + self.last.values

    @cached_property
    def handles(self) -> pl.Series:
        """How mail addresses begin: `mary.`, `m`, `mary_` and `m.` of each first name, one sort after the other."""
        whole, initial = self.first.slugs, self.first.initials
        return pl.concat([whole + ".", initial, whole + "_", initial + "."], rechunk=True)

    @cached_property
    def partners(self) -> Pool:
        """The second name of a company, ` & Smith`; two of three have none."""
        weights = np.diff(self.last.cumulative, prepend=0)
        return Pool.weighted(["", *(f" & {t}" for t in self.last.values)], np.concatenate([[2.0], weights]))

    @cached_property
    def jobs(self) -> Pool:
        return Pool.ranked(self.texts("jobs"), flat=20)

    @cached_property
    def trades(self) -> Pool:
        return Pool.ranked(self.texts("trades"), flat=20)

    @cached_property
    def company_forms(self) -> Pool:
        return Pool.ranked(self.texts("company_forms"), flat=1)

    @cached_property
    def street_words(self) -> Pool:
        return Pool.ranked(self.texts("street_words"))

    @cached_property
    def street_types(self) -> Pool:
        return Pool.ranked(self.texts("street_types"), flat=1)

    @cached_property
    def cities(self) -> Pool:
        return Pool.ranked([row[0] for row in self._gazetteer], flat=2)

    @cached_property
    def regions(self) -> Pool:
        """The region of each city, in the order of `cities`; several cities may share one."""
        return self.cities.map([row[1] for row in self._gazetteer])

    @cached_property
    def postcodes(self) -> Pool:
        """How the postcodes of each city begin, in the order of `cities`."""
        return self.cities.map([row[2] for row in self._gazetteer])

    @cached_property
    def street_ends(self) -> tuple[pl.Series | None, pl.Series | None]:
        """What stands before and after the number in a street, for each word with each type: ("", " Park Avenue")."""
        before, after = self.text("street").split("{number}")
        pairs = [{"word": w, "type": t} for w in self.street_words.values for t in self.street_types.values]
        return _texts(before.format(**p) for p in pairs), _texts(after.format(**p) for p in pairs)

    @cached_property
    def address_ends(self) -> tuple[pl.Series | None, pl.Series | None]:
        """What stands in an address before and after the last part of the postcode, for each city."""
        before, after = self.text("address").removeprefix("{street}").split("{postcode}")
        places = [{"city": row[0], "region": row[1]} for row in self._gazetteer]
        starts = [before.format(**p) + row[2] for p, row in zip(places, self._gazetteer, strict=True)]
        return _texts(starts), _texts(after.format(**p) for p in places)

    @cached_property
    def coordinates(self) -> npt.NDArray[np.float64]:
        """(cities, 2) latitude and longitude of each city, in degrees."""
        return np.array([[float(row[3]), float(row[4])] for row in self._gazetteer])

    @cached_property
    def _gazetteer(self) -> list[list[str]]:
        return [row.split("|") for row in self.facts["cities"]]


def _texts(texts: Iterable[str]) -> pl.Series | None:
    """None where all are empty: nothing stands there."""
    series = pl.Series(list(texts), dtype=pl.String)
    return series if (series != "").any() else None


@cache
def pack(locale: str) -> Pack:
    """The pack of a locale such as en_US; ArgumentError where there is none."""
    if locale not in LOCALES:
        raise ArgumentError(f"no locale {locale!r}; {did_you_mean(locale, LOCALES)}")
    return Pack(locale, json.loads(read_data(f"{locale}.json")))


@cache
def countries() -> Pool:
    """Countries by their English names, about the most named first."""
    return Pool.ranked(read_data("countries.txt").splitlines())


def read_data(name: str) -> str:
    """A file of `data/`."""
    return (files("verosim.providers") / "data" / name).read_text(encoding="utf-8")


def fold(text: str) -> str:
    """Lower case without accents: `Müller` is `muller`.

    >>> fold("Ángela Núñez")
    'angela nunez'
    """
    bare = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in bare if not unicodedata.combining(c))


def slug(text: str) -> str:
    """Only the letters a to z of the folded text, for addresses in the internet."""
    return "".join(c for c in fold(text) if "a" <= c <= "z")
