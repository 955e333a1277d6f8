"""How columns move towards where they should stand, in steps that they really take: `Movement`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from verosim.models import Array, Floats

CUTS: Final = 255  # quantiles of steps, closer to each other far out
FAR: Final = 7.5  # log odds of the outermost
ROOM: Final = 0.3  # share of a step that may take up a gap, of columns that follow nothing


@dataclass(frozen=True, slots=True)
class Movement:
    """How columns move: those that follow a moving target as far as it needs, others only a little off their steps."""

    follows: Array  # (d,) bool
    led: Array  # (d,) bool: of these, whose steps are made like real ones, rank for rank
    wanted: Floats  # (d, CUTS) ascending
    real: Floats  # (d, CUTS + 1)

    @classmethod
    def free(cls, follows: Array) -> Self:
        """Steps as they are wanted."""
        n = len(follows)
        return cls(follows, np.zeros(n, bool), np.zeros((n, CUTS)), np.zeros((n, CUTS + 1)))

    @classmethod
    def of(cls, follows: Array, wanted: Floats, real: Floats) -> Self:
        """wanted: (m, d) steps of a free movement; real: (n, d) steps of the columns. Only what moves counts."""
        cut = 1 / (1 + np.exp(-np.linspace(-FAR, FAR, CUTS)))
        middle = np.concatenate([[cut[0] / 2], (cut[1:] + cut[:-1]) / 2, [(1 + cut[-1]) / 2]])
        one, two = np.zeros((len(follows), CUTS)), np.zeros((len(follows), CUTS + 1))
        led = follows & (wanted != 0).any(0) & (real != 0).any(0)
        for k in np.flatnonzero(led):
            one[k] = np.quantile(wanted[wanted[:, k] != 0, k], cut)
            two[k] = np.quantile(real[real[:, k] != 0, k], middle, method="nearest")
        return cls(follows, led, one, two)

    def path(self, start: Floats, steps: Floats, targets: Floats, ease: Floats, ends: tuple[Floats, Floats]) -> Floats:
        """(n, d) levels: from `start` on by `steps`, each of which takes up the share `ease` of what is missing.

        steps, targets, ease: (n, d). ends: the lowest and the highest level of each column.
        """
        out, level, columns = np.empty_like(steps), start, np.arange(len(start))
        room = np.where(self.follows, np.inf, ROOM * np.abs(steps))
        for i in range(len(steps)):
            taken = (targets[i] - level - steps[i]) * ease[i]
            step = steps[i] + np.minimum(np.maximum(taken, -room[i]), room[i])
            if self.led.any():
                like = self.real[columns, (step[:, None] > self.wanted).sum(1)]
                step = np.where(self.led & (steps[i] != 0), like, step)
            level = np.minimum(np.maximum(level + step, ends[0]), ends[1])
            out[i] = level
        return out
