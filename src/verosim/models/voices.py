"""What a long series is made of: slow movement that its columns share, and voices that move finely, each by itself.

The shared part is that of the leading principal components, smoothed over some rows. What a column has beyond it is its
own. Columns whose steps go together (a temperature and the humidity that follows from it) are one voice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.models import Array, Floats

SHARE: Final = 0.02  # of the variance: a component of less is not shared
TOGETHER: Final = 0.5  # correlation of steps, from which two columns are one voice
NARROW: Final = 3.0  # steps: columns that tell each other so closely are one voice
LIKE: Final = 0.85  # correlation of what is shared, some rows apart, down to which moments are much the same
ALIKE: Final = 0.7  # correlation of levels, from which two columns that jump are one voice
TOLD: Final = 2 / 3  # share of a column's variance that the shared part tells, from which the column follows it


@dataclass(frozen=True, slots=True)
class Shared:
    """levels: (places, k) the shared part. trend: (places, k) its slow course; nil where there is no season.

    loads: (d, k) how each column follows it; nil where it does not.
    """

    axes: Floats  # (d, k)
    levels: Floats
    trend: Floats
    loads: Floats

    @classmethod
    def of(cls, z: Floats, there: Array, smooth: float, season: float) -> Self:
        """z: (places, d) standardised columns, nil where no row is. smooth: rows; season: rows, 0 for none."""
        known = z[there]
        if not z.shape[1]:
            return cls(np.zeros((0, 0)), z, z, np.zeros((0, 0)))
        together = known.T @ known / max(len(known), 1)
        follows = _told(together) >= TOLD
        part = follows if follows.any() else np.ones(z.shape[1], bool)  # one that stands alone follows itself
        values, vectors = np.linalg.eigh(together[np.ix_(part, part)])
        count = max(1, int((values > SHARE * values.sum()).sum()))
        axes = np.zeros((z.shape[1], count))
        axes[part] = vectors[:, ::-1][:, :count]
        levels = smoothed(z @ axes, there, smooth)
        trend = smoothed(z @ axes, there, season / 2) if season else np.zeros_like(levels)
        rest = ((known - (levels @ axes.T)[there]) ** 2).mean(0)
        return cls(axes, levels, trend, axes * (rest <= 1 - TOLD)[:, None])


def _told(correlation: Floats) -> Floats:
    """(d,) the share of each column's variance that the others tell (its squared multiple correlation)."""
    inverse = np.linalg.inv(correlation + 1e-6 * np.eye(len(correlation)))
    return np.asarray(1 - 1 / np.maximum(np.diag(inverse), 1.0))


def smoothed(x: Floats, there: Array, width: float) -> Floats:
    """(n, k) a mean over the neighbours that are there, weighted by a bell of `width` rows."""
    n, reach = len(x), int(4 * width) + 1
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    size = 1 << (n + 2 * reach).bit_length()
    both = np.concatenate([np.where(there[:, None], x, 0.0), there[:, None].astype(np.float64)], 1)
    spread = np.fft.irfft(np.fft.rfft(both, size, axis=0) * np.fft.rfft(bell, size)[:, None], size, axis=0)
    spread = spread[reach : reach + n]
    return np.asarray(spread[:, :-1] / np.maximum(spread[:, -1:], 1e-6))


def alike(shared: Floats, there: Array, most: int) -> int:
    """How many rows apart, at most so many, what is shared is still much the same."""
    known = there.astype(np.float64)
    pairs = np.maximum(products(known)[: most + 1], 1.0)
    centred = np.where(there[:, None], shared - shared[there].mean(0), 0.0)
    memory = np.sum([products(x)[: most + 1] for x in centred.T], axis=0) / pairs
    return max(1, int((memory < LIKE * memory[0]).argmax()) or len(memory) - 1)


def products(x: Floats) -> Floats:
    """(n,) the sum of the products of all values so many rows apart.

    >>> products(np.array([1.0, 2.0, 3.0])).round(6)
    array([14.,  8.,  3.])
    """
    padded = np.fft.rfft(x, 1 << (2 * len(x)).bit_length())
    return np.asarray(np.fft.irfft(np.abs(padded) ** 2)[: len(x)])


def voices_of(steps: Floats, levels: Floats, owner: Array, jumping: Array) -> list[Array]:
    """The numbers of each voice: their steps go together, one tells the other within a few steps, or both jump alike.

    steps, levels: (n, f) of f numbers. owner: (f,) their columns. jumping: (f,) whether they jump rather than move.
    """
    close = (np.abs(_correlated(steps)) >= TOGETHER) | (owner == owner[:, None])
    typical, r = np.sqrt((steps**2).mean(0)) if len(steps) else np.zeros(len(owner)), _correlated(levels)
    rest = np.sqrt(np.maximum(1 - r**2, 0.0))  # of the second, given the first; levels have a deviation of 1
    least = np.minimum(typical[None], typical[:, None])
    close |= (rest <= NARROW * least) & (least > 0)
    close |= (np.abs(r) >= ALIKE) & jumping & jumping[:, None]
    group = np.arange(len(owner))
    for i, j in np.argwhere(np.triu(close, 1)).tolist():
        group[group == group[j]] = group[i]
    return [np.flatnonzero(group == g) for g in np.unique(group)]


def _correlated(x: Floats) -> Floats:
    x = x - x.mean(0) if len(x) else x
    x = x / np.maximum(np.sqrt((x**2).sum(0)), 1e-12)
    return np.asarray(x.T @ x)
