"""Columns that go together: a Gaussian copula with given rank correlations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from verosim.errors import SchemaError
from verosim.normal import normal_share

Floats = npt.NDArray[np.float64]


def check_correlation(columns: tuple[str, ...], matrix: tuple[tuple[float, ...], ...]) -> None:
    """Raise SchemaError for what is no correlation matrix; where only its values are at odds, say the nearest one."""
    d = len(columns)
    if d < 2 or len(matrix) != d or any(len(row) != d for row in matrix):
        raise SchemaError(f"`matrix` needs {d} rows of {d} numbers, one for each column, and at least two of them.")
    given = np.array(matrix, dtype=float)
    if not (np.isfinite(given).all() and (np.abs(given) <= 1).all() and (np.diag(given) == 1).all()):
        raise SchemaError("`matrix` holds rank correlations from -1 to 1, with 1 on its diagonal.")
    if not np.allclose(given, given.T):
        raise SchemaError("`matrix` is not the same on both sides of its diagonal.")
    if np.linalg.eigvalsh(_pearson(given)).min() < -1e-9:
        near = [[round(float(v), 3) for v in row] for row in _nearest(given)]
        raise SchemaError(f"no data can have these correlations all at once; the nearest that some can: {near}.")


def correlated(rng: np.random.Generator, matrix: tuple[tuple[float, ...], ...], n: int) -> Floats:
    """Uniforms (n, d) with these rank correlations."""
    values, vectors = np.linalg.eigh(_pearson(np.array(matrix, dtype=float)))
    factor = vectors * np.sqrt(np.maximum(values, 0))
    normal = rng.standard_normal((n, len(matrix)))
    mixed = np.zeros_like(normal)
    for k in range(len(matrix)):  # not a matrix product: its rounding may depend on the number of rows
        mixed += normal[:, k, None] * factor[:, k]
    return normal_share(mixed)


def _pearson(spearman: Floats) -> Floats:
    """Of normal scores, from the rank correlation (Pearson, 1907)."""
    return np.asarray(2 * np.sin(np.pi * spearman / 6))


def _nearest(matrix: Floats) -> Floats:
    """The nearest matrix of rank correlations that is one: alternating projections (Higham, 2002)."""
    shift, now = np.zeros_like(matrix), _pearson(matrix)
    projected = now
    for _ in range(200):
        values, vectors = np.linalg.eigh(now - shift)
        projected = (vectors * np.maximum(values, 1e-6)) @ vectors.T
        shift = projected - (now - shift)
        now = projected.copy()
        np.fill_diagonal(now, 1.0)
    scale = np.sqrt(np.diag(projected))
    return np.asarray(6 / np.pi * np.arcsin(np.clip(projected / np.outer(scale, scale), -1, 1) / 2))
