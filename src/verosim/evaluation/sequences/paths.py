"""Sequences as arrays: rows in order, cut into pieces, and the pieces bundled into units that are compared as a whole.

The rows of a sequence depend on each other, so that a split of single rows would find too little noise. Every measure
of this package is therefore a sum over units, and its floor is taken between random sets of units. A unit is a bundle
of whole sequences, or of one long series a stretch of some hundred steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.draws import stream
from verosim.errors import ArgumentError
from verosim.evaluation.case import Case
from verosim.evaluation.columns import LEFT_OUT, Comparison, Floats, Levels, Limits, Ordered, Rows, compare
from verosim.schema import Sequence, Table
from verosim.timeline import times_of

Bools = npt.NDArray[np.bool_]

ROLES: Final = ("train", "holdout", "synthetic")
ENOUGH: Final = 64  # sequences: with fewer, they are cut into pieces
PIECE: Final = (64, 512)  # steps of a piece of a long sequence, at least and at most
LONGEST: Final = 4096  # steps of a piece, however many sequences there are
UNITS: Final = 128  # of one set, at most
BREAK: Final = 10.0  # steps of a regular series: a longer gap is a cut, as where a hold-out was taken from its middle
SPREAD: Final = 20.0  # standard deviations: beyond, a value is simply far
SECONDS: Final = {"ms": 1e3, "us": 1e6, "ns": 1e9}  # in a second


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """The rows of train, hold-out and synthetic sequences, in their order, as arrays.

    Rows stand by set, unit, piece and time. `units` is a comparison whose rows are units: what takes a floor of rows
    takes one of units.
    """

    table: Table
    sequence: Sequence
    rows: Comparison  # the channels: what changes along a sequence and can be compared
    units: Comparison
    unit: Rows  # (n,) ascending
    piece: Rows  # (n,) neighbours have one number where they are of one piece
    place: Rows  # (n,) in its piece
    whole: Rows  # (n,) which sequence of the data
    seconds: Floats  # (n,) since 1970; numbers as they are; the row's number where there is no time column
    clock: Floats  # (n,) the same by the clock on the wall of the time zone
    sampled: bool  # whether some sequences or pieces were left out

    @property
    def ordered(self) -> list[Ordered]:
        return [c for c in self.rows.columns if isinstance(c, Ordered)]

    @property
    def starts(self) -> Rows:
        """The first row of each unit."""
        return np.flatnonzero(np.diff(self.unit, prepend=-1))

    @property
    def in_calendar(self) -> bool:
        """Whether the times are points in time, not numbers."""
        return self.sequence.time is not None and self.table[self.sequence.time].kind in ("datetime", "date")

    def follows(self, lag: int = 1) -> Bools:
        """(n,) whether the row `lag` steps on is of the same piece."""
        out = np.zeros(len(self.piece), np.bool_)
        if 0 < lag < len(out):
            out[:-lag] = self.piece[lag:] == self.piece[:-lag]
        return out

    def sums(self, values: Floats) -> Floats:
        """(n, ...) -> (units, ...)"""
        return np.add.reduceat(values, self.starts, axis=0)

    def counts(self, codes: Rows, size: int, where: Bools | None = None) -> Floats:
        """(units, size) how often each code stands in each unit."""
        unit, codes = (self.unit, codes) if where is None else (self.unit[where], codes[where])
        n = len(self.starts)
        return np.bincount(unit * size + codes, minlength=n * size).reshape(n, size).astype(np.float64)

    def scaled(self) -> Floats:
        """(n, d) the ordered channels around the mean of train, in its standard deviations; unknown values are 0."""
        return np.stack([_scaled(c, self.rows.train) for c in self.ordered], axis=1)

    @classmethod
    def of(cls, case: Case) -> Paths:
        """The sequences of a case, sampled to its limits. Its table has a `sequence`."""
        table, order, limits = case.table, case.table.sequence, case.arrays.limits
        assert order is not None  # `assess` looks
        channels = _channels(table, order)
        frames = [_sorted(getattr(case, role), table, order, channels, case.cuts.get(role)) for role in ROLES]
        steps = _piece_length(frames[0])
        cut = [_cut(frame, steps, order) for frame in frames]
        most = max(1, min(2 * limits.rows, limits.cells // max(1, len(channels.columns))))
        seed = case.arrays.seed
        kept = [
            _some(f, most, stream(seed, table.name, "evaluate", "pieces", r)) for f, r in zip(cut, ROLES, strict=True)
        ]
        bundled = _bundled(kept, [stream(seed, table.name, "evaluate", "units", r) for r in ROLES])
        sampled = any(len(k) < len(f) for k, f in zip(kept, cut, strict=True))
        return _assembled(bundled, table, order, channels, replace(limits, rows=most), seed, sampled)


def keyed(table: Table) -> tuple[Sequence, str]:
    """The sequences of a table that have a key, and the key."""
    order = table.sequence
    if order is None or order.key is None:
        raise ArgumentError(f"table {table.name!r} has no sequences with a key.")
    return order, order.key


def numbers_of(values: pl.Series) -> pl.Series:
    """Times as seconds since 1970, numbers as they are; missing ones are null."""
    if isinstance(values.dtype, pl.Datetime):
        return values.to_physical() / SECONDS[values.dtype.time_unit]
    if isinstance(values.dtype, pl.Duration):
        return values.to_physical() / SECONDS[values.dtype.time_unit]
    if values.dtype == pl.Date:
        return values.to_physical().cast(pl.Float64) * 86_400
    if values.dtype == pl.Time:
        return values.to_physical() / 1e9
    return values.cast(pl.Float64, strict=False)


def _channels(table: Table, order: Sequence) -> Table:
    """The table of what changes along a sequence."""
    apart = {order.key, order.time, *order.statics}
    return replace(
        table, columns=tuple(c for c in table.columns if c.name not in apart and c.kind not in LEFT_OUT),
        primary_key=(), order=(), foreign_keys=(), sequence=None, rules=(),
    )  # fmt: skip


def _sorted(
    frame: pl.DataFrame, table: Table, order: Sequence, channels: Table, cuts: Bools | None = None
) -> pl.DataFrame:
    """The channels with `.whole` (the number of the sequence), `.time` and `.cut`, in order.

    Rows without a time stay as they stand.
    """
    key = pl.col(order.key).cast(pl.String).rank("dense").cast(pl.Int64) if order.key else pl.lit(0, pl.Int64)
    times = (
        times_of(frame[order.time], table[order.time])
        if order.time
        else pl.Series(np.arange(len(frame), dtype=np.float64))
    )
    wall = times.dt.replace_time_zone(None) if isinstance(times.dtype, pl.Datetime) else times
    found = frame.select(*channels.names, key.alias(".whole")).with_columns(
        numbers_of(times).alias(".time"), numbers_of(wall).alias(".clock"),
        pl.Series(".cut", np.zeros(len(frame), np.bool_) if cuts is None else cuts),
    )  # fmt: skip
    return found.sort(".whole", ".time", maintain_order=True, nulls_last=True)


def _piece_length(train: pl.DataFrame) -> int:
    if not len(train) or train.get_column(".whole").n_unique() >= ENOUGH:
        return LONGEST
    return int(np.clip(len(train) // ENOUGH, *PIECE))


def _cut(frame: pl.DataFrame, steps: int, order: Sequence) -> pl.DataFrame:
    """With `.piece`: a new one at every sequence, cut, long gap of a regular series, and `steps` rows."""
    whole, time = frame.get_column(".whole").to_numpy(), frame.get_column(".time").to_numpy()
    new = (np.diff(whole, prepend=-1) != 0) | frame.get_column(".cut").to_numpy()
    if order.step is not None and len(time) > 1:
        gaps = np.diff(time, prepend=time[:1])
        usual = np.nanmedian(gaps[~new]) if (~new).any() else np.nan
        new |= gaps > BREAK * usual
    run = np.cumsum(new) - 1
    place = np.arange(len(new)) - np.flatnonzero(new)[run] if len(new) else run
    new |= place % steps == 0
    return frame.with_columns(pl.Series(".piece", np.cumsum(new) - 1))


def _some(frame: pl.DataFrame, most: int, rng: np.random.Generator) -> pl.DataFrame:
    """Whole pieces by chance, of at most so many rows in all, at least one piece."""
    if len(frame) <= most:
        return frame
    piece = frame.get_column(".piece").to_numpy()
    sizes = np.bincount(piece)
    order = rng.permutation(len(sizes))
    n = max(1, int(np.searchsorted(np.cumsum(sizes[order]), most, "right")))
    kept = np.zeros(len(sizes), np.bool_)
    kept[order[:n]] = True
    return frame.filter(kept[piece])


def _bundled(frames: list[pl.DataFrame], chances: list[np.random.Generator]) -> list[pl.DataFrame]:
    """With `.unit`: bundles of as many pieces in every set, so that units of all sets are alike."""
    n_pieces = [f.get_column(".piece").n_unique() for f in frames]
    size, out = -(-max(n_pieces) // UNITS) or 1, []
    for frame, n, rng in zip(frames, n_pieces, chances, strict=True):
        place = (rng.permutation(n) if size > 1 else np.arange(n)) // size
        dense = np.unique(frame.get_column(".piece").to_numpy(), return_inverse=True)[1]
        out.append(frame.with_columns(pl.Series(".piece", dense), pl.Series(".unit", place[dense], pl.Int64)))
    return [f.sort(".unit", ".piece", maintain_order=True) for f in out]


def _assembled(
    frames: list[pl.DataFrame], table: Table, order: Sequence, channels: Table, limits: Limits, seed: int, sampled: bool
) -> Paths:
    train, holdout, synthetic = (f.select(channels.names) for f in frames)
    rows = compare(train, holdout, synthetic, channels, limits, seed)
    unit, piece, whole = (_joined([f.get_column(c).to_numpy() for f in frames]) for c in (".unit", ".piece", ".whole"))
    ends = np.cumsum([0, *(f.get_column(".unit").n_unique() for f in frames)])
    mine, unseen, new = (np.arange(a, b) for a, b in pairwise(ends))
    units = Comparison((), mine, unseen, new, limits, table.name, seed)
    first = np.flatnonzero(np.diff(piece, prepend=-1))
    place = np.arange(len(piece)) - np.repeat(first, np.diff(np.append(first, len(piece))))
    seconds, clock = (np.concatenate([f.get_column(c).to_numpy() for f in frames]) for c in (".time", ".clock"))
    return Paths(table, order, rows, units, unit, piece, place, whole, seconds, clock, sampled)


def _joined(parts: list[Rows]) -> Rows:
    """The numbers of some sets, each set's behind those of the one before; ascending numbers stay so."""
    out, begin = [], 0
    for part in parts:
        out.append(part.astype(np.int64) + begin)
        begin += int(part.max(initial=-1)) + 1
    return np.concatenate(out)


def _scaled(column: Ordered, train: Rows) -> Floats:
    known = column.marks == 0
    usual = column.values[train][known[train]]
    mean, sd = (float(usual.mean()), float(usual.std())) if len(usual) else (0.0, 0.0)
    if sd <= 1e-12 * max(abs(mean), 1e-300):
        sd = 1.0
    with np.errstate(over="ignore"):
        return np.where(known, np.clip((column.values - mean) / sd, -SPREAD, SPREAD), 0.0)


def levels_of(p: Paths, most: int) -> Iterator[tuple[str, Rows, int]]:
    """Every channel as few codes: its name, (n,) codes, and how many there are.

    Levels by frequency in train, the rarer ones together; ordered channels in five groups of train, marks apart.
    """
    for column in p.rows.columns:
        if isinstance(column, Levels):
            order = np.argsort(-np.bincount(column.codes[p.rows.real], minlength=column.size), kind="stable")
            place = np.empty(column.size, np.int64)
            place[order] = np.minimum(np.arange(column.size), most - 1)
            codes, size = place[column.codes], min(most, column.size)
        else:
            usual = column.values[p.rows.train][column.marks[p.rows.train] == 0]
            edges = np.unique(np.quantile(usual, (0.2, 0.4, 0.6, 0.8))) if len(usual) else np.zeros(0)
            codes = np.where(column.marks == 0, np.searchsorted(edges, column.values, "left"), len(edges) + 1)
            size = len(edges) + 2
        yield column.name, codes.astype(np.int64), size
