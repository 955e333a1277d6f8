"""Boxes in layers, tied by arrows: the picture of a schema, as SVG.

Layered drawing (Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures, 1981):
every box stands to the right of those that it points to, as far as arrows run in no circle; arrows that pass a layer
get a place of their own in it; each layer is put in the order of its neighbours' medians, and drawn near to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final

from markupsafe import Markup, escape

from verosim.pages import plain
from verosim.pages.svg import at, clipped, drawn, text

LINE: Final = 18.0  # the height of a line in a box
HEAD: Final = 24.0
LETTER: Final = 6.6  # the width of a letter, about
NARROW, WIDE = 90.0, 190.0  # of a box
ACROSS, DOWN = 64.0, 20.0  # the room between boxes
SWEEPS: Final = 12
LOOP: Final = 16.0  # how far an arrow from a box to itself goes out


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
    """The whole picture. Arrows point to the left, to what is named."""
    plan = _Plan.of(all_boxes, arrows)
    parts = [_arrow(a, plan, lane) for lane, a in enumerate(arrows)]
    parts += [_box(box, *plan.places[i]) for i, box in enumerate(all_boxes)]
    width, height = plan.size
    style = f' style="min-width:min({at(width)}px,{at(max(300.0, 0.72 * width))}px);max-width:{at(1.15 * width)}px"'
    return drawn(parts, width, height, title, about, kind="schema", more=style)


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


def _arrow(arrow: Arrow, plan: _Plan, lane: int) -> str:
    """A curve through the places that it has in the layers between, with a head where it ends."""
    x, y = plan.places[arrow.start]
    to_x, to_y = plan.places[arrow.end]
    begin = y + HEAD + LINE * arrow.line + 8 if arrow.line >= 0 else y + HEAD / 2
    end = to_y + HEAD / 2
    if to_x >= x:  # a circle: around the right side of both
        right, target = x + plan.boxes[arrow.start].width, to_x + plan.boxes[arrow.end].width
        out = max(right, target) + LOOP + 3 * (lane % 4)
        path = f"M{at(right)} {at(begin)}C{at(out)} {at(begin)} {at(out)} {at(end)} {at(target)} {at(end)}"
        tip = f"M{at(target + 6)} {at(end - 3.5)}L{at(target)} {at(end)}l6 3.5"
    else:
        target = to_x + plan.boxes[arrow.end].width
        points = [(x, begin), *plan.between[lane], (target, end)]
        path = f"M{at(x)} {at(begin)}" + "".join(_bend(a, b) for a, b in pairwise(points))
        tip = f"M{at(target + 6)} {at(end - 3.5)}L{at(target)} {at(end)}l6 3.5"
    said = f"<title>{escape(plain(arrow.about))}</title>" if arrow.about else ""
    firm = "" if arrow.firm else " loose"
    return f'<g class="arrow {arrow.kind}{firm}">{said}<path d="{path}"/><path class="tip" d="{tip}"/></g>'


def _bend(a: tuple[float, float], b: tuple[float, float]) -> str:
    middle = (a[0] + b[0]) / 2
    return f"C{at(middle)} {at(a[1])} {at(middle)} {at(b[1])} {at(b[0])} {at(b[1])}"


# ---------------------------------------------------------------------------------------------------------- places


@dataclass(slots=True)
class _Plan:
    """Where the boxes stand. Nodes are the boxes, and after them the places of arrows in layers that they pass."""

    boxes: Sequence[Box]
    layer: list[int]
    above: list[list[int]]  # of each node, its neighbours one layer to the left
    below: list[list[int]]  # ... to the right
    chains: list[list[int]]  # of each arrow, the nodes that it passes
    rank: list[float] = field(default_factory=list)  # of each node within its layer, while these are put in order
    y: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, all_boxes: Sequence[Box], arrows: Sequence[Arrow]) -> _Plan:
        layer = _layers(len(all_boxes), [(a.start, a.end) for a in arrows])
        plan = cls(all_boxes, layer, [[] for _ in all_boxes], [[] for _ in all_boxes], [])
        for arrow in arrows:
            plan.chains.append(plan._chain(arrow))
        plan._order()
        plan._settle()
        return plan

    def _chain(self, arrow: Arrow) -> list[int]:
        """New nodes in the layers between the two ends, tied one to the next."""
        if self.layer[arrow.end] >= self.layer[arrow.start]:
            return []
        passed = []
        for layer in range(self.layer[arrow.start] - 1, self.layer[arrow.end], -1):
            passed.append(len(self.layer))
            self.layer.append(layer)
            self.above.append([])
            self.below.append([])
        for right, left in pairwise([arrow.start, *passed, arrow.end]):
            self.above[right].append(left)
            self.below[left].append(right)
        return passed

    def _columns(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in range(max(self.layer, default=0) + 1)]
        for node in sorted(range(len(self.layer)), key=lambda n: self.rank[n] if self.rank else n):
            found[self.layer[node]].append(node)
        return found

    def _order(self) -> None:
        """Each layer by the median place of its neighbours, from left to right and back; the best order is kept."""
        self.rank = [float(n) for n in range(len(self.layer))]
        best, fewest = list(self.rank), self._crossings()
        for sweep in range(SWEEPS):
            columns = self._columns()
            near = self.above if sweep % 2 == 0 else self.below
            for column in columns if sweep % 2 == 0 else reversed(columns):
                middle = {n: median([self.rank[m] for m in near[n]]) if near[n] else self.rank[n] for n in column}
                for place, node in enumerate(sorted(column, key=middle.__getitem__)):
                    self.rank[node] = float(place)
            if (now := self._crossings()) < fewest:
                best, fewest = list(self.rank), now
        self.rank = best

    def _crossings(self) -> int:
        """How often arrows cross between layers, by their ends."""
        ends = [(self.layer[n], self.rank[n], self.rank[m]) for n, near in enumerate(self.above) for m in near]
        pairs = ((a, b) for i, a in enumerate(ends) for b in ends[:i] if a[0] == b[0])
        return sum((a[1] - b[1]) * (a[2] - b[2]) < 0 for a, b in pairs)

    def _settle(self) -> None:
        """Heights: one under the other, then each as near to its neighbours as the order lets it."""
        self.y = [0.0] * len(self.layer)
        columns = self._columns()
        for column in columns:
            self._stack(column, [0.0] * len(column))
        for sweep in range(SWEEPS):
            for column in columns if sweep % 2 else reversed(columns):
                near = [[*self.above[n], *self.below[n]] for n in column]
                wanted = [
                    sum(self.y[m] + self._tall(m) / 2 for m in ms) / len(ms) - self._tall(n) / 2 if ms else self.y[n]
                    for n, ms in zip(column, near, strict=True)
                ]
                self._stack(column, wanted)
        top = min(self.y, default=0.0)
        self.y = [y - top + 6 for y in self.y]

    def _tall(self, node: int) -> float:
        return self.boxes[node].height if node < len(self.boxes) else 4.0

    def _stack(self, column: Sequence[int], wanted: Sequence[float]) -> None:
        """Nodes one under the other at the heights wanted, pushed apart as little as can be: runs that overlap share
        their mean shift (pool adjacent violators)."""
        blocks: list[tuple[float, list[int]]] = []  # the top of the first node, and the nodes
        offset, offsets = 0.0, []
        for node in column:
            offsets.append(offset)
            offset += self._tall(node) + DOWN * (1.0 if node < len(self.boxes) else 0.5)
        for place, _ in enumerate(column):
            mean, run = wanted[place] - offsets[place], [place]
            while blocks and blocks[-1][0] > mean:
                before, earlier = blocks.pop()
                mean = (mean * len(run) + before * len(earlier)) / (len(run) + len(earlier))
                run = [*earlier, *run]
            blocks.append((mean, run))
        for mean, run in blocks:
            for place in run:
                self.y[column[place]] = mean + offsets[place]

    @property
    def starts(self) -> list[float]:
        """The left side of each layer, and the right end of the last."""
        out = [6.0]
        for column in self._columns():
            widest = max((self.boxes[n].width for n in column if n < len(self.boxes)), default=0.0)
            out.append(out[-1] + widest + ACROSS)
        return out

    @property
    def places(self) -> list[tuple[float, float]]:
        starts = self.starts
        return [(starts[self.layer[n]], self.y[n]) for n in range(len(self.boxes))]

    @property
    def between(self) -> list[list[tuple[float, float]]]:
        """Of each arrow, the points that it passes: both sides of the layers between."""
        starts = self.starts
        out = []
        for chain in self.chains:
            points: list[tuple[float, float]] = []
            for node in chain:
                left, right = starts[self.layer[node]], starts[self.layer[node] + 1] - ACROSS
                points += [(right, self.y[node] + 2), (left, self.y[node] + 2)]
            out.append(points)
        return out

    @property
    def size(self) -> tuple[float, float]:
        tall = max((self.y[n] + self._tall(n) for n in range(len(self.layer))), default=0.0)
        return self.starts[-1] - ACROSS + LOOP + 20, tall + 8


def _layers(n: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """How many boxes each (of n) has on its longest way to the left; edges that would close a circle do not count."""
    out: list[list[int]] = [[] for _ in range(n)]
    for start, end in edges:
        if start != end and not _leads(out, end, start):
            out[start].append(end)
    layer = [0] * n
    for _ in range(n):
        layer = [max((layer[end] + 1 for end in out[i]), default=0) for i in range(n)]
    return layer


def _leads(out: Sequence[Sequence[int]], start: int, end: int) -> bool:
    found, todo = {start}, [start]
    while todo:
        near = {m for m in out[todo.pop()] if m not in found}
        found |= near
        todo += near
    return end in found
