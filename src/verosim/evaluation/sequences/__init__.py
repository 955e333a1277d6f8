"""How near synthetic sequences come to real ones: memory, rhythm, lengths, windows, order and copying.

paths.py      rows in their order, as arrays; pieces and units, which take the place of rows
dynamics.py   autocorrelation, cross-correlation, spectrum, calendar, steps, transitions
wholes.py     sequences as rows: lengths, durations, a detector of whole sequences
windows.py    windows of some steps: a detector, a Frechet distance, the nearest windows
logs.py       event logs: n-grams, cycle time, event times, process map
exact.py      repeated times and changing statics; copies of whole sequences
drawn.py      what the pictures are drawn from
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from verosim.evaluation.case import Case
from verosim.evaluation.report import Findings, Measure
from verosim.evaluation.sequences import drawn, dynamics, exact, logs, wholes, windows
from verosim.evaluation.sequences.paths import Paths
from verosim.models import Progress, silent

__all__ = ["assess"]

INTERVALS: Final = Measure("intervals", "lower", "%", about="distance of the distributions of the time to the next row")
LEAST: Final = 3  # rows in order: with fewer in a set there is no sequence


def assess(case: Case, progress: Progress = silent) -> Findings:
    """All measures of a table whose rows are in order; of other tables nothing. Details: `sequences`."""
    if case.table.sequence is None or min(len(case.train), len(case.synthetic)) < LEAST:
        return Findings()
    progress(0.0, "putting rows in order")
    case = _of_sequences(case)
    parts = list[Findings]()
    p = Paths.of(case)
    progress(0.1, "comparing how series move")
    parts.append(_movement(p))
    if p.sequence.activity in [c.name for c in p.rows.columns]:
        parts.append(logs.assess(p))
    progress(0.4, "looking at windows")
    if p.rows.columns:
        parts.append(windows.assess(p))
    if p.sequence.key:
        progress(0.8, "looking at whole sequences")
        parts += [wholes.assess(case), exact.assess(case)]
    details: dict[str, Any] = {name: value for part in parts for name, value in part.details.items()}
    notes = (f"sequence measures look at {len(p.unit):,} rows, of whole sequences or pieces",) if p.sampled else ()
    measures = tuple(m for part in parts for m in part.measures)
    return Findings(measures, {"sequences": {**details, **drawn.details(p)}}, notes)


def _of_sequences(case: Case) -> Case:
    """Without the rows that belong to no sequence, such as those of a database whose key names nobody."""
    assert case.table.sequence is not None
    key = case.table.sequence.key
    if key is None or not any(frame[key].null_count() for frame in (case.train, case.holdout, case.synthetic)):
        return case
    train, holdout, synthetic = (f.drop_nulls(key) for f in (case.train, case.holdout, case.synthetic))
    return replace(case, train=train, holdout=holdout, synthetic=synthetic)


def _movement(p: Paths) -> Findings:
    found = list[dynamics.Found]()
    if p.ordered:
        x = p.scaled()
        found += [dynamics.autocorrelation(p, x), dynamics.cross_correlation(p, x), dynamics.spectrum(p, x)]
        found += [dynamics.calendar(p, x), dynamics.steps(p)]
    if p.rows.columns:
        found.append(dynamics.transitions(p))
    if p.sequence.time:
        found.append(dynamics.intervals(p, INTERVALS))
    if p.in_calendar and (p.sequence.step is None or p.sequence.key):
        found.append(logs.hours(p, logs.CIRCADIAN))
    curves = (
        {f.measure.name: {"channels": f.names, **f.of_sets(p)} for f in found[:3:2] if f.statistic} if p.ordered else {}
    )
    return Findings(tuple(f.measure for f in found), curves)
