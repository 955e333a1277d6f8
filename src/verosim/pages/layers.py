"""Directed graphs as drawings in layers: every box below (or right of) those that lead to it, with few crossings.

    drawing = layered({"a": (90, 30), "b": (90, 30)}, [("a", "b"), ("b", "a")])
    drawing.boxes["b"], drawing.ways[0].line, drawing.ways[0].head      # places, and paths for SVG

After Sugiyama, Tagawa and Toda (1981): ways that close a cycle are turned round, boxes get ranks, long ways get a place
in each rank that they pass, ranks are ordered by the means of their neighbours, and places are the weighted least
squares that keep the order (isotonic regression). Everything is worked out without chance: same graph, same drawing.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from verosim.pages.svg import at

__all__ = ["Box", "Layers", "Way", "layered"]

SWEEPS: Final = 12  # of ordering; more change little
PULLS: Final = 31  # of placing; the last one goes down, which makes chains straight
HEAD: Final = 6.0  # the length of an arrow's head
WORDS: Final = (34.0, 13.0)  # room that a short label takes, across and down
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node stands: its upper left corner, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Way:
    """An edge as drawn: `line` and `head` are texts of SVG paths; `backward` where it leads against the ranks."""

    source: str
    target: str
    line: str
    head: str
    label: _Point  # a place for words about it, near its start, apart from those of others
    backward: bool


@dataclass(frozen=True, slots=True)
class Layers:
    """A drawing: boxes by name, ways in the order of the edges, and its size."""

    boxes: dict[str, Box]
    ways: tuple[Way, ...]
    width: float
    height: float


def layered(
    sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]], *,
    across: bool = False, gap: float = 22.0, between: float = 46.0, most: int = 10**9,
    ports: Mapping[int, tuple[float, float]] | None = None,
) -> Layers:  # fmt: skip
    """Places for boxes of these sizes (width, height), and ways for the edges between them.

    The first box is where walks begin, so name an initial one first. across: ranks from left to right, not from top to
    bottom. gap: room between boxes of a rank; between: room between ranks. most: boxes in a rank.
    ports: of edges by number, how far along their boxes they leave and arrive; the others leave side by side.
    Edges may close cycles, join a box with itself, and be there several times; both ends have a size.
    """
    turned = {name: (h, w) if across else (w, h) for name, (w, h) in sizes.items()}  # (along the rank, through it)
    joined = [(i, a, b) for i, (a, b) in enumerate(edges) if a != b]
    back = _backward(list(sizes), joined)
    forward = [(i, b, a) if i in back else (i, a, b) for i, a, b in joined]
    graph = _Ranked(turned, _ranks(list(sizes), forward, most), forward)
    graph.order()
    graph.place(gap)
    return _Drawing(graph, edges, back, across, between, ports or {}).layers()


# ------------------------------------------------------------------------------------------------ ranks


def _backward(names: Sequence[str], edges: Iterable[tuple[int, str, str]]) -> set[int]:
    """The edges that a walk in depth, from the first name on, finds to lead back to where it came from."""
    out: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for i, a, b in edges:
        out[a].append((i, b))
    found, done, open_ = set(), set(), set()
    for start in names:
        if start in done:
            continue
        stack = [(start, iter(out[start]))]
        open_.add(start)
        while stack:
            name, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                stack.pop()
                open_.discard(name)
                done.add(name)
            elif step[1] in open_:
                found.add(step[0])
            elif step[1] not in done:
                open_.add(step[1])
                stack.append((step[1], iter(out[step[1]])))
    return found


def _ranks(names: Sequence[str], edges: Sequence[tuple[int, str, str]], most: int) -> dict[str, int]:
    """The rank of each node: below all that lead to it, at most so many in each; with long ways made short."""
    into: defaultdict[str, list[str]] = defaultdict(list)
    out: defaultdict[str, list[str]] = defaultdict(list)
    for _, a, b in edges:
        into[b].append(a)
        out[a].append(b)
    ordered = _topological(names, into, out)
    rank: dict[str, int] = {}
    filled: defaultdict[int, int] = defaultdict(int)
    for name in ordered:
        level = max((rank[a] + 1 for a in into[name]), default=0)
        while filled[level] >= most:
            level += 1
        rank[name] = level
        filled[level] += 1
    for name in reversed(ordered):
        if len(out[name]) > len(into[name]):  # more ways get shorter than longer
            lowest = min(rank[b] for b in out[name]) - 1
            if filled[lowest] < most:
                filled[rank[name]] -= 1
                filled[lowest] += 1
                rank[name] = lowest
    used = {level: i for i, level in enumerate(sorted(set(rank.values())))}
    return {name: used[rank[name]] for name in names}


def _topological(names: Sequence[str], into: Mapping[str, list[str]], out: Mapping[str, list[str]]) -> list[str]:
    waiting = {name: len(into[name]) if name in into else 0 for name in names}
    ready = [name for name in names if not waiting[name]]
    for name in ready:  # grows while it is read
        for after in out.get(name, ()):
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    return ready


# ------------------------------------------------------------------------------------------------ order and places


class _Ranked:
    """Nodes in ranks, with a stand-in wherever a way passes through a rank; nodes and stand-ins are numbers."""

    def __init__(
        self, sizes: Mapping[str, tuple[float, float]], rank: Mapping[str, int], edges: Iterable[tuple[int, str, str]]
    ) -> None:
        self.number = {name: i for i, name in enumerate(sizes)}
        self.sizes: list[tuple[float, float]] = list(sizes.values())
        self.ranks: list[list[int]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
        self.chains: dict[int, list[int]] = {}  # edge -> its nodes, rank by rank
        self.links: list[tuple[int, int]] = []
        self.n = len(self.sizes)  # from here on: stand-ins
        for node, level in rank.items():
            self.ranks[level].append(self.number[node])
        for i, a, b in edges:
            between = [self._stand_in(level) for level in range(rank[a] + 1, rank[b])]
            self.chains[i] = [self.number[a], *between, self.number[b]]
            self.links += pairwise(self.chains[i])
        self.above: list[list[int]] = [[] for _ in self.sizes]
        self.below: list[list[int]] = [[] for _ in self.sizes]
        for upper, lower in self.links:
            self.below[upper].append(lower)
            self.above[lower].append(upper)
        self.place_of: list[float] = [0.0] * len(self.sizes)  # the middle of each, along its rank

    def _stand_in(self, level: int) -> int:
        self.sizes.append((0.0, 0.0))
        self.ranks[level].append(len(self.sizes) - 1)
        return len(self.sizes) - 1

    def order(self) -> None:
        """Each rank by the means of the rank before it, downwards and upwards, as long as crossings get fewer."""
        best, fewest, idle = [list(rank) for rank in self.ranks], self._crossings(), 0
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for rank in self.ranks if down else self.ranks[::-1]:
                self._sort(rank, self.above if down else self.below)
            crossings = self._crossings()
            idle = 0 if crossings < fewest else idle + 1
            if crossings < fewest:
                best, fewest = [list(rank) for rank in self.ranks], crossings
            if not fewest or idle > 4:
                break
        self.ranks = best

    def _sort(self, rank: list[int], beside: list[list[int]]) -> None:
        turn = {node: i / max(len(r) - 1, 1) for r in self.ranks for i, node in enumerate(r)}
        means = {node: _mean([turn[b] for b in beside[node]], turn[node]) for node in rank}
        rank.sort(key=means.__getitem__)

    def _crossings(self) -> int:
        turn = {node: i for rank in self.ranks for i, node in enumerate(rank)}
        count = 0
        for rank in self.ranks:
            ends: list[int] = []
            for node in rank:
                below = [turn[b] for b in self.below[node]]
                count += sum(len(ends) - bisect_right(ends, end) for end in below)
                for end in below:
                    insort(ends, end)
        return count

    def place(self, gap: float) -> None:
        """Each node in the middle of its neighbours, as far as its rank's order and the room between allow."""
        offsets = {}
        for rank in self.ranks:
            spot = 0.0
            for a, b in pairwise([rank[0], *rank]):
                spot += (self.sizes[a][0] + self.sizes[b][0]) / 2 + self._gap(a, b, gap) if a != b else 0.0
                offsets[b] = self.place_of[b] = spot
        for sweep in range(PULLS):
            down, both = sweep % 2 == 0, sweep < PULLS - 1
            for rank in self.ranks if down else self.ranks[::-1]:
                wanted = [self._wanted(node, down or both, both) for node in rank]
                steps = _rising([place - offsets[node] for node, (place, _) in zip(rank, wanted, strict=True)],
                                [weight for _, weight in wanted])  # fmt: skip
                for node, step in zip(rank, steps, strict=True):
                    self.place_of[node] = step + offsets[node]

    def _gap(self, a: int, b: int, gap: float) -> float:
        """Ways pass closer to each other than boxes stand."""
        return gap * (1.0 if a < self.n and b < self.n else 0.5 if a >= self.n and b >= self.n else 0.75)

    def _wanted(self, node: int, above: bool, below: bool) -> tuple[float, float]:
        """The place that its neighbours pull a node to, and how hard; long ways pull hardest, and so are straight."""
        beside = (self.above[node] if above else []) + (self.below[node] if below else [])
        if not beside:
            return self.place_of[node], 0.01
        pulls = [(8.0 if b >= self.n else 2.0) if node >= self.n else (2.0 if b >= self.n else 1.0) for b in beside]
        total = sum(pulls)
        return sum(p * self.place_of[b] for p, b in zip(pulls, beside, strict=True)) / total, total


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _rising(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising numbers nearest to the wanted ones, in weighted squares: neighbours that fall are pooled."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(wanted, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, heavy, n = pools.pop()
            total = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / total, total, n + pool[2])
        pools.append(pool)
    return [mean for mean, _, n in pools for _ in range(n)]


# ------------------------------------------------------------------------------------------------ the drawing


class _Drawing:
    """Boxes and ways of a graph whose nodes have their places."""

    def __init__(
        self, graph: _Ranked, edges: Sequence[tuple[str, str]], back: set[int], across: bool, between: float,
        ports: Mapping[int, tuple[float, float]],
    ) -> None:  # fmt: skip
        self.graph, self.edges, self.back, self.across, self.between = graph, edges, back, across, between
        self.first = min((p - graph.sizes[i][0] / 2 for i, p in enumerate(graph.place_of)), default=0.0)
        self.level = {node: k for k, rank in enumerate(graph.ranks) for node in rank}
        self.tops, self.bottoms, top = [], [], 0.0
        for rank in graph.ranks:
            self.tops.append(top)
            self.bottoms.append(top + max(graph.sizes[node][1] for node in rank))
            top = self.bottoms[-1] + between
        self.given = ports
        self.ports = {False: self._ports(0), True: self._ports(-1)}

    def layers(self) -> Layers:
        boxes = {name: self._box(i) for name, i in self.graph.number.items()}
        ways = [self._way(i, a, b, boxes[a]) for i, (a, b) in enumerate(self.edges)]
        labels = _apart([way.label for way in ways])
        ways = [replace(way, label=label) for way, label in zip(ways, labels, strict=True)]
        along = max((p + self.graph.sizes[i][0] / 2 for i, p in enumerate(self.graph.place_of)), default=0.0)
        width, height = self._turn(along - self.first, self.bottoms[-1] if self.bottoms else 0.0)
        return Layers(boxes, tuple(ways), width, height)

    def _box(self, node: int) -> Box:
        along, through = self.graph.sizes[node]
        x, y = self._turn(self._place(node) - along / 2, self.tops[self.level[node]])
        width, height = self._turn(along, through)
        return Box(x, y, width, height)

    def _turn(self, along: float, through: float) -> _Point:
        return (through, along) if self.across else (along, through)

    def _place(self, node: int) -> float:
        return self.graph.place_of[node] - self.first

    def _ports(self, end: int) -> dict[int, float]:
        """Where along its box each way starts (end 0) or ends (-1): side by side, in the order of where they go."""
        at_box: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
        for i, chain in self.graph.chains.items():
            at_box[chain[end]].append((self._place(chain[1 if end == 0 else -2]), i))
        places = {}
        for node, ways in at_box.items():
            room = self.graph.sizes[node][0] * 0.7
            for k, (_, i) in enumerate(sorted(ways)):
                places[i] = self._place(node) + room * ((k + 1) / (len(ways) + 1) - 0.5)
        for i, (leave, arrive) in self.given.items():
            if i in self.graph.chains:
                node = self.graph.chains[i][end]
                along = leave if (end == 0) != (i in self.back) else arrive
                places[i] = self._place(node) - self.graph.sizes[node][0] / 2 + along
        return places

    def _way(self, i: int, a: str, b: str, box: Box) -> Way:
        if a == b:
            return self._loop(a, box, self.given.get(i, (box.height * 0.3, box.height * 0.7)))
        chain = self.graph.chains[i]
        last = chain[0], chain[-1]
        points = [(self.ports[False][i], self.tops[self.level[last[0]]] + self.graph.sizes[last[0]][1])]
        for node in chain[1:-1]:
            level = self.level[node]
            points += [(self._place(node), self.tops[level]), (self._place(node), self.bottoms[level])]
        points.append((self.ports[True][i], self.tops[self.level[last[1]]]))
        points = points[::-1] if i in self.back else points
        sign = -1 if i in self.back else 1
        tip = points[-1]
        points[-1] = (tip[0], tip[1] - sign * HEAD)
        label = self._turn((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
        return Way(a, b, self._curve(points), self._head(tip, sign), label, i in self.back)

    def _curve(self, points: Sequence[_Point]) -> str:
        """Straight through ranks, and between them curves that leave and arrive at right angles to the rank."""
        parts = [f"M{self._at(points[0])}"]
        for (a, s), (b, t) in pairwise(points):
            middle = (s + t) / 2
            bend = f"C{self._at((a, middle))} {self._at((b, middle))} {self._at((b, t))}"
            parts.append(f"L{self._at((b, t))}" if a == b else bend)
        return "".join(parts)

    def _head(self, tip: _Point, sign: int) -> str:
        a, t = tip
        base, half = t - sign * HEAD, HEAD / 2
        return f"M{self._at((a - half, base))}L{self._at(tip)}L{self._at((a + half, base))}Z"

    def _at(self, point: _Point) -> str:
        x, y = self._turn(*point)
        return f"{at(x)} {at(y)}"

    def _loop(self, name: str, box: Box, ports: tuple[float, float]) -> Way:
        """From a box to itself: out of its right side and back into it."""
        x, top, low = box.x + box.width, box.y + ports[0], box.y + ports[1]
        out = x + 16
        line = f"M{at(x)} {at(top)}C{at(out)} {at(top - 4)} {at(out)} {at(low + 4)} {at(x + HEAD)} {at(low)}"
        half = HEAD / 2
        head = f"M{at(x + HEAD)} {at(low - half)}L{at(x)} {at(low)}L{at(x + HEAD)} {at(low + half)}Z"
        return Way(name, name, line, head, (out, (top + low) / 2), True)


def _apart(places: Sequence[_Point]) -> list[_Point]:
    """Places of labels, moved down until none covers one before it."""
    taken: list[_Point] = []
    for x, y in places:
        while any(abs(x - a) < WORDS[0] and abs(y - b) < WORDS[1] for a, b in taken):
            y += WORDS[1]
        taken.append((x, y))
    return taken
