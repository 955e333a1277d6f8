"""Simulation, part by part: places that block, goods, batches, shifts, steps of time, files, what-if, bad input."""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ElementTree
from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.errors import DataError
from verosim.simulation import Scenario, arrivals, library, saving

START = dt.datetime(2025, 1, 6)
EXAMPLES = Path(__file__).parents[1] / "examples" / "scenarios"


def minutes(series: pl.Series) -> list[float | None]:
    """Dates as minutes from the start."""
    return [None if d is None else round((d.replace(tzinfo=None) - START) / dt.timedelta(minutes=1), 6) for d in series]


def played(scenario: dict[str, Any], **values: Any) -> pl.DataFrame:
    """The log of a scenario, with minutes in place of dates."""
    log = Scenario(scenario).run(engine="calendar", **values).log
    return log.with_columns(pl.Series(k, minutes(log[k])) for k in ("enqueue", "start", "complete"))


# ------------------------------------------------------------------------------------------------ worked by hand


def test_one_server_by_hand() -> None:
    log = played({"sources": {"a": {"at": [0, 1, 2, 10]}}, "stations": {"desk": {"servers": 1, "service": 3}}})
    assert log["start"].to_list() == [0, 3, 6, 10]
    assert log["complete"].to_list() == [3, 6, 9, 13]


@pytest.mark.parametrize(("queue", "started"), [("fifo", [0, 3, 6, 9]), ("lifo", [0, 9, 6, 3])])
def test_the_order_of_the_queue(queue: str, started: list[float]) -> None:
    log = played(
        {"sources": {"a": {"at": [0, 1, 2, 2.5]}}, "stations": {"desk": {"servers": 1, "service": 3, "queue": queue}}}
    )
    assert log["start"].to_list() == started


def test_patience_ends_at_its_time() -> None:
    log = played({"sources": {"a": {"at": [0, 1]}}, "stations": {"desk": {"servers": 1, "service": 5, "patience": 2}}})
    assert log["outcome"].to_list() == ["served", "reneged"]
    assert log["complete"].to_list() == [5, 3]
    assert log["start"].to_list() == [0, None]


def test_the_urgent_interrupt_and_the_rest_is_served_later() -> None:
    scenario = {
        "attributes": {"rank": "case when source = 'urgent' then 1 else 2 end"},
        "sources": {"usual": {"at": [0]}, "urgent": {"at": [2]}},
        "stations": {
            "desk": {"servers": 1, "service": 5, "queue": "priority", "priority": "rank", "preempt": "resume"}
        },
    }
    assert played(scenario)["complete"].to_list() == [10, 7]
    scenario["stations"]["desk"]["preempt"] = "restart"
    log = played(scenario)
    assert log["complete"].to_list() == [12, 7]
    assert log["interruptions"].to_list() == [1, 0]


def test_a_full_station_blocks_the_one_before() -> None:
    scenario = {
        "sources": {"a": {"at": [0, 0, 0], "to": "first"}},
        "stations": {
            "first": {"servers": 1, "service": 1, "next": "second"},
            "second": {"servers": 1, "capacity": 1, "full": "wait", "service": 4},
        },
    }
    log = played(scenario)
    first, second = (log.filter(activity=a) for a in ("first", "second"))
    assert first["complete"].to_list() == [1, 2, 6]  # the third starts when the second has left the server
    assert first["start"].to_list() == [0, 1, 5]
    assert second["start"].to_list() == [1, 5, 9]


def test_a_deadlock_is_named() -> None:
    circle = {
        "sources": {"a": {"at": [0, 0], "to": "left"}, "b": {"at": [0, 0], "to": "right"}},
        "stations": {
            "left": {"servers": 1, "capacity": 1, "full": "wait", "service": 1, "next": {"right": 1.0}},
            "right": {"servers": 1, "capacity": 1, "full": "wait", "service": 1, "next": {"left": 0.99, "exit": 0.01}},
        },
    }
    with pytest.raises(DataError, match=r"deadlock: .*'left' and wait for a place behind it"):
        Scenario(circle).run(engine="calendar")


def test_resources_that_everyone_holds_are_a_deadlock_too() -> None:
    scenario = {
        "resources": {"bed": 1},
        "sources": {"a": {"at": [0, 1]}},
        "stations": {
            "ward": {"needs": {"bed": 1}, "holds": True, "service": 1, "next": "scan"},
            "scan": {"needs": {"bed": 1}, "service": 1},
        },
    }
    with pytest.raises(DataError, match="1 wait at 'ward' for bed; 1 wait at 'scan' for bed"):
        Scenario(scenario).run()
    scenario["stations"]["scan"] = {"service": 5, "frees": ["bed"]}
    assert played(scenario).filter(activity="ward")["start"].to_list() == [0, 6]


def test_batches_wait_for_each_other_but_not_for_ever() -> None:
    scenario = {
        "sources": {"a": {"at": [0, 1, 2, 10]}},
        "stations": {"oven": {"servers": 1, "service": 5, "batch": {"size": 3, "wait": 4}}},
    }
    log = played(scenario)
    assert log["start"].to_list() == [2, 2, 2, 14]
    assert log["complete"].to_list() == [7, 7, 7, 19]


def utilisation(scenario: dict[str, Any], station: str) -> float:
    """Of the only run of a scenario with a known end."""
    return float(Scenario(scenario).run(engine="calendar").measured()[station, "utilisation"][0])


def test_servers_are_busy_while_they_serve() -> None:
    at = {"sources": {"a": {"at": [0, 1, 2, 10]}}, "until": 20}
    oven = {"servers": 1, "service": 5, "batch": {"size": 3, "wait": 4}}
    assert utilisation({**at, "stations": {"oven": oven}}, "oven") == pytest.approx(10 / 20)  # of a batch, once
    desk = {"servers": 1, "service": 4, "queue": "priority", "priority": "rank", "preempt": "restart"}
    ranks = {"attributes": {"rank": "case when arrival < '2025-01-06 00:01' then 2 else 1 end"}}
    assert utilisation({**at, **ranks, "stations": {"desk": desk}}, "desk") == pytest.approx(18 / 20)  # two are lost
    states = Scenario({**at, **ranks, "stations": {"desk": desk}}).run().series(2)
    assert states["waiting"].to_list() == [0, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0]
    assert states["in_service"].to_list() == [1] * 9 + [0] * 2
    long = {"servers": 2, "service": 15}
    assert utilisation({**at, "stations": {"desk": long}}, "desk") == pytest.approx((15 + 15 + 5 + 4) / 40)
    shift = {"servers": [{"servers": 2, "hours": [8, 12]}], "service": 120}
    day = {"sources": {"a": {"at": [0, 0, 540]}}, "until": 1440, "stations": {"desk": shift}}
    assert utilisation(day, "desk") == pytest.approx(360 / 480)


def test_goods_run_out_and_are_ordered() -> None:
    scenario: dict[str, Any] = {
        "stocks": {"milk": {"start": 3, "at": 1, "upto": 4, "lead": 10}},
        "sources": {"a": {"at": [0, 1, 2, 3, 4]}},
        "stations": {"shop": {"takes": {"milk": 1}}},
    }
    run = Scenario(scenario).run()
    assert minutes(run.log["start"]) == [0, 1, 2, 11, 11]
    orders = run.tables["orders"]
    assert orders["amount"].to_list() == [3.0, 3.0]  # at 1 in stock: up to 4; then 2 more are promised and gone
    assert minutes(orders["arrives"]) == [11, 14]
    scenario["stocks"]["milk"]["short"] = "leave"
    assert Scenario(scenario).run().log["outcome"].to_list() == ["served"] * 3 + ["short"] * 2


def test_shifts_by_the_clock_on_the_wall() -> None:
    scenario = {
        "start": "2025-03-30T00:00",  # the night in which the clocks go forward
        "zone": "Europe/Berlin",
        "sources": {"a": {"at": [0, 600]}},
        "stations": {"desk": {"servers": [{"servers": 1, "hours": [8, 17]}], "service": 30}},
    }
    log = Scenario(scenario).run(engine="calendar").log
    assert [d.isoformat() for d in log["start"]] == ["2025-03-30T08:00:00+02:00", "2025-03-30T11:00:00+02:00"]


def test_rates_follow_the_hour_and_the_weekday() -> None:
    hours = [0.0] * 8 + [2.0] * 4 + [1.0] * 4 + [0.0] * 8
    scenario = {
        "until": 28 * 1440,
        "sources": {"a": {"rate": 0.5, "hours": hours, "weekdays": [1, 1, 1, 1, 1, 0, 0]}},
        "stations": {"desk": {"service": 1}},
    }
    arrivals = Scenario(scenario).run(seed=3).cases["arrival"]
    assert set(arrivals.dt.weekday()) == {1, 2, 3, 4, 5}
    morning, afternoon = ((arrivals.dt.hour() // 4 == q).sum() for q in (2, 3))
    assert morning + afternoon == len(arrivals)
    assert abs(morning - 20 * 240) < 4.5 * sqrt(20 * 240)
    assert abs(afternoon - 20 * 120) < 4.5 * sqrt(20 * 120)


def test_a_file_is_replayed_with_its_attributes(tmp_path: Path) -> None:
    pl.DataFrame({"time": [5.0, 1.0], "work": [3, 4]}).write_csv(tmp_path / "old.csv")
    text = "sources: {log: {file: old.csv}}\nstations: {desk: {servers: 1, service: work}}"
    run = Scenario.parse(text, folder=tmp_path).run()
    assert minutes(run.log["complete"]) == [5, 8]
    assert run.cases["work"].to_list() == [4, 3]


def test_attributes_change_on_the_way_and_turn_it() -> None:
    scenario = {
        "attributes": {"tries": 0},
        "sources": {"a": {"at": [0]}},
        "stations": {
            "try": {
                "service": 1,
                "sets": {"tries": "tries + 1"},
                "next": [{"when": "tries < 3", "to": "try"}, {"to": "exit"}],
            }
        },
    }
    run = Scenario(scenario).run()
    assert run.cases["tries"].to_list() == [3]
    assert minutes(run.log["complete"]) == [1, 2, 3]


def test_rows_of_a_synthesizer_come_as_cases(tmp_path: Path) -> None:
    people = pl.DataFrame({"age": list(range(20, 70)) * 8, "member": ["yes", "no"] * 200})
    vs.fit(people, model="independent", k=1).save(tmp_path / "people.verosim")
    text = """
    attributes: {age: {learned: [people.verosim, age]}, member: {learned: [people.verosim, member]}}
    sources: {door: {every: 1}}
    stations: {desk: {servers: 1, service: "age / 100"}}
    """
    cases = Scenario.parse(text, folder=tmp_path).run(300, seed=1).cases
    assert cases["age"].is_between(20, 69).all()
    assert set(cases["member"]) == {"yes", "no"}


# ------------------------------------------------------------------------------------------------ steps of time


def test_an_epidemic_has_the_final_size_of_theory() -> None:
    """SIR with R0 = 2: a share z is reached for which z = 1 - exp(-2 z)."""
    scenario = {
        "unit": "days",
        "populations": {
            "people": {
                "size": 40_000, "until": 150, "step": 0.25, "start": {"ill": 400},
                "states": {
                    "well": [{"to": "ill", "rate": "0.5 * share_ill"}],
                    "ill": [{"to": "immune", "rate": 0.25}],
                    "immune": [],
                },
            }
        },
    }  # fmt: skip
    run = Scenario(scenario).run(seed=1)
    z = 0.8
    for _ in range(100):
        z = 1 - (1 - 0.01) * exp(-2 * z)
    immune = run.tables["people"].filter(pl.col("state") != "well").height / 40_000
    assert abs(immune - z) < 0.02  # the step, and chance
    counts = run.tables["people_counts"]
    assert (counts.select("well", "ill", "immune").sum_horizontal() == 40_000).all()
    moves = run.tables["people_moves"]
    assert moves.filter(after="ill").height == 40_000 - 400 - counts["well"][-1]


def test_rates_of_a_population_follow_its_attributes() -> None:
    customers = {
        "size": 20_000, "until": 10, "step": 0.05, "start": {}, "columns": {"free": {"bernoulli": 0.5}},
        "states": {"stays": [{"to": "gone", "rate": "0.05 + 0.1 * free"}], "gone": []},
    }  # fmt: skip
    people = Scenario({"populations": {"people": customers}}).run(seed=2).tables["people"]
    for free, rate in ((0, 0.05), (1, 0.15)):
        mine = people.filter(free=free)
        share, truth = (mine["state"] == "stays").mean(), exp(-10 * rate)
        assert abs(share - truth) < 4.5 * sqrt(truth * (1 - truth) / mine.height)


def test_sensors_are_what_they_say() -> None:
    channels = {
        "heat": {"level": 20, "seasons": [{"period": 24, "height": 3, "top": 15}], "noise": 0.5, "memory": 0.7},
        "damp": {"level": 50, "follows": {"heat": -2}, "noise": 0.1},
    }
    run = Scenario(
        {"unit": "hours", "sensors": {"r": {"count": 4, "every": 1, "until": 5_000, "channels": channels}}}
    ).run(seed=1)
    frame = run.tables["r"]
    hour = pl.Series(np.tile(np.arange(5_000) % 24, 4))
    rest = (frame["heat"] - 20 - 3 * (2 * np.pi * (hour - 15) / 24).cos()).to_numpy()
    assert abs(rest.std() - 0.5) < 0.02
    assert abs(np.corrcoef(rest[1:], rest[:-1])[0, 1] - 0.7) < 0.03
    assert abs((frame["damp"] - 50 + 2 * frame["heat"]).std() - 0.1) < 0.005


def test_faults_stand_where_their_labels_say() -> None:
    fault = {"kind": "shift", "every": 300, "lasts": 20, "size": 50}
    channels = {"x": {"noise": 0.1, "faults": [fault]}}
    tables = (
        Scenario({"sensors": {"r": {"count": 3, "every": 1, "until": 3_000, "channels": channels}}}).run(seed=1).tables
    )
    frame = tables["r"]
    far = frame["x"].abs() > 2
    assert far.to_list() == frame["label"].is_not_null().to_list()
    assert far.sum() > 0
    assert tables["r_faults"].height > 10


def test_remaining_life_counts_down_to_the_failure() -> None:
    noun = {
        "count": 3, "every": 1, "until": 400, "channels": {"x": {"noise": 0, "wear": 10}},
        "wear": {"life": {"uniform": [50, 100]}, "warn": 5, "shape": 1},
    }  # fmt: skip
    tables = Scenario({"sensors": {"m": noun}}).run(seed=1).tables
    one = tables["m"].filter(sensor=1)
    steps = one["remaining_life"].diff()[1:]
    assert set(steps.filter(steps < 0).round(9)) == {-1.0}
    assert int((steps > 0).sum()) == tables["m_failures"].filter(sensor=1).height
    np.testing.assert_allclose(one["x"], 10 * one["age"] / (one["age"] + one["remaining_life"]), atol=1e-12)
    assert (one["fails_soon"] == (one["remaining_life"] <= 5)).all()


@pytest.mark.parametrize("name", ["payment_fraud", "money_laundering"])
def test_no_money_is_lost_and_nobody_overdraws(name: str) -> None:
    scenario = Scenario.load(name)
    (ledger,) = scenario.model.file.ledgers
    small = scenario.having({f"{ledger}.accounts": 400, f"{ledger}.until": 600})
    tables = small.run(seed=5).tables
    paid, accounts = tables[ledger], tables[f"{ledger}_accounts"]
    cents = lambda s: int((s * 100).round().cast(pl.Int64).sum())  # noqa: E731
    outside = cents(paid.filter(pl.col("payer").is_null())["amount"]) - cents(
        paid.filter(pl.col("payee").is_null())["amount"]
    )
    assert cents(accounts["closing"]) == cents(accounts["opening"]) + outside
    assert accounts["closing"].min() >= 0
    for side, sign in (("payer", -1), ("payee", 1)):
        known = paid.filter(pl.col(side).is_not_null())
        moved = ((known[f"{side}_after"] - known[f"{side}_before"]) * 100).round()
        assert (moved == sign * (known["amount"] * 100).round()).all()
    assert set(paid["crime"].drop_nulls()) == {c.kind for c in small.model.file.ledgers[ledger].crimes}
    assert paid["time"].is_sorted()


# ------------------------------------------------------------------------------------------------ files and questions


@pytest.mark.parametrize("name", library())
def test_the_library_runs_and_each_has_its_page(name: str) -> None:
    docs = (Path(__file__).parents[1] / "docs" / "scenarios.md").read_text()
    assert f"## {name}\n" in docs
    scenario = Scenario.load(name)
    assert scenario.notes == ()
    assert scenario.model.file.about
    run = scenario.run(200 if scenario.model.file.stations else None, seed=1, engine="calendar")
    assert all(frame.height for frame in run.tables.values())


def test_what_is_written_is_what_is_returned(tmp_path: Path) -> None:
    scenario = Scenario.load("bank")
    saved = scenario.save(tmp_path / "out", 500, seed=1, format="parquet")
    run = scenario.run(500, seed=1)
    assert saved.rows == {"cases": 500, "log": 500}
    assert pl.read_parquet(tmp_path / "out" / "log.parquet")["complete"].equals(run.log["complete"])
    assert saved.indicators.equals(run.indicators)


def test_xes_holds_every_step(tmp_path: Path) -> None:
    scenario = {
        "sources": {"a <b>": {"at": [0, 1]}},
        "stations": {'"x" & y': {"servers": 1, "service": 5, "patience": 2}},
    }
    Scenario(scenario).save(tmp_path, format="xes", engine="calendar")
    root = ElementTree.parse(tmp_path / "log.xes").getroot()
    traces = [n for n in root if n.tag.endswith("trace")]
    words = [[a.get("value") for a in e if a.get("key") == "lifecycle:transition"] for t in traces for e in t if len(e)]
    assert words == [["schedule"], ["start"], ["complete"], ["schedule"], ["ate_abort"]]
    assert traces[0][1].get("value") == "a <b>"


def test_a_broken_run_leaves_no_file(tmp_path: Path) -> None:
    scenario = {"sources": {"a": {"at": [0, 1]}}, "stations": {"desk": {"servers": 1, "service": "1 - arrival_no"}}}
    scenario["attributes"] = {"arrival_no": {"sequence": 1}}
    with pytest.raises(DataError, match="`service` is -1"):
        Scenario(scenario).save(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("engine", "format"), [("calendar", "csv"), ("calendar", "parquet"), ("recursion", "jsonl"), ("recursion", "xes")]
)
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    engine: str, format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "PART", 4_000)
    monkeypatch.setattr(arrivals, "BATCH", 4_096)
    workshop = Scenario.load(EXAMPLES / "workshop.yaml").having({"until": 12_000})
    scenario = workshop if engine == "calendar" else Scenario.load("bank").having({"cases": 14_000})

    def stopped(share: float, done: str) -> None:
        assert 0 <= share <= 1
        calls.append(share)
        if len(calls) == 2:
            raise KeyboardInterrupt

    whole = scenario.save(tmp_path / "whole", engine=engine, format=format)
    for _ in range(2):
        calls: list[float] = []
        with pytest.raises(KeyboardInterrupt):
            scenario.save(tmp_path / "broken", engine=engine, format=format, progress=stopped)
    broken = scenario.save(tmp_path / "broken", engine=engine, format=format)
    assert broken.resumed >= 1
    assert broken.rows == whole.rows
    assert broken.indicators.equals(whole.indicators)
    files = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert sorted(p.name for p in (tmp_path / "broken").iterdir()) == files
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_parts_of_another_run_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "PART", 1)
    monkeypatch.setattr(arrivals, "BATCH", 100)

    def stopped(share: float, done: str) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Scenario.load("bank").save(tmp_path, 400, seed=1, progress=stopped)
    other = Scenario.load("bank").save(tmp_path, 400, seed=2)
    assert other.resumed == 0
    assert pl.read_csv(tmp_path / "cases.csv")["waited"].to_list() == pytest.approx(
        Scenario.load("bank").run(400, seed=2).cases["waited"].to_list()
    )


def test_what_if_compares_the_same_customers() -> None:
    table = Scenario.load("bank").sweep({"tellers": [3, 4]}, 500, replications=6, seed=1)
    rows = table.filter(indicator="wait").sort("tellers").rows(named=True)
    assert rows[0]["difference"] == 0
    assert rows[1]["difference_high"] < 0
    apart = rows[1]["difference_high"] - rows[1]["difference_low"]
    assert apart < (rows[0]["high"] - rows[0]["low"]) + (rows[1]["high"] - rows[1]["low"])
    assert rows[1]["difference"] == pytest.approx(rows[1]["value"] - rows[0]["value"])
    alone = Scenario.load("bank").having({"tellers": 4}).replicated(6, 500, seed=1)
    assert alone.equals(table.filter(tellers=4).select(alone.columns))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from verosim.cli import main

    monkeypatch.chdir(tmp_path)
    for arguments, said in (
        (["simulate"], "call_centre"),
        (["simulate", "bank", "-n", "300", "--set", "tellers=4", "--report", "bank.html"], "wrote 300 rows of cases"),
        (["simulate", "bank", "-n", "50", "--json", "-o", "b"], '"engine": "recursion"'),
        (["simulate", "bank", "-n", "50", "--replications", "5", "-o", "b", "--report", "five.html"], "wait "),
        (["simulate", "bank", "-n", "50", "--sweep", "tellers=3,4", "--replications", "2"], "tellers=4"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        assert said in capsys.readouterr().out
    assert "4 servers" in Path("bank.html").read_text()
    assert "over 5 independent runs" in Path("five.html").read_text()
    assert pl.read_csv("b/indicators.csv").equals(Scenario.load("bank").replicated(5, 50), null_equal=True)
    assert sorted(p.name for p in Path("bank-simulated").iterdir()) == [
        f"{name}.csv" for name in ("cases", "indicators", "log", "series")
    ]


def test_a_simpy_script_records_its_tables() -> None:
    simpy = pytest.importorskip("simpy")
    env = simpy.Environment()
    recorder = vs.Recorder(env, start="2025-01-06T09:00", seed=3)

    def customer(number: int, tellers: Any) -> Any:
        came = env.now
        with tellers.request() as request:
            yield request
            recorder.record("customers", number=number, waited=env.now - came)
            yield env.timeout(recorder.random.exponential(10))

    def source(tellers: Any) -> Any:
        for number in range(4_000):
            yield env.timeout(recorder.random.exponential(5))
            env.process(customer(number, tellers))

    env.process(source(simpy.Resource(env, 3)))
    env.run()
    table = recorder.tables()["customers"]
    assert table.schema["time"] == pl.Datetime("us")
    ours = Scenario.load("bank").run(50_000, seed=1)
    parts = [p.mean() for p in np.array_split(table["waited"].to_numpy(), 10)]
    truth = 4 / 9 * 10  # Erlang C of load 2 at three servers, over 3 - 2 services of ten minutes
    assert abs(np.mean(parts) - truth) < 4.5 * np.std(parts) / sqrt(10)
    low, high = ours.indicators.filter(indicator="wait").select("low", "high").row(0)
    assert low - 0.5 < truth < high + 0.5


@pytest.mark.parametrize("engine", ["recursion", "calendar"])
def test_where_nobody_comes_there_are_tables_without_rows(engine: str) -> None:
    scenario = Scenario.load("bank")
    none, some = scenario.run(0, engine=engine), scenario.run(5, engine=engine)
    for name, frame in none.tables.items():
        assert frame.is_empty()
        assert frame.schema == some.tables[name].schema
    assert none.indicators.is_empty()
