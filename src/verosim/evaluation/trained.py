"""What learners reach on real rows: learned from real rows, from synthetic ones, and from both, with its error.

Two sources of error are kept apart, and added:

* which rows are tested: a jackknife over twenty groups of the test rows. All that is compared is tested on the same.
* which rows are learned from: real rows are also learned from in eight parts. How far the scores of the parts differ,
  over the root of eight, is how far the score of the whole would from that of other real rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.columns import Rows
from verosim.evaluation.learners import Fitted
from verosim.evaluation.targets import LOWER, Task
from verosim.models import Array, Floats

Ints = npt.NDArray[np.int64]

PARTS: Final = 8  # that rows are learned from in
GROUPS: Final = 20  # of test rows
SHUFFLED: Final = 1_000  # test rows that the importance of columns is seen on

STEADIER: Final = (
    2.0  # errors of the scores after the first: few rows often teach the commonest class, and little varies
)

REAL, SYNTHETIC, BOTH = np.eye(3)  # weights of the three scores: `Trial.of`
LOST, ADDED = REAL - SYNTHETIC, BOTH - REAL


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows that are learned from, as many of each, and those tested on."""

    real: Rows
    synthetic: Rows
    test: Rows

    def whole(self) -> list[Rows]:
        return [self.real, self.synthetic, np.concatenate([self.real, self.synthetic])]

    def parts(self, rng: np.random.Generator) -> list[Rows]:
        """The parts of the real rows, then those of the synthetic ones."""
        mixed = (rng.permutation(rows) for rows in (self.real, self.synthetic))
        return [np.sort(part) for rows in mixed for part in np.array_split(rows, PARTS)]


@dataclass(frozen=True, slots=True)
class Trial:
    """The scores that one learner reached; M measures of them, all better when higher.

    The first of `scores` is on all test rows, the others each on all but one group of them.
    """

    scores: Floats  # (3, 1 + GROUPS, M) learned from real rows, synthetic ones, and both
    parts: Floats  # (2, PARTS, M) learned from parts of the real and of the synthetic rows
    importance: Floats  # (2, PARTS, columns) what the first score loses when a column is shuffled

    @classmethod
    def mean(cls, trials: Iterable[Trial]) -> Trial:
        """Of several learners: their mean score is a score too."""
        of = list(trials)
        scores, parts, importance = zip(*((t.scores, t.parts, t.importance) for t in of), strict=True)
        return cls(np.mean(scores, axis=0), np.mean(parts, axis=0), np.mean(importance, axis=0))

    def of(self, weights: Floats) -> Floats:
        """(M,) a weighted sum of the three scores: `LOST` is real less synthetic."""
        return np.asarray(np.tensordot(weights, self.scores[:, 0], 1))

    def error(self, weights: Floats) -> tuple[Floats, Floats]:
        """(M,) the standard error of that sum, were the synthetic rows real ones, and its degrees of freedom.

        Satterthwaite, An approximate distribution of estimates of variance components, 1946.
        """
        mixed = np.tensordot(weights, self.scores[:, 1:], 1)
        tested = (GROUPS - 1) / GROUPS * np.square(mixed - mixed.mean(0)).sum(0)
        own = weights[:2] + weights[2] / 2  # what is learned from both errs by the mean of how both err
        learned = self.parts[0].var(0, ddof=1) / PARTS * np.square(own).sum()
        learned[1:] *= STEADIER**2
        loose = tested**2 / (GROUPS - 1) + learned**2 / (PARTS - 1)
        return np.sqrt(tested + learned), np.maximum((tested + learned) ** 2 / np.maximum(loose, 1e-300), 1.0)


def trial(
    task: Task, learner: str, sides: Sides, parts: Sequence[Rows], looked: Sequence[int], rng: np.random.Generator
) -> Trial:
    """Let one learner learn from all sides and parts, and score it. looked: columns whose importance is wanted."""
    group = _groups(task.y[sides.test], rng)
    some = np.sort(rng.choice(sides.test, min(SHUFFLED, len(sides.test)), replace=False))
    order = rng.permutation(len(some))
    wholes, scores, weights = [], [], []
    for rows in sides.whole():
        fitted = task.fit(learner, rows, rng)
        wholes.append(_jackknife(task, fitted.outcome(fitted.encode(sides.test)), sides.test, group))
    for rows in parts:
        fitted = task.fit(learner, rows, rng)
        scores.append(signed(task.scored(fitted.outcome(fitted.encode(sides.test)), sides.test)))
        weights.append(importance(task, fitted, some, order, looked))
    shape = (2, PARTS, -1)
    return Trial(np.array(wholes), np.array(scores).reshape(shape), np.array(weights).reshape(2, PARTS, len(looked)))


def signed(scores: Mapping[str, float]) -> list[float]:
    """The scores, those that are better when lower with a minus."""
    return [-value if name in LOWER else value for name, value in scores.items()]


def _groups(y: Array, rng: np.random.Generator) -> Ints:
    """(n,) a group for each test row; all groups are alike in y."""
    order = rng.permutation(len(y))
    group = np.empty(len(y), np.int64)
    group[order[np.argsort(y[order], kind="stable")]] = np.arange(len(y)) % GROUPS
    return group


def _jackknife(task: Task, outcome: Floats, test: Rows, group: Ints) -> list[list[float]]:
    """(1 + GROUPS, M) the scores on all test rows, and without each of the groups."""
    kept = [group >= 0, *(group != k for k in range(GROUPS))]
    return [signed(task.scored(outcome[rows], test[rows])) for rows in kept]


def importance(task: Task, fitted: Fitted, rows: Rows, order: Ints, looked: Sequence[int]) -> list[float]:
    """What the first score loses when a column is shuffled, for each (Breiman, Random forests, 2001).

    order: (n,) the permutation of the rows.
    """
    X = fitted.encode(rows)

    def first(X: Array) -> float:
        return signed(task.scored(fitted.outcome(X), rows))[0]

    base, lost = first(X), []
    for column in looked:
        own = fitted.owner == column
        shuffled = X.copy()
        shuffled[own] = X[own][:, order]
        lost.append(base - first(shuffled))
    return lost
