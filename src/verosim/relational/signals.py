"""Columns as plain numbers, for what compares groups of rows: who resembles whom, what children have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from verosim.keys import Ints
from verosim.models import Floats
from verosim.schema import Table

LEVELS: Final = 3  # the commonest levels of a category are looked at
COMMON: Final = 0.03  # share of the rows that such a level must have
PAIRS: Final = 100  # rows beside one before them by which it is judged whether values go on
_ORDERED: Final = ("number", "date", "datetime", "time", "duration", "geo")


@dataclass(frozen=True, slots=True)
class Signal:
    """One column, or whether it has one level, as numbers (n,); a missing value is NaN."""

    column: str
    level: object  # None: the column itself
    values: Floats

    @property
    def name(self) -> str:
        return self.column if self.level is None else f"{self.column} = {self.level}"


def signals(frame: pl.DataFrame, table: Table) -> list[Signal]:
    """The columns of a frame that say something: measures and times as they are, categories by their commonest levels.

    Keys, personal data and free text say nothing.
    """
    keys = {name for key in table.foreign_keys for name in key.columns} | {*table.primary_key}
    out = list[Signal]()
    for column in table.columns:
        series = frame[column.name]
        if column.name in keys or not frame.height:
            continue
        if column.kind in _ORDERED and (series.dtype.is_numeric() or series.dtype.is_temporal()):
            out.append(Signal(column.name, None, as_numbers(series)))
        elif column.kind in ("category", "boolean", "ordinal"):
            out += [Signal(column.name, level, is_level(series, level)) for level in _common(series)]
    return out


def as_numbers(series: pl.Series) -> Floats:
    values = series.to_physical() if series.dtype.is_temporal() else series
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def is_level(series: pl.Series, level: object) -> Floats:
    """1 where the value is this level, 0 where it is another, NaN where it is missing."""
    return (series.cast(pl.String) == str(level)).cast(pl.Float64).fill_null(np.nan).to_numpy()


def _common(series: pl.Series) -> list[str]:
    """The commonest levels, without the last of those that there are: the others tell it."""
    counts = (
        series.cast(pl.String)
        .drop_nulls()
        .value_counts(sort=True, name="n")
        .sort("n", series.name, descending=[True, False])
    )
    levels = counts.filter(pl.col("n") >= COMMON * len(series))[series.name].to_list()
    return levels[: min(LEVELS, counts.height - 1)]


def correlation_within(values: Floats, group: Ints) -> float:
    """How alike values of one group are: the intra-class correlation, from 0 to 1 (Fisher, 1925, by analysis of
    variance). values: (n,) with NaN; group: (n,), below 0 for none."""
    there = (group >= 0) & np.isfinite(values)
    values, group = values[there], np.unique(group[there], return_inverse=True)[1]
    n, sizes = len(values), np.bincount(group)
    if n - len(sizes) < 10 or len(sizes) < 2:
        return 0.0
    values = values - values.mean()
    between = float((np.bincount(group, values) ** 2 / sizes).sum())
    within = float((values**2).sum()) - between
    size = (n - (sizes.astype(float) ** 2).sum() / n) / (len(sizes) - 1)
    between, within = between / (len(sizes) - 1), within / (n - len(sizes))
    total = between + (size - 1) * within
    return float(np.clip((between - within) / total, 0.0, 1.0)) if total > 0 else 0.0


def carried_on(values: Floats, group: Ints, before: Ints) -> float:
    """The correlation of a value and the one before it in its group, both less the group's mean: below 0 by chance.

    values: (n,) with NaN; before: (n,) the row before each in its group, below 0 for none.
    """
    _, group = np.unique(group, return_inverse=True)
    values = values - group_means(values, group, int(group.max(initial=-1)) + 1)[group] if len(group) else values
    there = np.flatnonzero((before >= 0) & np.isfinite(values))
    there = there[np.isfinite(values[before[there]])]
    one, two = values[there], values[before[there]]
    size = float(np.sqrt((one**2).sum() * (two**2).sum())) if len(there) >= PAIRS else 0.0
    return float((one * two).sum() / size) if size > 0 else 0.0


def alike_in(values: list[Signal], group: Ints) -> float:
    """The mean of `correlation_within` over the signals."""
    found = [correlation_within(s.values, group) for s in values]
    return float(np.mean(found)) if found else 0.0


def group_means(values: Floats, group: Ints, n: int) -> Floats:
    """(n,) the mean of each group's values; NaN for a group without any."""
    there = (group >= 0) & np.isfinite(values)
    counts = np.bincount(group[there], minlength=n)
    sums = np.bincount(group[there], values[there], n)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
