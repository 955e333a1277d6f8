"""Sequences: found by values, learned and drawn anew, with time exact. Truths through the public door."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.models.markov import Markov
from verosim.models.voices import smoothed
from verosim.sequences import cuts_of, held_out
from verosim.timeline import Grid, step_of

SHARED = Path(__file__).parents[2] / "shared" / "data" / "sequential"
N = 800


def series(n: int = N) -> pl.DataFrame:
    """Hours with a day's season: a measure with memory, a count, and a state."""
    rng, hours = np.random.default_rng(0), np.arange(n)
    wave = np.sin(hours / 24 * 2 * np.pi)
    noise = np.zeros(n)
    for i in range(1, n):
        noise[i] = 0.95 * noise[i - 1] + rng.normal()
    times = [datetime(2024, 1, 1) + timedelta(hours=int(h)) for h in hours]
    load = (100 + 20 * wave + 5 * rng.normal(size=n)).round().astype(int)
    state = np.where(wave > 0.5, "on", "off")
    return pl.DataFrame({"at": times, "temp": np.round(15 + 8 * wave + noise, 2), "load": load, "state": state})


def keyed(sequences: int = 50) -> pl.DataFrame:
    rng, parts = np.random.default_rng(1), []
    for k, length in enumerate(rng.integers(20, 40, sequences)):
        times = [datetime(2024, 1, 1) + timedelta(minutes=10 * int(i) + 60 * k) for i in range(length)]
        temp = 18 + 2 * (k % 3) + np.cumsum(rng.normal(size=length)) / 5
        columns = {"sensor": [f"S-{k:04d}"] * length, "room": [["kitchen", "bath", "hall"][k % 3]] * length}
        parts.append(pl.DataFrame({**columns, "at": times, "temp": temp.round(2), "n": rng.poisson(3, length)}))
    return pl.concat(parts)


def log(cases: int = 300) -> pl.DataFrame:
    """Opened, worked on once or more, closed: in this order, one to some hours apart."""
    rng, rows = np.random.default_rng(2), []
    for case in range(cases):
        at = datetime(2024, 1, 1) + timedelta(hours=3 * case)
        what = ["open", *["work"] * (1 + int(rng.geometric(0.6))), "close"]
        for activity in what:
            rows.append((f"C{case:05d}", at, activity, ["ann", "bob"][activity == "work"], case % 2 == 0))
            at += timedelta(minutes=int(rng.integers(60, 600)))
    return pl.DataFrame(rows, schema=["case", "at", "activity", "resource", "urgent"], orient="row")


def said(frame: pl.DataFrame, **parts: Any) -> vs.Schema:
    """The schema of a frame with this sequence in it."""
    schema = vs.inspect(frame)
    (table,) = schema.values()
    return vs.Schema({table.name: replace(table, sequence=vs.Sequence(**parts), rules=())})


def found(frame: pl.DataFrame) -> vs.Sequence | None:
    (table,) = vs.inspect(frame).values()
    return table.sequence


# ------------------------------------------------------------------------------------------------- the noun


def test_a_sequence_goes_through_a_schema_file(tmp_path: Path) -> None:
    schema = said(keyed(), time="at", key="sensor", step="10m", statics=("room",))
    for name in ("s.yaml", "s.json"):
        schema.save(tmp_path / name)
        assert vs.Schema.load(tmp_path / name) == schema


@pytest.mark.parametrize(
    "parts",
    [
        {"step": "10m"}, {"time": "at", "step": "ten"}, {"time": "at", "statics": ("room",)},
        {"key": "sensor", "activity": "room"}, {"time": "at", "key": "at"},
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(vs.SchemaError, match="sequence"):
        vs.Sequence(**parts)


def test_a_part_must_be_a_column() -> None:
    with pytest.raises(vs.SchemaError, match="did you mean 'sensor'"):
        said(keyed(), time="at", key="sensr")


# ------------------------------------------------------------------------------------------------- inference


def test_forms_are_found_by_values() -> None:
    one, many, events = found(series()), found(keyed()), found(log())
    assert one
    assert (one.time, one.key, one.step) == ("at", None, "1h")
    assert many
    assert (many.time, many.key, many.step, many.statics) == ("at", "sensor", "10m", ("room",))
    assert events
    assert (events.key, events.time, events.step) == ("case", "at", None)
    assert events
    assert (events.activity, events.resource, events.statics) == ("activity", "resource", ("urgent",))


def test_a_table_is_no_sequence() -> None:
    rng = np.random.default_rng(0)
    people = pl.DataFrame({"age": rng.integers(18, 90, 300), "height": rng.normal(170, 9, 300).round(1)})
    days = [date(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 400, 300)]
    assert found(people) is None
    assert found(people.sort("age")) is None
    assert found(people.with_columns(hired=pl.Series(days))) is None


def zoned(first: datetime, last: datetime, step: str, zone: str | None = None) -> pl.Series:
    return pl.datetime_range(first, last, step, time_zone=zone, eager=True)


DAYS = pl.date_range(date(2024, 1, 1), date(2024, 6, 1), "1d", eager=True)


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (zoned(datetime(2024, 3, 1), datetime(2024, 4, 5), "10m", "Europe/Madrid"), "10m"),
        (zoned(datetime(2024, 3, 1), datetime(2024, 4, 5), "1d", "Europe/Madrid"), "1d"),
        (zoned(datetime(2024, 3, 1), datetime(2024, 11, 5), "1h", "Europe/Madrid"), "1h"),
        (pl.date_range(date(2024, 1, 31), date(2026, 1, 31), "1mo", eager=True), "1mo"),
        (pl.date_range(date(2000, 1, 1), date(2026, 1, 1), "1y", eager=True), "1y"),
        (DAYS, "1d"), (DAYS.filter(DAYS.dt.weekday() <= 5), "1bd"), (DAYS.gather_every(7), "1w"),
        (pl.Series(range(0, 100, 5)), "5"),
    ],
)  # fmt: skip
def test_a_grid_gives_back_its_times(times: pl.Series, step: str) -> None:
    new = np.arange(len(times)) == 0
    assert step_of(times, new) == step
    grid = Grid.of(step, times)
    assert np.array_equal(np.diff(grid.numbers(times)), np.ones(len(times) - 1))
    assert grid.times(grid.numbers(times)).equals(times)


# ------------------------------------------------------------------------------------------------- one long series


@pytest.fixture(scope="module")
def one() -> vs.Synthesizer:
    return vs.fit(series())


def test_a_series_keeps_its_times_and_types(one: vs.Synthesizer) -> None:
    real, drawn = series(), one.sample()
    assert drawn.schema == real.schema
    assert drawn["at"].equals(real["at"])
    assert drawn["temp"].min() >= real["temp"].min()
    assert drawn["temp"].max() <= real["temp"].max()
    assert not drawn["temp"].equals(real["temp"])
    assert one.sample(seed=3).equals(one.sample(seed=3))
    assert not one.sample(seed=4).equals(drawn)
    assert one.sample(100).equals(drawn.head(100))


def test_a_series_keeps_its_season_and_memory(one: vs.Synthesizer) -> None:
    def facts(frame: pl.DataFrame) -> tuple[float, float, float]:
        temp = frame["temp"].to_numpy()
        x = temp - temp.mean()
        both = np.corrcoef(temp, frame["load"].to_numpy())[0, 1]
        return float(x[24:] @ x[:-24] / (x @ x)), float(x[1:] @ x[:-1] / (x @ x)), float(both)

    assert facts(one.sample()) == pytest.approx(facts(series()), abs=0.12)


def test_a_series_can_be_longer_and_start_elsewhere(one: vs.Synthesizer) -> None:
    longer = one.sample(course=vs.Course(length=3 * N))
    assert longer.height == 3 * N
    assert (longer["at"].diff().drop_nulls() == timedelta(hours=1)).all()
    assert one.sample(course=vs.Course(length=1, start="2025-06-01")).height == 1
    assert one.sample(course=vs.Course(length=9, start=datetime(2025, 6, 1)))["at"][0] == datetime(2025, 6, 1)
    later = one.sample(course=vs.Course(begin=series().tail(30), length=5))
    assert later["at"][0] == series()["at"][-1] + timedelta(hours=1)


def test_models_are_saved(one: vs.Synthesizer, tmp_path: Path) -> None:
    for name, learned in {"one": one, "many": vs.fit(keyed()), "log": vs.fit(log())}.items():
        learned.save(tmp_path / name)
        assert vs.load(tmp_path / name).sample(300).equals(learned.sample(300))
        assert learned.sample(0).height == 0


def test_stretches_of_time_are_held_out() -> None:
    frame = series()
    (table,) = said(frame, time="at").values()
    away = held_out(frame, table, 0.1, 0)
    assert (away == 1).sum() == pytest.approx(0.1 * N, abs=10)
    beside = np.flatnonzero(np.diff((away == 1).astype(int)))
    assert len(beside) >= 2
    assert (away == -1).any()


def test_what_is_held_out_of_the_middle_cuts_a_series_without_times() -> None:
    frame = series().drop("at")
    (table,) = said(frame).values()
    away, cuts = held_out(frame, table, 0.2, 0), cuts_of(frame, table, 0.2, 0)
    for role, mark in (("train", 0), ("holdout", 1)):
        rows = np.flatnonzero(away == mark)
        assert np.array_equal(
            np.flatnonzero(cuts[role]), [i for i, r in enumerate(rows) if i == 0 or rows[i - 1] != r - 1]
        )


def test_a_series_of_noise_alone_is_drawn_row_by_row() -> None:
    rng = np.random.default_rng(0)
    schema = said(frame := pl.DataFrame({"x": rng.random(300), "n": rng.integers(0, 9, 300)}))
    drawn = vs.fit(frame, schema=schema).sample()
    assert drawn["x"].mean() == pytest.approx(0.5, abs=0.1)
    assert drawn["x"].n_unique() > 100


def test_columns_that_follow_each_other_still_do_so_in_new_windows() -> None:
    """Five sensors of one slow wave, each with noise of its own; a season, and no column of times."""
    rng, hours, n = np.random.default_rng(0), np.arange(2000), 2000
    slow = smoothed(rng.normal(size=(n, 1)), np.ones(n, bool), 30.0)[:, 0] * 10 + np.sin(hours / 24 * 2 * np.pi)
    own = smoothed(rng.normal(size=(n, 5)), np.ones(n, bool), 3.0)
    frame = pl.DataFrame({f"s{k}": slow + own[:, k] for k in range(5)})
    drawn = vs.fit(frame, schema=said(frame)).sample().to_numpy()
    real = frame.to_numpy()
    assert np.abs(np.corrcoef(drawn.T) - np.corrcoef(real.T)).max() < 0.1
    assert np.diff(drawn, axis=0).std() == pytest.approx(np.diff(real, axis=0).std(), rel=0.15)
    assert not (np.diff(drawn, axis=0)[:, None, 0] == np.diff(real, axis=0)[None, :, 0]).any(1).all()


def test_gaps_missing_values_and_constants_stay() -> None:
    frame = series().sample(fraction=0.9, seed=1).sort("at")
    holes = pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise(pl.col("temp"))
    frame = frame.with_columns(holes.alias("temp"), nothing=pl.lit(None, pl.Float64), same=pl.lit(3), nan=float("nan"))
    drawn = vs.fit(frame).sample()
    assert drawn["at"].equals(frame["at"])
    assert drawn["temp"].null_count() == pytest.approx(frame["temp"].null_count(), rel=0.4)
    assert drawn["nothing"].null_count() == frame.height
    assert (drawn["same"] == 3).all()
    assert drawn["nan"].is_nan().all()


# ------------------------------------------------------------------------------------------------- many sequences


@pytest.fixture(scope="module")
def many() -> vs.Synthesizer:
    return vs.fit(keyed())


def test_sequences_are_whole(many: vs.Synthesizer) -> None:
    real, drawn = keyed(), many.sample()
    assert drawn.schema == real.schema
    assert drawn.height == real.height
    each = drawn.group_by("sensor").agg(pl.col("room").n_unique(), pl.len())
    assert (each["room"] == 1).all()
    assert each["len"].max() <= 45
    assert not {*drawn["sensor"]} & {*real["sensor"]} or drawn["sensor"].str.contains(r"^S-\d{4}$").all()
    steps = drawn.select(pl.col("at").diff().over("sensor")).to_series().drop_nulls()
    assert (steps == timedelta(minutes=10)).all()
    assert drawn["at"].min() >= real["at"].min()
    assert drawn["at"].max() <= real["at"].max()


def test_sequences_are_had_as_asked(many: vs.Synthesizer) -> None:
    drawn = many.sample(course=vs.Course(sequences=7, length=33))
    assert drawn.height == 231
    assert drawn["sensor"].n_unique() == 7
    given = pl.DataFrame({"sensor": ["A", "B"], "room": ["bath", "hall"]})
    drawn = many.sample(course=vs.Course(given=given, length=2, start="2026-01-01"))
    assert drawn["sensor"].to_list() == ["A", "A", "B", "B"]
    assert drawn["room"].to_list() == ["bath", "bath", "hall", "hall"]
    assert (drawn["at"][0], drawn["at"][1]) == (datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 10))


def test_sequences_go_on_from_given_rows(many: vs.Synthesizer) -> None:
    begin = keyed().filter(pl.col("sensor").is_in(["S-0001", "S-0002"]))
    drawn = many.sample(course=vs.Course(begin=begin, length=6))
    last = begin.group_by("sensor", maintain_order=True).agg(pl.col("at", "temp").last())
    first = drawn.group_by("sensor", maintain_order=True).agg(pl.col("at", "temp").first(), pl.len())
    assert first["len"].to_list() == [6, 6]
    assert (first["at"] - last["at"] == timedelta(minutes=10)).all()
    assert float((first["temp"] - last["temp"]).abs().max()) < 2  # type: ignore[arg-type]


def test_order_of_rows_does_not_matter() -> None:
    schema = said(keyed(), time="at", key="sensor", statics=("room",))
    mixed = keyed().sample(fraction=1.0, shuffle=True, seed=5)
    drawn = vs.fit(mixed, schema).sample()
    assert not drawn.select((pl.col("at").diff().over("sensor") < timedelta(0)).any()).item()


@pytest.mark.parametrize("many_keys", [True, False])
def test_few_and_short_sequences(many_keys: bool) -> None:
    frame = log().unique("case", maintain_order=True) if many_keys else keyed(3)
    schema = said(frame, time="at", key="case" if many_keys else "sensor")
    drawn = vs.fit(frame, schema).sample()
    assert drawn.schema == frame.schema
    assert drawn.height == frame.height


# ------------------------------------------------------------------------------------------------- event logs


def test_a_log_keeps_its_order_of_activities() -> None:
    learned = vs.fit(log())
    drawn = learned.sample(course=vs.Course(sequences=200))
    whole = drawn.group_by("case", maintain_order=True).agg(
        "activity", pl.col("at").is_sorted(), pl.col("urgent").n_unique()
    )
    assert whole.height == 200
    assert whole["at"].all()
    assert (whole["urgent"] == 1).all()
    for done in whole["activity"].to_list():
        assert done[0] == "open"
        assert done[-1] == "close"
        assert {*done[1:-1]} == {"work"}
    assert (drawn.filter(pl.col("activity") == "work")["resource"] == "bob").all()
    gaps = drawn.select(pl.col("at").diff().over("case")).to_series().drop_nulls()
    assert gaps.min() >= timedelta(hours=1)
    assert gaps.max() <= timedelta(hours=10)
    assert drawn["at"].max() <= log()["at"].max()


def working(cases: int = 400) -> pl.DataFrame:
    """Cases of an office: an answer comes days after an arrival; all happens from 8 to 16, Monday to Friday."""
    rng = np.random.default_rng(4)
    days = rng.integers(0, 100, cases)
    wait = rng.choice([1, 2, 3, 7, 14, 21], cases)
    day = np.stack([days, days + wait]) // 5 * 7 + np.stack([days, days + wait]) % 5  # working days
    seconds = day * 86_400 + rng.integers(8 * 3600, 16 * 3600, (2, cases))
    at = [datetime(2024, 1, 1) + timedelta(seconds=int(s)) for s in seconds.T.ravel()]
    what = ["ask", "answer"] * cases
    return pl.DataFrame({"case": np.repeat([f"c{i}" for i in range(cases)], 2), "at": at, "activity": what})


def test_a_log_keeps_office_hours_and_cycle_times() -> None:
    real = working()
    drawn = vs.fit(real).sample(course=vs.Course(sequences=400))
    hours, days = drawn["at"].dt.hour(), drawn["at"].dt.weekday()
    assert ((hours >= 8) & (hours < 16) & (days <= 5)).mean() > 0.9  # of all hours of the week these are a quarter
    took = [
        f.group_by("case").agg(pl.col("at").max() - pl.col("at").min())["at"].dt.total_hours() for f in (real, drawn)
    ]
    quantiles = [np.quantile(t.to_numpy(), np.linspace(0.05, 0.95, 19)) for t in took]
    assert np.abs(quantiles[0] - quantiles[1]).mean() < 48


def test_what_follows_from_a_sequence_is_made(tmp_path: Path) -> None:
    """Counts, ends, durations and names of the way that a case goes agree with its rows."""
    rows = {
        "n": pl.len(),
        "works": (pl.col("activity") == "work").sum(),
        "ended": pl.col("at").max(),
        "took": ((pl.col("at").max() - pl.col("at").min()).dt.total_seconds() / 3600).round(2),
        "way": pl.lit("way ") + pl.len().cast(pl.String),
    }
    real = log().with_columns(e.over("case").alias(name) for name, e in rows.items())
    learned = vs.fit(real)
    drawn = learned.sample(course=vs.Course(sequences=100))
    wrong = {
        n
        for n, e in rows.items()
        if n not in ("took", "way") and not drawn.select((e.over("case") == pl.col(n)).all()).item()
    }
    assert not wrong
    assert drawn.select(((rows["took"].over("case") - pl.col("took")).abs() < 0.006).all()).item()
    assert drawn.group_by("n").agg(pl.col("way").n_unique())["way"].max() == 1
    with pytest.raises(vs.ArgumentError, match="follows from what happens"):
        learned.sample(course=vs.Course(given=pl.DataFrame({"n": [3]})))
    learned.save(tmp_path / "log.verosim")
    assert vs.load(tmp_path / "log.verosim").sample(50).equals(learned.sample(50))


def test_a_chain_learns_what_follows() -> None:
    """After 0 always 1, after 1 always the end."""
    rng = np.random.default_rng(0)
    chain = Markov().fit(np.tile([0, 1], 50), np.full(50, 2), 2, np.zeros(50, np.int64), 5, rng)
    history, groups = np.full((20, chain.reach), -1), np.zeros(20, np.int64)
    for wanted in (0, 1, 2):
        drawn = chain.next(history, groups, rng)
        assert (drawn == wanted).mean() > 0.7
        history = np.concatenate([np.full((20, 1), wanted), history[:, :-1]], 1)


# ------------------------------------------------------------------------------------------------- bad input


def test_errors_name_the_row() -> None:
    hole = pl.when(pl.int_range(pl.len()) == 5).then(None)
    for column in ("at", "sensor"):
        frame = keyed().with_columns(hole.otherwise(pl.col(column)).alias(column))
        with pytest.raises(vs.DataError, match="row 5"):
            vs.fit(frame, said(keyed(), time="at", key="sensor"))
    with pytest.raises(vs.DataError, match="no static"):
        vs.fit(keyed(), said(keyed(), time="at", key="sensor", statics=("n",)))
    with pytest.raises(vs.DataError, match="beside the grid"):
        vs.fit(
            keyed().with_columns(pl.col("at") + pl.duration(seconds=pl.int_range(pl.len()))),
            said(keyed(), time="at", key="sensor", step="10m"),
        )
    with pytest.raises(vs.DataError, match="a time, a day or a number"):
        vs.fit(keyed(), said(keyed(), time="room", key="sensor"))


@pytest.mark.parametrize(
    "what", ["one row", "rows of their own", "two cases", "one activity", "no activity twice", "days"]
)
def test_small_and_odd_logs(what: str) -> None:
    rows = log(40)
    odd = {
        "one row": rows.head(1),
        "rows of their own": rows.unique("case", maintain_order=True),
        "two cases": rows.filter(pl.col("case").rank("dense") <= 2),
        "one activity": rows.with_columns(activity=pl.lit("a")),
        "no activity twice": rows.with_columns(activity=pl.int_range(pl.len()).cast(pl.String)),
        "days": rows.with_columns(pl.col("at").dt.date()),
    }[what]
    drawn = vs.fit(odd, said(odd, time="at", key="case", activity="activity")).sample()
    assert drawn.schema == odd.schema
    assert drawn.height == odd.height or what == "two cases"  # keys that stay have one sequence each


def test_what_cannot_be_asked(one: vs.Synthesizer, many: vs.Synthesizer) -> None:
    with pytest.raises(vs.ArgumentError, match="one long series"):
        one.sample(course=vs.Course(sequences=3))
    with pytest.raises(vs.ArgumentError, match="one long series"):
        one.sample(5, where={"state": "on"})
    with pytest.raises(vs.ArgumentError, match="not the same"):
        many.sample(course=vs.Course(given=pl.DataFrame({"temp": [1.0]})))
    with pytest.raises(vs.ArgumentError, match="start"):
        one.sample(course=vs.Course(length=3, start="soon"))
    with pytest.raises(vs.ArgumentError, match="no sequence"):
        vs.fit(pl.DataFrame({"a": [1, 2, 3] * 20})).sample(course=vs.Course(length=3))


# ------------------------------------------------------------------------------------------------- real data


@pytest.mark.skipif(not SHARED.exists(), reason="needs shared/data/sequential")
def test_real_series_and_logs_are_found() -> None:
    wanted = {
        "occupancy_iot/datatraining.csv": ("date", None, None),
        "energy_appliances/energy_data.csv": (None, None, None),
        "sepsis_log/sepsis.csv": ("timestamp", "case_id", "activity"),
    }
    for name, parts in wanted.items():
        (table,) = vs.inspect(SHARED / name).values()
        sequence = table.sequence
        assert sequence is not None
        assert (sequence.time, sequence.key, sequence.activity) == parts
