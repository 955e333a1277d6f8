"""How good, how useful and how private synthetic rows are: numbers, each with its error and what real rows get.

    found = measure(Case.of(train, holdout, synthetic, table))
    print(found.summary())

`columns` turns frames into comparable arrays, and a `Case` is all that a part is given. Each part (fidelity, copying
...) is one function, case -> findings; `report` is what comes out. Tables with keys between them are a `Family`, which
parts of its own look at: see `relations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from verosim.evaluation import (
    copying,
    fidelity,
    marginals,
    privacy,
    regression,
    relations,
    sequences,
    support,
    tables,
    usefulness,
)  # fmt: skip
from verosim.evaluation.case import Case, Part
from verosim.evaluation.columns import Limits
from verosim.evaluation.families import Family
from verosim.evaluation.report import Findings, Measure, Report, TableReport
from verosim.models import Progress, silent, stage

__all__ = [
    "FIRST", "FIRST_BETWEEN", "FULL", "FULL_BETWEEN", "Between", "Case", "Family", "Findings", "Limits", "Measure",
    "Parts", "Report", "TableReport", "measure", "measure_between",
]  # fmt: skip

Data = TypeVar("Data", Case, Family)
Parts = Mapping[str, tuple[float, Part]]  # name -> its share of the time, and the part
Between = Mapping[str, tuple[float, Callable[[Family, Progress], Findings]]]  # the same, of tables with keys

FIRST: Final[Parts] = {  # what every fit is measured with
    "fidelity": (2.0, fidelity.assess),
    "sequences": (3.0, sequences.assess),  # of tables whose rows are in order
    "copying": (0.7, copying.assess),
}
FULL: Final[Parts] = {  # a whole report
    "fidelity": FIRST["fidelity"],
    "sequences": FIRST["sequences"],
    "marginals": (0.5, marginals.assess),
    "tables": (2.5, tables.assess),
    "support": (5.0, support.assess),
    "usefulness": (12.0, usefulness.assess),
    "regression": (0.3, regression.assess),
    "copying": FIRST["copying"],
    "privacy": (9.0, privacy.assess),
}
ALONE: Final = frozenset(
    {"marginals", "support", "regression", "copying", "privacy"}
)  # parts that take rows for strangers
FIRST_BETWEEN: Final[Between] = {"keys": (0.1, relations.keys), "cardinality": (0.2, relations.cardinality)}
FULL_BETWEEN: Final[Between] = {
    **FIRST_BETWEEN,
    "families": (4.0, relations.families),
    "trends": (2.0, relations.trends),
}


def measure(case: Case, parts: Parts = FIRST, progress: Progress = silent) -> TableReport:
    """What the parts find, in their order. The same seed gives the same report."""
    found = _all(case, parts, progress)
    if case.table.sequence:
        found = [_unjudged(f) if name in ALONE else f for name, f in zip(parts, found, strict=True)]
    return TableReport(
        table=case.table.name,
        rows=case.rows,
        seed=case.arrays.seed,
        measures=tuple(m for f in found for m in f.measures),
        details={name: value for f in found for name, value in f.details.items()},
        notes=(*case.notes(), *(note for f in found for note in f.notes)),
    )


def _unjudged(found: Findings) -> Findings:
    """The numbers without their verdicts, which rows that follow each other would make far too strict: a few sequences
    that were held out lie at other times, and all rows of the others look known."""
    why = "not judged: rows that follow each other are no strangers; see the measures of sequences"
    return replace(
        found, measures=tuple(replace(m, grade="none", verdict=why) if m.grade != "none" else m for m in found.measures)
    )


def measure_between(family: Family, parts: Between = FIRST_BETWEEN, progress: Progress = silent) -> Findings:
    """What the parts find between tables, in their order. The same seed gives the same."""
    found = _all(family, parts, progress)
    return Findings(
        tuple(m for f in found for m in f.measures),
        {name: value for f in found for name, value in f.details.items()},
        tuple(note for f in found for note in f.notes),
    )


def _all(
    data: Data, parts: Mapping[str, tuple[float, Callable[[Data, Progress], Findings]]], progress: Progress
) -> list[Findings]:
    found, done, total = list[Findings](), 0.0, sum(share for share, _ in parts.values())
    for share, part in parts.values():
        found.append(part(data, stage(progress, done / total, (done + share) / total)))
        done += share
    progress(1.0, "measured")
    return found
