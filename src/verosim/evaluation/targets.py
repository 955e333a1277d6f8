"""What is to be predicted: the column that the user names, or a guess; as classes, or as a number.

task = Task.of(case.arrays, "income", train, test)
fitted = task.fit("boosted", task.of_known(train), chance)
task.scores(fitted, task.of_known(test))                 {"auc": .92, "accuracy": .87, ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import ArgumentError, did_you_mean
from verosim.evaluation.columns import LEFT_OUT, Column, Comparison, Levels, Rows, plain
from verosim.evaluation.fidelity import auc
from verosim.evaluation.learners import LEARNERS, Fitted, centre_and_unit
from verosim.models import Array, Floats
from verosim.schema import Table

FEW: Final = 10  # values: a number of no more is predicted as classes
MOST: Final = 10  # classes: the others are left out, for each costs as much as the first

# ------------------------------------------------------------------------------------------------------ the target


def target_of(table: Table, real: pl.DataFrame, wanted: str | None) -> str | None:
    """The column to predict: `wanted`, or the last of few classes, or the last number; None where there is neither.

    Raises ArgumentError for a `wanted` that is no column.
    """
    if wanted is not None:
        if wanted not in table.names:
            raise ArgumentError(f"target: no column {wanted!r}; {did_you_mean(wanted, table.names)}")
        return wanted
    classes, numbers = [], []
    for column in table.columns:
        n_values = real[column.name].drop_nulls().n_unique()
        if column.kind in ("category", "boolean") and 2 <= n_values <= FEW:
            classes.append(column.name)
        if column.kind == "number" and n_values >= 2:
            numbers.append(column.name)
    return next(iter([*classes[-1:], *numbers[-1:]]), None)


def has_classes(frame: pl.DataFrame, table: Table, target: str) -> bool:
    """Whether the target is predicted as one of some classes, and not as a number."""
    values = plain(frame.select(target), Table(table.name, (table[target],))).get_columns()
    return not values or values[0].dtype == pl.String or values[0].drop_nulls().n_unique() <= FEW


# -------------------------------------------------------------------------------------------------------- scores

LOWER: Final = frozenset({"RMSE", "MAE"})  # better when lower; all others when higher


def class_scores(chances: Floats, y: Array) -> dict[str, float]:
    """auc, accuracy, balanced accuracy and F1 of chances (n, K) of classes y (n,): means over the classes of `y`.

    auc is that of each class against all others, and not of classes that all rows are of.
    """
    told, there = chances.argmax(1), np.flatnonzero(np.bincount(y, minlength=chances.shape[1]))
    right = np.bincount(y[told == y], minlength=chances.shape[1])[there]
    n_told = np.bincount(told, minlength=chances.shape[1])
    n_true = np.bincount(y, minlength=chances.shape[1])[there]
    sides = there if chances.shape[1] > 2 else there[1:]  # of two classes both sides are the same
    areas = [auc(chances[:, k].astype(np.float64), y == k) for k in sides] if len(there) > 1 else [0.5]
    return {
        "auc": float(np.mean(areas)),
        "accuracy": float(right.sum() / len(y)),
        "balanced accuracy": float((right / n_true).mean()),
        "F1": float((2 * right / (n_true + n_told[there])).mean()),
    }


def number_scores(means: Floats, y: Floats) -> dict[str, float]:
    """R2, RMSE and MAE of the prediction means (n,) of the numbers y (n,)."""
    off = means - y
    around = float(np.square(y - y.mean()).sum())
    squared = float(np.square(off).sum())
    return {
        "R2": 1 - squared / around if around else 0.0,
        "RMSE": float(np.sqrt(squared / len(y))),
        "MAE": float(np.abs(off).mean()),
    }


# ---------------------------------------------------------------------------------------------------------- task


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One column to predict from the others, over all rows of a comparison."""

    target: str
    columns: tuple[Column, ...]  # predicted from
    y: Array  # (n,) classes from 0; or numbers, in units of `unit` from their mean over train
    known: npt.NDArray[np.bool_]  # (n,) rows whose outcome is known, and of one of the classes
    n_classes: int  # 0: y is a number
    unit: float  # of a number: its standard deviation over train
    left_out: int  # classes that are too rare, or too many

    @classmethod
    def of(cls, c: Comparison, target: str, table: Table, train: Rows, test: Rows, rare: int = 1) -> Task | str:
        """The task, or why there is none. rare: a class with fewer rows in train or test is left out."""
        if table[target].kind in LEFT_OUT:
            return f"the target {target!r} is not compared: {LEFT_OUT[table[target].kind]}"
        others = tuple(column for column in c.columns if column.name != target)
        own = next((column for column in c.columns if column.name == target), None)
        if own is None:
            return f"the target {target!r} is a place of two numbers; name a column of one"
        if not others:
            return f"there is no column to predict {target!r} from"
        known = own.codes < own.size - 1 if isinstance(own, Levels) else own.marks == 0
        train, test = train[known[train]], test[known[test]]
        if not len(train) or not len(test):
            return f"the target {target!r} is missing in all {'train' if not len(train) else 'test'} rows"
        values = np.unique(own.codes[train])
        if len(values) == 1:
            return f"the target {target!r} is a constant: one value only in the real rows"
        if isinstance(own, Levels) or len(values) <= FEW:
            return cls._classes(target, others, own.codes, known, (train, test), rare)
        centre, unit = centre_and_unit(own.values[train])
        return cls(target, others, np.where(known, (own.values - centre) / unit, 0.0), known, 0, unit, 0)

    @classmethod
    def _classes(
        cls, target: str, others: tuple[Column, ...], codes: Array, known: Array, parts: tuple[Rows, Rows], rare: int
    ) -> Task | str:
        in_train, in_test = (np.bincount(codes[rows], minlength=codes.max() + 1) for rows in parts)
        order = np.argsort(-in_train, kind="stable")
        kept = order[(in_train[order] >= rare) & (in_test[order] >= rare)][:MOST]
        if len(kept) < 2:
            return f"of the classes of {target!r}, fewer than two have {rare} rows in train and in test"
        number = np.full(codes.max() + 1, -1)
        number[np.sort(kept)] = np.arange(len(kept))
        y = number[codes]
        lost = int((in_train > 0).sum()) - len(kept)
        return cls(target, others, np.maximum(y, 0), known & (y >= 0), len(kept), 1.0, lost)

    def of_known(self, rows: Rows) -> Rows:
        """Those of the rows whose outcome is known."""
        return rows[self.known[rows]]

    def fit(self, learner: str, rows: Rows, rng: np.random.Generator) -> Fitted:
        """What the learner learns of these rows."""
        return LEARNERS[learner](self.columns, rows, self.y[rows], self.n_classes, rng)

    def scored(self, outcome: Floats, rows: Rows) -> dict[str, float]:
        """How well an outcome (n, K) or (n, 1) tells y of the rows (n,)."""
        if self.n_classes:
            return class_scores(outcome, self.y[rows])
        found = number_scores(outcome[:, 0], self.y[rows])
        return {name: value * self.unit if name in LOWER else value for name, value in found.items()}

    def ignorance(self, train: Rows, n: int) -> Floats:
        """(n, K) the outcome that knows nothing of a row: the shares of the classes in train, or the mean."""
        if self.n_classes:
            return np.tile(np.bincount(self.y[train], minlength=self.n_classes) / len(train), (n, 1))
        return np.full((n, 1), self.y[train].mean())


def score(
    c: Comparison, table: Table, target: str, rows: Rows, test: Rows, learner: str = "boosted"
) -> Mapping[str, float]:
    """How well the target of the rows `test` is predicted by what one learner learns of `rows`.

    The classes are those of the comparison's train rows. Raises ArgumentError for a target that cannot be predicted.
    """
    task = Task.of(c, target, table, c.train, test)
    if isinstance(task, str):
        raise ArgumentError(f"target: {task}.")
    seen, unseen = task.of_known(rows), task.of_known(test)
    if not len(seen):
        raise ArgumentError(f"target: {target!r} is missing in all rows to learn from.")
    fitted = task.fit(learner, seen, c.chance("score"))
    return task.scored(fitted.outcome(fitted.encode(unseen)), unseen)
