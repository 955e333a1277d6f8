"""How well a target is predicted on unseen real rows: trained on real rows, and on real and synthetic ones.

Boosted classes predict; a target of many values is cut into bins, and predicted by their means. Errors are of the mean
over several splits, corrected for the rows that these share (Nadeau and Bengio, Inference for the generalization error,
2003).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.draws import stream
from verosim.evaluation.fidelity import auc
from verosim.models import Array, Codes, Floats
from verosim.models.boost import boost
from verosim.models.features import features, rank
from verosim.schema import Table

CLASSES: Final = 64  # a target of more values is a number, if it is one
BINS: Final = 16
HELD: Final = 0.1  # share of the rows that ends the rounds of boosting
SURE: Final = 2.0  # errors from which on a gain is no chance


@dataclass(frozen=True, slots=True)
class Gain:
    """One measure, from each split: trained on real rows, and on real and synthetic ones. Higher is better."""

    measure: str  # auc, balanced_accuracy or r2
    real: tuple[float, ...]
    augmented: tuple[float, ...]
    unseen: float  # rows of the test for each of those trained on

    @property
    def gain(self) -> float:
        return fmean(self.augmented) - fmean(self.real)

    @property
    def error(self) -> float:
        """Standard error of the gain; infinite for one split."""
        n = len(self.real)
        if n < 2:
            return float("inf")
        steps = [a - b for a, b in zip(self.augmented, self.real, strict=True)]
        return sqrt((1 / n + self.unseen) * variance(steps))

    @property
    def verdict(self) -> str:
        if abs(self.gain) <= SURE * self.error:
            return "no gain that can be told from chance"
        return "better with the synthetic rows" if self.gain > 0 else "worse with the synthetic rows"

    def __str__(self) -> str:
        return (
            f"{self.measure.replace('_', ' ')} on unseen real rows: {fmean(self.real):.4f} from real rows, "
            f"{fmean(self.augmented):.4f} with synthetic ones: {self.gain:+.4f} ± {self.error:.4f}, {self.verdict}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "measure": self.measure, "real": list(self.real), "augmented": list(self.augmented), "gain": self.gain,
            "error": self.error, "verdict": self.verdict,
        }  # fmt: skip


def is_class(series: pl.Series) -> bool:
    """Whether a target is predicted as one of some classes."""
    return not series.dtype.is_numeric() or series.n_unique() <= 10


class Judged:
    """A target, and how rows become features: as the real rows of the train part show."""

    def __init__(self, train: pl.DataFrame, table: Table, target: str, seed: int) -> None:
        kinds = ("id", "personal", "text", "empty", "constant")
        columns = tuple(c for c in table.columns if c.kind not in kinds and c.name != target)
        self.codec = TableCodec(Table(table.name, columns), k=1).fit(train.select(c.name for c in columns))
        self.target, self.seed, self.classes = target, seed, is_class(train[target])
        self.levels = train[target].drop_nulls().unique().sort()
        cuts = np.linspace(0, 1, BINS + 1)[1:-1]
        self.cuts = np.array([]) if self.classes else np.unique(np.quantile(_numbers(train[target].drop_nulls()), cuts))
        codes = self.codec.encode(train)
        y = self._y(train)
        Y = np.eye(int(y.max()) + 1)[y]
        self.ranks = {i: rank(codes.arrays[i], f.levels, Y) for i, f in enumerate(codes.fields) if not f.ordered}

    def measures(self, train: pl.DataFrame, test: pl.DataFrame) -> dict[str, float]:
        """Of what is learned from `train`, on `test`; rows without the target are left out."""
        train, test = (frame.filter(pl.col(self.target).is_not_null()) for frame in (train, test))
        y, n_classes = self._y(train), max(len(self.levels), 2) if self.classes else len(self.cuts) + 1
        rng = stream(self.seed, "gain")
        held = rng.random(len(y)) < HELD
        boosted = boost(self._features(train), y, n_classes, held, rng)
        chances = boosted.probabilities(self._features(test))
        if self.classes:
            return _of_classes(chances, self._y(test))
        means = np.bincount(y, _numbers(train[self.target]), n_classes) / np.maximum(
            np.bincount(y, minlength=n_classes), 1
        )
        real = _numbers(test[self.target])
        return {"r2": float(1 - np.mean((real - chances @ means) ** 2) / max(real.var(), 1e-300))}

    def _y(self, frame: pl.DataFrame) -> Array:
        """(n,) the class or bin of each row; a class that train rows have not is the first."""
        if not self.classes:
            return np.searchsorted(self.cuts, _numbers(frame[self.target]), "right")
        codes = frame[self.target].replace_strict(self.levels, list(range(len(self.levels))), default=0)
        return codes.cast(pl.Int64).fill_null(0).to_numpy()

    def _features(self, frame: pl.DataFrame) -> Array:
        codes: Codes = self.codec.encode(frame.select(c.name for c in self.codec.table.columns))
        arrays: Mapping[int, Array] = dict(enumerate(codes.arrays))
        return features(range(len(codes.fields)), self.ranks, codes.fields, arrays, codes.n)


def _numbers(series: pl.Series) -> Floats:
    return series.cast(pl.Float64).fill_null(0.0).to_numpy()


def _of_classes(chances: Floats, y: Array) -> dict[str, float]:
    """The mean over classes of the area under the curve of one against the rest, and of the share told rightly."""
    there = [c for c in range(chances.shape[1]) if 0 < (y == c).sum() < len(y)]
    told = chances.argmax(1)
    return {
        "auc": fmean([auc(chances[:, c].astype(np.float64), y == c) for c in there] or [0.5]),
        "balanced_accuracy": fmean([float((told[y == c] == c).mean()) for c in there] or [0.5]),
    }


def gains(
    real: Sequence[Mapping[str, float]], augmented: Sequence[Mapping[str, float]], unseen: float
) -> tuple[Gain, ...]:
    """One gain a measure, of what each split gave."""
    return tuple(
        Gain(name, tuple(r[name] for r in real), tuple(a[name] for a in augmented), unseen) for name in real[0]
    )
