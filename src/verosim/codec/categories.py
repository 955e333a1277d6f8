"""`Category`: one of some levels, without order; also for truth values and constants.

Levels that fewer than k people hold are not kept: they share one code, which is decoded by drawing from the kept
levels; or from levels made up in their place, where many rows have rare ones, or no level is kept, as in a tiny table.
Whatever the dtype, levels are compared and saved as text keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.codec.axis import coarse
from verosim.codec.column import Draw, Guard
from verosim.codec.grid import Ints
from verosim.codec.saved import Saved, pack
from verosim.draws import stream
from verosim.models import Array, Field, State
from verosim.schema import Column, parse_dtype

MADE_UP: Final = 1000  # most levels that are made up for one column
LONG: Final = 200  # most characters of a level that is made up
TRIES: Final = 20  # to make up a level that is not a real one, with less and less of its beginning kept
MANY: Final = 0.1  # share of the rows with rare levels above which the kept ones cannot stand in for them

# ------------------------------------------------------------------------------------------- values <-> text keys


def to_keys(series: pl.Series) -> pl.Series:
    """Values of any dtype as text, different for different values; null stays null, -0.0 is 0.0."""
    if series.dtype == pl.Binary:
        return series.bin.encode("hex")
    if series.dtype.is_float():
        return series.cast(pl.String).replace("-0.0", "0.0")
    return (series.to_physical() if series.dtype.is_temporal() else series).cast(pl.String)


def from_keys(keys: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The values that `to_keys` wrote; null where a key is none of this dtype."""
    if dtype == pl.Binary:
        return keys.str.decode("hex", strict=False)
    if dtype == pl.Boolean:
        return (keys == "true").zip_with((keys == "true") | (keys == "false"), pl.Series([None], dtype=pl.Boolean))
    if dtype.is_temporal():
        return keys.cast(pl.Int64, strict=False).cast(dtype, strict=False)
    return keys.cast(dtype, strict=False)


# -------------------------------------------------------------------------------------------------- made up


def like(text: str, rng: np.random.Generator, others: str = "", same: int = 0) -> str:
    """Another text of the same shape: digits for digits, letters for letters.

    others: letters beyond a-z to choose from. same: how many characters stay at the beginning.

    >>> like("AB-104 x", np.random.default_rng(2))
    'VG-124 v'
    """

    def change(char: str) -> str:
        if char.isdecimal():
            return str(rng.integers(10))
        if char.isascii() and char.isalpha():
            return chr(rng.integers(26) + ord("A" if char.isupper() else "a"))
        return others[rng.integers(len(others))] if char.isalpha() and others else char

    return text[:same] + "".join(map(change, text[same:LONG]))


def _shared(keys: list[str], k: int) -> list[int]:
    """For each key, how many characters at its beginning at least k of the keys have in common."""
    shared = [0] * len(keys)
    for length in range(1, LONG):
        counts = Counter(key[:length] for key in keys if len(key) > length)
        for i, key in enumerate(keys):
            if len(key) > length and counts[key[:length]] >= k:
                shared[i] = length
        if max(counts.values(), default=0) < k:
            break
    return shared


def make_up(keys: list[str], column: Column, dtype: pl.DataType, k: int) -> list[str]:
    """Levels in place of the real `keys`: texts of the same shape, numbers with two digits; declared levels stay.

    k: a beginning that so many keys share is kept.
    """
    if dtype == pl.Boolean or column.levels:
        return keys
    rng = stream(0, "made-up levels", column.name)
    if dtype == pl.Binary:
        return [rng.bytes(min(len(key) // 2, LONG)).hex() for key in keys]
    if dtype not in (pl.String, pl.Categorical):
        return [_coarse_key(key, dtype) for key in keys]
    others = "".join(sorted({c for key in keys for c in key[:LONG] if c.isalpha() and not c.isascii()}))
    real, made = set(keys), []
    for key, same in zip(keys, _shared(keys, k), strict=True):
        tries = (like(key, rng, others, same * left // TRIES) for left in range(TRIES, -1, -1))
        made.append(next((text for text in tries if text not in real), like(key, rng, others)))
    return made


def _coarse_key(key: str, dtype: pl.DataType) -> str:
    """A number with all but its first digit or two set to zero, so that it stays within its type."""
    if not dtype.is_integer() and not dtype.is_temporal():
        return repr(coarse(float(key)))
    digits = key.lstrip("-")
    told = 1 if len(digits) < 4 else 2
    return key[: len(key) - len(digits) + told] + "0" * (len(digits) - told)


# -------------------------------------------------------------------------------------------------- the codec


class Category:
    """Levels <-> codes: the kept levels by decreasing count (ties by key), then null, then `rare`, as far as they
    occur.

    A level that was never seen is encoded as rare, or as the commonest where there is no rare one. With one code only
    there is nothing to learn, and no field. levels: (m,) values, first the `kept`, then those made up; counts: (m,)
    rows of each.
    """

    def __init__(self, column: Column, levels: pl.Series, counts: Ints, kept: int, null: bool, rare: bool) -> None:
        self.column, self.levels, self.counts = column, levels, counts
        self.kept, self.null, self.rare = kept, null, rare
        size = self.kept + null + rare
        self.fields = (Field(column.name, levels=size),) if size > 1 else ()
        self.note = ""

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        found = guard.holders(to_keys(series))
        null = found["value"].null_count() > 0 or series.is_empty()
        found = found.drop_nulls("value").sort("rows", "value", descending=[True, False])
        held = pl.col("holders") >= guard.k if column.protect else pl.lit(True)
        kept, rare = found.filter(held), found.filter(~held)
        levels, counts = _pool(kept["value"].to_list(), kept["rows"], column)
        n_kept, others = len(levels), "the other levels in their place"
        if int(rare["rows"].sum()) > MANY * int(found["rows"].sum()):
            some = rare.head(MADE_UP)
            keys = make_up(some["value"].to_list(), column, parse_dtype(column.dtype, column.levels), guard.k)
            made, rows = _pool(keys, some["rows"], column, but=levels)
            levels, counts = pl.concat([levels, made]), np.concatenate([counts, rows])
            others = "levels made up in their place" if len(made) else others
        codec = cls(column, levels, counts, n_kept, null, len(rare) > 0)
        if len(rare):
            codec.note = f"{len(rare):,} of {len(found):,} levels are held by fewer than {guard.k} people: {others}."
        return codec

    @cached_property
    def _coder(self) -> pl.Enum:
        return pl.Enum(to_keys(self.levels.head(self.kept)))

    @cached_property
    def _values(self) -> pl.Series:
        return pl.concat([self.levels, pl.Series([None], dtype=self.levels.dtype)])

    @cached_property
    def _cumulated(self) -> Ints:
        stand_in = self.kept if self.kept < len(self.levels) else 0
        return np.cumsum(np.where(np.arange(len(self.levels)) < stand_in, 0, self.counts))

    def encode(self, series: pl.Series) -> list[Array]:
        if not self.fields:
            return []
        codes = to_keys(series).cast(self._coder, strict=False).to_physical().cast(pl.Int32)
        other = self.kept + self.null if self.rare else 0
        array = codes.fill_null(other).to_numpy().copy()
        if self.null:
            array[series.is_null().to_numpy()] = self.kept
        return [array]

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        """(n,) values; `rare` draws by their counts from the levels made up, or else from all."""
        codes = arrays[0] if self.fields else np.zeros(len(draw.rows), dtype=np.int32)
        index = np.clip(codes, 0, self.kept + self.null + self.rare - 1).astype(np.int64)
        rare = np.flatnonzero(index == self.kept + self.null)
        if self.null:
            index[index == self.kept] = len(self.levels)
        if self.rare and len(rare):
            drawn = draw.rng.random(len(rare)) * self._cumulated[-1]
            index[rare] = np.searchsorted(self._cumulated, drawn, side="right")
        return self._values.gather(index)

    def state(self) -> State:
        meta = {"kept": self.kept, "null": self.null, "rare": self.rare}
        return meta, {**pack(to_keys(self.levels)), "counts": self.counts}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        keys = saved.packed()
        levels = from_keys(pl.Series(keys, dtype=pl.String), parse_dtype(column.dtype, column.levels))
        saved.need(levels.null_count() == 0, "a level does not fit the dtype")
        kept, null, rare = saved.whole("kept", 0, len(keys)), saved.flag("null"), saved.flag("rare")
        saved.need(len(keys) > 0 or not rare, "rare levels need others to draw from")
        saved.need(len(keys) > 0 or null, "no level at all")
        saved.need(rare or kept == len(keys), "made-up levels need a rare code")
        return cls(column, levels, saved.counts("counts", len(keys)), kept, null, rare)


def _pool(keys: list[str], rows: pl.Series, column: Column, but: pl.Series | None = None) -> tuple[pl.Series, Ints]:
    """Levels of the column's dtype and their counts, each level once; without those of `but`."""
    found = pl.DataFrame({"key": pl.Series(keys, dtype=pl.String), "rows": rows.cast(pl.Int64)})
    levels = from_keys(found["key"], parse_dtype(column.dtype, column.levels))
    found = found.filter(levels.is_not_null()).with_columns(key=to_keys(levels.drop_nulls()))
    if but is not None:
        found = found.filter(~pl.col("key").is_in(to_keys(but).to_list()))
    if found.is_empty() and keys and not len(but if but is not None else []):  # no made-up key fits the dtype
        found = pl.DataFrame({"key": ["0"], "rows": [1]})
    found = found.group_by("key", maintain_order=True).agg(pl.col("rows").sum())
    return from_keys(found["key"], levels.dtype), found["rows"].to_numpy().astype(np.int64)
