"""Kinds of rows that a call tells apart, and the share of the rows that each is to have: conditions, balance, edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.codec.categories import to_keys
from verosim.control.conditions import Condition, asked_column
from verosim.draws import BLOCK
from verosim.errors import ArgumentError, did_you_mean
from verosim.models import Array, Floats
from verosim.schema import Table

MOST_LEVELS: Final = 64  # that are balanced
TAIL: Final = 0.01  # share of the rows that lie at one border of a column, at most about
SELDOM: Final = 0.05  # share of the rows that count as edge cases, at most: more borders must meet in one

Split = Callable[[pl.DataFrame], Array]  # a frame's rows -> (n,) the stratum of each, -1 for none


@dataclass(frozen=True, slots=True)
class Strata:
    """Kinds of rows and their shares. text: names them in messages, and tells one set of strata from another."""

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...]  # that are asked about
    shares: Floats  # (K,) they sum to 1
    split: Split

    def assigned(self) -> Array:
        """(BLOCK,) the stratum that each row of a block is to have, the same in every block.

        Any number of rows from the first on hold each stratum as often as its share says, give or take one: stratum s
        stands for the i-th time where i rows of it are due (Webster's apportionment).
        """
        exact = self.shares * BLOCK
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: BLOCK - counts.sum()]] += 1
        due = [(np.arange(count) + 0.5) / max(count, 1) for count in counts]
        return np.repeat(np.arange(len(counts)), counts)[np.argsort(np.concatenate(due), kind="stable")]


@dataclass(frozen=True, slots=True)
class Agrees:
    """The wish that each row is of the stratum which stands beside it."""

    strata: Strata
    column: str

    def check(self, frame: pl.DataFrame) -> pl.Series:
        return pl.Series(self.strata.split(frame) == frame[self.column].to_numpy())

    def count(self, frame: pl.DataFrame) -> int:
        return int((~self.check(frame)).sum())

    def __str__(self) -> str:
        return self.strata.text


def meeting(condition: Condition) -> Strata:
    """One stratum: the rows that meet a condition."""
    text = condition.text
    return Strata(text, (text,), condition.columns, np.ones(1), lambda frame: np.where(condition.mask(frame), 0, -1))


def crossed(first: Strata, second: Strata, drawn: pl.DataFrame) -> Strata:
    """Each stratum of one with each of the other that has rows at all; shares multiply."""
    n = len(second.names)

    def split(frame: pl.DataFrame) -> Array:
        one, other = first.split(frame), second.split(frame)
        return np.where((one < 0) | (other < 0), -1, one * n + other)

    found = split(drawn)
    there = np.bincount(found[found >= 0], minlength=len(first.names) * n).reshape(-1, n) > 0
    shares = np.where(there, second.shares, 0.0)
    shares = shares / np.maximum(shares.sum(1, keepdims=True), 1e-300) * first.shares[:, None]
    names = tuple(f"{a} and {b}" for a in first.names for b in second.names)
    columns = first.columns + second.columns
    return Strata(f"{first.text} and {second.text}", names, columns, (shares / shares.sum()).ravel(), split)


# ------------------------------------------------------------------------------------------------------ balance

Balance = str | Mapping[str, Mapping[Any, float] | None]


def balanced(balance: Balance, table: Table, drawn: pl.DataFrame) -> Strata:
    """The levels of columns, in equal shares or in those that are given; others keep their proportions.

    drawn: rows that show which levels there are, and how often. Raises ArgumentError.
    """
    wanted = {balance: None} if isinstance(balance, str) else balance
    if not isinstance(wanted, Mapping) or not wanted:
        raise ArgumentError(f"balance: a column, or {{column: {{level: share}}}}, was wanted, not {balance!r}.")
    strata = None
    for name, shares in wanted.items():
        own = _levels(asked_column(name, table, "balance").name, shares, drawn)
        strata = crossed(strata, own, drawn) if strata else own
    assert strata is not None
    return strata


def _levels(name: str, wanted: Mapping[Any, float] | None, drawn: pl.DataFrame) -> Strata:
    """Strata of one column's levels."""
    counts = drawn.select(key=to_keys(drawn[name])).group_by("key").len().sort("len", "key", descending=[True, False])
    if counts.height > MOST_LEVELS:
        raise ArgumentError(
            f"balance: {name!r} has more than {MOST_LEVELS} different values; balance a column of few, or ask for "
            "ranges with `where`."
        )
    keys, natural = counts["key"].to_list(), counts["len"].to_numpy() / drawn.height
    if wanted is None:
        real = np.array([key is not None for key in keys])
        if real.sum() < 2:
            raise ArgumentError(f"balance: {name!r} has one level only; there is nothing to balance.")
        shares = real / real.sum()
    else:
        shares = _shares(name, wanted, keys, natural, drawn[name].dtype)

    place = {key: number for number, key in enumerate(keys) if key is not None}
    missing = keys.index(None) if None in keys else -1

    def split(frame: pl.DataFrame) -> Array:
        own = to_keys(frame[name])
        codes = own.replace_strict(place, default=-1, return_dtype=pl.Int64).to_numpy()
        return np.where(own.is_null().to_numpy(), missing, codes)

    named = tuple(f"{name} = {'null' if key is None else key}" for key in keys)
    text = ", ".join(f"{n} in {s!r}" for n, s in zip(named, shares.tolist(), strict=True))
    return Strata(f"balance: {text}", named, (name,), np.asarray(shares), split)


def _shares(name: str, wanted: Mapping[Any, float], keys: list[str | None], natural: Floats, dtype: Any) -> Floats:
    """The share of each level: as wanted, and the rest among the others as they are."""
    if not isinstance(wanted, Mapping) or not wanted:
        raise ArgumentError(f"balance, column {name!r}: {{level: share}} was wanted, not {wanted!r}.")
    shares, fixed = np.zeros(len(keys)), np.zeros(len(keys), bool)
    for level, share in wanted.items():
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not 0 <= share <= 1:
            raise ArgumentError(f"balance, column {name!r}: a share is from 0 to 1, not {share!r} of {level!r}.")
        key = _key(level, dtype)
        if key not in keys:
            levels = [k for k in keys if k is not None]
            raise ArgumentError(f"balance, column {name!r}: no level {level!r}; {did_you_mean(level, levels)}")
        shares[keys.index(key)], fixed[keys.index(key)] = share, True
    left, others = 1 - shares.sum(), np.where(fixed, 0.0, natural)
    if left < -1e-9 or (left > 1e-9 and others.sum() == 0):
        raise ArgumentError(f"balance, column {name!r}: the shares of all levels must sum to 1, not {shares.sum():g}.")
    return np.asarray(shares + max(left, 0.0) * others / max(others.sum(), 1e-300))


def _key(level: Any, dtype: pl.DataType) -> str | None:
    """A level as `to_keys` writes it; a text that the column cannot hold stands for itself."""
    try:
        return to_keys(pl.Series([level], dtype=pl.String if dtype == pl.Categorical else dtype, strict=True))[0]
    except (TypeError, pl.exceptions.PolarsError):
        return str(level)


# -------------------------------------------------------------------------------------------------------- edges


def check_edges(share: object) -> None:
    """Raise ArgumentError for what is no share."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ArgumentError(f"edges: a share of the rows from 0 to 1 was wanted, not {share!r}.")


def edged(share: float, table: Table, drawn: pl.DataFrame) -> Strata:
    """Two strata: rows at the borders of what there is, in this share, and all others.

    A border is the lowest or highest hundredth of a column's values, its rarest levels, a missing value where few are
    missing. As many borders must meet in a row as leave one row in twenty, or fewer, an edge case.
    """
    told = [drawn[c.name] for c in table.columns if c.kind not in ("id", "personal", "text", "json", "empty")]
    borders = [border for border in map(_border, told) if border is not None]

    def score(frame: pl.DataFrame) -> Array:
        out = np.zeros(frame.height, np.int64)
        for border in borders:
            out += frame.select(border).to_series().to_numpy()
        return out

    found = score(drawn)
    least = next(n for n in range(1, len(borders) + 2) if (found >= n).mean() <= SELDOM)
    while least > 1 and not (found >= least).any():
        least -= 1
    if not (found >= least).any():
        raise ArgumentError("edges: no column has a border: all values are common. Leave it out.")
    return Strata(
        f"edges: {share!r}",
        ("no edge case", "an edge case"),
        tuple(table.names),
        np.array([1 - share, share]),
        lambda frame: (score(frame) >= least).astype(np.int64),
    )


def _border(series: pl.Series) -> pl.Expr | None:
    """Whether a row is at a border of this column, never null; None where it has none."""
    name, n = series.name, len(series)
    plain = pl.col(name).fill_nan(None) if series.dtype.is_float() else pl.col(name)
    values = pl.DataFrame(series).select(plain).to_series().drop_nulls()
    parts = [plain.is_null()] if 0 < n - len(values) <= SELDOM * n else []
    counts = pl.DataFrame({"value": values}).group_by("value").len()
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        counts = counts.sort("value")
        for reverse in (False, True):
            tail = counts.filter(pl.col("len").cum_sum(reverse=reverse) <= TAIL * n)["value"]
            if len(tail):
                parts.append(plain >= tail.min() if reverse else plain <= tail.max())
    else:
        rare = counts.sort("len", "value").filter(pl.col("len").cum_sum() <= TAIL * n)["value"]
        parts += [plain.is_in(rare.implode())] if len(rare) else []
    return reduce(or_, (part.fill_null(False) for part in parts)).alias(name) if parts else None
