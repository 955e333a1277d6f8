"""What values themselves say: the decimals of floats, the step of whole numbers and times, the form of a text pair."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.forms import Form

MOST_DIGITS: Final = 15
EXACT: Final = 2.0**53  # whole numbers below are exact as floats

_SECOND: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_NATURAL: Final = (  # name, and the unit as seconds / parts; the longer first
    ("day", 86400, 1), ("12 hours", 43200, 1), ("6 hours", 21600, 1), ("hour", 3600, 1), ("30 minutes", 1800, 1),
    ("15 minutes", 900, 1), ("10 minutes", 600, 1), ("5 minutes", 300, 1), ("minute", 60, 1), ("30 seconds", 30, 1),
    ("15 seconds", 15, 1), ("10 seconds", 10, 1), ("5 seconds", 5, 1), ("second", 1, 1),
    ("millisecond", 1, 10**3), ("microsecond", 1, 10**6),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """Exact counts of one column."""

    rows: int
    nulls: int
    levels: int  # different values, missing aside

    @property
    def values(self) -> int:
        return self.rows - self.nulls

    @property
    def unique(self) -> bool:
        """No missing value, and none twice."""
        return self.nulls == 0 and self.levels == self.rows


def facts_of(frame: pl.DataFrame) -> dict[str, Facts]:
    """The facts of every column, in one pass over the columns."""
    if not frame.width:
        return {}
    levels = frame.select(pl.all().drop_nulls().n_unique()).row(0)
    nulls = frame.null_count().row(0)
    return {name: Facts(frame.height, nulls[i], levels[i]) for i, name in enumerate(frame.columns)}


def decimals(series: pl.Series) -> int | None:
    """The fewest decimals d, up to 15, to which every finite value is rounded; None where no d will do.

    >>> decimals(pl.Series([1.5, 0.25, None])), decimals(pl.Series([1 / 3]))
    (2, None)
    """
    values = series.drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    largest, most = float(np.abs(values).max()), 0
    while most < MOST_DIGITS and largest * 10 ** (most + 1) < EXACT:
        most += 1  # with more decimals, rounding would change nothing
    likely = next((d for d in range(most + 1) if _rounded(values[:1000], d)), most + 1)
    return next((d for d in range(likely, most + 1) if _rounded(values, d)), None)


def _rounded(values: npt.NDArray[np.floating[Any]], digits: int) -> bool:
    """Whether all values stand at so many decimals, in their own precision."""
    rounded = np.rint(values.astype(np.float64) * 10**digits) / 10**digits
    return bool((rounded.astype(values.dtype) == values).all())


def whole_step(series: pl.Series) -> int | None:
    """The greatest common divisor of whole numbers (missing aside), where it is more than 1.

    >>> whole_step(pl.Series([500, 750, 1000]))
    250
    """
    values = series.drop_nulls()
    if values.dtype == pl.Int128 or values.is_empty():
        return None
    numbers = values.to_numpy()
    for part in (numbers[:1000], numbers):
        step = int(np.gcd.reduce(part if part.dtype.kind == "u" else part.astype(np.int64)))
        if step <= 1:
            return None
    return step


def time_step(series: pl.Series) -> tuple[int, str] | None:
    """The largest natural unit (day, hour, minute ...) that divides all times, in units of the dtype, and its name.

    >>> time_step(pl.Series([3_600_000, 5_400_000]).cast(pl.Duration("ms")))
    (1800000, '30 minutes')
    """
    dtype = series.dtype
    divisor = None if isinstance(dtype, pl.Date) else whole_step(series.to_physical())
    if divisor is None:
        return None
    second = _SECOND["ns" if isinstance(dtype, pl.Time) else dtype.time_unit]  # type: ignore[attr-defined]
    for name, seconds, parts in _NATURAL:
        ticks = second * seconds // parts
        if ticks > 1 and divisor % ticks == 0:
            return ticks, name
    return None


def pair_format(values: pl.Series) -> str | None:
    """The form of `latitude, longitude` texts, such as `fixed:4;fixed:4`; None where a value is no such pair.

    >>> pair_format(pl.Series(["40.4168, -3.7038", "51.5072, -0.1276"]))
    'float, float'
    """
    number = r"-?\d{1,3}\.\d+"
    first = re.fullmatch(rf"({number})(\s*[,; ]\s*)({number})", str(values[0]))
    if not first:
        return None
    separator = first[2]
    if not bool(values.str.contains(rf"^{number}{re.escape(separator)}{number}$").all()):
        return None
    halves = values.str.splitn(separator, 2).struct
    forms = [Form.detect(halves[f"field_{i}"]) for i in (0, 1)]
    if any(f is None or f.kind not in ("float", "fixed") for f in forms):
        return None
    for half, limit in ((0, 90), (1, 180)):
        if float(halves[f"field_{half}"].cast(pl.Float64).abs().max()) > limit:  # type: ignore[arg-type]
            return None
    return f"{forms[0]}{separator}{forms[1]}"


def spaced(series: pl.Series, size: int) -> pl.Series:
    """Up to `size` different values (missing aside) from all over the series, the same every time."""
    values = series.drop_nulls().unique(maintain_order=True)
    return values.gather_every(max(1, len(values) // size)).head(size)


def first_double(series: pl.Series) -> tuple[int, Any] | None:
    """The row and value where a value (missing aside) stands for the second time."""
    again = (~series.is_first_distinct() & series.is_not_null()).arg_true()
    return (int(again[0]), series[int(again[0])]) if len(again) else None
