"""How a column is drawn: bars with round edges for what has an order, levels by frequency for what has none.

An axis puts every row of a comparison in one of its cells, or in none where there is no value. The outer bars of an
`open` side also hold what lies beyond it, so that a few extremes do not squeeze all others into one bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim import schema
from verosim.evaluation.case import Case
from verosim.evaluation.columns import Codes, Column, Floats, Levels, Ordered, Rows
from verosim.forms import Form

BARS: Final = 30  # at most, of one column
TAIL: Final = 0.005  # share of the real values on either side that may lie beyond the bars
WIDER: Final = 1.3  # times the range of the others that all values may take
OTHER: Final = "other"
LONGEST: Final = 80  # letters of a level that are shown

MINUTE, HOUR, DAY = 60, 3600, 86_400
ROUND_TIMES: Final = (
    1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY,
)  # fmt: skip
ROUND_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000, 12_000)
PER_SECOND: Final = {"ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Where each row of a comparison is drawn."""

    kind: str  # ordered or levels
    cells: Codes  # (n,) in [0, len(labels)), or -1
    labels: tuple[str, ...]  # of levels: their names; of bars: from - to
    edges: tuple[float, ...] = ()  # of bars: one more than there are bars
    edge_labels: tuple[str, ...] = ()  # the edges as ISO text, where they are times
    open: tuple[bool, bool] = (False, False)  # whether the outer bars hold what lies beyond them

    def shares(self, rows: Rows) -> list[float]:
        """The share of all rows in each cell."""
        cells = self.cells[rows]
        return (np.bincount(cells[cells >= 0], minlength=len(self.labels)) / max(1, len(rows))).round(6).tolist()


@dataclass(frozen=True, slots=True)
class Clock:
    """What the numbers of a column of times stand for."""

    dtype: pl.DataType

    @classmethod
    def of(cls, case: Case, name: str) -> Clock | None:
        """None where the column holds no times."""
        column = next((c for c in case.table.columns if c.name == name), None)
        dtype = _dtype(case, column) if column else None
        return cls(dtype) if dtype is not None and dtype.is_temporal() else None

    @property
    def second(self) -> float:
        """The length of a second."""
        if self.dtype == pl.Date:
            return 1 / DAY
        return PER_SECOND[getattr(self.dtype, "time_unit", "ns")]  # times of day count nanoseconds

    @property
    def in_calendar(self) -> bool:
        return self.dtype == pl.Date or isinstance(self.dtype, pl.Datetime)

    def text(self, value: float) -> str:
        """ISO 8601 of a point in time or a time of day; of a duration hours, minutes and seconds."""
        if not self.in_calendar:
            seconds = round(abs(value) / self.second)
            sign = "-" if value < 0 else ""
            return f"{sign}{seconds // HOUR:02}:{seconds // MINUTE % 60:02}:{seconds % 60:02}"
        if self.dtype == pl.Date:
            return str(np.datetime64(floor(value), "D"))
        return str(np.datetime64(floor(value / self.second), "s"))


def _dtype(case: Case, column: schema.Column) -> pl.DataType | None:
    dtype = case.train.schema[column.name]
    if dtype == pl.String and column.format and column.kind in ("date", "datetime", "time", "duration"):
        return Form.of(column.format).parse(pl.Series(dtype=pl.String)).dtype
    return dtype


# ------------------------------------------------------------------------------------------------------------ axes


def axis(case: Case, column: Column) -> Axis:
    """The axis of a column's histogram: at most `BARS` bars or levels."""
    if isinstance(column, Levels):
        return _of_levels(case, column, BARS)
    if levels := _ordinal(case, column.name):
        cells = np.where(column.marks == 0, column.values, -1).astype(np.int32)
        return _frequent(case, cells, levels, BARS)
    real, clock = _values(column, case.arrays.real), Clock.of(case, column.name)
    return _bars(column, _round_edges(real, clock) if len(real) else np.zeros(0), clock)


def grouped(case: Case, column: Column, groups: int) -> Axis:
    """A short axis, for tables of two columns: at most so many groups of about equally many train rows, or levels."""
    if isinstance(column, Levels):
        return _of_levels(case, column, groups)
    if levels := _ordinal(case, column.name):
        return _frequent(case, np.where(column.marks == 0, column.values, -1).astype(np.int32), levels, groups)
    train = _values(column, case.arrays.train)
    edges = np.unique(np.quantile(train, np.linspace(0, 1, groups + 1))) if len(train) else np.zeros(0)
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    return _bars(column, edges, Clock.of(case, column.name))


def unscaled(values: Floats | list[float], column: Ordered) -> Floats:
    """Values of an ordered column as they are in its table; always finite."""
    with np.errstate(over="ignore"):
        return np.nan_to_num(np.ldexp(values, column.exponent))


def _values(column: Ordered, rows: Rows) -> Floats:
    return column.values[rows][column.marks[rows] == 0]


def _ordinal(case: Case, name: str) -> list[str]:
    """The levels of an ordinal column, in their order."""
    column = next((c for c in case.table.columns if c.name == name and c.kind == "ordinal"), None)
    return [str(level) for level in column.levels or ()] if column else []


def _of_levels(case: Case, column: Levels, most: int) -> Axis:
    cells = np.where(column.codes < len(column.names), column.codes, -1).astype(np.int32)
    return _frequent(case, cells, column.names, most)


def _frequent(case: Case, cells: Codes, names: pl.Series | Sequence[str], most: int) -> Axis:
    """The most frequent levels of real rows, ordinals in their own order; the rest together."""
    real = cells[case.arrays.real]
    counts = np.bincount(real[real >= 0], minlength=len(names))
    by_count = np.argsort(-counts, kind="stable")
    shown = by_count if len(names) <= most else by_count[: most - 1]
    place = np.full(len(names) + 1, len(shown), np.int32)
    place[shown], place[-1] = np.arange(len(shown)), -1
    labels = [str(names[int(i)]) for i in shown] + [OTHER] * (len(shown) < len(names))
    labels = [name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..." for name in labels]
    return Axis("levels", place[cells], tuple(labels))


def _bars(column: Ordered, edges: Floats, clock: Clock | None) -> Axis:
    """Bars from edge to edge, the upper one outside; the last bar has both. Without edges no row is drawn."""
    if len(edges) < 2:
        return Axis("ordered", np.full(len(column.values), -1, np.int32), ())
    known = column.values[column.marks == 0]
    cells = np.clip(np.searchsorted(edges, column.values, "right") - 1, 0, len(edges) - 2)
    cells[column.marks != 0] = -1
    shown = unscaled(edges, column).tolist()
    texts = [clock.text(e) if clock else f"{e:.6g}" for e in shown]
    labels = [a if a == b else f"{a} - {b}" for a, b in pairwise(texts)]
    beyond = (bool((known < edges[0]).any()), bool((known > edges[-1]).any()))
    return Axis("ordered", cells.astype(np.int32), tuple(labels), tuple(shown), tuple(texts) if clock else (), beyond)


# ----------------------------------------------------------------------------------------------------- round edges


def _round_edges(values: Floats, clock: Clock | None) -> Floats:
    """Edges of at most `BARS` bars over nearly all values: the outermost `TAIL` may lie beyond."""
    low, high = (float(q) for q in np.quantile(values, [TAIL, 1 - TAIL], method="nearest"))
    if values.max() - values.min() <= WIDER * (high - low):  # all of it costs little room
        low, high = float(values.min()), float(values.max())
    if clock and clock.in_calendar and (high - low) / clock.second > BARS * ROUND_TIMES[-1]:
        return _months(low, high, clock)
    if clock:
        step = clock.second * next((s for s in ROUND_TIMES if (high - low) / clock.second <= s * (BARS - 2)), 0)
        step = max(step, 1.0) if step else _round_step(low, high, whole=True)
    else:
        step = _round_step(low, high, whole=bool((values == np.rint(values)).all()))
    return _steps(low, high, step)


def _round_step(low: float, high: float, whole: bool) -> float:
    """1, 2 or 5 times a power of ten."""
    least = (high - low) / (BARS - 2)
    if least <= 0:
        return 1.0 if abs(low) < 1e15 else abs(low) / 1e3
    power = 10.0 ** np.floor(np.log10(least))
    step = float(next(power * s for s in (1, 2, 5, 10) if power * s >= least * (1 - 1e-9)))
    return max(step, 1.0) if whole else step


def _steps(low: float, high: float, step: float) -> Floats:
    first, last = np.floor(low / step), np.floor(high / step) + 1
    edges: npt.NDArray[np.float64] = np.arange(min(last - first, BARS) + 1) * step + first * step
    return np.unique(edges)


def _months(low: float, high: float, clock: Clock) -> Floats:
    """Edges on the first days of months, or of years."""
    unit = "D" if clock.dtype == pl.Date else "s"
    scale = 1.0 if unit == "D" else clock.second
    ends = np.array([low, high]) / scale
    first, last = ends.astype(np.int64).astype(f"datetime64[{unit}]").astype("datetime64[M]").astype(np.int64).tolist()
    step = next((s for s in ROUND_MONTHS if last - first <= s * (BARS - 2)), (last - first) // (BARS - 2) + 1)
    # Month 0 is January 1970: with the offset, steps of years and more begin in round years.
    offset = 1970 * 12
    months = np.arange((first + offset) // step, (last + offset) // step + 2) * step - offset
    return months.astype("datetime64[M]").astype(f"datetime64[{unit}]").astype(np.float64) * scale
