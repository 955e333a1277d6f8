"""`Axis`: one ordered field, a polars series of numbers <-> positions and marks. Every ordered kind is built of these.

Whole numbers stay whole from end to end: they are counted in uint64 from the lowest value of their type. Only columns
that reach past 64 bits (integers or decimals of 128) go through float64, with the exact value kept for each atom.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec.grid import Bools, Grid, Ints, fit_grid, segment
from verosim.codec.saved import Saved
from verosim.models import Array, Field, Floats, State

Number = int | float

MARKS: Final = ("null", "nan", "inf", "-inf")
SIGNED: Final = (-(2**63), 2**63 - 1)
UNSIGNED: Final = (0, 2**64 - 1)
WIDE: Final = (-(2**127), 2**127 - 1)
_SIGN: Final = np.uint64(2**63)


@dataclass(frozen=True, slots=True)
class Limits:
    """What values may come out: from `low` to `high`, in multiples of `step` (whole), of `digits` decimals (floats)."""

    low: Number | None = None
    high: Number | None = None
    step: int = 1
    digits: int | None = None


# ------------------------------------------------------------------------------- series <-> numpy, without loss


@dataclass(frozen=True, slots=True)
class Ticks:
    """A polars series of numbers <-> the float64 or uint64 that a grid wants.

    way: "float", "signed", "unsigned", or "wide" (whole, but past 64 bits). exact: the wide atoms.
    """

    way: str
    exact: tuple[tuple[float, int], ...] = ()

    @classmethod
    def of(cls, series: pl.Series) -> Self:
        if series.dtype.is_float():
            return cls("float")
        low, high = int(series.min() or 0), int(series.max() or 0)  # type: ignore[arg-type]
        if low >= SIGNED[0] and high <= SIGNED[1]:
            return cls("signed")
        return cls("unsigned" if low >= 0 and high <= UNSIGNED[1] else "wide")

    @property
    def dtype(self) -> str:
        return "uint64" if self.way in ("signed", "unsigned") else "float64"

    @property
    def range(self) -> tuple[Number, Number]:
        """The lowest and highest value that has a place."""
        whole = {"signed": SIGNED, "unsigned": UNSIGNED, "wide": WIDE}
        largest = float(np.finfo(np.float64).max)
        return whole.get(self.way, (-largest, largest))

    def forward(self, series: pl.Series) -> Array:
        """series: no nulls. (n,); what has no place is clipped."""
        if self.dtype == "float64":
            return np.asarray(series.cast(pl.Float64).to_numpy() + 0.0)  # -0.0 becomes 0.0
        low, high = self.range
        if series.dtype in (pl.UInt64, pl.Int128):
            series = series.clip(max(low, 0) if series.dtype == pl.UInt64 else low, high)
        if self.way == "unsigned":
            return series.cast(pl.UInt64).to_numpy()
        return np.asarray(series.cast(pl.Int64).to_numpy().view(np.uint64) ^ _SIGN)

    def backward(self, values: Array) -> pl.Series:
        if self.way == "float" or self.way == "unsigned":
            return pl.Series(values)
        if self.way == "signed":
            return pl.Series((values ^ _SIGN).view(np.int64))
        whole = pl.Series(np.clip(values, -(2.0**126), 2.0**126)).cast(pl.Int128)
        if not self.exact:
            return whole
        keys = np.array([key for key, _ in self.exact])
        found = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
        atoms = pl.Series([value for _, value in self.exact], dtype=pl.Int128).gather(found)
        return atoms.zip_with(pl.Series(keys[found] == values), whole)

    def one(self, value: Number) -> Array:
        """A single value, (1,), clipped to what has a place."""
        low, high = self.range
        value = min(max(value, low), high)
        return np.array([value if self.dtype == "float64" else int(value) - low], dtype=self.dtype)

    def with_exact(self, series: pl.Series, grid: Grid) -> Ticks:
        """For wide numbers: know the exact value of each atom (the commonest, where several round to one float)."""
        if self.way != "wide":
            return self
        counts = pl.DataFrame({"exact": series, "float": series.cast(pl.Float64)}).group_by("float", "exact").len()
        atoms = counts.filter(pl.col("float").is_in(grid.low[grid.is_atom].tolist()))
        best = atoms.sort("len", "exact", descending=[True, False]).unique("float", keep="first").sort("float")
        return replace(self, exact=tuple(zip(best["float"].to_list(), best["exact"].to_list(), strict=True)))


def coarse(value: float) -> float:
    """A value that nobody can be told by: two significant digits, and one below a thousand.

    >>> [coarse(v) for v in (51234.5, 42.0, -0.00123)]
    [51000.0, 40.0, -0.001]
    """
    return float(f"{value:.{0 if abs(value) < 1000 else 1}e}")


# --------------------------------------------------------------------------------------------------- the axis


class Axis:
    """Positions and marks of one series of numbers.

    A mark is what is no value: null, NaN, +inf, -inf, as far as they were seen. Encoding is total: a value out of the
    range seen takes the nearest end; an unseen null or NaN takes the other's mark, or else the middle.
    """

    def __init__(self, marks: tuple[str, ...], ticks: Ticks, grid: Grid, limits: Limits, empty: bool = False) -> None:
        self.marks, self.ticks, self.grid, self.limits = marks, ticks, grid, limits
        self.empty = empty  # no value was seen: everything decodes to the first mark

    @classmethod
    def fit(cls, series: pl.Series, people: Ints | None, k: int, limits: Limits, protect: bool = True) -> Axis:
        """people: (n,) who holds each row, or None: each row its own person."""
        what = _what(series)
        marks = tuple(mark for i, mark in enumerate(MARKS, 1) if (what == i).any())
        plain = _inside(series, what == 0, limits)
        values = series.filter(pl.Series(plain))
        ticks = Ticks.of(values)
        if not len(values):
            return cls(marks or MARKS[:1], ticks, segment(ticks.one(0), ticks.one(0)), limits, empty=True)
        held = None if people is None else people[plain]
        if protect and (len(values) if held is None else len(np.unique(held))) < k:
            return cls(marks, ticks, _made_up(values, ticks, limits), limits)
        grid = fit_grid(ticks.forward(values), held, k, protect)
        return cls(marks, ticks.with_exact(values, grid), grid, limits)

    def field(self, name: str) -> Field:
        return Field(name, marks=len(self.marks), atoms=self.grid.atoms)

    def encode(self, series: pl.Series) -> Floats:
        """(n,) positions in [0, 1), or marks -1, -2 ..."""
        what = _what(series)
        plain = series.fill_null(0)
        if series.dtype.is_float():
            plain = plain.fill_nan(0).clip(*self.ticks.range)
        codes = self.grid.encode(self.ticks.forward(plain))
        if not what.any():
            return codes
        known = {mark: -1.0 - i for i, mark in enumerate(self.marks)}
        missing = known.get("null", known.get("nan", 0.5))
        found = (0.0, missing, known.get("nan", missing), known.get("inf", np.nan), known.get("-inf", np.nan))
        marked = np.array(found)[what]
        return np.where((what == 0) | np.isnan(marked), codes, marked)  # an unseen infinity was clipped to the end

    def decode(self, codes: Floats) -> pl.Series:
        """(n,) codes to a series of Float64, Int64, UInt64 or Int128."""
        if self.empty:
            codes = np.minimum(codes, -1.0)
        values, segments = self.grid.at(np.maximum(codes, 0.0))
        values = np.where(self.grid.is_atom[segments], values, self._settle(values))
        if not self.marks or codes.min(initial=0.0) >= 0:
            return self._exactly_within(values)
        what = np.array([0, *(MARKS.index(mark) + 1 for mark in self.marks)])
        what = what[np.clip(-codes, 0, len(self.marks)).astype(np.int64)]
        if self.ticks.way == "float":
            values = np.where(what > 1, np.array([0, 0, np.nan, np.inf, -np.inf])[what], values)
        series = self._exactly_within(values)
        return series.zip_with(pl.Series(what != 1), pl.Series([None], dtype=series.dtype))

    def _exactly_within(self, values: Array) -> pl.Series:
        """The values as a series; wide ones, which were rounded to floats, within the limits to the last digit."""
        series = self.ticks.backward(values)
        if self.ticks.way != "wide":
            return series
        low, high = (
            end if own is None else own for end, own in zip(WIDE, (self.limits.low, self.limits.high), strict=True)
        )
        return series.clip(int(low), int(high))

    def _settle(self, values: Array) -> Array:
        """Round to digits or steps, and keep within the limits: (n,) as the grid gave them."""
        low, high = self._ends
        if self.ticks.way == "float":
            return np.clip(_round(values, self.limits.digits), low, high)
        values = np.clip(values, low, high)
        if self.ticks.way == "wide" or self.limits.step == 1:
            return values
        step = np.uint64(self.limits.step)
        over = (values - low) % step  # `low` is a multiple itself
        up = over > (step - np.uint64(1)) // np.uint64(2)
        return np.asarray(np.where(up, values + (step - over), values - over))

    @cached_property
    def _ends(self) -> tuple[Any, Any]:
        """The lowest and highest value that may come out, as the grid counts; multiples of the step."""
        (low, high), step = self.ticks.range, self.limits.step
        low = low if self.limits.low is None else max(low, self.limits.low)
        high = high if self.limits.high is None else min(high, self.limits.high)
        if step > 1 and self.ticks.dtype == "uint64":
            low, high = -(-low // step) * step, high // step * step
        return self.ticks.one(low)[0], self.ticks.one(max(low, high))[0]

    # ------------------------------------------------------------------------------------------- files

    def state(self) -> State:
        meta = {"marks": list(self.marks), "empty": self.empty, **asdict(self.ticks), **asdict(self.limits)}
        return meta, {"edges": self.grid.edges, "low": self.grid.low, "high": self.grid.high}

    @classmethod
    def restore(cls, saved: Saved) -> Axis:
        marks = tuple(saved.texts("marks"))
        saved.need(set(marks) <= set(MARKS) and len(set(marks)) == len(marks), f"unknown marks {marks!r}")
        way = saved.text("way")
        saved.need(way in ("float", "signed", "unsigned", "wide"), f"unknown way {way!r}")
        digits = saved.number("digits")
        limits = Limits(saved.number("low"), saved.number("high"), saved.whole("step", 1, 2**62), None)
        if digits is not None:
            limits = replace(limits, digits=saved.whole("digits", -308, 308))
        ticks = Ticks(way, _exact(saved))
        empty = saved.flag("empty")
        saved.need(bool(marks) or not empty, "a column without values needs a mark")
        return cls(marks, ticks, _grid(saved, ticks), limits, empty)


def _what(series: pl.Series) -> Ints:
    """(n,) 0 for a plain value, else 1 + the place in MARKS."""
    what = series.is_null().to_numpy().astype(np.int64)
    if series.dtype.is_float():
        values = series.fill_null(0).cast(pl.Float64).to_numpy()
        if not np.isfinite(values).all():
            what += 2 * np.isnan(values) + 3 * (values == np.inf) + 4 * (values == -np.inf)
    return what


def _inside(series: pl.Series, plain: Bools, limits: Limits) -> Bools:
    """Which plain values lie within the limits: the others are not learned, so that nothing piles up at a limit."""
    inside = plain
    for limit, compare in ((limits.low, series.__ge__), (limits.high, series.__le__)):
        if limit is not None:
            inside = inside & compare(limit).fill_null(False).to_numpy()
    return inside if inside.any() else plain


def _made_up(values: pl.Series, ticks: Ticks, limits: Limits) -> Grid:
    """The grid of a column that fewer than k people hold: evenly around its mean, both ends rounded to be nobody's."""
    real = values.cast(pl.Float64).to_numpy()
    mean = float((real / len(real)).sum())
    half = float(np.abs(real / len(real) / 2 - mean / len(real) / 2).sum())
    low, high = (_bounded(coarse(mean + way * half), limits) for way in (-1, 1))
    return segment(ticks.one(low), ticks.one(high))


def _bounded(value: Number, limits: Limits) -> Number:
    value = value if limits.low is None else max(value, limits.low)
    return value if limits.high is None else min(value, limits.high)


def _round(values: Floats, digits: int | None) -> Floats:
    """Round where it changes anything: from 2**53 on, in units of the last digit, every float is a multiple already."""
    if digits is None or abs(digits) > 22:  # 10.0**23 is no longer exact
        return values
    fine = np.abs(values) < 2.0**53 / 10.0**digits
    return np.where(fine, np.round(np.where(fine, values, 0.0), digits), values)


def _exact(saved: Saved) -> tuple[tuple[float, int], ...]:
    pairs = saved.meta.get("exact")
    if not isinstance(pairs, list | tuple):
        saved.refuse("exact must be a list")
    for pair in pairs:
        right = isinstance(pair, list | tuple) and len(pair) == 2
        saved.need(right and isinstance(pair[0], float) and type(pair[1]) is int, "exact must hold pairs of numbers")
        saved.need(WIDE[0] <= pair[1] <= WIDE[1], "an exact value is too large")
    found = tuple((pair[0], pair[1]) for pair in pairs)
    saved.need(all(a < b for (a, _), (b, _) in pairwise(found)), "exact values are not in order")
    return found


def _grid(saved: Saved, ticks: Ticks) -> Grid:
    edges = saved.array("edges", "float64")
    saved.need(len(edges) > 1 and edges[0] == 0 and edges[-1] == 1, "positions must run from 0 to 1")
    saved.need(bool((edges[1:] > edges[:-1]).all()), "positions are not in order")
    low = saved.array("low", ticks.dtype, len(edges) - 1)
    high = saved.array("high", ticks.dtype, len(edges) - 1)
    saved.need(bool((low <= high).all() and (high[:-1] <= low[1:]).all()), "values are not in order")
    return Grid(edges, low, high)
