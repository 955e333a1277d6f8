"""Simulation: queues whose truth is known, laws that hold exactly in any log, engines that agree."""

from __future__ import annotations

from math import exp, factorial, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.simulation import Scenario, Simulated, fast

ENGINES = ["calendar", *(["fast"] if fast.available() else [])]
EXAMPLES = Path(__file__).parents[1] / "examples" / "scenarios"
NETWORK, WORKSHOP = (Scenario.load(EXAMPLES / f"{name}.yaml") for name in ("network", "workshop"))
SIGMAS = 4.5  # of a mean over independent parts: one test in 150,000 fails by chance


def queue(rate: float = 0.9, service: Any = None, servers: Any = 1, **station: Any) -> dict[str, Any]:
    """One station, arrivals at random."""
    service = {"exponential": 1} if service is None else service
    return {
        "sources": {"people": {"rate": rate}},
        "stations": {"desk": {"servers": servers, "service": service, **station}},
    }


def wait_of(run: Simulated) -> tuple[float, float]:
    """The mean wait and its standard error, from 20 parts of the run."""
    return of(run, "wait")


def of(run: Simulated, indicator: str, station: str = "desk") -> tuple[float, float]:
    values = run.measured(20)[station, indicator][1:]  # the first part starts empty
    return float(values.mean()), float(values.std(ddof=1)) / sqrt(len(values))


def assert_near(found: tuple[float, float], truth: float) -> None:
    value, error = found
    assert abs(value - truth) < SIGMAS * error + 1e-9, f"{value:.4f} +- {error:.4f}, in truth {truth:.4f}"


def erlang_b(load: float, servers: int) -> float:
    terms = [load**k / factorial(k) for k in range(servers + 1)]
    return terms[-1] / sum(terms)


def erlang_c(load: float, servers: int) -> float:
    b = erlang_b(load, servers)
    return b / (1 - load / servers * (1 - b))


def birth_and_death(up: list[float], down: list[float]) -> np.ndarray:
    """The shares of time in the states 0 .. n of a chain with these rates."""
    shares = np.cumprod([1.0, *(u / d for u, d in zip(up, down, strict=True))])
    return shares / shares.sum()


# ------------------------------------------------------------------------------------------------ queues that are known


def test_mm1() -> None:
    run = Scenario(queue(0.7)).run(200_000, seed=1)
    assert_near(wait_of(run), 0.7 / (1 - 0.7))
    assert_near(of(run, "utilisation"), 0.7)
    assert_near(of(run, "waiting_share"), 0.7)  # arrivals at random see time averages


def test_mmc_is_erlang_c() -> None:
    run = Scenario(queue(2.4, servers=3)).run(200_000, seed=2)
    c = erlang_c(2.4, 3)
    assert_near(of(run, "waiting_share"), c)
    assert_near(wait_of(run), c / (3 - 2.4))
    waits = run.visits["start"] - run.visits["enqueue"]
    parts = [(part > 1.0).mean() for part in np.array_split(waits, 20)]
    assert_near((float(np.mean(parts)), float(np.std(parts)) / sqrt(20)), c * exp(-(3 - 2.4)))


@pytest.mark.parametrize(("service", "square"), [(1, 0.0), ({"uniform": [0, 2]}, 1 / 3), ({"gamma": [0.5, 2]}, 2.0)])
def test_md1_and_mg1_are_pollaczek_khinchine(service: Any, square: float) -> None:
    run = Scenario(queue(0.6, service)).run(150_000, seed=3)
    assert_near(wait_of(run), 0.6 * (1 + square) / (2 * (1 - 0.6)))


@pytest.mark.parametrize("engine", ENGINES)
def test_mmcc_is_erlang_b(engine: str) -> None:
    run = Scenario(queue(3.0, servers=4, capacity=4)).run(25_000, seed=4, engine=engine)
    assert_near(of(run, "turned_away"), erlang_b(3.0, 4))


def test_mmck() -> None:
    run = Scenario(queue(2.5, servers=2, capacity=5)).run(25_000, seed=5, engine="calendar")
    shares = birth_and_death([2.5] * 5, [1, 2, 2, 2, 2])
    assert_near(of(run, "turned_away"), shares[-1])
    assert_near(of(run, "inside"), float(shares @ np.arange(6)))


def test_mmc_with_impatience_is_erlang_a() -> None:
    run = Scenario(queue(4.0, servers=3, patience={"exponential": 2})).run(25_000, seed=6, engine="calendar")
    shares = birth_and_death([4.0] * 60, [min(k, 3) + max(k - 3, 0) / 2 for k in range(1, 61)])
    waiting = float(shares @ np.maximum(np.arange(61) - 3, 0))
    assert_near(of(run, "queue"), waiting)
    assert_near(of(run, "reneged"), waiting / 2 / 4.0)


def test_balking_at_a_length_is_a_smaller_place() -> None:
    run = Scenario(queue(1.5, balk=3)).run(20_000, seed=7, engine="calendar")
    assert_near(of(run, "balked"), birth_and_death([1.5] * 4, [1] * 4)[-1])


def test_no_limit_of_servers_is_poisson() -> None:
    run = Scenario(queue(5.0, {"gamma": [2, 0.5]}, servers=None)).run(100_000, seed=8)
    assert_near(of(run, "inside"), 5.0)
    assert wait_of(run)[0] == 0


def test_jackson_network() -> None:
    run = NETWORK.run(60_000 if "fast" in ENGINES else 15_000, seed=9)
    rates = {"a": 1.25, "b": 0.625, "c": 0.625, "d": 1.25}
    for station, (mean, servers) in {"a": (0.5, 1), "b": (0.8, 1), "c": (1.5, 2), "d": (0.4, 1)}.items():
        load = rates[station] * mean
        assert_near(of(run, "utilisation", station), load / servers)
        assert_near(of(run, "wait", station), erlang_c(load, servers) * mean / (servers - load))


def test_machine_repair() -> None:
    """Five machines that run for 10 hours, two who repair one in 2: a closed circle of cases."""
    circle = {
        "until": 12_000,
        "sources": {"machines": {"population": 5}},
        "stations": {
            "runs": {"service": {"exponential": 10}, "next": "repair"},
            "repair": {"servers": 2, "service": {"exponential": 2}, "next": "runs"},
        },
    }
    run = Scenario(circle).run(seed=10, engine="calendar")
    shares = birth_and_death([(5 - k) / 10 for k in range(5)], [min(k, 2) / 2 for k in range(1, 6)])
    assert_near(of(run, "inside", "repair"), float(shares @ np.arange(6)))
    assert_near(of(run, "queue", "repair"), float(shares @ np.maximum(np.arange(6) - 2, 0)))


def test_priorities_follow_cobham() -> None:
    scenario = queue(0.8, queue="priority", priority="urgent")
    scenario["attributes"] = {"urgent": {"choice": {1: 0.5, 2: 0.5}}}
    run = Scenario(scenario).run(30_000, seed=11, engine="calendar")
    for urgent, truth in ((1, 0.8 / (1 - 0.4)), (2, 0.8 / ((1 - 0.4) * (1 - 0.8)))):
        waits = run.cases.filter(urgent=urgent)["waited"].to_numpy()
        parts = [p.mean() for p in np.array_split(waits, 20)]
        assert_near((float(np.mean(parts)), float(np.std(parts, ddof=1)) / sqrt(20)), truth)


@pytest.mark.parametrize("how", ["resume", "restart"])
def test_the_urgent_do_not_see_the_others_where_they_interrupt(how: str) -> None:
    scenario = queue(0.6, queue="priority", priority="urgent", preempt=how)
    scenario["attributes"] = {"urgent": {"choice": {1: 0.5, 2: 0.5}}}
    run = Scenario(scenario).run(20_000, seed=12, engine="calendar")
    urgent = run.cases.filter(urgent=1)["stayed"].to_numpy()
    parts = [p.mean() for p in np.array_split(urgent, 20)]
    assert_near((float(np.mean(parts)), float(np.std(parts, ddof=1)) / sqrt(20)), 1 / (1 - 0.3))  # M/M/1 of its own
    assert run.log["interruptions"].sum() > 0


def test_breakdowns_take_their_share_of_the_time() -> None:
    scenario = queue(5.0, {"exponential": 1}, capacity=3, interrupted="resume")
    scenario["stations"]["desk"]["breaks"] = {"up": {"exponential": 30}, "down": {"exponential": 10}}
    run = Scenario(scenario).run(60_000, seed=13)
    up = birth_and_death([5.0] * 3, [1] * 3)  # nearly always busy while it is up
    assert 0.6 < of(run, "utilisation")[0] < 1
    served = run.log.filter(outcome="served")
    worked = served.height * 1.0  # a mean hour each
    assert abs(worked / run.end - 0.75 * (1 - up[0])) < 0.06


# ------------------------------------------------------------------------------------------------ laws of any log


@pytest.mark.parametrize("seed", range(3))
def test_littles_law_is_exact_on_the_log(seed: int) -> None:
    """The time integral of the number inside, counted event by event, is the sum of all stays, to the microsecond."""
    log = NETWORK.run(2_000, seed=seed, engine="calendar").log
    come, gone = (log[k].to_physical().to_numpy() for k in ("enqueue", "complete"))
    times = np.concatenate([come, gone])
    order = np.argsort(times, kind="stable")
    inside = np.cumsum(np.repeat([1, -1], len(log))[order])
    assert int((inside[:-1] * np.diff(times[order])).sum()) == int((gone - come).sum())
    assert inside[-1] == 0


@pytest.mark.parametrize(
    "station", [{}, {"capacity": 4}, {"patience": {"exponential": 1}}, {"balk": {"geometric": 0.5}}, {"queue": "lifo"}]
)
def test_flow_is_conserved(station: dict[str, Any]) -> None:
    run = Scenario(queue(2.5, servers=2, **station)).run(3_000, seed=1, engine="calendar")
    assert run.cases.height == run.log.height == 3_000
    assert run.cases["left"].null_count() == 0
    served = run.log.filter(outcome="served")
    assert served.filter((pl.col("start") < pl.col("enqueue")) | (pl.col("complete") < pl.col("start"))).is_empty()
    for _, rows in served.sort("start").group_by("resource"):
        assert (rows["start"][1:] >= rows["complete"][:-1]).all(), "one server, one case at a time"


def test_first_come_first_served() -> None:
    log = Scenario(queue(2.5, servers=3)).run(3_000, seed=1, engine="calendar").log
    assert log.sort("enqueue")["start"].is_sorted()


# ------------------------------------------------------------------------------------------------ engines agree


@pytest.mark.parametrize("servers", [1, 3])
def test_recursion_and_calendar_agree(servers: int) -> None:
    scenario = Scenario(queue(0.9 * servers, servers=servers))
    closed, events = (scenario.run(5_000, seed=1, engine=e) for e in ("recursion", "calendar"))
    for name in ("enqueue", "start", "complete"):
        np.testing.assert_allclose(closed.visits[name], events.visits[name], rtol=1e-12)
    assert closed.log["resource"].equals(events.log["resource"])


@pytest.mark.skipif("fast" not in ENGINES, reason="numba is not installed")
def test_python_and_compiled_calendars_agree_to_the_last_bit() -> None:
    plain, compiled = (WORKSHOP.run(seed=3, engine=e) for e in ("calendar", "fast"))
    assert plain.log.equals(compiled.log)
    assert plain.cases.equals(compiled.cases)
    assert plain.tables["orders"].equals(compiled.tables["orders"])
    assert plain.log.height > 5_000


def test_the_same_seed_gives_the_same_rows() -> None:
    first, again, other = (WORKSHOP.run(300, seed=s) for s in (1, 1, 2))
    assert first.log.equals(again.log)
    assert not first.log.equals(other.log)


def test_other_servers_meet_the_same_customers() -> None:
    base = Scenario(queue(2.5, servers=3))
    more = base.having({"desk": 4})
    few, many = (s.run(2_000, seed=1) for s in (base, more))
    assert few.cases["arrival"].equals(many.cases["arrival"])
    service = [r.visits["complete"] - r.visits["start"] for r in (few, many)]
    np.testing.assert_allclose(service[0], service[1], atol=1e-9)
    assert many.cases["waited"].mean() < few.cases["waited"].mean()


# ------------------------------------------------------------------------------------------------ any scenario


def sometimes(values: Any) -> st.SearchStrategy[Any]:
    return st.none() | values


TIMES = st.sampled_from([0, 1, {"exponential": 1}, {"uniform": [0, 3]}])
STATIONS = st.fixed_dictionaries(
    {
        "service": TIMES,
        "servers": sometimes(st.integers(1, 3)),
        "queue": st.sampled_from(["fifo", "lifo", "priority"]),
        "priority": st.just({"choice": [1, 2, 3]}),
        "capacity": sometimes(st.integers(3, 6)),
        "full": st.sampled_from(["leave", "skip"]),
        "balk": sometimes(st.integers(0, 4)),
        "patience": sometimes(TIMES),
        "lost": st.sampled_from(["leave", "skip"]),
        "needs": st.sampled_from([{}, {"room": 1}, {"room": 2}]),
        "next": st.sampled_from(["exit", {"a": 0.3, "b": 0.3, "exit": 0.4}, {"b": 0.5, "exit": 0.5}]),
    }
)


@given(a=STATIONS, b=STATIONS, seed=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_whatever_the_scenario_nobody_is_lost_and_nothing_is_overfull(a: Any, b: Any, seed: int) -> None:
    stations = {"a": a, "b": b}
    scenario = {"resources": {"room": 2}, "sources": {"door": {"rate": 1.5}}, "stations": stations}
    run = Scenario(scenario).run(120, seed=seed, engine="calendar")
    assert run.cases["left"].null_count() == 0
    assert run.log["case"].n_unique() == 120
    v, rooms = run.visits, []
    for i, station in enumerate(stations.values()):
        served = (v["station"] == i) & ~np.isnan(v["start"])
        start, complete = v["start"][served], v["complete"][served]
        assert (start >= v["enqueue"][served]).all()
        assert most_at_once(start, complete) <= (station["servers"] or 120)
        inside = (v["station"] == i) & (v["outcome"] != 4)  # all but those who found no place
        assert most_at_once(v["enqueue"][inside], v["complete"][inside]) <= (station["capacity"] or 240)
        rooms += [(start, complete)] * station["needs"].get("room", 0)
    for (_, indicator), values in run.measured().items():
        assert indicator != "utilisation" or not values[0] > 1 + 1e-9
    if rooms:
        assert most_at_once(*(np.concatenate([r[i] for r in rooms]) for i in (0, 1))) <= 2


def most_at_once(begin: np.ndarray, end: np.ndarray) -> int:
    """How many of these spans overlap at most, those without length left out."""
    long = end > begin
    times = np.concatenate([end[long], begin[long]])
    steps = np.repeat([-1, 1], int(long.sum()))
    return int(np.cumsum(steps[np.lexsort((steps, times))]).max(initial=0))
