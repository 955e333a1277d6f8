"""How columns move towards where they should stand, in steps that they really take: `Movement`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.models import Array, Floats

CUTS: Final = 255  # quantiles of steps, closer to each other far out
FAR: Final = 7.5  # log odds of the outermost


@dataclass(frozen=True, slots=True)
class Movement:
    """led: (d,) whether a column follows a target; its steps are then made like real ones, rank for rank."""

    led: Array  # (d,) bool
    wanted: Floats  # (d, CUTS) ascending
    real: Floats  # (d, CUTS + 1)

    @classmethod
    def free(cls, led: Array) -> Self:
        """Steps as they are wanted."""
        return cls(led & False, np.zeros((len(led), CUTS)), np.zeros((len(led), CUTS + 1)))

    @classmethod
    def of(cls, led: Array, wanted: Floats, real: Floats) -> Self:
        """wanted: (m, d) steps of a free movement; real: (n, d) steps of the columns. Only what moves counts."""
        cut = 1 / (1 + np.exp(-np.linspace(-FAR, FAR, CUTS)))
        middle = np.concatenate([[cut[0] / 2], (cut[1:] + cut[:-1]) / 2, [(1 + cut[-1]) / 2]])
        one, two = np.zeros((len(led), CUTS)), np.zeros((len(led), CUTS + 1))
        for k in np.flatnonzero(led):
            some, own = wanted[wanted[:, k] != 0, k], real[real[:, k] != 0, k]
            if not len(some) or not len(own):
                led = led & (np.arange(len(led)) != k)
                continue
            one[k] = np.quantile(some, cut)
            two[k] = np.quantile(own, middle, method="nearest")
        return cls(led, one, two)

    def path(self, start: Floats, steps: Floats, targets: Floats, ease: Floats, ends: tuple[Floats, Floats]) -> Floats:
        """(n, d) levels: from `start` on by `steps`, each of which takes up the share `ease` of what is missing.

        steps, targets, ease: (n, d). ends: the lowest and the highest level of each column.
        """
        out, level, some, all_led = np.empty_like(steps), start, self.led, np.arange(len(start))
        for i in range(len(steps)):
            step = steps[i] + (targets[i] - level - steps[i]) * ease[i]
            if some.any():
                like = self.real[all_led, (step[:, None] > self.wanted).sum(1)]
                step = np.where(some & (steps[i] != 0), like, step)
            level = np.minimum(np.maximum(level + step, ends[0]), ends[1])
            out[i] = level
        return out
