"""How good and how private synthetic rows are: numbers, each with its error and what real rows get.

    report = measure(train, holdout, synthetic, table)
    print(report.summary())
    report.save("adult.report.json")

`columns` turns frames into comparable arrays; `fidelity` and `privacy` measure them; `report` is what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from verosim import schema
from verosim.draws import stream
from verosim.evaluate import fidelity, privacy
from verosim.evaluate.columns import Comparison, Limits, check, compare, left_out
from verosim.evaluate.report import Measure, Report
from verosim.models import Progress, silent

__all__ = ["Limits", "Measure", "Report", "measure"]

WEAK = 100  # hold-out rows: with fewer, every verdict that needs them is weak


def measure(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    synthetic: pl.DataFrame,
    table: schema.Table,
    seed: int = 0,
    progress: Progress = silent,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
) -> Report:
    """Shape, trend, auc_unseen, dcr, dcr002 and copies of synthetic rows, each beside what real rows get.

    `train` are the rows that the model learned from, `holdout` rows that it never saw; each frame has the columns of
    `table`. The same seed gives the same report. Raises DataError where a frame lacks a column.
    """
    frames = {"train": train, "holdout": holdout, "synthetic": synthetic}
    check(frames, table)
    comparison = _comparison(frames, table, seed, limits)
    near = fidelity.assess(comparison, lambda share, what: progress(0.8 * share, what))
    progress(0.8, "looking for copies of train rows")
    reason = comparison.nothing()
    copied = privacy.COPIES.absent(reason) if reason else privacy.copies(train, holdout, synthetic, table)
    measures = (*near.measures, *privacy.copying(comparison), copied)
    progress(1.0, "measured")
    return Report(
        table=table.name,
        rows={role: len(frame) for role, frame in frames.items()},
        seed=seed,
        measures=measures,
        columns=near.columns,
        worst_column=near.worst_column,
        worst_pair=near.worst_pair,
        notes=(*_notes(frames, comparison, table), *near.notes),
    )


def _comparison(frames: dict[str, pl.DataFrame], table: schema.Table, seed: int, limits: Limits) -> Comparison:
    """The frames, or by chance as many of their rows as `limits` allows."""
    limit = max(1, min(limits.rows, limits.cells // max(1, len(table.columns))))
    sampled = {role: _some(frame, limit, seed, table.name, role) for role, frame in frames.items()}
    return compare(sampled["train"], sampled["holdout"], sampled["synthetic"], table, limits, seed)


def _some(frame: pl.DataFrame, limit: int, seed: int, name: str, role: str) -> pl.DataFrame:
    if len(frame) <= limit:
        return frame
    rows = stream(seed, name, "evaluate", "rows", role).choice(len(frame), limit, replace=False)
    rows.sort()
    return frame[rows]


def _notes(frames: dict[str, pl.DataFrame], comparison: Comparison, table: schema.Table) -> Iterator[str]:
    if out := left_out(table):
        named = [f"{name} ({why})" for name, why in out.items()]
        yield f"not compared: {', '.join(named[:8])}{f' and {len(named) - 8:,} more' if len(named) > 8 else ''}"
    if len(frames["holdout"]) < WEAK:
        yield f"the hold-out has only {len(frames['holdout']):,} rows: verdicts are weak"
    sizes = [(len(getattr(comparison, role)), len(frame), role) for role, frame in frames.items()]
    if sampled := [f"{n:,} of {of:,} {role.replace('holdout', 'hold-out')}" for n, of, role in sizes if n < of]:
        yield f"sampled {', '.join(sampled)} rows; copies are looked for in all"
