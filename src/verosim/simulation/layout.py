"""The arrays of the event calendar that stand for stations, servers, resources and stocks, as they are at the start."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any, Final

import numpy as np

from verosim.recipe.nouns import Ints
from verosim.simulation.plan import Model
from verosim.simulation.state import NOBODY

NEVER: Final = 1e308  # stands for a time that does not come: numba and lists compare it as they do other numbers
CODES: Final = {
    "fifo": 0, "lifo": 1, "priority": 2,
    "no": 0, "finish": 0, "resume": 1, "restart": 2,
    "leave": 0, "skip": 1, "wait": 2,
}  # fmt: skip


def at_start(model: Model) -> dict[str, Any]:
    """All of them, by their names in `State`."""
    return {**_stations(model), **_servers(model), **_resources(model), **_stocks(model)}


def _stations(model: Model) -> dict[str, Any]:
    stations, resources = list(model.file.stations.values()), list(model.file.resources)
    n, stocks = len(stations), list(model.file.stocks)
    coded = {"queue": "discipline", **{k: k for k in ("preempt", "interrupted", "full", "lost")}}
    needs_from, needs_to, needs = _pointers([[resources.index(r) for r in s.needs] for s in stations])
    frees_from, frees_to, frees = _pointers([[resources.index(r) for r in s.frees] for s in stations])
    return {
        **{name: _ints([CODES[getattr(s, part)] for s in stations]) for part, name in coded.items()},
        "capacity": _ints([model.capacity(name) for name in model.names]),
        "batch_size": _ints([s.batch.size if s.batch else 1 for s in stations]),
        "batch_wait": np.array([s.batch.wait if s.batch and s.batch.wait is not None else NEVER for s in stations]),
        "needs_from": needs_from, "needs_to": needs_to, "needs": needs,
        "amounts": _ints([amount for s in stations for amount in s.needs.values()]),
        "holds": _ints([s.holds for s in stations]),
        "frees_from": frees_from, "frees_to": frees_to, "frees": frees,
        "stock": _ints([stocks.index(next(iter(s.takes))) if s.takes else NOBODY for s in stations]),
        **{name: np.zeros(n, np.int64) for name in ("inside", "waiting", "asked", "rush")},
        **{name: np.full(n, NOBODY) for name in ("head", "tail", "blocked_head", "blocked_tail")},
    }  # fmt: skip


def _servers(model: Model) -> dict[str, Any]:
    slots = _ints([model.servers(name) for name in model.names])
    ends, total = np.cumsum(slots), int(slots.sum())
    return {
        "first_server": ends - slots, "end_server": ends, "station_of": np.repeat(np.arange(len(slots)), slots),
        "busy_with": np.full(total, NOBODY), "off": np.zeros(total, np.int64), "stuck": np.zeros(total, np.int64),
        "idle_since": np.full(total, -1.0),
    }  # fmt: skip


def _resources(model: Model) -> dict[str, Any]:
    resources, stations = model.file.resources, model.file.stations.values()
    return {
        "free": _ints([model.count_of(n, ("resources", name)) for name, n in resources.items()]),
        "users": _ints([name in s.needs for name in resources for s in stations]),
    }


def _stocks(model: Model) -> dict[str, Any]:
    stocks = model.file.stocks.values()
    floats = {
        "level": [s.start for s in stocks], "ordered": [0.0] * len(stocks), "backlog": [0.0] * len(stocks),
        "order_at": [s.at for s in stocks], "order_upto": [nan if s.upto is None else s.upto for s in stocks],
        "order_quantity": [nan if s.quantity is None else s.quantity for s in stocks],
    }  # fmt: skip
    return {"short": _ints([CODES[s.short] for s in stocks]), **{k: np.array(v, float) for k, v in floats.items()}}


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _pointers(lists: Sequence[Sequence[int]]) -> tuple[Ints, Ints, Ints]:
    """Lists as one: where each begins, where it ends, and what they hold."""
    ends = np.cumsum(_ints([len(x) for x in lists]))
    return ends - _ints([len(x) for x in lists]), ends, _ints([v for x in lists for v in x])
