"""Columns together: tables of counts over two and three columns, in real and in synthetic rows.

For these tables an ordered column is cut into groups of about equally many train rows, with groups of their own for
missing values and other marks; of an unordered one the most frequent levels stand alone, the rest together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.axes import Axis, grouped
from verosim.evaluation.case import Case
from verosim.evaluation.cells import s_pmse, utility
from verosim.evaluation.columns import MARKS, Codes, Column, Comparison, Floats, Ordered, Rows
from verosim.evaluation.fidelity import Gathered, Pairs, beside, pairs_of, trend_errors
from verosim.evaluation.floors import floor_of
from verosim.evaluation.points import frequent
from verosim.evaluation.report import Findings, Measure
from verosim.models import Progress, silent

GROUPS: Final = 5  # of an ordered column: synthpop's default
TENTHS: Final = 10  # for k-marginal
LEVELS: Final = 50  # of an unordered column that stand alone
PAIRS: Final = 800  # of columns that s_pmse looks at: all those of 40 columns
NIST_PAIRS: Final = 200  # that k-marginal looks at in tables of 30 columns and more, as SDNist does
TRIPLES: Final = 200
FLOOR_TABLES: Final = 150  # of which real rows are compared with real rows
SHOWN: Final = 40  # columns in the matrices that are drawn
WORST: Final = 30  # pairs that are drawn
CELLS: Final = 8  # on each side of a pair that is drawn

Tuples = npt.NDArray[np.int64]  # (k, 1, 2 or 3) column numbers

# --------------------------------------------------------------------------------------------------- tables of counts


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """All columns of a comparison in a few groups each."""

    codes: Codes  # (p, n)
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, c: Comparison, groups: int) -> Grid:
        found = [_groups(c, column, groups) for column in c.columns]
        return cls(np.stack([codes for codes, _ in found]), tuple(size for _, size in found))

    def at(self, rows: Rows) -> Grid:
        """These rows alone."""
        return Grid(self.codes[:, rows], self.sizes)

    def counts(self, columns: Sequence[int]) -> Floats:
        """How many rows are in each cell of the table of these columns, the last column running fastest."""
        cell, size = self.codes[columns[0]], self.sizes[columns[0]]
        for i in columns[1:]:
            cell, size = cell * np.int32(self.sizes[i]) + self.codes[i], size * self.sizes[i]
        return np.bincount(cell, minlength=size).astype(np.float64)


def _groups(c: Comparison, column: Column, groups: int) -> tuple[Codes, int]:
    """The group of each row, and how many groups there are."""
    if isinstance(column, Ordered):
        known = column.values[c.train][column.marks[c.train] == 0]
        shares = np.linspace(0, 1, groups + 1)[1:-1]
        edges = np.unique(np.quantile(known, shares, method="inverted_cdf")) if len(known) else np.zeros(0)
        codes = np.where(column.marks == 0, np.searchsorted(edges, column.values), len(edges) + column.marks)
        return codes.astype(np.int32), len(edges) + 1 + len(MARKS)
    if column.size <= LEVELS:
        return column.codes, column.size
    return frequent(column, np.concatenate([c.train, c.synthetic]), LEVELS), LEVELS


def distances(a: Grid, b: Grid, tuples: Tuples) -> Floats:
    """(k,) the total variation distance of each table of columns, in [0, 1]."""
    return np.array([_apart(a.counts(t), b.counts(t)) for t in tuples.tolist()])


def _apart(a: Floats, b: Floats) -> float:
    return float(np.abs(a / a.sum() - b / b.sum()).sum()) / 2


def ratios(real: Grid, new: Grid, tuples: Tuples) -> Floats:
    """(k,) the S_pMSE of each table of columns; NaN for a table of one cell."""
    return np.array([s_pmse(real.counts(t), new.counts(t)) for t in tuples.tolist()])


def triples_of(n_columns: int, limit: int, rng: np.random.Generator) -> Tuples:
    """All triples of columns, or `limit` different ones by chance."""
    n = n_columns * (n_columns - 1) * (n_columns - 2) // 6
    if n <= 4 * limit:
        every = [(i, j, k) for k in range(n_columns) for j in range(k) for i in range(j)]
        triples = np.array(every, np.int64).reshape(-1, 3)
        return triples if n <= limit else triples[np.sort(rng.choice(n, limit, replace=False))]
    drawn = np.sort(np.stack([rng.permutation(n_columns)[:3] for _ in range(2 * limit)]), axis=1)
    return rng.permutation(np.unique(drawn, axis=0))[:limit]


# ------------------------------------------------------------------------------------------------------- measures

THREE_WAY: Final = Measure("three_way", "lower", "%", about="distance of the tables of each three columns, their mean")
K_MARGINAL: Final = Measure("k_marginal", "higher", about="NIST's score of the tables of each two columns, 0 to 1000")
S_PMSE: Final = Measure("s_pmse", "lower", about="synthpop's S_pMSE of the tables of each two columns, their mean")


def assess(case: Case, progress: Progress = silent) -> Findings:
    """three_way, k_marginal and s_pmse; details: pairs, pair_table, correlations and utility (docs/report.md)."""
    c = case.arrays
    if reason := c.nothing() or ("only one column is compared" if len(c.columns) < 2 else ""):
        return Findings(tuple(m.absent(reason) for m in (THREE_WAY, K_MARGINAL, S_PMSE)))
    coarse, n = Grid.of(c, GROUPS), len(c.columns)
    pairs, triples = pairs_of(n, PAIRS, c.chance("pairs of s_pmse")), triples_of(n, TRIPLES, c.chance("triples"))
    progress(0.0, "comparing tables of two and three columns")
    measures = _three_way(c, coarse, triples), _k_marginal(c), _s_pmse(c, coarse, pairs)
    progress(0.6, "drawing pairs of columns")
    trends = pairs_of(n, c.limits.pairs, c.chance("pairs"))  # those that trend looks at
    errors = np.nan_to_num(trend_errors(c.columns, trends, c.train, c.synthetic))
    real, new = coarse.at(c.train), coarse.at(c.synthetic)
    details = {
        "pairs": _worst_pairs(case, real, new, trends, errors),
        "pair_table": _pair_table(c, real, new),
        "correlations": _correlations(c, trends, errors),
        "utility": {column.name: _utility(real, new, [i]) for i, column in enumerate(c.columns)},
    }
    return Findings(measures, details, tuple(_notes(n, pairs, triples)))


def _three_way(c: Comparison, grid: Grid, triples: Tuples) -> Measure:
    if not len(triples):
        return THREE_WAY.absent("only two columns are compared")
    return _of_tables(THREE_WAY, c, grid, triples, distances)


def _k_marginal(c: Comparison) -> Measure:
    """SDNist's score: (2 - the mean of sum |p - q| over pairs) x 500; differences are judged on the mean."""
    grid, n = Grid.of(c, TENTHS), len(c.columns)
    pairs = pairs_of(n, NIST_PAIRS if n >= 30 else n * n, c.chance("pairs of k_marginal"))
    found = _of_tables(K_MARGINAL, c, grid, pairs, distances)
    value, error, floor = found.value or 0.0, found.error, found.floor
    return replace(
        found,
        value=1000 * (1 - value),
        error=None if error is None else 1000 * error,
        floor=None if floor is None else 1000 * (1 - floor),
    )


def _s_pmse(c: Comparison, grid: Grid, pairs: Pairs) -> Measure:
    return _of_tables(S_PMSE, c, grid, pairs, ratios)


def _of_tables(
    like: Measure, c: Comparison, grid: Grid, tuples: Tuples, errors: Callable[[Grid, Grid, Tuples], Floats]
) -> Measure:
    """The mean of the errors of all these tables, beside that of real rows on some of them."""
    found = errors(grid.at(c.train), grid.at(c.synthetic), tuples)
    if not np.isfinite(found).any():
        return like.absent("no column varies")
    some = np.sort(c.chance(f"{like.name} floor tables").permutation(len(tuples))[:FLOOR_TABLES])
    floor = floor_of(c, f"{like.name} floor", lambda a, b: errors(grid.at(a), grid.at(b), tuples[some]))
    return beside(like, found, floor, lambda i: " x ".join(c.columns[k].name for k in tuples[some[i]]), some)


def _notes(n: int, pairs: Pairs, triples: Tuples) -> Iterator[str]:
    of_two, of_three = n * (n - 1) // 2, n * (n - 1) * (n - 2) // 6
    if len(pairs) < of_two:
        yield f"s_pmse looks at {len(pairs):,} of {of_two:,} pairs of columns, k_marginal at {NIST_PAIRS:,}"
    if len(triples) < of_three:
        yield f"three_way looks at {len(triples):,} of {of_three:,} triples of columns"


# ------------------------------------------------------------------------------------------------------- pictures


def _worst_pairs(case: Case, real: Grid, new: Grid, pairs: Pairs, errors: Floats) -> list[dict[str, Any]]:
    """The pairs whose trend exceeds that of real rows most, each with its two tables of shares."""
    c = case.arrays
    some = np.argsort(-errors, kind="stable")[: 2 * WORST]
    pairs, errors = pairs[some], errors[some]
    floor = floor_of(c, "floor of worst pairs", lambda a, b: trend_errors(c.columns, pairs, a, b))
    usual = np.nan_to_num(floor.each) if floor else np.zeros(len(pairs))
    axes = {i: grouped(case, c.columns[i], CELLS) for i in set(pairs.ravel().tolist())}
    return [
        {
            "columns": [c.columns[i].name, c.columns[j].name],
            "trend": 100 * float(errors[k]),
            "floor": 100 * float(usual[k]) if floor else None,
            "x": list(axes[i].labels),
            "y": list(axes[j].labels),
            "train": _shares(axes[i], axes[j], c.train),
            "synthetic": _shares(axes[i], axes[j], c.synthetic),
            "utility": _utility(real, new, [i, j]),
        }
        for k in np.argsort(usual - errors, kind="stable")[:WORST].tolist()
        for i, j in [pairs[k].tolist()]
    ]


def _shares(x: Axis, y: Axis, rows: Rows) -> list[list[float]]:
    """The share of all rows in each cell of x (down) and y (across), where both have a value."""
    at = x.cells[rows], y.cells[rows]
    known, shape = (at[0] >= 0) & (at[1] >= 0), (len(x.labels), len(y.labels))
    counts = np.bincount(at[0][known] * shape[1] + at[1][known], minlength=shape[0] * shape[1])
    return (counts.reshape(shape) / max(1, len(rows))).round(5).tolist()


def _pair_table(c: Comparison, real: Grid, new: Grid) -> dict[str, Any]:
    """S_pMSE of every two columns, and on the diagonal of one alone, where it is the largest in wide tables."""
    alone = ratios(real, new, np.arange(len(c.columns))[:, None])
    shown = np.sort(np.argsort(-np.nan_to_num(alone), kind="stable")[:SHOWN])
    values = np.diag(alone[shown])
    upper = np.triu_indices(len(shown), 1)
    values[upper] = ratios(real, new, shown[np.stack(upper, axis=1)])
    values += np.triu(values, 1).T
    names = [c.columns[i].name for i in shown.tolist()]
    return {"columns": names, "measure": "S_pMSE", "values": _plain(values)}


def _correlations(c: Comparison, pairs: Pairs, errors: Floats) -> dict[str, Any]:
    """Pearson's, of the columns with an order; in wide tables of those whose correlations differ most."""
    ordered = [i for i, column in enumerate(c.columns) if isinstance(column, Ordered)]
    of_pair = np.where(np.isin(pairs, ordered).all(axis=1), errors, 0.0)
    most = np.zeros(len(c.columns))
    for side in (0, 1):
        np.maximum.at(most, pairs[:, side], of_pair)
    shown = sorted(sorted(ordered, key=lambda i: -most[i])[:SHOWN])
    matrices = {}
    for role, rows in (("train", c.train), ("synthetic", c.synthetic)):
        part = Gathered.of(c.columns, set(shown), rows)
        matrices[role] = _plain(np.array([[part.correlation(i, j) for j in shown] for i in shown]))
    return {"columns": [c.columns[i].name for i in shown], **matrices}


def _utility(real: Grid, new: Grid, columns: Sequence[int]) -> dict[str, float | None]:
    """All of synthpop's measures of the table of these columns."""
    found = utility(real.counts(columns), new.counts(columns))
    return {name: value if isfinite(value) else None for name, value in found.items()}


def _plain(values: Floats) -> list[list[float | None]]:
    return [[value if isfinite(value) else None for value in row] for row in values.round(6).tolist()]
