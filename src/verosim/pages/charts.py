"""Charts of numbers, as SVG: distributions, curves and clouds. Colours are the look's, told apart by form as well.

What is real is a grey area, what is synthetic a coloured line or bar on it, real rows that were never learned from
are dashed. Sizes are such that a chart stands at about its own size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from markupsafe import Markup

from verosim.pages.svg import Scale, at, clipped, drawn, path, short, text, ticks

Role = Literal["real", "synthetic", "unseen", "both"]
Points = Sequence[tuple[float, float]]
WIDTH: Final = 330.0
LEFT, RIGHT, TOP, BOTTOM = 36.0, 10.0, 10.0, 22.0  # room around a chart
CELL: Final = 22.0  # the height of one level's bars


@dataclass(frozen=True, slots=True)
class Series:
    """Shares of one set of rows: in bins, or of levels."""

    role: Role
    shares: Sequence[float]


# ------------------------------------------------------------------------------------------------ distributions


def histogram(
    edges: Sequence[float], series: Sequence[Series], title: str, about: str, labels: Sequence[str] = ()
) -> Markup:
    """Sets of rows over the same bins, one upon the other; the area is the share of the rows.

    edges: (bins + 1). labels: text in place of the edges, as for times.
    """
    bottom = 150.0
    heights = [_heights(edges, s.shares) for s in series]
    y = Scale(0, max((max(h, default=0) for h in heights), default=0) or 1, bottom, TOP)
    x = Scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    places = [x(e) for e in edges] if edges[-1] > edges[0] else _even(len(edges))
    parts = _across(y, bottom)
    for s, high in zip(series, heights, strict=True):
        parts.append(f'<path class="{s.role} {"area" if s.role == "real" else "line"}" d="{_steps(places, high, y)}"/>')
    parts += _below(edges, labels, x, bottom)
    return drawn(parts, WIDTH, bottom + BOTTOM, title, about)


def _heights(edges: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Shares of rows, or where bins are not as wide as each other the shares of a bin of mean width."""
    widths = [b - a for a, b in pairwise(edges)]
    if not widths or min(widths) <= 0 or not math.isfinite(sum(widths)) or max(widths) < 1.01 * min(widths):
        return list(shares)
    mean = sum(widths) / len(widths)
    return [s * mean / w for s, w in zip(shares, widths, strict=True)]


def _even(n: int) -> list[float]:
    return [LEFT + (WIDTH - LEFT - RIGHT) * i / max(1, n - 1) for i in range(n)]


def _steps(places: Sequence[float], heights: Sequence[float], y: Scale) -> str:
    """The outline of bars that stand side by side."""
    parts = [f"M{at(places[0])} {at(y.start)}"]
    parts += [f"V{at(y(high))}H{at(right)}" for high, right in zip(heights, places[1:], strict=True)]
    return "".join(parts) + f"V{at(y.start)}"


def _across(y: Scale, bottom: float) -> list[str]:
    """Lines across, each with its share."""
    parts = []
    for tick in ticks(0, y.high, 4):
        high = y(tick)
        kind = "axis" if tick == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{at(LEFT)} {at(high)}H{at(WIDTH - RIGHT)}"/>')
        parts.append(text(LEFT - 5, high + 4, f"{short(100 * tick)}%", "end", "tick"))
    return parts


def _below(edges: Sequence[float], labels: Sequence[str], x: Scale, bottom: float) -> list[str]:
    """The numbers below: round ones, or the first, middle and last label."""
    base = bottom + 15
    if labels:
        middle = len(labels) // 2
        return [
            text(LEFT, base, clipped(labels[0], 16), "start", "tick"),
            text((LEFT + WIDTH - RIGHT) / 2, base, clipped(labels[middle], 16), "middle", "tick"),
            text(WIDTH - RIGHT, base, clipped(labels[-1], 16), "end", "tick"),
        ]
    if not edges[-1] > edges[0]:
        return [text((LEFT + WIDTH - RIGHT) / 2, base, short(edges[0]), "middle", "tick")]
    shown = [(t, x(t)) for t in ticks(edges[0], edges[-1], 6)]
    names = _different([t for t, _ in shown])
    return [text(place, base, name, _anchor(place), "tick") for (_, place), name in zip(shown, names, strict=True)]


def _different(values: Sequence[float]) -> list[str]:
    """Short numbers, with as many digits as tell them apart."""
    names = [short(v) for v in values]
    return names if len(set(names)) == len(names) else [f"{v:.10g}" for v in values]


def _anchor(place: float) -> str:
    return "end" if place > WIDTH - RIGHT - 8 else "middle"


def bars(levels: Sequence[str], series: Sequence[Series], title: str, about: str) -> Markup:
    """A row a level: the real share as a wide grey bar, the synthetic one as a narrow bar on it, unseen as a tick."""
    left, right, first = 112.0, 62.0, TOP + 12.0
    most = max((max(s.shares, default=0) for s in series), default=0) or 1
    x = Scale(0, most, left, WIDTH - right)
    parts = [text(left, TOP + 2, "% of rows: real / synthetic", "start", "tick")]
    for i, level in enumerate(levels):
        top = first + i * CELL
        parts.append(text(left - 6, top + 13, clipped(level, 15) or "(empty)", "end"))
        parts += [_bar(s, x, s.shares[i], top) for s in series]
        ends = max(x(s.shares[i]) for s in series)
        said = " / ".join(_share(s.shares[i]) for s in series if s.role in ("real", "synthetic"))
        parts.append(text(ends + 5, top + 13, said, "start", "tick"))
    parts.append(f'<path class="axis" d="M{at(left)} {at(first - 2)}V{at(first + len(levels) * CELL)}"/>')
    return drawn(parts, WIDTH, first + len(levels) * CELL + 4, title, about)


def _share(share: float) -> str:
    return short(round(100 * share, 1 if share >= 0.001 else 2))


def _bar(s: Series, x: Scale, share: float, top: float) -> str:
    long = at(x(share) - x.start)
    if s.role == "unseen":
        return f'<path class="unseen line" d="M{at(x(share))} {at(top)}v18"/>'
    if s.role == "real":
        return f'<rect class="real area" x="{at(x.start)}" y="{at(top)}" width="{long}" height="18"/>'
    return f'<rect class="synthetic bar" x="{at(x.start)}" y="{at(top + 5)}" width="{long}" height="8" rx="1"/>'


def sparkline(series: Sequence[Series], stepped: bool) -> Markup:
    """A distribution as small as a word: an ornament beside the numbers that say the same."""
    width, height = 120.0, 34.0
    most = max((max(s.shares, default=0) for s in series), default=0) or 1
    y = Scale(0, most, height, 2)
    parts = []
    for s in series:
        if s.role == "unseen" or not len(s.shares):
            continue
        n = len(s.shares)
        kind = "area" if s.role == "real" else "line"
        if stepped:
            d = _steps([width * i / n for i in range(n + 1)], s.shares, y)
        else:
            thin = 0.84 if s.role == "real" else 0.36
            kind = "area" if s.role == "real" else "bar"
            d = "".join(
                _column(width * (i + (1 - thin) / 2) / n, width * thin / n, y(v), height)
                for i, v in enumerate(s.shares)
            )
        parts.append(f'<path class="{s.role} {kind}" d="{d}"/>')
    return drawn(parts, width, height, kind="spark", more=' preserveAspectRatio="none"')


def _column(x: float, width: float, top: float, bottom: float) -> str:
    return f"M{at(x)} {at(bottom)}V{at(top)}h{at(width)}V{at(bottom)}"


# ---------------------------------------------------------------------------------------------- curves and clouds


def curve(lines: Sequence[tuple[Role, Points]], title: str, about: str) -> Markup:
    """Shares of true finds over shares of false alarms (ROC), beside the line of who guesses."""
    side, left, bottom = 300.0, 40.0, 262.0
    x, y = Scale(0, 1, left, side - 8), Scale(0, 1, bottom, 10)
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{at(left)} {at(y(tick))}H{at(side - 8)}M{at(x(tick))} 10V{at(bottom)}"/>')
        parts.append(text(left - 5, y(tick) + 4, f"{tick:g}", "end", "tick"))
        parts.append(text(x(tick), bottom + 15, f"{tick:g}", "middle", "tick"))
    parts.append(f'<path class="guess" d="M{at(left)} {at(bottom)}L{at(side - 8)} 10"/>')
    parts += [
        f'<path class="{role} line" d="{path((x(a), y(b)) for a, b in points)}"/>' for role, points in lines if points
    ]
    parts.append(text((left + side) / 2, bottom + 32, "false alarms (share of real rows)", "middle", "tick"))
    turned = (
        f'<g transform="translate(10 {at(bottom / 2)}) rotate(-90)">{text(0, 0, "found (share)", "middle", "tick")}</g>'
    )
    return drawn([*parts, turned], side, bottom + 38, title, about)


def scatter(role: Role, points: Points, among: Points, title: str, about: str) -> Markup:
    """The points of one set of rows, in the plane that holds all those `among` which they are compared.

    Without axes: the numbers of a projection would say nothing.
    """
    height = 270.0
    xs, ys = ([p[i] for p in among] or [0.0] for i in (0, 1))
    x, y = Scale(min(xs), max(xs), 8, WIDTH - 8), Scale(min(ys), max(ys), height - 8, 8)
    plane = f'<rect class="plane" x="0.5" y="0.5" width="{at(WIDTH - 1)}" height="{at(height - 1)}" rx="6"/>'
    d = "".join(f"M{at(x(a))} {at(y(b))}h0" for a, b in points)
    return drawn([plane, f'<path class="{role} dots" d="{d}"/>'], WIDTH, height, title, about)
