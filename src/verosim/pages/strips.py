"""Strips: a number with its interval beside what real rows get, on one line of a table that says the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from verosim.pages.charts import Role
from verosim.pages.svg import Scale, at, drawn

WIDTH: Final = 200.0
ROW: Final = 12.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot with its whisker; kind: its colour, a role or a grade."""

    value: float
    low: float
    high: float
    kind: Role | str = "synthetic"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a small table: what it is of, its numbers as text, and a strip or bar."""

    label: str
    cells: tuple[str, ...]
    strip: Markup
    about: str = ""


def span(numbers: Iterable[float | None], start: float | None = None) -> tuple[float, float]:
    """The ends of a scale that holds the numbers with some room, and begins at `start` where that is given."""
    known = [v for v in numbers if v is not None and math.isfinite(v)]
    known += [] if start is None else [start]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return (low if low == start else low - room), high + room


def strip(marks: Sequence[Mark], ends: tuple[float, float], floor: float | None = None) -> Markup:
    """Dots with whiskers, one under the other, over a line at the floor."""
    x, height = Scale(*ends, 4, WIDTH - 4), ROW * max(1, len(marks)) + 6
    parts = []
    parts.append(f'<path class="grid" d="M0 {at(height / 2)}H{at(WIDTH)}"/>')
    if floor is not None:
        parts.append(f'<path class="floor" d="M{at(x(floor))} 0V{at(height)}"/>')
    for i, mark in enumerate(marks):
        y = 3 + ROW * (i + 0.5)
        low, high = at(x(mark.low)), at(x(mark.high))
        whisker = f'<path class="whisker" d="M{low} {at(y)}H{high}M{low} {at(y - 3)}v6M{high} {at(y - 3)}v6"/>'
        dot = f'<circle cx="{at(x(mark.value))}" cy="{at(y)}" r="4"/>'
        parts.append(f'<g class="mark {mark.kind}">{whisker if mark.high > mark.low else ""}{dot}</g>')
    return drawn(parts, WIDTH, height, kind="strip")


def share_bar(share: float, kind: str = "synthetic") -> Markup:
    """A bar as long as the share, of a whole."""
    long = at(WIDTH * min(max(share, 0.0), 1.0))
    bar = f'<rect class="{kind} bar" width="{long}" height="12" rx="2"/>'
    return drawn([f'<rect class="plane" width="{at(WIDTH)}" height="12" rx="2"/>', bar], WIDTH, 12, kind="strip")
