"""The picture of a schema: tables as boxes with a line for each key, and arrows from a key to what it names, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from verosim.pages import layers, plain
from verosim.pages.svg import at, clipped, drawn, text

LINE: Final = 18.0  # the height of a line in a box
HEAD: Final = 24.0
LETTER: Final = 6.6  # the width of a letter, about
NARROW, WIDE = 90.0, 190.0  # of a box
ACROSS, DOWN = 64.0, 20.0  # the room between boxes
EDGE: Final = 3
ROOM: Final = 24.0  # for what goes round the right side


@dataclass(frozen=True, slots=True)
class Box:
    """A box with a head, and a line for each of some names. kind: the colour of its frame, a grade."""

    name: str
    lines: tuple[str, ...] = ()
    said: str = ""  # beside the name
    kind: str = "none"
    about: str = ""  # what a pointer is told

    @property
    def height(self) -> float:
        return HEAD + LINE * len(self.lines) + 6

    @property
    def width(self) -> float:
        letters = max(len(self.name) + len(self.said) + 2, *(len(line) for line in self.lines), 0)
        return min(max(NARROW, LETTER * letters + 24), WIDE)


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a line of one box to the head of another, or of the same."""

    start: int  # number of the box that points
    line: int  # of its lines, the one that points
    end: int
    kind: str = "none"  # its colour, a grade
    firm: bool = True  # else dashed
    about: str = ""


def boxes(all_boxes: Sequence[Box], arrows: Sequence[Arrow], title: str, about: str) -> Markup:
    """The whole picture. Arrows point to the right, to what is named, as far as they run in no circle."""
    sizes = {str(i): (box.width, box.height) for i, box in enumerate(all_boxes)}
    edges = [(str(a.start), str(a.end)) for a in arrows]
    ports = {i: (_height(a.line), HEAD / 2) for i, a in enumerate(arrows)}
    plan = layers.layered(sizes, edges, across=True, gap=DOWN, between=ACROSS, ports=ports)
    parts = [_arrow(arrow, way) for arrow, way in zip(arrows, plan.ways, strict=True)]
    parts += [_box(box, plan.boxes[str(i)].x, plan.boxes[str(i)].y) for i, box in enumerate(all_boxes)]
    parts = [f'<g transform="translate({EDGE} {EDGE})">', *parts, "</g>"]
    width, height = plan.width + ROOM, plan.height + 2 * EDGE
    style = f' style="min-width:min({at(width)}px,{at(max(300.0, 0.72 * width))}px);max-width:{at(1.15 * width)}px"'
    return drawn(parts, width, height, title, about, kind="schema", more=style)


def _height(line: int) -> float:
    """How far below the top of its box a line of it stands; -1 is the head."""
    return HEAD + LINE * line + 8 if line >= 0 else HEAD / 2


def _box(box: Box, x: float, y: float) -> str:
    wide, letters = box.width, int((box.width - 16) / LETTER)
    parts = [
        f"<title>{escape(plain(box.about))}</title>" if box.about else "",
        f'<rect class="frame" x="{at(x)}" y="{at(y)}" width="{at(wide)}" height="{at(box.height)}" rx="6"/>',
        text(x + 8, y + 16, clipped(box.name, max(3, letters - len(box.said) - 1)), kind="name"),
        text(x + wide - 8, y + 16, box.said, "end", "tick") if box.said else "",
    ]
    for i, line in enumerate(box.lines):
        parts.append(text(x + 8, y + HEAD + LINE * i + 12, clipped(line, letters), kind="tick"))
    return f'<g class="box {box.kind}">{"".join(parts)}</g>'


def _arrow(arrow: Arrow, way: layers.Way) -> str:
    said = f"<title>{escape(plain(arrow.about))}</title>" if arrow.about else ""
    firm = "" if arrow.firm else " loose"
    line, head = f'<path d="{way.line}"/>', f'<path class="tip" d="{way.head}"/>'
    return f'<g class="arrow {arrow.kind}{firm}">{said}{line}{head}</g>'
