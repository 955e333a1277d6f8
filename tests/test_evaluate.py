"""The first measure: numbers worked by hand, truths about copiers and poor models, and calm about odd tables."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.errors import ArgumentError, DataError, FileError
from verosim.evaluation import Case, Limits, Measure, Report, TableReport
from verosim.evaluation import measure as measure_case
from verosim.evaluation.fidelity import auc
from verosim.models import Progress, silent
from verosim.schema import Column, Table, dtype_name

SHARED = Path(__file__).parents[2] / "shared"
NOISE = "within noise of real"


def table_of(frame: pl.DataFrame, **kinds: str) -> Table:
    """Text is a category and all else a number, unless `kinds` says otherwise."""
    return Table(
        "t",
        tuple(
            Column(name, kinds.get(name, "category" if dtype == pl.String else "number"), dtype_name(dtype))
            for name, dtype in frame.schema.items()
        ),
    )


def measure(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    new: pl.DataFrame,
    table: Table,
    progress: Progress = silent,
    **asked: Any,
) -> TableReport:
    return measure_case(Case.of(train, holdout, new, table, **asked), progress=progress)


def measured(train: dict[str, Any], synthetic: dict[str, Any], holdout: dict[str, Any] | None = None) -> TableReport:
    frames = [pl.DataFrame(d, strict=False) for d in (train, train if holdout is None else holdout, synthetic)]
    return measure(*frames, table_of(frames[0]))


def value(report: TableReport, name: str) -> float:
    found = report[name].value
    assert found is not None
    return found


# ---------------------------------------------------------------------------------------------- worked by hand

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("train", "synthetic", "error"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 0),
        ([1, 2, 3, 4], [1, 2, 3, 8], 25),  # Kolmogorov-Smirnov: 3/4 against 4/4 at 4
        ([1, 2, 3, 4], [5, 6, 7, 8], 100),
        (["a", "a", "b", "b"], ["a", "b", "b", "b"], 25),  # total variation
        (["a", "a", "b", "b"], ["a", "a", "a", None], 50),  # b is gone, missing is new
        ([1.0, 2, None, None], [1.0, 2, None, None], 0),
        ([1.0, 2, None, None], [1.0, 2, 1, 2], 50),  # the same values, half of them missing
        ([1.0, 2, None, None], [1.0, 2, 3, 4], 75),  # half are missing, and half of the common half is too high
        ([1.0, 2, 3, None], [None, None, None, None], 75),
        ([1.0, 2, 3, INF], [1.0, 2, 3, -INF], 25),
        ([1.0, 2, 3, NAN], [1.0, 2, 3, None], 25),
        ([1e308, -1e308, 0, 0], [1e308, -1e308, 0, 1e308], 25),
        ([0.0, 0, 1, 1], [-0.0, -0.0, 1, 1], 0),
    ],
)
def test_shape_of_four_rows(train: list[Any], synthetic: list[Any], error: float) -> None:
    report = measured({"x": train}, {"x": synthetic})
    assert report.details["shape"]["x"] == pytest.approx(error)
    assert value(report, "shape") == pytest.approx(error)
    assert report.details["worst_column"] == ["x", pytest.approx(error)]


@pytest.mark.parametrize(
    ("train", "synthetic", "error"),
    [
        (([1, 2, 3, 4], [1, 2, 3, 4]), ([1, 2, 3, 4], [4, 3, 2, 1]), 100),  # correlation 1 against -1
        (([1, 2, 3, 4], [1, 2, 3, 4]), ([1, 1, 2, 2], [1, 2, 1, 2]), 50),  # 1 against 0
        (([1e308, -1e308, 0, 0], [1, -1, 0, 0]), ([1, -1, 0, 0], [1e-308, -1e-308, 0, 0]), 0),
        ((["a", "a", "b", "b"], ["p", "p", "q", "q"]), (["a", "a", "b", "b"], ["p", "q", "p", "q"]), 50),
        (([0, 0, 10, 10], ["p", "p", "q", "q"]), ([0, 10, 0, 10], ["p", "q", "q", "p"]), 50),
        (([0, 0, 10, 10], ["p", "p", "q", "q"]), ([-5, 0.5, 9.5, 99], ["p", "p", "q", "q"]), 0),  # in the outer bins
        (([0, 0, 10, None], ["p", "p", "q", "q"]), ([0, 0, 10, 10], ["p", "p", "q", "q"]), 25),  # missing: its own bin
        (([1, 2, 3, None], [1, 2, 3, 9]), ([1, 2, 3, 9], [3, 2, 1, None]), 100),  # over complete rows
    ],
)
def test_trend_of_four_rows(train: tuple[Any, Any], synthetic: tuple[Any, Any], error: float) -> None:
    report = measured(dict(zip("xy", train, strict=True)), dict(zip("xy", synthetic, strict=True)))
    assert value(report, "trend") == pytest.approx(error)
    assert report.details["worst_pair"] == ["x", "y", pytest.approx(error)]


def test_dcr_of_four_rows() -> None:
    # nearest train and hold-out row: 1 -> 1, 3; 3 -> 3, 1; 2 -> 2, 2 (a tie); 11 -> 1, 3
    report = measured({"x": [0, 10]}, {"x": [1, 3, 2, 11]}, {"x": [4, 14]})
    assert value(report, "dcr") == pytest.approx((1 + 0 + 0.5 + 1) / 4)


def test_a_level_weighs_more_than_the_whole_range_of_a_number() -> None:
    train, holdout = {"x": [0, 10], "c": ["a", "a"]}, {"x": [0, 10], "c": ["b", "b"]}
    report = measured(train, {"x": [5, 5, 5, 9], "c": ["a", "a", "a", "b"]}, holdout)
    assert value(report, "dcr") == 0.75


def test_copies_of_four_rows() -> None:
    train = {"x": [1.5, 2, None, 4], "c": ["a", "b", "b", None]}
    report = measured(train, {"x": [1.5, 2, None, 4], "c": ["a", "a", "b", "c"]}, {"x": [4.0, 4], "c": [None, "a"]})
    assert (report["copies"].value, report["copies"].floor) == (50, 50)


def test_auc_counts_pairs_and_halves_ties() -> None:
    rng = np.random.default_rng(0)
    score, label = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in score[label] for b in score[~label]]
    assert auc(score, label) == pytest.approx(np.mean(pairs), abs=1e-12)


# ------------------------------------------------------------------------------------------------------- truths


def people(n: int, seed: int) -> pl.DataFrame:
    """Five related columns: heavy-tailed, discrete, correlated, categorical."""
    rng = np.random.default_rng([11, seed])
    age = rng.integers(18, 80, n)
    income = np.exp(rng.normal(size=n) * 0.4 + age / 40)
    group = np.where(rng.random(n) < (age - 10) / 80, "old", "young")
    city = pl.Series(rng.choice(["Cork", "Galway", "Sligo", ""], n, p=[0.5, 0.3, 0.1, 0.1])).replace("", None)
    score = income + rng.normal(size=n) * 0.3
    return pl.DataFrame({"age": age, "income": income, "group": group, "city": city, "score": score})


def shuffled(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The same columns, each in an order of its own."""
    rng = np.random.default_rng(5)
    return frame.with_columns(frame[c].gather(rng.permutation(len(frame))) for c in columns or frame.columns)


TABLE = table_of(people(4, 0))


@pytest.mark.parametrize(("sizes", "seeds"), [((200, 60), 100), ((60, 60), 20)], ids=["no detector", "detector"])
def test_real_rows_are_within_noise_of_real(sizes: tuple[int, int], seeds: int) -> None:
    """No verdict cries wolf: of 100 samples, at most 5 have any measure beyond the noise."""
    n, n_holdout = sizes
    limits = Limits(detector_rows=0) if seeds == 100 else Limits()
    alarms = 0
    for seed in range(seeds):
        train, holdout, synthetic = people(n, 3 * seed), people(n_holdout, 3 * seed + 1), people(n, 3 * seed + 2)
        report = measure(train, holdout, synthetic, TABLE, seed=seed, limits=limits)
        alarms += any(m.grade in ("near", "far") for m in report.measures)
    assert alarms <= seeds / 20


def test_independent_columns_are_found_by_trend_and_by_the_detector() -> None:
    train = people(2000, 1)
    report = measure(train, people(1000, 2), shuffled(train), TABLE)
    assert report["shape"].verdict == NOISE
    assert "times the noise of real: mostly income x score" in report["trend"].verdict
    assert value(report, "auc_unseen") > 0.8
    assert report["auc_unseen"].verdict.startswith("a detector easily finds it: mostly column")
    assert report["dcr"].grade == report["copies"].grade == "noise"


def test_the_detector_names_the_column() -> None:
    synthetic = people(1500, 3).with_columns(pl.col("age") + 12)
    report = measure(people(1500, 1), people(1500, 2), synthetic, TABLE)
    assert "mostly column age" in report["auc_unseen"].verdict
    assert "mostly column age" in report["shape"].verdict
    assert report.details.get("worst_column") is not None
    assert report.details.get("worst_column")[0] == "age"


def test_a_copier_passes_the_detector_but_not_dcr() -> None:
    train = people(1000, 1)
    report = measure(train, people(1000, 2), train, TABLE)
    assert value(report, "auc_unseen") < 0.55
    assert value(report, "shape") == value(report, "trend") == 0
    assert value(report, "dcr") > 0.99
    assert value(report, "copies") == 100
    assert all(report[name].verdict.startswith("copying") for name in ("dcr", "dcr002", "copies"))


def test_near_copies_are_found() -> None:
    train = people(1000, 1)
    near = train.with_columns(pl.col("income") * 1.001, pl.col("score") + 0.001)
    report = measure(train, people(1000, 2), near, TABLE)
    assert value(report, "copies") == 0
    assert report["dcr"].verdict.startswith("copying")
    assert value(report, "dcr002") > 90


def test_planted_copies_are_counted() -> None:
    train = people(1000, 1)
    report = measure(train, people(500, 2), pl.concat([people(960, 3), train.head(40)]), TABLE)
    assert report["copies"].value == pytest.approx(4.0)
    assert report["copies"].verdict == "copying: 4 % are rows of train; of unseen real rows 0 % are"


def test_the_floor_of_shape_is_what_fresh_rows_get() -> None:
    """Also where there are too few real rows to draw two sets of full size, and where nearly every level is rare."""
    rng = np.random.default_rng(2)
    frames = [
        pl.DataFrame({"x": rng.normal(size=n), "rare": rng.integers(0, 3000, n).astype(str)}) for n in (1000, 100, 1000)
    ]
    report = measure(*frames, table_of(frames[0]))
    assert report["shape"].floor == pytest.approx(value(report, "shape"), rel=0.1)
    assert report["shape"].verdict == NOISE


# ------------------------------------------------------------------------------------------------ kinds and odd tables

DAY = dt.date(2024, 1, 1)


def every_kind(n: int, seed: int) -> tuple[pl.DataFrame, Table]:
    rng = np.random.default_rng(seed)
    days = [DAY + dt.timedelta(days=int(d)) for d in rng.integers(0, 365, n)]
    numbers = rng.normal(size=n).round(3)
    series = {
        "number": pl.Series(numbers),
        "category": pl.Series(rng.choice(["a", "b"], n), dtype=pl.Categorical),
        "ordinal": pl.Series(rng.choice(["low", "high"], n), dtype=pl.Enum(["low", "high"])),
        "boolean": pl.Series(rng.random(n) < 0.3),
        "datetime": pl.Series(days).cast(pl.Datetime("us", "UTC")),
        "date": pl.Series(days),
        "time": pl.Series([dt.time(int(h)) for h in rng.integers(0, 24, n)]),
        "duration": pl.Series([dt.timedelta(hours=int(h)) for h in rng.integers(0, 24, n)]),
        "geo": pl.Series([f"{a:.2f}, {a + 40:.2f}" for a in numbers]),
        "id": pl.Series(range(n)),
        "text": pl.Series([f"said {i}" for i in range(n)]),
        "personal": pl.Series([f"p{i}@example.org" for i in range(n)]),
        "constant": pl.Series([1] * n),
        "empty": pl.Series([None] * n, dtype=pl.String),
    }
    extra = {"ordinal": {"levels": ("low", "high")}, "personal": {"provider": "email"}}
    columns = [Column(k, k, dtype_name(s.dtype), **extra.get(k, {})) for k, s in series.items()]  # type: ignore[arg-type]
    text = pl.Series([f"{v:.3f}" for v in numbers])
    frame = pl.DataFrame({**series, "decimal": pl.Series(numbers).cast(pl.Decimal(10, 3)), "as_text": text})
    frame = frame.with_columns(pl.when(rng.random(n) < 0.9).then(pl.all()))
    columns += [Column("decimal", "number", "decimal[10, 3]"), Column("as_text", "number", "str")]
    return frame, Table("kinds", tuple(columns))


def test_every_kind_is_compared_or_said_to_be_left_out() -> None:
    frames = [every_kind(400, seed)[0] for seed in range(3)]
    report = measure(*frames, every_kind(4, 0)[1])
    assert {m.grade for m in report.measures} == {"noise"}
    assert set(report.details["shape"]) == {
        "number", "category", "ordinal", "boolean", "datetime", "date", "time", "duration", "decimal", "as_text",
        "geo (first)", "geo (second)",
    }  # fmt: skip
    assert "id (made anew, never learned)" in report.notes[0]
    assert "empty (no values)" in report.notes[0]


def test_numbers_held_as_text_are_numbers() -> None:
    as_text = {"x": ["1", "2", "3", "n/a"]}, {"x": ["1.0", "2", "30", None]}
    frames = [pl.DataFrame(d) for d in (as_text[0], as_text[0], as_text[1])]
    report = measure(*frames, table_of(frames[0], x="number"))
    assert report.details["shape"]["x"] == pytest.approx(25 + 75 / 3)  # n/a is not missing; 3 is not 30


def test_dates_held_as_text_are_dates() -> None:
    frame = pl.DataFrame({"x": ["31/01/2024", "01/02/2024", "02/03/2024", "01/01/2025"]})
    table = Table("t", (Column("x", "date", "str", format="%d/%m/%Y"),))
    later = frame.with_columns(x=pl.Series(["01/02/2024", "01/02/2024", "02/03/2024", "03/03/2025"]))
    assert measure(frame, frame, later, table).details["shape"]["x"] == pytest.approx(25)
    mixed = frame.with_columns(x=pl.Series(["31/01/2024", "01/02/2024", "02/03/2024", "soon"]))
    one_is_no_date_and_the_last_is_gone = 25 + 75 * (1 - 3 / 4)
    assert measure(frame, frame, mixed, table).details["shape"]["x"] == pytest.approx(
        one_is_no_date_and_the_last_is_gone
    )


def test_ordinals_keep_their_order() -> None:
    frame = pl.DataFrame({"x": ["low", "mid", "high", "high"]})
    table = Table("t", (Column("x", "ordinal", "str", levels=("low", "mid", "high")),))
    far = measure(frame, frame, pl.DataFrame({"x": ["low", "low", "low", "low"]}), table)
    assert far.details["shape"]["x"] == pytest.approx(75)
    unknown = measure(frame, frame, pl.DataFrame({"x": ["low", "mid", "high", "top"]}), table)
    assert unknown.details["shape"]["x"] == pytest.approx(
        25 + 75 * (2 / 3 - 2 / 4)
    )  # up to mid: 2/3 of the values, not 2/4


def test_without_hold_out_rows_there_is_no_word_about_unseen_rows() -> None:
    report = measure(people(300, 1), people(0, 2), people(300, 3), TABLE)
    for name in ("auc_unseen", "dcr", "dcr002"):
        assert report[name].value is None
        assert "hold-out" in report[name].verdict
    assert (report["copies"].value, report["copies"].floor) == (0, None)
    assert report["shape"].verdict == NOISE
    assert report.notes[0].startswith("no hold-out: no verdict")


@pytest.mark.parametrize(
    ("sizes", "reasons"),
    [
        ((1, 1, 1), {"trend": "no two columns vary", "auc_unseen": "10 are needed"}),
        ((0, 5, 5), {"shape": "no train rows", "copies": "no train rows"}),
        ((5, 5, 0), {"shape": "no synthetic rows", "dcr": "no synthetic rows"}),
    ],
)
def test_too_few_rows_are_said(sizes: tuple[int, int, int], reasons: dict[str, str]) -> None:
    numbers = [people(n, n).select("age", "income") for n in sizes]
    report = measure(*numbers, table_of(numbers[0]))
    for name, reason in reasons.items():
        assert report[name].value is None
        assert reason in report[name].verdict


def test_one_column_and_no_column() -> None:
    one = [people(50, s).select("age") for s in range(3)]
    assert measure(*one, table_of(one[0]))["trend"].verdict == "not measured: only one column is compared"
    report = measure(*one, table_of(one[0], age="id"))
    assert {m.verdict for m in report.measures} == {"not measured: no column can be compared"}
    assert report.details.get("worst_column") is None


def test_a_column_of_one_value_has_no_correlation() -> None:
    frames = [people(200, s).select("age", "income", pl.lit(3).alias("same")) for s in range(3)]
    report = measure(*frames, table_of(frames[0]))
    assert "trend leaves out age x same and 1 more: without variation, no correlation" in report.notes
    assert report["trend"].verdict == NOISE


def test_a_missing_column_is_named() -> None:
    frame = people(20, 1)
    with pytest.raises(DataError, match=r"table 't', column 'city': the synthetic rows lack this column"):
        measure(frame, frame, frame.drop("city"), TABLE)


def test_odd_column_names_are_only_names() -> None:
    frames = [people(60, s).rename({"age": "^.*$", "city": "*", "group": ""}) for s in range(3)]
    assert set(measure(*frames, table_of(frames[0])).details["shape"]) == {"^.*$", "income", "", "*", "score"}


CELLS = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, 1.0, 2.0**53, 5e-324]))
FRAMES = st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["a", "b", None])), min_size=1, max_size=12)


def frame_of(rows: list[tuple[float | None, float | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"x": pl.Float64, "y": pl.Float64, "c": pl.String}, orient="row")


@settings(max_examples=40, deadline=None)
@given(FRAMES, FRAMES, FRAMES)
def test_any_cells_give_numbers_in_range_or_a_reason(
    train: list[Any], holdout: list[Any], synthetic: list[Any]
) -> None:
    frames = [frame_of(rows) for rows in (train, holdout, synthetic)]
    report = measure(*frames, table_of(frames[0]))
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["table"] == "t"
    for found in report.measures:
        assert found.value is not None or found.verdict.startswith("not measured: ")
        assert found.value is None or 0 <= found.value <= (100 if found.unit else 1) + 1e-9
    itself = measure(frames[0], frames[1], frames[0], table_of(frames[0]))
    assert (value(itself, "shape"), value(itself, "copies")) == (0, 100)
    assert itself["trend"].value in (0, None)


# ------------------------------------------------------------------------------------------------ bounds and the report


def test_what_was_not_looked_at_is_said() -> None:
    frames = [people(n, n) for n in (300, 120, 300)]
    limits = Limits(rows=100, pairs=3, detector_columns=2)
    notes = measure(*frames, TABLE, limits=limits).notes
    sampled = "sampled 100 of 300 train, 100 of 120 hold-out, 100 of 300 synthetic rows"
    assert f"{sampled}; copies are looked for in all" in notes
    assert "trend looks at 3 of 10 pairs of columns" in notes
    assert "the detector looks at 2 of 5 columns" in notes


def test_the_same_seed_gives_the_same_report() -> None:
    frames = [people(n, n) for n in (300, 120, 301)]
    limits = Limits(rows=200, pairs=5)
    first, again, other = (measure(*frames, TABLE, seed=s, limits=limits).to_dict() for s in (3, 3, 4))
    assert first == again
    assert first != other


def test_frames_are_left_as_they_were() -> None:
    frames = [people(60, s) for s in range(3)]
    copies = [f.clone() for f in frames]
    measure(*frames, TABLE)
    assert all(a.equals(b) for a, b in zip(frames, copies, strict=True))


def test_progress_runs_to_the_end() -> None:
    seen: list[float] = []
    measure(*(people(60, s) for s in range(3)), TABLE, progress=lambda share, what: seen.append(share))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_report_is_json_first(tmp_path: Path) -> None:
    report = Report({"t": measure(*(people(60, s) for s in range(3)), TABLE, seed=9)}, notes=("said",))
    report.save(tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert data == report.to_dict()
    assert Report.from_dict(data).to_dict() == data
    table = data["tables"]["t"]
    assert table["rows"] == {"train": 60, "holdout": 60, "synthetic": 60}
    assert list(table["measures"]) == ["shape", "trend", "auc_unseen", "dcr", "dcr002", "near copies", "copies"]
    assert {"value", "error", "floor", "direction", "verdict", "unit"} < set(table["measures"]["dcr"])
    assert report.to_frame()["value"].to_list() == [m["value"] for m in table["measures"].values()]
    with pytest.raises(FileError, match="version 2 was wanted, not 'report 1'"):
        Report.from_dict({"verosim": "report 1"})
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    with pytest.raises(FileError, match=r"r\.json"):
        report.save(tmp_path / "no" / "r.json")


def test_a_summary_goes_by_section() -> None:
    measures = (
        Measure("shape", "lower", "%").found(0.625, 0.03, 0.54, NOISE),
        Measure("auc_unseen", "lower").absent("no rows"),
        Measure("mean", "floor", of=("age",)).found(40.0, 1.0, 40.5, NOISE),  # of one column, as real: not shown
        Measure("sd", "floor", of=("age",)).found(14.0, 0.5, 4.5, "spread wider", "far"),
        Measure("dcr", "floor", section="privacy").found(0.51, 0.0112, 0.5, NOISE),
    )
    rows = {"train": 9000, "holdout": 1000, "synthetic": 10000}
    details = {"worst_column": ["age", 0.6], "worst_pair": ["age", "sex", 1.25]}
    report = TableReport("adult", rows, 0, measures, details, ("weak",))
    assert report["mean of age"].floor == 40.5
    assert report.summary().splitlines() == [
        "adult: synthetic 10,000, train 9,000, hold-out 1,000 rows",
        " ! fidelity: One of 3 measures shows a large difference; it is sd of age: spread wider. 1 measure",
        "   could not be judged.",
        "  = shape       0.62 %  ± 0.03 real 0.54 % within noise of real",
        "  - auc_unseen       -                     not measured: no rows",
        "  ! sd of age   14.000 ± 0.500  real 4.500 spread wider",
        " = privacy: Nothing here gives away more about the people learned from than about people never seen",
        "   (1 measure).",
        "  = dcr         0.510 ± 0.011 real 0.500 within noise of real",
        "  worst column: age (0.6 %)",
        "  worst pair: age x sex (1.25 %)",
        "  note: weak",
    ]
    with pytest.raises(ArgumentError, match="did you mean 'shape'"):
        report["shap"]


# ---------------------------------------------------------------------------------------------- the shared benchmark


def shared_score() -> ModuleType:
    path = SHARED / "benchmark" / "score.py"
    if not path.exists():
        pytest.skip("needs shared/benchmark, which is not here")
    for library in ("pandas", "sklearn", "xgboost"):
        pytest.importorskip(library)
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["adult", "magic", "shoppers", "beijing"])
def test_numbers_are_those_of_the_shared_benchmark(name: str) -> None:
    score = shared_score()
    folder = SHARED / "benchmark" / "data"
    meta = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    dtypes = {c["name"]: pl.Float64 if c["kind"] == "numeric" else pl.String for c in meta["columns"]}
    real = pl.read_csv(folder / f"{name}_train.csv", schema_overrides=dtypes, n_rows=6000).select(*dtypes)
    train, holdout = real[:1000], real[1000:2000]
    new = pl.concat([shuffled(real[2000:])[:1200], real[5000:5400], train[:400]])
    theirs = [score.read(f.to_pandas(), meta) for f in (train, holdout, new)]
    shape, trend = score.shape_and_trend(theirs[0], theirs[2], meta)
    copying = score.copying(*theirs, meta)
    copies = 100 * len(theirs[2].merge(theirs[0].drop_duplicates(), how="inner")) / len(new)

    ours = measure(train, holdout, new, table_of(train), limits=Limits(detector_rows=0))
    assert list(ours.details["shape"].values()) == pytest.approx([100 * v for v in shape.values()], abs=1e-9)
    assert value(ours, "shape") == pytest.approx(100 * np.mean(list(shape.values())), abs=1e-9)
    assert value(ours, "trend") == pytest.approx(100 * np.nanmean(list(trend.values())), abs=1e-9)
    assert value(ours, "dcr") == pytest.approx(copying["dcr"], abs=1e-9)
    assert value(ours, "dcr002") == pytest.approx(copying["dcr002"], abs=1e-9)
    assert value(ours, "copies") == pytest.approx(copies, abs=1e-9)
