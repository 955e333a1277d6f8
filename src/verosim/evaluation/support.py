"""Where synthetic rows lie among real ones: alpha-precision, beta-recall and authenticity, and a projection.

As defined by Alaa, van Breugel, Saveliev and van der Schaar, How faithful is your synthetic data?, 2022. A common
implementation measures synthetic radii among nearest rows only, and looks up a real row's neighbour by the number of a
synthetic row; here both are as in the paper. Rows at equal distances, as columns of few levels make, count as equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np

from verosim.evaluation.case import Case
from verosim.evaluation.columns import Comparison, Floats
from verosim.evaluation.floors import FEW
from verosim.evaluation.points import Points
from verosim.evaluation.report import WITHIN_NOISE, Findings, Grade, Measure
from verosim.models import Progress, silent

ROWS: Final = 3_000  # of each set whose neighbours are looked for
PRODUCTS: Final = 1_000_000_000  # rows x rows x coordinates of one comparison: fewer rows in wide tables
SURE: Final = 4.5  # standard errors, of an error that itself is known from the splits only
LARGE: Final = 0.1  # from here on a difference is large
DRAWN: Final = 1_000  # points of each set

# The mean and standard deviation of the area under a Brownian bridge's absolute value, and what 999 of 1000 stay below
# (Johnson and Killeen, An explicit formula for the c.d.f. of the L1 norm of the Brownian bridge, 1983).
AREA, AREA_SD, AREA_MOST = 0.3133, 0.1360, 0.96


# --------------------------------------------------------------------------------------------------- three numbers


def alpha_precision(real: Floats, new: Floats) -> float:
    """How alike the distances of real and new rows to the centre of real ones are: 1 for equal, 0 for all outside.

    With P(a) the share of new rows within the ball that holds a share a of real rows: 1 - 2 x the mean |P(a) - a|.
    Where real rows lie at equal distances, a is the share that the ball really holds.
    """
    radii = np.sort(real)
    held = np.searchsorted(radii, radii, "right") / len(real)
    within = np.searchsorted(np.sort(new), radii, "right") / len(new)
    return 1 - 2 * float(np.abs(within - held).mean())


@dataclass(frozen=True, slots=True)
class Neighbours:
    beta_recall: float
    authenticity: float


def neighbours(real: Floats, new: Floats) -> Neighbours:
    """Of two sets of points (n, d) and (m, d).

    beta_recall: with R(b) the share of real points that have one of the innermost share b of new points no farther than
    their nearest other real point, 1 - 2 x the mean |R(b) - b|. authenticity: the share of new points farther from
    their nearest real point than this is from its nearest other real point.
    """
    between, among = _squares(real, new), _squares(real, real)
    np.fill_diagonal(among, np.inf)
    to_other = among.min(axis=1)
    depth = ((new - new.mean(axis=0)) ** 2).sum(axis=1)
    rank = np.searchsorted(np.sort(depth), depth, "right") / len(new)
    reached = np.where(between <= to_other[:, None], rank, np.inf).min(axis=1)
    shares = np.arange(1, len(new) + 1) / len(new)
    recall = np.searchsorted(np.sort(reached), shares, "right") / len(real)
    nearest = between.argmin(axis=0)
    authentic = between[nearest, np.arange(len(new))] > to_other[nearest]
    return Neighbours(1 - 2 * float(np.abs(recall - shares).mean()), float(authentic.mean()))


def _squares(a: Floats, b: Floats) -> Floats:
    """(n, m) squared distances; what is but rounding is 0, so that equal rows are at equal distances."""
    found = a @ b.T
    found *= -2
    found += (a**2).sum(axis=1)[:, None]
    found += (b**2).sum(axis=1)
    found[found < 1e-10] = 0
    return found


# ------------------------------------------------------------------------------------------------------- measures

ALPHA_PRECISION: Final = Measure("alpha_precision", "higher", about="synthetic rows lie where real rows lie")
BETA_RECALL: Final = Measure("beta_recall", "floor", about="real rows have a synthetic row near, as near as a real one")
AUTHENTICITY: Final = Measure(
    "authenticity", "higher", "", "privacy", about="synthetic rows that are not nearer to a real row than real rows are"
)


def assess(case: Case, progress: Progress = silent) -> Findings:
    """The three measures; details: projection, of real and synthetic rows on two axes."""
    c = case.arrays
    measures = (ALPHA_PRECISION, BETA_RECALL, AUTHENTICITY)
    if reason := c.nothing():
        return Findings(tuple(m.absent(reason) for m in measures))
    progress(0.0, "looking where synthetic rows lie")
    points = Points.of(c)
    details = {"projection": projection(c, points)}
    if (rows := min(len(c.train), len(c.synthetic))) < FEW:
        return Findings(tuple(m.absent(f"{rows} rows, where {FEW} are needed") for m in measures), details)
    progress(0.1, "looking for neighbours")
    n = min(ROWS, rows, max(FEW, int(sqrt(PRODUCTS / max(1, points.d)))))
    note = (f"beta_recall and authenticity look at {n:,} rows of each set",) if n < rows else ()
    return Findings((_precision(c, points), *_recall(c, points, n)), details, note)


def _precision(c: Comparison, points: Points) -> Measure:
    centre, scale = points.mean(c.train), 2 * sqrt(1 / len(c.train) + 1 / len(c.synthetic))
    value = alpha_precision(points.from_centre(c.train, centre), points.from_centre(c.synthetic, centre))
    floor, error = max(0.0, 1 - AREA * scale), AREA_SD * scale
    if value >= 1 - AREA_MOST * scale:
        return ALPHA_PRECISION.found(value, error, floor, WITHIN_NOISE)
    verdict = "synthetic rows lie elsewhere than real ones, in the middle or outside of them"
    return ALPHA_PRECISION.found(value, error, floor, verdict, _grade(floor - value))


def _recall(c: Comparison, points: Points, n: int) -> tuple[Measure, Measure]:
    """beta_recall and authenticity of n rows each, beside those of as many real rows."""
    real, new = c.some(c.train, n, "support train"), c.some(c.synthetic, n, "support synthetic")
    found = neighbours(points.at(real), points.at(new))
    half, rng = min(n, len(c.real) // 2), c.chance("support floor")
    splits = [
        neighbours(points.at(order[:half]), points.at(order[half : 2 * half]))
        for order in (rng.permutation(c.real) for _ in range(c.limits.splits))
    ]
    return (
        _beside(BETA_RECALL, found.beta_recall, np.array([s.beta_recall for s in splits]), half / n),
        _beside(AUTHENTICITY, found.authenticity, np.array([s.authenticity for s in splits]), half / n),
    )


def _beside(like: Measure, value: float, real: Floats, size: float) -> Measure:
    """A share beside that of real rows, from sets of `size` of the rows that it is of."""
    floor, error = float(real.mean()), float(real.std(ddof=1)) * sqrt(size)
    below = floor - value
    if abs(below) <= SURE * error or (like is AUTHENTICITY and below < 0):
        return like.found(value, error, floor, WITHIN_NOISE)
    return like.found(value, error, floor, _words(like, value, below), _grade(abs(below)))


def _words(like: Measure, value: float, below: float) -> str:
    if like is AUTHENTICITY:
        return f"copying: {100 * (1 - value):.0f} of 100 lie nearer to a real row than another real row does"
    if below > 0:
        return "real rows are covered less than by other real rows"
    return "real rows are covered more closely than by other real rows: leans to copying"


def _grade(difference: float) -> Grade:
    return "far" if difference >= LARGE else "near"


# ------------------------------------------------------------------------------------------------------ a picture


def projection(c: Comparison, points: Points) -> dict[str, Any]:
    """Some rows of each set on the two axes along which train rows differ most (principal components).

    explained: the share of train's variance that each axis shows, all coordinates standardised.
    """
    some = {role: c.some(getattr(c, role), DRAWN, f"drawn {role}") for role in ("train", "holdout", "synthetic")}
    train = points.at(c.some(c.train, ROWS, "projection"))
    centre, spread = train.mean(axis=0), train.std(axis=0)
    weight = np.divide(1, spread, out=np.zeros(len(spread)), where=spread > 1e-9)
    standard = (train - centre) * weight
    variance, axes = np.linalg.eigh(standard.T @ standard / len(train))
    two = axes[:, ::-1][:, :2] * weight[:, None]
    if two.shape[1] < 2:
        two = np.hstack([two, np.zeros((len(two), 2 - two.shape[1]))])
    shares = np.append(variance[::-1], [0.0, 0.0])[:2] / (variance.sum() or 1.0)
    drawn = {role: ((points.at(rows) - centre) @ two).round(3).tolist() for role, rows in some.items()}
    return {**drawn, "explained": shares.round(4).tolist()}
