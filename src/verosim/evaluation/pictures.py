"""The details of a report as pictures: each function takes the details of one name and gives what a template lays out.

docs/report.md describes the details. Where there are none a function gives None, and the page says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from verosim.evaluation.words import number
from verosim.pages.charts import Series, bars, curve, histogram, scatter, sparkline
from verosim.pages.heat import Pointer, heat_map
from verosim.pages.strips import Mark, share_bar, span, strip
from verosim.pages.svg import short

Details = Mapping[str, Any]
MARGIN: Final = 1.959964  # standard errors to each side of a 95 % interval


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a small table: what it is of, numbers as text, and a strip or bar."""

    label: str
    cells: tuple[str, ...]
    strip: Markup
    about: str = ""


# ------------------------------------------------------------------------------------------------ columns


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column: its place in the table, how far it is from real, its distribution, and the numbers beside it."""

    name: str
    kind: str
    place: int
    shape: str
    floor: str
    spark: Markup
    chart: Markup
    facts: tuple[tuple[str, str], ...]
    moments: tuple[tuple[str, str, str], ...]  # which, real, synthetic


def columns(details: Details, most: int) -> list[ColumnView]:
    """The columns, the one farthest beyond its floor first; at most `most`."""
    found = list(enumerate(details.get("columns", {}).items()))
    found.sort(key=lambda item: -(item[1][1]["shape"] or 0) + (item[1][1].get("floor") or 0))
    return [_column(place, name, column) for place, (name, column) in found[:most]]


def _column(place: int, name: str, c: Details) -> ColumnView:
    ordered = c["kind"] == "ordered"
    series = [
        Series(said, role, c[key])  # type: ignore[arg-type]
        for key, role, said in (("train", "real", "real"), ("holdout", "unseen", "unseen"), ("synthetic", "synthetic", "synthetic"))
        if c.get(key)
    ]
    title = f"Distribution of {name[:80]}"
    if not series or not c["edges" if ordered else "levels"]:
        series, chart = [], Markup()
    elif ordered:
        chart = histogram(c["edges"], series, title, _difference(_bins(c), c), c.get("labels") or ())
    else:
        chart = bars(c["levels"], series, title, _difference(c["levels"], c))
    shape, floor = number(c["shape"], "%"), number(c.get("floor"), "%")
    kind = "numbers or times" if ordered else "levels"
    return ColumnView(name, kind, place, shape, floor, sparkline(series, ordered), chart, _facts(c), _moments(c))


def _bins(c: Details) -> list[str]:
    labels = c.get("labels") or [short(e) for e in c["edges"]]
    return [f"{a} to {b}" for a, b in zip(labels, labels[1:], strict=False)]


def _difference(names: Sequence[str], c: Details) -> str:
    """In words, where the two sets differ most: what a picture shows at a glance."""
    gaps = [abs(a - b) for a, b in zip(c["train"] or (), c["synthetic"] or (), strict=False)]
    if not gaps or len(names) < len(gaps):
        return ""
    i = max(range(len(gaps)), key=gaps.__getitem__)
    real, new = (f"{100 * c[role][i]:.1f} %" for role in ("train", "synthetic"))
    return f"They differ most at {names[i][:60]}: {real} of the real rows, {new} of the synthetic ones."


def _facts(c: Details) -> tuple[tuple[str, str], ...]:
    facts = []
    if missing := c.get("missing"):
        shares = [f"{100 * v:.2f} % {role.replace('holdout', 'unseen').replace('train', 'real')}" for role, v in missing.items() if v is not None]
        if any(missing.values()):
            facts.append(("Missing", ", ".join(shares)))
    for name, value in (c.get("coverage") or {}).items():
        if value is not None:
            facts.append((str(name).replace("_", " ").capitalize(), number(value, "%")))
    return tuple(facts)


def _moments(c: Details) -> tuple[tuple[str, str, str], ...]:
    both = c.get("moments")
    if not both:
        return ()
    real, new = both["train"] or {}, both["synthetic"] or {}
    return tuple((key, _said(value), _said(new.get(key))) for key, value in real.items())


def _said(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:,.5g}"


# ------------------------------------------------------------------------------------------------ pairs


@dataclass(frozen=True, slots=True)
class PairView:
    """Two columns: how far their relation is from the real one, the shares of rows in each cell, other measures."""

    columns: tuple[str, str]
    place: int
    trend: str
    floor: str
    real: Markup
    synthetic: Markup
    difference: Markup
    facts: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return " × ".join(self.columns)


def pairs(details: Details, home: str, most: int) -> list[PairView]:
    """The pairs of columns, worst first. home: where the details lie in the page's data, as a JSON pointer."""
    return [_pair(i, p, f"{home}/pairs/{i}") for i, p in enumerate((details.get("pairs") or ())[:most])]


def _pair(place: int, p: Details, home: str) -> PairView:
    a, b = p["columns"]
    high = max((v for role in ("train", "synthetic") for row in p[role] for v in row), default=0)
    gap = [[new - real for real, new in zip(*rows, strict=True)] for rows in zip(p["train"], p["synthetic"], strict=True)]
    title = f"{a[:60]} down, {b[:60]} across"

    def drawn(role: str, said: str) -> Markup:
        pointer = Pointer(f"{home}/{role}", f"{home}/y", f"{home}/x", 100, " %")
        return heat_map(p[role], p["y"], p["x"], f"{title}: {said} rows", "", high=high, pointer=pointer, scale=100, unit=" %")

    return PairView(
        (a, b), place, number(p["trend"], "%"), number(p.get("floor"), "%"), drawn("train", "real"),
        drawn("synthetic", "synthetic"),
        heat_map(gap, p["y"], p["x"], f"{title}: synthetic less real", "", both_ways=True, scale=100, unit=" %"),
    )  # fmt: skip


def pair_table(details: Details, home: str) -> Markup | None:
    """Every two columns at once: synthpop's heat map."""
    t = details.get("pair_table")
    if not t or not t["values"]:
        return None
    columns = f"{home}/pair_table/columns"
    title = f"{t['measure']} of every two columns"
    known = sorted(v for row in t["values"] for v in row if v is not None)
    high = known[int(0.99 * (len(known) - 1))] if known else None  # one outlier would make all others pale
    about = f"{len(t['columns'])} columns; the darkest shade stands for {number(high)} and more." if known else ""
    pointer = Pointer(f"{home}/pair_table/values", columns, columns)
    return heat_map(t["values"], t["columns"], t["columns"], title, about, high=high, pointer=pointer)


def correlations(details: Details, home: str) -> list[tuple[str, Markup]]:
    """Correlation matrices of the real rows, of the synthetic ones, and their difference, each with its caption."""
    c = details.get("correlations")
    if not c or not c["columns"]:
        return []
    names, columns = c["columns"], f"{home}/correlations/columns"
    out = []
    for role, said in (("train", "Real rows"), ("synthetic", "Synthetic rows")):
        pointer = Pointer(f"{home}/correlations/{role}", columns, columns)
        out.append((said, heat_map(c[role], names, names, f"Correlations: {said.lower()}", "", high=1, both_ways=True, pointer=pointer)))
    gap = [[_less(new, real) for real, new in zip(*rows, strict=True)] for rows in zip(c["train"], c["synthetic"], strict=True)]
    return [*out, ("Synthetic less real", heat_map(gap, names, names, "Correlations: synthetic less real", "", both_ways=True))]


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


# ------------------------------------------------------------------------------------------------ all columns at once


def shares_of(rows: Sequence[tuple[str, float]], most: int = 6) -> list[Line]:
    """Shares as bars, largest first."""
    rows = sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])[:most]
    top = max((share for _, share in rows), default=1) or 1
    return [Line(name, (f"{100 * share:.0f} %",), share_bar(share / top)) for name, share in rows]


@dataclass(frozen=True, slots=True)
class DetectorView:
    roc: Markup | None
    columns: list[Line]
    pairs: list[Line]


def detector(details: Details) -> DetectorView | None:
    """The curve of the detector, and the columns and pairs that gave the rows away."""
    d = details.get("detector")
    if not d:
        return None
    about = "The nearer the line is to the dotted one, the less the detector finds."
    roc = curve([("synthetic", d["roc"])], "How well a detector tells synthetic from unseen real rows", about) if d.get("roc") else None
    together = [(f"{a} × {b}", share) for a, b, share in d.get("pairs") or ()]
    return DetectorView(roc, shares_of(list((d.get("gains") or {}).items())), shares_of(together))


@dataclass(frozen=True, slots=True)
class ProjectionView:
    clouds: list[tuple[str, Markup]]  # each with its caption, in one plane
    held: str  # in words, how much of the variation the plane holds


def projection(details: Details) -> ProjectionView | None:
    """Rows in the plane where real ones vary most."""
    p = details.get("projection")
    if not p or not p["synthetic"]:
        return None
    sets = (("synthetic", "synthetic", "Synthetic rows"), ("train", "real", "Real rows, learned from"), ("holdout", "unseen", "Real rows, never seen"))
    among = [point for key, *_ in sets for point in p.get(key) or ()]
    shares = " and ".join(f"{100 * share:.0f} %" for share in p.get("explained") or ())
    held = f"The two directions hold {shares} of the variation of the real rows." if shares else ""
    clouds = [(said, scatter(role, p[key], among, said, held)) for key, role, said in sets if p.get(key)]  # type: ignore[arg-type]
    return ProjectionView(clouds, held)


# ------------------------------------------------------------------------------------------------ usefulness

TRAINED: Final = {"real": "learned from real", "synthetic": "learned from synthetic", "both": "learned from both"}


def learners(details: Details) -> list[Line]:
    """Each learner's score on unseen real rows: learned from real rows, from synthetic ones, and from both."""
    found = (details.get("usefulness") or {}).get("learners") or ()
    lines = []
    for metric in dict.fromkeys(l["metric"] for l in found):
        some = [l for l in found if l["metric"] == metric]
        ends = span(x for l in some for role in TRAINED for x in _ends(l.get(role), l.get(f"{role}_error")))
        for l in some:
            marks = [Mark(l[role], *_ends(l[role], l.get(f"{role}_error")), role) for role in TRAINED if l.get(role) is not None]  # type: ignore[arg-type]
            cells = tuple(_scored(l.get(role), l.get(f"{role}_error")) for role in TRAINED)
            lines.append(Line(f"{l['learner']}, {metric}".replace("_", " "), cells, strip(marks, ends)))
    return lines


def _ends(value: float | None, error: float | None) -> tuple[float | None, float | None]:
    return (None, None) if value is None else (value - MARGIN * (error or 0), value + MARGIN * (error or 0))


def _scored(value: float | None, error: float | None) -> str:
    return "-" if value is None else number(value) + ("" if error is None else f" ± {number(error)}")


def importances(details: Details, most: int = 8) -> list[tuple[str, str, list[Line]]]:
    """For each learner its name, how well the two rankings agree, and its most important columns."""
    out = []
    for learner, i in ((details.get("usefulness") or {}).get("importance") or {}).items():
        rows = sorted(zip(i["columns"], i["real"], i["synthetic"], strict=True), key=lambda row: -max(row[1], row[2]))[:most]
        ends = (0.0, max((max(row[1:]) for row in rows), default=1) * 1.06 or 1.0)
        lines = [
            Line(name, (number(real), number(new)), strip([Mark(real, real, real, "real"), Mark(new, new, new)], ends))
            for name, real, new in rows
        ]
        out.append((learner, number(i.get("agreement")), lines))
    return out


def regression(details: Details, most: int = 40) -> list[Line]:
    """Coefficients of the same model from real and from synthetic rows, the least overlapping first."""
    rows = (details.get("regression") or {}).get("rows") or ()
    rows = sorted(rows, key=lambda r: r["overlap"] if r["overlap"] is not None else -9)[:most]
    lines = []
    for r in rows:
        marks = [
            Mark(r[role], r[f"{role}_low"], r[f"{role}_high"], role)
            for role in ("real", "synthetic")
            if None not in (r[role], r[f"{role}_low"], r[f"{role}_high"])
        ]
        ends = span([0.0, *(x for m in marks for x in (m.low, m.high))])
        cells = (number(r["real"]), number(r["synthetic"]), number(r["overlap"]), number(r.get("z")))
        lines.append(Line(r["term"], cells, strip(marks, ends, floor=0.0)))
    return lines


# ------------------------------------------------------------------------------------------------ privacy


def risks(details: Details) -> list[Line]:
    """Each attack's success beside its control, and the risk with its interval."""
    found = details.get("risks") or ()
    ends = span([0.0, *(x for r in found for x in (r["low"], r["high"]))])
    lines = []
    for r in found:
        marks = [] if r["risk_value"] is None else [Mark(r["risk_value"], r["low"], r["high"])]
        shares = (_percent(r[key]) for key in ("success", "control", "naive"))
        risk = "-" if r["risk_value"] is None else f"{number(r['risk_value'])} [{number(r['low'])}, {number(r['high'])}]"
        sought = f", of {r['secret']}" if r.get("secret") else ""
        known = f"known: {', '.join(r['keys'])}; " if r["keys"] else ""
        about = f"{r['attack']}; {known}{r['verdict']}"
        lines.append(Line(f"{r['risk']}{sought}", (*shares, risk, f"{r['attacks']:,}"), strip(marks, ends, 0.0), about))
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


@dataclass(frozen=True, slots=True)
class MembershipView:
    roc: Markup | None
    facts: tuple[tuple[str, str], ...]


def membership(details: Details) -> MembershipView | None:
    """How well an attacker tells who was learned from."""
    m = details.get("membership")
    if not m:
        return None
    title = "How well an attacker tells rows learned from from rows never seen"
    roc = curve([("synthetic", m["roc"])], title, "The nearer the line is to the dotted one, the less is given away.") if m.get("roc") else None
    return MembershipView(roc, (*_found(m, "All rows"), *_found(m.get("outliers") or {}, "The most outlying rows alone")))


def _found(m: Details, whose: str) -> tuple[tuple[str, str], ...]:
    if m.get("auc") is None:
        return ()
    error = "" if m.get("auc_error") is None else f" ± {number(m['auc_error'])}"
    rates = [
        f"{_percent(rate['value'])} [{_percent(rate['low'])}, {_percent(rate['high'])}] found at {100 * float(alarms):g} % false alarms"
        for alarms, rate in (m.get("tpr") or {}).items()
    ]
    return ((whose, "; ".join([f"AUC {number(m['auc'])}{error}", *rates])),)


@dataclass(frozen=True, slots=True)
class DisclosureView:
    said: str  # what is known, and what is sought
    rows: list[tuple[str, str, str]]  # measure, of people learned from, of people never seen


def disclosure(details: Details) -> DisclosureView | None:
    """synthpop's measures for people learned from, beside people never seen."""
    d = details.get("disclosure")
    if not d:
        return None
    unseen = d.get("holdout") or {}
    rows = [(name, number(value, "%"), number(unseen.get(name), "%")) for name, value in d["train"].items()]
    return DisclosureView(f"Known: {', '.join(d['keys'])}. Sought: {d['target']}.", rows)
