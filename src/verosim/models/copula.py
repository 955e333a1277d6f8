"""A Gaussian copula: exact marginals, and one correlation a pair (Nelsen, An Introduction to Copulas, 2006).

Every value has a normal score, the normal quantile of its place in the cumulated shares; levels stand in the order of
their codes. A value that many rows have covers a range of scores. What correlation the scores have *within* such ranges
can't be seen, so it is taken from what can: the covariance of the ranges' mean scores, as a series of Hermite
polynomials (a polychoric correlation). Columns are drawn *given* others by the Gaussian conditional; a given value of
many rows stands for a score drawn from its range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from verosim.errors import ModelFileError
from verosim.models import Array, Codes, Field, Floats, Progress, State, pack_fields, saved_array, silent, unpack_fields
from verosim.models.marginal import Marginal, pack_marginals, unpack_marginals
from verosim.normal import TINY, normal_quantile, normal_share

FARTHEST: Final = 7.0  # scores end here: one row in 10**11 lies beyond
STRONGEST: Final = 0.999  # no two columns are taken to be the same
_TERMS: Final = 16  # Hermite polynomials: more change no correlation that a rare level allows to be seen
_CHUNK: Final = 8192  # rows scored together


@dataclass(frozen=True, slots=True)
class Options:
    max_rows: int = 50_000  # rows that correlations are taken from; marginals are taken from all
    group: int = 5  # a position is kept no finer than this many rows
    ridge: float = 1e-3  # the smallest eigenvalue of the correlations


class Copula:
    """Normal scores with a correlation matrix; `given` fields stand before all others."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def fit(self, rows: Codes, given: Codes | None, rng: np.random.Generator, progress: Progress = silent) -> Self:
        options, data = self.options, given.beside(rows) if given else rows
        marginals = []
        for done, (field, array) in enumerate(zip(data.fields, data.arrays, strict=True)):
            progress(done / len(data.fields) / 2, field.name)
            marginals.append(Marginal.of(array, field, options.group))
        data = data.at_most(options.max_rows, rng)
        progress(0.5, "correlations")
        latent = _positive(_latent(_covariance(data, marginals), marginals, data.n), options.ridge)
        below = latent[np.tril_indices(len(latent), -1)].astype(np.float32)
        return self._learned(data.fields, len(given.fields) if given else 0, marginals, below)

    def _learned(self, fields: tuple[Field, ...], known: int, marginals: list[Marginal], below: Array) -> Self:
        """below: the correlations below the diagonal, row by row. Raises LinAlgError where no scores can have them."""
        self.fields_, self.known_, self.marginals_, self.below_ = fields, known, marginals, below
        factor = np.linalg.cholesky(_square(below, len(fields)))
        # Given scores are factor[:known, :known] @ e: what they tell of the others' is carried over by the same e.
        self._weights = np.linalg.solve(factor[:known, :known].T, factor[known:, :known].T)  # (known, drawn)
        self._noise = np.ascontiguousarray(factor[known:, known:].T)
        return self

    def sample(self, n: int, given: Codes | None, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        drawn = [m.at(temperature) for m in self.marginals_[self.known_ :]]
        scores = rng.standard_normal((n, len(drawn))) @ self._noise
        if given and self.known_:
            pairs = zip(self.marginals_, given.arrays, strict=False)
            scores += np.stack([normal_score(m.shares(a, rng.random(n))) for m, a in pairs], 1) @ self._weights
        scores[:, [m.field.ordered for m in drawn]] *= np.sqrt(temperature)
        arrays = tuple(m.quantile(normal_share(z)) for m, z in zip(drawn, scores.T, strict=True))
        return Codes(self.fields_[self.known_ :], arrays, n)

    def explain(self) -> dict[str, str]:
        """For each field: with which others it goes most, and how strongly."""
        latent, names = _square(self.below_, len(self.fields_)), [f.name for f in self.fields_]
        np.fill_diagonal(latent, 0.0)
        return {names[i]: _told(latent[i], names) for i in range(self.known_, len(names))}

    # --------------------------------------------------------------------------------------------- model file

    def state(self) -> State:
        meta, arrays = pack_fields(self.fields_)
        return {**meta, "known": self.known_}, {**arrays, **pack_marginals(self.marginals_), "below": self.below_}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        fields = unpack_fields(meta, arrays)
        marginals, below = unpack_marginals(fields, arrays), saved_array(arrays, "below", np.float32)
        known = meta.get("known")
        if not isinstance(known, int) or not 0 <= known <= len(fields):
            raise ModelFileError(f"the saved copula is damaged: {known!r} of its {len(fields)} fields are given.")
        if len(below) != len(fields) * (len(fields) - 1) // 2 or (np.abs(below) > 1).any():
            raise ModelFileError("the saved copula is damaged: its correlations do not fit its fields.")
        try:
            return cls()._learned(fields, known, marginals, below)
        except np.linalg.LinAlgError as error:
            raise ModelFileError("the saved copula is damaged: its correlations contradict each other.") from error


def _square(below: Array, size: int) -> Floats:
    """The correlation matrix (size, size) with these entries below its diagonal."""
    matrix = np.eye(size)
    matrix[np.tril_indices(size, -1)] = below
    return matrix + np.tril(matrix, -1).T


def _told(row: Floats, names: Sequence[str], most: int = 3) -> str:
    """The strongest correlations of a field in words."""
    strongest = np.argsort(-np.abs(row), kind="stable")[:most]
    shown = [f"{names[j]} ({row[j]:+.2f})" for j in strongest if abs(row[j]) >= 0.005]
    return f"goes with {', '.join(shown)}" if shown else "goes with no other column"


# ------------------------------------------------------------------------------------------------- the normal scores


def normal_score(shares: Floats) -> Floats:
    """The normal quantiles of shares; 0 and 1 give -FARTHEST and FARTHEST.

    >>> normal_score(np.array([0.025, 0.5, 0.975])).round(3).tolist()
    [-1.96, 0.0, 1.96]
    """
    return np.clip(normal_quantile(np.clip(shares, TINY, 1 - 2.0**-53)), -FARTHEST, FARTHEST)


def _mean_scores(marginal: Marginal) -> Floats:
    """(k,) the mean score of the rows of each cell that is a single value; NaN where positions tell them apart."""
    edges, share = normal_score(marginal.ends), np.diff(marginal.ends)
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    means = -np.diff(density) / np.where(share > 0, share, 1.0)
    return np.where(np.isnan(marginal.only), np.nan, means)


def _seen_scores(marginal: Marginal, means: Floats, shares: Floats) -> Floats:
    """The scores at these shares (n,) as they can be seen: those of single values, by `_mean_scores`, can't be."""
    cell = np.clip(np.searchsorted(marginal.ends, shares, "right") - 1, 0, len(means) - 1)
    return np.where(np.isnan(means[cell]), normal_score(shares), means[cell])


# -------------------------------------------------------------------------------------------------- correlations


def _covariance(data: Codes, marginals: Sequence[Marginal]) -> Floats:
    """(p, p) mean products of the scores that can be seen; their means are 0 by their making."""
    means = [_mean_scores(m) for m in marginals]
    total = np.zeros((len(marginals), len(marginals)))
    for start in range(0, data.n, _CHUNK):
        arrays = data.take(slice(start, start + _CHUNK)).arrays
        scores = np.empty((len(arrays), min(_CHUNK, data.n - start)))
        for row, marginal, mean, array in zip(scores, marginals, means, arrays, strict=True):
            row[:] = _seen_scores(marginal, mean, marginal.shares(array, np.full(len(array), 0.5)))
        total += scores @ scores.T
    return total / max(data.n, 1)


def _hermite(marginals: Sequence[Marginal]) -> Floats:
    """(_TERMS, p) the seen scores as series of normalised Hermite polynomials 1, 2 ... of the scores behind them.

    Two columns of latent correlation r then have the covariance sum_k r**k c[k, i] c[k, j] (Mehler's formula).
    """
    nodes = np.linspace(-FARTHEST, FARTHEST, int(2 * FARTHEST) * 128 + 1)
    weights = np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi) / 128
    basis = [np.ones_like(nodes), nodes]
    for k in range(2, _TERMS + 1):
        basis.append((nodes * basis[-1] - np.sqrt(k - 1) * basis[-2]) / np.sqrt(k))
    shares = normal_share(nodes)
    weighted = np.stack(basis[1:]) * weights
    columns = [weighted @ _seen_scores(m, _mean_scores(m), shares) for m in marginals]
    return np.stack(columns, 1) if columns else np.zeros((_TERMS, 0))


def _latent(covariance: Floats, marginals: Sequence[Marginal], n: int) -> Floats:
    """(p, p) the correlations of the scores behind the seen ones.

    What p columns that do not depend on each other would show in n rows is taken off: none passes the threshold
    sqrt(2 log p / n), and those that do are drawn towards 0 by its square (after Bickel and Levina, Covariance
    regularization by thresholding, 2008; one factor for all would drown a few strong correlations among many columns).
    """
    size, terms, scale = len(covariance), _hermite(marginals), np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    noise = 2 * np.log(max(size, 2)) / max(n, 1)
    latent = np.eye(size)
    for i in range(1, size):
        signal = (covariance[i, :i] / scale[i] / scale[:i]) ** 2
        others = np.flatnonzero(signal > noise)
        wanted = covariance[i, others] * (1 - noise / signal[others])
        latent[i, others] = latent[others, i] = _solve(terms[:, i, None] * terms[:, others], wanted)
    return latent


def _solve(terms: Floats, wanted: Floats) -> Floats:
    """The r (m,) within STRONGEST at which sum_k r**k terms[k] is `wanted` (m,), by halving. terms: (_TERMS, m)."""
    low, high = np.full(len(wanted), -STRONGEST), np.full(len(wanted), STRONGEST)
    for _ in range(16):
        middle = (low + high) / 2
        value = np.zeros_like(middle)
        for term in terms[::-1]:
            value = (value + term) * middle
        low, high = np.where(value < wanted, middle, low), np.where(value < wanted, high, middle)
    return (low + high) / 2


def _positive(latent: Floats, ridge: float) -> Floats:
    """The correlation matrix with eigenvalues below `ridge` raised to it, and its diagonal made 1 again."""
    values, vectors = np.linalg.eigh(latent)
    if values.min(initial=1.0) >= ridge:
        return latent
    raised = (vectors * np.maximum(values, ridge)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(raised))
    return np.asarray(raised * scale[:, None] * scale)
