"""How much of its servers' time each station asks for, known before the run: over 1, its queue grows without end."""

from __future__ import annotations

from math import isfinite, nan, sqrt
from typing import Final

import numpy as np

from verosim.errors import DataError
from verosim.recipe.nouns import Floats
from verosim.recipe.running import Run
from verosim.simulation.arrivals import Arrivals
from verosim.simulation.nouns import Station
from verosim.simulation.paths import Batch
from verosim.simulation.plan import CASES, OUT, Model

DRAWN: Final = 4_000  # cases whose paths are drawn where means are not known
SURE: Final = 3.0  # standard errors by which a load that is drawn must be over 1


def notes(model: Model) -> tuple[str, ...]:
    """What to know before the run: stations that are unstable, with their load."""
    found = []
    for name, (load, error) in loads(model).items():
        station = model.file.stations[name]
        bounded = station.capacity is not None or station.patience is not None or station.balk is not None
        if load - SURE * error >= 1 and not bounded:
            found.append(
                f"station {name!r} is unstable: its load is {load:.2f} of what its servers can do, so its queue "
                "grows without end. Add servers, or give `capacity`, `patience` or `balk`."
            )
    return tuple(found)


def loads(model: Model) -> dict[str, tuple[float, float]]:
    """The share of time that each station's servers would be busy, with its standard error: 0 where it is exact."""
    rate = sum(_rate(model, name) for name in model.file.sources)
    served = {name: _served(model, name, station) for name, station in model.file.stations.items()}
    if not isfinite(rate) or not rate or not any(served.values()):
        return {}
    work = _work(model)
    if len(work) < len(model.names):
        work = {**_drawn_work(model), **work}
    return {
        name: (rate * mean / served[name], rate * error / served[name])
        for name, (mean, error) in work.items()
        if served[name]
    }


def _rate(model: Model, name: str) -> float:
    """Cases of a source, a unit of time; nan where they do not come on and on."""
    source, batch = model.file.sources[name], model.mean(name, "batch")
    every = model.mean(name, "every")
    if source.rate is None and not every:
        return nan
    rate = source.rate if source.rate is not None else 1 / (every or nan)
    for factors in (source.hours, source.weekdays):
        rate *= float(np.mean(factors)) if factors else 1.0
    return rate * (1.0 if batch is None else batch)


def _served(model: Model, name: str, station: Station) -> float:
    """Services at once, on the average; 0 where there is no limit, or the mean of breakdowns is not known."""
    if isinstance(station.servers, tuple):
        spans = [((s.hours[1] - s.hours[0]) % 24 or 24) * len(set(s.weekdays)) / 168 for s in station.servers]
        servers = sum(s.servers * span for s, span in zip(station.servers, spans, strict=True))
    else:
        servers = float(model.servers(name))
    up, down = model.mean(name, "up"), model.mean(name, "down")
    if station.breaks is not None:
        servers *= up / (up + down) if up and down is not None else 0.0
    return servers * (station.batch.size if station.batch else 1)


def _work(model: Model) -> dict[str, tuple[float, float]]:
    """Service at each station that a case asks for, where means are known, and all chances of ways.

    By the traffic equations of a network: who comes to a station comes from outside, or is a share of those who come to
    others (Jackson, Networks of waiting lines, 1957).
    """
    n = len(model.names)
    into, ways = np.zeros(n), np.zeros((n, n))
    rates = {name: _rate(model, name) for name in model.file.sources}
    for name, source in model.file.sources.items():
        into[model.target(source.to or model.names[0], ())] += rates[name] / sum(rates.values())
    for i, route in enumerate(model.routes):
        for target, chance in zip(route.targets, route.terms or (1.0,), strict=True):
            if isinstance(chance, str):
                return {}
            if target != OUT:
                ways[i, target] += chance
    means = {n: model.mean(n, "service") if model.has(n, "service") else 0.0 for n in model.names}
    try:
        visits: Floats = np.linalg.solve(np.eye(n) - ways.T, into).astype(np.float64)
    except np.linalg.LinAlgError:
        return {}
    known = {name: mean for name, mean in means.items() if mean is not None}
    return {name: (float(v) * known[name], 0.0) for name, v in zip(model.names, visits, strict=True) if name in known}


def _drawn_work(model: Model) -> dict[str, tuple[float, float]]:
    """The same from the paths of some cases, with its standard error."""
    rates = np.array([_rate(model, name) for name in model.file.sources])
    source = np.repeat(np.arange(len(rates)), np.rint(DRAWN * rates / rates.sum()).astype(np.int64))
    arrivals = Arrivals(np.zeros(len(source)), source, np.zeros(len(source), np.int64))
    try:
        batch = Batch(model, Run(model.plan, {CASES: len(source)}, model.file.seed), 0, 0, arrivals)
        visits = batch.walk()
    except DataError:
        return {}  # the run itself will say it, with its place
    found = {}
    for i, name in enumerate(model.names):
        mine = visits.station == i
        work = np.bincount(visits.case[mine], weights=visits.service[mine], minlength=batch.n)
        found[name] = (float(work.mean()), float(work.std(ddof=1)) / sqrt(batch.n))
    return found
