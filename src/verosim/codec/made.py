"""Columns whose values are never learned: `Id` and `Personal` are made anew by row number, `Empty` has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.codec.column import Draw, Guard
from verosim.codec.grid import Ints
from verosim.codec.saved import Saved
from verosim.draws import stream
from verosim.errors import ArgumentError, DataError, SchemaError
from verosim.models import Array, Field, State
from verosim.providers import capacity, laid_out, learn_pattern, make_ids, make_together
from verosim.schema import Column, Table, parse_dtype

MOST: Final = 2**62  # rows


class Nulls:
    """All that is learned of such a column: which rows have no value; no field where that is all rows, or none."""

    def __init__(self, name: str, share: str) -> None:
        self.share = share  # how many rows have no value: "none", "some" or "all"
        self.fields = (Field(name, levels=2),) if share == "some" else ()

    @classmethod
    def of(cls, series: pl.Series) -> Nulls:
        nulls = series.null_count()
        return cls(series.name, "none" if nulls == 0 else "all" if nulls == len(series) else "some")

    def encode(self, series: pl.Series) -> list[Array]:
        """1 is a missing value."""
        return [series.is_null().to_numpy().astype(np.int32)] if self.fields else []

    def put(self, values: pl.Series, arrays: Sequence[Array]) -> pl.Series:
        """`values` with nulls where the codes say so."""
        missing = pl.Series([None], dtype=values.dtype)
        return values.zip_with(pl.Series(arrays[0] != 1), missing) if self.fields else values

    @classmethod
    def restore(cls, name: str, saved: Saved) -> Nulls:
        share = saved.text("nulls")
        saved.need(share in ("none", "some", "all"), f"unknown share of nulls {share!r}")
        return cls(name, share)


class Empty:
    """No value in any row."""

    fields: tuple[Field, ...] = ()
    note = ""

    def __init__(self, column: Column) -> None:
        self.dtype = parse_dtype(column.dtype, column.levels)

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        found = series.is_not_null().arg_true()
        if len(found):
            reason, fix = "kind empty, but there is a value.", "Give the column another kind."
            raise DataError(reason, column=column.name, row=int(found[0]), fix=fix)
        return cls(column)

    def encode(self, series: pl.Series) -> list[Array]:
        return []

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        return pl.Series([None], dtype=self.dtype).new_from_index(0, len(draw.rows))

    def state(self) -> State:
        return {}, {}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        return cls(column)


class Id:
    """Unique keys, made from their row number by `Column.pattern`, or by the pattern that the values show."""

    def __init__(self, column: Column, nulls: Nulls, pattern: str) -> None:
        self.column, self.nulls, self.pattern = column, nulls, pattern
        self.fields = nulls.fields
        self.dtype = parse_dtype(column.dtype, column.levels)
        self.room = min(capacity(pattern, self.dtype), MOST) if pattern else MOST  # rows that it has ids for
        self.note = f"ids are made by the pattern {pattern!r}; no real one is kept." if pattern else ""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        nulls = Nulls.of(series)
        if nulls.share == "all":
            return cls(column, nulls, "")
        try:
            codec = cls(column, nulls, column.pattern or learn_pattern(series))
            make_ids(codec.pattern, np.arange(1), 0, dtype=codec.dtype)
        except ArgumentError as error:
            raise DataError(str(error), column=column.name, fix="Give it a `pattern`, or another kind.") from error
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        return self.nulls.encode(series)

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        if not self.pattern:
            return pl.Series([None], dtype=self.dtype).new_from_index(0, len(draw.rows))
        rows = draw.rows % self.room  # a block may go past it, with rows that nobody asked for
        ids = make_ids(self.pattern, rows, draw.seed, draw.table, self.column.name, dtype=self.dtype)
        return self.nulls.put(ids, arrays)

    def state(self) -> State:
        return {"nulls": self.nulls.share, "pattern": self.pattern}, {}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        nulls, pattern = Nulls.restore(column.name, saved), saved.text("pattern")
        saved.need(bool(pattern) or nulls.share == "all", "a pattern is missing")
        if pattern:
            make_ids(pattern, np.arange(1), 0)
        return cls(column, nulls, pattern)


class Personal:
    """Data about a person, made by providers for all personal columns of a row together, and never learned."""

    def __init__(self, column: Column, nulls: Nulls) -> None:
        self.column, self.nulls = column, nulls
        self.fields = nulls.fields
        self.dtype = parse_dtype(column.dtype, column.levels)
        self.note = f"made by the provider {column.provider!r}; no real value is kept."

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        codec = cls(column, Nulls.of(series))
        if series.dtype not in (pl.String, pl.Categorical, pl.Date) and not series.dtype.is_numeric():
            raise SchemaError(f"column {column.name!r}: personal data is text, a number or a date, not {column.dtype}.")
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        return self.nulls.encode(series)

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        if self.nulls.share == "all":
            return pl.Series([None], dtype=self.dtype).new_from_index(0, len(draw.rows))
        values = draw.made[self.column.name]
        if self.column.pattern:
            values = laid_out(values, self.column.pattern)
        if self.dtype.is_numeric():  # a phone number that came as a number
            values = values.str.replace_all(r"[^0-9]", "").str.tail(_room(self.dtype))
        return self.nulls.put(values.str.to_date() if self.dtype == pl.Date else values.cast(self.dtype), arrays)

    def state(self) -> State:
        return {"nulls": self.nulls.share}, {}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        return cls(column, Nulls.restore(column.name, saved))


def _room(dtype: pl.DataType) -> int:
    """How many digits any number of a type may have."""
    if not dtype.is_integer():
        return 15
    return len(str(pl.select(dtype.max()).item())) - 1  # type: ignore[attr-defined]


def make_personal(table: Table, rows: Ints, rng: np.random.Generator, seed: int) -> dict[str, pl.Series]:
    """All personal columns of a block, so that the person of a row is one: {column: (n,) text}."""
    personal = [c for c in table.columns if c.kind == "personal"]
    if not personal:
        return {}
    unique = [c.name for c in personal if c.unique]
    return make_together({c.name: str(c.provider) for c in personal}, rows, rng, unique=unique, seed=seed)


def check_providers(table: Table) -> None:
    """Raises SchemaError for a personal column whose provider there is not, or cannot be unique."""
    try:
        make_personal(table, np.arange(1), stream(0, "check"), 0)
    except ArgumentError as error:
        raise SchemaError(f"table {table.name!r}: {error}") from error
