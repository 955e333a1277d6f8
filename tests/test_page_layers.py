"""Drawings of graphs in layers: boxes lie apart, ways lead down, and what is simple looks simple."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.pages.layers import Box, Layers, layered

NAMES = [f"n{i}" for i in range(12)]
graphs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=30)
boxes = st.lists(st.tuples(st.floats(10, 200), st.floats(10, 80)), min_size=12, max_size=12)


def drawn(edges: list[tuple[str, str]], **how: float) -> Layers:
    names = list(dict.fromkeys(n for edge in edges for n in edge))
    return layered(dict.fromkeys(names, (100.0, 30.0)), edges, **how)  # type: ignore[arg-type]


def apart(a: Box, b: Box) -> bool:
    beside = a.x + a.width <= b.x + 1e-6 or b.x + b.width <= a.x + 1e-6
    return beside or a.y + a.height <= b.y + 1e-6 or b.y + b.height <= a.y + 1e-6


def test_a_chain_is_a_straight_line_from_top_to_bottom() -> None:
    found = drawn([("a", "b"), ("b", "c")])
    assert [(b.x, b.y) for b in found.boxes.values()] == [(0, 0), (0, 76), (0, 152)]
    assert (found.width, found.height) == (100, 182)
    assert found.ways[0].line == "M50 30L50 70"
    assert found.ways[0].head == "M47 70L50 76L53 70Z"


def test_across_is_the_same_turned() -> None:
    found = drawn([("a", "b")], across=True)
    assert [(b.x, b.y) for b in found.boxes.values()] == [(0, 0), (146, 0)]


def test_crossings_that_need_not_be_are_undone() -> None:
    found = drawn([("r", "a"), ("r", "b"), ("a", "y"), ("b", "x"), ("a", "y2"), ("b", "x2")])
    sides = [found.boxes[n].x < found.boxes[m].x for n, m in (("a", "b"), ("y", "x"), ("y2", "x2"))]
    assert len(set(sides)) == 1


def test_a_cycle_has_one_way_back_and_a_self_loop_stays_at_its_box() -> None:
    found = drawn([("a", "b"), ("b", "c"), ("c", "a"), ("b", "b")])
    assert [w.backward for w in found.ways] == [False, False, True, True]
    assert found.boxes["a"].y < found.boxes["b"].y < found.boxes["c"].y


def test_two_ways_between_the_same_boxes_lie_side_by_side() -> None:
    found = drawn([("a", "b"), ("a", "b")])
    assert found.ways[0].line != found.ways[1].line


def test_a_rank_holds_at_most_so_many() -> None:
    found = drawn([("a", f"b{i}") for i in range(9)], most=4)
    ranks = [b.y for b in found.boxes.values()]
    assert max(ranks.count(y) for y in ranks) == 4


def test_nothing_is_a_drawing_too() -> None:
    found = layered({}, [])
    assert (found.boxes, found.ways, found.width, found.height) == ({}, (), 0, 0)


@pytest.mark.parametrize("across", [False, True])
@settings(max_examples=60, deadline=None)
@given(sizes=boxes, edges=graphs)
def test_boxes_lie_apart_inside_the_frame_and_ways_lead_onwards(
    sizes: list[tuple[float, float]], edges: list[tuple[str, str]], across: bool
) -> None:
    found = layered(dict(zip(NAMES, sizes, strict=True)), edges, across=across)
    assert all(apart(a, b) for a, b in combinations(found.boxes.values(), 2))
    assert all(b.x >= -1e-6 and b.x + b.width <= found.width + 1e-6 for b in found.boxes.values())
    assert all(b.y >= -1e-6 and b.y + b.height <= found.height + 1e-6 for b in found.boxes.values())
    for way in found.ways:
        a, b = found.boxes[way.source], found.boxes[way.target]
        ends = (b.x, a.x + a.width) if across else (b.y, a.y + a.height)
        assert way.backward or ends[0] > ends[1]
    assert found == layered(dict(zip(NAMES, sizes, strict=True)), edges, across=across)
