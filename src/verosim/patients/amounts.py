"""Numbers and lengths of time that modules draw: exact values, ranges, distributions; and the units of time.

Two conversions exist, and the difference shows: a whole number of years is so many times 365 days, a real one is
rounded down to whole days of a year of 365.25; and so on down the units. Delays with a distribution are cut to whole
units first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verosim.patients.forms import CONSTANT, EXPONENTIAL, GAUSSIAN, TRIANGULAR, UNIFORM, Number
from verosim.patients.population import DAY, WEEK, Array
from verosim.patients.reading import Place, number_of
from verosim.patients.steady import log, normal

if TYPE_CHECKING:
    from verosim.patients.world import World

HOUR, MINUTE, SECOND = 3_600_000, 60_000, 1000
WHOLE: Final[Mapping[str, int]] = {  # milliseconds in a unit, for whole numbers
    "years": 365 * DAY, "months": 30 * DAY, "weeks": WEEK, "days": DAY,
    "hours": HOUR, "minutes": MINUTE, "seconds": SECOND, "milliseconds": 1,
}  # fmt: skip
REAL: Final[Mapping[str, tuple[float, int]]] = {  # so many smaller units, and the milliseconds of one of those
    "years": (365.25, DAY), "months": (30, DAY), "weeks": (7, DAY), "days": (24, HOUR),
    "hours": (60, MINUTE), "minutes": (60, SECOND), "seconds": (1000, 1), "milliseconds": (1, 1),
}  # fmt: skip

Draw = Callable[["World", Array], Array]


def milliseconds(amount: Array, unit: str, whole: bool) -> Array:
    """(n,) int64 from amounts of a unit. whole: the amounts are whole numbers, and so converted.

    >>> milliseconds(np.array([1.0]), "years", True) // DAY, milliseconds(np.array([1.5]), "years", False) // DAY
    (array([365]), array([547]))
    """
    if whole:
        return amount.astype(np.int64) * WHOLE[unit]
    parts, size = REAL[unit]
    return np.floor(amount * parts).astype(np.int64) * size


def half_up(values: Array, decimals: int = 0) -> Array:
    """Rounded to so many decimals, halves up."""
    scale = 10.0**decimals
    return np.floor(values * scale + 0.5) / scale


@dataclass(frozen=True)
class Amount:
    """A number for each patient: `draw(world, patients)` -> (k,) float64."""

    draw: Draw
    mean: float
    constant: float | None = None
    form: Number | None = None  # the same as data, for the kernel


def exact(value: float) -> Amount:
    return Amount(lambda world, patients: np.full(len(patients), value), value, value, Number(CONSTANT, (value,)))


def between(low: float, high: float, decimals: int | None = None) -> Amount:
    """Uniform, whichever bound comes first; rounded where decimals are given."""
    width = high - low

    def draw(world: World, patients: Array) -> Array:
        values = low + width * world.uniform(patients)
        return values if decimals is None else half_up(values, decimals)

    form = Number(UNIFORM, (low, width), 0.0 if decimals is None else 10.0**decimals)
    return Amount(draw, (low + high) / 2, low if width == 0 else None, form)


def amount(spec: Mapping[str, Any], place: Place) -> Amount | None:
    """The number that a state declares by `distribution`, `exact` or `range`; None where by none of them."""
    if "distribution" in spec:
        return distribution(spec["distribution"], place)
    if "exact" in spec:
        return exact(number_of(spec["exact"], "quantity", place))
    if "range" in spec:
        found = spec["range"]
        low, high = number_of(found, "low", place), number_of(found, "high", place)
        decimals = found.get("decimals")
        return between(low, high, None if decimals is None else int(decimals))
    return None


def distribution(spec: object, place: Place) -> Amount:
    """EXACT, UNIFORM, GAUSSIAN, EXPONENTIAL (shifted by one, as in the reference) or TRIANGULAR."""
    place.check(isinstance(spec, Mapping), "`distribution` must have a kind and parameters.")
    assert isinstance(spec, Mapping)
    kind = str(spec.get("kind", "")).upper()
    place.check(kind in _KINDS, f"`distribution` is of kind {spec.get('kind')!r}; there are {', '.join(_KINDS)}.")
    parameters = spec.get("parameters")
    found = _KINDS[kind](parameters if isinstance(parameters, Mapping) else {}, place)
    if not spec.get("round"):
        return found
    constant = None if found.constant is None else float(np.floor(found.constant + 0.5))
    form = None if found.form is None else replace(found.form, scale=1.0)
    return Amount(lambda world, patients: half_up(found.draw(world, patients)), found.mean, constant, form)


def _exact(p: Mapping[str, Any], place: Place) -> Amount:
    return exact(number_of(p, "value", place))


def _uniform(p: Mapping[str, Any], place: Place) -> Amount:
    low, high = number_of(p, "low", place), number_of(p, "high", place)
    return between(low, high)


def _gaussian(p: Mapping[str, Any], place: Place) -> Amount:
    mean, sd = number_of(p, "mean", place), number_of(p, "standardDeviation", place)
    low = number_of(p, "min", place) if "min" in p else -np.inf
    high = number_of(p, "max", place) if "max" in p else np.inf
    place.check(sd >= 0, f"a standard deviation of {sd:g} cannot be: it must be 0 or more.")

    def draw(world: World, patients: Array) -> Array:
        values = mean + sd * normal(world.uniform(patients), world.uniform(patients))
        return np.minimum(np.maximum(values, low), high)

    return Amount(draw, mean, form=Number(GAUSSIAN, (mean, sd, low, high)))


def _exponential(p: Mapping[str, Any], place: Place) -> Amount:
    mean = number_of(p, "mean", place)
    place.check(mean > 0, f"an exponential distribution with mean {mean:g} cannot be: it must be above 0.")
    return Amount(lambda world, patients: 1.0 - mean * log(1.0 - world.uniform(patients)), mean + 1,
                  form=Number(EXPONENTIAL, (mean,)))  # fmt: skip


def _triangular(p: Mapping[str, Any], place: Place) -> Amount:
    low, mode, high = (number_of(p, name, place) for name in ("min", "mode", "max"))
    place.check(low <= mode <= high and low < high, "a triangular distribution needs min <= mode <= max.")

    def draw(world: World, patients: Array) -> Array:
        u, width = world.uniform(patients), high - low
        left = low + np.sqrt(u * width * (mode - low))
        right = high - np.sqrt((1 - u) * width * (high - mode))
        return np.where(u < (mode - low) / width, left, right)

    return Amount(draw, (low + mode + high) / 3, form=Number(TRIANGULAR, (low, mode, high)))


_KINDS: Final = {
    "EXACT": _exact, "UNIFORM": _uniform, "GAUSSIAN": _gaussian, "EXPONENTIAL": _exponential, "TRIANGULAR": _triangular,
}  # fmt: skip


@dataclass(frozen=True)
class Length:
    """A length of time for each patient: `draw(world, patients)` -> (k,) int64 milliseconds, never below 0."""

    amount: Amount
    unit: str
    whole: bool  # cut to whole units, as delays with a distribution are

    def draw(self, world: World, patients: Array) -> Array:
        return self.of(self.amount.draw(world, patients))

    def of(self, values: Array) -> Array:
        """(k,) int64 milliseconds of amounts (k,)."""
        if self.whole:
            values = np.trunc(values)
        return np.maximum(milliseconds(values, self.unit, self.whole), 0)


def unit_of(spec: Mapping[str, Any], place: Place) -> str:
    unit = str(spec.get("unit", ""))
    place.check(unit in WHOLE, f"the unit {unit!r} is none of time; there are {', '.join(WHOLE)}.")
    return unit


def length(spec: Mapping[str, Any], place: Place, *, cut: bool = False) -> Length | None:
    """The length of time that a state declares. cut: a distribution, to whole units. Raises where it is negative."""
    found = amount(spec, place)
    if found is None:
        return None
    outer = "distribution" in spec
    unit = unit_of(spec if outer else spec.get("exact") or spec["range"], place)
    if found.constant is not None:
        place.check(found.constant >= 0, f"a time of {found.constant:g} {unit} is negative.")
    if "range" in spec and not outer:
        place.check(spec["range"]["low"] >= 0, f"a time from {spec['range']['low']} {unit} is negative.")
    return Length(found, unit, whole=cut and outer)
