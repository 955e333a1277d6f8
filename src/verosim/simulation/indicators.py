"""Indicators: how long cases wait, how busy servers are, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.recipe.nouns import Floats
from verosim.recipe.quantiles import FAMILIES
from verosim.simulation.plan import Model
from verosim.simulation.state import BALKED, FULL, RENEGED, SERVED, SHORT
from verosim.simulation.windows import on_shift

GROUPS: Final = 20  # parts of one run, in the order of time, whose differences give the interval
ABOUT: Final = {
    "arrivals": "cases that came to the station, a unit of time",
    "served": "share of them that were served",
    "balked": "share that went away at once",
    "reneged": "share that lost patience",
    "turned_away": "share that found no place, or no goods",
    "wait": "mean time from coming to the start of the service, or to going away",
    "waiting_share": "share that had to wait",
    "service": "mean time of service",
    "queue": "mean number that wait",
    "inside": "mean number that wait or are served",
    "utilisation": "share of the time that servers are there, in which they are busy",
    "service_level": "share of those who came that were served within the time `within`",
}

SHARES: Final = ("served", "balked", "reneged", "turned_away", "waiting_share", "utilisation", "service_level")

Arrays = Mapping[str, np.ndarray]


def measured(model: Model, visits: Arrays, begin: float, end: float, groups: int = 1) -> dict[tuple[str, str], Floats]:
    """(station, indicator) -> values (groups,), of as many parts of the time from begin to end.

    visits: `station`, `enqueue`, `start`, `complete`, `outcome`, arrays (m,). A visit belongs to the part in which it
    began to queue.
    """
    length = (end - begin) / groups if end > begin else 1.0
    enqueue = visits["enqueue"]
    chosen = (enqueue >= begin) & (enqueue <= end)
    part = (
        np.minimum(((enqueue - begin) / length).astype(np.int64, copy=False), groups - 1) if chosen.any() else enqueue
    )
    key = np.where(chosen, visits["station"] * groups + np.where(chosen, part, 0), -1).astype(np.int64)[chosen]
    sums = _sums(model, {k: v[chosen] for k, v in visits.items()}, key, len(model.names) * groups)
    found = {}
    for i, name in enumerate(model.names):
        of = {k: v[i * groups : (i + 1) * groups] for k, v in sums.items()}
        duty = _duty(model, name, np.linspace(begin, begin + length * groups, groups + 1))
        for indicator, values in _indicators(of, length, duty, model.file.within is not None).items():
            found[name, indicator] = values
    return found


def _duty(model: Model, name: str, edges: Floats) -> Floats | None:
    """The time of all servers that are there between edges (groups + 1,); None where there is no limit."""
    servers = model.file.stations[name].servers
    if not isinstance(servers, tuple):
        return model.servers(name) * np.diff(edges) if servers is not None else None
    starts, there = on_shift(model.clock, servers, float(edges[0]), float(edges[-1]))
    sums = np.concatenate([[0.0], np.cumsum(there * np.diff(starts))])
    return np.diff(np.interp(edges, starts, sums)).astype(np.float64)


def _sums(model: Model, visits: Arrays, key: npt.NDArray[np.int64], n: int) -> dict[str, Floats]:
    """Counts and sums of times, by station and part (n,)."""
    start, outcome = visits["start"], visits["outcome"]
    begun = ~np.isnan(start)
    wait = np.nan_to_num(np.where(begun, start, visits["complete"]) - visits["enqueue"])
    busy = np.nan_to_num(visits["complete"] - start)

    def total(weights: Any) -> Floats:
        return np.bincount(key, weights=np.asarray(weights, dtype=float), minlength=n).astype(np.float64)

    within = model.file.within if model.file.within is not None else 0.0
    return {
        "n": total(np.ones(len(key))), "served": total(outcome == SERVED), "balked": total(outcome == BALKED),
        "reneged": total(outcome == RENEGED), "turned_away": total((outcome == FULL) | (outcome == SHORT)),
        "worked": total(visits["worked"]), "wait": total(wait), "waited": total(wait > 0), "busy": total(busy),
        "begun": total(begun), "within": total(begun & (wait <= within)),
    }  # fmt: skip


def _indicators(of: Mapping[str, Floats], length: float, duty: Floats | None, level: bool) -> dict[str, Floats]:
    with np.errstate(all="ignore"):
        n = of["n"]
        found = {
            "arrivals": n / length,
            **{k: of[k] / n for k in ("served", "balked", "reneged", "turned_away", "wait")},
            "waiting_share": of["waited"] / n,
            "service": of["busy"] / of["begun"],
            "queue": of["wait"] / length,
            "inside": (of["wait"] + of["busy"]) / length,
        }  # fmt: skip
        if duty is not None:
            found["utilisation"] = of["worked"] / duty
        if level:
            found["service_level"] = of["within"] / n
    return found


def interval(values: Floats) -> tuple[float, float, float]:
    """Mean and 95 % interval (Student) of independent values (r,); no interval of fewer than two."""
    known = values[np.isfinite(values)]
    n = len(known)
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    mean = float(known.mean())
    if n == 1:
        return mean, float("nan"), float("nan")
    reach = (
        float(FAMILIES["student_t"].quantile(np.array([0.975]), n - 1, 0.0, 1.0)[0]) * float(known.std(ddof=1)) / n**0.5
    )
    return mean, mean - reach, mean + reach


def intervals(replications: Sequence[Mapping[tuple[str, str], Floats]]) -> pl.DataFrame:
    """A row an indicator of a station: its value and 95 % interval, over replications, or over the parts of one run."""
    rows = []
    for station, indicator in replications[0]:
        values = [r[station, indicator] for r in replications]
        each = np.array([np.nanmean(v) if np.isfinite(v).any() else np.nan for v in values])
        rows.append((station, indicator, *interval(each if len(values) > 1 else values[0])))
    columns = {"station": pl.String, "indicator": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(pl.col("value", "low", "high").fill_nan(None))


def table(replications: Sequence[Mapping[tuple[str, str], Floats]]) -> pl.DataFrame:
    """The same, with intervals that end where the indicator does: none is below 0, and no share over 1."""
    share = pl.col("indicator").is_in(SHARES)
    high = pl.when(share).then(pl.col("high").clip(upper_bound=1.0)).otherwise("high")
    return intervals(replications).with_columns(pl.col("low").clip(lower_bound=0.0), high)
