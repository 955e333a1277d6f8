"""How good, how useful and how private synthetic rows are: numbers, each with its error and what real rows get.

    found = measure(Case.of(train, holdout, synthetic, table))
    print(found.summary())

`columns` turns frames into comparable arrays, and a `Case` is all that a part is given. Each part (fidelity, copying
...) is one function, case -> findings; `report` is what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from verosim.evaluation import (
    copying,
    fidelity,
    marginals,
    privacy,
    regression,
    sequences,
    support,
    tables,
    usefulness,
)  # fmt: skip
from verosim.evaluation.case import Case, Part
from verosim.evaluation.columns import Limits
from verosim.evaluation.report import Findings, Measure, Report, TableReport
from verosim.models import Progress, silent

__all__ = ["FIRST", "FULL", "Case", "Findings", "Limits", "Measure", "Parts", "Report", "TableReport", "measure"]

Parts = Mapping[str, tuple[float, Part]]  # name -> its share of the time, and the part

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


def measure(case: Case, parts: Parts = FIRST, progress: Progress = silent) -> TableReport:
    """What the parts find, in their order. The same seed gives the same report."""
    found, done, total = [], 0.0, sum(share for share, _ in parts.values())
    for share, part in parts.values():
        begin = done
        found.append(part(case, lambda at, what, b=begin, s=share: progress((b + at * s) / total, what)))  # type: ignore[misc]
        done += share
    progress(1.0, "measured")
    return TableReport(
        table=case.table.name,
        rows=case.rows,
        seed=case.arrays.seed,
        measures=tuple(m for f in found for m in f.measures),
        details={name: value for f in found for name, value in f.details.items()},
        notes=(*case.notes(), *(note for f in found for note in f.notes)),
    )
