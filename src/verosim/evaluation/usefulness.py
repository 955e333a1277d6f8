"""What synthetic rows are worth: train on synthetic, test on real (Esteban, Hyland and Rätsch, 2017).

Three learners learn to predict the target from as many synthetic as real rows, and from both together; real rows that
neither saw are predicted. `trained` says how errors come about; a verdict is given where a loss exceeds `SURE` of them,
as Student's t and the number of verdicts have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from verosim.evaluation.case import Case
from verosim.evaluation.columns import Comparison, Rows
from verosim.evaluation.combining import quantile
from verosim.evaluation.learners import LEARNERS
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.targets import LOWER, Task, target_of
from verosim.evaluation.trained import (
    ADDED,
    BOTH,
    LOST,
    PARTS,
    REAL,
    SHUFFLED,
    SYNTHETIC,
    Sides,
    Trial,
    importance,
    signed,
    trial,
)
from verosim.models import Floats, Progress, silent

# ---------------------------------------------------------------------------------------------- what is predicted

ROWS: Final = 10_000  # learned from, of each kind
CELLS: Final = 500_000  # rows x columns of each kind: wide tables are learned from fewer rows
TEST: Final = 10_000  # rows tested on
LEAST: Final = 50  # rows learned from or tested on: of fewer, nothing can be said
APART: Final = 0.3  # share of the train rows that are tested on where there is no hold-out
RARE: Final = 5  # rows of a class in train and in test: rarer ones are left out
LOOKED: Final = 40  # columns whose importance is looked at


@dataclass(frozen=True, slots=True)
class Asked:
    """What is predicted from which rows, and what is to be said of that."""

    task: Task
    sides: Sides
    looked: list[int]  # columns whose importance is looked at
    notes: list[str]

    @classmethod
    def of(cls, case: Case) -> Asked | str:
        """What a case asks for, or why nothing can be predicted."""
        c = case.arrays
        if reason := c.nothing():
            return reason
        target = target_of(case.table, case.train, case.target)
        if target is None:
            return "no column of few classes, and no number, to predict: name a target"
        train, test, notes = _real(c)
        task = Task.of(c, target, case.table, train, test, RARE)
        if isinstance(task, str):
            return task
        parts = {"train": train, "synthetic": c.synthetic, "test": test}
        parts = {role: task.of_known(rows) for role, rows in parts.items()}
        for role, rows in parts.items():
            if len(rows) < LEAST:
                return f"the target {target!r} is known in {len(rows)} {role} rows; {LEAST} are needed"
        n = min(len(parts["train"]), len(parts["synthetic"]), ROWS, max(LEAST, CELLS // len(task.columns)))
        limits = {"train": n, "synthetic": n, "test": TEST}
        sides = Sides(*(c.some(parts[role], limit, f"useful {role}") for role, limit in limits.items()))
        return cls(task, sides, _looked(case, task, sides), [*notes, *_notes(case, task, sides)])


def _real(c: Comparison) -> tuple[Rows, Rows, list[str]]:
    """Real rows to learn from, real rows to test on, and a note."""
    if len(c.holdout) >= LEAST:
        return c.train, c.holdout, []
    mixed = c.chance("useful apart").permutation(c.train)
    cut = int(len(mixed) * APART)
    said = "usefulness is tested on train rows set apart; the synthetic rows may know them, and then look too good"
    return np.sort(mixed[cut:]), np.sort(mixed[:cut]), [said]


def _looked(case: Case, task: Task, sides: Sides) -> list[int]:
    """The columns whose importance is looked at: of many, those that boosted trees on real rows need most."""
    if len(task.columns) <= LOOKED:
        return list(range(len(task.columns)))
    rng = case.chance("usefulness columns")
    rows = case.arrays.some(sides.test, SHUFFLED, "usefulness columns of")
    fitted = task.fit("boosted", sides.real, rng)
    lost = importance(task, fitted, rows, rng.permutation(len(rows)), range(len(task.columns)))
    return np.sort(np.argsort(-np.array(lost), kind="stable")[:LOOKED]).tolist()


def _notes(case: Case, task: Task, sides: Sides) -> Iterator[str]:
    guess = " (a guess)" if case.target is None else ""
    n, n_test = len(sides.real), len(sides.test)
    yield f"usefulness: {task.target}{guess}, learned from {n:,} rows of each kind, tested on {n_test:,} real rows"
    if task.left_out:
        yield f"usefulness leaves out {task.left_out:,} classes of {task.target}: too rare, or too many"
    if len(task.columns) > LOOKED:
        yield f"importances look at {LOOKED} of {len(task.columns):,} columns"


# ------------------------------------------------------------------------------------------------------- verdicts

USEFUL: Final = Measure(
    "usefulness", "higher", section="usefulness", about="score on unseen real rows, mean of learners"
)
GAIN: Final = Measure(
    "augmentation", "higher", section="usefulness", about="what synthetic rows add to as many real ones"
)
AGREE: Final = Measure("importances", "higher", section="usefulness", about="agreement on which columns predict")
ABOUT: Final = {
    "auc": "that a row of a class scores above one of another, mean of classes",
    "accuracy": "rows whose class is told rightly, a share",
    "balanced accuracy": "rows whose class is told rightly, mean of classes",
    "F1": "harmonic mean of precision and recall, mean of classes",
    "R2": "share of the variance that is predicted",
    "RMSE": "root of the mean squared error, in units of the target",
    "MAE": "mean absolute error, in units of the target",
}
FINE: Final[tuple[str, Grade]] = (WITHIN_NOISE, "noise")
STEADIEST: Final = 0.05  # error of the agreement of ranks, at least: of few columns all parts may agree by chance
SMALL: Final = 0.1  # of what real rows teach: a loss up to here is small


@dataclass(frozen=True, slots=True)
class Told:
    """The scores of one learner, or of all in the mean, as measures tell them."""

    names: Sequence[str]  # (M,) of the scores
    trial: Trial
    blind: Floats  # (M,) what is reached by who looks at no column; better when higher
    n_verdicts: int  # in all

    def value(self, weights: Floats) -> Floats:
        """(M,) the scores, or a weighted sum of them; lower is better for some."""
        return np.where([name in LOWER for name in self.names], -1, 1) * self.trial.of(weights)

    def sure(self, weights: Floats) -> npt.NDArray[np.bool_]:
        """(M,) whether a weighted sum of scores is above 0 by more than chance brings, over all verdicts together."""
        chance = NormalDist().cdf(-SURE) / self.n_verdicts
        error, freedom = self.trial.error(weights)
        return self.trial.of(weights) > error * [quantile(1 - chance, f) for f in freedom.tolist()]

    def grade(self, weights: Floats, m: int) -> Grade:
        """How large a sure loss is, beside what real rows teach."""
        taught = self.trial.of(REAL)[m] - self.blind[m]
        return "near" if self.trial.of(weights)[m] <= SMALL * taught else "far"

    def lost(self, m: int) -> tuple[str, Grade]:
        """Plain words for a loss that is sure."""
        real, new = (float(self.value(side)[m]) for side in (REAL, SYNTHETIC))
        grade = self.grade(LOST, m)
        how = "teach a little less" if grade == "near" else "teach less"
        return f"{how} than as many real rows: {self.names[m]} {new:.3g} in place of {real:.3g}", grade


def _of_learner(learner: str, told: Told) -> Iterator[Measure]:
    """A measure for each of a learner's scores."""
    errors, sure = told.trial.error(LOST)[0], told.sure(LOST)
    for m, name in enumerate(told.names):
        better: Literal["lower", "higher"] = "lower" if name in LOWER else "higher"
        like = Measure(name, better, section="usefulness", of=(learner,), about=ABOUT[name])
        new, real = (float(told.value(side)[m]) for side in (SYNTHETIC, REAL))
        yield like.found(new, float(errors[m]), real, *(told.lost(m) if sure[m] else FINE))


def _useful(mean: Told, each: Mapping[str, Told]) -> Measure:
    """The mean over learners of the first score; the verdict names the learner that loses most."""
    new, real, error = (float(x[0]) for x in (mean.value(SYNTHETIC), mean.value(REAL), mean.trial.error(LOST)[0]))
    if not any(told.sure(LOST)[0] for told in (mean, *each.values())):
        return USEFUL.found(new, error, real, *FINE)
    worst = max(each, key=lambda learner: float(each[learner].trial.of(LOST)[0]))
    verdict, grade = each[worst].lost(0)
    return USEFUL.found(new, error, real, f"{verdict} with the {worst} learner, which loses most", grade)


def _gained(mean: Told) -> Measure:
    """What real and synthetic rows together score above the real ones alone, in the mean over learners."""
    gain, error = float(mean.value(ADDED)[0]), float(mean.trial.error(ADDED)[0][0])
    if mean.sure(ADDED)[0]:
        return GAIN.found(gain, error, None, f"they help: {mean.names[0]} {gain:+.3g}", "noise")
    if mean.sure(-ADDED)[0]:
        return GAIN.found(gain, error, None, f"they harm: {mean.names[0]} {gain:+.3g}", mean.grade(-ADDED, 0))
    return GAIN.found(gain, error, None, "neither help nor harm that can be told from chance", "noise")


def _agreement(trials: Sequence[Trial]) -> Measure:
    """Spearman's correlation of importances learned from a part of the real and a part of the synthetic rows.

    The mean over all such pairs, and over learners; beside it that of two parts of the real rows.
    """
    if trials[0].importance.shape[2] < 3:
        return AGREE.absent("fewer than three columns to predict from")
    pairs = np.mean([_pairs(t.importance.reshape(2 * PARTS, -1)) for t in trials], axis=0)
    real = pairs[:PARTS, :PARTS][np.triu_indices(PARTS, 1)]
    value, usual = float(pairs[:PARTS, PARTS:].mean()), float(real.mean())
    error = max(float(real.std(ddof=1)), STEADIEST)
    if value >= usual - SURE * error:
        return AGREE.found(value, error, usual, WITHIN_NOISE)
    grade: Grade = "near" if value > usual - 0.25 else "far"
    return AGREE.found(value, error, usual, "other columns predict the target than in real rows", grade)


def _pairs(importance: Floats) -> Floats:
    return np.array([[spearman(a, b) for b in importance] for a in importance])


def spearman(a: Floats, b: Floats) -> float:
    """The correlation of ranks; 0 where one of them has no order.

    >>> spearman(np.array([1.0, 2.0, 2.0]), np.array([1.0, 9.0, 9.0]))
    1.0
    """
    x, y = (_ranks(values) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / length if length else 0.0


def _ranks(values: Floats) -> Floats:
    """Equal values have the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place]


# ------------------------------------------------------------------------------------------------------- the part


def assess(case: Case, progress: Progress = silent) -> Findings:
    """usefulness, each score of each learner, augmentation and importances; or why there are none.

    Details: usefulness {target, kind, rows, tested, learners [...], importance {...}}.
    """
    asked = Asked.of(case)
    if isinstance(asked, str):
        return Findings(tuple(m.absent(asked) for m in (USEFUL, GAIN, AGREE)))
    task, sides = asked.task, asked.sides
    parts, trials = sides.parts(case.chance("usefulness parts")), {}
    for number, learner in enumerate(LEARNERS):
        progress(number / len(LEARNERS), f"predicting {task.target}: {learner}")
        trials[learner] = trial(task, learner, sides, parts, asked.looked, case.chance(f"usefulness {learner}"))
    blind = task.scored(task.ignorance(sides.real, len(sides.test)), sides.test)
    base, n_verdicts = np.array(signed(blind)), len(trials) * len(blind) + 3
    each = {learner: Told(list(blind), t, base, n_verdicts) for learner, t in trials.items()}
    mean = Told(list(blind), Trial.mean(trials.values()), base, n_verdicts)
    scores = (m for learner, told in each.items() for m in _of_learner(learner, told))
    measures = (_useful(mean, each), *scores, _gained(mean), _agreement(list(trials.values())))
    return Findings(measures, {"usefulness": _details(asked, each, blind)}, tuple(asked.notes))


def _details(asked: Asked, each: Mapping[str, Told], blind: Mapping[str, float]) -> dict[str, Any]:
    """What the page draws: every score with its error, and the importances, each by learner."""
    task, sides = asked.task, asked.sides
    names = np.array([task.columns[i].name for i in asked.looked])
    return {
        "target": task.target,
        "kind": "classes" if task.n_classes else "number",
        "rows": len(sides.real),
        "tested": len(sides.test),
        "learners": [row for learner, told in each.items() for row in _rows(learner, told, blind)],
        "importance": {learner: _importances(names, told.trial) for learner, told in each.items()},
    }


def _rows(learner: str, told: Told, blind: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for m, name in enumerate(told.names):
        row: dict[str, Any] = {"learner": learner, "metric": name, "blind": blind[name]}
        for side, weights in {"real": REAL, "synthetic": SYNTHETIC, "both": BOTH}.items():
            row[side], row[f"{side}_error"] = float(told.value(weights)[m]), float(told.trial.error(weights)[0][m])
        yield row


def _importances(names: npt.NDArray[Any], trial: Trial) -> dict[str, Any]:
    """The mean over parts, of the columns that real rows need most first."""
    real, new = trial.importance.mean(1)
    order = np.argsort(-real, kind="stable")
    return {
        "columns": names[order].tolist(), "real": real[order].tolist(), "synthetic": new[order].tolist(),
        "agreement": spearman(real, new),
    }  # fmt: skip
