"""What real rows get against other real rows: the floor that every number is told beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from verosim.evaluation.columns import Comparison, Floats, Rows

ALL: Final = slice(None)
FEW: Final = 10  # real rows: with fewer there is no floor, and nothing to tell a detector by


@dataclass(frozen=True, slots=True)
class Floor:
    """What real rows get against other real rows."""

    mean: float
    error: float  # standard deviation over random sets: the standard error of one value
    each: Floats  # (k,) of each column or pair; NaN: never defined


@dataclass(frozen=True, slots=True)
class Splits:
    """Errors of real rows against other real rows, over random pairs of disjoint sets."""

    found: Floats  # (splits, k)
    halved: Floats | None  # the same of sets of half the size, where the sets are smaller than asked for
    share: float  # the size of the sets, of that asked for

    def floor(self, of: slice = ALL) -> Floor | None:
        """The floor at full size of some of the errors; None where they were defined in no two splits.

        Smaller sets err more: their error is brought to full size with the power of the size that halving the sets
        shows, 1/2 for a few full cells, towards 0 for many nearly empty ones.
        """
        means = np.array([defined_mean(split) for split in self.found[:, of]])
        means = means[np.isfinite(means)]
        if len(means) < 2:
            return None
        mean, scale = float(means.mean()), 1.0
        if self.halved is not None and mean > 0:
            halved = np.nan_to_num(defined_mean(self.halved[:, of]))
            scale = self.share ** min(max(float(np.log2(max(halved, mean) / mean)), 0.0), 0.5)
        each = np.array([defined_mean(column) for column in self.found[:, of].T])
        return Floor(mean * scale, float(means.std(ddof=1)) * scale, each * scale)


def splits_of(
    c: Comparison,
    purpose: str,
    errors: Callable[[Rows, Rows], Floats],
    most: int | None = None,
) -> Splits | None:
    """The (k,) `errors` between real rows at the sizes of train and synthetic; None where there are too few real rows.

    Where there are fewer real rows than both sizes need, the sets are smaller in proportion. most: splits at most.
    Rows of one of the comparison's groups stay together.
    """
    real, n, m, rng = c.real, len(c.train), len(c.synthetic), c.chance(purpose)
    if len(real) < FEW:
        return None

    groups = None if c.groups is None else c.groups[real]

    def shuffled() -> Rows:
        if groups is None:
            return rng.permutation(real)
        return real[np.argsort(rng.permutation(int(groups.max()) + 1)[groups], kind="stable")]

    def at(share: float) -> Floats:
        first = max(1, round(n * share))
        both = first + max(1, round(m * share))
        orders = (shuffled()[:both] for _ in range(min(c.limits.splits, most or c.limits.splits)))
        return np.array([errors(rows[:first], rows[first:]) for rows in orders])

    share = min(1.0, len(real) / (n + m))
    return Splits(at(share), at(share / 2) if share < 1 else None, share)


def floor_of(
    c: Comparison, purpose: str, errors: Callable[[Rows, Rows], Floats], most: int | None = None
) -> Floor | None:
    """What real rows get against real rows, as a mean over all the `errors`."""
    found = splits_of(c, purpose, errors, most)
    return found.floor() if found else None


def defined_mean(values: Floats) -> float:
    """The mean of what is defined; NaN where nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")
