"""How near synthetic rows come to real ones: columns one by one (shape), in pairs (trend), all at once (a detector).

Shape and trend are those of the single-table benchmarks: Kolmogorov-Smirnov for what has an order, total variation for
what has none; half the difference of Pearson correlations for two ordered columns, total variation of the contingency
table for all other pairs, with ordered columns in ten bins of equal width. Marks (missing, infinite ...) extend them:

* shape of an ordered column: the total variation of {a value, each mark}, plus the share that both sets give to values
  times Kolmogorov-Smirnov of the values. Without marks it is Kolmogorov-Smirnov, without values total variation.
* trend: correlation over the rows where both are values; marks are further bins beside a category.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.case import Case
from verosim.evaluation.columns import Column, Comparison, Floats, Levels, Ordered, Rows
from verosim.evaluation.detector import classify
from verosim.evaluation.floors import ALL, FEW, Floor, defined_mean, floor_of
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.models import Progress, silent

Pairs = npt.NDArray[np.int64]  # (k, 2) column numbers
FAR: Final = 3.0  # times the floor: from here on a difference is large
SLACK: Final = 1.1  # times the floor: what exceeds it by less does not matter, however sure it is

# --------------------------------------------------------------------------------------------------------- shape


def shape_errors(columns: Sequence[Column], a: Rows, b: Rows) -> Floats:
    """The distance of each column's distribution in rows `a` from that in rows `b`: (p,) in [0, 1]."""
    return np.array([_distance(c, _shares(c.codes[a], c.size), _shares(c.codes[b], c.size)) for c in columns])


def _shares(codes: npt.NDArray[np.integer], size: int) -> Floats:
    return np.bincount(codes, minlength=size) / len(codes)


def _distance(column: Column, p: Floats, q: Floats) -> float:
    if isinstance(column, Levels):
        return _total_variation(p, q)
    k = column.n_values
    in_p, in_q = float(p[:k].sum()), float(q[:k].sum())
    between = (abs(in_p - in_q) + float(np.abs(p[k:] - q[k:]).sum())) / 2
    if not in_p or not in_q:
        return between
    return between + min(in_p, in_q) * float(np.abs(np.cumsum(p[:k]) / in_p - np.cumsum(q[:k]) / in_q).max())


def _total_variation(p: Floats, q: Floats) -> float:
    return float(np.abs(p - q).sum()) / 2


# --------------------------------------------------------------------------------------------------------- trend


def pairs_of(n_columns: int, limit: int, rng: np.random.Generator) -> Pairs:
    """All pairs of columns, or `limit` of them by chance."""
    pairs = np.stack(np.triu_indices(n_columns, 1), axis=1)
    return pairs[np.sort(rng.choice(len(pairs), limit, replace=False))] if len(pairs) > limit else pairs


def trend_errors(columns: Sequence[Column], pairs: Pairs, a: Rows, b: Rows) -> Floats:
    """How far each pair's relation in rows `a` is from that in rows `b`: (k,) in [0, 1].

    NaN for two ordered columns of which one has a single value in `a` or in `b`: they have no correlation.
    """
    used = set(pairs.ravel().tolist())
    in_a, in_b = (Gathered.of(columns, used, rows) for rows in (a, b))
    return np.array([_relation(columns[i], columns[j], i, j, in_a, in_b) for i, j in pairs.tolist()])


def unit(x: Floats) -> Floats:
    """`x` around its mean, at length 1: the product of two is their correlation. NaN where `x` has a single value."""
    if not len(x) or x.min() == x.max():
        return np.full(len(x), np.nan)
    x = x - x.mean()
    x /= np.abs(x).max()  # squares of extreme numbers would not be finite
    return x / np.sqrt(np.square(x).sum())


@dataclass(frozen=True, slots=True)
class Gathered:
    """One set of rows of the columns that are compared, gathered once for all pairs."""

    bins: dict[int, npt.NDArray[np.int64]]
    values: dict[int, Floats]  # ordered columns
    units: dict[int, Floats]  # ordered columns that are values everywhere
    known: dict[int, npt.NDArray[np.bool_]]  # ordered columns: where there is a value

    @classmethod
    def of(cls, columns: Sequence[Column], used: set[int], rows: Rows) -> Gathered:
        part = cls({}, {}, {}, {})
        for i in used:
            column = columns[i]
            part.bins[i] = column.bins[rows].astype(np.int64)
            if isinstance(column, Ordered):
                part.values[i], part.known[i] = column.values[rows], column.marks[rows] == 0
                if part.known[i].all():
                    part.units[i] = unit(part.values[i])
        return part

    def correlation(self, i: int, j: int) -> float:
        """Pearson's, over the rows where both are values; NaN where one of them has a single value."""
        if i in self.units and j in self.units:
            return float((self.units[i] * self.units[j]).sum())
        known = self.known[i] & self.known[j]
        return float((unit(self.values[i][known]) * unit(self.values[j][known])).sum()) if known.any() else float("nan")


def _relation(x: Column, y: Column, i: int, j: int, a: Gathered, b: Gathered) -> float:
    if isinstance(x, Ordered) and isinstance(y, Ordered):
        return abs(a.correlation(i, j) - b.correlation(i, j)) / 2
    cells_a, cells_b = (part.bins[i] * y.n_bins + part.bins[j] for part in (a, b))
    size = x.n_bins * y.n_bins
    if size > 4 * (len(cells_a) + len(cells_b)):  # mostly empty: number the cells that occur
        occurring, cells = np.unique(np.concatenate([cells_a, cells_b]), return_inverse=True)
        size, cells_a, cells_b = len(occurring), cells[: len(cells_a)], cells[len(cells_a) :]
    return _total_variation(_shares(cells_a, size), _shares(cells_b, size))


# ------------------------------------------------------------------------------------------------------ detector

N_BYTES: Final = 250  # bins of an ordered column for the detector, at least 8 rows each; its marks come on top
FOLDS: Final = 3


@dataclass(frozen=True, slots=True)
class Detection:
    """What the detector found: its AUC, the standard error were nothing to find, and what the columns gained it."""

    auc: float
    error: float
    accuracy: float  # share of rows that are told rightly, by the sign of the log odds
    accuracy_error: float
    roc: Floats  # (k, 2) shares of real and of new rows that score above falling bounds: (0, 0) to (1, 1)
    gains: Floats  # (p, p) of the second column where the first was asked right before; alone: on the diagonal

    @property
    def gain(self) -> Floats:
        """(p,) of each column."""
        return self.gains.sum(axis=0)


def detect(
    columns: Sequence[Column],
    real: Rows,
    new: Rows,
    rng: np.random.Generator,
    folds: int = FOLDS,
    people: Rows | None = None,
) -> Detection:
    """How well boosted trees tell the rows `new` from the rows `real`, on rows that they were not fitted on.

    people: of all rows of the comparison, whom each belongs to, where rows of one person are alike.
    """
    rows = np.concatenate([real, new])
    codes = np.stack([_bytes(c, rows) for c in columns])
    label = np.arange(len(rows)) >= len(real)
    groups = None if people is None else people[rows]
    score, gains = classify(codes, label, folds, rng, groups=groups)
    # The error of the Mann-Whitney statistic, times the root of 2: each fold's trees learn from the labels that the
    # other folds are judged by, so that whatever two folds share by chance counts in both.
    error = np.sqrt(2 * (len(rows) + 1) / (12 * len(real) * len(new)))
    right = (score > 0) == label
    told = np.bincount(np.arange(len(rows)) if groups is None else groups, right - 0.5)  # of each person
    right_error = np.sqrt(2 * (told**2).sum()) / len(rows)
    return Detection(auc(score, label), float(error), float(right.mean()), float(right_error), roc(score, label), gains)


def auc(score: Floats, label: npt.NDArray[np.bool_]) -> float:
    """The chance that a row of `label` scores above one without, ties half.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    others, scores = np.sort(score[~label]), score[label]
    below = np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")
    return float(below.mean()) / 2 / len(others)


def roc(score: Floats, label: npt.NDArray[np.bool_], points: int = 101) -> Floats:
    """The share of rows without `label`, and of rows with it, that score at least as high as each of falling bounds.

    >>> roc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]), 3).tolist()
    [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    bounds = np.append(np.inf, np.quantile(score, np.linspace(1, 0, points), method="higher")[1:])
    sides = [np.sort(score[~label]), np.sort(score[label])]
    return np.stack([1 - np.searchsorted(side, bounds, "left") / len(side) for side in sides], axis=1)


def _bytes(column: Column, rows: Rows) -> npt.NDArray[np.uint8]:
    """A column for the detector: quantile bins of both sets together, or levels by falling frequency."""
    codes = column.codes[rows]
    if isinstance(column, Levels):
        by_frequency = np.argsort(-np.bincount(codes, minlength=column.size), kind="stable")
        place = np.empty(column.size, np.int64)
        place[by_frequency] = np.arange(column.size)
        return np.minimum(place[codes], 254).astype(np.uint8)
    edges, most = np.unique(codes), min(N_BYTES, max(16, len(rows) // 8))
    if len(edges) > most:
        at = np.linspace(0, len(codes) - 1, most).astype(np.int64)[:-1]
        quantiles = np.sort(codes)[at]
        marks = np.arange(column.n_values - 1, column.size - 1)
        edges = np.union1d(quantiles, marks)
    return np.searchsorted(edges, codes).astype(np.uint8)


def detectable(c: Comparison, errors: Floats) -> list[int]:
    """The columns that the detector sees: all, or those of the largest shape errors and as many others by chance."""
    limit = c.limits.detector_columns
    worst = np.argsort(-errors, kind="stable")
    if len(worst) > limit:
        worst[limit // 2 :] = c.chance("detector columns").permutation(worst[limit // 2 :])
    return sorted(worst[:limit].tolist())


# ------------------------------------------------------------------------------------------------------ measures

SHAPE: Final = Measure("shape", "lower", "%", about="distance of each column's distribution, their mean")
TREND: Final = Measure("trend", "lower", "%", about="distance of each two columns' relation, their mean")
UNSEEN: Final = Measure("auc_unseen", "lower", about="how well boosted trees tell synthetic from unseen real rows")


def assess(case: Case, progress: Progress = silent) -> Findings:
    """Shape, trend and auc_unseen; what cannot be measured says why.

    Details: shape (error of each column, in %), worst_column (name, %), worst_pair (two names, %), and what the
    detector saw, where there was one.
    """
    c = case.arrays
    if reason := c.nothing():
        return Findings(tuple(m.absent(reason) for m in (SHAPE, TREND, UNSEEN)), {"shape": {}})
    names = [column.name for column in c.columns]
    progress(0.0, "comparing columns")
    shapes = shape_errors(c.columns, c.train, c.synthetic)
    shape = _shape(c, shapes)
    progress(0.1, "comparing pairs of columns")
    pairs = pairs_of(len(names), c.limits.pairs, c.chance("pairs"))
    trends = trend_errors(c.columns, pairs, c.train, c.synthetic)
    trend = _trend(c, pairs, trends)
    progress(0.4, "looking for differences from unseen rows")
    seen = detectable(c, shapes)
    worst = int(shapes.argmax())
    details = {
        "shape": dict(zip(names, (100 * shapes).tolist(), strict=True)),
        "worst_column": [names[worst], 100 * float(shapes[worst])],
        "worst_pair": _worst_pair(names, pairs, trends),
    }
    unseen, clues = _unseen(c, seen)
    return Findings((shape, trend, unseen), details | clues, tuple(_notes(c, pairs, trends, seen)))


def _shape(c: Comparison, errors: Floats) -> Measure:
    return beside(SHAPE, errors, shape_floor(c), lambda i: f"column {c.columns[i].name}")


def shape_floor(c: Comparison, most: int | None = None) -> Floor | None:
    """What shape is of real rows against real rows."""
    return floor_of(c, "shape floor", lambda a, b: shape_errors(c.columns, a, b), most)


def _trend(c: Comparison, pairs: Pairs, errors: Floats) -> Measure:
    if len(c.columns) < 2:
        return TREND.absent("only one column is compared")
    if not np.isfinite(errors).any():
        return TREND.absent("no two columns vary")
    some = np.sort(c.chance("floor pairs").permutation(len(pairs))[: c.limits.floor_pairs])
    real = floor_of(c, "trend floor", lambda a, b: trend_errors(c.columns, pairs[some], a, b))
    return beside(TREND, errors, real, lambda i: " x ".join(c.columns[k].name for k in pairs[some[i]]), some)


def beside(
    like: Measure,
    errors: Floats,
    real: Floor | None,
    place: Callable[[int], str],
    judged: Rows | slice = ALL,
    sure: float = SURE,
) -> Measure:
    """The mean of `errors` beside its floor; the verdict names the place that exceeds its own floor most.

    Errors are shares where the unit of the measure is %. judged: those that the floor was taken of. sure: standard
    errors above the floor before a verdict is given, more where the errors have a long tail.
    """
    value, scale = defined_mean(errors), 100 if like.unit == "%" else 1
    if real is None:
        return like.found(scale * value, None, None, "not judged: too few real rows", "none")
    if value <= SLACK * real.mean + sure * real.error:
        return like.found(scale * value, scale * real.error, scale * real.mean, WITHIN_NOISE)
    excess = np.nan_to_num(errors[judged] - real.each, nan=-1.0)
    times = f"{value / real.mean:.1f} times" if real.mean else "above"
    verdict = f"{times} the noise of real: mostly {place(int(excess.argmax()))}"
    grade: Grade = "near" if value <= FAR * real.mean else "far"
    return like.found(scale * value, scale * real.error, scale * real.mean, verdict, grade)


def _worst_pair(names: list[str], pairs: Pairs, errors: Floats) -> list[str | float] | None:
    if not np.isfinite(errors).any():
        return None
    worst = int(np.nan_to_num(errors, nan=-1.0).argmax())
    return [names[pairs[worst, 0]], names[pairs[worst, 1]], 100 * float(errors[worst])]


def _unseen(c: Comparison, seen: list[int]) -> tuple[Measure, dict[str, Any]]:
    """The detector on synthetic and hold-out rows, beside the same on train and hold-out rows; and what it saw."""
    n = min(len(c.holdout), len(c.synthetic), c.limits.detector_rows)
    if n < FEW:
        few = f"{len(c.holdout):,} hold-out and {len(c.synthetic):,} synthetic rows; {FEW} are needed"
        return UNSEEN.absent(few), {}
    columns = [c.columns[i] for i in seen]
    holdout, new = c.some(c.holdout, n, "detector hold-out"), c.some(c.synthetic, n, "detector synthetic")
    found = detect(columns, holdout, new, c.chance("detector"))
    base = None
    if len(c.train) >= FEW:
        base = detect(columns, holdout, c.some(c.train, n, "detector train"), c.chance("detector floor"))
    names = [column.name for column in columns]
    floor = base.auc if base else None
    verdict, grade = detected(found.auc, found.error, floor, lambda: given_away(found, base, names))
    measure = UNSEEN.found(found.auc, found.error, floor, verdict, grade)
    return measure, {"detector": clues(found, base, names)}


CLUES: Final = 20  # pairs of columns that are named


def clues(found: Detection, base: Detection | None, names: list[str]) -> dict[str, Any]:
    """The ROC, and what gave the rows away: the share of the gain beyond that between real rows.

    gains: of each column; pairs: of two columns asked one after the other, the worst first.
    """
    gains = found.gains - base.gains if base else found.gains
    of_column = np.maximum(gains.sum(axis=0), 0)
    total = float(of_column.sum()) or 1.0
    together = np.triu(gains + gains.T, 1)
    worst = np.argsort(-together, axis=None, kind="stable")[:CLUES]
    first, second = np.unravel_index(worst, together.shape)
    pairs = [(names[i], names[j], together[i, j] / total) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
    return {
        "roc": found.roc.round(5).tolist(),
        "roc_floor": base.roc.round(5).tolist() if base else None,
        "gains": {names[i]: float(of_column[i] / total) for i in np.argsort(-of_column, kind="stable").tolist()},
        "pairs": [[a, b, float(share)] for a, b, share in pairs if share > 0],
    }


def detected(value: float, error: float, floor: float | None, where: Callable[[], str]) -> tuple[str, Grade]:
    """What was found beyond .5; the floor of real rows is as uncertain as the value, and counts only above .5."""
    if value <= max(0.5, floor or 0.5) + SURE * error:
        return WITHIN_NOISE, "noise"
    how = "hardly finds" if value < 0.6 else "finds" if value < 0.75 else "easily finds"
    return f"a detector {how} it: mostly {where()}", "near" if value < 0.6 else "far"


def given_away(found: Detection, base: Detection | None, names: list[str]) -> str:
    """The column, or two, that gave most away."""
    gain = found.gain - base.gain if base else found.gain
    first, *others = np.argsort(-gain, kind="stable").tolist()
    told = [first, *(o for o in others[:1] if gain[o] > gain[first] / 2)]
    return f"column {' and '.join(names[i] for i in told)}"


def _notes(c: Comparison, pairs: Pairs, errors: Floats, seen: list[int]) -> Iterator[str]:
    n_pairs = len(c.columns) * (len(c.columns) - 1) // 2
    if len(pairs) < n_pairs:
        yield f"trend looks at {len(pairs):,} of {n_pairs:,} pairs of columns"
    if len(seen) < len(c.columns):
        yield f"the detector looks at {len(seen):,} of {len(c.columns):,} columns"
    for i, j in pairs[~np.isfinite(errors)][:1].tolist():
        others = int((~np.isfinite(errors)).sum()) - 1
        more = f" and {others:,} more" if others else ""
        yield f"trend leaves out {c.columns[i].name} x {c.columns[j].name}{more}: without variation, no correlation"
