"""A map of what follows what: boxes in layers, arrows as wide as they are usual, coloured where two sets differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from verosim.pages import plain
from verosim.pages.layers import layered
from verosim.pages.svg import at, clipped, drawn, text

BOX: Final = (148.0, 38.0)
END: Final = (64.0, 24.0)
START, STOP = "\0start", "\0stop"  # the names of where all begins and ends
DIFFERS: Final = 0.05  # a difference of shares from here on has a colour
ROOM: Final = 8.0


@dataclass(frozen=True, slots=True)
class Arc:
    """A way from one box to another, and how usual it is in two sets."""

    source: str
    target: str
    real: float
    synthetic: float


def flow_map(boxes: Sequence[tuple[str, str]], arcs: Sequence[Arc], title: str, about: str) -> Markup:
    """boxes: each a name, and what is said below it. Arrows: blue where synthetic ones are more, orange where less."""
    used = {end for arc in arcs for end in (arc.source, arc.target)}
    sizes = {START: END} if START in used else {}
    sizes |= {name: BOX for name, _ in boxes if name in used} | ({STOP: END} if STOP in used else {})
    arcs = [a for a in arcs if a.source in sizes and a.target in sizes]
    found = layered(sizes, [(a.source, a.target) for a in arcs], gap=26, between=42)
    most = max((max(a.real, a.synthetic) for a in arcs), default=1.0) or 1.0
    parts = [f'<g transform="translate({ROOM:g} {ROOM:g})">']
    for arc, way in zip(arcs, found.ways, strict=True):
        gap = arc.synthetic - arc.real
        kind = "same" if abs(gap) < DIFFERS * most else "above" if gap > 0 else "below"
        wide = 1 + 3.5 * max(arc.real, arc.synthetic) / most
        said = f"{_name(arc.source)} to {_name(arc.target)}: real {arc.real:.3g}, synthetic {arc.synthetic:.3g} a case"
        line = f'<path class="way" stroke-width="{at(wide)}" d="{way.line}"/><path class="head" d="{way.head}"/>'
        parts.append(f'<g class="flow-{kind}"><title>{escape(plain(said))}</title>{line}</g>')
    for name, said in [(START, ""), *boxes, (STOP, "")]:
        if name in found.boxes:
            box = found.boxes[name]
            place = f'x="{at(box.x)}" y="{at(box.y)}" width="{at(box.width)}" height="{at(box.height)}"'
            middle, high = box.x + box.width / 2, box.y + 16
            label = f"<g><title>{escape(plain(_name(name)))}</title>"
            parts.append(
                f'{label}<rect class="box" rx="7" {place}/>{text(middle, high, clipped(_name(name), 22), "middle")}'
            )
            parts.append(text(middle, high + 15, said, "middle", "tick") + "</g>" if said else "</g>")
    width, height = found.width + 2 * ROOM, found.height + 2 * ROOM
    return drawn([*parts, "</g>"], width, height, title, about, "flow", f' width="{at(width)}"')


def _name(name: str) -> str:
    return {START: "start", STOP: "end"}.get(name, name)
