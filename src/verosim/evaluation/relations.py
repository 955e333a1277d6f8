"""What runs across tables: keys, children per parent, pairs of columns one and two keys apart, and whole families.

Definitions are those of SyntheRela (Jurkovic et al., 2024) and SDMetrics, so that numbers compare with published ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.evaluation.detector import classify
from verosim.keys import Ints, comparable, parent_rows
from verosim.schema import Column, ForeignKey, Schema, Table

Floats = npt.NDArray[np.float64]
Frames = Mapping[str, pl.DataFrame]
_ORDERED = ("number", "date", "datetime", "time", "duration", "geo")
_LEVELS = ("category", "boolean", "ordinal")


@dataclass(frozen=True, slots=True)
class Detection:
    """How often a detector tells real families from drawn ones: an accuracy, .5 where it cannot."""

    accuracy: float
    error: float  # one standard error
    rows: int  # of each side


def broken_keys(dataset: Frames, schema: Schema) -> dict[str, int]:
    """For each foreign key, how many rows name nobody; for each primary key, how many rows repeat another's."""
    out = {}
    for name, frame in dataset.items():
        for key in schema[name].foreign_keys:
            out[f"{name}: {key}"] = int((parent_rows(frame, dataset[key.parent], key, name) == -2).sum())
        if own := list(schema[name].primary_key):
            out[f"{name}: {', '.join(own)}"] = frame.height - frame.select(own).n_unique() if frame.height else 0
    return out


def cardinality(real: Frames, synthetic: Frames, schema: Schema) -> dict[str, float]:
    """For each foreign key 1 - KS of the numbers of children per parent, those without any included: 1 is best."""
    out = {}
    for name, key in _keys(schema):
        one, two = (children(data, name, key) for data in (real, synthetic))
        if len(one) and len(two):
            grid = np.union1d(one, two)
            ends = [np.searchsorted(np.sort(c), grid, "right") / len(c) for c in (one, two)]
            out[f"{name}: {key}"] = 1 - float(np.abs(ends[0] - ends[1]).max())
    return out


def children(dataset: Frames, name: str, key: ForeignKey) -> Ints:
    """(p,) how often each row of the parent is named."""
    rows = parent_rows(dataset[name], dataset[key.parent], key, name)
    return np.bincount(rows[rows >= 0], minlength=dataset[key.parent].height)


def with_children(dataset: Frames, schema: Schema, name: str) -> pl.DataFrame:
    """A table's rows with what their children sum up to, by each key that names them: how many there are, how many
    different levels each category has, the mean of each measure; 0 where there are none."""
    frame, columns = dataset[name], [*_plain(dataset[name], schema[name])]
    for child, key in _keys(schema):
        if key.parent != name:
            continue
        rows = parent_rows(dataset[child], frame, key, child)
        columns.append(pl.Series(f"{child} {key.columns}: rows", np.bincount(rows[rows >= 0], minlength=frame.height)))
        grouped = dataset[child].with_columns(pl.Series("row of the parent", rows)).group_by("row of the parent")
        asked = [
            _summed(column, dataset[child]).alias(f"{child} {key.columns}: {column.name}")
            for column in _said(schema[child])
        ]
        found = pl.DataFrame({"row of the parent": np.arange(frame.height)}).join(
            grouped.agg(asked), on="row of the parent", how="left", maintain_order="left"
        )
        columns += found.drop("row of the parent").fill_null(0).get_columns()
    return pl.DataFrame(columns)


def _summed(column: Column, frame: pl.DataFrame) -> pl.Expr:
    if column.kind in _LEVELS or not (frame[column.name].dtype.is_numeric() or frame[column.name].dtype.is_temporal()):
        return pl.col(column.name).n_unique().cast(pl.Float64)
    return pl.col(column.name).to_physical().cast(pl.Float64).mean()


def _said(table: Table) -> list[Column]:
    keys = {name for key in table.foreign_keys for name in key.columns}
    return [c for c in table.columns if c.name not in keys and c.kind in (*_ORDERED, *_LEVELS)]


def _plain(frame: pl.DataFrame, table: Table) -> Iterator[pl.Series]:
    for column in _said(table):
        series = frame[column.name]
        yield series.to_physical() if series.dtype.is_temporal() else series


def _keys(schema: Schema) -> Iterator[tuple[str, ForeignKey]]:
    return ((name, key) for name, table in schema.items() for key in table.foreign_keys)


def detection(real: pl.DataFrame, synthetic: pl.DataFrame, rng: np.random.Generator) -> Detection:
    """The accuracy of boosted trees that tell the rows of two frames apart, on rows that they were not fitted on."""
    n = min(real.height, synthetic.height)
    both = pl.concat(
        [f[np.sort(rng.choice(f.height, n, replace=False))] for f in (real, synthetic)], how="vertical_relaxed"
    )
    codes = np.stack([_bytes(series) for series in both]) if both.width else np.zeros((1, 2 * n), np.uint8)
    label = np.arange(2 * n) < n
    odds, _ = classify(codes, label, 5, rng)
    right = float(((odds > 0) == label).mean())
    return Detection(right, 0.5 / np.sqrt(2 * n), n)


def _bytes(series: pl.Series) -> npt.NDArray[np.uint8]:
    """Up to 255 cells of about as many rows each; categories by how common they are; missing values the first."""
    if not series.dtype.is_numeric():
        text = pl.Series("value", series.cast(pl.String))
        levels = (
            text.drop_nulls().value_counts(sort=True, name="n").sort("n", "value", descending=[True, False])["value"]
        )
        place = {level: min(i + 1, 255) for i, level in enumerate(levels.to_list())}
        return text.replace_strict(place, default=0, return_dtype=pl.UInt8).fill_null(0).to_numpy()
    values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    cuts = np.unique(np.nanquantile(values, np.linspace(0, 1, 255)[1:-1])) if np.isfinite(values).any() else np.zeros(0)
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(cuts, values)).astype(np.uint8)


def trends(real: Frames, synthetic: Frames, schema: Schema, hops: int = 1) -> float | None:
    """The mean similarity, from 0 to 1, of all pairs of a row's column and one of the row `hops` keys above it.

    Two measures: 1 - half the difference of their correlations; otherwise 1 - the total variation distance of their
    table, measures in ten cells (SDMetrics, CorrelationSimilarity and ContingencySimilarity).
    """
    found = list[float]()
    for path in _paths(schema, hops):
        sides = [_ends(data, path) for data in (real, synthetic)]
        bottom, top = _said(schema[path[0][0]]), _said(schema[path[-1][1].parent])
        for low in bottom:
            for high in top:
                score = _alike([(a[low.name], b[high.name]) for a, b in sides], low, high)
                found += [score] if score is not None else []
    return float(np.mean(found)) if found else None


def _paths(schema: Schema, hops: int) -> list[list[tuple[str, ForeignKey]]]:
    paths = [[pair] for pair in _keys(schema)]
    for _ in range(hops - 1):
        paths = [[*path, pair] for path in paths for pair in _keys(schema) if pair[0] == path[-1][1].parent]
    return paths


def _ends(dataset: Frames, path: Sequence[tuple[str, ForeignKey]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows at the bottom of a path of keys, and beside them those at its top, where there is one."""
    bottom = dataset[path[0][0]]
    rows = np.arange(bottom.height)
    for name, key in path:
        above = parent_rows(dataset[name], dataset[key.parent], key, name)
        rows = np.where(rows >= 0, np.append(above, -1)[rows], -1)
    there = np.flatnonzero(rows >= 0)
    return bottom[there], dataset[path[-1][1].parent][rows[there]]


def _alike(sides: list[tuple[pl.Series, pl.Series]], low: Column, high: Column) -> float | None:
    numeric = [
        c.kind in _ORDERED and (s.dtype.is_numeric() or s.dtype.is_temporal())
        for c, s in zip((low, high), sides[0], strict=True)
    ]
    if not all(len(a) for a, _ in sides):
        return None
    if all(numeric):
        r = [_correlation(a, b) for a, b in sides]
        return None if None in r else 1 - abs(r[0] - r[1]) / 2  # type: ignore[operator]
    cells = [_cells([side[i] for side in sides], numeric[i]) for i in (0, 1)]
    tables = []
    for side in (0, 1):
        pair = cells[0][side].astype(np.int64) * 100_000 + cells[1][side]
        values, counts = np.unique(pair, return_counts=True)
        tables.append(dict(zip(values.tolist(), (counts / counts.sum()).tolist(), strict=True)))
    levels = {*tables[0], *tables[1]}
    return 1 - sum(abs(tables[0].get(v, 0.0) - tables[1].get(v, 0.0)) for v in levels) / 2


def _numbers(series: pl.Series) -> Floats:
    return series.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()


def _correlation(a: pl.Series, b: pl.Series) -> float | None:
    x, y = _numbers(a), _numbers(b)
    there = np.isfinite(x) & np.isfinite(y)
    x, y = x[there], y[there]
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _cells(sides: list[pl.Series], numeric: bool) -> list[Ints]:
    """Both sides' values as cell numbers: levels, or ten cells of equal width over the real range."""
    if numeric:
        values = [_numbers(s) for s in sides]
        edges = (
            np.linspace(np.nanmin(values[0]), np.nanmax(values[0]), 11)[1:-1]
            if np.isfinite(values[0]).any()
            else np.zeros(0)
        )
        return [np.where(np.isnan(v), -1, np.searchsorted(edges, v)).astype(np.int64) for v in values]
    texts = [comparable(s) for s in sides]
    codes = pl.concat(texts).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    return [codes[: len(texts[0])], codes[len(texts[0]) :]]
