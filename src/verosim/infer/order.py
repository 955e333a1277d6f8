"""Whether the order of rows matters: whether a row tells what the next one of its owner is.

It must tell more of the next one than of any other row of that owner. So the rows of each owner are shuffled, and how
much neighbours say of each other (their mutual information) is held against that.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.keys import Ints
from verosim.schema import Table

MOST: Final = 50_000  # rows that are looked at, of whole owners
PAIRS: Final = 100  # rows beside one of their owner by which order is judged
BINS: Final = 8  # of a number, about as many rows in each; categories keep so many levels
SHUFFLES: Final = 10
CLEAR: Final = 6.0  # standard deviations of shuffled rows ...
MATTERS: Final = 0.02  # ... and the share of what is not known of the next row, from which order matters
SILENT: Final = frozenset({
    "id", "personal", "text", "json", "empty", "constant", "date", "datetime", "time",
})  # fmt: skip  # kinds that tell nothing of the next row


def what_tells(frame: pl.DataFrame, table: Table, without: Collection[str], owners: Ints, ticks: Ints) -> str:
    """The column that tells most of what it is in the next row, in words; "" where none does. owners: (n,) from 0 on;
    ticks: (n,) times. without: columns that are not looked at."""
    some = np.flatnonzero(owners < _enough(owners))
    found = dict[str, float]()
    for column in table.columns:
        if column.kind not in SILENT and column.name not in without:
            codes, rng = _codes(frame[column.name][some]), stream(0, table.name, column.name)
            found[column.name] = tells_next(codes, owners[some], ticks[some], rng)
    best = max(found, key=lambda name: found[name], default="")
    return f"{best} tells {found[best]:.0%} of what the next one is" if found.get(best) else ""


def _enough(owners: Ints) -> int:
    """The number of owners whose rows are looked at."""
    rows = np.cumsum(np.bincount(owners)) if len(owners) else np.zeros(0)
    return max(1, int(np.searchsorted(rows, MOST, "right")))


def tells_next(codes: Ints, owners: Ints, ticks: Ints, rng: np.random.Generator) -> float:
    """The share of what is not known of the next row's code that a row tells, more than rows of the same owner in any
    order do; 0 where chance may have it so. codes, owners: (n,) from 0 on; ticks: (n,) times."""
    order = np.lexsort((ticks, owners))
    later = 1 + np.flatnonzero(np.diff(owners[order]) == 0)
    if len(later) < PAIRS:
        return 0.0
    real = codes[order]
    chance = np.zeros(SHUFFLES)
    for i in range(SHUFFLES):
        other = codes[np.lexsort((rng.random(len(codes)), owners))]
        chance[i] = _information(other[later - 1], other[later])
    excess, most = _information(real[later - 1], real[later]) - chance.mean(), _entropy(np.bincount(real[later]))
    clear = excess > CLEAR * max(float(chance.std()), 1e-9) and excess >= MATTERS * most
    return float(excess / most) if clear and most > 0 else 0.0


def _codes(series: pl.Series) -> Ints:
    """(n,) numbers in bins of about as many rows each, others by their commonest levels; a missing value is a code."""
    if series.dtype.is_numeric() and series.n_unique() > BINS:
        values = series.cast(pl.Float64).fill_nan(None)
        share = (values.rank("average") - 1) / max(len(values) - values.null_count(), 1)
        return (share * BINS).floor().fill_null(BINS).cast(pl.Int64).to_numpy()
    levels = series.cast(pl.String).value_counts(sort=True).to_series(0).head(BINS).to_list()
    known = {level: code for code, level in enumerate(levels)}
    return series.cast(pl.String).replace_strict(known, default=BINS, return_dtype=pl.Int64).to_numpy()


def _information(one: Ints, other: Ints) -> float:
    """The mutual information of codes (n,), in nats."""
    cells = np.bincount(one * (BINS + 1) + other, minlength=(BINS + 1) ** 2).reshape(BINS + 1, BINS + 1)
    return _entropy(cells.sum(0)) + _entropy(cells.sum(1)) - _entropy(cells.ravel())


def _entropy(counts: Ints) -> float:
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())
