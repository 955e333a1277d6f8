"""Whether synthetic rows copy real ones, measured against a hold-out that the model never saw.

Distance of two rows: the sum over ordered columns of |difference| / range of train, plus 2 for each other column that
differs (the L1 distance of one-hot codes). A mark (missing, infinite ...) is one range away from all others.
These numbers find copying. That they find none proves no privacy: that takes attacks, in the full report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim import schema
from verosim.evaluation.case import Case
from verosim.evaluation.columns import Column, Comparison, Floats, Levels, Ordered, Rows, plain
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.models import Progress, silent

# ------------------------------------------------------------------------------------------------------- distances

BLOCK: Final = 100_000  # distances at a time: they stay in the processor's cache
FAR: Final = 1e6  # ranges of train: beyond, a value is simply far
MARK: Final = 1e9  # where marks lie, so far out that a difference tells that a mark is in it


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """All rows of a comparison as points. float32 is enough for distances, and halves their cost."""

    positions: tuple[npt.NDArray[np.float32], ...]  # ordered columns, in ranges of train
    marked: tuple[bool, ...]  # whether the ordered column has marks
    levels: tuple[npt.NDArray[np.integer], ...]  # other columns

    @classmethod
    def of(cls, columns: Sequence[Column], train: Rows) -> Space:
        ordered = [c for c in columns if isinstance(c, Ordered)]
        levels = [c for c in columns if isinstance(c, Levels)]
        return cls(
            tuple(_positions(c, train) for c in ordered),
            tuple(bool(c.marks.any()) for c in ordered),
            tuple(c.codes.astype(np.uint8) if c.size <= 256 else c.codes for c in levels),
        )

    def nearest(self, queries: Rows, reference: Rows) -> tuple[Floats, Rows]:
        """The distance of each query to its nearest reference row, and which of the reference rows that is."""
        distance, place = np.empty(len(queries)), np.empty(len(queries), np.int64)
        points = [p[reference] for p in self.positions]
        levels = [c[reference] for c in self.levels]
        step = max(1, BLOCK // len(reference))
        for start in range(0, len(queries), step):
            block = slice(start, start + step)
            between = self._between(queries[block], points, levels)
            place[block] = between.argmin(axis=1)
            distance[block] = between[np.arange(len(between)), place[block]]
        return distance, place

    def _between(
        self, queries: Rows, points: list[npt.NDArray[np.float32]], levels: list[npt.NDArray[np.integer]]
    ) -> Floats:
        """(queries, reference) distances: columns are added one by one, so that every step is a plain vector one."""
        shape = (len(queries), len((points or levels)[0]))
        total, step = np.zeros(shape, np.float32), np.empty(shape, np.float32)
        for own, other, marked in zip(self.positions, points, self.marked, strict=True):
            np.subtract(own[queries][:, None], other, out=step)
            np.abs(step, out=step)
            if marked:
                step[step > MARK / 2] = 1
            total += step
        unlike, differs = np.zeros(shape, np.uint16), np.empty(shape, np.bool_)
        for codes, others in zip(self.levels, levels, strict=True):
            np.not_equal(codes[queries][:, None], others, out=differs)
            unlike += differs
        return total + 2.0 * unlike


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

DCR: Final = Measure("dcr", "floor", "", "privacy", about="synthetic rows nearer to train than to unseen rows, a share")
DCR002: Final = Measure("dcr002", "lower", "%", "privacy", about="rows nearer to train than 98 % of unseen rows are")
COPIES: Final = Measure("copies", "lower", "%", "privacy", about="synthetic rows that are rows of train")


def assess(case: Case, progress: Progress = silent) -> Findings:
    """dcr, dcr002 and copies; what cannot be measured says why."""
    progress(0.0, "looking for copies of train rows")
    reason = case.arrays.nothing()
    copied = COPIES.absent(reason) if reason else copies(case.train, case.holdout, case.synthetic, case.table)
    return Findings((*near(case.arrays), copied))


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
        DCR002.found(found.dcr002, found.dcr002_error, found.dcr002_floor, _closer(found)),
    )


def _nearer(found: Nearness) -> tuple[str, Grade]:
    if abs(found.dcr - 0.5) <= SURE * found.dcr_error:
        return WITHIN_NOISE, "noise"
    if found.dcr < 0.5:
        return "nearer to unseen rows than to train: no copying", "noise"
    how, grade = ("leans to train: nearer to it", "near") if found.dcr < 0.55 else ("copying: nearer to train", "far")
    return f"{how} than to unseen rows, in {100 * found.dcr:.0f} of 100", grade  # type: ignore[return-value]


def _closer(found: Nearness) -> str:
    """The share below a low quantile is about gamma distributed, its cube root normal (Wilson, Hilferty, 1931)."""
    shape = (found.dcr002_floor / found.dcr002_error) ** 2
    if 3 * np.sqrt(shape) * (np.cbrt(found.dcr002 / found.dcr002_floor) - 1 + 1 / (9 * shape)) <= SURE:
        return WITHIN_NOISE
    return f"copying: {found.dcr002:.1f} % lie closer to train than 98 % of unseen rows do"


def copies(train: pl.DataFrame, holdout: pl.DataFrame, synthetic: pl.DataFrame, table: schema.Table) -> Measure:
    """The % of synthetic rows that are a row of train, beside that of hold-out rows. All rows are looked at."""
    hashes = [row_hashes(frame, table) for frame in (train, holdout, synthetic)]
    n, n_new = len(holdout), len(synthetic)
    found = n_equal(hashes[2], hashes[0])
    share = found / n_new
    error = 100 * float(np.sqrt(share * (1 - share) / n_new))
    if not n:
        return COPIES.found(100 * share, error, None, "not judged: no hold-out rows", "none")
    usual = n_equal(hashes[1], hashes[0])
    verdict = _copied(share, usual / n, (found + usual) / (n + n_new), 1 / n + 1 / n_new)
    return COPIES.found(100 * share, error, 100 * usual / n, verdict)


def _copied(share: float, usual: float, both: float, scale: float) -> str:
    """Two shares differ where they lie `SURE` standard errors apart, were both of them the pooled share `both`."""
    if share - usual <= SURE * float(np.sqrt(both * (1 - both) * scale)):
        return WITHIN_NOISE
    return f"copying: {100 * share:.3g} % are rows of train; of unseen real rows {100 * usual:.3g} % are"
