"""How fast are simulations, against SimPy in the same run, and how much memory does a very long one take?

    python benchmarks/simulation.py [--events 100000000] [--out FILE.json]

CPU seconds are of this process, all threads; each case runs once before it is timed, so that compiled code is there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from spent import machine, spent
from verosim.simulation import Scenario

CUSTOMERS = 100_000
RATE, SERVERS = 2.7, 3
MM3 = {
    "sources": {"people": {"rate": RATE}},
    "stations": {"desk": {"servers": SERVERS, "service": {"exponential": 1}}},
}
NETWORK = Path(__file__).parents[1] / "examples" / "scenarios" / "network.yaml"
STREAMED = """
from verosim.simulation import Scenario
done = Scenario.load(a[0]).save(a[1], int(a[2]), format="parquet")
print(done.rows["cases"] + done.rows["log"])
"""


def simpy_mm3(customers: int, seed: int = 1) -> float:
    """The mean wait of an M/M/3 queue in plain SimPy."""
    import random

    import simpy

    rng, env, waits = random.Random(seed), simpy.Environment(), []
    desk = simpy.Resource(env, SERVERS)

    def customer() -> Any:
        came = env.now
        with desk.request() as request:
            yield request
            waits.append(env.now - came)
            yield env.timeout(rng.expovariate(1))

    def source() -> Any:
        for _ in range(customers):
            yield env.timeout(rng.expovariate(RATE))
            env.process(customer())

    env.process(source())
    env.run()
    return sum(waits) / len(waits)


def cpu(work: Callable[[], Any], times: int = 3) -> float:
    """The least CPU seconds of several runs."""
    spans = []
    for _ in range(times):
        begin = time.process_time()
        work()
        spans.append(time.process_time() - begin)
    return min(spans)


def measured(events: int) -> list[dict[str, Any]]:
    queue, network = Scenario(MM3), Scenario.load(NETWORK)
    for scenario in (queue, network):
        scenario.run(50_000, seed=1)
        scenario.run(50_000, seed=1, engine="fast")
    theirs = CUSTOMERS / cpu(lambda: simpy_mm3(CUSTOMERS))
    rows = [{"what": "M/M/3, 100,000 customers: SimPy 4", "value": theirs, "unit": "customers a CPU s"}]
    for engine in ("auto", "fast", "calendar"):
        ours = CUSTOMERS / cpu(lambda engine=engine: queue.run(CUSTOMERS, seed=1, engine=engine))
        rows.append(
            {
                "what": f"the same, engine {engine}: all tables",
                "value": ours,
                "unit": "customers a CPU s",
                "times": ours / theirs,
            }
        )
    rows[1] |= {"bar": "at least 20 times SimPy", "met": rows[1]["times"] >= 20}
    cases = 500_000
    log = network.run(cases, seed=1).log.height
    speed = (cases + log) / cpu(lambda: network.run(cases, seed=1))
    rows.append({"what": "four stations, full log: arrivals and completions", "value": speed, "unit": "events a CPU s",
                 "bar": "at least 1,000,000", "met": speed >= 1e6})  # fmt: skip
    rows.append(streamed(events))
    return rows


def streamed(events: int) -> dict[str, Any]:
    """The network to Parquet, in a process of its own."""
    import sys

    with tempfile.TemporaryDirectory() as folder:
        code = f"import sys; a = sys.argv[1:]\n{STREAMED}"
        cost = spent(sys.executable, "-c", code, str(NETWORK), str(Path(folder) / "out"), str(int(events / 4.75)))
    return {
        "what": f"{int(cost.output.split()[-1]):,} events to Parquet",
        "value": cost.peak_mb,
        "unit": "MB at its peak",
        "cpu_s": cost.cpu_s,
        "wall_s": cost.wall_s,
        "bar": "under 2,000 MB",
        "met": cost.peak_mb < 2000,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=float, default=1e8)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / f"simulation-{date.today()}.json"
    )
    chosen = parser.parse_args()
    found = measured(int(chosen.events))
    for row in found:
        times = f"  {row['times']:.1f} times SimPy" if "times" in row else ""
        bar = f"  ({row['bar']}: {'met' if row['met'] else 'NOT met'})" if "bar" in row else ""
        print(f"{row['what']:56}{row['value']:14,.0f} {row['unit']}{times}{bar}")
    chosen.out.write_text(json.dumps({"machine": machine(), "results": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
