"""Frames as comparable arrays: every kind of column in one of two forms, so that each measure is written once.

What has an order (numbers, times, ordinals, numbers held as text) is `Ordered`; what has none is `Levels`. A missing
value, a NaN and an infinity are levels of their own in both. The rows of train, hold-out and synthetic stand in the
same arrays, one after the other, and a set of rows is an array of row numbers: to compare two sets is to index twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim import schema
from verosim.draws import stream
from verosim.errors import DataError, did_you_mean
from verosim.forms import Form

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]  # row numbers in the arrays of a `Comparison`
Codes = npt.NDArray[np.int32]

LEFT_OUT: Final = {
    "id": "made anew, never learned",
    "personal": "made anew, never learned",
    "text": "free text",
    "json": "documents",
    "constant": "one value only",
    "empty": "no values",
}
WITHOUT_ORDER: Final = {"category", "boolean"}
MARKS: Final = ("missing", "nan", "inf", "-inf", "unreadable")  # mark k of an ordered column is MARKS[k - 1]
BINS: Final = 10  # of an ordered column beside a category: the benchmark's protocol
PAIR: Final = r"^\s*\(?\s*(-?[0-9.]+)\s*[,; ]\s*(-?[0-9.]+)\s*\)?\s*$"  # "40.4168, -3.7038", and in brackets


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """A column with an order, over all rows of a comparison."""

    name: str
    values: Floats  # (n,) finite; 0 where there is a mark
    marks: npt.NDArray[np.int8]  # (n,) 0: a value; k: MARKS[k - 1]
    codes: Codes  # (n,) rank of the value in [0, n_values), then n_values + mark - 1
    distinct: Floats  # (n_values,) the value of each rank
    exponent: int  # values were divided by this power of two, so that sums of squares stay finite: nearly always 0
    bins: Codes  # (n,) `BINS` bins of equal width over train's values in [0, BINS), then BINS + mark - 1

    n_values = property(lambda self: len(self.distinct))
    size = property(lambda self: self.n_values + len(MARKS))
    n_bins = property(lambda self: BINS + len(MARKS))


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A column without order, over all rows of a comparison."""

    name: str
    codes: Codes  # (n,) in [0, size); a missing value is the last level
    names: pl.Series  # (size - 1,) the level of each code

    size = property(lambda self: len(self.names) + 1)
    bins = property(lambda self: self.codes)
    n_bins = property(lambda self: self.size)


Column = Ordered | Levels


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the data is looked at: the cost of a measure is bounded whatever the table's size."""

    rows: int = 20_000  # of each set for shape and trend, and to look for nearest rows in
    cells: int = 5_000_000  # rows x columns of each set: wide tables are compared on fewer rows
    pairs: int = 5_000  # of columns for trend; all those of 100 columns
    floor_pairs: int = 500  # of columns for the floor of trend
    splits: int = 16  # random pairs of real sets for the floor of shape and trend
    detector_rows: int = 5_000  # of each class
    detector_columns: int = 100  # the ones that differ most, and others by chance
    queries: int = 2_000  # synthetic rows whose nearest real row is looked for
    usual: int = 1_000  # hold-out rows that say how near to train is usual
    distances: int = 2_000_000_000  # differences of two cells: fewer rows are looked at in wide tables


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All that a measure needs: the columns that can be compared, which rows are whose, and chance."""

    columns: tuple[Column, ...]
    train: Rows
    holdout: Rows
    synthetic: Rows
    limits: Limits
    table: str
    seed: int
    groups: Rows | None = None  # (n,) rows that depend on each other, as those of one sequence, have one number

    @property
    def real(self) -> Rows:
        return np.concatenate([self.train, self.holdout])

    def nothing(self) -> str:
        """Why no measure at all can be taken; empty where some can."""
        lacking = [role for role in ("train", "synthetic") if not len(getattr(self, role))]
        return f"no {lacking[0]} rows" if lacking else "" if self.columns else "no column can be compared"

    def chance(self, purpose: str) -> np.random.Generator:
        return stream(self.seed, self.table, "evaluate", purpose)

    def some(self, rows: Rows, limit: int, purpose: str) -> Rows:
        """At most `limit` of the rows, by chance, in their order."""
        return np.sort(self.chance(purpose).choice(rows, limit, replace=False)) if len(rows) > limit else rows


def left_out(table: schema.Table) -> dict[str, str]:
    """Columns that no measure looks at: name -> why."""
    return {c.name: LEFT_OUT[c.kind] for c in table.columns if c.kind in LEFT_OUT}


def compare(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    synthetic: pl.DataFrame,
    table: schema.Table,
    limits: Limits = Limits(),
    seed: int = 0,
) -> Comparison:
    """The comparable columns of three frames, in the order of `table`."""
    frames = [plain(f, table) for f in (train, holdout, synthetic)]
    n, n_real = len(train), len(train) + len(holdout)
    rows = np.arange(n_real + len(synthetic))
    columns = tuple(
        _ordered(values, rows[:n]) if values.dtype == pl.Float64 else _levels(values)
        for values in pl.concat(frames).get_columns()
    )
    return Comparison(columns, rows[:n], rows[n:n_real], rows[n_real:], limits, table.name, seed)


def check(frames: Mapping[str, pl.DataFrame], table: schema.Table) -> None:
    """Every frame has every column of `table`; a DataError otherwise."""
    for role, frame in frames.items():
        for name in table.names:
            if name not in frame.columns:
                hint = did_you_mean(name, frame.columns)
                raise DataError(f"the {role} rows lack this column;", table=table.name, column=name, fix=hint)


# ------------------------------------------------------------------------------------------- frames -> plain frames


def plain(frame: pl.DataFrame, table: schema.Table) -> pl.DataFrame:
    """The columns that are compared, as Float64 (what has an order) or String (what has none).

    A geographic pair in one text becomes two numbers.
    """
    columns: list[pl.Series] = []
    for column in table.columns:
        if column.kind not in LEFT_OUT:
            columns += _plain(frame.get_column(column.name), column)
    return pl.DataFrame({values.name: values for values in columns})


def _plain(values: pl.Series, column: schema.Column) -> list[pl.Series]:
    name, is_text = column.name, values.dtype in (pl.String, pl.Categorical, pl.Enum)
    if column.kind in WITHOUT_ORDER:
        return [_text(values)]
    if column.kind == "ordinal":
        return [_positions(values, column.levels or ())]
    if column.kind == "geo" and is_text and column.format not in ("latitude", "longitude"):
        parts = [_text(values).str.extract(PAIR, k).cast(pl.Float64, strict=False) for k in (1, 2)]
        return [_marked(p, values).alias(f"{name} ({k})") for p, k in zip(parts, ("first", "second"), strict=True)]
    if is_text:
        return [_marked(_parsed(_text(values), column), values)]
    return [values.to_physical().cast(pl.Float64)]


def _text(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Binary:
        return values.bin.encode("hex")
    text = values.cast(pl.String)
    return text.replace("-0.0", "0.0") if values.dtype.is_float() else text


def _positions(values: pl.Series, levels: Sequence[Any]) -> pl.Series:
    """Ordinals as the place of their level; what is no level is unreadable."""
    typed = values.dtype not in (pl.Categorical, pl.Enum)
    known = _text(pl.Series(levels, dtype=values.dtype if typed else pl.String, strict=False))
    places = _text(values).replace_strict(known, np.arange(len(known)), default=None, return_dtype=pl.Float64)
    return _marked(places, values)


def _parsed(text: pl.Series, column: schema.Column) -> pl.Series:
    """The numbers or times that a text holds, as Float64; null where it holds none."""
    if column.format is None:
        return text.cast(pl.Float64, strict=False)
    return Form.of(column.format).parse(text).to_physical().cast(pl.Float64)


UNREADABLE: Final = float(np.finfo(np.float64).max)  # stands for text that is no number; no real column reaches it


def _marked(numbers: pl.Series, values: pl.Series) -> pl.Series:
    """`numbers`, with `UNREADABLE` where there is a value but no number."""
    lost = numbers.is_null() & values.is_not_null()
    return numbers.set(lost, UNREADABLE).alias(values.name) if lost.any() else numbers.alias(values.name)


# ------------------------------------------------------------------------------------------------- series -> arrays


def _levels(values: pl.Series) -> Levels:
    levels = values.drop_nulls().unique().sort()
    codes = values.cast(pl.Enum(levels)).to_physical().cast(pl.Int32).fill_null(len(levels))
    return Levels(values.name, codes.to_numpy(), levels)


def _ordered(series: pl.Series, train: Rows) -> Ordered:
    raw = series.to_numpy()  # a missing value becomes NaN
    marks = np.zeros(len(raw), np.int8)
    tests = (series.is_null().to_numpy(), np.isnan(raw), raw == np.inf, raw == -np.inf, raw == UNREADABLE)
    for mark, hit in reversed(list(enumerate(tests, 1))):
        marks[hit] = mark
    values, exponent = _tamed(np.where(marks == 0, raw, 0.0))
    is_value = marks == 0
    distinct, ranks = np.unique(values[is_value], return_inverse=True)
    codes = marks.astype(np.int32) + (len(distinct) - 1)
    codes[is_value] = ranks
    return Ordered(series.name, values, marks, codes, distinct, exponent, _bins(values, marks, train))


def _tamed(values: Floats) -> tuple[Floats, int]:
    """Extreme magnitudes divided by a power of two: sums and differences stay finite; order and correlation stay."""
    exponent = max(0, int(np.frexp(np.abs(values).max(initial=0.0))[1]) - 500)
    return np.ldexp(values, -exponent) if exponent else values, exponent


def _bins(values: Floats, marks: npt.NDArray[np.int8], train: Rows) -> Codes:
    known = values[train][marks[train] == 0]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    edges = np.linspace(low, high, BINS + 1) if low < high else np.linspace(low - 0.5, low + 0.5, BINS + 1)
    bins = np.searchsorted(edges[1:-1], values, "right")
    return np.where(marks == 0, bins, marks.astype(np.int32) + (BINS - 1)).astype(np.int32)
