"""Heat maps: a table of numbers as shades of one colour, or of two where numbers go both ways."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from verosim.pages.svg import clipped, drawn, short, text

Values = Sequence[Sequence[float | None]]  # None: no number, and no cell
SHADES: Final = 12
SIDE: Final = 340.0
NAMED: Final = 11.0  # cells from this size on have their labels


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the numbers lie in the data of the page, as JSON pointers: what a reader's pointer on a cell shows."""

    values: str
    x: str
    y: str
    scale: float = 1.0  # the number shown is the value times this
    unit: str = ""


def heat_map(
    values: Values, x: Sequence[str], y: Sequence[str], title: str, about: str = "", *, high: float | None = None,
    both_ways: bool = False, pointer: Pointer | None = None, scale: float = 1.0, unit: str = "",
) -> Markup:  # fmt: skip
    """Rows of `values` downward (labels y), columns to the right (labels x).

    high: the number of the darkest shade, by default the largest. both_ways: numbers below 0 get a colour of their own.
    scale, unit: of the numbers at the legend.
    """
    known = [abs(v) for row in values for v in row if v is not None and math.isfinite(v)]
    high = high or max(known, default=0) or 1.0
    n_x, n_y = max(1, len(x)), max(1, len(y))
    named = SIDE / max(n_x, n_y) >= NAMED
    left, top, right = (84.0, 62.0, 40.0) if named else (0.0, 0.0, 0.0)
    cell_x, cell_y = ((SIDE - left - right) / n for n in (n_x, n_y))
    cell_y = min(cell_y, 26.0)
    grid = f'<g transform="translate({left:g} {top:g}) scale({cell_x:.4g} {cell_y:.4g})">'
    parts = [grid, f'<path class="plane" d="M0 0h{n_x}v{n_y}h-{n_x}z"/>', *_cells(values, high, both_ways), "</g>"]
    if named:
        parts += [
            text(left - 5, top + (i + 0.5) * cell_y + 3.5, clipped(label, 12), "end", "tick")
            for i, label in enumerate(y)
        ]
        parts += [_slanted(left + (i + 0.5) * cell_x, top - 5, clipped(label, 11)) for i, label in enumerate(x)]
    bottom = top + n_y * cell_y
    parts += _legend(high * scale, both_ways, bottom + 10, unit)
    return drawn(parts, SIDE, bottom + 32, title, about, "heat", _attributes(pointer, left, top, cell_x, cell_y))


def _cells(values: Values, high: float, both_ways: bool) -> Iterator[str]:
    """One path a shade; neighbours of one shade in a row are one piece."""
    shades: dict[int, list[str]] = defaultdict(list)
    for i, row in enumerate(values):
        start, last = 0, 0
        for j, shade in enumerate([*(_shade(v, high) for v in row), 0]):
            if shade != last:
                if last:
                    shades[last].append(f"M{start} {i}h{j - start}v1h{start - j}z")
                start, last = j, shade
    for shade, pieces in sorted(shades.items()):
        kind = "below" if shade < 0 and both_ways else "above"
        yield f'<path class="{kind}" fill-opacity="{abs(shade) / SHADES:.3g}" d="{"".join(pieces)}"/>'


def _shade(value: float | None, high: float) -> int:
    if value is None or not math.isfinite(value):
        return 0
    return round(SHADES * max(-1.0, min(1.0, value / high)))


def _slanted(x: float, y: float, label: str) -> str:
    return f'<g transform="translate({x:.1f} {y:.1f}) rotate(-50)">{text(0, 0, label, kind="tick")}</g>'


def _legend(high: float, both_ways: bool, top: float, unit: str) -> list[str]:
    """Five shades between their two numbers."""
    shades = (-1.0, -0.5, 0.0, 0.5, 1.0) if both_ways else (0.0, 0.25, 0.5, 0.75, 1.0)
    first, last = (f"{short(float(f'{high * s:.3g}'))}{unit}" for s in (shades[0], shades[-1]))
    left, parts = SIDE - 150.0, []
    for i, s in enumerate(shades):
        box = f'x="{left + 22 * i:g}" y="{top:g}" width="22" height="9"'
        kind = "below" if s < 0 else "above"
        parts.append(f'<rect class="plane" {box}/><rect class="{kind}" fill-opacity="{abs(s):g}" {box}/>')
    return [text(left - 5, top + 9, first, "end", "tick"), *parts, text(left + 115, top + 9, last, "start", "tick")]


def _attributes(pointer: Pointer | None, left: float, top: float, cell_x: float, cell_y: float) -> str:
    if pointer is None:
        return ""
    where = f"{left:g} {top:g} {cell_x:.5g} {cell_y:.5g}"
    named = {
        "values": pointer.values,
        "x": pointer.x,
        "y": pointer.y,
        "scale": f"{pointer.scale:g}",
        "unit": pointer.unit,
    }
    return f' data-grid="{where}"' + "".join(f' data-{name}="{escape(value)}"' for name, value in named.items())
