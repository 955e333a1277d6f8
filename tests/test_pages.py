"""Charts and the skeleton: worked by hand, well-formed whatever the numbers, and closed against what data may say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report_sample import HOSTILE
from verosim.pages import embedded, plain
from verosim.pages.charts import Series, bars, curve, histogram, scatter, sparkline
from verosim.pages.heat import heat_map
from verosim.pages.strips import Mark, share_bar, span, strip
from verosim.pages.svg import clipped, short, ticks


def drawn(svg: str) -> ElementTree.Element:
    """A picture, parsed: well-formed, of finite numbers, every place inside its frame."""
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not re.search(r"\b(nan|inf|None)\b", value), (key, value)
            limit = {"x": width, "cx": width, "x1": width, "y": height, "cy": height}.get(key)
            assert limit is None or -0.1 <= float(value) <= limit + 0.1
    return root


def titled(svg: str) -> str | None:
    root = drawn(svg)
    return root.findtext("title") if root.get("role") == "img" else None


# ------------------------------------------------------------------------------------------------ by hand


def test_a_histogram_of_two_bins() -> None:
    found = drawn(histogram([0, 1, 2], [Series("real", [0.25, 0.75]), Series("synthetic", [0.5, 0.5])], "t", ""))
    real, new = (e.attrib["d"] for e in found.iter("path") if e.attrib["class"] in ("real area", "synthetic line"))
    # the base lies at 150, the highest bar at 10: a third of it at 150 - 140 / 3
    assert real == "M36 150V103.3H178V10H320V150"
    assert new == "M36 150V56.7H178V56.7H320V150"


def test_the_area_of_uneven_bins_is_the_share() -> None:
    svg = histogram([0, 1, 4], [Series("real", [0.5, 0.5])], "t", "")
    heights = re.search(r"V([\d.]+)H[\d.]+V([\d.]+)", svg)
    assert heights is not None
    low, high = (150 - float(h) for h in heights.groups())
    assert low == pytest.approx(3 * high, rel=0.01)


def test_bars_are_as_long_as_their_shares() -> None:
    found = drawn(bars(["a", "b"], [Series("real", [0.8, 0.2]), Series("synthetic", [0.4, 0.6])], "t", ""))
    long = [float(e.attrib["width"]) for e in found.iter("rect")]
    assert long[0] == pytest.approx(4 * long[2], rel=0.01)
    assert long[3] == pytest.approx(1.5 * long[1], rel=0.01)
    assert [e.text for e in found.iter("text")][1:] == ["a", "80 / 40", "b", "20 / 60"]


def test_a_heat_map_has_a_piece_for_each_run_of_one_shade() -> None:
    svg = heat_map([[1.0, 1.0, 0.0], [None, -1.0, 0.5]], ["p", "q", "r"], ["a", "b"], "t", "", both_ways=True)
    shades = [e for e in drawn(svg).iter("path") if "fill-opacity" in e.attrib]
    assert {(e.attrib["class"], e.attrib["fill-opacity"], e.attrib["d"]) for e in shades} == {
        ("above", "1", "M0 0h2v1h-2z"), ("below", "1", "M1 1h1v1h-1z"), ("above", "0.5", "M2 1h1v1h-1z"),
    }  # fmt: skip


def test_a_strip_shows_the_floor_and_the_interval() -> None:
    found = drawn(strip([Mark(2, 1, 3, "far")], (0, 4), floor=0))
    assert [e.attrib["cx"] for e in found.iter("circle")] == ["100"]
    assert "M52 9H148" in "".join(e.attrib.get("d", "") for e in found.iter("path"))
    assert any(e.attrib.get("d", "").startswith("M4 0") for e in found.iter("path"))
    assert found.get("aria-hidden") == "true"  # the table around it says the numbers


def test_scales_hold_all_and_may_start_at_zero() -> None:
    assert span([1.0, 3.0, None, float("nan")], 0.0) == (0.0, 3.18)
    low, high = span([5.0])
    assert low < 5 < high


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (17, 90, [20, 40, 60, 80]), (5, 5, [5])]
)
def test_ticks_are_round(low: float, high: float, wanted: Sequence[float]) -> None:
    assert ticks(low, high, 6) == pytest.approx(wanted)


def test_pictures_are_told_to_screen_readers() -> None:
    assert titled(curve([("synthetic", [(0, 0), (1, 1)])], "ROC", "about")) == "ROC"
    assert titled(scatter("real", [(0, 0)], [(0, 0), (1, 1)], "rows", "")) == "rows"
    assert titled(sparkline([Series("real", [1.0])], True)) is None
    assert drawn(share_bar(0.5)).get("aria-hidden") == "true"


# ------------------------------------------------------------------------------------------------ whatever the numbers

NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=64)
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(st.lists(NUMBER, min_size=2, max_size=12, unique=True), st.data())
def test_any_histogram_stays_in_its_frame(edges: list[float], data: st.DataObject) -> None:
    shares = data.draw(st.lists(st.floats(0, 1), min_size=len(edges) - 1, max_size=len(edges) - 1))
    series = [Series("real", shares), Series("synthetic", shares[::-1])]
    assert titled(histogram(sorted(edges), series, "t", "")) == "t"
    drawn(sparkline(series, True))
    drawn(sparkline(series, False))


@given(st.lists(st.lists(st.none() | NUMBER, min_size=3, max_size=3), min_size=1, max_size=4), st.booleans())
def test_any_heat_map_stays_in_its_frame(values: list[list[float | None]], both_ways: bool) -> None:
    drawn(heat_map(values, ["a", "b", "c"], [str(i) for i in range(len(values))], "t", "", both_ways=both_ways))


@given(NUMBER, NUMBER, NUMBER, st.none() | NUMBER)
def test_any_strip_stays_in_its_frame(value: float, low: float, high: float, floor: float | None) -> None:
    drawn(strip([Mark(value, low, high)], span([value, low, high, floor]), floor))


@given(st.lists(st.tuples(NUMBER, NUMBER), max_size=8))
def test_any_cloud_stays_in_its_frame(points: list[tuple[float, float]]) -> None:
    drawn(scatter("real", points, points, "t", ""))


@given(SHARES, st.text(max_size=400))
def test_any_level_is_only_text(shares: list[float], level: str) -> None:
    found = drawn(bars([level] * len(shares), [Series("real", shares)], level or "t", level))
    assert len(list(found.iter("text"))) == 1 + 2 * len(shares)
    assert len(clipped(level, 17)) <= 17


@given(st.floats(-1e300, 1e300))
def test_short_numbers_are_short_and_near(value: float) -> None:
    said = short(value)
    assert len(said) <= 10
    size = {"k": 1e3, "M": 1e6, "G": 1e9}.get(said[-1], 1.0)
    assert float(said.rstrip("kMG")) * size == pytest.approx(value, rel=0.06)


# ------------------------------------------------------------------------------------------------ what data may say


@pytest.mark.parametrize("name", HOSTILE)
def test_embedded_json_is_the_same_json_and_cannot_end(name: str) -> None:
    text = embedded({name: [name, 1.5, None]})
    assert "<" not in text
    assert json.loads(text) == {name: [name, 1.5, None]}
    assert json.loads(plain(text)) == {name: [name, 1.5, None]}
