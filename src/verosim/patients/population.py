"""The patients of a block as arrays: who they are, what holds for them now, and where each stands in each module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np

from verosim.draws import scattered
from verosim.patients.names import Names

Array = np.ndarray[Any, np.dtype[Any]]
DAY: Final = 86_400_000  # milliseconds
WEEK: Final = 7 * DAY
NEVER: Final = np.iinfo(np.int64).max
OLDEST: Final = 130  # years

NIL, NUMBER, FLAG, TEXT, CODE, ENTRY, FORETOLD = range(7)
"""Kinds of an attribute's value: none; a number; true or false; the number of a text; the number of a code; a row of
the record (table * 2**40 + row); a condition that has begun and is not diagnosed (its item)."""


class Attributes:
    """What modules know of patients, by name: `kind[a]` (n,) int8 and `value[a]` (n,) float64 of attribute number a."""

    def __init__(self, n: int, names: Sequence[str], texts: Names) -> None:
        self.names = list(names)
        self.number = {name: i for i, name in enumerate(self.names)}
        self.kind = np.zeros((len(self.names), n), np.int8)
        self.value = np.zeros((len(self.names), n), np.float64)
        self.texts = texts
        self.watched = np.zeros(len(self.names), bool)  # whether a waiting state looks at it
        self.changed: Callable[[Array, int], None] = lambda patients, attribute: None  # set by the engine

    def put(self, patients: Array, attribute: int, values: Array | float, kind: Array | int) -> None:
        """Set an attribute of `patients` (k,) and wake whoever waits for it."""
        self.value[attribute, patients] = values
        self.kind[attribute, patients] = kind
        if self.watched[attribute]:
            self.changed(patients, attribute)

    def set_numbers(self, patients: Array, name: str, values: Array | float) -> None:
        self.put(patients, self.number[name], values, NUMBER)

    def set_flags(self, patients: Array, name: str, values: Array | bool) -> None:
        self.put(patients, self.number[name], values, FLAG)

    def set_texts(self, patients: Array, name: str, texts: Array | str) -> None:
        """texts: one for all, or numbers (k,) of `self.texts`."""
        self.put(patients, self.number[name], self.texts(texts) if isinstance(texts, str) else texts, TEXT)

    def clear(self, patients: Array, name: str) -> None:
        self.put(patients, self.number[name], 0.0, NIL)

    def numbers(self, patients: Array, name: str, default: float = np.nan) -> Array:
        """(k,) float64; `default` where the attribute is not a number."""
        a = self.number[name]
        return np.where(self.kind[a, patients] == NUMBER, self.value[a, patients], default)

    def flags(self, patients: Array, name: str) -> Array:
        """(k,) bool: whether the attribute is true."""
        a = self.number[name]
        return (self.kind[a, patients] == FLAG) & (self.value[a, patients] != 0)

    def known(self, patients: Array, name: str) -> Array:
        """(k,) bool: whether the attribute has any value."""
        return self.kind[self.number[name], patients] != NIL

    def is_text(self, patients: Array, name: str, text: str) -> Array:
        a = self.number[name]
        return (self.kind[a, patients] == TEXT) & (self.value[a, patients] == self.texts.find(text))


class Population:
    """n patients. Row numbers are the patients' names within a block: an array `patients` (k,) picks some.

    slot, attempt (n,): which of the asked patients this is, and how often one died before; together with the seed
    they key all of its chance. birth, death, stop (n,): milliseconds since 1970 UTC, NEVER while no death is foreseen;
    stop is the end of the simulation. male (n,). step (n,): the week of life that is being lived; now (n,): the time,
    which lies before the step's while a module catches up.
    """

    def __init__(self, seed: int, rows: int, attributes: Attributes) -> None:
        self.seed, self.n, self.attributes = seed, rows, attributes
        self.slot, self.attempt = np.zeros(rows, np.int64), np.zeros(rows, np.int32)
        self.key = np.zeros(rows, np.uint64)
        self.birth = np.zeros(rows, np.int64)
        self.death = np.full(rows, NEVER)
        self.cause = np.full(rows, -1, np.int32)  # number of a code; -1: alive, or no cause given
        self.stop = np.zeros(rows, np.int64)
        self.male = np.zeros(rows, bool)
        self.race = np.zeros(rows, np.int32)  # number of a text: white, black, asian, native, hawaiian, other
        self.step = np.zeros(rows, np.int32)
        self.now = np.zeros(rows, np.int64)
        self.birthdays = np.zeros((rows, OLDEST), np.int64)

    def admit(self, patients: Array, slot: Array, attempt: Array) -> None:
        """Let rows (k,) be the patients of these slots and attempts: their chance is fixed."""
        self.slot[patients], self.attempt[patients] = slot, attempt
        self.key[patients] = _keys(self.seed, slot, attempt)

    def born(self, patients: Array, birth: Array) -> None:
        """Set births (k,), and birthdays: of 29 February, 1 March in other years."""
        self.birth[patients] = self.now[patients] = birth
        year, month, day = civil(birth)
        for age in range(OLDEST):
            self.birthdays[patients, age] = days_from_civil(year + age, month, day) * DAY

    def time(self, patients: Array) -> Array:
        """(k,) the time of the step, which `now` comes up to."""
        return self.birth[patients] + self.step[patients].astype(np.int64) * WEEK

    def age(self, patients: Array, time: Array) -> Array:
        """(k,) int: whole calendar years lived at `time`."""
        guess = ((time - self.birth[patients]) // (DAY * 1461 // 4)).clip(0, OLDEST - 2)
        guess += self.birthdays[patients, guess + 1] <= time
        return guess - (self.birthdays[patients, guess] > time)

    def chance(self, patients: Array, purpose: int | np.uint64 | Array, counter: Array | int = 0) -> Array:
        """(k,) uniform in [0, 1), fixed by seed, patient, purpose (see `salt`) and counter: the same for any batch."""
        mixed = np.asarray(counter).astype(np.uint64) * _ODD + np.asarray(purpose).astype(np.uint64)
        return (scattered(self.key[patients] ^ mixed) >> _ELEVEN) * 2.0**-53


_ODD: Final = np.uint64(0xD1342543DE82EF95)
_ELEVEN: Final = np.uint64(11)


def salt(purpose: str) -> np.uint64:
    """A number for a purpose of chance: of a module's name, a vital sign ..."""
    return np.uint64(int.from_bytes(blake2b(purpose.encode(), digest_size=8).digest(), "little"))


def _keys(seed: int, slot: Array, attempt: Array) -> Array:
    start = np.uint64(int.from_bytes(blake2b(f"patients:{seed}".encode(), digest_size=8).digest(), "little"))
    return scattered(scattered(start ^ slot.astype(np.uint64)) ^ (attempt.astype(np.uint64) << np.uint64(32)))


def normal(one: Array, two: Array) -> Array:
    """Standard normal numbers from two uniform ones (Box and Muller, 1958)."""
    return np.sqrt(-2.0 * np.log1p(-one)) * np.cos(2.0 * np.pi * two)


def civil(time: Array) -> tuple[Array, Array, Array]:
    """Year, month (1-12) and day (1-31) of milliseconds, UTC."""
    days = (time // DAY).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return years, months.astype(np.int64) % 12 + 1, (days - months).astype(np.int64) + 1


def days_from_civil(year: Array, month: Array, day: Array) -> Array:
    """Days since 1970-01-01 of the Gregorian calendar; 29 February of a common year is 1 March."""
    first = ((year - 1970) * 12 + (month - 1)).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1


def instant(
    year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0, second: int = 0, ms: int = 0
) -> int:
    """Milliseconds of a UTC date.

    >>> instant(1970, 1, 2)
    86400000
    """
    days = int(days_from_civil(np.array([year]), np.array([month]), np.array([day]))[0])
    return days * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + ms
