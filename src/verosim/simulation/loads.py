"""How much of its servers' time each station asks for, known before the run: over 1, its queue grows without end."""

from __future__ import annotations

import numpy as np

from verosim.recipe.nouns import Floats
from verosim.simulation.plan import OUT, Model


def notes(model: Model) -> tuple[str, ...]:
    """What to know before the run: stations that are unstable, with their load."""
    found = []
    for name, load in loads(model).items():
        station = model.file.stations[name]
        if load >= 1 and station.capacity is None and station.patience is None and station.balk is None:
            found.append(
                f"station {name!r} is unstable: its load is {load:.2f} of what its servers can do, so its queue "
                "grows without end. Add servers, or give `capacity`, `patience` or `balk`."
            )
    return tuple(found)


def loads(model: Model) -> dict[str, float]:
    """The share of time that each station's servers would be busy, where means are known.

    By the traffic equations of a network: what comes to a station is what comes from outside, and its share of what
    goes through the others (Jackson, Networks of waiting lines, 1957).
    """
    n = len(model.names)
    into, ways = np.zeros(n), np.zeros((n, n))
    for name, source in model.file.sources.items():
        into[model.number.get(source.to or "", 0)] += _rate(model, name)
    for i, route in enumerate(model.routes):
        for target, chance in zip(route.targets, route.terms or (1.0,), strict=True):
            if isinstance(chance, str):
                return {}
            if target != OUT:
                ways[i, target] += chance
    try:
        rates: Floats = np.linalg.solve(np.eye(n) - ways.T, into).astype(np.float64)
    except np.linalg.LinAlgError:
        return {}
    found = {name: _load(model, name, float(rate)) for name, rate in zip(model.names, rates, strict=True)}
    return {name: load for name, load in found.items() if load is not None}


def _rate(model: Model, name: str) -> float:
    """Cases of a source, a unit of time."""
    source, batch = model.file.sources[name], model.mean(name, "batch")
    rate = source.rate or 0.0
    for factors in (source.hours, source.weekdays):
        rate *= float(np.mean(factors)) if factors else 1.0
    every = model.mean(name, "every")
    if source.population:
        return float("nan")
    return (rate + (1 / every if every else 0.0)) * (1.0 if batch is None else batch)


def _load(model: Model, name: str, rate: float) -> float | None:
    mean, servers = model.mean(name, "service"), model.servers(name)
    station = model.file.stations[name]
    if mean is None or not servers or isinstance(station.servers, tuple) or not np.isfinite(rate):
        return None
    up, down = model.mean(name, "up"), model.mean(name, "down")
    there = up / (up + down) if up and down is not None else 1.0
    return rate * mean / (servers * there * (station.batch.size if station.batch else 1))
