"""How a body grows: height, weight, BMI and head circumference by sex and age, from the CDC growth charts.

A chart gives, for each sex and age, the three numbers L, M and S of the LMS method (Cole and Green, 1992): a child at
z standard deviations measures M (1 + L S z)^(1/L), or M exp(S z) where L is 0. A child keeps its height's z for life;
its BMI's z wanders from birthday to birthday, as closely tied as two measurements a year apart are in surveys.

The charts are the CDC's of 2000 (Kuczmarski and others, Vital and Health Statistics 11/246, 2002), a work of the
United States government and so in the public domain. BMI above the 95th percentile follows the CDC's extended method
(Hales and others, Vital and Health Statistics 2/197, 2022): a half normal that widens with age.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.normal import TINY, normal_quantile, normal_share

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

GROWN: Final = 20  # years: where the charts end
PAST: Final = GROWN * 12 + 12  # months: past the ends of all charts
TODDLER: Final = 2  # years: from here on weight follows BMI
P95: Final = float(normal_quantile(np.array([0.95]))[0])


TIES: Final = (0.77, 0.84, 0.87, 0.89, 0.91) + (0.94,) * 13
HEAVIER: Final = 0.35  # mean z of the BMI: today's children are heavier than the charts' (NHANES)


@dataclass(frozen=True, slots=True)
class Growing:
    """How bodies change, beyond the charts."""

    # correlation of the BMI's z with that of the year before, at 3 .. 20 (Freedman and others, 2005: about .9)
    ties: tuple[float, ...] = TIES
    drift: tuple[float, ...] = tuple(HEAVIER * (1 - tie) for tie in TIES)  # what each of those years adds to the z
    heavier: float = HEAVIER  # mean z of the BMI at two years
    spread: float = 1.0  # its standard deviation
    gain: tuple[float, float] = (0.3, 0.9)  # kg in each year from 20 (Hutfless and others, 2013: .5 to 1 kg)
    gain_until: float = 49.0
    loss: tuple[float, float] = (0.2, 0.6)  # kg a year of the old
    loss_from: float = 60.0
    lightest: float = 15.0  # BMI, below which age takes no more weight


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure's L, M and S: (2, points), girls first, over evenly spaced points (months, or cm of length)."""

    first: float
    step: float
    lms: Floats  # (3, 2, points)

    def at(self, girls: Flags, where: Floats) -> tuple[Floats, Floats, Floats]:
        """L, M and S (n,) each, on the straight line between the chart's points; held beyond its ends."""
        points = self.lms.shape[2]
        place = np.minimum(np.maximum((where - self.first) / self.step, 0), points - 1)
        low = np.minimum(place.astype(np.int64), points - 2)
        row = np.where(girls, 0, 1)
        below, above = self.lms[:, row, low], self.lms[:, row, low + 1]
        power, median, spread = below + (place - low) * (above - below)
        return power, median, spread

    def value(self, girls: Flags, where: Floats, z: Floats) -> Floats:
        """What a child at z (n,) measures.

        >>> boy, months = np.array([False]), np.array([24.5])
        >>> chart("height").value(boy, months, np.array([P95])).round(1)  # the CDC prints 92.63 cm
        array([92.6])
        """
        return from_z(*self.at(girls, where), z)

    def z(self, girls: Flags, where: Floats, value: Floats) -> Floats:
        """How many standard deviations (n,) a measured value lies above the median."""
        return to_z(*self.at(girls, where), value)


def from_z(power: Floats, median: Floats, spread: Floats, z: Floats) -> Floats:
    """The value (n,) at z: M (1 + L S z)^(1/L)."""
    flat = np.abs(power) < 1e-9
    own = np.where(flat, 1.0, power)
    inside = np.maximum(1 + own * spread * z, 0.01)  # a z beyond what the power allows measures as the furthest does
    return median * np.where(flat, np.exp(spread * z), inside ** (1 / own))


def to_z(power: Floats, median: Floats, spread: Floats, value: Floats) -> Floats:
    """The inverse of `from_z`: ((value / M)^L - 1) / (L S)."""
    flat = np.abs(power) < 1e-9
    own = np.where(flat, 1.0, power)
    return np.where(flat, np.log(value / median) / spread, ((value / median) ** own - 1) / (own * spread))


@lru_cache(8)
def chart(name: str) -> Chart:
    """`height` (cm), `weight` (kg), `head` (cm), `bmi` by months of age; `weight_for_length` (kg) by cm."""
    text = (files("verosim.patients.life") / "data" / "growth.csv").read_bytes()
    rows = pl.read_csv(io.BytesIO(text)).filter(pl.col("chart") == name).sort("sex", "at")
    at = rows["at"].to_numpy()
    lms = rows.select("l", "m", "s").to_numpy().T.reshape(3, 2, -1)
    return Chart(float(at[0]), float(at[1] - at[0]), np.ascontiguousarray(lms))


def bmi_of(girls: Flags, months: Floats, z: Floats) -> Floats:
    """BMI (n,) of a child of 2 to 20 years at z, by the extended method above the 95th percentile."""
    out = chart("bmi").value(girls, months, np.minimum(z, P95))
    high = z > P95
    if high.any():
        share = np.minimum(np.maximum((normal_share(z[high]) - 0.9) * 10, TINY), 1 - 1e-9)
        beyond = out[high] + _spread(girls[high], months[high]) * normal_quantile(share)
        out[high] = np.maximum(beyond, out[high])
    return out


def bmi_percentile(girls: Flags, months: Floats, bmi: Floats) -> Floats:
    """The share (n,) of children of that age and sex with a lower BMI: the inverse of `bmi_of`."""
    edge = chart("bmi").value(girls, months, np.full(len(bmi), P95))
    beyond = 0.9 + 0.1 * normal_share((bmi - edge) / _spread(girls, months))
    return np.where(bmi > edge, beyond, normal_share(chart("bmi").z(girls, months, np.maximum(bmi, 5.0))))


def _spread(girls: Flags, months: Floats) -> Floats:
    """The half normal's sigma (n,) in kg/m2: the quadratics in age of the extended charts."""
    years = months / 12
    girl = 0.8334 + 0.3712 * years - 0.0011 * years**2
    boy = 0.3728 + 0.5196 * years - 0.0091 * years**2
    return np.where(girls, girl, boy)


@dataclass(frozen=True, slots=True)
class Bodies:
    """The growth of n people, settled at birth: what they measure at any age is then a lookup."""

    girls: Flags  # (n,)
    height_z: Floats  # (n,) for life
    weight_z: Floats  # (n,) until two years
    bmi_z: Floats  # (n, 19) at each birthday from 2 to 20
    gain: Floats  # (n,) standard normals: how far the yearly gains of the grown lie above their mean
    loss: Floats  # (n,) the same of the losses of the old
    options: Growing
    tall: Floats = field(init=False)  # (n,) cm, and ...
    stout: Floats = field(init=False)  # (n,) kg/m2 of the grown, where the charts end: most readings are of them

    def __post_init__(self) -> None:
        who = np.arange(len(self.girls))
        late = np.full(len(who), float(PAST))
        object.__setattr__(self, "tall", self._height(who, late))
        object.__setattr__(self, "stout", self._bmi(who, late))

    def put(self, who: Ints, others: Bodies) -> None:
        """Let rows `who` (k,) grow as the others (k,) do."""
        for name in ("girls", "height_z", "weight_z", "bmi_z", "gain", "loss", "tall", "stout"):
            getattr(self, name)[who] = getattr(others, name)

    def height(self, who: Ints, months: Floats) -> Floats:
        """cm (k,) of the people `who` (k,) at their ages (k,) in months."""
        return _unless_grown(self.tall, self._height, who, months)

    def _height(self, who: Ints, months: Floats) -> Floats:
        return chart("height").value(self.girls[who], months, self.height_z[who])

    def head(self, who: Ints, months: Floats) -> Floats:
        """Head circumference (k,) in cm: of infants, up to three years; a tall child's head is large."""
        return chart("head").value(self.girls[who], months, self.height_z[who] * 0.9)

    def weight(self, who: Ints, months: Floats) -> Floats:
        """kg (k,), as it goes untreated: by the chart to two years, by the BMI from three, between them on the way."""
        out = np.empty(len(who))
        small = months < (TODDLER + 1) * 12
        for those, weigh in ((small, self._small), (~small, self._large)):
            if those.any():
                out[those] = weigh(who[those], months[those])
        return out

    def _small(self, who: Ints, months: Floats) -> Floats:
        infant = chart("weight").value(self.girls[who], months, self.weight_z[who])
        share = np.clip(months / 12 - TODDLER, 0, 1)
        return infant if not share.any() else (1 - share) * infant + share * self._large(who, months)

    def _large(self, who: Ints, months: Floats) -> Floats:
        square = (self.height(who, months) / 100) ** 2
        child = _unless_grown(self.stout, self._bmi, who, months) * square
        grown = np.maximum(child + self._put_on(who, months), np.minimum(child, self.options.lightest * square))
        return np.where(months < GROWN * 12, child, grown)

    def bmi(self, who: Ints, months: Floats) -> Floats:
        """kg/m2 (k,)."""
        return self.weight(who, months) / (self.height(who, months) / 100) ** 2

    def _bmi(self, who: Ints, months: Floats) -> Floats:
        """kg/m2 (k,) as charted: at two years before, and at twenty after."""
        months = np.minimum(np.maximum(months, TODDLER * 12.0), GROWN * 12.0)
        place = np.clip(months / 12 - TODDLER, 0, GROWN - TODDLER)
        low = np.minimum(place.astype(np.int64), GROWN - TODDLER - 1)
        below, above = self.bmi_z[who, low], self.bmi_z[who, low + 1]
        return bmi_of(self.girls[who], months, below + (place - low) * (above - below))

    def _put_on(self, who: Ints, months: Floats) -> Floats:
        """kg (k,) gained since twenty, less what age took."""
        o, years = self.options, months / 12
        put_on = _yearly(o.gain, np.clip(np.minimum(years, o.gain_until) - GROWN, 0, None), self.gain[who])
        return put_on - _yearly(o.loss, np.clip(years - o.loss_from, 0, None), self.loss[who])


def _unless_grown(grown: Floats, young: Callable[[Ints, Floats], Floats], who: Ints, months: Floats) -> Floats:
    """What people (k,) have once grown, and of those who are not what `young` says."""
    out = grown[who]
    those = months < PAST
    if those.any():
        out[those] = young(who[those], months[those])
    return out


def _yearly(ends: tuple[float, float], years: Floats, normals: Floats) -> Floats:
    """The sum (k,) of even draws, one a year, to good approximation: its mean and spread are exact."""
    spread = (ends[1] - ends[0]) * np.sqrt(years / 12)
    return np.maximum((ends[0] + ends[1]) / 2 * years + spread * normals, 0.0)


def no_bodies(n: int, options: Growing) -> Bodies:
    """Room for the growth of n people."""
    z = np.zeros((n, GROWN - TODDLER + 1))
    return Bodies(np.zeros(n, bool), np.zeros(n), np.zeros(n), z, np.zeros(n), np.zeros(n), options)


def grow(girls: Flags, normals: Floats, options: Growing | None = None) -> Bodies:
    """The growth of n people, from chance: normals (n, 23).

    The first two normals are the height and the weight at birth, which go together (correlation .6), the last two the
    gains and losses of the grown. The others lead the BMI's z from year to year: z' = tie z + drift +
    sqrt(1 - tie^2) e.
    """
    o = options or Growing()
    height = normals[:, 0]
    weight = 0.6 * height + 0.8 * normals[:, 1]
    z = np.empty((len(girls), GROWN - TODDLER + 1))
    z[:, 0] = o.heavier + o.spread * normals[:, 2]
    for year, (tie, drift) in enumerate(zip(o.ties, o.drift, strict=True), 1):
        z[:, year] = tie * z[:, year - 1] + drift + np.sqrt(1 - tie**2) * normals[:, 2 + year]
    return Bodies(girls, height, weight, z, normals[:, 21], normals[:, 22], o)
