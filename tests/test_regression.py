"""Regressions agree with statsmodels; differences are found where they are planted, and not where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from verosim.draws import stream
from verosim.evaluation import Case, Findings, Measure
from verosim.evaluation.regression import assess, compared, estimable, logit, ols, overlap
from verosim.schema import Column, Table, dtype_name

NOISE = "within noise of real"


def table_of(frame: pl.DataFrame) -> Table:
    kinds = {pl.String: "category", pl.Boolean: "boolean"}
    columns = (Column(n, kinds.get(d.base_type(), "number"), dtype_name(d)) for n, d in frame.schema.items())
    return Table("t", tuple(columns))


def found(real: pl.DataFrame, new: pl.DataFrame, target: str = "y") -> Findings:
    return assess(Case.of(real, real[:0], new, table_of(real), target=target))


def named(findings: Findings) -> dict[str, Measure]:
    return {m.name: m for m in findings.measures}


def people(seed: int, n: int = 2_000, effect: float = 1.0, classes: bool = False) -> pl.DataFrame:
    rng = stream(seed, "people")
    age, city = rng.normal(40, 10, n), rng.choice(["east", "north", "west"], n, p=[0.5, 0.3, 0.2])
    y = effect * (age - 40) / 10 + (city == "west") + rng.standard_normal(n)
    return pl.DataFrame({"age": age, "city": city, "idle": rng.random(n), "y": y > 0.3 if classes else y})


# ------------------------------------------------------------------------------------------- beside statsmodels


def made(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(seed, "made")
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2)), rng.random(n) < 0.3])
    return X, X @ [0.5, 1.0, -0.3, 0.4] + rng.standard_normal(n) * (1 + np.abs(X[:, 1]))


def test_least_squares_are_those_of_statsmodels() -> None:
    X, y = made(1)
    own, peer = ols(X, y), sm.OLS(y, X).fit()
    assert own.estimates == pytest.approx(peer.params, abs=1e-9)
    assert own.errors == pytest.approx(peer.bse, abs=1e-9)
    assert own.intervals() == pytest.approx(peer.conf_int(), abs=1e-8)
    assert own.robust == pytest.approx(peer.get_robustcov_results("HC3").cov_params(), abs=1e-9)


def test_the_logistic_model_is_that_of_statsmodels() -> None:
    X, y = made(2)
    own, peer = logit(X, (y > 0).astype(float)), sm.Logit(y > 0, X).fit(disp=0, tol=1e-12)
    assert own is not None
    assert own.estimates == pytest.approx(peer.params, abs=1e-8)
    assert own.covariance == pytest.approx(peer.cov_params(), abs=1e-8)
    assert own.intervals() == pytest.approx(peer.conf_int(), abs=1e-8)


def test_what_separates_the_classes_has_no_coefficients() -> None:
    x = np.arange(50.0)
    assert logit(np.column_stack([np.ones(50), x]), (x > 20).astype(float)) is None


# ---------------------------------------------------------------------------------------------- worked by hand


@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        ([0, 1], [0, 1], 1),
        ([0, 2], [1, 3], 1 / 2),
        ([0, 4], [1, 2], (1 / 4 + 1) / 2),  # one inside the other
        ([0, 1], [1, 2], 0),
        ([0, 1], [5, 6], 0),  # apart: not below 0
    ],
)
def test_the_overlap_of_intervals(a: Sequence[float], b: Sequence[float], common: float) -> None:
    assert overlap(np.array(a, float), np.array(b, float)) == pytest.approx(common)


def test_the_other_overlap_and_the_standardised_difference() -> None:
    X, y = made(3)
    real, new = ols(X, y), ols(X, y + X[:, 1] * ols(X, y).errors[1])  # one coefficient is one error higher
    seen = compared(real, new)
    assert seen.z == pytest.approx([0, 1, 0, 0], abs=1e-9)
    assert seen.overlap_by_z == pytest.approx([1, 1 - 1 / 3.919928, 1, 1], abs=1e-6)
    assert seen.distance == pytest.approx(real.errors[1] ** 2 * np.linalg.inv(2 * real.robust)[1, 1] / 4, rel=1e-6)


def test_combinations_of_other_columns_have_no_coefficients() -> None:
    one, a, b = np.ones(100), *stream(4).standard_normal((2, 100))
    assert estimable(np.column_stack([one, a, a * 2 - 3, b, a + b, 0 * a])) == [0, 1, 3]
    few = (np.arange(100) < 6).astype(float)
    assert estimable(np.column_stack([one, few]), (np.arange(100) % 2).astype(float)) == [0]  # 3 rows of either class


# ----------------------------------------------------------------------------------------------------- truths


@pytest.mark.parametrize("classes", [False, True])
def test_real_rows_have_the_coefficients_of_real_rows(classes: bool) -> None:
    """Over 60 pairs of samples: no more alarms than chance brings, and a distance of about 1."""
    values, alarms = [], 0
    for seed in range(60):
        seen = named(found(people(2 * seed, 500, classes=classes), people(2 * seed + 1, 500, classes=classes)))
        values.append(seen["coefficients"].value)
        alarms += any(m.verdict != NOISE for m in seen.values())
    assert alarms <= 1
    assert np.mean(values) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("classes", [False, True])
def test_another_effect_is_found_and_named(classes: bool) -> None:
    findings = found(people(1, classes=classes), people(2, effect=0.3, classes=classes))
    seen = named(findings)
    assert seen["coefficients"].grade == "far"
    assert seen["coefficients"].verdict.endswith("mostly age")
    assert (seen["coefficients"].floor or 0) == 1
    assert (seen["overlap"].value or 0) < (seen["overlap"].floor or 0) < 1
    age = next(row for row in findings.details["regression"]["rows"] if row["term"] == "age")
    assert age["overlap"] == 0 > age["overlap_z"]
    assert age["synthetic_high"] < age["real_low"]


def test_what_a_formula_is_made_of() -> None:
    details = found(people(1, classes=True), people(2, classes=True)).details["regression"]
    assert details["formula_note"].startswith("logistic regression of y being true, on age, city")
    assert {row["term"] for row in details["rows"]} >= {"intercept", "age", "city: north", "city: west"}


def test_a_level_that_synthetic_rows_lack_is_said() -> None:
    findings = found(people(1), people(2).with_columns(city=pl.col("city").replace("west", "east")))
    assert any("city: west" in note for note in findings.notes)
    assert "city: west" not in {row["term"] for row in findings.details["regression"]["rows"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": pl.lit(None, pl.Float64)}, "missing in all train"),
        ({"y": pl.lit(2.0)}, "constant"),
        ({"age": pl.col("y"), "y": pl.col("y") > 0}, "separate the classes"),
    ],
)
def test_why_there_is_no_regression(change: dict[str, Any], said: str) -> None:
    seen = named(found(people(1).with_columns(**change), people(2).with_columns(**change)))
    for measure in seen.values():
        assert measure.value is None
        assert said in measure.verdict
