"""Who is at risk: attacks, membership and disclosure, over more rows than the other parts look at.

A copied row is found only if it is among the rows that are looked at. So these measures take whole tables up to
`CELLS` cells, where the others are content with a sample. What they reveal is about the whole: rates and names of
columns, never a record, a value, or a description that fits one person. They are still made from real data: for its
owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from verosim.evaluation import attacks, disclosure, membership
from verosim.evaluation.case import Case
from verosim.evaluation.columns import Comparison
from verosim.evaluation.report import Findings
from verosim.models import Progress, silent

CELLS: Final = 5_000_000  # rows x columns, of each of the three sets
PART: Final = re.compile(r" \((first|second)\)$")  # of a column that holds pairs


def assess(case: Case, progress: Progress = silent) -> Findings:
    """The three risks with their control group, membership, and disclosure by quasi-identifiers.

    Details: risks, membership and disclosure.
    """
    progress(0.0, "preparing attacks")
    c = widened(case)
    keys = tuple(_compared(c, case.keys))
    kinds = {column.name: column.kind for column in case.table.columns}
    parts = [attacks.assess(c, kinds, keys, lambda at, what: progress(0.8 * at, what))]
    progress(0.8, "telling members")
    parts.append(membership.assess(c))
    progress(0.95, "looking up quasi-identifiers")
    parts.append(disclosure.assess(c, keys, case.target))
    return Findings(
        tuple(measure for part in parts for measure in part.measures),
        {name: value for part in parts for name, value in part.details.items()},
        (*_notes(case, c, keys), *(note for part in parts for note in part.notes)),
    )


def widened(case: Case) -> Comparison:
    """The comparison of all rows, or of as many as `CELLS` allows."""
    limits = replace(case.arrays.limits, rows=CELLS, cells=CELLS)
    return Case.of(case.train, case.holdout, case.synthetic, case.table, seed=case.arrays.seed, limits=limits).arrays


def _compared(c: Comparison, keys: Iterable[str]) -> Iterator[str]:
    """The columns of these names, or of their two parts: a pair of coordinates is compared as two numbers."""
    for column in c.columns:
        if column.name in keys or PART.sub("", column.name) in keys:
            yield column.name


def _notes(case: Case, c: Comparison, keys: Sequence[str]) -> Iterator[str]:
    sizes = {
        "train": (c.train, case.train),
        "hold-out": (c.holdout, case.holdout),
        "synthetic": (c.synthetic, case.synthetic),
    }
    if sampled := [f"{len(some):,} of {len(of):,} {role}" for role, (some, of) in sizes.items() if len(some) < len(of)]:
        yield f"attacks look at {', '.join(sampled)} rows: those on copies find so much less than there is"
    if len(case.synthetic) > len(case.train) + len(case.holdout):
        yield "more synthetic rows than real ones: the more are handed out, the more an attacker learns"
    if lost := [key for key in case.keys if key not in {PART.sub("", name) for name in keys}]:
        yield f"known columns that are not compared, and so not used by attacks: {', '.join(lost)}"
