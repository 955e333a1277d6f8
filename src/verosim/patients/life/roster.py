"""People who are given, not drawn: rows of a recipe, of a fitted synthesizer or of a file, one for each patient asked.

Any column may be missing; what is missing is drawn as for anybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import polars as pl

from verosim.errors import ArgumentError, DataError, did_you_mean
from verosim.files import read
from verosim.patients.life.demographics import SCHOOLING, Demography
from verosim.patients.population import DAY, Array

SEXES: Final = {"F": True, "f": True, "female": True, "M": False, "m": False, "male": False}
TEXTS: Final = ("city", "state", "county", "address")  # told to modules and exports as they are written
NAMES: Final = ("first", "middle", "last", "maiden", "ssn", "zip", "phone", "birthplace")  # to exports only
OLDEST: Final = 115  # years
FACTS: Final = ("birth_date", "age", "sex", "race", "ethnicity", "income", "education")


class Roster:
    """Rows of people: row i is patient i.

    frame: columns of FACTS, TEXTS and NAMES. end: of the simulation, in milliseconds since 1970. Raises ArgumentError
    for other columns or none, DataError for values that no patient can have, naming column and row.

    >>> roster = Roster(pl.DataFrame({"sex": ["F", "M"], "age": [30, 40]}), end=0)
    >>> roster.facts["female"].tolist(), roster.facts["age"].tolist()
    ([True, False], [30.0, 40.0])
    """

    def __init__(self, frame: pl.DataFrame, end: int) -> None:
        known = (*FACTS, *TEXTS, *NAMES)
        for name in frame.columns:
            if name not in known:
                raise ArgumentError(f"people: no patient has a {name!r}; {did_you_mean(name, known)}")
        if not len(frame) or not frame.width:
            raise ArgumentError(f"people: there are none; columns of {', '.join(known)} are wanted.")
        self.frame = frame
        self.facts: dict[str, Array] = {}
        self._numbers("age", 0, OLDEST)
        self._numbers("income", 0, 1e12)
        self._chosen("sex", "female", list(SEXES), [SEXES[s] for s in SEXES])
        self._chosen("ethnicity", "hispanic", ["nonhispanic", "hispanic"], [False, True])
        self._chosen("education", "school", list(SCHOOLING), range(len(SCHOOLING)))
        if "birth_date" in frame.columns:
            self.facts["birth"] = self._births(frame["birth_date"], end)

    def of(self, slots: Array, demography: Demography) -> dict[str, Array]:
        """What is given of the patients of these slots (k,), by the names of `Demography.draw`; `birth` in ms."""
        if len(slots) and slots.max() >= len(self.frame):
            raise ArgumentError(f"people: {int(slots.max()) + 1} patients are asked, and {len(self.frame)} are given.")
        facts = dict(self.facts)
        if "race" in self.frame.columns:
            races = demography.races
            facts["race"] = self._places("race", list(races), range(len(races)))
        return {name: values[slots] for name, values in facts.items()}

    def text(self, name: str, slots: Array) -> pl.Series | None:
        """A column (k,) of the patients of these slots, None where it is not given."""
        return self.frame[name].cast(pl.String)[slots] if name in self.frame.columns else None

    def _births(self, dates: pl.Series, end: int) -> Array:
        if dates.dtype == pl.String:
            dates = dates.str.to_date("%Y-%m-%d", strict=False)
        if dates.dtype != pl.Date or dates.null_count():
            bad = int(dates.is_null().arg_max() or 0)
            raise DataError("a birth date is wanted, as 1970-12-31.", table="people", column="birth_date", row=bad)
        births = dates.cast(pl.Int32).to_numpy().astype(np.int64) * DAY
        wrong = np.flatnonzero((births > end) | (births < end - OLDEST * 365 * DAY))
        if len(wrong):
            problem = f"{dates[int(wrong[0])]} is after the simulation's end, or {OLDEST} years before it."
            raise DataError(problem, table="people", column="birth_date", row=int(wrong[0]))
        return births

    def _numbers(self, name: str, low: float, high: float) -> None:
        if name not in self.frame.columns:
            return
        values = self.frame[name].cast(pl.Float64, strict=False)
        good = values.is_between(low, high).fill_null(False)
        if not good.all():
            row = int((~good).arg_max() or 0)
            raise DataError(f"a number from {low:g} to {high:g} is wanted.", table="people", column=name, row=row)
        self.facts[name] = values.to_numpy()

    def _chosen(self, column: str, fact: str, words: list[str], values: Sequence[int]) -> None:
        if column in self.frame.columns:
            self.facts[fact] = self._places(column, words, values)

    def _places(self, column: str, words: list[str], values: Sequence[int]) -> Array:
        given = self.frame[column].cast(pl.String)
        bad = ~given.is_in(words).fill_null(False)
        if bad.any():
            row = int(bad.arg_max() or 0)
            problem = f"{given[row]!r} is none of {', '.join(words)}."
            raise DataError(problem, table="people", column=column, row=row)
        return np.asarray(values)[np.array([words.index(word) for word in given])]


class Sampler(Protocol):
    """A recipe, a fitted synthesizer: whatever makes rows."""

    def sample(self, rows: int, seed: int, /) -> Any: ...


def people_of(source: pl.DataFrame | str | Path | Sampler, n: int = 0, seed: int = 0) -> pl.DataFrame:
    """The rows of people: of a frame, of a file with one table, or n that a recipe or a synthesizer makes.

    Raises FileError for what cannot be read, ArgumentError where there are several tables.
    """
    if isinstance(source, pl.DataFrame):
        return source
    found = read(source).dataset if isinstance(source, str | Path) else source.sample(n, seed)
    tables = [found] if isinstance(found, pl.DataFrame) else list(found.values())
    if len(tables) != 1:
        raise ArgumentError(f"people: one table is wanted, not {len(tables)}.")
    return tables[0]
