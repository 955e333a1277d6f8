"""What the pictures of sequences are drawn from: fans of paths, and calendars."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from verosim.evaluation.columns import Floats, Ordered, Rows
from verosim.evaluation.sequences.dynamics import DAYS, HOURS, clock
from verosim.evaluation.sequences.paths import Paths

CHANNELS: Final = 12  # that are drawn, the first ones
STEPS: Final = 96  # of a path
PATHS: Final = 5  # that are drawn one by one
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST: Final = 5  # real paths behind a point of a fan


def details(p: Paths) -> dict[str, Any]:
    """`fans` and `calendar`."""
    return {"fans": fans(p), "calendar": calendar(p)}


def fans(p: Paths) -> list[dict[str, Any]]:
    """Of each channel with an order: quantiles of real and of synthetic paths at each step, and a few synthetic paths.

    Real paths are told by quantiles alone.
    """
    sets = {"real": p.units.real, "synthetic": p.units.synthetic}
    begins = {role: _beginnings(p, units) for role, units in sets.items()}
    out = list[dict[str, Any]]()
    for column in p.ordered[:CHANNELS]:
        found: dict[str, Any] = {"channel": column.name}
        for role, starts in begins.items():
            paths = _paths(p, column, starts)
            known = np.isfinite(paths).sum(axis=0) >= LEAST
            length = int(known.argmin()) if not known.all() else len(known)
            bands = np.nanquantile(paths[:, :length], QUANTILES, axis=0) if length else np.zeros((len(QUANTILES), 0))
            found[role] = np.ldexp(bands, column.exponent).tolist()
            if role == "synthetic":
                few = np.ldexp(paths[:: max(1, len(paths) // PATHS)][:PATHS], column.exponent)
                found["paths"] = [[v if np.isfinite(v) else None for v in path] for path in few.tolist()]
        out.append(found)
    return out


def _beginnings(p: Paths, units: Rows) -> Rows:
    """Where paths begin: sequences at their first row, long series wherever a piece begins."""
    first = (p.place == 0) if p.sequence.key else (p.place % STEPS == 0)
    rows = np.flatnonzero(first & np.isin(p.unit, units))
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), 1000)).astype(np.int64)] if len(rows) else rows


def _paths(p: Paths, column: Ordered, starts: Rows) -> Floats:
    """(paths, STEPS) of the column; NaN behind a path's end and where there is no value."""
    rows = starts[:, None] + np.arange(STEPS)
    inside = rows < len(p.piece)
    rows = np.minimum(rows, len(p.piece) - 1)
    inside &= (p.piece[rows] == p.piece[starts][:, None]) & (column.marks[rows] == 0)
    return np.where(inside, column.values[rows], np.nan)


def calendar(p: Paths) -> dict[str, Any] | None:
    """The share of rows in each hour of each weekday, of real and of synthetic rows; means of the channels by hour."""
    if not p.in_calendar:
        return None
    hour, day = clock(p)
    if len(np.unique(hour)) < 2:
        return None
    counts = p.counts(day * HOURS + hour, DAYS * HOURS)
    sets = {"real": p.units.real, "synthetic": p.units.synthetic}
    out: dict[str, Any] = {"rows": {}, "means": {}}
    for role, units in sets.items():
        total = counts[units].sum(axis=0)
        out["rows"][role] = (total / max(total.sum(), 1)).reshape(DAYS, HOURS).round(6).tolist()
        out["means"][role] = {c.name: _means(p, c, units, day * HOURS + hour) for c in p.ordered[:CHANNELS]}
    return out


def _means(p: Paths, column: Ordered, units: Rows, cells: Rows) -> list[list[float | None]]:
    where = np.isin(p.unit, units) & (column.marks == 0)
    n = np.bincount(cells[where], minlength=DAYS * HOURS)
    total = np.bincount(cells[where], column.values[where], minlength=DAYS * HOURS)
    means = [round(float(np.ldexp(t / k, column.exponent)), 6) if k else None for t, k in zip(total, n, strict=True)]
    return [means[d * HOURS : (d + 1) * HOURS] for d in range(DAYS)]
