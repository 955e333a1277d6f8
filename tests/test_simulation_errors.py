"""Simulation: what is wrong in a scenario is said with its place, before it runs where that can be known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from verosim.errors import ArgumentError, DataError, SchemaError, VerosimError
from verosim.simulation import ENGINES, Scenario

GOOD = "sources: {a: {every: 1}}\nstations:\n  desk: {servers: 1, service: 0.5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + ", next: dsk}", "line 3: stations.desk.next: no station 'dsk'; did you mean 'desk'"),
        (GOOD + ", next: {desk: 0.5, exit: 0.4}}", "sum to 0.9, not to 1"),
        (GOOD + ", next: desk}", "cases never leave desk -> desk"),
        (
            "sources: {a: {every: 1}}\nstations: {x: {next: y}, y: {next: x}}",
            "endless loop that takes no time: x -> y -> x",
        ),
        (GOOD + ", serverss: 2}", "unknown key 'serverss'; did you mean 'servers'"),
        (GOOD + ", queue: random}", "one of 'fifo', 'lifo', 'priority'"),
        (GOOD + ", queue: priority}", "`priority` is missing"),
        (GOOD + ", capacity: 0}", "a whole number from 1"),
        (GOOD + ", needs: {nurse: 1}}", "no resource 'nurse'"),
        (GOOD + ", full: wait}", "`full: wait` is for stations with a `capacity`"),
        ("sources: {a: {every: 0}}\nstations: {x: {}}", "a time between arrivals is over 0"),
        ("sources: {a: {rate: 1, every: 2}}\nstations: {x: {}}", "one of every, rate"),
        ("sources: {a: {rate: 0}}\nstations: {x: {}}", "a rate is over 0"),
        ("sources: {a: {every: 1}}\nstations: {x: {service: -2}}", "a time is not negative; its mean is -2"),
        ("sources: {a: {every: 1}}\nstations: {x: {service: 'ag * 2'}}", "ag"),
        ("stations: {x: {}}", "nobody comes"),
        ("unit: weeks\nstations: {x: {}}", "one of 'seconds', 'minutes'"),
        ("zone: Mars/Base\nsources: {a: {every: 1}}\nstations: {x: {}}", "no time zone 'Mars/Base'"),
        ("start: soon\nsources: {a: {every: 1}}\nstations: {x: {}}", "a date and time such as"),
        ("about: nothing", "nothing happens"),
        ("verosim: scenario 2", "this verosim reads 'scenario 1'"),
        ("[1, 2]", "a scenario was wanted"),
        ("stations: {x: [", "not valid YAML"),
        ("until: -5\n" + GOOD + "}", "line 1: until: a time over 0"),
        ("until: 5\nwarmup: 9\n" + GOOD + "}", "before `until`"),
        ("cases: -3\n" + GOOD + "}", "from 0 up was wanted, not -3"),
        ("sources: {a: {every: 1, start: -5}}\nstations: {x: {}}", "sources.a.start: a time is not negative"),
        ("sources: {a: {every: 1, start: 5, until: 3}}\nstations: {x: {}}", "ends at 3, before it starts at 5"),
        (
            "sources: {a: {rate: 1, hours: [1, 2]}}\nstations: {x: {}}",
            "sources.a.hours: `hours` are 24 factors",
        ),
        ("sources: {a: {every: 1, hours: [1, 2]}}\nstations: {x: {}}", "factors of a `rate`"),
        ("sources: {a: {at: ['2024-01-01']}}\nstations: {x: {}}", "an arrival is before it"),
        ("sources: {a: {population: 100000000000}}\nstations: {x: {}}", "1 to 100,000,000"),
        ("sources: {a: {every: 1, batch: 1.5}}\nstations: {x: {}}", "whole number of cases from 0 up, not 1.5"),
        ("sources: {a: {every: 1, batch: 1000000000}}\nstations: {x: {}}", "not over 100,000,000"),
        (GOOD.replace("servers: 1", "servers: [{servers: 1, hours: [8, 30]}]") + "}", "two hours from 0 to 24"),
        (GOOD.replace("servers: 1", "servers: [{servers: 1, weekdays: [0]}]") + "}", "days from 1, Monday, to 7"),
        (GOOD.replace("servers: 1", "servers: []") + "}", "there are no shifts"),
        ("parameters: {n: 2.7}\n" + GOOD.replace("servers: 1", "servers: n") + "}", "a whole number from 1"),
        (GOOD + ", batch: {size: 50}}", "10 wait at 'desk' for a batch of 50 (give `batch` a `wait`)"),
        (GOOD + ", breaks: {up: 1.0e-9, down: 1.0e-9}}", "a server breaks over 500,000 times"),
        ("attributes: {t: 1}\n" + GOOD + ", sets: {t: t * 0.5}}", "begin with a decimal, such as 1.0"),
        ("attributes: {t: 1}\n" + GOOD + ", sets: {t: \"'abc'\"}}", "stations.desk.sets.t: 't' holds Int64, and this"),
        ("attributes: {waited: 1}\n" + GOOD + "}", "a column that each case has anyway"),
        ("stocks: {m: {start: 3, at: 1, upto: 4}}\n" + GOOD + ", takes: {m: -1}}", "`takes m` is -1"),
        ("unit: days\nsources: {a: {every: 1.0e12}}\nstations: {x: {}}", "over 7,000 years from the start"),
        (
            "until: 9\nsources: {a: {every: 1}}\nstations: {x: {service: 1, next: y}, y: {next: y}}",
            "endless loop that takes no time: y -> y",
        ),
        (
            "sources: {a: {every: 1}}\nstations: {x: {next: [{when: '1 = 1', to: y}, {to: exit}]}, y: {next: x}}",
            "row 0: an endless loop that takes no time: x -> y -> x; over 1,000 steps",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(VerosimError) as error:
        Scenario.parse(text, "bad.yaml").run(10)
    assert said in str(error.value)
    assert "\0" not in str(error.value)


def test_an_unstable_queue_is_noted_with_its_load() -> None:
    scenario = Scenario({"sources": {"a": {"every": 1}}, "stations": {"desk": {"servers": 2, "service": 3}}})
    (note,) = scenario.notes
    assert "'desk' is unstable: its load is 1.50" in note
    assert scenario.run(10).notes == scenario.notes


@pytest.mark.parametrize(
    ("stations", "load"),
    [
        ({"desk": {"servers": 1, "service": "exponential(1.5 + kind)"}}, 2.0),
        ({"door": {"next": [{"when": "kind = 1", "to": "desk"}, {"to": "exit"}]},
          "desk": {"servers": 1, "service": 4}}, 2.0),
        ({"desk": {"servers": [{"servers": 3, "hours": [22, 6]}], "service": 2}}, 2.0),
        ({"desk": {"servers": 1, "service": 2, "breaks": {"up": {"exponential": 5}, "down": 15}}}, 8.0),
    ],
)  # fmt: skip
def test_the_load_is_known_also_of_what_differs_from_case_to_case(stations: Any, load: float) -> None:
    sources = {"a": {"rate": 2.0, "hours": [0.0] * 12 + [1.0] * 12}}
    scenario = Scenario({"attributes": {"kind": {"bernoulli": 0.5}}, "sources": sources, "stations": stations})
    (note,) = scenario.notes
    found = float(note.split("its load is ")[1].split(" ")[0])
    assert abs(found - load) < 0.15


def test_engines_say_what_they_cannot() -> None:
    scenario = Scenario({"sources": {"a": {"every": 1}}, "stations": {"desk": {"servers": 2, "patience": 3}}})
    with pytest.raises(ArgumentError, match="station 'desk' has `patience`"):
        scenario.run(10, engine="recursion")
    with pytest.raises(ArgumentError, match="did you mean 'fast'"):
        scenario.run(10, engine="fats")
    assert scenario.engine(10) == "calendar"
    assert "recursion" in ENGINES


def test_sweeps_and_pages_are_of_stations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from verosim.cli import main

    out, page = str(tmp_path / "out"), str(tmp_path / "page.html")
    for arguments, code, said in (
        (["iot_sensors", "--sweep", "readings=3,4"], 2, "this scenario has none"),
        (["iot_sensors", "--report", page], 2, "this scenario has none"),
        (["bank", "--sweep", "tellers"], 2, "NAME=A,B was wanted"),
        (["bank", "--report", str(tmp_path / "no" / "page.html")], 2, "there is no folder"),
        (["bank", "-n", "0", "--report", page], 0, "no page: nobody came"),
        (["bank", "-n", "0", "--sweep", "tellers=3", "--replications", "2"], 0, "unknown"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["simulate", *arguments, "-o", out])
        assert stopped.value.code == code
        written = capsys.readouterr()
        assert said in written.out + written.err


def test_schema_errors_of_steps() -> None:
    for text, said in (
        ("populations: {p: {size: 5, until: 3, start: {}, states: {a: [{to: b, rate: 1}]}}}", "no state 'b'"),
        ("sensors: {s: {count: 1, every: 1, until: 5, channels: {x: {follows: {y: 1}}}}}", "no channel 'y'"),
        ("ledgers: {l: {accounts: 1, until: 5, balance: 3, payments: {}}}", "two accounts or more"),
        ("ledgers: {l: {accounts: 9, until: 1.0e+15, balance: 3, payments: {p: {rate: 1, amount: 1}}}}", "100,000,000"),
        ("sensors: {s: {count: 1, every: 1.0e-9, until: 1.0e+9, channels: {x: {}}}}", "100,000,000 readings"),
        ("populations: {p: {size: 1000000000000, until: 3, start: {}, states: {a: []}}}", "100,000,000 entities"),
        ("populations: {p: {size: 5, until: 3, start: {a: 0.7, b: 0.7}, states: {a: [], b: []}}}", "sum to 1.4"),
        ("populations: {p: {size: 5, until: 3, start: {a: -1}, states: {a: []}}}", "-1 cannot start"),
    ):
        with pytest.raises(SchemaError, match=said):
            Scenario.parse(text)


def test_nobody_ever_coming_and_more_than_memory_holds_are_refused() -> None:
    stations = {"desk": {"servers": 1, "service": 2}}
    empty = {"sources": {"a": {"rate": 0.5, "batch": 0}}, "stations": stations}
    with pytest.raises(DataError, match="batches with nobody in them"):
        Scenario(empty).run(10)
    assert Scenario({**empty, "until": 60}).run().cases.is_empty()
    with pytest.raises(ArgumentError, match="at most 100,000,000 are held in memory"):
        Scenario({"sources": {"a": {"every": 3}}, "stations": stations}).run(10**12)


def test_intervals_end_where_indicators_do() -> None:
    scenario = {"sources": {"a": {"every": {"exponential": 3}}}, "stations": {"desk": {"servers": 1, "service": 1}}}
    found = Scenario(scenario).run(300).indicators
    assert found["low"].min() == 0
    assert found.filter(pl.col("indicator").is_in(["served", "utilisation", "waiting_share"]))["high"].max() == 1


def test_series_go_by_round_steps_or_those_asked_for() -> None:
    found = Scenario({"sources": {"a": {"every": 3}}, "stations": {"desk": {"servers": 1, "service": 2}}}).run(1_000)
    times = found.series()["time"]
    assert times[1] - times[0] == dt.timedelta(minutes=10)  # of 3,002 minutes in 500 parts: 6, so 10
    assert found.series(1_000)["waiting"].len() == 4
    for every in (0, -1, float("nan"), 1e-9):
        with pytest.raises(ArgumentError, match="a step over 0 was wanted"):
            found.series(every)
