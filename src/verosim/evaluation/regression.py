"""One regression, fitted to real and to synthetic rows: do they give the same answer?

The comparison that synthpop's `compare` of fitted models makes (Nowok, Raab and Dibben, synthpop: Bespoke creation of
synthetic data in R, 2016): coefficients side by side, how far their confidence intervals overlap (Karr et al., A
framework for evaluating the utility of data altered to protect confidentiality, 2006), and how far all of them together
lie apart. Linear for a number, logistic for classes. The formula is chosen on real rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from verosim.evaluation.case import Case
from verosim.evaluation.columns import Column, Levels, Ordered, Rows
from verosim.evaluation.combining import quantile
from verosim.evaluation.learners import centre_and_unit, standard
from verosim.evaluation.report import SURE, WITHIN_NOISE, Findings, Grade, Measure
from verosim.evaluation.targets import Task, target_of
from verosim.models import Floats, Progress, silent

# ------------------------------------------------------------------------------------------------------------ fits


@dataclass(frozen=True, slots=True)
class Fit:
    """Estimates of p coefficients.

    The robust covariance is right whether the model is or not, and so what verdicts are made of (White, A
    heteroskedasticity-consistent covariance matrix, 1980).
    """

    estimates: Floats  # (p,)
    covariance: Floats  # (p, p) were the model right: what intervals are usually made of
    robust: Floats  # (p, p)
    freedom: float  # of the intervals: infinite for a logistic model

    @property
    def errors(self) -> Floats:
        return np.sqrt(np.diag(self.covariance))

    def intervals(self, level: float = 0.95) -> Floats:
        """(p, 2) confidence intervals."""
        half = quantile((1 + level) / 2, self.freedom) * self.errors
        return np.stack([self.estimates - half, self.estimates + half], 1)


def ols(X: Floats, y: Floats) -> Fit:
    """Least squares of y (n,) on X (n, p), which holds the intercept too, and whose columns are independent.

    >>> ols(np.array([[1.0, 0], [1, 1], [1, 2]]), np.array([1.0, 3, 5])).estimates.round(6).tolist()
    [1.0, 2.0]
    """
    n, p = X.shape
    bread = np.linalg.inv(X.T @ X)
    estimates = bread @ (X.T @ y)
    rest = y - X @ estimates
    covariance = bread * float(rest @ rest) / (n - p)
    return Fit(estimates, covariance, _sandwich(bread, X, rest, 1.0), float(n - p))


def logit(X: Floats, y: Floats, steps: int = 50) -> Fit | None:
    """The logistic model of y (n,) in {0, 1} on X (n, p), by Newton's steps; None where X separates the two.

    X holds the intercept too, and its columns are independent.
    """
    estimates = np.zeros(X.shape[1])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(X @ estimates, -30, 30)))
        curve = chance * (1 - chance)
        bread = np.linalg.pinv((X * curve[:, None]).T @ X, hermitian=True)
        step = bread @ (X.T @ (y - chance))
        estimates = estimates + step
        if np.abs(step).max() < 1e-9:
            return Fit(estimates, bread, _sandwich(bread, X, y - chance, curve), inf)
        if np.abs(X @ estimates).max() > 1e3:
            return None
    return None


def _sandwich(bread: Floats, X: Floats, rest: Floats, curve: Floats | float) -> Floats:
    """Each rest over 1 - the pull that its own row has on it (HC3, MacKinnon and White, 1985): sound for few rows."""
    pull = np.einsum("ij,jk,ik->i", X, bread, X, optimize=True) * curve
    half = (X * (rest / np.maximum(1 - pull, 1e-6))[:, None]) @ bread
    return half.T @ half


# ---------------------------------------------------------------------------------------------------------- terms

COLUMNS: Final = 6  # in the formula: those that tell most of the target
LEVELS: Final = 6  # of a column: the commonest; the first of them is what the others are compared with
HELD: Final = 30  # rows of a level, of gaps, and in each class: with fewer there is no term
OUTLYING: Final = 1_000.0  # standard deviations: what lies farther counts as this
SIDES: Final = 5  # rows of each class where an indicator is 1: with fewer, its effect has no end
DEPENDENT: Final = 1e-6  # share of a term that the others leave open


NUMBER, GAP = -1, -2


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the design: an indicator of a level or of a gap, or a number in standard deviations."""

    column: Column
    name: str
    level: int  # the code that it indicates, or NUMBER, or GAP
    centre: float = 0.0
    unit: float = 1.0

    def of(self, rows: Rows) -> Floats:
        """(n,) its values."""
        if self.level >= 0:
            return (self.column.codes[rows] == self.level).astype(np.float64)
        assert isinstance(self.column, Ordered)
        gaps = self.column.marks[rows] > 0
        if self.level == GAP:
            return gaps.astype(np.float64)
        return np.where(gaps, 0.0, standard(self.column.values[rows], self.centre, self.unit, OUTLYING))


def informative(columns: Sequence[Column], rows: Rows, y: Floats) -> list[Column]:
    """The columns of which y differs most between bins, the most informative first: at most `COLUMNS`."""
    around = y - y.mean()
    shares = []
    for column in columns:
        bins = column.bins[rows]
        counts, sums = np.bincount(bins), np.bincount(bins, around)
        n_bins = int((counts > 0).sum())
        told = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum() / (around @ around))
        shares.append(told - (n_bins - 1) / len(rows))  # what bins tell by chance taken off
    best = np.argsort(-np.array(shares), kind="stable")[:COLUMNS]
    return [columns[i] for i in best if shares[i] > 0]


def terms_of(column: Column, rows: Rows) -> Iterator[Term]:
    """The terms that a column gives, as these real rows have it."""
    if isinstance(column, Levels):
        counts = np.bincount(column.codes[rows], minlength=column.size)
        common = np.argsort(-counts, kind="stable")[:LEVELS]
        for level in common[1:].tolist():
            if counts[level] >= HELD:
                yield Term(column, f"{column.name}: {_level(column, level)}", level)
        return
    gaps = column.marks[rows] > 0
    values = column.values[rows][~gaps]
    if len(values) and values.min() < values.max():
        yield Term(column, column.name, NUMBER, *centre_and_unit(values))
    if gaps.sum() >= HELD:
        yield Term(column, f"{column.name}: no value", GAP)


def _level(column: Levels, code: int) -> str:
    return "missing" if code == column.size - 1 else str(column.names[code])


def design(terms: Sequence[Term], rows: Rows) -> Floats:
    """(n, 1 + terms) the intercept, then the terms."""
    return np.stack([np.ones(len(rows)), *(term.of(rows) for term in terms)], 1)


def estimable(X: Floats, y: Floats | None = None) -> list[int]:
    """The columns of X (n, p) that have coefficients: no combination of those before them.

    y: of a logistic model; an indicator needs `SIDES` rows of both classes.
    """
    kept: list[int] = []
    basis = np.zeros((len(X), 0))
    for i, x in enumerate(X.T):
        rest = x - basis @ (basis.T @ x)
        rest -= basis @ (basis.T @ rest)
        told = y is None or i == 0 or not _indicator(x) or min(x @ y, x @ (1 - y)) >= SIDES
        if told and float(rest @ rest) > DEPENDENT * float(x @ x):
            kept.append(i)
            basis = np.column_stack([basis, rest / np.sqrt(rest @ rest)])
    return kept


def _indicator(x: Floats) -> bool:
    return bool(((x == 0) | (x == 1)).all())


# ----------------------------------------------------------------------------------------------------- comparisons


@dataclass(frozen=True, slots=True)
class Compared:
    """The same coefficients, from real and from synthetic rows."""

    z: Floats  # (p,) difference in standard errors of the real estimate
    overlap: Floats  # (p,) Karr's, in [0, 1]
    overlap_by_z: Floats  # (p,) Raab's 1 - |z| / 3.92, below 0 where intervals lie apart
    distance: float  # squared length of all differences together, over p: about 1 between two real samples


def compared(real: Fit, new: Fit) -> Compared:
    """How near two fits of the same terms are."""
    apart = new.estimates - real.estimates
    z = apart / real.errors
    both = real.robust + new.robust
    distance = float(apart @ np.linalg.pinv(both, hermitian=True) @ apart) / len(apart)
    return Compared(z, overlap(real.intervals(), new.intervals()), 1 - np.abs(z) / (2 * quantile(0.975, inf)), distance)


def overlap(a: Floats, b: Floats) -> Floats:
    """The common part of intervals (..., 2), as the mean of the shares that it is of both; 0 where they lie apart.

    >>> overlap(np.array([0.0, 2.0]), np.array([1.0, 5.0])).tolist()
    0.375
    """
    common = np.maximum(0.0, np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]))
    return (common / (a[..., 1] - a[..., 0]) + common / (b[..., 1] - b[..., 0])) / 2


# ------------------------------------------------------------------------------------------------------- the part

DISTANCE: Final = Measure(
    "coefficients", "lower", section="usefulness", about="regression coefficients apart, 1 by chance"
)
OVERLAP: Final = Measure("overlap", "higher", section="usefulness", about="of coefficients' 95 % intervals, their mean")
LEAST: Final = 40  # rows for each term
DRAWS: Final = 4_000  # of differences by chance alone
FAR: Final = 4.0  # times what chance brings: from here on coefficients are far apart


@dataclass(frozen=True, slots=True)
class Both:
    """One formula, fitted to real and to synthetic rows."""

    task: Task
    formula: str
    names: list[str]  # (p,) of the terms, the intercept first
    real: Fit
    new: Fit
    left_out: list[str]  # terms that the synthetic rows do not tell

    @classmethod
    def of(cls, case: Case) -> Both | str:
        """The two fits of a case, or why there are none."""
        c = case.arrays
        target = None if c.nothing() else target_of(case.table, case.train, case.target)
        if target is None:
            return c.nothing() or "no column of few classes, and no number, to predict: name a target"
        task = Task.of(c, target, case.table, c.train, c.train, SIDES)
        if isinstance(task, str):
            return task
        rows, others = task.of_known(c.train), task.of_known(c.synthetic)
        if min(len(rows), len(others)) < LEAST:
            return f"the target {target!r} is known in {len(rows)} real and {len(others)} synthetic rows"
        y, said = _outcome(case, task, rows)
        chosen = informative(task.columns, rows, y[rows])
        terms = [term for column in chosen for term in terms_of(column, rows)][: min(len(rows), len(others)) // LEAST]
        formula = f"{said}, on {', '.join(column.name for column in chosen) or 'nothing'}"
        return cls._fitted(task, formula, terms, (rows, others), y)

    @classmethod
    def _fitted(cls, task: Task, formula: str, terms: list[Term], parts: tuple[Rows, Rows], y: Floats) -> Both | str:
        logistic = task.n_classes > 0
        in_real = estimable(design(terms, parts[0]), y[parts[0]] if logistic else None)
        terms = [terms[i - 1] for i in in_real[1:]]
        in_new = estimable(design(terms, parts[1]), y[parts[1]] if logistic else None)
        kept = [terms[i - 1] for i in in_new[1:]]
        if not kept:
            return f"no column tells anything of {task.target!r} in both real and synthetic rows"
        fits = [(logit if logistic else ols)(design(kept, rows), y[rows]) for rows in parts]
        if fits[0] is None or fits[1] is None:
            where = "real" if fits[0] is None else "synthetic"
            return f"other columns separate the classes of {task.target!r} in the {where} rows"
        lost = [term.name for term in terms if term not in kept]
        return cls(task, formula, ["intercept", *(term.name for term in kept)], fits[0], fits[1], lost)


def _outcome(case: Case, task: Task, rows: Rows) -> tuple[Floats, str]:
    """y of all rows, 0 or 1 where there are classes, and what it is."""
    if not task.n_classes:
        return task.y, f"linear regression of {task.target}"
    own = next(column for column in case.arrays.columns if column.name == task.target)
    one = 1 if task.n_classes == 2 else int(np.bincount(task.y[rows]).argmax())
    code = int(own.codes[rows[task.y[rows] == one][0]])
    level = _level(own, code) if isinstance(own, Levels) else f"{own.distinct[code]:g}"
    return (task.y == one).astype(np.float64), f"logistic regression of {task.target} being {level}"


def assess(case: Case, progress: Progress = silent) -> Findings:
    """The distance of all coefficients, and the mean overlap of their intervals; or why there are none.

    Details: regression {target, formula_note, rows [...]}.
    """
    progress(0.0, "comparing regressions")
    both = Both.of(case)
    if isinstance(both, str):
        return Findings((DISTANCE.absent(both), OVERLAP.absent(both)))
    found = compared(both.real, both.new)
    notes = []
    if both.left_out:
        notes.append(f"the regression leaves out what synthetic rows do not tell: {', '.join(both.left_out[:5])}")
    measures = (_distance(both, found), _overlapping(both, found, case.chance("regression")))
    return Findings(measures, {"regression": _details(both, found)}, tuple(notes))


def _distance(both: Both, found: Compared) -> Measure:
    """The cube root of a mean of squares is about normal (Wilson and Hilferty, 1931)."""
    p = len(both.names)
    spread = 2 / (9 * p)
    value, error = found.distance, sqrt(2 / p)
    if np.cbrt(value) - (1 - spread) <= SURE * sqrt(spread):
        return DISTANCE.found(value, error, 1.0, WITHIN_NOISE)
    apart = np.abs(both.new.estimates - both.real.estimates)
    most = int((apart / np.sqrt(np.diag(both.real.robust + both.new.robust)))[1:].argmax()) + 1
    grade: Grade = "near" if value < FAR else "far"
    return DISTANCE.found(value, error, 1.0, f"other coefficients than real rows: mostly {both.names[most]}", grade)


def _overlapping(both: Both, found: Compared, rng: np.random.Generator) -> Measure:
    """The mean overlap, beside what chance brings: differences drawn from the errors of the two fits."""
    root = np.linalg.cholesky(both.real.robust + both.new.robust + 1e-15 * np.eye(len(both.names)))
    drawn = rng.standard_normal((DRAWS, len(both.names))) @ root.T
    moved = (both.real.estimates + drawn)[..., None] + np.diff(both.new.intervals(), axis=1) / 2 * [-1, 1]
    usual = overlap(both.real.intervals(), moved).mean(1)
    value, floor, error = float(found.overlap.mean()), float(usual.mean()), float(usual.std())
    if (usual <= value).mean() > NormalDist().cdf(-SURE):
        return OVERLAP.found(value, error, floor, WITHIN_NOISE)
    least = both.names[1 + int(found.overlap[1:].argmin())]
    grade: Grade = "near" if value > floor / 2 else "far"
    return OVERLAP.found(value, error, floor, f"intervals overlap less than those of real rows: least {least}", grade)


def _details(both: Both, found: Compared) -> dict[str, Any]:
    sides = {side: (fit.estimates, fit.intervals()) for side, fit in (("real", both.real), ("synthetic", both.new))}
    rows = []
    for i, name in enumerate(both.names):
        row: dict[str, Any] = {"term": name}
        for side, (estimates, intervals) in sides.items():
            row[side] = float(estimates[i])
            row[f"{side}_low"], row[f"{side}_high"] = intervals[i].tolist()
        rows.append(
            row
            | {"overlap": float(found.overlap[i]), "overlap_z": float(found.overlap_by_z[i]), "z": float(found.z[i])}
        )
    how = "numbers in standard deviations of the real rows; levels beside the commonest"
    return {"target": both.task.target, "formula_note": f"{both.formula}; {how}", "rows": rows}
