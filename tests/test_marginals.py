"""Columns one by one: p-values beside exact ones, numbers worked by hand, planted differences found and named, axes."""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest

from test_evaluate import NOISE, table_of
from verosim.evaluation import Case, Findings, Limits, doubt
from verosim.evaluation.doubt import Weighted
from verosim.evaluation.marginals import assess
from verosim.schema import Column, Table


def found(train: pl.DataFrame, new: pl.DataFrame, holdout: pl.DataFrame | None = None, **kinds: str) -> Findings:
    return assess(Case.of(train, train if holdout is None else holdout, new, table_of(train, **kinds)))


def by_label(findings: Findings) -> dict[str, Any]:
    return {m.label: m for m in findings.measures}


# ------------------------------------------------------------------------------------------------------- p-values


def test_shares_are_judged_as_by_the_exact_test() -> None:
    """Fisher's, by counting: within a factor of 3 down to 1e-8, for unlike sizes and single counts."""
    for k, n, other, m in [(6, 300, 27, 9000), (0, 50, 12, 60), (9, 40, 9, 400), (30, 100, 60, 100), (5, 10, 4, 11)]:
        total, both = n + m, k + other
        ways = math.comb(total, both)
        chances = [Fraction(math.comb(n, i) * math.comb(m, both - i), ways) for i in range(both + 1)]
        tail = min(sum(chances[: k + 1]), sum(chances[k:]))
        exact = min(1.0, 2 * float(tail))
        assert exact / 3 < doubt.of_shares(k, n, other, m)[1] < 3 * exact


def test_a_mean_of_few_huge_values_is_no_alarm() -> None:
    """One row in a thousand is huge: small sets often have too many of them, and are not judged for it."""
    rng = np.random.default_rng(1)
    n, m, runs, alarms = 3000, 150, 1000, 0
    for _ in range(runs):
        a, b = (np.where(rng.random(size) < 0.001, 1e6, rng.random(size)) for size in (n, m))
        alarms += doubt.of_means(Weighted(a, np.ones(n)), Weighted(b, np.ones(m)))[1] < 0.002
    assert alarms <= 8  # were all exact, 2 are expected: more than 8 happen once in 4,000 studies


def test_a_difference_of_means_has_the_p_value_of_the_normal_distribution() -> None:
    a, b = np.arange(1000.0), np.arange(1000.0) + 50
    error, p = doubt.of_means(Weighted(a, np.ones(1000)), Weighted(b, np.ones(1000)))
    pooled = np.concatenate([a, b]).std()
    assert error == pytest.approx(pooled * math.sqrt(2 / 1000))
    assert p == pytest.approx(math.erfc(50 / error / math.sqrt(2)))
    assert doubt.of_means(Weighted(a * 1e300, np.ones(1000)), Weighted(b * 1e300, np.ones(1000)))[1] == pytest.approx(p)


def test_what_lies_outermost_is_counted_exactly() -> None:
    assert doubt.of_extremes(0, 5, 5) == 1
    assert doubt.of_extremes(3, 3, 3) == pytest.approx(2 / math.comb(6, 3))


def test_lost_levels_are_judged_by_their_number_and_by_the_largest() -> None:
    counts = np.full(1000, 2.0)
    expected = 250  # a level of two rows is in one of two sets alone with 1/4
    assert doubt.of_lost(np.full(expected, 2.0), counts, 0.5) == 1
    assert doubt.of_lost(np.full(400, 2.0), counts, 0.5) < 1e-9
    assert doubt.of_lost(np.array([30.0]), np.array([30.0] + [60.0] * 9), 0.5) == pytest.approx(2 * 0.5**30)
    assert doubt.of_lost(np.array([]), counts, 0.5) == 1


# ----------------------------------------------------------------------------------------------- worked by hand


def test_numbers_of_four_rows() -> None:
    train = pl.DataFrame({"x": [0.0, 2, 4, 6], "c": ["a", "b", "c", "d"], "m": [1.0, None, 3, 4]})
    new = pl.DataFrame({"x": [1.0, 3, 3, 9], "c": ["a", "a", "b", "e"], "m": [1.0, None, None, 4]})
    got = by_label(found(train, new))
    assert (got["mean of x"].value, got["mean of x"].floor) == (4, 3)
    assert got["sd of x"].value == pytest.approx(np.std([1, 3, 3, 9], ddof=1))
    assert got["sd of x"].floor == pytest.approx(np.std([0, 2, 4, 6], ddof=1))
    assert got["quantiles of x"].value == 25  # up to 0 (the 5 % and 25 % quantile): none, of train a quarter
    assert (got["missing of m"].value, got["missing of m"].floor) == (50, 25)
    assert got["missing"].value == 25  # of the one column that has any
    assert got["range_coverage of x"].value == pytest.approx(100 * 5 / 6)  # 1 to 6 of 0 to 6
    assert got["category_coverage of c"].value == got["category_coverage"].value == 50
    assert got["outside of x"].value == got["outside of c"].value == 25
    assert got["outside"].value == pytest.approx((25 + 25 + 0) / 3)
    spread = np.std([0, 2, 4, 6, 1, 3, 3, 9])
    m_apart = (2.5 - 8 / 3) / np.std([1, 3, 4, 1, 4])
    assert got["mean"].value == pytest.approx(50 * (1 / spread + abs(m_apart)))


def test_the_column_that_differs_is_named_and_no_other() -> None:
    rng = np.random.default_rng(2)

    def rows(n: int, **other: Any) -> pl.DataFrame:
        plain = {"a": rng.normal(size=n), "b": rng.normal(size=n), "c": rng.choice(list("xyz"), n)}
        return pl.DataFrame({**plain, **{name: make(n) for name, make in other.items()}})

    train, holdout = rows(2000), rows(1000)
    cases: dict[str, Any] = {
        "mean": {"b": lambda n: rng.normal(size=n) + 0.3},
        "sd": {"b": lambda n: rng.normal(size=n) * 1.5},
        "quantiles": {"b": lambda n: np.sign(rng.normal(size=n)) * 1.0},
        "range_coverage": {"b": lambda n: np.clip(rng.normal(size=n), -1.5, 1.5)},
        "outside": {"b": lambda n: np.where(rng.random(n) < 0.05, 99, rng.normal(size=n))},
        "category_coverage": {"c": lambda n: rng.choice(list("xy"), n)},
        "missing": {"b": lambda n: pl.Series(rng.normal(size=n)).set(pl.Series(rng.random(n) < 0.1), None)},
    }  # fmt: skip
    for name, other in cases.items():
        column = next(iter(other))
        got = by_label(found(train, rows(2000, **other), holdout))
        assert f"mostly {column}: " in got[name].verdict
        assert got[name].grade == "far"
        assert got[f"{name} of {column}"].verdict != NOISE
        assert all(m.verdict == NOISE for m in got.values() if m.of and m.of != (column,))


def test_invented_levels_are_told() -> None:
    train = pl.DataFrame({"c": ["a", "b"] * 200})
    got = by_label(found(train, pl.DataFrame({"c": ["a", "b", "b", "soon"] * 100})))
    assert got["outside of c"].verdict == "values that train has not: 25 % of rows, 1 new level"


def test_a_lost_tail_is_told_in_the_words_of_the_column() -> None:
    days = pl.Series([dt.date(2020, 1, 1) + dt.timedelta(days=d) for d in range(1000)])
    table = Table("t", (Column("d", "date", "date"),))
    train = pl.DataFrame({"d": days})
    got = by_label(assess(Case.of(train, train, pl.DataFrame({"d": days.head(500).append(days.head(500))}), table)))
    assert "none beyond 2020-01-01 to 2021-05-14, where 500 real rows lie (50 %)" in got["range_coverage of d"].verdict
    assert got["mean of d"].value == pytest.approx(18262 + 249.5)  # days since 1970
    assert got["mean of d"].verdict == "another mean: 2020-09-06 instead of 2021-05-14"


def test_real_rows_are_within_noise() -> None:
    """Seven kinds of difference in eleven columns, heavy-tailed, rare and missing ones too; unlike sizes."""

    def rows(n: int, seed: int) -> pl.DataFrame:
        rng = np.random.default_rng([4, seed])
        numbers = {
            "normal": rng.normal(size=n), "cauchy": rng.standard_cauchy(n), "lognormal": np.exp(2 * rng.normal(size=n)),
            "count": rng.poisson(0.02, n), "spike": np.where(rng.random(n) < 0.001, 1e9, 0.0),
        }  # fmt: skip
        levels = {f"c{k}": (rng.zipf(1.3 + k / 4, n) % 5000).astype(str) for k in range(4)}
        gaps = {f"m{p}": pl.Series(rng.random(n)).set(pl.Series(rng.random(n) < p), None) for p in (0.001, 0.3)}
        return pl.DataFrame({**numbers, **levels, **gaps})

    alarms = 0
    for seed in range(30):
        train, holdout, new = (rows(n, 3 * seed + k) for k, n in enumerate((1500, 300, 700)))
        got = assess(Case.of(train, holdout, new, table_of(train), limits=Limits(splits=2)))
        alarms += any(m.grade in ("near", "far") for m in got.measures)
    assert alarms <= 2  # 0.35 are expected at most


# ------------------------------------------------------------------------------------------------------- pictures


def test_a_column_is_drawn_with_round_edges_and_all_its_rows() -> None:
    rng = np.random.default_rng(3)
    train = pl.DataFrame(
        {"age": rng.integers(17, 91, 3000), "gain": np.where(rng.random(3000) < 0.9, 0, 5e4 * rng.random(3000))}
    )
    drawn = found(train, train).details["columns"]
    age, gain = drawn["age"], drawn["gain"]
    assert age["kind"] == "ordered"
    assert all(edge == int(edge) for edge in age["edges"])
    assert len(set(np.diff(age["edges"]))) == 1
    assert 5 <= len(age["train"]) <= 30
    assert len(age["edges"]) == len(age["train"]) + 1
    for column in (age, gain):
        assert sum(column["train"]) == pytest.approx(1, abs=1e-4)
        assert column["train"] == column["synthetic"]
    assert age["moments"]["train"]["median"] == train["age"].median()
    assert age["coverage"] == {"range_coverage": 100, "outside": 0}


def test_levels_are_drawn_by_frequency_and_the_rest_together() -> None:
    train = pl.DataFrame({"c": [str(k) for k in range(100) for _ in range(k)] + [None] * 50})
    drawn = found(train, train).details["columns"]["c"]
    assert (drawn["kind"], drawn["levels"][:2], drawn["levels"][-1]) == ("levels", ["99", "98"], "other")
    assert len(drawn["levels"]) == 30
    assert sum(drawn["train"]) == pytest.approx(1 - 50 / 5000, abs=1e-4)
    assert drawn["missing"]["train"] == 0.01
    assert drawn["moments"] is None


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ([dt.date(1990, 5, 3) + dt.timedelta(days=20 * k) for k in range(400)], "1990-01-01"),
        ([dt.datetime(2024, 2, 29, 23, 5) + dt.timedelta(minutes=k) for k in range(400)], "2024-02-29T23:00:00"),
        ([dt.time(6, 0, k % 60) for k in range(400)], "06:00:00"),
        ([dt.timedelta(hours=30 + k) for k in range(400)], "24:00:00"),
    ],
)
def test_times_have_edges_of_the_clock_and_the_calendar(values: list[Any], first: str) -> None:
    train = pl.DataFrame({"t": values})
    kind = {dt.date: "date", dt.datetime: "datetime", dt.time: "time", dt.timedelta: "duration"}[type(values[0])]
    drawn = found(train, train, t=kind).details["columns"]["t"]
    assert drawn["labels"][0] == first
    assert len(drawn["labels"]) == len(drawn["edges"]) == len(drawn["train"]) + 1
    assert sum(drawn["train"]) == pytest.approx(1, abs=1e-4)


def test_ordinals_are_drawn_as_levels() -> None:
    frame = pl.DataFrame({"x": ["low", "mid", "high", "high", "odd"]})
    table = Table("t", (Column("x", "ordinal", "str", levels=("low", "mid", "high")),))
    drawn = assess(Case.of(frame, frame, frame, table)).details["columns"]["x"]
    assert dict(zip(drawn["levels"], drawn["train"], strict=True)) == {"low": 0.2, "mid": 0.2, "high": 0.4}
