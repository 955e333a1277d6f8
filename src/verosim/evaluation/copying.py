"""Whether synthetic rows copy real ones, measured against a hold-out that the model never saw.

Distance of two rows: the sum over ordered columns of |difference| / range of train, plus 2 for each other column that
differs (the L1 distance of one-hot codes). A mark (missing, infinite ...) is one range away from all others.
These numbers find copying. That they find none proves no privacy, and every verdict says so: data that pass them have
been attacked with success (Yao et al., The DCR delusion, 2025). The attacks are in the full report: see `privacy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim import schema
from verosim.evaluation.case import Case
from verosim.evaluation.columns import Column, Comparison, Floats, Levels, Ordered, Rows, plain
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.trials import RARE, surprise
from verosim.models import Progress, silent

# ------------------------------------------------------------------------------------------------------- distances

Distances = npt.NDArray[np.float32]

BLOCK: Final = 100_000  # distances at a time: they stay in the processor's cache
FAR: Final = 1e6  # ranges of train: beyond, a value is simply far
MARK: Final = 1e9  # where marks lie, so far out that a difference tells that a mark is in it


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """All rows of a comparison as points. float32 is enough for distances, and halves their cost."""

    positions: tuple[npt.NDArray[np.float32], ...]  # ordered columns, in their ranges
    marked: tuple[bool, ...]  # whether the ordered column has marks
    levels: tuple[npt.NDArray[np.integer], ...]  # other columns

    @classmethod
    def of(cls, columns: Sequence[Column], spread: Rows) -> Space:
        """spread: the rows that tell the range of each column."""
        ordered = [c for c in columns if isinstance(c, Ordered)]
        levels = [c for c in columns if isinstance(c, Levels)]
        return cls(
            tuple(_positions(c, spread) for c in ordered),
            tuple(bool(c.marks.any()) for c in ordered),
            tuple(c.codes.astype(np.uint8) if c.size <= 256 else c.codes for c in levels),
        )

    def take(self, rows: Rows | slice) -> Space:
        """These rows alone."""
        return Space(tuple(p[rows] for p in self.positions), self.marked, tuple(c[rows] for c in self.levels))

    def nearest(self, queries: Rows, reference: Rows) -> tuple[Floats, Rows]:
        """The distance of each query to its nearest reference row, and which of the reference rows that is."""
        distance, place = np.empty(len(queries)), np.empty(len(queries), np.int64)
        for block, between in self.walk(queries, reference):
            place[block] = between.argmin(axis=1)
            distance[block] = between[np.arange(len(between)), place[block]]
        return distance, place

    def walk(self, queries: Rows, reference: Rows) -> Iterator[tuple[slice, Distances]]:
        """The distances of all queries to all reference rows, some queries at a time: which ones, and theirs."""
        others = self.take(reference)
        step = max(1, BLOCK // len(reference))
        for start in range(0, len(queries), step):
            block = slice(start, start + step)
            yield block, self.take(queries[block]).to(others)

    def to(self, others: Space) -> Distances:
        """(own rows, other rows) distances: columns are added one by one, so that every step is a plain vector one."""
        shape = (len((self.positions or self.levels)[0]), len((others.positions or others.levels)[0]))
        total, step = np.zeros(shape, np.float32), np.empty(shape, np.float32)
        for own, other, marked in zip(self.positions, others.positions, self.marked, strict=True):
            np.subtract(own[:, None], other, out=step)
            np.abs(step, out=step)
            if marked:
                step[step > MARK / 2] = 1
            total += step
        unlike, differs = np.zeros(shape, np.uint16), np.empty(shape, np.bool_)
        for codes, other_codes in zip(self.levels, others.levels, strict=True):
            np.not_equal(codes[:, None], other_codes, out=differs)
            unlike += differs
        total += np.multiply(unlike, np.float32(2), out=step, dtype=np.float32)
        return total


def _positions(column: Ordered, train: Rows) -> npt.NDArray[np.float32]:
    known = column.values[train][column.marks[train] == 0]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    spread = high - low or 1.0
    values = np.clip(column.values, low - FAR * spread, high + FAR * spread)
    fits = max(abs(low), abs(high)) < 1000 * spread and 1e-30 < spread < 1e30
    if fits:
        positions = values.astype(np.float32) / np.float32(spread)
    else:  # such as time stamps: float32 would lose their digits
        positions = ((values - low) / spread).astype(np.float32)
    return np.where(column.marks == 0, positions, np.float32(MARK) * column.marks).astype(np.float32)


# ------------------------------------------------------------------------------------------------ nearer to train?


@dataclass(frozen=True, slots=True)
class Nearness:
    """dcr in [0, 1] and dcr002 in %, each with its standard error were the new rows real and unseen."""

    dcr: float
    dcr_error: float
    dcr002: float
    dcr002_error: float
    dcr002_floor: float  # a little above 2: a quantile of few rows lies higher than its share


def nearness(columns: Sequence[Column], train: Rows, holdout: Rows, new: Rows, usual: Rows, spread: Rows) -> Nearness:
    """How the rows `new` lie between as many rows of train and of hold-out.

    dcr: the share of `new` nearer to train than to hold-out, ties half. dcr002: the % of `new` nearer to train than
    98 % of the hold-out rows `usual` are. `spread`: the rows of train that tell the range of each column.
    """
    space = Space.of(columns, spread)
    to_train, at_train = space.nearest(new, train)
    to_holdout, at_holdout = space.nearest(new, holdout)
    usually, _ = space.nearest(usual, train)
    wins, ties = to_train < to_holdout, to_train == to_holdout
    winner = np.where(wins, at_train, len(train) + at_holdout)[~ties]
    floor = (1 + 0.02 * (len(usual) - 1)) / (len(usual) + 1)  # mean share below an order statistic
    close_error = np.sqrt(floor * (1 - floor) * (1 / len(new) + 1 / (len(usual) + 2)))
    return Nearness(
        float((wins + 0.5 * ties).mean()),
        _relabelling_error(winner, len(train) + len(holdout), len(new)),
        100 * float((to_train < np.quantile(usually, 0.02)).mean()),
        100 * float(close_error),
        100 * floor,
    )


def _relabelling_error(winner: Rows, n_real: int, n: int) -> float:
    """The standard error of dcr were train and hold-out rows shuffled.

    Each real row's label decides for all synthetic rows that it is the nearest of. Where a few real rows are nearest to
    many (a small hold-out, a crowded spot) this is wider than a binomial error.
    """
    counts = np.bincount(winner).astype(np.float64)
    together = float((counts**2).sum()) * (1 + 1 / (n_real - 1)) - len(winner) ** 2 / (n_real - 1)
    return float(np.sqrt(max(together, 0.0))) / (2 * n)


# --------------------------------------------------------------------------------------------------------- copies

SLICE: Final = 200_000  # rows that are hashed together: bounded memory


def row_hashes(frame: pl.DataFrame, table: schema.Table) -> pl.Series:
    """A 64-bit hash of each row over the columns that are compared: equal rows, equal hashes."""
    if not len(frame):
        return pl.Series(dtype=pl.UInt64)
    return pl.concat([plain(part, table).hash_rows(seed=1) for part in frame.iter_slices(SLICE)])


def n_equal(new: pl.Series, train: pl.Series) -> int:
    """How many of the hashes `new` occur in `train`."""
    return int(new.is_in(train.unique().implode()).sum())


# -------------------------------------------------------------------------------------------------------- measures

UNCOPIED: Final = f"{WITHIN_NOISE}: no copying seen, which proves no privacy"
CLOSE: Final = 0.01  # of an ordered column's range: a near copy is no further off, in their mean

DCR: Final = Measure("dcr", "floor", "", "privacy", about="synthetic rows nearer to train than to unseen rows, a share")
DCR002: Final = Measure("dcr002", "lower", "%", "privacy", about="rows nearer to train than 98 % of unseen rows are")
NEAR_COPIES: Final = Measure(
    "near copies", "lower", "%", "privacy",
    about=f"synthetic rows within {CLOSE:.0%} of a row of train, and equal where columns have no order",
)  # fmt: skip
COPIES: Final = Measure("copies", "lower", "%", "privacy", about="synthetic rows that are rows of train")


def assess(case: Case, progress: Progress = silent) -> Findings:
    """dcr, dcr002, near copies and copies; what cannot be measured says why."""
    progress(0.0, "looking for copies of train rows")
    reason = case.arrays.nothing()
    copied = COPIES.absent(reason) if reason else copies(case.train, case.holdout, case.synthetic, case.table)
    return Findings((*near(case.arrays), near_copies(case.arrays), copied))


def near(c: Comparison) -> tuple[Measure, Measure]:
    """dcr and dcr002 of a comparison."""
    if reason := c.nothing() or ("" if len(c.holdout) else "no hold-out rows"):
        return DCR.absent(reason), DCR002.absent(reason)
    new = c.some(c.synthetic, c.limits.queries, "queries")
    n = max(1, min(len(c.train), len(c.holdout), c.limits.distances // (2 * len(new) * len(c.columns))))
    train, holdout = c.some(c.train, n, "nearest train"), c.some(c.holdout, n, "nearest hold-out")
    usual = c.some(holdout, c.limits.usual, "usual")
    found = nearness(c.columns, train, holdout, new, usual, c.train)
    return (
        DCR.found(found.dcr, found.dcr_error, 0.5, *_nearer(found)),
        DCR002.found(found.dcr002, found.dcr002_error, found.dcr002_floor, *_closer(found)),
    )


def _nearer(found: Nearness) -> tuple[str, Grade]:
    if abs(found.dcr - 0.5) <= SURE * found.dcr_error:
        return UNCOPIED, "noise"
    if found.dcr < 0.5:
        return "nearer to unseen rows than to train: no copying seen, which proves no privacy", "noise"
    how, grade = ("leans to train: nearer to it", "near") if found.dcr < 0.55 else ("copying: nearer to train", "far")
    return f"{how} than to unseen rows, in {100 * found.dcr:.0f} of 100", grade  # type: ignore[return-value]


def _closer(found: Nearness) -> tuple[str, Grade]:
    """The share below a low quantile is about gamma distributed, its cube root normal (Wilson, Hilferty, 1931)."""
    shape = (found.dcr002_floor / found.dcr002_error) ** 2
    if 3 * np.sqrt(shape) * (np.cbrt(found.dcr002 / found.dcr002_floor) - 1 + 1 / (9 * shape)) <= SURE:
        return UNCOPIED, "noise"
    return f"copying: {found.dcr002:.1f} % lie closer to train than 98 % of unseen rows do", "far"


def near_copies(c: Comparison) -> Measure:
    """The % of synthetic rows that nearly are a row of train, beside that of hold-out rows.

    The distance to the nearest row of train is at most `CLOSE` times the number of ordered columns: levels are equal.
    """
    if reason := c.nothing():
        return NEAR_COPIES.absent(reason)
    new, usual = c.some(c.synthetic, c.limits.queries, "queries"), c.some(c.holdout, c.limits.queries, "usual copies")
    n = max(1, c.limits.distances // ((len(new) + len(usual)) * len(c.columns)))
    distance, _ = Space.of(c.columns, c.train).nearest(np.concatenate([new, usual]), c.some(c.train, n, "copied"))
    close = distance <= CLOSE * sum(isinstance(column, Ordered) for column in c.columns)
    found, seen = int(close[: len(new)].sum()), int(close[len(new) :].sum())
    return share_beside(NEAR_COPIES, (found, len(new)), (seen, len(usual)), "nearly rows of train")


def copies(train: pl.DataFrame, holdout: pl.DataFrame, synthetic: pl.DataFrame, table: schema.Table) -> Measure:
    """The % of synthetic rows that are a row of train, beside that of hold-out rows. All rows are looked at."""
    hashes = [row_hashes(frame, table) for frame in (train, holdout, synthetic)]
    found, usual = n_equal(hashes[2], hashes[0]), n_equal(hashes[1], hashes[0])
    return share_beside(COPIES, (found, len(synthetic)), (usual, len(holdout)), "rows of train")


def share_beside(measure: Measure, synthetic: tuple[int, int], holdout: tuple[int, int], what: str) -> Measure:
    """How many of how many synthetic rows are `what`, beside hold-out rows: more than if both were drawn alike?"""
    (found, n), (usual, m) = synthetic, holdout
    share = found / n
    error = 100 * float(np.sqrt(share * (1 - share) / n))
    if not m:
        return measure.found(100 * share, error, None, "not judged: no hold-out rows", "none")
    if surprise(found, n, usual, m) >= RARE:
        return measure.found(100 * share, error, 100 * usual / m, UNCOPIED, "noise")
    verdict = f"copying: {100 * share:.3g} % are {what}; of unseen real rows {100 * usual / m:.3g} % are"
    return measure.found(100 * share, error, 100 * usual / m, verdict, "far")
