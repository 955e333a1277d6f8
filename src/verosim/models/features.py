"""Codes as trees take them: each field a row of uint16 in an order that suits, and outputs that tell values apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from verosim.models import Array, Codes, Field, Floats

MARKS = 64  # uint16 codes below are marks: MARKS - 1 is mark -1
SCALE = 65_400  # steps of a position in a code


def to_codes(array: Array, field: Field) -> Array:
    """Positions and marks (n,) as uint16 codes that keep their order. Levels of a category are ranked by the caller."""
    codes = np.where(array < 0, np.maximum(MARKS + array, 0), MARKS + np.minimum(array * SCALE, SCALE - 1))
    return codes.astype(np.uint16)


def positions(codes: Array) -> Floats:
    """The middle of each code's step, or its mark."""
    return np.where(codes < MARKS, codes - float(MARKS), (codes - float(MARKS) + 0.5) / SCALE)


def features(
    parents: Sequence[int], ranks: Mapping[int, Array], fields: Sequence[Field], arrays: Mapping[int, Array], n: int
) -> Array:
    """(F, n) uint16 codes of the parents; one row of zeros where there are none."""
    rows = [ranks[p][arrays[p]] if p in ranks else to_codes(arrays[p], fields[p]) for p in parents]
    return np.stack(rows) if rows else np.zeros((1, n), np.uint16)


def outputs(array: Array, field: Field, width: int, rng: np.random.Generator) -> Floats:
    """(n, m) centred functions of a column that tell its values apart: what trees are grown on, and dependence seen by.

    Ordered: cosines of the position, the slow ones weighted most, and an indicator of each mark. Category: an indicator
    of each level, or, where there are many, random signs, whose squared distances are those of indicators on average.
    """
    if field.ordered:
        waves = np.arange(1, width + 1)
        Y = np.cos(np.pi * array[:, None] * waves) * np.sqrt(2 / waves)
        Y[array < 0] = 0.0
        Y = np.concatenate([Y, *((array == -m)[:, None] for m in range(1, min(field.marks, 3) + 1))], 1)
    elif field.levels <= width + 1:
        Y = np.eye(field.levels)[array][:, 1:] if field.levels > 1 else np.zeros((len(array), 1))
    else:
        Y = (rng.choice([-1.0, 1.0], (field.levels, width)) / np.sqrt(width))[array]
    return np.asarray(Y - Y.mean(0))


def rank(levels: Array, n_levels: int, Y: Floats) -> Array:
    """level -> uint16 rank along the direction in which the mean outputs of levels differ most."""
    counts = np.bincount(levels, minlength=n_levels)
    means = np.stack([np.bincount(levels, y, n_levels) for y in Y.T], 1) / (counts + 10)[:, None]
    spread = (means * counts[:, None]).T @ means
    score = means @ np.linalg.eigh(spread)[1][:, -1]
    rank = np.empty(n_levels, np.int64)
    rank[np.argsort(score, kind="stable")] = np.arange(n_levels)
    return (rank * 65_535 // max(n_levels - 1, 65_535)).astype(np.uint16)


def dependence(data: Codes, rng: np.random.Generator, rows: int = 2_000) -> Floats:
    """(d, d) how strongly the fields depend on each other: mean squared correlation of their outputs, on some rows."""
    if data.n > rows:
        data = data.take(np.sort(rng.choice(data.n, rows, replace=False)))
    parts = [outputs(a, f, 3, rng) for f, a in zip(data.fields, data.arrays, strict=True)]
    ends = np.cumsum([p.shape[1] for p in parts])
    Y = np.concatenate(parts, 1).astype(np.float32)
    Y /= np.maximum(np.sqrt((Y * Y).sum(0)), 1e-9)
    squared = (Y.T @ Y) ** 2
    starts = np.concatenate([[0], ends[:-1]])
    return np.asarray(np.add.reduceat(np.add.reduceat(squared, starts, 0), starts, 1), np.float64)
