"""A run as a page: the flow between stations, waits, queues over time, and indicators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from markupsafe import Markup, escape

from verosim.errors import ArgumentError
from verosim.files.disk import atomic
from verosim.pages import render
from verosim.pages.charts import Series, histogram
from verosim.pages.svg import Scale, at, clipped, drawn, path, short, text, ticks
from verosim.recipe.nouns import Floats, Ints
from verosim.simulation.plan import OUT, Model

if TYPE_CHECKING:
    from verosim.simulation import Simulated

SHOWN: Final = ("arrivals", "wait", "waiting_share", "queue", "utilisation", "served", "service_level")
BOX, GAP, HIGH, ROW = 128.0, 74.0, 46.0, 84.0  # a station's box and the room between, in the picture's units
BINS: Final = 24
POINTS: Final = 240


@dataclass(frozen=True)
class StationView:
    """The pictures of one station."""

    name: str
    waits: Markup | None
    queue: Markup


def save_page(found: Simulated, out: str | Path, title: str) -> None:
    """Write the page. Raises ArgumentError where there is nothing to show."""
    with atomic(out) as sink:
        sink.write(page(found, title).encode())


def page(found: Simulated, title: str) -> str:
    """One HTML page that stands alone."""
    if found.model is None or not len(found.visits.get("station", ())):
        raise ArgumentError("a page shows the flow between stations; this run has none, or too many visits to keep.")
    model = found.model
    cases = int(found.visits["case"].max()) if len(found.visits["case"]) else 0
    facts = f"{cases:,} cases, {len(found.visits['case']):,} visits, {short(found.end)} {model.file.unit}"
    columns = [name for name in SHOWN if (found.indicators["indicator"] == name).any()]
    return render(
        "flow.html", "verosim.simulation",
        title=title, about=model.file.about, facts=facts, notes=found.notes, flow=_flow(model, found), columns=columns,
        rows=[(name, _cells(found.indicators, name, columns)) for name in model.names],
        stations=[_station(found, model, i) for i in range(len(model.names))],
        unit=model.file.unit, seed=found.seed, engine=found.engine,
    )  # fmt: skip


def _cells(table: pl.DataFrame, station: str, columns: Sequence[str]) -> list[tuple[str, str]]:
    cells = []
    for name in columns:
        row = table.filter(station=station, indicator=name).row(0, named=True) if name in _of(table, station) else None
        if row is None or row["value"] is None:
            cells.append(("", ""))
            continue
        between = f"{short(row['low'])} to {short(row['high'])}" if row["low"] is not None else ""
        cells.append((short(row["value"]), between))
    return cells


def _of(table: pl.DataFrame, station: str) -> list[str]:
    return table.filter(station=station)["indicator"].to_list()


# ------------------------------------------------------------------------------------------------- the flow


def _flow(model: Model, found: Simulated) -> Markup:
    """Stations from left to right by how far they are from the sources, with the ways that cases took."""
    places = _places(model)
    counts = _counts(found.visits["case"], found.visits["station"], len(model.names))
    most = max(counts.values(), default=1)
    parts = [
        _way(places[a], places[b], n / most, n) for (a, b), n in sorted(counts.items()) if a in places and b in places
    ]
    for i, name in enumerate(model.names):
        busy = found.indicators.filter(station=name, indicator="utilisation")["value"]
        parts.append(_box(places[i], name, model.servers(name), busy[0] if len(busy) else None))
    parts.append(text(places[OUT][0], places[OUT][1] + HIGH / 2 + 4, "out", kind="tick"))
    width = max(x for x, _ in places.values()) + BOX + 10
    high = max(y for _, y in places.values()) + HIGH + 44
    said = ", ".join(f"{_name(model, a)} to {_name(model, b)}: {n:,}" for (a, b), n in sorted(counts.items()))
    return drawn(parts, width, high, "The flow between stations", said)


def _name(model: Model, i: int) -> str:
    return "out" if i == OUT else model.names[i]


def _places(model: Model) -> dict[int, tuple[float, float]]:
    """Where each station's box stands, and the way out, on the far right."""
    depth: dict[int, int] = {}
    edge = {model.number.get(s.to or model.names[0], 0) for s in model.file.sources.values()}
    while edge:
        depth |= dict.fromkeys(edge, max(depth.values(), default=-1) + 1)
        edge = {t for i in edge for t in model.routes[i].targets if t != OUT and t not in depth}
    depth |= {i: 0 for i in range(len(model.names)) if i not in depth}
    rows: dict[int, int] = {}
    places = {}
    for i, d in depth.items():
        places[i] = (10 + d * (BOX + GAP), 30 + rows.get(d, 0) * ROW)
        rows[d] = rows.get(d, 0) + 1
    return places | {OUT: (10 + (max(depth.values()) + 1) * (BOX + GAP), 30.0)}


def _counts(case: Ints, station: Ints, n: int) -> dict[tuple[int, int], int]:
    """How many cases went from where to where; the last way of each leads out."""
    last = np.append(case[1:] != case[:-1], True)
    to = np.where(last, OUT, np.append(station[1:], OUT))
    keys, counts = np.unique(station * (n + 1) + to + 1, return_counts=True)
    return {(int(k) // (n + 1), int(k) % (n + 1) - 1): int(c) for k, c in zip(keys, counts, strict=True)}


def _way(a: tuple[float, float], b: tuple[float, float], share: float, n: int) -> str:
    """A curve from one box to another; backwards ways bend below."""
    x0, y0, x1, y1 = a[0] + BOX, a[1] + HIGH / 2, b[0], b[1] + HIGH / 2
    wide = at(1 + 9 * share)
    if x1 > x0:
        bend = (x1 - x0) / 2
        d = f"M{at(x0)} {at(y0)}C{at(x0 + bend)} {at(y0)} {at(x1 - bend)} {at(y1)} {at(x1)} {at(y1)}"
        label = text((x0 + x1) / 2, (y0 + y1) / 2 - 6, short(n), "middle", "tick")
    else:
        x0, y0, x1, y1 = a[0] + BOX / 2 + 12, a[1] + HIGH, b[0] + BOX / 2 - 12, b[1] + HIGH
        low = max(y0, y1) + 30
        d = f"M{at(x0)} {at(y0)}C{at(x0)} {at(low)} {at(x1)} {at(low)} {at(x1)} {at(y1)}"
        label = text((x0 + x1) / 2, low - 2, short(n), "middle", "tick")
    return f'<path class="line synthetic" style="stroke-width:{wide};opacity:.45" d="{d}"/>{label}'


def _box(place: tuple[float, float], name: str, servers: int, busy: float | None) -> str:
    x, y = place
    frame = f'<rect class="plane" x="{at(x)}" y="{at(y)}" width="{at(BOX)}" height="{at(HIGH)}" rx="6"/>'
    filled = BOX * min(max(busy or 0.0, 0.0), 1.0)
    bar = f'<rect class="bar synthetic" x="{at(x)}" y="{at(y + HIGH - 5)}" width="{at(filled)}" height="5" rx="1"/>'
    told = f"{servers} server{'s' if servers > 1 else ''}" if servers else "no limit"
    told += f", {busy:.0%} busy" if busy is not None else ""
    label = text(x + 8, y + 18, clipped(name, 18)) + text(x + 8, y + 34, told, kind="tick")
    return f"<g><title>{escape(name)}</title>{frame}{bar}{label}</g>"


# ------------------------------------------------------------------------------------------------- stations


def _station(found: Simulated, model: Model, i: int) -> StationView:
    mine = found.visits["station"] == i
    enqueue, start, complete = (found.visits[k][mine] for k in ("enqueue", "start", "complete"))
    waits = np.where(np.isnan(start), complete, start) - enqueue
    waits = waits[np.isfinite(waits)]
    return StationView(model.names[i], _waits(waits, model.file.unit), _inside(enqueue, complete, found.end))


def _waits(waits: Floats, unit: str) -> Markup | None:
    """The waits of those that came, the longest one in a hundred left out."""
    if not len(waits) or not waits.max() > 0:
        return None
    edges = np.linspace(0, max(float(np.quantile(waits, 0.99)), float(waits.max()) / 1e6), BINS + 1)
    shares = np.histogram(waits, edges)[0] / len(waits)
    about = f"mean {short(float(waits.mean()))} {unit}; half wait up to {short(float(np.median(waits)))}"
    return histogram(edges.tolist(), [Series("synthetic", shares.tolist())], "Waits", about)


def _inside(enqueue: Floats, complete: Floats, end: float) -> Markup:
    """How many wait or are served, over time."""
    grid = np.linspace(0, end, POINTS)
    inside = np.searchsorted(np.sort(enqueue), grid, side="right") - np.searchsorted(
        np.sort(complete[np.isfinite(complete)]), grid, side="right"
    )
    width, high, left = 330.0, 130.0, 36.0
    x, y = Scale(0, end, left, width - 10), Scale(0, max(float(inside.max()), 1.0), high, 10)
    parts = []
    for tick in ticks(0, y.high, 4):
        parts.append(f'<path class="grid" d="M{at(left)} {at(y(tick))}H{at(width - 10)}"/>')
        parts.append(text(left - 5, y(tick) + 4, short(tick), "end", "tick"))
    parts += [text(x(tick), high + 15, short(tick), "middle", "tick") for tick in ticks(0, end, 4)]
    points = ((x(float(t)), y(float(n))) for t, n in zip(grid, inside, strict=True))
    parts.append(f'<path class="synthetic line" d="{path(points)}"/>')
    return drawn(parts, width, high + 22, "How many are there", f"at most {inside.max():,}")
