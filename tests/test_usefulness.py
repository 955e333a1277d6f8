"""What synthetic rows are worth: planted losses are found, errors are those of theory, and odd data are said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from verosim.draws import stream
from verosim.errors import ArgumentError
from verosim.evaluation import Case, Findings, Measure
from verosim.evaluation.targets import has_classes, target_of
from verosim.evaluation.trained import GROUPS, LOST, PARTS, REAL, Trial
from verosim.evaluation.usefulness import assess, spearman
from verosim.schema import Column, Table, dtype_name

NOISE = "within noise of real"


def table_of(frame: pl.DataFrame, **kinds: str) -> Table:
    usual = {pl.String: "category", pl.Boolean: "boolean"}
    return Table(
        "t",
        tuple(
            Column(name, kinds.get(name, usual.get(dtype.base_type(), "number")), dtype_name(dtype))
            for name, dtype in frame.schema.items()
        ),
    )


def people(seed: int, n: int = 400, *, tells: float = 2.0, number: bool = False) -> pl.DataFrame:
    """`y` follows age and, less, city; `idle` tells nothing."""
    rng = stream(seed, "people")
    age, city = rng.normal(40, 10, n), rng.choice(["east", "north", "west"], n)
    y = tells * ((age - 40) / 10 + (city == "west")) + rng.standard_normal(n)
    return pl.DataFrame({"age": age, "city": city, "idle": rng.random(n), "y": y if number else y > 0.5})


def found(
    real: pl.DataFrame, unseen: pl.DataFrame, new: pl.DataFrame, target: str | None = "y", **kinds: str
) -> Findings:
    return assess(Case.of(real, unseen, new, table_of(real, **kinds), target=target))


def labelled(findings: Findings) -> dict[str, Measure]:
    return {m.label: m for m in findings.measures}


def reason(*frames: pl.DataFrame, **asked: Any) -> str:
    """Why nothing was measured."""
    findings = found(*frames, **asked)
    assert all(m.value is None for m in findings.measures)
    (said,) = {m.verdict for m in findings.measures}
    return said


# ------------------------------------------------------------------------------------------------------ truths


@pytest.mark.parametrize("number", [False, True])
def test_real_rows_are_as_useful_as_real_rows(number: bool) -> None:
    for seed in range(3):
        findings = found(*(people(10 * seed + k, number=number) for k in range(3)))
        assert {m.label: m.verdict for m in findings.measures if m.grade != "noise"} == {}
        seen = labelled(findings)
        assert seen["usefulness"].value == pytest.approx(
            seen["usefulness"].floor, abs=5 * (seen["usefulness"].error or 0)
        )
        assert (seen["R2 of linear" if number else "auc of linear"].value or 0) > 0.8


@pytest.mark.parametrize("number", [False, True])
def test_columns_drawn_apart_teach_nothing(number: bool) -> None:
    new = people(3, number=number)
    new = new.with_columns(y=new["y"].sample(fraction=1, shuffle=True, seed=1))
    findings = found(people(1, number=number), people(2, number=number), new)
    seen = labelled(findings)
    assert seen["usefulness"].grade == "far"
    assert "teach less than as many real rows" in seen["usefulness"].verdict
    for name in ("R2", "RMSE", "MAE") if number else ("auc", "balanced accuracy"):
        measure = seen[f"{name} of boosted"]
        assert measure.grade == "far"
        assert measure.direction == ("lower" if name in ("RMSE", "MAE") else "higher")
    assert seen["importances"].grade == "far"
    rows = findings.details["usefulness"]["learners"]
    assert len(rows) == 3 * (3 if number else 4)
    boosted = next(row for row in rows if row["learner"] == "boosted")
    assert boosted["synthetic"] == pytest.approx(boosted["blind"], abs=0.15)
    assert boosted["real"] > boosted["blind"] + 0.3
    json.dumps(findings.details, allow_nan=False)


def test_a_small_loss_is_small() -> None:
    """Noise on the synthetic ages takes some 3 % off the variance that can be told."""
    new = people(3, 2_000, number=True).with_columns(age=pl.col("age") + stream(4).normal(0, 5, 2_000))
    seen = labelled(found(people(1, 2_000, number=True), people(2, 2_000, number=True), new))
    assert seen["usefulness"].grade == "near"
    assert "teach a little less" in seen["usefulness"].verdict


def test_importances_are_those_of_the_columns_that_tell() -> None:
    importance = found(people(1), people(2), people(3)).details["usefulness"]["importance"]
    assert set(importance) == {"linear", "forest", "boosted"}
    for of in importance.values():
        assert of["columns"] == ["age", "city", "idle"]
        assert of["real"][0] > of["real"][1] > 0.01 > of["real"][2]
        assert of["agreement"] == 1


def test_rows_of_another_relation_harm_real_ones() -> None:
    gain = labelled(found(people(1), people(2), people(3, tells=-2)))["augmentation"]
    assert gain.verdict.startswith("they harm: auc -")
    assert gain.grade == "far"


# ------------------------------------------------------------------------------------------------------- errors


def test_the_error_of_tested_rows_is_that_of_theory() -> None:
    """A share of n rows has the error sqrt(p (1 - p) / n); what is learned from adds that of its parts."""
    n, p = 10_000, 0.8
    right, group = stream(1).random(n) < p, np.arange(n) % GROUPS
    left = np.array([right.mean(), *(right[group != k].mean() for k in range(GROUPS))])[:, None]
    never = np.zeros_like(left)
    still = np.zeros((2, PARTS, 1))
    error, freedom = Trial(np.stack([left, never, never]), still, still).error(REAL)
    assert error == pytest.approx([np.sqrt(p * (1 - p) / n)], rel=0.4)
    assert freedom == pytest.approx([GROUPS - 1])
    parts = still + np.arange(PARTS)[:, None]  # of a variance of 6, over as many parts
    learned, freedom = Trial(np.stack([never] * 3), parts, still).error(LOST)
    assert learned == pytest.approx([np.sqrt(2 * 6 / PARTS)])
    assert freedom == pytest.approx([PARTS - 1])


@pytest.mark.parametrize(
    ("a", "b", "rank_correlation"),
    [([1, 2, 3], [10, 20, 21], 1), ([1, 2, 3], [3, 2, 1], -1), ([1, 1, 2], [5, 5, 9], 1), ([1, 1, 1], [1, 2, 3], 0)],
)
def test_the_correlation_of_ranks(a: list[float], b: list[float], rank_correlation: float) -> None:
    assert spearman(np.array(a), np.array(b)) == pytest.approx(rank_correlation)


# -------------------------------------------------------------------------------------------------- the target


def test_the_target_is_a_guess_where_none_is_named() -> None:
    frame = people(1)
    assert target_of(table_of(frame), frame, None) == "y"
    assert target_of(table_of(frame.drop("y")), frame, None) == "city"
    assert target_of(table_of(frame.select("age", "idle")), frame, None) == "idle"
    assert target_of(table_of(frame.select("age"), age="id"), frame, None) is None
    assert "(a guess)" in " ".join(found(frame, people(2), people(3), target=None).notes)
    with pytest.raises(ArgumentError, match="did you mean 'city'"):
        target_of(table_of(frame), frame, "citty")


def test_what_is_a_class() -> None:
    frame = people(1).with_columns(
        few=pl.int_range(400) % 3, many=pl.int_range(400), text=pl.int_range(400).cast(pl.String)
    )
    table = table_of(frame)
    classes = [name for name in frame.columns if has_classes(frame, table, name)]
    assert classes == ["city", "y", "few", "text"]


# ----------------------------------------------------------------------------------------------------- odd data


def test_why_nothing_is_measured() -> None:
    real, unseen, new = people(1), people(2), people(3)
    assert "constant" in reason(*(f.with_columns(y=pl.lit("a")) for f in (real, unseen, new)))
    null = pl.lit(None, pl.Boolean).alias("y")
    assert "missing in all train" in reason(*(f.with_columns(null) for f in (real, unseen, new)))
    assert "known in 0 synthetic rows" in reason(real, unseen, new.with_columns(null))
    assert "made anew" in reason(real, unseen, new, target="idle", idle="id")
    assert "no column to predict 'y' from" in reason(*(f.select("y") for f in (real, unseen, new)))
    assert "50 are needed" in reason(real[:60], unseen[:0], new[:60])
    assert "no train rows" in reason(real[:0], unseen, new)
    assert "no synthetic rows" in reason(real, unseen, new[:0])
    assert "fewer than two" in reason(
        *(f.with_columns(y=pl.int_range(pl.len()).cast(pl.String)) for f in (real, unseen, new))
    )


def test_rare_classes_and_unseen_ones_are_left_out() -> None:
    def labels(frame: pl.DataFrame, extra: list[str]) -> pl.DataFrame:
        some = pl.Series(extra + [None] * (len(frame) - len(extra)), dtype=pl.String)
        return frame.with_columns(y=pl.coalesce(some, pl.col("y").cast(pl.String)))

    real, unseen, new = people(1), people(2), people(3)
    findings = found(labels(real, ["once"]), unseen.with_columns(pl.col("y").cast(pl.String)), labels(new, ["new"] * 9))
    assert labelled(findings)["auc of linear"].grade == "noise"
    assert any("leaves out 1 classes" in note for note in findings.notes)


def test_without_a_hold_out_rows_are_set_apart() -> None:
    findings = found(people(1), people(2)[:0], people(3))
    assert any("set apart" in note for note in findings.notes)
    assert findings.details["usefulness"]["tested"] == 120


def test_odd_columns_are_no_hindrance() -> None:
    def odd(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        row = pl.int_range(pl.len())
        return frame.with_columns(
            infinite=pl.when(row % 2 == 0).then(float("inf")).otherwise(row),
            empty=pl.lit(None, pl.Float64),
            unseen=pl.lit(name),
            huge=pl.when(row == 5).then(1e308).otherwise(1e-308),
        )

    findings = found(odd(people(1), "a"), odd(people(2), "b"), odd(people(3), "c"))
    assert labelled(findings)["usefulness"].grade == "noise"
    json.dumps(findings.details, allow_nan=False)


def test_synthetic_rows_of_one_class_teach_nothing() -> None:
    seen = labelled(found(people(1), people(2), people(3).with_columns(y=pl.lit(True))))
    assert seen["usefulness"].grade == "far"
    assert seen["auc of linear"].value == pytest.approx(0.5, abs=0.2)


def test_a_target_that_stands_in_another_column() -> None:
    """All is told rightly, from real rows and from synthetic ones: errors of 0 are no error."""
    seen = labelled(found(*(people(k).with_columns(again=pl.col("y")) for k in range(3))))
    assert seen["auc of linear"].value == 1
    assert {m.grade for m in seen.values()} == {"noise"}


def test_wide_tables_look_at_the_columns_that_matter() -> None:
    def wide(seed: int) -> pl.DataFrame:
        frame = people(seed, 300)
        idle = stream(seed, "wide").random((40, 300))
        return frame.with_columns(**{f"x{i}": x for i, x in enumerate(idle)})

    findings = found(wide(1), wide(2), wide(3))
    assert "age" in findings.details["usefulness"]["importance"]["boosted"]["columns"]
    assert any("importances look at 40 of 43" in note for note in findings.notes)
