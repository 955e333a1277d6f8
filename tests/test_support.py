"""Where synthetic rows lie: the definitions of the paper, truths about copiers and poor models, odd tables, calm."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_evaluate import NOISE, table_of
from test_marginals import by_label
from verosim.evaluation import FULL, Case, Limits
from verosim.evaluation import measure as measure_case
from verosim.evaluation.marginals import assess as marginals
from verosim.evaluation.support import alpha_precision, assess, neighbours
from verosim.evaluation.tables import assess as tables


def rows(n: int, seed: int) -> pl.DataFrame:
    """A number in two clusters, one that follows it, and a level that goes with the cluster."""
    rng = np.random.default_rng([6, seed])
    side = rng.random(n) < 0.4
    x = rng.normal(size=n) + 4 * side
    level = np.where(side, rng.choice(["a", "b"], n), "c")
    return pl.DataFrame({"x": x, "y": x + 0.5 * rng.normal(size=n), "level": level})


# ------------------------------------------------------------------------------------------------- row by row


def test_neighbours_are_those_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    real, new = rng.normal(size=(40, 3)), rng.normal(size=(50, 3)) * 1.2
    real[3] = real[4]  # at distance 0 from another
    new[7] = real[9]

    def apart(a: Any, b: Any) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    own = [min(apart(real[i], real[k]) for k in range(40) if k != i) for i in range(40)]
    radius = [apart(y, new.mean(axis=0)) for y in new]
    gaps = []
    for k in range(1, 51):  # the innermost k of 50
        inner = [y for y, r in zip(new, radius, strict=True) if r <= sorted(radius)[k - 1] + 1e-12]
        covered = np.mean([min(apart(real[i], y) for y in inner) <= own[i] for i in range(40)])
        gaps.append(abs(covered - k / 50))
    nearest = [min(range(40), key=lambda i, y=y: apart(real[i], y)) for y in new]
    authentic = [apart(real[i], y) > own[i] for i, y in zip(nearest, new, strict=True)]
    got = neighbours(real, new)
    assert got.beta_recall == pytest.approx(1 - 2 * np.mean(gaps))
    assert got.authenticity == np.mean(authentic)


def test_alpha_precision_by_hand() -> None:
    real = np.array([1.0, 2, 3, 4])
    assert alpha_precision(real, real) == 1
    assert alpha_precision(real, real + 10) == pytest.approx(1 - 2 * np.mean([0.25, 0.5, 0.75, 1]))
    assert alpha_precision(real, np.zeros(4)) == pytest.approx(1 - 2 * np.mean([0.75, 0.5, 0.25, 0]))
    assert alpha_precision(np.ones(5), np.ones(7)) == 1  # all at one distance: no fault of the rows


# ----------------------------------------------------------------------------------------------------- truths


def test_real_rows_are_within_noise_and_the_floor_is_what_they_get() -> None:
    train, holdout, new = (rows(1200, seed) for seed in range(3))
    got = by_label(assess(Case.of(train, holdout, new, table_of(train))))
    assert {m.verdict for m in got.values()} == {NOISE}
    for measure in got.values():
        assert abs(measure.value - measure.floor) < 4 * measure.error


def test_a_copier_is_not_authentic_and_recalls_too_much() -> None:
    train, holdout = rows(1200, 1), rows(1200, 2)
    got = by_label(assess(Case.of(train, holdout, train, table_of(train))))
    assert (got["authenticity"].value, got["authenticity"].grade) == (0, "far")
    assert got["authenticity"].verdict.startswith("copying: 100 of 100 lie nearer")
    assert got["beta_recall"].verdict.endswith("leans to copying")
    assert got["alpha_precision"].value == 1


def test_a_lost_mode_and_lost_relations_are_seen() -> None:
    train, holdout = rows(1200, 1), rows(1200, 2)
    one_mode = rows(4000, 3).filter(pl.col("x") < 2).head(1200)
    got = by_label(assess(Case.of(train, holdout, one_mode, table_of(train))))
    assert got["alpha_precision"].grade == "far"
    apart = rows(1200, 4).with_columns(pl.col("x").shuffle(1), pl.col("level").shuffle(2))
    got = by_label(assess(Case.of(train, holdout, apart, table_of(train))))
    assert got["beta_recall"].verdict == "real rows are covered less than by other real rows"


def test_the_projection_shows_the_axis_along_which_rows_differ() -> None:
    train = rows(1200, 1)
    drawn = assess(Case.of(train, train[:0], rows(1300, 2), table_of(train))).details["projection"]
    assert (len(drawn["train"]), len(drawn["synthetic"]), drawn["holdout"]) == (1000, 1000, [])
    assert 0.5 < drawn["explained"][0] <= 1
    first = np.array(drawn["train"])[:, 0]
    assert first.var() == pytest.approx(drawn["explained"][0] * 5, rel=0.1)  # of five standardised coordinates
    assert first.mean() == pytest.approx(0, abs=0.1)


# ------------------------------------------------------------------------------------------------ odd tables, calm

CELLS = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, 1.0, 2.0**53, 5e-324]))
FRAMES = st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["a", "b", None])), max_size=14)


@settings(max_examples=25)
@given(FRAMES, FRAMES, FRAMES)
def test_any_cells_give_plain_numbers_or_a_reason(train: list[Any], holdout: list[Any], new: list[Any]) -> None:
    schema = {"x": pl.Float64, "y": pl.Float64, "c": pl.String}
    frames = [pl.DataFrame(cells, schema=schema, orient="row") for cells in (train, holdout, new)]
    case = Case.of(*frames, table_of(frames[0]), limits=Limits(splits=2))
    for part in (marginals, tables, assess):
        found = part(case)
        json.dumps(found.details, allow_nan=False)
        for m in found.measures:
            assert (m.value is None) == m.verdict.startswith("not measured: ")
            assert all(x is None or np.isfinite(x) for x in (m.value, m.error, m.floor))


def test_the_whole_report_is_calm_on_real_rows() -> None:
    """A short form of benchmarks/report_calm.py."""
    few = Limits(splits=6, detector_rows=0)
    parts = {**FULL, "marginals": (1.0, marginals), "tables": (1.0, tables), "support": (1.0, assess)}
    alarms = 0
    for seed in range(10):
        train, holdout, new = (rows(n, 3 * seed + k) for k, n in enumerate((600, 300, 600)))
        case = Case.of(train, holdout, new, table_of(train), target="level", keys=("level",), seed=seed, limits=few)
        report = measure_case(case, parts)
        alarms += any(m.grade in ("near", "far") for m in report.measures)
    assert alarms <= 2  # at 5 in 100 runs, more than 2 of 10 happen once in 90 studies
