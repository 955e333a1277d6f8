"""What synthetic rows add to real ones: a target predicted on unseen real rows, learned without and with them.

Errors are of the mean over several splits, corrected for the rows that these share (Nadeau and Bengio, Inference for
the generalization error, 2003).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import Any, Final

SHOWN: Final = ("auc", "balanced accuracy", "R2")  # of the scores: those that more rows of rare classes should raise
SURE: Final = 2.0  # errors from which on a gain is no chance


@dataclass(frozen=True, slots=True)
class Gain:
    """One measure, from each split: trained on real rows, and on real and synthetic ones. Higher is better."""

    measure: str  # one of `SHOWN`
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
            f"{self.measure} on unseen real rows: {fmean(self.real):.4f} from real rows, "
            f"{fmean(self.augmented):.4f} with synthetic ones: {self.gain:+.4f} ± {self.error:.4f}, {self.verdict}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "measure": self.measure, "real": list(self.real), "augmented": list(self.augmented), "gain": self.gain,
            "error": self.error, "verdict": self.verdict,
        }  # fmt: skip


def gains(
    real: Sequence[Mapping[str, float]], augmented: Sequence[Mapping[str, float]], unseen: float
) -> tuple[Gain, ...]:
    """One gain a measure, of the scores that each split gave."""
    return tuple(
        Gain(name, tuple(r[name] for r in real), tuple(a[name] for a in augmented), unseen)
        for name in SHOWN
        if name in real[0]
    )
