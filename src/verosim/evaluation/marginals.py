"""Columns one by one, as measures: each kind of difference of the table and of every column, and what is drawn of them.

The number of the table is the mean distance over the columns, beside what real rows get. Its verdict names the columns
that differ for sure, after a correction for how many were looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np

from verosim.evaluation import doubt
from verosim.evaluation.axes import Axis, Clock, axis
from verosim.evaluation.case import Case
from verosim.evaluation.columns import Floats, Rows
from verosim.evaluation.differences import KINDS, Counted, Kind, Own, Shown, spread
from verosim.evaluation.fidelity import shape_errors, shape_floor
from verosim.evaluation.floors import Floor, splits_of
from verosim.evaluation.report import WITHIN_NOISE, Findings, Grade, Measure
from verosim.models import Progress, silent

WORK: Final = 600  # columns x splits of real rows
NOT_JUDGED: Final = "not judged: too few real rows"


@dataclass(frozen=True, slots=True)
class Sides:
    """One column in train and in synthetic rows."""

    shown: Shown
    real: Counted
    new: Counted

    @property
    def name(self) -> str:
        return self.shown.column.name

    def test(self, kind: Kind) -> Own:
        return kind.test(self.shown, self.real, self.new)


def assess(case: Case, progress: Progress = silent) -> Findings:
    """Every kind of difference, of the table and of each column. Details: columns, what is drawn of each."""
    c = case.arrays
    if reason := c.nothing():
        return Findings(tuple(_whole(kind).absent(reason) for kind in KINDS), {"columns": {}})
    progress(0.0, "comparing columns one by one")
    sides = [
        Sides(Shown(column, Clock.of(case, column.name)), Counted.of(column, c.train), Counted.of(column, c.synthetic))
        for column in c.columns
    ]
    used = [[s for s in sides if kind.fits(s.real, s.new)] for kind in KINDS]
    progress(0.1, "comparing columns of real rows one by one")
    measures: list[Measure] = []
    for kind, columns, floor in zip(KINDS, used, _floors(case, used), strict=True):
        measures += _measures(kind, columns, floor)
    progress(0.7, "drawing columns")
    return Findings(tuple(measures), {"columns": _drawn(case, sides)})


# ------------------------------------------------------------------------------------------------------- measures


def _floors(case: Case, used: Sequence[Sequence[Sides]]) -> list[Floor | None]:
    """What real rows get against real rows, in each kind of difference: all from the same splits."""
    of_kinds = [(kind, [s.shown.column for s in columns]) for kind, columns in zip(KINDS, used, strict=True)]

    def errors(a: Rows, b: Rows) -> Floats:
        counted = {column.name: (Counted.of(column, a), Counted.of(column, b)) for column in case.arrays.columns}
        pairs = ((kind, counted[column.name]) for kind, columns in of_kinds for column in columns)
        return np.array([kind.apart(*both) for kind, both in pairs])

    found, begin = splits_of(case.arrays, "marginals floor", errors, _most(case)), 0
    floors: list[Floor | None] = []
    for _, columns in of_kinds:
        floors.append(found.floor(slice(begin, begin + len(columns))) if found else None)
        begin += len(columns)
    return floors


def _most(case: Case) -> int:
    """Splits of real rows, fewer in wide tables: no verdict hangs on the floors that are taken here."""
    return max(4, WORK // len(case.arrays.columns))


def _measures(kind: Kind, columns: Sequence[Sides], floor: Floor | None) -> Iterator[Measure]:
    """The measure of the table, then that of each column."""
    if not columns:
        yield _whole(kind).absent(kind.none) if kind.none else _whole(kind).found(0.0, 0.0, 0.0, WITHIN_NOISE)
        return
    own = [s.test(kind) for s in columns]
    distances = np.array([kind.apart(s.real, s.new) for s in columns])
    sure = doubt.surely(np.array([o.p for o in own]))
    yield _of_all(kind, columns, own, distances, sure, floor)
    for i, (side, o) in enumerate(zip(columns, own, strict=True)):
        each = floor.each[i] if floor and isfinite(floor.each[i]) else None
        real = o.real if o.real is not None else None if each is None else _percent(kind, each)
        measure = Measure(kind.name, kind.direction, kind.unit, of=(side.name,), about=kind.about)
        if floor is None:
            yield measure.found(o.value, o.error, real, NOT_JUDGED, "none")
        elif sure[i]:
            yield measure.found(o.value, o.error, real, f"{kind.lead}: {o.words}", "far" if o.large else "near")
        else:
            yield measure.found(o.value, o.error, real, WITHIN_NOISE)


def _of_all(
    kind: Kind, columns: Sequence[Sides], own: Sequence[Own], distances: Floats, sure: doubt.Bools, floor: Floor | None
) -> Measure:
    value = _percent(kind, float(distances.mean()))
    if floor is None:
        return _whole(kind).found(value, None, None, NOT_JUDGED, "none")
    real, error = _percent(kind, floor.mean), 100 * floor.error
    if not sure.any():
        return _whole(kind).found(value, error, real, WITHIN_NOISE)
    n, worst = int(sure.sum()), int(np.where(sure, distances, -1).argmax())
    verdict = f"{kind.lead} in {n} of {len(own)} columns: mostly {columns[worst].name}: {own[worst].words}"
    grade: Grade = "far" if any(o.large for o, is_sure in zip(own, sure, strict=True) if is_sure) else "near"
    return _whole(kind).found(value, error, real, verdict, grade)


def _whole(kind: Kind) -> Measure:
    return Measure(kind.name, "higher" if kind.direction == "higher" else "lower", "%", about=kind.about_all)


def _percent(kind: Kind, distance: float) -> float:
    return 100 * (1 - distance if kind.direction == "higher" else distance)


# ------------------------------------------------------------------------------------------------------- pictures


def _drawn(case: Case, sides: Sequence[Sides]) -> dict[str, dict[str, Any]]:
    """Plain values by column: docs/report.md describes them."""
    c = case.arrays
    shapes, floor = 100 * shape_errors(c.columns, c.train, c.synthetic), shape_floor(c, _most(case))
    floors = [None] * len(sides) if floor is None else (100 * floor.each).tolist()
    return {
        s.name: _picture(case, s, axis(case, s.shown.column)) | {"shape": shape, "floor": real}
        for s, shape, real in zip(sides, shapes.tolist(), floors, strict=True)
    }


def _picture(case: Case, s: Sides, on: Axis) -> dict[str, Any]:
    c = case.arrays
    sets = {"train": c.train, "holdout": c.holdout, "synthetic": c.synthetic}
    missing = {role: _missing(s, rows) for role, rows in sets.items()}
    ordered = on.kind == "ordered" and bool(on.labels)
    return {
        "kind": on.kind,
        "edges": list(on.edges),
        "labels": list(on.edge_labels),
        "open": list(on.open),
        "levels": list(on.labels) if on.kind == "levels" else [],
        **{role: on.shares(rows) if len(rows) else None for role, rows in sets.items()},
        "missing": missing,
        "moments": {"train": _moments(s, s.real), "synthetic": _moments(s, s.new)} if ordered else None,
        "coverage": {
            kind.name: s.test(kind).value
            for kind in KINDS
            if kind.name in ("range_coverage", "category_coverage", "outside") and kind.fits(s.real, s.new)
        },
    }


def _missing(s: Sides, rows: Rows) -> float | None:
    return round(Counted.of(s.shown.column, rows).missing / len(rows), 6) if len(rows) else None


def _moments(s: Sides, counted: Counted) -> dict[str, Any] | None:
    """Mean, standard deviation (of times in days), extremes and quartiles; None where there is no value."""
    if not counted.known.any():
        return None
    values = counted.weighted
    quartiles = values.values[np.searchsorted(np.cumsum(values.counts), np.array([0.25, 0.5, 0.75]) * values.n - 1e-9)]
    points = [values.mean, values.values[0], *quartiles, values.values[-1]]
    names = ("mean", "min", "q25", "median", "q75", "max")
    told = {name: s.shown.point(float(at)) for name, at in zip(names, points, strict=True)}
    return {**told, "sd": s.shown.number(spread(values))}
