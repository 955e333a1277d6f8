"""How real are synthetic sequences, and how long do they take? Written to results/sequences-DATE.json.

    python benchmarks/sequences.py [energy occupancy stocks sines long steps sepsis helpdesk million] [--quick]

Published protocol: sequence_scores.py (needs PyTorch). Everything else is verosim's own report, on a hold-out that the
engine never saw: whole cases, or blocks of a long series. `--quick`: fewer steps and runs of the judges, nothing kept.
Each set is written into the file of the day, beside those measured before. `long` and `steps` are for time only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import verosim as vs
from verosim import files
from verosim.draws import stream
from verosim.evaluation import Case, measure, sequences
from verosim.infer import infer
from verosim.schema import Schema, Sequence, Table
from verosim.sequences import cuts_of
from verosim.synthesizer import split

HERE = Path(__file__).parent
SHARED = next((p / "shared" for p in (HERE.parents[0], HERE.parents[1]) if (p / "shared").is_dir()), HERE / "shared")
DATA = SHARED / "data" / "sequential"
HELD = 0.2
WIDTH = 24
DRAWS = 5  # samples of one model, over which the distances of a log are averaged
BARS = {
    "energy": {
        "discriminative": 0.10, "auc_windows": 0.65, "autocorrelation, whole": 0.05,
        "cross-correlation, whole": 0.05, "cpu_s": 300,
    },
    "occupancy": {"auc_windows": 0.60, "autocorrelation, whole": 0.05, "cross-correlation, whole": 0.05},
    "stocks": {"discriminative": 0.06, "autocorrelation, whole": 0.05, "cross-correlation, whole": 0.05},
    "sines": {"discriminative": 0.01},
    "sepsis": {"n-grams, times real": 1.25, "cycle time, times real": 1.5, "cpu_s": 60},
    "helpdesk": {"n-grams, times real": 1.25, "cycle time, times real": 1.5, "cpu_s": 60},
    "long": {},
    "steps": {},
    "million": {},
}  # fmt: skip
TIMED = ("long", "steps", "million")  # only fit and sample

# ------------------------------------------------------------------------------------------------- data


def energy() -> pl.DataFrame:
    """19,735 rows x 28, every ten minutes; the file has no time, its source says when it begins."""
    return files.read(DATA / "energy_appliances" / "energy_data.csv").dataset["energy_data"]


def occupancy() -> pl.DataFrame:
    return files.read(DATA / "occupancy_iot" / "datatraining.csv").dataset["datatraining"]


def stocks() -> pl.DataFrame:
    """3,685 business days x 6: a price with changing volatility, its day's range, and volume that follows it."""
    rng, n = stream(1, "stocks"), 3685
    calm = np.zeros(n)
    for i in range(1, n):
        calm[i] = 0.97 * calm[i - 1] + 0.2 * rng.normal()
    sd = 0.012 * np.exp(calm / 2)
    close = 50 * np.exp(np.cumsum(0.0006 + sd * rng.standard_t(5, n) * 0.77))
    open_ = np.append(close[0], close[:-1]) * np.exp(0.3 * sd * rng.normal(size=n))
    high = np.maximum(open_, close) * np.exp(0.5 * sd * rng.exponential(size=n))
    low = np.minimum(open_, close) * np.exp(-0.5 * sd * rng.exponential(size=n))
    volume = np.rint(1e6 * np.exp(0.6 * calm + 0.3 * rng.normal(size=n)))
    days = pl.date_range(date(2004, 1, 1), date(2024, 1, 1), eager=True)
    days = days.filter(days.dt.weekday() <= 5)[:n]
    names = {"open": open_, "high": high, "low": low, "close": close, "adjusted": close * 0.98}
    return pl.DataFrame({"day": days, **{k: v.round(6) for k, v in names.items()}, "volume": volume.astype(np.int64)})


def sines() -> pl.DataFrame:
    """10,000 sequences of 24 steps x 5, each column with a frequency and a phase of its own (as in TimeGAN's code)."""
    rng, n, d = stream(1, "sines"), 10_000, 5
    frequency, phase = rng.uniform(0, 0.1, (n, 1, d)), rng.uniform(0, 0.1, (n, 1, d))
    values = (np.sin(frequency * np.arange(WIDTH)[:, None] + phase) + 1) / 2
    columns = {f"x{k + 1}": values[:, :, k].ravel() for k in range(d)}
    return pl.DataFrame({"series": np.repeat(np.arange(n), WIDTH), "step": np.tile(np.arange(WIDTH), n), **columns})


def long(n: int = 100_000) -> pl.DataFrame:
    """One series of hours: a load with a day and a week, what it costs, and a state."""
    rng, hours = stream(1, "long"), np.arange(n)
    wave = np.sin(hours * 2 * np.pi / 24) + 0.4 * np.sin(hours * 2 * np.pi / 168)
    kernel = 0.95 ** np.arange(200)
    slow = np.convolve(rng.normal(size=n + 199), kernel, "valid")
    load = 100 + 20 * wave + 2 * slow
    times = datetime(1990, 1, 1) + pl.select(pl.duration(hours=pl.int_range(n))).to_series()
    state = np.where(load > 120, "high", np.where(load < 80, "low", "usual"))
    return pl.DataFrame({"at": times, "load": load.round(2), "cost": (load * 0.3 + slow).round(2), "state": state})


def steps() -> pl.DataFrame:
    return long(1_000_000)


def sepsis() -> pl.DataFrame:
    frame = files.read(DATA / "sepsis_log" / "sepsis.csv").dataset["sepsis"]
    return frame.select("case_id", "activity", "resource", "timestamp")


def helpdesk() -> pl.DataFrame:
    frame = pl.read_csv(DATA / "helpdesk_log" / "helpdesk.csv")  # one name stands twice in its header
    time = pl.col("Complete Timestamp").str.to_datetime("%Y/%m/%d %H:%M:%S%.f")
    return frame.select("Case ID", "Activity", "Resource", time)


def million(n: int = 1_000_000) -> pl.DataFrame:
    """About n events of cases: register, work some times, close; hours in between."""
    rng = stream(1, "million")
    cases = n // 6
    lengths = rng.integers(2, 11, cases)
    case = np.repeat(np.arange(cases), lengths)
    place = np.arange(len(case)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    middle = np.array(["call", "check", "write"])[rng.integers(0, 3, len(case))]
    last = place == np.repeat(lengths, lengths) - 1
    what = np.where(place == 0, "register", np.where(last, "close", middle))
    hours = rng.exponential(5, len(case))
    start = np.repeat(rng.uniform(0, 24 * 700, cases), lengths)
    since = np.cumsum(hours) - np.repeat(np.cumsum(hours)[np.cumsum(lengths) - lengths], lengths)
    at = np.datetime64("2022-01-01T00:00:00", "us") + ((start + since) * 3600).astype(np.int64).astype("timedelta64[s]")
    return pl.DataFrame(
        {"case": [f"c{i}" for i in case.tolist()], "what": what, "at": at, "size": rng.poisson(4, len(case))}
    )


LOGS = {
    "sepsis": Sequence(time="timestamp", key="case_id", activity="activity", resource="resource"),
    "helpdesk": Sequence(time="Complete Timestamp", key="Case ID", activity="Activity", resource="Resource"),
    "million": Sequence(time="at", key="case", activity="what"),
}

# ------------------------------------------------------------------------------------------------- scores


def published(table: Table, real: pl.DataFrame, drawn: pl.DataFrame, quick: bool) -> dict[str, Any]:
    """Discriminative and predictive score, mean and deviation over runs: five, and one of what saturates."""
    import sequence_scores as scores

    names = [
        c.name for c in table.columns if c.kind == "number" and table.sequence and c.name not in table.sequence.columns
    ]
    one, two = (_windows(f, table, names) for f in (real, drawn))
    low, spread = scores.scaling(real.select(names).to_numpy())
    one, two = ((x - low) / spread for x in (one, two))
    n, short = (1, 4) if quick else (5, 1)
    return {
        "discriminative": scores.runs(scores.discriminative, one, two, n, 2000 // short),
        "predictive": scores.runs(scores.predictive, one, two, 1, 5000 // short),
        "predictive, real": scores.runs(scores.predictive, one, one, 1, 5000 // short),
    }


def _windows(frame: pl.DataFrame, table: Table, names: list[str]) -> np.ndarray:
    """All windows of 24 steps, of one series or within keys."""
    import sequence_scores as scores

    order = table.sequence
    assert order is not None
    by = [name for name in (order.key, order.time) if name]
    values = (frame.sort(by, maintain_order=True) if by else frame).select(names).to_numpy().astype(np.float64)
    found = scores.windows(values, WIDTH)
    if order.key is None:
        return found
    key = frame.sort(by, maintain_order=True)[order.key].rank("dense").to_numpy()
    return found[key[: len(found)] == key[WIDTH - 1 :]]


def of_log(order: Sequence, train: pl.DataFrame, held: pl.DataFrame, drawn: pl.DataFrame) -> dict[str, Any]:
    """n-gram and cycle-time distances to unseen cases, of synthetic and of real training cases."""
    grams, times = ([f(part, order) for part in (train, held, drawn)] for f in (_grams, _hours))
    out: dict[str, Any] = {}
    for name, distance, parts in (("n-grams", _ngd, grams), ("cycle time", _w1, times)):
        real, new = distance(parts[0], parts[1]), distance(parts[2], parts[1])
        out |= {f"{name} to unseen": round(new, 4), f"{name} to unseen, real": round(real, 4)}
        out[f"{name}, times real"] = round(new / max(real, 1e-12), 3)
    return out


def _grams(frame: pl.DataFrame, order: Sequence) -> Counter[tuple[str, ...]]:
    counts: Counter[tuple[str, ...]] = Counter()
    cases = frame.sort(order.time, maintain_order=True).group_by(order.key).agg(order.activity)
    for what in cases[order.activity].to_list():
        padded = ["", "", *what, "", ""]
        counts.update(zip(padded, padded[1:], padded[2:], strict=False))
    return counts


def _ngd(a: Counter[tuple[str, ...]], b: Counter[tuple[str, ...]]) -> float:
    n, m = a.total(), b.total()
    return sum(abs(a[g] / n - b[g] / m) for g in {*a, *b}) / 2


def _hours(frame: pl.DataFrame, order: Sequence) -> np.ndarray:
    spans = frame.group_by(order.key).agg(
        (pl.col(order.time).max() - pl.col(order.time).min()).dt.total_seconds().alias("s")
    )
    return spans["s"].to_numpy() / 3600


def _w1(a: np.ndarray, b: np.ndarray) -> float:
    grid = (np.arange(2000) + 0.5) / 2000
    return float(np.abs(np.quantile(a, grid) - np.quantile(b, grid)).mean())


# ------------------------------------------------------------------------------------------------- one set


def judge(name: str, quick: bool, model: str) -> dict[str, Any]:
    frame = globals()[name]()
    dataset, schema = {name: frame}, infer({name: frame})
    table = schema[name]
    if name in LOGS and (table.sequence is None or table.sequence.activity is None):
        table = replace(table, sequence=LOGS[name])
        schema = Schema({name: table})
    begin = time.process_time()
    whole = vs.fit(dataset, schema=schema, model=model, seed=1)
    fitted = time.process_time()
    everything = whole.sample()
    cost = {"fit": round(fitted - begin, 1), "sample": round(time.process_time() - fitted, 1)}
    everything = everything if isinstance(everything, pl.DataFrame) else everything[name]
    out: dict[str, Any] = {
        "sequence": str(table.sequence), "rows": frame.height, "drawn": everything.height,
        "cpu_s": round(cost["fit"] + cost["sample"], 1), **cost, "peak MB": _peak(),
    }  # fmt: skip
    if name in TIMED:
        return out
    made = vs.fit(dataset, schema=schema, model=model, seed=1, holdout=HELD)
    train, held = (part[name] for part in split(dataset, made.options, 1, made.schema_))
    drawn = made.sample()  # of a long series to its end, so that it is compared over the same time
    drawn = drawn if isinstance(drawn, pl.DataFrame) else drawn[name]
    cuts = cuts_of(frame, made.schema_[name], HELD, 1)
    case = Case.of(train, held, drawn, made.schema_[name], seed=1, cuts=cuts)
    report = measure(case, {"sequences": (1, sequences.assess)})
    for m in report.measures:
        out[m.label] = None if m.value is None else round(m.value, 4)
        out[f"{m.label}, real"] = None if m.floor is None else round(m.floor, 4)
        if m.grade in ("near", "far"):
            out[f"{m.label}, verdict"] = m.verdict
    if name in LOGS:
        draws = [made.sample(seed=seed) for seed in range(1, DRAWS + 1)]
        frames = [d if isinstance(d, pl.DataFrame) else d[name] for d in draws]
        found = [of_log(LOGS[name], train, held, each) for each in frames]
        out |= {key: round(float(np.mean([f[key] for f in found])), 4) for key in found[0]}
        out["cycle time, times real, of each draw"] = [f["cycle time, times real"] for f in found]
    else:
        out |= correlations(table, frame, everything)
    if "discriminative" in BARS[name]:
        out |= published(table, frame, everything, quick)
    return out


def correlations(table: Table, real: pl.DataFrame, drawn: pl.DataFrame) -> dict[str, Any]:
    """Errors of auto- and cross-correlations to lag 48, of all that is real beside all that was drawn from it."""
    report = measure(Case.of(real, real.head(0), drawn, table, seed=1), {"sequences": (1, sequences.assess)})
    found = {m.label: m.value for m in report.measures if m.label in ("autocorrelation", "cross-correlation")}
    return {f"{label}, whole": round(value, 4) for label, value in found.items() if value is not None}


def _peak() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) // 1024


def missed(name: str, found: dict[str, Any]) -> list[str]:
    """The bars that were not met; of copying, what the report says is more than among unseen ones."""
    values = {bar: found.get(bar) for bar in BARS[name]}
    values = {bar: v[0] if isinstance(v, list) else v for bar, v in values.items()}
    out = [f"{bar} {v} (bar {BARS[name][bar]})" for bar, v in values.items() if v is None or v > BARS[name][bar]]
    copies = [f"{bar}, verdict" for bar in ("window copies", "nearest window", "copied sequences", "copied traces")]
    return out + [f"{bar.removesuffix(', verdict')}: {found[bar]}" for bar in copies if bar in found]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=list(BARS), default=list(BARS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default="auto")
    told = parser.parse_args(arguments)
    for name in told.names:
        found = judge(name, told.quick, told.model)
        found["missed"] = missed(name, found)
        print(name, json.dumps(found, indent=1), flush=True)
        if not told.quick:
            keep(name, found)


def keep(name: str, found: dict[str, Any]) -> None:
    """In the file of today, beside what was measured before."""
    path = HERE / "results" / f"sequences-{date.today()}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    about = {"date": f"{datetime.now():%F %R}", "load": os.getloadavg(), "cores": os.cpu_count()}
    path.write_text(json.dumps(before | {name: {"about": about} | found}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
