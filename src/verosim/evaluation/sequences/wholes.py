"""Whole sequences side by side: how long they are, how long they take, and what a detector sees in them.

A sequence becomes one row: its statics, its length and duration, when it begins, and what each channel does in it.
Sequences are independent of each other, so that everything that judges rows of a table judges these rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.evaluation.case import Case
from verosim.evaluation.columns import LEFT_OUT, Comparison, compare
from verosim.evaluation.fidelity import beside, detect, detectable, shape_errors
from verosim.evaluation.floors import FEW, floor_of
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.sequences.paths import ROLES, keyed, numbers_of
from verosim.schema import Column, Table
from verosim.timeline import times_of

LEVELS: Final = 12  # of a channel whose counts are looked at
ENDS: Final = 3  # activities at either end of a case

LENGTHS: Final = Measure("lengths", "lower", "%", about="distance of the distributions of the number of rows")
DURATIONS: Final = Measure("durations", "lower", "%", about="distance of the distributions of first to last time")
AUC: Final = Measure(
    "auc_sequences", "lower", about="how well boosted trees tell whole sequences from unseen real ones"
)


def assess(case: Case) -> Findings:
    """Lengths, durations and a detector of whole sequences. The table's sequences have a key."""
    table, rows = as_rows(case)
    train, holdout, synthetic = rows
    c = compare(train, holdout, synthetic, table, case.arrays.limits, case.arrays.seed)
    if reason := c.nothing():
        return Findings(tuple(m.absent(reason) for m in (LENGTHS, DURATIONS, AUC)))
    found = [_shape(c, LENGTHS, "length")]
    found += [_shape(c, DURATIONS, "duration")] if case.table.sequence and case.table.sequence.time else []
    return Findings((*found, _unseen(c)), {"lengths": _shares(rows, "length"), "durations": _shares(rows, "duration")})


# ------------------------------------------------------------------------------------------- sequences as rows


def as_rows(case: Case) -> tuple[Table, list[pl.DataFrame]]:
    """One row a sequence, of train, hold-out and synthetic, and what their columns are."""
    frames = [_row_each(getattr(case, role), case) for role in ROLES]
    order, _ = keyed(case.table)
    statics = [case.table[name] for name in order.statics if case.table[name].kind not in LEFT_OUT]
    made = [name for name in frames[0].columns if name not in order.statics]
    columns = [
        Column(n, "category" if frames[0][n].dtype == pl.String else "number", _dtype(frames[0][n])) for n in made
    ]
    names = [c.name for c in statics]
    return Table("sequences", (*statics, *columns)), [f.select(*names, *made) for f in frames]


def _dtype(values: pl.Series) -> str:
    return "str" if values.dtype == pl.String else "float64"


def _row_each(frame: pl.DataFrame, case: Case) -> pl.DataFrame:
    table, (order, key) = case.table, keyed(case.table)
    if order.time:
        times = times_of(frame[order.time], table[order.time])
        frame = frame.with_columns(numbers_of(times).alias(".time")).sort(".time", maintain_order=True, nulls_last=True)
    asked = [pl.len().cast(pl.Float64).alias("length")]
    if order.time:
        asked += list(_timing(table[order.time].kind in ("datetime", "date")))
    asked += [pl.col(name).first() for name in order.statics]
    apart = {*order.columns} - {order.activity, order.resource}
    for column in table.columns:
        if column.name not in apart and column.kind not in LEFT_OUT:
            asked += _told(column, case)
    return frame.group_by(key, maintain_order=True).agg(asked).drop(key)


def _timing(in_calendar: bool) -> Iterator[pl.Expr]:
    time = pl.col(".time")
    yield (time.max() - time.min()).alias("duration")
    for name, of in (
        ("shortest step", time.diff().min()),
        ("longest step", time.diff().max()),
        ("step", time.diff().median()),
    ):
        yield of.alias(name)
    if in_calendar:
        yield ((time.min() / 3600) % 24).alias("hour of start")
        yield ((time.min() / 86_400 + 3) % 7).floor().alias("weekday of start")


def _told(column: Column, case: Case) -> list[pl.Expr]:
    """What one channel does in a sequence."""
    name, at = column.name, pl.col(column.name)
    dtype = case.train.schema[name]
    if dtype.is_numeric() or dtype.is_temporal():
        x = at.to_physical().cast(pl.Float64)
        change = x.diff()
        parts = {
            "mean": x.mean(), "sd": x.std(), "first": x.first(), "last": x.last(), "lowest": x.min(),
            "highest": x.max(), "mean step": change.abs().mean(), "longest step": change.abs().max(),
            "repeats": (change == 0).mean(), "turn": (change * change.shift()).sum() / (change * change).sum(),
            "missing": x.is_null().mean(),
        }  # fmt: skip
        return [part.cast(pl.Float64).alias(f"{name}: {what}") for what, part in parts.items()]
    text = at.cast(pl.String)
    usual = case.train.get_column(name).cast(pl.String).drop_nulls().value_counts(sort=True, name=".n").head(LEVELS)
    levels = sorted(usual.get_column(name).to_list())
    counts = [(text == level).mean().cast(pl.Float64).alias(f"{name}: {level}") for level in levels]
    ends = [text.get(i, null_on_oob=True).alias(f"{name} at place {i}") for i in (*range(ENDS), *range(-ENDS, 0))]
    changes = (text != text.shift()).mean().cast(pl.Float64).alias(f"{name}: changes")
    different = text.n_unique().cast(pl.Float64).alias(f"{name}: different")
    return [*counts, *ends, changes, different]


# ------------------------------------------------------------------------------------------- judged as rows


def _shape(c: Comparison, like: Measure, name: str) -> Measure:
    columns = [column for column in c.columns if column.name == name]
    real = floor_of(c, f"{name} floor", lambda a, b: shape_errors(columns, a, b))
    return beside(like, shape_errors(columns, c.train, c.synthetic), real, lambda _: name)


def _unseen(c: Comparison) -> Measure:
    n = min(len(c.holdout), len(c.synthetic), c.limits.detector_rows)
    if n < FEW:
        return AUC.absent(f"{len(c.holdout):,} hold-out and {len(c.synthetic):,} synthetic sequences; {FEW} are needed")
    columns = [c.columns[i] for i in detectable(c, shape_errors(c.columns, c.train, c.synthetic))]
    holdout, new = c.some(c.holdout, n, "detector hold-out"), c.some(c.synthetic, n, "detector synthetic")
    found = detect(columns, holdout, new, c.chance("detector"))
    base = detect(columns, holdout, c.some(c.train, n, "detector train"), c.chance("detector floor"))
    gain = found.gain - base.gain
    verdict, grade = told(found.auc, base.auc, found.error, columns[int(gain.argmax())].name)
    return AUC.found(found.auc, found.error, base.auc, verdict, grade)


def told(auc: float, base: float | None, error: float, where: str) -> tuple[str, Grade]:
    """What an AUC means beside that of real rows."""
    if auc <= max(0.5, base or 0.5) + SURE * error:
        return WITHIN_NOISE, "noise"
    how = "hardly finds" if auc < 0.6 else "finds" if auc < 0.75 else "easily finds"
    return f"a detector {how} them: mostly by {where}", "near" if auc < 0.6 else "far"


def _shares(rows: Sequence[pl.DataFrame], name: str) -> dict[str, Any] | None:
    """Thirty bars over the real values: what a histogram is drawn from."""
    if name not in rows[0].columns:
        return None
    sets = [f.get_column(name).drop_nulls().to_numpy() for f in rows]
    real = np.concatenate(sets[:2])
    if not len(real):
        return None
    low, high = np.quantile(real, [0, 0.99])
    edges = np.linspace(low, high if high > low else low + 1, 31)
    if name == "length" and high - low < 30:
        edges = np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    bars = [np.histogram(np.clip(s, edges[0], edges[-1]), edges)[0] / max(1, len(s)) for s in sets]
    return {"edges": edges.tolist(), **{r: b.round(5).tolist() for r, b in zip(ROLES, bars, strict=True)}}
