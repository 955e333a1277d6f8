"""What conditions, transitions and amounts say, as data: from it the kernel is fed, which knows no closures (kernel/).

A part without a form is one that only Python can tell: its state is left to Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

# ------------------------------------------------------------------------------------------------- conditions

(TRUE, MALE, RACE, AT_AGE, AT_TIME, YOUNG, KIND, VALUE, ACTIVE, ENTRY_ACTIVE, OBSERVED, OBSERVED_NIL, PRIOR,
 SYMPTOM, SIGN) = range(15)  # fmt: skip
COMPARED: Final = ("==", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Test:
    """One question about a patient, with its numbers. places: lists of numbers, which may grow until all is compiled.

    MALE a: is it so. RACE a. AT_AGE a: years. AT_TIME a: milliseconds. YOUNG a: a unit's milliseconds; b, x: compared
    with. KIND a, b: whether attribute a is of kind b. VALUE a, b, c, x: it is of kind b, and compares (c) with x.
    ACTIVE places. ENTRY_ACTIVE a: attribute. OBSERVED b, c, x: the latest of places; OBSERVED_NIL. PRIOR a: a track;
    b: since, or -1; c: milliseconds, or -1. SYMPTOM a; b, x: compared with. SIGN a: a vital sign
    of `Plan.signs`; b, x: compared with.
    """

    what: int
    a: int = 0
    b: int = 0
    c: int = 0
    x: float = 0.0
    places: Sequence[Sequence[int]] = ()


@dataclass(frozen=True)
class Least:
    """At least so many of the parts hold."""

    least: int
    parts: tuple[Form, ...]


@dataclass(frozen=True)
class Negated:
    part: Form


Form = Test | Least | Negated
NEVER: Final = Negated(Test(TRUE))


def joined(least: float, parts: Sequence[Form | None]) -> Form | None:
    """At least so many of parts; None where one of them has no form."""
    known = tuple(part for part in parts if part is not None)
    return Least(int(np.ceil(least)), known) if len(known) == len(parts) else None


def negated(part: Form | None) -> Form | None:
    return None if part is None else Negated(part)


def tests(form: Form) -> Iterator[Test]:
    """All questions that a form asks."""
    if isinstance(form, Test):
        yield form
    else:
        for part in form.parts if isinstance(form, Least) else (form.part,):
            yield from tests(part)


# ------------------------------------------------------------------------------------------------- transitions


@dataclass(frozen=True)
class Go:
    state: int


@dataclass(frozen=True)
class Draw:
    """By one uniform number: the first state whose cumulative share is above it, or the last."""

    steps: Sequence[float]
    states: Sequence[int]


@dataclass(frozen=True)
class Named:
    """Shares that attributes may hold: (attribute or -1, the share otherwise)."""

    shares: Sequence[tuple[int, float]]
    states: Sequence[int]


@dataclass(frozen=True)
class Column:
    """A column of a lookup table: cuts of ages (AT_AGE) or times (AT_TIME), or an attribute's (text, value) by key."""

    what: int
    attribute: int
    cuts: Sequence[float]
    values: Sequence[float] = ()


@dataclass(frozen=True)
class Look:
    """A lookup table. grid: the row of steps (rows, states) by each column's key. missing: what to say of patients
    who lack an attribute."""

    columns: Sequence[Column]
    grid: np.ndarray[Any, np.dtype[np.int64]]
    steps: np.ndarray[Any, np.dtype[np.float64]]
    states: Sequence[int]


@dataclass(frozen=True)
class Options:
    """The first whose condition holds; the last has none."""

    options: tuple[tuple[Form, Choice], ...]
    last: Choice


Choice = Go | Draw | Named | Look | Options

# ------------------------------------------------------------------------------------------------- amounts

CONSTANT, UNIFORM, GAUSSIAN, EXPONENTIAL, TRIANGULAR = range(5)


@dataclass(frozen=True)
class Number:
    """A number to be drawn. parameters: of CONSTANT value; UNIFORM low, width; GAUSSIAN mean, sd, low, high;
    EXPONENTIAL mean; TRIANGULAR low, mode, high. scale: rounded to 1 / scale, halves up; 0: not."""

    what: int
    parameters: tuple[float, ...]
    scale: float = 0.0
