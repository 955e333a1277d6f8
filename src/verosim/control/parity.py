"""A target independent of sensitive columns: `Parity` draws it again, and leaves all else as it is.

For each row some candidates are drawn from p(target | all others). One of them is taken, with a chance in proportion to
a weight for its group and value; the weights are such that each group has the target's values in the shares that all
rows have (raking, after Deming and Stephan, On a Least Squares Adjustment, 1940). So within a group the target goes
with the other columns as it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Final

import numpy as np
import polars as pl

from verosim.codec.categories import to_keys
from verosim.control.conditions import asked_column
from verosim.control.filling import in_chunks
from verosim.control.pool import Pool, derived
from verosim.draws import BLOCK, stream
from verosim.errors import ArgumentError
from verosim.models import Array, Floats
from verosim.schema import Table

CANDIDATES: Final = 16
ROUNDS: Final = 200  # of raking: more change nothing
ROWS: Final = 3 * BLOCK  # on which the weights are found
FEWEST: Final = 100  # rows of a group: smaller ones are one group together
BINS: Final = 10  # of a column of many values


class Parity:
    """One target made independent of some columns. rows: what it is drawn among."""

    def __init__(self, pool: Pool, target: str, sensitive: Sequence[str], rows: pl.DataFrame) -> None:
        self.pool, self.target, self.sensitive = pool, target, tuple(sensitive)
        self.learned = pool.learn_column(rows, target, "parity", target)
        self.values = _coded(rows[target])
        self._codes = [_coded(rows[name]) for name in self.sensitive]
        self._sizes = [int(code(rows[name]).max()) + 2 for name, code in zip(self.sensitive, self._codes, strict=True)]
        if prod(self._sizes) >= 2**62:
            raise ArgumentError(f"fair: {', '.join(self.sensitive)} have too many combinations; name fewer columns.")
        rows = rows.head(ROWS)
        found, counts = np.unique(self._raw_groups(rows), return_counts=True)
        self.groups = found[counts >= FEWEST]
        codes = np.concatenate([self._candidates(f, n, pool.seed)[1] for n, f in enumerate(in_chunks(rows))])
        self.weights = _raked(codes, self._group(rows), len(self.groups) + 1)
        self.before, self.after = (np.zeros(self.weights.shape) for _ in range(2))

    def apply(self, frame: pl.DataFrame, number: int, seed: int) -> pl.DataFrame:
        """The rows of block `number` with the target drawn again."""
        drawn, codes = self._candidates(frame, number, seed)
        chance = self.weights[self._group(frame)[:, None], codes].cumsum(1)
        rng = stream(seed, self.pool.table.name, number, "parity", self.target)
        taken = (chance <= (rng.random(frame.height) * chance[:, -1])[:, None]).sum(1)
        place = np.minimum(taken, CANDIDATES - 1) * frame.height + np.arange(frame.height)
        out = frame.with_columns(drawn[place])
        self._count(self.before, frame)
        self._count(self.after, out)
        return out

    @property
    def effect(self) -> str:
        """In a line: how far apart the groups are in the rows drawn so far, before and after."""
        return (
            f"{self.target} by {', '.join(self.sensitive)}: the largest difference of a share between groups was "
            f"{_gap(self.before):.3f} and is {_gap(self.after):.3f}"
        )

    def _candidates(self, frame: pl.DataFrame, number: int, seed: int) -> tuple[pl.Series, Array]:
        """Values of the target, one candidate of all rows after the other, and their codes (n, CANDIDATES)."""
        given, n = frame.drop(self.target), frame.height
        draws = (
            self.learned.block(number, derived(seed, "candidate", c), n, given)[self.target] for c in range(CANDIDATES)
        )
        values = pl.concat(list(draws))
        return values, self.values(values).reshape(CANDIDATES, n).T

    def _raw_groups(self, frame: pl.DataFrame) -> Array:
        """(n,) a number for each combination of the sensitive columns' values."""
        out = np.zeros(frame.height, np.int64)
        for name, code, size in zip(self.sensitive, self._codes, self._sizes, strict=True):
            out = out * size + np.minimum(code(frame[name]), size - 1)
        return out

    def _group(self, frame: pl.DataFrame) -> Array:
        """(n,) the place of each row's group; those too small share the last."""
        raw, last = self._raw_groups(frame), len(self.groups)
        place = np.minimum(np.searchsorted(self.groups, raw), max(last - 1, 0))
        return np.where(self.groups[place] == raw, place, last) if last else place

    def _count(self, counts: Floats, frame: pl.DataFrame) -> None:
        np.add.at(counts, (self._group(frame), self.values(frame[self.target])), 1)


def parse(fair: object, table: Table) -> list[tuple[str, tuple[str, ...]]]:
    """Targets and the columns that each is to be independent of. Raises ArgumentError."""
    if not isinstance(fair, dict) or not fair:
        raise ArgumentError(f"fair: {{target: [sensitive columns]}} was wanted, not {fair!r}.")
    out = []
    for target, sensitive in fair.items():
        names = [sensitive] if isinstance(sensitive, str) else sensitive
        if not isinstance(names, list | tuple) or not names:
            raise ArgumentError(f"fair, {target!r}: a list of sensitive columns was wanted, not {sensitive!r}.")
        asked = [asked_column(name, table, "fair").name for name in (target, *names)]
        if target in names:
            raise ArgumentError(f"fair: {target!r} cannot be independent of itself.")
        out.append((asked[0], tuple(asked[1:])))
    return out


def _coded(series: pl.Series) -> Callable[[pl.Series], Array]:
    """Codes 0, 1 ... of a column: its levels, or bins of about as many rows where it has more than a few values."""
    numeric = series.dtype.is_numeric() or series.dtype.is_temporal()
    if numeric and series.n_unique() > 2 * BINS:
        physical = _physical(series)
        cuts = np.unique(np.nanquantile(physical, np.linspace(0, 1, BINS + 1)[1:-1]))

        def binned(values: pl.Series) -> Array:
            at = _physical(values)
            return np.where(np.isnan(at), len(cuts) + 1, np.searchsorted(cuts, at, "right"))

        return binned
    keys = to_keys(series).unique().drop_nulls().sort().to_list()
    place = {key: number for number, key in enumerate(keys)}
    return lambda values: (
        to_keys(values).replace_strict(place, default=len(keys), return_dtype=pl.Int64).fill_null(len(keys)).to_numpy()
    )


def _physical(series: pl.Series) -> Floats:
    return series.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _raked(codes: Array, group: Array, n_groups: int) -> Floats:
    """(groups, values) weights with which each group takes each value as often as all rows do. codes: (n, C)."""
    n_values = int(codes.max()) + 2  # one more, for values that are new
    wanted = np.bincount(codes.ravel(), minlength=n_values) / codes.size
    size = np.maximum(np.bincount(group, minlength=n_groups), 1)
    weights, cells = np.ones((n_groups, n_values)), group[:, None] * n_values + codes
    for _ in range(ROUNDS):
        chance = weights.ravel()[cells]
        chance /= chance.sum(1, keepdims=True)
        held = np.bincount(cells.ravel(), chance.ravel(), n_groups * n_values).reshape(n_groups, n_values)
        weights *= np.where(held > 0, wanted / np.maximum(held / size[:, None], 1e-12), 1.0)
        weights /= weights.max(1, keepdims=True)
    return np.maximum(weights, 1e-9)


def _gap(counts: Floats) -> float:
    """The largest difference between two groups in the share of a value; groups of too few rows aside."""
    counts = counts[:-1][counts[:-1].sum(1) >= FEWEST]
    if len(counts) < 2:
        return 0.0
    shares = counts / counts.sum(1, keepdims=True)
    return float((shares.max(0) - shares.min(0)).max())
