"""Sequences beside sequences: each measure finds what was spoilt and nothing else; numbers worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from verosim.draws import stream
from verosim.evaluation import Case, Report, TableReport, fidelity, measure, sequences
from verosim.evaluation.sequences.windows import auc_error, frechet, nearest
from verosim.schema import Column, Sequence, Table

PARTS = {"sequences": (1.0, sequences.assess)}
START = datetime(2024, 1, 1)


def waves(n: int, seed: int) -> pl.DataFrame:
    """Two channels every ten minutes: a day's wave with memory, and one that follows it."""
    rng = stream(seed, "waves")
    noise = np.zeros(n)
    for i in range(1, n):
        noise[i] = 0.9 * noise[i - 1] + rng.normal()
    day = 3 * np.sin(np.arange(n) * 2 * np.pi / 144)
    times = [START + timedelta(minutes=10 * i) for i in range(n)]
    return pl.DataFrame({"at": times, "a": day + noise, "b": np.roll(noise, 3) + 0.3 * rng.normal(size=n)})


SERIES = Table(
    "waves",
    (Column("at", "datetime", "datetime[us]"), Column("a", "number", "float64"), Column("b", "number", "float64")),
    sequence=Sequence(time="at", step="10m"),
)


def of_series(synthetic: pl.DataFrame) -> TableReport:
    case = Case.of(waves(6000, 1), waves(3000, 2), synthetic, SERIES)
    return measure(case, PARTS)


def test_unseen_series_of_the_same_maker_are_within_noise() -> None:
    report = of_series(waves(6000, 3))
    assert {m.grade for m in report.measures} == {"noise"}
    assert report["intervals"].value == 0


def test_a_shuffled_series_has_lost_its_memory() -> None:
    report = of_series(waves(6000, 3).with_columns(pl.col("a", "b").shuffle(1)))
    for name in ("autocorrelation", "spectrum", "steps", "transitions", "calendar", "auc_windows", "window distance"):
        assert report[name].grade in ("near", "far"), name
    assert report["auc_windows"].value > 0.95


def test_channels_that_no_longer_go_together_are_found_and_named() -> None:
    report = of_series(waves(6000, 3).with_columns(b=waves(6000, 4)["b"]))
    assert report["autocorrelation"].grade == "noise"
    assert report["cross-correlation"].grade == "far"
    assert "a x b" in report["cross-correlation"].verdict


def test_a_copied_series_is_said_to_be_copied() -> None:
    report = of_series(waves(6000, 1))
    assert report["window copies"].value == 100
    assert report["window copies"].grade == report["nearest window"].grade == "far"


def test_what_is_rare_is_no_more_than_rare_to_the_distance_of_windows() -> None:
    def stated(n: int, seed: int, *bad: int) -> pl.DataFrame:
        state = pl.when(pl.int_range(n).is_in(bad)).then(pl.lit("bad")).otherwise(pl.lit("ok"))
        return waves(n, seed).with_columns(state=state)

    table = replace(SERIES, columns=(*SERIES.columns, Column("state", "category", "str")))
    case = Case.of(stated(6000, 1, 2), stated(3000, 2), stated(6000, 3, *range(300, 6000, 300)), table)
    assert measure(case, PARTS)["window distance"].value < 20  # 10 squared is the most that a feature gives


def test_the_same_seed_gives_the_same_report() -> None:
    synthetic = waves(2000, 5)
    assert of_series(synthetic).to_dict() == of_series(synthetic).to_dict()


# ------------------------------------------------------------------------------------------- keyed, logs


def log(n: int, seed: int, skip: float = 0.5, hours: float = 5.0) -> pl.DataFrame:
    """Cases of register, perhaps check, then one or more of work, close; each step takes some hours."""
    rng, rows = stream(seed, "log"), []
    for case in range(n):
        time = START + timedelta(hours=float(rng.uniform(0, 24 * 300)))
        middle = [] if rng.random() < skip else ["check"]
        size = rng.integers(1, 5)
        for what in ["register", *middle, *["work"] * size, "close"]:
            rows.append((f"c{seed}-{case}", "gold" if size > 2 else "plain", what, time))
            time += timedelta(seconds=round(float(rng.exponential(hours)) * 3600 + 1))
    return pl.DataFrame(rows, schema=["case", "level", "what", "at"], orient="row")


LOG = Table(
    "log",
    (
        Column("case", "id", "str"),
        Column("level", "category", "str"),
        Column("what", "category", "str"),
        Column("at", "datetime", "datetime[us]"),
    ),
    sequence=Sequence(time="at", key="case", statics=("level",), activity="what"),
)


def of_log(synthetic: pl.DataFrame) -> TableReport:
    return measure(Case.of(log(400, 1), log(200, 2), synthetic, LOG), PARTS)


def test_unseen_cases_of_the_same_process_are_within_noise() -> None:
    report = of_log(log(400, 3))
    assert {m.grade for m in report.measures} == {"noise"}
    assert report["n-grams"].value < 0.05


def test_other_orders_other_times_and_broken_cases_are_found() -> None:
    assert of_log(log(400, 3, skip=0.1))["n-grams"].grade == "far"
    slow = of_log(log(400, 3, hours=9.0))
    assert slow["cycle time"].grade == slow["event times"].grade == "far"
    assert slow["n-grams"].grade == "noise"
    broken = of_log(log(400, 3).with_columns(level=pl.Series(["gold", "plain"] * 5000)[: log(400, 3).height]))
    assert broken["broken sequences"].value > 90
    assert broken["auc_sequences"].grade in ("near", "far")


def test_copied_cases_are_found_whatever_they_are_called() -> None:
    report = of_log(log(400, 1).with_columns("new " + pl.col("case"), pl.col("at") + timedelta(days=30)))
    assert report["copied sequences"].value == 100
    assert report["copied sequences"].grade == "far"
    assert report["copied traces"].grade == "noise"  # a few traces are those of everyone


def test_ngrams_by_hand() -> None:
    """Real: a b. Synthetic: a. Padded threes: ..a .ab ab. b.. and ..a .a. a..; one of 4 and of 3 in common."""
    one, two = (
        pl.DataFrame({"case": [f"{i}" for i in range(64) for _ in w], "what": [*w] * 64, "level": "x"})
        .with_columns(at=pl.lit(START) + pl.duration(hours=pl.int_range(pl.len())))
        for w in ("ab", "a")
    )  # fmt: skip
    assert measure(Case.of(one, one, two, LOG), PARTS)["n-grams"].value == pytest.approx(3 / 4)


def test_a_process_map_counts_steps_a_case() -> None:
    process = of_log(log(300, 3)).details["sequences"]["process"]
    assert process["activities"]["register"] == [1, 1]
    arcs = {(a, b): share for a, b, share, _ in process["arcs"]}
    assert arcs["", "register"] == 1
    assert arcs["register", "check"] + arcs["register", "work"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("rows", [3, 5, 12, 40])
def test_short_series_are_measured_or_the_measure_says_why(rows: int) -> None:
    case = Case.of(waves(rows, 1), waves(0, 2), waves(rows, 3), SERIES)
    for m in measure(case, PARTS).measures:
        assert m.value is not None or m.verdict.startswith("not measured: ")


def test_channels_that_are_constant_or_missing_are_no_trouble() -> None:
    frames = [
        waves(n, s).with_columns(a=pl.lit(2.0), b=pl.lit(None, pl.Float64)) for n, s in ((900, 1), (400, 2), (900, 3))
    ]
    report = measure(Case.of(*frames, SERIES), PARTS)
    assert report["autocorrelation"].verdict == "not measured: nothing varies"


def test_sequences_of_one_row_are_measured() -> None:
    frames = [log(n, s).group_by("case", maintain_order=True).first() for n, s in ((200, 1), (100, 2), (200, 3))]
    report = measure(Case.of(*frames, LOG), PARTS)
    assert report["lengths"].value == 0
    assert "far" not in {m.grade for m in report.measures}


# ------------------------------------------------------------------------------------------- by hand


def test_frechet_distance_of_two_normal_clouds() -> None:
    rng = stream(0, "clouds")
    a, b = rng.normal(size=(20_000, 2)), rng.normal(size=(20_000, 2)) * [1, 3] + [2, 0]
    assert frechet(a, b) == pytest.approx((2**2 + (3 - 1) ** 2) / 2, rel=0.03)


def test_nearest_window() -> None:
    train = np.array([[[0.0], [0.0]], [[5.0], [5.0]]])
    assert nearest(np.array([[[1.0], [1.0]], [[5.0], [5.0]]]), train).tolist() == [1.0, 0.0]


def test_the_error_of_an_auc_counts_units() -> None:
    """Windows that are all alike in their unit say as much as one of each."""
    rng = stream(0, "units")
    score, label = rng.normal(size=400), np.arange(400) >= 200
    single = auc_error(score, label, np.arange(400))
    assert auc_error(np.repeat(score, 9), np.repeat(label, 9), np.repeat(np.arange(400), 9)) == pytest.approx(single)
    assert single == pytest.approx(np.sqrt(2 * 401 / (12 * 200 * 200)), rel=0.15)


# ------------------------------------------------------------------------------------------- the page


def test_the_page_shows_paths_memory_calendars_and_the_process() -> None:
    hostile = "</script><b onmouseover=x>work"
    frames = [
        log(n, s).with_columns(pl.col("what").replace("work", hostile)) for n, s in ((200, 1), (100, 2), (200, 3))
    ]
    frames = [f.with_columns(cost=pl.int_range(pl.len()).cast(pl.Float64) % 7) for f in frames]
    table = replace(LOG, columns=(*LOG.columns, Column("cost", "number", "float64")))
    page = Report({"log": measure(Case.of(*frames, table), PARTS)}).page()
    for title in ("Process map", "Paths of cost", "Autocorrelation of cost", "Rows of a sequence"):
        assert f"<title>{title}</title>" in page, title
    assert "Real rows by hour and weekday" in page
    assert hostile not in page
    assert "<b onmouseover" not in page


def test_a_table_without_order_has_no_such_part() -> None:
    frame = waves(300, 1)
    report = measure(Case.of(frame, frame, frame, replace(SERIES, sequence=None)), PARTS)
    assert report.measures == ()
    assert "Process map" not in Report({"waves": report}).page()


def test_the_floor_of_a_column_knows_that_rows_depend_on_each_other() -> None:
    """A slow wave: two stretches of it differ by far more than as many rows by chance."""

    def slow(n: int, seed: int) -> pl.DataFrame:
        steps = stream(seed, "slow").normal(size=n)
        return waves(n, seed).with_columns(a=pl.Series(np.convolve(steps, np.ones(400), "same")))

    frames = [slow(n, seed) for n, seed in ((6000, 1), (3000, 2), (6000, 3))]
    parts = {"fidelity": (1.0, fidelity.assess)}
    with_order, without = (
        measure(Case.of(*frames, table), parts)["shape"] for table in (SERIES, replace(SERIES, sequence=None))
    )
    assert without.grade != "noise"
    assert with_order.grade == "noise"
    assert with_order.floor > 3 * without.floor
