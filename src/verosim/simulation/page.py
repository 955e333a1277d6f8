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
from verosim.pages.layers import Box, Way, layered
from verosim.pages.svg import Scale, at, clipped, drawn, path, short, text, ticks
from verosim.recipe.nouns import Floats, Ints
from verosim.simulation.plan import Model

if TYPE_CHECKING:
    from verosim.simulation import Simulated

SHOWN: Final = ("arrivals", "wait", "waiting_share", "queue", "utilisation", "served", "service_level")
BOX, HIGH = 136.0, 46.0  # a station's box, in the picture's units
MOST_WIDE: Final = 1150.0  # that a page shows on a laptop
ROOM: Final = 12.0  # around the picture
IN, OUTSIDE = "in", "out"
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
        unit=model.file.unit, replications=found.replications, seed=found.seed, engine=found.engine,
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
    """Stations in layers, from left to right or, where there are many, downwards, with the ways that cases took."""
    counts = _counts(found.visits["case"], found.visits["station"], model.names)
    sizes = {IN: (28.0, HIGH), **dict.fromkeys(model.names, (BOX, HIGH)), OUTSIDE: (28.0, HIGH)}
    layout = layered(sizes, list(counts), across=True, gap=34.0, between=60.0)
    across = layout.width <= MOST_WIDE
    if not across:
        layout = layered(sizes, list(counts), gap=34.0, between=54.0)
    most = max(counts.values(), default=1)
    parts = [_way(way, n, n / most, across) for way, n in zip(layout.ways, counts.values(), strict=True)]
    for name in model.names:
        busy = found.indicators.filter(station=name, indicator="utilisation")["value"]
        parts.append(_box(layout.boxes[name], name, model.servers(name), busy[0] if len(busy) else None))
    for name in (IN, OUTSIDE):
        box = layout.boxes[name]
        parts.append(text(box.x + box.width / 2, box.y + HIGH / 2 + 4, name, "middle", "tick"))
    said = ", ".join(f"{a} to {b}: {n:,}" for (a, b), n in counts.items())
    parts = [f'<g transform="translate({ROOM:g} {ROOM:g})">', *parts, "</g>"]
    width, high = layout.width + 2 * ROOM, layout.height + 2 * ROOM
    return drawn(parts, width, high, "The flow between stations", said, "flow", f' width="{at(width)}"')


def _counts(case: Ints, station: Ints, names: Sequence[str]) -> dict[tuple[str, str], int]:
    """How many cases went from where to where."""
    known = pl.Series([*names, IN, OUTSIDE])
    first = np.append(True, case[1:] != case[:-1])[: len(case)]
    last = np.append(first[1:], True)[: len(case)]
    comes = pl.DataFrame({"from": np.full(int(first.sum()), len(names)), "to": station[first]})
    to = np.where(last, len(names) + 1, np.append(station[1:], 0)[: len(case)])
    goes = pl.DataFrame({"from": station, "to": to})
    ways = pl.concat([comes, goes]).group_by("from", "to").len().sort("from", "to")
    pairs = zip(known.gather(ways["from"]).to_list(), known.gather(ways["to"]).to_list(), strict=True)
    return dict(zip(pairs, ways["len"].to_list(), strict=True))


def _way(way: Way, n: int, share: float, across: bool) -> str:
    told = f"<title>{escape(f'{way.source} to {way.target}: {n:,}')}</title>"
    line = f'<path class="line synthetic" style="stroke-width:{at(1 + 9 * share)};opacity:.45" d="{way.line}"/>'
    x, y, away = *way.label, 5 + 4.5 * share
    words = text(x, y - away, short(n), "middle", "tick") if across else text(x + away, y + 4, short(n), kind="tick")
    return f'<g>{told}{line}<path class="head" d="{way.head}"/>{words}</g>'


def _box(place: Box, name: str, servers: int, busy: float | None) -> str:
    x, y = place.x, place.y
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
