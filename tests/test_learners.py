"""Learners find what is there, as far as each can, and agree with scikit-learn's; odd columns trouble none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from verosim.draws import stream
from verosim.evaluation.columns import Comparison, compare
from verosim.evaluation.learners import LEARNERS
from verosim.evaluation.targets import Task, class_scores, number_scores
from verosim.schema import Column, Table, dtype_name

N = 3_000


def table_of(frame: pl.DataFrame) -> Table:
    """Text is a category, truth values are truth values, and all else a number."""
    kinds = {pl.String: "category", pl.Boolean: "boolean"}
    columns = (Column(n, kinds.get(d.base_type(), "number"), dtype_name(d)) for n, d in frame.schema.items())
    return Table("t", tuple(columns))


def task_of(frame: pl.DataFrame, target: str = "y") -> tuple[Task, Comparison]:
    """The first half of the rows to learn from, the second to test on."""
    half, table = len(frame) // 2, table_of(frame)
    c = compare(frame[:half], frame[half:], frame[:0], table)
    task = Task.of(c, target, table, c.train, c.holdout)
    assert isinstance(task, Task)
    return task, c


def outcome(task: Task, c: Comparison, learner: str) -> np.ndarray:
    fitted = task.fit(learner, task.of_known(c.train), stream(1, learner))
    return np.asarray(fitted.outcome(fitted.encode(c.holdout)))


def scores(frame: pl.DataFrame, learner: str) -> dict[str, float]:
    task, c = task_of(frame)
    return task.scored(outcome(task, c, learner), c.holdout)


def noise(seed: int, columns: int, n: int = N) -> np.ndarray:
    return stream(seed, "noise").standard_normal((columns, n))


# ------------------------------------------------------------------------------------------------------ truths


@pytest.mark.parametrize(("learner", "least"), [("linear", 0.79), ("forest", 0.70), ("boosted", 0.74)])
def test_a_sum_of_effects_is_found(learner: str, least: float) -> None:
    """The two columns explain 4/5 of the variance; no learner can tell more, but by chance."""
    a, b, e, idle = noise(1, 4)
    found = scores(pl.DataFrame({"a": a, "b": b, "idle": idle, "y": 100 + 20 * (a - b + e / np.sqrt(2))}), learner)
    assert least < found["R2"] < 0.82
    assert found["RMSE"] == pytest.approx(np.sqrt((1 - found["R2"]) * 1000), rel=0.05)


@pytest.mark.parametrize(("learner", "low", "high"), [("linear", 0.4, 0.6), ("forest", 0.9, 1), ("boosted", 0.95, 1)])
def test_only_trees_see_two_columns_that_act_together(learner: str, low: float, high: float) -> None:
    a, b, idle = noise(2, 3)
    y = np.where((a > 0) != (b > 0.1), "in", "out")
    assert low < scores(pl.DataFrame({"a": a, "b": b, "idle": idle, "y": y}), learner)["auc"] <= high


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_level_tells_its_class(learner: str) -> None:
    kind = stream(3).choice(["a", "b", "c", "d"], N)
    y = np.where(stream(4).random(N) < 0.9, np.char.upper(kind), "A")
    assert scores(pl.DataFrame({"kind": kind, "y": y}), learner)["accuracy"] > 0.89


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("number", [True, False])
def test_what_cannot_be_told_is_not_told(learner: str, number: bool) -> None:
    a, b, y = noise(5, 3)
    found = scores(pl.DataFrame({"a": a, "b": b, "y": y if number else y > 0}), learner)
    assert -0.12 < (found["R2"] if number else found["auc"] - 0.5) < 0.05  # a forest overfits a little


# -------------------------------------------------------------------------------------------- beside scikit-learn


def test_the_linear_learner_is_ridge_regression() -> None:
    X = noise(6, 4)
    y = X[0] - X[1] * 0.3 + noise(7, 1)[0]
    task, c = task_of(pl.DataFrame({**{f"x{i}": x for i, x in enumerate(X)}, "y": y}))
    half = N // 2
    scaled = ((X.T - X[:, :half].mean(1)) / X[:, :half].std(1))[:, :]
    own = outcome(task, c, "linear")[:, 0] * task.unit + y[:half].mean()
    assert own == pytest.approx(Ridge(alpha=1).fit(scaled[:half], y[:half]).predict(scaled[half:]), abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_linear_learner_is_logistic_regression(n_classes: int) -> None:
    """Of two classes each has effects of its own, half as large: the same model as one of twice as weak a ridge."""
    X = noise(8, 3)
    y = np.digitize(X[0] + X[1] + noise(9, 1)[0], [0.0, 1.0][: n_classes - 1])
    task, c = task_of(pl.DataFrame({**{f"x{i}": x for i, x in enumerate(X)}, "y": y}))
    half = N // 2
    scaled = (X.T - X[:, :half].mean(1)) / X[:, :half].std(1)
    peer = LogisticRegression(C=2 if n_classes == 2 else 1, tol=1e-8, max_iter=1000).fit(scaled[:half], y[:half])
    assert outcome(task, c, "linear") == pytest.approx(peer.predict_proba(scaled[half:]), abs=1e-3)


@pytest.mark.parametrize(
    ("learner", "classes", "numbers"),
    [
        ("forest", RandomForestClassifier(50, min_samples_leaf=5, random_state=0),
         RandomForestRegressor(50, min_samples_leaf=5, random_state=0)),
        ("boosted", HistGradientBoostingClassifier(max_iter=60, random_state=0),
         HistGradientBoostingRegressor(max_iter=60, random_state=0)),
    ],
)  # fmt: skip
def test_trees_are_as_good_as_others(learner: str, classes: Any, numbers: Any) -> None:
    X = noise(10, 6)
    signal = np.sin(2 * X[0]) + X[1] * X[2] + (X[3] > 0)
    y, half = signal + noise(11, 1)[0] / 2, N // 2
    number = scores(pl.DataFrame({**{f"x{i}": x for i, x in enumerate(X)}, "y": y}), learner)["R2"]
    area = scores(pl.DataFrame({**{f"x{i}": x for i, x in enumerate(X)}, "y": y > 0.5}), learner)["auc"]
    peer = numbers.fit(X.T[:half], y[:half]).predict(X.T[half:])
    assert number > r2_score(y[half:], peer) - 0.05
    chances = classes.fit(X.T[:half], y[:half] > 0.5).predict_proba(X.T[half:])[:, 1]
    assert area > roc_auc_score(y[half:] > 0.5, chances) - 0.02


def test_scores_are_those_of_scikit_learn() -> None:
    rng = stream(12)
    y, chances = rng.integers(0, 3, 500), rng.dirichlet([1, 1, 1], 500)
    told = chances.argmax(1)
    assert class_scores(chances, y) == pytest.approx(
        {
            "auc": roc_auc_score(y, chances, multi_class="ovr"),
            "accuracy": accuracy_score(y, told),
            "balanced accuracy": balanced_accuracy_score(y, told),
            "F1": f1_score(y, told, average="macro"),
        }
    )
    truth, means = rng.standard_normal((2, 500))
    expected = {"R2": r2_score, "RMSE": root_mean_squared_error, "MAE": mean_absolute_error}
    assert number_scores(means, truth) == pytest.approx({n: f(truth, means) for n, f in expected.items()})


# --------------------------------------------------------------------------------------------------- odd columns

ODD: dict[str, Callable[[int], list[Any]]] = {
    "missing": lambda n: [None if i % 3 else 1.5 * i for i in range(n)],
    "empty": lambda n: [None] * (n - 1) + [1.0],
    "infinite": lambda n: [[1.0, float("inf"), float("-inf"), float("nan")][i % 4] for i in range(n)],
    "extreme": lambda n: [1e308 if i == 7 else -1e308 if i == 9 else i * 1e-300 for i in range(n)],
    "constant": lambda n: [0.1] * n,
    "names": lambda n: [f"name {i}" for i in range(n)],
    "late": lambda n: ["early" if i < n // 2 else "late" for i in range(n)],  # not seen when learning
}


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("number", [True, False])
def test_odd_columns_do_not_hide_a_plain_one(learner: str, number: bool) -> None:
    n = 600
    a, e = noise(13, 2, n)
    y = a + e / 3 if number else a + e / 3 > 0
    frame = pl.DataFrame({"a": a, **{name: make(n) for name, make in ODD.items()}, "y": y}, strict=False)
    found = scores(frame, learner)
    assert all(map(np.isfinite, found.values()))
    assert found["R2" if number else "auc"] > 0.7


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_chance_gives_the_same(learner: str) -> None:
    a, b, e = noise(14, 3, 400)
    frame = pl.DataFrame({"a": a, "b": b, "y": a + e})
    assert scores(frame, learner) == scores(frame, learner)
