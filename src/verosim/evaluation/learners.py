"""Three learners that predict one column from the others: a linear one, a forest, boosted trees.

    fitted = LEARNERS["forest"](columns, rows, y, 2, rng)
    fitted.outcome(fitted.encode(others))                    (n, 2) chances; (n, 1) means where y is a number

They differ in what they can see, so that no weakness of one decides what rows are worth: the linear one sees sums of
effects, the others also how columns act together. Each takes any column, with missing values and unseen levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.columns import Column, Levels, Ordered, Rows
from verosim.models import Array, Floats, boost
from verosim.models.features import rank
from verosim.models.trees import DIRECT, Ranks, Tree, grow

Ints = npt.NDArray[np.int64]
Outcome = Callable[[Array], Floats]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was learned: rows -> features -> outcome. Shuffled in between, features show what they are worth."""

    encode: Callable[[Rows], Array]  # (n,) row numbers -> (F, n)
    owner: Ints  # (F,) the number of the column that each feature is of
    outcome: Outcome  # (F, n) -> (n, K) chances of the classes, or (n, 1) means of a number


Learner = Callable[[Sequence[Column], Rows, Array, int, np.random.Generator], Fitted]
"""columns, rows to learn from, y of these rows, number of classes (0: y is a number), chance -> what was learned.

y: (n,) classes from 0, or numbers, which should be near to standard ones.
"""

# --------------------------------------------------------------------------------------------------------- linear

FEATURES: Final = 300  # about: the cost of wide tables, and of columns of many levels, stays bounded
OUTLYING: Final = 10.0  # standard deviations: what lies farther pulls no more than this
RIDGE: Final = 1.0  # times half the squared effects (not the intercept), beside the sum over rows of the loss


def linear(columns: Sequence[Column], rows: Rows, y: Array, n_classes: int, _: np.random.Generator) -> Fitted:
    """Ridge regression; multinomial logistic regression with a ridge where there are classes.

    Features: numbers in standard deviations around their mean, an indicator of where they are missing, and one of each
    of the commonest levels.
    """
    most = max(2, FEATURES // max(1, len(columns)))
    parts = [_levels(c, rows, most) if isinstance(c, Levels) else _numbers(c, rows) for c in columns]

    def encode(others: Rows) -> Floats:
        return np.concatenate([part(others) for part in parts])

    X = encode(rows)
    centre = X.mean(1, keepdims=True)
    weights = _softmax_weights(X - centre, y, n_classes) if n_classes else _ridge_weights(X - centre, y)
    base = weights[-1] - centre[:, 0] @ weights[:-1]

    def outcome(X: Array) -> Floats:
        scores = X.T @ weights[:-1] + base
        return boost.softmax(scores) if n_classes else np.asarray(scores)

    owner = np.repeat(np.arange(len(parts)), [len(part(rows[:1])) for part in parts])
    return Fitted(encode, owner, outcome)


def _numbers(column: Ordered, rows: Rows) -> Callable[[Rows], Floats]:
    """Rows -> (1 or 2, n): the value in standard deviations, and whether there is none where the rows lack some."""
    marked = column.marks > 0
    gaps, known = bool(marked[rows].any()), column.values[rows[~marked[rows]]]
    centre, unit = centre_and_unit(known) if len(known) else (0.0, 1.0)

    def encode(others: Rows) -> Floats:
        value = np.where(marked[others], 0.0, standard(column.values[others], centre, unit, OUTLYING))
        return np.stack([value, marked[others]] if gaps else [value])

    return encode


def centre_and_unit(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation; where that is 0 but for rounding, 1.

    >>> centre_and_unit(np.array([1.0, 3.0])), centre_and_unit(np.array([5.0, 5.0]))
    ((2.0, 1.0), (5.0, 1.0))
    """
    size = float(np.abs(values).max()) or 1.0
    spread = float((values / size).std())  # squares of extreme numbers would not be finite
    return float(values.mean()), spread * size if spread > 1e-12 else 1.0


def standard(values: Floats, centre: float, unit: float, most: float) -> Floats:
    """In units from the centre, at most so many to either side."""
    with np.errstate(over="ignore"):
        return np.clip((values - centre) / unit, -most, most)


def _levels(column: Levels, rows: Rows, most: int) -> Callable[[Rows], Floats]:
    """Rows -> (levels, n): an indicator of each of the commonest levels; all others are the level without one."""
    counts = np.bincount(column.codes[rows], minlength=column.size)
    kept = np.argsort(-counts, kind="stable")[:most]
    kept = kept[counts[kept] > 0]
    return lambda others: (column.codes[others] == kept[:, None]).astype(np.float64)


def _bordered(X: Floats) -> Floats:
    return np.concatenate([X, np.ones((1, X.shape[1]))])


def _penalty(n_features: int) -> Floats:
    return np.append(np.full(n_features, RIDGE), 1e-9)


def _ridge_weights(X: Floats, y: Array) -> Floats:
    """(F + 1, 1): the effects, then the intercept. X: (F, n) centred."""
    X1 = _bordered(X)
    return np.linalg.solve(X1 @ X1.T + np.diag(_penalty(len(X))), X1 @ y)[:, None]


def _softmax_weights(X: Floats, y: Array, n_classes: int, steps: int = 100) -> Floats:
    """(F + 1, K): the effects, then the intercepts. X: (F, n) centred.

    Quasi-Newton steps (Liu and Nocedal, On the limited memory BFGS method, 1989) that start from a bound of the
    curvature, half of X X' (Böhning, Multinomial logistic regression algorithm, 1992): a dozen are mostly enough.
    """
    X1, target, penalty = _bordered(X), np.eye(n_classes)[y], _penalty(len(X))[:, None]
    inverse = np.linalg.inv(X1 @ X1.T / 2 + np.diag(penalty[:, 0]))

    def loss(weights: Floats) -> tuple[float, Floats]:
        p = boost.softmax(X1.T @ weights)
        value = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-300)).sum() + (penalty * weights**2).sum() / 2
        return float(value), X1 @ (p - target) + penalty * weights

    weights = np.zeros((len(X1), n_classes))
    value, slope = loss(weights)
    past: list[tuple[Floats, Floats]] = []
    for _ in range(steps):
        step = -_quasi_newton(slope, past, inverse)
        size, gain = 1.0, float((slope * step).sum())
        while (new := loss(weights + size * step))[0] > value + 1e-4 * size * gain and size > 1e-6:
            size /= 2
        past = [*past[-9:], (size * step, new[1] - slope)]
        weights, (value, slope) = weights + size * step, new
        if np.abs(slope).max() < 1e-5 * len(y) or size <= 1e-6:
            break
    return weights


def _quasi_newton(slope: Floats, past: Sequence[tuple[Floats, Floats]], inverse: Floats) -> Floats:
    """The slope times an estimate of the inverse curvature, which the past steps and changes of slope correct."""
    out, used = slope.copy(), []
    for step, change in reversed(past):
        share = (step * out).sum() / (step * change).sum()
        out -= share * change
        used.append(share)
    out = inverse @ out
    for (step, change), share in zip(past, reversed(used), strict=True):
        out += step * (share - (change * out).sum() / (step * change).sum())
    return out


# ----------------------------------------------------------------------------------------------- features of trees

RARE: Final = 5  # rows of a level: with fewer, what goes with it is chance


def _tree_codes(columns: Sequence[Column], rows: Rows, Y: Floats) -> Callable[[Rows], Array]:
    """Rows -> (columns, n) uint16 codes, in the order of values, or of the outcome Y (n, m) that goes with a level."""
    centred = Y - Y.mean(0)
    tables = [_level_codes(c, rows, centred) if isinstance(c, Levels) else _value_codes(c) for c in columns]
    return lambda others: np.stack([t[c.codes[others]] for t, c in zip(tables, columns, strict=True)])


def _value_codes(column: Column) -> Array:
    """code -> uint16. Codes of a comparison are ranks already."""
    codes = np.arange(column.size)
    return (codes if column.size <= 65_536 else codes * 65_536 // column.size).astype(np.uint16)


def _level_codes(column: Column, rows: Rows, Y: Floats) -> Array:
    """level -> uint16; rare and unseen levels are one."""
    counts = np.bincount(column.codes[rows], minlength=column.size)
    level = np.where(counts >= RARE, np.arange(column.size), column.size)
    return rank(level[column.codes[rows]], column.size + 1, Y)[level]


def _sides(y: Array, n_classes: int) -> Floats:
    """(n, m) what trees are grown on: an indicator of each class, or the number."""
    return np.eye(n_classes)[y] if n_classes else np.asarray(y, np.float64)[:, None]


# --------------------------------------------------------------------------------------------------------- forest

N_TREES: Final = 30
DEPTH: Final = 14
LEAF: Final = 5  # rows
ASKED: Final = 0.6  # share of the columns that one tree may ask for
WIDEST: Final = 40  # columns that it may ask for at most: the cost of wide tables stays bounded


def forest(columns: Sequence[Column], rows: Rows, y: Array, n_classes: int, rng: np.random.Generator) -> Fitted:
    """The mean of deep trees, each grown on rows drawn with replacement and on some of the columns.

    Breiman, Random forests, 2001; columns are drawn once a tree, not at each split (Ho, The random subspace method for
    constructing decision forests, 1998).
    """
    Y = _sides(y, n_classes)
    encode = _tree_codes(columns, rows, Y)
    ranks, n, p = Ranks.of(encode(rows), DIRECT), len(rows), len(columns)
    trees: list[tuple[Tree, Floats]] = []
    for _ in range(N_TREES):
        drawn = np.sort(rng.integers(0, n, n))
        asked = _asked(p, max(3, ceil(ASKED * p)), rng)
        some = Ranks(ranks.ranks[np.ix_(asked, drawn)], tuple(ranks.values[i] for i in asked))
        tree, leaf = grow(some, Y[drawn][:, n_classes == 2 :], min_leaf=LEAF, max_depth=DEPTH)
        trees.append((_of_all(tree, asked), _means(leaf, Y[drawn])))
    return Fitted(encode, np.arange(p), lambda X: np.mean([value[tree.leaves(X)] for tree, value in trees], axis=0))


def _asked(n_columns: int, most: int, rng: np.random.Generator) -> Ints:
    """The columns that a tree may ask for."""
    return np.sort(rng.choice(n_columns, min(n_columns, most, WIDEST), replace=False))


def _of_all(tree: Tree, asked: Ints) -> Tree:
    """A tree on some columns, as one on all of them."""
    return Tree(asked[tree.feature].astype(np.int32), tree.threshold, tree.left)


def _means(leaf: Array, Y: Floats) -> Floats:
    """(leaves, m) the mean of Y (n, m) in each leaf."""
    return np.stack([np.bincount(leaf, column) for column in Y.T], 1) / np.bincount(leaf)[:, None]


# -------------------------------------------------------------------------------------------------- boosted trees

HELD: Final = 0.15  # share of the rows that ends the rounds
STEADY: Final = 30  # rows held: fewer tell nothing, and a few rounds are done
BOOST: Final = boost.Options(rounds=100, rate=0.2, max_depth=4, min_leaf=10, patience=8)
FEW_ROUNDS: Final = 20


def boosted(columns: Sequence[Column], rows: Rows, y: Array, n_classes: int, rng: np.random.Generator) -> Fitted:
    """Shallow trees, each grown on what those before it got wrong (Friedman, Greedy function approximation, 2001)."""
    encode = _tree_codes(columns, rows, _sides(y, n_classes))
    X, held = encode(rows), rng.random(len(rows)) < HELD
    if held.sum() < STEADY:
        held[:] = False
    owner = np.arange(len(columns))
    if not n_classes:
        return Fitted(encode, owner, _boosted_means(X, y, held, rng))
    asked = min(1.0, WIDEST / len(columns))
    options = replace(BOOST, features=asked, rounds=BOOST.rounds if held.any() else FEW_ROUNDS)
    learned = boost.boost(X, y, n_classes, held, rng, options)
    return Fitted(encode, owner, learned.probabilities)


def _boosted_means(X: Array, y: Floats, held: Array, rng: np.random.Generator) -> Outcome:
    """Boosting of the squared error: each tree takes a share off what is left."""
    ranks, left, away = Ranks.of(X[:, ~held], DIRECT), y[~held] - y[~held].mean(), y[held] - y[~held].mean()
    trees: list[tuple[Tree, Floats]] = []
    best, kept = np.inf, 0
    while len(trees) < (BOOST.rounds if held.any() else FEW_ROUNDS) and len(trees) - kept < BOOST.patience:
        asked = _asked(len(X), len(X), rng)
        tree, leaf = grow(
            ranks.only(asked), left[:, None], min_leaf=BOOST.min_leaf, max_depth=BOOST.max_depth, ridge=BOOST.ridge
        )
        tree, value = _of_all(tree, asked), BOOST.rate * np.bincount(leaf, left) / (np.bincount(leaf) + BOOST.ridge)
        trees.append((tree, value))
        left, away = left - value[leaf], away - value[tree.leaves(X[:, held])]
        error = float(np.square(away).sum())
        if error < best or not held.any():
            best, kept = error, len(trees)

    def outcome(X: Array) -> Floats:
        return y[~held].mean() + np.sum([value[tree.leaves(X)] for tree, value in trees[:kept]], axis=0)[:, None]

    return outcome


LEARNERS: Final[Mapping[str, Learner]] = {"linear": linear, "forest": forest, "boosted": boosted}
