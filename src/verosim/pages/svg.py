"""What charts are made of: scales, ticks, short numbers, paths, and the frame that a screen reader is told about."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from verosim.pages import plain

__all__ = ["Scale", "at", "clipped", "drawn", "path", "short", "text", "ticks"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A line from the numbers low .. high to the places start .. end of a drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        spread = self.high - self.low
        share = (value - self.low) / spread if spread > 0 and math.isfinite(spread) else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def at(place: float) -> str:
    """A place in a drawing, in tenths: `12`, `12.5`."""
    return f"{round(place, 1) + 0.0:.1f}".removesuffix(".0")  # no -0


def path(points: Iterable[tuple[float, float]]) -> str:
    """A line through points, as the text of a path."""
    return "M" + "L".join(f"{at(x)} {at(y)}" for x, y in points)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two, at most `most`: 1, 2 or 5 times a power of ten apart.

    >>> ticks(0, 0.43)
    [0.0, 0.1, 0.2, 0.3, 0.4]
    """
    spread = high - low
    if not (math.isfinite(spread) and spread > 1e-300) or most < 1:
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10(spread / most))
    for step in (1 * power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def short(value: float) -> str:
    """A number of few characters: `1.2M`, `40`, `0.25`, `3e-05`.

    >>> [short(v) for v in (0, 0.25, 40, 32_561, 1_250_000, 3e-5, -2.5)]
    ['0', '0.25', '40', '32.6k', '1.25M', '3e-05', '-2.5']
    """
    if value == 0:
        return "0"
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= abs(value) < 1e12:
            return f"{value / (1e3 if sign == 'k' else size):.3g}{sign}"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.2g}"


def clipped(label: str, width: int) -> str:
    """The first characters of a label, in one line; signs that turn the direction of text are left out.

    >>> clipped("Never-married", 8)
    'Never-m…'
    """
    head = " ".join(label[: 4 * width + 16].split())
    head = "".join(c for c in head if unicodedata.category(c) != "Cf" or c == "\u200d")
    return head if len(head) <= width and len(label) <= 4 * width + 16 else head[: width - 1].rstrip() + "…"


def text(x: float, y: float, label: str, anchor: str = "start", kind: str = "") -> str:
    """A label; anchor: start, middle or end."""
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{at(x)}" y="{at(y)}"{placed}{styled}>{escape(plain(label))}</text>'


def drawn(
    parts: Sequence[str], width: float, height: float, title: str = "", about: str = "", kind: str = "", more: str = ""
) -> Markup:
    """One picture. title and about are what a screen reader tells; without them the picture is only an ornament.

    The parts are markup: who makes them has escaped what came from data.
    """
    if title:
        said = f"<title>{escape(plain(title))}</title>" + (f"<desc>{escape(plain(about))}</desc>" if about else "")
        role = ' role="img"'
    else:
        said, role = "", ' aria-hidden="true" focusable="false"'
    frame = f'<svg class="{f"chart {kind}".strip()}" viewBox="0 0 {at(width)} {at(height)}"{role}{more}>'
    return Markup(frame + said + "".join(parts) + "</svg>")  # noqa: S704
