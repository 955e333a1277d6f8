"""Lines and bands over a common axis: paths through time, curves over lags or frequencies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from verosim.pages.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Role
from verosim.pages.svg import Scale, at, drawn, path, short, text, ticks

Values = Sequence[float | None]  # None: a gap
BASE: Final = 160.0  # the lower end of the plane


@dataclass(frozen=True, slots=True)
class Curve:
    """One line, point by point."""

    role: Role
    values: Values
    kind: str = ""  # thin: one path of many


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between two lines."""

    role: Role
    low: Values
    high: Values


def lines(
    x: Sequence[float], curves: Sequence[Curve], title: str, about: str, *, bands: Sequence[Band] = (), across: str = ""
) -> Markup:
    """Curves over bands, all of as many points as `x` or fewer. across: what the axis counts, below it."""
    known = [v for c in curves for v in c.values if v is not None and math.isfinite(v)]
    known += [v for b in bands for side in (b.low, b.high) for v in side if v is not None and math.isfinite(v)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = 0.04 * ((high - low) or abs(high) or 1.0)
    y = Scale(low - room, high + room, BASE, TOP)
    right = Scale(min(x, default=0), max(x, default=1), LEFT + 6, WIDTH - RIGHT)
    parts = [*_grid(y, right), *(_band(b, x, right, y) for b in bands)]
    for curve in curves:
        for piece in _pieces(x, curve.values):
            d = path((right(a), y(b)) for a, b in piece)
            parts.append(f'<path class="{curve.role} line {curve.kind}" d="{d}"/>')
    if across:
        parts.append(text((LEFT + WIDTH) / 2, BASE + BOTTOM + 8, across, "middle", "tick"))
    return drawn(parts, WIDTH, BASE + BOTTOM + (14 if across else 0), title, about)


def _grid(y: Scale, x: Scale) -> Iterator[str]:
    for tick in ticks(y.low, y.high, 4):
        yield f'<path class="{"axis" if tick == 0 else "grid"}" d="M{at(LEFT)} {at(y(tick))}H{at(WIDTH - RIGHT)}"/>'
        yield text(LEFT - 4, y(tick) + 4, short(tick), "end", "tick")
    for tick in ticks(x.low, x.high, 6):
        yield text(x(tick), BASE + 15, short(tick), "middle", "tick")


def _band(band: Band, x: Sequence[float], right: Scale, y: Scale) -> str:
    sides = [
        (a, low, high)
        for a, low, high in zip(x, band.low, band.high, strict=False)
        if low is not None and high is not None
    ]
    if not sides:
        return ""
    there = [(right(a), y(high)) for a, _, high in sides]
    back = [(right(a), y(low)) for a, low, _ in reversed(sides)]
    return f'<path class="{band.role} area" d="{path(there + back)}Z"/>'


def _pieces(x: Sequence[float], values: Values) -> Iterator[list[tuple[float, float]]]:
    """The points between gaps."""
    piece = list[tuple[float, float]]()
    for a, value in zip(x, values, strict=False):
        if value is not None and math.isfinite(value):
            piece.append((a, value))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece
