"""The details of usefulness as pictures: scores of learners, importances of columns, coefficients of a regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from verosim.evaluation.page.fidelity import Details
from verosim.evaluation.words import Z95, number
from verosim.pages.charts import Role
from verosim.pages.strips import Line, Mark, span, strip

SIDES: Final[tuple[Role, ...]] = ("real", "synthetic", "both")  # what is learned from
IMPORTANT: Final = 8  # columns of each learner that are shown
TERMS: Final = 40  # coefficients that are shown


@dataclass(frozen=True, slots=True)
class LearnersView:
    """What is predicted, and how well each learner does on unseen real rows."""

    target: str
    lines: list[Line]


def learners(details: Details) -> LearnersView | None:
    """The scores of each learner that learned from real rows, from synthetic ones, and from both."""
    u = details.get("usefulness")
    if not u or not u["learners"]:
        return None
    lines = []
    for metric in dict.fromkeys(found["metric"] for found in u["learners"]):
        some = [_scores(found) for found in u["learners"] if found["metric"] == metric]
        ends = span(x for _, marks, _ in some for mark in marks for x in (mark.low, mark.high))
        lines += [Line(name, cells, strip(marks, ends)) for name, marks, cells in some]
    return LearnersView(u["target"], lines)


def _scores(found: Details) -> tuple[str, list[Mark], tuple[str, ...]]:
    """The name of a row, its dots, and its numbers as text."""
    known = [(side, found[side], found.get(f"{side}_error") or 0.0) for side in SIDES if found.get(side) is not None]
    marks = [Mark(value, value - Z95 * error, value + Z95 * error, side) for side, value, error in known]
    said = {side: f"{number(value)} ± {number(error)}" for side, value, error in known}
    name = f"{found['learner']}, {found['metric']}".replace("_", " ")
    return name, marks, tuple(said.get(side, "-") for side in SIDES)


@dataclass(frozen=True, slots=True)
class ImportanceView:
    """What one learner's predictions rest on."""

    learner: str
    agreement: str  # correlation of the two rankings
    lines: list[Line]


def importances(details: Details) -> list[ImportanceView]:
    """The most important columns of each learner, for real and for synthetic rows."""
    found = (details.get("usefulness") or {}).get("importance") or {}
    return [ImportanceView(learner, number(i["agreement"]), _important(i)) for learner, i in found.items()]


def _important(i: Details) -> list[Line]:
    rows = sorted(zip(i["columns"], i["real"], i["synthetic"], strict=True), key=lambda row: -max(row[1:]))
    ends = span([0.0, *(x for row in rows for x in row[1:])], 0.0)
    return [
        Line(name, (number(real), number(new)), strip([Mark(real, real, real, "real"), Mark(new, new, new)], ends))
        for name, real, new in rows[:IMPORTANT]
    ]


@dataclass(frozen=True, slots=True)
class RegressionView:
    """The coefficients of one model, fitted to real and to synthetic rows."""

    target: str
    note: str
    lines: list[Line]


def regression(details: Details) -> RegressionView | None:
    """Coefficients with their intervals, the least overlapping first."""
    r = details.get("regression")
    if not r or not r["rows"]:
        return None
    rows = sorted(r["rows"], key=lambda row: row["overlap"])[:TERMS]
    return RegressionView(r["target"], r["formula_note"], [_term(row) for row in rows])


def _term(row: dict[str, Any]) -> Line:
    marks = [Mark(row[side], row[f"{side}_low"], row[f"{side}_high"], side) for side in ("real", "synthetic")]
    ends = span([0.0, *(x for mark in marks for x in (mark.low, mark.high))])
    cells = tuple(number(row[key]) for key in ("real", "synthetic", "overlap", "z"))
    return Line(row["term"], cells, strip(marks, ends, floor=0.0))
