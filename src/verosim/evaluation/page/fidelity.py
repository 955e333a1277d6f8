"""The details of fidelity as pictures: columns, pairs, the detector, and all rows in one plane.

docs/report.md describes the details. What was not found has no picture, and the page says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from markupsafe import Markup

from verosim.evaluation.words import number
from verosim.pages.charts import Role, Series, bars, curve, histogram, scatter, sparkline
from verosim.pages.heat import Pointer, heat_map
from verosim.pages.strips import Line, share_bar
from verosim.pages.svg import short

Details = Mapping[str, Any]
Facts = tuple[tuple[str, str], ...]  # a name, and what is said of it
SETS: Final[tuple[tuple[str, Role, str], ...]] = (  # in the details, on the page, and in words
    ("train", "real", "Real rows, learned from"),
    ("holdout", "unseen", "Real rows, never seen"),
    ("synthetic", "synthetic", "Synthetic rows"),
)
MOMENTS: Final = ("mean", "sd", "min", "q25", "median", "q75", "max")
USED: Final = 6  # columns or pairs that gave rows away, that are shown

# ------------------------------------------------------------------------------------------------------- columns


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column: its place in the table, how far it is from real, its distribution, and the numbers beside it."""

    name: str
    place: int
    shape: str
    floor: str
    spark: Markup
    chart: Markup
    beyond: bool  # whether the outer bars hold what lies beyond them
    facts: Facts
    moments: tuple[tuple[str, str, str], ...]  # which, of real rows, of synthetic ones


def columns(details: Details, most: int) -> list[ColumnView]:
    """The columns, the one farthest beyond its floor first; at most `most`."""
    found = list(enumerate((details.get("columns") or {}).items()))
    found.sort(key=lambda item: (item[1][1]["floor"] or 0) - (item[1][1]["shape"] or 0))
    return [_column(place, name, column) for place, (name, column) in found[:most]]


def _column(place: int, name: str, c: Details) -> ColumnView:
    ordered = c["kind"] == "ordered"
    axis = c["edges" if ordered else "levels"]
    series = [Series(role, c[key]) for key, role, _ in SETS if axis and c[key]]
    title = f"Distribution of {name[:80]}"
    if not series:
        chart = Markup()
    elif ordered:
        chart = histogram(axis, series, title, _difference(_bins(c), c), c.get("labels") or ())
    else:
        chart = bars(axis, series, title, _difference(axis, c))
    numbers = number(c["shape"], "%"), number(c["floor"], "%")
    return ColumnView(
        name,
        place,
        *numbers,
        sparkline(series, ordered),
        chart,
        any(c.get("open") or ()),
        tuple(_facts(c)),
        tuple(_moments(c)),
    )


def _bins(c: Details) -> list[str]:
    labels = c.get("labels") or [short(edge) for edge in c["edges"]]
    return [f"{a} to {b}" for a, b in pairwise(labels)]


def _difference(names: Sequence[str], c: Details) -> str:
    """In words, where the two sets differ most: what a picture shows at a glance."""
    gaps = [abs(a - b) for a, b in zip(c["train"] or (), c["synthetic"] or (), strict=False)]
    if not gaps:
        return ""
    i = max(range(len(gaps)), key=gaps.__getitem__)
    real, new = (f"{100 * c[role][i]:.1f} %" for role in ("train", "synthetic"))
    return f"They differ most at {names[i][:60]}: {real} of the real rows, {new} of the synthetic ones."


def _facts(c: Details) -> Iterator[tuple[str, str]]:
    missing = c["missing"]
    if any(missing.values()):
        said = {"train": "real", "holdout": "unseen", "synthetic": "synthetic"}
        shares = (f"{100 * share:.2f} % {said[role]}" for role, share in missing.items() if share is not None)
        yield "Missing", ", ".join(shares)
    for name, value in (c.get("coverage") or {}).items():
        if value is not None:
            yield name.replace("_", " ").capitalize(), number(value, "%")


def _moments(c: Details) -> Iterator[tuple[str, str, str]]:
    both = c["moments"] or {}
    real, new = (both.get(role) or {} for role in ("train", "synthetic"))
    for name in MOMENTS if real or new else ():
        yield name, _moment(real.get(name)), _moment(new.get(name))


def _moment(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:,.5g}"


# --------------------------------------------------------------------------------------------------------- pairs


@dataclass(frozen=True, slots=True)
class PairView:
    """Two columns: how far their relation is from the real one, the shares of rows in each cell, other measures."""

    name: str
    trend: str
    floor: str
    real: Markup
    synthetic: Markup
    difference: Markup
    facts: Facts


def pairs(details: Details, home: str, most: int) -> list[PairView]:
    """The pairs of columns, worst first. home: where the details lie in the page's data, as a JSON pointer."""
    return [_pair(p, f"{home}/pairs/{i}") for i, p in enumerate((details.get("pairs") or ())[:most])]


def _pair(p: Details, home: str) -> PairView:
    a, b = p["columns"]
    high = max((share for role in ("train", "synthetic") for row in p[role] for share in row), default=0)

    def drawn(role: str, said: str) -> Markup:
        pointer = Pointer(f"{home}/{role}", f"{home}/y", f"{home}/x", 100, " %")
        return heat_map(p[role], p["y"], p["x"], _titled(a, b, said), high=high, pointer=pointer, scale=100, unit=" %")

    change = _titled(a, b, "synthetic less real")
    gap = heat_map(_less(p["synthetic"], p["train"]), p["y"], p["x"], change, both_ways=True, scale=100, unit=" %")
    facts = tuple((name, number(value)) for name, value in (p.get("utility") or {}).items())
    numbers = number(p["trend"], "%"), number(p["floor"], "%")
    return PairView(f"{a} × {b}", *numbers, drawn("train", "real"), drawn("synthetic", "synthetic"), gap, facts)


def _titled(a: str, b: str, said: str) -> str:
    return f"{a[:60]} down, {b[:60]} across: shares of rows, {said}"


def _less(new: Sequence[Sequence[float | None]], real: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """Cell by cell; None where one of the two is."""
    return [
        [None if x is None or y is None else x - y for x, y in zip(*rows, strict=True)]
        for rows in zip(new, real, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class TableOfPairs:
    """Every two columns at once: synthpop's heat map."""

    measure: str
    chart: Markup


def pair_table(details: Details, home: str) -> TableOfPairs | None:
    """A measure of every two columns. Above the 99th percentile all have one shade: few would make others pale."""
    t = details.get("pair_table")
    if not t or not t["columns"]:
        return None
    known = sorted(value for row in t["values"] for value in row if value is not None)
    high = known[int(0.99 * (len(known) - 1))] if known else None
    names, columns = t["columns"], f"{home}/pair_table/columns"
    title, about = f"{t['measure']} of every two columns", f"The darkest shade stands for {number(high)} and more."
    pointer = Pointer(f"{home}/pair_table/values", columns, columns)
    return TableOfPairs(t["measure"], heat_map(t["values"], names, names, title, about, high=high, pointer=pointer))


def correlations(details: Details, home: str) -> list[tuple[str, Markup]]:
    """Correlations of real rows, of synthetic ones, and their difference, each matrix with its caption."""
    c = details.get("correlations")
    if not c or not c["columns"]:
        return []
    names, columns = c["columns"], f"{home}/correlations/columns"

    def drawn(role: str, said: str) -> tuple[str, Markup]:
        pointer = Pointer(f"{home}/correlations/{role}", columns, columns)
        title = f"Correlations: {said.lower()}"
        return said, heat_map(c[role], names, names, title, high=1, both_ways=True, pointer=pointer)

    gap = heat_map(_less(c["synthetic"], c["train"]), names, names, "Correlations: synthetic less real", both_ways=True)
    return [drawn("train", "Real rows"), drawn("synthetic", "Synthetic rows"), ("Synthetic less real", gap)]


# ----------------------------------------------------------------------------------------- all columns at once


@dataclass(frozen=True, slots=True)
class DetectorView:
    """The curve of the detector, and the columns and pairs that gave the rows away."""

    roc: Markup
    columns: list[Line]
    pairs: list[Line]


def detector(details: Details) -> DetectorView | None:
    """What the detector found."""
    d = details.get("detector")
    if not d:
        return None
    title = "How well a detector tells synthetic from unseen real rows"
    lines: list[tuple[Role, Any]] = [("real", d.get("roc_floor") or ()), ("synthetic", d["roc"])]
    roc = curve(
        lines, title, "The nearer the line is to the grey one, of real rows against real rows, the less it finds."
    )
    together = {f"{a} × {b}": share for a, b, share in d.get("pairs") or ()}
    return DetectorView(roc, _used(d.get("gains") or {}), _used(together))


def _used(shares: Mapping[str, float]) -> list[Line]:
    """Shares as bars, the largest first."""
    most = sorted((row for row in shares.items() if row[1] > 0), key=lambda row: -row[1])[:USED]
    return [Line(name, (f"{100 * share:.0f} %",), share_bar(share / most[0][1])) for name, share in most]


@dataclass(frozen=True, slots=True)
class ProjectionView:
    """Rows in the plane where real ones vary most."""

    clouds: list[tuple[str, Markup]]  # each set of rows with its caption, in one plane
    held: str  # in words, how much of the variation the plane holds


def projection(details: Details, most: int) -> ProjectionView | None:
    """The sets of rows side by side, in one plane; at most so many of each."""
    p = details.get("projection")
    if not p or not p["synthetic"]:
        return None
    among = [point for key, *_ in SETS for point in p.get(key) or ()]
    shares = " and ".join(f"{100 * share:.0f} %" for share in p.get("explained") or ())
    held = f"The two directions hold {shares} of the variation of the real rows." if shares else ""
    clouds = [(said, scatter(role, p[key][:most], among, said, held)) for key, role, said in SETS if p.get(key)]
    return ProjectionView(clouds, held)
