"""What is exact in sequences: times that stand once, statics that stay, and sequences that nobody else may have.

All rows are looked at, whatever the limits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from verosim.evaluation.case import Case
from verosim.evaluation.columns import LEFT_OUT, plain
from verosim.evaluation.copying import n_equal, share_beside
from verosim.evaluation.report import WITHIN_NOISE, Findings, Measure
from verosim.evaluation.sequences.paths import keyed, numbers_of
from verosim.evaluation.trials import RARE, surprise
from verosim.schema import Table
from verosim.timeline import times_of

LEAST: Final = 2  # rows of a sequence that may be called a copy

BROKEN: Final = Measure(
    "broken sequences", "lower", "%", about="sequences in which a time stands twice or a static changes"
)
COPIES: Final = Measure(
    "copied sequences", "lower", "%", section="privacy",
    about="whole sequences that are one of train, with their times since the start",
)  # fmt: skip
TRACES: Final = Measure(
    "copied traces", "lower", "%", section="privacy",
    about="cases whose activities are those of a case of train, in order",
)  # fmt: skip


def assess(case: Case) -> Findings:
    """Broken sequences, and copies of whole ones. The table's sequences have a key."""
    order, _ = keyed(case.table)
    frames = [case.train, case.holdout, case.synthetic]
    found = [
        broken(case.train, case.holdout, case.synthetic, case.table),
        copied(COPIES, [_hashes(f, case.table) for f in frames], "sequences"),
    ]
    if order.activity and case.table[order.activity].kind not in LEFT_OUT:
        found.append(copied(TRACES, [_hashes(f, case.table, order.activity) for f in frames], "traces"))
    return Findings(tuple(found))


def broken(train: pl.DataFrame, holdout: pl.DataFrame, synthetic: pl.DataFrame, table: Table) -> Measure:
    """The % of sequences that break what most real ones keep, beside that of real ones."""
    (real, n), (new, m) = (_broken(frame, table) for frame in (pl.concat([train, holdout]), synthetic))
    share, usual = new / max(1, m), real / max(1, n)
    error = 100 * float(np.sqrt(max(usual * (1 - usual), 0.25 / max(1, n)) / max(1, m)))
    if surprise(new, m, real, n) >= RARE:
        return BROKEN.found(100 * share, error, 100 * usual, WITHIN_NOISE)
    verdict = f"{new:,} of {m:,} sequences, of real ones {100 * usual:.3g} %"
    return BROKEN.found(100 * share, error, 100 * usual, verdict, "far")


def _broken(frame: pl.DataFrame, table: Table) -> tuple[int, int]:
    order, key = keyed(table)
    asked = [(pl.col(name).n_unique() > 1).alias(name) for name in order.statics]
    asked += [pl.col(order.time).is_duplicated().any().alias(order.time)] if order.time else []
    if not asked or not len(frame):
        return 0, frame.get_column(key).n_unique()
    found = frame.group_by(key).agg(asked).select(pl.any_horizontal(pl.exclude(key)).alias("broken"))
    return int(found.get_column("broken").sum()), len(found)


def copied(like: Measure, hashes: list[pl.Series], what: str) -> Measure:
    """The % of synthetic sequences that are one of train, beside that of unseen ones."""
    train, holdout, synthetic = hashes
    if not len(synthetic):
        return like.absent(f"no sequence of {LEAST} rows")
    found, usual = n_equal(synthetic, train), n_equal(holdout, train)
    return share_beside(like, (found, len(synthetic)), (usual, len(holdout)), f"{what} of train")


def _hashes(frame: pl.DataFrame, table: Table, only: str | None = None) -> pl.Series:
    """A hash of each sequence of at least `LEAST` rows: of its channels and times since its start, or one column."""
    order, key = keyed(table)
    if not len(frame):
        return pl.Series(dtype=pl.UInt64)
    number = frame.get_column(key).cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64)
    time = (
        numbers_of(times_of(frame[order.time], table[order.time]))
        if order.time
        else pl.Series([0.0]).new_from_index(0, len(frame))
    )
    apart = {key, order.time, *order.statics}
    channels = Table("channels", tuple(c for c in table.columns if c.name not in apart and c.kind not in LEFT_OUT))
    content = plain(frame, channels).select(only) if only else plain(frame, channels)
    rows = content.with_columns(number.alias(".key"), time.alias(".time")).sort(".key", ".time", maintain_order=True)
    since = pl.col(".time") - pl.col(".time").first().over(".key")
    rows = rows.with_columns(since.round(3).alias(".time"), pl.int_range(pl.len()).over(".key").alias(".place"))
    content_hash = rows.drop(".key", *((".time",) if only else ())).hash_rows(seed=1).to_numpy()
    first = np.flatnonzero(np.diff(rows.get_column(".key").to_numpy(), prepend=-1))
    sizes = np.diff(np.append(first, len(rows)))
    return pl.Series(np.add.reduceat(content_hash, first)[sizes >= LEAST], dtype=pl.UInt64)  # wraps: it is a hash
