"""How often an attack succeeds on records of train, beside the same attack on records that it cannot know of.

A synthetic row that resembles many people tells something of everyone: an attack succeeds on unseen people too. What is
beyond that is the risk of having been in train (Giomi et al., A unified framework for quantifying privacy risk in
synthetic data, 2022). Whether it is beyond chance is told by Fisher's exact test, which holds for small counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.columns import Rows
from verosim.evaluation.report import SURE

Bools = npt.NDArray[np.bool_]

Z: Final = 1.96  # of a 95 % interval
LEFT: Final = 1e-9  # the least that a control group leaves unknown
SMALL: Final = 0.05  # a risk below is small, however sure


RARE: Final = erfc(SURE / sqrt(2)) / 2  # what is less likely than this by chance alone gets a verdict


def wilson(successes: float, n: float, z: float = Z) -> tuple[float, float]:
    """The middle and half the width of the score interval of a rate (Wilson, 1927).

    >>> [round(x, 4) for x in wilson(0, 100)]
    [0.0185, 0.0185]
    """
    half = z / (n + z * z) * sqrt(max(successes * (n - successes) / n, 0.0) + z * z / 4)
    return (successes + z * z / 2) / (n + z * z), half


def surprise(successes: int, n: int, others: int, m: int) -> float:
    """The chance of so many successes or more among n, of all those among n and m together, were all alike.

    Fisher's exact test, one-sided. Three of three, and none of three others: one in 20.

    >>> round(surprise(3, 3, 0, 3), 6)
    0.05
    """
    total = successes + others
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + m + 1)))])  # of the factorials
    x = np.arange(successes, min(total, n) + 1)
    ways = log[n] - log[x] - log[n - x] + log[m] - log[total - x] - log[m - total + x]
    return float(min(np.exp(ways - log[n + m] + log[total] + log[n + m - total]).sum(), 1.0))


@dataclass(frozen=True, slots=True)
class Trial:
    """An attack on records of train, and its control on unseen ones. Rates and risk are shares in [0, 1]."""

    successes: int
    attacks: int
    control_successes: int
    control_attacks: int
    chance: float  # that train fares so badly by chance alone
    naive: float | None = None  # the rate of success without looking at the synthetic rows of the target
    scale: float = 1.0  # control successes for each there would be in a control group of train's size
    crowding: float = 1.0  # successes that share a record count as so many fewer

    @classmethod
    def of(cls, hits: Bools, control: Bools, naive: float | None = None) -> Trial:
        """Of attacks on single records, at least one of each group: whether each succeeded."""
        k, n, b, m = int(hits.sum()), len(hits), int(control.sum()), len(control)
        return cls(k, n, b, m, surprise(k, n, b, m), naive)

    @property
    def success(self) -> float:
        return self.successes / self.attacks

    @property
    def control(self) -> float:
        return min(self.scale * self.control_successes / self.control_attacks, 1.0)

    @property
    def risk(self) -> float:
        """(success - control) / (1 - control): the share of what the control group leaves unknown; never below 0."""
        if self.control == 1:
            return 0.0
        return max((self.success - self.control) / (1 - self.control), 0.0)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the risk, 95 %: the errors of both Wilson rates, propagated."""
        rate, half = self._rate(self.successes, self.attacks)
        usual, usual_half = (self.scale * x for x in self._rate(self.control_successes, self.control_attacks))
        left = max(1 - usual, LEFT)
        risk = (rate - usual) / left
        error = sqrt((half / left) ** 2 + (usual_half * (1 - rate) / left**2) ** 2)
        low, high = max(risk - error, 0.0), min(risk + error, 1.0)
        return min(low, self.risk), max(high, self.risk)

    @property
    def error(self) -> float:
        """One standard error of the risk, were the records of train as unknown as the others."""
        n, m, s = self.attacks, self.control_attacks, self.scale
        usual = (self.successes + self.control_successes) / (s * n + m)  # the control's rate, were train's s times that
        success = min(s * usual, 1.0)
        spread = self.crowding * (success * (1 - success) / n + s**2 * usual * (1 - usual) / m)
        return min(sqrt(spread) / max(1 - self.control, LEFT), 1.0)

    def _rate(self, successes: int, attacks: int) -> tuple[float, float]:
        return wilson(successes / self.crowding, attacks / self.crowding)

    def sure(self, family: int = 1) -> bool:
        """Whether the risk is beyond chance, as one of `family` that were looked at (Bonferroni)."""
        return self.chance * family < RARE


def crowding(records: Rows) -> float:
    """How many of the hits share their record: 1 where each has its own, n where one record is hit n times."""
    counts = np.unique(records, return_counts=True)[1].astype(np.float64)
    return float(np.square(counts).sum() / counts.sum()) if len(counts) else 1.0
